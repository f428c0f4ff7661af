//! Names of operations, as PyTorch spells them: for messages and listings.

use crate::op::{BinaryOp, DType, Op, ReduceOp, UnaryOp};
use std::fmt;

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::Bool => "bool",
            DType::Int => "int",
            DType::Float => "float",
        })
    }
}

impl UnaryOp {
    /// Its name in messages and in the text of graphs.
    pub fn name(&self) -> &'static str {
        match self {
            UnaryOp::Neg => "neg",
            UnaryOp::Abs => "abs",
            UnaryOp::Sign => "sign",
            UnaryOp::Relu => "relu",
            UnaryOp::Sigmoid => "sigmoid",
            UnaryOp::LogSigmoid => "logsigmoid",
            UnaryOp::Tanh => "tanh",
            UnaryOp::Exp => "exp",
            UnaryOp::Expm1 => "expm1",
            UnaryOp::Log => "log",
            UnaryOp::Log2 => "log2",
            UnaryOp::Log10 => "log10",
            UnaryOp::Log1p => "log1p",
            UnaryOp::Sqrt => "sqrt",
            UnaryOp::Rsqrt => "rsqrt",
            UnaryOp::Square => "square",
            UnaryOp::Reciprocal => "reciprocal",
            UnaryOp::Sin => "sin",
            UnaryOp::Cos => "cos",
            UnaryOp::Tan => "tan",
            UnaryOp::Atan => "atan",
            UnaryOp::Sinh => "sinh",
            UnaryOp::Cosh => "cosh",
            UnaryOp::Erf => "erf",
            UnaryOp::Erfc => "erfc",
            UnaryOp::Floor => "floor",
            UnaryOp::Ceil => "ceil",
            UnaryOp::Round => "round",
            UnaryOp::Trunc => "trunc",
            UnaryOp::Bfloat16 => "bfloat16",
            UnaryOp::Gelu { .. } => "gelu",
            UnaryOp::Silu => "silu",
            UnaryOp::Mish => "mish",
            UnaryOp::Selu => "selu",
            UnaryOp::Elu { .. } => "elu",
            UnaryOp::Celu { .. } => "celu",
            UnaryOp::LeakyRelu { .. } => "leaky_relu",
            UnaryOp::Softplus { .. } => "softplus",
            UnaryOp::Softsign => "softsign",
            UnaryOp::Hardsigmoid => "hardsigmoid",
            UnaryOp::Hardswish => "hardswish",
            UnaryOp::Hardtanh { .. } => "hardtanh",
            UnaryOp::Clamp { .. } => "clamp",
            UnaryOp::LogicalNot => "logical_not",
            UnaryOp::IsNan => "isnan",
            UnaryOp::IsInf => "isinf",
            UnaryOp::IsFinite => "isfinite",
        }
    }
}

impl BinaryOp {
    /// Its name in messages and in the text of graphs.
    pub fn name(&self) -> &'static str {
        match self {
            BinaryOp::Add => "add",
            BinaryOp::Sub => "sub",
            BinaryOp::Mul => "mul",
            BinaryOp::Div => "div",
            BinaryOp::FloorDiv => "floor_divide",
            BinaryOp::Remainder => "remainder",
            BinaryOp::Pow => "pow",
            BinaryOp::Maximum => "maximum",
            BinaryOp::Minimum => "minimum",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Eq => "eq",
            BinaryOp::Ne => "ne",
            BinaryOp::Lt => "lt",
            BinaryOp::Le => "le",
            BinaryOp::Gt => "gt",
            BinaryOp::Ge => "ge",
            BinaryOp::And => "bitwise_and",
            BinaryOp::Or => "bitwise_or",
            BinaryOp::Xor => "bitwise_xor",
        }
    }
}

impl ReduceOp {
    /// Its name in messages and in the text of graphs.
    pub fn name(&self) -> &'static str {
        match self {
            ReduceOp::Sum => "sum",
            ReduceOp::Mean => "mean",
            ReduceOp::Amax => "amax",
            ReduceOp::Amin => "amin",
            ReduceOp::MaxValues => "max",
            ReduceOp::MinValues => "min",
            ReduceOp::ArgMax => "argmax",
            ReduceOp::ArgMin => "argmin",
            ReduceOp::Prod => "prod",
            ReduceOp::Var { .. } => "var",
            ReduceOp::Std { .. } => "std",
            ReduceOp::LogSumExp => "logsumexp",
            ReduceOp::Norm { .. } => "norm",
            ReduceOp::Any => "any",
            ReduceOp::All => "all",
            ReduceOp::Median => "median",
        }
    }
}

impl Op {
    /// Its name in messages and in the text of graphs.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input(_) => "input",
            Op::Param(_) => "param",
            Op::Scalar(_) => "scalar",
            Op::Size(_) => "size",
            Op::Full(_) => "full",
            Op::Const(_) => "tensor",
            Op::Arange { .. } => "arange",
            Op::Eye => "eye",
            Op::Random { .. } => "random",
            Op::Unary(op) => op.name(),
            Op::Binary(op) => op.name(),
            Op::Where => "where",
            Op::Cast => "to",
            Op::Detach => "detach",
            Op::Reduce { op, .. } => op.name(),
            Op::Softmax { .. } => "softmax",
            Op::LogSoftmax { .. } => "log_softmax",
            Op::LayerNorm { .. } => "layer_norm",
            Op::CumSum { .. } => "cumsum",
            Op::CumProd { .. } => "cumprod",
            Op::TopK { .. } => "topk",
            Op::TopKIndices { .. } => "topk_indices",
            Op::Sort { .. } => "sort",
            Op::ArgSort { .. } => "argsort",
            Op::Reshape => "view",
            Op::Permute(_) => "permute",
            Op::Expand => "expand",
            Op::Slice { .. } => "slice",
            Op::Select { .. } => "select",
            Op::Cat { .. } => "cat",
            Op::Flip { .. } => "flip",
            Op::Roll { .. } => "roll",
            Op::Gather { .. } => "gather",
            Op::Scatter { .. } => "scatter",
            Op::ScatterAdd { .. } => "scatter_add",
            Op::IndexSelect { .. } => "index_select",
            Op::OneHot { .. } => "one_hot",
            Op::Tril { .. } => "tril",
            Op::Triu { .. } => "triu",
            Op::Diagonal { .. } => "diagonal",
            Op::Linear { .. } => "linear",
            Op::MatMul => "matmul",
            Op::Einsum(_) => "einsum",
            Op::MaxPlus { minimum: false, .. } => "max_plus",
            Op::MaxPlus { minimum: true, .. } => "min_plus",
            Op::ShareExtreme { .. } => "share_extreme",
            Op::MaxPlusGrad { minimum: false, .. } => "max_plus_grad",
            Op::MaxPlusGrad { minimum: true, .. } => "min_plus_grad",
            Op::CumProdGrad { .. } => "cumprod_grad",
        }
    }
}
