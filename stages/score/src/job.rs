//! One evaluation of one set of weights: what a child is given, what comes back, and the key under which that is kept.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use network::{Device, DeviceArg, DiagnoseConfig, Dtype, EvalConfig, EvalData, Fact, Start, Tally, Weights};
use schemas::Status;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stage::config::Config;
use stage::job::{Failure, Place, Work, serve};
use train::{CODE_VERSION, Kind, Program};

/// What a child is to evaluate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub source: String,
    pub weights: PathBuf,
    pub evaluations: Vec<EvalConfig>,
    /// What else to find out, once it is scored.
    pub diagnosis: Option<DiagnoseConfig>,
    pub threads: usize,
    pub graphs: bool,
    /// `cpu`, `cuda:0`, ...
    pub device: String,
}

/// What it came to: an accuracy for each evaluation, and the same graph by graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    pub scores: Vec<f64>,
    pub tallies: Vec<Vec<Tally>>,
    /// Where it was diagnosed: what was found.
    pub facts: Option<Vec<Fact>>,
    /// Why there is no diagnosis where one was asked for. The scores stand.
    pub undiagnosed: Option<String>,
    pub device: String,
}

/// The splits that a candidate is evaluated on, in the order of [`evaluations`].
pub const SPLITS: [&str; 2] = ["ood", "test"];

/// The evaluations of a candidate: out-of-distribution validation on the run's own graphs, then test.
pub fn evaluations(config: &Config, task: &str) -> Vec<EvalConfig> {
    let seed = config.score.ood_seed.unwrap_or_else(|| race::seeds::graphs(config.search.seed, "ood"));
    evaluations_on(config, task, seed)
}

/// As [`evaluations`], out of distribution on the graphs of this seed.
pub fn evaluations_on(config: &Config, task: &str, seed: u64) -> Vec<EvalConfig> {
    let score = &config.score;
    let ood =
        EvalConfig { seed, data: EvalData::Validation, ..test(config, task, score.ood_length, score.ood_samples) };
    vec![ood, test(config, task, score.test_length, score.test_samples)]
}

/// An evaluation on the benchmark's test split: so many samples, times the benchmark's factor for tasks that are scored
/// on few values a sample.
pub fn test(config: &Config, task: &str, length: usize, samples: usize) -> EvalConfig {
    let factor = clrs::algorithm(task).map_or(1, |algorithm| algorithm.samples_multiplier);
    // The network is the one that was trained.
    let network = train::settings(config, task, 0);
    EvalConfig {
        algorithm: task.to_owned(),
        hidden: network.hidden,
        length,
        samples: samples * factor,
        batch_size: config.score.batch_size,
        seed: 0,
        data: EvalData::Test,
        hint_repred_mode: network.hint_repred_mode,
        nb_msg_passing_steps: network.nb_msg_passing_steps,
        dtype: network.dtype,
    }
}

/// The evaluation of these weights, with its key: their content counts, not where they lie.
pub fn work(
    program: &Program,
    weights: &Path,
    label: String,
    evaluations: Vec<EvalConfig>,
    config: &Config,
    device: &str,
) -> Result<Work<Job>> {
    let absent = || format!("{}: cannot read the weights (are they in another --cache?)", weights.display());
    let content = std::fs::read(weights).with_context(absent)?;
    let weights = std::fs::canonicalize(weights).with_context(absent)?;
    let (threads, graphs) = (config.train.threads, config.train.graphs);
    let kind = train::kind(device);
    let hash = blake3::hash(&content).to_hex();
    let key = train::hash(&(CODE_VERSION, &program.graph_hash, &program.params, hash.as_str(), &evaluations, kind));
    let (source, device) = (program.source.clone(), device.to_owned());
    let job = Job { source, weights, evaluations, diagnosis: None, threads, graphs, device };
    Ok(Work { key, label, weight: 1.0, job })
}

/// Evaluations as jobs of their own.
pub const EVALUATION: Kind<Job, Scored> =
    Kind { subcommand: "score-child", folder: "score", files: &[], device: |job| &job.device, sum_up };

/// An evaluation in a line.
pub fn sum_up(scored: &Scored) -> String {
    let percent: Vec<_> = scored.scores.iter().map(|score| format!("{:.1} %", score * 100.0)).collect();
    percent.join(", ")
}

