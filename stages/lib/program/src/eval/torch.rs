//! The functions of `torch` and `torch.nn.functional`, and the methods of tensors.

use std::rc::Rc;

use graph::{BinaryOp, DType, Dim, Init, NodeId, Op, ReduceOp, Shape, UnaryOp};

use super::native::{Args, Native};
use super::value::{Data, Tensor, Value};
use super::{Interp, R};
use crate::diagnostic::Category;
use crate::syntax::BinOp;

const VALUES: &[&str] = &["values", "indices"];

impl Interp {
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
        let shape = self.graph.shape(x).clone();
        if !shape.ends_with(sizes) || sizes.is_empty() {
            return self.shape_fault(
                "E-SHAPE-NORM",
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
        let rank = self.graph.shape(x).len();
        if self.graph.shape(z).len() != rank || rank == 0 || rank > 8 {
            return self.shape_fault("E-SHAPE-LINEAR", "the two inputs of a bilinear layer must have the same axes");
        }
        let lead: String = "abcdefgh".chars().take(rank - 1).collect();
        let equation = format!("{lead}i,oij,{lead}j->{lead}o");
        let y = self.push(Op::Einsum(equation), &[x, weight, z])?;
        match bias {
            Some(b) => self.bin(BinaryOp::Add, y, b),
            None => Ok(y),
        }
    }

    fn reshaped(&mut self, id: NodeId, shape: Shape) -> R<NodeId> {
        let dtype = self.graph.dtype(id);
        self.push_as(Op::Reshape, &[id], shape, dtype)
    }

    /// Sizes of a view, with at most one -1.
    fn view_shape(&mut self, from: &Shape, sizes: &[Value]) -> R<Shape> {
        let mut to = Vec::new();
        for size in sizes {
            to.push(match size {
                Value::Int(-1) => None,
                other => match self.as_dim(other) {
                    Some(d) => Some(d),
                    None => return self.type_fault(format!("sizes are integers, not {}", other.type_name())),
                },
            });
        }
        graph::infer_minus_one(from, &to).map_err(|e| self.op_fault("E-SHAPE-RESHAPE", &e))
    }

    /// Sizes of a new tensor.
    fn new_shape(&mut self, sizes: &[Value]) -> R<Shape> {
        let mut shape = Vec::new();
        for size in sizes {
            match self.as_dim(size) {
                Some(d) if d.as_known().is_some_and(|k| k < 0) => {
                    return self.shape_fault("E-SHAPE-NEGATIVE", format!("a size cannot be {d}"));
                }
                Some(d) => shape.push(d),
                None => return self.type_fault(format!("sizes are integers, not {}", size.type_name())),
            }
        }
        Ok(shape)
    }

    /// A tensor of one value or of random values: a literal where its size is known, else a node.
    fn filled(&mut self, shape: Shape, init: Init, dtype: DType) -> R<Value> {
        let known: Option<Vec<usize>> =
            shape.iter().map(|d| d.as_known().and_then(|k| usize::try_from(k).ok())).collect();
        if let Some(known) = known {
            let count = known.iter().try_fold(1_usize, |n, s| n.checked_mul(*s));
            if count.is_none_or(|n| n > 1 << 32) {
                return Err(self.fault(Category::Budget, "E-BUDGET-TENSOR", "this tensor is absurdly large"));
            }
            return Ok(self.literal_value(known, init, dtype));
        }
        match init {
            Init::Constant(v) => {
                let id = self.push_as(Op::Full(v), &[], shape, dtype)?;
                Ok(self.tensor_value(id))
            }
            _ => {
                let d = self.fault(
                    Category::Unsupported,
                    "E-UNSUPPORTED-RANDOM",
                    "a random tensor is used in the computation, so every evaluation would differ",
                );
                Err(Box::new(
                    d.help("random values may initialise an nn.Parameter; dropout and noise are not supported"),
                ))
            }
        }
    }

    fn reduce(&mut self, op: ReduceOp, id: NodeId, dims: Vec<usize>, keepdim: bool) -> R<NodeId> {
        if dims.is_empty() {
            // a 0-dimensional tensor is its own reduction, up to type
            let rank = self.graph.shape(id).len();
            if rank == 0 {
                let flat = self.reshaped(id, vec![Dim::known(1)])?;
                return self.push(Op::Reduce { op, dims: vec![0], keepdim: false }, &[flat]);
            }
        }
        self.push(Op::Reduce { op, dims, keepdim }, &[id])
    }
}

/// The tensor object of an argument, for views.
fn base(vm: &Interp, a: &Args, name: &str) -> R<Rc<Tensor>> {
    match a.value(name) {
        Value::Tensor(t) => Ok(t),
        other => vm.type_fault(format!("{}() needs a tensor, not {}", a.function(), other.type_name())),
    }
}

fn done(vm: &mut Interp, id: R<NodeId>) -> R<Value> {
    let id = id?;
    Ok(vm.tensor_value(id))
}

/// A result that shares memory with the argument.
fn view(vm: &mut Interp, a: &Args, f: impl FnOnce(&mut Interp, NodeId, usize) -> R<NodeId>) -> R<Value> {
    let t = base(vm, a, "input")?;
    let id = vm.node(&t)?;
    let rank = vm.graph.shape(id).len();
    let out = f(vm, id, rank)?;
    Ok(vm.view_value(out, &t))
}

fn unary(vm: &mut Interp, a: &Args, op: UnaryOp) -> R<Value> {
    if let Some(l) = vm.literal(&a.value("input"))
        && l.dtype == DType::Float
        && let Some(values) = l.values().filter(|v| v.len() <= 4096)
        && let Some(f) = scalar_function(op)
    {
        let init = match l.init {
            Init::Constant(v) => Init::Constant(f(v)),
            _ => Init::Values(values.into_iter().map(f).collect()),
        };
        return Ok(vm.literal_value(l.shape, init, l.dtype));
    }
    let id = a.operand(vm, "input")?;
    let out = vm.un(op, id)?;
    Ok(vm.tensor_value(out))
}

/// Functions that are computed at once on constants, so that they may initialise parameters.
fn scalar_function(op: UnaryOp) -> Option<fn(f64) -> f64> {
    Some(match op {
        UnaryOp::Exp => f64::exp,
        UnaryOp::Log => f64::ln,
        UnaryOp::Sqrt => f64::sqrt,
        UnaryOp::Abs => f64::abs,
        UnaryOp::Sin => f64::sin,
        UnaryOp::Cos => f64::cos,
        UnaryOp::Neg => |x| -x,
        _ => return None,
    })
}

fn binary(vm: &mut Interp, a: &Args, op: BinaryOp) -> R<Value> {
    let (x, y) = (a.operand(vm, "input")?, a.operand(vm, "other")?);
    let out = vm.bin(op, x, y)?;
    Ok(vm.tensor_value(out))
}

/// `input + alpha * other`.
fn scaled(vm: &mut Interp, a: &Args, op: BinOp) -> R<Value> {
    let mut other = a.value("other");
    if let Some(alpha) = a.some("alpha") {
        other = vm.binary(&other, BinOp::Mul, &alpha.clone())?;
    }
    vm.binary_tensor(&a.value("input"), op, &other)
}

fn divide(vm: &mut Interp, a: &Args) -> R<Value> {
    let op = match a.some("rounding_mode") {
        None => BinaryOp::Div,
        Some(Value::Str(s)) if &**s == "floor" => BinaryOp::FloorDiv,
        Some(_) => return vm.unsupported("E-UNSUPPORTED-OP", "of the rounding modes, only 'floor' is supported"),
    };
    binary(vm, a, op)
}

fn logical(vm: &mut Interp, a: &Args, op: BinaryOp) -> R<Value> {
    let (x, y) = (a.operand(vm, "input")?, a.operand(vm, "other")?);
    let (x, y) = (vm.as_bool_node(x)?, vm.as_bool_node(y)?);
    let out = vm.bin(op, x, y)?;
    Ok(vm.tensor_value(out))
}

fn reduction(vm: &mut Interp, a: &Args, op: ReduceOp) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let rank = vm.graph.shape(id).len();
    let id = match a.dtype(vm, "dtype", vm.graph.dtype(id))? {
        dtype if a.some("dtype").is_some() => vm.cast(id, dtype)?,
        _ => id,
    };
    if matches!(op, ReduceOp::Prod) && matches!(a.some("dim"), Some(Value::Tuple(_) | Value::List(_))) {
        return vm.type_fault("prod() reduces one axis or all");
    }
    let dims = match a.axes(vm, "dim", rank)? {
        Some(d) if !d.is_empty() => d,
        _ => (0..rank).collect(),
    };
    let keepdim = a.bool(vm, "keepdim", false)?;
    let out = vm.reduce(op, id, dims, keepdim)?;
    Ok(vm.tensor_value(out))
}

/// `any` and `all` see bools.
fn truth_reduction(vm: &mut Interp, a: &Args, op: ReduceOp) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let rank = vm.graph.shape(id).len();
    let id = vm.as_bool_node(id)?;
    let dims = a.axes(vm, "dim", rank)?.unwrap_or_else(|| (0..rank).collect());
    let keepdim = a.bool(vm, "keepdim", false)?;
    let out = vm.reduce(op, id, dims, keepdim)?;
    Ok(vm.tensor_value(out))
}

fn extreme(vm: &mut Interp, a: &Args, largest: bool) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let second = a.some("dim").or_else(|| a.some("other")).cloned();
    match second {
        None => {
            let rank = vm.graph.shape(id).len();
            let op = if largest { ReduceOp::Amax } else { ReduceOp::Amin };
            let out = vm.reduce(op, id, (0..rank).collect(), false)?;
            Ok(vm.tensor_value(out))
        }
        Some(Value::Tensor(t)) => {
            let other = vm.node(&t)?;
            let out = vm.bin(if largest { BinaryOp::Maximum } else { BinaryOp::Minimum }, id, other)?;
            Ok(vm.tensor_value(out))
        }
        Some(_) => {
            let rank = vm.graph.shape(id).len();
            let dim = a.axis(vm, "dim", rank)?;
            let keepdim = a.bool(vm, "keepdim", false)?;
            let (v, i) =
                if largest { (ReduceOp::MaxValues, ReduceOp::ArgMax) } else { (ReduceOp::MinValues, ReduceOp::ArgMin) };
            let values = vm.push(Op::Reduce { op: v, dims: vec![dim], keepdim }, &[id])?;
            let indices = vm.push(Op::Reduce { op: i, dims: vec![dim], keepdim }, &[id])?;
            pair(vm, values, indices)
        }
    }
}

fn pair(vm: &mut Interp, values: NodeId, indices: NodeId) -> R<Value> {
    let items = vec![vm.tensor_value(values), vm.tensor_value(indices)];
    Ok(Value::Named(Rc::new((VALUES, items))))
}

fn arg_extreme(vm: &mut Interp, a: &Args, op: ReduceOp) -> R<Value> {
    let mut id = a.tensor(vm, "input")?;
    let mut rank = vm.graph.shape(id).len();
    if a.some("dim").is_none() {
        let count = graph::numel(vm.graph.shape(id));
        id = vm.reshaped(id, vec![count])?;
        rank = 1;
    }
    let dim = a.axis_or(vm, "dim", 0, rank)?;
    let keepdim = a.bool(vm, "keepdim", false)?;
    let out = vm.push(Op::Reduce { op, dims: vec![dim], keepdim }, &[id]);
    done(vm, out)
}

fn spread(vm: &mut Interp, a: &Args, std: bool) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let rank = vm.graph.shape(id).len();
    // `x.std(False)` is the old spelling of `x.std(unbiased=False)`
    let (dims, unbiased) = match a.some("dim") {
        Some(Value::Bool(b)) => (None, *b),
        _ => (a.axes(vm, "dim", rank)?, a.bool(vm, "unbiased", true)?),
    };
    let correction = a.float_or(vm, "correction", if unbiased { 1.0 } else { 0.0 })?;
    let keepdim = a.bool(vm, "keepdim", false)?;
    let dims = dims.unwrap_or_else(|| (0..rank).collect());
    let op = if std { ReduceOp::Std { correction } } else { ReduceOp::Var { correction } };
    let out = vm.reduce(op, id, dims, keepdim)?;
    Ok(vm.tensor_value(out))
}

