//! One evaluation of one set of weights: what a child is given, what comes back, and the key under which that is kept.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use model::data::EvalData;
use model::{DiagnoseConfig, EvalConfig, Fact, Tally};
use serde::{Deserialize, Serialize};
use stage::config::Config;
use stage::job::Work;
use train::{CODE_VERSION, Kind, Program, worker};

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
    /// What its model's name must have in it, see `train.device_model`.
    #[serde(default)]
    pub device_model: String,
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
    let [ood, _] = config.splits(task);
    evaluations_on(config, task, ood.seed)
}

/// As [`evaluations`], out of distribution on the graphs of this seed.
pub fn evaluations_on(config: &Config, task: &str, seed: u64) -> Vec<EvalConfig> {
    let [ood, test] = config.splits(task);
    let data = EvalData::Validation;
    vec![
        EvalConfig { seed, data, ..on_benchmark(config, task, ood.length, ood.samples) },
        on_benchmark(config, task, test.length, test.samples),
    ]
}

/// An evaluation on the benchmark's test split: so many samples, times the benchmark's factor for tasks that are scored
/// on few values a sample.
pub fn test(config: &Config, task: &str, length: usize, samples: usize) -> EvalConfig {
    let factor = clrs::algorithm(task).map_or(1, |algorithm| algorithm.samples_multiplier);
    on_benchmark(config, task, length, samples * factor)
}

fn on_benchmark(config: &Config, task: &str, length: usize, samples: usize) -> EvalConfig {
    // The network is the one that was trained.
    let network = train::settings(config, task, 0);
    EvalConfig {
        algorithm: task.to_owned(),
        hidden: network.hidden,
        length,
        samples,
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
    let on = train::computed_on(&config.train, device);
    let hash = blake3::hash(&content).to_hex();
    let key = train::hash(&(CODE_VERSION, &program.graph_hash, &program.params, hash.as_str(), &evaluations, on));
    let (source, device) = (program.source.clone(), device.to_owned());
    let job = Job {
        source,
        weights,
        evaluations,
        diagnosis: None,
        threads,
        graphs,
        device,
        device_model: config.train.device_model.clone(),
    };
    Ok(Work { key, label, weight: 1.0, job })
}

/// Evaluations as jobs of their own.
pub const EVALUATION: Kind<Job, Scored> = Kind {
    subcommand: worker::SCORE,
    folder: "score",
    files: &[],
    device: |job| (&job.device, &job.device_model),
    sum_up,
};

/// An evaluation in a line.
pub fn sum_up(scored: &Scored) -> String {
    let percent: Vec<_> = scored.scores.iter().map(|score| format!("{:.1} %", score * 100.0)).collect();
    percent.join(", ")
}

#[cfg(test)]
mod tests {
    use clrs::card::Evaluation;

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
                assert_eq!(training.hint_feedback, done.hint_repred_mode);
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
