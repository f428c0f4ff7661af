//! Tensors as values: what they stand for, and in-place changes.

use std::rc::Rc;

use graph::{BinaryOp, DType, Dim, Init, NodeId, Op, Shape, UnaryOp};

use super::storage::own_storage;
use super::value::{Data, Tensor, Value};
use super::{Interp, Phase, R, Run, Tracer};
use crate::rules::Rule;
use crate::syntax::BinOp;

impl Interp {
    /// Gives a tensor the values that `f` computes of it, in place.
    pub fn change(&mut self, t: &Rc<Tensor>, f: impl FnOnce(&mut Self, NodeId) -> R<NodeId>) -> R<()> {
        if matches!(&*t.data.borrow(), Data::Leaf(_)) {
            return self.refuse(Rule::UnsupportedInplace, "a parameter or buffer is changed in place");
        }
        let old = self.tracer.node(t)?;
        self.tracer.begin_write();
        let new = f(self, old)?;
        // torch differentiates these in terms of their result, which may not change after that
        let by_result = matches!(
            self.tracer.graph().node(new).op,
            Op::Unary(
                UnaryOp::LeakyRelu { .. }
                    | UnaryOp::Elu { .. }
                    | UnaryOp::Celu { .. }
                    | UnaryOp::Selu
                    | UnaryOp::Hardtanh { .. }
            )
        );
        if by_result {
            self.tracer.tape.keep_result(new);
        }
        self.tracer.finish_in_place(t, old, new)
    }
}

impl Tracer {
    /// A new tensor that stands for a node.
    pub fn tensor_value(&mut self, id: NodeId) -> Value {
        let id = self.without_gradient(id);
        Value::Tensor(Rc::new(Tensor::new(Data::Node(id), own_storage(id), false, self.run.here())))
    }

    /// Inside of `torch.no_grad()`, what is computed passes no gradient on.
    pub fn without_gradient(&mut self, id: NodeId) -> NodeId {
        let node = self.graph().node(id);
        if !self.no_grad() || node.dtype != DType::Float || matches!(node.op, Op::Detach | Op::Input(_)) {
            return id;
        }
        self.push(Op::Detach, &[id]).unwrap_or(id)
    }

    /// An input of the graph as a value.
    pub fn tensor(&mut self, id: NodeId) -> Value {
        self.tensor_value(id)
    }

    pub fn shape_of(&self, t: &Tensor) -> Shape {
        let known = |sizes: &[usize]| sizes.iter().copied().map(Dim::of).collect();
        match &*t.data.borrow() {
            Data::Node(id) => self.shape(*id).clone(),
            Data::Literal(l) => known(&l.shape),
            Data::Leaf(i) => self.leaf(*i).map_or_else(Vec::new, |l| known(&l.shape)),
        }
    }

    pub fn dtype_of(&self, t: &Tensor) -> DType {
        match &*t.data.borrow() {
            Data::Node(id) => self.dtype(*id),
            Data::Literal(l) => l.dtype,
            Data::Leaf(i) => self.leaf(*i).map_or(DType::Float, |l| l.dtype),
        }
    }

    /// `t op= value`.
    pub fn update_in_place(&mut self, t: &Rc<Tensor>, op: BinOp, value: &Value) -> R<()> {
        let number = match value {
            Value::Float(f) => Some(*f),
            Value::Int(i) => Some(*i as f64),
            _ => None,
        };
        if is_part_of_leaf(t) && self.phase() != Phase::Second {
            // arithmetic on a part of a parameter's start
            if let (Some(literal), Some(x)) = (self.copy_of_view(t)?, number) {
                let init = match op {
                    BinOp::Mul => Some(super::literal::affine(&literal.init, x, 0.0)),
                    BinOp::Div if x != 0.0 => Some(super::literal::affine(&literal.init, 1.0 / x, 0.0)),
                    BinOp::Add => Some(super::literal::affine(&literal.init, 1.0, x)),
                    BinOp::Sub => Some(super::literal::affine(&literal.init, 1.0, -x)),
                    _ => None,
                };
                if let Some(init) = init
                    && self.initialise_part(t, &init)?
                {
                    return Ok(());
                }
            }
            return self
                .run
                .refuse(Rule::UnsupportedInit, "this initialisation of a part of a parameter is not supported");
        }
        if matches!(&*t.data.borrow(), Data::Leaf(_) | Data::Literal(_)) && self.is_initialising(t) {
            let Some(x) = number else {
                let Some(init) = self.started(t, op, value)? else {
                    return self.run.refuse(
                        Rule::UnsupportedInit,
                        "parameters may be initialised by nn.init, fill_, or arithmetic with numbers and constant tensors",
                    );
                };
                return self.reinitialise(t, |_| init);
            };
            let (scale, shift) = match op {
                BinOp::Mul => (x, 0.0),
                BinOp::Div if x != 0.0 => (1.0 / x, 0.0),
                BinOp::Add => (1.0, x),
                BinOp::Sub => (1.0, -x),
                _ => return self.run.refuse(Rule::UnsupportedInit, "this initialisation is not supported"),
            };
            return self.reinitialise(t, |init| super::literal::affine(init, scale, shift));
        }
        self.run.no_overlap(t, value)?;
        let old = self.node(t)?;
        self.begin_write();
        let Some(new) = self.operand(value)? else {
            return self.run.type_fault(format!("a tensor cannot be changed by {}", value.type_name()));
        };
        let Some(op) = super::arith::tensor_op(op) else {
            return self.run.refuse(Rule::UnsupportedInplace, "this in-place operator is not supported");
        };
        let id = self.push(Op::Binary(op), &[old, new])?;
        if op == BinaryOp::FloorDiv {
            self.tape.lacks_derivative(id);
        }
        self.finish_in_place(t, old, id)
    }

