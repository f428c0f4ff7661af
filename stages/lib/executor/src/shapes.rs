//! What operations are to an executor: views, element-wise, or something of their own.

use graph::{BinaryOp, DType, Dim, Graph, NodeId, Op};

/// Features of a layer that is done as a sum of products, at the most.
pub(crate) const NARROW: i64 = 1;
/// Features that such a layer writes, at the least: those that fill a vector of the processor.
pub(crate) const WIDE: i64 = 16;

/// Whether each element of the value follows from the elements at its place, and all of them are floats or truth values.
pub(crate) fn is_element_wise(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let number = |arg: NodeId| matches!(graph.node(arg).op, Op::Scalar(_) | Op::Size(_) | Op::Full(_));
    let plain = |arg: NodeId| graph.dtype(arg) != DType::Int || number(arg);
    let known = match &node.op {
        Op::Unary(_) | Op::Where => true,
        Op::Binary(op) => !matches!(op, BinaryOp::FloorDiv | BinaryOp::Remainder),
        Op::Cast => node.args.iter().all(|&arg| graph.dtype(arg) != DType::Int),
        _ => false,
    };
    known && node.dtype != DType::Int && node.args.iter().all(|&arg| plain(arg))
}

/// The number of features that a layer reads, where these are few and fewer than it writes.
pub(crate) fn narrow(graph: &Graph, id: NodeId) -> Option<i64> {
    let node = graph.node(id);
    let known = |id: NodeId| graph.shape(id).last().and_then(Dim::as_known);
    let width = node.args.first().and_then(|&x| known(x))?;
    let out = node.shape.last().and_then(Dim::as_known)?;
    (matches!(node.op, Op::Linear { .. }) && (1..=NARROW).contains(&width) && out >= WIDE).then_some(width)
}

/// Whether computing a value again costs little beside reading it from memory.
pub(crate) fn is_cheap(graph: &Graph, id: NodeId) -> bool {
    is_element_wise(graph, id) || narrow(graph, id).is_some() || matches!(graph.node(id).op, Op::Random { .. })
}
