//! The order of additions in a sum of broadcast terms.
//!
//! `((a_i + b_j) + c_ij) + g` makes three tensors over pairs; `((g + a_i) + b_j) + c_ij` makes two. Addition is
//! associative and commutative (up to rounding), so terms are added in pairs, always the pair whose sum costs least: the
//! number of its elements per step. A sum of static terms is made once, but a larger tensor than its terms would have to
//! be read, and its gradient accumulated, at every step: the growth counts in full.
//!
//! Sums whose terms have one shape are left in their order.

use super::build::{Builder, Rewritten, rebuild};
use super::dce::uses;
use super::reference::Reference;
use super::terms::{MOST_TERMS, Term, add, signed};
use crate::error::OpError;
use crate::graph::Graph;
use crate::infer::shapes::broadcast;
use crate::op::{BinaryOp, DType, NodeId, Op, Span, UnaryOp};

pub(super) fn run(graph: &Graph, outputs: &[NodeId], reference: Reference) -> Rewritten {
    let inner = inner_sums(graph, outputs);
    rebuild(graph, outputs, |b, site| {
        if !is_sum(graph, site.id) || inner[site.id.index()] {
            return Ok(None);
        }
        let Some(terms) = leaves(graph, site.id, &inner) else { return Ok(None) };
        let terms: Vec<Term> = terms
            .into_iter()
            .map(|term| {
                let node = site.map[term.node.index()];
                let small = b.graph.node(node);
                let node = if small.op == Op::Expand { small.args[0] } else { node };
                Term { node, ..term }
            })
            .collect();
        if terms.len() < 3 || terms.windows(2).all(|pair| b.graph.shape(pair[0].node) == b.graph.shape(pair[1].node)) {
            return Ok(None);
        }
        let sum = cheapest(b, terms, reference, site.node.span)?;
        b.expand(sum, site.node.shape.clone(), site.node.span).map(Some)
    })
}

pub(super) fn is_sum(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    node.dtype == DType::Float
        && matches!(node.op, Op::Binary(BinaryOp::Add | BinaryOp::Sub) | Op::Unary(UnaryOp::Neg))
        && node.args.iter().all(|&x| graph.dtype(x) == DType::Float)
}

/// By node index: whether it is a sum that only one other sum reads.
pub(super) fn inner_sums(graph: &Graph, outputs: &[NodeId]) -> Vec<bool> {
    let uses = uses(graph, outputs);
    let mut inner = vec![false; graph.nodes.len()];
    for id in graph.ids().filter(|&id| uses[id.index()] > 0 && is_sum(graph, id)) {
        for &x in &graph.node(id).args {
            inner[x.index()] = uses[x.index()] == 1 && is_sum(graph, x);
        }
    }
    inner
}

/// The terms of a sum in the old graph, from left to right; `None` for too many.
pub(super) fn leaves(graph: &Graph, id: NodeId, inner: &[bool]) -> Option<Vec<Term>> {
    let mut found = Vec::new();
    let mut open = vec![(Term { node: id, negative: false }, true)];
    while let Some((term, follow)) = open.pop() {
        let node = graph.node(term.node);
        if !follow {
            found.push(term);
            if found.len() > MOST_TERMS {
                return None;
            }
            continue;
        }
        for (at, &x) in node.args.iter().enumerate().rev() {
            let flips = matches!(node.op, Op::Unary(UnaryOp::Neg)) || (at == 1 && node.op == Op::Binary(BinaryOp::Sub));
            open.push((Term { node: x, negative: term.negative != flips }, inner[x.index()]));
        }
    }
    Some(found)
}

/// The sum of broadcast terms, pair by pair.
pub(super) fn cheapest(
    b: &mut Builder,
    mut terms: Vec<Term>,
    reference: Reference,
    span: Span,
) -> Result<NodeId, OpError> {
    while terms.len() > 1 {
        let mut best: Option<(f64, usize, usize)> = None;
        for first in 0..terms.len() {
            for second in first + 1..terms.len() {
                let cost = pair_cost(b, terms[first].node, terms[second].node, reference)?;
                if best.is_none_or(|(least, _, _)| cost < least) {
                    best = Some((cost, first, second));
                }
            }
        }
        let Some((_, first, second)) = best else { break };
        let right = terms.remove(second);
        terms[first] = add(b, terms[first], right, span)?;
    }
    match terms.first() {
        Some(&term) => signed(b, term, span),
        None => Err(OpError::Setting { op: "add", reason: "no terms".into() }),
    }
}

fn pair_cost(b: &Builder, x: NodeId, y: NodeId, reference: Reference) -> Result<f64, OpError> {
    let (p, q) = (b.graph.shape(x), b.graph.shape(y));
    let size = reference.size(&broadcast(p, q)?);
    if b.varies[x.index()] || b.varies[y.index()] {
        return Ok(size);
    }
    let growth = (size - reference.size(p) - reference.size(q)).max(0.0);
    Ok(size * reference.rate(false) + growth)
}
