//! Successive halving over training steps (Jamieson and Talwalkar, arXiv:1502.07943): less is spent on poor candidates.
//!
//! The candidates of one table race. At each rung (`train.rungs`, in steps) all that are left are trained that far and
//! ranked by their training loss over the last steps, equals by their order in the table; the better `train.keep` of them
//! go on. The loss says more about the end than an early validation does, which is a step of a few graphs.
//!
//! What comes through the last rung gets the very training that it would have had without a race: same steps, seeds and key
//! in the cache. The others keep their row, with status `stopped`, the rung, and the figures of that rung; they have no
//! fitness, so that a short training is never compared with a whole one.
//!
//! A rung waits for all of its trainings, so the outcome depends neither on the number of jobs nor on who comes first, and
//! a race that was interrupted is repeated from the cache.

use anyhow::Result;
use schemas::{Candidate, Status};
use stage::Common;
use stage::job::{Outcome, Work};

use crate::rows::{Supervisor, fill};
use crate::{Job, Measured, Program, Trained, seeds, settings, works_of_candidate};

/// What a race left of one candidate.
#[derive(Default)]
pub struct Raced {
    /// The row of a candidate that does not go on, and the curves of its last trainings.
    pub out: Option<(Candidate, Vec<Trained>)>,
    /// Seconds of training that it took, whether it goes on or not.
    pub seconds: f64,
}

/// How a candidate did at a rung.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Standing {
    index: usize,
    loss: f64,
}

/// The better ones first.
fn rank(standings: &mut [Standing]) {
    standings.sort_by(|a, b| a.loss.total_cmp(&b.loss).then(a.index.cmp(&b.index)));
}

/// How many of `ranked` go on: at least one.
fn places(ranked: usize, keep: f64) -> usize {
    ((ranked as f64 * keep).ceil() as usize).clamp(1, ranked.max(1))
}

/// Races the programs; those given by hand, and a single one, do not take part. One result for each, in order.
pub fn race(programs: &[&Program], supervisor: &Supervisor<'_>, common: &Common) -> Result<Vec<Raced>> {
    let config = supervisor.config;
    let mut raced: Vec<Raced> = programs.iter().map(|_| Raced::default()).collect();
    let mut left: Vec<usize> = (0..programs.len()).filter(|&i| programs[i].candidate.proposer != "file").collect();
    // A rung at or behind the end would tell nothing that the whole training does not.
    let rungs = config.train.rungs.iter().filter(|&&rung| rung < config.train.steps);
    for (rung, &steps) in (1..).zip(rungs) {
        if left.len() < 2 {
            break;
        }
        let task = config.task.algorithm.as_str();
        let mut works: Vec<Work<Job>> = Vec::new();
        for &index in &left {
            let seeds = seeds(config, &programs[index].candidate.candidate_id).into_iter();
            let settings: Vec<_> =
                seeds.map(|seed| model::TrainConfig { steps, ..settings(config, task, seed) }).collect();
            works.extend(works_of_candidate(programs[index], &settings, &config.train, &supervisor.device));
        }
        let outcomes = supervisor.trainings(&works, &format!("train to step {steps}"), common)?;
        let mut standings = Vec::new();
        let mut rows: Vec<(usize, Candidate, Vec<Trained>)> = Vec::new();
        let each = config.train.seeds.count();
        for ((&index, works), outcomes) in left.iter().zip(works.chunks(each)).zip(outcomes.chunks(each)) {
            let mut row = programs[index].candidate.clone();
            fill(&mut row, works, outcomes, task, &supervisor.device);
            raced[index].seconds += row.train_seconds.unwrap_or(0.0);
            let curves = Trained::of(&row, works, outcomes);
            if row.status == Status::Trained {
                standings.push(Standing { index, loss: loss(&curves, config.train.lengths.len())? });
            }
            rows.push((index, row, curves));
        }
        rank(&mut standings);
        let go_on = places(standings.len(), config.train.keep);
        for (index, mut row, curves) in rows {
            let place = standings.iter().position(|standing| standing.index == index);
            if place.is_some_and(|place| place < go_on) {
                continue;
            }
            // Those that failed have their status already.
            if let Some(place) = place {
                stop(&mut row, rung, place + 1, standings.len(), config.train.steps);
            }
            row.train_seconds = row.train_seconds.map(|_| raced[index].seconds);
            raced[index].out = Some((row, curves));
        }
        left.retain(|&index| raced[index].out.is_none());
    }
    Ok(raced)
}

