//! Moving, viewing and broadcasting of axes.

use super::super::arith::as_dim;
use super::*;
use crate::rules::Rule;

pub(super) fn permute(vm: &mut Interp, a: &Args) -> R<Value> {
    let sizes = a.sizes(vm)?;
    view(vm, a, |vm, id, rank| {
        let mut perm = Vec::new();
        for s in &sizes {
            match s {
                Value::Int(i) => perm.push(vm.tracer.run.axis(*i, rank, "permute")?),
                other => return vm.type_fault(format!("axes are integers, not {}", other.type_name())),
            }
        }
        let mut sorted = perm.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..rank) {
            let text = format!("permute needs each of the {rank} axes of {} once", graph::display(vm.tracer.shape(id)));
            return vm.refuse(Rule::ShapeAxis, text);
        }
        vm.tracer.push(Op::Permute(perm), &[id])
    })
}

pub(super) fn transpose(vm: &mut Interp, a: &Args) -> R<Value> {
    view(vm, a, |vm, id, rank| {
        let (x, y) = (a.axis(vm, "dim0", rank)?, a.axis(vm, "dim1", rank)?);
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(x, y);
        vm.tracer.push(Op::Permute(perm), &[id])
    })
}

/// Whether a tensor can be seen in another shape where it lies.
fn viewable(vm: &Interp, id: NodeId, to: &Shape) -> R<()> {
    if vm.tracer.can_view(id, to) {
        return Ok(());
    }
    let from = graph::display(vm.tracer.shape(id));
    let text = format!("{from} does not lie in memory in such a way that it can be viewed as {}", graph::display(to));
    Err(Box::new(vm.fault(Rule::ShapeView, text).help("use reshape, or contiguous() before view")))
}

pub(super) fn reshape(vm: &mut Interp, a: &Args) -> R<Value> {
    let sizes = a.sizes(vm)?;
    // `x.view(torch.float32)` would reinterpret bytes
    if matches!(sizes.as_slice(), [Value::DType(_)]) {
        return vm.refuse(Rule::UnsupportedOp, "a view as another type is not supported");
    }
    if let Some(mut l) = vm.tracer.run.literal(&a.value("input"))? {
        let from: Shape = l.shape.iter().map(|s| Dim::known(*s as i64)).collect();
        let to = vm.tracer.run.view_shape(&from, &sizes)?;
        if !matches!(l.init, Init::Eye) && graph::numel(&from) == graph::numel(&to) {
            l.shape = to.iter().map(|d| usize::try_from(d.as_known().unwrap_or(0)).unwrap_or(0)).collect();
            return Ok(vm.tracer.run.literal_value(l.shape, l.init, l.dtype));
        }
    }
    let t = base(&vm.tracer.run, a, "input")?;
    let id = vm.tracer.node(&t)?;
    let from = vm.tracer.shape(id).clone();
    let to = vm.tracer.run.view_shape(&from, &sizes)?;
    if a.function() == "view" {
        viewable(vm, id, &to)?;
    }
    let out = vm.tracer.reshaped(id, to)?;
    vm.tracer.view_value(out, &t)
}

pub(super) fn flatten(vm: &mut Interp, a: &Args) -> R<Value> {
    view(vm, a, |vm, id, rank| {
        let first = if a.function() == "apply" { 1 } else { 0 };
        let (start, end) = (a.axis_or(vm, "start_dim", first, rank)?, a.axis_or(vm, "end_dim", -1, rank)?);
        if start > end {
            return vm.refuse(Rule::ShapeAxis, "flatten: start_dim lies behind end_dim");
        }
        let shape = vm.tracer.shape(id).clone();
        let (head, rest) = shape.split_at(start);
        let (middle, tail) = rest.split_at(end + 1 - start);
        let mut to = head.to_vec();
        to.push(graph::numel(middle));
        to.extend_from_slice(tail);
        vm.tracer.reshaped(id, to)
    })
}

pub(super) fn unflatten(vm: &mut Interp, a: &Args) -> R<Value> {
    let items = a.listed(vm, "sizes")?;
    view(vm, a, |vm, id, rank| {
        let dim = a.axis(vm, "dim", rank)?;
        let shape = vm.tracer.shape(id).clone();
        let one = vec![shape.get(dim).cloned().unwrap_or_default()];
        let inner = vm.tracer.run.view_shape(&one, &items)?;
        if graph::numel(&inner) != graph::numel(&one) {
            let text =
                format!("unflatten: {} does not fill an axis of {}", graph::display(&inner), graph::display(&one));
            return vm.refuse(Rule::ShapeReshape, text);
        }
        let mut to = shape;
        to.splice(dim..=dim, inner);
        vm.tracer.reshaped(id, to)
    })
}

