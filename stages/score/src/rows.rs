//! The rows of a table, scored.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use schemas::{Candidate, Status};
use serde_json::Value;
use stage::cache::weights::WeightsError;
use stage::config::{Config, Fitness};
use stage::job::{Outcome, Work};
use stage::{Common, Table, cache};
use train::{Program, Supervisor, by_hand, prepare, worker};

use crate::{Job, Measured, Scored, diagnosing, evaluations, mean, of_settings, std, sum_up, work};

/// Scores the trained rows; all others stay as they are. `weights` are those of the programs given as files, one file per
/// training seed. Returns the table, in order, and what the trainings came to whose scores it did not have before.
pub fn score(
    mut table: Table,
    weights: &[PathBuf],
    supervisor: &Supervisor<'_>,
    common: &Common,
) -> Result<(Table, Vec<Measured>)> {
    let config = supervisor.config;
    let due_for_scoring = |candidate: &Candidate| candidate.status == Status::Trained || by_hand(candidate);
    let mut due: Vec<(usize, Program, Vec<Work<Job>>)> = Vec::new();
    for (index, prepared) in prepare(&table.rows, config, due_for_scoring)?.into_iter().enumerate() {
        let Some(row) = table.rows.get_mut(index) else { continue };
        match prepared {
            None => {}
            Some(Err(candidate)) => row.candidate = *candidate,
            Some(Ok(mut program)) => match works(&mut program, weights, supervisor, common) {
                Ok(works) => due.push((index, program, works)),
                // Without weights there is nothing to evaluate: this row's failure, and no other's.
                Err(error) => {
                    row.candidate =
                        Candidate { status: Status::Failed, reason: Some(format!("{error:#}")), ..program.candidate };
                }
            },
        }
    }
    let all: Vec<Work<Job>> = due.iter_mut().flat_map(|(_, _, works)| works.drain(..)).collect();
    let outcomes = run(&all, supervisor, common)?;
    let mut outcomes = outcomes.into_iter();
    let mut measured = Vec::new();
    for (index, program, _) in due {
        let mut candidate = program.candidate;
        let seeds = candidate.weights.as_ref().map_or(0, Vec::len);
        let of_row: Vec<_> = outcomes.by_ref().take(seeds).collect();
        // Racing leaves the scores of a row's earlier trainings in place: these are told of already.
        let before = candidate.ood_acc_seeds.as_ref().map_or(0, Vec::len);
        fill(&mut candidate, &of_row, config);
        let told = told(&candidate, &of_row, before);
        for failed in told.iter().filter_map(|one| Some((&one.candidate_id, one.scored.undiagnosed.as_ref()?))) {
            stage::exit::note(&format!("warning: {} has no diagnosis: {}", failed.0, failed.1));
        }
        measured.extend(told);
        if let Some(row) = table.rows.get_mut(index) {
            row.candidate = candidate;
        }
    }
    Ok((table, measured))
}

/// What the trainings of a row came to, but for its first `before`.
fn told(row: &Candidate, outcomes: &[Outcome<Scored>], before: usize) -> Vec<Measured> {
    let seed = |index: usize| row.train_seeds.as_ref().and_then(|seeds| seeds.get(index)).copied();
    let done = outcomes.iter().enumerate().skip(before).filter_map(|(index, outcome)| match outcome {
        Outcome::Done { result, .. } => Some(Measured {
            run: row.run.clone(),
            settings_digest: row.settings_digest.clone(),
            candidate_id: row.candidate_id.clone(),
            task: row.task.clone().unwrap_or_default(),
            seed_index: index as i64,
            train_seed: seed(index).unwrap_or(index as i64),
            scored: result.clone(),
        }),
        _ => None,
    });
    done.collect()
}

/// The evaluations of one program, one per training seed.
fn works(
    program: &mut Program,
    given: &[PathBuf],
    supervisor: &Supervisor<'_>,
    common: &Common,
) -> Result<Vec<Work<Job>>> {
    let config = supervisor.config;
    let files = if by_hand_before(&program.candidate) {
        if given.is_empty() {
            bail!("a program without weights: train it first, or name them with --weights");
        }
        let names = given.iter().map(|path| path.display().to_string()).collect();
        program.candidate.weights = Some(names);
        given.to_vec()
    } else {
        let names = program.candidate.weights.as_deref().context("the row is trained, but names no weights")?;
        trained(program, names, supervisor, common)?
    };
    let task = program.candidate.task.get_or_insert_with(|| config.task.algorithm.clone()).clone();
    let works = files.iter().enumerate().map(|(index, file)| {
        let seed = program.candidate.train_seeds.as_ref().and_then(|seeds| seeds.get(index));
        let label = format!("{} {task} seed {}", program.label, seed.copied().unwrap_or(index as i64));
        let evaluations = evaluations(config, &task);
        // One training of a candidate is looked at closely, the first: in whatever call, so that it stays in the cache.
        let diagnosis = evaluations.first().filter(|_| index == 0).and_then(|ood| of_settings(config, &task, ood));
        let work = work(program, file, label, evaluations, config, &supervisor.device)?;
        Ok(match diagnosis {
            Some(diagnosis) => diagnosing(work, diagnosis),
            None => work,
        })
    });
    works.collect()
}

