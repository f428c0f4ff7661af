//! Tensors laid out anew: turned, put side by side, or with a part replaced.

use super::*;
use crate::rules::Rule;

fn flip(tracer: &mut Tracer, id: NodeId, dims: Vec<usize>) -> R<NodeId> {
    tracer.push(Op::Flip { dims }, &[id])
}

/// `fliplr` and `flipud`.
fn flip_one(vm: &mut Interp, a: &Args, dim: usize) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    if vm.tracer.rank(x) <= dim {
        return vm.refuse(Rule::ShapeAxis, format!("{}() needs a tensor of {} axes", a.function(), dim + 1));
    }
    flip(&mut vm.tracer, x, vec![dim]).map(|id| vm.tracer.tensor_value(id))
}

fn rot90(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let rank = vm.tracer.rank(x);
    let dims = if a.some("dims").is_some() {
        a.axes(vm, "dims", rank)?.unwrap_or_default()
    } else {
        vec![vm.tracer.run.axis(0, rank, "rot90")?, vm.tracer.run.axis(1, rank, "rot90")?]
    };
    let &[first, second] = dims.as_slice() else {
        return vm.value_fault("rot90() turns two axes");
    };
    if first == second {
        return vm.value_fault("rot90() turns two different axes");
    }
    let mut swapped: Vec<usize> = (0..rank).collect();
    swapped.swap(first, second);
    let out = match a.int_or(vm, "k", 1)?.rem_euclid(4) {
        1 => {
            let turned = flip(&mut vm.tracer, x, vec![second])?;
            vm.tracer.push(Op::Permute(swapped), &[turned])
        }
        2 => flip(&mut vm.tracer, x, vec![first, second]),
        3 => {
            let turned = flip(&mut vm.tracer, x, vec![first])?;
            vm.tracer.push(Op::Permute(swapped), &[turned])
        }
        _ => {
            let (shape, dtype) = (vm.tracer.shape(x).clone(), vm.tracer.dtype(x));
            let copy = vm.tracer.push_as(Op::Reshape, &[x], shape, dtype)?;
            Ok(vm.tracer.copied(copy, x))
        }
    };
    out.map(|id| vm.tracer.tensor_value(id))
}

/// At least so many axes, which come where numpy puts them.
fn at_least(vm: &mut Interp, a: &Args, rank: usize) -> R<Value> {
    let (items, several) = match a.rest.as_slice() {
        [Value::Tensor(_)] => (a.rest.clone(), false),
        [list @ (Value::List(_) | Value::Tuple(_))] => (vm.items(&list.clone())?, true),
        many => (many.to_vec(), true),
    };
    let mut out = Vec::new();
    for item in &items {
        let Value::Tensor(t) = item else {
            return vm.type_fault(format!("{}() takes tensors", a.function()));
        };
        let mut id = vm.tracer.node(t)?;
        let before = vm.tracer.rank(id);
        if before >= rank {
            out.push(Value::Tensor(t.clone()));
            continue;
        }
        for _ in before.max(1)..rank.min(2) {
            id = vm.tracer.unsqueeze(id, 0)?;
        }
        if before == 0 {
            id = vm.tracer.unsqueeze(id, 0)?;
        }
        if rank == 3 {
            id = vm.tracer.unsqueeze(id, 2)?;
        }
        out.push(vm.tracer.view_value(id, t)?);
    }
    match (several, out.pop()) {
        (false, Some(one)) => Ok(one),
        (_, last) => {
            out.extend(last);
            Ok(Value::tuple(out))
        }
    }
}

/// The nodes of a list of tensors.
fn all(tracer: &mut Tracer, items: &[Value], function: &str) -> R<Vec<NodeId>> {
    let mut ids = Vec::new();
    for item in items {
        let Value::Tensor(t) = item else { return tracer.run.type_fault(format!("{function}() takes tensors")) };
        ids.push(tracer.node(t)?);
    }
    if ids.is_empty() { tracer.run.value_fault(format!("{function}() of nothing")) } else { Ok(ids) }
}

