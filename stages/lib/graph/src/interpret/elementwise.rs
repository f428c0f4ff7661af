//! Element by element: a function and its derivative.

use super::{Tensor, broadcast_position, unravel};
use crate::format::bfloat16;
use crate::op::{BinaryOp, DType, UnaryOp};
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LN_10, PI};

pub(super) fn unary(op: &UnaryOp, x: &Tensor) -> Tensor {
    Tensor::from_fn(x.shape.clone(), |at| {
        let (v, d) = x.get(at);
        let (value, slope) = function(op, v);
        (value, along(d, slope))
    })
}

/// The contribution of one argument to the tangent. An argument that does not move contributes nothing, whatever the
/// slope: reverse mode, which this stands for, does not look at constants either.
pub(super) fn along(tangent: f64, slope: f64) -> f64 {
    if tangent == 0.0 { 0.0 } else { tangent * slope }
}

fn step(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ln(1 + e^x) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The value and the derivative at x, by PyTorch's conventions at kinks.
fn function(op: &UnaryOp, x: f64) -> (f64, f64) {
    match *op {
        UnaryOp::Neg => (-x, -1.0),
        UnaryOp::Abs => (x.abs(), sign(x)),
        UnaryOp::Sign => (sign(x), 0.0),
        UnaryOp::Relu => (x.max(0.0), step(x > 0.0)),
        UnaryOp::Sigmoid => (sigmoid(x), sigmoid(x) * sigmoid(-x)),
        UnaryOp::LogSigmoid => (-softplus(-x), sigmoid(-x)),
        UnaryOp::Tanh => (x.tanh(), 1.0 - x.tanh().powi(2)),
        UnaryOp::Exp => (x.exp(), x.exp()),
        UnaryOp::Expm1 => (x.exp_m1(), x.exp()),
        UnaryOp::Log => (x.ln(), 1.0 / x),
        UnaryOp::Log2 => (x.log2(), 1.0 / (x * LN_2)),
        UnaryOp::Log10 => (x.log10(), 1.0 / (x * LN_10)),
        UnaryOp::Log1p => (x.ln_1p(), 1.0 / (1.0 + x)),
        UnaryOp::Sqrt => (x.sqrt(), 0.5 / x.sqrt()),
        UnaryOp::Rsqrt => (1.0 / x.sqrt(), -0.5 / (x * x.sqrt())),
        UnaryOp::Square => (x * x, 2.0 * x),
        UnaryOp::Reciprocal => (1.0 / x, -1.0 / (x * x)),
        UnaryOp::Sin => (x.sin(), x.cos()),
        UnaryOp::Cos => (x.cos(), -x.sin()),
        UnaryOp::Tan => (x.tan(), 1.0 + x.tan().powi(2)),
        UnaryOp::Atan => (x.atan(), 1.0 / (1.0 + x * x)),
        UnaryOp::Sinh => (x.sinh(), x.cosh()),
        UnaryOp::Cosh => (x.cosh(), x.sinh()),
        UnaryOp::Erf => (erf(x), 2.0 / PI.sqrt() * (-x * x).exp()),
        UnaryOp::Erfc => (erfc(x), -2.0 / PI.sqrt() * (-x * x).exp()),
        UnaryOp::Floor => (x.floor(), 0.0),
        UnaryOp::Ceil => (x.ceil(), 0.0),
        UnaryOp::Round => (x.round_ties_even(), 0.0),
        UnaryOp::Trunc => (x.trunc(), 0.0),
        UnaryOp::Bfloat16 => (f64::from(bfloat16(x as f32)), 1.0),
        UnaryOp::Gelu { tanh: false } => {
            let below = 0.5 * (1.0 + erf(x * FRAC_1_SQRT_2));
            (x * below, below + x * (-0.5 * x * x).exp() / (2.0 * PI).sqrt())
        }
        UnaryOp::Gelu { tanh: true } => {
            let scale = (2.0 / PI).sqrt();
            let t = (scale * (x + 0.044715 * x.powi(3))).tanh();
            let inner = scale * (1.0 + 3.0 * 0.044715 * x * x);
            (0.5 * x * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner)
        }
        UnaryOp::Silu => (x * sigmoid(x), sigmoid(x) * (1.0 + x * sigmoid(-x))),
        UnaryOp::Mish => {
            let t = softplus(x).tanh();
            (x * t, t + x * (1.0 - t * t) * sigmoid(x))
        }
        UnaryOp::Selu => {
            let (alpha, scale) = (1.673_263_242_354_377_2, 1.050_700_987_355_480_5);
            let (value, slope) = elu(x, alpha, 1.0);
            (scale * value, scale * slope)
        }
        UnaryOp::Elu { alpha } => elu(x, alpha, 1.0),
        UnaryOp::Celu { alpha } => elu(x, alpha, alpha),
        UnaryOp::LeakyRelu { slope } => {
            if x > 0.0 {
                (x, 1.0)
            } else {
                (slope * x, slope)
            }
        }
        UnaryOp::Softplus { beta, threshold } => {
            if beta * x > threshold {
                (x, 1.0)
            } else {
                (softplus(beta * x) / beta, sigmoid(beta * x))
            }
        }
        UnaryOp::Softsign => (x / (1.0 + x.abs()), 1.0 / (1.0 + x.abs()).powi(2)),
        UnaryOp::Hardsigmoid => ((x + 3.0).clamp(0.0, 6.0) / 6.0, step(x > -3.0 && x < 3.0) / 6.0),
        UnaryOp::Hardswish => {
            let slope = if x <= -3.0 {
                0.0
            } else if x < 3.0 {
                x / 3.0 + 0.5
            } else {
                1.0
            };
            (x * (x + 3.0).clamp(0.0, 6.0) / 6.0, slope)
        }
        UnaryOp::Hardtanh { min, max } => (x.max(min).min(max), step(x > min && x < max)),
        UnaryOp::Clamp { min, max } => (x.max(min).min(max), step(x >= min && x <= max)),
        UnaryOp::LogicalNot => (step(x == 0.0), 0.0),
        UnaryOp::IsNan => (step(x.is_nan()), 0.0),
        UnaryOp::IsInf => (step(x.is_infinite()), 0.0),
        UnaryOp::IsFinite => (step(x.is_finite()), 0.0),
    }
}

fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

fn elu(x: f64, alpha: f64, width: f64) -> (f64, f64) {
    if x > 0.0 { (x, 1.0) } else { (alpha * (x / width).exp_m1(), alpha / width * (x / width).exp()) }
}

/// The error function by a series of positive terms, which loses no digits: 2/sqrt(pi) e^(-x^2) sum 2^k x^(2k+1)/(2k+1)!!.
fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 6.0 {
        return if x.is_nan() { x } else { x.signum() };
    }
    let (mut term, mut sum) = (x, x);
    for k in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * k + 1);
        sum += term;
        if term.abs() < 1e-17 * sum.abs() {
            break;
        }
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

