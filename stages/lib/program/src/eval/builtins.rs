//! Python's builtin functions and types.

use std::rc::Rc;

use graph::{DType, UnaryOp};

use super::container::container_len;
use super::iterator::{Iter, view_len};
use super::named_tuple::tuple_items;
use super::native::{Args, Native, find, native};
use super::records::members;
use super::value::{NativeClass, Property, Value};
use super::{Interp, R};
use crate::rules::Rule;
use crate::syntax::{BinOp, Name};

/// Builtin types.
pub const TYPES: &[&str] = &[
    "int",
    "float",
    "bool",
    "str",
    "list",
    "tuple",
    "dict",
    "set",
    "frozenset",
    "object",
    "type",
    "slice",
    "complex",
    "bytes",
];

/// Builtins that are neither functions nor classes.
pub const CONSTANTS: &[&str] = &["NotImplemented", "__debug__"];

impl Interp {
    /// A builtin by its name.
    pub fn builtin(&mut self, name: &str) -> Option<Value> {
        if let Some(native) = find(&format!("builtins.{name}")) {
            return Some(Value::Native(native));
        }
        if let Some(t) = TYPES.iter().find(|t| **t == name) {
            return Some(Value::Class(self.heap.type_class(t)));
        }
        if let Some((name, _)) = super::exceptions::builtin(name) {
            return Some(Value::Class(self.heap.native_class(name, NativeClass::Exception)));
        }
        CONSTANTS.contains(&name).then_some(Value::Typing)
    }
}

fn attribute_name(vm: &mut Interp, args: &Args) -> R<Name> {
    let name = args.text(vm, "name")?;
    vm.go_over(name.len())?;
    if crate::vocabulary::is_hidden(&name) {
        return Err(vm.fault(Rule::ForbiddenAttribute, format!("the attribute '{name}' is out of reach")));
    }
    Ok(name)
}

