//! The modules `math`, `functools`, `itertools`, `operator`, `abc`, `copy`, and the numbers of `numpy`.

use std::rc::Rc;

use graph::{DType, UnaryOp};

use super::iterator::Iter;
use super::native::{Args, Native, find, native};
use super::value::Value;
use super::{Interp, R, Run, Tracer};
use crate::rules::Rule;
use crate::syntax::BinOp;

/// A function of `math`: on known numbers at once, on sizes as part of the graph.
fn math(tracer: &mut Tracer, args: &Args, f: fn(f64) -> f64, op: Option<UnaryOp>) -> R<Value> {
    let value = args.value("x");
    match (&value, op) {
        (Value::Dim(_) | Value::Number(_), Some(op)) => {
            let Some(id) = tracer.operand(&value)? else { return tracer.run.type_fault("a number is needed") };
            let id = tracer.cast(id, DType::Float)?;
            Ok(Value::Number(tracer.un(op, id)?))
        }
        (Value::Tensor(_), _) => {
            tracer.run.type_fault(format!("math.{} works on numbers; for tensors there is torch.{0}", args.function()))
        }
        _ => {
            let x = tracer.run.as_float(&value, args.function(), "x")?;
            let y = f(x);
            if y.is_nan() && !x.is_nan() {
                return tracer.run.value_fault(format!("math.{}({x}) is not defined", args.function()));
            }
            if y.is_infinite() && x.is_finite() {
                return Err(tracer
                    .run
                    .exception("OverflowError", format!("math.{}({x}) is infinite", args.function())));
            }
            Ok(Value::Float(y))
        }
    }
}

fn rounded(run: &mut Run, args: &Args, f: fn(f64) -> f64) -> R<Value> {
    match args.value("x") {
        v @ (Value::Int(_) | Value::Dim(_)) => Ok(v),
        v => {
            let y = f(run.as_float(&v, args.function(), "x")?);
            if y.is_finite() && y.abs() < 9e18 { Ok(Value::Int(y as i64)) } else { run.overflow() }
        }
    }
}

fn product(vm: &mut Interp, iterable: &Value, start: Value) -> R<Value> {
    let mut total = start;
    let source = vm.iter_of(iterable)?;
    while let Some(item) = vm.next(&source)? {
        total = vm.binary(&total, BinOp::Mul, &item)?;
    }
    Ok(total)
}

