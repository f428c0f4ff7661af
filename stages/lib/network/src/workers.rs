//! A batch in parts, side by side on several threads.
//!
//! Where the samples of a batch do not see each other ([`graph::passes::independent`]), it can be cut. Every operation of a
//! part runs on one thread, so that cores never wait for each other within an operation, and less memory is in use at a
//! time. A part also stops at the last step of its own longest sample: samples of similar length go together. Losses are
//! divided by what counts in the whole batch, so that gradients of parts add up.
//!
//! Results are the same, bit for bit, with any number of threads. How a batch is cut depends on the graph and on sizes
//! alone. Parts are dealt to a fixed number of groups, each of which adds up its gradient in the order of its parts, and the
//! groups' gradients are added up in their order. Even a batch in one part is computed by one thread, because libtorch's own
//! threads would share its sums out otherwise.

use std::sync::Mutex;
use std::thread;

use executor::tensor::size;
use executor::{Backend, Engine, Parameters, Recurrence};
use graph::Largest;
use tch::Tensor;

use crate::batch::Encoded;
use crate::error::{NetworkError, Result};
use crate::supervision::{Divisors, Supervision};
use crate::threads::OneThread;
use crate::unroll;
use crate::{Device, Dtype};
use model::{Model, Repred, Steps, TrainConfig};

/// Bytes that the largest tensor of a part should come to, at the most: a few such tensors fit the second-level cache. What
/// every kernel costs by itself, whatever its size, is paid once for each part, so that still smaller parts take longer.
const PART: i64 = 2 << 20;
/// Groups of parts, at the most. Each has a gradient of its own, and no more threads than groups can work.
const GROUPS: usize = 8;

/// How a model is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub repred: Repred,
    /// Whether training may give some samples true hints.
    pub forcing: bool,
    /// Whether to rewrite the graph first.
    pub passes: bool,
    pub dtype: Dtype,
    pub device: Device,
    pub backend: Backend,
}

impl Settings {
    /// How a training runs its model.
    pub fn training(cfg: &TrainConfig, device: Device) -> Self {
        let (repred, forcing) = (cfg.hint_repred_mode, cfg.hint_teacher_forcing > 0.0);
        Self { repred, forcing, passes: true, dtype: cfg.dtype, device, backend: Backend::Auto }
    }
}

/// A model and the engines that run it.
pub(crate) struct Workers<'m> {
    pub model: &'m Model,
    settings: Settings,
    evaluation: Compiled,
    /// Compiled when it is first needed.
    training: Option<Compiled>,
    /// Where batches may be cut: bytes of the largest value that every step makes, in float32.
    cuts: Option<Largest>,
    /// The same in training, where that computes something else.
    training_cuts: Option<Largest>,
}

/// A compiled network, and an engine for each thread; the first is there always.
struct Compiled {
    steps: Steps,
    engines: Vec<Engine>,
}

/// What a batch teaches.
#[derive(Debug)]
pub(crate) struct Learned {
    /// By datum: hints, then outputs.
    pub losses: Vec<f64>,
    /// The gradient of the sum of the losses, laid out as the parameters are.
    pub gradient: Tensor,
    /// For each time step, what running statistics are moved towards.
    pub statistics: Vec<Vec<Tensor>>,
}

impl Learned {
    pub fn loss(&self) -> f64 {
        self.losses.iter().sum()
    }
}

/// One part of a training step.
struct Part {
    batch: Encoded,
    supervision: Supervision,
}

impl<'m> Workers<'m> {
    pub fn new(model: &'m Model, settings: Settings) -> Result<Self> {
        let evaluation = Compiled::new(Steps::evaluation(model, settings.repred)?, false, settings)?;
        let cuts = cuts(evaluation.first()?, settings);
        Ok(Self { model, settings, evaluation, training: None, cuts, training_cuts: None })
    }

    /// The losses of a batch, and their gradient.
    pub fn gradient(&mut self, parameters: &Parameters, batch: &Encoded, supervision: &Supervision) -> Result<Learned> {
        let cuts = if self.model.has_modes() {
            self.training()?;
            self.training_cuts.as_ref()
        } else {
            self.cuts.as_ref()
        };
        let parts = cut(cuts, batch);
        self.gradient_of_parts(parameters, batch, supervision, &parts)
    }

