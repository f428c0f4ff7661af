//! Rules of what works element by element.

use super::formula::Formula;
use super::tape::{Site, Tape};
use crate::error::OpError;
use crate::op::{BinaryOp, NodeId, Op, UnaryOp};
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LN_10, PI};

pub(super) fn unary(t: &mut Tape<'_>, op: &UnaryOp, at: &Site) -> Result<(), OpError> {
    let x = at.args[0];
    let formula = slope(op, &x.into(), &at.y.into(), &at.g.into());
    let gradient = t.make(&formula)?;
    t.pass(x, gradient);
    Ok(())
}

/// The adjoint `g` times the derivative at `x`, whose value is `y`. Numbers come last in a product, so that the adjoint
/// is read once.
fn slope(op: &UnaryOp, x: &Formula, y: &Formula, g: &Formula) -> Formula {
    match *op {
        UnaryOp::Neg => -g,
        UnaryOp::Abs => g * x.of(UnaryOp::Sign),
        UnaryOp::Relu => y.gt(0.0).then(g, 0.0),
        UnaryOp::Sigmoid => g * (y * (1.0 - y)),
        // sigmoid(-x) = 1 - e^y
        UnaryOp::LogSigmoid => -(g * y.of(UnaryOp::Expm1)),
        UnaryOp::Tanh => g * (1.0 - y.squared()),
        UnaryOp::Exp => g * y,
        UnaryOp::Expm1 => g * (y + 1.0),
        UnaryOp::Log => g / x,
        UnaryOp::Log2 => g / (x * LN_2),
        UnaryOp::Log10 => g / (x * LN_10),
        UnaryOp::Log1p => g / (x + 1.0),
        UnaryOp::Sqrt => g / (y * 2.0),
        UnaryOp::Rsqrt => g * (y * y.squared() * -0.5),
        UnaryOp::Square => g * (x * 2.0),
        UnaryOp::Reciprocal => -(g * y.squared()),
        UnaryOp::Sin => g * x.of(UnaryOp::Cos),
        UnaryOp::Cos => -(g * x.of(UnaryOp::Sin)),
        UnaryOp::Tan => g * (y.squared() + 1.0),
        UnaryOp::Atan => g / (x.squared() + 1.0),
        UnaryOp::Sinh => g * x.of(UnaryOp::Cosh),
        UnaryOp::Cosh => g * x.of(UnaryOp::Sinh),
        UnaryOp::Erf => g * ((-x.squared()).of(UnaryOp::Exp) * (2.0 / PI.sqrt())),
        UnaryOp::Erfc => -(g * ((-x.squared()).of(UnaryOp::Exp) * (2.0 / PI.sqrt()))),
        UnaryOp::Gelu { tanh: false } => {
            let below = ((x * FRAC_1_SQRT_2).of(UnaryOp::Erf) + 1.0) * 0.5;
            let density = (x.squared() * -0.5).of(UnaryOp::Exp) * (1.0 / (2.0 * PI).sqrt());
            g * (below + x * density)
        }
        UnaryOp::Gelu { tanh: true } => {
            let scale = (2.0 / PI).sqrt();
            let square = x.squared();
            let tanh = (x * ((&square * 0.044_715 + 1.0) * scale)).of(UnaryOp::Tanh);
            let inner = (square * (3.0 * 0.044_715) + 1.0) * scale;
            g * ((&tanh + 1.0 + x * (1.0 - tanh.squared()) * inner) * 0.5)
        }
        // sigmoid(x) (1 + x (1 - sigmoid(x))), in which x sigmoid(x) = y
        UnaryOp::Silu => {
            let s = x.of(UnaryOp::Sigmoid);
            g * (&s + y * (1.0 - &s))
        }
        UnaryOp::Mish => {
            let tanh = x.of(UnaryOp::Softplus { beta: 1.0, threshold: 20.0 }).of(UnaryOp::Tanh);
            g * (&tanh + x * (1.0 - tanh.squared()) * x.of(UnaryOp::Sigmoid))
        }
        UnaryOp::Selu => {
            let (alpha, scale) = (1.673_263_242_354_377_2, 1.050_700_987_355_480_5);
            y.gt(0.0).then(g * scale, g * (y + alpha * scale))
        }
        // y = alpha (e^x - 1) for x <= 0, which has the sign of x unless alpha is negative
        UnaryOp::Elu { alpha } => if alpha < 0.0 { x } else { y }.gt(0.0).then(g, g * (y + alpha)),
        UnaryOp::Celu { alpha } => y.gt(0.0).then(g, g * (y * (1.0 / alpha) + 1.0)),
        UnaryOp::LeakyRelu { slope } => if slope < 0.0 { x } else { y }.gt(0.0).then(g, g * slope),
        UnaryOp::Softplus { beta, threshold } => {
            let x = x * beta;
            x.gt(threshold).then(g, g * x.of(UnaryOp::Sigmoid))
        }
        // 1 - |y| = 1 / (1 + |x|)
        UnaryOp::Softsign => g * (1.0 - y.of(UnaryOp::Abs)).squared(),
        UnaryOp::Hardsigmoid => y.gt(0.0).and(y.lt(1.0)).then(g * (1.0 / 6.0), 0.0),
        UnaryOp::Hardswish => {
            let middle = x.lt(3.0).then(g * (x * (1.0 / 3.0) + 0.5), g);
            x.with(BinaryOp::Le, -3.0).then(0.0, middle)
        }
        UnaryOp::Hardtanh { min, max } => y.gt(min).and(y.lt(max)).then(g, 0.0),
        UnaryOp::Clamp { min, max } => {
            let (above, below) = (x.with(BinaryOp::Ge, min), x.with(BinaryOp::Le, max));
            match (min.is_infinite(), max.is_infinite()) {
                (false, true) => above.then(g, 0.0),
                (true, false) => below.then(g, 0.0),
                _ => above.and(below).then(g, 0.0),
            }
        }
        UnaryOp::Bfloat16 => g.clone(),
        // They carry no adjoint, so that their rule does not run.
        UnaryOp::Sign
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Round
        | UnaryOp::Trunc
        | UnaryOp::LogicalNot
        | UnaryOp::IsNan
        | UnaryOp::IsInf
        | UnaryOp::IsFinite => g * 0.0,
    }
}

