//! Success by the factor that was edited.

use std::collections::BTreeSet;

use schemas::{Candidate, Factor, Locality};

use crate::run::{Run, is_evaluated, is_valid};

/// What an edit without a factor is called.
const WHOLE: &str = "whole program";

/// Counts of the proposals that edited one factor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactorCounts {
    /// `OPERATOR`, `ACTION`, any other factor, or `whole program`.
    pub name: String,
    pub proposed: usize,
    pub valid: usize,
    pub entangled: usize,
    pub evaluated: usize,
    pub scored: usize,
    /// Scored better than the parent.
    pub improved: usize,
}

/// Name of the part of the program that a row edited.
pub fn factor_name(row: &Candidate) -> &str {
    row.factor.as_ref().map_or(WHOLE, Factor::as_str)
}

/// The number of the series that figures draw a factor with: each of the usual two has its own, edits of the whole program too,
/// and other factors share four by their names.
pub fn factor_series(name: &str) -> usize {
    match name {
        "OPERATOR" => 0,
        "ACTION" => 2,
        WHOLE => 7,
        other => 3 + other.bytes().map(usize::from).sum::<usize>() % 4,
    }
}

/// The names of the factors that rows edited: in the order of factors, edits of the whole program last.
pub fn factors_edited<'a>(rows: impl IntoIterator<Item = &'a Candidate>) -> Vec<String> {
    let found: BTreeSet<Option<Factor>> = rows.into_iter().map(|row| row.factor).collect();
    let named = found.iter().flatten().map(Factor::to_string);
    named.chain(found.contains(&None).then(|| WHOLE.to_owned())).collect()
}

/// Counts for each factor that occurs: OPERATOR, ACTION, any others by name, whole program.
pub fn factors<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Vec<FactorCounts> {
    let runs: Vec<&Run> = runs.into_iter().collect();
    let mut list: Vec<FactorCounts> = factors_edited(runs.iter().flat_map(|run| run.proposals()))
        .into_iter()
        .map(|name| FactorCounts { name, ..FactorCounts::default() })
        .collect();
    for run in runs {
        for row in run.proposals() {
            let Some(counts) = list.iter_mut().find(|counts| counts.name == factor_name(row)) else { continue };
            let parent = row.parent_id.as_deref().and_then(|id| run.candidate(id)).and_then(|parent| parent.ood_acc);
            counts.proposed += 1;
            counts.valid += usize::from(is_valid(row) == Some(true));
            counts.entangled += usize::from(row.locality == Some(Locality::Entangled));
            counts.evaluated += usize::from(is_evaluated(row));
            counts.scored += usize::from(row.ood_acc.is_some());
            counts.improved += usize::from(matches!((row.ood_acc, parent), (Some(own), Some(parent)) if own > parent));
        }
    }
    list.retain(|counts| counts.proposed > 0);
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Beside;
    use schemas::{Status, Verdict};

    #[test]
    fn improvement_is_measured_against_the_parent_not_the_seed() {
        let row = |attempt: i64, parent: Option<&str>, factor, ood| Candidate {
            attempt,
            candidate_id: format!("c{attempt}"),
            parent_id: parent.map(String::from),
            factor,
            status: Status::Scored,
            verdict: Some(Verdict::Accept),
            ood_acc: Some(ood),
            ..Candidate::default()
        };
        let run = Run::new(
            "r".into(),
            vec![
                row(0, None, None, 0.3),
                row(1, Some("c0"), Some(Factor::OPERATOR), 0.5),
                row(2, Some("c1"), Some(Factor::ACTION), 0.4),
                row(3, Some("c0"), Some(Factor::ACTION), 0.35),
                row(4, Some("gone"), Some(Factor::ACTION), 0.9),
                row(5, Some("c0"), None, 0.1),
                row(6, Some("c0"), Factor::parse("READOUT"), 0.6),
            ],
            Beside::default(),
        );
        let counts = factors([&run]);
        assert_eq!(
            counts.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
            ["OPERATOR", "ACTION", "READOUT", "whole program"]
        );
        assert_eq!((counts[0].proposed, counts[0].improved), (1, 1));
        assert_eq!((counts[1].proposed, counts[1].improved), (3, 1), "an unknown parent is no improvement");
        assert_eq!((counts[2].proposed, counts[2].improved, counts[3].improved), (1, 1, 0));
    }
}
