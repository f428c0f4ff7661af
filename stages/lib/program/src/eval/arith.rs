//! Operators on numbers, sequences and tensors, and truth.

use graph::{BinaryOp, DType, Dim, NodeId, Op, UnaryOp};

use super::compare::compare_dims;
use super::container::container_items;
use super::container::container_len;
use super::named_tuple::tuple_items;
use super::records::plain_member;
use super::value::{Data, Value};
use super::{Interp, R, Run, Tracer};
use crate::rules::Rule;
use crate::syntax::{BinOp, CmpOp, UnOp};

/// Beyond this degree a size is no longer computed with.
const MAX_DEGREE: u8 = 12;
/// A size of more terms is no longer computed with, or a tensor made of it.
pub(super) const MAX_TERMS: usize = 24;

/// The special methods of the operators: of the left operand, and of the right one.
const OPERATORS: &[(BinOp, &str, &str)] = &[
    (BinOp::Add, "__add__", "__radd__"),
    (BinOp::Sub, "__sub__", "__rsub__"),
    (BinOp::Mul, "__mul__", "__rmul__"),
    (BinOp::Div, "__truediv__", "__rtruediv__"),
    (BinOp::FloorDiv, "__floordiv__", "__rfloordiv__"),
    (BinOp::Mod, "__mod__", "__rmod__"),
    (BinOp::Pow, "__pow__", "__rpow__"),
    (BinOp::MatMul, "__matmul__", "__rmatmul__"),
    (BinOp::BitAnd, "__and__", "__rand__"),
    (BinOp::BitOr, "__or__", "__ror__"),
    (BinOp::BitXor, "__xor__", "__rxor__"),
    (BinOp::LShift, "__lshift__", "__rlshift__"),
    (BinOp::RShift, "__rshift__", "__rrshift__"),
];

/// Whether a special method belongs to an operator.
pub fn is_operator_method(name: &str) -> bool {
    OPERATORS.iter().any(|o| o.1 == name || o.2 == name)
}

impl Interp {
    /// What `if`, `while`, `and`, `not` see.
    pub fn truth(&mut self, value: &Value) -> R<bool> {
        Ok(match value {
            Value::None => false,
            Value::Bool(b) => *b,
            Value::Int(i) => *i != 0,
            Value::Float(f) => *f != 0.0,
            Value::Dim(d) => match compare_dims(CmpOp::Ne, d, &Dim::known(0)) {
                Some(b) => b,
                None => return self.tracer.run.undecided(&format!("whether {d} is zero")),
            },
            Value::Str(s) => !s.is_empty(),
            Value::Tuple(t) => !t.is_empty(),
            Value::Named(t) => !t.1.is_empty(),
            Value::List(l) => !l.borrow().is_empty(),
            Value::Dict(d) | Value::Set(d) => d.borrow().len() > 0,
            Value::View(view) => super::iterator::view_len(view) > 0,
            Value::Range(a, b, s) => super::collections::range_len(*a, *b, *s) > 0,
            Value::Tensor(t) => {
                if let Data::Literal(l) = &*t.data.borrow()
                    && l.numel() == 1
                    && let Some(v) = l.values().and_then(|v| v.first().copied())
                {
                    return Ok(v != 0.0);
                }
                return Err(self.tracer.run.tensor_decides());
            }
            Value::Number(_) => return self.tracer.run.undecided("a number that depends on the size of the graph"),
            Value::Object(o) if tuple_items(o).is_some() => tuple_items(o).is_some_and(|items| !items.is_empty()),
            Value::Object(o) => match (o.class.find("__len__"), container_len(o)) {
                (Some(f), _) => {
                    let count = self.call(&f, vec![value.clone()], Vec::new())?;
                    return self.truth(&count);
                }
                (None, Some(n)) => n > 0,
                (None, None) => true,
            },
            _ => true,
        })
    }

