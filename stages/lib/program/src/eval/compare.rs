//! Comparisons: of sizes for all B and N, of values, by identity, and membership.

use std::rc::Rc;

use graph::{BinaryOp, Dim, Op};

use super::arith::as_dim;
use super::container::container_len;
use super::named_tuple::tuple_items;
use super::records::plain_member;
use super::value::{Part, Value, Viewed};
use super::{Interp, R, Run};
use crate::rules::Rule;
use crate::syntax::CmpOp;

impl Interp {
    pub fn compare(&mut self, a: &Value, op: CmpOp, b: &Value) -> R<Value> {
        use Value as V;
        Ok(Value::Bool(match op {
            CmpOp::Is | CmpOp::IsNot => same(a, b) == (op == CmpOp::Is),
            CmpOp::In | CmpOp::NotIn => self.contains(a, b)? == (op == CmpOp::In),
            CmpOp::Eq | CmpOp::Ne => {
                if matches!(a, V::Tensor(_)) || matches!(b, V::Tensor(_)) {
                    let (Some(x), Some(y)) = (self.tracer.operand(a)?, self.tracer.operand(b)?) else {
                        // a tensor equals nothing else, in particular not None
                        return Ok(V::Bool(op == CmpOp::Ne));
                    };
                    let op = if op == CmpOp::Eq { BinaryOp::Eq } else { BinaryOp::Ne };
                    let id = self.tracer.push(Op::Binary(op), &[x, y])?;
                    return Ok(self.tracer.tensor_value(id));
                }
                self.equal(a, b)? == (op == CmpOp::Eq)
            }
            _ => {
                if matches!(a, V::Tensor(_)) || matches!(b, V::Tensor(_)) {
                    let (x, y) = self.tracer.operands(a, op.symbol(), b)?;
                    let op = match op {
                        CmpOp::Lt => BinaryOp::Lt,
                        CmpOp::Le => BinaryOp::Le,
                        CmpOp::Gt => BinaryOp::Gt,
                        _ => BinaryOp::Ge,
                    };
                    let id = self.tracer.push(Op::Binary(op), &[x, y])?;
                    return Ok(self.tracer.tensor_value(id));
                }
                if let (V::Set(_) | V::View(_), V::Set(_) | V::View(_)) = (a, b)
                    && (matches!(a, V::View(_)) || matches!(b, V::View(_)))
                    && let (Some(x), Some(y)) = (self.as_set(a)?, self.as_set(b)?)
                {
                    return self.compare(&x, op, &y);
                }
                if let (V::Set(x), V::Set(y)) = (a, b) {
                    let (x, y) = (x.borrow(), y.borrow());
                    self.charge((x.len() + y.len()) as u64)?;
                    let shared = x.entries.values().filter(|entry| y.get(&entry.0).is_some()).count();
                    return Ok(V::Bool(match op {
                        CmpOp::Le => shared == x.len(),
                        CmpOp::Lt => shared == x.len() && shared < y.len(),
                        CmpOp::Ge => shared == y.len(),
                        _ => shared == y.len() && shared < x.len(),
                    }));
                }
                match self.order(a, b)? {
                    Order::Known(ordering) => match op {
                        CmpOp::Lt => ordering.is_lt(),
                        CmpOp::Le => ordering.is_le(),
                        CmpOp::Gt => ordering.is_gt(),
                        _ => ordering.is_ge(),
                    },
                    Order::Nan => false,
                    Order::Sizes(x, y) => match compare_dims(op, &x, &y) {
                        Some(b) => b,
                        None => return self.tracer.run.undecided(&format!("{x} {} {y}", op.symbol())),
                    },
                }
            }
        }))
    }

    fn order(&mut self, a: &Value, b: &Value) -> R<Order> {
        self.tracer.run.weigh(a, b)?;
        self.nested(|vm| vm.order_here(a, b))
    }

