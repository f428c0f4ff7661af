//! Masks as conjunctions, so that each part can be applied where it is small.

use super::build::Builder;
use crate::error::OpError;
use crate::op::{BinaryOp, DType, NodeId, Op, Span, UnaryOp};

/// A mask of more parts than this is left alone.
const MOST_PARTS: usize = 16;

/// `where(all of conditions, value, fill)`.
pub(super) struct Masked {
    pub conditions: Vec<NodeId>,
    pub value: NodeId,
    /// 0-dimensional.
    pub fill: NodeId,
}

/// Reads `x` as a masked value, where it is one that is filled with a number.
pub(super) fn masked(b: &mut Builder, x: NodeId, span: Span) -> Result<Option<Masked>, OpError> {
    let node = b.graph.node(x).clone();
    let (Op::Where, &[condition, yes, no]) = (&node.op, node.args.as_slice()) else { return Ok(None) };
    let is_number = |id: NodeId| matches!(b.graph.node(id).op, Op::Scalar(_));
    let (holds, value, fill) = match (is_number(yes), is_number(no)) {
        (false, true) => (true, yes, no),
        (true, false) => (false, no, yes),
        _ => return Ok(None),
    };
    if [value, fill].iter().any(|&id| b.graph.dtype(id) != DType::Float) {
        return Ok(None);
    }
    let mut conditions = Vec::new();
    let mut open = vec![(condition, holds)];
    while let Some((id, holds)) = open.pop() {
        if conditions.len() + open.len() > MOST_PARTS {
            return Ok(None);
        }
        match parts(b, id, holds, span)? {
            Some(parts) => open.extend(parts.into_iter().rev()),
            None if holds => conditions.push(id),
            None => conditions.push(b.emit(Op::Unary(UnaryOp::LogicalNot), &[id], span)?),
        }
    }
    Ok(Some(Masked { conditions, value, fill }))
}

/// Conditions that all have to hold (true) or not to hold (false) for `id` to hold or not to hold.
fn parts(b: &mut Builder, id: NodeId, holds: bool, span: Span) -> Result<Option<Vec<(NodeId, bool)>>, OpError> {
    let node = b.graph.node(id).clone();
    let is_zero = |b: &Builder, id: NodeId| b.graph.node(id).op == Op::Scalar(0.0);
    Ok(match (&node.op, node.args.as_slice()) {
        (Op::Expand, &[x]) => Some(vec![(x, holds)]),
        (Op::Unary(UnaryOp::LogicalNot), &[x]) => Some(vec![(as_bool(b, x, span)?, !holds)]),
        (Op::Binary(BinaryOp::And), &[x, y]) if holds => Some(vec![(x, true), (y, true)]),
        (Op::Binary(BinaryOp::Or), &[x, y]) if !holds => Some(vec![(x, false), (y, false)]),
        // A product is 0 exactly when a factor is. (Products of tiny numbers that round to 0 are not told apart.)
        (Op::Cast, &[x]) if holds && b.graph.node(x).op == Op::Binary(BinaryOp::Mul) => {
            let factors = b.graph.node(x).args.clone();
            let factors = factors.into_iter().map(|y| Ok((as_bool(b, y, span)?, true)));
            Some(factors.collect::<Result<_, OpError>>()?)
        }
        (Op::Binary(op @ (BinaryOp::Eq | BinaryOp::Ne)), &[x, y]) if is_zero(b, x) || is_zero(b, y) => {
            let other = if is_zero(b, y) { x } else { y };
            Some(vec![(as_bool(b, other, span)?, holds == (*op == BinaryOp::Ne))])
        }
        _ => None,
    })
}

/// Whether elements are not 0.
fn as_bool(b: &mut Builder, x: NodeId, span: Span) -> Result<NodeId, OpError> {
    let shape = b.graph.shape(x).clone();
    b.emit_as(Op::Cast, &[x], shape, DType::Bool, span)
}