    /// Stores the result of an in-place operation, which must keep the tensor's shape and type.
    pub fn finish_in_place(&mut self, t: &Rc<Tensor>, old: NodeId, id: NodeId) -> R<()> {
        let (before, after) = (self.shape(old).clone(), self.shape(id).clone());
        if before != after {
            return self.run.refuse(
                Rule::ShapeInplace,
                format!(
                    "an in-place operation cannot change {} into {}",
                    graph::display(&before),
                    graph::display(&after)
                ),
            );
        }
        let (was, is) = (self.dtype(old), self.dtype(id));
        let id = if was == is {
            id
        } else if was > is {
            self.push_as(Op::Cast, &[id], before, was)?
        } else {
            return self.run.refuse(Rule::ShapeDtype, "a float result cannot be stored in an integer or bool tensor");
        };
        if let Data::Leaf(_) = &*t.data.borrow() {
            let d = self
                .run
                .fault(Rule::UnsupportedInplace, "a parameter or buffer is changed in place inside the computation");
            return Err(Box::new(d.help("compute a new tensor from it instead")));
        }
        self.replace(t, old, id)
    }

    /// Whether a change of `t` is part of its initialisation. Faults where torch would refuse it.
    pub fn is_initialising(&self, t: &Tensor) -> bool {
        match &*t.data.borrow() {
            Data::Literal(_) => true,
            Data::Leaf(_) => self.no_grad() || !t.requires_grad.get() || self.phase() != Phase::Second,
            Data::Node(_) => false,
        }
    }

    /// How a parameter or literal starts after `t op= value` with a tensor, of which one is drawn and the other known.
    fn started(&mut self, t: &Tensor, op: BinOp, value: &Value) -> R<Option<Init>> {
        let own = match &*t.data.borrow() {
            Data::Literal(literal) => Some(literal.clone()),
            Data::Leaf(leaf) => self.leaf(*leaf).map(|leaf| leaf.start()),
            Data::Node(_) => None,
        };
        let (Some(own), Some(value)) = (own, self.source(value)?) else { return Ok(None) };
        self.run.allocate(own.numel().saturating_add(value.numel()))?;
        let new = super::literal::weighted(&own, op, &value);
        Ok(new.filter(|new| new.shape == own.shape).map(|new| new.init))
    }

    /// Changes how a parameter or literal starts.
    pub fn reinitialise(&mut self, t: &Tensor, f: impl FnOnce(&Init) -> Init) -> R<()> {
        let data = t.data.borrow().clone();
        match data {
            Data::Literal(mut l) => {
                l.init = f(&l.init);
                *t.data.borrow_mut() = Data::Literal(l);
                Ok(())
            }
            Data::Leaf(i) => {
                if self.phase() == Phase::Second {
                    return self.run.refuse(
                        Rule::Stateful,
                        "a parameter is changed in every call of forward, so calls would differ",
                    );
                }
                if !self.no_grad() && t.requires_grad.get() {
                    let d =
                        self.run.fault(Rule::LeafInplace, "a parameter that requires gradients is changed in place");
                    return Err(Box::new(d.help("put it inside 'with torch.no_grad():' or use nn.init")));
                }
                self.unused_yet(i)?;
                self.restart(i, |init, _| f(&init));
                Ok(())
            }
            Data::Node(_) => self.run.refuse(Rule::UnsupportedInit, "only parameters and new tensors are initialised"),
        }
    }

    /// How a value starts that a parameter is set to: a constant or random tensor, or one that has the numbers of another parameter.
    fn source(&mut self, value: &Value) -> R<Option<super::value::Literal>> {
        let Value::Tensor(t) = value else {
            let number = match value {
                Value::Int(i) => *i as f64,
                Value::Float(f) => *f,
                _ => return Ok(None),
            };
            return Ok(Some(super::value::Literal {
                shape: Vec::new(),
                init: Init::Constant(number),
                dtype: DType::Float,
            }));
        };
        if let Some(literal) = self.known_start(t)? {
            return Ok(Some(literal));
        }
        let data = t.data.borrow().clone();
        match data {
            Data::Leaf(leaf) => Ok(self.copy_of_leaf(leaf, None)),
            _ => self.copy_of_view(t),
        }
    }

