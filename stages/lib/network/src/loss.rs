//! Losses of hints and outputs (dm-clrs `losses.py`), summed without weights.

use clrs::{SpecEntry, Stage, Type};
use tch::{Kind, Tensor};

use crate::batch::Encoded;
use crate::error::Result;
use crate::model::Model;
use crate::tensor::{from_f64, item, size};

/// One datum's loss.
pub(crate) struct Term {
    pub entry: SpecEntry,
    /// A number: the mean over what counts.
    pub value: Tensor,
    /// How much counted, a number.
    pub divisor: Tensor,
}

/// All terms of a batch: outputs, then hints.
pub(crate) struct Losses {
    pub terms: Vec<Term>,
    pub total: Tensor,
}

/// `outputs` are raw predictions, `hints` those of all steps, [S, B, ...]: prediction i is for hint i + 1.
///
/// `divisors`, as [`divisors`] gives them, are those of the batch that this one is a part of; absent: it is whole. Totals
/// of parts add up to the total of the whole.
pub(crate) fn losses(
    model: &Model,
    batch: &Encoded,
    outputs: &[Tensor],
    hints: &[Tensor],
    divisors: Option<&[f64]>,
) -> Result<Losses> {
    let mut terms = Vec::with_capacity(outputs.len() + hints.len());
    let given = |at: usize| divisors.and_then(|divisors| divisors.get(at)).copied();
    for ((port, truth), raw) in model.outputs.iter().zip(&batch.outputs).zip(outputs) {
        terms.push(output(&port.entry, truth, raw, given(terms.len()))?);
    }
    let alive = if hints.is_empty() { None } else { alive(batch)? };
    if let Some(alive) = alive {
        for ((port, truth), raw) in model.hints.iter().zip(&batch.hints).zip(hints) {
            let weights = hint_weights(&port.entry, truth, &alive)?;
            terms.push(hint(&port.entry, truth, raw, &weights, given(terms.len()))?);
        }
    }
    let values: Vec<&Tensor> = terms.iter().map(|term| &term.value).collect();
    let total = Tensor::f_stack(&values, 0)?.f_sum(None)?;
    Ok(Losses { terms, total })
}

/// How much counts towards each term of a batch, in the order of the terms. It does not depend on predictions.
pub(crate) fn divisors(model: &Model, batch: &Encoded) -> Result<Vec<f64>> {
    let mut found = Vec::with_capacity(batch.outputs.len() + batch.hints.len());
    for (port, truth) in model.outputs.iter().zip(&batch.outputs) {
        found.push(item(&output_divisor(&port.entry, truth)?)?);
    }
    if let Some(alive) = alive(batch)? {
        for (port, truth) in model.hints.iter().zip(&batch.hints) {
            found.push(item(&hint_divisor(&hint_weights(&port.entry, truth, &alive)?)?)?);
        }
    }
    Ok(found)
}

/// 1 where step i of a sample predicts a hint that the sample has, [S, B]; nothing where no sample has a second hint.
fn alive(batch: &Encoded) -> Result<Option<Tensor>> {
    let Some(like) = batch.hints.first().filter(|_| batch.steps > 1) else { return Ok(None) };
    let steps = batch.network_steps();
    let row = |step: usize| batch.lengths.iter().map(move |&length| f64::from(u8::from(length > step + 1)));
    let data: Vec<f64> = (0..steps).flat_map(row).collect();
    let device = crate::Device(like.device());
    Ok(Some(from_f64(&data, &[size(steps)?, batch.sizes.0], like.f_kind()?, device)?))
}

/// All hints but the first, which nothing predicts.
fn predicted(truth: &Tensor) -> Result<Tensor> {
    let steps = truth.size().first().copied().unwrap_or(1);
    Ok(truth.f_narrow(0, 1, steps - 1)?)
}

/// Sigmoid cross entropy, without overflow for large logits.
fn mask_loss(raw: &Tensor, truth: &Tensor) -> Result<Tensor> {
    let soft = raw.f_abs()?.f_neg()?.f_exp()?.f_log1p()?;
    Ok(raw.f_relu()?.f_sub(&raw.f_mul(truth)?)?.f_add(&soft)?)
}

/// `-sum(truth * log softmax(raw))` over the last axis; entries of -1 count as 0.
fn cross_entropy(raw: &Tensor, truth: &Tensor) -> Result<Tensor> {
    let log = raw.f_log_softmax(-1, None)?;
    sum_last(&log.f_mul(&truth.f_clamp_min(0.0)?)?)
}

