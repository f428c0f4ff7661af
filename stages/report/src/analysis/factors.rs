//! Success by the factor that was edited.

use schemas::{Candidate, Factor, Locality};

use crate::run::{Run, is_evaluated, is_valid};

/// Counts of the proposals that edited one factor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactorCounts {
    /// `OPERATOR`, `ACTION` or `whole program`.
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
pub fn factor_name(row: &Candidate) -> &'static str {
    match row.factor {
        Some(Factor::Operator) => "OPERATOR",
        Some(Factor::Action) => "ACTION",
        None => "whole program",
    }
}

/// Counts for each factor that occurs: OPERATOR, ACTION, whole program.
pub fn factors<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Vec<FactorCounts> {
    let mut list: Vec<FactorCounts> = ["OPERATOR", "ACTION", "whole program"]
        .iter()
        .map(|name| FactorCounts { name: (*name).into(), ..FactorCounts::default() })
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
                row(1, Some("c0"), Some(Factor::Operator), 0.5),
                row(2, Some("c1"), Some(Factor::Action), 0.4),
                row(3, Some("c0"), Some(Factor::Action), 0.35),
                row(4, Some("gone"), Some(Factor::Action), 0.9),
            ],
            Beside::default(),
        );
        let counts = factors([&run]);
        assert_eq!(counts.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["OPERATOR", "ACTION"]);
        assert_eq!((counts[0].proposed, counts[0].improved), (1, 1));
        assert_eq!((counts[1].proposed, counts[1].improved), (3, 1), "an unknown parent is no improvement");
    }
}