    /// As [`Workers::gradient`], in given parts.
    pub fn gradient_of_parts(
        &mut self,
        parameters: &Parameters,
        batch: &Encoded,
        supervision: &Supervision,
        parts: &[Vec<usize>],
    ) -> Result<Learned> {
        let model = self.model.in_training();
        let divisors = Divisors::new(model, batch)?;
        let Compiled { steps, engines } = self.training()?;
        let steps = &*steps;
        if parts.len() <= 1 {
            let _alone = OneThread::new();
            let engine = engines.first_mut().ok_or_else(nothing)?;
            let mut gradient = parameters.zeros()?;
            let taught =
                unroll::learn(engine, (model, steps), parameters, batch, supervision, &divisors, &mut gradient)?;
            return Ok(Learned { losses: taught.losses, gradient, statistics: taught.statistics });
        }
        let mut jobs = Vec::new();
        for group in groups(parts) {
            let part = |samples: &Vec<usize>| -> Result<Part> {
                Ok(Part { batch: batch.part(samples)?, supervision: supervision.part(samples)? })
            };
            jobs.push((group.iter().map(part).collect::<Result<Vec<_>>>()?, parameters.share()));
        }
        let found = each(engines, jobs, |engine, (parts, parameters)| {
            let mut gradient = parameters.zeros()?;
            let mut losses = Vec::new();
            for Part { batch, supervision } in parts {
                let more =
                    unroll::learn(engine, (model, steps), &parameters, &batch, &supervision, &divisors, &mut gradient)?;
                // Statistics are those of a whole batch, which is not cut where there are any.
                add(&mut losses, &more.losses);
            }
            Ok(Learned { losses, gradient, statistics: Vec::new() })
        })?;
        let mut found = found.into_iter();
        let mut whole = found.next().ok_or_else(nothing)?;
        for group in found {
            add(&mut whole.losses, &group.losses);
            whole.gradient = whole.gradient.f_add_(&group.gradient)?;
        }
        Ok(whole)
    }

    /// Raw outputs of a batch, predicted.
    pub fn predict(&mut self, parameters: &Parameters, batch: &Encoded) -> Result<Vec<Tensor>> {
        let parts = self.cut(batch);
        self.predict_parts(parameters, batch, &parts)
    }

    /// As [`Workers::predict`], in given parts.
    pub fn predict_parts(
        &mut self,
        parameters: &Parameters,
        batch: &Encoded,
        parts: &[Vec<usize>],
    ) -> Result<Vec<Tensor>> {
        let model = self.model;
        let engines = &mut self.evaluation.engines;
        if parts.len() <= 1 {
            let _alone = OneThread::new();
            return unroll::predict(engines.first_mut().ok_or_else(nothing)?, model, parameters, batch);
        }
        let jobs = parts.iter().map(|samples| Ok((batch.part(samples)?, parameters.share())));
        let jobs = jobs.collect::<Result<Vec<_>>>()?;
        let found =
            each(engines, jobs, |engine, (batch, parameters)| unroll::predict(engine, model, &parameters, &batch))?;
        joined(&found, parts, model.outputs.len(), self.settings.device)
    }

    /// Multiply-accumulates of matrix products for a sample of `nodes` nodes: once, and at each step whose outputs nobody
    /// keeps.
    pub fn macs(&self, nodes: usize) -> (f64, f64) {
        let recurrence = self.evaluation.first().ok().and_then(|engine| engine.recurrences().first());
        let macs = recurrence.and_then(|recurrence| recurrence.macs(1, i64::try_from(nodes).ok()?));
        macs.unwrap_or((f64::NAN, f64::NAN))
    }

    /// What went wrong without harm while the network was compiled: a pass that was left out costs time only.
    pub fn warnings(&self) -> Vec<String> {
        let compiled = [Some(&self.evaluation), self.training.as_ref()].into_iter().flatten();
        warnings(compiled.filter_map(|compiled| compiled.engines.first()))
    }

