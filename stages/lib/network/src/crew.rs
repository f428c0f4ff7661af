//! A batch in parts, side by side on several threads.
//!
//! Where the samples of a batch do not see each other ([`graph::passes::independent`]), it can be cut. Every operation of a
//! part runs on one thread, so that cores never wait for each other within an operation, and less memory is in use at a
//! time. A part also stops at the last step of its own longest sample: samples of
//! similar length go together. Losses are divided by what counts in the whole batch, so that gradients of parts add up.
//!
//! How a batch is cut depends on the graph and on sizes, never on the number of threads, and what comes from the parts is
//! put together in their order: results are the same with any number of threads.

use std::sync::Mutex;
use std::thread;

use graph::Largest;
use tch::{Kind, Tensor};

use crate::Device;
use crate::batch::Encoded;
use crate::error::{NetworkError, Result};
use crate::feedback::Repred;
use crate::loss::{divisors, losses};
use crate::model::Model;
use crate::parameters::Parameters;
use crate::rollout::{Mode, Roller};
use crate::tensor::{item, size};

/// Bytes that the largest tensor of a part should come to, at the most. Smaller parts would fit the caches of cores better,
/// but what every operation costs by itself, whatever its size, is paid once for each part: half as large, and twice as
/// many, they take longer.
const PART: i64 = 4 << 20;

/// A model and those who run it.
pub(crate) struct Crew<'m> {
    pub model: &'m Model,
    /// One for each thread; the first is there always.
    rollers: Vec<Roller<'m>>,
    /// Where batches may be cut: bytes of the largest value that every step makes, in float32.
    cuts: Option<Largest>,
    device: Device,
}

/// What a training step is given beside its batch.
pub(crate) struct Lesson<'a> {
    pub repred: Repred,
    /// For each step, the samples that are given the true hint; absent: none.
    pub forced: &'a [Option<Vec<bool>>],
    /// For each output that is a permutation, [S, B, N, N].
    pub noise: &'a [Option<Tensor>],
}

/// One part of a training step, with its own handles on the parameters.
struct Part {
    batch: Encoded,
    forced: Vec<Option<Vec<bool>>>,
    noise: Vec<Option<Tensor>>,
    parameters: Parameters,
}

impl<'m> Crew<'m> {
    /// `passes`: whether to rewrite the graph first.
    pub fn new(model: &'m Model, passes: bool, kind: Kind, device: Device) -> Self {
        let roller = Roller::new(model, passes, kind, device);
        let cuts = (!device.is_cuda() && roller.is_independent()).then(|| roller.largest());
        Self { model, rollers: vec![roller], cuts, device }
    }

    /// The loss of a batch, and its gradient laid out as the parameters are.
    pub fn gradient(&mut self, parameters: &Parameters, batch: &Encoded, lesson: &Lesson<'_>) -> Result<(f64, Tensor)> {
        let parts = self.cut(batch);
        self.gradient_of_parts(parameters, batch, lesson, &parts)
    }

    /// As [`Crew::gradient`], in given parts.
    pub fn gradient_of_parts(
        &mut self,
        parameters: &Parameters,
        batch: &Encoded,
        lesson: &Lesson<'_>,
        parts: &[Vec<usize>],
    ) -> Result<(f64, Tensor)> {
        if parts.len() <= 1 {
            let roller = self.first()?;
            return learn(roller, parameters, batch, lesson.repred, lesson.forced, lesson.noise, None);
        }
        let divisors = divisors(self.model, batch)?;
        let jobs = parts.iter().map(|samples| Part::new(parameters, batch, lesson, samples));
        let jobs = jobs.collect::<Result<Vec<_>>>()?;
        let repred = lesson.repred;
        let found = self.each(jobs, |roller, part| {
            let Part { batch, forced, noise, parameters } = part;
            learn(roller, &parameters, &batch, repred, &forced, &noise, Some(&divisors))
        })?;
        let _guard = tch::no_grad_guard();
        let mut found = found.into_iter();
        let (mut loss, mut gradient) = found.next().ok_or_else(nothing)?;
        for (other, more) in found {
            loss += other;
            gradient = gradient.f_add_(&more)?;
        }
        Ok((loss, gradient))
    }