pub static TABLE: &[Native] = &[
    native("object.__init__", "self *args **kwargs", |_, _| Ok(Value::None)),
    native("builtins.len", "obj", |vm, a| {
        Ok(match a.value("obj") {
            Value::Str(s) => {
                vm.go_over(s.len() / 8)?;
                Value::Int(s.chars().count() as i64)
            }
            Value::Dict(d) | Value::Set(d) => Value::Int(d.borrow().len() as i64),
            Value::Range(a, b, s) => Value::Int(super::collections::range_len(a, b, s)),
            Value::View(view) => Value::Int(view_len(&view) as i64),
            Value::List(l) => Value::Int(l.borrow().len() as i64),
            Value::Tuple(t) => Value::Int(t.len() as i64),
            Value::Named(t) => Value::Int(t.1.len() as i64),
            Value::Tensor(t) => match vm.tracer.shape_of(&t).first() {
                Some(d) => Value::dim(d),
                None => return vm.type_fault("len() of a 0-dimensional tensor"),
            },
            Value::Object(o) if tuple_items(&o).is_some() => {
                Value::Int(tuple_items(&o).map_or(0, |items| items.len() as i64))
            }
            Value::Object(o) => match (o.class.find("__len__"), container_len(&o)) {
                (Some(f), _) => vm.call(&f, vec![Value::Object(o.clone())], Vec::new())?,
                (None, Some(n)) => Value::Int(n as i64),
                (None, None) => return vm.type_fault(format!("{} has no length", o.class.name)),
            },
            Value::Class(c) if members(&c).is_some() => Value::Int(members(&c).map_or(0, |m| m.len() as i64)),
            other => return vm.type_fault(format!("{} has no length", other.type_name())),
        })
    }),
    native("builtins.range", "*args", |vm, a| {
        let mut bounds = Vec::new();
        for v in &a.rest {
            match v {
                Value::Int(i) => bounds.push(*i),
                Value::Bool(b) => bounds.push((*b).into()),
                Value::Dim(d) => {
                    let f = vm.fault(
                            Rule::UnsupportedSizeLoop,
                            format!("range({d}) runs as often as the graph has nodes or graphs, so there is no fixed tensor graph"),
                        );
                    return Err(Box::new(f.help("work on the whole axis at once")));
                }
                other => return vm.type_fault(format!("range() needs integers, not {}", other.type_name())),
            }
        }
        match bounds.as_slice() {
            [stop] => Ok(Value::Range(0, *stop, 1)),
            [start, stop] => Ok(Value::Range(*start, *stop, 1)),
            [_, _, 0] => vm.value_fault("range() by steps of 0"),
            [start, stop, step] => Ok(Value::Range(*start, *stop, *step)),
            _ => vm.type_fault("range() takes one to three arguments"),
        }
    }),
    native("builtins.enumerate", "iterable start?", |vm, a| {
        let count = a.int_or(vm, "start", 0)?;
        let source = vm.iter_of(&a.value("iterable"))?;
        Ok(Value::iter(Iter::Enumerate { source, count }))
    }),
    native("builtins.zip", "*iterables | strict?", |vm, a| {
        let sources = a.rest.iter().map(|iterable| vm.iter_of(iterable)).collect::<R<_>>()?;
        let strict = a.bool(vm, "strict", false)?;
        Ok(Value::iter(Iter::Zip { sources, strict }))
    }),
    native("builtins.map", "function *iterables", |vm, a| {
        if a.rest.is_empty() {
            return vm.type_fault("map() needs an iterable");
        }
        let sources = a.rest.iter().map(|iterable| vm.iter_of(iterable)).collect::<R<_>>()?;
        Ok(Value::iter(Iter::Map { function: a.value("function"), sources }))
    }),
    native("builtins.filter", "function iterable", |vm, a| {
        let source = vm.iter_of(&a.value("iterable"))?;
        Ok(Value::iter(Iter::Filter { test: a.value("function"), source }))
    }),
    native("builtins.sum", "iterable start?", |vm, a| {
        let mut total = a.get("start").cloned().unwrap_or(Value::Int(0));
        let source = vm.iter_in_any_order(&a.value("iterable"))?;
        while let Some(item) = vm.next(&source)? {
            total = vm.binary(&total, BinOp::Add, &item)?;
        }
        Ok(total)
    }),
    native("builtins.min", "*args | key? default?", |vm, a| vm.extreme(a, false)),
    native("builtins.max", "*args | key? default?", |vm, a| vm.extreme(a, true)),
    native("builtins.abs", "x", |vm, a| {
        Ok(match a.value("x") {
            Value::Int(i) => match i.checked_abs() {
                Some(i) => Value::Int(i),
                None => return vm.tracer.run.overflow(),
            },
            Value::Tensor(t) => {
                let id = vm.tracer.node(&t)?;
                let id = vm.tracer.un(UnaryOp::Abs, id)?;
                vm.tracer.tensor_value(id)
            }
            v => Value::Float(vm.tracer.run.as_float(&v, "abs", "x")?.abs()),
        })
    }),
    native("builtins.round", "number ndigits?", |vm, a| {
        let value = a.value("number");
        let digits = match a.some("ndigits") {
            None => None,
            Some(_) => Some(a.int(vm, "ndigits")?),
        };
        match (&value, digits) {
            (Value::Int(i), Some(n)) if n < 0 => {
                // to the nearest multiple, and to the even one of two
                let unit = u32::try_from(-n).ok().and_then(|n| 10_i128.checked_pow(n)).unwrap_or(i128::MAX);
                let (down, i) = (i128::from(*i).div_euclid(unit), i128::from(*i));
                let rest = i.rem_euclid(unit);
                let up = rest > unit - rest || (rest == unit - rest && down % 2 != 0);
                return match (down + i128::from(up)).checked_mul(unit).and_then(|r| i64::try_from(r).ok()) {
                    Some(i) => Ok(Value::Int(i)),
                    None => vm.tracer.run.overflow(),
                };
            }
            (Value::Int(_) | Value::Dim(_), _) => return Ok(value),
            (Value::Bool(b), _) => return Ok(Value::Int((*b).into())),
            _ => {}
        }
        let x = vm.tracer.run.as_float(&value, "round", "number")?;
        match digits {
            None if x.is_finite() && x.abs() < 9e18 => Ok(Value::Int(x.round_ties_even() as i64)),
            None => vm.value_fault("this float cannot become an integer"),
            Some(_) if !x.is_finite() => Ok(Value::Float(x)),
            // the shortest way to what Python does: the decimal digits are those of the exact value
            Some(n) if n >= 0 => {
                let text = format!("{x:.*}", usize::try_from(n).unwrap_or(0).min(320));
                Ok(Value::Float(text.parse().unwrap_or(x)))
            }
            Some(n) => {
                let unit = 10_f64.powi(i32::try_from(-n).unwrap_or(308).min(308));
                Ok(Value::Float((x / unit).round_ties_even() * unit))
            }
        }
    }),
    native("builtins.sorted", "iterable | key? reverse?", |vm, a| {
        let source = vm.iter_in_any_order(&a.value("iterable"))?;
        let items = vm.drain(&source)?;
        let reverse = a.bool(vm, "reverse", false)?;
        let sorted = vm.sorted(items, a.some("key"), reverse)?;
        Ok(Value::list(sorted))
    }),
    native("builtins.reversed", "sequence", |vm, a| vm.reversed(&a.value("sequence"))),
    native("builtins.any", "iterable", |vm, a| {
        let source = vm.iter_in_any_order(&a.value("iterable"))?;
        while let Some(item) = vm.next(&source)? {
            if vm.truth(&item)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    native("builtins.all", "iterable", |vm, a| {
        let source = vm.iter_in_any_order(&a.value("iterable"))?;
        while let Some(item) = vm.next(&source)? {
            if !vm.truth(&item)? {
                return Ok(Value::Bool(false));
            }
        }
        Ok(Value::Bool(true))
    }),
    native("builtins.iter", "iterable", |vm, a| vm.iter_of(&a.value("iterable")).map(Value::Iter)),
    native("builtins.next", "iterator default?", |vm, a| match a.value("iterator") {
        Value::Iter(source) => match (vm.next(&source)?, a.get("default")) {
            (Some(v), _) => Ok(v),
            (None, Some(v)) => Ok(v.clone()),
            (None, None) => Err(vm.exception("StopIteration", "next() of an iterator that is at its end")),
        },
        other => vm.type_fault(format!("next() needs an iterator, not {}", other.type_name())),
    }),
    native("builtins.isinstance", "obj classes", |vm, a| {
        Ok(Value::Bool(vm.is_instance(&a.value("obj"), &a.value("classes"))?))
    }),
    native("builtins.issubclass", "cls classes", |vm, a| {
        let classes = match a.value("classes") {
            Value::Tuple(t) => t.to_vec(),
            one => vec![one],
        };
        vm.charge(classes.len() as u64)?;
        match a.value("cls") {
            Value::Class(c) => {
                let below =
                    |o: &Rc<super::value::Class>| c.is_subclass_of(o) || (&*c.name, &*o.name) == ("bool", "int");
                Ok(Value::Bool(classes.iter().any(|other| matches!(other, Value::Class(o) if below(o)))))
            }
            other => vm.type_fault(format!("issubclass needs a class, not {}", other.type_name())),
        }
    }),
    native("builtins.callable", "obj", |_, a| {
        Ok(Value::Bool(match a.value("obj") {
            Value::Function(_) | Value::Native(_) | Value::Bound(_) | Value::Class(_) | Value::Partial(_) => true,
            Value::Object(o) => o.class.layer().is_some() || o.class.find("__call__").is_some(),
            _ => false,
        }))
    }),
    native("builtins.getattr", "obj name default?", |vm, a| {
        let (base, name) = (a.value("obj"), attribute_name(vm, a)?);
        match a.get("default") {
            Some(default) => Ok(vm.attribute_if_any(&base, &name)?.unwrap_or_else(|| default.clone())),
            None => vm.attribute(&base, &name),
        }
    }),
    native("builtins.hasattr", "obj name", |vm, a| {
        let (base, name) = (a.value("obj"), attribute_name(vm, a)?);
        Ok(Value::Bool(vm.attribute_if_any(&base, &name)?.is_some()))
    }),
    native("builtins.setattr", "obj name value", |vm, a| {
        let (base, name) = (a.value("obj"), attribute_name(vm, a)?);
        vm.set_attribute(&base, &name, a.value("value"))?;
        Ok(Value::None)
    }),
    native("builtins.delattr", "obj name", |vm, a| {
        let (base, name) = (a.value("obj"), attribute_name(vm, a)?);
        vm.delete_attribute(&base, &name)?;
        Ok(Value::None)
    }),
    native("builtins.print warnings.warn", "*args **kwargs", |_, _| Ok(Value::None)),
    native("builtins.repr builtins.ascii", "obj", |vm, a| Ok(Value::str(&vm.repr_of(&a.value("obj"))?))),
    native("builtins.format", "value spec?", |vm, a| {
        let spec = a.text_or(vm, "spec", "")?;
        Ok(Value::str(&vm.format_value(&a.value("value"), &spec)?))
    }),
    native("builtins.divmod", "a b", |vm, a| {
        let (x, y) = (a.value("a"), a.value("b"));
        let q = vm.binary(&x, BinOp::FloorDiv, &y)?;
        let r = vm.binary(&x, BinOp::Mod, &y)?;
        Ok(Value::tuple(vec![q, r]))
    }),
    native("builtins.pow operator.pow", "a b", |vm, a| vm.binary(&a.value("a"), BinOp::Pow, &a.value("b"))),
    native("builtins.id", "obj", |vm, _| vm.refuse(Rule::UnsupportedOp, "id() depends on memory addresses")),
    native("builtins.super", "cls obj", |vm, a| match (a.value("cls"), a.value("obj")) {
        (Value::Class(c), o @ (Value::Object(_) | Value::Class(_))) => Ok(Value::Super(Rc::new((c, o)))),
        (a, b) => {
            vm.type_fault(format!("super() needs a class and an object, not {} and {}", a.type_name(), b.type_name()))
        }
    }),
    native("builtins.property functools.cached_property abc.abstractproperty", "fget fset? fdel? doc?", |_, a| {
        Ok(Value::Property(Rc::new(Property { get: a.value("fget"), set: a.some("fset").cloned() })))
    }),
    native("property.setter", "self fset", |vm, a| match a.value("self") {
        Value::Property(p) => Ok(Value::Property(Rc::new(Property { get: p.get.clone(), set: Some(a.value("fset")) }))),
        _ => vm.type_fault("a property is needed"),
    }),
    native("builtins.staticmethod", "function", |_, a| Ok(Value::StaticMethod(Rc::new(a.value("function"))))),
    native("builtins.classmethod", "function", |_, a| Ok(Value::ClassMethod(Rc::new(a.value("function"))))),
    native("builtins.reveal_shape", "x", |vm, a| {
        let value = a.value("x");
        let text = match &value {
            Value::Tensor(t) => {
                let shape = vm.tracer.shape_of(t);
                let kind = match vm.tracer.dtype_of(t) {
                    DType::Float => "",
                    DType::Int => " int",
                    DType::Bool => " bool",
                };
                format!("{}{kind}", graph::display(&shape))
            }
            other => vm.repr_of(&other.clone())?,
        };
        let line = vm.here().line;
        if vm.tracer.phase() == super::Phase::Second
            && let Some(revealed) = &mut vm.revealed
        {
            revealed.push((line, text));
        }
        Ok(value)
    }),
];
