//! What builtin types make of their arguments, and what type a value has.

use std::cell::RefCell;
use std::rc::Rc;

use graph::{DType, Op};

use super::iterator::Iter;
use super::named_tuple::tuple_items;
use super::native::Args;
use super::value::{Class, Data, Dict, NativeClass, Object, Tensor, Value};
use super::{Interp, R, Run, Tracer};
use crate::rules::Rule;
use crate::syntax::Name;

impl Interp {
    /// `int(x)`, `list(x)`, ...
    pub fn construct(&mut self, class: &Rc<Class>, args: Vec<Value>, keywords: Vec<(Name, Value)>) -> R<Value> {
        let name = &*class.name;
        if name == "dict" {
            return self.make_dict(args, keywords);
        }
        if !keywords.is_empty() {
            return self.type_fault(format!("{name}() takes no keywords"));
        }
        if let ("int", [text, base]) = (name, args.as_slice()) {
            return self.tracer.run.int_in_base(&text.clone(), &base.clone());
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
            ("tuple", Some(v)) => {
                let items = self.items(&v)?;
                self.allocate(items.len())?;
                Value::tuple(items)
            }
            ("set" | "frozenset", None) => self.tracer.run.set(Vec::new())?,
            ("set" | "frozenset", Some(v)) => {
                let source = self.iter_in_any_order(&v)?;
                let items = self.drain(&source)?;
                self.tracer.run.set(items)?
            }
            ("str", None) => Value::str(""),
            ("str", Some(v)) => Value::str(&self.str_of(&v)?),
            ("bool", None) => Value::Bool(false),
            ("bool", Some(v)) => Value::Bool(self.truth(&v)?),
            ("int", None) => Value::Int(0),
            ("int", Some(v)) => self.tracer.int_of(&v)?,
            ("float", None) => Value::Float(0.0),
            ("float", Some(v)) => self.tracer.float_of(&v)?,
            ("object", None) => Value::Object(Rc::new(Object {
                class: class.clone(),
                attrs: Default::default(),
                module: Default::default(),
                span: self.here(),
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
            (name, _) => return self.refuse(Rule::UnsupportedOp, format!("{name}() is not supported")),
        })
    }

    pub fn make_dict(&mut self, args: Vec<Value>, keywords: Vec<(Name, Value)>) -> R<Value> {
        let dict = Rc::new(RefCell::new(Dict::default()));
        if let Some(first) = args.first() {
            self.extend_dict(&dict, first)?;
        }
        let mut dict = dict.take();
        for (name, value) in keywords {
            dict.insert(super::value::Key::Str(name.clone()), Value::Str(name), value);
        }
        self.allocate(dict.len())?;
        Ok(Value::dict(dict))
    }

    /// Puts the entries of a dict or pairs into a dict, one by one: what gives them may look at it meanwhile.
    pub fn extend_dict(&mut self, dict: &Rc<RefCell<Dict>>, from: &Value) -> R<()> {
        if let Value::Dict(other) = from {
            self.charge(other.borrow().len() as u64 / 2)?;
            let entries: Vec<_> = other.borrow().entries.values().cloned().collect();
            self.allocate(entries.len())?;
            for (key, name, value) in entries {
                dict.borrow_mut().insert(key, name, value);
            }
            return Ok(());
        }
        let source = self.iter_of(from)?;
        while let Some(pair) = self.next(&source)? {
            let pair = self.items(&pair)?;
            let [name, value] = pair.as_slice() else {
                return self.value_fault("a dict is made of pairs");
            };
            let key = self.tracer.run.key(name)?;
            self.allocate(1)?;
            dict.borrow_mut().insert(key, name.clone(), value.clone());
        }
        Ok(())
    }

    pub fn type_of(&mut self, value: &Value) -> R<Value> {
        let name = match value {
            Value::Object(o) => return Ok(Value::Class(o.class.clone())),
            Value::Tensor(_) => return Ok(Value::Class(self.heap.native_class("Tensor", NativeClass::Tensor))),
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
        Ok(Value::Class(self.heap.type_class(name)))
    }

    /// `isinstance(value, class)`.
    pub fn is_instance(&mut self, value: &Value, class: &Value) -> R<bool> {
        self.step()?;
        self.nested(|vm| vm.is_instance_here(value, class))
    }

    fn is_instance_here(&mut self, value: &Value, class: &Value) -> R<bool> {
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
                Value::Tensor(t) => self.tracer.is_parameter(t),
                _ => false,
            },
            Value::Class(class) => match value {
                Value::Object(o) if &*class.name == "tuple" && tuple_items(o).is_some() => true,
                Value::Object(o) => o.class.is_subclass_of(class),
                _ if &*class.name == "object" => true,
                Value::Bool(_) if &*class.name == "int" => true,
                _ => match self.type_of(value)? {
                    Value::Class(own) => own.is_subclass_of(class),
                    _ => false,
                },
            },
            Value::Typing => {
                return self.refuse(Rule::UnsupportedOp, "isinstance with a typing or abstract class is not supported");
            }
            other => return self.type_fault(format!("isinstance needs a class, not {}", other.type_name())),
        })
    }

