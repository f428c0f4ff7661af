//! One search run: the rows of its archive in the order of the attempts, and what lies beside the archive.

use std::collections::BTreeMap;
use std::path::PathBuf;

use race::Confirmation;
use schemas::{Candidate, CurvePoint, TransferRow, TransferSummary, Verdict};
use search::diagnosis::Diagnosis;
use search::population::{better, fitness};
use stage::runs::RunRecord;

use crate::effort::Effort;
use crate::exchanges::Exchange;

pub use search::population::evaluated as is_evaluated;

/// A value in force, from `config.toml` beside the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `train.steps`.
    pub key: String,
    pub value: String,
}

/// What a run's folder holds besides its archive.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// What decides whether the run compares with others.
    pub identity: stage::runs::Run,
    pub settings: Vec<Setting>,
    pub curves: Vec<CurvePoint>,
    /// Where candidates fail, by their ids.
    pub diagnoses: BTreeMap<String, Diagnosis>,
    /// What the gain is on fresh seeds and graphs.
    pub confirmation: Option<Confirmation>,
    pub transfer: Vec<TransferRow>,
    /// Exchanges with language models, in the order in which they were recorded.
    pub exchanges: Vec<Exchange>,
    pub effort: Effort,
    pub transfer_summary: Vec<TransferSummary>,
    /// How the run came about.
    pub made: Option<RunRecord>,
    /// When a stage of the run last said something, in seconds since 1970; 0 where that is not known.
    pub changed: f64,
    /// Where all this lies.
    pub folder: Option<PathBuf>,
}

/// A run. Rows never change after `Run::new`, which sorts and cleans them.
#[derive(Clone, Debug)]
pub struct Run {
    /// Unique on the page.
    pub name: String,
    /// Its place on the page, from 0.
    pub number: usize,
    /// What decides whether it compares with others.
    pub identity: stage::runs::Run,
    pub method: String,
    pub proposers: Vec<String>,
    /// CLRS algorithm; empty when no row and no setting tells.
    pub task: String,
    /// Seed of the search, where the settings tell.
    pub seed: Option<String>,
    rows: Vec<Candidate>,
    by_id: BTreeMap<String, usize>,
    seed_row: Option<usize>,
    pub settings: Vec<Setting>,
    /// Learning curves by candidate and training seed.
    pub curves: BTreeMap<String, BTreeMap<i64, Vec<CurvePoint>>>,
    /// Where candidates fail, and what their parts are worth.
    pub diagnoses: BTreeMap<String, Diagnosis>,
    pub confirmation: Option<Confirmation>,
    pub transfer: Vec<TransferRow>,
    /// Exchanges with language models, in the order in which they were recorded.
    pub exchanges: Vec<Exchange>,
    /// Tokens and times.
    pub effort: Effort,
    pub transfer_summary: Vec<TransferSummary>,
    /// How the run came about.
    pub made: Option<RunRecord>,
    /// When a stage of the run last said something, in seconds since 1970; 0 where that is not known.
    pub changed: f64,
    /// Where all this lies; None for rows from a pipe.
    pub folder: Option<PathBuf>,
    /// What a reader should know about the data, e.g. scores that were not numbers.
    pub remarks: Vec<String>,
}

