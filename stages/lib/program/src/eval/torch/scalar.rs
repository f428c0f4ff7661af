//! Rarer functions of each element.

use std::f64::consts::{LN_2, PI};

use super::*;
use crate::rules::Rule;

/// The number that Python would compute with, unless the value depends on the graph.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(i) => Some(*i as f64),
        Value::Float(x) => Some(*x),
        _ => None,
    }
}

fn times(vm: &mut Interp, a: &Args, factor: f64) -> R<Value> {
    let (x, factor) = (a.tensor(vm, "input")?, vm.tracer.float(factor)?);
    vm.tracer.bin(BinaryOp::Mul, x, factor).map(|id| vm.tracer.tensor_value(id))
}

/// sin(pi x) / (pi x), which is 1 at 0, where its derivative is 0.
fn sinc(vm: &mut Interp, a: &Args) -> R<Value> {
    let (input, pi) = (a.tensor(vm, "input")?, vm.tracer.float(PI)?);
    let x = vm.tracer.bin(BinaryOp::Mul, input, pi)?;
    let (zero, one) = (vm.tracer.float(0.0)?, vm.tracer.float(1.0)?);
    let at_zero = vm.tracer.bin(BinaryOp::Eq, x, zero)?;
    // the branch that is not taken has to have a gradient that is a number
    let x = vm.tracer.push(Op::Where, &[at_zero, one, x])?;
    let sine = vm.tracer.un(UnaryOp::Sin, x)?;
    let quotient = vm.tracer.bin(BinaryOp::Div, sine, x)?;
    let out = vm.tracer.push(Op::Where, &[at_zero, one, quotient]);
    keeping(&mut vm.tracer, out, &[input])
}

/// x log y, which is 0 where x is, unless y is not a number. The gradient of both is 0 where x is 0 and y is no more.
fn xlogy(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y) = (a.operand(vm, "input")?, a.operand(vm, "other")?);
    let (x, y) = (vm.tracer.cast(x, DType::Float)?, vm.tracer.cast(y, DType::Float)?);
    let given = [x, y];
    let (zero, one) = (vm.tracer.float(0.0)?, vm.tracer.float(1.0)?);
    let (none, low) = (vm.tracer.bin(BinaryOp::Eq, x, zero)?, vm.tracer.bin(BinaryOp::Le, y, zero)?);
    let endless = vm.tracer.un(UnaryOp::IsInf, y)?;
    let undefined = vm.tracer.bin(BinaryOp::Or, low, endless)?;
    let undefined = vm.tracer.bin(BinaryOp::And, none, undefined)?;
    // 0 log 1 in its place, where no gradient flows, be it infinite
    let (x, y) = (vm.tracer.push(Op::Where, &[undefined, zero, x])?, vm.tracer.push(Op::Where, &[undefined, one, y])?);
    let log = vm.tracer.un(UnaryOp::Log, y)?;
    let product = vm.tracer.bin(BinaryOp::Mul, x, log)?;
    // 0 - (-0) = 0
    let negative = vm.tracer.un(UnaryOp::Neg, product)?;
    let unsigned = vm.tracer.bin(BinaryOp::Sub, zero, negative)?;
    let out = vm.tracer.push(Op::Where, &[none, unsigned, product]);
    keeping(&mut vm.tracer, out, &given)
}

/// The absolute value of one with the sign of the other, that of -0 too.
fn copysign(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let x = vm.tracer.cast(x, DType::Float)?;
    let size = vm.tracer.un(UnaryOp::Abs, x)?;
    let other = vm.tracer.un(UnaryOp::Neg, size)?;
    if let Some(sign) = number(&a.value("other")) {
        let out = if sign.is_sign_negative() { other } else { size };
        vm.tracer.tape.keep_result(out);
        return Ok(vm.tracer.tensor_value(out));
    }
    let sign = a.operand(vm, "other")?;
    let sign = vm.tracer.cast(sign, DType::Float)?;
    let (zero, inverse) = (vm.tracer.float(0.0)?, vm.tracer.un(UnaryOp::Reciprocal, sign)?);
    let is_zero = vm.tracer.bin(BinaryOp::Eq, sign, zero)?;
    let sign = vm.tracer.push(Op::Where, &[is_zero, inverse, sign])?;
    let below = vm.tracer.bin(BinaryOp::Lt, sign, zero)?;
    let out = vm.tracer.push(Op::Where, &[below, other, size]);
    let out = out?;
    vm.tracer.tape.keep_result(out);
    Ok(vm.tracer.tensor_value(out))
}

