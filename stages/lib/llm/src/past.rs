//! What prompts tell of the past: the attempts so far, the parent's line, why proposals were refused, and how noisy scores
//! are.

use std::collections::BTreeMap;

use schemas::{Candidate, Factor, Locality, Severity, Status};
use search::population::fitness;
use serde::Serialize;

/// Most programs of the parent's line that a prompt tells of.
const LINE: usize = 6;
/// Most kinds of refusals that a prompt tells of.
const REFUSALS: usize = 5;

/// An attempt of the past.
#[derive(Clone, Debug, Serialize)]
pub struct PastView {
    /// Number of the attempt within the run.
    pub attempt: i64,
    /// The factor that it was confined to; none for an edit without one.
    pub factor: Option<Factor>,
    /// What the edit was, in a few words.
    pub what: String,
    /// `scored`, `rejected`, `entangled`, `duplicate`, `timeout`...
    pub outcome: String,
    /// Its fitness; none where it has no score.
    pub fitness: Option<f64>,
    /// As of a program.
    pub fitness_error: Option<f64>,
    /// Trainings that the fitness rests on; 0 where that is not known.
    pub trainings: i64,
    /// Against its parent.
    pub gain: Option<f64>,
    /// Code and sentence of the first error.
    pub error: Option<String>,
}

/// A rule by which proposals were refused.
#[derive(Clone, Debug, Serialize)]
pub struct RefusalView {
    /// Code of the rule.
    pub code: String,
    /// How many proposals it has refused.
    pub count: usize,
    /// What was said of the latest of them.
    pub example: String,
}

/// The fitness of each program that has one.
pub fn by_id<'a>(rows: &[&'a Candidate]) -> BTreeMap<&'a str, f64> {
    let mut known: BTreeMap<&str, f64> =
        rows.iter().filter_map(|row| Some((row.candidate_id.as_str(), fitness(row)?))).collect();
    // A program that computes the same as another has that one's fitness: so has the first phase of an attempt.
    for row in rows {
        let twin = row.duplicate_of.as_deref().and_then(|twin| known.get(twin).copied());
        if let Some(twin) = twin {
            known.entry(&row.candidate_id).or_insert(twin);
        }
    }
    known
}

/// Against its parent.
pub fn gain(row: &Candidate, by_id: &BTreeMap<&str, f64>) -> Option<f64> {
    Some(fitness(row)? - by_id.get(row.parent_id.as_deref()?)?)
}

/// Whether the outcome of an attempt is known. Failures of the server say nothing about the program.
pub fn decided(row: &Candidate) -> bool {
    !row.source.is_empty() && !matches!(row.status, Status::Proposed | Status::Accepted | Status::Trained)
}

/// The latest attempts, the newest last; `shown`: at most so many.
pub fn latest(rows: &[&Candidate], shown: usize) -> Vec<PastView> {
    let by_id = by_id(rows);
    let past: Vec<&&Candidate> = rows.iter().filter(|row| row.parent_id.is_some() && decided(row)).collect();
    let from = past.len().saturating_sub(shown);
    past.iter().skip(from).map(|row| view(row, &by_id)).collect()
}

/// The edits from the seed program to a program, the oldest of the latest few first; the last one made the program itself.
pub fn line(rows: &[&Candidate], id: &str) -> Vec<PastView> {
    let by_id = by_id(rows);
    let mut line = Vec::new();
    let mut at = id;
    // The limit also ends a line in a table that says that a program descends from itself.
    while line.len() < LINE {
        // The first phase of an attempt was never scored: the line leads through it.
        let of = |row: &&&Candidate| row.candidate_id == at && (fitness(row).is_some() || row.phase == Some(1));
        let Some((row, parent)) = rows.iter().find(of).and_then(|row| Some((row, row.parent_id.as_deref()?))) else {
            break;
        };
        line.push(view(row, &by_id));
        at = parent;
    }
    line.reverse();
    line
}

/// The rules by which proposals were refused, the most frequent first.
pub fn refusals(rows: &[&Candidate]) -> Vec<RefusalView> {
    let mut found: BTreeMap<&str, RefusalView> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.status == Status::Rejected) {
        let error = row.diagnostics.iter().flatten().find(|d| d.severity == Severity::Error);
        let Some(error) = error else { continue };
        let new = || RefusalView { code: error.code.clone(), count: 0, example: String::new() };
        let view = found.entry(&error.code).or_insert_with(new);
        view.count += 1;
        view.example = crate::error::excerpt(&error.message, 160);
    }
    let mut list: Vec<RefusalView> = found.into_values().collect();
    list.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
    list.truncate(REFUSALS);
    list
}

