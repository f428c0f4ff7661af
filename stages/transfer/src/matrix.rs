//! Every program on every task with every seed: trained from scratch, then tested.

use std::path::Path;

use anyhow::Result;
use network::TrainConfig;
use schemas::{Status, TransferRow};
use score::Scored;
use serde_json::Value;
use stage::Common;
use stage::config::Config;
use stage::job::{Outcome, Work};
use train::{Lab, Measured, Program, WEIGHTS};

/// The rows in the order program, task, seed.
pub fn matrix(programs: &[Program], tasks: &[String], lab: &Lab<'_>, common: &Common) -> Result<Vec<TransferRow>> {
    let config = lab.config;
    let mut rows = Vec::new();
    let mut works = Vec::new();
    let mut of = Vec::new();
    for program in programs {
        for task in tasks {
            for &seed in &config.transfer.seeds {
                let work = train::work(program, settings(config, task, seed), config.train.threads, &lab.device);
                rows.push(empty(program, work.job.config.seed, task, config)?);
                works.push(work);
                of.push(program);
            }
        }
    }
    let trained = lab.trainings(&works, "transfer", common)?;
    let mut tests = Vec::new();
    let mut tested = Vec::new();
    for (index, (row, outcome)) in rows.iter_mut().zip(&trained).enumerate() {
        fill_trained(row, outcome, works.get(index).map_or("", |work| &work.key));
        let (Outcome::Done { folder, .. }, Some(program)) = (outcome, of.get(index)) else { continue };
        tests.push(test(program, &folder.join(WEIGHTS), row, lab)?);
        tested.push(index);
    }
    for (index, outcome) in tested.into_iter().zip(evaluate(&tests, lab, common)?) {
        if let Some(row) = rows.get_mut(index) {
            fill_tested(row, outcome);
        }
    }
    Ok(rows)
}

/// The settings of a search's training, with the lengths and steps of a transfer.
fn settings(config: &Config, task: &str, seed: u64) -> TrainConfig {
    let transfer = &config.transfer;
    TrainConfig { lengths: transfer.lengths.clone(), steps: transfer.steps, ..train::settings(config, task, seed) }
}

fn empty(program: &Program, seed: u64, task: &str, config: &Config) -> Result<TransferRow> {
    Ok(TransferRow {
        program: program.label.clone(),
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
            row.weights = Some(Path::new("train").join(key).join(WEIGHTS).display().to_string());
            row.train_seconds = Some(result.seconds);
        }
        Outcome::Failed { status, reason } => {
            row.status = *status;
            row.reason = Some(reason.clone());
        }
        Outcome::Interrupted => {}
    }
}

fn test(program: &Program, weights: &Path, row: &TransferRow, lab: &Lab<'_>) -> Result<Work<score::Job>> {
    let transfer = &lab.config.transfer;
    let evaluation = score::test(lab.config, &row.task, transfer.test_length, transfer.test_samples);
    let label = format!("{} {} seed {}", program.label, row.task, row.train_seed);
    score::work(program, weights, label, vec![evaluation], lab.config, &lab.device)
}

fn evaluate(works: &[Work<score::Job>], lab: &Lab<'_>, common: &Common) -> Result<Vec<Outcome<Scored>>> {
    let progress = common.progress("test", works.len());
    let sum_up = |scored: &Scored| scored.scores.first().map_or_else(String::new, |s| format!("{:.1} %", s * 100.0));
    let outcomes =
        lab.runner("score-child", "score", &[]).run_all(works, lab.jobs, &progress, |_: &Value| None, sum_up)?;
    progress.finish(&format!("{} tests done", works.len()));
    Ok(outcomes)
}

fn fill_tested(row: &mut TransferRow, outcome: Outcome<Scored>) {
    match outcome {
        Outcome::Done { result, .. } => {
            row.test_acc = result.scores.first().copied();
            row.status = if row.test_acc.is_some() { Status::Scored } else { Status::Failed };
        }
        Outcome::Failed { status, reason } => {
            row.status = status;
            row.reason = Some(format!("evaluation: {reason}"));
        }
        Outcome::Interrupted => {}
    }
}
