//! Functions of `math` on numbers that are known while the graph is built.

use super::native::{Args, Native, native};
use super::value::Value;
use super::{Interp, R, Run};
use crate::rules::Rule;

fn number(run: &mut Run, a: &Args, name: &str) -> R<f64> {
    match a.value(name) {
        Value::Tensor(_) => {
            run.type_fault(format!("math.{} works on numbers; for tensors there is torch.{0}", a.function()))
        }
        value => run.as_float(&value, a.function(), name),
    }
}

/// A function of one number; Python raises where a finite number has no finite value.
fn one(run: &mut Run, a: &Args, f: fn(f64) -> f64) -> R<Value> {
    let x = number(run, a, "x")?;
    finite(run, a, &[x], f(x))
}

fn two(run: &mut Run, a: &Args, f: fn(f64, f64) -> f64) -> R<Value> {
    let (x, y) = (number(run, a, "x")?, number(run, a, "y")?);
    finite(run, a, &[x, y], f(x, y))
}

fn finite(run: &mut Run, a: &Args, given: &[f64], y: f64) -> R<Value> {
    if y.is_nan() && !given.iter().any(|x| x.is_nan()) {
        return run.value_fault(format!("math.{}() is not defined here", a.function()));
    }
    if y.is_infinite() && given.iter().all(|x| x.is_finite()) {
        return Err(run.exception("OverflowError", format!("math.{}() is too large here", a.function())));
    }
    Ok(Value::Float(y))
}

/// How many ways there are to take `k` of `n`, in order or not.
fn ways(vm: &mut Interp, a: &Args, ordered: bool) -> R<Value> {
    let n = a.int(vm, "n")?;
    let k = a.int_or(vm, "k", n)?;
    if n < 0 || k < 0 {
        return vm.value_fault(format!("math.{}() takes no negative numbers", a.function()));
    }
    let mut total: i64 = 1;
    for at in 0..k {
        vm.step()?;
        if at >= n {
            return Ok(Value::Int(0));
        }
        // what is multiplied so far is the number of ways to take fewer: the quotient is whole
        let next = total.checked_mul(n - at).map(|product| if ordered { product } else { product / (at + 1) });
        match next {
            Some(next) => total = next,
            None => return vm.tracer.run.overflow(),
        }
    }
    Ok(Value::Int(total))
}

/// The sum rounded once (Shewchuk 1997), as Python gives it.
fn fsum(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut partials: Vec<f64> = Vec::new();
    for item in vm.items(&a.value("iterable"))? {
        vm.step()?;
        let mut x = vm.tracer.run.as_float(&item, "fsum", "iterable")?;
        if !x.is_finite() {
            return vm.refuse(Rule::UnsupportedOp, "fsum() of numbers that are not finite is not supported");
        }
        let mut kept = Vec::new();
        for mut y in std::mem::take(&mut partials) {
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                kept.push(low);
            }
            x = high;
        }
        kept.push(x);
        partials = kept;
    }
    // from the largest down, until something is lost; half of the last place is decided by what lies below
    let mut high = partials.pop().unwrap_or(0.0);
    let mut low = 0.0;
    while let Some(y) = partials.pop() {
        let x = high;
        high = x + y;
        low = y - (high - x);
        if low != 0.0 {
            break;
        }
    }
    if let Some(&below) = partials.last()
        && ((low < 0.0 && below < 0.0) || (low > 0.0 && below > 0.0))
    {
        let twice = low * 2.0;
        let x = high + twice;
        if twice == x - high {
            high = x;
        }
    }
    Ok(Value::Float(high))
}

