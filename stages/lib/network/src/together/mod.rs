//! Trainings of one program with several seeds as one computation: an axis for the networks before parameters and data.
//!
//! At the sizes of this benchmark a GPU mostly waits for the next small operation, which several networks then share. None of them
//! sees another: each has its own batches, draws, validation and clipping, stops for itself where it diverges, and comes to what it
//! would come to alone, but for the rounding of sums that are taken in another order.

mod checkpoints;

use std::thread;

use clrs::{Batch, Loader};
use executor::tensor::{from_f64, size, to_f64};
use executor::{Engine, Parameters, Sequence};
use graph::Processor;
use tch::Tensor;

use crate::Device;
use crate::adam::{Adam, Networks};
use crate::batch::{Encoded, Hints};
use crate::checkpoint::Checkpoints;
use crate::draws::Draws;
use crate::error::{NetworkError, Result};
use crate::feedback::read_off;
use crate::score::Scorer;
use crate::supervision::Divisors;
use crate::threads::OneThread;
use crate::train::{Progress, State, Trained, check, check_divergence, train, validates, validation};
use crate::unroll::{self, HeldOutputs};
use crate::workers::{Settings, engine, warnings};
use checkpoints::Writers;
use model::data;
use model::{CurvePoint, Model, Steps, TrainConfig};

/// Whether a program's trainings can run as one: not where batch normalisations keep running statistics.
pub fn can_train_together(processor: &Processor) -> bool {
    processor.training.as_ref().is_none_or(|training| training.statistics.is_empty())
}

/// Trains `processor` from scratch once with each of `seeds`, whose place in the list `on_point` is told, as
/// [`train`](crate::train()) does with the seed of `cfg`; or goes on from where `checkpoints` left all of them.
///
/// # Errors
/// The outer error concerns all of them: see [`train`](crate::train()), but for [`NetworkError::Diverged`], by which each ends for
/// itself.
pub fn train_together(
    processor: &Processor,
    cfg: &TrainConfig,
    seeds: &[u64],
    device: Device,
    checkpoints: Option<&Checkpoints>,
    on_point: &mut dyn FnMut(usize, &CurvePoint),
) -> Result<Vec<Result<Trained>>> {
    check(processor, cfg)?;
    if let [seed] = *seeds {
        let cfg = TrainConfig { seed, ..cfg.clone() };
        return match train(processor, &cfg, device, checkpoints, &mut |point| on_point(0, point)) {
            Err(error @ NetworkError::Diverged { .. }) => Ok(vec![Err(error)]),
            trained => Ok(vec![Ok(trained?)]),
        };
    }
    if !can_train_together(processor) {
        let reason = "running statistics are those of one network".to_owned();
        return Err(NetworkError::Setting { setting: "seeds", reason });
    }
    let algorithm = data::find(&cfg.algorithm)?;
    let model = Model::new(processor, &data::spec(algorithm), cfg.nb_msg_passing_steps)?;
    let trainer = Together::new(&model, cfg, seeds, Settings::training(cfg, device))?;
    let writers = checkpoints.map(|to| Writers::new(to, processor, &trainer.networks));
    trainer.run(writers, on_point)
}

/// What each network has for itself.
struct Network {
    cfg: TrainConfig,
    loader: Loader,
    validation: Vec<Batch>,
    draws: Draws,
    progress: Progress,
}

impl Network {
    fn new(cfg: TrainConfig) -> Result<Self> {
        let algorithm = data::find(&cfg.algorithm)?;
        let loader = data::training(algorithm, &cfg.lengths, cfg.batch_size, cfg.seed)?;
        let (validation, draws) = (validation(algorithm, &cfg)?, Draws::new(&cfg));
        Ok(Self { cfg, loader, validation, draws, progress: Progress::default() })
    }

    fn goes(&self) -> bool {
        self.progress.diverged.is_none()
    }

    /// Notes an end that is this network's alone.
    fn ends(&mut self, result: Result<()>) -> Result<()> {
        match result {
            Err(NetworkError::Diverged { step, reason }) => self.progress.diverged = Some((step, reason)),
            other => other?,
        }
        Ok(())
    }
}