/// Mean training loss over the last fifth of the steps, over all seeds. Whole rounds of the `lengths` that are trained on
/// in turn: longer graphs have other losses.
fn loss(curves: &[Trained], lengths: usize) -> Result<f64> {
    let mut losses = Vec::new();
    for curve in curves {
        let points = curve.points()?;
        let last = recent(points.len(), lengths);
        losses.extend(points.iter().rev().take(last).map(|point| point.loss));
    }
    Ok(losses.iter().sum::<f64>() / losses.len() as f64)
}

/// A fifth of the steps in whole rounds; at least one round, and at most all of them.
fn recent(steps: usize, lengths: usize) -> usize {
    let rounds = (steps / 5 / lengths.max(1)).max(1);
    (rounds * lengths.max(1)).min(steps)
}

/// The row of a candidate that finished a rung and does not go on.
fn stop(row: &mut Candidate, rung: i64, place: usize, of: usize, steps: usize) {
    row.status = Status::Stopped;
    row.rung = Some(rung);
    row.reason = Some(format!(
        "stopped at rung {rung}, step {} of {steps}: {place}. of {of} by training loss",
        row.train_steps.unwrap_or(0)
    ));
    row.weights = None;
}

/// The trainings of a row that have a curve.
impl Trained {
    /// The trainings of a row that came to their end.
    pub fn of(candidate: &Candidate, works: &[Work<Job>], outcomes: &[Outcome<Measured>]) -> Vec<Self> {
        let pairs = works.iter().zip(outcomes);
        let done = pairs.filter_map(|(work, outcome)| match outcome {
            Outcome::Done { folder, .. } => Some(Self {
                run: candidate.run.clone(),
                candidate_id: candidate.candidate_id.clone(),
                task: work.job.config.algorithm.clone(),
                seed: work.job.config.seed,
                folder: folder.clone(),
            }),
            _ => None,
        });
        done.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_decides_then_the_order() {
        let standing = |index, loss| Standing { index, loss };
        let mut all = [standing(0, 1.0), standing(1, 0.7), standing(2, 0.9), standing(3, 1.0)];
        let mut turned = all;
        turned.reverse();
        rank(&mut all);
        rank(&mut turned);
        assert_eq!(all.map(|s| s.index), [1, 2, 0, 3]);
        assert_eq!(all, turned, "the order of arrival says nothing");
    }

    #[test]
    fn losses_are_compared_over_whole_rounds_of_lengths() {
        assert_eq!([(50, 4), (100, 4), (2, 4), (3, 1), (40, 5)].map(|(n, l)| recent(n, l)), [8, 20, 2, 1, 5]);
    }

    #[test]
    fn a_share_goes_on_and_one_at_least() {
        assert_eq!(
            [(8, 0.5), (7, 0.5), (1, 0.5), (3, 0.01), (4, 1.0)].map(|(n, keep)| places(n, keep)),
            [4, 4, 1, 1, 4]
        );
    }

    #[test]
    fn a_stopped_row_says_where_and_why() {
        let mut row = Candidate {
            status: Status::Trained,
            train_steps: Some(50),
            weights: Some(vec!["w".into()]),
            ..Candidate::default()
        };
        stop(&mut row, 1, 5, 8, 200);
        assert_eq!((row.status, row.rung, row.weights.as_ref()), (Status::Stopped, Some(1), None));
        let reason = row.reason.expect("a reason");
        assert_eq!(reason, "stopped at rung 1, step 50 of 200: 5. of 8 by training loss");
        assert_eq!((row.fitness, row.train_steps), (None, Some(50)));
    }
}