pub(super) fn binary(t: &mut Tape<'_>, op: BinaryOp, at: &Site) -> Result<(), OpError> {
    let &[first, second] = at.args.as_slice() else { return Ok(()) };
    let (x, y): (Formula, Formula) = (first.into(), second.into());
    let (value, g): (Formula, Formula) = (at.y.into(), at.g.into());
    match op {
        BinaryOp::Add => {
            give(t, first, || g.clone())?;
            give(t, second, || g.clone())
        }
        BinaryOp::Sub => {
            give(t, first, || g.clone())?;
            if !t.needs(second) {
                return Ok(());
            }
            // The sum over what was broadcast comes first: less is left to negate.
            let shape = t.shape(second);
            let sum = t.sum_to(at.g, &shape)?;
            let gradient = t.unary(UnaryOp::Neg, sum)?;
            t.pass(second, gradient);
            Ok(())
        }
        BinaryOp::Mul => {
            give(t, first, || &g * &y)?;
            give(t, second, || &g * &x)
        }
        BinaryOp::Div => {
            give(t, first, || &g / &y)?;
            give(t, second, || -(&g * &value / &y))
        }
        BinaryOp::Remainder => {
            give(t, first, || g.clone())?;
            give(t, second, || -(&g * x.with(BinaryOp::FloorDiv, &y)))
        }
        BinaryOp::Pow => {
            let power = match t.graph.node(second).op {
                Op::Scalar(value) => Some(value),
                _ => None,
            };
            give(t, first, || of_base(&x, &y, &g, power))?;
            give(t, second, || x.is(0.0).then(0.0, &g * (&value * x.of(UnaryOp::Log))))
        }
        BinaryOp::Maximum | BinaryOp::Minimum => {
            let loses = if op == BinaryOp::Maximum { x.lt(&y) } else { x.gt(&y) };
            give(t, first, || loses.then(0.0, x.is(&y).then(&g * 0.5, &g)))?;
            give(t, second, || loses.then(&g, x.is(&y).then(&g * 0.5, 0.0)))
        }
        BinaryOp::Atan2 => {
            let square = x.squared() + y.squared();
            // where both are 0, so is the gradient
            let square = square.is(0.0).then(1.0, &square);
            give(t, first, || &g * (&y / &square))?;
            give(t, second, || -(&g * (&x / &square)))
        }
        BinaryOp::FloorDiv
        | BinaryOp::Eq
        | BinaryOp::Ne
        | BinaryOp::Lt
        | BinaryOp::Le
        | BinaryOp::Gt
        | BinaryOp::Ge
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor => Ok(()),
    }
}

/// Gives an operand its gradient, summed over what broadcasting repeated; makes nothing where nobody asks for it.
fn give(t: &mut Tape<'_>, x: NodeId, gradient: impl FnOnce() -> Formula) -> Result<(), OpError> {
    if !t.needs(x) {
        return Ok(());
    }
    let gradient = t.make(&gradient())?;
    t.pass_summed(x, gradient)
}

/// The gradient of `x ^ y` for x. With an exponent of 0 it is 0, also where x is 0.
fn of_base(x: &Formula, y: &Formula, g: &Formula, power: Option<f64>) -> Formula {
    match power {
        Some(1.0) => g.clone(),
        Some(2.0) => g * (x * 2.0),
        Some(3.0) => g * (x.squared() * 3.0),
        Some(power) if power != 0.0 => g * (x.with(BinaryOp::Pow, power - 1.0) * power),
        _ => y.is(0.0).then(0.0, g * (y * x.with(BinaryOp::Pow, y - 1.0))),
    }
}

/// The branch that is not taken gets 0, even where the adjoint is not a number.
pub(super) fn choice(t: &mut Tape<'_>, at: &Site) -> Result<(), OpError> {
    let &[condition, x, y] = at.args.as_slice() else { return Ok(()) };
    let (condition, g): (Formula, Formula) = (condition.into(), at.g.into());
    give(t, x, || condition.then(&g, 0.0))?;
    give(t, y, || condition.then(0.0, &g))
}
