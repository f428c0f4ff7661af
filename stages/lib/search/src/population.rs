//! The candidate table as the search sees it. The table is the whole state of a search: everything here is computed
//! from its rows, and does not depend on their order.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use schemas::{Candidate, Factor, Status, Verdict};

/// The rows of one run, in the order of (generation, slot, attempt, id).
pub struct Population<'a> {
    rows: Vec<&'a Candidate>,
    by_id: BTreeMap<&'a str, usize>,
}

/// A population without rows, for attempts that are to know of no other.
pub static EMPTY: Population<'static> = Population { rows: Vec::new(), by_id: BTreeMap::new() };

/// How often something was tried, and how often it helped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Record {
    /// Attempts whose outcome is known.
    pub trials: usize,
    /// How many of these attempts have a fitness above their parent's.
    pub successes: usize,
}

impl Record {
    /// Expected success rate under a uniform prior (rule of succession): 1/2 when nothing is known.
    #[must_use]
    pub fn rate(self) -> f64 {
        (self.successes + 1) as f64 / (self.trials + 2) as f64
    }
}

impl<'a> Population<'a> {
    /// Takes the rows in any order.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = &'a Candidate>) -> Self {
        let mut rows: Vec<&Candidate> = rows.into_iter().collect();
        rows.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.source.cmp(&b.source)));
        let mut by_id = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            // Of rows with one program, the one that was evaluated speaks for it.
            let known: Option<&usize> = by_id.get(row.candidate_id.as_str());
            let better =
                known.and_then(|&k| rows.get(k)).is_none_or(|k| fitness(k).is_none() && fitness(row).is_some());
            if better {
                by_id.insert(row.candidate_id.as_str(), index);
            }
        }
        Self { rows, by_id }
    }

    /// All rows, in order.
    #[must_use]
    pub fn rows(&self) -> &[&'a Candidate] {
        &self.rows
    }

    /// The row at an index of `rows`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a Candidate> {
        self.rows.get(index).copied()
    }

    /// The row that speaks for a program.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&'a Candidate> {
        self.by_id.get(id).and_then(|&index| self.get(index))
    }

    /// The ids of all programs ever proposed.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<&'a str> {
        self.by_id.keys().copied().collect()
    }

    /// Indices of the rows that have a fitness.
    pub fn scored(&self) -> impl Iterator<Item = usize> + '_ {
        self.rows.iter().enumerate().filter(|(_, row)| fitness(row).is_some()).map(|(index, _)| index)
    }

    /// The founders: rows without a parent, i.e. the seed program. They belong to every island.
    pub fn founders(&self) -> impl Iterator<Item = usize> + '_ {
        self.rows.iter().enumerate().filter(|(_, row)| row.parent_id.is_none()).map(|(index, _)| index)
    }

    /// The best of all scored rows.
    #[must_use]
    pub fn best(&self) -> Option<&'a Candidate> {
        self.scored().filter_map(|index| self.get(index)).min_by(|a, b| better(a, b))
    }

    /// The last generation in the table; -1 when it is empty.
    #[must_use]
    pub fn last_generation(&self) -> i64 {
        self.rows.iter().map(|row| row.generation).max().unwrap_or(-1)
    }

    /// How many attempts were made, the founders not counted. An attempt may have several rows: one for each try.
    #[must_use]
    pub fn attempts_made(&self) -> usize {
        let made = self.rows.iter().filter(|row| row.parent_id.is_some()).map(|row| row.attempt);
        made.collect::<BTreeSet<i64>>().len()
    }

    /// The number that the next attempt gets.
    #[must_use]
    pub fn next_attempt(&self) -> i64 {
        self.rows.iter().map(|row| row.attempt.saturating_add(1)).max().unwrap_or(0)
    }

    /// What became of the attempts that `which` selects. Attempts without a parent, duplicates and rows that are not
    /// yet evaluated do not count; rejected and failed ones count as trials without success.
    #[must_use]
    pub fn record(&self, which: impl Fn(&Candidate) -> bool) -> Record {
        let mut record = Record::default();
        for row in self.rows.iter().filter(|row| which(row)) {
            let pending = matches!(row.status, Status::Proposed | Status::Accepted | Status::Trained);
            if pending || row.status == Status::Duplicate {
                continue;
            }
            let Some(parent) = row.parent_id.as_deref() else { continue };
            record.trials += 1;
            let before = self.find(parent).and_then(fitness);
            if fitness(row).is_some_and(|after| before.is_none_or(|before| after > before)) {
                record.successes += 1;
            }
        }
        record
    }

    /// The record of edits of one factor.
    #[must_use]
    pub fn factor_record(&self, factor: Factor) -> Record {
        self.record(|row| row.factor == Some(factor))
    }
}

/// Where a row stands in its run.
fn place(row: &Candidate) -> (i64, i64, i64, &str) {
    (row.generation, row.slot, row.attempt, &row.candidate_id)
}

