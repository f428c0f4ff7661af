//! Layers that read the same tensor, as one product.
//!
//! `Linear(x, U, b)` and `Linear(x, V, c)` are the columns of `Linear(x, [U; V], [b, c])`. One product reads x once, and
//! its gradient for x is one product instead of several and their sum. What it costs is one copy in the backward pass,
//! when the gradients of the slices are put together (see [`super::splits`]): so layers are merged where x is wide enough to pay for that.

use super::build::{Builder, Rewritten, rebuild};
use super::reference::Reference;
use crate::dim::Dim;
use crate::error::OpError;
use crate::graph::Graph;
use crate::op::{DType, NodeId, Op, Span};
use std::collections::BTreeMap;

/// Passes over x's width that each merged layer saves (one read forward; a read, a write and an addition backward), and
/// passes over the outputs' width that merging costs (a write and a read of the joined gradient).
const SAVED: f64 = 6.0;
const PAID: f64 = 2.0;

pub(super) fn run(graph: &Graph, outputs: &[NodeId], reference: Reference) -> Rewritten {
    let groups = groups(graph, outputs, reference);
    let mut merged: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    rebuild(graph, outputs, |b, site| {
        let Some(members) = groups.get(&site.id) else { return Ok(None) };
        let first = members[0];
        let span = site.node.span;
        let whole = match merged.get(&first) {
            Some(&whole) => whole,
            None => {
                let whole = product(b, graph, members, site.args[0], site.map, span)?;
                merged.insert(first, whole);
                whole
            }
        };
        let width = |id: NodeId| graph.shape(id).last().cloned().unwrap_or_default();
        let start = members.iter().take_while(|&&id| id != site.id).fold(Dim::known(0), |sum, &id| sum + width(id));
        let end = &start + &width(site.id);
        let dim = site.node.shape.len() - 1;
        b.emit(Op::Slice { dim, start, end, step: 1 }, &[whole], span).map(Some)
    })
}

/// For each layer that is worth merging: all layers over its input, in order.
fn groups(graph: &Graph, outputs: &[NodeId], reference: Reference) -> BTreeMap<NodeId, Vec<NodeId>> {
    let live = super::dce::live(graph, outputs);
    let varies = super::varying(graph);
    let mut by_input: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        // Weights are made before anything that varies (see `order`), so that the first layer finds all of them.
        let early = node.args.iter().skip(1).all(|&x| !varies[x.index()] && is_known(graph, x));
        if matches!(node.op, Op::Linear { .. }) && early && varies[id.index()] {
            by_input.entry(node.args[0]).or_default().push(id);
        }
    }
    let mut groups = BTreeMap::new();
    for (x, members) in by_input {
        let inner = graph.shape(x).last().map_or(0.0, |dim| reference.value(dim));
        let outs = members.iter().filter_map(|&id| graph.shape(id).last()).map(|dim| reference.value(dim)).sum::<f64>();
        if members.len() > 1 && SAVED * inner * (members.len() - 1) as f64 > PAID * outs {
            groups.extend(members.iter().map(|&id| (id, members.clone())));
        }
    }
    groups
}

fn is_known(graph: &Graph, x: NodeId) -> bool {
    graph.shape(x).iter().all(|dim| dim.as_known().is_some())
}

fn product(
    b: &mut Builder,
    graph: &Graph,
    members: &[NodeId],
    x: NodeId,
    map: &[NodeId],
    span: Span,
) -> Result<NodeId, OpError> {
    let biased = members.iter().any(|&id| graph.node(id).args.len() > 2);
    let (mut weights, mut biases) = (Vec::new(), Vec::new());
    for &id in members {
        let args = &graph.node(id).args;
        let weight = map[args[1].index()];
        weights.push(weight);
        if let Some(&bias) = args.get(2) {
            biases.push(map[bias.index()]);
        } else if biased {
            let out = b.graph.shape(weight)[0].clone();
            biases.push(b.emit_as(Op::Full(0.0), &[], vec![out], DType::Float, span)?);
        }
    }
    let mut args = vec![x, b.emit(Op::Cat { dim: 0 }, &weights, span)?];
    if biased {
        args.push(b.emit(Op::Cat { dim: 0 }, &biases, span)?);
    }
    b.emit(Op::Linear { biased }, &args, span)
}
