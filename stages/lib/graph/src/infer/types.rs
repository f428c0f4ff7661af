//! Rules of element types alone. One type per category, so PyTorch's promotion is the maximum of Bool < Int < Float: a
//! 0-dimensional operand raises the result only into its own, higher category, and each category is one type.

use crate::error::OpError;
use crate::op::{BinaryOp, DType, ReduceOp, UnaryOp};

pub(super) fn exactly(op: &'static str, got: DType, wanted: DType) -> Result<(), OpError> {
    if got == wanted {
        return Ok(());
    }
    let hint = match wanted {
        DType::Bool => "; it needs bool",
        DType::Int => "; it needs int",
        DType::Float => "; convert with .float() before",
    };
    Err(OpError::DType { op, got, hint })
}

pub(super) fn not_bool(op: &'static str, got: DType) -> Result<(), OpError> {
    if got == DType::Bool { Err(OpError::DType { op, got, hint: "; convert with .float() before" }) } else { Ok(()) }
}

/// Whether `value` can be written in `dtype`.
pub(super) fn literal(op: &'static str, value: f64, dtype: DType) -> Result<(), OpError> {
    let fits = match dtype {
        DType::Float => true,
        // 2^53: beyond, f64 does not hold every integer.
        DType::Int => value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0,
        DType::Bool => value == 0.0 || value == 1.0,
    };
    if fits { Ok(()) } else { Err(OpError::Setting { op, reason: format!("{value} is not a value of type {dtype}") }) }
}

/// Products of matrices: operands of one type, and no bools.
pub(super) fn product(op: &'static str, left: DType, right: DType) -> Result<(), OpError> {
    if left != right {
        return Err(OpError::DTypes { op, left, right });
    }
    not_bool(op, left)
}

pub(super) fn unary(op: &UnaryOp, t: DType) -> Result<DType, OpError> {
    let name = op.name();
    match op {
        UnaryOp::LogicalNot | UnaryOp::IsNan | UnaryOp::IsInf | UnaryOp::IsFinite => Ok(DType::Bool),
        UnaryOp::Sign => Ok(t),
        UnaryOp::Square => Ok(t.max(DType::Int)),
        UnaryOp::Neg => {
            let hint = "; invert a mask with ~";
            if t == DType::Bool { Err(OpError::DType { op: name, got: t, hint }) } else { Ok(t) }
        }
        UnaryOp::Abs
        | UnaryOp::Relu
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Round
        | UnaryOp::Trunc
        | UnaryOp::Hardtanh { .. } => {
            not_bool(name, t)?;
            Ok(t)
        }
        UnaryOp::Clamp { min, max } => {
            let whole = |bound: f64| bound.is_infinite() || bound.fract() == 0.0;
            Ok(t.max(if whole(*min) && whole(*max) { DType::Int } else { DType::Float }))
        }
        UnaryOp::Gelu { .. }
        | UnaryOp::Silu
        | UnaryOp::Mish
        | UnaryOp::Selu
        | UnaryOp::Elu { .. }
        | UnaryOp::Celu { .. }
        | UnaryOp::LeakyRelu { .. }
        | UnaryOp::Softplus { .. }
        | UnaryOp::LogSigmoid
        | UnaryOp::Hardsigmoid
        | UnaryOp::Hardswish
        | UnaryOp::Bfloat16 => {
            exactly(name, t, DType::Float)?;
            Ok(t)
        }
        UnaryOp::Softsign => {
            not_bool(name, t)?;
            Ok(DType::Float)
        }
        UnaryOp::Sigmoid
        | UnaryOp::Tanh
        | UnaryOp::Exp
        | UnaryOp::Expm1
        | UnaryOp::Log
        | UnaryOp::Log2
        | UnaryOp::Log10
        | UnaryOp::Log1p
        | UnaryOp::Sqrt
        | UnaryOp::Rsqrt
        | UnaryOp::Reciprocal
        | UnaryOp::Sin
        | UnaryOp::Cos
        | UnaryOp::Tan
        | UnaryOp::Atan
        | UnaryOp::Sinh
        | UnaryOp::Cosh
        | UnaryOp::Erf
        | UnaryOp::Erfc => Ok(DType::Float),
    }
}

pub(super) fn binary(op: BinaryOp, left: DType, right: DType) -> Result<DType, OpError> {
    let both = left.max(right);
    let name = op.name();
    match op {
        BinaryOp::Add | BinaryOp::Mul | BinaryOp::Maximum | BinaryOp::Minimum => Ok(both),
        BinaryOp::Sub => {
            if left == DType::Bool || right == DType::Bool {
                return Err(OpError::DType { op: name, got: DType::Bool, hint: "; invert a mask with ~" });
            }
            Ok(both)
        }
        BinaryOp::FloorDiv | BinaryOp::Remainder | BinaryOp::Pow => {
            not_bool(name, both)?;
            Ok(both)
        }
        BinaryOp::Div | BinaryOp::Atan2 => Ok(DType::Float),
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => Ok(DType::Bool),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => {
            let hint = "; compare first, or use torch.logical_and and its like";
            if both == DType::Float { Err(OpError::DType { op: name, got: both, hint }) } else { Ok(both) }
        }
    }
}

pub(super) fn reduce(op: &ReduceOp, t: DType) -> Result<DType, OpError> {
    let name = op.name();
    match op {
        ReduceOp::Sum | ReduceOp::Prod => Ok(t.max(DType::Int)),
        ReduceOp::Amax | ReduceOp::Amin | ReduceOp::MaxValues | ReduceOp::MinValues => Ok(t),
        ReduceOp::ArgMax | ReduceOp::ArgMin => {
            not_bool(name, t)?;
            Ok(DType::Int)
        }
        ReduceOp::Median => {
            not_bool(name, t)?;
            Ok(t)
        }
        ReduceOp::LogSumExp => Ok(DType::Float),
        ReduceOp::Mean | ReduceOp::Var { .. } | ReduceOp::Std { .. } | ReduceOp::Norm { .. } => {
            exactly(name, t, DType::Float)?;
            Ok(t)
        }
        ReduceOp::Any | ReduceOp::All => Ok(DType::Bool),
    }
}
