//! A layer whose values are reduced to their extremes, as one operation.
//!
//! Of `y[b, i, j, :] = W x[b, i, j, :] + c` only `max over i` is used: all but one in N of y's gradients are zero. So, with
//! i*(h) where feature h of (b, j) is largest,
//!
//! * `dx[b, i*(h), j, :] += g[b, j, h] W[h, :]` and `dW[h, :] += g[b, j, h] x[b, i*(h), j, :]`
//!
//! is all that is left of two products of the forward pass's size. Taken where an axis is long enough for that to be
//! faster than a dense product. Ties share their gradient, and are left to libtorch.

use std::collections::BTreeSet;

use graph::{Dim, Graph, NodeId, Op, ReduceOp};
use tch::{Kind, Tensor};

use super::autograd::{attach, records};
use super::extremes;
use super::kernels::{self, Layer};
use super::region::{slice, slice_mut};
use crate::error::{NetworkError, Result};

/// Shorter axes are left to dense products, which do more arithmetic in less time for each.
const SHORTEST: i64 = 10;
/// The same for narrow layers.
const NARROWEST: i64 = 16;

/// A reduction, and the layer that nothing else reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Peak {
    pub root: NodeId,
    layer: NodeId,
    /// x, weight, and bias where there is one.
    pub inputs: Vec<NodeId>,
    axis: usize,
    keepdim: bool,
    minimum: bool,
}

/// All such pairs among the nodes that a schedule computes.
pub(super) fn peaks(graph: &Graph, needed: &BTreeSet<NodeId>, wanted: &[NodeId]) -> Vec<Peak> {
    let reads = |id: NodeId| needed.iter().filter(|&&user| graph.node(user).args.contains(&id)).count();
    let peak = |&root: &NodeId| -> Option<Peak> {
        let node = graph.node(root);
        let Op::Reduce { op: op @ (ReduceOp::Amax | ReduceOp::Amin), dims, keepdim } = &node.op else { return None };
        let (&[axis], &[layer]) = (dims.as_slice(), node.args.as_slice()) else { return None };
        let made = graph.node(layer);
        let wide = graph.shape(*made.args.first()?).last().and_then(Dim::as_known).is_some_and(|k| k >= NARROWEST);
        let alone = needed.contains(&layer) && !wanted.contains(&layer) && reads(layer) == 1;
        let fits = matches!(made.op, Op::Linear { .. }) && axis + 1 < made.shape.len() && wide && alone;
        let (inputs, keepdim, minimum) = (made.args.clone(), *keepdim, *op == ReduceOp::Amin);
        fits.then_some(Peak { root, layer, inputs, axis, keepdim, minimum })
    };
    needed.iter().filter_map(peak).collect()
}

/// The extremes; `args` are the inputs.
pub(super) fn run(peak: &Peak, args: &[&Tensor], kind: Kind) -> Result<Tensor> {
    let (x, weight, bias) = match args {
        [x, weight] => (*x, *weight, None),
        [x, weight, bias] => (*x, *weight, Some(*bias)),
        _ => return Err(NetworkError::Inconsistent(format!("a layer with {} arguments", args.len()))),
    };
    let long = x.size().get(peak.axis).is_some_and(|&size| size >= SHORTEST);
    if kind == Kind::Float
        && long
        && records(args)
        && let Some(value) = recorded(peak, x, weight, bias, args)?
    {
        return Ok(value);
    }
    let axis = i64::try_from(peak.axis).unwrap_or(i64::MAX);
    extremes::reduce(&x.f_linear(weight, bias)?, axis, peak.keepdim, peak.minimum)
}

/// Nothing where an extreme is attained twice.
fn recorded(
    peak: &Peak,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    args: &[&Tensor],
) -> Result<Option<Tensor>> {
    let guard = tch::no_grad_guard();
    let x = x.f_detach()?.f_contiguous()?;
    let weight = weight.f_detach()?.f_contiguous()?;
    let mut values = x.f_linear(&weight, bias)?;
    if peak.minimum {
        values = values.f_neg_()?;
    }
    let mut shape = values.size();
    let count = |sizes: &[i64]| sizes.iter().map(|&size| usize::try_from(size).unwrap_or(0)).product::<usize>();
    let (before, rest) = shape.split_at(peak.axis);
    let (Some((&middle, within)), Some(&features)) = (rest.split_first(), x.size().last()) else { return Ok(None) };
    let out = within.last().copied().unwrap_or(1);
    let layer = Layer {
        middle: count(&[middle]),
        inner: count(within) / count(&[out]).max(1),
        out: count(&[out]),
        features: count(&[features]),
    };
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1);
    let found = kernels::maximum(slice(&values.f_contiguous()?), count(before), layer.middle, count(within), threads);
    if found.ties {
        return Ok(None);
    }
    if peak.keepdim {
        shape[peak.axis] = 1;
    } else {
        shape.remove(peak.axis);
    }
    let mut value = Tensor::f_from_slice(&found.values)?.f_view(shape.as_slice())?;
    if peak.minimum {
        value = value.f_neg_()?;
    }
    drop(guard);
    let (index, biased) = (found.index, bias.is_some());
    let backward = move |gradient: &Tensor, _: &[bool]| {
        let gradient = gradient.f_contiguous()?;
        let (into_x, into_weight) = (x.f_zeros_like()?, weight.f_zeros_like()?);
        let into = (slice_mut(&into_x), slice_mut(&into_weight));
        kernels::layer_back(&layer, slice(&gradient), &index, (slice(&x), slice(&weight)), into);
        let mut answers = vec![Some(into_x), Some(into_weight)];
        if biased {
            let rows = gradient.f_reshape([-1, i64::try_from(layer.out).unwrap_or(i64::MAX)])?;
            answers.push(Some(rows.f_sum_dim_intlist([0_i64].as_slice(), false, None)?));
        }
        Ok(answers)
    };
    Ok(Some(attach(&value, args, Box::new(backward))?))
}
