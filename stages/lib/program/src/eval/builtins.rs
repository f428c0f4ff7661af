//! Python's builtin functions and types, and the modules `math`, `functools`, `itertools`, `abc`, `copy`.

use std::rc::Rc;

use graph::{DType, Op, UnaryOp};

use super::native::{Args, Native, find};
use super::value::{Class, Dict, NativeClass, Object, Property, Value};
use super::{Interp, R};
use crate::syntax::{BinOp, Name};

const TYPES: &[&str] = &[
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

impl Interp {
    /// A builtin by its name.
    pub fn builtin(&mut self, name: &str) -> Option<Value> {
        if let Some(native) = find(&format!("builtins.{name}")) {
            return Some(Value::Native(native));
        }
        if let Some(t) = TYPES.iter().find(|t| **t == name) {
            return Some(Value::Class(self.type_class(t)));
        }
        if let Some((name, _)) = super::exceptions::builtin(name) {
            return Some(Value::Class(self.native_class(name, NativeClass::Exception)));
        }
        match name {
            "NotImplemented" | "__debug__" => Some(Value::Typing),
            _ => None,
        }
    }

    /// `int(x)`, `list(x)`, ...
    pub fn construct(&mut self, class: &Rc<Class>, args: Vec<Value>, keywords: Vec<(Name, Value)>) -> R<Value> {
        let name = &*class.name;
        if name == "dict" {
            return self.make_dict(args, keywords);
        }
        if !keywords.is_empty() {
            return self.type_fault(format!("{name}() takes no keywords"));
        }
        if args.len() > 1 && name != "slice" {
            return self.type_fault(format!("{name}() takes one argument"));
        }
        let arg = args.first().cloned();
        Ok(match (name, arg) {
            ("list", None) => Value::list(Vec::new()),
            ("list", Some(v)) => {
                let items = self.items(&v)?;
                self.allocate(items.len())?;
                Value::list(items)
            }
            ("tuple", None) => Value::tuple(Vec::new()),
            ("tuple", Some(v)) => Value::tuple(self.items(&v)?),
            ("set" | "frozenset", None) => self.set(Vec::new())?,
            ("set" | "frozenset", Some(v)) => {
                let items = self.items(&v)?;
                self.set(items)?
            }
            ("str", None) => Value::str(""),
            ("str", Some(v)) => Value::str(&self.str_of(&v)?),
            ("bool", None) => Value::Bool(false),
            ("bool", Some(v)) => Value::Bool(self.truth(&v)?),
            ("int", None) => Value::Int(0),
            ("int", Some(v)) => self.int_of(&v)?,
            ("float", None) => Value::Float(0.0),
            ("float", Some(v)) => self.float_of(&v)?,
            ("object", None) => Value::Object(Rc::new(Object {
                class: class.clone(),
                attrs: Default::default(),
                module: Default::default(),
                span: self.span,
            })),
            ("type", Some(v)) => self.type_of(&v)?,
            ("slice", _) => {
                let mut it = args.into_iter();
                match (it.next(), it.next(), it.next()) {
                    (Some(stop), None, None) => Value::Slice(Rc::new([Value::None, stop, Value::None])),
                    (Some(a), Some(b), None) => Value::Slice(Rc::new([a, b, Value::None])),
                    (Some(a), Some(b), Some(c)) => Value::Slice(Rc::new([a, b, c])),
                    _ => return self.type_fault("slice() needs an argument"),
                }
            }
            (name, _) => return self.unsupported("E-UNSUPPORTED-OP", format!("{name}() is not supported")),
        })
    }

    fn make_dict(&mut self, args: Vec<Value>, keywords: Vec<(Name, Value)>) -> R<Value> {
        let mut dict = Dict::default();
        if let Some(first) = args.first() {
            self.extend_dict(&mut dict, first)?;
        }
        for (name, value) in keywords {
            dict.insert(super::value::Key::Str(name.clone()), Value::Str(name), value);
        }
        self.allocate(dict.len())?;
        Ok(Value::Dict(Rc::new(dict.into())))
    }

    pub fn extend_dict(&mut self, dict: &mut Dict, from: &Value) -> R<()> {
        if let Value::Dict(other) = from {
            for (key, name, value) in other.borrow().entries.values() {
                dict.insert(key.clone(), name.clone(), value.clone());
            }
            return Ok(());
        }
        for pair in self.items(from)? {
            let pair = self.items(&pair)?;
            let [name, value] = pair.as_slice() else {
                return self.value_fault("a dict is made of pairs");
            };
            dict.insert(self.key(name)?, name.clone(), value.clone());
        }
        Ok(())
    }

    fn int_of(&mut self, value: &Value) -> R<Value> {
        Ok(match value {
            Value::Int(_) | Value::Dim(_) => value.clone(),
            Value::Bool(b) => Value::Int((*b).into()),
            Value::Float(f) if f.is_finite() && f.abs() < 9e18 => Value::Int(*f as i64),
            Value::Float(_) => return self.value_fault("this float cannot become an integer"),
            Value::Str(s) => match s.trim().parse() {
                Ok(i) => Value::Int(i),
                Err(_) => return self.value_fault(format!("'{s}' is not an integer")),
            },
            Value::Number(_) => {
                return self.unsupported(
                    "E-UNSUPPORTED-SIZE",
                    "a rounded number that depends on the size of the graph is not supported",
                );
            }
            Value::Tensor(_) => return self.tensor_to_number("int()"),
            other => return self.type_fault(format!("{} cannot become an integer", other.type_name())),
        })
    }

    fn float_of(&mut self, value: &Value) -> R<Value> {
        Ok(match value {
            Value::Float(_) | Value::Number(_) => value.clone(),
            Value::Int(i) => Value::Float(*i as f64),
            Value::Bool(b) => Value::Float(f64::from(u8::from(*b))),
            Value::Dim(d) => {
                let id = self.push_as(Op::Size(d.clone()), &[], Vec::new(), DType::Int)?;
                Value::Number(self.cast(id, DType::Float)?)
            }
            Value::Str(s) => match s.trim().parse() {
                Ok(f) => Value::Float(f),
                Err(_) => return self.value_fault(format!("'{s}' is not a number")),
            },
            Value::Tensor(_) => return self.tensor_to_number("float()"),
            other => return self.type_fault(format!("{} cannot become a float", other.type_name())),
        })
    }

    pub fn tensor_to_number<T>(&self, what: &str) -> R<T> {
        let d = self.fault(
            crate::Category::Unsupported,
            "E-UNSUPPORTED-ITEM",
            format!("{what} turns a tensor's value into a Python number, so there is no fixed tensor graph"),
        );
        Err(Box::new(d.help("keep it a tensor: torch.clamp, torch.maximum and the like take tensors")))
    }

    pub fn type_of(&mut self, value: &Value) -> R<Value> {
        let name = match value {
            Value::Object(o) => return Ok(Value::Class(o.class.clone())),
            Value::Tensor(_) => return Ok(Value::Class(self.native_class("Tensor", NativeClass::Tensor))),
            Value::Int(_) | Value::Dim(_) => "int",
            Value::Float(_) | Value::Number(_) => "float",
            Value::Bool(_) => "bool",
            Value::Str(_) => "str",
            Value::List(_) => "list",
            Value::Tuple(_) | Value::Named(_) => "tuple",
            Value::Dict(_) => "dict",
            Value::Set(_) => "set",
            _ => return Ok(Value::Typing),
        };
        Ok(Value::Class(self.type_class(name)))
    }

    /// `isinstance(value, class)`.
    pub fn is_instance(&mut self, value: &Value, class: &Value) -> R<bool> {
        Ok(match class {
            Value::Tuple(classes) => {
                for c in classes.iter() {
                    if self.is_instance(value, c)? {
                        return Ok(true);
                    }
                }
                false
            }
            Value::Native(n) if n.names.split(' ').any(|n| n == "torch.nn.Parameter") => match value {
                Value::Tensor(t) => self.is_parameter(t),
                _ => false,
            },
            Value::Class(class) => match value {
                Value::Object(o) => o.class.is_subclass_of(class),
                _ if &*class.name == "object" => true,
                Value::Bool(_) if &*class.name == "int" => true,
                _ => match self.type_of(value)? {
                    Value::Class(own) => own.is_subclass_of(class),
                    _ => false,
                },
            },
            Value::Typing => {
                return self
                    .unsupported("E-UNSUPPORTED-OP", "isinstance with a typing or abstract class is not supported");
            }
            other => return self.type_fault(format!("isinstance needs a class, not {}", other.type_name())),
        })
    }

    fn extreme(&mut self, args: &Args, largest: bool) -> R<Value> {
        let mut items = match args.rest.as_slice() {
            [one] => self.items(&one.clone())?,
            many => many.to_vec(),
        };
        let key = args.some("key").cloned();
        if items.is_empty() {
            return match args.get("default") {
                Some(value) => Ok(value.clone()),
                None => self.value_fault("min() or max() of nothing"),
            };
        }
        self.charge(items.len() as u64)?;
        let mut best = items.remove(0);
        let rank = |vm: &mut Self, v: &Value| match &key {
            Some(f) => vm.call(f, vec![v.clone()], Vec::new()),
            None => Ok(v.clone()),
        };
        if items.iter().chain([&best]).any(|v| matches!(v, Value::Tensor(_))) {
            return self.unsupported(
                "E-UNSUPPORTED-BRANCH",
                "min() and max() of tensors depend on their values; use torch.minimum, torch.maximum or .amax",
            );
        }
        let mut best_rank = rank(self, &best)?;
        for item in items {
            let item_rank = rank(self, &item)?;
            let order = self.ordering(&item_rank, &best_rank)?;
            if (largest && order.is_gt()) || (!largest && order.is_lt()) {
                best = item;
                best_rank = item_rank;
            }
        }
        Ok(best)
    }

    /// Sorts by Python's rules, stably.
    pub fn sorted(&mut self, items: Vec<Value>, key: Option<&Value>, reverse: bool) -> R<Vec<Value>> {
        let mut ranked = Vec::with_capacity(items.len());
        for item in items {
            let rank = match key {
                Some(f) => self.call(f, vec![item.clone()], Vec::new())?,
                None => item.clone(),
            };
            ranked.push((rank, item));
        }
        self.charge(ranked.len() as u64 * 8)?;
        let mut fault = None;
        ranked.sort_by(|a, b| {
            if fault.is_some() {
                return std::cmp::Ordering::Equal;
            }
            let order = self.ordering(&a.0, &b.0).unwrap_or_else(|e| {
                fault = Some(e);
                std::cmp::Ordering::Equal
            });
            if reverse { order.reverse() } else { order }
        });
        match fault {
            Some(e) => Err(e),
            None => Ok(ranked.into_iter().map(|r| r.1).collect()),
        }
    }
}

/// A function of `math`: on known numbers at once, on sizes as part of the graph.
fn math(vm: &mut Interp, args: &Args, f: fn(f64) -> f64, op: Option<UnaryOp>) -> R<Value> {
    let value = args.value("x");
    match (&value, op) {
        (Value::Dim(_) | Value::Number(_), Some(op)) => {
            let Some(id) = vm.operand(&value)? else { return vm.type_fault("a number is needed") };
            let id = vm.cast(id, DType::Float)?;
            Ok(Value::Number(vm.un(op, id)?))
        }
        (Value::Tensor(_), _) => {
            vm.type_fault(format!("math.{} works on numbers; for tensors there is torch.{0}", args.function()))
        }
        _ => {
            let x = vm.as_float(&value, args.function(), "x")?;
            let y = f(x);
            if y.is_nan() && !x.is_nan() {
                return vm.value_fault(format!("math.{}({x}) is not defined", args.function()));
            }
            if y.is_infinite() && x.is_finite() {
                return vm.value_fault(format!("math.{}({x}) is infinite", args.function()));
            }
            Ok(Value::Float(y))
        }
    }
}

fn rounded(vm: &mut Interp, args: &Args, f: fn(f64) -> f64) -> R<Value> {
    match args.value("x") {
        v @ (Value::Int(_) | Value::Dim(_)) => Ok(v),
        v => {
            let y = f(vm.as_float(&v, args.function(), "x")?);
            if y.is_finite() && y.abs() < 9e18 { Ok(Value::Int(y as i64)) } else { vm.overflow() }
        }
    }
}

fn product(vm: &mut Interp, items: Vec<Value>, start: Value) -> R<Value> {
    let mut total = start;
    for item in items {
        total = vm.binary(&total, BinOp::Mul, &item)?;
    }
    Ok(total)
}

fn attribute_name(vm: &Interp, args: &Args) -> R<Name> {
    let name = args.text(vm, "name")?;
    if crate::forbidden::is_hidden(&name) {
        return Err(vm.fault(
            crate::Category::Forbidden,
            "E-FORBIDDEN-ATTRIBUTE",
            format!("the attribute '{name}' is out of reach"),
        ));
    }
    Ok(name)
}

pub static TABLE: &[Native] = &[
    Native { names: "object.__init__", signature: "self *args **kwargs", run: |_, _| Ok(Value::None) },
    Native {
        names: "builtins.len",
        signature: "obj",
        run: |vm, a| {
            Ok(match a.value("obj") {
                Value::Str(s) => Value::Int(s.chars().count() as i64),
                Value::Dict(d) | Value::Set(d) => Value::Int(d.borrow().len() as i64),
                Value::Range(a, b, s) => Value::Int(super::collections::range_len(a, b, s)),
                Value::List(l) => Value::Int(l.borrow().len() as i64),
                Value::Tuple(t) => Value::Int(t.len() as i64),
                Value::Named(t) => Value::Int(t.1.len() as i64),
                Value::Tensor(t) => match vm.shape_of(&t).first() {
                    Some(d) => Value::dim(d),
                    None => return vm.type_fault("len() of a 0-dimensional tensor"),
                },
                Value::Object(o) => match vm.container_len(&o) {
                    Some(n) => Value::Int(n as i64),
                    None => match o.class.find("__len__") {
                        Some(f) => vm.call(&f, vec![Value::Object(o.clone())], Vec::new())?,
                        None => return vm.type_fault(format!("{} has no length", o.class.name)),
                    },
                },
                Value::Class(c) if vm.members(&c).is_some() => Value::Int(vm.members(&c).map_or(0, |m| m.len() as i64)),
                other => return vm.type_fault(format!("{} has no length", other.type_name())),
            })
        },
    },
    Native {
        names: "builtins.range",
        signature: "*args",
        run: |vm, a| {
            let mut bounds = Vec::new();
            for v in &a.rest {
                match v {
                    Value::Int(i) => bounds.push(*i),
                    Value::Bool(b) => bounds.push((*b).into()),
                    Value::Dim(d) => {
                        let f = vm.fault(
                            crate::Category::Unsupported,
                            "E-UNSUPPORTED-SIZE-LOOP",
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
        },
    },
    Native {
        names: "builtins.enumerate",
        signature: "iterable start?",
        run: |vm, a| {
            let start = a.int_or(vm, "start", 0)?;
            let items = vm.items(&a.value("iterable"))?;
            let pair = |(i, v)| Value::tuple(vec![Value::Int(start.saturating_add(i as i64)), v]);
            Ok(Value::iter(items.into_iter().enumerate().map(pair).collect()))
        },
    },
    Native {
        names: "builtins.zip",
        signature: "*iterables | strict?",
        run: |vm, a| {
            let mut columns = Vec::new();
            for it in &a.rest {
                columns.push(vm.items(it)?.into_iter());
            }
            let mut out = Vec::new();
            if columns.is_empty() {
                return Ok(Value::iter(out));
            }
            'rows: loop {
                let mut row = Vec::with_capacity(columns.len());
                for column in &mut columns {
                    match column.next() {
                        Some(v) => row.push(v),
                        None => break 'rows,
                    }
                }
                vm.allocate(1)?;
                out.push(Value::tuple(row));
            }
            Ok(Value::iter(out))
        },
    },
    Native {
        names: "builtins.map",
        signature: "function *iterables",
        run: |vm, a| {
            let f = a.value("function");
            let mut columns = Vec::new();
            for it in &a.rest {
                columns.push(vm.items(it)?);
            }
            let rows = columns.iter().map(Vec::len).min().unwrap_or(0);
            let mut out = Vec::with_capacity(rows);
            for i in 0..rows {
                let row = columns.iter().filter_map(|c| c.get(i).cloned()).collect();
                out.push(vm.call(&f, row, Vec::new())?);
            }
            Ok(Value::iter(out))
        },
    },
    Native {
        names: "builtins.filter",
        signature: "function iterable",
        run: |vm, a| {
            let f = a.value("function");
            let mut out = Vec::new();
            for item in vm.items(&a.value("iterable"))? {
                let keep = match &f {
                    Value::None => item.clone(),
                    f => vm.call(f, vec![item.clone()], Vec::new())?,
                };
                if vm.truth(&keep)? {
                    out.push(item);
                }
            }
            Ok(Value::iter(out))
        },
    },
    Native {
        names: "builtins.sum",
        signature: "iterable start?",
        run: |vm, a| {
            let mut total = a.get("start").cloned().unwrap_or(Value::Int(0));
            for item in vm.items(&a.value("iterable"))? {
                total = vm.binary(&total, BinOp::Add, &item)?;
            }
            Ok(total)
        },
    },
    Native { names: "builtins.min", signature: "*args | key? default?", run: |vm, a| vm.extreme(a, false) },
    Native { names: "builtins.max", signature: "*args | key? default?", run: |vm, a| vm.extreme(a, true) },
    Native {
        names: "builtins.abs math.fabs",
        signature: "x",
        run: |vm, a| {
            Ok(match a.value("x") {
                Value::Int(i) => match i.checked_abs() {
                    Some(i) => Value::Int(i),
                    None => return vm.overflow(),
                },
                Value::Tensor(t) => {
                    let id = vm.node(&t)?;
                    let id = vm.un(UnaryOp::Abs, id)?;
                    vm.tensor_value(id)
                }
                v => Value::Float(vm.as_float(&v, "abs", "x")?.abs()),
            })
        },
    },
    Native {
        names: "builtins.round",
        signature: "number ndigits?",
        run: |vm, a| {
            let value = a.value("number");
            if let v @ (Value::Int(_) | Value::Dim(_)) = value {
                return Ok(v);
            }
            let x = vm.as_float(&value, "round", "number")?;
            match a.some("ndigits") {
                None => Ok(Value::Int(x.round_ties_even() as i64)),
                Some(_) => {
                    let scale = 10_f64.powi(i32::try_from(a.int(vm, "ndigits")?).unwrap_or(0).clamp(-300, 300));
                    Ok(Value::Float((x * scale).round_ties_even() / scale))
                }
            }
        },
    },
    Native {
        names: "builtins.sorted",
        signature: "iterable | key? reverse?",
        run: |vm, a| {
            let items = vm.items(&a.value("iterable"))?;
            let reverse = a.bool(vm, "reverse", false)?;
            let sorted = vm.sorted(items, a.some("key"), reverse)?;
            Ok(Value::list(sorted))
        },
    },
    Native {
        names: "builtins.reversed",
        signature: "sequence",
        run: |vm, a| {
            let mut items = vm.items(&a.value("sequence"))?;
            items.reverse();
            Ok(Value::iter(items))
        },
    },
    Native {
        names: "builtins.any",
        signature: "iterable",
        run: |vm, a| {
            for item in vm.items(&a.value("iterable"))? {
                if vm.truth(&item)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        },
    },
    Native {
        names: "builtins.all",
        signature: "iterable",
        run: |vm, a| {
            for item in vm.items(&a.value("iterable"))? {
                if !vm.truth(&item)? {
                    return Ok(Value::Bool(false));
                }
            }
            Ok(Value::Bool(true))
        },
    },
    Native {
        names: "builtins.iter",
        signature: "iterable",
        run: |vm, a| match a.value("iterable") {
            v @ Value::Iter(_) => Ok(v),
            v => Ok(Value::iter(vm.items(&v)?)),
        },
    },
    Native {
        names: "builtins.next",
        signature: "iterator default?",
        run: |vm, a| match a.value("iterator") {
            Value::Iter(items) => {
                let next = items.borrow_mut().pop_front();
                match (next, a.get("default")) {
                    (Some(v), _) => Ok(v),
                    (None, Some(v)) => Ok(v.clone()),
                    (None, None) => Err(vm.exception("StopIteration", "next() of an iterator that is at its end")),
                }
            }
            other => vm.type_fault(format!("next() needs an iterator, not {}", other.type_name())),
        },
    },
    Native {
        names: "builtins.isinstance",
        signature: "obj classes",
        run: |vm, a| Ok(Value::Bool(vm.is_instance(&a.value("obj"), &a.value("classes"))?)),
    },
    Native {
        names: "builtins.issubclass",
        signature: "cls classes",
        run: |vm, a| {
            let classes = match a.value("classes") {
                Value::Tuple(t) => t.to_vec(),
                one => vec![one],
            };
            match a.value("cls") {
                Value::Class(c) => {
                    Ok(Value::Bool(classes.iter().any(|other| matches!(other, Value::Class(o) if c.is_subclass_of(o)))))
                }
                other => vm.type_fault(format!("issubclass needs a class, not {}", other.type_name())),
            }
        },
    },
    Native {
        names: "builtins.callable",
        signature: "obj",
        run: |_, a| {
            Ok(Value::Bool(match a.value("obj") {
                Value::Function(_) | Value::Native(_) | Value::Bound(_) | Value::Class(_) | Value::Partial(_) => true,
                Value::Object(o) => o.class.layer().is_some() || o.class.find("__call__").is_some(),
                _ => false,
            }))
        },
    },
    Native {
        names: "builtins.getattr",
        signature: "obj name default?",
        run: |vm, a| {
            let (base, name) = (a.value("obj"), attribute_name(vm, a)?);
            match a.get("default") {
                Some(default) => Ok(vm.attribute_if_any(&base, &name)?.unwrap_or_else(|| default.clone())),
                None => vm.attribute(&base, &name),
            }
        },
    },
    Native {
        names: "builtins.hasattr",
        signature: "obj name",
        run: |vm, a| {
            let (base, name) = (a.value("obj"), attribute_name(vm, a)?);
            Ok(Value::Bool(vm.attribute_if_any(&base, &name)?.is_some()))
        },
    },
    Native {
        names: "builtins.setattr",
        signature: "obj name value",
        run: |vm, a| {
            let (base, name) = (a.value("obj"), attribute_name(vm, a)?);
            vm.set_attribute(&base, &name, a.value("value"))?;
            Ok(Value::None)
        },
    },
    Native {
        names: "builtins.delattr",
        signature: "obj name",
        run: |vm, a| {
            let (base, name) = (a.value("obj"), attribute_name(vm, a)?);
            vm.delete_attribute(&base, &name)?;
            Ok(Value::None)
        },
    },
    Native { names: "builtins.print warnings.warn", signature: "*args **kwargs", run: |_, _| Ok(Value::None) },
    Native {
        names: "builtins.repr builtins.ascii",
        signature: "obj",
        run: |vm, a| Ok(Value::str(&vm.repr_of(&a.value("obj"))?)),
    },
    Native {
        names: "builtins.format",
        signature: "value spec?",
        run: |vm, a| {
            let spec = a.text_or(vm, "spec", "")?;
            Ok(Value::str(&vm.format_value(&a.value("value"), &spec)?))
        },
    },
    Native {
        names: "builtins.divmod",
        signature: "a b",
        run: |vm, a| {
            let (x, y) = (a.value("a"), a.value("b"));
            let q = vm.binary(&x, BinOp::FloorDiv, &y)?;
            let r = vm.binary(&x, BinOp::Mod, &y)?;
            Ok(Value::tuple(vec![q, r]))
        },
    },
    Native {
        names: "builtins.pow operator.pow",
        signature: "a b",
        run: |vm, a| vm.binary(&a.value("a"), BinOp::Pow, &a.value("b")),
    },
    Native {
        names: "builtins.id",
        signature: "obj",
        run: |vm, _| vm.unsupported("E-UNSUPPORTED-OP", "id() depends on memory addresses"),
    },
    Native {
        names: "builtins.super",
        signature: "cls obj",
        run: |vm, a| match (a.value("cls"), a.value("obj")) {
            (Value::Class(c), o @ (Value::Object(_) | Value::Class(_))) => Ok(Value::Super(Rc::new((c, o)))),
            (a, b) => vm.type_fault(format!(
                "super() needs a class and an object, not {} and {}",
                a.type_name(),
                b.type_name()
            )),
        },
    },
    Native {
        names: "builtins.property functools.cached_property abc.abstractproperty",
        signature: "fget fset? fdel? doc?",
        run: |_, a| Ok(Value::Property(Rc::new(Property { get: a.value("fget"), set: a.some("fset").cloned() }))),
    },
    Native {
        names: "property.setter",
        signature: "self fset",
        run: |vm, a| match a.value("self") {
            Value::Property(p) => {
                Ok(Value::Property(Rc::new(Property { get: p.get.clone(), set: Some(a.value("fset")) })))
            }
            _ => vm.type_fault("a property is needed"),
        },
    },
    Native {
        names: "builtins.staticmethod",
        signature: "function",
        run: |_, a| Ok(Value::StaticMethod(Rc::new(a.value("function")))),
    },
    Native {
        names: "builtins.classmethod",
        signature: "function",
        run: |_, a| Ok(Value::ClassMethod(Rc::new(a.value("function")))),
    },
    Native {
        names: "abc.abstractmethod functools.cache typing.final typing.override torch.jit.ignore torch.jit.export torch.jit.unused",
        signature: "function",
        run: |_, a| Ok(a.value("function")),
    },
    Native {
        names: "functools.lru_cache",
        signature: "function? maxsize? typed?",
        run: |_, a| {
            Ok(match a.value("function") {
                f @ Value::Function(_) => f,
                _ => find("abc.abstractmethod").map_or(Value::None, Value::Native),
            })
        },
    },
    Native {
        names: "functools.wraps",
        signature: "function",
        run: |_, _| Ok(find("abc.abstractmethod").map_or(Value::None, Value::Native)),
    },
    Native {
        names: "functools.partial",
        signature: "function *args **kwargs",
        run: |_, a| Ok(Value::Partial(Rc::new((a.value("function"), a.rest.clone(), a.keywords.clone())))),
    },
    Native {
        names: "functools.reduce",
        signature: "function iterable initial?",
        run: |vm, a| {
            let f = a.value("function");
            let mut items = vm.items(&a.value("iterable"))?.into_iter();
            let mut total = match a.get("initial").cloned().or_else(|| items.next()) {
                Some(v) => v,
                None => return vm.type_fault("reduce() of nothing"),
            };
            for item in items {
                total = vm.call(&f, vec![total, item], Vec::new())?;
            }
            Ok(total)
        },
    },
    Native {
        names: "itertools.product",
        signature: "*iterables | repeat?",
        run: |vm, a| {
            let mut lists = Vec::new();
            for it in &a.rest {
                lists.push(vm.items(it)?);
            }
            let repeat = usize::try_from(a.int_or(vm, "repeat", 1)?).unwrap_or(0).min(16);
            let lists: Vec<_> = std::iter::repeat_n(lists, repeat).flatten().collect();
            let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
            for list in lists {
                vm.allocate(rows.len().saturating_mul(list.len()))?;
                rows = rows.iter().flat_map(|r| list.iter().map(|v| r.iter().chain([v]).cloned().collect())).collect();
            }
            Ok(Value::iter(rows.into_iter().map(Value::tuple).collect()))
        },
    },
    Native {
        names: "itertools.combinations itertools.permutations",
        signature: "iterable r",
        run: |vm, a| {
            let items = vm.items(&a.value("iterable"))?;
            if a.int(vm, "r")? != 2 || a.function() != "combinations" {
                return vm.unsupported("E-UNSUPPORTED-OP", "of these, only combinations of two are supported");
            }
            let mut out = Vec::new();
            for (i, x) in items.iter().enumerate() {
                vm.allocate(items.len())?;
                out.extend(items.iter().skip(i + 1).map(|y| Value::tuple(vec![x.clone(), y.clone()])));
            }
            Ok(Value::iter(out))
        },
    },
    Native {
        names: "itertools.chain",
        signature: "*iterables",
        run: |vm, a| {
            let mut out = Vec::new();
            for it in &a.rest {
                out.extend(vm.items(it)?);
                vm.allocate(out.len())?;
            }
            Ok(Value::iter(out))
        },
    },
    Native {
        names: "itertools.chain.from_iterable",
        signature: "iterables",
        run: |vm, a| {
            let mut out = Vec::new();
            for it in vm.items(&a.value("iterables"))? {
                out.extend(vm.items(&it)?);
                vm.allocate(out.len())?;
            }
            Ok(Value::iter(out))
        },
    },
    Native {
        names: "copy.copy",
        signature: "obj",
        run: |vm, a| match a.value("obj") {
            Value::List(l) => Ok(Value::list(l.borrow().clone())),
            Value::Dict(d) => vm.make_dict(vec![Value::Dict(d)], Vec::new()),
            v @ (Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::Tuple(_) | Value::None | Value::Bool(_)) => {
                Ok(v)
            }
            other => vm.unsupported("E-UNSUPPORTED-OP", format!("copying {} is not supported", other.type_name())),
        },
    },
    Native {
        names: "operator.add",
        signature: "a b",
        run: |vm, a| vm.binary(&a.value("a"), BinOp::Add, &a.value("b")),
    },
    Native {
        names: "operator.mul",
        signature: "a b",
        run: |vm, a| vm.binary(&a.value("a"), BinOp::Mul, &a.value("b")),
    },
    Native {
        names: "operator.sub",
        signature: "a b",
        run: |vm, a| vm.binary(&a.value("a"), BinOp::Sub, &a.value("b")),
    },
    Native {
        names: "operator.truediv",
        signature: "a b",
        run: |vm, a| vm.binary(&a.value("a"), BinOp::Div, &a.value("b")),
    },
    Native { names: "math.sqrt numpy.sqrt", signature: "x", run: |vm, a| math(vm, a, f64::sqrt, Some(UnaryOp::Sqrt)) },
    Native { names: "math.exp numpy.exp", signature: "x", run: |vm, a| math(vm, a, f64::exp, Some(UnaryOp::Exp)) },
    Native { names: "math.log2 numpy.log2", signature: "x", run: |vm, a| math(vm, a, f64::log2, Some(UnaryOp::Log2)) },
    Native {
        names: "math.log10 numpy.log10",
        signature: "x",
        run: |vm, a| math(vm, a, f64::log10, Some(UnaryOp::Log10)),
    },
    Native {
        names: "math.log1p numpy.log1p",
        signature: "x",
        run: |vm, a| math(vm, a, f64::ln_1p, Some(UnaryOp::Log1p)),
    },
    Native { names: "math.sin numpy.sin", signature: "x", run: |vm, a| math(vm, a, f64::sin, Some(UnaryOp::Sin)) },
    Native { names: "math.cos numpy.cos", signature: "x", run: |vm, a| math(vm, a, f64::cos, Some(UnaryOp::Cos)) },
    Native { names: "math.tan", signature: "x", run: |vm, a| math(vm, a, f64::tan, None) },
    Native { names: "math.atan", signature: "x", run: |vm, a| math(vm, a, f64::atan, None) },
    Native { names: "math.tanh numpy.tanh", signature: "x", run: |vm, a| math(vm, a, f64::tanh, Some(UnaryOp::Tanh)) },
    Native { names: "math.floor", signature: "x", run: |vm, a| rounded(vm, a, f64::floor) },
    Native { names: "math.ceil", signature: "x", run: |vm, a| rounded(vm, a, f64::ceil) },
    Native { names: "math.trunc", signature: "x", run: |vm, a| rounded(vm, a, f64::trunc) },
    Native {
        names: "math.log numpy.log",
        signature: "x base?",
        run: |vm, a| {
            let top = math(vm, a, f64::ln, Some(UnaryOp::Log))?;
            match a.some("base") {
                None => Ok(top),
                Some(_) => {
                    let base = a.float_or(vm, "base", std::f64::consts::E)?;
                    vm.binary(&top, BinOp::Div, &Value::Float(base.ln()))
                }
            }
        },
    },
    Native {
        names: "math.pow",
        signature: "x y",
        run: |vm, a| {
            let x = vm.float_of(&a.value("x"))?;
            let y = vm.float_of(&a.value("y"))?;
            vm.binary(&x, BinOp::Pow, &y)
        },
    },
    Native {
        names: "math.prod",
        signature: "iterable | start?",
        run: |vm, a| {
            let items = vm.items(&a.value("iterable"))?;
            product(vm, items, a.get("start").cloned().unwrap_or(Value::Int(1)))
        },
    },
    Native {
        names: "numpy.prod",
        signature: "iterable",
        run: |vm, a| {
            let items = vm.items(&a.value("iterable"))?;
            product(vm, items, Value::Int(1))
        },
    },
    Native {
        names: "math.isqrt",
        signature: "x",
        run: |vm, a| {
            let x = a.int(vm, "x")?;
            if x < 0 { vm.value_fault("isqrt of a negative number") } else { Ok(Value::Int(x.isqrt())) }
        },
    },
    Native {
        names: "math.gcd",
        signature: "a b",
        run: |vm, a| {
            let (mut x, mut y) = (a.int(vm, "a")?.unsigned_abs(), a.int(vm, "b")?.unsigned_abs());
            while y != 0 {
                (x, y) = (y, x % y);
            }
            Ok(Value::Int(i64::try_from(x).unwrap_or(i64::MAX)))
        },
    },
    Native {
        names: "math.isclose",
        signature: "a b | rel_tol? abs_tol?",
        run: |vm, a| {
            let (x, y) = (a.float_or(vm, "a", 0.0)?, a.float_or(vm, "b", 0.0)?);
            let (rel, abs) = (a.float_or(vm, "rel_tol", 1e-9)?, a.float_or(vm, "abs_tol", 0.0)?);
            Ok(Value::Bool(x == y || (x - y).abs() <= (rel * x.abs().max(y.abs())).max(abs)))
        },
    },
    Native { names: "math.isnan", signature: "x", run: |vm, a| Ok(Value::Bool(a.float_or(vm, "x", 0.0)?.is_nan())) },
    Native {
        names: "math.isinf",
        signature: "x",
        run: |vm, a| Ok(Value::Bool(a.float_or(vm, "x", 0.0)?.is_infinite())),
    },
    Native {
        names: "builtins.reveal_shape",
        signature: "x",
        run: |vm, a| {
            let value = a.value("x");
            let text = match &value {
                Value::Tensor(t) => {
                    let shape = vm.shape_of(t);
                    let kind = match vm.dtype_of(t) {
                        DType::Float => "",
                        DType::Int => " int",
                        DType::Bool => " bool",
                    };
                    format!("{}{kind}", graph::display(&shape))
                }
                other => vm.repr_of(&other.clone())?,
            };
            let line = vm.span.line;
            if vm.phase == super::Phase::Second {
                vm.revealed.push((line, text));
            }
            Ok(value)
        },
    },
];
