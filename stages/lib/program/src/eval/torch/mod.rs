//! The functions of `torch` and `torch.nn.functional`, and the methods of tensors.

/// A function of one tensor, element by element.
macro_rules! un {
    ($names:literal, $op:expr) => {
        native($names, "input", |vm, a| unary(vm, a, $op))
    };
}

/// As `un`, for those of `torch.nn.functional` that may change their argument instead.
macro_rules! act {
    ($names:literal, $op:expr) => {
        native($names, "input inplace?", |vm, a| activation(vm, a, $op))
    };
}

macro_rules! bin {
    ($names:literal, $op:ident) => {
        native($names, "input other", |vm, a| binary(vm, a, BinaryOp::$op))
    };
}

macro_rules! red {
    ($names:literal, $op:expr) => {
        native($names, "input dim? keepdim? | dtype?", |vm, a| reduction(vm, a, $op))
    };
}

macro_rules! f {
    ($names:literal, $signature:literal, $run:expr) => {
        native($names, $signature, $run)
    };
}

macro_rules! refuse_random {
    ($names:literal) => {
        native($names, "*args **kwargs", |vm, a| random(&vm.tracer.run, a.function()))
    };
}

mod arrange;
mod composed;
mod convert;
mod create;
mod index;
mod noise;
mod pieces;
mod pointwise;
mod product;
mod reduce;
pub mod refused;
mod scalar;
mod shape;
mod sums;

use std::rc::Rc;

use graph::{BinaryOp, DType, Dim, Init, NodeId, Op, ReduceOp, Shape, UnaryOp};

use self::convert::random;
pub use self::noise::{Dropout, draw_into, dropout, probability, random_rectifier};
use super::arith::as_dim;
use super::native::{Args, Native, native};
use super::value::{Data, Literal, Tensor, Value};
use super::{Interp, R, Run, Tracer};
use crate::rules::Rule;
use crate::syntax::BinOp;

/// All functions.
pub fn tables() -> [&'static [Native]; 13] {
    [
        arrange::TABLE,
        composed::TABLE,
        convert::TABLE,
        create::TABLE,
        index::TABLE,
        noise::TABLE,
        pieces::TABLE,
        pointwise::TABLE,
        product::TABLE,
        reduce::TABLE,
        scalar::TABLE,
        shape::TABLE,
        sums::TABLE,
    ]
}

/// The fields of what `torch.max` and its like return.
pub const VALUES: &[&str] = &["values", "indices"];

/// The fields of what `torch.aminmax` returns.
pub const ENDS: &[&str] = &["min", "max"];

/// What `torch.finfo` tells.
pub const FINFO: &[&str] = &["min", "max", "eps", "tiny", "smallest_normal"];

impl Tracer {
    pub fn linear(&mut self, x: NodeId, weight: NodeId, bias: Option<NodeId>) -> R<NodeId> {
        match bias {
            Some(b) => self.push(Op::Linear { biased: true }, &[x, weight, b]),
            None => self.push(Op::Linear { biased: false }, &[x, weight]),
        }
    }

    pub fn layer_norm(
        &mut self,
        x: NodeId,
        sizes: &[Dim],
        weight: Option<NodeId>,
        bias: Option<NodeId>,
        eps: f64,
    ) -> R<NodeId> {
        let shape = self.shape(x).clone();
        if !shape.ends_with(sizes) || sizes.is_empty() {
            return self.run.refuse(
                Rule::ShapeNorm,
                format!(
                    "a layer norm over {} cannot be applied to {}: the last axes must be equal",
                    graph::display(sizes),
                    graph::display(&shape)
                ),
            );
        }
        let mut args = vec![x];
        let weight = match (weight, bias) {
            // a bias alone: the weight is one
            (None, Some(_)) => Some(self.push_as(Op::Full(1.0), &[], sizes.to_vec(), DType::Float)?),
            (weight, _) => weight,
        };
        args.extend(weight);
        args.extend(bias);
        let (weighted, biased) = (weight.is_some(), bias.is_some());
        self.push(Op::LayerNorm { axes: sizes.len(), eps, weighted, biased }, &args)
    }

    /// `y[o] = x^T W[o] z + b[o]` over the last axes.
    pub fn bilinear(&mut self, x: NodeId, z: NodeId, weight: NodeId, bias: Option<NodeId>) -> R<NodeId> {
        let rank = self.rank(x);
        if self.rank(z) != rank || rank == 0 || rank > 8 {
            return self.run.refuse(Rule::ShapeLinear, "the two inputs of a bilinear layer must have the same axes");
        }
        let lead: String = "abcdefgh".chars().take(rank - 1).collect();
        let equation = format!("{lead}i,oij,{lead}j->{lead}o");
        let y = self.push(Op::Einsum(equation), &[x, weight, z])?;
        self.plain(y);
        match bias {
            Some(b) => self.bin(BinaryOp::Add, y, b),
            None => Ok(y),
        }
    }

    fn reshaped(&mut self, id: NodeId, shape: Shape) -> R<NodeId> {
        let dtype = self.dtype(id);
        self.push_as(Op::Reshape, &[id], shape, dtype)
    }