/// Does one job as the supervisor asks for it on stdin.
pub fn child() -> ExitCode {
    serve(evaluate)
}

fn evaluate(job: Job, _: &Place, tell: &mut dyn FnMut(&Value)) -> Result<Scored, Failure> {
    let wanted: DeviceArg = job.device.parse().map_err(Failure::of_machine)?;
    let tf32 = job.evaluations.iter().any(|config| config.dtype == Dtype::Tf32);
    let start = Start { threads: job.threads, graphs: job.graphs, tf32 };
    let device = network::init_with(&wanted, start).map_err(|error| train::failure(&error.into()))?;
    let weights = Weights::load(&job.weights).map_err(|error| train::failure(&error.into()))?;
    let (mut scores, mut tallies) = (Vec::with_capacity(job.evaluations.len()), Vec::new());
    for config in &job.evaluations {
        tell(&json!({ "length": config.length }));
        let processor = train::processor(&job.source, config.hidden)?;
        let found = network::evaluate::evaluate(&processor, &weights, config, device)
            .map_err(|error| train::failure(&error))?;
        if !found.score.is_finite() {
            return Err(Failure::of_job(
                Status::Failed,
                format!("the score at length {} is not finite", config.length),
            ));
        }
        scores.push(found.score);
        tallies.push(found.tallies);
    }
    let (mut facts, mut undiagnosed) = (None, None);
    if let Some(config) = &job.diagnosis {
        tell(&json!({ "diagnosis": true }));
        match diagnose(&job.source, &weights, config, device) {
            Ok(found) => facts = Some(found),
            Err(error) => undiagnosed = Some(error.reason),
        }
    }
    Ok(Scored { scores, tallies, facts, undiagnosed, device: device.to_string() })
}

fn diagnose(source: &str, weights: &Weights, config: &DiagnoseConfig, device: Device) -> Result<Vec<Fact>, Failure> {
    let Some(first) = config.evaluations.first() else { return Ok(Vec::new()) };
    let processor = train::processor(source, first.hidden)?;
    network::diagnose(&processor, weights, config, device).map_err(|error| train::failure(&error))
}

#[cfg(test)]
mod tests {
    use clrs::card::{Evaluation, Feedback};

    use super::*;

    /// A task card states what is trained and scored, whatever is set.
    #[test]
    fn cards_state_what_is_done() {
        let sets = "train.lengths=[3, 9, 5] train.val_length=11 train.val_samples=7 score.ood_samples=5 train.val_every=9 \
                    network.hint_repred_mode='hard_on_eval' network.hint_teacher_forcing=0.25 score.test_length=23";
        for sets in [Vec::new(), vec![sets.to_owned()]] {
            let config = Config::load(None, &sets, &[]).expect("valid");
            for algorithm in clrs::algorithms() {
                let said = stage::card::settings(&config, algorithm, None);
                let done = train::settings(&config, algorithm.name, 0);
                assert_eq!((said.hidden, said.message_passing_steps), (done.hidden, done.nb_msg_passing_steps));
                let training = &said.training;
                assert_eq!((&training.lengths, training.batch_size), (&done.lengths, done.batch_size));
                assert_eq!((training.steps, training.validate_every), (done.steps, done.val_every));
                assert_eq!((training.learning_rate, training.grad_clip), (done.learning_rate, done.grad_clip));
                assert_eq!(training.hint_teacher_forcing, done.hint_teacher_forcing);
                let feedback = match done.hint_repred_mode {
                    network::Repred::Soft => Feedback::Soft,
                    network::Repred::Hard => Feedback::Hard,
                    network::Repred::HardOnEval => Feedback::HardOnEval,
                };
                assert_eq!(training.hint_feedback, feedback);
                let validation = Evaluation { length: done.val_length, samples: done.val_samples };
                let evaluated = evaluations(&config, algorithm.name);
                let evaluated =
                    evaluated.iter().map(|config| Evaluation { length: config.length, samples: config.samples });
                let evaluated: Vec<Evaluation> = std::iter::once(validation).chain(evaluated).collect();
                assert_eq!(vec![said.validation, said.ood, said.test], evaluated, "{}", algorithm.name);
            }
        }
    }
}
