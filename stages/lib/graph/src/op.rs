//! The operations of a graph, with PyTorch's meaning.

use crate::dim::{Dim, Shape};

/// Element type of a node. Floats are all one type here: the executor chooses float32 or float64 for a whole graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// Truth values; 0 and 1 where they are stored as numbers.
    Bool,
    /// Signed whole numbers of 64 bits.
    Int,
    /// Real numbers.
    Float,
}

/// Index of a node in [`crate::Graph::nodes`]; arguments always come before their users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

/// Index into [`crate::Graph::params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(pub(crate) u32);

impl NodeId {
    /// Its place among the nodes.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ParamId {
    /// Its place among the parameters.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The parameter at this place. Counts of parameters fit u32 long before memory ends.
    pub fn at(place: usize) -> Self {
        Self(u32::try_from(place).unwrap_or(u32::MAX))
    }
}

/// Where in the candidate's source a node was made; line and column count from 1, line 0 means "not from source".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Line of the first character.
    pub line: u32,
    /// Column of the first character.
    pub column: u32,
    /// Line of the end.
    pub end_line: u32,
    /// Column behind the last character.
    pub end_column: u32,
}

/// A value that is given from outside at every call.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// `node_fts`, `hidden`, or in a whole network's graph the name of a data point.
    pub name: String,
    /// Sizes for every B and N.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
    /// Whether the value may differ from one time step to the next. What depends on constant inputs and parameters
    /// alone can be computed once for all steps.
    pub varies: bool,
}

/// How a parameter starts. Distributions are PyTorch's; shapes are in torch layout (`Linear.weight` is `[out, in]`).
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// Every element is this number.
    Constant(f64),
    /// Row-major values, for buffers and parameters made from literal data.
    Values(Vec<f64>),
    /// Uniform between two bounds.
    Uniform {
        /// Lower bound, included.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// Normally distributed.
    Normal {
        /// Mean of the distribution.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Normal cut at `cut` standard deviations and not rescaled: Haiku's, `cut` = 2.
    TruncatedNormal {
        /// Standard deviation before the cut.
        std: f64,
        /// Where it is cut, in standard deviations from the mean 0.
        cut: f64,
    },
    /// A matrix of orthonormal rows or columns, whichever are fewer; all axes but the first count as columns.
    Orthogonal {
        /// What the matrix is multiplied by.
        gain: f64,
    },
    /// Normal, drawn again until it lies between `low` and `high`.
    BoundedNormal {
        /// Mean before the bounds.
        mean: f64,
        /// Standard deviation before the bounds.
        std: f64,
        /// Least value.
        low: f64,
        /// Largest value.
        high: f64,
    },
    /// As `base`, but for the elements at `places` (row-major), which start as a tensor of shape `part` with `init`: what the
    /// initialisation of a slice leaves.
    Patched {
        /// How all other elements start, in the parameter's shape.
        base: Box<Init>,
        /// Row-major positions in the parameter, one for each element of `part`.
        places: Vec<u32>,
        /// Shape of the tensor that is written there.
        part: Vec<usize>,
        /// How that tensor starts.
        init: Box<Init>,
    },
    /// The elements at `places` of the tensor of shape `shape` that `init` draws for the name `of`: a copy of another
    /// parameter's start, whether or not that parameter is used. The name is the source's own: see [`Init::renamed`].
    Copied {
        /// Name whose random stream is drawn from.
        of: String,
        /// Shape of the tensor that is drawn.
        shape: Vec<usize>,
        /// How that tensor starts.
        init: Box<Init>,
        /// Row-major positions in it, one for each element of this parameter.
        places: Vec<u32>,
    },
    /// Lengths of the tensor of shape `shape` that `init` draws for the name `of`: of its parts along `axis`, or of the whole. The
    /// value has that axis and ones in place of the others, or none.
    Lengths {
        /// Name whose random stream is drawn from.
        of: String,
        /// Shape of the tensor that is drawn.
        shape: Vec<usize>,
        /// How that tensor starts.
        init: Box<Init>,
        /// The axis that is kept, one Euclidean length for each of its places; `None` for the length of the whole.
        axis: Option<usize>,
    },
    /// `scale * base + shift`: what in-place `mul_`/`add_` on an initialised parameter leaves.
    Affine {
        /// The start that is scaled, in the parameter's shape.
        base: Box<Init>,
        /// The factor.
        scale: f64,
        /// What is added afterwards.
        shift: f64,
    },
    /// `scale * base + shift`, element by element: draws beside a constant tensor, such as the identity with noise or draws
    /// behind a mask.
    Weighted {
        /// The start that is scaled, in the parameter's shape.
        base: Box<Init>,
        /// Row-major factors, one for each element.
        scale: Vec<f64>,
        /// What is added afterwards, one for each element.
        shift: Vec<f64>,
    },
    /// The identity matrix; ones on the main diagonal where it is not square.
    Eye,
}

impl Init {
    /// Whether it depends on how another parameter starts.
    pub fn copies(&self) -> bool {
        match self {
            Self::Copied { .. } | Self::Lengths { .. } => true,
            Self::Patched { base, init, .. } => base.copies() || init.copies(),
            Self::Affine { base, .. } | Self::Weighted { base, .. } => base.copies(),
            _ => false,
        }
    }

    /// The same start with other names for what is copied.
    pub fn with_names(&self, name: &dyn Fn(&str) -> String) -> Self {
        let inner = |init: &Self| Box::new(init.with_names(name));
        match self {
            Self::Copied { of, shape, init, places } => {
                Self::Copied { of: name(of), shape: shape.clone(), init: inner(init), places: places.clone() }
            }
            Self::Lengths { of, shape, init, axis } => {
                Self::Lengths { of: name(of), shape: shape.clone(), init: inner(init), axis: *axis }
            }
            Self::Patched { base, places, part, init } => {
                Self::Patched { base: inner(base), places: places.clone(), part: part.clone(), init: inner(init) }
            }
            Self::Affine { base, scale, shift } => Self::Affine { base: inner(base), scale: *scale, shift: *shift },
            Self::Weighted { base, scale, shift } => {
                Self::Weighted { base: inner(base), scale: scale.clone(), shift: shift.clone() }
            }
            other => other.clone(),
        }
    }

    /// The same start where all names get a prefix.
    pub fn renamed(&self, prefix: &str) -> Self {
        if self.copies() { self.with_names(&|name| format!("{prefix}{name}")) } else { self.clone() }
    }
}

/// A parameter or buffer, with its torch name (`heads.0.t_1.bias`).
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// The torch name.
    pub name: String,
    /// Further names of the same parameter, where several modules hold it: PyTorch's `state_dict` has all of them.
    pub aliases: Vec<String>,
    /// Sizes of all axes, in torch layout.
    pub shape: Vec<usize>,
    /// How its elements start.
    pub init: Init,
    /// False for buffers and for parameters with `requires_grad=False`.
    pub trainable: bool,
    /// True for buffers that are not part of the `state_dict`.
    pub transient: bool,
    /// Where the program makes it.
    pub span: Span,
}

