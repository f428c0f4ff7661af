//! Why an operation cannot be added to a graph.

use crate::dim::{Dim, Shape, display};
use crate::op::DType;

/// A fault of one operation. The text is one sentence that names what disagrees; where it happened is the caller's to
/// add (it knows the source).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    // === Shapes ===
    #[error("{} and {} cannot be broadcast: axis {axis} is {left_size} on one side and {right_size} on the other", display(.left), display(.right))]
    Broadcast { left: Shape, right: Shape, axis: usize, left_size: Dim, right_size: Dim },
    #[error("{} cannot be expanded to {}: {reason}", display(.from), display(.to))]
    Expand { from: Shape, to: Shape, reason: String },
    #[error("{} cannot be viewed as {}: it has {have} elements, not {want}", display(.from), display(.to))]
    Reshape { from: Shape, to: Shape, have: Dim, want: Dim },
    #[error("{} cannot be viewed with one free axis beside {rest}: {have} is not a multiple of {rest} for every B and N", display(.from))]
    FreeAxis { from: Shape, have: Dim, rest: Dim },
    #[error("only one axis of a view may be -1")]
    TwoFreeAxes,
    #[error("{} and {} cannot be multiplied: the inner sizes are {left_size} and {right_size}", display(.left), display(.right))]
    MatMul { left: Shape, right: Shape, left_size: Dim, right_size: Dim },
    #[error("a linear layer from {wanted} to {out} features cannot be applied to {}: its last axis is {got}", display(.input))]
    Linear { input: Shape, wanted: Dim, out: Dim, got: Dim },
    #[error("{op}: the {what} has shape {}, but {} is needed", display(.got), display(.wanted))]
    Operand { op: &'static str, what: &'static str, got: Shape, wanted: Shape },
    #[error("cat along axis {dim}: {} and {} differ in axis {axis}: {left_size} and {right_size}", display(.left), display(.right))]
    Cat { dim: usize, left: Shape, right: Shape, axis: usize, left_size: Dim, right_size: Dim },
    #[error("{op}: {} has {} axes, but {wanted}", display(.shape), .shape.len())]
    Rank { op: &'static str, shape: Shape, wanted: String },
    #[error("{op}: axis {axis} is out of range for {}, which has {} axes", display(.shape), .shape.len())]
    Axis { op: &'static str, axis: usize, shape: Shape },
    #[error("{op}: axis {axis} is given twice")]
    AxisTwice { op: &'static str, axis: usize },
    #[error("{op}: axis {axis} of {} may be empty", display(.shape))]
    EmptyAxis { op: &'static str, axis: usize, shape: Shape },
    #[error("{op}: a size of {size} is not known to be 0 or more for every B >= 1 and N >= 2")]
    NegativeSize { op: &'static str, size: Dim },
    #[error("slice {start}..{end} is not known to lie within axis {axis} of {} for every B >= 1 and N >= 2", display(.shape))]
    Slice { shape: Shape, axis: usize, start: Dim, end: Dim },
    #[error("a slice of {length} elements by steps of {step} has no length that is right for every B and N")]
    SliceStep { length: Dim, step: usize },
    #[error("index {index} is not known to lie within axis {axis} of {} for every B >= 1 and N >= 2", display(.shape))]
    Index { shape: Shape, axis: usize, index: Dim },
    #[error("{op}: k = {k} is not known to be at most {size}, the size of axis {axis}, for every B >= 1 and N >= 2")]
    TooMany { op: &'static str, k: Dim, size: Dim, axis: usize },
    #[error("{op}: the index {} does not fit {}: axis {axis} is {index_size} and {size}", display(.index), display(.shape))]
    IndexShape { op: &'static str, index: Shape, shape: Shape, axis: usize, index_size: Dim, size: Dim },
    #[error("einsum \"{equation}\": {reason}")]
    Einsum { equation: String, reason: String },
    #[error("{op}: {values} values do not fill {}", display(.shape))]
    Values { op: &'static str, values: usize, shape: Shape },

    // === Element types ===
    #[error("{op} is not defined for {got} tensors{hint}")]
    DType { op: &'static str, got: DType, hint: &'static str },
    #[error("{op} needs operands of one type, but they are {left} and {right}")]
    DTypes { op: &'static str, left: DType, right: DType },

    // === Structure ===
    #[error("{op} takes {wanted} arguments, but has {got}")]
    Arity { op: &'static str, wanted: &'static str, got: usize },
    #[error("{op}: {} {stated_dtype} is stated, but the value is {} {dtype}", display(.stated), display(.shape))]
    Stated { op: &'static str, stated: Shape, stated_dtype: DType, shape: Shape, dtype: DType },
    #[error("{op} needs its shape and type stated")]
    Unstated { op: &'static str },
    #[error("{op}: {reason}")]
    Setting { op: &'static str, reason: String },
    #[error("node {node} does not exist in this graph")]
    NoSuchNode { node: u32 },
    #[error("{op} nodes are made by their own method")]
    OwnMethod { op: &'static str },
    #[error("the graph takes {wanted} inputs, but {got} are given")]
    Inputs { wanted: usize, got: usize },
    #[error("input {name} has shape {}, but {} is given", display(.wanted), display(.got))]
    InputShape { name: String, wanted: Shape, got: Shape },
    #[error("input {name} is a {wanted} tensor, but a {got} one is given")]
    InputType { name: String, wanted: DType, got: DType },
    #[error("parameter {name} exists with another shape or initialisation")]
    ParamClash { name: String },
}