/// A batch of one network, made ready.
struct Prepared {
    variants: Vec<usize>,
    sequence: Sequence<'static>,
}

impl Prepared {
    fn new(variants: Vec<usize>, sequence: Sequence<'_>) -> Self {
        let Sequence { sizes, given, data, state, .. } = sequence;
        Self { variants, sequence: Sequence { sizes, variants: &[], given, data, state } }
    }
}

/// Networks in training.
struct Together<'m> {
    model: &'m Model,
    networks: Vec<Network>,
    parameters: Parameters,
    adam: Adam,
    owners: Networks,
    steps: Steps,
    training: Engine,
    evaluation: Engine,
    updates: usize,
    device: Device,
}

impl<'m> Together<'m> {
    fn new(model: &'m Model, cfg: &TrainConfig, seeds: &[u64], settings: Settings) -> Result<Self> {
        let networks = seeds.iter().map(|&seed| Network::new(TrainConfig { seed, ..cfg.clone() }));
        let networks = networks.collect::<Result<Vec<_>>>()?;
        let device = settings.device;
        let each = seeds.iter().map(|&seed| Ok(Parameters::init(&model.graph, seed, cfg.dtype, device)?));
        let parameters = Parameters::together(&each.collect::<Result<Vec<_>>>()?)?;
        let steps = Steps::training(model.in_training(), settings.repred, settings.forcing)?.pausing()?;
        Ok(Self {
            model,
            adam: Adam::new(&parameters.flat, cfg.learning_rate, cfg.grad_clip)?,
            owners: Networks::new(&parameters.places(seeds.len()), seeds.len(), device)?,
            networks,
            parameters,
            training: engine(&steps, true, seeds.len(), settings)?,
            evaluation: engine(&Steps::evaluation(model, settings.repred)?, false, seeds.len(), settings)?,
            steps,
            updates: 0,
            device,
        })
    }

    fn run(
        mut self,
        mut writers: Option<Writers>,
        on_point: &mut dyn FnMut(usize, &CurvePoint),
    ) -> Result<Vec<Result<Trained>>> {
        let Some(cfg) = self.networks.first().map(|network| network.cfg.clone()) else { return Ok(Vec::new()) };
        if let Some(found) = writers.as_mut().and_then(Writers::load) {
            self.restore(found)?;
        }
        while self.updates < cfg.steps && self.networks.iter().any(Network::goes) {
            let losses = self.step()?;
            let step = self.updates;
            let accuracies = if validates(&cfg, step) { Some(self.validate()?) } else { None };
            for (at, &loss) in losses.iter().enumerate() {
                let Some(network) = self.networks.get_mut(at).filter(|network| network.goes()) else { continue };
                let accuracy = accuracies.as_ref().and_then(|all| all.get(at)).copied();
                if accuracy.is_some_and(|accuracy| !accuracy.is_finite()) {
                    let found = accuracy.unwrap_or(f64::NAN);
                    network.ends(Err(NetworkError::diverged(step, "the validation accuracy", found)))?;
                    continue;
                }
                let point = CurvePoint { step, loss, val_acc: accuracy };
                network.progress.curve.push(point);
                on_point(at, &point);
                if let Some(accuracy) = accuracy
                    && network.progress.is_better(accuracy)
                {
                    network.progress.best = Some((accuracy, self.parameters.of_network(at)?.weights()?));
                }
                let checked = check_divergence(&network.progress.curve);
                network.ends(checked)?;
            }
            if let Some(writers) = &mut writers
                && step < cfg.steps
            {
                writers.keep(&self)?;
            }
        }
        self.finish()
    }

