//! Training as the benchmark's example trainer does it: lengths in turn, validation now and then, the best weights kept.

use executor::Parameters;
use executor::rng::Rng;
use executor::tensor::{from_f64, to_f64};
use executor::weights::Weights;
use graph::Processor;

use clrs::{Batch, SamplerArgs};

use crate::Device;
use crate::adam::Adam;
use crate::checkpoint::{CheckpointWriter, Checkpoints};
use crate::draws::Draws;
use crate::error::{NetworkError, Result};
use crate::evaluate::score;
use crate::statistics;
use crate::workers::{Settings, Workers};
use model::Model;
use model::data::{self, Dataset};
use model::{CurvePoint, TrainConfig};

/// A finished training.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Highest validation accuracy, 0 to 1.
    pub best_val_acc: f64,
    /// Loss of the last step's batch, before its update.
    pub final_loss: f64,
    /// Updates of the weights.
    pub steps: usize,
    /// The loss of every step, with the accuracy where there was a validation.
    pub curve: Vec<CurvePoint>,
    /// The weights of the best validation, and of the earliest one among equals.
    pub weights: Weights,
    /// What went wrong without harm, in sentences for people.
    pub warnings: Vec<String>,
}

/// A loss this many times that of the first step ...
const FAR: f64 = 1e3;
/// ... in so many steps on end does not come back.
const PATIENCE: usize = 10;

/// Trains `processor` from scratch, or goes on from where `checkpoints` left it: the result is the same, bit for bit, on
/// one machine.
///
/// # Errors
/// [`NetworkError::Diverged`] as soon as a loss, a gradient or a validation is not finite, or the loss stays a thousand
/// times above where it began; [`NetworkError::OutOfMemory`]; [`NetworkError::File`] for a checkpoint that is broken or of
/// another training; [`NetworkError::Stopped`] where it was asked to stop, with a checkpoint.
pub fn train(
    processor: &Processor,
    cfg: &TrainConfig,
    device: Device,
    checkpoints: Option<&Checkpoints>,
    on_point: &mut dyn FnMut(&CurvePoint),
) -> Result<Trained> {
    check(processor, cfg)?;
    let algorithm = data::find(&cfg.algorithm)?;
    let mut loader = data::training(algorithm, &cfg.lengths, cfg.batch_size, cfg.seed)?;
    let validation = validation(algorithm, cfg)?;
    let model = Model::new(processor, loader.spec(), cfg.nb_msg_passing_steps)?;
    let mut trainer = Trainer::new(&model, cfg, true, device)?;

    let mut state = Progress::default();
    let mut writer = checkpoints.map(|to| CheckpointWriter::new(to, processor, cfg));
    if let Some(writer) = &writer
        && let Some((at, found)) = writer.load(trainer.has_statistics())?
    {
        trainer.restore(&at)?;
        state = found;
        // Samplers have no state to store: what they have given is drawn again, at a small part of the time.
        for _ in 0..state.curve.len() {
            loader.next()?;
        }
    }
    for step in state.curve.len() + 1..=cfg.steps {
        let loss = trainer.step(&loader.next()?)?;
        let mut point = CurvePoint { step, loss, val_acc: None };
        if validates(cfg, step) {
            let accuracy = trainer.validate(&validation)?;
            if !accuracy.is_finite() {
                return Err(NetworkError::diverged(step, "the validation accuracy", accuracy));
            }
            point.val_acc = Some(accuracy);
            if state.is_better(accuracy) {
                state.best = Some((accuracy, trainer.parameters.weights()?));
            }
        }
        state.curve.push(point);
        on_point(&point);
        check_divergence(&state.curve)?;
        if let Some(writer) = &mut writer
            && step < cfg.steps
        {
            writer.stop_if_asked(&trainer, &state)?;
            writer.save_if_due(&trainer, &state)?;
        }
    }
    let Progress { curve, best, .. } = state;
    let (best_val_acc, weights) = match best {
        Some(best) => best,
        None => (trainer.validate(&validation)?, trainer.parameters.weights()?),
    };
    let final_loss = curve.last().map_or(f64::NAN, |point| point.loss);
    Ok(Trained { best_val_acc, final_loss, steps: cfg.steps, curve, weights, warnings: trainer.workers.warnings() })
}

/// The samples that a training is validated with, in batches.
pub(crate) fn validation(algorithm: &'static clrs::Algorithm, cfg: &TrainConfig) -> Result<Vec<Batch>> {
    let seeds = (data::stream_seed(cfg.seed, "val/data"), data::stream_seed(cfg.seed, "val/positions"));
    let args = SamplerArgs::training_at(algorithm, cfg.val_length);
    let mut validation = Dataset::new(algorithm, cfg.val_length, cfg.val_samples, args, seeds)?;
    Ok(validation.parts(cfg.batch_size)?.collect::<model::Result<Vec<Batch>>>()?)
}

/// What a training has come to so far, beside the state of network and optimiser.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    pub curve: Vec<CurvePoint>,
    /// The best validation so far, the earliest of equals, with its weights.
    pub best: Option<(f64, Weights)>,
    /// The step at which it went astray, and how, where others go on beside it.
    pub diverged: Option<(usize, String)>,
}

impl Progress {
    /// Whether a validation is better than all before it.
    pub fn is_better(&self, accuracy: f64) -> bool {
        self.best.as_ref().is_none_or(|(best, _)| accuracy > *best)
    }
}