    fn order_here(&mut self, a: &Value, b: &Value) -> R<Order> {
        use Value as V;
        Ok(match (a, b) {
            (V::Int(_) | V::Bool(_) | V::Dim(_), V::Int(_) | V::Bool(_) | V::Dim(_)) => match (as_dim(a), as_dim(b)) {
                (Some(x), Some(y)) => match (x.as_known(), y.as_known()) {
                    (Some(x), Some(y)) => Order::Known(x.cmp(&y)),
                    _ => Order::Sizes(x, y),
                },
                _ => return self.type_fault("sizes are integers"),
            },
            (V::Float(_) | V::Int(_) | V::Bool(_), V::Float(_) | V::Int(_) | V::Bool(_)) => {
                let (x, y) = (self.tracer.run.as_float(a, "", "")?, self.tracer.run.as_float(b, "", "")?);
                x.partial_cmp(&y).map_or(Order::Nan, Order::Known)
            }
            (V::Float(_) | V::Number(_) | V::Dim(_), V::Int(_) | V::Float(_) | V::Number(_) | V::Dim(_))
            | (V::Int(_), V::Number(_)) => {
                return self.tracer.run.undecided("a number that depends on the size of the graph");
            }
            (V::Str(x), V::Str(y)) => Order::Known(x.cmp(y)),
            (V::Tuple(_) | V::List(_), V::Tuple(_) | V::List(_)) => {
                let (x, y) = (self.items(a)?, self.items(b)?);
                self.charge(x.len() as u64)?;
                for (x, y) in x.iter().zip(&y) {
                    if !self.equal(x, y)? {
                        return self.order(x, y);
                    }
                }
                Order::Known(x.len().cmp(&y.len()))
            }
            _ => {
                return self.type_fault(format!("{} and {} cannot be ordered", a.type_name(), b.type_name()));
            }
        })
    }

    /// The ordering of two values for `sorted`, `min` and `max`.
    pub fn ordering(&mut self, a: &Value, b: &Value) -> R<std::cmp::Ordering> {
        match self.order(a, b)? {
            Order::Known(o) => Ok(o),
            Order::Nan => Ok(std::cmp::Ordering::Equal),
            Order::Sizes(x, y) => {
                if compare_dims(CmpOp::Le, &x, &y) == Some(true) {
                    Ok(if x == y { std::cmp::Ordering::Equal } else { std::cmp::Ordering::Less })
                } else if compare_dims(CmpOp::Ge, &x, &y) == Some(true) {
                    Ok(std::cmp::Ordering::Greater)
                } else {
                    self.tracer.run.undecided(&format!("which of {x} and {y} is larger"))
                }
            }
        }
    }

    /// `==` on anything but tensors.
    ///
    /// # Errors
    /// `E-BUDGET-DEPTH` for values that hold themselves, where Python raises `RecursionError`.
    pub fn equal(&mut self, a: &Value, b: &Value) -> R<bool> {
        self.tracer.run.weigh(a, b)?;
        self.nested(|vm| vm.equal_here(a, b))
    }