    pub fn unary(&mut self, op: UnOp, value: &Value) -> R<Value> {
        if op == UnOp::Not {
            return Ok(Value::Bool(!self.truth(value)?));
        }
        Ok(match (op, value) {
            (UnOp::Neg, Value::Int(i)) => match i.checked_neg() {
                Some(i) => Value::Int(i),
                None => return self.tracer.run.overflow(),
            },
            (UnOp::Neg, Value::Float(f)) => Value::Float(-f),
            (UnOp::Neg, Value::Bool(b)) => Value::Int(-i64::from(*b)),
            (UnOp::Neg, Value::Dim(d)) => Value::dim(&(Dim::known(0) - d.clone())),
            (UnOp::Neg, Value::Number(id)) => Value::Number(self.tracer.push(Op::Unary(UnaryOp::Neg), &[*id])?),
            (UnOp::Pos, Value::Bool(b)) => Value::Int((*b).into()),
            (UnOp::Pos, Value::Tensor(t)) if self.tracer.dtype_of(t) == DType::Bool => {
                return self.refuse(Rule::ShapeDtype, "+ is not defined for bool tensors");
            }
            (UnOp::Pos, Value::Int(_) | Value::Float(_) | Value::Dim(_) | Value::Number(_) | Value::Tensor(_)) => {
                value.clone()
            }
            (UnOp::Invert, Value::Int(i)) => Value::Int(!i),
            (UnOp::Invert, Value::Bool(b)) => Value::Int(!i64::from(*b)),
            (UnOp::Neg, Value::Tensor(t)) => {
                if let Some(done) = self.tracer.run.fold_scalar(t, |init| super::literal::affine(init, -1.0, 0.0))? {
                    return Ok(done);
                }
                let id = self.tracer.node(t)?;
                let id = self.tracer.push(Op::Unary(UnaryOp::Neg), &[id])?;
                self.tracer.tensor_value(id)
            }
            (UnOp::Invert, Value::Tensor(t)) => {
                let id = self.tracer.node(t)?;
                match self.tracer.dtype(id) {
                    DType::Bool => {
                        let id = self.tracer.push(Op::Unary(UnaryOp::LogicalNot), &[id])?;
                        self.tracer.tensor_value(id)
                    }
                    DType::Int => {
                        // two's complement: ~x == -x - 1
                        let neg = self.tracer.push(Op::Unary(UnaryOp::Neg), &[id])?;
                        let one = self.tracer.scalar(1.0, DType::Int)?;
                        let id = self.tracer.push(Op::Binary(BinaryOp::Sub), &[neg, one])?;
                        self.tracer.tensor_value(id)
                    }
                    DType::Float => {
                        return self.refuse(
                            Rule::ShapeDtype,
                            "~ is not defined for float tensors; compare first, as in ~(mask > 0)",
                        );
                    }
                }
            }
            _ => {
                let symbol = match op {
                    UnOp::Neg => "-",
                    UnOp::Pos => "+",
                    UnOp::Invert => "~",
                    UnOp::Not => "not",
                };
                return self.type_fault(format!("{symbol} is not defined for {}", value.type_name()));
            }
        })
    }

