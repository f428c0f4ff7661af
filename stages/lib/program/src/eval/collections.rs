//! Lists, tuples, dicts, sets and ranges: iteration and subscripts.

use graph::Op;

use super::container::{container_items, container_len};
use super::iterator::{view_items, view_len};
use super::named_tuple::tuple_items;
use super::records::members;
use super::value::{Dict, Key, Part, Source, Value};
use super::{Interp, R, Run};
use crate::rules::Rule;

/// The number of elements of a range.
pub fn range_len(start: i64, stop: i64, step: i64) -> i64 {
    let (low, high, by) = if step > 0 { (start, stop, step) } else { (stop, start, step.saturating_neg()) };
    if low >= high || by == 0 {
        return 0;
    }
    let span = i128::from(high) - i128::from(low);
    // more elements than 63 bits can count are more than any budget has, as the largest number is
    i64::try_from((span - 1) / i128::from(by) + 1).unwrap_or(i64::MAX)
}

impl Interp {
    /// What a loop runs over. An absurdly long range is the loop's fault, not memory's.
    pub fn loop_source(&mut self, value: &Value) -> R<Source> {
        if let Value::Range(start, stop, step) = value {
            let count = range_len(*start, *stop, *step);
            self.tracer.run.meter.allows_range(count.unsigned_abs()).map_err(|e| self.fault(e.rule, e.text))?;
        }
        self.iter_of(value)
    }

    /// All elements of something that can be iterated over.
    pub fn items(&mut self, value: &Value) -> R<Vec<Value>> {
        let count = match value {
            Value::Tuple(t) => t.len(),
            Value::Named(t) => t.1.len(),
            Value::List(l) => l.borrow().len(),
            Value::Dict(d) | Value::Set(d) => d.borrow().len(),
            Value::View(view) => view_len(view),
            Value::Object(o) => container_len(o).unwrap_or(0),
            Value::Str(s) => {
                self.allocate(s.len())?;
                s.len()
            }
            _ => 0,
        };
        self.go_over(count)?;
        self.nested(|vm| vm.items_here(value))
    }

    fn items_here(&mut self, value: &Value) -> R<Vec<Value>> {
        Ok(match value {
            Value::Tuple(t) => t.to_vec(),
            Value::Named(t) => t.1.clone(),
            Value::List(l) => l.borrow().clone(),
            Value::Dict(d) => d.borrow().keys(),
            Value::Set(set) => self.ordered(set)?,
            Value::Str(s) => s.chars().map(|c| Value::str(&c.to_string())).collect(),
            Value::Iter(it) => self.drain(it)?,
            Value::View(view) => view_items(view),
            Value::Range(start, stop, step) => {
                let count = range_len(*start, *stop, *step);
                self.tracer.run.meter.allows_range(count.unsigned_abs()).map_err(|e| self.fault(e.rule, e.text))?;
                self.charge(count.unsigned_abs() / 4)?;
                (0..count).map(|i| Value::Int(start + i * step)).collect()
            }
            Value::Tensor(t) => {
                let shape = self.tracer.shape_of(t);
                let Some(first) = shape.first() else {
                    return self.type_fault("a 0-dimensional tensor cannot be iterated over");
                };
                let Some(count) = first.as_known() else {
                    let d = self.fault(
                        Rule::UnsupportedSizeLoop,
                        format!("this iterates over an axis of size {first}, so there is no fixed tensor graph"),
                    );
                    return Err(Box::new(d.help("work on the whole axis at once")));
                };
                let id = self.tracer.node(t)?;
                let mut out = Vec::new();
                for i in 0..count {
                    let one = self.tracer.push(Op::Select { dim: 0, index: i.into() }, &[id])?;
                    out.push(self.tracer.view_among(one, t, true)?);
                }
                out
            }
            Value::Class(class) if members(class).is_some() => members(class).unwrap_or_default(),
            Value::Object(o) if tuple_items(o).is_some() => tuple_items(o).unwrap_or_default(),
            Value::Object(o) => match (o.class.find("__iter__"), container_items(o)) {
                (None, Some(items)) => items,
                _ => {
                    let it = self.iter_of(value)?;
                    self.drain(&it)?
                }
            },
            Value::Int(_) | Value::Dim(_) => {
                let d = self.fault(Rule::Type, "an integer cannot be iterated over");
                return Err(Box::new(d.help("use range(...)")));
            }
            other => return self.type_fault(format!("{} cannot be iterated over", other.type_name())),
        })
    }