    fn equal_here(&mut self, a: &Value, b: &Value) -> R<bool> {
        use Value as V;
        Ok(match (a, b) {
            (V::Dim(_), V::Dim(_) | V::Int(_) | V::Bool(_)) | (V::Int(_) | V::Bool(_), V::Dim(_)) => {
                match (as_dim(a), as_dim(b)) {
                    (Some(x), Some(y)) => match compare_dims(CmpOp::Eq, &x, &y) {
                        Some(equal) => equal,
                        None => return self.tracer.run.undecided(&format!("whether {x} equals {y}")),
                    },
                    _ => false,
                }
            }
            (V::Float(_) | V::Int(_) | V::Bool(_), V::Float(_) | V::Int(_) | V::Bool(_)) => {
                self.tracer.run.as_float(a, "", "")? == self.tracer.run.as_float(b, "", "")?
            }
            (V::Number(_), V::Float(_) | V::Int(_) | V::Number(_) | V::Dim(_))
            | (V::Float(_) | V::Int(_) | V::Dim(_), V::Number(_))
            | (V::Float(_), V::Dim(_))
            | (V::Dim(_), V::Float(_)) => {
                return self.tracer.run.undecided("a number that depends on the size of the graph");
            }
            (V::Tuple(_) | V::Named(_), V::Tuple(_) | V::Named(_)) | (V::List(_), V::List(_)) => {
                let (x, y) = (self.items(a)?, self.items(b)?);
                if x.len() != y.len() {
                    return Ok(false);
                }
                self.charge(x.len() as u64 + 1)?;
                for (x, y) in x.iter().zip(&y) {
                    if matches!((x, y), (V::Tensor(_), V::Tensor(_))) && !same(x, y) {
                        return Err(self.tracer.run.tensor_decides());
                    }
                    if !self.equal(x, y)? {
                        return Ok(false);
                    }
                }
                true
            }
            (V::Dict(x), V::Dict(y)) => {
                let (x, y) = (x.clone(), y.clone());
                if x.borrow().len() != y.borrow().len() {
                    return Ok(false);
                }
                let entries: Vec<_> = x.borrow().entries.values().cloned().collect();
                self.charge(entries.len() as u64 + 1)?;
                self.go_over(entries.len() * 2)?;
                for (key, _, value) in entries {
                    let other = y.borrow().get(&key).cloned();
                    match other {
                        Some(other) if self.equal(&value, &other)? => {}
                        _ => return Ok(false),
                    }
                }
                true
            }
            (V::Set(x), V::Set(y)) => {
                self.charge(x.borrow().len() as u64 / 2)?;
                let (x, y) = (x.borrow(), y.borrow());
                x.len() == y.len() && x.entries.values().all(|e| y.get(&e.0).is_some())
            }
            (V::View(_), V::Set(_) | V::View(_)) | (V::Set(_), V::View(_)) if !same(a, b) => {
                match (self.as_set(a)?, self.as_set(b)?) {
                    (Some(x), Some(y)) => self.equal(&x, &y)?,
                    // values are compared with nothing
                    _ => false,
                }
            }
            (V::Range(a0, a1, a2), V::Range(b0, b1, b2)) => (a0, a1, a2) == (b0, b1, b2),
            (V::Device, V::Device) => true,
            (V::Object(x), V::Object(y))
                if !same(a, b) && Rc::ptr_eq(&x.class, &y.class) && tuple_items(x).is_none() =>
            {
                match (self.record(x)?, self.record(y)?) {
                    (Some(x), Some(y)) => {
                        for ((_, x), (_, y)) in x.iter().zip(&y) {
                            if !self.equal(x, y)? {
                                return Ok(false);
                            }
                        }
                        true
                    }
                    _ => false,
                }
            }
            (V::Object(x), V::Tuple(_)) if tuple_items(x).is_some() => {
                let items = tuple_items(x).unwrap_or_default();
                self.equal(&V::tuple(items), b)?
            }
            (V::Tuple(_), V::Object(y)) if tuple_items(y).is_some() => {
                let items = tuple_items(y).unwrap_or_default();
                self.equal(a, &V::tuple(items))?
            }
            (V::Object(x), V::Object(y)) if tuple_items(x).is_some() && tuple_items(y).is_some() => {
                let (x, y) = (tuple_items(x).unwrap_or_default(), tuple_items(y).unwrap_or_default());
                self.equal(&V::tuple(x), &V::tuple(y))?
            }
            (V::Object(o), V::Str(_) | V::Int(_)) => match plain_member(o) {
                Some(plain) => self.equal(&plain, b)?,
                None => false,
            },
            (V::Str(_) | V::Int(_), V::Object(_)) => self.equal(b, a)?,
            _ => same(a, b),
        })
    }