/// Standard deviation of one training's accuracy, by the split that fitness is taken from: pooled over all candidates with at
/// least two trainings.
pub fn training_noise(rows: &[&Candidate]) -> Option<f64> {
    let (mut squares, mut free) = (0.0, 0usize);
    for row in rows.iter().filter(|row| fitness(row).is_some()) {
        let test = row.fitness_mean.is_some() && row.fitness_mean == row.test_acc && row.fitness_mean != row.ood_acc;
        let seeds = if test { &row.test_acc_seeds } else { &row.ood_acc_seeds };
        let Some(values) = seeds.as_ref().filter(|values| values.iter().all(|value| value.is_finite())) else {
            continue;
        };
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        squares += values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        free += values.len().saturating_sub(1);
    }
    (free > 0).then(|| (squares / free as f64).sqrt())
}

fn view(row: &Candidate, by_id: &BTreeMap<&str, f64>) -> PastView {
    let entangled = row.locality == Some(Locality::Entangled) && row.status == Status::Rejected;
    let what = row.edit.as_deref().or(row.directive.as_deref()).unwrap_or("an edit");
    PastView {
        attempt: row.attempt,
        factor: row.factor,
        what: crate::error::excerpt(what, 160),
        outcome: if entangled { "entangled".to_owned() } else { row.status.as_str().to_owned() },
        fitness: fitness(row),
        fitness_error: row.fitness_sd.filter(|_| fitness(row).is_some()),
        trainings: row.trainings.unwrap_or(0),
        gain: gain(row, by_id),
        error: first_error(row),
    }
}

fn first_error(row: &Candidate) -> Option<String> {
    let error = row.diagnostics.iter().flatten().find(|d| d.severity == Severity::Error)?;
    Some(crate::error::excerpt(&format!("{}: {}", error.code, error.message), 200))
}

#[cfg(test)]
mod tests {
    use schemas::Diagnostic;

    use super::*;

    fn row(attempt: i64, status: Status, fitness: Option<f64>) -> Candidate {
        Candidate {
            attempt,
            candidate_id: format!("id{attempt}"),
            parent_id: (attempt > 0).then(|| "id0".to_owned()),
            source: format!("program {attempt}\n"),
            status,
            fitness,
            ..Candidate::default()
        }
    }

    #[test]
    fn the_line_leads_from_the_seed_to_the_parent() {
        let mut rows: Vec<Candidate> = (0..9).map(|n| row(n, Status::Scored, Some(0.1 * n as f64))).collect();
        for (row, parent) in rows.iter_mut().skip(2).zip(1..) {
            row.parent_id = Some(format!("id{parent}"));
        }
        let all: Vec<&Candidate> = rows.iter().collect();
        let attempts = |id: &str| line(&all, id).iter().map(|past| past.attempt).collect::<Vec<_>>();
        assert_eq!(attempts("id3"), [1, 2, 3]);
        assert_eq!(attempts("id8"), [3, 4, 5, 6, 7, 8], "the latest of a long line");
        assert!(attempts("id0").is_empty() && attempts("nobody").is_empty());
        // a program that descends from itself
        rows[1].parent_id = Some("id8".into());
        assert_eq!(line(&rows.iter().collect::<Vec<_>>(), "id8").len(), LINE);
    }

    #[test]
    fn refusals_are_counted_by_rule() {
        let refused = |n: i64, code: &str| Candidate {
            diagnostics: Some(vec![Diagnostic {
                severity: Severity::Error,
                category: "shape".into(),
                code: code.into(),
                line: 1,
                column: 1,
                message: format!("message {n}"),
                help: None,
            }]),
            ..row(n, Status::Rejected, None)
        };
        let rows = [refused(1, "E-B"), refused(2, "E-A"), refused(3, "E-A"), row(4, Status::Scored, Some(0.3))];
        let told: Vec<(String, usize, String)> =
            refusals(&rows.iter().collect::<Vec<_>>()).into_iter().map(|r| (r.code, r.count, r.example)).collect();
        assert_eq!(told, [("E-A".into(), 2, "message 3".into()), ("E-B".into(), 1, "message 1".into())]);
    }

    #[test]
    fn noise_is_pooled_over_trainings() {
        let mut rows = [0, 1, 2].map(|n| row(n, Status::Scored, Some(0.6)));
        rows[0].ood_acc_seeds = Some(vec![0.4, 0.6]);
        rows[1].ood_acc_seeds = Some(vec![0.5, 0.7]);
        rows[2].ood_acc_seeds = Some(vec![0.9]);
        let all: Vec<&Candidate> = rows.iter().collect();
        assert!((training_noise(&all).unwrap() - 0.02f64.sqrt()).abs() < 1e-12);
        assert_eq!(training_noise(&all[2..]), None);
    }
}