fn sum_last(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_sum_dim_intlist([-1_i64].as_slice(), false, None)?.f_neg()?)
}

/// How many decisions there are: rows of distributions, or numbers.
fn output_divisor(entry: &SpecEntry, truth: &Tensor) -> Result<Tensor> {
    let count = |count: usize| -> Result<Tensor> {
        Ok(Tensor::f_full([0_i64; 0], size(count)?, (Kind::Double, truth.device()))?)
    };
    let sum = |condition: Tensor| -> Result<Tensor> { Ok(condition.f_sum(Some(Kind::Double))?) };
    match entry.ty {
        Type::Scalar => count(truth.numel()),
        Type::Mask => sum(truth.f_ne(-1.0)?),
        // the number of ones, not of rows
        Type::MaskOne | Type::Categorical => sum(truth.f_eq(1.0)?),
        Type::Pointer | Type::PermutationPointer | Type::ShouldBePermutation => {
            let classes = truth.size().last().copied().and_then(|last| usize::try_from(last).ok()).unwrap_or(1);
            count(truth.numel() / classes.max(1))
        }
    }
}

fn output(entry: &SpecEntry, truth: &Tensor, raw: &Tensor, divisor: Option<f64>) -> Result<Term> {
    let losses = match entry.ty {
        Type::Scalar => raw.f_sub(truth)?.f_square()?,
        Type::Mask => mask_loss(raw, truth)?.f_mul(&truth.f_ne(-1.0)?.f_to_kind(raw.f_kind()?)?)?,
        Type::PermutationPointer => sum_last(&truth.f_mul(raw)?)?,
        Type::MaskOne | Type::Categorical | Type::Pointer | Type::ShouldBePermutation => cross_entropy(raw, truth)?,
    };
    let divisor = match divisor {
        Some(divisor) => Tensor::f_full([0_i64; 0], divisor, (Kind::Double, raw.device()))?,
        None => output_divisor(entry, truth)?,
    };
    let value = losses.f_sum(None)?.f_div(&divisor.f_to_kind(raw.f_kind()?)?)?;
    Ok(Term { entry: *entry, value, divisor })
}

/// 1 for every decision about a hint that counts, else 0; in the losses' shape.
fn hint_weights(entry: &SpecEntry, truth: &Tensor, alive: &Tensor) -> Result<Tensor> {
    debug_assert_eq!(entry.stage, Stage::Hint);
    let truth = predicted(truth)?;
    let (mut shape, mut wide) = (truth.size(), alive.size());
    if !matches!(entry.ty, Type::Scalar | Type::Mask) {
        shape.pop();
    }
    wide.resize(shape.len(), 1);
    let weights = alive.f_view(wide.as_slice())?.f_expand(shape.as_slice(), false)?;
    let counts = match entry.ty {
        Type::Mask => truth.f_ne(-1.0)?,
        Type::Categorical => truth.f_eq(1.0)?.f_any_dim(-1, false)?,
        _ => return Ok(weights),
    };
    Ok(weights.f_mul(&counts.f_to_kind(alive.f_kind()?)?)?)
}

/// One division over time, batch and nodes: not a mean of means.
fn hint_divisor(weights: &Tensor) -> Result<Tensor> {
    Ok(weights.f_sum_dim_intlist(None::<&[i64]>, false, Some(Kind::Double))?)
}

fn hint(entry: &SpecEntry, truth: &Tensor, raw: &Tensor, weights: &Tensor, divisor: Option<f64>) -> Result<Term> {
    let truth = predicted(truth)?;
    let losses = match entry.ty {
        Type::Scalar => raw.f_sub(&truth)?.f_square()?,
        Type::Mask => mask_loss(raw, &truth)?,
        Type::PermutationPointer => sum_last(&truth.f_mul(raw)?)?,
        Type::Categorical | Type::MaskOne | Type::Pointer | Type::ShouldBePermutation => cross_entropy(raw, &truth)?,
    };
    let divisor = match divisor {
        Some(divisor) => Tensor::f_full([0_i64; 0], divisor, (Kind::Double, raw.device()))?,
        None => hint_divisor(weights)?,
    };
    let kind = raw.f_kind()?;
    let value = losses.f_mul(weights)?.f_sum(None)?.f_div(&divisor.f_clamp_min(1e-12)?.f_to_kind(kind)?)?;
    Ok(Term { entry: *entry, value, divisor })
}