fn column_stack(vm: &mut Interp, a: &Args) -> R<Value> {
    let items = a.listed(vm, "tensors")?;
    let mut ids = all(&mut vm.tracer, &items, "column_stack")?;
    for id in &mut ids {
        if vm.tracer.rank(*id) < 2 {
            let count = graph::numel(vm.tracer.shape(*id));
            *id = vm.tracer.reshaped(*id, vec![count, Dim::known(1)])?;
        }
    }
    let ids = super::pieces::same_type(&mut vm.tracer, ids)?;
    vm.tracer.push(Op::Cat { dim: 1 }, &ids).map(|id| vm.tracer.tensor_value(id))
}

/// Matrices along a diagonal.
fn block_diag(vm: &mut Interp, a: &Args) -> R<Value> {
    let ids = all(&mut vm.tracer, &a.rest, "block_diag")?;
    let ids = super::pieces::same_type(&mut vm.tracer, ids)?;
    let mut blocks = Vec::new();
    for id in ids {
        let shape = vm.tracer.shape(id).clone();
        blocks.push(match shape.len() {
            2 => id,
            0 | 1 => vm.tracer.reshaped(id, vec![Dim::known(1), graph::numel(&shape)])?,
            rank => {
                return vm.refuse(Rule::ShapeAxis, format!("block_diag() takes matrices, not tensors of {rank} axes"));
            }
        });
    }
    let size = |vm: &Interp, id: NodeId, dim: usize| vm.tracer.shape(id).get(dim).cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for (at, &block) in blocks.iter().enumerate() {
        let (height, dtype) = (size(vm, block, 0), vm.tracer.dtype(block));
        let mut row = Vec::new();
        for (place, &other) in blocks.iter().enumerate() {
            let width = size(vm, other, 1);
            let zeros = vec![height.clone(), width];
            row.push(if place == at { block } else { vm.tracer.push_as(Op::Full(0.0), &[], zeros, dtype)? });
        }
        rows.push(vm.tracer.push(Op::Cat { dim: 1 }, &row)?);
    }
    vm.tracer.push(Op::Cat { dim: 0 }, &rows).map(|id| vm.tracer.tensor_value(id))
}

/// Each element of one times all of the other.
fn kron(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
    let given = [x, y];
    let (outer, inner) = (vm.tracer.shape(x).clone(), vm.tracer.shape(y).clone());
    let rank = outer.len().max(inner.len());
    let padded = |shape: &Shape| -> Shape {
        std::iter::repeat_n(Dim::known(1), rank - shape.len()).chain(shape.iter().cloned()).collect()
    };
    let (outer, inner) = (padded(&outer), padded(&inner));
    let one = Dim::known(1);
    let x = vm.tracer.reshaped(x, outer.iter().flat_map(|size| [size.clone(), one.clone()]).collect())?;
    let y = vm.tracer.reshaped(y, inner.iter().flat_map(|size| [one.clone(), size.clone()]).collect())?;
    let product = vm.tracer.bin(BinaryOp::Mul, x, y)?;
    let joined = outer.into_iter().zip(inner).map(|(x, y)| x * y).collect();
    let out = vm.tracer.reshaped(product, joined)?;
    let out = vm.tracer.plain(out);
    keeping(&mut vm.tracer, Ok(out), &given)
}