    /// `t.copy_(value)`, `t.data = value`, `t[...] = value` while parameters are made. Gives whether it was that.
    pub fn start_as(&mut self, t: &Rc<Tensor>, value: &Value) -> R<bool> {
        let part = is_part_of_leaf(t);
        if self.phase() == Phase::Second
            || !(part || (matches!(&*t.data.borrow(), Data::Leaf(_)) && self.is_initialising(t)))
        {
            return Ok(false);
        }
        let Some(mut literal) = self.source(value)? else {
            return self.run.refuse(
                Rule::UnsupportedInit,
                "a parameter may be initialised by constants, random tensors and parts of other parameters only",
            );
        };
        let shape: Vec<Dim> = literal.shape.iter().map(|&s| Dim::known(s as i64)).collect();
        let wanted = self.shape_of(t);
        if shape != wanted {
            // what is broadcast to it
            let fits = graph::broadcast(&shape, &wanted).is_ok_and(|both| both == wanted);
            let spread: Option<Vec<usize>> =
                wanted.iter().map(|d| d.as_known().and_then(|k| usize::try_from(k).ok())).collect();
            let (true, Some(to)) = (fits, spread) else {
                return self.run.refuse(
                    Rule::ShapeInplace,
                    format!("{} cannot be copied into {}", graph::display(&shape), graph::display(&wanted)),
                );
            };
            let whole = super::storage::Places::all(literal.shape.clone());
            let spread = whole.and_then(|p| p.step(&Op::Expand, &wanted));
            let init = match (&literal.init, literal.values(), spread) {
                (Init::Constant(v), _, _) => Init::Constant(*v),
                (_, Some(values), Some(places)) => {
                    Init::Values(places.at.iter().map(|at| values.get(*at as usize).copied().unwrap_or(0.0)).collect())
                }
                _ => return self.run.refuse(Rule::UnsupportedInit, "a random tensor is broadcast to a parameter"),
            };
            literal = super::value::Literal { shape: to, init, dtype: literal.dtype };
        }
        if part {
            return self.initialise_part(t, &literal.init);
        }
        self.reinitialise(t, |_| literal.init)?;
        Ok(true)
    }

    /// `t.copy_(value)`, `t.data = value`.
    pub fn copy_into(&mut self, t: &Rc<Tensor>, value: &Value) -> R<()> {
        if self.start_as(t, value)? {
            return Ok(());
        }
        if self.is_initialising(t)
            && let Some(literal) = self.run.literal(value)?
        {
            let shape: Vec<Dim> = literal.shape.iter().map(|&s| Dim::known(s as i64)).collect();
            if shape != self.shape_of(t) {
                return self.run.refuse(
                    Rule::ShapeInplace,
                    format!("{} cannot be copied into {}", graph::display(&shape), graph::display(&self.shape_of(t))),
                );
            }
            return self.reinitialise(t, |_| literal.init);
        }
        self.run.no_overlap(t, value)?;
        let old = self.node(t)?;
        let Some(new) = self.operand(value)? else {
            return self.run.type_fault(format!("a tensor cannot be set to {}", value.type_name()));
        };
        let (shape, dtype) = (self.shape(old).clone(), self.dtype(old));
        let new = self.cast(new, dtype)?;
        let new = self.push_as(Op::Expand, &[new], shape, dtype)?;
        self.finish_in_place(t, old, new)
    }

    pub fn cast(&mut self, id: NodeId, dtype: DType) -> R<NodeId> {
        if self.dtype(id) == dtype {
            return Ok(id);
        }
        let shape = self.shape(id).clone();
        self.push_as(Op::Cast, &[id], shape, dtype)
    }

    pub fn as_bool_node(&mut self, id: NodeId) -> R<NodeId> {
        self.cast(id, DType::Bool)
    }

    pub fn un(&mut self, op: UnaryOp, id: NodeId) -> R<NodeId> {
        self.push(Op::Unary(op), &[id])
    }

    pub fn bin(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> R<NodeId> {
        self.push(Op::Binary(op), &[a, b])
    }

    pub fn float(&mut self, value: f64) -> R<NodeId> {
        self.scalar(value, DType::Float)
    }
}

impl Run {
    /// An axis, counted from the end where negative.
    pub fn axis(&self, axis: i64, rank: usize, function: &str) -> R<usize> {
        let rank_i = i64::try_from(rank).unwrap_or(0);
        let at = if axis < 0 { axis + rank_i } else { axis };
        match usize::try_from(at) {
            Ok(at) if at < rank => Ok(at),
            _ => self
                .refuse(Rule::ShapeAxis, format!("{function}: axis {axis} does not exist in a tensor of {rank} axes")),
        }
    }
}

/// Whether a tensor is a view of a parameter or buffer.
pub fn is_part_of_leaf(t: &Tensor) -> bool {
    matches!(&*t.data.borrow(), Data::Node(_)) && t.storage.is_of_leaf()
}
