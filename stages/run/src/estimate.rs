//! How long a search is going to take: told before its first training, by timed steps, and after it.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use schemas::Candidate;
use stage::config::{Config, EngineKind};
use stage::gpus::Gpus;
use stage::live::{Load, duration};
use stage::table::read_records;
use stage::{WorkArgs, exit};

use crate::args::EstimateArgs;
use crate::open::{CONFIG, SEED_PROGRAM};

/// Searches of fewer training steps in all are done before an estimate would be of use.
const LONG: usize = 10_000;
/// Seconds from which on it is told how to have less.
const HALF_A_DAY: f64 = 12.0 * 3600.0;

/// Prints how long a run is going to take, by the trainings that it has had. Without any it is silent.
pub fn estimate(args: &EstimateArgs) -> Result<()> {
    let config = Config::load(Some(&args.folder.join(CONFIG)), &[], &[])?;
    if args.before {
        let steps = Load::left(&config, 0).all().saturating_mul(config.train.steps);
        if steps < LONG {
            return Ok(());
        }
        return match training(&config, &args.folder.join(SEED_PROGRAM)) {
            Some(each) => say(&config, &args.jobs, 0, each, "as timed steps of the seed program have it"),
            None => Ok(()),
        };
    }
    let timed = timed(&args.folder)?;
    if timed.trainings == 0 {
        return Ok(());
    }
    let first = if timed.trainings == 1 { "one".to_owned() } else { timed.trainings.to_string() };
    say(
        &config,
        &args.jobs,
        timed.generations,
        timed.seconds / timed.trainings as f64,
        &format!("as the first {first} took"),
    )
}

/// `by`: where the seconds of a training are from.
fn say(config: &Config, jobs: &str, generations: u32, each: f64, by: &str) -> Result<()> {
    let left = Load::left(config, generations);
    let trainings = left.all();
    if trainings == 0 {
        return Ok(());
    }
    let at_once = at_once(config, jobs);
    let seconds = left.seconds(config, each, at_once);
    let side_by_side = if at_once > 1 { format!(", up to {at_once} at a time") } else { String::new() };
    exit::say(&format!(
        "search:  at most about {} to go: {trainings} trainings of {}, {by}{side_by_side} (what check refuses is not trained)\n",
        duration(seconds),
        duration(each),
    ))?;
    if seconds > HALF_A_DAY {
        exit::say(
            "search:  it may be stopped at any time, and goes on with the same command; PROFILE=quick is a search of minutes\n",
        )?;
    }
    Ok(())
}

/// Trainings that run side by side here. Several on one GPU are no faster than one after the other. 0 where a queue decides.
pub fn at_once(config: &Config, jobs: &str) -> usize {
    if config.train.engine != EngineKind::Local {
        return 0;
    }
    let gpus = Gpus::find(&config.train.device).map_or(0, |gpus| gpus.all().len());
    if gpus > 0 {
        return gpus;
    }
    match stage::args::count::<usize>(jobs) {
        Ok(jobs) => WorkArgs::jobs(&config.clone().changed(|settings| settings.train.jobs = jobs), 0),
        Err(_) => WorkArgs::jobs(config, 0),
    }
}

/// Seconds of a training of a program, by a few of its steps on the smallest and the largest graphs: in between, they grow with
/// the square of the number of nodes. `None` where that cannot be told here.
fn training(config: &Config, program: &Path) -> Option<f64> {
    let lengths = &config.train.lengths;
    let (least, most) = (*lengths.iter().min()?, *lengths.iter().max()?);
    let longest = step(config, program, most)?;
    let shortest = if least == most { longest } else { step(config, program, least)? };
    Some(config.train.steps as f64 * mean(lengths, (least, shortest), (most, longest)))
}

/// The mean over lengths, by two of them with their seconds.
fn mean(lengths: &[usize], (least, shortest): (usize, f64), (most, longest): (usize, f64)) -> f64 {
    let square = |length: usize| (length * length) as f64;
    let span = square(most) - square(least);
    let at = |length: usize| {
        let part = if span > 0.0 { (square(length) - square(least)) / span } else { 1.0 };
        shortest + (longest - shortest).max(0.0) * part
    };
    lengths.iter().map(|length| at(*length)).sum::<f64>() / lengths.len().max(1) as f64
}

/// Seconds of a training step on graphs of so many nodes.
fn step(config: &Config, program: &Path, length: usize) -> Option<f64> {
    if config.train.engine != EngineKind::Local {
        return None;
    }
    let probe = std::env::current_exe().ok()?.with_file_name("probe");
    let number = |value: usize| value.to_string();
    let mut command = Command::new(probe);
    command.arg("speed").arg("--program").arg(program).arg("--json");
    command.args(["--algorithm", &config.task.algorithm, "--length", &number(length)]);
    command.args(["--batch-size", &number(config.train.batch_size), "--hidden", &number(config.network.hidden)]);
    command.args(["--steps", "3", "--device", &config.train.device, "--threads", &number(config.train.threads)]);
    let output = command.output().ok().filter(|output| output.status.success())?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    answer.get("train_step_s")?.as_f64().filter(|seconds| seconds.is_finite() && *seconds > 0.0)
}

/// The trainings that a run has had.
#[derive(Debug, Default)]
struct Timed {
    trainings: usize,
    seconds: f64,
    /// Generations with trainings.
    generations: u32,
}

fn timed(folder: &Path) -> Result<Timed> {
    let mut timed = Timed::default();
    loop {
        let table = folder.join(format!("gen{:03}/trained.parquet", timed.generations));
        if !table.is_file() {
            return Ok(timed);
        }
        for (row, _) in read_records::<Candidate>(&table)?.rows {
            if let (Some(seconds), Some(seeds)) = (row.train_seconds, row.train_seeds) {
                timed.trainings += seeds.len();
                timed.seconds += seconds;
            }
        }
        timed.generations += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_between_two_lengths_grow_with_the_square() {
        assert_eq!(mean(&[8], (8, 2.0), (8, 2.0)), 2.0);
        // 4, 25 and 64 nodes squared: the middle one is 0.35 of the way.
        let seconds = mean(&[2, 5, 8], (2, 1.0), (8, 2.0));
        assert!((seconds - (1.0 + 1.35 + 2.0) / 3.0).abs() < 1e-12, "{seconds}");
        assert_eq!(mean(&[4, 8], (4, 2.0), (8, 1.5)), 2.0, "noise does not make longer ones cheaper");
    }

    #[test]
    fn what_a_queue_runs_is_not_timed_here() {
        let config = Config::default().changed(|settings| settings.train.engine = EngineKind::Slurm);
        assert_eq!((at_once(&config, "3"), training(&config, Path::new("none"))), (0, None));
        let config = Config::default().changed(|settings| settings.train.device = "cpu".into());
        assert_eq!(at_once(&config, "3"), 3);
        assert!(at_once(&config, "") >= 1);
    }
}