    pub fn extreme(&mut self, args: &Args, largest: bool) -> R<Value> {
        let source = match args.rest.as_slice() {
            [one] => self.iter_in_any_order(&one.clone())?,
            many => Iter::Given("tuple_iterator", many.to_vec().into()).shared(),
        };
        let key = args.some("key").cloned();
        let mut best: Option<(Value, Value)> = None;
        while let Some(item) = self.next(&source)? {
            if matches!(item, Value::Tensor(_)) {
                return self.refuse(
                    Rule::UnsupportedBranch,
                    "min() and max() of tensors depend on their values; use torch.minimum, torch.maximum or .amax",
                );
            }
            let rank = match &key {
                Some(f) => self.call(f, vec![item.clone()], Vec::new())?,
                None => item.clone(),
            };
            let is_better = match &best {
                None => true,
                Some((_, known)) => {
                    let order = self.ordering(&rank, &known.clone())?;
                    if largest { order.is_gt() } else { order.is_lt() }
                }
            };
            if is_better {
                best = Some((item, rank));
            }
        }
        match (best, args.get("default")) {
            (Some((item, _)), _) => Ok(item),
            (None, Some(value)) => Ok(value.clone()),
            (None, None) => self.value_fault("min() or max() of nothing"),
        }
    }

    /// Sorts by Python's rules, stably.
    pub fn sorted(&mut self, items: Vec<Value>, key: Option<&Value>, reverse: bool) -> R<Vec<Value>> {
        let mut ranked = Vec::with_capacity(items.len());
        let rounds = u64::from(usize::BITS - items.len().leading_zeros());
        self.charge(items.len() as u64 * rounds / 4)?;
        for item in items {
            let rank = match key {
                Some(f) => self.call(f, vec![item.clone()], Vec::new())?,
                None => item.clone(),
            };
            ranked.push((rank, item));
        }
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

impl Tracer {
    pub fn int_of(&mut self, value: &Value) -> R<Value> {
        self.run.weigh_text(value)?;
        Ok(match value {
            Value::Int(_) | Value::Dim(_) => value.clone(),
            Value::Bool(b) => Value::Int((*b).into()),
            Value::Float(f) if f.is_finite() && f.abs() < 9e18 => Value::Int(*f as i64),
            Value::Float(_) => return self.run.value_fault("this float cannot become an integer"),
            Value::Str(s) => match s.trim().parse() {
                Ok(i) => Value::Int(i),
                Err(_) => return self.run.value_fault(format!("'{s}' is not an integer")),
            },
            Value::Number(_) => {
                return self.run.refuse(
                    Rule::UnsupportedSize,
                    "a rounded number that depends on the size of the graph is not supported",
                );
            }
            Value::Tensor(t) => {
                let number = self.number_of(t, "int()")?;
                return self.int_of(&number);
            }
            other => return self.run.type_fault(format!("{} cannot become an integer", other.type_name())),
        })
    }

    pub fn float_of(&mut self, value: &Value) -> R<Value> {
        self.run.weigh_text(value)?;
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
                Err(_) => return self.run.value_fault(format!("'{s}' is not a number")),
            },
            Value::Tensor(t) => {
                let number = self.number_of(t, "float()")?;
                return self.float_of(&number);
            }
            other => return self.run.type_fault(format!("{} cannot become a float", other.type_name())),
        })
    }

    /// The elements of a tensor of constants, row-major, as Python's numbers, with its sizes.
    fn constants(&mut self, t: &Tensor, what: &str) -> R<(Vec<usize>, Vec<Value>)> {
        let data = t.data.borrow().clone();
        let literal = match data {
            Data::Literal(l) => Some(l),
            Data::Leaf(_) => None,
            Data::Node(_) => {
                let id = self.node(t)?;
                self.constant(id)?
            }
        };
        let Some((literal, values)) = literal.and_then(|l| l.values().map(|v| (l, v))) else {
            return self.run.tensor_to_number(what);
        };
        self.run.allocate(values.len())?;
        let number = |v: f64| match literal.dtype {
            // tensors hold 32 bits
            DType::Float => Value::Float(f64::from(v as f32)),
            DType::Int => Value::Int(v as i64),
            DType::Bool => Value::Bool(v != 0.0),
        };
        Ok((literal.shape.clone(), values.into_iter().map(number).collect()))
    }

    /// A tensor of one constant as Python's number.
    pub fn number_of(&mut self, t: &Tensor, what: &str) -> R<Value> {
        match self.constants(t, what)?.1.as_slice() {
            [one] => Ok(one.clone()),
            many => self.run.value_fault(format!("{what} needs a tensor of one element, not of {}", many.len())),
        }
    }

    /// A tensor of constants as nested lists.
    pub fn list_of(&mut self, t: &Tensor) -> R<Value> {
        let (shape, mut values) = self.constants(t, ".tolist()")?;
        if shape.is_empty() {
            return Ok(values.into_iter().next().unwrap_or(Value::None));
        }
        for size in shape.iter().skip(1).rev() {
            values = values.chunks((*size).max(1)).map(|c| Value::list(c.to_vec())).collect();
        }
        Ok(Value::list(values))
    }
}