/// The files of weights that a row names. Where an entry of the cache is damaged, its training is done again, and replaces it.
fn trained(program: &Program, names: &[String], supervisor: &Supervisor<'_>, common: &Common) -> Result<Vec<PathBuf>> {
    let find = || cache::weights::of_row(&supervisor.args.cache, names, program.candidate.train_key.as_deref());
    let damaged = match find() {
        Err(error @ WeightsError::Broken { .. }) => error,
        found => return Ok(found?),
    };
    // Other machines' queues know of no training that this stage asks for.
    if !supervisor.engine.is_local() || supervisor.args.no_cache {
        return Err(damaged.into());
    }
    let config = supervisor.config;
    let task = program.candidate.task.as_deref().unwrap_or(&config.task.algorithm);
    let seeds = program.candidate.train_seeds.iter().flatten();
    let settings: Vec<_> =
        seeds.map(|seed| train::settings(config, task, u64::try_from(*seed).unwrap_or_default())).collect();
    let again = train::works_of_candidate(program, &settings, &config.train, &supervisor.device);
    // With other settings, or on another kind of device, it would be another training.
    if !again.iter().map(|work| cache::weights::name_of(&work.key)).eq(names.iter().cloned()) {
        return Err(damaged.into());
    }
    stage::exit::note(&format!("{damaged}: it is trained again"));
    supervisor.trainings(&again, "train", common)?;
    Ok(find()?)
}

/// Whether the row was a program given by hand before it was checked just now.
fn by_hand_before(candidate: &Candidate) -> bool {
    candidate.proposer == "file" && candidate.train_key.is_none()
}

/// Runs evaluations with a progress display of their own; outcomes in order.
pub fn run(works: &[Work<Job>], supervisor: &Supervisor<'_>, common: &Common) -> Result<Vec<Outcome<Scored>>> {
    let progress = common.progress("score", works.len());
    let tell = |note: &Value| match note.get("length") {
        Some(length) => Some(format!("length {length}")),
        None => note.get("diagnosis").map(|_| "diagnosis".to_owned()),
    };
    let outcomes =
        supervisor.runner(worker::SCORE, "score", &[]).run_all(works, supervisor.jobs, &progress, tell, sum_up)?;
    let done = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done { .. })).count();
    progress.finish(&format!("{done} of {} evaluations done on {}", works.len(), supervisor.place()));
    Ok(outcomes)
}

/// Fills a row's columns. No mean is taken over what is left when a seed failed.
fn fill(candidate: &mut Candidate, outcomes: &[Outcome<Scored>], config: &Config) {
    let mut by_evaluation: [Vec<f64>; 2] = Default::default();
    for outcome in outcomes {
        match outcome {
            Outcome::Done { result, .. } => {
                for (values, score) in by_evaluation.iter_mut().zip(&result.scores) {
                    values.push(*score);
                }
            }
            Outcome::Failed { status, reason, .. } => {
                candidate.status = *status;
                candidate.reason = Some(format!("evaluation: {reason}"));
                return;
            }
            Outcome::Interrupted => return,
        }
    }
    let [ood, test] = by_evaluation;
    let (Some(ood_acc), Some(test_acc)) = (mean(&ood), mean(&test)) else {
        candidate.status = Status::Failed;
        candidate.reason = Some("evaluation: no finite score".to_owned());
        return;
    };
    candidate.ood_acc = Some(ood_acc);
    candidate.ood_acc_std = std(&ood);
    candidate.ood_acc_seeds = Some(ood);
    candidate.test_acc = Some(test_acc);
    candidate.test_acc_std = std(&test);
    candidate.test_acc_seeds = Some(test);
    candidate.fitness = Some(match config.score.fitness {
        Fitness::Ood => ood_acc,
        Fitness::Test => test_acc,
    });
    candidate.status = Status::Scored;
    candidate.reason = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(scores: &[f64]) -> Outcome<Scored> {
        let result = Scored {
            scores: scores.to_vec(),
            tallies: Vec::new(),
            facts: None,
            undiagnosed: None,
            device: "cpu".into(),
        };
        Outcome::Done { folder: PathBuf::new(), result, cached: false }
    }

    fn filled(outcomes: &[Outcome<Scored>], config: &Config) -> Candidate {
        let mut candidate = Candidate { status: Status::Trained, ..Candidate::default() };
        fill(&mut candidate, outcomes, config);
        candidate
    }

    #[test]
    fn fitness_is_the_mean_on_the_validation_split_unless_told_otherwise() {
        let row = filled(&[done(&[0.5, 0.2]), done(&[0.7, 0.4])], &Config::default());
        assert_eq!((row.status, row.fitness, row.ood_acc), (Status::Scored, Some(0.6), Some(0.6)));
        assert_eq!(row.test_acc_seeds, Some(vec![0.2, 0.4]));
        let leaking = Config::load(None, &["score.fitness=test".into()], &[]).expect("valid");
        let row = filled(&[done(&[0.5, 0.25])], &leaking);
        assert_eq!((row.fitness, row.ood_acc_std), (Some(0.25), Some(0.0)));
    }

    #[test]
    fn missing_score_is_failed() {
        let failed =
            Outcome::Failed { status: Status::Timeout, reason: "killed".into(), machine: stage::Machine::default() };
        let row = filled(&[done(&[0.5, 0.2]), failed], &Config::default());
        assert_eq!((row.status, row.fitness, row.ood_acc), (Status::Timeout, None, None));
        for outcomes in [vec![], vec![done(&[0.5])], vec![done(&[0.5, f64::NAN])]] {
            let row = filled(&outcomes, &Config::default());
            assert_eq!((row.status, row.fitness, row.ood_acc), (Status::Failed, None, None));
        }
    }
}