    pub fn subscript(&mut self, base: &Value, index: &Value) -> R<Value> {
        match base {
            Value::Tensor(t) => {
                let t = t.clone();
                self.tracer.tensor_index(&t, index)
            }
            Value::Dict(d) => {
                let key = self.tracer.run.key(index)?;
                let found = d.borrow().get(&key).cloned();
                match found {
                    Some(v) => Ok(v),
                    None => {
                        let text = self.repr_of(index)?;
                        self.tracer.run.key_fault(format!("the key {text} does not exist"))
                    }
                }
            }
            Value::Str(s) => {
                self.go_over(s.len())?;
                let chars: Vec<char> = s.chars().collect();
                match index {
                    Value::Slice(parts) => {
                        let picked = self.tracer.run.slice_positions(parts, chars.len())?;
                        let text: String = picked.iter().filter_map(|&i| chars.get(i)).collect();
                        self.allocate(text.len())?;
                        Ok(Value::str(&text))
                    }
                    _ => {
                        let at = self.tracer.run.position(index, chars.len())?;
                        Ok(Value::str(&chars.get(at).map(char::to_string).unwrap_or_default()))
                    }
                }
            }
            Value::Tuple(_) | Value::Named(_) | Value::List(_) | Value::Range(..) => match index {
                Value::Slice(parts) => {
                    let items = self.items(base)?;
                    let picked = self.tracer.run.slice_positions(parts, items.len())?;
                    self.allocate(picked.len())?;
                    let items: Vec<Value> = picked.iter().filter_map(|&i| items.get(i).cloned()).collect();
                    Ok(if matches!(base, Value::List(_)) { Value::list(items) } else { Value::tuple(items) })
                }
                _ => self.tracer.run.element(base, index),
            },
            Value::Object(o) => {
                let o = o.clone();
                self.container_get(&o, index)
            }
            Value::Class(class) if members(class).is_some() => {
                let class = class.clone();
                self.find_member(&class, index, true)
            }
            Value::Class(_) | Value::Typing => Ok(Value::Typing),
            Value::None => {
                let d = self.fault(Rule::Type, "None cannot be indexed");
                Err(Box::new(d.help("what is indexed here was never assigned a value")))
            }
            other => self.type_fault(format!("{} cannot be indexed", other.type_name())),
        }
    }

    pub fn set_item(&mut self, base: &Value, index: &Value, value: Value) -> R<()> {
        match base {
            Value::List(list) => {
                if let Value::Slice(parts) = index {
                    let len = list.borrow().len();
                    let new = self.items(&value)?;
                    // what gives the items may change the list itself
                    let len = len.min(list.borrow().len());
                    let picked = self.tracer.run.slice_positions(parts, len)?;
                    if !matches!(parts[2], Value::None | Value::Int(1)) {
                        if new.len() != picked.len() {
                            let text = format!("{} items for a slice of {} with steps", new.len(), picked.len());
                            return self.value_fault(text);
                        }
                        let mut list = list.borrow_mut();
                        for (at, value) in picked.into_iter().zip(new) {
                            if let Some(slot) = list.get_mut(at) {
                                *slot = value;
                            }
                        }
                        return Ok(());
                    }
                    let start = picked.first().copied().unwrap_or_else(|| match &parts[0] {
                        Value::Int(i) if *i >= 0 => usize::try_from(*i).unwrap_or(0).min(len),
                        _ => 0,
                    });
                    self.allocate(new.len())?;
                    self.go_over(len)?;
                    list.borrow_mut().splice(start..start + picked.len(), new);
                    return Ok(());
                }
                let len = list.borrow().len();
                let at = self.tracer.run.position(index, len)?;
                if let Some(slot) = list.borrow_mut().get_mut(at) {
                    *slot = value;
                }
                Ok(())
            }
            Value::Dict(d) => {
                let key = self.tracer.run.key(index)?;
                self.allocate(1)?;
                d.borrow_mut().insert(key, index.clone(), value);
                Ok(())
            }
            Value::Tensor(t) => {
                let t = t.clone();
                self.tracer.tensor_set(&t, index, value)
            }
            Value::Object(o) => {
                let o = o.clone();
                self.container_set(&o, index, value)
            }
            other => self.type_fault(format!("items of {} cannot be assigned to", other.type_name())),
        }
    }
}

impl Run {
    /// What a dictionary compares a key by.
    pub fn key(&mut self, value: &Value) -> R<Key> {
        match value {
            Value::Str(s) => self.go_over(s.len())?,
            Value::Tuple(items) => self.charge(items.len() as u64)?,
            Value::Dim(d) => self.charge(d.terms().count() as u64 / 4)?,
            _ => {}
        }
        self.nested(|run| run.key_here(value))
    }

    fn key_here(&mut self, value: &Value) -> R<Key> {
        Ok(match value {
            Value::None => Key::None,
            Value::Bool(b) => Key::Int((*b).into()),
            Value::Int(i) => Key::Int(*i),
            Value::Float(f) if f.fract() == 0.0 && f.abs() < 9e15 => Key::Int(*f as i64),
            Value::Float(f) => Key::Float(f.to_bits()),
            Value::Str(s) => Key::Str(s.clone()),
            Value::Dim(d) => Key::Dim(d.clone()),
            Value::Tuple(items) => Key::Tuple(items.iter().map(|i| self.key(i)).collect::<R<_>>()?),
            Value::DType(t) => Key::Type(t.name),
            Value::List(_) | Value::Dict(_) | Value::Set(_) => {
                return self.type_fault(format!("{} cannot be a key", value.type_name()));
            }
            Value::View(view) if view.part != Part::Values => {
                return self.type_fault(format!("{} cannot be a key", value.type_name()));
            }
            other => match other.identity() {
                Some(address) => Key::Identity(address),
                None => {
                    return self
                        .refuse(Rule::UnsupportedOp, format!("{} as a key is not supported", other.type_name()));
                }
            },
        })
    }