/// One operation, its arguments (in the order that [`Op`] documents), and the type of its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// The values it is computed from, all earlier in the graph.
    pub args: Vec<NodeId>,
    /// Sizes of the value for every B and N.
    pub shape: Shape,
    /// Element type of the value.
    pub dtype: DType,
    /// The expression of the source that made it.
    pub span: Span,
}

/// Element-wise operations of one argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UnaryOp {
    /// `-x`.
    Neg,
    /// The absolute value.
    Abs,
    /// -1, 0 or 1.
    Sign,
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The logarithm of the sigmoid.
    LogSigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `e^x`.
    Exp,
    /// `e^x - 1`, exact near 0.
    Expm1,
    /// Natural logarithm.
    Log,
    /// Logarithm to base 2.
    Log2,
    /// Logarithm to base 10.
    Log10,
    /// `log(1 + x)`, exact near 0.
    Log1p,
    /// Square root.
    Sqrt,
    /// `1 / sqrt(x)`.
    Rsqrt,
    /// `x * x`.
    Square,
    /// `1 / x`.
    Reciprocal,
    /// Sine of radians.
    Sin,
    /// Cosine of radians.
    Cos,
    /// Tangent of radians.
    Tan,
    /// Arc tangent, in radians.
    Atan,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// The error function.
    Erf,
    /// `1 - erf(x)`.
    Erfc,
    /// The next whole number at or below.
    Floor,
    /// The next whole number at or above.
    Ceil,
    /// The nearest whole number, the even one of two.
    Round,
    /// x without its fraction.
    Trunc,
    /// The nearest bfloat16, of two the even one. Its gradient passes as if it were x: see [`crate::Dtype::Bf16`].
    Bfloat16,
    /// `tanh` is the approximation; else the exact one with erf.
    Gelu {
        /// Whether the approximation is meant.
        tanh: bool,
    },
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * tanh(softplus(x))`.
    Mish,
    /// ELU with the scale and slope of self-normalising networks.
    Selu,
    /// x where it is positive, else `alpha * (e^x - 1)`.
    Elu {
        /// What it tends to on the negative side, negated.
        alpha: f64,
    },
    /// x where it is positive, else `alpha * (e^(x / alpha) - 1)`.
    Celu {
        /// What it tends to on the negative side, negated.
        alpha: f64,
    },
    /// x where it is positive, else `slope * x`.
    LeakyRelu {
        /// Slope on the negative side.
        slope: f64,
    },
    /// `log(1 + e^(beta * x)) / beta`, or x where `beta * x` exceeds the threshold.
    Softplus {
        /// Sharpness of the bend.
        beta: f64,
        /// From where on the value is x itself, in units of `beta * x`.
        threshold: f64,
    },
    /// `x / (1 + |x|)`.
    Softsign,
    /// `clamp(x + 3, 0, 6) / 6`.
    Hardsigmoid,
    /// `x * clamp(x + 3, 0, 6) / 6`.
    Hardswish,
    /// As [`UnaryOp::Clamp`], but without gradient at the bounds themselves.
    Hardtanh {
        /// Lower bound.
        min: f64,
        /// Upper bound.
        max: f64,
    },
    /// Either bound may be infinite.
    Clamp {
        /// Lower bound, which has a gradient.
        min: f64,
        /// Upper bound, which has a gradient; it wins where it is the smaller one.
        max: f64,
    },
    /// True where x is 0.
    LogicalNot,
    /// True where x is not a number.
    IsNan,
    /// True where x is infinite.
    IsInf,
    /// True where x is neither infinite nor NaN.
    IsFinite,
}

/// Element-wise operations of two arguments, broadcast by PyTorch's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `x + y`.
    Add,
    /// `x - y`.
    Sub,
    /// `x * y`.
    Mul,
    /// `x / y`, a Float.
    Div,
    /// `floor(x / y)`.
    FloorDiv,
    /// `x - y * floor(x / y)`, with the sign of y.
    Remainder,
    /// x to the power of y.
    Pow,
    /// The larger one; ties share the gradient equally.
    Maximum,
    /// The smaller one; ties share the gradient equally.
    Minimum,
    /// The angle of the point (y, x), in radians, as in `torch.atan2(x, y)`.
    Atan2,
    /// Whether x equals y, a Bool like the five below.
    Eq,
    /// Whether x differs from y.
    Ne,
    /// Whether x is less than y.
    Lt,
    /// Whether x is at most y.
    Le,
    /// Whether x is greater than y.
    Gt,
    /// Whether x is at least y.
    Ge,
    /// `&`: bitwise for Int, logical for Bool. (`logical_and` casts to Bool before.)
    And,
    /// `|`: bitwise for Int, logical for Bool.
    Or,
    /// `^`: bitwise for Int, logical for Bool.
    Xor,
}

/// Reductions over a set of axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReduceOp {
    /// The sum; of Bool, the count of true elements.
    Sum,
    /// The arithmetic mean.
    Mean,
    /// Ties share the gradient equally.
    Amax,
    /// The least element. Ties share the gradient equally.
    Amin,
    /// `x.max(dim).values`: one axis, the gradient goes to one element.
    MaxValues,
    /// `x.min(dim).values`, as [`ReduceOp::MaxValues`].
    MinValues,
    /// The index of the largest element, the first of several: an Int, along one axis.
    ArgMax,
    /// The index of the least element, the first of several: an Int, along one axis.
    ArgMin,
    /// The product.
    Prod,
    /// `correction` is 1 for the unbiased estimate.
    Var {
        /// What the number of elements is reduced by in the divisor.
        correction: f64,
    },
    /// The square root of [`ReduceOp::Var`].
    Std {
        /// What the number of elements is reduced by in the divisor.
        correction: f64,
    },
    /// `log(sum(exp(x)))`, without overflow.
    LogSumExp,
    /// Vector norm of order `p` (may be infinite).
    Norm {
        /// Order of the norm: 2 is the Euclidean length.
        p: f64,
    },
    /// Whether any element is not 0.
    Any,
    /// Whether no element is 0.
    All,
    /// One axis; the lower of two middle elements. The gradient goes to the first element that is equal to it.
    Median,
}

/// An operation. Axes are normalised: never negative, and within the argument's rank.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// No arguments. Index into [`crate::Graph::inputs`].
    Input(u32),
    /// No arguments.
    Param(ParamId),
    /// No arguments: a 0-dimensional constant. `dtype` of the node says which type; a Python number beside a tensor
    /// takes the tensor's type when the types are of one category, as in PyTorch.
    Scalar(f64),
    /// No arguments: a 0-dimensional integer that is a symbolic size (`n` used as a number in tensor arithmetic).
    Size(Dim),
    /// No arguments: a tensor of one value.
    Full(f64),
    /// No arguments: literal data, row-major; the node's shape is constant.
    Const(Vec<f64>),
    /// No arguments: `start + step * [0, 1, ..., len)`, `len` being the node's only axis.
    Arange {
        /// The first value.
        start: f64,
        /// The difference of neighbours.
        step: f64,
    },
    /// No arguments: ones on the main diagonal of a matrix of the node's shape.
    Eye,
    /// (key): numbers between 0 and 1 that follow from the key and the stream's number: see [`crate::noise`]. The key is
    /// `[B, 3]`, and the value's first axis B, row b of it following from row b of the key alone; or the key is `[3]`, and the
    /// value of any shape. In place of B there may be another size, as where there are several networks. Without gradient.
    Random {
        /// The number that tells this node's noise from that of others with the same key.
        stream: u32,
    },

    /// (x)
    Unary(UnaryOp),
    /// (x, y)
    Binary(BinaryOp),
    /// (condition, x, y): broadcast.
    Where,
    /// (x): to the node's dtype.
    Cast,
    /// (x): the same value, without gradient.
    Detach,

    /// (x)
    Reduce {
        /// How the elements are reduced.
        op: ReduceOp,
        /// The axes that are reduced.
        dims: Vec<usize>,
        /// Whether they stay, with size 1.
        keepdim: bool,
    },
    /// (x)
    Softmax {
        /// The axis whose elements add up to 1.
        dim: usize,
    },
    /// (x)
    LogSoftmax {
        /// The axis over which the exponentials add up to 1.
        dim: usize,
    },
    /// (x) or (x, weight) or (x, weight, bias) over the last `axes` axes; `weighted`/`biased` say which are there.
    LayerNorm {
        /// How many of the last axes are normalised over together.
        axes: usize,
        /// What is added to the variance.
        eps: f64,
        /// Whether there is a weight, of the shape of these axes.
        weighted: bool,
        /// Whether there is a bias, of the shape of these axes.
        biased: bool,
    },
    /// (x)
    CumSum {
        /// The axis along which sums run.
        dim: usize,
    },
    /// (x)
    CumProd {
        /// The axis along which products run.
        dim: usize,
    },
    /// (x): values of the k largest (or smallest) along `dim`, sorted.
    TopK {
        /// How many are taken: the new size of the axis.
        k: Dim,
        /// The axis along which they are taken.
        dim: usize,
        /// Whether the largest are taken, in descending order; else the smallest, in ascending order.
        largest: bool,
    },
    /// (x): their indices, an Int node.
    TopKIndices {
        /// How many are taken: the new size of the axis.
        k: Dim,
        /// The axis along which they are taken.
        dim: usize,
        /// Whether the largest are taken, in descending order; else the smallest, in ascending order.
        largest: bool,
    },
    /// (x)
    Sort {
        /// The axis along which is sorted.
        dim: usize,
        /// Whether the largest element comes first.
        descending: bool,
    },
    /// (x): an Int node.
    ArgSort {
        /// The axis along which is sorted.
        dim: usize,
        /// Whether the largest element comes first.
        descending: bool,
    },

    /// (x): same elements, row-major order, the node's shape.
    Reshape,
    /// (x): axis i of the value is axis `perm[i]` of x.
    Permute(Vec<usize>),
    /// (x): broadcast to the node's shape.
    Expand,
    /// (x): `start..end` by `step` along `dim`; symbolic ends are allowed.
    Slice {
        /// The axis that is cut.
        dim: usize,
        /// The first index.
        start: Dim,
        /// The index behind the last.
        end: Dim,
        /// The distance of neighbours, 1 or more.
        step: usize,
    },
    /// (x): element `index` along `dim`, which goes.
    Select {
        /// The axis that goes.
        dim: usize,
        /// The place along it, from 0.
        index: Dim,
    },
    /// (x, y, ...)
    Cat {
        /// The axis along which they are put one behind the other.
        dim: usize,
    },
    /// (x)
    Flip {
        /// The axes whose order is reversed.
        dims: Vec<usize>,
    },
    /// (x): by `shift` places along `dim`, wrapping.
    Roll {
        /// How far each element moves towards higher indices.
        shift: i64,
        /// The axis along which they move.
        dim: usize,
    },
    /// (x, index): as `torch.gather`.
    Gather {
        /// The axis that is indexed.
        dim: usize,
    },
    /// (x, index, src): as `Tensor.scatter`.
    Scatter {
        /// The axis that is indexed.
        dim: usize,
    },
    /// (x, index, src): as `Tensor.scatter_add`.
    ScatterAdd {
        /// The axis that is indexed.
        dim: usize,
    },
    /// (x, index): `index` is an Int vector; as `torch.index_select`. Also an embedding's look-up for other ranks of
    /// index: the value's shape is x's with axis `dim` replaced by the index's shape.
    IndexSelect {
        /// The axis that is indexed.
        dim: usize,
    },
    /// (index): Int or Float; a trailing axis of `classes`. The value has the index's type.
    OneHot {
        /// How many classes there are: the size of the new axis.
        classes: usize,
    },
    /// (x): keeps the lower triangle of the last two axes.
    Tril {
        /// The last diagonal that is kept; 0 is the main one, positive ones lie above.
        diagonal: i64,
    },
    /// (x)
    Triu {
        /// The first diagonal that is kept; 0 is the main one, positive ones lie above.
        diagonal: i64,
    },
    /// (x): the diagonal of axes `dim1` and `dim2`, appended as the last axis.
    Diagonal {
        /// Which diagonal; 0 is the main one, positive ones lie above.
        offset: i64,
        /// The axis of rows.
        dim1: usize,
        /// The axis of columns.
        dim2: usize,
    },

    /// (x, weight) or (x, weight, bias): `x @ weight^T + bias`, weight `[out, in]`.
    Linear {
        /// Whether there is a bias.
        biased: bool,
    },
    /// (x, y): `torch.matmul` with its broadcasting.
    MatMul,
    /// (x, y, ...): normalised equation, e.g. `bik,bkj->bij`: no spaces, no ellipsis, the output spelled out.
    Einsum(String),
    /// (a `[B, I, J, T]`, c `[B, I, K, T]`): `max over i of a[b, i, j, t] + c[b, i, k, t]`, `[B, J, K, T]`; the minimum
    /// with `minimum`. The executor need not build the `[B, I, J, K, T]` sum. Ties share the gradient equally, as in
    /// [`ReduceOp::Amax`], or with `first` it goes to the first i that attains the value, as in [`ReduceOp::MaxValues`].
    /// Programs have no such call: [`crate::passes`] make it.
    MaxPlus {
        /// Whether the minimum is meant.
        minimum: bool,
        /// Whether the gradient goes to the first i alone.
        first: bool,
    },

    /// (x, y, g): `y` and `g` have x's shape with the axes `dims` of size 1; `y` is an extreme or another order statistic
    /// of `x` over them. Each g goes to the elements of its group of x that are equal to y, in equal shares, or with
    /// `first` to the first of them in row-major order; the other elements get 0. Where no element is equal to y, as
    /// where y is NaN, the whole group is NaN. The value has x's shape. Made by [`crate::gradients`] alone, like the
    /// two below.
    ShareExtreme {
        /// The axes that were reduced.
        dims: Vec<usize>,
        /// Whether the first equal element gets all.
        first: bool,
    },
    /// (a, c, y, g): the gradient of [`Op::MaxPlus`] with the same settings, whose value is `y` and whose adjoint is `g`,
    /// for `a`, or for `c` with `second`. Ties are settled as that operation says; where no sum is equal to y, all of
    /// its i get NaN. The value has the shape of `a`, or of `c`.
    MaxPlusGrad {
        /// As in [`Op::MaxPlus`].
        minimum: bool,
        /// As in [`Op::MaxPlus`].
        first: bool,
        /// Whether the gradient is that of `c`.
        second: bool,
    },
    /// (x, g): the gradient of [`Op::CumProd`] for its argument `x`, whose adjoint is `g`; exact with zeros, too:
    /// `prod over i < k of x_i`, times `S_k = g_k + x_(k+1) S_(k+1)`.
    CumProdGrad {
        /// The axis along which products run.
        dim: usize,
    },
}

impl Op {
    /// Whether the value is its first argument, seen otherwise: no element is computed or moved.
    pub fn is_view(&self) -> bool {
        matches!(
            self,
            Op::Reshape
                | Op::Permute(_)
                | Op::Expand
                | Op::Slice { .. }
                | Op::Select { .. }
                | Op::Diagonal { .. }
                | Op::Detach
        )
    }
}
