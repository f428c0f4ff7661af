//! Operators on numbers, sequences and tensors; truth and equality.

use std::rc::Rc;

use graph::{BinaryOp, DType, Dim, NodeId, Op, UnaryOp};

use super::value::{Data, Value};
use super::{Interp, R};
use crate::diagnostic::Category;
use crate::syntax::{BinOp, CmpOp, UnOp};

/// Beyond this degree a size is no longer computed with.
const MAX_DEGREE: u8 = 12;

impl Interp {
    /// An integer as a size.
    pub fn as_dim(&self, value: &Value) -> Option<Dim> {
        match value {
            Value::Int(i) => Some(Dim::known(*i)),
            Value::Bool(b) => Some(Dim::known((*b).into())),
            Value::Dim(d) => Some(d.clone()),
            _ => None,
        }
    }

    /// A float that is known.
    pub fn as_float(&self, value: &Value, function: &str, name: &str) -> R<f64> {
        match value {
            Value::Float(f) => Ok(*f),
            Value::Int(i) => Ok(*i as f64),
            Value::Bool(b) => Ok(f64::from(u8::from(*b))),
            Value::Dim(_) | Value::Number(_) => self.unsupported(
                "E-UNSUPPORTED-SIZE",
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

    pub fn scalar(&mut self, value: f64, dtype: DType) -> R<NodeId> {
        self.push_as(Op::Scalar(value), &[], Vec::new(), dtype)
    }

    /// What `if`, `while`, `and`, `not` see.
    pub fn truth(&mut self, value: &Value) -> R<bool> {
        Ok(match value {
            Value::None => false,
            Value::Bool(b) => *b,
            Value::Int(i) => *i != 0,
            Value::Float(f) => *f != 0.0,
            Value::Dim(d) => match self.compare_dims(CmpOp::Ne, d, &Dim::known(0)) {
                Some(b) => b,
                None => return self.undecided(&format!("whether {d} is zero")),
            },
            Value::Str(s) => !s.is_empty(),
            Value::Tuple(t) => !t.is_empty(),
            Value::Named(t) => !t.1.is_empty(),
            Value::List(l) => !l.borrow().is_empty(),
            Value::Dict(d) | Value::Set(d) => d.borrow().len() > 0,
            Value::Range(a, b, s) => super::collections::range_len(*a, *b, *s) > 0,
            Value::Tensor(t) => {
                if let Data::Literal(l) = &*t.data.borrow()
                    && l.numel() == 1
                    && let Some(v) = l.values().and_then(|v| v.first().copied())
                {
                    return Ok(v != 0.0);
                }
                return Err(self.tensor_decides());
            }
            Value::Number(_) => return self.undecided("a number that depends on the size of the graph"),
            Value::Object(o) => match self.container_len(o) {
                Some(n) => n > 0,
                None => true,
            },
            _ => true,
        })
    }

    fn tensor_decides(&self) -> Box<crate::Diagnostic> {
        let d = self.fault(
            Category::Unsupported,
            "E-UNSUPPORTED-BRANCH",
            "this decision depends on the values of a tensor, so there is no fixed tensor graph",
        );
        Box::new(d.help("compute both sides and choose with torch.where"))
    }

    pub fn undecided<T>(&self, what: &str) -> R<T> {
        let d = self.fault(
            Category::Unsupported,
            "E-UNSUPPORTED-SIZE-BRANCH",
            format!(
                "this decision depends on the size of the graph: {what} differs between values of B >= 1 and N >= 2"
            ),
        );
        Err(Box::new(d.help("a program must compute the same graph for every B and N")))
    }

    /// A comparison of sizes, where it comes out the same for all B >= 1 and N >= 2.
    pub fn compare_dims(&self, op: CmpOp, a: &Dim, b: &Dim) -> Option<bool> {
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

    pub fn unary(&mut self, op: UnOp, value: &Value) -> R<Value> {
        if op == UnOp::Not {
            return Ok(Value::Bool(!self.truth(value)?));
        }
        Ok(match (op, value) {
            (UnOp::Neg, Value::Int(i)) => match i.checked_neg() {
                Some(i) => Value::Int(i),
                None => return self.overflow(),
            },
            (UnOp::Neg, Value::Float(f)) => Value::Float(-f),
            (UnOp::Neg, Value::Bool(b)) => Value::Int(-i64::from(*b)),
            (UnOp::Neg, Value::Dim(d)) => Value::dim(&(Dim::known(0) - d.clone())),
            (UnOp::Neg, Value::Number(id)) => Value::Number(self.push(Op::Unary(UnaryOp::Neg), &[*id])?),
            (UnOp::Pos, Value::Int(_) | Value::Float(_) | Value::Dim(_) | Value::Number(_) | Value::Tensor(_)) => {
                value.clone()
            }
            (UnOp::Invert, Value::Int(i)) => Value::Int(!i),
            (UnOp::Neg, Value::Tensor(t)) => {
                if let Some(done) = self.fold_scalar(t, |init| super::literal::affine(init, -1.0, 0.0)) {
                    return Ok(done);
                }
                let id = self.node(t)?;
                let id = self.push(Op::Unary(UnaryOp::Neg), &[id])?;
                self.tensor_value(id)
            }
            (UnOp::Invert, Value::Tensor(t)) => {
                let id = self.node(t)?;
                match self.graph.dtype(id) {
                    DType::Bool => {
                        let id = self.push(Op::Unary(UnaryOp::LogicalNot), &[id])?;
                        self.tensor_value(id)
                    }
                    DType::Int => {
                        // two's complement: ~x == -x - 1
                        let neg = self.push(Op::Unary(UnaryOp::Neg), &[id])?;
                        let one = self.scalar(1.0, DType::Int)?;
                        let id = self.push(Op::Binary(BinaryOp::Sub), &[neg, one])?;
                        self.tensor_value(id)
                    }
                    DType::Float => {
                        return self.shape_fault(
                            "E-SHAPE-DTYPE",
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

    pub fn overflow<T>(&self) -> R<T> {
        Err(self.fault(Category::Unsupported, "E-UNSUPPORTED-NUMBER", "an integer goes beyond 64 bits"))
    }

    pub fn binary(&mut self, a: &Value, op: BinOp, b: &Value) -> R<Value> {
        use Value as V;
        let wrong = |vm: &Self| {
            vm.type_fault(format!("{} is not defined for {} and {}", op.symbol(), a.type_name(), b.type_name()))
        };
        match (a, b) {
            (V::Tensor(_), _) | (_, V::Tensor(_)) => self.binary_tensor(a, op, b),
            (V::Number(_), V::Number(_) | V::Int(_) | V::Float(_) | V::Dim(_) | V::Bool(_))
            | (V::Int(_) | V::Float(_) | V::Dim(_) | V::Bool(_), V::Number(_))
            | (V::Dim(_), V::Float(_))
            | (V::Float(_), V::Dim(_)) => self.binary_number(a, op, b),
            (V::Dim(_), V::Int(_) | V::Bool(_) | V::Dim(_)) | (V::Int(_) | V::Bool(_), V::Dim(_)) => {
                self.binary_dim(a, op, b)
            }
            (V::Float(_), V::Float(_) | V::Int(_) | V::Bool(_)) | (V::Int(_) | V::Bool(_), V::Float(_)) => {
                let (x, y) = (self.as_float(a, "", "")?, self.as_float(b, "", "")?);
                self.binary_float(x, op, y)
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
                self.binary_int(int(a), op, int(b))
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
                let joined: Vec<Value> = x.borrow().iter().chain(y.borrow().iter()).cloned().collect();
                self.allocate(joined.len())?;
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
                self.unsupported(
                    "E-UNSUPPORTED-SIZE",
                    "the length of a list may not depend on the size of the graph; repeat a tensor instead",
                )
            }
            (V::Dict(x), V::Dict(y)) if op == BinOp::BitOr => {
                let mut joined = super::value::Dict::default();
                for (key, name, value) in x.borrow().entries.values().chain(y.borrow().entries.values()) {
                    joined.insert(key.clone(), name.clone(), value.clone());
                }
                self.allocate(joined.len())?;
                Ok(V::Dict(std::rc::Rc::new(joined.into())))
            }
            (V::Set(x), V::Set(y)) => {
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
                Ok(V::Set(std::rc::Rc::new(out.into())))
            }
            (V::Class(_) | V::Typing | V::None, V::Class(_) | V::Typing | V::None) if op == BinOp::BitOr => {
                Ok(V::Typing)
            }
            (V::Object(_), _) | (_, V::Object(_)) => self.binary_object(a, op, b),
            _ => wrong(self),
        }
    }

    fn binary_object(&mut self, a: &Value, op: BinOp, b: &Value) -> R<Value> {
        let (name, reflected) = match op {
            BinOp::Add => ("__add__", "__radd__"),
            BinOp::Sub => ("__sub__", "__rsub__"),
            BinOp::Mul => ("__mul__", "__rmul__"),
            BinOp::Div => ("__truediv__", "__rtruediv__"),
            BinOp::FloorDiv => ("__floordiv__", "__rfloordiv__"),
            BinOp::Mod => ("__mod__", "__rmod__"),
            BinOp::Pow => ("__pow__", "__rpow__"),
            BinOp::MatMul => ("__matmul__", "__rmatmul__"),
            BinOp::BitAnd => ("__and__", "__rand__"),
            BinOp::BitOr => ("__or__", "__ror__"),
            BinOp::BitXor => ("__xor__", "__rxor__"),
            BinOp::LShift => ("__lshift__", "__rlshift__"),
            BinOp::RShift => ("__rshift__", "__rrshift__"),
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

    fn binary_int(&mut self, a: i64, op: BinOp, b: i64) -> R<Value> {
        let zero = |vm: &Self| Err(vm.exception("ZeroDivisionError", "division by zero"));
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
            BinOp::FloorDiv => (a / b).floor(),
            BinOp::Mod => a - b * (a / b).floor(),
            BinOp::Pow if a < 0.0 && b.fract() != 0.0 => {
                return self.unsupported("E-UNSUPPORTED-NUMBER", "a root of a negative number is complex");
            }
            BinOp::Pow if a == 0.0 && b < 0.0 => return Err(self.exception("ZeroDivisionError", "division by zero")),
            BinOp::Pow => a.powf(b),
            _ => return self.type_fault(format!("{} is not defined for floats", op.symbol())),
        }))
    }

    fn binary_dim(&mut self, a: &Value, op: BinOp, b: &Value) -> R<Value> {
        let (Some(x), Some(y)) = (self.as_dim(a), self.as_dim(b)) else {
            return self.type_fault("sizes are integers");
        };
        let degree = |d: &Dim| d.terms().map(|t| t.0.max(t.1)).max().unwrap_or(0);
        let sum = degree(&x).saturating_add(degree(&y));
        let uneven = |vm: &Self| {
            let d = vm.fault(
                Category::Unsupported,
                "E-UNSUPPORTED-SIZE",
                format!("{x} {} {y} is not a whole polynomial in B and N", op.symbol()),
            );
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
                    return Err(self.exception("ZeroDivisionError", "division by zero"));
                }
                let Some(quotient) = x.div_exact(&y) else {
                    // what is smaller than the divisor for all sizes
                    if self.compare_dims(CmpOp::Lt, &x, &y) == Some(true)
                        && self.compare_dims(CmpOp::Ge, &x, &Dim::known(0)) == Some(true)
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
        let (Some(x), Some(y)) = (self.operand(a)?, self.operand(b)?) else {
            return self.type_fault("numbers expected");
        };
        let Some(op) = tensor_op(op) else {
            return self.type_fault(format!("{} is not defined for floats", op.symbol()));
        };
        Ok(Value::Number(self.push(Op::Binary(op), &[x, y])?))
    }

    pub fn binary_tensor(&mut self, a: &Value, op: BinOp, b: &Value) -> R<Value> {
        if let Some(folded) = self.fold_binary(a, op, b)? {
            return Ok(folded);
        }
        let (Some(x), Some(y)) = (self.operand(a)?, self.operand(b)?) else {
            return self.type_fault(format!(
                "{} is not defined for {} and {}",
                op.symbol(),
                a.type_name(),
                b.type_name()
            ));
        };
        let id = match tensor_op(op) {
            Some(op) => self.push(Op::Binary(op), &[x, y])?,
            None if op == BinOp::MatMul => self.push(Op::MatMul, &[x, y])?,
            None => {
                return self.unsupported("E-UNSUPPORTED-OP", format!("{} on tensors is not supported", op.symbol()));
            }
        };
        Ok(self.tensor_value(id))
    }

    pub fn compare(&mut self, a: &Value, op: CmpOp, b: &Value) -> R<Value> {
        use Value as V;
        Ok(Value::Bool(match op {
            CmpOp::Is | CmpOp::IsNot => self.same(a, b) == (op == CmpOp::Is),
            CmpOp::In | CmpOp::NotIn => self.contains(a, b)? == (op == CmpOp::In),
            CmpOp::Eq | CmpOp::Ne => {
                if matches!(a, V::Tensor(_)) || matches!(b, V::Tensor(_)) {
                    let (Some(x), Some(y)) = (self.operand(a)?, self.operand(b)?) else {
                        // a tensor equals nothing else, in particular not None
                        return Ok(V::Bool(op == CmpOp::Ne));
                    };
                    let op = if op == CmpOp::Eq { BinaryOp::Eq } else { BinaryOp::Ne };
                    let id = self.push(Op::Binary(op), &[x, y])?;
                    return Ok(self.tensor_value(id));
                }
                self.equal(a, b)? == (op == CmpOp::Eq)
            }
            _ => {
                if matches!(a, V::Tensor(_)) || matches!(b, V::Tensor(_)) {
                    let (Some(x), Some(y)) = (self.operand(a)?, self.operand(b)?) else {
                        return self.type_fault(format!(
                            "{} is not defined for {} and {}",
                            op.symbol(),
                            a.type_name(),
                            b.type_name()
                        ));
                    };
                    let op = match op {
                        CmpOp::Lt => BinaryOp::Lt,
                        CmpOp::Le => BinaryOp::Le,
                        CmpOp::Gt => BinaryOp::Gt,
                        _ => BinaryOp::Ge,
                    };
                    let id = self.push(Op::Binary(op), &[x, y])?;
                    return Ok(self.tensor_value(id));
                }
                match self.order(a, b)? {
                    Order::Known(ordering) => match op {
                        CmpOp::Lt => ordering.is_lt(),
                        CmpOp::Le => ordering.is_le(),
                        CmpOp::Gt => ordering.is_gt(),
                        _ => ordering.is_ge(),
                    },
                    Order::Nan => false,
                    Order::Sizes(x, y) => match self.compare_dims(op, &x, &y) {
                        Some(b) => b,
                        None => return self.undecided(&format!("{x} {} {y}", op.symbol())),
                    },
                }
            }
        }))
    }

    fn order(&mut self, a: &Value, b: &Value) -> R<Order> {
        use Value as V;
        Ok(match (a, b) {
            (V::Int(_) | V::Bool(_) | V::Dim(_), V::Int(_) | V::Bool(_) | V::Dim(_)) => {
                match (self.as_dim(a), self.as_dim(b)) {
                    (Some(x), Some(y)) => match (x.as_known(), y.as_known()) {
                        (Some(x), Some(y)) => Order::Known(x.cmp(&y)),
                        _ => Order::Sizes(x, y),
                    },
                    _ => return self.type_fault("sizes are integers"),
                }
            }
            (V::Float(_) | V::Int(_) | V::Bool(_), V::Float(_) | V::Int(_) | V::Bool(_)) => {
                let (x, y) = (self.as_float(a, "", "")?, self.as_float(b, "", "")?);
                x.partial_cmp(&y).map_or(Order::Nan, Order::Known)
            }
            (V::Float(_) | V::Number(_) | V::Dim(_), V::Int(_) | V::Float(_) | V::Number(_) | V::Dim(_))
            | (V::Int(_), V::Number(_)) => return self.undecided("a number that depends on the size of the graph"),
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
                if self.compare_dims(CmpOp::Le, &x, &y) == Some(true) {
                    Ok(if x == y { std::cmp::Ordering::Equal } else { std::cmp::Ordering::Less })
                } else if self.compare_dims(CmpOp::Ge, &x, &y) == Some(true) {
                    Ok(std::cmp::Ordering::Greater)
                } else {
                    self.undecided(&format!("which of {x} and {y} is larger"))
                }
            }
        }
    }

    /// `is`.
    pub fn same(&self, a: &Value, b: &Value) -> bool {
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

    /// `==` on anything but tensors.
    pub fn equal(&mut self, a: &Value, b: &Value) -> R<bool> {
        use Value as V;
        Ok(match (a, b) {
            (V::Dim(_), V::Dim(_) | V::Int(_) | V::Bool(_)) | (V::Int(_) | V::Bool(_), V::Dim(_)) => {
                match (self.as_dim(a), self.as_dim(b)) {
                    (Some(x), Some(y)) => match self.compare_dims(CmpOp::Eq, &x, &y) {
                        Some(equal) => equal,
                        None => return self.undecided(&format!("whether {x} equals {y}")),
                    },
                    _ => false,
                }
            }
            (V::Float(_) | V::Int(_) | V::Bool(_), V::Float(_) | V::Int(_) | V::Bool(_)) => {
                self.as_float(a, "", "")? == self.as_float(b, "", "")?
            }
            (V::Number(_), V::Float(_) | V::Int(_) | V::Number(_) | V::Dim(_))
            | (V::Float(_) | V::Int(_) | V::Dim(_), V::Number(_))
            | (V::Float(_), V::Dim(_))
            | (V::Dim(_), V::Float(_)) => return self.undecided("a number that depends on the size of the graph"),
            (V::Tuple(_) | V::Named(_), V::Tuple(_) | V::Named(_)) | (V::List(_), V::List(_)) => {
                let (x, y) = (self.items(a)?, self.items(b)?);
                if x.len() != y.len() {
                    return Ok(false);
                }
                self.charge(x.len() as u64 + 1)?;
                for (x, y) in x.iter().zip(&y) {
                    if matches!((x, y), (V::Tensor(_), V::Tensor(_))) && !self.same(x, y) {
                        return Err(self.tensor_decides());
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
                let (x, y) = (x.borrow(), y.borrow());
                x.len() == y.len() && x.entries.values().all(|e| y.get(&e.0).is_some())
            }
            (V::Range(a0, a1, a2), V::Range(b0, b1, b2)) => (a0, a1, a2) == (b0, b1, b2),
            (V::Device, V::Device) => true,
            (V::Object(x), V::Object(y)) if !self.same(a, b) && Rc::ptr_eq(&x.class, &y.class) => {
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
            (V::Object(o), V::Str(_) | V::Int(_)) => match self.plain_member(o) {
                Some(plain) => self.equal(&plain, b)?,
                None => false,
            },
            (V::Str(_) | V::Int(_), V::Object(_)) => self.equal(b, a)?,
            _ => self.same(a, b),
        })
    }

    fn contains(&mut self, item: &Value, container: &Value) -> R<bool> {
        match container {
            Value::Str(text) => match item {
                Value::Str(part) => Ok(text.contains(&**part)),
                other => self.type_fault(format!("'in' a string needs a string, not {}", other.type_name())),
            },
            Value::Dict(d) | Value::Set(d) => {
                let key = self.key(item)?;
                Ok(d.borrow().get(&key).is_some())
            }
            Value::Tensor(_) => self.unsupported("E-UNSUPPORTED-OP", "'in' a tensor depends on its values"),
            Value::Object(o) if self.container_len(o).is_some() => {
                let Value::Str(name) = item else { return Ok(false) };
                let module = o.module.borrow();
                Ok(module
                    .as_ref()
                    .is_some_and(|m| m.children.iter().any(|c| c.0 == *name) || m.params.iter().any(|p| p.0 == *name)))
            }
            _ => {
                let items = self.items(container)?;
                self.charge(items.len() as u64)?;
                for other in &items {
                    if self.same(item, other) || (!matches!(other, Value::Tensor(_)) && self.equal(item, other)?) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

enum Order {
    Known(std::cmp::Ordering),
    Nan,
    Sizes(Dim, Dim),
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