impl Run {
    /// `int(text, base)`.
    pub fn int_in_base(&mut self, text: &Value, base: &Value) -> R<Value> {
        self.weigh_text(text)?;
        let (Value::Str(text), Value::Int(base)) = (text, base) else {
            return self.type_fault("int() with a base takes a string and an integer");
        };
        let digits = text.trim().to_ascii_lowercase();
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(rest) => ("-", rest.to_owned()),
            None => ("", digits.strip_prefix('+').unwrap_or(&digits).to_owned()),
        };
        let prefix = match digits.get(..2) {
            Some("0x") => Some(16),
            Some("0o") => Some(8),
            Some("0b") => Some(2),
            _ => None,
        };
        let base = match (*base, prefix) {
            (0, prefix) => prefix.unwrap_or(10),
            (2..=36, _) => u32::try_from(*base).unwrap_or(10),
            _ => return self.value_fault("the base of int() is 0 or from 2 to 36"),
        };
        let digits = match prefix {
            Some(own) if own == base => digits.get(2..).unwrap_or("").to_owned(),
            _ => digits,
        };
        match i64::from_str_radix(&format!("{sign}{digits}"), base) {
            Ok(i) if !digits.starts_with(['+', '-']) => Ok(Value::Int(i)),
            _ => self.value_fault(format!("'{text}' is not an integer in base {base}")),
        }
    }

    /// Counts the work of reading a number from a string.
    fn weigh_text(&mut self, value: &Value) -> R<()> {
        if let Value::Str(s) = value { self.go_over(s.len()) } else { Ok(()) }
    }

    pub fn tensor_to_number<T>(&self, what: &str) -> R<T> {
        let d = self.fault(
            Rule::UnsupportedItem,
            format!("{what} turns a tensor's value into a Python number, so there is no fixed tensor graph"),
        );
        Err(Box::new(d.help("keep it a tensor: torch.clamp, torch.maximum and the like take tensors")))
    }
}