    /// A tensor of one value or of random values: a literal where its size is known, else a node.
    fn filled(&mut self, shape: Shape, init: Init, dtype: DType) -> R<Value> {
        let known: Option<Vec<usize>> =
            shape.iter().map(|d| d.as_known().and_then(|k| usize::try_from(k).ok())).collect();
        let random = (Literal { shape: Vec::new(), init: init.clone(), dtype }).is_random();
        if random && dtype != DType::Float {
            return random_integers(&self.run);
        }
        // Parameters are made of literals; the second call makes none.
        if let Some(known) = known.filter(|_| !(random && self.phase() == super::Phase::Second)) {
            let count = known.iter().try_fold(1_usize, |n, s| n.checked_mul(*s));
            if count.is_none_or(|n| n > 1 << 32) {
                return Err(self.run.fault(Rule::BudgetTensor, "this tensor is absurdly large"));
            }
            return Ok(self.run.literal_value(known, init, dtype));
        }
        match init {
            Init::Constant(v) => {
                let id = self.push_as(Op::Full(v), &[], shape, dtype)?;
                Ok(self.tensor_value(id))
            }
            init => self.drawn_value(&init, &shape),
        }
    }

    fn reduce(&mut self, op: ReduceOp, id: NodeId, dims: Vec<usize>, keepdim: bool) -> R<NodeId> {
        if dims.is_empty() {
            // a 0-dimensional tensor is its own reduction, up to type
            let rank = self.rank(id);
            if rank == 0 {
                let flat = self.reshaped(id, vec![Dim::known(1)])?;
                return self.push(Op::Reduce { op, dims: vec![0], keepdim: false }, &[flat]);
            }
        }
        self.push(Op::Reduce { op, dims, keepdim }, &[id])
    }
}

impl Run {
    /// Sizes of a view, with at most one -1.
    fn view_shape(&mut self, from: &Shape, sizes: &[Value]) -> R<Shape> {
        let mut to = Vec::new();
        for size in sizes {
            to.push(match size {
                Value::Int(-1) => None,
                other => match as_dim(other) {
                    Some(d) => Some(d),
                    None => return self.type_fault(format!("sizes are integers, not {}", other.type_name())),
                },
            });
        }
        graph::infer_minus_one(from, &to).map_err(|e| self.op_fault(Rule::ShapeReshape, &e))
    }

    /// Sizes of a new tensor.
    fn new_shape(&mut self, sizes: &[Value]) -> R<Shape> {
        let mut shape = Vec::new();
        for size in sizes {
            match as_dim(size) {
                Some(d) if d.as_known().is_some_and(|k| k < 0) => {
                    return self.refuse(Rule::ShapeNegative, format!("a size cannot be {d}"));
                }
                Some(d) => shape.push(d),
                None => return self.type_fault(format!("sizes are integers, not {}", size.type_name())),
            }
        }
        Ok(shape)
    }
}

fn random_integers<T>(run: &Run) -> R<T> {
    run.refuse(Rule::UnsupportedRandom, "random values that are no floats are not supported")
}

/// The tensor object of an argument, for views.
fn base(run: &Run, a: &Args, name: &str) -> R<Rc<Tensor>> {
    match a.value(name) {
        Value::Tensor(t) => Ok(t),
        other => run.type_fault(format!("{}() needs a tensor, not {}", a.function(), other.type_name())),
    }
}

/// Refuses operands none of which is a float, where torch has no such function of integers.
fn needs_float(tracer: &Tracer, a: &Args, ids: &[NodeId]) -> R<()> {
    if ids.iter().any(|id| tracer.dtype(*id) == DType::Float) {
        return Ok(());
    }
    let d = tracer.run.fault(Rule::ShapeDtype, format!("{}() takes floats", a.function()));
    Err(Box::new(d.help("use .float()")))
}

/// A tensor of what is made of operations that do not say what torch keeps of the arguments for the gradient.
fn keeping(tracer: &mut Tracer, id: R<NodeId>, kept: &[NodeId]) -> R<Value> {
    let id = id?;
    kept.iter().for_each(|value| tracer.tape.keep_arg(id, *value));
    Ok(tracer.tensor_value(id))
}

/// The argument with new values, where it is to change in place, or else a new tensor.
fn changed(vm: &mut Interp, a: &Args, f: impl FnOnce(&mut Interp, NodeId) -> R<NodeId>) -> R<Value> {
    base(&vm.tracer.run, a, "input")?;
    if !a.bool(vm, "inplace", false)? {
        let id = a.tensor(vm, "input")?;
        return f(vm, id).map(|id| vm.tracer.tensor_value(id));
    }
    let t = base(&vm.tracer.run, a, "input")?;
    vm.change(&t, |vm, id| f(vm, id))?;
    Ok(Value::Tensor(t))
}

/// A result that shares memory with the argument.
fn view(vm: &mut Interp, a: &Args, f: impl FnOnce(&mut Interp, NodeId, usize) -> R<NodeId>) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    let id = vm.tracer.node(&t)?;
    let rank = vm.tracer.rank(id);
    let out = f(vm, id, rank)?;
    vm.tracer.view_value(out, &t)
}
