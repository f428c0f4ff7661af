//! Reductions, normalisations along an axis, and sorting.

use super::*;
use crate::rules::Rule;

/// The argument as the type that `dtype` names, where it is given.
pub(super) fn typed(vm: &mut Interp, a: &Args) -> R<NodeId> {
    let id = a.tensor(vm, "input")?;
    let dtype = a.dtype(vm, "dtype", vm.tracer.dtype(id))?;
    if a.some("dtype").is_some() { vm.tracer.cast(id, dtype) } else { Ok(id) }
}

pub(super) fn reduction(vm: &mut Interp, a: &Args, op: ReduceOp) -> R<Value> {
    let id = typed(vm, a)?;
    let rank = vm.tracer.rank(id);
    if matches!(op, ReduceOp::Prod) && matches!(a.some("dim"), Some(Value::Tuple(_) | Value::List(_))) {
        return vm.type_fault("prod() reduces one axis or all");
    }
    let dims = match a.axes(vm, "dim", rank)? {
        Some(d) if !d.is_empty() => d,
        _ => (0..rank).collect(),
    };
    let keepdim = a.bool(vm, "keepdim", false)?;
    vm.tracer.reduce(op, id, dims, keepdim).map(|id| vm.tracer.tensor_value(id))
}

/// `any` and `all` see bools.
pub(super) fn truth_reduction(vm: &mut Interp, a: &Args, op: ReduceOp) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let rank = vm.tracer.rank(id);
    let id = vm.tracer.as_bool_node(id)?;
    let dims = a.axes(vm, "dim", rank)?.unwrap_or_else(|| (0..rank).collect());
    let keepdim = a.bool(vm, "keepdim", false)?;
    vm.tracer.reduce(op, id, dims, keepdim).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn extreme(vm: &mut Interp, a: &Args, largest: bool) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let second = a.some("dim").or_else(|| a.some("other")).cloned();
    match second {
        None => {
            let rank = vm.tracer.rank(id);
            let op = if largest { ReduceOp::Amax } else { ReduceOp::Amin };
            vm.tracer.reduce(op, id, (0..rank).collect(), false).map(|id| vm.tracer.tensor_value(id))
        }
        Some(Value::Tensor(t)) => {
            let other = vm.tracer.node(&t)?;
            vm.tracer
                .bin(if largest { BinaryOp::Maximum } else { BinaryOp::Minimum }, id, other)
                .map(|id| vm.tracer.tensor_value(id))
        }
        Some(_) => {
            let rank = vm.tracer.rank(id);
            let dim = a.axis(vm, "dim", rank)?;
            let keepdim = a.bool(vm, "keepdim", false)?;
            let (v, i) =
                if largest { (ReduceOp::MaxValues, ReduceOp::ArgMax) } else { (ReduceOp::MinValues, ReduceOp::ArgMin) };
            let values = vm.tracer.push(Op::Reduce { op: v, dims: vec![dim], keepdim }, &[id])?;
            let indices = vm.tracer.push(Op::Reduce { op: i, dims: vec![dim], keepdim }, &[id])?;
            pair(&mut vm.tracer, values, indices)
        }
    }
}

pub(super) fn pair(tracer: &mut Tracer, values: NodeId, indices: NodeId) -> R<Value> {
    let items = vec![tracer.tensor_value(values), tracer.tensor_value(indices)];
    Ok(Value::Named(Rc::new((VALUES, items))))
}

pub(super) fn arg_extreme(vm: &mut Interp, a: &Args, op: ReduceOp) -> R<Value> {
    let mut id = a.tensor(vm, "input")?;
    let mut rank = vm.tracer.rank(id);
    if a.some("dim").is_none() {
        let count = graph::numel(vm.tracer.shape(id));
        id = vm.tracer.reshaped(id, vec![count])?;
        rank = 1;
    }
    let dim = a.axis_or(vm, "dim", 0, rank)?;
    let keepdim = a.bool(vm, "keepdim", false)?;
    vm.tracer.push(Op::Reduce { op, dims: vec![dim], keepdim }, &[id]).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn spread(vm: &mut Interp, a: &Args, std: bool) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let rank = vm.tracer.rank(id);
    // `x.std(False)` is the old spelling of `x.std(unbiased=False)`
    let (dims, unbiased) = match a.some("dim") {
        Some(Value::Bool(b)) => (None, *b),
        _ => (a.axes(vm, "dim", rank)?, a.bool(vm, "unbiased", true)?),
    };
    let correction = a.float_or(vm, "correction", if unbiased { 1.0 } else { 0.0 })?;
    let keepdim = a.bool(vm, "keepdim", false)?;
    let dims = dims.unwrap_or_else(|| (0..rank).collect());
    let op = if std { ReduceOp::Std { correction } } else { ReduceOp::Var { correction } };
    vm.tracer.reduce(op, id, dims, keepdim).map(|id| vm.tracer.tensor_value(id))
}