/// A matrix, or matrices, with the last axis on the diagonal and 0 elsewhere.
pub(super) fn on_diagonal(tracer: &mut Tracer, x: NodeId, offset: i64) -> R<NodeId> {
    let (shape, dtype) = (tracer.shape(x).clone(), tracer.dtype(x));
    let size = shape.last().cloned().unwrap_or_default();
    let shift = Dim::known(offset.abs());
    let (rows, columns) = (size.clone() + shift.clone(), size.clone() + shift.clone());
    let eye = tracer.push_as(Op::Eye, &[], vec![size.clone(), size.clone()], DType::Float)?;
    let eye = tracer.cast(eye, DType::Bool)?;
    let column = tracer.unsqueeze(x, shape.len())?;
    let zero = tracer.scalar(0.0, dtype)?;
    // chosen, not multiplied, so that an infinity stays where it is
    let mut out = tracer.push(Op::Where, &[eye, column, zero])?;
    if offset == 0 {
        return Ok(out);
    }
    // above the diagonal columns come in front and rows behind, below it the other way round
    let lead: Shape = shape.iter().take(shape.len().saturating_sub(1)).cloned().collect();
    let block = |tracer: &mut Tracer, height: Dim, width: Dim| {
        let own = lead.iter().cloned().chain([height, width]).collect();
        tracer.push_as(Op::Full(0.0), &[], own, dtype)
    };
    let side = block(tracer, size.clone(), shift.clone())?;
    let row = if offset > 0 { [side, out] } else { [out, side] };
    out = tracer.push(Op::Cat { dim: shape.len() }, &row)?;
    let rest = block(tracer, rows - size, columns)?;
    let column = if offset > 0 { [out, rest] } else { [rest, out] };
    tracer.push(Op::Cat { dim: shape.len() - 1 }, &column)
}

fn diag(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let offset = a.int_or(vm, "diagonal", 0)?;
    match vm.tracer.rank(x) {
        1 => on_diagonal(&mut vm.tracer, x, offset).map(|id| vm.tracer.tensor_value(id)),
        // a copy, unlike diagonal()
        2 => {
            let out = vm.tracer.push(Op::Diagonal { offset, dim1: 0, dim2: 1 }, &[x])?;
            let (shape, dtype) = (vm.tracer.shape(out).clone(), vm.tracer.dtype(out));
            let copy = vm.tracer.push_as(Op::Reshape, &[out], shape, dtype)?;
            let copy = vm.tracer.plain(copy);
            Ok(vm.tracer.tensor_value(copy))
        }
        rank => vm.refuse(Rule::ShapeAxis, format!("diag() takes a vector or a matrix, not {rank} axes")),
    }
}

/// `input` with `source` in place of what lies between two places of an axis.
fn replaced(tracer: &mut Tracer, x: NodeId, source: NodeId, dim: usize, start: Dim, end: Dim) -> R<Value> {
    let dtype = tracer.dtype(x);
    let source = tracer.cast(source, dtype)?;
    let size = tracer.shape(x).get(dim).cloned().unwrap_or_default();
    let before = tracer.push(Op::Slice { dim, start: Dim::known(0), end: start, step: 1 }, &[x])?;
    let behind = tracer.push(Op::Slice { dim, start: end, end: size, step: 1 }, &[x])?;
    let out = tracer.push(Op::Cat { dim }, &[before, source, behind])?;
    let out = tracer.copied(out, x);
    Ok(tracer.tensor_value(out))
}

fn must_fit(tracer: &mut Tracer, source: NodeId, wanted: &Shape, function: &str) -> R<()> {
    let found = tracer.shape(source);
    if found == wanted {
        return Ok(());
    }
    let text = format!("{function}() needs {} in that place, not {}", graph::display(wanted), graph::display(found));
    tracer.run.refuse(Rule::ShapeOp, text)
}

fn select_scatter(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, source) = (a.tensor(vm, "input")?, a.tensor(vm, "src")?);
    let shape = vm.tracer.shape(x).clone();
    let dim = a.axis(vm, "dim", shape.len())?;
    let size = shape.get(dim).cloned().unwrap_or_default();
    let mut at = a.dim(vm, "index")?;
    if Dim::known(0).provably_gt(&at) {
        at = at + size.clone();
    }
    if !at.provably_ge(&Dim::known(0)) || !size.provably_gt(&at) {
        return vm.refuse(Rule::ShapeIndexRange, format!("select_scatter(): there is no place {at} among {size}"));
    }
    let mut part = shape;
    part.remove(dim);
    must_fit(&mut vm.tracer, source, &part, "select_scatter")?;
    let source = vm.tracer.unsqueeze(source, dim)?;
    let end = at.clone() + Dim::known(1);
    replaced(&mut vm.tracer, x, source, dim, at, end)
}

