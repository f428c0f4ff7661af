//! Looking elements up by index tensors.

use super::*;
use crate::rules::Rule;

pub(super) fn gather(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, index) = (a.tensor(vm, "input")?, a.tensor(vm, "index")?);
    let dim = a.axis(vm, "dim", vm.tracer.rank(x))?;
    vm.tracer.push(Op::Gather { dim }, &[x, index]).map(|id| vm.tracer.tensor_value(id))
}

/// `gather` whose index and input are broadcast against each other along all other axes; without an axis both are flattened.
pub(super) fn take_along(vm: &mut Interp, a: &Args) -> R<Value> {
    let (mut x, mut index) = (a.tensor(vm, "input")?, a.tensor(vm, "indices")?);
    if a.some("dim").is_none() {
        for id in [&mut x, &mut index] {
            let count = graph::numel(vm.tracer.shape(*id));
            *id = vm.tracer.reshaped(*id, vec![count])?;
        }
        return vm.tracer.push(Op::Gather { dim: 0 }, &[x, index]).map(|id| vm.tracer.tensor_value(id));
    }
    let (shape, places) = (vm.tracer.shape(x).clone(), vm.tracer.shape(index).clone());
    if shape.len() != places.len() {
        let text = format!(
            "take_along_dim() needs an index of as many axes as {}, not {}",
            graph::display(&shape),
            graph::display(&places)
        );
        return vm.refuse(Rule::ShapeGather, text);
    }
    let dim = a.axis(vm, "dim", shape.len())?;
    let without = |sizes: &Shape| -> Shape {
        sizes.iter().enumerate().map(|(i, d)| if i == dim { Dim::known(1) } else { d.clone() }).collect()
    };
    let wide = match graph::broadcast(&without(&shape), &without(&places)) {
        Ok(wide) => wide,
        Err(e) => return Err(vm.tracer.run.op_fault(Rule::ShapeBroadcast, &e)),
    };
    let mut spread = |id: NodeId| {
        let mut to = wide.clone();
        if let (Some(slot), Some(own)) = (to.get_mut(dim), vm.tracer.shape(id).get(dim)) {
            *slot = own.clone();
        }
        let dtype = vm.tracer.dtype(id);
        vm.tracer.push_as(Op::Expand, &[id], to, dtype)
    };
    let (x, index) = (spread(x)?, spread(index)?);
    vm.tracer.push(Op::Gather { dim }, &[x, index]).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn scatter(vm: &mut Interp, a: &Args, add: bool) -> R<Value> {
    let (x, index) = (a.tensor(vm, "input")?, a.tensor(vm, "index")?);
    let dim = a.axis(vm, "dim", vm.tracer.rank(x))?;
    let src = match a.some("src").or_else(|| a.some("value")) {
        Some(Value::Tensor(t)) => vm.tracer.node(&t.clone())?,
        Some(v) => {
            let v = vm.tracer.run.as_float(&v.clone(), a.function(), "src")?;
            let (shape, dtype) = (vm.tracer.shape(index).clone(), vm.tracer.dtype(x));
            vm.tracer.push_as(Op::Full(v), &[], shape, dtype)?
        }
        None => return vm.type_fault(format!("{}() needs the argument 'src'", a.function())),
    };
    let op = if add { Op::ScatterAdd { dim } } else { Op::Scatter { dim } };
    vm.tracer.push(op, &[x, index, src]).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn one_hot(vm: &mut Interp, a: &Args) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    if let Value::Dim(d) = a.value("num_classes") {
        // looked up in 0, 1, ..., d - 1, which shows that it is below d, and compared with them
        let places = vm.tracer.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], vec![d], DType::Int)?;
        let id = vm.tracer.push(Op::IndexSelect { dim: 0 }, &[places, id])?;
        let rank = vm.tracer.rank(id);
        let column = vm.tracer.unsqueeze(id, rank)?;
        let hot = vm.tracer.bin(BinaryOp::Eq, column, places)?;
        return vm.tracer.cast(hot, DType::Int).map(|id| vm.tracer.tensor_value(id));
    }
    let classes = a.int_or(vm, "num_classes", -1)?;
    let Ok(classes) = usize::try_from(classes) else {
        return vm.refuse(Rule::UnsupportedOp, "one_hot needs num_classes: without it the size depends on values");
    };
    if vm.tracer.dtype(id) != DType::Int {
        return vm.refuse(Rule::ShapeDtype, "one_hot needs integers; use .long()");
    }
    let out = vm.tracer.push(Op::OneHot { classes }, &[id])?;
    vm.tracer.cast(out, DType::Int).map(|id| vm.tracer.tensor_value(id))
}

pub static TABLE: &[Native] = &[
    f!("torch.index_select Tensor.index_select", "input dim index", |vm, a| {
        let (x, index) = (a.tensor(vm, "input")?, a.tensor(vm, "index")?);
        let dim = a.axis(vm, "dim", vm.tracer.rank(x))?;
        let out = vm.tracer.push(Op::IndexSelect { dim }, &[x, index])?;
        let out = vm.tracer.plain(out);
        Ok(vm.tracer.tensor_value(out))
    }),
    f!("torch.gather Tensor.gather", "input dim index | sparse_grad?", gather),
    f!("torch.take_along_dim Tensor.take_along_dim", "input indices dim?", take_along),
    f!("torch.scatter Tensor.scatter", "input dim index src? | value?", |vm, a| scatter(vm, a, false)),
    f!("torch.scatter_add Tensor.scatter_add", "input dim index src", |vm, a| scatter(vm, a, true)),
    f!("torch.nn.functional.one_hot", "input num_classes?", one_hot),
    f!(
        "torch.nn.functional.embedding",
        "input weight padding_idx? max_norm? norm_type? scale_grad_by_freq? sparse?",
        |vm, a| {
            if a.some("max_norm").is_some()
                || a.bool(vm, "scale_grad_by_freq", false)?
                || a.bool(vm, "sparse", false)?
            {
                return vm.refuse(Rule::UnsupportedOp, "embedding() is supported with padding_idx alone");
            }
            let (x, w) = (a.tensor(vm, "input")?, a.tensor(vm, "weight")?);
            let count = vm.tracer.shape(w).first().and_then(Dim::as_known).and_then(|c| usize::try_from(c).ok());
            let padding = super::super::nn::padding_row(vm, a, count.unwrap_or(0))?;
            super::super::nn::looked_up(&mut vm.tracer, w, x, padding).map(|id| vm.tracer.tensor_value(id))
        }
    ),
];