    /// Starts measuring what the first thread's training plans do.
    pub fn measure(&mut self) {
        if let Some(engine) = self.training.as_mut().and_then(|compiled| compiled.engines.first_mut()) {
            engine.measure();
        }
    }

    /// See [`Engine::measured`].
    pub fn measured(&self) -> Vec<(String, u64, u64)> {
        self.training.as_ref().and_then(|compiled| compiled.engines.first()).map_or_else(Vec::new, Engine::measured)
    }

    fn training(&mut self) -> Result<&mut Compiled> {
        let compiled = match self.training.take() {
            Some(compiled) => compiled,
            None => {
                let Settings { repred, forcing, .. } = self.settings;
                let compiled =
                    Compiled::new(Steps::training(self.model.in_training(), repred, forcing)?, true, self.settings)?;
                self.training_cuts = cuts(compiled.first()?, self.settings);
                compiled
            }
        };
        Ok(self.training.insert(compiled))
    }

    /// See [`cut`].
    fn cut(&self, batch: &Encoded) -> Vec<Vec<usize>> {
        cut(self.cuts.as_ref(), batch)
    }
}

/// Which samples go together, the longest first. One part: the batch is left whole, as where there is no size to go by.
pub(crate) fn cut(largest: Option<&Largest>, batch: &Encoded) -> Vec<Vec<usize>> {
    let (samples, n) = (batch.lengths.len(), batch.sizes.1);
    let whole = || vec![(0..samples).collect()];
    let Some(bytes) = largest.and_then(|largest| largest.eval(1, n)) else { return whole() };
    let fitting = usize::try_from(PART / bytes.max(1)).unwrap_or(1).max(1);
    // an even number of parts keeps an even number of threads busy to the end
    let count = samples.div_ceil(fitting).next_power_of_two().min(samples);
    if count <= 1 {
        return whole();
    }
    let mut order: Vec<usize> = (0..samples).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(batch.lengths.get(at).copied().unwrap_or(0)));
    order.chunks(samples.div_ceil(count)).map(<[usize]>::to_vec).collect()
}

/// The size that batches are cut by: none where samples see each other, or where the device does better without.
pub(crate) fn cuts(engine: &Engine, settings: Settings) -> Option<Largest> {
    let recurrences = engine.recurrences();
    let apart = !settings.device.is_cuda() && recurrences.iter().all(Recurrence::is_independent);
    recurrences.first().filter(|_| apart).map(Recurrence::largest)
}

/// An engine for the alternatives of a time step, for so many networks side by side.
pub(crate) fn engine(steps: &Steps, gradients: bool, networks: usize, settings: Settings) -> Result<Engine> {
    let Settings { passes, dtype, device, backend, .. } = settings;
    let options = executor::Options { passes, gradients, dtype, networks };
    Ok(Engine::new(steps.variants(), options, device, backend)?)
}

/// What went wrong without harm in some engines, each fault once.
pub(crate) fn warnings<'a>(engines: impl Iterator<Item = &'a Engine>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for engine in engines {
        let faults = engine.recurrences().iter().flat_map(|recurrence| &recurrence.faults);
        all.extend(faults.map(ToString::to_string));
        all.extend(engine.warnings());
    }
    all.sort();
    all.dedup();
    all
}

impl Compiled {
    fn new(steps: Steps, gradients: bool, settings: Settings) -> Result<Self> {
        let engines = vec![engine(&steps, gradients, 1, settings)?];
        Ok(Self { steps, engines })
    }

    fn first(&self) -> Result<&Engine> {
        self.engines.first().ok_or_else(nothing)
    }
}

/// Values of parts, each of `count` tensors, in the order of the batch.
pub(crate) fn joined(found: &[Vec<Tensor>], parts: &[Vec<usize>], count: usize, device: Device) -> Result<Vec<Tensor>> {
    let order: Vec<usize> = parts.iter().flatten().copied().collect();
    let mut place = vec![0; order.len()];
    for (now, &before) in order.iter().enumerate() {
        *place.get_mut(before).ok_or_else(nothing)? = size(now)?;
    }
    let place = Tensor::f_from_slice(&place)?.f_to(device.0)?;
    let whole = |at: usize| -> Result<Tensor> {
        let parts: Vec<&Tensor> = found.iter().filter_map(|part| part.get(at)).collect();
        Ok(Tensor::f_cat(&parts, 0)?.f_index_select(0, &place)?)
    };
    (0..count).map(whole).collect()
}

