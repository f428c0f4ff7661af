//! What a training step is given beside the data: true hints for some samples, noise, and how much each loss weighs.
//!
//! Losses are means over what counts in a batch, so they are weighted with what they are divided by. Neither depends on
//! predictions: weights are data. A part of a batch takes the divisors of the whole, so that parts add up to it.

use clrs::{SpecEntry, Type};
use graph::noise;
use tch::{Kind, Tensor};

use executor::tensor::{from_f64, item, size};

use crate::Device;
use crate::batch::Encoded;
use crate::error::Result;
use model::{Model, counts_differ, is_distribution};

/// Guards a mean over nothing, which is 0.
const LEAST_DIVISOR: f64 = 1e-12;

/// What a batch's training step is given besides.
#[derive(Debug)]
pub(crate) struct Supervision {
    /// For each step, the samples that are given the true hint there; absent: none.
    pub forced: Vec<Option<Vec<bool>>>,
    /// For each output that is a permutation, [S, B, N, N].
    pub noise: Vec<Option<Tensor>>,
    /// What the processor's own noise follows from; absent where it has none.
    pub keys: Option<Keys>,
}

/// Keys of noise, for each step and each application of the processor: see [`graph::noise`].
#[derive(Debug)]
pub(crate) struct Keys {
    /// Keys of samples, [S, P, B, 3].
    pub samples: Tensor,
    /// Keys of the whole batch, [S, P, 3].
    pub batch: Tensor,
}

impl Keys {
    /// The keys of one step of a training. They follow from its seed, from the numbers of step, time step and application, and from
    /// the sample's place in the batch.
    pub fn new(seed: u64, step: usize, batch: &Encoded, applications: usize) -> Result<Self> {
        let (steps, (samples, _)) = (batch.network_steps(), batch.sizes);
        let of = |parts: &[usize]| -> [f64; noise::LIMBS] {
            let parts: Vec<u64> = std::iter::once(seed).chain(parts.iter().map(|&part| part as u64)).collect();
            noise::limbs(noise::key(&parts))
        };
        let (mut each, mut whole) = (Vec::new(), Vec::new());
        for (time, application) in (0..steps).flat_map(|time| (0..applications).map(move |at| (time, at))) {
            whole.extend(of(&[step, time, application]));
            (0..batch.lengths.len()).for_each(|sample| each.extend(of(&[step, time, application, sample])));
        }
        let (kind, device) = batch.options()?;
        let (steps, applications, limbs) = (size(steps)?, size(applications)?, size(noise::LIMBS)?);
        Ok(Self {
            samples: from_f64(&each, &[steps, applications, samples, limbs], kind, device)?,
            batch: from_f64(&whole, &[steps, applications, limbs], kind, device)?,
        })
    }

    fn part(&self, index: &Tensor) -> Result<Self> {
        let index = index.f_to(self.samples.device())?;
        Ok(Self { samples: self.samples.f_index_select(2, &index)?, batch: self.batch.shallow_clone() })
    }

    /// Rows of one application for the first `steps` steps: of samples [S, B, 3], and of the batch [S, 3].
    pub fn rows(&self, application: usize, steps: usize) -> Result<[Tensor; 2]> {
        let rows = |keys: &Tensor| -> Result<Tensor> {
            Ok(keys.f_narrow(0, 0, size(steps)?)?.f_select(1, size(application)?)?.f_contiguous()?)
        };
        Ok([rows(&self.samples)?, rows(&self.batch)?])
    }
}

impl Supervision {
    /// The part for some of the samples.
    pub fn part(&self, samples: &[usize]) -> Result<Self> {
        let chosen = |forced: &Vec<bool>| samples.iter().map(|&at| forced.get(at).copied().unwrap_or(false)).collect();
        let index: Vec<i64> = samples.iter().map(|&at| size(at)).collect::<executor::Result<_>>()?;
        let noise = |noise: &Option<Tensor>| -> Result<Option<Tensor>> {
            let Some(noise) = noise else { return Ok(None) };
            Ok(Some(noise.f_index_select(1, &Tensor::f_from_slice(&index)?.f_to(noise.device())?)?))
        };
        Ok(Self {
            forced: self.forced.iter().map(|forced| forced.as_ref().map(chosen)).collect(),
            noise: self.noise.iter().map(noise).collect::<Result<_>>()?,
            keys: self.keys.as_ref().map(|keys| keys.part(&Tensor::f_from_slice(&index)?)).transpose()?,
        })
    }
}

/// How much counts towards each loss of a batch, in the order of the model's ports.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Divisors {
    pub hints: Vec<f64>,
    pub outputs: Vec<f64>,
}

impl Divisors {
    pub fn new(model: &Model, batch: &Encoded) -> Result<Self> {
        let alive = alive(batch)?;
        let hints = model.hints.iter().zip(&batch.hints);
        let hints = hints.map(|(port, truth)| {
            let truth = predicted(truth)?;
            let counts = hint_counts(&port.entry, &truth, &alive)?;
            // One division over time, batch and nodes, not a mean of means.
            let losses: i64 = loss_sizes(&port.entry, &truth).iter().product();
            let each = losses as f64 / counts.numel().max(1) as f64;
            Ok(item(&counts.f_sum(Some(Kind::Double))?)? * each)
        });
        let outputs = model.outputs.iter().zip(&batch.outputs);
        let outputs = outputs.map(|(port, truth)| output_divisor(&port.entry, truth));
        Ok(Self { hints: hints.collect::<Result<_>>()?, outputs: outputs.collect::<Result<_>>()? })
    }
}