    pub fn binary(&mut self, a: &Value, op: BinOp, b: &Value) -> R<Value> {
        use Value as V;
        // a member of an enum of integers or strings counts as its value
        let plain = |value: &Value| match value {
            V::Object(o) => plain_member(o),
            _ => None,
        };
        let (left, right) = (plain(a), plain(b));
        if left.is_some() || right.is_some() {
            return self.binary(&left.unwrap_or_else(|| a.clone()), op, &right.unwrap_or_else(|| b.clone()));
        }
        if let V::Object(o) = a
            && let (Some(items), true) = (tuple_items(o), matches!(op, BinOp::Add | BinOp::Mul))
        {
            return self.binary(&V::tuple(items), op, b);
        }
        if let V::Object(o) = b
            && let (Some(items), true) = (tuple_items(o), matches!((a, op), (V::Tuple(_), BinOp::Add)))
        {
            return self.binary(a, op, &V::tuple(items));
        }
        let wrong = |vm: &Self| {
            vm.type_fault(format!("{} is not defined for {} and {}", op.symbol(), a.type_name(), b.type_name()))
        };
        match (a, b) {
            (V::Tensor(_), _) | (_, V::Tensor(_)) => self.tracer.binary_tensor(a, op, b),
            (V::Number(_), V::Number(_) | V::Int(_) | V::Float(_) | V::Dim(_) | V::Bool(_))
            | (V::Int(_) | V::Float(_) | V::Dim(_) | V::Bool(_), V::Number(_))
            | (V::Dim(_), V::Float(_))
            | (V::Float(_), V::Dim(_)) => self.tracer.binary_number(a, op, b),
            (V::Dim(_), V::Int(_) | V::Bool(_) | V::Dim(_)) | (V::Int(_) | V::Bool(_), V::Dim(_)) => {
                self.tracer.binary_dim(a, op, b)
            }
            (V::Float(_), V::Float(_) | V::Int(_) | V::Bool(_)) | (V::Int(_) | V::Bool(_), V::Float(_)) => {
                let (x, y) = (self.tracer.run.as_float(a, "", "")?, self.tracer.run.as_float(b, "", "")?);
                self.tracer.run.binary_float(x, op, y)
            }
            (V::Bool(x), V::Bool(y)) if matches!(op, BinOp::BitAnd | BinOp::BitOr | BinOp::BitXor) => {
                Ok(V::Bool(match op {
                    BinOp::BitAnd => *x && *y,
                    BinOp::BitOr => *x || *y,
                    _ => *x != *y,
                }))
            }
            (V::Int(_) | V::Bool(_), V::Int(_) | V::Bool(_)) => {
                let int = |v: &Value| if let V::Int(i) = v { *i } else { i64::from(matches!(v, V::Bool(true))) };
                self.tracer.run.binary_int(int(a), op, int(b))
            }
            (V::Str(x), V::Str(y)) if op == BinOp::Add => {
                self.allocate(x.len() + y.len())?;
                Ok(V::str(&format!("{x}{y}")))
            }
            (V::Str(x), _) if op == BinOp::Mod => {
                let x = x.clone();
                self.percent_format(&x, b)
            }
            (V::Str(x), V::Int(n)) | (V::Int(n), V::Str(x)) if op == BinOp::Mul => {
                let n = usize::try_from(*n).unwrap_or(0);
                self.allocate(x.len().saturating_mul(n))?;
                Ok(V::str(&x.repeat(n)))
            }
            (V::List(x), V::List(y)) if op == BinOp::Add => {
                self.allocate(x.borrow().len() + y.borrow().len())?;
                let joined: Vec<Value> = x.borrow().iter().chain(y.borrow().iter()).cloned().collect();
                Ok(V::list(joined))
            }
            (V::Tuple(_) | V::Named(_), V::Tuple(_) | V::Named(_)) if op == BinOp::Add => {
                let mut joined = self.items(a)?;
                joined.extend(self.items(b)?);
                self.allocate(joined.len())?;
                Ok(V::tuple(joined))
            }
            (V::List(_) | V::Tuple(_), V::Int(n)) | (V::Int(n), V::List(_) | V::Tuple(_)) if op == BinOp::Mul => {
                let sequence = if matches!(a, V::Int(_)) { b } else { a };
                let items = self.items(sequence)?;
                let n = usize::try_from(*n).unwrap_or(0);
                self.allocate(items.len().saturating_mul(n))?;
                let many: Vec<Value> = std::iter::repeat_n(items, n).flatten().collect();
                Ok(if matches!(sequence, V::List(_)) { V::list(many) } else { V::tuple(many) })
            }
            (V::List(_) | V::Tuple(_) | V::Str(_), V::Dim(_)) | (V::Dim(_), V::List(_) | V::Tuple(_) | V::Str(_))
                if op == BinOp::Mul =>
            {
                self.refuse(
                    Rule::UnsupportedSize,
                    "the length of a list may not depend on the size of the graph; repeat a tensor instead",
                )
            }
            (V::Dict(x), V::Dict(y)) if op == BinOp::BitOr => {
                self.allocate(x.borrow().len() + y.borrow().len())?;
                self.charge((x.borrow().len() + y.borrow().len()) as u64 / 2)?;
                let mut joined = super::value::Dict::default();
                for (key, name, value) in x.borrow().entries.values().chain(y.borrow().entries.values()) {
                    joined.insert(key.clone(), name.clone(), value.clone());
                }
                Ok(Value::dict(joined))
            }
            (V::Set(x), V::Set(y)) => {
                self.allocate(x.borrow().len() + y.borrow().len())?;
                self.charge((x.borrow().len() + y.borrow().len()) as u64 / 2)?;
                let (x, y) = (x.borrow(), y.borrow());
                let mut out = super::value::Dict::default();
                let sides = [(&x, &y), (&y, &x)];
                for (i, (from, other)) in sides.into_iter().enumerate() {
                    for (key, name, _) in from.entries.values() {
                        let both = other.get(key).is_some();
                        let keep = match op {
                            BinOp::BitOr => true,
                            BinOp::BitAnd => both,
                            BinOp::Sub => i == 0 && !both,
                            BinOp::BitXor => !both,
                            _ => return wrong(self),
                        };
                        if keep {
                            out.insert(key.clone(), name.clone(), Value::None);
                        }
                    }
                }
                Ok(Value::set(out))
            }
            // the keys of a dict work as a set, with anything that can be gone over
            (V::View(_), _) | (_, V::View(_))
                if matches!(op, BinOp::BitOr | BinOp::BitAnd | BinOp::Sub | BinOp::BitXor) =>
            {
                let (x, y) = (self.as_set(a)?, self.as_set(b)?);
                match (x, y) {
                    (Some(x), Some(y)) => self.binary(&x, op, &y),
                    (Some(x), None) if matches!(a, V::View(_)) => {
                        let source = self.iter_in_any_order(b)?;
                        let items = self.drain(&source)?;
                        let y = self.tracer.run.set(items)?;
                        self.binary(&x, op, &y)
                    }
                    (None, Some(y)) if matches!(b, V::View(_)) => {
                        let source = self.iter_in_any_order(a)?;
                        let items = self.drain(&source)?;
                        let x = self.tracer.run.set(items)?;
                        self.binary(&x, op, &y)
                    }
                    _ => wrong(self),
                }
            }
            (V::Class(_) | V::Typing | V::None, V::Class(_) | V::Typing | V::None) if op == BinOp::BitOr => {
                Ok(V::Typing)
            }
            (V::Object(_), _) | (_, V::Object(_)) => self.binary_object(a, op, b),
            _ => wrong(self),
        }
    }

