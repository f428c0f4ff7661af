//! Sums as lists of signed terms.

use super::build::Builder;
use crate::error::OpError;
use crate::op::{BinaryOp, DType, NodeId, Op, Span, UnaryOp};

/// A sum of more terms than this is left alone.
pub(super) const MOST_TERMS: usize = 64;

/// A term of a sum, to be broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub node: NodeId,
    pub negative: bool,
}

/// The terms of `x`, through additions, subtractions, negations and expansions; `None` for too many.
pub(super) fn terms(b: &Builder, x: NodeId) -> Option<Vec<Term>> {
    let mut found = Vec::new();
    let mut open = vec![Term { node: x, negative: false }];
    while let Some(Term { node: id, negative }) = open.pop() {
        let node = b.graph.node(id);
        let term = |node: NodeId, negative: bool| Term { node, negative };
        match (&node.op, node.args.as_slice()) {
            _ if node.dtype != DType::Float => found.push(term(id, negative)),
            (Op::Binary(BinaryOp::Add), &[x, y]) => open.extend([term(y, negative), term(x, negative)]),
            (Op::Binary(BinaryOp::Sub), &[x, y]) => open.extend([term(y, !negative), term(x, negative)]),
            (Op::Unary(UnaryOp::Neg), &[x]) => open.push(term(x, !negative)),
            (Op::Expand, &[x]) => open.push(term(x, negative)),
            _ => found.push(term(id, negative)),
        }
        if found.len() + open.len() > MOST_TERMS {
            return None;
        }
    }
    Some(found)
}

/// `x + y` of two terms, as a term.
pub(super) fn add(b: &mut Builder, x: Term, y: Term, span: Span) -> Result<Term, OpError> {
    let (op, args, negative) = match (x.negative, y.negative) {
        (false, true) => (BinaryOp::Sub, [x.node, y.node], false),
        (true, false) => (BinaryOp::Sub, [y.node, x.node], false),
        (both, _) => (BinaryOp::Add, [x.node, y.node], both),
    };
    Ok(Term { node: b.emit(Op::Binary(op), &args, span)?, negative })
}

/// The term without its sign.
pub(super) fn signed(b: &mut Builder, x: Term, span: Span) -> Result<NodeId, OpError> {
    if x.negative { b.emit(Op::Unary(UnaryOp::Neg), &[x.node], span) } else { Ok(x.node) }
}