pub(super) fn unsqueeze(vm: &mut Interp, a: &Args) -> R<Value> {
    if let Some(l) = vm.tracer.run.literal(&a.value("input"))?.filter(|l| !matches!(l.init, Init::Eye)) {
        let dim = a.axis(vm, "dim", l.shape.len() + 1)?;
        let mut shape = l.shape;
        shape.insert(dim, 1);
        return Ok(vm.tracer.run.literal_value(shape, l.init, l.dtype));
    }
    view(vm, a, |vm, id, rank| {
        let dim = a.axis(vm, "dim", rank + 1)?;
        vm.tracer.unsqueeze(id, dim)
    })
}

pub(super) fn squeeze(vm: &mut Interp, a: &Args) -> R<Value> {
    view(vm, a, |vm, id, rank| {
        let dims = a.axes(vm, "dim", rank)?.unwrap_or_else(|| (0..rank).collect());
        let shape = vm.tracer.shape(id).clone();
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
                    Rule::ShapeSqueeze,
                    format!(
                        "squeeze would drop axis {i} of {} where {size} is 1, and only there",
                        graph::display(&shape)
                    ),
                );
                return Err(Box::new(d.help("name the axis to drop, or index it with [..., 0]")));
            }
            to.push(size.clone());
        }
        vm.tracer.reshaped(id, to)
    })
}

pub(super) fn expand_to(tracer: &mut Tracer, id: NodeId, sizes: &[Value]) -> R<NodeId> {
    let from = tracer.shape(id).clone();
    let mut to = Vec::new();
    let extra = sizes.len().saturating_sub(from.len());
    for (i, size) in sizes.iter().enumerate() {
        to.push(match size {
            Value::Int(-1) => match i.checked_sub(extra).and_then(|i| from.get(i)) {
                Some(d) => d.clone(),
                None => return tracer.run.refuse(Rule::ShapeExpand, "expand: -1 cannot stand for a new axis"),
            },
            other => match as_dim(other) {
                Some(d) => d,
                None => return tracer.run.type_fault(format!("sizes are integers, not {}", other.type_name())),
            },
        });
    }
    let dtype = tracer.dtype(id);
    tracer.push_as(Op::Expand, &[id], to, dtype)
}

pub(super) fn triangle(vm: &mut Interp, a: &Args, lower: bool) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let diagonal = a.int_or(vm, "diagonal", 0)?;
    vm.tracer
        .push(if lower { Op::Tril { diagonal } } else { Op::Triu { diagonal } }, &[id])
        .map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn diagonal(vm: &mut Interp, a: &Args, [first, second]: [i64; 2]) -> R<Value> {
    view(vm, a, |vm, id, rank| {
        let offset = a.int_or(vm, "offset", 0)?;
        let dim1 = a.axis_or(vm, "dim1", first, rank)?;
        let dim2 = a.axis_or(vm, "dim2", second, rank)?;
        vm.tracer.push(Op::Diagonal { offset, dim1, dim2 }, &[id])
    })
}

