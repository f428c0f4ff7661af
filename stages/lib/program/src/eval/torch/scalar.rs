//! Rarer functions of each element.

use std::f64::consts::{LN_2, PI};

use super::*;

/// The number that Python would compute with, where the value is none that depends on the graph.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(i) => Some(*i as f64),
        Value::Float(x) => Some(*x),
        _ => None,
    }
}

fn times(vm: &mut Interp, a: &Args, factor: f64) -> R<Value> {
    let (x, factor) = (a.tensor(vm, "input")?, vm.float(factor)?);
    let out = vm.bin(BinaryOp::Mul, x, factor);
    done(vm, out)
}

/// sin(pi x) / (pi x), which is 1 at 0, where its derivative is 0.
fn sinc(vm: &mut Interp, a: &Args) -> R<Value> {
    let (input, pi) = (a.tensor(vm, "input")?, vm.float(PI)?);
    let x = vm.bin(BinaryOp::Mul, input, pi)?;
    let (zero, one) = (vm.float(0.0)?, vm.float(1.0)?);
    let at_zero = vm.bin(BinaryOp::Eq, x, zero)?;
    // the branch that is not taken has to have a gradient that is a number
    let x = vm.push(Op::Where, &[at_zero, one, x])?;
    let sine = vm.un(UnaryOp::Sin, x)?;
    let quotient = vm.bin(BinaryOp::Div, sine, x)?;
    let out = vm.push(Op::Where, &[at_zero, one, quotient]);
    keeping(vm, out, &[input])
}

/// x log y, which is 0 where x is, unless y is no number. The gradient of both is 0 where x is 0 and y is no more.
fn xlogy(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y) = (a.operand(vm, "input")?, a.operand(vm, "other")?);
    let (x, y) = (vm.cast(x, DType::Float)?, vm.cast(y, DType::Float)?);
    let given = [x, y];
    let (zero, one) = (vm.float(0.0)?, vm.float(1.0)?);
    let (none, low) = (vm.bin(BinaryOp::Eq, x, zero)?, vm.bin(BinaryOp::Le, y, zero)?);
    let endless = vm.un(UnaryOp::IsInf, y)?;
    let undefined = vm.bin(BinaryOp::Or, low, endless)?;
    let undefined = vm.bin(BinaryOp::And, none, undefined)?;
    // 0 log 1 in its place, where no gradient flows, be it infinite
    let (x, y) = (vm.push(Op::Where, &[undefined, zero, x])?, vm.push(Op::Where, &[undefined, one, y])?);
    let log = vm.un(UnaryOp::Log, y)?;
    let product = vm.bin(BinaryOp::Mul, x, log)?;
    // 0 - (-0) = 0
    let negative = vm.un(UnaryOp::Neg, product)?;
    let unsigned = vm.bin(BinaryOp::Sub, zero, negative)?;
    let out = vm.push(Op::Where, &[none, unsigned, product]);
    keeping(vm, out, &given)
}

/// The absolute value of one with the sign of the other, that of -0 too.
fn copysign(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let x = vm.cast(x, DType::Float)?;
    let size = vm.un(UnaryOp::Abs, x)?;
    let other = vm.un(UnaryOp::Neg, size)?;
    if let Some(sign) = number(&a.value("other")) {
        let out = if sign.is_sign_negative() { other } else { size };
        vm.kept_results.push(out);
        return Ok(vm.tensor_value(out));
    }
    let sign = a.operand(vm, "other")?;
    let sign = vm.cast(sign, DType::Float)?;
    let (zero, inverse) = (vm.float(0.0)?, vm.un(UnaryOp::Reciprocal, sign)?);
    let is_zero = vm.bin(BinaryOp::Eq, sign, zero)?;
    let sign = vm.push(Op::Where, &[is_zero, inverse, sign])?;
    let below = vm.bin(BinaryOp::Lt, sign, zero)?;
    let out = vm.push(Op::Where, &[below, other, size]);
    let out = out?;
    vm.kept_results.push(out);
    Ok(vm.tensor_value(out))
}