fn order(vm: &mut Interp, a: &Args, name: &str) -> R<f64> {
    match a.some(name) {
        None => Ok(2.0),
        Some(Value::Str(s)) if matches!(&**s, "fro" | "2") => Ok(2.0),
        Some(Value::Str(s)) if &**s == "inf" => Ok(f64::INFINITY),
        Some(Value::Str(_)) => vm.unsupported("E-UNSUPPORTED-OP", "this norm is not supported"),
        Some(_) => a.float_or(vm, name, 2.0),
    }
}

fn norm(vm: &mut Interp, a: &Args) -> R<Value> {
    let p = order(vm, a, "p")?;
    reduction(vm, a, ReduceOp::Norm { p })
}

fn softmax(vm: &mut Interp, a: &Args, log: bool, negate: bool) -> R<Value> {
    let mut id = a.tensor(vm, "input")?;
    if a.some("dim").is_none() {
        return vm.type_fault(format!("{}() needs the axis: dim=", a.function()));
    }
    let rank = vm.graph.shape(id).len();
    let dim = a.axis(vm, "dim", rank)?;
    if negate {
        id = vm.un(UnaryOp::Neg, id)?;
    }
    let out = vm.push(if log { Op::LogSoftmax { dim } } else { Op::Softmax { dim } }, &[id]);
    done(vm, out)
}

fn cat(vm: &mut Interp, a: &Args) -> R<Value> {
    let items = vm.items(&a.value("tensors"))?;
    let mut ids = Vec::new();
    for item in &items {
        match item {
            Value::Tensor(t) => ids.push(vm.node(t)?),
            other => return vm.type_fault(format!("cat() joins tensors, not {}", other.type_name())),
        }
    }
    let Some(first) = ids.first() else { return vm.value_fault("cat() of nothing") };
    let rank = vm.graph.shape(*first).len();
    let dim = a.axis_or(vm, "dim", 0, rank)?;
    let ids = same_type(vm, ids)?;
    let out = vm.push(Op::Cat { dim }, &ids);
    done(vm, out)
}

/// Casts all to the highest type among them, as cat and stack do.
fn same_type(vm: &mut Interp, ids: Vec<NodeId>) -> R<Vec<NodeId>> {
    let top = ids.iter().map(|i| vm.graph.dtype(*i)).max().unwrap_or(DType::Float);
    ids.into_iter().map(|i| vm.cast(i, top)).collect()
}

fn stack(vm: &mut Interp, a: &Args) -> R<Value> {
    let items = vm.items(&a.value("tensors"))?;
    let mut ids = Vec::new();
    let mut shape: Option<Shape> = None;
    for item in &items {
        let Value::Tensor(t) = item else {
            return vm.type_fault(format!("stack() joins tensors, not {}", item.type_name()));
        };
        let id = vm.node(t)?;
        let own = vm.graph.shape(id).clone();
        if let Some(first) = shape.as_ref().filter(|s| **s != own) {
            let text =
                format!("stack() needs equal shapes, not {} and {}", graph::display(first), graph::display(&own));
            return vm.shape_fault("E-SHAPE-CAT", text);
        }
        let dim = a.axis_or(vm, "dim", 0, own.len() + 1)?;
        shape = Some(own);
        ids.push(vm.unsqueeze(id, dim)?);
    }
    let Some(shape) = shape else { return vm.value_fault("stack() of nothing") };
    let dim = a.axis_or(vm, "dim", 0, shape.len() + 1)?;
    let ids = same_type(vm, ids)?;
    let out = vm.push(Op::Cat { dim }, &ids);
    done(vm, out)
}

/// Pieces of the given sizes along an axis.
fn pieces(vm: &mut Interp, t: &Rc<Tensor>, dim: usize, sizes: &[Dim]) -> R<Value> {
    let id = vm.node(t)?;
    let mut start = Dim::known(0);
    let mut out = Vec::new();
    for size in sizes {
        let end = start.clone() + size.clone();
        let piece = vm.push(Op::Slice { dim, start, end: end.clone(), step: 1 }, &[id])?;
        out.push(vm.view_value(piece, t));
        start = end;
    }
    Ok(Value::tuple(out))
}

fn axis_size(vm: &mut Interp, t: &Rc<Tensor>, dim: usize) -> Dim {
    vm.shape_of(t).get(dim).cloned().unwrap_or_default()
}

/// Cuts an axis of known size into pieces of `step`, the last one being smaller.
fn equal_pieces(vm: &mut Interp, t: &Rc<Tensor>, dim: usize, step: &Dim) -> R<Value> {
    let size = axis_size(vm, t, dim);
    if let (Some(size), Some(step)) = (size.as_known(), step.as_known()) {
        if step <= 0 {
            return vm.value_fault("pieces must have at least one element");
        }
        let mut sizes = Vec::new();
        let mut rest = size;
        while rest > 0 {
            sizes.push(Dim::known(rest.min(step)));
            rest -= step;
            vm.step()?;
        }
        return pieces(vm, t, dim, &sizes);
    }
    match size.div_exact(step).and_then(|d| d.as_known()) {
        Some(count) if (1..=256).contains(&count) => {
            let sizes: Vec<Dim> = (0..count).map(|_| step.clone()).collect();
            pieces(vm, t, dim, &sizes)
        }
        _ => vm.unsupported(
            "E-UNSUPPORTED-SIZE",
            format!("cutting an axis of size {size} into pieces of {step} gives a number of pieces that depends on the graph"),
        ),
    }
}

fn split(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(vm, a, "input")?;
    let dim = a.axis_or(vm, "dim", 0, vm.shape_of(&t).len())?;
    match a.value("split_size_or_sections") {
        v @ (Value::List(_) | Value::Tuple(_)) => {
            let items = vm.items(&v)?;
            let sizes = vm.new_shape(&items)?;
            let size = axis_size(vm, &t, dim);
            let total = sizes.iter().fold(Dim::known(0), |sum, s| sum + s.clone());
            if total != size {
                return vm.shape_fault(
                    "E-SHAPE-SPLIT",
                    format!("pieces of {total} elements in all do not fill an axis of {size}"),
                );
            }
            pieces(vm, &t, dim, &sizes)
        }
        other => match vm.as_dim(&other) {
            Some(step) => equal_pieces(vm, &t, dim, &step),
            None => vm.type_fault(format!("split() needs sizes, not {}", other.type_name())),
        },
    }
}

fn chunk(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(vm, a, "input")?;
    let dim = a.axis_or(vm, "dim", 0, vm.shape_of(&t).len())?;
    let count = a.int(vm, "chunks")?;
    if count <= 0 {
        return vm.value_fault("chunk() needs at least one chunk");
    }
    let size = axis_size(vm, &t, dim);
    match size.as_known() {
        Some(size) => equal_pieces(vm, &t, dim, &Dim::known((size + count - 1) / count)),
        None => match size.div_exact(&Dim::known(count)) {
            Some(step) => equal_pieces(vm, &t, dim, &step),
            None => vm.unsupported(
                "E-UNSUPPORTED-SIZE",
                format!("cutting an axis of size {size} into {count} chunks comes out differently from graph to graph"),
            ),
        },
    }
}

fn permute(vm: &mut Interp, a: &Args) -> R<Value> {
    let sizes = a.sizes(vm)?;
    view(vm, a, |vm, id, rank| {
        let mut perm = Vec::new();
        for s in &sizes {
            match s {
                Value::Int(i) => perm.push(vm.axis(*i, rank, "permute")?),
                other => return vm.type_fault(format!("axes are integers, not {}", other.type_name())),
            }
        }
        let mut sorted = perm.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..rank) {
            let text = format!("permute needs each of the {rank} axes of {} once", graph::display(vm.graph.shape(id)));
            return vm.shape_fault("E-SHAPE-AXIS", text);
        }
        vm.push(Op::Permute(perm), &[id])
    })
}

fn transpose(vm: &mut Interp, a: &Args) -> R<Value> {
    view(vm, a, |vm, id, rank| {
        let (x, y) = (a.axis(vm, "dim0", rank)?, a.axis(vm, "dim1", rank)?);
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(x, y);
        vm.push(Op::Permute(perm), &[id])
    })
}

fn reshape(vm: &mut Interp, a: &Args) -> R<Value> {
    let sizes = a.sizes(vm)?;
    // `x.view(torch.float32)` would reinterpret bytes
    if matches!(sizes.as_slice(), [Value::DType(_)]) {
        return vm.unsupported("E-UNSUPPORTED-OP", "a view as another type is not supported");
    }
    if let Some(mut l) = vm.literal(&a.value("input")) {
        let from: Shape = l.shape.iter().map(|s| Dim::known(*s as i64)).collect();
        let to = vm.view_shape(&from, &sizes)?;
        if !matches!(l.init, Init::Eye) && graph::numel(&from) == graph::numel(&to) {
            l.shape = to.iter().map(|d| usize::try_from(d.as_known().unwrap_or(0)).unwrap_or(0)).collect();
            return Ok(vm.literal_value(l.shape, l.init, l.dtype));
        }
    }
    view(vm, a, |vm, id, _| {
        let from = vm.graph.shape(id).clone();
        let to = vm.view_shape(&from, &sizes)?;
        if a.function() == "view" && !vm.can_view(id, &to) {
            let text = format!(
                "{} does not lie in memory in such a way that it can be viewed as {}",
                graph::display(&from),
                graph::display(&to)
            );
            let d = vm.fault(Category::Shape, "E-SHAPE-VIEW", text);
            return Err(Box::new(d.help("use reshape, or contiguous() before view")));
        }
        vm.reshaped(id, to)
    })
}

fn flatten(vm: &mut Interp, a: &Args) -> R<Value> {
    view(vm, a, |vm, id, rank| {
        let first = if a.function() == "apply" { 1 } else { 0 };
        let (start, end) = (a.axis_or(vm, "start_dim", first, rank)?, a.axis_or(vm, "end_dim", -1, rank)?);
        if start > end {
            return vm.shape_fault("E-SHAPE-AXIS", "flatten: start_dim lies behind end_dim");
        }
        let shape = vm.graph.shape(id).clone();
        let (head, rest) = shape.split_at(start);
        let (middle, tail) = rest.split_at(end + 1 - start);
        let mut to = head.to_vec();
        to.push(graph::numel(middle));
        to.extend_from_slice(tail);
        vm.reshaped(id, to)
    })
}

fn unflatten(vm: &mut Interp, a: &Args) -> R<Value> {
    let items = vm.items(&a.value("sizes"))?;
    view(vm, a, |vm, id, rank| {
        let dim = a.axis(vm, "dim", rank)?;
        let shape = vm.graph.shape(id).clone();
        let one = vec![shape.get(dim).cloned().unwrap_or_default()];
        let inner = vm.view_shape(&one, &items)?;
        if graph::numel(&inner) != graph::numel(&one) {
            let text =
                format!("unflatten: {} does not fill an axis of {}", graph::display(&inner), graph::display(&one));
            return vm.shape_fault("E-SHAPE-RESHAPE", text);
        }
        let mut to = shape;
        to.splice(dim..=dim, inner);
        vm.reshaped(id, to)
    })
}

fn unsqueeze(vm: &mut Interp, a: &Args) -> R<Value> {
    if let Some(l) = vm.literal(&a.value("input")).filter(|l| !matches!(l.init, Init::Eye)) {
        let dim = a.axis(vm, "dim", l.shape.len() + 1)?;
        let mut shape = l.shape;
        shape.insert(dim, 1);
        return Ok(vm.literal_value(shape, l.init, l.dtype));
    }
    view(vm, a, |vm, id, rank| {
        let dim = a.axis(vm, "dim", rank + 1)?;
        vm.unsqueeze(id, dim)
    })
}