/// log(e^x + e^y) to a base, given the base's logarithm.
fn logaddexp(vm: &mut Interp, a: &Args, log: f64) -> R<Value> {
    let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
    needs_float(&vm.tracer, a, &[x, y])?;
    let top = vm.tracer.bin(BinaryOp::Maximum, x, y)?;
    // equal infinities have no difference
    let (zero, equal) = (vm.tracer.float(0.0)?, vm.tracer.bin(BinaryOp::Eq, x, y)?);
    let gap = vm.tracer.bin(BinaryOp::Sub, x, y)?;
    let gap = vm.tracer.un(UnaryOp::Abs, gap)?;
    let gap = vm.tracer.push(Op::Where, &[equal, zero, gap])?;
    let scale = vm.tracer.float(-log)?;
    let gap = vm.tracer.bin(BinaryOp::Mul, gap, scale)?;
    let tail = vm.tracer.un(UnaryOp::Exp, gap)?;
    let mut tail = vm.tracer.un(UnaryOp::Log1p, tail)?;
    if log != 1.0 {
        let log = vm.tracer.float(log)?;
        tail = vm.tracer.bin(BinaryOp::Div, tail, log)?;
    }
    vm.tracer.bin(BinaryOp::Add, top, tail).map(|id| vm.tracer.tensor_value(id))
}

fn is_infinite(vm: &mut Interp, a: &Args, sign: f64) -> R<Value> {
    let (x, end) = (a.tensor(vm, "input")?, vm.tracer.float(sign * f64::INFINITY)?);
    vm.tracer.bin(BinaryOp::Eq, x, end).map(|id| vm.tracer.tensor_value(id))
}

/// Whether each element is among others.
fn isin(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, tests) = (a.operand(vm, "elements")?, a.operand(vm, "test_elements")?);
    if vm.tracer.dtype(x) == DType::Bool {
        return vm.refuse(Rule::ShapeDtype, "isin() takes no bools");
    }
    let count = graph::numel(vm.tracer.shape(tests));
    let tests = vm.tracer.reshaped(tests, vec![count])?;
    let rank = vm.tracer.rank(x);
    let x = vm.tracer.unsqueeze(x, rank)?;
    let equal = vm.tracer.bin(BinaryOp::Eq, x, tests)?;
    let mut out = vm.tracer.push(Op::Reduce { op: ReduceOp::Any, dims: vec![rank], keepdim: false }, &[equal])?;
    if a.bool(vm, "invert", false)? {
        out = vm.tracer.un(UnaryOp::LogicalNot, out)?;
    }
    Ok(vm.tracer.tensor_value(out))
}

pub static TABLE: &[Native] = &[
    f!("torch.deg2rad Tensor.deg2rad", "input", |vm, a| times(vm, a, PI / 180.0)),
    f!("torch.rad2deg Tensor.rad2deg", "input", |vm, a| times(vm, a, 180.0 / PI)),
    f!("torch.sinc Tensor.sinc torch.special.sinc", "input", sinc),
    f!("torch.xlogy Tensor.xlogy torch.special.xlogy", "input other", xlogy),
    f!("torch.copysign Tensor.copysign", "input other", copysign),
    f!("torch.ldexp Tensor.ldexp", "input other", |vm, a| {
        let (x, by, two) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?, vm.tracer.float(2.0)?);
        let power = vm.tracer.bin(BinaryOp::Pow, two, by)?;
        vm.tracer.bin(BinaryOp::Mul, x, power).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.logaddexp Tensor.logaddexp", "input other", |vm, a| logaddexp(vm, a, 1.0)),
    f!("torch.logaddexp2 Tensor.logaddexp2", "input other", |vm, a| logaddexp(vm, a, LN_2)),
    f!("torch.isposinf Tensor.isposinf", "input", |vm, a| is_infinite(vm, a, 1.0)),
    f!("torch.isneginf Tensor.isneginf", "input", |vm, a| is_infinite(vm, a, -1.0)),
    f!("torch.isin", "elements test_elements | assume_unique? invert?", isin),
    f!("torch.positive Tensor.positive", "input", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        if vm.tracer.dtype_of(&t) == DType::Bool {
            return vm.type_fault("positive() takes no bools");
        }
        Ok(Value::Tensor(t))
    }),
];