/// Does all jobs, each on one thread with an engine of its own, and answers in their order.
pub(crate) fn each<T: Send, R: Send>(
    engines: &mut Vec<Engine>,
    jobs: Vec<T>,
    work: impl Fn(&mut Engine, T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).clamp(1, jobs.len().max(1));
    while let Some(first) = engines.first().filter(|_| engines.len() < threads) {
        let engine = first.fork();
        engines.push(engine);
    }
    let mut answers: Vec<Option<Result<R>>> = jobs.iter().map(|_| None).collect();
    {
        let _alone = OneThread::new();
        let queue = Mutex::new(jobs.into_iter().zip(&mut answers));
        let run = |engine: &mut Engine| {
            loop {
                let next = queue.lock().ok().and_then(|mut queue| queue.next());
                let Some((job, answer)) = next else { return };
                *answer = Some(work(engine, job));
            }
        };
        thread::scope(|scope| {
            let mut engines = engines.iter_mut().take(threads);
            let mine = engines.next();
            for engine in engines {
                scope.spawn(|| {
                    let _alone = OneThread::new();
                    run(engine);
                });
            }
            mine.into_iter().for_each(&run);
        });
    }
    answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(nothing()))).collect()
}

/// Parts that lie side by side, as evenly as they can be dealt. Their number does not depend on the number of threads.
fn groups<T>(parts: &[T]) -> impl Iterator<Item = &[T]> {
    let count = parts.len().min(GROUPS);
    (0..count).filter_map(move |at| parts.get(parts.len() * at / count..parts.len() * (at + 1) / count))
}