fn squeeze(vm: &mut Interp, a: &Args) -> R<Value> {
    view(vm, a, |vm, id, rank| {
        let dims = a.axes(vm, "dim", rank)?.unwrap_or_else(|| (0..rank).collect());
        let shape = vm.graph.shape(id).clone();
        let mut to = Vec::new();
        for (i, size) in shape.iter().enumerate() {
            if !dims.contains(&i) {
                to.push(size.clone());
                continue;
            }
            if size.is_known_one() {
                continue;
            }
            if size.as_known().is_none() && !size.provably_gt(&Dim::known(1)) {
                let d = vm.fault(
                    Category::Shape,
                    "E-SHAPE-SQUEEZE",
                    format!(
                        "squeeze would drop axis {i} of {} where {size} is 1, and only there",
                        graph::display(&shape)
                    ),
                );
                return Err(Box::new(d.help("name the axis to drop, or index it with [..., 0]")));
            }
            to.push(size.clone());
        }
        vm.reshaped(id, to)
    })
}

fn expand_to(vm: &mut Interp, id: NodeId, sizes: &[Value]) -> R<NodeId> {
    let from = vm.graph.shape(id).clone();
    let mut to = Vec::new();
    let extra = sizes.len().saturating_sub(from.len());
    for (i, size) in sizes.iter().enumerate() {
        to.push(match size {
            Value::Int(-1) => match i.checked_sub(extra).and_then(|i| from.get(i)) {
                Some(d) => d.clone(),
                None => return vm.shape_fault("E-SHAPE-EXPAND", "expand: -1 cannot stand for a new axis"),
            },
            other => match vm.as_dim(other) {
                Some(d) => d,
                None => return vm.type_fault(format!("sizes are integers, not {}", other.type_name())),
            },
        });
    }
    let dtype = vm.graph.dtype(id);
    vm.push_as(Op::Expand, &[id], to, dtype)
}

fn repeat(vm: &mut Interp, a: &Args) -> R<Value> {
    let sizes = a.sizes(vm)?;
    let counts = vm.new_shape(&sizes)?;
    let id = a.tensor(vm, "input")?;
    let mut shape = vm.graph.shape(id).clone();
    let counts = if a.function() == "tile" && counts.len() < shape.len() {
        let missing = shape.len() - counts.len();
        std::iter::repeat_n(Dim::known(1), missing).chain(counts).collect()
    } else {
        counts
    };
    if counts.len() < shape.len() {
        return vm.shape_fault(
            "E-SHAPE-EXPAND",
            format!("repeat needs a count for each axis of {}, not {}", graph::display(&shape), counts.len()),
        );
    }
    for _ in shape.len()..counts.len() {
        shape.insert(0, Dim::known(1));
    }
    // [a, b] repeated (r, s) times: [1, a, 1, b] -> [r, a, s, b] -> [r*a, s*b], for the axes that change
    let (mut apart, mut wide, mut joined) = (Vec::new(), Vec::new(), Vec::new());
    for (size, count) in shape.iter().zip(&counts) {
        if count.is_known_one() {
            apart.push(size.clone());
            wide.push(size.clone());
        } else if size.is_known_one() {
            apart.push(size.clone());
            wide.push(count.clone());
        } else {
            apart.extend([Dim::known(1), size.clone()]);
            wide.extend([count.clone(), size.clone()]);
        }
        joined.push(size.clone() * count.clone());
    }
    let dtype = vm.graph.dtype(id);
    let x = vm.reshaped(id, apart)?;
    let x = vm.push_as(Op::Expand, &[x], wide, dtype)?;
    let out = vm.reshaped(x, joined);
    done(vm, out)
}

fn repeat_interleave(vm: &mut Interp, a: &Args) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let count = a.dim(vm, "repeats")?;
    let shape = vm.graph.shape(id).clone();
    let dim = a.axis(vm, "dim", shape.len())?;
    let dtype = vm.graph.dtype(id);
    let mut apart = shape.clone();
    apart.insert(dim + 1, Dim::known(1));
    let mut wide = shape.clone();
    wide.insert(dim + 1, count.clone());
    let mut joined = shape;
    if let Some(d) = joined.get_mut(dim) {
        *d = d.clone() * count;
    }
    let x = vm.reshaped(id, apart)?;
    let x = vm.push_as(Op::Expand, &[x], wide, dtype)?;
    let out = vm.reshaped(x, joined);
    done(vm, out)
}

fn clamp(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut id = a.tensor(vm, "input")?;
    let is_tensor = |v: Option<&Value>| matches!(v, Some(Value::Tensor(_) | Value::Number(_) | Value::Dim(_)));
    if a.some("min").is_none() && a.some("max").is_none() {
        return vm.value_fault("clamp() needs a bound");
    }
    if is_tensor(a.some("min")) || is_tensor(a.some("max")) {
        if a.some("min").is_some() {
            let bound = a.operand(vm, "min")?;
            id = vm.bin(BinaryOp::Maximum, id, bound)?;
        }
        if a.some("max").is_some() {
            let bound = a.operand(vm, "max")?;
            id = vm.bin(BinaryOp::Minimum, id, bound)?;
        }
        return Ok(vm.tensor_value(id));
    }
    let (min, max) = (a.float_or(vm, "min", f64::NEG_INFINITY)?, a.float_or(vm, "max", f64::INFINITY)?);
    let fraction = |v: Option<&Value>| matches!(v, Some(Value::Float(_)));
    if vm.graph.dtype(id) != DType::Float && (fraction(a.some("min")) || fraction(a.some("max"))) {
        id = vm.cast(id, DType::Float)?;
    }
    let out = vm.un(UnaryOp::Clamp { min, max }, id);
    done(vm, out)
}

fn masked_fill(vm: &mut Interp, a: &Args) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let mask = a.tensor(vm, "mask")?;
    if vm.graph.dtype(mask) != DType::Bool {
        let d = vm.fault(Category::Shape, "E-SHAPE-DTYPE", "masked_fill needs a bool mask");
        return Err(Box::new(d.help("compare first, as in mask == 0, or use mask.bool()")));
    }
    let value = a.operand(vm, "value")?;
    if !vm.graph.shape(value).is_empty() {
        return vm.shape_fault("E-SHAPE-OP", "masked_fill takes a single value; use torch.where for a tensor");
    }
    let (shape, dtype) = (vm.graph.shape(id).clone(), vm.graph.dtype(id));
    let value = vm.cast(value, dtype)?;
    let out = vm.push(Op::Where, &[mask, value, id])?;
    if *vm.graph.shape(out) != shape {
        // out of place, torch broadcasts both; the usual mistake is a mask with too many axes
        vm.step()?;
    }
    Ok(vm.tensor_value(out))
}

fn choose(vm: &mut Interp, a: &Args) -> R<Value> {
    if a.get("x").is_none() || a.get("other").is_none() {
        return vm.unsupported(
            "E-UNSUPPORTED-MASK-INDEX",
            "torch.where(condition) alone gives a size that depends on values",
        );
    }
    let condition = a.tensor(vm, "condition")?;
    if vm.graph.dtype(condition) != DType::Bool {
        let d = vm.fault(Category::Shape, "E-SHAPE-DTYPE", "torch.where needs a bool condition");
        return Err(Box::new(d.help("compare first, as in mask > 0, or use mask.bool()")));
    }
    let (x, y) = (a.operand(vm, "x")?, a.operand(vm, "other")?);
    let out = vm.push(Op::Where, &[condition, x, y]);
    done(vm, out)
}

/// `Tensor.where(condition, other)`.
fn choose_self(vm: &mut Interp, a: &Args) -> R<Value> {
    let condition = a.tensor(vm, "condition")?;
    let (x, y) = (a.operand(vm, "input")?, a.operand(vm, "other")?);
    let out = vm.push(Op::Where, &[condition, x, y]);
    done(vm, out)
}

fn lerp(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y, w) = (a.tensor(vm, "input")?, a.tensor(vm, "end")?, a.operand(vm, "weight")?);
    let d = vm.bin(BinaryOp::Sub, y, x)?;
    let d = vm.bin(BinaryOp::Mul, w, d)?;
    let out = vm.bin(BinaryOp::Add, x, d);
    done(vm, out)
}

fn matmul(vm: &mut Interp, a: &Args, rank: Option<usize>) -> R<Value> {
    let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
    if let Some(rank) = rank {
        for id in [x, y] {
            if vm.graph.shape(id).len() != rank {
                let text = format!(
                    "{} needs tensors of {rank} axes, not {}",
                    a.function(),
                    graph::display(vm.graph.shape(id))
                );
                return vm.shape_fault("E-SHAPE-MATMUL", text);
            }
        }
        // without broadcasting
        if rank == 3 && vm.graph.shape(x).first() != vm.graph.shape(y).first() {
            let text = format!(
                "bmm: {} and {} differ in the first axis",
                graph::display(vm.graph.shape(x)),
                graph::display(vm.graph.shape(y))
            );
            return vm.shape_fault("E-SHAPE-MATMUL", text);
        }
    }
    let out = vm.push(Op::MatMul, &[x, y]);
    done(vm, out)
}

/// `beta * input + alpha * (x @ y)`.
fn add_matmul(vm: &mut Interp, a: &Args) -> R<Value> {
    let (input, x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "x")?, a.tensor(vm, "y")?);
    let (beta, alpha) = (a.float_or(vm, "beta", 1.0)?, a.float_or(vm, "alpha", 1.0)?);
    let mut product = vm.push(Op::MatMul, &[x, y])?;
    if alpha != 1.0 {
        let s = vm.float(alpha)?;
        product = vm.bin(BinaryOp::Mul, product, s)?;
    }
    if beta == 0.0 {
        return Ok(vm.tensor_value(product));
    }
    let mut added = input;
    if beta != 1.0 {
        let s = vm.float(beta)?;
        added = vm.bin(BinaryOp::Mul, added, s)?;
    }
    let out = vm.bin(BinaryOp::Add, added, product);
    done(vm, out)
}

fn einsum(vm: &mut Interp, a: &Args) -> R<Value> {
    let equation = a.text(vm, "equation")?;
    let mut ids = Vec::new();
    let operands = match a.rest.as_slice() {
        [list @ (Value::List(_) | Value::Tuple(_))] => vm.items(&list.clone())?,
        many => many.to_vec(),
    };
    for operand in &operands {
        match operand {
            Value::Tensor(t) => ids.push(vm.node(t)?),
            other => return vm.type_fault(format!("einsum() takes tensors, not {}", other.type_name())),
        }
    }
    let ranks: Vec<usize> = ids.iter().map(|i| vm.graph.shape(*i).len()).collect();
    let normal = match normal_equation(&equation, &ranks) {
        Ok(text) => text,
        Err(reason) => return vm.shape_fault("E-SHAPE-EINSUM", format!("einsum \"{equation}\": {reason}")),
    };
    let out = vm.push(Op::Einsum(normal), &ids);
    done(vm, out)
}

