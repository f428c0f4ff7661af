//! Seconds of a training step and of an evaluation, beside the arithmetic that they take.

use std::time::Instant;

use clrs::{Batch, SamplerArgs};
use executor::tensor::TorchKind;
use graph::Processor;
use serde::Serialize;
use tch::{Kind, Tensor};

use crate::error::Result;
use crate::evaluate::score;
use crate::train::Trainer;
use crate::{Device, Dtype};
use model::Model;
use model::data::{self, Dataset};
use model::{Repred, TrainConfig};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the algorithm in the benchmark.
    pub algorithm: String,
    /// N in training.
    pub length: usize,
    /// Samples of a batch, B.
    pub batch_size: usize,
    /// Training steps to take the median of; one more comes before, unmeasured.
    pub steps: usize,
    /// N in evaluation; absent: none.
    pub eval_length: Option<usize>,
    /// Number format of the computation.
    pub dtype: Dtype,
    /// Whether to rewrite the graph first.
    pub passes: bool,
    /// Whether to take the time of every kernel, in further training steps.
    pub profile: bool,
}

/// Medians, in seconds, and 10^9 floating-point operations of the matrix products that cannot be avoided: those of the
/// rewritten graph for every sample's own steps, once to predict and three times to train (the value, its inputs' and its
/// weights' gradients). Outputs, which are decoded once, are not counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Speed {
    /// Seconds of a training step.
    pub train_step_s: f64,
    /// Work of a training step, in 10^9 operations.
    pub train_gflop: f64,
    /// One batch, all of it: prediction and score.
    pub eval_s: Option<f64>,
    /// Work of that batch, in 10^9 operations.
    pub eval_gflop: Option<f64>,
    /// What the first thread did in a training step, the longest first, if it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<KernelTime>,
}

/// The time of one of a training step's kernels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelTime {
    /// Its part of the step and its sizes.
    pub what: String,
    /// Share of the time of all kernels.
    pub share: f64,
    /// Mean time of one call, in microseconds.
    pub microseconds: f64,
    /// In a training step.
    pub calls: u64,
}

/// Seconds of a training step with the graph as it is built, and as it is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PassesSpeed {
    /// With the graph as it is built.
    pub plain_s: f64,
    /// With the graph as it is rewritten.
    pub rewritten_s: f64,
}

impl PassesSpeed {
    /// How many times faster the rewritten graph is.
    pub fn ratio(&self) -> f64 {
        self.plain_s / self.rewritten_s
    }
}

fn config(processor: &Processor, settings: &Settings) -> TrainConfig {
    TrainConfig {
        algorithm: settings.algorithm.clone(),
        hidden: processor.hidden,
        lengths: vec![settings.length],
        batch_size: settings.batch_size,
        steps: settings.steps,
        learning_rate: 1e-3,
        grad_clip: 1.0,
        seed: 0,
        hint_teacher_forcing: 0.0,
        hint_repred_mode: Repred::Soft,
        nb_msg_passing_steps: 1,
        val_length: settings.length,
        val_samples: settings.batch_size,
        val_every: 0,
        dtype: settings.dtype,
    }
}

/// Trains and evaluates on real data, and takes the time.
pub fn measure(processor: &Processor, settings: &Settings, device: Device) -> Result<Speed> {
    let algorithm = data::find(&settings.algorithm)?;
    let config = config(processor, settings);
    let model = Model::new(processor, &data::spec(algorithm), 1)?;
    let mut trainer = Trainer::new(&model, &config, settings.passes, device)?;
    let mut loader = data::training(algorithm, &config.lengths, config.batch_size, config.seed)?;
    let (mut seconds, mut work) = (Vec::with_capacity(settings.steps), Vec::with_capacity(settings.steps));
    for step in 0..=settings.steps.max(1) {
        let batch = loader.next()?;
        let time = timed(&mut trainer, &batch, device)?;
        if step > 0 {
            seconds.push(time);
            work.push(3.0 * gflop(&trainer, &batch));
        }
    }
    let kernels =
        if settings.profile { profile(&mut trainer, &mut loader, settings.steps.max(1))? } else { Vec::new() };
    let mut speed =
        Speed { train_step_s: median(seconds), train_gflop: median(work), eval_s: None, eval_gflop: None, kernels };
    if let Some(length) = settings.eval_length {
        let args = SamplerArgs::training_at(algorithm, length);
        let batch = Dataset::new(algorithm, length, settings.batch_size, args, (1, 2))?.whole()?;
        let start = Instant::now();
        let (workers, parameters) = (&mut trainer.workers, &trainer.parameters);
        score(workers, parameters, [Ok::<_, crate::NetworkError>(&batch)])?;
        device.synchronize();
        speed.eval_s = Some(start.elapsed().as_secs_f64());
        speed.eval_gflop = Some(gflop(&trainer, &batch));
    }
    Ok(speed)
}

