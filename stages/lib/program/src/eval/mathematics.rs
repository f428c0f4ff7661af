//! Functions of `math` on numbers that are known while the graph is built.

use super::native::{Args, Native};
use super::value::Value;
use super::{Interp, R, Run};

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
            return vm.refuse("E-UNSUPPORTED-OP", "fsum() of numbers that are not finite is not supported");
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
    Native { names: "math.fabs", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, f64::abs) },
    Native { names: "math.sinh", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, f64::sinh) },
    Native { names: "math.cosh", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, f64::cosh) },
    Native { names: "math.asin", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, f64::asin) },
    Native { names: "math.acos", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, f64::acos) },
    Native { names: "math.asinh", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, libm::asinh) },
    Native { names: "math.acosh", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, libm::acosh) },
    Native { names: "math.atanh", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, libm::atanh) },
    Native { names: "math.expm1", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, f64::exp_m1) },
    Native { names: "math.exp2", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, f64::exp2) },
    Native { names: "math.cbrt", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, f64::cbrt) },
    Native {
        names: "math.degrees",
        signature: "x",
        run: |vm, a| one(&mut vm.tracer.run, a, |x| x * (180.0 / std::f64::consts::PI)),
    },
    Native {
        names: "math.radians",
        signature: "x",
        run: |vm, a| one(&mut vm.tracer.run, a, |x| x * (std::f64::consts::PI / 180.0)),
    },
    Native { names: "math.erf", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, libm::erf) },
    Native { names: "math.erfc", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, libm::erfc) },
    Native { names: "math.gamma", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, libm::tgamma) },
    Native { names: "math.lgamma", signature: "x", run: |vm, a| one(&mut vm.tracer.run, a, libm::lgamma) },
    Native { names: "math.atan2", signature: "x y", run: |vm, a| two(&mut vm.tracer.run, a, f64::atan2) },
    Native { names: "math.copysign", signature: "x y", run: |vm, a| two(&mut vm.tracer.run, a, f64::copysign) },
    Native { names: "math.fmod", signature: "x y", run: |vm, a| two(&mut vm.tracer.run, a, |x, y| x % y) },
    Native {
        names: "math.hypot",
        signature: "*coordinates",
        run: |vm, a| {
            let mut total: f64 = 0.0;
            for x in &a.rest {
                total = total.hypot(vm.tracer.run.as_float(x, "hypot", "coordinates")?);
            }
            Ok(Value::Float(total))
        },
    },
    Native {
        names: "math.dist",
        signature: "p q",
        run: |vm, a| {
            let (p, q) = (vm.items(&a.value("p"))?, vm.items(&a.value("q"))?);
            if p.len() != q.len() {
                return vm.value_fault("dist() needs two points of as many coordinates");
            }
            let mut total: f64 = 0.0;
            for (x, y) in p.iter().zip(&q) {
                total = total.hypot(vm.tracer.run.as_float(x, "dist", "p")? - vm.tracer.run.as_float(y, "dist", "q")?);
            }
            Ok(Value::Float(total))
        },
    },
    Native {
        names: "math.modf",
        signature: "x",
        run: |vm, a| {
            let x = number(&mut vm.tracer.run, a, "x")?;
            let fraction = if x.is_infinite() { 0.0_f64.copysign(x) } else { x.fract().copysign(x) };
            Ok(Value::tuple(vec![Value::Float(fraction), Value::Float(x.trunc())]))
        },
    },
    Native {
        names: "math.isfinite",
        signature: "x",
        run: |vm, a| Ok(Value::Bool(number(&mut vm.tracer.run, a, "x")?.is_finite())),
    },
    Native { names: "math.comb", signature: "n k", run: |vm, a| ways(vm, a, false) },
    Native { names: "math.perm", signature: "n k?", run: |vm, a| ways(vm, a, true) },
    Native { names: "math.factorial", signature: "n", run: |vm, a| ways(vm, a, true) },
    Native { names: "math.fsum", signature: "iterable", run: fsum },
    Native {
        names: "math.lcm",
        signature: "*integers",
        run: |vm, a| {
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
        },
    },
];
