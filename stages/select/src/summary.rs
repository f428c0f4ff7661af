//! What came of a search, in a few figures.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use race::Confirmation;
use schemas::Candidate;
use search::population::{Population, evaluated, fitness};
use search::reach::Reach;
use search::stop::{self, StopSettings};
use serde::Serialize;
use serde_json::json;
use stage::Config;
use stage::terminal::line;

use crate::runs::{self, Part};

/// A candidate, in figures.
#[derive(Debug, Serialize)]
pub struct Entry {
    pub candidate_id: String,
    pub generation: i64,
    pub slot: i64,
    pub edit: Option<String>,
    pub fitness: Option<f64>,
    /// Standard deviation of the fitness as an estimate.
    pub fitness_sd: Option<f64>,
    pub ood_acc: Option<f64>,
    pub ood_acc_std: Option<f64>,
    pub test_acc: Option<f64>,
    pub test_acc_std: Option<f64>,
    pub training_seeds: usize,
    pub params: Option<i64>,
    pub macs: Option<i64>,
}

impl From<&Candidate> for Entry {
    fn from(row: &Candidate) -> Self {
        Self {
            candidate_id: row.candidate_id.clone(),
            generation: row.generation,
            slot: row.slot,
            edit: row.edit.clone(),
            fitness: fitness(row),
            fitness_sd: row.fitness_sd,
            ood_acc: row.ood_acc,
            ood_acc_std: row.ood_acc_std,
            test_acc: row.test_acc,
            test_acc_std: row.test_acc_std,
            training_seeds: row.train_seeds.as_ref().map_or(0, Vec::len),
            params: row.params,
            macs: row.macs,
        }
    }
}

/// The summary of each run for people, and in what their settings differ.
pub fn text(parts: &[Part], config: &Config) -> String {
    let single = parts.len() == 1;
    let text = |part: &Part| {
        let summary = Summary::of_run(part, config);
        if single { summary.text() } else { format!("run:         {}\n{}\n", line(&part.run.name), summary.text()) }
    };
    let mut all: String = parts.iter().map(text).collect();
    let differences = runs::differing(parts);
    if !differences.is_empty() {
        all += "The figures do not compare with one another: settings differ\n";
        all += &line_by_line(&runs::lines(&differences));
    }
    all
}

fn line_by_line(text: &str) -> String {
    text.lines().map(|text| format!("{}\n", line(text))).collect()
}

/// The same for machines: the object of a single run, or one with all of them in `runs`.
pub fn json(parts: &[Part], config: &Config) -> anyhow::Result<String> {
    let runs: Vec<Summary> = parts.iter().map(|part| Summary::of_run(part, config)).collect();
    if let [only] = runs.as_slice() {
        return only.json();
    }
    let differences: Vec<_> = runs::differing(parts)
        .into_iter()
        .map(|difference| {
            let values = difference.values.into_iter();
            let values: Vec<_> = values.map(|(value, runs)| json!({ "value": value, "runs": runs })).collect();
            json!({ "setting": difference.key, "values": values })
        })
        .collect();
    let all = json!({ "runs": runs, "differing_settings": differences });
    Ok(format!("{}\n", serde_json::to_string_pretty(&all)?))
}

/// What came of a search. The seed program does not count as a proposal.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub run: String,
    pub settings_digest: Option<String>,
    pub proposals: usize,
    /// Proposals that training was spent on, whether it ended with a score or not.
    pub evaluated: usize,
    pub generations: i64,
    /// Rows by status.
    pub status: BTreeMap<&'static str, usize>,
    /// Share of the checked proposals whose program can be executed.
    pub executable_rate: Option<f64>,
    /// Share of the checked proposals that are not rejected.
    pub admitted_rate: Option<f64>,
    /// Share of the proposals with a known locality that are entangled.
    pub entanglement_rate: Option<f64>,
    pub best: Option<Entry>,
    pub seed: Option<Entry>,
    /// Candidates that no other beats in fitness, parameters and multiply-accumulates at once.
    pub pareto_front: Vec<String>,
    /// Cells of the archive that have a candidate.
    pub cells: usize,
    /// Why the search is over, if it is.
    pub stopped: Option<String>,
    /// Whom the confirmation chose, with its scores in the search: what is exported. Absent: the best.
    pub winner: Option<Entry>,
    /// What the gain is on fresh seeds and graphs.
    pub confirmation: Option<Confirmation>,
}

impl Summary {
    fn of_run(part: &Part, config: &Config) -> Self {
        let population = Population::new(part.rows.candidates());
        let summary = Self::of(&population, config, part.confirmation.clone());
        Self { run: part.run.name.clone(), settings_digest: part.run.settings_digest.clone(), ..summary }
    }

