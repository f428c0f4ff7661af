//! Outcomes from the cache alone.

use serde::de::DeserializeOwned;

use super::runner::show;
use super::{Outcome, Runner, Work};
use crate::Progress;

/// The cache does not have all that was asked for: exit code 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{missing} of {of} have no result in the cache yet; nothing was written")]
pub struct Missing {
    /// How many results are missing.
    pub missing: usize,
    /// How many were asked for.
    pub of: usize,
}

impl Runner<'_> {
    /// The outcomes of all works, in order; nothing is begun, and nothing written.
    ///
    /// # Errors
    /// [`Missing`].
    pub(super) fn collect<J, R: DeserializeOwned + Clone>(
        &self,
        works: &[Work<J>],
        progress: &Progress,
        sum_up: impl Fn(&R) -> String,
    ) -> anyhow::Result<Vec<Outcome<R>>> {
        let mut outcomes = Vec::new();
        let mut missing = std::collections::BTreeSet::new();
        for work in works {
            match self.known(&work.key) {
                Some(outcome) => {
                    show(progress, work, &outcome, &sum_up);
                    outcomes.push(outcome);
                }
                None => drop(missing.insert(&work.key)),
            }
        }
        if !missing.is_empty() {
            let of = works.iter().map(|work| &work.key).collect::<std::collections::BTreeSet<_>>().len();
            return Err(Missing { missing: missing.len(), of }.into());
        }
        Ok(outcomes)
    }
}