    /// Raw outputs of a batch, predicted.
    pub fn predict(&mut self, parameters: &Parameters, batch: &Encoded, repred: Repred) -> Result<Vec<Tensor>> {
        let parts = self.cut(batch);
        self.predict_parts(parameters, batch, repred, &parts)
    }

    /// As [`Crew::predict`], in given parts.
    pub fn predict_parts(
        &mut self,
        parameters: &Parameters,
        batch: &Encoded,
        repred: Repred,
        parts: &[Vec<usize>],
    ) -> Result<Vec<Tensor>> {
        let _guard = tch::no_grad_guard();
        if parts.len() <= 1 {
            return Ok(self.first()?.run(parameters, batch, &Mode::evaluation(repred))?.outputs);
        }
        let jobs = parts.iter().map(|samples| Ok((batch.part(samples)?, parameters.share()?)));
        let jobs = jobs.collect::<Result<Vec<_>>>()?;
        let found = self.each(jobs, |roller, (batch, parameters)| {
            let _guard = tch::no_grad_guard();
            Ok(roller.run(&parameters, &batch, &Mode::evaluation(repred))?.outputs)
        })?;
        // back to the order of the batch
        let order: Vec<usize> = parts.iter().flatten().copied().collect();
        let mut place = vec![0; order.len()];
        for (now, &before) in order.iter().enumerate() {
            *place.get_mut(before).ok_or_else(nothing)? = size(now)?;
        }
        let place = Tensor::f_from_slice(&place)?.f_to(self.device.0)?;
        let outputs = self.model.outputs.len();
        let whole = |at: usize| -> Result<Tensor> {
            let parts: Vec<&Tensor> = found.iter().filter_map(|part| part.get(at)).collect();
            Ok(Tensor::f_cat(&parts, 0)?.f_index_select(0, &place)?)
        };
        (0..outputs).map(whole).collect()
    }

    /// Multiply-accumulates of matrix products for a sample of `nodes` nodes: once, and at each step.
    pub fn macs(&self, nodes: usize) -> (f64, f64) {
        let macs = self.rollers.first().and_then(|roller| roller.macs(1, i64::try_from(nodes).ok()?));
        macs.unwrap_or((f64::NAN, f64::NAN))
    }

    /// Which samples go together, the longest first. One part: the batch is left whole.
    fn cut(&self, batch: &Encoded) -> Vec<Vec<usize>> {
        let (samples, n) = (batch.lengths.len(), batch.sizes.1);
        let whole = || vec![(0..samples).collect()];
        let Some(bytes) = self.cuts.as_ref().and_then(|largest| largest.eval(1, n)) else { return whole() };
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

    fn first(&mut self) -> Result<&mut Roller<'m>> {
        self.rollers.first_mut().ok_or_else(nothing)
    }

    /// Does all jobs, each on one thread, and answers in their order.
    fn each<T: Send, R: Send>(
        &mut self,
        jobs: Vec<T>,
        work: impl Fn(&mut Roller<'m>, T) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).clamp(1, jobs.len().max(1));
        while let Some(first) = self.rollers.first().filter(|_| self.rollers.len() < threads) {
            let roller = first.fork();
            self.rollers.push(roller);
        }
        let mut answers: Vec<Option<Result<R>>> = jobs.iter().map(|_| None).collect();
        {
            let _alone = OneThread::each();
            let queue = Mutex::new(jobs.into_iter().zip(&mut answers));
            let run = |roller: &mut Roller<'m>| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.next());
                    let Some((job, answer)) = next else { return };
                    *answer = Some(work(roller, job));
                }
            };
            thread::scope(|scope| {
                let mut rollers = self.rollers.iter_mut().take(threads);
                let mine = rollers.next();
                for roller in rollers {
                    scope.spawn(|| {
                        let _alone = OneThread::each();
                        run(roller);
                    });
                }
                mine.into_iter().for_each(&run);
            });
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(nothing()))).collect()
    }
}