/// The complement of the error function: where that is close to 1, by the continued fraction x + (1/2)/(x + 1/(x + (3/2)/(x + ...))).
fn erfc(x: f64) -> f64 {
    if x.is_nan() || x < 2.0 {
        return 1.0 - erf(x);
    }
    let below = (1..=80).rev().fold(x, |tail, k| x + 0.5 * f64::from(k) / tail);
    (-x * x).exp() / (PI.sqrt() * below)
}

pub(super) fn binary(op: BinaryOp, x: &Tensor, y: &Tensor, shape: Vec<usize>, dtype: DType) -> Tensor {
    let wide = shape.clone();
    Tensor::from_fn(shape, |at| {
        let index = unravel(at, &wide);
        let (x, y) = (x.get(broadcast_position(&index, &x.shape)), y.get(broadcast_position(&index, &y.shape)));
        let (value, tangent) = function_of_two(op, x, y);
        // Sums and products of bools are their disjunctions and conjunctions.
        (if dtype == DType::Bool { step(value != 0.0) } else { value }, tangent)
    })
}

fn function_of_two(op: BinaryOp, (x, dx): (f64, f64), (y, dy): (f64, f64)) -> (f64, f64) {
    let logic = |value: bool| (step(value), 0.0);
    // Bools are 0 and 1, so that the bitwise operations serve them as well.
    let bits = |f: fn(i64, i64) -> i64| (f(x as i64, y as i64) as f64, 0.0);
    match op {
        BinaryOp::Add => (x + y, dx + dy),
        BinaryOp::Sub => (x - y, dx - dy),
        BinaryOp::Mul => (x * y, along(dx, y) + along(dy, x)),
        BinaryOp::Div => (x / y, along(dx, 1.0 / y) - along(dy, x / y / y)),
        BinaryOp::FloorDiv => ((x / y).floor(), 0.0),
        BinaryOp::Remainder => (x - y * (x / y).floor(), dx - dy * (x / y).floor()),
        BinaryOp::Pow => {
            let base = if dx == 0.0 || y == 0.0 { 0.0 } else { dx * y * x.powf(y - 1.0) };
            let exponent = if dy == 0.0 || x == 0.0 { 0.0 } else { dy * x.powf(y) * x.ln() };
            (x.powf(y), base + exponent)
        }
        BinaryOp::Maximum if x == y => (x, 0.5 * (dx + dy)),
        BinaryOp::Minimum if x == y => (x, 0.5 * (dx + dy)),
        BinaryOp::Maximum => {
            if x > y || x.is_nan() {
                (x, dx)
            } else {
                (y, dy)
            }
        }
        BinaryOp::Minimum => {
            if x < y || x.is_nan() {
                (x, dx)
            } else {
                (y, dy)
            }
        }
        BinaryOp::Atan2 => {
            let square = x * x + y * y;
            (x.atan2(y), if square == 0.0 { 0.0 } else { (dx * y - x * dy) / square })
        }
        BinaryOp::Eq => logic(x == y),
        BinaryOp::Ne => logic(x != y),
        BinaryOp::Lt => logic(x < y),
        BinaryOp::Le => logic(x <= y),
        BinaryOp::Gt => logic(x > y),
        BinaryOp::Ge => logic(x >= y),
        BinaryOp::And => bits(|x, y| x & y),
        BinaryOp::Or => bits(|x, y| x | y),
        BinaryOp::Xor => bits(|x, y| x ^ y),
    }
}