/// `torch.norm`: over any axes the norm of a vector.
pub(super) fn norm(vm: &mut Interp, a: &Args) -> R<Value> {
    let p = match a.some("p") {
        None => 2.0,
        Some(Value::Str(s)) if &**s == "fro" => 2.0,
        Some(Value::Str(s)) if &**s == "nuc" => return nuclear(&vm.tracer.run),
        Some(Value::Str(_)) => return vm.value_fault("norm(): p is a number, 'fro' or 'nuc'"),
        Some(_) => a.float_or(vm, "p", 2.0)?,
    };
    reduction(vm, a, ReduceOp::Norm { p })
}

fn nuclear<T>(run: &Run) -> R<T> {
    run.refuse(Rule::UnsupportedOp, "this norm is made of singular values, which are not supported")
}

/// `torch.linalg.norm`: with an order, two axes are those of a matrix.
fn linalg_norm(vm: &mut Interp, a: &Args) -> R<Value> {
    if a.some("ord").is_none() {
        return reduction(vm, a, ReduceOp::Norm { p: 2.0 });
    }
    let id = a.tensor(vm, "input")?;
    let rank = vm.tracer.rank(id);
    let dims = match a.axes(vm, "dim", rank)? {
        Some(dims) => dims,
        None if rank == 1 || rank == 2 => (0..rank).collect(),
        None => {
            let text = format!("norm() with an order and no axes takes a vector or a matrix, not {rank} axes");
            return vm.refuse(Rule::ShapeAxis, text);
        }
    };
    match dims.as_slice() {
        [_] => vector_norm(vm, a),
        &[rows, columns] => matrix_norm(vm, a, id, rows, columns),
        _ => vm.refuse(Rule::ShapeAxis, "norm() with an order takes one axis or two"),
    }
}

fn vector_norm(vm: &mut Interp, a: &Args) -> R<Value> {
    if let Some(Value::Str(_)) = a.some("ord") {
        return vm.value_fault("the order of a vector's norm is a number");
    }
    let p = a.float_or(vm, "ord", 2.0)?;
    reduction(vm, a, ReduceOp::Norm { p })
}

/// The norm of matrices whose rows and columns lie along two axes.
fn matrix_norm(vm: &mut Interp, a: &Args, id: NodeId, rows: usize, columns: usize) -> R<Value> {
    if rows == columns {
        return vm.refuse(Rule::ShapeAxis, "the two axes of a matrix differ");
    }
    let keepdim = a.bool(vm, "keepdim", false)?;
    let order = match a.some("ord") {
        None => None,
        Some(Value::Str(s)) if &**s == "fro" => None,
        Some(Value::Str(s)) if &**s == "nuc" => return nuclear(&vm.tracer.run),
        Some(Value::Str(_)) => return vm.value_fault("the order of a matrix's norm is a number, 'fro' or 'nuc'"),
        Some(_) => Some(a.float_or(vm, "ord", 2.0)?),
    };
    let Some(order) = order else {
        return vm
            .tracer
            .reduce(ReduceOp::Norm { p: 2.0 }, id, vec![rows, columns], keepdim)
            .map(|id| vm.tracer.tensor_value(id));
    };
    if order.abs() == 2.0 {
        return nuclear(&vm.tracer.run);
    }
    let (inner, outer) = match order.abs() {
        1.0 => (rows, columns),
        f64::INFINITY => (columns, rows),
        _ => return vm.value_fault(format!("the order of a matrix's norm cannot be {order}")),
    };
    let size = vm.tracer.un(UnaryOp::Abs, id)?;
    let sums = vm.tracer.reduce(ReduceOp::Sum, size, vec![inner], true)?;
    let op = if order > 0.0 { ReduceOp::Amax } else { ReduceOp::Amin };
    let mut out = vm.tracer.reduce(op, sums, vec![outer], true)?;
    if !keepdim {
        let kept = vm.tracer.shape(out).iter().enumerate().filter(|(i, _)| *i != rows && *i != columns);
        let shape = kept.map(|(_, d)| d.clone()).collect();
        out = vm.tracer.reshaped(out, shape)?;
    }
    Ok(vm.tracer.tensor_value(out))
}

pub(super) fn softmax(vm: &mut Interp, a: &Args, log: bool, negate: bool) -> R<Value> {
    let mut id = typed(vm, a)?;
    if a.some("dim").is_none() {
        return vm.type_fault(format!("{}() needs the axis: dim=", a.function()));
    }
    let rank = vm.tracer.rank(id);
    let dim = a.axis(vm, "dim", rank)?;
    if negate {
        id = vm.tracer.un(UnaryOp::Neg, id)?;
    }
    vm.tracer
        .push(if log { Op::LogSoftmax { dim } } else { Op::Softmax { dim } }, &[id])
        .map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn topk(vm: &mut Interp, a: &Args) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let k = a.dim(vm, "k")?;
    let rank = vm.tracer.rank(id);
    let dim = a.axis_or(vm, "dim", -1, rank)?;
    let largest = a.bool(vm, "largest", true)?;
    let values = vm.tracer.push(Op::TopK { k: k.clone(), dim, largest }, &[id])?;
    let indices = vm.tracer.push(Op::TopKIndices { k, dim, largest }, &[id])?;
    pair(&mut vm.tracer, values, indices)
}

