//! Candidates whose graph has been seen: they would train alike.

use std::collections::BTreeMap;

use schemas::{Candidate, Status};

/// Graphs seen so far, with the first candidate of each.
#[derive(Clone, Debug, Default)]
pub struct Known {
    first: BTreeMap<String, String>,
}

impl Known {
    /// Remembers a candidate. Rejected ones do not count: they were never trained.
    pub fn add(&mut self, candidate: &Candidate) {
        if candidate.status == Status::Rejected {
            return;
        }
        if let Some(hash) = &candidate.graph_hash {
            let id = candidate.duplicate_of.as_ref().unwrap_or(&candidate.candidate_id);
            self.first.entry(hash.clone()).or_insert_with(|| id.clone());
        }
    }

    /// Marks an accepted candidate as a duplicate where its graph is known, and else remembers it.
    pub fn judge(&mut self, candidate: &mut Candidate) {
        let accepted = candidate.status == Status::Accepted;
        let before = candidate.graph_hash.as_ref().and_then(|hash| self.first.get(hash));
        if let Some(first) = before.filter(|_| accepted) {
            candidate.status = Status::Duplicate;
            candidate.reason = Some(format!("its graph is that of {first}"));
            candidate.duplicate_of = Some(first.clone());
        } else {
            self.add(candidate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, hash: &str, status: Status) -> Candidate {
        Candidate { candidate_id: id.into(), graph_hash: Some(hash.into()), status, ..Candidate::default() }
    }

    #[test]
    fn the_first_of_a_graph_counts_and_rejected_ones_do_not() {
        let mut known = Known::default();
        known.add(&row("old", "g1", Status::Timeout));
        known.add(&row("refused", "g2", Status::Rejected));
        known.add(&Candidate { duplicate_of: Some("origin".into()), ..row("copy", "g3", Status::Duplicate) });
        let judged = |known: &mut Known, id: &str, hash: &str| {
            let mut candidate = row(id, hash, Status::Accepted);
            known.judge(&mut candidate);
            (candidate.status, candidate.duplicate_of)
        };
        assert_eq!(judged(&mut known, "a", "g1"), (Status::Duplicate, Some("old".into())));
        assert_eq!(judged(&mut known, "b", "g2"), (Status::Accepted, None));
        assert_eq!(judged(&mut known, "c", "g2"), (Status::Duplicate, Some("b".into())));
        assert_eq!(judged(&mut known, "d", "g3"), (Status::Duplicate, Some("origin".into())));
    }
}
