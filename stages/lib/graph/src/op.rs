//! The operations of a graph, with PyTorch's meaning.

use crate::dim::{Dim, Shape};

/// Element type of a node. Floats are all one type here: the executor chooses float32 or float64 for a whole graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    Bool,
    Int,
    Float,
}

/// Index of a node in [`crate::Graph::nodes`]; arguments always come before their users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// Index into [`crate::Graph::params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(pub u32);

impl ParamId {
    /// The parameter at this place. Counts of parameters fit u32 long before memory ends.
    pub fn at(place: usize) -> Self {
        Self(u32::try_from(place).unwrap_or(u32::MAX))
    }
}

/// Where in the candidate's source a node was made; line and column count from 1, line 0 means "not from source".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    pub end_column: u32,
}

/// A value that is given from outside at every call.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// `node_fts`, `hidden`, or in a whole network's graph the name of a data point.
    pub name: String,
    pub shape: Shape,
    pub dtype: DType,
    /// Whether the value may differ from one time step to the next. What depends on constant inputs and parameters
    /// alone can be computed once for all steps.
    pub varies: bool,
}

/// How a parameter starts. Distributions are PyTorch's; shapes are in torch layout (`Linear.weight` is `[out, in]`).
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    Constant(f64),
    /// Row-major values, for buffers and parameters made from literal data.
    Values(Vec<f64>),
    Uniform {
        low: f64,
        high: f64,
    },
    Normal {
        mean: f64,
        std: f64,
    },
    /// Normal cut at `cut` standard deviations and not rescaled: Haiku's, `cut` = 2.
    TruncatedNormal {
        std: f64,
        cut: f64,
    },
    Orthogonal {
        gain: f64,
    },
    /// Normal, drawn again until it lies between `low` and `high`.
    BoundedNormal {
        mean: f64,
        std: f64,
        low: f64,
        high: f64,
    },
    /// As `base`, but for the elements at `places` (row-major), which start as a tensor of shape `part` with `init`: what the
    /// initialisation of a slice leaves.
    Patched {
        base: Box<Init>,
        places: Vec<u32>,
        part: Vec<usize>,
        init: Box<Init>,
    },
    /// The elements at `places` of the tensor of shape `shape` that `init` draws for the name `of`: a copy of another
    /// parameter's start, whether or not that parameter is used. The name is the source's own: see [`Init::renamed`].
    Copied {
        of: String,
        shape: Vec<usize>,
        init: Box<Init>,
        places: Vec<u32>,
    },
    /// Lengths of the tensor of shape `shape` that `init` draws for the name `of`: of its parts along `axis`, or of the whole. The
    /// value has that axis and ones in place of the others, or none.
    Lengths {
        of: String,
        shape: Vec<usize>,
        init: Box<Init>,
        axis: Option<usize>,
    },
    /// `scale * base + shift`: what in-place `mul_`/`add_` on an initialised parameter leaves.
    Affine {
        base: Box<Init>,
        scale: f64,
        shift: f64,
    },
    Eye,
}

impl Init {
    /// Whether it depends on how another parameter starts.
    pub fn copies(&self) -> bool {
        match self {
            Self::Copied { .. } | Self::Lengths { .. } => true,
            Self::Patched { base, init, .. } => base.copies() || init.copies(),
            Self::Affine { base, .. } => base.copies(),
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
    pub name: String,
    /// Further names of the same parameter, where several modules hold it: PyTorch's `state_dict` has all of them.
    pub aliases: Vec<String>,
    pub shape: Vec<usize>,
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
    pub op: Op,
    pub args: Vec<NodeId>,
    pub shape: Shape,
    pub dtype: DType,
    pub span: Span,
}

/// Element-wise operations of one argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UnaryOp {
    Neg,
    Abs,
    Sign,
    Relu,
    Sigmoid,
    LogSigmoid,
    Tanh,
    Exp,
    Expm1,
    Log,
    Log2,
    Log10,
    Log1p,
    Sqrt,
    Rsqrt,
    Square,
    Reciprocal,
    Sin,
    Cos,
    Tan,
    Atan,
    Sinh,
    Cosh,
    Erf,
    Erfc,
    Floor,
    Ceil,
    Round,
    Trunc,
    /// `tanh` is the approximation; else the exact one with erf.
    Gelu {
        tanh: bool,
    },
    Silu,
    Mish,
    Selu,
    Elu {
        alpha: f64,
    },
    Celu {
        alpha: f64,
    },
    LeakyRelu {
        slope: f64,
    },
    Softplus {
        beta: f64,
        threshold: f64,
    },
    Softsign,
    Hardsigmoid,
    Hardswish,
    Hardtanh {
        min: f64,
        max: f64,
    },
    /// Either bound may be infinite.
    Clamp {
        min: f64,
        max: f64,
    },
    LogicalNot,
    IsNan,
    IsInf,
    IsFinite,
}

/// Element-wise operations of two arguments, broadcast by PyTorch's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Remainder,
    Pow,
    Maximum,
    Minimum,
    Atan2,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// `&`: bitwise for Int, logical for Bool. (`logical_and` casts to Bool before.)
    And,
    Or,
    Xor,
}

