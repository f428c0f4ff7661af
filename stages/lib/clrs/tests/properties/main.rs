//! What must hold of every sample, whatever the seed and the length: outputs are checked against slow, plain solutions
//! of the same problems that share no code with the algorithms.

#![expect(clippy::needless_range_loop, reason = "pairs of nodes read best as pairs of indices")]

mod general;
mod geometry;
mod graphs;
mod paths;
mod sample;
mod sequences;
mod tables;

use clrs::{Sampler, SamplerArgs, SamplerConfig, algorithm};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use sample::Sample;

const BATCH_SIZE: usize = 4;

/// Runs `check` on samples of `name` for random seeds and lengths from `least` on.
pub fn for_random_samples(name: &str, least: usize, check: impl Fn(&Sample)) {
    let algorithm = algorithm(name).expect("a known algorithm");
    // A fixed stream: a failure comes back when the test is run again.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let drawn = (any::<u32>(), least..=least.max(14), any::<bool>());
    let result = TestRunner::new_with_rng(config, rng).run(&drawn, |(seed, length, training)| {
        let args = if training { SamplerArgs::training(algorithm) } else { SamplerArgs::default() };
        let config = SamplerConfig { args, track_max_steps: false, ..SamplerConfig::on_the_fly(seed, length) };
        let batch = Sampler::new(algorithm, config).unwrap().next(BATCH_SIZE).unwrap();
        (0..BATCH_SIZE).for_each(|i| check(&Sample::new(&batch, i)));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{name}: {error}");
    }
}

/// The least length at which an algorithm can be sampled with any arguments.
pub fn least_length(name: &str) -> usize {
    match name {
        "naive_string_matcher" | "kmp_matcher" => 17,
        "strongly_connected_components" => 4,
        "optimal_bst" | "segments_intersect" => 1,
        _ => 2,
    }
}