    fn binary_object(&mut self, a: &Value, op: BinOp, b: &Value) -> R<Value> {
        if let (Value::Object(o), BinOp::Add) = (a, op)
            && o.class.find("__add__").is_none()
            && container_len(o).is_some()
        {
            // `layers + more`
            let mut items = container_items(o).unwrap_or_default();
            items.extend(self.items(b)?);
            let class = o.class.layer().map(|l| Value::Class(self.heap.layer_class(l)));
            if let Some(class) = class {
                let sequential = o.class.layer().is_some_and(|l| l.name == "torch.nn.Sequential");
                return if sequential {
                    self.call(&class, items, Vec::new())
                } else {
                    self.call(&class, vec![Value::list(items)], Vec::new())
                };
            }
        }
        let Some((_, name, reflected)) = OPERATORS.iter().find(|o| o.0 == op) else {
            return self.type_fault(format!("{} is not defined for objects", op.symbol()));
        };
        for (own, method, other) in [(a, name, b), (b, reflected, a)] {
            if let Value::Object(object) = own
                && let Some(function) = object.class.find(method)
            {
                return self.call(&function, vec![own.clone(), other.clone()], Vec::new());
            }
        }
        self.type_fault(format!("{} is not defined for {} and {}", op.symbol(), a.type_name(), b.type_name()))
    }
}

impl Tracer {
    /// A number or tensor as a node; `None` for anything else.
    pub fn operand(&mut self, value: &Value) -> R<Option<NodeId>> {
        Ok(Some(match value {
            Value::Tensor(t) => self.node(t)?,
            Value::Number(id) => *id,
            Value::Bool(b) => self.scalar(f64::from(u8::from(*b)), DType::Bool)?,
            Value::Int(i) => self.scalar(*i as f64, DType::Int)?,
            Value::Float(f) => self.scalar(*f, DType::Float)?,
            Value::Dim(d) => self.push_as(Op::Size(d.clone()), &[], Vec::new(), DType::Int)?,
            _ => return Ok(None),
        }))
    }

