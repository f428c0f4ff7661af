//! From the archive so far and the rows of a generation to the next archive.

use std::collections::BTreeMap;

use anyhow::ensure;
use schemas::Status;
use search::archive::{self, ArchiveSettings};
use search::features::Feature;
use search::methods;
use search::noise;
use search::population::{Population, fitness};
use stage::config::Fitness;
use stage::{Config, Row, Table};

/// What tells rows apart, in the order of the search. Tries of one attempt may have the same program, or none: phase and round
/// tell them apart.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    attempt: (i64, i64, i64),
    round: (i64, i64),
    candidate_id: String,
    source: String,
    run: String,
}

/// The rows of both tables in the order of the search, which is also that of a `Population`. A row of the generation
/// replaces the archive's row for the same attempt, so that a generation that is done again does not count twice.
pub fn merge(earlier: Table, scored: Table) -> anyhow::Result<Table> {
    let mut rows: BTreeMap<Place, Row> = BTreeMap::new();
    for row in earlier.rows.into_iter().chain(scored.rows) {
        let row = sound(row)?;
        let c = &row.candidate;
        let place = Place {
            attempt: (c.generation, c.slot, c.attempt),
            round: (c.phase.unwrap_or(0), c.repair_round.unwrap_or(0)),
            candidate_id: c.candidate_id.clone(),
            source: c.source.clone(),
            run: c.run.clone(),
        };
        rows.insert(place, row);
    }
    Ok(Table { rows: rows.into_values().collect() })
}

/// Checks that a row means what it says: its id is that of its program, and a score is a number.
fn sound(mut row: Row) -> anyhow::Result<Row> {
    let c = &mut row.candidate;
    if c.status == Status::Scored {
        let id = program::candidate_id(&c.source);
        ensure!(
            id == c.candidate_id,
            "the score of candidate {} (generation {}, slot {}) belongs to another program: its source is that of {id}",
            c.candidate_id,
            c.generation,
            c.slot
        );
        if fitness(c).is_none() {
            c.status = Status::Failed;
            c.reason = Some("scored without a finite fitness".to_owned());
        }
    }
    if c.status != Status::Scored {
        c.fitness = None;
    }
    Ok(row)
}

/// Fills the columns of this stage. Fitness first: who is kept as a parent depends on it.
pub fn judge(table: &mut Table, config: &Config) {
    let mut rows: Vec<_> = table.rows.iter_mut().map(|row| &mut row.candidate).collect();
    noise::shrink(&mut rows, config.score.fitness == Fitness::Test);
    let settings = ArchiveSettings {
        size: config.search.archive_size,
        islands: config.search.islands,
        features: features(config),
        bins: config.search.bins,
    };
    let judgements = archive::judge(&Population::new(table.candidates()), &settings);
    for (row, judgement) in table.rows.iter_mut().zip(judgements) {
        let c = &mut row.candidate;
        c.archived = Some(judgement.archived);
        c.elite = Some(judgement.elite);
        c.cell = judgement.cell;
        c.best_so_far = judgement.best_so_far;
    }
}

/// What cells are made of; `auto` leaves it to the method.
fn features(config: &Config) -> Vec<Feature> {
    let names = &config.search.features;
    if names == &["auto"] {
        return methods::named(&config.search.method).map_or(Vec::new(), |method| method.features().to_vec());
    }
    names.iter().filter_map(|name| Feature::named(name)).collect()
}

#[cfg(test)]
mod tests {
    use schemas::Candidate;

    use super::*;

    fn row(generation: i64, slot: i64, status: Status, fitness: Option<f64>) -> Row {
        let source = format!("x = {generation} + {slot}\n");
        let candidate_id = program::candidate_id(&source);
        Row::from(Candidate { generation, slot, source, candidate_id, status, fitness, ..Candidate::default() })
    }

    fn merged(rows: Vec<Row>) -> anyhow::Result<Table> {
        let mut table = merge(Table::default(), Table { rows })?;
        judge(&mut table, &Config::default());
        Ok(table)
    }

    #[test]
    fn missing_score_is_failed() {
        let rows = vec![
            row(1, 0, Status::Scored, Some(0.4)),
            row(1, 1, Status::Scored, None),
            row(1, 2, Status::Scored, Some(f64::NAN)),
            row(1, 3, Status::Crashed, Some(0.9)),
        ];
        let table = merged(rows).unwrap();
        let status: Vec<Status> = table.candidates().map(|c| c.status).collect();
        assert_eq!(status, [Status::Scored, Status::Failed, Status::Failed, Status::Crashed]);
        assert!(table.candidates().skip(1).all(|c| c.fitness.is_none() && c.archived == Some(false)));
        assert!(table.candidates().all(|c| c.best_so_far == Some(0.4)));
    }

    #[test]
    fn the_score_of_another_program_is_refused() {
        let mut other = row(1, 0, Status::Scored, Some(0.4));
        other.candidate.source = "x = 9\n".to_owned();
        let error = merged(vec![other.clone()]).unwrap_err().to_string();
        assert!(error.contains("belongs to another program"), "{error}");
        other.candidate.status = Status::Timeout;
        assert!(merged(vec![other]).is_ok(), "without a score there is nothing to mix up");
    }

    #[test]
    fn doing_a_generation_again_counts_once() {
        let earlier = Table { rows: vec![row(0, 0, Status::Scored, Some(0.1)), row(1, 0, Status::Scored, Some(0.2))] };
        let again = Table { rows: vec![row(1, 0, Status::Scored, Some(0.3))] };
        let table = merge(earlier, again).unwrap();
        assert_eq!(table.candidates().map(|c| c.fitness).collect::<Vec<_>>(), [Some(0.1), Some(0.3)]);
    }

    #[test]
    fn tries_without_a_program_are_rows_of_their_own() {
        let failed = |phase: Option<i64>, round: i64| {
            let mut row = row(1, 0, Status::Failed, None);
            row.candidate.source.clear();
            row.candidate.candidate_id.clear();
            (row.candidate.phase, row.candidate.repair_round) = (phase, Some(round));
            row
        };
        let rows = vec![failed(Some(2), 0), failed(None, 2), failed(None, 0), failed(None, 1)];
        let table = merge(Table::default(), Table { rows: rows.clone() }).unwrap();
        let rounds: Vec<_> = table.candidates().map(|c| (c.phase, c.repair_round)).collect();
        assert_eq!(rounds, [(None, Some(0)), (None, Some(1)), (None, Some(2)), (Some(2), Some(0))]);
        let again = merge(table, Table { rows }).unwrap();
        assert_eq!(again.rows.len(), 4, "made again, they count once");
    }

    #[test]
    fn the_order_of_the_input_says_nothing() {
        let rows: Vec<Row> = (0..6).map(|n| row(n / 3, n % 3, Status::Scored, Some(0.1 * n as f64))).collect();
        let mut reversed = rows.clone();
        reversed.reverse();
        let (a, b) = (merged(rows).unwrap(), merged(reversed).unwrap());
        assert!(a.candidates().eq(b.candidates()));
    }
}