pub(super) fn sort(vm: &mut Interp, a: &Args) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let rank = vm.tracer.rank(id);
    let dim = a.axis_or(vm, "dim", -1, rank)?;
    let descending = a.bool(vm, "descending", false)?;
    let values = vm.tracer.push(Op::Sort { dim, descending }, &[id])?;
    let indices = vm.tracer.push(Op::ArgSort { dim, descending }, &[id])?;
    pair(&mut vm.tracer, values, indices)
}

pub(super) fn argsort(vm: &mut Interp, a: &Args) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let rank = vm.tracer.rank(id);
    let dim = a.axis_or(vm, "dim", -1, rank)?;
    let descending = a.bool(vm, "descending", false)?;
    vm.tracer.push(Op::ArgSort { dim, descending }, &[id]).map(|id| vm.tracer.tensor_value(id))
}

pub static TABLE: &[Native] = &[
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
        let rank = vm.tracer.rank(x);
        let x = vm.tracer.as_bool_node(x)?;
        let x = vm.tracer.cast(x, DType::Int)?;
        let dims = a.axes(vm, "dim", rank)?.unwrap_or_else(|| (0..rank).collect());
        vm.tracer.reduce(ReduceOp::Sum, x, dims, false).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.max Tensor.max", "input dim? keepdim? | other?", |vm, a| extreme(vm, a, true)),
    f!("torch.min Tensor.min", "input dim? keepdim? | other?", |vm, a| extreme(vm, a, false)),
    f!("torch.median Tensor.median", "input dim? keepdim?", |vm, a| {
        if a.some("dim").is_none() {
            let x = a.tensor(vm, "input")?;
            let count = graph::numel(vm.tracer.shape(x));
            let x = vm.tracer.reshaped(x, vec![count])?;
            return vm
                .tracer
                .push(Op::Reduce { op: ReduceOp::Median, dims: vec![0], keepdim: false }, &[x])
                .map(|id| vm.tracer.tensor_value(id));
        }
        super::composed::median(vm, a)
    }),
    f!("torch.argmax Tensor.argmax", "input dim? keepdim?", |vm, a| arg_extreme(vm, a, ReduceOp::ArgMax)),
    f!("torch.argmin Tensor.argmin", "input dim? keepdim?", |vm, a| arg_extreme(vm, a, ReduceOp::ArgMin)),
    f!("torch.std Tensor.std", "input dim? unbiased? keepdim? | correction?", |vm, a| spread(vm, a, true)),
    f!("torch.var Tensor.var", "input dim? unbiased? keepdim? | correction?", |vm, a| spread(vm, a, false)),
    f!("torch.norm Tensor.norm", "input p? dim? keepdim? dtype?", norm),
    f!("torch.linalg.norm", "input ord? dim? keepdim? | dtype?", linalg_norm),
    f!("torch.linalg.vector_norm", "input ord? dim? keepdim? | dtype?", vector_norm),
    f!("torch.linalg.matrix_norm", "input ord? dim? keepdim? | dtype?", |vm, a| {
        let id = a.tensor(vm, "input")?;
        let rank = vm.tracer.rank(id);
        let dims = match a.axes(vm, "dim", rank)? {
            Some(dims) => dims,
            None if rank >= 2 => vec![rank - 2, rank - 1],
            None => return vm.refuse(Rule::ShapeAxis, "matrix_norm() needs matrices"),
        };
        match dims.as_slice() {
            &[rows, columns] => matrix_norm(vm, a, id, rows, columns),
            _ => vm.refuse(Rule::ShapeAxis, "matrix_norm() takes two axes"),
        }
    }),
    f!("torch.softmax Tensor.softmax", "input dim? dtype?", |vm, a| softmax(vm, a, false, false)),
    f!("torch.nn.functional.softmax", "input dim? _stacklevel? dtype?", |vm, a| softmax(vm, a, false, false)),
    f!("torch.log_softmax Tensor.log_softmax", "input dim? dtype?", |vm, a| softmax(vm, a, true, false)),
    f!("torch.nn.functional.log_softmax", "input dim? _stacklevel? dtype?", |vm, a| softmax(vm, a, true, false)),
    f!("torch.nn.functional.softmin", "input dim? _stacklevel? dtype?", |vm, a| softmax(vm, a, false, true)),
    f!("torch.cumsum Tensor.cumsum", "input dim | dtype?", |vm, a| {
        let x = typed(vm, a)?;
        let dim = a.axis(vm, "dim", vm.tracer.rank(x))?;
        vm.tracer.push(Op::CumSum { dim }, &[x]).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.cumprod Tensor.cumprod", "input dim | dtype?", |vm, a| {
        let x = typed(vm, a)?;
        let dim = a.axis(vm, "dim", vm.tracer.rank(x))?;
        vm.tracer.push(Op::CumProd { dim }, &[x]).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.topk Tensor.topk", "input k dim? largest? sorted?", topk),
    f!("torch.sort Tensor.sort", "input dim? descending? stable?", sort),
    f!("torch.argsort Tensor.argsort", "input dim? descending? stable?", argsort),
];
