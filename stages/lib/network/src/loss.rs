//! Losses of hints and outputs (dm-clrs `losses.py`), summed without weights.

use clrs::{SpecEntry, Stage, Type};
use tch::{Kind, Tensor};

use crate::batch::Encoded;
use crate::error::Result;
use crate::model::Model;
use crate::tensor::{from_f64, size};

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
pub(crate) fn losses(model: &Model, batch: &Encoded, outputs: &[Tensor], hints: &[Tensor]) -> Result<Losses> {
    let mut terms = Vec::with_capacity(outputs.len() + hints.len());
    for ((port, truth), raw) in model.outputs.iter().zip(&batch.outputs).zip(outputs) {
        terms.push(output(&port.entry, truth, raw)?);
    }
    let steps = size(batch.steps)? - 1;
    if steps >= 1 {
        let alive = alive(batch, hints.first())?;
        for ((port, truth), raw) in model.hints.iter().zip(&batch.hints).zip(hints) {
            terms.push(hint(&port.entry, &truth.f_narrow(0, 1, steps)?, raw, alive.as_ref())?);
        }
    }
    let values: Vec<&Tensor> = terms.iter().map(|term| &term.value).collect();
    let total = Tensor::f_stack(&values, 0)?.f_sum(None)?;
    Ok(Losses { terms, total })
}

/// 1 where step i of a sample predicts a hint that the sample has, [S, B].
fn alive(batch: &Encoded, like: Option<&Tensor>) -> Result<Option<Tensor>> {
    let Some(like) = like else { return Ok(None) };
    let steps = batch.network_steps();
    let row = |step: usize| batch.lengths.iter().map(move |&length| f64::from(u8::from(length > step + 1)));
    let data: Vec<f64> = (0..steps).flat_map(row).collect();
    let device = crate::Device(like.device());
    Ok(Some(from_f64(&data, &[size(steps)?, batch.sizes.0], like.f_kind()?, device)?))
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

fn output(entry: &SpecEntry, truth: &Tensor, raw: &Tensor) -> Result<Term> {
    let kind = raw.f_kind()?;
    let (losses, weights) = match entry.ty {
        Type::Scalar => (raw.f_sub(truth)?.f_square()?, None),
        Type::Mask => (mask_loss(raw, truth)?, Some(truth.f_ne(-1.0)?.f_to_kind(kind)?)),
        Type::MaskOne | Type::Categorical => {
            // divided by the number of ones, not of rows
            let ones = truth.f_eq(1.0)?.f_to_kind(kind)?.f_sum(None)?;
            let value = cross_entropy(raw, truth)?.f_sum(None)?.f_div(&ones)?;
            return Ok(Term { entry: *entry, value, divisor: ones });
        }
        Type::PermutationPointer => (sum_last(&truth.f_mul(raw)?)?, None),
        Type::Pointer | Type::ShouldBePermutation => (cross_entropy(raw, truth)?, None),
    };
    let (value, divisor) = match weights {
        Some(weights) => {
            let divisor = weights.f_sum(None)?;
            (losses.f_mul(&weights)?.f_sum(None)?.f_div(&divisor)?, divisor)
        }
        None => {
            let count = size(losses.numel())?;
            (losses.f_mean(None)?, Tensor::f_full([0_i64; 0], count, (kind, losses.device()))?)
        }
    };
    Ok(Term { entry: *entry, value, divisor })
}

fn hint(entry: &SpecEntry, truth: &Tensor, raw: &Tensor, alive: Option<&Tensor>) -> Result<Term> {
    debug_assert_eq!(entry.stage, Stage::Hint);
    let kind = raw.f_kind()?;
    let counted = |condition: Tensor| condition.f_to_kind(kind);
    let (losses, counts) = match entry.ty {
        Type::Scalar => (raw.f_sub(truth)?.f_square()?, None),
        Type::Mask => (mask_loss(raw, truth)?, Some(counted(truth.f_ne(-1.0)?)?)),
        Type::Categorical => {
            let known = truth.f_eq(1.0)?.f_any_dim(-1, false)?;
            (cross_entropy(raw, truth)?, Some(counted(known)?))
        }
        Type::PermutationPointer => (sum_last(&truth.f_mul(raw)?)?, None),
        Type::MaskOne | Type::Pointer | Type::ShouldBePermutation => (cross_entropy(raw, truth)?, None),
    };
    let shape = losses.size();
    let mut weights = match alive {
        Some(alive) => {
            let mut wide = alive.size();
            wide.resize(shape.len(), 1);
            alive.f_view(wide.as_slice())?.f_expand(shape.as_slice(), false)?
        }
        None => losses.f_ones_like()?.f_detach()?,
    };
    if let Some(counts) = counts {
        weights = weights.f_mul(&counts)?;
    }
    // one division over time, batch and nodes: not a mean of means
    let divisor = weights.f_sum_dim_intlist(None::<&[i64]>, false, Some(Kind::Double))?;
    let value = losses.f_mul(&weights)?.f_sum(None)?.f_div(&divisor.f_clamp_min(1e-12)?.f_to_kind(kind)?)?;
    Ok(Term { entry: *entry, value, divisor })
}