    pub fn of(population: &Population<'_>, config: &Config, confirmation: Option<Confirmation>) -> Self {
        let rows = population.rows();
        let proposals: Vec<&&Candidate> = rows.iter().filter(|row| row.parent_id.is_some()).collect();
        let mut status = BTreeMap::new();
        for row in rows {
            *status.entry(row.status.as_str()).or_default() += 1;
        }
        let reach = Reach::of("", &proposals.iter().map(|row| **row).collect::<Vec<_>>());
        let mut cells: Vec<&str> = rows.iter().filter_map(|row| row.cell.as_deref()).collect();
        cells.sort_unstable();
        cells.dedup();
        let search = &config.search;
        let target = (search.target > 0.0).then_some(search.target);
        let settings = StopSettings {
            attempts: search.attempts,
            target,
            patience: search.patience,
            evaluations: search.evaluations,
            ..StopSettings::default()
        };
        Self {
            run: String::new(),
            settings_digest: None,
            proposals: proposals.len(),
            evaluated: proposals.iter().filter(|row| evaluated(row)).count(),
            generations: population.last_generation() + 1,
            status,
            executable_rate: reach.rates.executable.rate(),
            admitted_rate: reach.rates.admitted.rate(),
            entanglement_rate: reach.rates.entangled.rate(),
            best: population.best().map(Entry::from),
            seed: population.founders().next().and_then(|index| population.get(index)).map(Entry::from),
            pareto_front: pareto(population),
            cells: cells.len(),
            stopped: stop::stop(population, &settings).map(|reason| reason.to_string()),
            winner: confirmation
                .as_ref()
                .and_then(|confirmation| population.find(&confirmation.winner.as_ref()?.candidate_id))
                .map(Entry::from),
            confirmation,
        }
    }

    pub fn json(&self) -> anyhow::Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// One line for the log.
    pub fn line(&self) -> String {
        let number = |entry: &Option<Entry>| {
            entry.as_ref().and_then(|entry| entry.fitness).map_or("none".to_owned(), |fitness| format!("{fitness:.4}"))
        };
        format!(
            "{} proposals, {} evaluated; best {}, seed program {}",
            self.proposals,
            self.evaluated,
            number(&self.best),
            number(&self.seed)
        )
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut figure = |name: &str, value: String| {
            let _ = writeln!(text, "{:<12} {value}", format!("{name}:"));
        };
        figure(
            "proposals",
            format!("{} in {} generations, {} evaluated", self.proposals, self.generations, self.evaluated),
        );
        let status: Vec<String> = self.status.iter().map(|(status, count)| format!("{count} {status}")).collect();
        figure("status", status.join(", "));
        figure("executable", percent(self.executable_rate));
        figure("admitted", percent(self.admitted_rate));
        figure("entangled", percent(self.entanglement_rate));
        match &self.best {
            Some(best) => figure("best", entry(best)),
            None => figure("best", "no candidate has a score".to_owned()),
        }
        if let Some(seed) = &self.seed {
            figure("seed", entry(seed));
        }
        if let (None, Some(best), Some(seed)) =
            (&self.confirmation, self.best.as_ref().and_then(|e| e.fitness), self.seed.as_ref().and_then(|e| e.fitness))
        {
            let luck = "the luck of being chosen included";
            figure("as selected", format!("{:+.4} in fitness over the seed program, {luck}", best - seed));
        }
        if let Some(confirmation) = &self.confirmation {
            if let Some(selected) = confirmation.as_selected_sentence() {
                figure("as selected", selected);
            }
            if let Some(winner) = &confirmation.winner {
                let label = line(winner.edit.as_deref().unwrap_or("no label"));
                let count = confirmation.candidates.len();
                figure(
                    "winner",
                    format!("{} ({label}), chosen from {count} on fresh seeds", line(&winner.candidate_id)),
                );
                if let Some(winner) = &self.winner {
                    figure("its scores", scores(winner));
                }
            }
            figure("gain", line(&confirmation.sentence()).into_owned());
            if let Some(gain) = &confirmation.test_gain {
                figure("on test", gain.to_string());
            }
        } else {
            figure("gain", "not confirmed on fresh seeds".to_owned());
        }
        figure(
            "front",
            format!("{} candidates that none beats in fitness, params and macs at once", self.pareto_front.len()),
        );
        if self.cells > 0 {
            figure("cells", format!("{} filled", self.cells));
        }
        if let Some(reason) = &self.stopped {
            figure("over", reason.clone());
        }
        text
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or("unknown".to_owned(), |share| format!("{:.1} % of the proposals", 100.0 * share))
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.4}"))
}

