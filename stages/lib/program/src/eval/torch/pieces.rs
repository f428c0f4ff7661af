//! Joining, cutting, repeating and padding.

use super::super::arith::as_dim;
use super::*;
use crate::rules::Rule;

pub(super) fn cat(vm: &mut Interp, a: &Args) -> R<Value> {
    let items = a.listed(vm, "tensors")?;
    let mut ids = Vec::new();
    for item in &items {
        match item {
            Value::Tensor(t) => ids.push(vm.tracer.node(t)?),
            other => return vm.type_fault(format!("cat() joins tensors, not {}", other.type_name())),
        }
    }
    let Some(first) = ids.first() else { return vm.value_fault("cat() of nothing") };
    let rank = vm.tracer.rank(*first);
    let dim = a.axis_or(vm, "dim", 0, rank)?;
    let ids = same_type(&mut vm.tracer, ids)?;
    vm.tracer.push(Op::Cat { dim }, &ids).map(|id| vm.tracer.tensor_value(id))
}

/// Casts all to the highest type among them, as cat and stack do.
pub(super) fn same_type(tracer: &mut Tracer, ids: Vec<NodeId>) -> R<Vec<NodeId>> {
    let top = ids.iter().map(|i| tracer.dtype(*i)).max().unwrap_or(DType::Float);
    ids.into_iter().map(|i| tracer.cast(i, top)).collect()
}

pub(super) fn stack(vm: &mut Interp, a: &Args) -> R<Value> {
    let items = a.listed(vm, "tensors")?;
    let mut ids = Vec::new();
    let mut shape: Option<Shape> = None;
    for item in &items {
        let Value::Tensor(t) = item else {
            return vm.type_fault(format!("stack() joins tensors, not {}", item.type_name()));
        };
        let id = vm.tracer.node(t)?;
        let own = vm.tracer.shape(id).clone();
        if let Some(first) = shape.as_ref().filter(|s| **s != own) {
            let text =
                format!("stack() needs equal shapes, not {} and {}", graph::display(first), graph::display(&own));
            return vm.refuse(Rule::ShapeCat, text);
        }
        let dim = a.axis_or(vm, "dim", 0, own.len() + 1)?;
        shape = Some(own);
        ids.push(vm.tracer.unsqueeze(id, dim)?);
    }
    let Some(shape) = shape else { return vm.value_fault("stack() of nothing") };
    let dim = a.axis_or(vm, "dim", 0, shape.len() + 1)?;
    let ids = same_type(&mut vm.tracer, ids)?;
    vm.tracer.push(Op::Cat { dim }, &ids).map(|id| vm.tracer.tensor_value(id))
}

/// Pieces of the given sizes along an axis.
pub(super) fn pieces(tracer: &mut Tracer, t: &Rc<Tensor>, dim: usize, sizes: &[Dim]) -> R<Value> {
    cut(tracer, t, dim, sizes, true)
}

/// As [`pieces`]; `several`: whether they are what one function of torch gives.
fn cut(tracer: &mut Tracer, t: &Rc<Tensor>, dim: usize, sizes: &[Dim], several: bool) -> R<Value> {
    let id = tracer.node(t)?;
    let mut start = Dim::known(0);
    let mut out = Vec::new();
    for size in sizes {
        let end = start.clone() + size.clone();
        let piece = tracer.push(Op::Slice { dim, start, end: end.clone(), step: 1 }, &[id])?;
        out.push(tracer.view_among(piece, t, several)?);
        start = end;
    }
    Ok(Value::tuple(out))
}

pub(super) fn axis_size(tracer: &mut Tracer, t: &Rc<Tensor>, dim: usize) -> Dim {
    tracer.shape_of(t).get(dim).cloned().unwrap_or_default()
}