    /// Torch raises no whole numbers to negative powers.
    pub fn check_power(&self, base: NodeId, exponent: &Value) -> R<()> {
        let negative = matches!(exponent, Value::Int(i) if *i < 0);
        if negative && self.dtype(base) != DType::Float {
            return self.run.refuse(Rule::ShapeDtype, "integers are not raised to negative powers; use .float()");
        }
        Ok(())
    }

    /// Both sides of an operator between numbers or tensors.
    pub fn operands(&mut self, a: &Value, symbol: &str, b: &Value) -> R<(NodeId, NodeId)> {
        let (Some(x), Some(y)) = (self.operand(a)?, self.operand(b)?) else {
            let (a, b) = (a.type_name(), b.type_name());
            return self.run.type_fault(format!("{symbol} is not defined for {a} and {b}"));
        };
        Ok((x, y))
    }

    pub fn scalar(&mut self, value: f64, dtype: DType) -> R<NodeId> {
        self.push_as(Op::Scalar(value), &[], Vec::new(), dtype)
    }

    fn binary_dim(&mut self, a: &Value, op: BinOp, b: &Value) -> R<Value> {
        let (Some(x), Some(y)) = (as_dim(a), as_dim(b)) else {
            return self.run.type_fault("sizes are integers");
        };
        // a size of many terms is not a size of a tensor, and costs as much as a program
        let (left, right) = (x.terms().count(), y.terms().count());
        self.run.charge((left * right) as u64 / 4)?;
        if left.max(right) > MAX_TERMS {
            let text = format!("a size of more than {MAX_TERMS} terms in B and N is not followed");
            return self.run.refuse(Rule::UnsupportedSize, text);
        }
        let degree = |d: &Dim| d.terms().map(|t| t.0.max(t.1)).max().unwrap_or(0);
        let sum = degree(&x).saturating_add(degree(&y));
        let uneven = |tracer: &Self| {
            let d = tracer
                .run
                .fault(Rule::UnsupportedSize, format!("{x} {} {y} is not a whole polynomial in B and N", op.symbol()));
            Err(Box::new(
                d.help("sizes may be added, multiplied, and divided where the division always comes out even"),
            ))
        };
        Ok(Value::dim(&match op {
            BinOp::Add => x + y,
            BinOp::Sub => x - y,
            BinOp::Mul if sum <= MAX_DEGREE => x * y,
            BinOp::Pow => match y.as_known().and_then(|p| u8::try_from(p).ok()) {
                Some(p) if u16::from(p) * u16::from(degree(&x)) <= u16::from(MAX_DEGREE) => {
                    (0..p).fold(Dim::known(1), |product, _| product * x.clone())
                }
                _ => return self.binary_number(a, op, b),
            },
            BinOp::Div => return self.binary_number(a, op, b),
            BinOp::FloorDiv | BinOp::Mod => {
                if y.as_known() == Some(0) {
                    return Err(self.run.exception("ZeroDivisionError", "division by zero"));
                }
                let Some(quotient) = x.div_exact(&y) else {
                    // what is smaller than the divisor for all sizes
                    if compare_dims(CmpOp::Lt, &x, &y) == Some(true)
                        && compare_dims(CmpOp::Ge, &x, &Dim::known(0)) == Some(true)
                    {
                        return Ok(if op == BinOp::Mod { Value::dim(&x) } else { Value::Int(0) });
                    }
                    return uneven(self);
                };
                if op == BinOp::Mod { Dim::known(0) } else { quotient }
            }
            _ => return uneven(self),
        }))
    }

