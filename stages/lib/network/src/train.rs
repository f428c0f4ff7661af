//! Training as the benchmark's example trainer does it: lengths in turn, validation now and then, the best weights kept.

use graph::Processor;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use clrs::{Batch, SamplerArgs};

use crate::adam::Adam;
use crate::batch::{Encoded, Hints};
use crate::data;
use crate::error::{NetworkError, Result};
use crate::evaluate::score;
use crate::feedback::Repred;
use crate::loss::losses;
use crate::model::Model;
use crate::parameters::Parameters;
use crate::rng::Rng;
use crate::rollout::{Mode, Roller};
use crate::tensor::{from_f64, item, size};
use crate::weights::Weights;
use crate::{Device, Dtype};

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    pub algorithm: String,
    /// Features of each node; the processor must have been built for it.
    pub hidden: usize,
    /// Problem sizes, one a step, in turn.
    pub lengths: Vec<usize>,
    pub batch_size: usize,
    /// Updates of the weights.
    pub steps: usize,
    pub learning_rate: f64,
    /// Largest norm of the gradient; 0 for no clipping.
    pub grad_clip: f64,
    /// Of initial weights, data, noise.
    pub seed: u64,
    /// Probability with which a sample is given a true hint, for each step.
    pub hint_teacher_forcing: f64,
    pub hint_repred_mode: Repred,
    pub nb_msg_passing_steps: usize,
    pub val_length: usize,
    pub val_samples: usize,
    /// Steps between validations; the last step is always followed by one.
    pub val_every: usize,
    pub dtype: Dtype,
}

/// What is known after a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// From 1.
    pub step: usize,
    /// Of the batch, before the update.
    pub loss: f64,
    /// After the update, where there was a validation.
    pub val_acc: Option<f64>,
}

/// A finished training.
#[derive(Clone, Debug)]
pub struct Trained {
    pub best_val_acc: f64,
    pub final_loss: f64,
    pub steps: usize,
    pub curve: Vec<CurvePoint>,
    /// Those of the best validation, the earliest of equals.
    pub weights: Weights,
}

/// Trains `processor` from scratch.
///
/// # Errors
/// [`NetworkError::Diverged`] at the first loss or gradient that is not finite; [`NetworkError::OutOfMemory`].
pub fn train(
    processor: &Processor,
    cfg: &TrainConfig,
    device: Device,
    on_point: &mut dyn FnMut(&CurvePoint),
) -> Result<Trained> {
    check(processor, cfg)?;
    let algorithm = data::find(&cfg.algorithm)?;
    let mut loader = data::training(algorithm, &cfg.lengths, cfg.batch_size, cfg.seed)?;
    let seeds = (data::stream_seed(cfg.seed, "val/data"), data::stream_seed(cfg.seed, "val/positions"));
    let validation =
        data::dataset(algorithm, cfg.val_length, cfg.val_samples, SamplerArgs::training(algorithm), seeds)?;
    let model = Model::new(processor, loader.spec(), cfg.nb_msg_passing_steps)?;
    let mut trainer = Trainer::new(&model, cfg, true, device)?;

    let mut curve = Vec::new();
    let mut best: Option<(f64, Weights)> = None;
    for step in 1..=cfg.steps {
        let loss = trainer.step(&loader.next()?)?;
        let mut point = CurvePoint { step, loss, val_acc: None };
        if step == cfg.steps || (cfg.val_every > 0 && step % cfg.val_every == 0) {
            let accuracy = trainer.validate(&validation)?;
            point.val_acc = Some(accuracy);
            if best.as_ref().is_none_or(|(best, _)| accuracy > *best) {
                best = Some((accuracy, trainer.parameters.weights()?));
            }
        }
        curve.push(point);
        on_point(&point);
    }
    let (best_val_acc, weights) = match best {
        Some(best) => best,
        None => (trainer.validate(&validation)?, trainer.parameters.weights()?),
    };
    let final_loss = curve.last().map_or(f64::NAN, |point| point.loss);
    Ok(Trained { best_val_acc, final_loss, steps: cfg.steps, curve, weights })
}

