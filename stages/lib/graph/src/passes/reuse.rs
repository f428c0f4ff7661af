//! Which operations may write their value over an argument.
//!
//! Large tensors cost the time that they take to be written and read; an addition or ReLU in place saves a fresh
//! tensor. With reverse-mode differentiation as PyTorch does it this is allowed where
//!
//! * the argument has the value's shape and type, nothing else reads it, it is not a view, and it is made in the same part of
//!   the schedule (what is static is read again at the next step);
//! * the operation that made it does not need its own value for its gradient, as a product or sum does not;
//! * the operation that overwrites it does not need what it overwrites: additions do not, and ReLU, sigmoid, tanh and
//!   the exponential function get by with their value.

use crate::costs::is_view;
use crate::graph::Graph;
use crate::op::{BinaryOp, DType, NodeId, Op, UnaryOp};
use crate::passes::dce::uses;
use crate::passes::{constant, varying};

/// By node index: the position of the argument that the node may overwrite.
pub fn overwrites(graph: &Graph, outputs: &[NodeId]) -> Vec<Option<usize>> {
    let (uses, constant, varies) = (uses(graph, outputs), constant(graph), varying(graph));
    graph
        .ids()
        .map(|id| {
            let node = graph.node(id);
            let same_part = |x: NodeId| {
                let (x, id) = (x.index(), id.index());
                constant[x] == constant[id] && varies[x] == varies[id]
            };
            candidates(&node.op).iter().copied().find(|&position| {
                node.args.get(position).is_some_and(|&x| {
                    let made = graph.node(x);
                    uses[x.index()] == 1
                        && made.shape == node.shape
                        && (made.dtype, node.dtype) == (DType::Float, DType::Float)
                        && same_part(x)
                        && !is_view(graph, made)
                        && forgets_its_value(&made.op)
                })
            })
        })
        .collect()
}

/// Positions of arguments that an operation does not need for its gradient.
fn candidates(op: &Op) -> &'static [usize] {
    match op {
        Op::Binary(BinaryOp::Add) => &[0, 1],
        Op::Binary(BinaryOp::Sub) => &[0],
        Op::Unary(UnaryOp::Relu | UnaryOp::Sigmoid | UnaryOp::Tanh | UnaryOp::Exp | UnaryOp::Neg) => &[0],
        _ => &[],
    }
}

/// Whether an operation's gradient does without its value.
fn forgets_its_value(op: &Op) -> bool {
    matches!(
        op,
        Op::Linear { .. }
            | Op::MatMul
            | Op::Cat { .. }
            | Op::Where
            | Op::LayerNorm { .. }
            | Op::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul)
    )
}