/// log(e^x + e^y) to a base, given the base's logarithm.
fn logaddexp(vm: &mut Interp, a: &Args, log: f64) -> R<Value> {
    let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
    needs_float(vm, a, &[x, y])?;
    let top = vm.bin(BinaryOp::Maximum, x, y)?;
    // equal infinities have no difference
    let (zero, equal) = (vm.float(0.0)?, vm.bin(BinaryOp::Eq, x, y)?);
    let gap = vm.bin(BinaryOp::Sub, x, y)?;
    let gap = vm.un(UnaryOp::Abs, gap)?;
    let gap = vm.push(Op::Where, &[equal, zero, gap])?;
    let scale = vm.float(-log)?;
    let gap = vm.bin(BinaryOp::Mul, gap, scale)?;
    let tail = vm.un(UnaryOp::Exp, gap)?;
    let mut tail = vm.un(UnaryOp::Log1p, tail)?;
    if log != 1.0 {
        let log = vm.float(log)?;
        tail = vm.bin(BinaryOp::Div, tail, log)?;
    }
    let out = vm.bin(BinaryOp::Add, top, tail);
    done(vm, out)
}

fn is_infinite(vm: &mut Interp, a: &Args, sign: f64) -> R<Value> {
    let (x, end) = (a.tensor(vm, "input")?, vm.float(sign * f64::INFINITY)?);
    let out = vm.bin(BinaryOp::Eq, x, end);
    done(vm, out)
}

/// Whether each element is among others.
fn isin(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, tests) = (a.operand(vm, "elements")?, a.operand(vm, "test_elements")?);
    if vm.graph.dtype(x) == DType::Bool {
        return vm.refuse("E-SHAPE-DTYPE", "isin() takes no bools");
    }
    let count = graph::numel(vm.graph.shape(tests));
    let tests = vm.reshaped(tests, vec![count])?;
    let rank = vm.graph.shape(x).len();
    let x = vm.unsqueeze(x, rank)?;
    let equal = vm.bin(BinaryOp::Eq, x, tests)?;
    let mut out = vm.push(Op::Reduce { op: ReduceOp::Any, dims: vec![rank], keepdim: false }, &[equal])?;
    if a.bool(vm, "invert", false)? {
        out = vm.un(UnaryOp::LogicalNot, out)?;
    }
    Ok(vm.tensor_value(out))
}

pub static TABLE: &[Native] = &[
    f!("torch.deg2rad Tensor.deg2rad", "input", |vm, a| times(vm, a, PI / 180.0)),
    f!("torch.rad2deg Tensor.rad2deg", "input", |vm, a| times(vm, a, 180.0 / PI)),
    f!("torch.sinc Tensor.sinc torch.special.sinc", "input", sinc),
    f!("torch.xlogy Tensor.xlogy torch.special.xlogy", "input other", xlogy),
    f!("torch.copysign Tensor.copysign", "input other", copysign),
    f!("torch.ldexp Tensor.ldexp", "input other", |vm, a| {
        let (x, by, two) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?, vm.float(2.0)?);
        let power = vm.bin(BinaryOp::Pow, two, by)?;
        let out = vm.bin(BinaryOp::Mul, x, power);
        done(vm, out)
    }),
    f!("torch.logaddexp Tensor.logaddexp", "input other", |vm, a| logaddexp(vm, a, 1.0)),
    f!("torch.logaddexp2 Tensor.logaddexp2", "input other", |vm, a| logaddexp(vm, a, LN_2)),
    f!("torch.isposinf Tensor.isposinf", "input", |vm, a| is_infinite(vm, a, 1.0)),
    f!("torch.isneginf Tensor.isneginf", "input", |vm, a| is_infinite(vm, a, -1.0)),
    f!("torch.isin", "elements test_elements | assume_unique? invert?", isin),
    f!("torch.positive Tensor.positive", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        if vm.dtype_of(&t) == DType::Bool {
            return vm.type_fault("positive() takes no bools");
        }
        Ok(Value::Tensor(t))
    }),
];