impl Run {
    /// A run of these rows, and of what lies beside them.
    pub fn new(name: String, mut rows: Vec<Candidate>, beside: Beside) -> Self {
        let mut remarks = Vec::new();
        let broken = rows.iter_mut().filter_map(|row| drop_non_finite(row).then_some(())).count();
        if broken > 0 {
            remarks.push(format!(
                "{} had a score that is not a finite number and counts as not scored.",
                rows_text(broken)
            ));
        }
        remarks.extend(mixed_hardware(&rows));
        let mut scored = rows.iter().filter(|row| row.ood_acc.is_some()).peekable();
        if scored.peek().is_some() && scored.all(|row| row.ood_acc_seeds.as_ref().is_some_and(|seeds| seeds.len() == 1))
        {
            remarks.push(
                "Each candidate was trained with one seed: how much of a difference between two of them is chance is not known."
                    .into(),
            );
        }
        rows.sort_by(|a, b| place(a).cmp(&place(b)));
        let seed_row = rows.iter().position(|row| row.parent_id.is_none() && row.factor.is_none());
        if rows.is_empty() {
            remarks.push("The archive has no rows.".into());
        } else if rows.iter().all(|row| row.ood_acc.is_none()) {
            remarks.push("No candidate has a score yet.".into());
        }
        if seed_row.is_none() && !rows.is_empty() {
            remarks.push("No row is without a parent, so there is no seed program to compare with.".into());
        }
        let mut by_id: BTreeMap<String, usize> = BTreeMap::new();
        for (i, row) in rows.iter().enumerate() {
            // a program that was proposed again keeps the row that was scored
            let known = by_id.entry(row.candidate_id.clone()).or_insert(i);
            if rows[*known].ood_acc.is_none() && row.ood_acc.is_some() {
                *known = i;
            }
        }
        let setting = |key: &str| beside.settings.iter().find(|s| s.key == key).map(|s| s.value.clone());
        let first = |pick: fn(&Candidate) -> Option<&str>| rows.iter().find_map(pick).map(String::from);
        let method = first(|row| Some(row.method.as_str()).filter(|m| !m.is_empty() && *m != "-"))
            .or_else(|| setting("search.method"))
            .unwrap_or_else(|| "unknown method".into());
        let task = first(|row| row.task.as_deref()).or_else(|| setting("task.algorithm")).unwrap_or_default();
        let mut proposers: Vec<String> =
            rows.iter().filter(|row| row.parent_id.is_some()).map(|row| row.proposer.clone()).collect();
        proposers.sort();
        proposers.dedup();
        let mut curves: BTreeMap<String, BTreeMap<i64, Vec<CurvePoint>>> = BTreeMap::new();
        for point in beside.curves {
            curves.entry(point.candidate_id.clone()).or_default().entry(point.train_seed).or_default().push(point);
        }
        for points in curves.values_mut().flat_map(BTreeMap::values_mut) {
            points.sort_by_key(|point| point.step);
            points.dedup_by_key(|point| point.step);
        }
        let identity = stage::runs::Run { name: name.clone(), ..beside.identity };
        Self {
            name,
            number: 0,
            identity,
            method,
            proposers,
            task,
            seed: setting("search.seed"),
            rows,
            by_id,
            seed_row,
            settings: beside.settings,
            curves,
            diagnoses: beside.diagnoses,
            confirmation: beside.confirmation,
            transfer: beside.transfer,
            exchanges: beside.exchanges,
            effort: beside.effort,
            transfer_summary: beside.transfer_summary,
            made: beside.made,
            changed: beside.changed,
            folder: beside.folder,
            remarks,
        }
    }

    /// The run at this place on the page, from 0.
    pub fn numbered(self, number: usize) -> Self {
        Self { number, ..self }
    }

    /// All rows, the seed program's too, in the order of the attempts.
    pub fn rows(&self) -> &[Candidate] {
        &self.rows
    }

    /// The program that the search started from: the first row without a parent.
    pub fn seed_program(&self) -> Option<&Candidate> {
        self.seed_row.and_then(|i| self.rows.get(i))
    }

    /// All attempts: every row but those of the seed programs.
    pub fn proposals(&self) -> impl Iterator<Item = &Candidate> {
        let seed = self.seed_row;
        let further = |row: &Candidate| row.parent_id.is_none() && row.edit.as_deref() == Some("seed");
        self.rows.iter().enumerate().filter(move |(i, row)| Some(*i) != seed && !further(row)).map(|(_, row)| row)
    }

    /// The row of a program; the scored one where it was proposed more than once.
    pub fn candidate(&self, id: &str) -> Option<&Candidate> {
        self.by_id.get(id).and_then(|i| self.rows.get(*i))
    }

    /// Scored rows, the best first, in the order that `select` ranks them by.
    pub fn ranking(&self) -> Vec<&Candidate> {
        let mut ranking: Vec<&Candidate> = self.rows.iter().filter(|row| fitness(row).is_some()).collect();
        ranking.sort_by(|a, b| better(a, b));
        ranking
    }

    /// The candidate that the confirmation chose; without one the best scored row.
    pub fn winner(&self) -> Option<&Candidate> {
        let chosen = self.confirmation.as_ref().and_then(|c| self.candidate(&c.winner.as_ref()?.candidate_id));
        chosen.filter(|row| fitness(row).is_some()).or_else(|| self.ranking().first().copied())
    }

    /// Whether the search chose by the test split, which then is not an independent estimate.
    pub fn chose_by_test(&self) -> bool {
        self.setting("score.fitness") == Some("test")
    }

    /// The language models that wrote its programs, as the settings name them; none for the built-in proposer.
    pub fn models(&self) -> Option<String> {
        let models =
            self.setting("propose.proposer").filter(|name| *name != "builtin").and(self.setting("llm.models"))?;
        let names = models.trim_matches(['[', ']']).split(',').map(|name| name.trim().trim_matches('"'));
        let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// How the page names a row of this run: the places of the run and of the row.
    pub fn key(&self, row: &Candidate) -> String {
        let place = self.rows.iter().position(|known| std::ptr::eq(known, row)).unwrap_or_default();
        format!("{}.{place}", self.number)
    }

    /// The lengths that a training takes in turn, a batch each; empty where no setting tells.
    pub fn lengths(&self) -> Vec<i64> {
        let list = self.setting("train.lengths").unwrap_or_default().trim_matches(['[', ']']);
        list.split(',').filter_map(|length| length.trim().parse().ok()).collect()
    }

    /// The value of a setting such as `train.steps`, as it stands in the run's `config.toml`.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|setting| setting.key == key).map(|setting| setting.value.as_str())
    }
}

