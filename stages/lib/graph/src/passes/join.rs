//! Sums of layers as one layer.
//!
//! `Linear(x, U, b) + Linear(y, V, c) = Linear([x, y], [U, V], b + c)`. An encoder of features is such a sum, of layers over
//! one or a few scalars each: one product over the scalars side by side writes the large tensor once, where the sum writes
//! it twice per term. Layers over wide inputs are left apart, since putting these side by side costs a copy: they are
//! joined where the copy is smaller than the additions saved.

use super::build::{Builder, Rewritten, rebuild};
use super::dce::uses;
use super::simplify::padded;
use super::sums::{inner_sums, is_sum, leaves};
use super::terms::{Term, add, signed};
use crate::dim::Shape;
use crate::error::OpError;
use crate::graph::Graph;
use crate::op::{BinaryOp, NodeId, Op, Span};

pub(super) fn run(graph: &Graph, outputs: &[NodeId]) -> Rewritten {
    let inner = inner_sums(graph, outputs);
    let uses = uses(graph, outputs);
    rebuild(graph, outputs, |b, site| {
        if !is_sum(graph, site.id) || inner[site.id.index()] {
            return Ok(None);
        }
        let Some(terms) = leaves(graph, site.id, &inner) else { return Ok(None) };
        let mut groups: Vec<(Shape, Vec<Term>)> = Vec::new();
        let mut rest = Vec::new();
        for term in terms {
            let new = Term { node: site.map[term.node.index()], ..term };
            let alone = uses[term.node.index()] == 1 && !term.negative;
            match layer_shape(b, new.node).filter(|_| alone) {
                None => rest.push(new),
                Some(shape) => match groups.iter_mut().find(|(other, _)| *other == shape) {
                    Some((_, members)) => members.push(new),
                    None => groups.push((shape, vec![new])),
                },
            }
        }
        if !groups.iter().any(|(_, members)| pays(b, members)) {
            return Ok(None);
        }
        let span = site.node.span;
        let mut terms = Vec::new();
        for (_, members) in groups {
            if pays(b, &members) {
                terms.push(Term { node: joined(b, &members, span)?, negative: false });
            } else {
                terms.extend(members);
            }
        }
        let mut terms = terms.into_iter().chain(rest);
        let Some(first) = terms.next() else { return Ok(None) };
        let sum = terms.try_fold(first, |so_far, next| add(b, so_far, next, span))?;
        let sum = signed(b, sum, span)?;
        b.expand(sum, site.node.shape.clone(), span).map(Some)
    })
}

/// The shape of a layer whose weights are known and do not vary.
fn layer_shape(b: &Builder, id: NodeId) -> Option<Shape> {
    let node = b.graph.node(id);
    let early = node.args.iter().skip(1).all(|&x| !b.varies[x.index()]);
    let known = node.args.iter().skip(1).all(|&x| b.graph.shape(x).iter().all(|dim| dim.as_known().is_some()));
    (matches!(node.op, Op::Linear { .. }) && early && known).then(|| node.shape.clone())
}

/// Whether the inputs side by side are narrower than the sums that are saved.
fn pays(b: &Builder, members: &[Term]) -> bool {
    let width = |id: NodeId| b.graph.shape(id).last().and_then(crate::Dim::as_known).unwrap_or(i64::MAX / 64);
    let inner: i64 = members.iter().map(|t| b.graph.node(t.node).args.first().map_or(0, |&x| width(x))).sum();
    match members {
        [first, _, ..] => inner < width(first.node).saturating_mul(members.len() as i64 - 1),
        _ => false,
    }
}

fn joined(b: &mut Builder, members: &[Term], span: Span) -> Result<NodeId, OpError> {
    let (mut inputs, mut weights, mut bias) = (Vec::new(), Vec::new(), None);
    for member in members {
        let node = b.graph.node(member.node).clone();
        let rank = node.shape.len();
        inputs.push(padded(b, node.args[0], rank, span)?);
        weights.push(node.args[1]);
        if let Some(&next) = node.args.get(2) {
            bias = Some(match bias {
                None => next,
                Some(so_far) => b.emit(Op::Binary(BinaryOp::Add), &[so_far, next], span)?,
            });
        }
    }
    let last = b.graph.shape(inputs[0]).len() - 1;
    let x = b.emit(Op::Cat { dim: last }, &inputs, span)?;
    let weight = b.emit(Op::Cat { dim: 1 }, &weights, span)?;
    let args: Vec<NodeId> = [x, weight].into_iter().chain(bias).collect();
    b.emit(Op::Linear { biased: bias.is_some() }, &args, span)
}