fn slice_scatter(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, source) = (a.tensor(vm, "input")?, a.tensor(vm, "src")?);
    let shape = vm.tracer.shape(x).clone();
    let dim = a.axis_or(vm, "dim", 0, shape.len())?;
    let size = shape.get(dim).cloned().unwrap_or_default();
    if a.int_or(vm, "step", 1)? != 1 {
        return vm.refuse(Rule::UnsupportedOp, "slice_scatter() is supported with a step of 1");
    }
    let place = |vm: &mut Interp, name: &str, default: Dim| -> R<Dim> {
        let mut at = if a.some(name).is_some() { a.dim(vm, name)? } else { default };
        if Dim::known(0).provably_gt(&at) {
            at = at + size.clone();
        }
        // beyond the ends means the ends
        if Dim::known(0).provably_gt(&at) {
            return Ok(Dim::known(0));
        }
        if at.provably_gt(&size) {
            return Ok(size.clone());
        }
        if at.provably_ge(&Dim::known(0)) && size.provably_ge(&at) {
            return Ok(at);
        }
        vm.refuse(
            Rule::UnsupportedSize,
            format!("slice_scatter(): whether {at} lies within {size} depends on the graph"),
        )
    };
    let (start, end) = (place(vm, "start", Dim::known(0))?, place(vm, "end", size.clone())?);
    if !end.provably_ge(&start) {
        return vm.value_fault("slice_scatter(): the end lies before the start");
    }
    let mut part = shape;
    if let Some(slot) = part.get_mut(dim) {
        *slot = end.clone() - start.clone();
    }
    must_fit(&mut vm.tracer, source, &part, "slice_scatter")?;
    replaced(&mut vm.tracer, x, source, dim, start, end)
}

fn diagonal_scatter(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, source) = (a.tensor(vm, "input")?, a.tensor(vm, "src")?);
    let shape = vm.tracer.shape(x).clone();
    let rank = shape.len();
    let (dim1, dim2) = (a.axis_or(vm, "dim1", 0, rank)?, a.axis_or(vm, "dim2", 1, rank)?);
    if dim1 == dim2 {
        return vm.value_fault("diagonal_scatter(): the two axes of the diagonal differ");
    }
    let (rows, columns) = (shape.get(dim1).cloned().unwrap_or_default(), shape.get(dim2).cloned().unwrap_or_default());
    if a.int_or(vm, "offset", 0)? != 0 || rows != columns {
        return vm
            .refuse(Rule::UnsupportedOp, "diagonal_scatter() is supported for the main diagonal of square matrices");
    }
    let others: Vec<usize> = (0..rank).filter(|at| *at != dim1 && *at != dim2).collect();
    let mut part: Shape = others.iter().filter_map(|at| shape.get(*at).cloned()).collect();
    part.push(rows.clone());
    must_fit(&mut vm.tracer, source, &part, "diagonal_scatter")?;
    let dtype = vm.tracer.dtype(x);
    let source = vm.tracer.cast(source, dtype)?;
    // [..., row, column], as the source lies, and then in the order of the input's axes
    let column = vm.tracer.unsqueeze(source, rank - 1)?;
    let mut wide = part;
    wide.push(columns.clone());
    let column = vm.tracer.push_as(Op::Expand, &[column], wide, dtype)?;
    let from: Vec<usize> = others.iter().copied().chain([dim1, dim2]).collect();
    let order: Vec<usize> = (0..rank).filter_map(|at| from.iter().position(|axis| *axis == at)).collect();
    let source = vm.tracer.push(Op::Permute(order), &[column])?;
    let eye = vm.tracer.push_as(Op::Eye, &[], vec![rows.clone(), columns.clone()], DType::Float)?;
    let eye = vm.tracer.cast(eye, DType::Bool)?;
    let own = (0..rank).map(|at| match at {
        at if at == dim1 => rows.clone(),
        at if at == dim2 => columns.clone(),
        _ => Dim::known(1),
    });
    let eye = vm.tracer.push_as(Op::Reshape, &[eye], own.collect(), DType::Bool)?;
    let out = vm.tracer.push(Op::Where, &[eye, source, x])?;
    let out = vm.tracer.copied(out, x);
    Ok(vm.tracer.tensor_value(out))
}

