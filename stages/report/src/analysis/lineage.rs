//! The chain of edits that led to a program.

use std::collections::BTreeSet;

use schemas::Candidate;

use crate::run::Run;

/// One program of the chain.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub row: &'a Candidate,
    /// Accuracy minus the parent's; None for the first, or where either is unknown.
    pub gain: Option<f64>,
}

/// From the oldest known ancestor (the seed program, if no row is missing) to the program itself. A parent that is not
/// in the archive, or a cycle in a damaged one, ends the chain.
pub fn lineage<'a>(run: &'a Run, last: &'a Candidate) -> Vec<Step<'a>> {
    let mut seen = BTreeSet::new();
    let mut chain = Vec::new();
    let mut next = Some(last);
    while let Some(row) = next.filter(|row| seen.insert(row.candidate_id.as_str())) {
        chain.push(row);
        next = row.parent_id.as_deref().and_then(|id| run.candidate(id));
    }
    chain.reverse();
    let mut before: Option<f64> = None;
    chain
        .into_iter()
        .map(|row| {
            let gain = row.ood_acc.zip(before).map(|(own, parent)| own - parent);
            before = row.ood_acc;
            Step { row, gain }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Beside;

    fn row(attempt: i64, id: &str, parent: Option<&str>, ood: f64) -> Candidate {
        Candidate {
            attempt,
            candidate_id: id.into(),
            parent_id: parent.map(String::from),
            ood_acc: Some(ood),
            fitness: Some(ood),
            status: schemas::Status::Scored,
            ..Candidate::default()
        }
    }

    #[test]
    fn the_chain_runs_from_the_seed_to_the_winner() {
        let rows = vec![row(0, "a", None, 0.25), row(1, "b", Some("a"), 0.5), row(2, "c", Some("b"), 0.75)];
        let run = Run::new("r".into(), rows, Beside::default());
        let steps = lineage(&run, run.winner().expect("scored"));
        assert_eq!(steps.iter().map(|s| s.row.candidate_id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(steps.iter().map(|s| s.gain).collect::<Vec<_>>(), [None, Some(0.25), Some(0.25)]);
    }

    #[test]
    fn cycles_and_missing_parents_end_the_chain() {
        let run = Run::new(
            "r".into(),
            vec![row(1, "a", Some("b"), 0.1), row(2, "b", Some("a"), 0.2), row(3, "c", Some("gone"), 0.3)],
            Beside::default(),
        );
        assert_eq!(lineage(&run, run.candidate("b").expect("there")).len(), 2);
        assert_eq!(lineage(&run, run.candidate("c").expect("there")).len(), 1);
    }
}