/// The equation without spaces and `...`, its output spelled out.
fn normal_equation(equation: &str, ranks: &[usize]) -> Result<String, String> {
    let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = match text.split_once("->") {
        Some((i, o)) => (i, Some(o)),
        None => (text.as_str(), None),
    };
    let inputs: Vec<&str> = inputs.split(',').collect();
    if inputs.len() != ranks.len() {
        return Err(format!("it names {} operands, but {} are given", inputs.len(), ranks.len()));
    }
    let free: Vec<char> = ('A'..='Z').chain('a'..='z').filter(|c| !text.contains(*c)).collect();
    let mut widest = 0;
    for (part, rank) in inputs.iter().zip(ranks) {
        if part.contains("...") {
            let named = part.chars().filter(|c| c.is_alphabetic()).count();
            widest = widest.max(rank.checked_sub(named).ok_or("an operand has fewer axes than letters")?);
        }
    }
    let dots: Vec<char> = free.get(..widest).ok_or("too many axes")?.to_vec();
    let spell = |part: &str, count: usize| -> String {
        let letters: String = dots.iter().skip(widest - count.min(widest)).collect();
        part.replace("...", &letters)
    };
    let mut spelled = Vec::new();
    for (part, rank) in inputs.iter().zip(ranks) {
        let named = part.chars().filter(|c| c.is_alphabetic()).count();
        spelled.push(spell(part, rank.saturating_sub(named)));
    }
    let output = match output {
        Some(o) => spell(o, widest),
        None => {
            // letters that occur once, in alphabetical order, behind those of '...'
            let joined: String = spelled.concat();
            let mut once: Vec<char> =
                joined.chars().filter(|c| !dots.contains(c) && joined.matches(*c).count() == 1).collect();
            once.sort_unstable();
            dots.iter().chain(&once).collect()
        }
    };
    Ok(format!("{}->{output}", spelled.join(",")))
}

fn topk(vm: &mut Interp, a: &Args) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let k = a.dim(vm, "k")?;
    let rank = vm.graph.shape(id).len();
    let dim = a.axis_or(vm, "dim", -1, rank)?;
    let largest = a.bool(vm, "largest", true)?;
    let values = vm.push(Op::TopK { k: k.clone(), dim, largest }, &[id])?;
    let indices = vm.push(Op::TopKIndices { k, dim, largest }, &[id])?;
    pair(vm, values, indices)
}

fn sort(vm: &mut Interp, a: &Args) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let rank = vm.graph.shape(id).len();
    let dim = a.axis_or(vm, "dim", -1, rank)?;
    let descending = a.bool(vm, "descending", false)?;
    let values = vm.push(Op::Sort { dim, descending }, &[id])?;
    let indices = vm.push(Op::ArgSort { dim, descending }, &[id])?;
    pair(vm, values, indices)
}

fn argsort(vm: &mut Interp, a: &Args) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let rank = vm.graph.shape(id).len();
    let dim = a.axis_or(vm, "dim", -1, rank)?;
    let descending = a.bool(vm, "descending", false)?;
    let out = vm.push(Op::ArgSort { dim, descending }, &[id]);
    done(vm, out)
}

fn gather(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, index) = (a.tensor(vm, "input")?, a.tensor(vm, "index")?);
    let dim = a.axis(vm, "dim", vm.graph.shape(x).len())?;
    let out = vm.push(Op::Gather { dim }, &[x, index]);
    done(vm, out)
}

fn scatter(vm: &mut Interp, a: &Args, add: bool) -> R<Value> {
    let (x, index) = (a.tensor(vm, "input")?, a.tensor(vm, "index")?);
    let dim = a.axis(vm, "dim", vm.graph.shape(x).len())?;
    let src = match a.some("src").or_else(|| a.some("value")) {
        Some(Value::Tensor(t)) => vm.node(&t.clone())?,
        Some(v) => {
            let v = vm.as_float(&v.clone(), a.function(), "src")?;
            let (shape, dtype) = (vm.graph.shape(index).clone(), vm.graph.dtype(x));
            vm.push_as(Op::Full(v), &[], shape, dtype)?
        }
        None => return vm.type_fault(format!("{}() needs the argument 'src'", a.function())),
    };
    let op = if add { Op::ScatterAdd { dim } } else { Op::Scatter { dim } };
    let out = vm.push(op, &[x, index, src]);
    done(vm, out)
}

fn one_hot(vm: &mut Interp, a: &Args) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let classes = a.int_or(vm, "num_classes", -1)?;
    let Ok(classes) = usize::try_from(classes) else {
        return vm.unsupported("E-UNSUPPORTED-OP", "one_hot needs num_classes: without it the size depends on values");
    };
    if let Value::Dim(d) = a.value("num_classes") {
        return vm.unsupported("E-UNSUPPORTED-SIZE", format!("one_hot with {d} classes is not supported"));
    }
    if vm.graph.dtype(id) != DType::Int {
        return vm.shape_fault("E-SHAPE-DTYPE", "one_hot needs integers; use .long()");
    }
    let out = vm.push(Op::OneHot { classes }, &[id])?;
    let out = vm.cast(out, DType::Int);
    done(vm, out)
}

fn normalize(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let rank = vm.graph.shape(x).len();
    let dim = a.axis_or(vm, "dim", 1, rank)?;
    let (p, eps) = (a.float_or(vm, "p", 2.0)?, a.float_or(vm, "eps", 1e-12)?);
    let n = vm.push(Op::Reduce { op: ReduceOp::Norm { p }, dims: vec![dim], keepdim: true }, &[x])?;
    let n = vm.un(UnaryOp::Clamp { min: eps, max: f64::INFINITY }, n)?;
    let out = vm.bin(BinaryOp::Div, x, n);
    done(vm, out)
}

fn cosine_similarity(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y) = (a.tensor(vm, "x1")?, a.tensor(vm, "x2")?);
    let product = vm.bin(BinaryOp::Mul, x, y)?;
    let rank = vm.graph.shape(product).len();
    let dim = a.axis_or(vm, "dim", 1, rank)?;
    let eps = a.float_or(vm, "eps", 1e-8)?;
    let dot = vm.push(Op::Reduce { op: ReduceOp::Sum, dims: vec![dim], keepdim: false }, &[product])?;
    let shape = vm.graph.shape(product).clone();
    let mut lengths = Vec::new();
    for id in [x, y] {
        let dtype = vm.graph.dtype(id);
        let wide = vm.push_as(Op::Expand, &[id], shape.clone(), dtype)?;
        let n = vm.push(Op::Reduce { op: ReduceOp::Norm { p: 2.0 }, dims: vec![dim], keepdim: false }, &[wide])?;
        lengths.push(vm.un(UnaryOp::Clamp { min: eps, max: f64::INFINITY }, n)?);
    }
    let [nx, ny] = lengths.as_slice() else { return vm.type_fault("two tensors are needed") };
    let scale = vm.bin(BinaryOp::Mul, *nx, *ny)?;
    let out = vm.bin(BinaryOp::Div, dot, scale);
    done(vm, out)
}

fn attention(vm: &mut Interp, a: &Args) -> R<Value> {
    let (q, k, v) = (a.tensor(vm, "query")?, a.tensor(vm, "key")?, a.tensor(vm, "value")?);
    if a.float_or(vm, "dropout_p", 0.0)? != 0.0 {
        return random(vm);
    }
    if a.bool(vm, "is_causal", false)? {
        return vm.unsupported("E-UNSUPPORTED-OP", "is_causal is not supported; pass a mask");
    }
    let rank = vm.graph.shape(k).len();
    let (Some(width), true) = (vm.graph.shape(q).last().and_then(Dim::as_known), rank >= 2) else {
        return vm.shape_fault("E-SHAPE-MATMUL", "attention needs a known feature size");
    };
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 1, rank - 2);
    let kt = vm.push(Op::Permute(perm), &[k])?;
    let scale = a.float_or(vm, "scale", 1.0 / (width as f64).sqrt())?;
    let mut scores = vm.push(Op::MatMul, &[q, kt])?;
    let s = vm.float(scale)?;
    scores = vm.bin(BinaryOp::Mul, scores, s)?;
    if a.some("attn_mask").is_some() {
        let mask = a.tensor(vm, "attn_mask")?;
        scores = if vm.graph.dtype(mask) == DType::Bool {
            let low = vm.float(f64::NEG_INFINITY)?;
            vm.push(Op::Where, &[mask, scores, low])?
        } else {
            vm.bin(BinaryOp::Add, scores, mask)?
        };
    }
    let dim = vm.graph.shape(scores).len() - 1;
    let p = vm.push(Op::Softmax { dim }, &[scores])?;
    let out = vm.push(Op::MatMul, &[p, v]);
    done(vm, out)
}

fn random<T>(vm: &Interp) -> R<T> {
    let d = vm.fault(
        Category::Unsupported,
        "E-UNSUPPORTED-RANDOM",
        "random values in the computation make every evaluation different",
    );
    Err(Box::new(d.help("leave dropout and noise out, or set p to 0")))
}

fn dropout(vm: &mut Interp, a: &Args) -> R<Value> {
    if a.float_or(vm, "p", 0.5)? == 0.0 || !a.bool(vm, "training", true)? {
        return Ok(a.value("input"));
    }
    random(vm)
}

fn layer_norm(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let sizes = match a.value("normalized_shape") {
        v @ (Value::Tuple(_) | Value::List(_)) => vm.items(&v)?,
        _ => return vm.type_fault("layer_norm(): 'normalized_shape' must be a tuple of integers"),
    };
    let sizes = vm.new_shape(&sizes)?;
    let weight = if a.some("weight").is_some() { Some(a.tensor(vm, "weight")?) } else { None };
    let bias = if a.some("bias").is_some() { Some(a.tensor(vm, "bias")?) } else { None };
    let eps = a.float_or(vm, "eps", 1e-5)?;
    let out = vm.layer_norm(x, &sizes, weight, bias, eps);
    done(vm, out)
}

fn glu(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(vm, a, "input")?;
    let rank = vm.shape_of(&t).len();
    let dim = a.axis_or(vm, "dim", -1, rank)?;
    let size = axis_size(vm, &t, dim);
    let Some(half) = size.div_exact(&Dim::known(2)) else {
        return vm.shape_fault("E-SHAPE-SPLIT", format!("glu halves an axis of {size}, which is not even"));
    };
    let halves = pieces(vm, &t, dim, &[half.clone(), half])?;
    let halves = vm.items(&halves)?;
    let [Value::Tensor(x), Value::Tensor(g)] = halves.as_slice() else {
        return vm.type_fault("two halves expected");
    };
    let (x, g) = (vm.node(x)?, vm.node(g)?);
    let g = vm.un(UnaryOp::Sigmoid, g)?;
    let out = vm.bin(BinaryOp::Mul, x, g);
    done(vm, out)
}

/// `F.pad` with constants: cat with blocks of them.
fn pad(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut id = a.tensor(vm, "input")?;
    if &*a.text_or(vm, "mode", "constant")? != "constant" {
        return vm.unsupported("E-UNSUPPORTED-OP", "of the padding modes, only 'constant' is supported");
    }
    let value = a.float_or(vm, "value", 0.0)?;
    let items = vm.items(&a.value("pad"))?;
    let sizes = vm.new_shape(&items)?;
    let rank = vm.graph.shape(id).len();
    if sizes.len() % 2 == 1 || sizes.len() / 2 > rank {
        return vm.shape_fault("E-SHAPE-OP", "pad takes a pair of counts for each axis, the last one first");
    }
    for (i, sides) in sizes.chunks_exact(2).enumerate() {
        let dim = rank - 1 - i;
        let mut parts = Vec::new();
        for (at, count) in sides.iter().enumerate() {
            if count.as_known() != Some(0) {
                let mut shape = vm.graph.shape(id).clone();
                if let Some(d) = shape.get_mut(dim) {
                    *d = count.clone();
                }
                let dtype = vm.graph.dtype(id);
                parts.push((at, vm.push_as(Op::Full(value), &[], shape, dtype)?));
            }
        }
        if parts.is_empty() {
            continue;
        }
        let mut row: Vec<NodeId> = parts.iter().filter(|p| p.0 == 0).map(|p| p.1).collect();
        row.push(id);
        row.extend(parts.iter().filter(|p| p.0 == 1).map(|p| p.1));
        id = vm.push(Op::Cat { dim }, &row)?;
    }
    Ok(vm.tensor_value(id))
}

fn triangle(vm: &mut Interp, a: &Args, lower: bool) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let diagonal = a.int_or(vm, "diagonal", 0)?;
    let out = vm.push(if lower { Op::Tril { diagonal } } else { Op::Triu { diagonal } }, &[id]);
    done(vm, out)
}

