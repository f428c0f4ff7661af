//! Trainings of one program with several seeds as one computation: an axis for the networks before parameters and data.
//!
//! At the sizes of this benchmark a GPU is mostly waiting for the next small operation, and the operations of several networks at
//! once take hardly longer than those of one. No network sees another: each has its own batches, draws, validation and clipping,
//! stops for itself where it diverges, and comes to what it would come to alone, but for the rounding of sums that are taken in
//! another order.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use clrs::{Batch, Loader};
use executor::tensor::{from_f64, size, to_f64};
use executor::{Engine, Parameters, Recurrence, Sequence};
use graph::Processor;
use tch::Tensor;

use crate::adam::{Adam, Networks};
use crate::batch::{Encoded, Hints};
use crate::checkpoint::{CheckpointWriter, Checkpoints};
use crate::draws::Draws;
use crate::error::{NetworkError, Result};
use crate::feedback::read_off;
use crate::score::Scorer;
use crate::supervision::Divisors;
use crate::threads::OneThread;
use crate::train::{Progress, State, Trained, check, check_divergence, train, validation};
use crate::unroll::{self, HeldOutputs};
use crate::workers::Settings;
use crate::{Backend, Device};
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
    let trainer = Together::new(&model, cfg, seeds, settings(cfg, device, Backend::Auto))?;
    let writers = checkpoints.map(|to| Writers::new(to, processor, &trainer.networks));
    trainer.run(writers, on_point)
}