pub static TABLE: &[Native] = &[
    f!("torch.permute Tensor.permute", "input *dims", permute),
    f!(
        "torch.transpose torch.swapaxes torch.swapdims Tensor.transpose Tensor.swapaxes Tensor.swapdims",
        "input dim0 dim1",
        transpose
    ),
    f!("torch.t Tensor.t", "input", |vm, a| {
        view(vm, a, |vm, id, rank| if rank < 2 { Ok(id) } else { vm.tracer.push(Op::Permute(vec![1, 0]), &[id]) })
    }),
    f!("torch.adjoint Tensor.adjoint", "input", |vm, a| {
        view(vm, a, |vm, id, rank| {
            if rank < 2 {
                return vm.refuse(Rule::ShapeAxis, "adjoint() needs a matrix");
            }
            let mut perm: Vec<usize> = (0..rank).collect();
            perm.swap(rank - 2, rank - 1);
            vm.tracer.push(Op::Permute(perm), &[id])
        })
    }),
    f!("torch.movedim Tensor.movedim torch.moveaxis Tensor.moveaxis", "input source destination", |vm, a| {
        view(vm, a, |vm, id, rank| {
            let is_one = |name| matches!(a.value(name), Value::Int(_));
            if is_one("source") != is_one("destination") {
                return vm.type_fault("movedim() takes two axes or two tuples of them");
            }
            let from = a.axes(vm, "source", rank)?.unwrap_or_default();
            let to = a.axes(vm, "destination", rank)?.unwrap_or_default();
            let repeats =
                |axes: &[usize]| axes.iter().enumerate().any(|(i, axis)| axes.iter().skip(i + 1).any(|a| a == axis));
            if from.len() != to.len() || repeats(&from) || repeats(&to) {
                return vm.refuse(Rule::ShapeAxis, "movedim() takes as many axes as places for them, each once");
            }
            // the others keep their order
            let mut others = (0..rank).filter(|axis| !from.contains(axis));
            let mut perm = Vec::with_capacity(rank);
            for place in 0..rank {
                let moved = to.iter().position(|t| *t == place).and_then(|i| from.get(i).copied());
                perm.extend(moved.or_else(|| others.next()));
            }
            vm.tracer.push(Op::Permute(perm), &[id])
        })
    }),
    f!("torch.broadcast_tensors", "*tensors", |vm, a| {
        let mut tensors = Vec::new();
        let mut to: Shape = Vec::new();
        for item in &a.rest {
            let Value::Tensor(t) = item else { return vm.type_fault("broadcast_tensors() takes tensors") };
            let id = vm.tracer.node(t)?;
            to = graph::broadcast(&to, vm.tracer.shape(id))
                .map_err(|e| vm.tracer.run.op_fault(Rule::ShapeBroadcast, &e))?;
            tensors.push((id, t.clone()));
        }
        let mut out = Vec::new();
        for (id, t) in tensors {
            let dtype = vm.tracer.dtype(id);
            let wide = vm.tracer.push_as(Op::Expand, &[id], to.clone(), dtype)?;
            out.push(vm.tracer.view_value(wide, &t)?);
        }
        Ok(Value::tuple(out))
    }),
    f!("torch.reshape Tensor.reshape", "input *shape", reshape),
    f!("Tensor.view", "input *shape", reshape),
    f!("Tensor.view_as Tensor.reshape_as", "input other", |vm, a| {
        let t = base(&vm.tracer.run, a, "other")?;
        let to = vm.tracer.shape_of(&t);
        view(vm, a, |vm, id, _| {
            if a.function() == "view_as" {
                viewable(vm, id, &to)?;
            }
            vm.tracer.reshaped(id, to)
        })
    }),
    f!("torch.flatten Tensor.flatten", "input start_dim? end_dim?", flatten),
    f!("torch.nn.Flatten.apply", "input start_dim? end_dim?", flatten),
    f!("torch.ravel Tensor.ravel", "input start_dim? end_dim?", flatten),
    f!("torch.unflatten Tensor.unflatten", "input dim sizes", unflatten),
    f!("torch.unsqueeze Tensor.unsqueeze", "input dim", unsqueeze),
    f!("torch.squeeze Tensor.squeeze", "input dim?", squeeze),
    f!("Tensor.expand torch.broadcast_to Tensor.broadcast_to", "input *size", |vm, a| {
        let sizes = a.sizes(vm)?;
        view(vm, a, |vm, id, _| expand_to(&mut vm.tracer, id, &sizes))
    }),
    f!("Tensor.expand_as", "input other", |vm, a| {
        let t = base(&vm.tracer.run, a, "other")?;
        let sizes: Vec<Value> = vm.tracer.shape_of(&t).iter().map(Value::dim).collect();
        view(vm, a, |vm, id, _| expand_to(&mut vm.tracer, id, &sizes))
    }),
    f!("torch.narrow Tensor.narrow", "input dim start length", |vm, a| {
        view(vm, a, |vm, id, rank| {
            let dim = a.axis(vm, "dim", rank)?;
            let start = a.dim(vm, "start")?;
            let end = start.clone() + a.dim(vm, "length")?;
            vm.tracer.push(Op::Slice { dim, start, end, step: 1 }, &[id])
        })
    }),
    f!("torch.select Tensor.select", "input dim index", |vm, a| {
        view(vm, a, |vm, id, rank| {
            let dim = a.axis(vm, "dim", rank)?;
            let mut index = a.dim(vm, "index")?;
            if Dim::known(0).provably_gt(&index) {
                index = index + vm.tracer.shape(id).get(dim).cloned().unwrap_or_default();
            }
            vm.tracer.push(Op::Select { dim, index }, &[id])
        })
    }),
    f!("torch.flip Tensor.flip", "input *dims", |vm, a| {
        let sizes = a.sizes(vm)?;
        let id = a.tensor(vm, "input")?;
        let rank = vm.tracer.rank(id);
        let mut dims = Vec::new();
        for s in sizes {
            match s {
                Value::Int(i) => dims.push(vm.tracer.run.axis(i, rank, "flip")?),
                other => return vm.type_fault(format!("axes are integers, not {}", other.type_name())),
            }
        }
        vm.tracer.push(Op::Flip { dims }, &[id]).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.roll Tensor.roll", "input shifts dims", |vm, a| {
        let mut id = a.tensor(vm, "input")?;
        let rank = vm.tracer.rank(id);
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
            let dim = vm.tracer.run.axis(*dim, rank, "roll")?;
            id = vm.tracer.push(Op::Roll { shift: *shift, dim }, &[id])?;
        }
        Ok(vm.tracer.tensor_value(id))
    }),
    f!("torch.tril Tensor.tril", "input diagonal?", |vm, a| triangle(vm, a, true)),
    f!("torch.triu Tensor.triu", "input diagonal?", |vm, a| triangle(vm, a, false)),
    f!("torch.diagonal Tensor.diagonal", "input offset? dim1? dim2?", |vm, a| diagonal(vm, a, [0, 1])),
    f!("torch.linalg.diagonal", "input | offset? dim1? dim2?", |vm, a| diagonal(vm, a, [-2, -1])),
];