impl Part {
    fn new(parameters: &Parameters, batch: &Encoded, lesson: &Lesson<'_>, samples: &[usize]) -> Result<Self> {
        let chosen = |forced: &Vec<bool>| samples.iter().map(|&at| forced.get(at).copied().unwrap_or(false)).collect();
        let index: Vec<i64> = samples.iter().map(|&at| size(at)).collect::<Result<_>>()?;
        let noise = |noise: &Option<Tensor>| -> Result<Option<Tensor>> {
            let Some(noise) = noise else { return Ok(None) };
            Ok(Some(noise.f_index_select(1, &Tensor::f_from_slice(&index)?.f_to(noise.device())?)?))
        };
        Ok(Self {
            batch: batch.part(samples)?,
            forced: lesson.forced.iter().map(|forced| forced.as_ref().map(chosen)).collect(),
            noise: lesson.noise.iter().map(noise).collect::<Result<_>>()?,
            parameters: parameters.share()?,
        })
    }
}

/// Loss and gradient of a batch, or of a part where the whole's divisors are given.
fn learn(
    roller: &mut Roller<'_>,
    parameters: &Parameters,
    batch: &Encoded,
    repred: Repred,
    forced: &[Option<Vec<bool>>],
    noise: &[Option<Tensor>],
    divisors: Option<&[f64]>,
) -> Result<(f64, Tensor)> {
    let forced = |step: usize| forced.get(step).cloned().flatten();
    let mode =
        Mode { training: true, repred, forced: Some(&forced), noise: Some(noise), keep_hints: true, debug_steps: 0 };
    let rolled = roller.run(parameters, batch, &mode)?;
    let losses = losses(roller.model, batch, &rolled.outputs, &rolled.hints, divisors)?;
    let loss = item(&losses.total)?;
    Ok((loss, parameters.gradient(&losses.total)?))
}

fn nothing() -> NetworkError {
    NetworkError::Inconsistent("a part of a batch was left undone".to_owned())
}

/// While it lives, libtorch computes each operation of the thread that made it on that thread. MKL's setting is one of each
/// thread: a new one would start with all cores, and round otherwise.
struct OneThread {
    before: i32,
}

impl OneThread {
    fn each() -> Self {
        let before = tch::get_num_threads();
        tch::set_num_threads(1);
        Self { before }
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        tch::set_num_threads(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Hints;
    use crate::tensor::to_f64;
    use crate::{Dtype, data};

    /// Samples of different lengths, in and out of order.
    const PARTS: [&[usize]; 4] = [&[5, 0], &[3], &[1, 4], &[2]];

    #[test]
    fn parts_add_up_and_the_number_of_threads_does_not_matter() {
        let device = crate::init(&crate::DeviceArg::Cpu, 1).expect("the CPU is there");
        let source = include_str!("../../../../data/seed_pgn.py");
        let options = program::Options { hidden: 16, ..program::Options::default() };
        let processor = program::compile(source, &options).processor.expect("is valid");
        let algorithm = data::find("bellman_ford").expect("exists");
        let model = Model::new(&processor, &data::spec(algorithm), 1).expect("builds");
        let parameters = Parameters::init(&model.graph, 1, Dtype::F64, device).expect("draws");
        let batch = data::training(algorithm, &[7], 6, 3).expect("samples").next().expect("samples");
        let encoded = Encoded::new(&model, &batch, Hints::All, Kind::Double, device).expect("fits");
        let mut crew = Crew::new(&model, true, Kind::Double, device);
        assert!(crew.cuts.is_some());
        let forced = vec![Some(vec![true, false, true, false, false, true]); encoded.network_steps()];
        let lesson = Lesson { repred: Repred::Soft, forced: &forced, noise: &[] };
        let (whole, gradient) =
            crew.gradient_of_parts(&parameters, &encoded, &lesson, &[(0..6).collect()]).expect("runs");
        let gradient = to_f64(&gradient).expect("reads");
        let parts = PARTS.map(<[usize]>::to_vec);
        let mut first: Option<Vec<f64>> = None;
        // several times, for which thread takes which part is chance
        for threads in [1, 2, 3, 2, 3, 3, 3, 3] {
            tch::set_num_threads(threads);
            let (loss, ours) = crew.gradient_of_parts(&parameters, &encoded, &lesson, &parts).expect("runs");
            assert!((loss - whole).abs() < 1e-12 * whole, "{loss} and {whole}");
            let ours = to_f64(&ours).expect("reads");
            assert!(ours.iter().zip(&gradient).all(|(x, y)| (x - y).abs() < 1e-10 * (1.0 + y.abs())));
            // ten thousand numbers: too many to print
            assert!(ours == *first.get_or_insert_with(|| ours.clone()), "{threads} threads");
        }
        tch::set_num_threads(1);
    }
}