fn settings(cfg: &TrainConfig, device: Device, backend: Backend) -> Settings {
    let forcing = cfg.hint_teacher_forcing > 0.0;
    Settings { repred: cfg.hint_repred_mode, forcing, passes: true, dtype: cfg.dtype, device, backend }
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
        let engine = |steps: &Steps, gradients: bool| -> Result<Engine> {
            let Settings { passes, dtype, device, backend, .. } = settings;
            let options = executor::Options { passes, gradients, dtype, networks: seeds.len() };
            let recurrences = steps.variants().map(|step| Recurrence::new(&step, options));
            let recurrences = recurrences.into_iter().collect::<executor::Result<Vec<_>>>()?;
            Ok(Engine::new(Arc::new(recurrences), dtype, device, backend))
        };
        Ok(Self {
            model,
            adam: Adam::new(&parameters.flat, cfg.learning_rate, cfg.grad_clip)?,
            owners: Networks::new(&parameters.places(seeds.len()), seeds.len(), device)?,
            networks,
            parameters,
            training: engine(&steps, true)?,
            evaluation: engine(&Steps::evaluation(model, settings.repred)?, false)?,
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
            let validates = step == cfg.steps || (cfg.val_every > 0 && step.is_multiple_of(cfg.val_every));
            let accuracies = if validates { Some(self.validate()?) } else { None };
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
                    && network.progress.best.as_ref().is_none_or(|(best, _)| accuracy > *best)
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
        let mut warnings = self.warnings();
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

    fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        for engine in [&self.evaluation, &self.training] {
            all.extend(engine.recurrences().iter().flat_map(|one| &one.faults).map(ToString::to_string));
            all.extend(engine.warnings());
        }
        all.sort();
        all.dedup();
        all
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

/// Checkpoints of all networks: a file for each, in two sets that are written in turn, of which one is always whole.
struct Writers {
    to: Checkpoints,
    sets: [Vec<CheckpointWriter>; 2],
    next: usize,
    written: std::time::Instant,
}

impl Writers {
    fn new(to: &Checkpoints, processor: &Processor, networks: &[Network]) -> Self {
        let code = format!("{}, {} networks together", to.code, networks.len());
        let writer = |set: usize, at: usize, network: &Network| {
            let to = Checkpoints { path: path(&to.path, at, set), code: code.clone(), ..to.clone() };
            CheckpointWriter::new(&to, processor, &network.cfg)
        };
        let set = |set: usize| networks.iter().enumerate().map(|(at, network)| writer(set, at, network)).collect();
        Self { to: to.clone(), sets: [set(0), set(1)], next: 0, written: std::time::Instant::now() }
    }

    /// Where all networks were when the later of the whole sets was written. Files that cannot be read are no loss: they are
    /// written for this very training, and what they held is computed again.
    fn load(&mut self) -> Option<Vec<(State, Progress)>> {
        let read = |writer: &CheckpointWriter| writer.load(false).ok().flatten();
        let whole = |set: &Vec<CheckpointWriter>| -> Option<Vec<(State, Progress)>> {
            let all = set.iter().map(read).collect::<Option<Vec<_>>>()?;
            let step = all.first()?.0.steps;
            all.iter().all(|(state, _)| state.steps == step).then_some(all)
        };
        let [first, second] = [whole(&self.sets[0]), whole(&self.sets[1])];
        let steps = |found: &Option<Vec<(State, Progress)>>| found.as_ref()?.first().map(|(state, _)| state.steps);
        let later = usize::from(steps(&second) > steps(&first));
        self.next = 1 - later;
        if later == 1 { second } else { first }
    }

    /// Writes a checkpoint if the last one is old enough, or if the training was asked to stop, which it then does.
    fn keep(&mut self, trainer: &Together<'_>) -> Result<()> {
        let stops = self.to.stop.is_some_and(|stop| stop.load(std::sync::atomic::Ordering::SeqCst));
        if !stops && self.written.elapsed() < self.to.every {
            return Ok(());
        }
        let written = self.write(trainer);
        self.written = std::time::Instant::now();
        if stops {
            written?;
            return Err(NetworkError::Stopped { step: trainer.updates });
        }
        // One that cannot be written is no reason to end: it is only needed if something else goes wrong.
        Ok(())
    }

    fn write(&mut self, trainer: &Together<'_>) -> Result<()> {
        let states = trainer.states()?;
        let set = self.sets.get(self.next).map_or(&[][..], Vec::as_slice);
        for ((writer, state), network) in set.iter().zip(&states).zip(&trainer.networks) {
            writer.save(state, &network.progress)?;
        }
        self.next = 1 - self.next;
        Ok(())
    }
}

/// `checkpoint.safetensors` of one network and set: `checkpoint.3.0.safetensors`.
fn path(of_all: &std::path::Path, at: usize, set: usize) -> PathBuf {
    let extension = of_all.extension().map(|extension| extension.to_string_lossy().into_owned());
    of_all.with_extension(format!("{at}.{set}.{}", extension.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dtype;
    use executor::weights::Weights;
    use model::Repred;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    const SEED: &str = include_str!("../../../../data/seed_pgn.py");
    const SEEDS: [u64; 3] = [3, 11, 4];

    fn changed(from: &str, to: &str) -> String {
        assert!(SEED.contains(from));
        SEED.replace(from, to)
    }

    fn processor(source: &str) -> Processor {
        let compiled = program::compile(source, &program::Options { hidden: 8, ..program::Options::default() });
        compiled.processor.unwrap_or_else(|| panic!("{}", program::render(source, "", &compiled.diagnostics, false)))
    }

    fn cpu() -> Device {
        crate::init(&crate::DeviceArg::Cpu, 1).expect("the CPU is there")
    }

    fn config(algorithm: &str) -> TrainConfig {
        TrainConfig {
            algorithm: algorithm.to_owned(),
            hidden: 8,
            lengths: vec![4, 6],
            batch_size: 4,
            steps: 6,
            learning_rate: 1e-2,
            grad_clip: 1.0,
            seed: 0,
            hint_teacher_forcing: 0.5,
            hint_repred_mode: Repred::Soft,
            nb_msg_passing_steps: 1,
            val_length: 5,
            val_samples: 6,
            val_every: 3,
            dtype: Dtype::F64,
        }
    }

    fn alone(processor: &Processor, cfg: &TrainConfig, seed: u64) -> Trained {
        let cfg = TrainConfig { seed, ..cfg.clone() };
        crate::train(processor, &cfg, cpu(), None, &mut |_| {}).expect("trains")
    }

    fn agree(ours: &Weights, theirs: &Weights, tolerance: f64) {
        assert_eq!(ours.arrays.keys().collect::<Vec<_>>(), theirs.arrays.keys().collect::<Vec<_>>());
        for (name, array) in &ours.arrays {
            let other = &theirs.arrays[name];
            assert_eq!(array.shape, other.shape);
            let far = |(x, y): (&f64, &f64)| (x - y).abs() > tolerance * (1.0 + y.abs());
            assert!(!array.data.iter().zip(&other.data).any(far), "{name} differs");
        }
    }

    fn each_is_what_it_is_alone(source: &str, cfg: &TrainConfig, backend: Backend) {
        let processor = processor(source);
        let algorithm = data::find(&cfg.algorithm).expect("exists");
        let model = Model::new(&processor, &data::spec(algorithm), cfg.nb_msg_passing_steps).expect("builds");
        let trainer = Together::new(&model, cfg, &SEEDS, settings(cfg, cpu(), backend)).expect("compiles");
        let mut points = [0; 3];
        let all = trainer.run(None, &mut |at, _| points[at] += 1).expect("runs");
        assert_eq!(points, [cfg.steps; 3]);
        for (ours, seed) in all.into_iter().zip(SEEDS) {
            let (ours, theirs) = (ours.expect("trains"), alone(&processor, cfg, seed));
            agree(&ours.weights, &theirs.weights, 1e-8);
            assert_eq!(ours.best_val_acc, theirs.best_val_acc);
            for (x, y) in ours.curve.iter().zip(&theirs.curve) {
                assert_eq!((x.step, x.val_acc), (y.step, y.val_acc));
                assert!((x.loss - y.loss).abs() < 1e-9 * y.loss.abs(), "{x:?} and {y:?}");
            }
            assert_eq!(ours.curve.len(), theirs.curve.len());
        }
    }

    #[test]
    fn networks_side_by_side_come_to_what_they_come_to_alone() {
        let line = "tri_msgs = self.o3(triplets.amax(dim=1))";
        let noisy = changed(
            line,
            "tri_msgs = self.o3((F.dropout(triplets, 0.3, self.training) * F.dropout(torch.ones(8), 0.3, self.training)).amax(dim=1))",
        );
        let triplets = "        triplets = nodes + edges + graph\n";
        let mixing =
            changed(triplets, &format!("{triplets}        triplets = triplets - triplets.mean(dim=0, keepdim=True)\n"));
        each_is_what_it_is_alone(SEED, &config("dfs"), Backend::Auto);
        each_is_what_it_is_alone(&noisy, &config("bellman_ford"), Backend::Auto);
        each_is_what_it_is_alone(&mixing, &config("insertion_sort"), Backend::Auto);
        let hard = TrainConfig { hint_repred_mode: Repred::Hard, nb_msg_passing_steps: 2, ..config("bfs") };
        each_is_what_it_is_alone(SEED, &hard, Backend::Auto);
    }

    #[test]
    fn a_gpus_way_of_working_comes_to_the_same() {
        each_is_what_it_is_alone(SEED, &config("dfs"), Backend::Replay);
        each_is_what_it_is_alone(SEED, &config("quickselect"), Backend::Plain);
    }

    #[test]
    fn formats_round_as_they_do_alone() {
        for (dtype, tolerance) in [(Dtype::F32, 1e-3), (Dtype::Bf16, 0.05)] {
            let cfg = TrainConfig { dtype, ..config("dfs") };
            let processor = processor(SEED);
            let all = train_together(&processor, &cfg, &SEEDS, cpu(), None, &mut |_, _| {}).expect("runs");
            for (ours, seed) in all.into_iter().zip(SEEDS) {
                let (ours, theirs) = (ours.expect("trains"), alone(&processor, &cfg, seed));
                for (x, y) in ours.curve.iter().zip(&theirs.curve) {
                    assert!((x.loss - y.loss).abs() < tolerance * y.loss.abs(), "{dtype:?}: {x:?} and {y:?}");
                }
                // The first loss comes before any update: sums alone differ.
                let first = |trained: &Trained| trained.curve[0].loss;
                assert!((first(&ours) - first(&theirs)).abs() < 1e-5 * first(&theirs), "{dtype:?}");
            }
        }
    }

    #[test]
    fn one_that_diverges_leaves_the_others_alone() {
        let processor = processor(SEED);
        let cfg = config("dfs");
        let model = Model::new(&processor, &data::spec(data::find("dfs").expect("exists")), 1).expect("builds");
        let trainer = Together::new(&model, &cfg, &SEEDS, settings(&cfg, cpu(), Backend::Auto)).expect("compiles");
        let places = trainer.parameters.places(3);
        let first = i64::try_from(places[places.len() / 3]).expect("fits");
        let _ = trainer.parameters.flat.narrow(0, first, 1).fill_(f64::NAN);
        let mut all = trainer.run(None, &mut |_, _| {}).expect("runs");
        let error = all.remove(1).expect_err("it cannot be trained");
        assert!(matches!(error, NetworkError::Diverged { step: 1, .. }), "{error}");
        for (ours, seed) in all.into_iter().zip([SEEDS[0], SEEDS[2]]) {
            agree(&ours.expect("trains").weights, &alone(&processor, &cfg, seed).weights, 1e-8);
        }
    }

    static STOP: AtomicBool = AtomicBool::new(false);

    #[test]
    fn a_stopped_training_goes_on_and_comes_to_the_same_to_the_bit() {
        let processor = processor(SEED);
        let cfg = TrainConfig { dtype: Dtype::F32, ..config("dfs") };
        let whole = train_together(&processor, &cfg, &SEEDS, cpu(), None, &mut |_, _| {}).expect("runs");
        let folder = tempfile::tempdir().expect("a folder");
        let to = Checkpoints {
            path: folder.path().join("checkpoint.safetensors"),
            every: Duration::ZERO,
            code: "this".to_owned(),
            stop: Some(&STOP),
        };
        let mut stop = |at: usize, point: &CurvePoint| {
            if (at, point.step) == (2, 4) {
                STOP.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        };
        let stopped = train_together(&processor, &cfg, &SEEDS, cpu(), Some(&to), &mut stop).expect_err("stops");
        assert!(matches!(stopped, NetworkError::Stopped { step: 4 }), "{stopped}");
        STOP.store(false, std::sync::atomic::Ordering::SeqCst);
        // A set that was half written is not taken: the one before is.
        std::fs::write(folder.path().join("checkpoint.1.0.safetensors"), b"torn").expect("written");
        let mut seen = Vec::new();
        let rest = train_together(&processor, &cfg, &SEEDS, cpu(), Some(&to), &mut |at, point| {
            if at == 0 {
                seen.push(point.step);
            }
        })
        .expect("goes on");
        assert_eq!(seen, [4, 5, 6]);
        for (one, other) in whole.into_iter().zip(rest) {
            let (one, other) = (one.expect("trains"), other.expect("trains"));
            assert_eq!((one.weights, one.curve), (other.weights, other.curve));
        }
    }

    #[test]
    fn running_statistics_are_left_to_trainings_alone() {
        let source = include_str!("../../../../tests/fixtures/programs/further/batch_norm.py");
        let processor = processor(source);
        assert!(!can_train_together(&processor));
        let error = train_together(&processor, &config("dfs"), &SEEDS, cpu(), None, &mut |_, _| {});
        let error = error.expect_err("these are of one network").to_string();
        assert!(error.contains("running statistics"), "{error}");
        let cfg = TrainConfig { steps: 1, ..config("dfs") };
        let one = train_together(&processor, &cfg, &SEEDS[..1], cpu(), None, &mut |_, _| {}).expect("runs");
        assert_eq!(one.len(), 1);
    }
}
