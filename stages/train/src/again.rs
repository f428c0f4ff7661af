//! A round of racing: candidates that may still be the best of the run get one more training ([`race::racing`] says who).
//!
//! A round reads the scored rows of a generation and the archive before it, and writes the rows of the generation: those
//! that race with one more seed and status `trained`, to be scored; all others as they are. So it is a step between tables
//! like any other. What it decides depends on these tables alone, and its earlier trainings come from the cache.

use anyhow::{Context, Result, ensure};
use race::racing::{Rounds, open};
use schemas::{Candidate, Status};
use search::noise::scores;
use stage::config::{Config, Fitness};
use stage::job::Work;
use stage::{Common, Row, Table};

use crate::rows::{Supervisor, fill};
use crate::{Job, Program, Trained, prepare, seed, settings, works_of_candidate};

/// Which rows of a generation race in this round, counted from 1.
fn racing(table: &Table, archive: &Table, round: usize, config: &Config) -> Vec<usize> {
    let by_test = config.score.fitness == Fitness::Test;
    let scored: Vec<(usize, &[f64])> = table
        .candidates()
        .enumerate()
        .filter_map(|(index, candidate)| Some((index, scores(candidate, by_test)?)))
        .collect();
    let generation: Vec<&[f64]> = scored.iter().map(|(_, scores)| *scores).collect();
    let others: Vec<&[f64]> = archive.candidates().filter_map(|candidate| scores(candidate, by_test)).collect();
    let rounds = Rounds { first: config.train.seeds.count(), most: config.train.max_seeds };
    let open = open(&generation, &others, rounds, round);
    open.into_iter().filter_map(|place| scored.get(place).map(|(index, _)| *index)).collect()
}

/// Trains the rows of a generation that race in this round. Returns the table, in order, and the new trainings' curves.
pub fn race(
    mut table: Table,
    archive: &Table,
    round: usize,
    supervisor: &Supervisor<'_>,
    common: &Common,
) -> Result<(Table, Vec<Trained>)> {
    let config = supervisor.config;
    let task = config.task.algorithm.as_str();
    let due = racing(&table, archive, round, config);
    let rows: Vec<Row> = due.iter().filter_map(|&index| table.rows.get(index).cloned()).collect();
    let mut programs: Vec<(usize, Program)> = Vec::new();
    for (&index, prepared) in due.iter().zip(prepare(&rows, config, |_| true)?) {
        match (prepared, table.rows.get_mut(index)) {
            (Some(Ok(program)), _) => programs.push((index, program)),
            (Some(Err(row)), Some(slot)) => slot.candidate = *row,
            _ => {}
        }
    }
    let mut works: Vec<Work<Job>> = Vec::new();
    let mut counts = Vec::new();
    for (_, program) in &programs {
        let seeds = extended(&program.candidate, config)?;
        counts.push(seeds.len());
        let settings: Vec<_> = seeds.into_iter().map(|seed| settings(config, task, seed)).collect();
        works.extend(works_of_candidate(program, &settings, &config.train, &supervisor.device));
    }
    let outcomes = supervisor.trainings(&works, &format!("race {round}"), common)?;
    let (mut works, mut outcomes) = (works.as_slice(), outcomes.as_slice());
    let mut trained = Vec::new();
    for ((index, program), count) in programs.into_iter().zip(counts) {
        let (own, left) = works.split_at(count);
        let (came_to, further) = outcomes.split_at(count);
        (works, outcomes) = (left, further);
        let Some(row) = table.rows.get_mut(index) else { continue };
        row.candidate = again(program.candidate);
        fill(&mut row.candidate, own, came_to, task, &supervisor.device);
        if row.candidate.status != Status::Trained {
            row.candidate = unscored(std::mem::take(&mut row.candidate));
        }
        if let (Some(work), Some(outcome)) = (own.last(), came_to.last()) {
            let (work, outcome) = (std::slice::from_ref(work), std::slice::from_ref(outcome));
            trained.extend(Trained::of(&row.candidate, work, outcome));
        }
    }
    Ok((table, trained))
}

/// The seeds that a row was trained with, and one more.
fn extended(row: &Candidate, config: &Config) -> Result<Vec<u64>> {
    let before = row.train_seeds.as_deref().unwrap_or_default();
    let seeds: std::result::Result<Vec<u64>, _> = before.iter().map(|&seed| u64::try_from(seed)).collect();
    let mut seeds = seeds.with_context(|| format!("candidate {}: a training seed is negative", row.candidate_id))?;
    let next = (seeds.len()..).map(|index| seed(config, &row.candidate_id, index)).find(|seed| !seeds.contains(seed));
    ensure!(!seeds.is_empty(), "candidate {} is scored, but does not say with which training seeds", row.candidate_id);
    seeds.extend(next);
    Ok(seeds)
}

/// A row before it is trained again. The scores of its earlier trainings stay until it is scored anew: they say which of
/// its trainings are new.
fn again(row: Candidate) -> Candidate {
    Candidate { train_loss: None, val_acc: None, weights: None, train_steps: None, fitness: None, ..row }
}

/// A row whose further training failed: it has no score, as no mean is taken over what is left.
fn unscored(row: Candidate) -> Candidate {
    Candidate {
        ood_acc: None,
        ood_acc_std: None,
        ood_acc_seeds: None,
        test_acc: None,
        test_acc_std: None,
        test_acc_seeds: None,
        ..row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[&str]) -> Config {
        Config::load(None, &sets.iter().map(|set| (*set).to_owned()).collect::<Vec<_>>(), &[]).expect("valid")
    }

    fn row(id: &str, ood: &[f64], test: &[f64]) -> Row {
        Row::from(Candidate {
            fitness_mean: Some(ood[0]),
            candidate_id: id.to_owned(),
            status: Status::Scored,
            fitness: Some(0.5),
            train_seeds: Some((0..ood.len() as i64).collect()),
            ood_acc_seeds: Some(ood.to_vec()),
            test_acc_seeds: Some(test.to_vec()),
            ..Candidate::default()
        })
    }

    #[test]
    fn the_better_rows_race_by_the_split_of_fitness_and_failed_ones_do_not() {
        let mut failed = row("f", &[0.9], &[0.9]);
        failed.candidate.status = Status::Timeout;
        let rows = vec![
            failed,
            row("a", &[0.5], &[0.7]),
            row("b", &[0.6], &[0.2]),
            row("c", &[0.55], &[0.1]),
            row("d", &[0.4], &[0.6]),
        ];
        let table: Table = rows.into_iter().collect();
        let none = Table::default();
        let of = |sets: &[&str], round| racing(&table, &none, round, &config(sets));
        assert_eq!(of(&["train.max_seeds=3"], 1), [2, 3]);
        assert_eq!(of(&["train.max_seeds=3", "score.fitness=test"], 1), [1, 4]);
        assert_eq!(of(&["train.max_seeds=3"], 2), Vec::<usize>::new(), "nobody was in the first round");
        assert_eq!(of(&[], 1), Vec::<usize>::new(), "racing is off");
    }

    #[test]
    fn one_seed_is_added_that_is_not_there_yet() {
        let config = config(&["train.seeds=[0, 1]", "train.max_seeds=3"]);
        let seeds = extended(&row("a", &[0.5, 0.6], &[0.5, 0.6]).candidate, &config).expect("seeds");
        assert_eq!((&seeds[..2], seeds.len()), ([0, 1].as_slice(), 3));
        assert_eq!(seeds[2], seed(&config, "a", 2));
        assert!(extended(&Candidate::default(), &config).is_err());
    }
}