fn check(processor: &Processor, cfg: &TrainConfig) -> Result<()> {
    let fail = |setting: &'static str, reason: String| Err(NetworkError::Setting { setting, reason });
    if processor.hidden != cfg.hidden {
        return fail("hidden", format!("the processor was built for {}, not {}", processor.hidden, cfg.hidden));
    }
    if cfg.lengths.is_empty() {
        return fail("lengths", "there must be at least one".to_owned());
    }
    if cfg.batch_size == 0 || cfg.val_samples == 0 {
        return fail("batch_size", "batches and the validation set need at least one sample".to_owned());
    }
    if !(0.0..=1.0).contains(&cfg.hint_teacher_forcing) {
        return fail("hint_teacher_forcing", format!("{} is no probability", cfg.hint_teacher_forcing));
    }
    if !(cfg.learning_rate.is_finite() && cfg.grad_clip >= 0.0) {
        return fail("learning_rate", "learning rate and clipping must be finite and not negative".to_owned());
    }
    Ok(())
}

/// A network in training.
pub(crate) struct Trainer<'m> {
    pub parameters: Parameters,
    pub roller: Roller<'m>,
    adam: Adam,
    forcing: f64,
    repred: Repred,
    rng: Rng,
    batch_size: usize,
    device: Device,
    steps: usize,
}

impl<'m> Trainer<'m> {
    /// `passes`: whether to rewrite the graph first.
    pub fn new(model: &'m Model, cfg: &TrainConfig, passes: bool, device: Device) -> Result<Self> {
        let parameters = Parameters::init(&model.graph, cfg.seed, cfg.dtype, device)?;
        Ok(Self {
            adam: Adam::new(&parameters.flat, cfg.learning_rate, cfg.grad_clip)?,
            parameters,
            roller: Roller::new(model, passes, cfg.dtype.kind(), device),
            forcing: cfg.hint_teacher_forcing,
            repred: cfg.hint_repred_mode,
            rng: Rng::new(cfg.seed, "training"),
            batch_size: cfg.batch_size,
            device,
            steps: 0,
        })
    }

    /// One update; returns the loss before it.
    pub fn step(&mut self, batch: &Batch) -> Result<f64> {
        self.steps += 1;
        let encoded = Encoded::new(self.roller.model, batch, Hints::All, self.parameters.kind(), self.device)?;
        let noise = self.noise(&encoded)?;
        let forced = self.forced(&encoded);
        let forced = |step: usize| forced.get(step).cloned().flatten();
        let mode = Mode {
            training: true,
            repred: self.repred,
            forced: Some(&forced),
            noise: Some(&noise),
            keep_hints: true,
            debug_steps: 0,
        };
        let rolled = self.roller.run(&self.parameters, &encoded, &mode)?;
        let losses = losses(self.roller.model, &encoded, &rolled.outputs, &rolled.hints)?;
        let loss = item(&losses.total)?;
        if !loss.is_finite() {
            return Err(NetworkError::Diverged { step: self.steps, loss });
        }
        let gradient = self.parameters.gradient(&losses.total)?;
        let norm = self.adam.step(&mut self.parameters.flat, &gradient)?;
        if !norm.is_finite() {
            return Err(NetworkError::Diverged { step: self.steps, loss });
        }
        Ok(loss)
    }

    pub fn validate(&mut self, batch: &Batch) -> Result<f64> {
        Ok(score(&mut self.roller, &self.parameters, batch, self.batch_size, self.repred, self.device)?.score)
    }

    /// Gumbel noise for every output that is a permutation, [S, B, N, N].
    fn noise(&mut self, batch: &Encoded) -> Result<Vec<Option<Tensor>>> {
        let (b, n) = batch.sizes;
        let shape = [size(batch.network_steps())?, b, n, n];
        let count = usize::try_from(shape.iter().product::<i64>()).unwrap_or(0);
        let mut draw = |port: &crate::model::Port| -> Result<Option<Tensor>> {
            if port.input.is_none() {
                return Ok(None);
            }
            let data: Vec<f64> = (0..count).map(|_| self.rng.gumbel()).collect();
            Ok(Some(from_f64(&data, &shape, self.parameters.kind(), self.device)?))
        };
        self.roller.model.outputs.iter().map(&mut draw).collect()
    }

    /// For each step, which samples are given the true hint; `None` where nobody is.
    fn forced(&mut self, batch: &Encoded) -> Vec<Option<Vec<bool>>> {
        let (steps, samples) = (batch.network_steps(), batch.lengths.len());
        match self.forcing {
            p if p <= 0.0 => vec![None; steps],
            // at certainty nothing is drawn
            p if p >= 1.0 => vec![Some(vec![true; samples]); steps],
            p => (0..steps).map(|_| Some((0..samples).map(|_| self.rng.uniform() < p).collect())).collect(),
        }
    }
}
