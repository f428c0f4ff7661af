//! From raw predictions back to data (dm-clrs `decoders.postprocess`): outputs for the user.

use clrs::{DataPoint, SpecEntry, Type};
use executor::tensor::to_f64;
use tch::{Kind, Tensor};

use crate::error::Result;
use model::SINKHORN_TEMPERATURE;

/// Steps of the Sinkhorn iteration on an output that is read off at the end.
const SINKHORN_STEPS: usize = 50;

/// One-hot of the first of the largest along the last axis.
fn best(logits: &Tensor) -> Result<Tensor> {
    let classes = logits.size().last().copied().unwrap_or(1);
    Ok(logits.f_argmax(-1, false)?.f_one_hot(classes)?)
}

/// The final prediction of an output in the benchmark's layout: pointers as indices, masks as 0 and 1, the rest one-hot.
pub(crate) fn read_off(entry: &SpecEntry, logits: &Tensor) -> Result<DataPoint> {
    let value = match entry.ty {
        Type::Scalar => logits.shallow_clone(),
        Type::Mask => logits.f_gt(0.0)?,
        Type::Pointer => logits.f_argmax(-1, false)?,
        Type::PermutationPointer => best(&sinkhorn(logits)?)?,
        _ => best(logits)?,
    };
    let shape = value.size().iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect();
    let SpecEntry { name, stage, location, ty, dtype, .. } = *entry;
    Ok(DataPoint { name, stage, location, ty, dtype, shape, data: to_f64(&value.f_to_kind(Kind::Double)?)? })
}

fn sinkhorn(logits: &Tensor) -> Result<Tensor> {
    let nodes = logits.size().last().copied().unwrap_or(1);
    let diagonal = Tensor::f_eye(nodes, (logits.f_kind()?, logits.device()))?.f_mul_scalar(1e6)?;
    let mut value = logits.f_div_scalar(SINKHORN_TEMPERATURE)?.f_sub(&diagonal)?;
    for _ in 0..SINKHORN_STEPS {
        value = value.f_log_softmax(-1, None)?.f_log_softmax(-2, None)?;
    }
    Ok(value)
}