/// Rows of the hints that steps predict, [S, B, ...]: hint i + 1 at step i. A single hint is predicted by no step; zeros
/// stand for its successor.
pub(crate) fn predicted(truth: &Tensor) -> Result<Tensor> {
    match truth.size().first() {
        Some(&rows) if rows > 1 => Ok(truth.f_narrow(0, 1, rows - 1)?),
        _ => Ok(truth.f_zeros_like()?),
    }
}

/// Weights of a hint's losses at all steps: 1 over the divisor for those that count, else 0.
pub(crate) fn hint_weights(entry: &SpecEntry, truth: &Tensor, alive: &Tensor, divisor: f64) -> Result<Tensor> {
    let counts = hint_counts(entry, &predicted(truth)?, alive)?;
    Ok(counts.f_mul_scalar(1.0 / divisor.max(LEAST_DIVISOR))?)
}

/// Weights of an output's losses, for the step that they are taken at.
pub(crate) fn output_weights(entry: &SpecEntry, truth: &Tensor, divisor: f64) -> Result<Tensor> {
    let kind = truth.f_kind()?;
    let counts = if counts_differ(entry) {
        truth.f_ne(-1.0)?.f_to_kind(kind)?
    } else {
        let mut shape = loss_sizes(entry, truth);
        shape.iter_mut().skip(1).for_each(|size| *size = 1);
        Tensor::f_ones(&shape, (kind, truth.device()))?
    };
    Ok(counts.f_mul_scalar(1.0 / divisor)?)
}

/// 1 where step i of a sample predicts a hint that the sample has, [S, B].
pub(crate) fn alive(batch: &Encoded) -> Result<Tensor> {
    let row = |step: usize| batch.lengths.iter().map(move |&length| length > step + 1);
    rows(batch, (0..batch.network_steps()).flat_map(row))
}

/// 1 where a step's outputs are those of a sample, [S, B].
pub(crate) fn held(batch: &Encoded) -> Result<Tensor> {
    let held = batch.held_steps();
    let row = |step: usize| held.iter().map(move |&held| held == step);
    rows(batch, (0..batch.network_steps()).flat_map(row))
}

/// 1 where the step after is given a sample's true hint, [S, B]; the last step has none after it.
pub(crate) fn forced(batch: &Encoded, supervision: &Supervision) -> Result<Tensor> {
    let steps = batch.network_steps();
    let samples = batch.lengths.len();
    let flag = |step: usize, sample: usize| {
        let next = supervision.forced.get(step + 1).filter(|_| step + 1 < steps);
        next.and_then(Option::as_ref).and_then(|row| row.get(sample)).copied().unwrap_or(false)
    };
    rows(batch, (0..steps).flat_map(|step| (0..samples).map(move |sample| flag(step, sample))))
}

/// Flags as numbers, [S, B].
fn rows(batch: &Encoded, flags: impl Iterator<Item = bool>) -> Result<Tensor> {
    let data: Vec<f64> = flags.map(|flag| f64::from(u8::from(flag))).collect();
    let (kind, device) = batch.options()?;
    Ok(from_f64(&data, &[size(batch.network_steps())?, batch.sizes.0], kind, device)?)
}

/// The sizes of a datum's losses, of which a distribution has one.
fn loss_sizes(entry: &SpecEntry, truth: &Tensor) -> Vec<i64> {
    let mut sizes = truth.size();
    if is_distribution(entry) {
        sizes.pop();
    }
    sizes
}

/// 1 for every loss of a hint that counts, else 0; one number a sample and step where all losses of a sample count alike.
fn hint_counts(entry: &SpecEntry, truth: &Tensor, alive: &Tensor) -> Result<Tensor> {
    let mut wide = alive.size();
    wide.resize(loss_sizes(entry, truth).len(), 1);
    let alive = alive.f_view(wide.as_slice())?;
    if !counts_differ(entry) {
        return Ok(alive);
    }
    let counts = match entry.ty {
        Type::Mask => truth.f_ne(-1.0)?,
        _ => truth.f_eq(1.0)?.f_any_dim(-1, false)?,
    };
    Ok(counts.f_to_kind(alive.f_kind()?)?.f_mul(&alive)?)
}

/// How many decisions there are: distributions, or numbers.
fn output_divisor(entry: &SpecEntry, truth: &Tensor) -> Result<f64> {
    let sum = |condition: Tensor| -> Result<f64> { Ok(item(&condition.f_sum(Some(Kind::Double))?)?) };
    match entry.ty {
        Type::Mask => sum(truth.f_ne(-1.0)?),
        // the number of ones, not of rows
        Type::MaskOne | Type::Categorical => sum(truth.f_eq(1.0)?),
        Type::Scalar | Type::Pointer | Type::PermutationPointer | Type::ShouldBePermutation => {
            Ok(loss_sizes(entry, truth).iter().product::<i64>() as f64)
        }
    }
}

impl Encoded {
    /// The number format and the device of its tensors.
    pub fn options(&self) -> Result<(Kind, Device)> {
        let any = self.inputs.iter().chain(&self.hints).chain(&self.outputs).next();
        let any = any.ok_or_else(|| executor::Error::Inconsistent("a batch without data".to_owned()))?;
        Ok((any.f_kind()?, Device(any.device())))
    }
}