    /// A set of what a set or a view of keys or items holds.
    pub fn as_set(&mut self, value: &Value) -> R<Option<Value>> {
        match value {
            Value::Set(_) => Ok(Some(value.clone())),
            Value::View(view) if view.part != Part::Values => {
                let items = self.items(value)?;
                self.tracer.run.set(items).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn contains(&mut self, item: &Value, container: &Value) -> R<bool> {
        match container {
            Value::Str(text) => match item {
                Value::Str(part) => {
                    self.go_over(text.len() + part.len())?;
                    Ok(text.contains(&**part))
                }
                other => self.type_fault(format!("'in' a string needs a string, not {}", other.type_name())),
            },
            Value::Dict(d) | Value::Set(d) => {
                let key = self.tracer.run.key(item)?;
                Ok(d.borrow().get(&key).is_some())
            }
            Value::View(view) => match (view.part, &view.of) {
                (Part::Keys, _) => self.contains(item, &view.whole()),
                (Part::Items, Viewed::Dict(dict)) => {
                    let Value::Tuple(pair) = item else { return Ok(false) };
                    let [name, value] = pair.as_slice() else { return Ok(false) };
                    let key = self.tracer.run.key(name)?;
                    let found = dict.borrow().get(&key).cloned();
                    found.map_or(Ok(false), |found| self.is_found(value, &found))
                }
                _ => self.is_among(item, container),
            },
            Value::Range(start, stop, step) if let Value::Int(i) = item => {
                let (low, high) =
                    if *step > 0 { (*start, *stop) } else { (stop.saturating_add(1), start.saturating_add(1)) };
                let offset = i128::from(*i) - i128::from(*start);
                Ok((low..high).contains(i) && offset % i128::from(*step) == 0)
            }
            Value::Tensor(_) => self.refuse(Rule::UnsupportedOp, "'in' a tensor depends on its values"),
            Value::Object(o) if container_len(o).is_some() => {
                let Value::Str(name) = item else { return Ok(false) };
                self.tracer.run.go_over_module(o)?;
                let module = o.module.borrow();
                Ok(module
                    .as_ref()
                    .is_some_and(|m| m.children.iter().any(|c| c.0 == *name) || m.params.iter().any(|p| p.0 == *name)))
            }
            _ => self.is_among(item, container),
        }
    }

    /// Whether an item is found on the way through something, which goes no further than to it.
    fn is_among(&mut self, item: &Value, container: &Value) -> R<bool> {
        let source = self.iter_of(container)?;
        while let Some(other) = self.next(&source)? {
            if self.is_found(item, &other)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_found(&mut self, item: &Value, other: &Value) -> R<bool> {
        let text = matches!(item, Value::Str(_));
        Ok((!text && same(item, other)) || (!matches!(other, Value::Tensor(_)) && self.equal(item, other)?))
    }
}

impl Run {
    /// Counts the work of comparing two values that hold no others.
    fn weigh(&mut self, a: &Value, b: &Value) -> R<()> {
        match (a, b) {
            (Value::Str(x), Value::Str(y)) => self.charge((x.len().min(y.len()) / 64) as u64),
            (Value::Dim(d), _) | (_, Value::Dim(d)) => self.charge((d.terms().count() / 4) as u64),
            _ => Ok(()),
        }
    }
}

/// `is`.
pub fn same(a: &Value, b: &Value) -> bool {
    use Value as V;
    match (a, b) {
        (V::None, V::None) | (V::Ellipsis, V::Ellipsis) => true,
        (V::Bool(x), V::Bool(y)) => x == y,
        (V::Int(x), V::Int(y)) => x == y,
        (V::Str(x), V::Str(y)) => x == y,
        (V::DType(x), V::DType(y)) => x == y,
        (V::Tuple(x), V::Tuple(y)) => std::rc::Rc::ptr_eq(x, y),
        (V::Module(x), V::Module(y)) => x == y,
        _ => a.identity().is_some() && a.identity() == b.identity(),
    }
}

/// A comparison of sizes, where it comes out the same for all B >= 1 and N >= 2.
pub fn compare_dims(op: CmpOp, a: &Dim, b: &Dim) -> Option<bool> {
    let yes_no = |yes: bool, no: bool| {
        if yes {
            Some(true)
        } else if no {
            Some(false)
        } else {
            None
        }
    };
    match op {
        CmpOp::Eq => yes_no(a == b, a.provably_gt(b) || b.provably_gt(a)),
        CmpOp::Ne => yes_no(a.provably_gt(b) || b.provably_gt(a), a == b),
        CmpOp::Lt => yes_no(b.provably_gt(a), a.provably_ge(b)),
        CmpOp::Le => yes_no(b.provably_ge(a), a.provably_gt(b)),
        CmpOp::Gt => yes_no(a.provably_gt(b), b.provably_ge(a)),
        CmpOp::Ge => yes_no(a.provably_ge(b), b.provably_gt(a)),
        _ => None,
    }
}

enum Order {
    Known(std::cmp::Ordering),
    Nan,
    Sizes(Dim, Dim),
}