/// `x` with one value in all rows that `index` names.
fn index_fill(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, index, value) = (a.tensor(vm, "input")?, a.tensor(vm, "index")?, a.operand(vm, "value")?);
    let shape = vm.tracer.shape(x).clone();
    let dim = a.axis(vm, "dim", shape.len())?;
    if vm.tracer.rank(index) > 1 || !vm.tracer.shape(value).is_empty() {
        return vm.refuse(Rule::ShapeGather, "index_fill() takes a vector of indices and one value");
    }
    let dtype = vm.tracer.dtype(x);
    if vm.tracer.dtype(value) > dtype {
        return vm.refuse(Rule::ShapeDtype, "index_fill(): the value does not fit into the type of the input");
    }
    let count = graph::numel(vm.tracer.shape(index));
    let own = (0..shape.len()).map(|at| if at == dim { count.clone() } else { Dim::known(1) });
    let index = vm.tracer.push_as(Op::Reshape, &[index], own.collect(), DType::Int)?;
    let mut wide = shape;
    if let Some(slot) = wide.get_mut(dim) {
        *slot = count;
    }
    let index = vm.tracer.push_as(Op::Expand, &[index], wide.clone(), DType::Int)?;
    let value = vm.tracer.cast(value, dtype)?;
    let value = vm.tracer.push_as(Op::Expand, &[value], wide, dtype)?;
    let out = vm.tracer.push(Op::Scatter { dim }, &[x, index, value])?;
    let out = vm.tracer.copied(out, x);
    Ok(vm.tracer.tensor_value(out))
}

pub static TABLE: &[Native] = &[
    f!("torch.fliplr Tensor.fliplr", "input", |vm, a| flip_one(vm, a, 1)),
    f!("torch.flipud Tensor.flipud", "input", |vm, a| flip_one(vm, a, 0)),
    f!("torch.rot90 Tensor.rot90", "input k? dims?", rot90),
    f!("torch.msort Tensor.msort", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        vm.tracer.push(Op::Sort { dim: 0, descending: false }, &[x]).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.atleast_1d", "*tensors", |vm, a| at_least(vm, a, 1)),
    f!("torch.atleast_2d", "*tensors", |vm, a| at_least(vm, a, 2)),
    f!("torch.atleast_3d", "*tensors", |vm, a| at_least(vm, a, 3)),
    f!("torch.column_stack", "tensors", column_stack),
    f!("torch.block_diag", "*tensors", block_diag),
    f!("torch.kron Tensor.kron", "input other", kron),
    f!("torch.diag Tensor.diag", "input diagonal?", diag),
    f!("torch.diagflat Tensor.diagflat", "input offset?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let offset = a.int_or(vm, "offset", 0)?;
        let count = graph::numel(vm.tracer.shape(x));
        let x = vm.tracer.reshaped(x, vec![count])?;
        on_diagonal(&mut vm.tracer, x, offset).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.diag_embed Tensor.diag_embed", "input offset?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        if vm.tracer.shape(x).is_empty() {
            return vm.refuse(Rule::ShapeAxis, "diag_embed() needs an axis");
        }
        let offset = a.int_or(vm, "offset", 0)?;
        on_diagonal(&mut vm.tracer, x, offset).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.select_scatter Tensor.select_scatter", "input src dim index", select_scatter),
    f!("torch.slice_scatter Tensor.slice_scatter", "input src dim? start? end? step?", slice_scatter),
    f!("torch.diagonal_scatter Tensor.diagonal_scatter", "input src offset? dim1? dim2?", diagonal_scatter),
    f!("torch.index_fill Tensor.index_fill", "input dim index value", index_fill),
];
