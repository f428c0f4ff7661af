//! Losses of hints and outputs as graph nodes (dm-clrs `losses.py`).

use clrs::{SpecEntry, Stage, Type};
use graph::{BinaryOp, Dim, NodeId, Op, OpError, ReduceOp, Shape, UnaryOp};

use crate::builder::Builder;
use crate::network::encoded_shape;

/// The shape of one sample's losses, B in front: a loss for each number or for each distribution.
fn loss_shape(entry: &SpecEntry) -> Shape {
    let mut shape = encoded_shape(entry);
    if is_distribution(entry) {
        shape.pop();
    }
    shape
}

/// Whether the last axis of a datum holds one distribution, which has one loss.
pub fn is_distribution(entry: &SpecEntry) -> bool {
    !matches!(entry.ty, Type::Scalar | Type::Mask)
}

/// Whether some losses of a sample count and others do not: unknown entries do not.
pub fn counts_differ(entry: &SpecEntry) -> bool {
    matches!((entry.stage, entry.ty), (_, Type::Mask) | (Stage::Hint, Type::Categorical))
}

/// The shape of the weights that losses are multiplied with: the losses' own, or, where all losses of a sample count alike,
/// one number for each sample.
pub(crate) fn weight_shape(entry: &SpecEntry) -> Shape {
    let mut shape = loss_shape(entry);
    if !counts_differ(entry) {
        shape.iter_mut().skip(1).for_each(|dim| *dim = Dim::known(1));
    }
    shape
}

/// The sum of a datum's losses at a step, each times its weight.
pub(crate) fn weighted(
    net: &mut Builder,
    entry: &SpecEntry,
    raw: NodeId,
    truth: NodeId,
    weight: NodeId,
) -> Result<NodeId, OpError> {
    let losses = losses(net, entry, raw, truth)?;
    let losses = net.binary(BinaryOp::Mul, losses, weight)?;
    let dims = (0..net.graph.shape(losses).len()).collect();
    net.push(Op::Reduce { op: ReduceOp::Sum, dims, keepdim: false }, &[losses])
}

/// One number a sample, as weights that fit the losses of a datum.
pub(crate) fn per_sample(net: &mut Builder, entry: &SpecEntry, x: NodeId) -> Result<NodeId, OpError> {
    per_sample_of(net, loss_shape(entry).len(), x)
}

/// One number a sample, with as many axes as `rank`.
pub(crate) fn per_sample_of(net: &mut Builder, rank: usize, x: NodeId) -> Result<NodeId, OpError> {
    let shape: Shape = std::iter::once(Dim::b()).chain((1..rank).map(|_| Dim::known(1))).collect();
    if shape.len() == 1 {
        return Ok(x);
    }
    let dtype = net.graph.dtype(x);
    net.push_as(Op::Reshape, &[x], shape, dtype)
}

fn losses(net: &mut Builder, entry: &SpecEntry, raw: NodeId, truth: NodeId) -> Result<NodeId, OpError> {
    match entry.ty {
        Type::Scalar => {
            let error = net.binary(BinaryOp::Sub, raw, truth)?;
            net.unary(UnaryOp::Square, error)
        }
        Type::Mask => sigmoid_cross_entropy(net, raw, truth),
        // what is predicted are logarithms already
        Type::PermutationPointer => cross_entropy(net, raw, truth),
        Type::Categorical | Type::MaskOne | Type::Pointer | Type::ShouldBePermutation => {
            let last = net.graph.shape(raw).len().saturating_sub(1);
            let logarithms = net.push(Op::LogSoftmax { dim: last }, &[raw])?;
            // entries of -1 count as 0
            let truth = net.unary(UnaryOp::Relu, truth)?;
            cross_entropy(net, logarithms, truth)
        }
    }
}

/// `relu(raw) - raw truth + log(1 + exp(-|raw|))`, which large logits do not overflow.
fn sigmoid_cross_entropy(net: &mut Builder, raw: NodeId, truth: NodeId) -> Result<NodeId, OpError> {
    let size = net.unary(UnaryOp::Abs, raw)?;
    let below = net.unary(UnaryOp::Neg, size)?;
    let small = net.unary(UnaryOp::Exp, below)?;
    let soft = net.unary(UnaryOp::Log1p, small)?;
    let positive = net.unary(UnaryOp::Relu, raw)?;
    let agreement = net.binary(BinaryOp::Mul, raw, truth)?;
    let linear = net.binary(BinaryOp::Sub, positive, agreement)?;
    net.add(linear, soft)
}

/// `-sum(truth * logarithms)` over the last axis.
fn cross_entropy(net: &mut Builder, logarithms: NodeId, truth: NodeId) -> Result<NodeId, OpError> {
    let last = net.graph.shape(logarithms).len().saturating_sub(1);
    let products = net.binary(BinaryOp::Mul, truth, logarithms)?;
    let sum = net.reduce(ReduceOp::Sum, products, last)?;
    net.unary(UnaryOp::Neg, sum)
}