    pub fn set(&mut self, items: Vec<Value>) -> R<Value> {
        let mut set = Dict::default();
        for item in items {
            set.insert(self.key(&item)?, item, Value::None);
            self.allocate(1)?;
        }
        Ok(Value::set(set))
    }

    /// An index into a sequence of `len` elements.
    pub fn position(&self, index: &Value, len: usize) -> R<usize> {
        let i = match index {
            Value::Int(i) => *i,
            Value::Bool(b) => (*b).into(),
            Value::Dim(d) => {
                return self.refuse(
                    Rule::UnsupportedSize,
                    format!("the index {d} into a list depends on the size of the graph"),
                );
            }
            Value::Tensor(_) => {
                return self.refuse(Rule::UnsupportedItem, "a list cannot be indexed by a tensor's value");
            }
            other => return self.type_fault(format!("indices are integers or slices, not {}", other.type_name())),
        };
        let at = if i < 0 { i.saturating_add(len as i64) } else { i };
        match usize::try_from(at) {
            Ok(at) if at < len => Ok(at),
            _ => self.index_fault(format!("the index {i} is out of range: there are {len} elements")),
        }
    }

    /// The positions that a slice picks from `len` elements.
    pub fn slice_positions(&mut self, parts: &[Value; 3], len: usize) -> R<Vec<usize>> {
        self.go_over(len)?;
        let part = |v: &Value| match v {
            Value::None => Ok(None),
            Value::Int(i) => Ok(Some(*i)),
            Value::Bool(b) => Ok(Some((*b).into())),
            other => self.type_fault(format!("slices are made of integers, not {}", other.type_name())),
        };
        let len = len as i64;
        let step = part(&parts[2])?.unwrap_or(1);
        if step == 0 {
            return self.value_fault("a slice by steps of 0");
        }
        let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
        let bound = |v: Option<i64>, default: i64| match v {
            None => default,
            Some(i) => (if i < 0 { i.saturating_add(len) } else { i }).clamp(low, high),
        };
        let start = bound(part(&parts[0])?, if step > 0 { 0 } else { len - 1 });
        let stop = bound(part(&parts[1])?, if step > 0 { len } else { -1 });
        let mut out = Vec::new();
        let mut i = start;
        while (step > 0 && i < stop) || (step < 0 && i > stop) {
            out.push(usize::try_from(i).unwrap_or(0));
            i = i.saturating_add(step);
        }
        Ok(out)
    }

    /// One element of a sequence, without a copy of the others.
    fn element(&mut self, sequence: &Value, index: &Value) -> R<Value> {
        let found = match sequence {
            Value::Tuple(items) => items.get(self.position(index, items.len())?).cloned(),
            Value::Named(named) => named.1.get(self.position(index, named.1.len())?).cloned(),
            Value::List(items) => {
                let items = items.borrow();
                items.get(self.position(index, items.len())?).cloned()
            }
            Value::Range(start, stop, step) => {
                let len = usize::try_from(range_len(*start, *stop, *step)).unwrap_or(0);
                let at = i64::try_from(self.position(index, len)?).unwrap_or(0);
                Some(Value::Int(start.saturating_add(at.saturating_mul(*step))))
            }
            other => return self.type_fault(format!("{} cannot be indexed", other.type_name())),
        };
        Ok(found.unwrap_or(Value::None))
    }

    pub fn delete_item(&mut self, base: &Value, index: &Value) -> R<()> {
        match base {
            Value::List(list) => {
                let len = list.borrow().len();
                if let Value::Slice(parts) = index {
                    let gone: std::collections::BTreeSet<usize> =
                        self.slice_positions(parts, len)?.into_iter().collect();
                    let mut at = 0;
                    list.borrow_mut().retain(|_| {
                        at += 1;
                        !gone.contains(&(at - 1))
                    });
                    return Ok(());
                }
                let at = self.position(index, len)?;
                self.charge(len as u64 / 256)?;
                list.borrow_mut().remove(at);
                Ok(())
            }
            Value::Dict(d) => {
                let key = self.key(index)?;
                let gone = d.borrow_mut().remove(&key);
                if gone.is_some() { Ok(()) } else { self.key_fault("the key does not exist") }
            }
            other => self.type_fault(format!("items of {} cannot be deleted", other.type_name())),
        }
    }
}