/// Whether there is a validation after a step.
pub(crate) fn validates(cfg: &TrainConfig, step: usize) -> bool {
    step == cfg.steps || (cfg.val_every > 0 && step.is_multiple_of(cfg.val_every))
}

/// Notices a training whose numbers are finite, and hopeless.
pub(crate) fn check_divergence(curve: &[CurvePoint]) -> Result<()> {
    let (Some(first), Some(last)) = (curve.first(), curve.len().checked_sub(PATIENCE).and_then(|at| curve.get(at..)))
    else {
        return Ok(());
    };
    let limit = FAR * first.loss.max(1.0);
    if last.iter().all(|point| point.loss > limit) {
        let reason =
            format!("the loss has been above {limit:.3e} for {PATIENCE} steps, having begun at {:.3}", first.loss);
        return Err(NetworkError::Diverged { step: curve.len(), reason });
    }
    Ok(())
}

pub(crate) fn check(processor: &Processor, cfg: &TrainConfig) -> Result<()> {
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

/// The changing part of a [`Trainer`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub parameters: Vec<f64>,
    /// Adam's running means of gradients and of their squares.
    pub mean: Vec<f64>,
    pub square: Vec<f64>,
    pub adam_steps: i32,
    pub rng: Rng,
    pub steps: usize,
    /// Running statistics, one after the other.
    pub statistics: Vec<f64>,
}

/// A network in training.
pub(crate) struct Trainer<'m> {
    pub parameters: Parameters,
    pub workers: Workers<'m>,
    adam: Adam,
    draws: Draws,
    device: Device,
    steps: usize,
}

impl<'m> Trainer<'m> {
    /// `passes`: whether to rewrite the graph first.
    pub fn new(model: &'m Model, cfg: &TrainConfig, passes: bool, device: Device) -> Result<Self> {
        let parameters = Parameters::init(&model.graph, cfg.seed, cfg.dtype, device)?;
        let settings = Settings { passes, ..Settings::training(cfg, device) };
        Ok(Self {
            adam: Adam::new(&parameters.flat, cfg.learning_rate, cfg.grad_clip)?,
            parameters,
            workers: Workers::new(model, settings)?,
            draws: Draws::new(cfg),
            device,
            steps: 0,
        })
    }

    /// One update; returns the loss before it.
    pub fn step(&mut self, batch: &Batch) -> Result<f64> {
        self.steps += 1;
        let kind = self.parameters.kind();
        let (encoded, supervision) = self.draws.step(self.workers.model, batch, self.steps, kind)?;
        let learned = self.workers.gradient(&self.parameters, &encoded, &supervision)?;
        let loss = learned.loss();
        if !loss.is_finite() {
            return Err(NetworkError::diverged(self.steps, "the loss", loss));
        }
        let norm = self.adam.step(&mut self.parameters.flat, &learned.gradient)?;
        if !norm.is_finite() {
            return Err(NetworkError::diverged(self.steps, "the gradient's norm", norm));
        }
        statistics::update(&self.workers.model.in_training().statistics, &self.parameters, &learned.statistics)?;
        Ok(loss)
    }

    /// Whether the network has running statistics.
    pub fn has_statistics(&self) -> bool {
        !self.workers.model.in_training().statistics.is_empty()
    }

    pub fn validate(&mut self, batches: &[Batch]) -> Result<f64> {
        Ok(score(&mut self.workers, &self.parameters, batches.iter().map(Ok::<_, NetworkError>))?.score)
    }

    /// Everything that changes from step to step.
    pub fn state(&self) -> Result<State> {
        let (mean, square, steps) = self.adam.state()?;
        let parameters = to_f64(&self.parameters.flat)?;
        let statistics = statistics::values(&self.workers.model.in_training().statistics, &self.parameters)?;
        Ok(State {
            parameters,
            mean,
            square,
            adam_steps: steps,
            rng: self.draws.rng.clone(),
            steps: self.steps,
            statistics,
        })
    }

    pub fn restore(&mut self, state: &State) -> Result<()> {
        let shape = self.parameters.flat.size();
        let values = from_f64(&state.parameters, &shape, self.parameters.kind(), self.device)?;
        self.parameters.flat.f_copy_(&values)?;
        self.adam.restore(&state.mean, &state.square, state.adam_steps)?;
        statistics::restore(&self.workers.model.in_training().statistics, &self.parameters, &state.statistics)?;
        self.draws.rng = state.rng.clone();
        self.steps = state.steps;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_that_stays_far_above_the_first_is_divergence() {
        let curve = |losses: &[f64]| -> Vec<CurvePoint> {
            losses.iter().enumerate().map(|(at, &loss)| CurvePoint { step: at + 1, loss, val_acc: None }).collect()
        };
        let mut losses = vec![2.0];
        losses.extend([1e6; PATIENCE]);
        let error = check_divergence(&curve(&losses)).expect_err("it is hopeless");
        assert!(error.to_string().contains("step 11") && error.to_string().contains("2.000e3"), "{error}");
        // the loss comes back from a spike, and a bad start is not a divergence
        losses[5] = 3.0;
        assert!(check_divergence(&curve(&losses)).is_ok());
        assert!(check_divergence(&curve(&[1e6; 20])).is_ok());
        assert!(check_divergence(&curve(&[])).is_ok());
    }
}