/// The kernels of so many further training steps.
fn profile(trainer: &mut Trainer<'_>, loader: &mut clrs::Loader, steps: usize) -> Result<Vec<KernelTime>> {
    trainer.workers.measure();
    for _ in 0..steps {
        trainer.step(&loader.next()?)?;
    }
    let mut rows = trainer.workers.measured();
    rows.retain(|row| row.2 > 0);
    rows.sort_by_key(|row| std::cmp::Reverse(row.1));
    let total: u64 = rows.iter().map(|row| row.1).sum();
    let time = |(what, time, calls): (String, u64, u64)| KernelTime {
        what,
        share: time as f64 / total.max(1) as f64,
        microseconds: time as f64 / calls as f64 / 1e3,
        calls: calls / u64::try_from(steps).unwrap_or(1).max(1),
    };
    Ok(rows.into_iter().map(time).collect())
}

/// Steps of both kinds in turn, on the same batches, so that what else the machine does burdens both.
pub fn compare_passes(processor: &Processor, settings: &Settings, device: Device) -> Result<PassesSpeed> {
    let algorithm = data::find(&settings.algorithm)?;
    let config = config(processor, settings);
    let model = Model::new(processor, &data::spec(algorithm), 1)?;
    let mut plain = Trainer::new(&model, &config, false, device)?;
    let mut rewritten = Trainer::new(&model, &config, true, device)?;
    let mut loader = data::training(algorithm, &config.lengths, config.batch_size, config.seed)?;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for step in 0..=settings.steps.max(1) {
        let batch = loader.next()?;
        let times = (timed(&mut plain, &batch, device)?, timed(&mut rewritten, &batch, device)?);
        if step > 0 {
            before.push(times.0);
            after.push(times.1);
        }
    }
    Ok(PassesSpeed { plain_s: median(before), rewritten_s: median(after) })
}

/// 10^9 floating-point operations a second of a large matrix product: what the machine can do at the most.
pub fn peak(dtype: Dtype, device: Device) -> Result<f64> {
    const SIZE: i64 = 1536;
    const TRIES: usize = 8;
    let matrix = || -> Result<Tensor> {
        let numbers = Tensor::f_arange(SIZE * SIZE, (Kind::Double, device.0))?.f_sin()?;
        Ok(numbers.f_to_kind(dtype.kind())?.f_reshape([SIZE, SIZE])?)
    };
    let (x, y) = (matrix()?, matrix()?);
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        let start = Instant::now();
        let product = x.f_matmul(&y)?;
        device.synchronize();
        best = best.min(start.elapsed().as_secs_f64());
        drop(product);
    }
    Ok(2.0 * (SIZE as f64).powi(3) / best / 1e9)
}

fn timed(trainer: &mut Trainer<'_>, batch: &Batch, device: Device) -> Result<f64> {
    let start = Instant::now();
    trainer.step(batch)?;
    device.synchronize();
    Ok(start.elapsed().as_secs_f64())
}

/// The arithmetic of predicting a batch, in billions of operations.
fn gflop(trainer: &Trainer<'_>, batch: &Batch) -> f64 {
    let (once, each) = trainer.workers.macs(batch.nodes());
    let steps = |length: usize| length.saturating_sub(1).max(1) as f64;
    let macs: f64 = batch.lengths.iter().map(|&length| once + each * steps(length)).sum();
    2.0 * macs / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
