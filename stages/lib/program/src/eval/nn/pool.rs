//! Adaptive pooling to one element: a reduction over whole axes, the only one that does not depend on their sizes.

use super::*;
use crate::rules::Rule;

/// Keeps that the result has one element along each axis, and refuses any other size.
pub(super) fn init(vm: &mut Interp, a: &Args) -> R<Value> {
    one(vm, a)?;
    if a.bool(vm, "return_indices", false)? {
        return vm.refuse(Rule::UnsupportedOp, "pooling is not supported with return_indices");
    }
    begin(&mut vm.tracer.run, a)?;
    Ok(Value::None)
}

fn one(vm: &mut Interp, a: &Args) -> R<()> {
    let size = a.value("output_size");
    let sizes = match &size {
        Value::Tuple(_) | Value::List(_) => vm.items(&size)?,
        one => vec![one.clone()],
    };
    if sizes.iter().all(|s| matches!(s, Value::Int(1))) && !sizes.is_empty() {
        return Ok(());
    }
    let text = "pooling is supported to one element along each axis; nodes have no order for windows to follow";
    vm.refuse(Rule::UnsupportedOp, text)
}

/// The mean or the largest element over the last `axes` axes, which keep size 1.
pub fn pooled(vm: &mut Interp, a: &Args, axes: usize, largest: bool) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let shape = vm.tracer.shape(x).clone();
    let rank = shape.len();
    if rank != axes + 1 && rank != axes + 2 {
        let text = format!("this pooling takes {} or {} axes, not {}", axes + 1, axes + 2, graph::display(&shape));
        return vm.refuse(Rule::ShapeOp, text);
    }
    let dims: Vec<usize> = (rank - axes..rank).collect();
    if !largest {
        return vm
            .tracer
            .push(Op::Reduce { op: ReduceOp::Mean, dims, keepdim: true }, &[x])
            .map(|id| vm.tracer.tensor_value(id));
    }
    // the gradient goes to one element, so that the axes are searched as one
    let (head, tail) = shape.split_at(rank - axes);
    let mut flat = head.to_vec();
    flat.push(graph::numel(tail));
    let dtype = vm.tracer.dtype(x);
    let x = vm.tracer.push_as(Op::Reshape, &[x], flat, dtype)?;
    let out = vm.tracer.push(Op::Reduce { op: ReduceOp::MaxValues, dims: vec![rank - axes], keepdim: true }, &[x])?;
    let mut to = head.to_vec();
    to.extend(tail.iter().map(|_| Dim::known(1)));
    vm.tracer.push_as(Op::Reshape, &[out], to, dtype).map(|id| vm.tracer.tensor_value(id))
}

/// As a function, which gets its size with each call.
pub fn pooled_to(vm: &mut Interp, a: &Args, axes: usize, largest: bool) -> R<Value> {
    one(vm, a)?;
    pooled(vm, a, axes, largest)
}