/// The fitness of a row that counts: of a scored row, and finite. A missing or non-finite score never takes part in
/// anything.
#[must_use]
pub fn fitness(row: &Candidate) -> Option<f64> {
    row.fitness.filter(|f| row.status == Status::Scored && f.is_finite())
}

/// Whether a candidate counts as evaluated, here and in every summary and report: training was spent on it, whether it
/// ended with a score, failed, or was stopped early. What `check` refused or knew already, and what was never written,
/// is not evaluated. Counts of evaluated candidates leave out the seed program, as the literature does.
#[must_use]
pub fn evaluated(row: &Candidate) -> bool {
    match row.status {
        Status::Scored | Status::Trained | Status::Stopped => true,
        Status::Timeout | Status::Oom | Status::Crashed | Status::Diverged => true,
        Status::Failed => row.verdict.is_some_and(|verdict| verdict != Verdict::Reject),
        Status::Proposed | Status::Accepted | Status::Rejected | Status::Duplicate => false,
    }
}

/// Order from best to worst: higher fitness, then fewer parameters, then fewer multiply-accumulates, then earlier.
/// Rows without fitness come last.
#[must_use]
pub fn better(a: &Candidate, b: &Candidate) -> Ordering {
    let fit = |row: &Candidate| fitness(row).unwrap_or(f64::NEG_INFINITY);
    // A cost that is not known counts as the largest.
    let size = |count: Option<i64>| count.unwrap_or(i64::MAX);
    fit(b)
        .total_cmp(&fit(a))
        .then_with(|| size(a.params).cmp(&size(b.params)))
        .then_with(|| size(a.macs).cmp(&size(b.macs)))
        .then_with(|| place(a).cmp(&place(b)))
}

#[cfg(test)]
pub(crate) mod examples {
    use super::*;

    /// A scored row.
    pub(crate) fn scored(generation: i64, slot: i64, island: i64, fitness: f64) -> Candidate {
        Candidate {
            generation,
            slot,
            attempt: generation * 100 + slot,
            island,
            candidate_id: format!("id-{generation}-{slot}"),
            parent_id: (generation > 0).then(|| "id-0-0".to_owned()),
            source: format!("program {generation} {slot}"),
            status: Status::Scored,
            fitness: Some(fitness),
            params: Some(1000),
            ..Candidate::default()
        }
    }

    /// A row that failed.
    pub(crate) fn failed(generation: i64, slot: i64, island: i64, status: Status) -> Candidate {
        Candidate { fitness: None, status, ..scored(generation, slot, island, 0.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::examples::{failed, scored};
    use super::*;

    #[test]
    fn tries_of_an_attempt_count_once() {
        let broken = failed(1, 0, 0, Status::Rejected);
        let mended = Candidate { candidate_id: "mended".to_owned(), ..scored(1, 0, 0, 0.3) };
        let rows = [scored(0, 0, 0, 0.2), broken, mended, scored(1, 1, 0, 0.3)];
        let population = Population::new(&rows);
        assert_eq!((population.attempts_made(), population.next_attempt()), (2, 102));
    }

    #[test]
    fn nan_never_wins() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let rows = [scored(0, 0, 0, 0.2), scored(1, 0, 0, bad), scored(1, 1, 0, 0.3)];
            let population = Population::new(&rows);
            assert_eq!(population.best().map(|row| row.slot), Some(1));
            assert_eq!(population.scored().count(), 2);
        }
        // A fitness left over from an earlier stage does not make a failed row a candidate.
        let mut crashed = scored(1, 0, 0, 0.9);
        crashed.status = Status::Crashed;
        assert_eq!(Population::new(&[crashed]).best().map(|row| row.slot), None);
    }

    #[test]
    fn ties_go_to_the_smaller_then_the_earlier() {
        let mut small = scored(3, 0, 0, 0.5);
        small.params = Some(10);
        let rows = [scored(1, 0, 0, 0.5), small, scored(2, 0, 0, 0.5)];
        assert_eq!(Population::new(&rows).best().map(|row| row.generation), Some(3));
        assert_eq!(Population::new(&[rows[2].clone(), rows[0].clone()]).best().map(|row| row.generation), Some(1));
    }

    #[test]
    fn records_count_what_is_known() {
        let mut rows = vec![scored(0, 0, 0, 0.5)];
        for (slot, fitness) in [0.6, 0.4, 0.7].into_iter().enumerate() {
            let mut row = scored(1, slot as i64, 0, fitness);
            row.factor = Some(Factor::ACTION);
            rows.push(row);
        }
        for (slot, status) in [Status::Rejected, Status::Duplicate, Status::Proposed].into_iter().enumerate() {
            let mut row = failed(2, slot as i64, 0, status);
            row.factor = Some(Factor::ACTION);
            rows.push(row);
        }
        let population = Population::new(&rows);
        assert_eq!(population.factor_record(Factor::ACTION), Record { trials: 4, successes: 2 });
        assert_eq!(population.factor_record(Factor::OPERATOR), Record::default());
        assert_eq!(Record::default().rate(), 0.5);
    }
}