/// Cuts an axis of known size into pieces of `step`, the last one being smaller.
pub(super) fn equal_pieces(tracer: &mut Tracer, t: &Rc<Tensor>, dim: usize, step: &Dim) -> R<Value> {
    let size = axis_size(tracer, t, dim);
    if let (Some(size), Some(step)) = (size.as_known(), step.as_known()) {
        if step <= 0 {
            return tracer.run.value_fault("pieces must have at least one element");
        }
        let mut sizes = Vec::new();
        let mut rest = size;
        while rest > 0 {
            sizes.push(Dim::known(rest.min(step)));
            rest -= step;
            tracer.run.step()?;
        }
        return pieces(tracer, t, dim, &sizes);
    }
    match size.div_exact(step).and_then(|d| d.as_known()) {
        Some(count) if (1..=256).contains(&count) => {
            let sizes: Vec<Dim> = (0..count).map(|_| step.clone()).collect();
            pieces(tracer, t, dim, &sizes)
        }
        _ => tracer.run.refuse(
            Rule::UnsupportedSize,
            format!("cutting an axis of size {size} into pieces of {step} gives a number of pieces that depends on the graph"),
        ),
    }
}

/// `sizes`: what the parameter with them is called, which differs between the function and the methods.
fn split(vm: &mut Interp, a: &Args, sizes: &str) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    let dim = a.axis_or(vm, "dim", 0, vm.tracer.shape_of(&t).len())?;
    match a.value(sizes) {
        v @ (Value::List(_) | Value::Tuple(_)) => {
            let items = vm.items(&v)?;
            let sizes = vm.tracer.run.new_shape(&items)?;
            let size = axis_size(&mut vm.tracer, &t, dim);
            let total = sizes.iter().fold(Dim::known(0), |sum, s| sum + s.clone());
            if total != size {
                return vm.refuse(
                    Rule::ShapeSplit,
                    format!("pieces of {total} elements in all do not fill an axis of {size}"),
                );
            }
            pieces(&mut vm.tracer, &t, dim, &sizes)
        }
        other => match as_dim(&other) {
            Some(step) => equal_pieces(&mut vm.tracer, &t, dim, &step),
            None => vm.type_fault(format!("split() needs sizes, not {}", other.type_name())),
        },
    }
}

pub(super) fn chunk(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    let dim = a.axis_or(vm, "dim", 0, vm.tracer.shape_of(&t).len())?;
    let count = a.int(vm, "chunks")?;
    if count <= 0 {
        return vm.value_fault("chunk() needs at least one chunk");
    }
    let size = axis_size(&mut vm.tracer, &t, dim);
    match size.as_known() {
        Some(size) => equal_pieces(&mut vm.tracer, &t, dim, &Dim::known((size + count - 1) / count)),
        None => match size.div_exact(&Dim::known(count)) {
            Some(step) => equal_pieces(&mut vm.tracer, &t, dim, &step),
            None => vm.refuse(
                Rule::UnsupportedSize,
                format!("cutting an axis of size {size} into {count} chunks comes out differently from graph to graph"),
            ),
        },
    }
}

/// `tensor_split`: that many pieces, the first ones being longer, or cut before each of the indices.
fn tensor_split(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    let dim = a.axis_or(vm, "dim", 0, vm.tracer.shape_of(&t).len())?;
    let size = axis_size(&mut vm.tracer, &t, dim);
    match a.value("indices_or_sections") {
        Value::Int(count) if count > 0 => match size.as_known() {
            Some(size) => {
                vm.charge(count.unsigned_abs())?;
                let sizes: Vec<Dim> =
                    (0..count).map(|i| Dim::known(size / count + i64::from(i < size % count))).collect();
                cut(&mut vm.tracer, &t, dim, &sizes, false)
            }
            None => match size.div_exact(&Dim::known(count)) {
                Some(step) => {
                    let sizes: Vec<Dim> = (0..count).map(|_| step.clone()).collect();
                    cut(&mut vm.tracer, &t, dim, &sizes, false)
                }
                None => vm.refuse(
                    Rule::UnsupportedSize,
                    format!(
                        "cutting an axis of size {size} into {count} pieces comes out differently from graph to graph"
                    ),
                ),
            },
        },
        list @ (Value::List(_) | Value::Tuple(_)) => {
            let (mut start, mut sizes) = (Dim::known(0), Vec::new());
            for item in vm.items(&list)? {
                let Some(end) = as_dim(&item).filter(|end| end.provably_ge(&start) && size.provably_ge(end)) else {
                    return vm.refuse(Rule::UnsupportedOp, "tensor_split() needs indices in order, within the axis");
                };
                sizes.push(end.clone() - start);
                start = end;
            }
            sizes.push(size - start);
            cut(&mut vm.tracer, &t, dim, &sizes, false)
        }
        other => {
            vm.type_fault(format!("tensor_split() needs a number of pieces or indices, not {}", other.type_name()))
        }
    }
}