/// Accuracies in the search.
fn scores(entry: &Entry) -> String {
    format!(
        "ood {} ± {}, test {} ± {} over {} training seed{}",
        number(entry.ood_acc),
        number(entry.ood_acc_std),
        number(entry.test_acc),
        number(entry.test_acc_std),
        entry.training_seeds,
        if entry.training_seeds == 1 { "" } else { "s" },
    )
}

fn entry(entry: &Entry) -> String {
    let count = |value: Option<i64>| value.map_or("-".to_owned(), |value| value.to_string());
    format!(
        "{} (generation {}, {}): fitness {} ± {}, {}, {} parameters, {} MACs a step",
        line(&entry.candidate_id),
        entry.generation,
        line(entry.edit.as_deref().unwrap_or("no label")),
        number(entry.fitness),
        number(entry.fitness_sd),
        scores(entry),
        count(entry.params),
        count(entry.macs),
    )
}

/// Ids of the candidates on the front of fitness (up), parameters (down) and multiply-accumulates (down).
fn pareto(population: &Population<'_>) -> Vec<String> {
    let rows: Vec<&Candidate> = population.scored().filter_map(|index| population.get(index)).collect();
    let point = |row: &Candidate| Some((fitness(row)?, row.params?, row.macs?));
    let beats = |a: (f64, i64, i64), b: (f64, i64, i64)| a.0 >= b.0 && a.1 <= b.1 && a.2 <= b.2 && a != b;
    let mut front = Vec::new();
    for row in &rows {
        let Some(this) = point(row) else { continue };
        if !rows.iter().filter_map(|other| point(other)).any(|other| beats(other, this)) {
            front.push(row.candidate_id.clone());
        }
    }
    front
}

#[cfg(test)]
mod tests {
    use schemas::{Locality, Status};

    use race::confirm::AsSelected;

    use super::*;

    fn row(slot: i64, fitness: f64, params: i64) -> Candidate {
        Candidate {
            slot,
            candidate_id: format!("c{slot}"),
            parent_id: (slot > 0).then(|| "c0".to_owned()),
            status: Status::Scored,
            fitness: Some(fitness),
            params: Some(params),
            macs: Some(100),
            ..Candidate::default()
        }
    }

    #[test]
    fn figures_count_proposals() {
        let mut rows = vec![row(0, 0.5, 10), row(1, 0.7, 20), row(2, 0.6, 30), row(3, 0.6, 5)];
        rows.push(Candidate {
            status: Status::Rejected,
            fitness: None,
            locality: Some(Locality::Entangled),
            ..row(4, 0.0, 1)
        });
        for row in &mut rows {
            let rejected = row.status == Status::Rejected;
            row.verdict = Some(if rejected { schemas::Verdict::Reject } else { schemas::Verdict::Accept });
            row.locality = row.locality.or(row.parent_id.is_some().then_some(Locality::Local));
        }
        let summary = Summary::of(&Population::new(&rows), &Config::default(), None);
        assert_eq!((summary.proposals, summary.evaluated), (4, 3));
        assert_eq!((summary.admitted_rate, summary.entanglement_rate), (Some(0.75), Some(0.25)));
        assert_eq!(summary.executable_rate, Some(0.75));
        assert_eq!(summary.pareto_front, ["c1", "c3"]);
        assert_eq!(summary.best.as_ref().map(|best| best.candidate_id.as_str()), Some("c1"));
        let text = summary.text();
        assert!(text.contains("+0.2000 in fitness") && text.contains("75.0 %"), "{text}");
        assert!(summary.json().unwrap().contains("\"rejected\": 1"));
        assert!(text.contains("gain:        not confirmed on fresh seeds"), "{text}");
    }

    #[test]
    fn the_confirmed_gain_stands_beside_what_was_selected() {
        let rows = [row(0, 0.5, 10), row(1, 0.7, 20)];
        let confirmation = Confirmation {
            gain: race::confirm::gain(&[0.5, 0.6], &[0.52, 0.55]),
            as_selected: Some(AsSelected { candidate_id: "c1".into(), measured: 0.211, shrunk: 0.2 }),
            ..Confirmation::default()
        };
        let summary = Summary::of(&Population::new(&rows), &Config::default(), Some(confirmation));
        let text = summary.text();
        assert!(
            text.contains("as selected: +21.1 points") && text.contains("gain:        no gain is confirmed: +1.5"),
            "{text}"
        );
        assert!(summary.json().unwrap().contains("\"pairs\": 2"));
    }

    #[test]
    fn nothing_scored_is_said() {
        let summary = Summary::of(&Population::new(&[]), &Config::default(), None);
        assert!(summary.text().contains("no candidate has a score"));
        assert_eq!(summary.line(), "0 proposals, 0 evaluated; best none, seed program none");
    }
}