    /// Arithmetic on floats that depend on B and N.
    fn binary_number(&mut self, a: &Value, op: BinOp, b: &Value) -> R<Value> {
        if matches!(op, BinOp::Div | BinOp::FloorDiv | BinOp::Mod) {
            self.check_divisor(b)?;
        }
        let (Some(x), Some(y)) = (self.operand(a)?, self.operand(b)?) else {
            return self.run.type_fault("numbers expected");
        };
        let Some(op) = tensor_op(op) else {
            return self.run.type_fault(format!("{} is not defined for floats", op.symbol()));
        };
        Ok(Value::Number(self.push(Op::Binary(op), &[x, y])?))
    }

    /// Faults where Python divides by zero for some B and N.
    fn check_divisor(&self, by: &Value) -> R<()> {
        let is_zero = match by {
            Value::Int(i) => *i == 0,
            Value::Float(f) => *f == 0.0,
            Value::Bool(b) => !b,
            Value::Dim(d) => match compare_dims(CmpOp::Eq, d, &Dim::known(0)) {
                Some(is_zero) => is_zero,
                None => return self.run.undecided(&format!("whether the divisor {d} is zero")),
            },
            _ => false,
        };
        if is_zero { Err(self.run.exception("ZeroDivisionError", "division by zero")) } else { Ok(()) }
    }

    pub fn binary_tensor(&mut self, a: &Value, op: BinOp, b: &Value) -> R<Value> {
        if let Some(folded) = self.run.fold_binary(a, op, b)? {
            return Ok(folded);
        }
        if let Some(folded) = self.fold_drawn(a, op, b)? {
            return Ok(folded);
        }
        let (x, y) = self.operands(a, op.symbol(), b)?;
        let id = match tensor_op(op) {
            Some(BinaryOp::FloorDiv) => {
                let id = self.push(Op::Binary(BinaryOp::FloorDiv), &[x, y])?;
                self.tape.lacks_derivative(id);
                id
            }
            Some(op) => {
                if op == BinaryOp::Pow {
                    self.check_power(x, b)?;
                }
                self.push(Op::Binary(op), &[x, y])?
            }
            None if op == BinOp::MatMul => self.push(Op::MatMul, &[x, y])?,
            None => {
                return self.run.refuse(Rule::UnsupportedOp, format!("{} on tensors is not supported", op.symbol()));
            }
        };
        Ok(self.tensor_value(id))
    }
}

impl Run {
    /// A float that is known.
    pub fn as_float(&self, value: &Value, function: &str, name: &str) -> R<f64> {
        match value {
            Value::Float(f) => Ok(*f),
            Value::Int(i) => Ok(*i as f64),
            Value::Bool(b) => Ok(f64::from(u8::from(*b))),
            Value::Dim(_) | Value::Number(_) => self.refuse(
                Rule::UnsupportedSize,
                format!("{function}(): '{name}' must not depend on the size of the graph"),
            ),
            Value::Tensor(t) => match &*t.data.borrow() {
                Data::Literal(l) if l.numel() == 1 && l.values().is_some() => {
                    Ok(l.values().and_then(|v| v.first().copied()).unwrap_or(0.0))
                }
                _ => self.type_fault(format!("{function}(): '{name}' must be a number, not Tensor")),
            },
            other => self.type_fault(format!("{function}(): '{name}' must be a number, not {}", other.type_name())),
        }
    }

    pub fn tensor_decides(&self) -> Box<crate::Diagnostic> {
        let d = self.fault(
            Rule::UnsupportedBranch,
            "this decision depends on the values of a tensor, so there is no fixed tensor graph",
        );
        Box::new(d.help("compute both sides and choose with torch.where"))
    }

    pub fn undecided<T>(&self, what: &str) -> R<T> {
        let d = self.fault(
            Rule::UnsupportedSizeBranch,
            format!(
                "this decision depends on the size of the graph: {what} differs between values of B >= 1 and N >= 2"
            ),
        );
        Err(Box::new(d.help("a program must compute the same graph for every B and N")))
    }

    pub fn overflow<T>(&self) -> R<T> {
        Err(self.fault(Rule::UnsupportedNumber, "an integer goes beyond 64 bits"))
    }