pub(super) fn choose(condition: &Tensor, x: &Tensor, y: &Tensor, shape: Vec<usize>) -> Tensor {
    let wide = shape.clone();
    Tensor::from_fn(shape, |at| {
        let index = unravel(at, &wide);
        let chosen = if condition.data[broadcast_position(&index, &condition.shape)] != 0.0 { x } else { y };
        chosen.get(broadcast_position(&index, &chosen.shape))
    })
}

pub(super) fn cast(x: &Tensor, dtype: DType) -> Tensor {
    Tensor::from_fn(x.shape.clone(), |at| {
        let (value, tangent) = x.get(at);
        match dtype {
            DType::Float => (value, tangent),
            DType::Int => (value.trunc(), 0.0),
            DType::Bool => (step(value != 0.0), 0.0),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_function() {
        // Abramowitz and Stegun, table 7.1
        for (x, value) in [(0.5, 0.5204998778130465), (1.0, 0.8427007929497149), (2.0, 0.9953222650189527)] {
            assert!((erf(x) - value).abs() < 1e-15 && (erf(-x) + value).abs() < 1e-15);
        }
        assert_eq!(erf(7.0), 1.0);
        // the same table, and 7.25
        for (x, value) in [
            (-1.0, 1.842_700_792_949_715),
            (1.0, 0.1572992070502851),
            (2.0, 0.004677734981047266),
            (6.0, 2.151973671249891e-17),
        ] {
            assert!((erfc(x) / value - 1.0).abs() < 1e-13, "{x}");
        }
        assert_eq!((erfc(f64::INFINITY), erfc(f64::NEG_INFINITY)), (0.0, 2.0));
    }

    #[test]
    fn slopes_are_those_of_the_values() {
        let ops = [
            UnaryOp::Abs,
            UnaryOp::Sigmoid,
            UnaryOp::LogSigmoid,
            UnaryOp::Tanh,
            UnaryOp::Expm1,
            UnaryOp::Log2,
            UnaryOp::Log10,
            UnaryOp::Log1p,
            UnaryOp::Sqrt,
            UnaryOp::Rsqrt,
            UnaryOp::Reciprocal,
            UnaryOp::Tan,
            UnaryOp::Atan,
            UnaryOp::Cosh,
            UnaryOp::Erf,
            UnaryOp::Erfc,
            UnaryOp::Gelu { tanh: false },
            UnaryOp::Gelu { tanh: true },
            UnaryOp::Silu,
            UnaryOp::Mish,
            UnaryOp::Selu,
            UnaryOp::Elu { alpha: 0.7 },
            UnaryOp::Celu { alpha: 0.7 },
            UnaryOp::LeakyRelu { slope: 0.1 },
            UnaryOp::Softplus { beta: 2.0, threshold: 20.0 },
            UnaryOp::Softsign,
            UnaryOp::Hardsigmoid,
            UnaryOp::Hardswish,
            UnaryOp::Hardtanh { min: -0.5, max: 1.0 },
            UnaryOp::Clamp { min: -0.5, max: 1.0 },
        ];
        for op in ops {
            for x in [0.3, 1.7, -0.4, -2.2, 4.1] {
                let h = 1e-6;
                let slope = (function(&op, x + h).0 - function(&op, x - h).0) / (2.0 * h);
                if slope.is_finite() {
                    assert!((slope - function(&op, x).1).abs() < 1e-6, "{op:?} at {x}");
                }
            }
        }
    }
}