fn diagonal(vm: &mut Interp, a: &Args) -> R<Value> {
    view(vm, a, |vm, id, rank| {
        let offset = a.int_or(vm, "offset", 0)?;
        let dim1 = a.axis_or(vm, "dim1", 0, rank)?;
        let dim2 = a.axis_or(vm, "dim2", 1, rank)?;
        vm.push(Op::Diagonal { offset, dim1, dim2 }, &[id])
    })
}

fn eye(vm: &mut Interp, a: &Args) -> R<Value> {
    let rows = a.dim(vm, "n")?;
    let columns = if a.some("m").is_some() { a.dim(vm, "m")? } else { rows.clone() };
    let dtype = a.dtype(vm, "dtype", DType::Float)?;
    let shape = vec![rows, columns];
    let known: Option<Vec<usize>> = shape.iter().map(|d| d.as_known().and_then(|k| usize::try_from(k).ok())).collect();
    if let Some(known) = known {
        return Ok(vm.literal_value(known, Init::Eye, dtype));
    }
    let out = vm.push_as(Op::Eye, &[], shape, dtype);
    done(vm, out)
}

fn arange(vm: &mut Interp, a: &Args) -> R<Value> {
    let (start, end, step) = match a.rest.as_slice() {
        [end] => (Value::Int(0), end.clone(), Value::Int(1)),
        [start, end] => (start.clone(), end.clone(), Value::Int(1)),
        [start, end, step] => (start.clone(), end.clone(), step.clone()),
        _ => match (a.get("start"), a.get("end"), a.get("step")) {
            (start, Some(end), step) => {
                let or = |v: Option<&Value>, d| v.cloned().unwrap_or(Value::Int(d));
                (or(start, 0), end.clone(), or(step, 1))
            }
            _ => return vm.type_fault("arange() takes one to three numbers"),
        },
    };
    let integers = [&start, &end, &step].iter().all(|v| vm.as_dim(v).is_some());
    let dtype = a.dtype(vm, "dtype", if integers { DType::Int } else { DType::Float })?;
    if let (Some(s), Some(e), Some(by)) = (vm.as_dim(&start), vm.as_dim(&end), vm.as_dim(&step)) {
        let (Some(first), Some(by)) = (s.as_known(), by.as_known()) else {
            return vm.unsupported("E-UNSUPPORTED-SIZE", "arange() with a symbolic start or step is not supported");
        };
        if by == 0 {
            return vm.value_fault("arange() by steps of 0");
        }
        let distance = if by > 0 { e - s } else { s - e };
        let Some(len) = distance.div_ceil(by.saturating_abs()) else {
            return vm.unsupported(
                "E-UNSUPPORTED-SIZE",
                format!("the length of arange() to {distance} by {by} is no polynomial"),
            );
        };
        if !len.provably_ge(&Dim::known(0)) {
            return vm.value_fault("arange() runs backwards");
        }
        let out = vm.push_as(Op::Arange { start: first as f64, step: by as f64 }, &[], vec![len], dtype);
        return done(vm, out);
    }
    let (s, e, by) = (
        vm.as_float(&start, "arange", "start")?,
        vm.as_float(&end, "arange", "end")?,
        vm.as_float(&step, "arange", "step")?,
    );
    if by == 0.0 || !((e - s) / by).is_finite() || (e - s) / by < 0.0 {
        return vm.value_fault("arange() with these numbers has no elements");
    }
    let len = ((e - s) / by).ceil() as i64;
    let out = vm.push_as(Op::Arange { start: s, step: by }, &[], vec![Dim::known(len)], dtype);
    done(vm, out)
}

fn linspace(vm: &mut Interp, a: &Args) -> R<Value> {
    let (start, end) = (a.float_or(vm, "start", 0.0)?, a.float_or(vm, "end", 0.0)?);
    let steps = a.size(vm, "steps")?;
    if steps > 1 << 16 {
        return Err(vm.fault(Category::Budget, "E-BUDGET-ELEMENTS", "linspace() with too many steps"));
    }
    let by = if steps > 1 { (end - start) / (steps - 1) as f64 } else { 0.0 };
    let values = (0..steps).map(|i| if i + 1 == steps && steps > 1 { end } else { start + by * i as f64 }).collect();
    Ok(vm.literal_value(vec![steps], Init::Values(values), DType::Float))
}

fn create(vm: &mut Interp, a: &Args, init: Init) -> R<Value> {
    let sizes = a.sizes(vm)?;
    let shape = vm.new_shape(&sizes)?;
    let dtype = a.dtype(vm, "dtype", DType::Float)?;
    vm.filled(shape, init, dtype)
}

fn full(vm: &mut Interp, a: &Args) -> R<Value> {
    let sizes = match a.value("size") {
        v @ (Value::Tuple(_) | Value::List(_)) => vm.items(&v)?,
        one => vec![one],
    };
    let shape = vm.new_shape(&sizes)?;
    fill(vm, a, shape, None)
}

/// A tensor of one value; the value's type decides where no dtype is given.
fn fill(vm: &mut Interp, a: &Args, shape: Shape, like: Option<DType>) -> R<Value> {
    let value = a.value("fill_value");
    let own = match &value {
        Value::Bool(_) => DType::Bool,
        Value::Int(_) | Value::Dim(_) => DType::Int,
        _ => DType::Float,
    };
    let dtype = a.dtype(vm, "dtype", like.unwrap_or(own))?;
    if matches!(value, Value::Dim(_) | Value::Number(_) | Value::Tensor(_)) {
        let id = a.operand(vm, "fill_value")?;
        let id = vm.cast(id, dtype)?;
        let out = vm.push_as(Op::Expand, &[id], shape, dtype);
        return done(vm, out);
    }
    let v = a.float_or(vm, "fill_value", 0.0)?;
    vm.filled(shape, Init::Constant(v), dtype)
}

fn like(vm: &mut Interp, a: &Args, init: Init) -> R<Value> {
    let t = base(vm, a, "input")?;
    let shape = vm.shape_of(&t);
    let dtype = a.dtype(vm, "dtype", vm.dtype_of(&t))?;
    vm.filled(shape, init, dtype)
}

fn new_like(vm: &mut Interp, a: &Args, init: Init) -> R<Value> {
    let t = base(vm, a, "input")?;
    let sizes = a.sizes(vm)?;
    let shape = vm.new_shape(&sizes)?;
    let dtype = a.dtype(vm, "dtype", vm.dtype_of(&t))?;
    vm.filled(shape, init, dtype)
}

/// Nested lists of numbers, row-major.
fn flatten_data(vm: &mut Interp, value: &Value, out: &mut Vec<f64>, top: &mut DType, depth: usize) -> R<Vec<usize>> {
    vm.step()?;
    match value {
        Value::List(_) | Value::Tuple(_) if depth < 8 => {
            let items = vm.items(value)?;
            let mut inner: Option<Vec<usize>> = None;
            for item in &items {
                let shape = flatten_data(vm, item, out, top, depth + 1)?;
                if inner.as_ref().is_some_and(|i| *i != shape) {
                    return vm.value_fault("the lists that make a tensor must be of equal length");
                }
                inner = Some(shape);
            }
            let mut shape = vec![items.len()];
            shape.extend(inner.unwrap_or_default());
            Ok(shape)
        }
        Value::Float(f) => {
            *top = (*top).max(DType::Float);
            out.push(*f);
            Ok(Vec::new())
        }
        Value::Int(i) => {
            *top = (*top).max(DType::Int);
            out.push(*i as f64);
            Ok(Vec::new())
        }
        Value::Bool(b) => {
            out.push(f64::from(u8::from(*b)));
            Ok(Vec::new())
        }
        other => vm.unsupported("E-UNSUPPORTED-OP", format!("a tensor cannot be made of {} here", other.type_name())),
    }
}

fn tensor(vm: &mut Interp, a: &Args) -> R<Value> {
    let data = a.value("data");
    if matches!(data, Value::Tensor(_)) {
        return Ok(data);
    }
    if matches!(data, Value::Dim(_) | Value::Number(_)) {
        let id = a.operand(vm, "data")?;
        let dtype = a.dtype(vm, "dtype", vm.graph.dtype(id))?;
        let out = vm.cast(id, dtype);
        return done(vm, out);
    }
    let (mut values, mut top) = (Vec::new(), DType::Bool);
    let shape = flatten_data(vm, &data, &mut values, &mut top, 0)?;
    vm.allocate(values.len())?;
    let dtype = a.dtype(vm, "dtype", if values.is_empty() { DType::Float } else { top })?;
    let init = match values.as_slice() {
        [one] => Init::Constant(*one),
        _ => Init::Values(values),
    };
    Ok(vm.literal_value(shape, init, dtype))
}

fn to(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(vm, a, "input")?;
    let mut target = None;
    for v in a.rest.iter().chain(a.get("dtype")) {
        match v {
            Value::DType(d) => target = Some(vm.precision(*d)?),
            Value::Tensor(other) => target = Some(vm.dtype_of(other)),
            _ => {}
        }
    }
    convert(vm, &t, target)
}

fn convert(vm: &mut Interp, t: &Rc<Tensor>, target: Option<DType>) -> R<Value> {
    match target {
        Some(dtype) if vm.dtype_of(t) != dtype => {
            if let Data::Literal(l) = t.data.borrow().clone()
                && let (DType::Float, Some(_)) = (dtype, l.values())
            {
                return Ok(vm.literal_value(l.shape, l.init, dtype));
            }
            let id = vm.node(t)?;
            let out = vm.cast(id, dtype);
            done(vm, out)
        }
        _ => Ok(Value::Tensor(t.clone())),
    }
}

fn size(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(vm, a, "input")?;
    let shape = vm.shape_of(&t);
    if a.some("dim").is_none() {
        return Ok(Value::tuple(shape.iter().map(Value::dim).collect()));
    }
    let dim = a.axis(vm, "dim", shape.len())?;
    Ok(shape.get(dim).map_or(Value::None, Value::dim))
}

fn same(vm: &mut Interp, a: &Args) -> R<Value> {
    Ok(Value::Tensor(base(vm, a, "input")?))
}

fn copy(vm: &mut Interp, a: &Args) -> R<Value> {
    let value = a.value("input");
    if let Some(l) = vm.literal(&value) {
        return Ok(vm.literal_value(l.shape, l.init, l.dtype));
    }
    let id = a.tensor(vm, "input")?;
    Ok(vm.tensor_value(id))
}

fn detach(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(vm, a, "input")?;
    if matches!(&*t.data.borrow(), Data::Literal(_)) {
        return Ok(Value::Tensor(t));
    }
    view(vm, a, |vm, id, _| vm.push(Op::Detach, &[id]))
}

fn in_place(vm: &mut Interp, a: &Args, op: BinOp) -> R<Value> {
    let t = base(vm, a, "input")?;
    let mut other = a.value("other");
    if let Some(alpha) = a.some("alpha") {
        other = vm.binary(&other, BinOp::Mul, &alpha.clone())?;
    }
    vm.update_in_place(&t, op, &other)?;
    Ok(Value::Tensor(t))
}

macro_rules! un {
    ($names:literal, $op:expr) => {
        Native { names: $names, signature: "input inplace?", run: |vm, a| unary(vm, a, $op) }
    };
}
macro_rules! bin {
    ($names:literal, $op:ident) => {
        Native { names: $names, signature: "input other", run: |vm, a| binary(vm, a, BinaryOp::$op) }
    };
}
macro_rules! red {
    ($names:literal, $op:expr) => {
        Native { names: $names, signature: "input dim? keepdim? | dtype?", run: |vm, a| reduction(vm, a, $op) }
    };
}
macro_rules! f {
    ($names:literal, $signature:literal, $run:expr) => {
        Native { names: $names, signature: $signature, run: $run }
    };
}
macro_rules! refuse_random {
    ($names:literal) => {
        Native { names: $names, signature: "*args **kwargs", run: |vm, _| random(vm) }
    };
}