pub(super) fn repeat(vm: &mut Interp, a: &Args) -> R<Value> {
    let sizes = a.sizes(vm)?;
    let counts = vm.tracer.run.new_shape(&sizes)?;
    let id = a.tensor(vm, "input")?;
    let mut shape = vm.tracer.shape(id).clone();
    let counts = if a.function() == "tile" && counts.len() < shape.len() {
        let missing = shape.len() - counts.len();
        std::iter::repeat_n(Dim::known(1), missing).chain(counts).collect()
    } else {
        counts
    };
    if counts.len() < shape.len() {
        return vm.refuse(
            Rule::ShapeExpand,
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
    let dtype = vm.tracer.dtype(id);
    let x = vm.tracer.reshaped(id, apart)?;
    let x = vm.tracer.push_as(Op::Expand, &[x], wide, dtype)?;
    vm.tracer.reshaped(x, joined).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn repeat_interleave(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut id = a.tensor(vm, "input")?;
    let count = a.dim(vm, "repeats")?;
    // without an axis, all elements stand in a row
    if a.some("dim").is_none() {
        let row = vec![graph::numel(vm.tracer.shape(id))];
        id = vm.tracer.reshaped(id, row)?;
    }
    let shape = vm.tracer.shape(id).clone();
    let dim = a.axis_or(vm, "dim", 0, shape.len())?;
    let dtype = vm.tracer.dtype(id);
    let mut apart = shape.clone();
    apart.insert(dim + 1, Dim::known(1));
    let mut wide = shape.clone();
    wide.insert(dim + 1, count.clone());
    let mut joined = shape;
    if let Some(d) = joined.get_mut(dim) {
        *d = d.clone() * count;
    }
    let x = vm.tracer.reshaped(id, apart)?;
    let x = vm.tracer.push_as(Op::Expand, &[x], wide, dtype)?;
    vm.tracer.reshaped(x, joined).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn glu(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    let rank = vm.tracer.shape_of(&t).len();
    let dim = a.axis_or(vm, "dim", -1, rank)?;
    let size = axis_size(&mut vm.tracer, &t, dim);
    let Some(half) = size.div_exact(&Dim::known(2)) else {
        return vm.refuse(Rule::ShapeSplit, format!("glu halves an axis of {size}, which is not even"));
    };
    let halves = pieces(&mut vm.tracer, &t, dim, &[half.clone(), half])?;
    let halves = vm.items(&halves)?;
    let [Value::Tensor(x), Value::Tensor(g)] = halves.as_slice() else {
        return vm.type_fault("two halves expected");
    };
    let (x, g) = (vm.tracer.node(x)?, vm.tracer.node(g)?);
    needs_float(&vm.tracer, a, &[x])?;
    let g = vm.tracer.un(UnaryOp::Sigmoid, g)?;
    vm.tracer.bin(BinaryOp::Mul, x, g).map(|id| vm.tracer.tensor_value(id))
}

/// `F.pad` with constants: cat with blocks of them.
pub(super) fn pad(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut id = a.tensor(vm, "input")?;
    if &*a.text_or(vm, "mode", "constant")? != "constant" {
        return vm.refuse(Rule::UnsupportedOp, "of the padding modes, only 'constant' is supported");
    }
    let value = a.float_or(vm, "value", 0.0)?;
    let items = a.listed(vm, "pad")?;
    let cuts: Vec<i64> = items.iter().map(|i| if let Value::Int(i) = i { (*i).min(0) } else { 0 }).collect();
    let counts: Vec<Value> =
        items.iter().map(|i| if let Value::Int(i) = i { Value::Int((*i).max(0)) } else { i.clone() }).collect();
    let sizes = vm.tracer.run.new_shape(&counts)?;
    let rank = vm.tracer.rank(id);
    if sizes.len() % 2 == 1 || sizes.len() / 2 > rank {
        return vm.refuse(Rule::ShapeOp, "pad takes a pair of counts for each axis, the last one first");
    }
    // counts below zero take elements away, before others come
    for (i, sides) in cuts.chunks_exact(2).enumerate().filter(|(_, sides)| sides.iter().any(|c| *c < 0)) {
        let dim = rank - 1 - i;
        let [before, behind] = sides else { continue };
        let size = vm.tracer.shape(id).get(dim).cloned().unwrap_or_default();
        let (start, end) = (Dim::known(before.saturating_neg()), size + Dim::known(*behind));
        if !end.provably_gt(&start) {
            return vm.refuse(Rule::ShapeOp, "pad takes away more than there is, for some B >= 1 and N >= 2");
        }
        id = vm.tracer.push(Op::Slice { dim, start, end, step: 1 }, &[id])?;
    }
    for (i, sides) in sizes.chunks_exact(2).enumerate() {
        let dim = rank - 1 - i;
        let mut parts = Vec::new();
        for (at, count) in sides.iter().enumerate() {
            if count.as_known() != Some(0) {
                let mut shape = vm.tracer.shape(id).clone();
                if let Some(d) = shape.get_mut(dim) {
                    *d = count.clone();
                }
                let dtype = vm.tracer.dtype(id);
                parts.push((at, vm.tracer.push_as(Op::Full(value), &[], shape, dtype)?));
            }
        }
        if parts.is_empty() {
            continue;
        }
        let mut row: Vec<NodeId> = parts.iter().filter(|p| p.0 == 0).map(|p| p.1).collect();
        row.push(id);
        row.extend(parts.iter().filter(|p| p.0 == 1).map(|p| p.1));
        id = vm.tracer.push(Op::Cat { dim }, &row)?;
    }
    Ok(vm.tracer.tensor_value(id))
}

pub static TABLE: &[Native] = &[
    f!("torch.cat torch.concat torch.concatenate", "tensors dim?", cat),
    f!("torch.stack", "tensors dim?", stack),
    f!("torch.split", "input split_size_or_sections dim?", |vm, a| split(vm, a, "split_size_or_sections")),
    f!("Tensor.split", "input split_size dim?", |vm, a| split(vm, a, "split_size")),
    f!("torch.split_with_sizes Tensor.split_with_sizes", "input split_sizes dim?", |vm, a| split(vm, a, "split_sizes")),
    f!("torch.chunk Tensor.chunk", "input chunks dim?", chunk),
    f!("torch.tensor_split Tensor.tensor_split", "input indices_or_sections dim?", tensor_split),
    f!("torch.unbind Tensor.unbind", "input dim?", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        let dim = a.axis_or(vm, "dim", 0, vm.tracer.shape_of(&t).len())?;
        let Some(count) = axis_size(&mut vm.tracer, &t, dim).as_known() else {
            return vm.refuse(Rule::UnsupportedSizeLoop, "unbind along an axis whose size depends on the graph");
        };
        let id = vm.tracer.node(&t)?;
        let mut out = Vec::new();
        for i in 0..count {
            let one = vm.tracer.push(Op::Select { dim, index: i.into() }, &[id])?;
            out.push(vm.tracer.view_among(one, &t, true)?);
        }
        Ok(Value::tuple(out))
    }),
    f!("Tensor.repeat", "input *sizes", repeat),
    f!("Tensor.tile torch.tile", "input *sizes", repeat),
    f!("torch.repeat_interleave Tensor.repeat_interleave", "input repeats dim?", repeat_interleave),
    f!("torch.nn.functional.glu", "input dim?", glu),
    f!("torch.nn.functional.pad", "input pad mode? value?", pad),
];