    fn binary_int(&mut self, a: i64, op: BinOp, b: i64) -> R<Value> {
        let zero = |run: &Self| Err(run.exception("ZeroDivisionError", "division by zero"));
        let result = match op {
            BinOp::Add => a.checked_add(b),
            BinOp::Sub => a.checked_sub(b),
            BinOp::Mul => a.checked_mul(b),
            BinOp::Div => {
                return if b == 0 { zero(self) } else { Ok(Value::Float(a as f64 / b as f64)) };
            }
            BinOp::FloorDiv | BinOp::Mod if b == 0 => return zero(self),
            BinOp::FloorDiv => a.checked_div(b).map(|q| if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q }),
            BinOp::Mod => a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }),
            BinOp::Pow => {
                if b < 0 {
                    return if a == 0 { zero(self) } else { Ok(Value::Float((a as f64).powf(b as f64))) };
                }
                u32::try_from(b).ok().and_then(|b| a.checked_pow(b))
            }
            BinOp::BitAnd => Some(a & b),
            BinOp::BitOr => Some(a | b),
            BinOp::BitXor => Some(a ^ b),
            BinOp::LShift => u32::try_from(b).ok().filter(|b| *b < 62).and_then(|b| a.checked_mul(1_i64 << b)),
            BinOp::RShift => u32::try_from(b).ok().map(|b| a >> b.min(63)),
            BinOp::MatMul => return self.type_fault("@ is not defined for int and int"),
        };
        match result {
            Some(i) => Ok(Value::Int(i)),
            None => self.overflow(),
        }
    }

    fn binary_float(&mut self, a: f64, op: BinOp, b: f64) -> R<Value> {
        if b == 0.0 && matches!(op, BinOp::Div | BinOp::FloorDiv | BinOp::Mod) {
            return Err(self.exception("ZeroDivisionError", "division by zero"));
        }
        Ok(Value::Float(match op {
            BinOp::Add => a + b,
            BinOp::Sub => a - b,
            BinOp::Mul => a * b,
            BinOp::Div => a / b,
            BinOp::FloorDiv => floored(a, b).0,
            BinOp::Mod => floored(a, b).1,
            BinOp::Pow if a < 0.0 && b.fract() != 0.0 => {
                return self.refuse(Rule::UnsupportedNumber, "a root of a negative number is complex");
            }
            BinOp::Pow if a == 0.0 && b < 0.0 => return Err(self.exception("ZeroDivisionError", "division by zero")),
            BinOp::Pow => match a.powf(b) {
                power if power.is_infinite() && a.is_finite() && b.is_finite() => {
                    return Err(self.exception("OverflowError", "the power is too large"));
                }
                power => power,
            },
            _ => return self.type_fault(format!("{} is not defined for floats", op.symbol())),
        }))
    }
}

/// An integer as a size.
pub fn as_dim(value: &Value) -> Option<Dim> {
    match value {
        Value::Int(i) => Some(Dim::known(*i)),
        Value::Bool(b) => Some(Dim::known((*b).into())),
        Value::Dim(d) => Some(d.clone()),
        _ => None,
    }
}

/// The operation on tensors behind an operator.
pub fn tensor_op(op: BinOp) -> Option<BinaryOp> {
    Some(match op {
        BinOp::Add => BinaryOp::Add,
        BinOp::Sub => BinaryOp::Sub,
        BinOp::Mul => BinaryOp::Mul,
        BinOp::Div => BinaryOp::Div,
        BinOp::FloorDiv => BinaryOp::FloorDiv,
        BinOp::Mod => BinaryOp::Remainder,
        BinOp::Pow => BinaryOp::Pow,
        BinOp::BitAnd => BinaryOp::And,
        BinOp::BitOr => BinaryOp::Or,
        BinOp::BitXor => BinaryOp::Xor,
        _ => return None,
    })
}

/// Quotient and remainder of floats as Python has them: the remainder is exact, and has the sign of the divisor.
pub fn floored(a: f64, b: f64) -> (f64, f64) {
    let mut rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(b);
    } else if (b < 0.0) != (rest < 0.0) {
        rest += b;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(a / b), rest);
    }
    let whole = quotient.floor();
    (if quotient - whole > 0.5 { whole + 1.0 } else { whole }, rest)
}