pub static POINTWISE: &[Native] = &[
    un!("torch.relu torch.nn.functional.relu Tensor.relu torch.relu_", UnaryOp::Relu),
    un!("torch.sigmoid torch.nn.functional.sigmoid Tensor.sigmoid torch.expit", UnaryOp::Sigmoid),
    un!("torch.nn.functional.logsigmoid", UnaryOp::LogSigmoid),
    un!("torch.tanh torch.nn.functional.tanh Tensor.tanh", UnaryOp::Tanh),
    un!("torch.neg torch.negative Tensor.neg", UnaryOp::Neg),
    un!("torch.abs torch.absolute Tensor.abs", UnaryOp::Abs),
    un!("torch.sign Tensor.sign torch.sgn", UnaryOp::Sign),
    un!("torch.exp Tensor.exp", UnaryOp::Exp),
    un!("torch.expm1 Tensor.expm1", UnaryOp::Expm1),
    un!("torch.log Tensor.log", UnaryOp::Log),
    un!("torch.log2 Tensor.log2", UnaryOp::Log2),
    un!("torch.log10 Tensor.log10", UnaryOp::Log10),
    un!("torch.log1p Tensor.log1p", UnaryOp::Log1p),
    un!("torch.sqrt Tensor.sqrt", UnaryOp::Sqrt),
    un!("torch.rsqrt Tensor.rsqrt", UnaryOp::Rsqrt),
    un!("torch.square Tensor.square", UnaryOp::Square),
    un!("torch.reciprocal Tensor.reciprocal", UnaryOp::Reciprocal),
    un!("torch.sin Tensor.sin", UnaryOp::Sin),
    un!("torch.cos Tensor.cos", UnaryOp::Cos),
    un!("torch.tan Tensor.tan", UnaryOp::Tan),
    un!("torch.atan torch.arctan Tensor.atan", UnaryOp::Atan),
    un!("torch.sinh Tensor.sinh", UnaryOp::Sinh),
    un!("torch.cosh Tensor.cosh", UnaryOp::Cosh),
    un!("torch.erf Tensor.erf", UnaryOp::Erf),
    un!("torch.floor Tensor.floor", UnaryOp::Floor),
    un!("torch.ceil Tensor.ceil", UnaryOp::Ceil),
    un!("torch.round Tensor.round", UnaryOp::Round),
    un!("torch.trunc torch.fix Tensor.trunc", UnaryOp::Trunc),
    un!("torch.nn.functional.silu torch.nn.functional.swish", UnaryOp::Silu),
    un!("torch.nn.functional.mish", UnaryOp::Mish),
    un!("torch.selu torch.nn.functional.selu", UnaryOp::Selu),
    un!("torch.nn.functional.softsign", UnaryOp::Softsign),
    un!("torch.nn.functional.hardsigmoid", UnaryOp::Hardsigmoid),
    un!("torch.nn.functional.hardswish", UnaryOp::Hardswish),
    un!("torch.nn.functional.relu6", UnaryOp::Hardtanh { min: 0.0, max: 6.0 }),
    un!("torch.isnan Tensor.isnan", UnaryOp::IsNan),
    un!("torch.isinf Tensor.isinf", UnaryOp::IsInf),
    un!("torch.isfinite Tensor.isfinite", UnaryOp::IsFinite),
    bin!("torch.pow Tensor.pow torch.float_power", Pow),
    bin!("torch.maximum Tensor.maximum torch.fmax", Maximum),
    bin!("torch.minimum Tensor.minimum torch.fmin", Minimum),
    bin!("torch.remainder Tensor.remainder", Remainder),
    bin!("torch.floor_divide Tensor.floor_divide", FloorDiv),
    bin!("torch.atan2 Tensor.atan2 torch.arctan2", Atan2),
    bin!("torch.eq Tensor.eq", Eq),
    bin!("torch.ne Tensor.ne torch.not_equal", Ne),
    bin!("torch.lt Tensor.lt torch.less", Lt),
    bin!("torch.le Tensor.le torch.less_equal", Le),
    bin!("torch.gt Tensor.gt torch.greater", Gt),
    bin!("torch.ge Tensor.ge torch.greater_equal", Ge),
    bin!("torch.bitwise_and Tensor.bitwise_and", And),
    bin!("torch.bitwise_or Tensor.bitwise_or", Or),
    bin!("torch.bitwise_xor Tensor.bitwise_xor", Xor),
];

pub static TABLE: &[Native] = &[
    f!("torch.nn.functional.gelu", "input | approximate?", |vm, a| {
        let tanh = &*a.text_or(vm, "approximate", "none")? == "tanh";
        unary(vm, a, UnaryOp::Gelu { tanh })
    }),
    f!("torch.nn.functional.leaky_relu", "input negative_slope? inplace?", |vm, a| {
        let slope = a.float_or(vm, "negative_slope", 0.01)?;
        unary(vm, a, UnaryOp::LeakyRelu { slope })
    }),
    f!("torch.nn.functional.elu", "input alpha? inplace?", |vm, a| {
        let alpha = a.float_or(vm, "alpha", 1.0)?;
        unary(vm, a, UnaryOp::Elu { alpha })
    }),
    f!("torch.celu torch.nn.functional.celu", "input alpha? inplace?", |vm, a| {
        let alpha = a.float_or(vm, "alpha", 1.0)?;
        unary(vm, a, UnaryOp::Celu { alpha })
    }),
    f!("torch.nn.functional.softplus", "input beta? threshold?", |vm, a| {
        let (beta, threshold) = (a.float_or(vm, "beta", 1.0)?, a.float_or(vm, "threshold", 20.0)?);
        unary(vm, a, UnaryOp::Softplus { beta, threshold })
    }),
    f!("torch.nn.functional.hardtanh", "input min_val? max_val? inplace?", |vm, a| {
        let (min, max) = (a.float_or(vm, "min_val", -1.0)?, a.float_or(vm, "max_val", 1.0)?);
        unary(vm, a, UnaryOp::Hardtanh { min, max })
    }),
    f!("torch.nn.functional.tanhshrink", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let y = vm.un(UnaryOp::Tanh, x)?;
        let out = vm.bin(BinaryOp::Sub, x, y);
        done(vm, out)
    }),
    f!("torch.logit Tensor.logit", "input eps?", |vm, a| {
        let mut x = a.tensor(vm, "input")?;
        if a.some("eps").is_some() {
            let eps = a.float_or(vm, "eps", 0.0)?;
            x = vm.un(UnaryOp::Clamp { min: eps, max: 1.0 - eps }, x)?;
        }
        let one = vm.float(1.0)?;
        let rest = vm.bin(BinaryOp::Sub, one, x)?;
        let odds = vm.bin(BinaryOp::Div, x, rest)?;
        let out = vm.un(UnaryOp::Log, odds);
        done(vm, out)
    }),
    f!("torch.add Tensor.add", "input other | alpha?", |vm, a| scaled(vm, a, BinOp::Add)),
    f!("torch.sub torch.subtract Tensor.sub", "input other | alpha?", |vm, a| scaled(vm, a, BinOp::Sub)),
    f!("torch.rsub", "input other", |vm, a| vm.binary_tensor(&a.value("other"), BinOp::Sub, &a.value("input"))),
    f!("torch.mul torch.multiply Tensor.mul", "input other", |vm, a| {
        vm.binary_tensor(&a.value("input"), BinOp::Mul, &a.value("other"))
    }),
    f!("torch.div torch.divide torch.true_divide Tensor.div", "input other | rounding_mode?", divide),
    f!("torch.logical_and Tensor.logical_and", "input other", |vm, a| logical(vm, a, BinaryOp::And)),
    f!("torch.logical_or Tensor.logical_or", "input other", |vm, a| logical(vm, a, BinaryOp::Or)),
    f!("torch.logical_xor Tensor.logical_xor", "input other", |vm, a| logical(vm, a, BinaryOp::Xor)),
    f!("torch.logical_not Tensor.logical_not torch.bitwise_not", "input", |vm, a| {
        let id = a.tensor(vm, "input")?;
        let id = vm.as_bool_node(id)?;
        let out = vm.un(UnaryOp::LogicalNot, id);
        done(vm, out)
    }),
    f!("torch.logaddexp Tensor.logaddexp", "input other", |vm, a| {
        let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
        let top = vm.bin(BinaryOp::Maximum, x, y)?;
        let gap = vm.bin(BinaryOp::Sub, x, y)?;
        let gap = vm.un(UnaryOp::Abs, gap)?;
        let gap = vm.un(UnaryOp::Neg, gap)?;
        let tail = vm.un(UnaryOp::Exp, gap)?;
        let tail = vm.un(UnaryOp::Log1p, tail)?;
        let out = vm.bin(BinaryOp::Add, top, tail);
        done(vm, out)
    }),
    f!("torch.clamp torch.clip Tensor.clamp Tensor.clip", "input min? max?", clamp),
    f!("torch.clamp_min Tensor.clamp_min", "input min", clamp),
    f!("torch.clamp_max Tensor.clamp_max", "input max min?", clamp),
    f!("torch.nan_to_num Tensor.nan_to_num", "input nan? posinf? neginf?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let nan = a.float_or(vm, "nan", 0.0)?;
        let top = f64::from(f32::MAX);
        let (high, low) = (a.float_or(vm, "posinf", top)?, a.float_or(vm, "neginf", -top)?);
        let (fill, broken) = (vm.float(nan)?, vm.un(UnaryOp::IsNan, x)?);
        let x = vm.push(Op::Where, &[broken, fill, x])?;
        let out = vm.un(UnaryOp::Clamp { min: low, max: high }, x);
        done(vm, out)
    }),
    f!("torch.lerp Tensor.lerp", "input end weight", lerp),
    f!("torch.addcmul Tensor.addcmul", "input tensor1 tensor2 | value?", |vm, a| {
        let product = vm.binary_tensor(&a.value("tensor1"), BinOp::Mul, &a.value("tensor2"))?;
        let product = vm.binary(&product, BinOp::Mul, &Value::Float(a.float_or(vm, "value", 1.0)?))?;
        vm.binary_tensor(&a.value("input"), BinOp::Add, &product)
    }),
    f!("torch.where", "condition x? other?", choose),
    f!("Tensor.where", "input condition other", choose_self),
    f!("torch.masked_fill Tensor.masked_fill", "input mask value", masked_fill),
    red!("torch.sum Tensor.sum", ReduceOp::Sum),
    red!("torch.mean Tensor.mean", ReduceOp::Mean),
    red!("torch.amax Tensor.amax", ReduceOp::Amax),
    red!("torch.amin Tensor.amin", ReduceOp::Amin),
    red!("torch.prod Tensor.prod", ReduceOp::Prod),
    red!("torch.logsumexp Tensor.logsumexp", ReduceOp::LogSumExp),
    f!("torch.any Tensor.any", "input dim? keepdim?", |vm, a| truth_reduction(vm, a, ReduceOp::Any)),
    f!("torch.all Tensor.all", "input dim? keepdim?", |vm, a| truth_reduction(vm, a, ReduceOp::All)),
    f!("torch.count_nonzero Tensor.count_nonzero", "input dim?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let rank = vm.graph.shape(x).len();
        let x = vm.as_bool_node(x)?;
        let x = vm.cast(x, DType::Int)?;
        let dims = a.axes(vm, "dim", rank)?.unwrap_or_else(|| (0..rank).collect());
        let out = vm.reduce(ReduceOp::Sum, x, dims, false);
        done(vm, out)
    }),
    f!("torch.max Tensor.max", "input dim? keepdim? | other?", |vm, a| extreme(vm, a, true)),
    f!("torch.min Tensor.min", "input dim? keepdim? | other?", |vm, a| extreme(vm, a, false)),
    f!("torch.median Tensor.median", "input dim? keepdim?", |vm, a| {
        if a.some("dim").is_none() {
            let x = a.tensor(vm, "input")?;
            let count = graph::numel(vm.graph.shape(x));
            let x = vm.reshaped(x, vec![count])?;
            let out = vm.push(Op::Reduce { op: ReduceOp::Median, dims: vec![0], keepdim: false }, &[x]);
            return done(vm, out);
        }
        vm.unsupported("E-UNSUPPORTED-OP", "median along an axis is not supported")
    }),
    f!("torch.argmax Tensor.argmax", "input dim? keepdim?", |vm, a| arg_extreme(vm, a, ReduceOp::ArgMax)),
    f!("torch.argmin Tensor.argmin", "input dim? keepdim?", |vm, a| arg_extreme(vm, a, ReduceOp::ArgMin)),
    f!("torch.std Tensor.std", "input dim? unbiased? keepdim? | correction?", |vm, a| spread(vm, a, true)),
    f!("torch.var Tensor.var", "input dim? unbiased? keepdim? | correction?", |vm, a| spread(vm, a, false)),
    f!("torch.norm Tensor.norm", "input p? dim? keepdim? dtype?", norm),
    f!("torch.linalg.norm torch.linalg.vector_norm", "input p? dim? keepdim? | dtype?", norm),
    f!("torch.softmax torch.nn.functional.softmax Tensor.softmax", "input dim? dtype? | _stacklevel?", |vm, a| {
        softmax(vm, a, false, false)
    }),
    f!(
        "torch.log_softmax torch.nn.functional.log_softmax Tensor.log_softmax",
        "input dim? dtype? | _stacklevel?",
        |vm, a| softmax(vm, a, true, false)
    ),
    f!("torch.nn.functional.softmin", "input dim? dtype?", |vm, a| softmax(vm, a, false, true)),
    f!("torch.cumsum Tensor.cumsum", "input dim | dtype?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let dim = a.axis(vm, "dim", vm.graph.shape(x).len())?;
        let out = vm.push(Op::CumSum { dim }, &[x]);
        done(vm, out)
    }),
    f!("torch.cumprod Tensor.cumprod", "input dim | dtype?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let dim = a.axis(vm, "dim", vm.graph.shape(x).len())?;
        let out = vm.push(Op::CumProd { dim }, &[x]);
        done(vm, out)
    }),
    f!("torch.topk Tensor.topk", "input k dim? largest? sorted?", topk),
    f!("torch.sort Tensor.sort", "input dim? descending? stable?", sort),
    f!("torch.argsort Tensor.argsort", "input dim? descending? stable?", argsort),
];

