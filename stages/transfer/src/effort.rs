//! About how much work the trainings and tests are, compared with each other: for the estimate of the time left.

use anyhow::Result;
use clrs::{Algorithm, Sampler, SamplerArgs, SamplerConfig};
use model::TrainConfig;
use stage::config::Config;

/// A backward pass takes about twice the time of the forward pass.
const TRAINING: f64 = 3.0;
/// What a step takes whatever the number of nodes is, in squared nodes.
const OVERHEAD: f64 = 64.0;

/// The work of a training with its validations.
pub fn training(settings: &TrainConfig) -> Result<f64> {
    let algorithm = clrs::find_algorithm(&settings.algorithm)?;
    let mut lengths = 0.0;
    for &length in &settings.lengths {
        lengths += forward(algorithm, length)?;
    }
    let steps = settings.steps as f64;
    let training = TRAINING * steps * lengths / settings.lengths.len().max(1) as f64;
    let validations = (steps / settings.val_every.max(1) as f64).ceil();
    let batches = settings.val_samples.div_ceil(settings.batch_size.max(1)) as f64;
    Ok(training + validations * batches * forward(algorithm, settings.val_length)?)
}

/// The work of a test.
pub fn test(config: &Config, task: &str) -> Result<f64> {
    let test = score::test(config, task, config.transfer.test_length, config.transfer.test_samples);
    let batches = test.samples.div_ceil(test.batch_size.max(1)) as f64;
    Ok(batches * forward(clrs::find_algorithm(task)?, test.length)?)
}

/// The work of a batch's predictions: its steps, as a few samples have them, times what a step takes.
fn forward(algorithm: &'static Algorithm, length: usize) -> Result<f64> {
    let args = SamplerArgs::default();
    let config = SamplerConfig { seed: 0, length, num_samples: Some(4), args, track_max_steps: false };
    let steps = Sampler::new(algorithm, config)?.steps() as f64;
    Ok(steps * (OVERHEAD + (length * length) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_runs_and_larger_graphs_are_more_work() {
        let of = |algorithm: &str, steps: usize, length: usize| {
            let sets = [format!("train.steps={steps}"), format!("train.lengths=[{length}]")];
            let config = Config::load(None, &sets, &[]).expect("valid");
            training(&train::settings(&config, algorithm, 0)).expect("an algorithm")
        };
        assert!(of("dfs", 100, 8) > of("bfs", 100, 8));
        assert!(of("bfs", 100, 16) > of("bfs", 100, 8));
        assert!(of("bfs", 200, 8) > 1.9 * of("bfs", 100, 8));
        let tests = |task| test(&Config::default(), task).expect("an algorithm");
        assert!(tests("kmp_matcher") > 30.0 * tests("bfs"), "it has 64 times as many samples");
    }
}