/// Whether `check` accepted the program; None where it never looked at it.
pub fn is_valid(row: &Candidate) -> Option<bool> {
    row.verdict.map(|verdict| verdict != Verdict::Reject)
}

/// The first characters of an identifier: enough to tell candidates apart on a page.
pub fn short_id(id: &str) -> &str {
    id.char_indices().nth(8).map_or(id, |(end, _)| &id[..end])
}

fn place(row: &Candidate) -> (i64, i64, i64, &str) {
    (row.attempt, row.generation, row.slot, &row.candidate_id)
}

fn rows_text(n: usize) -> String {
    if n == 1 { "1 row".into() } else { format!("{n} rows") }
}

/// What to say where trainings were made on different hardware: sums are taken in another order there, so that a training
/// repeated on the other may come to another accuracy.
fn mixed_hardware(rows: &[Candidate]) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        // A row whose seeds were trained on several models names them all.
        let models = row.train_gpu.as_ref().map(|models| models.split(", ").collect::<Vec<_>>());
        for model in models.unwrap_or_else(|| row.device.iter().map(String::as_str).collect()) {
            *counts.entry(model.to_owned()).or_default() += 1;
        }
    }
    let list: Vec<String> = counts.iter().map(|(model, count)| format!("{count} on {model}")).collect();
    (list.len() > 1).then(|| {
        format!(
            "Candidates were trained on different hardware ({}): small differences between their accuracies may be its.",
            list.join(", ")
        )
    })
}

/// Forgets scores that are not finite; true where there was one.
fn drop_non_finite(row: &mut Candidate) -> bool {
    let mut found = false;
    for value in [
        &mut row.ood_acc,
        &mut row.ood_acc_std,
        &mut row.test_acc,
        &mut row.test_acc_std,
        &mut row.fitness,
        &mut row.best_so_far,
    ] {
        if value.is_some_and(|v| !v.is_finite()) {
            *value = None;
            found = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use schemas::Status;

    use super::*;

    fn row(attempt: i64, id: &str, ood: Option<f64>) -> Candidate {
        Candidate {
            attempt,
            candidate_id: id.into(),
            parent_id: (attempt > 0).then(|| "a".into()),
            ood_acc: ood,
            fitness: ood,
            status: if ood.is_some() { Status::Scored } else { Status::Rejected },
            ..Candidate::default()
        }
    }

    #[test]
    fn rows_are_sorted_and_the_best_wins_whatever_their_order() {
        let run = Run::new(
            "r".into(),
            vec![row(2, "c", Some(0.5)), row(0, "a", Some(0.2)), row(1, "b", Some(0.5)), row(3, "d", Some(f64::NAN))],
            Beside::default(),
        );
        assert_eq!(run.rows().iter().map(|r| r.attempt).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(run.seed_program().map(|r| r.candidate_id.as_str()), Some("a"));
        assert_eq!(run.winner().map(|r| r.candidate_id.as_str()), Some("b"), "the earlier of two equals");
        assert_eq!(run.remarks.len(), 1, "{:?}", run.remarks);
        assert_eq!(run.proposals().count(), 3);
    }

    #[test]
    fn a_program_proposed_again_keeps_its_scored_row() {
        let mut again = row(2, "b", None);
        again.status = Status::Duplicate;
        let run = Run::new("r".into(), vec![row(0, "a", Some(0.1)), again, row(1, "b", Some(0.4))], Beside::default());
        assert_eq!(run.candidate("b").and_then(|r| r.ood_acc), Some(0.4));
    }

    #[test]
    fn results_of_single_seeds_are_called_so() {
        let mut single = row(0, "a", Some(0.2));
        single.ood_acc_seeds = Some(vec![0.2]);
        let mut double = row(1, "b", Some(0.3));
        double.ood_acc_seeds = Some(vec![0.2, 0.4]);
        let remarks = |rows: Vec<Candidate>| Run::new("r".into(), rows, Beside::default()).remarks;
        assert!(remarks(vec![single.clone()]).iter().any(|text| text.contains("one seed")));
        assert!(remarks(vec![single, double]).is_empty());
    }

    #[test]
    fn mixed_hardware_is_told() {
        let on = |device: &str, gpu: Option<&str>| Candidate {
            device: Some(device.to_owned()),
            train_gpu: gpu.map(str::to_owned),
            ..Candidate::default()
        };
        let told = |rows: &[Candidate]| mixed_hardware(rows);
        assert_eq!(told(&[on("cpu", None), on("cpu", None), Candidate::default()]), None);
        assert_eq!(told(&[on("cuda", Some("A")), on("cuda", Some("A"))]), None);
        let text = told(&[on("cuda", Some("A")), on("cuda", Some("A, B")), on("cpu", None)]).unwrap();
        assert!(text.contains("(2 on A, 1 on B, 1 on cpu)"), "{text}");
    }

    #[test]
    fn identifiers_of_any_alphabet_can_be_cut() {
        assert_eq!(short_id("0123456789abcdef"), "01234567");
        assert_eq!(short_id("äöü"), "äöü");
    }
}
