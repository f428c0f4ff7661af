//! Every program on every task with every seed: trained from scratch, then tested.

use std::path::Path;

use anyhow::Result;
use model::TrainConfig;
use schemas::{Status, TransferRow};
use score::Scored;
use serde_json::Value;
use stage::config::Config;
use stage::job::{Outcome, Work};
use stage::{Common, Progress};
use train::{Measured, Program, Supervisor, WEIGHTS, worker};

use crate::effort;

/// The rows in the order program, task, seed.
pub fn matrix(
    programs: &[Program],
    tasks: &[String],
    supervisor: &Supervisor<'_>,
    common: &Common,
) -> Result<Vec<TransferRow>> {
    let config = supervisor.config;
    let mut rows = Vec::new();
    let mut works = Vec::new();
    let mut of = Vec::new();
    for program in programs {
        for task in tasks {
            let seeds = &config.transfer.seeds;
            let settings: Vec<_> = seeds.iter().map(|&seed| settings(config, task, seed)).collect();
            let own = train::works(program, &settings, &config.train, &supervisor.device);
            for ((&seed, settings), work) in seeds.iter().zip(&settings).zip(own) {
                let weight = effort::training(settings)?;
                rows.push(empty(program, seed, task, config)?);
                works.push(Work { weight, ..work });
                of.push((program, effort::test(config, task)?));
            }
        }
    }
    let whole = works.iter().map(|work| work.weight).chain(of.iter().map(|(_, test)| *test)).sum();
    let progress = common.weighted_progress("transfer", 2 * works.len(), whole);
    let trained = supervisor.trainings_on(&works, &progress)?;
    let mut tests = Vec::new();
    let mut tested = Vec::new();
    for (index, (row, outcome)) in rows.iter_mut().zip(&trained).enumerate() {
        fill_trained(row, outcome, works.get(index).map_or("", |work| &work.key));
        let Some((program, weight)) = of.get(index) else { continue };
        let label = format!("{} {} seed {}, test", program.label, row.task, row.train_seed);
        match outcome {
            Outcome::Done { folder, .. } => {
                let work = test(program, &folder.join(WEIGHTS), label, &row.task, supervisor)?;
                tests.push(Work { weight: *weight, ..work });
                tested.push(index);
            }
            _ => progress.item_of(*weight, true, &format!("{label}: none, the training has failed")),
        }
    }
    let outcomes = evaluate(&tests, supervisor, &progress)?;
    let done = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done { .. })).count();
    for (index, outcome) in tested.into_iter().zip(outcomes) {
        if let Some(row) = rows.get_mut(index) {
            fill_tested(row, outcome);
        }
    }
    progress.finish(&format!("{done} of {} trainings done and tested on {}", rows.len(), supervisor.place()));
    Ok(rows)
}

/// The settings of a search's training, with the lengths and steps of a transfer, and with those of the task.
fn settings(config: &Config, task: &str, seed: u64) -> TrainConfig {
    let transfer = &config.transfer;
    let of_task = transfer.overrides.get(task).cloned().unwrap_or_default();
    let changed = config.changed(|settings| {
        settings.train.lengths = of_task.lengths.unwrap_or_else(|| transfer.lengths.clone());
        settings.train.steps = of_task.steps.unwrap_or(transfer.steps);
        settings.train.learning_rate = of_task.learning_rate.unwrap_or(settings.train.learning_rate);
    });
    train::settings(&changed, task, seed)
}

fn empty(program: &Program, seed: u64, task: &str, config: &Config) -> Result<TransferRow> {
    Ok(TransferRow {
        program: program.label.clone(),
        settings_digest: Some(config.transfer_digest()),
        candidate_id: program.candidate.candidate_id.clone(),
        task: task.to_owned(),
        train_seed: i64::try_from(seed)?,
        status: Status::Accepted,
        reason: None,
        test_length: i64::try_from(config.transfer.test_length)?,
        test_acc: None,
        val_acc: None,
        train_loss: None,
        train_steps: None,
        params: program.candidate.params,
        macs: program.candidate.macs,
        weights: None,
        train_seconds: None,
    })
}

fn fill_trained(row: &mut TransferRow, outcome: &Outcome<Measured>, key: &str) {
    match outcome {
        Outcome::Done { result, .. } => {
            row.status = Status::Trained;
            row.val_acc = Some(result.val_acc);
            row.train_loss = Some(result.loss);
            row.train_steps = i64::try_from(result.steps).ok();
            row.weights = Some(stage::cache::weights::name_of(key));
            row.train_seconds = Some(result.seconds);
        }
        Outcome::Failed { status, reason, .. } => {
            row.status = *status;
            row.reason = Some(reason.clone());
        }
        Outcome::Interrupted => {}
    }
}

fn test(
    program: &Program,
    weights: &Path,
    label: String,
    task: &str,
    supervisor: &Supervisor<'_>,
) -> Result<Work<score::Job>> {
    let transfer = &supervisor.config.transfer;
    let evaluation = score::test(supervisor.config, task, transfer.test_length, transfer.test_samples);
    score::work(program, weights, label, vec![evaluation], supervisor.config, &supervisor.device)
}

fn evaluate(
    works: &[Work<score::Job>],
    supervisor: &Supervisor<'_>,
    progress: &Progress,
) -> Result<Vec<Outcome<Scored>>> {
    let sum_up = |scored: &Scored| scored.scores.first().map_or_else(String::new, |s| format!("{:.1} %", s * 100.0));
    supervisor.runner(worker::SCORE, "score", &[]).run_all(works, supervisor.jobs, progress, |_: &Value| None, sum_up)
}

fn fill_tested(row: &mut TransferRow, outcome: Outcome<Scored>) {
    match outcome {
        Outcome::Done { result, .. } => {
            row.test_acc = result.scores.first().copied();
            row.status = if row.test_acc.is_some() { Status::Scored } else { Status::Failed };
        }
        Outcome::Failed { status, reason, .. } => {
            row.status = status;
            row.reason = Some(format!("evaluation: {reason}"));
        }
        Outcome::Interrupted => {}
    }
}