pub static TABLE: &[Native] = &[
    native("number.is_integer", "self", |vm, a| match a.value("self") {
        Value::Float(f) => Ok(Value::Bool(f.is_finite() && f.fract() == 0.0)),
        Value::Int(_) | Value::Dim(_) | Value::Bool(_) => {
            vm.refuse(Rule::NameAttribute, "int has no attribute 'is_integer'")
        }
        _ => vm.tracer.run.undecided("a number that depends on the size of the graph"),
    }),
    native("number.bit_length", "self", |vm, a| {
        let i = a.int(vm, "self")?;
        Ok(Value::Int((u64::BITS - i.unsigned_abs().leading_zeros()).into()))
    }),
    native("functools.partialmethod", "function *args **kwargs", |vm, a| {
        vm.allocate(1 + a.rest.len() + a.keywords.len())?;
        let given = Rc::new((a.value("function"), a.rest.clone(), a.keywords.clone()));
        Ok(Value::PartialMethod(given))
    }),
    native(
        "abc.abstractmethod functools.cache typing.final typing.override torch.jit.ignore torch.jit.export torch.jit.unused",
        "function",
        |_, a| Ok(a.value("function")),
    ),
    native("functools.lru_cache", "function? maxsize? typed?", |_, a| {
        Ok(match a.value("function") {
            f @ Value::Function(_) => f,
            _ => find("abc.abstractmethod").map_or(Value::None, Value::Native),
        })
    }),
    native("functools.wraps", "wrapped assigned? updated?", |vm, a| {
        let Some(rename) = find("functools.$rename") else { return Ok(Value::None) };
        vm.allocate(2)?;
        Ok(Value::Partial(Rc::new((Value::Native(rename), vec![a.value("wrapped")], Vec::new()))))
    }),
    native("functools.$rename", "wrapped wrapper", |_, a| match (a.value("wrapped"), a.value("wrapper")) {
        (Value::Function(of), Value::Function(f)) => Ok(Value::Function(Rc::new(f.named(of.name())))),
        (_, other) => Ok(other),
    }),
    native("functools.partial", "function *args **kwargs", |vm, a| {
        vm.allocate(1 + a.rest.len() + a.keywords.len())?;
        Ok(Value::Partial(Rc::new((a.value("function"), a.rest.clone(), a.keywords.clone()))))
    }),
    native("functools.reduce", "function iterable initial?", |vm, a| {
        let f = a.value("function");
        let source = vm.iter_of(&a.value("iterable"))?;
        let first = match a.get("initial").cloned() {
            None => vm.next(&source)?,
            given => given,
        };
        let Some(mut total) = first else { return vm.type_fault("reduce() of nothing") };
        while let Some(item) = vm.next(&source)? {
            total = vm.call(&f, vec![total, item], Vec::new())?;
        }
        Ok(total)
    }),
    native("itertools.product", "*iterables | repeat?", |vm, a| {
        let mut lists = Vec::new();
        for it in &a.rest {
            lists.push(vm.items(it)?);
        }
        let repeat = usize::try_from(a.int_or(vm, "repeat", 1)?).unwrap_or(0).min(16);
        let lists: Vec<_> = std::iter::repeat_n(lists, repeat).flatten().collect();
        let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
        for list in lists {
            let width = rows.first().map_or(0, Vec::len) + 1;
            vm.allocate(rows.len().saturating_mul(list.len()).saturating_mul(width))?;
            rows = rows.iter().flat_map(|r| list.iter().map(|v| r.iter().chain([v]).cloned().collect())).collect();
        }
        Ok(Value::iter(Iter::Given("itertools.product", rows.into_iter().map(Value::tuple).collect())))
    }),
    native("copy.copy", "obj", |vm, a| match a.value("obj") {
        v @ Value::List(_) => {
            let items = vm.items(&v)?;
            vm.allocate(items.len())?;
            Ok(Value::list(items))
        }
        Value::Dict(d) => vm.make_dict(vec![Value::Dict(d)], Vec::new()),
        v @ (Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::Tuple(_) | Value::None | Value::Bool(_)) => Ok(v),
        other => vm.refuse(Rule::UnsupportedOp, format!("copying {} is not supported", other.type_name())),
    }),
    native("copy.deepcopy", "x memo?", |vm, a| vm.deep_copy(&a.value("x"), &mut super::deepcopy::Copies::default())),
    // a logger is a module to the text: see `forbidden`
    native("logging.getLogger", "name?", |_, _| Ok(Value::Module(crate::modules::LOGGER.into()))),
    native(
        "logging.Logger.debug logging.Logger.info logging.Logger.warning logging.Logger.error logging.Logger.critical \
                logging.debug logging.info logging.warning logging.error logging.critical",
        "msg *args **kwargs",
        |_, _| Ok(Value::None),
    ),
    native("torch.jit.script", "obj", |vm, a| match a.value("obj") {
        f @ Value::Function(_) => Ok(f),
        other => vm.refuse(Rule::UnsupportedOp, format!("torch.jit.script of {} is not supported", other.type_name())),
    }),
    native("torch.compile", "model | fullgraph? dynamic? backend? mode? options? disable?", |vm, a| {
        match a.value("model") {
            f @ Value::Function(_) => Ok(f),
            other => vm.refuse(Rule::UnsupportedOp, format!("torch.compile of {} is not supported", other.type_name())),
        }
    }),
    native("torch.utils.checkpoint.checkpoint", "function *args | use_reentrant? preserve_rng_state?", |vm, a| {
        vm.call(&a.value("function"), a.rest.clone(), Vec::new())
    }),
    native("torch.autocast torch.amp.autocast", "device_type dtype? enabled? cache_enabled?", |vm, a| {
        if a.bool(vm, "enabled", true)? {
            return vm.refuse(
                Rule::UnsupportedPrecision,
                "the precision is the trainer's choice; only enabled=False changes nothing",
            );
        }
        Ok(Value::Context(None))
    }),
    native("operator.add", "a b", |vm, a| vm.binary(&a.value("a"), BinOp::Add, &a.value("b"))),
    native("operator.mul", "a b", |vm, a| vm.binary(&a.value("a"), BinOp::Mul, &a.value("b"))),
    native("operator.sub", "a b", |vm, a| vm.binary(&a.value("a"), BinOp::Sub, &a.value("b"))),
    native("operator.truediv", "a b", |vm, a| vm.binary(&a.value("a"), BinOp::Div, &a.value("b"))),
    native("math.sqrt numpy.sqrt", "x", |vm, a| math(&mut vm.tracer, a, f64::sqrt, Some(UnaryOp::Sqrt))),
    native("math.exp numpy.exp", "x", |vm, a| math(&mut vm.tracer, a, f64::exp, Some(UnaryOp::Exp))),
    native("math.log2 numpy.log2", "x", |vm, a| math(&mut vm.tracer, a, f64::log2, Some(UnaryOp::Log2))),
    native("math.log10 numpy.log10", "x", |vm, a| math(&mut vm.tracer, a, f64::log10, Some(UnaryOp::Log10))),
    native("math.log1p numpy.log1p", "x", |vm, a| math(&mut vm.tracer, a, f64::ln_1p, Some(UnaryOp::Log1p))),
    native("math.sin numpy.sin", "x", |vm, a| math(&mut vm.tracer, a, f64::sin, Some(UnaryOp::Sin))),
    native("math.cos numpy.cos", "x", |vm, a| math(&mut vm.tracer, a, f64::cos, Some(UnaryOp::Cos))),
    native("math.tan", "x", |vm, a| math(&mut vm.tracer, a, f64::tan, None)),
    native("math.atan", "x", |vm, a| math(&mut vm.tracer, a, f64::atan, None)),
    native("math.tanh numpy.tanh", "x", |vm, a| math(&mut vm.tracer, a, f64::tanh, Some(UnaryOp::Tanh))),
    native("math.floor", "x", |vm, a| rounded(&mut vm.tracer.run, a, f64::floor)),
    native("math.ceil", "x", |vm, a| rounded(&mut vm.tracer.run, a, f64::ceil)),
    native("math.trunc", "x", |vm, a| rounded(&mut vm.tracer.run, a, f64::trunc)),
    native("math.log numpy.log", "x base?", |vm, a| {
        let top = math(&mut vm.tracer, a, f64::ln, Some(UnaryOp::Log))?;
        match a.some("base") {
            None => Ok(top),
            Some(_) => {
                let base = a.float_or(vm, "base", std::f64::consts::E)?;
                vm.binary(&top, BinOp::Div, &Value::Float(base.ln()))
            }
        }
    }),
    native("math.pow", "x y", |vm, a| {
        let x = vm.tracer.float_of(&a.value("x"))?;
        let y = vm.tracer.float_of(&a.value("y"))?;
        vm.binary(&x, BinOp::Pow, &y)
    }),
    native("math.prod", "iterable | start?", |vm, a| {
        product(vm, &a.value("iterable"), a.get("start").cloned().unwrap_or(Value::Int(1)))
    }),
    native("numpy.prod", "iterable", |vm, a| product(vm, &a.value("iterable"), Value::Int(1))),
    native("math.isqrt", "x", |vm, a| {
        let x = a.int(vm, "x")?;
        if x < 0 { vm.value_fault("isqrt of a negative number") } else { Ok(Value::Int(x.isqrt())) }
    }),
    native("math.gcd", "a b", |vm, a| {
        let (mut x, mut y) = (a.int(vm, "a")?.unsigned_abs(), a.int(vm, "b")?.unsigned_abs());
        while y != 0 {
            (x, y) = (y, x % y);
        }
        // of the least integer alone the divisor is 2^63, which is beyond 64 bits
        i64::try_from(x).map_or_else(|_| vm.tracer.run.overflow(), |x| Ok(Value::Int(x)))
    }),
    native("math.isclose", "a b | rel_tol? abs_tol?", |vm, a| {
        let (x, y) = (a.float_or(vm, "a", 0.0)?, a.float_or(vm, "b", 0.0)?);
        let (rel, abs) = (a.float_or(vm, "rel_tol", 1e-9)?, a.float_or(vm, "abs_tol", 0.0)?);
        Ok(Value::Bool(x == y || (x - y).abs() <= (rel * x.abs().max(y.abs())).max(abs)))
    }),
    native("math.isnan", "x", |vm, a| Ok(Value::Bool(a.float_or(vm, "x", 0.0)?.is_nan()))),
    native("math.isinf", "x", |vm, a| Ok(Value::Bool(a.float_or(vm, "x", 0.0)?.is_infinite()))),
];
