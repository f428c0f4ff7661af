//! Chains of element-wise operations as one operation.
//!
//! `relu(a_j + b_i + e_ij + g)` over pairs of nodes, done by libtorch, is four passes over a large tensor, and backward
//! eight more. Here it is one pass each way: a [`Region`] is a part of the graph in which every value but the last is used
//! inside only, and [`machine`] computes it block by block. Into a region go
//!
//! * sums, differences, products, negations and ReLU of one shape;
//! * what is broadcast into them, which is read where it lies (`expand` is looked through);
//! * layers over a few features, `Linear(x, w, b) = x_0 w_0 + x_1 w_1 + ... + b`, whose value over pairs is much larger than
//!   x: it is never written. This holds for layers that do not vary over time, too: reading them, and adding up their
//!   gradient, at every step would cost more than computing them;
//! * at its end, a layer to one feature, `Linear(x, w) = sum over h of x_h w_h`, which decoders end with.
//!
//! Gradients go to the region's inputs by the chain rule, read from the same code backwards. Sums over broadcast axes are
//! taken in a fixed order.

mod machine;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tch::{Kind, Tensor};

use super::autograd::{attach, records};
use crate::error::{NetworkError, Result};
use machine::{Load, Program, Real};
pub(super) use machine::{Work, widest};
use plan::View;
pub(super) use plan::{Region, regions};

/// The value of a region; `tensors` are its inputs, on the CPU and of one float type.
pub(super) fn run(region: &Arc<Region>, tensors: &[&Tensor], shape: &[i64], kind: Kind) -> Result<Tensor> {
    match kind {
        Kind::Float => run_as::<f32>(region, tensors, shape, kind),
        Kind::Double => run_as::<f64>(region, tensors, shape, kind),
        _ => Err(NetworkError::Inconsistent(format!("a region of {kind:?}"))),
    }
}

fn run_as<T: Real>(region: &Arc<Region>, tensors: &[&Tensor], shape: &[i64], kind: Kind) -> Result<Tensor> {
    let inputs = {
        let _guard = tch::no_grad_guard();
        let inputs = tensors.iter().map(|x| readable(x)).collect::<Result<Vec<_>>>()?;
        Inputs { loads: loads(region, &inputs, shape)?, inputs, shape: shape.to_vec() }
    };
    let value = inputs.value::<T>(region, kind)?;
    if !records(tensors) {
        return Ok(value);
    }
    let region = Arc::clone(region);
    attach(&value, tensors, Box::new(move |gradient, wanted| inputs.gradients::<T>(&region, gradient, wanted, kind)))
}

/// A tensor whose last axis the loops can follow.
fn readable(x: &Tensor) -> Result<Tensor> {
    Ok(if x.stride().iter().all(|&stride| stride >= 0) { x.f_detach()? } else { x.f_contiguous()?.f_detach()? })
}

/// What a region reads, at known sizes.
struct Inputs {
    inputs: Vec<Tensor>,
    loads: Vec<Load>,
    /// Of the region's places: the value's, with the added-up axis in full.
    shape: Vec<i64>,
}

impl Inputs {
    fn value<T: Real>(&self, region: &Region, kind: Kind) -> Result<Tensor> {
        let mut shape = self.shape.clone();
        if region.sums
            && let Some(last) = shape.last_mut()
        {
            *last = 1;
        }
        let value = Tensor::f_empty(shape.as_slice(), (kind, tch::Device::Cpu))?;
        let bias = match region.bias.and_then(|at| self.inputs.get(at)) {
            Some(bias) => slice::<T>(bias).first().copied().unwrap_or_default(),
            None => T::default(),
        };
        let places = places(&self.shape);
        let program = Program { code: &region.code, loads: &self.loads, shape: &places, sums: region.sums };
        let slices: Vec<&[T]> = self.inputs.iter().map(slice).collect();
        machine::forward(&program, &slices, slice_mut(&value), bias);
        Ok(value)
    }