pub static TABLE: &[Native] = &[
    native("math.fabs", "x", |vm, a| one(&mut vm.tracer.run, a, f64::abs)),
    native("math.sinh", "x", |vm, a| one(&mut vm.tracer.run, a, f64::sinh)),
    native("math.cosh", "x", |vm, a| one(&mut vm.tracer.run, a, f64::cosh)),
    native("math.asin", "x", |vm, a| one(&mut vm.tracer.run, a, f64::asin)),
    native("math.acos", "x", |vm, a| one(&mut vm.tracer.run, a, f64::acos)),
    native("math.asinh", "x", |vm, a| one(&mut vm.tracer.run, a, libm::asinh)),
    native("math.acosh", "x", |vm, a| one(&mut vm.tracer.run, a, libm::acosh)),
    native("math.atanh", "x", |vm, a| one(&mut vm.tracer.run, a, libm::atanh)),
    native("math.expm1", "x", |vm, a| one(&mut vm.tracer.run, a, f64::exp_m1)),
    native("math.exp2", "x", |vm, a| one(&mut vm.tracer.run, a, f64::exp2)),
    native("math.cbrt", "x", |vm, a| one(&mut vm.tracer.run, a, f64::cbrt)),
    native("math.degrees", "x", |vm, a| one(&mut vm.tracer.run, a, |x| x * (180.0 / std::f64::consts::PI))),
    native("math.radians", "x", |vm, a| one(&mut vm.tracer.run, a, |x| x * (std::f64::consts::PI / 180.0))),
    native("math.erf", "x", |vm, a| one(&mut vm.tracer.run, a, libm::erf)),
    native("math.erfc", "x", |vm, a| one(&mut vm.tracer.run, a, libm::erfc)),
    native("math.gamma", "x", |vm, a| one(&mut vm.tracer.run, a, libm::tgamma)),
    native("math.lgamma", "x", |vm, a| one(&mut vm.tracer.run, a, libm::lgamma)),
    native("math.atan2", "x y", |vm, a| two(&mut vm.tracer.run, a, f64::atan2)),
    native("math.copysign", "x y", |vm, a| two(&mut vm.tracer.run, a, f64::copysign)),
    native("math.fmod", "x y", |vm, a| two(&mut vm.tracer.run, a, |x, y| x % y)),
    native("math.hypot", "*coordinates", |vm, a| {
        let mut total: f64 = 0.0;
        for x in &a.rest {
            total = total.hypot(vm.tracer.run.as_float(x, "hypot", "coordinates")?);
        }
        Ok(Value::Float(total))
    }),
    native("math.dist", "p q", |vm, a| {
        let (p, q) = (vm.items(&a.value("p"))?, vm.items(&a.value("q"))?);
        if p.len() != q.len() {
            return vm.value_fault("dist() needs two points of as many coordinates");
        }
        let mut total: f64 = 0.0;
        for (x, y) in p.iter().zip(&q) {
            total = total.hypot(vm.tracer.run.as_float(x, "dist", "p")? - vm.tracer.run.as_float(y, "dist", "q")?);
        }
        Ok(Value::Float(total))
    }),
    native("math.modf", "x", |vm, a| {
        let x = number(&mut vm.tracer.run, a, "x")?;
        let fraction = if x.is_infinite() { 0.0_f64.copysign(x) } else { x.fract().copysign(x) };
        Ok(Value::tuple(vec![Value::Float(fraction), Value::Float(x.trunc())]))
    }),
    native("math.isfinite", "x", |vm, a| Ok(Value::Bool(number(&mut vm.tracer.run, a, "x")?.is_finite()))),
    native("math.comb", "n k", |vm, a| ways(vm, a, false)),
    native("math.perm", "n k?", |vm, a| ways(vm, a, true)),
    native("math.factorial", "n", |vm, a| ways(vm, a, true)),
    native("math.fsum", "iterable", fsum),
    native("math.lcm", "*integers", |vm, a| {
        let mut total: i64 = 1;
        for value in &a.rest {
            let Value::Int(i) = value else { return vm.type_fault("lcm() needs integers") };
            if *i == 0 {
                return Ok(Value::Int(0));
            }
            let (mut x, mut y) = (total.unsigned_abs(), i.unsigned_abs());
            while y != 0 {
                (x, y) = (y, x % y);
            }
            let least = i64::try_from(x).ok().and_then(|x| (total / x).checked_mul(*i)).and_then(i64::checked_abs);
            match least {
                Some(least) => total = least,
                None => return vm.tracer.run.overflow(),
            }
        }
        Ok(Value::Int(total))
    }),
];