    fn finish(mut self) -> Result<Vec<Result<Trained>>> {
        let unseen = self.networks.iter().any(|network| network.goes() && network.progress.best.is_none());
        let accuracies = if unseen { self.validate()? } else { Vec::new() };
        let mut warnings = warnings([&self.evaluation, &self.training].into_iter());
        let mut ended = Vec::new();
        for (at, network) in self.networks.iter_mut().enumerate() {
            let Progress { curve, best, diverged } = std::mem::take(&mut network.progress);
            if let Some((step, reason)) = diverged {
                ended.push(Err(NetworkError::Diverged { step, reason }));
                continue;
            }
            let (best_val_acc, weights) = match best {
                Some(best) => best,
                None => {
                    let accuracy = accuracies.get(at).copied().unwrap_or(f64::NAN);
                    (accuracy, self.parameters.of_network(at)?.weights()?)
                }
            };
            let final_loss = curve.last().map_or(f64::NAN, |point| point.loss);
            // One network tells what concerns all.
            let warnings = std::mem::take(&mut warnings);
            ended.push(Ok(Trained { best_val_acc, final_loss, steps: network.cfg.steps, curve, weights, warnings }));
        }
        Ok(ended)
    }

    /// One update of all networks; returns their losses before it.
    fn step(&mut self) -> Result<Vec<f64>> {
        self.updates += 1;
        let (model, steps, step, kind) = (self.model, &self.steps, self.updates, self.parameters.kind());
        let prepared = side_by_side(&mut self.networks, |network| {
            let batch = network.loader.next()?;
            let (encoded, supervision) = network.draws.step(model, &batch, step, kind)?;
            let divisors = Divisors::new(model.in_training(), &encoded)?;
            let variants = unroll::variants(&encoded);
            let taken = model.in_training();
            let sequence = unroll::training(taken, steps, &encoded, &supervision, &divisors, &variants)?;
            Ok(Prepared::new(variants.clone(), sequence))
        })?;
        let mut gradient = self.parameters.zeros()?;
        let losses = {
            let _alone = OneThread::new();
            run(&mut self.training, &self.parameters, &prepared, Some(&mut gradient), &mut |_, _| Ok(()))?
        };
        for (network, &loss) in self.networks.iter_mut().zip(&losses) {
            if network.goes() && !loss.is_finite() {
                network.ends(Err(NetworkError::diverged(step, "the loss", loss)))?;
            }
        }
        let going: Vec<bool> = self.networks.iter().map(Network::goes).collect();
        let norms = self.adam.step_of_many(&mut self.parameters.flat, &gradient, &self.owners, &going)?;
        for (network, &norm) in self.networks.iter_mut().zip(&norms) {
            if network.goes() && !norm.is_finite() {
                network.ends(Err(NetworkError::diverged(step, "the gradient's norm", norm)))?;
            }
        }
        Ok(losses)
    }

    /// The accuracy of each network on its own samples.
    fn validate(&mut self) -> Result<Vec<f64>> {
        let model = self.model;
        let kind = self.parameters.kind();
        let mut scorers: Vec<Scorer> = self.networks.iter().map(|_| Scorer::default()).collect();
        let batches = self.networks.iter().map(|network| network.validation.len()).max().unwrap_or(0);
        for at in 0..batches {
            let prepared = side_by_side(&mut self.networks, |network| {
                let missing =
                    || NetworkError::Inconsistent("a network has fewer samples to be validated with".to_owned());
                let batch = network.validation.get(at).ok_or_else(missing)?;
                let encoded = Encoded::new(model, batch, Hints::First, kind, Device::CPU)?;
                let variants = unroll::variants(&encoded);
                let sequence = unroll::evaluation(model, &encoded, &variants)?;
                Ok((Prepared::new(variants.clone(), sequence), encoded))
            })?;
            let (prepared, encoded): (Vec<_>, Vec<_>) = prepared.into_iter().unzip();
            let mut held = HeldOutputs::side_by_side(&encoded)?;
            {
                let _alone = OneThread::new();
                let mut keep = |step: usize, outputs: &[Tensor]| held.take(step, outputs);
                run(&mut self.evaluation, &self.parameters, &prepared, None, &mut keep)?;
            }
            let outputs = held.finish(model)?;
            for (place, (network, scorer)) in self.networks.iter().zip(&mut scorers).enumerate() {
                let Some(batch) = network.validation.get(at) else { continue };
                let own = model.outputs.iter().zip(&outputs).map(|(port, raw)| {
                    let own = raw.f_select(0, size(place)?)?;
                    read_off(&port.entry, &own)
                });
                scorer.add(batch, &own.collect::<Result<Vec<_>>>()?)?;
            }
        }
        Ok(scorers.iter().map(|scorer| scorer.scores().score).collect())
    }

