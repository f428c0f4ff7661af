//! Why an operation cannot be added to a graph.

use crate::dim::{Dim, Shape, display};
use crate::op::DType;

/// A fault of one operation. The text is one sentence that names what disagrees; where it happened is the caller's to
/// add (it knows the source).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    // === Shapes ===
    /// Two shapes differ in an axis in which neither is 1.
    #[error("{} and {} cannot be broadcast: axis {axis} is {left_size} on one side and {right_size} on the other", display(.left), display(.right))]
    Broadcast {
        /// Shape of the first argument.
        left: Shape,
        /// Shape of the second argument.
        right: Shape,
        /// The axis of the wider shape, from 0.
        axis: usize,
        /// Size of the first argument along it.
        left_size: Dim,
        /// Size of the second argument along it.
        right_size: Dim,
    },
    /// A shape cannot be broadcast to the stated one.
    #[error("{} cannot be expanded to {}: {reason}", display(.from), display(.to))]
    Expand {
        /// The argument's shape.
        from: Shape,
        /// The stated shape.
        to: Shape,
        /// Which axis does not fit, and why.
        reason: String,
    },
    /// A view has another number of elements than what it shows.
    #[error("{} cannot be viewed as {}: it has {have} elements, not {want}", display(.from), display(.to))]
    Reshape {
        /// The argument's shape.
        from: Shape,
        /// The stated shape.
        to: Shape,
        /// Number of the argument's elements.
        have: Dim,
        /// Number of elements of the stated shape.
        want: Dim,
    },
    /// The size behind -1 in a view is not a polynomial.
    #[error("{} cannot be viewed with one free axis beside {rest}: {have} is not a multiple of {rest} for every B and N", display(.from))]
    FreeAxis {
        /// The argument's shape.
        from: Shape,
        /// Number of its elements.
        have: Dim,
        /// Product of the view's other sizes.
        rest: Dim,
    },
    /// A view has -1 more than once.
    #[error("only one axis of a view may be -1")]
    TwoFreeAxes,
    /// Matrices whose inner sizes differ.
    #[error("{} and {} cannot be multiplied: the inner sizes are {left_size} and {right_size}", display(.left), display(.right))]
    MatMul {
        /// Shape of the first argument.
        left: Shape,
        /// Shape of the second argument.
        right: Shape,
        /// Number of columns of the first.
        left_size: Dim,
        /// Number of rows of the second.
        right_size: Dim,
    },
    /// The features that come in are not those that the layer's weight takes.
    #[error("a linear layer from {wanted} to {out} features cannot be applied to {}: its last axis is {got}", display(.input))]
    Linear {
        /// Shape of the argument.
        input: Shape,
        /// Features that the weight takes.
        wanted: Dim,
        /// Features that the layer makes.
        out: Dim,
        /// Size of the argument's last axis.
        got: Dim,
    },
    /// An argument beside the first has the wrong shape.
    #[error("{op}: the {what} has shape {}, but {} is needed", display(.got), display(.wanted))]
    Operand {
        /// The operation's name.
        op: &'static str,
        /// What the argument is to it, such as `weight`.
        what: &'static str,
        /// The argument's shape.
        got: Shape,
        /// The shape that it has to have.
        wanted: Shape,
    },
    /// Tensors that are put one behind the other differ in another axis.
    #[error("cat along axis {dim}: {} and {} differ in axis {axis}: {left_size} and {right_size}", display(.left), display(.right))]
    Cat {
        /// The axis of concatenation.
        dim: usize,
        /// Shape of the first tensor.
        left: Shape,
        /// Shape of the one that differs.
        right: Shape,
        /// The axis in which they differ.
        axis: usize,
        /// Size of the first along it.
        left_size: Dim,
        /// Size of the other along it.
        right_size: Dim,
    },
    /// A tensor has too few or too many axes.
    #[error("{op}: {} has {} axes, but {wanted}", display(.shape), .shape.len())]
    Rank {
        /// The operation's name.
        op: &'static str,
        /// The tensor's shape.
        shape: Shape,
        /// How many axes are needed, as the end of a sentence.
        wanted: String,
    },
    /// There is no such axis.
    #[error("{op}: axis {axis} is out of range for {}, which has {} axes", display(.shape), .shape.len())]
    Axis {
        /// The operation's name.
        op: &'static str,
        /// The axis that is asked for, from 0.
        axis: usize,
        /// The argument's shape.
        shape: Shape,
    },
    /// An axis is named more than once.
    #[error("{op}: axis {axis} is given twice")]
    AxisTwice {
        /// The operation's name.
        op: &'static str,
        /// The axis, from 0.
        axis: usize,
    },
    /// An operation that has no value for no elements meets an axis that is not proven to have any.
    #[error("{op}: axis {axis} of {} may be empty", display(.shape))]
    EmptyAxis {
        /// The operation's name.
        op: &'static str,
        /// The axis, from 0.
        axis: usize,
        /// The argument's shape.
        shape: Shape,
    },
    /// A size is not proven to be 0 or more.
    #[error("{op}: a size of {size} is not known to be 0 or more for every B >= 1 and N >= 2")]
    NegativeSize {
        /// The operation's name.
        op: &'static str,
        /// The size.
        size: Dim,
    },
    /// A slice is not proven to lie within its axis.
    #[error("slice {start}..{end} is not known to lie within axis {axis} of {} for every B >= 1 and N >= 2", display(.shape))]
    Slice {
        /// The argument's shape.
        shape: Shape,
        /// The axis that is cut, from 0.
        axis: usize,
        /// The first index.
        start: Dim,
        /// The index behind the last.
        end: Dim,
    },
    /// The length of a slice by steps is not a polynomial.
    #[error("a slice of {length} elements by steps of {step} has no length that is right for every B and N")]
    SliceStep {
        /// Number of elements between start and end.
        length: Dim,
        /// The distance of neighbours.
        step: usize,
    },
    /// An index is not proven to lie within its axis.
    #[error("index {index} is not known to lie within axis {axis} of {} for every B >= 1 and N >= 2", display(.shape))]
    Index {
        /// The argument's shape.
        shape: Shape,
        /// The axis that is indexed, from 0.
        axis: usize,
        /// The index.
        index: Dim,
    },
    /// More elements are asked for than the axis is proven to have.
    #[error("{op}: k = {k} is not known to be at most {size}, the size of axis {axis}, for every B >= 1 and N >= 2")]
    TooMany {
        /// The operation's name.
        op: &'static str,
        /// How many are asked for.
        k: Dim,
        /// Size of the axis.
        size: Dim,
        /// The axis, from 0.
        axis: usize,
    },
    /// The shape of an index tensor does not fit that of what it indexes.
    #[error("{op}: the index {} does not fit {}: axis {axis} is {index_size} and {size}", display(.index), display(.shape))]
    IndexShape {
        /// The operation's name.
        op: &'static str,
        /// Shape of the index tensor.
        index: Shape,
        /// Shape of what it indexes.
        shape: Shape,
        /// The first axis that does not fit, from 0.
        axis: usize,
        /// Size of the index tensor along it.
        index_size: Dim,
        /// Size of the other along it.
        size: Dim,
    },
    /// An equation cannot be read, or does not fit its operands.
    #[error("einsum \"{equation}\": {reason}")]
    Einsum {
        /// The equation as it is written.
        equation: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Literal data has another number of elements than the stated shape.
    #[error("{op}: {values} values do not fill {}", display(.shape))]
    Values {
        /// The operation's name.
        op: &'static str,
        /// How many values there are.
        values: usize,
        /// The stated shape.
        shape: Shape,
    },

    // === Element types ===
    /// An operation is not defined for the element type.
    #[error("{op} is not defined for {got} tensors{hint}")]
    DType {
        /// The operation's name.
        op: &'static str,
        /// Element type of the argument.
        got: DType,
        /// What to do about it, beginning with a semicolon; or empty.
        hint: &'static str,
    },
    /// Element types that have to be equal differ.
    #[error("{op} needs operands of one type, but they are {left} and {right}")]
    DTypes {
        /// The operation's name.
        op: &'static str,
        /// Element type of the first argument.
        left: DType,
        /// Element type of the one that differs.
        right: DType,
    },

    // === Structure ===
    /// An operation has the wrong number of arguments.
    #[error("{op} takes {wanted} arguments, but has {got}")]
    Arity {
        /// The operation's name.
        op: &'static str,
        /// How many it takes, in words.
        wanted: &'static str,
        /// How many there are.
        got: usize,
    },
    /// The stated shape or element type is not that of the value.
    #[error("{op}: {} {stated_dtype} is stated, but the value is {} {dtype}", display(.stated), display(.shape))]
    Stated {
        /// The operation's name.
        op: &'static str,
        /// The stated shape.
        stated: Shape,
        /// The stated element type.
        stated_dtype: DType,
        /// The value's shape.
        shape: Shape,
        /// The value's element type.
        dtype: DType,
    },
    /// The value's shape and element type do not follow from the arguments, and are not stated.
    #[error("{op} needs its shape and type stated")]
    Unstated {
        /// The operation's name.
        op: &'static str,
    },
    /// A setting of the operation has no meaning.
    #[error("{op}: {reason}")]
    Setting {
        /// The operation's name.
        op: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An argument, input or parameter is referred to that the graph does not have at that place.
    #[error("node {node} does not exist in this graph")]
    NoSuchNode {
        /// The index that is referred to.
        node: u32,
    },
    /// Inputs and parameters cannot be pushed like other operations.
    #[error("{op} nodes are made by their own method")]
    OwnMethod {
        /// The operation's name.
        op: &'static str,
    },
    /// A graph is called with too few or too many inputs.
    #[error("the graph takes {wanted} inputs, but {got} are given")]
    Inputs {
        /// How many inputs it has.
        wanted: usize,
        /// How many are given.
        got: usize,
    },
    /// An input has another shape than the graph states.
    #[error("input {name} has shape {}, but {} is given", display(.wanted), display(.got))]
    InputShape {
        /// Name of the input.
        name: String,
        /// The stated shape.
        wanted: Shape,
        /// The shape that is given.
        got: Shape,
    },
    /// An input has another element type than the graph states.
    #[error("input {name} is a {wanted} tensor, but a {got} one is given")]
    InputType {
        /// Name of the input.
        name: String,
        /// The stated element type.
        wanted: DType,
        /// The element type that is given.
        got: DType,
    },
    /// A parameter's name is taken by one that differs.
    #[error("parameter {name} exists with another shape or initialisation")]
    ParamClash {
        /// Torch name of the parameter.
        name: String,
    },
}