fn add(sums: &mut Vec<f64>, more: &[f64]) {
    sums.resize(sums.len().max(more.len()), 0.0);
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

fn nothing() -> NetworkError {
    NetworkError::Inconsistent("a part of a batch was left undone".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Hints;
    use crate::supervision::Keys;
    use executor::tensor::{TorchKind, to_f64};
    use model::data;

    /// Samples of different lengths, in and out of order.
    const PARTS: [&[usize]; 4] = [&[5, 0], &[3], &[1, 4], &[2]];

    const SEED: &str = include_str!("../../../../data/seed_pgn.py");

    /// The seed program, changed so that samples see each other: triplets less their mean over the batch.
    fn mixing() -> String {
        let line = "        triplets = nodes + edges + graph\n";
        assert!(SEED.contains(line));
        SEED.replace(line, &format!("{line}        triplets = triplets - triplets.mean(dim=0, keepdim=True)\n"))
    }

    fn processor(source: &str) -> graph::Processor {
        let options = program::Options { hidden: 16, ..program::Options::default() };
        let compiled = program::compile(source, &options);
        compiled.processor.unwrap_or_else(|| panic!("{}", program::render(source, "", &compiled.diagnostics, false)))
    }

    fn settings(device: Device, dtype: Dtype) -> Settings {
        let (repred, backend) = (Repred::Soft, Backend::Auto);
        Settings { repred, forcing: true, passes: true, dtype, device, backend }
    }

    #[test]
    fn parts_add_up_and_the_number_of_threads_does_not_matter() {
        let device = crate::init(&crate::DeviceArg::Cpu, 1).expect("the CPU is there");
        for source in [SEED.to_owned(), noisy()] {
            parts_add_up(&source, device);
        }
        tch::set_num_threads(1);
    }

    /// The seed program, with noise of samples and of the whole batch in training.
    fn noisy() -> String {
        let line = "tri_msgs = self.o3(triplets.amax(dim=1))";
        assert!(SEED.contains(line));
        let noisy = "tri_msgs = self.o3((F.dropout(triplets, 0.3, self.training) * F.dropout(torch.ones(8), 0.3, self.training)).amax(dim=1))";
        SEED.replace(line, noisy)
    }

    fn parts_add_up(source: &str, device: Device) {
        let processor = processor(source);
        let algorithm = data::find("bellman_ford").expect("exists");
        let model = Model::new(&processor, &data::spec(algorithm), 2).expect("builds");
        let parameters = Parameters::init(&model.graph, 1, Dtype::F64, device).expect("draws");
        let batch = data::training(algorithm, &[7], 6, 3).expect("samples").next().expect("samples");
        let encoded = Encoded::new(&model, &batch, Hints::All, Dtype::F64.kind(), device).expect("fits");
        let mut workers = Workers::new(&model, settings(device, Dtype::F64)).expect("compiles");
        assert!(workers.cuts.is_some());
        let forced = vec![Some(vec![true, false, true, false, false, true]); encoded.network_steps()];
        let keys = Some(Keys::new(3, 1, &encoded, 2).expect("fits"));
        let supervision = Supervision { forced, noise: Vec::new(), keys };
        let whole = workers.gradient_of_parts(&parameters, &encoded, &supervision, &[(0..6).collect()]).expect("runs");
        let gradient = to_f64(&whole.gradient).expect("reads");
        let parts = PARTS.map(<[usize]>::to_vec);
        let mut first: Option<Vec<f64>> = None;
        // several times, for which thread takes which part is chance
        for threads in [1, 2, 3, 2, 3, 3, 3, 3] {
            tch::set_num_threads(threads);
            let ours = workers.gradient_of_parts(&parameters, &encoded, &supervision, &parts).expect("runs");
            assert!((ours.loss() - whole.loss()).abs() < 1e-12 * whole.loss(), "{ours:?} and {whole:?}");
            let ours = to_f64(&ours.gradient).expect("reads");
            assert!(ours.iter().zip(&gradient).all(|(x, y)| (x - y).abs() < 1e-10 * (1.0 + y.abs())));
            // ten thousand numbers: too many to print
            assert!(ours == *first.get_or_insert_with(|| ours.clone()), "{threads} threads");
        }
    }

    #[test]
    fn gradients_are_equal_to_the_bit_with_any_number_of_threads() {
        let device = crate::init(&crate::DeviceArg::Cpu, 1).expect("the CPU is there");
        for (source, apart) in [(SEED.to_owned(), true), (mixing(), false)] {
            let processor = processor(&source);
            let algorithm = data::find("bellman_ford").expect("exists");
            let model = Model::new(&processor, &data::spec(algorithm), 1).expect("builds");
            let parameters = Parameters::init(&model.graph, 1, Dtype::F32, device).expect("draws");
            // large enough to be cut
            let batch = data::training(algorithm, &[24], 96, 3).expect("samples").next().expect("samples");
            let encoded = Encoded::new(&model, &batch, Hints::All, Dtype::F32.kind(), device).expect("fits");
            let mut workers = Workers::new(&model, settings(device, Dtype::F32)).expect("compiles");
            assert_eq!(workers.cut(&encoded).len() > 1, apart);
            let supervision =
                Supervision { forced: vec![None; encoded.network_steps()], noise: Vec::new(), keys: None };
            let mut gradient = |threads: i32| {
                tch::set_num_threads(threads);
                let found = workers.gradient(&parameters, &encoded, &supervision).expect("runs");
                (found.losses, to_f64(&found.gradient).expect("reads"))
            };
            let one = gradient(1);
            assert!([2, 3].into_iter().all(|threads| gradient(threads) == one), "independent: {apart}");
            tch::set_num_threads(1);
        }
    }

    #[test]
    fn parts_are_dealt_evenly_and_in_order() {
        let sizes = |parts: usize| {
            let parts: Vec<usize> = (0..parts).collect();
            assert_eq!(groups(&parts).flatten().copied().collect::<Vec<_>>(), parts);
            groups(&parts).map(<[usize]>::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(0), [0; 0]);
        assert_eq!(sizes(3), [1; 3]);
        assert_eq!(sizes(16), [2; 8]);
        assert_eq!(sizes(9), [1, 1, 1, 1, 1, 1, 1, 2]);
    }
}