    /// Everything that changes from step to step, network by network.
    fn states(&self) -> Result<Vec<State>> {
        let (mean, square, adam_steps) = self.adam.state()?;
        let flat = to_f64(&self.parameters.flat)?;
        let places = self.parameters.places(self.networks.len());
        let each = (places.len() / self.networks.len().max(1)).max(1);
        let of = |data: &[f64], places: &[usize]| -> Vec<f64> {
            places.iter().map(|&place| data.get(place).copied().unwrap_or(f64::NAN)).collect()
        };
        let state = |(network, places): (&Network, &[usize])| State {
            parameters: of(&flat, places),
            mean: of(&mean, places),
            square: of(&square, places),
            adam_steps,
            rng: network.draws.rng.clone(),
            steps: self.updates,
            statistics: Vec::new(),
        };
        Ok(self.networks.iter().zip(places.chunks(each)).map(state).collect())
    }

    fn restore(&mut self, found: Vec<(State, Progress)>) -> Result<()> {
        let places = self.parameters.places(self.networks.len());
        let whole = |of: &dyn Fn(&State) -> &Vec<f64>| -> Result<Vec<f64>> {
            let own: Vec<f64> = found.iter().flat_map(|(state, _)| of(state).iter().copied()).collect();
            if own.len() != places.len() {
                return Err(NetworkError::Inconsistent(
                    "a checkpoint has other parameters than the network".to_owned(),
                ));
            }
            let mut all = vec![0.0; own.len()];
            for (&place, value) in places.iter().zip(own) {
                if let Some(slot) = all.get_mut(place) {
                    *slot = value;
                }
            }
            Ok(all)
        };
        let (mean, square) = (whole(&|state| &state.mean)?, whole(&|state| &state.square)?);
        let flat = whole(&|state| &state.parameters)?;
        let flat = from_f64(&flat, &self.parameters.flat.size(), self.parameters.kind(), self.device)?;
        self.parameters.flat.f_copy_(&flat)?;
        self.adam.restore(&mean, &square, found.first().map_or(0, |(state, _)| state.adam_steps))?;
        self.updates = found.first().map_or(0, |(state, _)| state.steps);
        let mut found = found.into_iter();
        let updates = self.updates;
        for network in &mut self.networks {
            let Some((state, progress)) = found.next() else { break };
            network.draws.rng = state.rng;
            network.progress = progress;
        }
        // Samplers have no state to store: what they have given is drawn again, at a small part of the time.
        side_by_side(&mut self.networks, |network| {
            for _ in 0..updates {
                network.loader.next()?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// Runs the batches of all networks as one.
fn run(
    engine: &mut Engine,
    parameters: &Parameters,
    prepared: &[Prepared],
    gradient: Option<&mut Tensor>,
    on_step: &mut executor::OnStep<'_>,
) -> Result<Vec<f64>> {
    let each: Vec<Vec<usize>> = prepared.iter().map(|one| one.variants.clone()).collect();
    let variants = unroll::joint(&each);
    let sequences: Vec<&Sequence<'_>> = prepared.iter().map(|one| &one.sequence).collect();
    let sequence = unroll::side_by_side(&sequences, &variants)?;
    Ok(engine.run(parameters, &sequence, gradient, on_step)?.losses)
}

/// Does the same for every network, several at a time: on a GPU this is what the processor has to do meanwhile.
fn side_by_side<R: Send>(networks: &mut [Network], work: impl Fn(&mut Network) -> Result<R> + Sync) -> Result<Vec<R>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = networks.len().div_ceil(cores.max(1)).max(1);
    let work = &work;
    let found = thread::scope(|scope| {
        let threads: Vec<_> = networks
            .chunks_mut(share)
            .map(|mine| {
                scope.spawn(move || {
                    let _alone = OneThread::new();
                    mine.iter_mut().map(work).collect::<Result<Vec<R>>>()
                })
            })
            .collect();
        let lost = || Err(NetworkError::Inconsistent("a thread that made a batch has ended".to_owned()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).collect::<Result<Vec<_>>>()
    })?;
    Ok(found.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