    fn gradients<T: Real>(
        &self,
        region: &Region,
        gradient: &Tensor,
        wanted: &[bool],
        kind: Kind,
    ) -> Result<Vec<Option<Tensor>>> {
        let gradient = gradient.f_contiguous()?;
        let alone = |tensor: usize| self.loads.iter().any(|load| load.tensor == tensor && load.alone);
        let mut found = Vec::with_capacity(self.inputs.len());
        for (at, (input, &wanted)) in self.inputs.iter().zip(wanted).enumerate() {
            let options = (kind, tch::Device::Cpu);
            found.push(match (wanted, region.bias == Some(at)) {
                (false, _) => None,
                (true, true) => Some(gradient.f_sum(None)?.f_reshape(input.size().as_slice())?),
                (true, false) if alone(at) => Some(Tensor::f_empty(input.size().as_slice(), options)?),
                (true, false) => Some(Tensor::f_zeros(input.size().as_slice(), options)?),
            });
        }
        let places = places(&self.shape);
        let program = Program { code: &region.code, loads: &self.loads, shape: &places, sums: region.sums };
        let slices: Vec<&[T]> = self.inputs.iter().map(slice).collect();
        let mut into: Vec<&mut [T]> = found
            .iter()
            .enumerate()
            .map(|(at, found)| match found {
                Some(found) if region.bias != Some(at) => slice_mut(found),
                _ => &mut [],
            })
            .collect();
        machine::backward(&program, &slices, slice(&gradient), &mut into);
        Ok(found)
    }
}

fn places(shape: &[i64]) -> Vec<usize> {
    shape.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect()
}

/// Where each load of the code finds its elements.
fn loads(region: &Region, inputs: &[Tensor], shape: &[i64]) -> Result<Vec<Load>> {
    let rank = shape.len();
    let load = |(tensor, view): &(usize, View)| -> Option<Load> {
        let input = inputs.get(*tensor)?;
        let (sizes, own) = (input.size(), input.stride());
        let packed = packed(&sizes);
        let strides_of = |strides: &[i64]| -> Option<(usize, Vec<usize>)> {
            let stride = |axis: usize| usize::try_from(*strides.get(axis)?).ok();
            let mut found = vec![0; rank];
            let start = match view {
                View::Broadcast => {
                    for (axis, size) in sizes.iter().enumerate().filter(|(_, size)| **size != 1) {
                        let place = (axis + rank).checked_sub(sizes.len())?;
                        (shape.get(place) == Some(size)).then_some(())?;
                        found[place] = stride(axis)?;
                    }
                    0
                }
                View::Column(column) => {
                    let axes = sizes.len().checked_sub(1)?;
                    for (axis, size) in sizes.iter().enumerate().take(axes).filter(|(_, size)| **size != 1) {
                        let place = (axis + rank).checked_sub(sizes.len())?;
                        (shape.get(place) == Some(size)).then_some(())?;
                        found[place] = stride(axis)?;
                    }
                    column * stride(axes)?
                }
                View::Weight(column) => {
                    found[rank.checked_sub(1)?] = stride(0)?;
                    column * stride(1)?
                }
            };
            Some((start, found))
        };
        let (start, strides) = strides_of(&own)?;
        let (gradient_start, gradient_strides) = strides_of(&packed)?;
        let readers = region.loads.iter().filter(|(other, _)| other == tensor).count();
        let varies = strides.iter().rev().skip(1).any(|&stride| stride > 0);
        let alone = readers == 1 && *view == View::Broadcast && sizes == shape && varies;
        Some(Load { tensor: *tensor, start, strides, gradient_start, gradient_strides, alone })
    };
    let loads = region.loads.iter().map(load).collect::<Option<_>>();
    loads.ok_or_else(|| NetworkError::Inconsistent("a region's input does not fit".to_owned()))
}

/// Strides of a tensor without gaps.
fn packed(sizes: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; sizes.len()];
    for axis in (1..sizes.len()).rev() {
        strides[axis - 1] = strides[axis] * sizes[axis].max(1);
    }
    strides
}

/// Everything from a tensor's first element to its last.
pub(super) fn slice<T: Real>(x: &Tensor) -> &[T] {
    let (sizes, strides) = (x.size(), x.stride());
    let start = x.data_ptr().cast::<T>().cast_const();
    if sizes.contains(&0) || start.is_null() {
        return &[];
    }
    let last: i64 = sizes.iter().zip(&strides).map(|(size, stride)| (size - 1) * stride).sum();
    // SAFETY: callers pass tensors on the CPU whose elements are of type T, with no negative stride: the memory from the
    // first element to the last is theirs, for as long as they live, and nothing writes to it meanwhile.
    unsafe { std::slice::from_raw_parts(start, usize::try_from(last).unwrap_or(0) + 1) }
}

/// All elements of a tensor that was just made, without gaps, and that nothing else knows.
#[allow(clippy::mut_from_ref)] // the tensor is a handle: what it points to is what is borrowed, once
pub(super) fn slice_mut<T: Real>(x: &Tensor) -> &mut [T] {
    let start = x.data_ptr().cast::<T>();
    if x.numel() == 0 || start.is_null() {
        return &mut [];
    }
    // SAFETY: as above; and callers ask once for each tensor that they have just made.
    unsafe { std::slice::from_raw_parts_mut(start, x.numel()) }
}