pub static MORE: &[Native] = &[
    f!("torch.cat torch.concat torch.concatenate", "tensors dim?", cat),
    f!("torch.stack", "tensors dim?", stack),
    f!("torch.split Tensor.split", "input split_size_or_sections dim?", split),
    f!("torch.chunk Tensor.chunk", "input chunks dim?", chunk),
    f!("torch.unbind Tensor.unbind", "input dim?", |vm, a| {
        let t = base(vm, a, "input")?;
        let dim = a.axis_or(vm, "dim", 0, vm.shape_of(&t).len())?;
        let Some(count) = axis_size(vm, &t, dim).as_known() else {
            return vm.unsupported("E-UNSUPPORTED-SIZE-LOOP", "unbind along an axis whose size depends on the graph");
        };
        let id = vm.node(&t)?;
        let mut out = Vec::new();
        for i in 0..count {
            let one = vm.push(Op::Select { dim, index: i.into() }, &[id])?;
            out.push(vm.view_value(one, &t));
        }
        Ok(Value::tuple(out))
    }),
    f!("torch.permute Tensor.permute", "input *dims", permute),
    f!(
        "torch.transpose torch.swapaxes torch.swapdims Tensor.transpose Tensor.swapaxes Tensor.swapdims",
        "input dim0 dim1",
        transpose
    ),
    f!("torch.t Tensor.t", "input", |vm, a| {
        view(vm, a, |vm, id, rank| if rank < 2 { Ok(id) } else { vm.push(Op::Permute(vec![1, 0]), &[id]) })
    }),
    f!("torch.movedim Tensor.movedim torch.moveaxis", "input source destination", |vm, a| {
        view(vm, a, |vm, id, rank| {
            let (from, to) = (a.axis(vm, "source", rank)?, a.axis(vm, "destination", rank)?);
            let mut perm: Vec<usize> = (0..rank).filter(|i| *i != from).collect();
            perm.insert(to, from);
            vm.push(Op::Permute(perm), &[id])
        })
    }),
    f!("torch.reshape Tensor.reshape", "input *shape", reshape),
    f!("Tensor.view", "input *shape", reshape),
    f!("Tensor.view_as Tensor.reshape_as", "input other", |vm, a| {
        let t = base(vm, a, "other")?;
        let to = vm.shape_of(&t);
        view(vm, a, |vm, id, _| vm.reshaped(id, to))
    }),
    f!("torch.flatten Tensor.flatten", "input start_dim? end_dim?", flatten),
    f!("torch.nn.Flatten.apply", "input start_dim? end_dim?", flatten),
    f!("torch.ravel Tensor.ravel", "input start_dim? end_dim?", flatten),
    f!("torch.unflatten Tensor.unflatten", "input dim sizes", unflatten),
    f!("torch.unsqueeze Tensor.unsqueeze", "input dim", unsqueeze),
    f!("torch.squeeze Tensor.squeeze", "input dim?", squeeze),
    f!("Tensor.expand torch.broadcast_to Tensor.broadcast_to", "input *size", |vm, a| {
        let sizes = a.sizes(vm)?;
        view(vm, a, |vm, id, _| expand_to(vm, id, &sizes))
    }),
    f!("Tensor.expand_as", "input other", |vm, a| {
        let t = base(vm, a, "other")?;
        let sizes: Vec<Value> = vm.shape_of(&t).iter().map(Value::dim).collect();
        view(vm, a, |vm, id, _| expand_to(vm, id, &sizes))
    }),
    f!("Tensor.repeat", "input *sizes", repeat),
    f!("Tensor.tile torch.tile", "input *sizes", repeat),
    f!("torch.repeat_interleave Tensor.repeat_interleave", "input repeats dim", repeat_interleave),
    f!("torch.narrow Tensor.narrow", "input dim start length", |vm, a| {
        view(vm, a, |vm, id, rank| {
            let dim = a.axis(vm, "dim", rank)?;
            let start = a.dim(vm, "start")?;
            let end = start.clone() + a.dim(vm, "length")?;
            vm.push(Op::Slice { dim, start, end, step: 1 }, &[id])
        })
    }),
    f!("torch.select Tensor.select", "input dim index", |vm, a| {
        view(vm, a, |vm, id, rank| {
            let dim = a.axis(vm, "dim", rank)?;
            let mut index = a.dim(vm, "index")?;
            if Dim::known(0).provably_gt(&index) {
                index = index + vm.graph.shape(id).get(dim).cloned().unwrap_or_default();
            }
            vm.push(Op::Select { dim, index }, &[id])
        })
    }),
    f!("torch.flip Tensor.flip", "input *dims", |vm, a| {
        let sizes = a.sizes(vm)?;
        let id = a.tensor(vm, "input")?;
        let rank = vm.graph.shape(id).len();
        let mut dims = Vec::new();
        for s in sizes {
            match s {
                Value::Int(i) => dims.push(vm.axis(i, rank, "flip")?),
                other => return vm.type_fault(format!("axes are integers, not {}", other.type_name())),
            }
        }
        let out = vm.push(Op::Flip { dims }, &[id]);
        done(vm, out)
    }),
    f!("torch.roll Tensor.roll", "input shifts dims", |vm, a| {
        let mut id = a.tensor(vm, "input")?;
        let rank = vm.graph.shape(id).len();
        let list = |vm: &mut Interp, v: Value| match v {
            Value::Tuple(_) | Value::List(_) => vm.items(&v),
            one => Ok(vec![one]),
        };
        let (shifts, dims) = (list(vm, a.value("shifts"))?, list(vm, a.value("dims"))?);
        if shifts.len() != dims.len() {
            return vm.value_fault("roll needs a shift for each axis");
        }
        for (shift, dim) in shifts.iter().zip(&dims) {
            let (Value::Int(shift), Value::Int(dim)) = (shift, dim) else {
                return vm.type_fault("shifts and axes are integers");
            };
            let dim = vm.axis(*dim, rank, "roll")?;
            id = vm.push(Op::Roll { shift: *shift, dim }, &[id])?;
        }
        Ok(vm.tensor_value(id))
    }),
    f!("torch.index_select Tensor.index_select", "input dim index", |vm, a| {
        let (x, index) = (a.tensor(vm, "input")?, a.tensor(vm, "index")?);
        let dim = a.axis(vm, "dim", vm.graph.shape(x).len())?;
        let out = vm.push(Op::IndexSelect { dim }, &[x, index]);
        done(vm, out)
    }),
    f!("torch.gather Tensor.gather", "input dim index | sparse_grad?", gather),
    f!("torch.take_along_dim Tensor.take_along_dim", "input index dim", gather),
    f!("torch.scatter Tensor.scatter", "input dim index src? | value?", |vm, a| scatter(vm, a, false)),
    f!("torch.scatter_add Tensor.scatter_add", "input dim index src", |vm, a| scatter(vm, a, true)),
    f!("torch.matmul Tensor.matmul", "input other", |vm, a| matmul(vm, a, None)),
    f!("torch.bmm Tensor.bmm", "input other", |vm, a| matmul(vm, a, Some(3))),
    f!("torch.mm Tensor.mm", "input other", |vm, a| matmul(vm, a, Some(2))),
    f!("torch.mv torch.dot Tensor.dot", "input other", |vm, a| matmul(vm, a, None)),
    f!("torch.baddbmm torch.addmm Tensor.baddbmm Tensor.addmm", "input x y | beta? alpha?", add_matmul),
    f!("torch.einsum", "equation *operands", einsum),
    f!("torch.outer Tensor.outer", "input other", |vm, a| {
        let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
        let x = vm.unsqueeze(x, 1)?;
        let out = vm.bin(BinaryOp::Mul, x, y);
        done(vm, out)
    }),
    f!("torch.tril Tensor.tril", "input diagonal?", |vm, a| triangle(vm, a, true)),
    f!("torch.triu Tensor.triu", "input diagonal?", |vm, a| triangle(vm, a, false)),
    f!("torch.diagonal Tensor.diagonal", "input offset? dim1? dim2?", diagonal),
    f!("torch.meshgrid", "*tensors | indexing?", |vm, a| {
        if &*a.text_or(vm, "indexing", "ij")? != "ij" {
            return vm.unsupported("E-UNSUPPORTED-OP", "meshgrid is supported with indexing='ij'");
        }
        let items = match a.rest.as_slice() {
            [list @ (Value::List(_) | Value::Tuple(_))] => vm.items(&list.clone())?,
            many => many.to_vec(),
        };
        let mut shape = Vec::new();
        let mut ids = Vec::new();
        for item in &items {
            let Value::Tensor(t) = item else { return vm.type_fault("meshgrid() takes tensors") };
            let id = vm.node(t)?;
            match vm.graph.shape(id).as_slice() {
                [size] => shape.push(size.clone()),
                _ => return vm.shape_fault("E-SHAPE-OP", "meshgrid takes tensors of one axis"),
            }
            ids.push(id);
        }
        let mut out = Vec::new();
        for (axis, id) in ids.into_iter().enumerate() {
            let own = (0..shape.len())
                .map(|i| if i == axis { shape.get(i).cloned().unwrap_or_default() } else { Dim::known(1) });
            let column = vm.reshaped(id, own.collect())?;
            let dtype = vm.graph.dtype(column);
            let wide = vm.push_as(Op::Expand, &[column], shape.clone(), dtype)?;
            out.push(vm.tensor_value(wide));
        }
        Ok(Value::tuple(out))
    }),
    f!("torch.cdist", "x1 x2 p?", |vm, a| {
        let (x, y) = (a.tensor(vm, "x1")?, a.tensor(vm, "x2")?);
        let p = a.float_or(vm, "p", 2.0)?;
        let (rx, ry) = (vm.graph.shape(x).len(), vm.graph.shape(y).len());
        if rx < 2 || ry < 2 {
            return vm.shape_fault("E-SHAPE-OP", "cdist needs tensors of two axes or more");
        }
        let x = vm.unsqueeze(x, rx - 1)?;
        let y = vm.unsqueeze(y, ry - 2)?;
        let gap = vm.bin(BinaryOp::Sub, x, y)?;
        let last = vm.graph.shape(gap).len() - 1;
        let out = vm.push(Op::Reduce { op: ReduceOp::Norm { p }, dims: vec![last], keepdim: false }, &[gap]);
        done(vm, out)
    }),
    f!("torch.diag_embed", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let shape = vm.graph.shape(x).clone();
        let size = shape.last().cloned().unwrap_or_default();
        let column = vm.unsqueeze(x, shape.len())?;
        let eye = vm.push_as(Op::Eye, &[], vec![size.clone(), size], DType::Float)?;
        let out = vm.bin(BinaryOp::Mul, column, eye);
        done(vm, out)
    }),
    f!("torch.eye", "n m? | dtype? device? requires_grad?", eye),
    f!("torch.arange", "*args | start? end? step? dtype? device? requires_grad?", arange),
    f!("torch.linspace", "start end steps | dtype? device? requires_grad?", linspace),
    f!("torch.zeros", "*size | dtype? device? requires_grad?", |vm, a| create(vm, a, Init::Constant(0.0))),
    f!("torch.ones", "*size | dtype? device? requires_grad?", |vm, a| create(vm, a, Init::Constant(1.0))),
    f!("torch.empty", "*size | dtype? device? requires_grad?", |vm, a| create(vm, a, Init::Constant(0.0))),
    f!("torch.randn", "*size | dtype? device? generator? requires_grad?", |vm, a| create(
        vm,
        a,
        Init::Normal { mean: 0.0, std: 1.0 }
    )),
    f!("torch.rand", "*size | dtype? device? generator? requires_grad?", |vm, a| create(
        vm,
        a,
        Init::Uniform { low: 0.0, high: 1.0 }
    )),
    f!("torch.full", "size fill_value | dtype? device? requires_grad?", full),
    f!("torch.zeros_like", "input | dtype? device? requires_grad?", |vm, a| like(vm, a, Init::Constant(0.0))),
    f!("torch.ones_like", "input | dtype? device? requires_grad?", |vm, a| like(vm, a, Init::Constant(1.0))),
    f!("torch.empty_like", "input | dtype? device?", |vm, a| like(vm, a, Init::Constant(0.0))),
    f!("torch.randn_like", "input | dtype? device?", |vm, a| like(vm, a, Init::Normal { mean: 0.0, std: 1.0 })),
    f!("torch.rand_like", "input | dtype? device?", |vm, a| like(vm, a, Init::Uniform { low: 0.0, high: 1.0 })),
    f!("torch.full_like", "input fill_value | dtype? device?", |vm, a| {
        let t = base(vm, a, "input")?;
        let (shape, dtype) = (vm.shape_of(&t), vm.dtype_of(&t));
        fill(vm, a, shape, Some(dtype))
    }),
    f!("Tensor.new_zeros", "input *size | dtype? device?", |vm, a| new_like(vm, a, Init::Constant(0.0))),
    f!("Tensor.new_ones", "input *size | dtype? device?", |vm, a| new_like(vm, a, Init::Constant(1.0))),
    f!("Tensor.new_full", "input size fill_value | dtype? device?", |vm, a| {
        let t = base(vm, a, "input")?;
        let items = vm.items(&a.value("size"))?;
        let (shape, dtype) = (vm.new_shape(&items)?, vm.dtype_of(&t));
        fill(vm, a, shape, Some(dtype))
    }),
    f!("Tensor.new_tensor", "input data | dtype? device? requires_grad?", tensor),
    f!("torch.tensor torch.as_tensor", "data | dtype? device? requires_grad?", tensor),
    f!("torch.nn.functional.one_hot", "input num_classes?", one_hot),
    f!("torch.nn.functional.normalize", "input p? dim? eps?", normalize),
    f!("torch.nn.functional.cosine_similarity torch.cosine_similarity", "x1 x2 dim? eps?", cosine_similarity),
    f!(
        "torch.nn.functional.scaled_dot_product_attention",
        "query key value attn_mask? dropout_p? is_causal? | scale?",
        attention
    ),
    f!("torch.nn.functional.dropout torch.dropout", "input p? training? inplace?", dropout),
    f!("torch.nn.functional.layer_norm", "input normalized_shape weight? bias? eps?", layer_norm),
    f!("torch.nn.functional.glu", "input dim?", glu),
    f!("torch.nn.functional.pad", "input pad mode? value?", pad),
    f!("torch.nn.functional.linear", "input weight bias?", |vm, a| {
        let (x, w) = (a.tensor(vm, "input")?, a.tensor(vm, "weight")?);
        let bias = if a.some("bias").is_some() { Some(a.tensor(vm, "bias")?) } else { None };
        let out = vm.linear(x, w, bias);
        done(vm, out)
    }),
    f!("torch.nn.functional.bilinear", "input1 input2 weight bias?", |vm, a| {
        let (x, y, w) = (a.tensor(vm, "input1")?, a.tensor(vm, "input2")?, a.tensor(vm, "weight")?);
        let bias = if a.some("bias").is_some() { Some(a.tensor(vm, "bias")?) } else { None };
        let out = vm.bilinear(x, y, w, bias);
        done(vm, out)
    }),
    f!("torch.nn.functional.embedding", "input weight", |vm, a| {
        let (x, w) = (a.tensor(vm, "input")?, a.tensor(vm, "weight")?);
        let out = vm.push(Op::IndexSelect { dim: 0 }, &[w, x]);
        done(vm, out)
    }),
    f!("Tensor.to", "input *args | dtype? device? non_blocking? copy?", to),
    f!("Tensor.type_as", "input other", |vm, a| {
        let (t, other) = (base(vm, a, "input")?, base(vm, a, "other")?);
        let dtype = vm.dtype_of(&other);
        convert(vm, &t, Some(dtype))
    }),
    f!("Tensor.type", "input dtype", |vm, a| {
        let t = base(vm, a, "input")?;
        let dtype = a.dtype(vm, "dtype", DType::Float)?;
        convert(vm, &t, Some(dtype))
    }),
    f!("Tensor.double Tensor.half Tensor.bfloat16", "input", |vm, _| {
        vm.unsupported("E-UNSUPPORTED-PRECISION", "the precision of floats is the trainer's choice")
    }),
    f!("Tensor.float", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        convert(vm, &t, Some(DType::Float))
    }),
    f!("Tensor.long Tensor.int", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        convert(vm, &t, Some(DType::Int))
    }),
    f!("Tensor.bool", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        convert(vm, &t, Some(DType::Bool))
    }),
    f!("Tensor.contiguous", "input | memory_format?", |vm, a| {
        let t = base(vm, a, "input")?;
        if !matches!(&*t.data.borrow(), Data::Node(_)) {
            return Ok(Value::Tensor(t));
        }
        let id = vm.node(&t)?;
        let out = vm.contiguous(id)?;
        Ok(if out == id { Value::Tensor(t) } else { vm.tensor_value(out) })
    }),
    f!("Tensor.cpu Tensor.cuda Tensor.requires_grad_", "input *args **kwargs", same),
    f!("torch.clone Tensor.clone", "input | memory_format?", copy),
    f!("torch.detach Tensor.detach", "input", detach),
    f!("Tensor.dim Tensor.ndimension", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        Ok(Value::Int(vm.shape_of(&t).len() as i64))
    }),
    f!("Tensor.size", "input dim?", size),
    f!("Tensor.numel Tensor.nelement torch.numel", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        Ok(Value::dim(&graph::numel(&vm.shape_of(&t))))
    }),
    f!("Tensor.is_floating_point torch.is_floating_point", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        Ok(Value::Bool(vm.dtype_of(&t) == DType::Float))
    }),
    f!("Tensor.is_contiguous", "input", |vm, a| {
        let id = a.tensor(vm, "input")?;
        let plain = vm.contiguous(id)?;
        Ok(Value::Bool(plain == id))
    }),
    f!("torch.is_tensor", "obj", |_, a| Ok(Value::Bool(matches!(a.value("obj"), Value::Tensor(_))))),
    f!("Tensor.item Tensor.tolist Tensor.numpy", "input", |vm, a| vm.tensor_to_number(&format!(".{}()", a.function()))),
    f!(
        "Tensor.nonzero torch.nonzero torch.masked_select Tensor.masked_select torch.unique Tensor.unique",
        "*args **kwargs",
        |vm, a| {
            vm.unsupported(
                "E-UNSUPPORTED-MASK-INDEX",
                format!("the size of what {}() gives depends on values", a.function()),
            )
        }
    ),
    f!("Tensor.backward Tensor.register_hook torch.autograd.grad", "*args **kwargs", |vm, a| {
        vm.unsupported("E-UNSUPPORTED-OP", format!("{}() belongs to training, not to a processor", a.function()))
    }),
    f!("Tensor.add_", "input other | alpha?", |vm, a| in_place(vm, a, BinOp::Add)),
    f!("Tensor.sub_", "input other | alpha?", |vm, a| in_place(vm, a, BinOp::Sub)),
    f!("Tensor.mul_", "input other", |vm, a| in_place(vm, a, BinOp::Mul)),
    f!("Tensor.div_", "input other", |vm, a| in_place(vm, a, BinOp::Div)),
    f!("Tensor.$in_place", "function input *args **kwargs", |vm, a| {
        let t = base(vm, a, "input")?;
        if matches!(&*t.data.borrow(), Data::Leaf(_)) {
            return vm.unsupported("E-UNSUPPORTED-INPLACE", "a parameter or buffer is changed in place");
        }
        let old = vm.node(&t)?;
        let mut args = vec![Value::Tensor(t.clone())];
        args.extend(a.rest.iter().cloned());
        let Value::Tensor(new) = vm.call(&a.value("function"), args, a.keywords.clone())? else {
            return vm.unsupported("E-UNSUPPORTED-INPLACE", "this in-place operation is not supported");
        };
        let new = vm.node(&new)?;
        vm.finish_in_place(&t, old, new)?;
        Ok(Value::Tensor(t))
    }),
    f!("torch.no_grad torch.inference_mode", "", |_, _| Ok(Value::Context(true))),
    f!("torch.enable_grad", "", |_, _| Ok(Value::Context(false))),
    f!("torch.set_grad_enabled", "mode", |vm, a| Ok(Value::Context(!a.bool(vm, "mode", true)?))),
    f!("torch.is_grad_enabled", "", |vm, _| Ok(Value::Bool(vm.no_grad == 0))),
    f!("torch.device", "*args **kwargs", |_, _| Ok(Value::Device)),
    f!("torch.manual_seed", "seed", |_, _| Ok(Value::None)),
    f!("torch.finfo", "dtype?", |_, _| {
        let names: &[&str] = &["min", "max", "eps", "tiny", "smallest_normal"];
        let values = [f32::MIN, f32::MAX, f32::EPSILON, f32::MIN_POSITIVE, f32::MIN_POSITIVE];
        let values = values.iter().map(|v| Value::Float(f64::from(*v))).collect();
        Ok(Value::Named(Rc::new((names, values))))
    }),
    refuse_random!(
        "torch.bernoulli Tensor.bernoulli torch.randint torch.randperm torch.normal torch.multinomial torch.nn.functional.gumbel_softmax torch.poisson"
    ),
];
