//! Draws problems and solves them: the source of all batches.

use std::sync::Arc;

use crate::algorithms::Algorithm;
use crate::batch::{Batch, Trajectories};
use crate::error::ClrsError;
use crate::random::RandomState;
use crate::trace::Trace;

/// Samples that a sampler on the fly draws and throws away to learn how long runs get.
const WARM_UP: usize = 1000;

/// What a sampler may be told about its problems. What an algorithm has no use for is ignored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplerArgs {
    /// Edge probabilities, one of which is drawn for each graph. `None`: the algorithm's own.
    pub p: Option<Vec<f64>>,
    /// Length of the needle of a string matching problem; -k for a random one in 1..=k. `None`: a fifth of the length.
    pub length_needle: Option<i64>,
}

impl SamplerArgs {
    /// The arguments with which the reference's example trainer samples its training and validation data.
    pub fn training(algorithm: &Algorithm) -> Self {
        let p = (0..9).map(|i| (0.1 + 0.1 * f64::from(i)) / algorithm.training_p_divisor).collect();
        Self { p: Some(p), length_needle: Some(-8) }
    }

    /// As [`SamplerArgs::training`], at any length: needles of up to 8 letters need 17 nodes; below that they are as long
    /// as fits.
    pub fn training_at(algorithm: &Algorithm, length: usize) -> Self {
        let mut args = Self::training(algorithm);
        // Half a `usize` always fits.
        let fits = i64::try_from(length.saturating_sub(1) / 2).unwrap_or(i64::MAX).max(1);
        args.length_needle = args.length_needle.map(|needle| needle.max(-fits));
        args
    }
}

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerConfig {
    /// Seed of the random state.
    pub seed: u32,
    /// Size of the problems: the number of nodes, but for `optimal_bst` (one node more) and `segments_intersect`
    /// (always four nodes).
    pub length: usize,
    /// `Some`: all samples are drawn at once, and batches are drawn from them with replacement. `None`: on the fly.
    pub num_samples: Option<usize>,
    /// What problems are like.
    pub args: SamplerArgs,
    /// On the fly only: pad hints to the longest run so far, having drawn 1000 samples first to get a fair idea.
    /// Otherwise each batch is padded to its own longest run.
    pub track_max_steps: bool,
}

impl SamplerConfig {
    /// Samples on the fly as the reference does by default, with the algorithm's own arguments.
    pub fn on_the_fly(seed: u32, length: usize) -> Self {
        Self { seed, length, num_samples: None, args: SamplerArgs::default(), track_max_steps: true }
    }

    /// Whether a sampler of `algorithm` can be made, without making it.
    ///
    /// # Errors
    /// If the algorithm cannot take the length or the arguments, or if there would be no sample.
    pub fn validate(&self, algorithm: &Algorithm) -> Result<(), ClrsError> {
        if self.num_samples == Some(0) {
            return Err(ClrsError::EmptyDataset);
        }
        algorithm.problem.validate(algorithm, self.length, &self.args)
    }

    /// Whether batches of that size can be drawn.
    ///
    /// # Errors
    /// If the size is 0 or exceeds the dataset.
    pub fn validate_batch(&self, batch_size: usize) -> Result<(), ClrsError> {
        match self.num_samples {
            _ if batch_size == 0 => Err(ClrsError::EmptyBatch),
            Some(samples) if batch_size > samples => {
                Err(ClrsError::BatchLargerThanDataset { batch: batch_size, samples })
            }
            _ => Ok(()),
        }
    }
}

/// A stream of samples of one algorithm, determined by its configuration.
pub struct Sampler {
    algorithm: &'static Algorithm,
    rng: RandomState,
    config: SamplerConfig,
    /// Least number of steps of the batches.
    steps: usize,
    dataset: Option<Trajectories>,
}

impl Sampler {
    /// # Errors
    /// If the algorithm cannot take the length or the arguments.
    pub fn new(algorithm: &'static Algorithm, config: SamplerConfig) -> Result<Self, ClrsError> {
        config.validate(algorithm)?;
        let rng = RandomState::new(config.seed);
        let mut sampler = Self { algorithm, rng, config, steps: 0, dataset: None };
        match sampler.config.num_samples {
            Some(count) => sampler.dataset = Some(sampler.draw(count)?),
            None if sampler.config.track_max_steps => sampler.warm_up()?,
            None => {}
        }
        Ok(sampler)
    }

    /// The algorithm whose problems it draws.
    pub fn algorithm(&self) -> &'static Algorithm {
        self.algorithm
    }

    /// Least number of steps that the next batch's hints are padded to.
    pub fn steps(&self) -> usize {
        self.dataset.as_ref().map_or(self.steps, Trajectories::steps)
    }

    /// The next batch.
    ///
    /// # Errors
    /// If `batch_size` is 0 or exceeds the dataset, or if no problem could be drawn.
    pub fn next(&mut self, batch_size: usize) -> Result<Batch, ClrsError> {
        Ok(self.next_trajectories(batch_size)?.to_batch())
    }

    /// The next batch, before it is spelt out as tensors.
    ///
    /// # Errors
    /// As [`Sampler::next`].
    pub fn next_trajectories(&mut self, batch_size: usize) -> Result<Trajectories, ClrsError> {
        self.config.validate_batch(batch_size)?;
        let Some(dataset) = &self.dataset else {
            let batch = self.draw(batch_size)?;
            if self.config.track_max_steps {
                self.steps = batch.steps();
            }
            return Ok(batch);
        };
        let rng = &mut self.rng;
        Ok(dataset.select((0..batch_size).map(|_| rng.choice(dataset.len()))))
    }

    /// The whole dataset, in order.
    ///
    /// # Errors
    /// If there is none, samples being drawn on the fly.
    pub fn dataset(&self) -> Result<&Trajectories, ClrsError> {
        self.dataset.as_ref().ok_or(ClrsError::Endless)
    }

    fn draw(&mut self, count: usize) -> Result<Trajectories, ClrsError> {
        let spec = self.algorithm.spec();
        let mut traces = Vec::with_capacity(count);
        for _ in 0..count {
            let mut trace = Trace::new(spec);
            self.run(&mut trace)?;
            traces.push(Arc::new(trace));
        }
        Ok(Trajectories::new(spec, traces, self.steps))
    }

    fn warm_up(&mut self) -> Result<(), ClrsError> {
        let mut counter = Trace::counter(self.algorithm.spec());
        for _ in 0..WARM_UP {
            counter.reset_count();
            self.run(&mut counter)?;
            self.steps = self.steps.max(counter.steps());
        }
        Ok(())
    }

    fn run(&mut self, trace: &mut Trace) -> Result<(), ClrsError> {
        self.algorithm.problem.run(&mut self.rng, self.config.length, &self.config.args, trace)
    }
}