/// Reductions over a set of axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReduceOp {
    Sum,
    Mean,
    /// Ties share the gradient equally.
    Amax,
    Amin,
    /// `x.max(dim).values`: one axis, the gradient goes to one element.
    MaxValues,
    MinValues,
    ArgMax,
    ArgMin,
    Prod,
    /// `correction` is 1 for the unbiased estimate.
    Var {
        correction: f64,
    },
    Std {
        correction: f64,
    },
    LogSumExp,
    /// Vector norm of order `p` (may be infinite).
    Norm {
        p: f64,
    },
    Any,
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
    Arange { start: f64, step: f64 },
    /// No arguments: ones on the main diagonal of a matrix of the node's shape.
    Eye,
    /// (key): numbers between 0 and 1 that follow from the key and the stream's number: see [`crate::noise`]. The key is
    /// `[B, 3]`, and the value's first axis B, row b of it following from row b of the key alone; or the key is `[3]`, and the
    /// value of any shape. Without gradient.
    Random { stream: u32 },

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
    Reduce { op: ReduceOp, dims: Vec<usize>, keepdim: bool },
    /// (x)
    Softmax { dim: usize },
    /// (x)
    LogSoftmax { dim: usize },
    /// (x) or (x, weight) or (x, weight, bias) over the last `axes` axes; `weighted`/`biased` say which are there.
    LayerNorm { axes: usize, eps: f64, weighted: bool, biased: bool },
    /// (x)
    CumSum { dim: usize },
    /// (x)
    CumProd { dim: usize },
    /// (x): values of the k largest (or smallest) along `dim`, sorted.
    TopK { k: Dim, dim: usize, largest: bool },
    /// (x): their indices, an Int node.
    TopKIndices { k: Dim, dim: usize, largest: bool },
    /// (x)
    Sort { dim: usize, descending: bool },
    /// (x): an Int node.
    ArgSort { dim: usize, descending: bool },

    /// (x): same elements, row-major order, the node's shape.
    Reshape,
    /// (x): axis i of the value is axis `perm[i]` of x.
    Permute(Vec<usize>),
    /// (x): broadcast to the node's shape.
    Expand,
    /// (x): `start..end` by `step` along `dim`; symbolic ends are allowed.
    Slice { dim: usize, start: Dim, end: Dim, step: usize },
    /// (x): element `index` along `dim`, which goes.
    Select { dim: usize, index: Dim },
    /// (x, y, ...)
    Cat { dim: usize },
    /// (x)
    Flip { dims: Vec<usize> },
    /// (x): by `shift` places along `dim`, wrapping.
    Roll { shift: i64, dim: usize },
    /// (x, index): as `torch.gather`.
    Gather { dim: usize },
    /// (x, index, src): as `Tensor.scatter`.
    Scatter { dim: usize },
    /// (x, index, src): as `Tensor.scatter_add`.
    ScatterAdd { dim: usize },
    /// (x, index): `index` is an Int vector; as `torch.index_select`. Also an embedding's look-up for other ranks of
    /// index: the value's shape is x's with axis `dim` replaced by the index's shape.
    IndexSelect { dim: usize },
    /// (index): Int or Float; a trailing axis of `classes`. The value has the index's type.
    OneHot { classes: usize },
    /// (x): keeps the lower triangle of the last two axes.
    Tril { diagonal: i64 },
    /// (x)
    Triu { diagonal: i64 },
    /// (x): the diagonal of axes `dim1` and `dim2`, appended as the last axis.
    Diagonal { offset: i64, dim1: usize, dim2: usize },

    /// (x, weight) or (x, weight, bias): `x @ weight^T + bias`, weight `[out, in]`.
    Linear { biased: bool },
    /// (x, y): `torch.matmul` with its broadcasting.
    MatMul,
    /// (x, y, ...): normalised equation, e.g. `bik,bkj->bij`: no spaces, no ellipsis, the output spelled out.
    Einsum(String),
    /// (a `[B, I, J, T]`, c `[B, I, K, T]`): `max over i of a[b, i, j, t] + c[b, i, k, t]`, `[B, J, K, T]`; the minimum
    /// with `minimum`. The executor need not build the `[B, I, J, K, T]` sum. Ties share the gradient equally, as in
    /// [`ReduceOp::Amax`], or with `first` it goes to the first i that attains the value, as in [`ReduceOp::MaxValues`].
    /// Programs have no such call: [`crate::passes`] make it.
    MaxPlus { minimum: bool, first: bool },

    /// (x, y, g): `y` and `g` have x's shape with the axes `dims` of size 1; `y` is an extreme or another order statistic
    /// of `x` over them. Each g goes to the elements of its group of x that are equal to y, in equal shares, or with
    /// `first` to the first of them in row-major order; the other elements get 0. Where no element is equal to y, as
    /// where y is NaN, the whole group is NaN. The value has x's shape. Made by [`crate::gradients`] alone, like the
    /// two below.
    ShareExtreme { dims: Vec<usize>, first: bool },
    /// (a, c, y, g): the gradient of [`Op::MaxPlus`] with the same settings, whose value is `y` and whose adjoint is `g`,
    /// for `a`, or for `c` with `second`. Ties are settled as that operation says; where no sum is equal to y, all of
    /// its i get NaN. The value has the shape of `a`, or of `c`.
    MaxPlusGrad { minimum: bool, first: bool, second: bool },
    /// (x, g): the gradient of [`Op::CumProd`] for its argument `x`, whose adjoint is `g`; exact with zeros, too:
    /// `prod over i < k of x_i`, times `S_k = g_k + x_(k+1) S_(k+1)`.
    CumProdGrad { dim: usize },
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
