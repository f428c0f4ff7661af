//! Encoders: data points to features of nodes, edges and the graph.
//!
//! One affine map for each data point, all contributions added (dm-clrs `encoders.py`). Maps of one location are one
//! linear layer over the data points side by side; those that stay over time and those that vary are kept apart, so that
//! the former can be computed once.

use clrs::{Location, SpecEntry, Stage, Type};
use graph::{BinaryOp, DType, Dim, NodeId, Op, OpError, ReduceOp};

use crate::builder::{Builder, Layer};

/// Features and adjacency of a step, before the processor.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// [B, N, H]
    pub node: NodeId,
    /// [B, N, N, H]
    pub edge: NodeId,
    /// [B, H]
    pub graph: NodeId,
    /// [B, N, N], 0 or 1
    pub adjacency: NodeId,
}

/// One datum's way into a linear layer: its values with a trailing axis of features, and the layer's part for it.
struct Part {
    values: NodeId,
    layer: Layer,
    varies: bool,
}

/// Encodes all data points; `points` pairs each input and hint with its node in the form of [`crate::encoded_shape`].
pub(crate) fn encode(net: &mut Builder, points: &[(SpecEntry, NodeId)]) -> Result<Features, OpError> {
    let (mut node, mut edge, mut graph) = (Vec::new(), Vec::new(), Vec::new());
    for (entry, values) in points {
        let varies = entry.stage == Stage::Hint;
        let name = |index: usize| format!("encoders.{}.{index}", entry.name);
        let width = if entry.ty == Type::Categorical { entry.classes } else { 1 };
        // Hints that are numbers start smaller (dm-clrs: `xavier_on_scalars`).
        let fan_in = if varies && entry.ty == Type::Scalar { net.hidden } else { width };
        let std = 1.0 / (fan_in.max(1) as f64).sqrt();
        let hidden = net.hidden;
        let spread = |net: &mut Builder, values: NodeId| match entry.ty {
            Type::Categorical => Ok(values),
            _ => {
                let rank = net.graph.shape(values).len();
                net.unsqueeze(values, rank)
            }
        };
        match (entry.location, entry.ty) {
            (Location::Edge, Type::Pointer) => {
                // pointer[i, j, k]: to edge (j, k) its mean over i, to edge (i, k) its mean over j
                for (index, axis) in [(0, 1), (1, 2)] {
                    let mean = net.reduce(ReduceOp::Mean, *values, axis)?;
                    let layer = net.layer(&name(index), width, hidden, std);
                    edge.push(Part { values: spread(net, mean)?, layer, varies });
                }
            }
            (location, ty) => {
                let layer = net.layer(&name(0), width, hidden, std);
                let part = Part { values: spread(net, *values)?, layer, varies };
                match (location, ty) {
                    (Location::Node, Type::Pointer | Type::PermutationPointer) | (Location::Edge, _) => edge.push(part),
                    (Location::Node, _) => node.push(part),
                    (Location::Graph, _) => graph.push(part),
                }
            }
        }
    }
    let (b, n) = (Dim::b(), Dim::n());
    Ok(Features {
        node: sum(net, &node, &[b.clone(), n.clone()])?,
        edge: sum(net, &edge, &[b.clone(), n.clone(), n])?,
        graph: sum(net, &graph, &[b])?,
        adjacency: adjacency(net, points)?,
    })
}

/// The sum of the parts' linear maps: one layer for what stays, one for what varies.
fn sum(net: &mut Builder, parts: &[Part], place: &[Dim]) -> Result<NodeId, OpError> {
    let mut total = None;
    for varies in [false, true] {
        let chosen: Vec<&Part> = parts.iter().filter(|part| part.varies == varies).collect();
        if let [first, rest @ ..] = chosen.as_slice() {
            let values: Vec<NodeId> = chosen.iter().map(|part| part.values).collect();
            let weights: Vec<NodeId> = chosen.iter().map(|part| part.layer.weight).collect();
            let x = net.cat(&values, place.len())?;
            let weight = net.cat(&weights, 1)?;
            let bias = rest.iter().try_fold(first.layer.bias, |bias, part| net.add(bias, part.layer.bias))?;
            let mapped = net.apply(Layer { weight, bias }, x)?;
            total = Some(match total {
                None => mapped,
                Some(before) => net.add(before, mapped)?,
            });
        }
    }
    match total {
        Some(total) => Ok(total),
        None => {
            let shape = place.iter().cloned().chain([Dim::of(net.hidden)]).collect();
            net.push_as(Op::Full(0.0), &[], shape, DType::Float)
        }
    }
}

/// Starts with self-loops and only grows: pointers add a pair where both directions together exceed a half, edge masks
/// where they exceed zero (dm-clrs `accum_adj_mat`). Symmetric.
fn adjacency(net: &mut Builder, points: &[(SpecEntry, NodeId)]) -> Result<NodeId, OpError> {
    let (b, n) = (Dim::b(), Dim::n());
    let eye = net.push_as(Op::Eye, &[], vec![n.clone(), n.clone()], DType::Float)?;
    let zero = net.scalar(0.0)?;
    let mut linked = net.binary(BinaryOp::Gt, eye, zero)?;
    for varies in [false, true] {
        for (entry, values) in points.iter().filter(|(entry, _)| (entry.stage == Stage::Hint) == varies) {
            let threshold = match (entry.location, entry.ty) {
                (Location::Node, Type::Pointer | Type::PermutationPointer) => 0.5,
                (Location::Edge, Type::Mask) => 0.0,
                _ => continue,
            };
            let back = net.permute(*values, &[0, 2, 1])?;
            let both = net.add(*values, back)?;
            let threshold = net.scalar(threshold)?;
            let pairs = net.binary(BinaryOp::Gt, both, threshold)?;
            linked = net.binary(BinaryOp::Or, linked, pairs)?;
        }
    }
    let shape = vec![b, n.clone(), n];
    let linked = net.push_as(Op::Expand, &[linked], shape.clone(), DType::Bool)?;
    net.push_as(Op::Cast, &[linked], shape, DType::Float)
}
