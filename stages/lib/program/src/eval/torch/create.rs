//! New tensors.

use super::super::arith::as_dim;
use super::*;
use crate::rules::Rule;

pub(super) fn eye(vm: &mut Interp, a: &Args) -> R<Value> {
    let rows = a.dim(vm, "n")?;
    let columns = if a.some("m").is_some() { a.dim(vm, "m")? } else { rows.clone() };
    let dtype = a.dtype(vm, "dtype", DType::Float)?;
    let shape = vec![rows, columns];
    let known: Option<Vec<usize>> = shape.iter().map(|d| d.as_known().and_then(|k| usize::try_from(k).ok())).collect();
    if let Some(known) = known {
        return Ok(vm.tracer.run.literal_value(known, Init::Eye, dtype));
    }
    vm.tracer.push_as(Op::Eye, &[], shape, dtype).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn arange(vm: &mut Interp, a: &Args) -> R<Value> {
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
    if let Some(Value::Tensor(out)) = a.some("out") {
        return arange_into(&mut vm.tracer, out, &start, &end, &step);
    }
    let integers = [&start, &end, &step].iter().all(|v| as_dim(v).is_some());
    let dtype = a.dtype(vm, "dtype", if integers { DType::Int } else { DType::Float })?;
    if let (Some(s), Some(e), Some(by)) = (as_dim(&start), as_dim(&end), as_dim(&step)) {
        let (Some(first), Some(by)) = (s.as_known(), by.as_known()) else {
            return vm.refuse(Rule::UnsupportedSize, "arange() with a symbolic start or step is not supported");
        };
        if by == 0 {
            return vm.value_fault("arange() by steps of 0");
        }
        let distance = if by > 0 { e - s } else { s - e };
        let Some(len) = distance.div_ceil(by.saturating_abs()) else {
            return vm.refuse(
                Rule::UnsupportedSize,
                format!("the length of arange() to {distance} by {by} is no polynomial"),
            );
        };
        if !len.provably_ge(&Dim::known(0)) {
            return vm.value_fault("arange() runs backwards");
        }
        return vm
            .tracer
            .push_as(Op::Arange { start: first as f64, step: by as f64 }, &[], vec![len], dtype)
            .map(|id| vm.tracer.tensor_value(id));
    }
    let (s, e, by) = (
        vm.tracer.run.as_float(&start, "arange", "start")?,
        vm.tracer.run.as_float(&end, "arange", "end")?,
        vm.tracer.run.as_float(&step, "arange", "step")?,
    );
    if by == 0.0 || !((e - s) / by).is_finite() || (e - s) / by < 0.0 {
        return vm.value_fault("arange() with these numbers has no elements");
    }
    let len = ((e - s) / by).ceil() as i64;
    vm.tracer
        .push_as(Op::Arange { start: s, step: by }, &[], vec![Dim::known(len)], dtype)
        .map(|id| vm.tracer.tensor_value(id))
}

/// `torch.arange(..., out=tensor)`, by which parameters are made.
fn arange_into(tracer: &mut Tracer, out: &Rc<Tensor>, start: &Value, end: &Value, step: &Value) -> R<Value> {
    let (s, e, by) = (
        tracer.run.as_float(start, "arange", "start")?,
        tracer.run.as_float(end, "arange", "end")?,
        tracer.run.as_float(step, "arange", "step")?,
    );
    let count = ((e - s) / by).ceil();
    if !(0.0..=65_536.0).contains(&count) {
        return tracer.run.value_fault("arange() with these numbers has no elements, or too many");
    }
    let values: Vec<f64> = (0..count as usize).map(|i| s + by * i as f64).collect();
    tracer.run.allocate(values.len())?;
    if !matches!(&*out.data.borrow(), Data::Node(_)) && tracer.shape_of(out) == [Dim::known(values.len() as i64)] {
        tracer.reinitialise(out, |_| Init::Values(values))?;
        return Ok(Value::Tensor(out.clone()));
    }
    let text = "out= is for a parameter or new tensor of the size of the result";
    tracer.run.refuse(Rule::UnsupportedInplace, text)
}

pub(super) fn linspace(vm: &mut Interp, a: &Args) -> R<Value> {
    let (start, end) = (a.float_or(vm, "start", 0.0)?, a.float_or(vm, "end", 0.0)?);
    if a.dtype(vm, "dtype", DType::Float)? != DType::Float {
        return vm.refuse(Rule::UnsupportedOp, "linspace() of integers is not supported; use linspace(...).long()");
    }
    if let Value::Dim(d) = a.value("steps") {
        let gaps = d.clone() - Dim::known(1);
        if !gaps.provably_gt(&Dim::known(0)) {
            return vm.refuse(Rule::UnsupportedSize, format!("linspace() in {d} steps, which may be one"));
        }
        let places = vm.tracer.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], vec![d], DType::Float)?;
        let places = vm.tracer.tensor_value(places);
        let gap = vm.binary(&Value::Float(end - start), BinOp::Div, &Value::dim(&gaps))?;
        let scaled = vm.binary(&places, BinOp::Mul, &gap)?;
        return vm.binary(&scaled, BinOp::Add, &Value::Float(start));
    }
    let steps = a.size(vm, "steps")?;
    if steps > 1 << 16 {
        return Err(vm.fault(Rule::BudgetElements, "linspace() with too many steps"));
    }
    let by = if steps > 1 { (end - start) / (steps - 1) as f64 } else { 0.0 };
    let values = (0..steps).map(|i| if i + 1 == steps && steps > 1 { end } else { start + by * i as f64 }).collect();
    Ok(vm.tracer.run.literal_value(vec![steps], Init::Values(values), DType::Float))
}

pub(super) fn create(vm: &mut Interp, a: &Args, init: Init) -> R<Value> {
    let sizes = a.sizes(vm)?;
    let shape = vm.tracer.run.new_shape(&sizes)?;
    let dtype = a.dtype(vm, "dtype", DType::Float)?;
    vm.tracer.filled(shape, init, dtype)
}

pub(super) fn full(vm: &mut Interp, a: &Args) -> R<Value> {
    let sizes = match a.value("size") {
        v @ (Value::Tuple(_) | Value::List(_)) => vm.items(&v)?,
        one => vec![one],
    };
    let shape = vm.tracer.run.new_shape(&sizes)?;
    fill(vm, a, shape, None)
}

/// A tensor of one value; the value's type decides where no dtype is given.
pub(super) fn fill(vm: &mut Interp, a: &Args, shape: Shape, like: Option<DType>) -> R<Value> {
    let value = a.value("fill_value");
    let own = match &value {
        Value::Bool(_) => DType::Bool,
        Value::Int(_) | Value::Dim(_) => DType::Int,
        _ => DType::Float,
    };
    let dtype = a.dtype(vm, "dtype", like.unwrap_or(own))?;
    if matches!(value, Value::Dim(_) | Value::Number(_) | Value::Tensor(_)) {
        let id = a.operand(vm, "fill_value")?;
        let id = vm.tracer.cast(id, dtype)?;
        return vm.tracer.push_as(Op::Expand, &[id], shape, dtype).map(|id| vm.tracer.tensor_value(id));
    }
    let v = a.float_or(vm, "fill_value", 0.0)?;
    vm.tracer.filled(shape, Init::Constant(v), dtype)
}

pub(super) fn like(vm: &mut Interp, a: &Args, init: Init) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    let shape = vm.tracer.shape_of(&t);
    let dtype = a.dtype(vm, "dtype", vm.tracer.dtype_of(&t))?;
    let out = vm.tracer.filled(shape, init, dtype)?;
    like_in_memory(vm, &t, out)
}

/// What is made like a tensor has its axes in the same order in memory.
fn like_in_memory(vm: &mut Interp, model: &Rc<Tensor>, out: Value) -> R<Value> {
    let from = vm.tracer.node(model)?;
    let Value::Tensor(made) = &out else { return Ok(out) };
    if !vm.tracer.is_plain(from) {
        let id = vm.tracer.node(made)?;
        vm.tracer.copied(id, from);
    }
    Ok(out)
}

pub(super) fn new_like(vm: &mut Interp, a: &Args, init: Init) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    let sizes = a.sizes(vm)?;
    let shape = vm.tracer.run.new_shape(&sizes)?;
    let dtype = a.dtype(vm, "dtype", vm.tracer.dtype_of(&t))?;
    vm.tracer.filled(shape, init, dtype)
}

/// Nested lists of numbers, row-major.
pub(super) fn flatten_data(
    vm: &mut Interp,
    value: &Value,
    out: &mut Vec<f64>,
    top: &mut DType,
    depth: usize,
) -> R<Vec<usize>> {
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
        other => vm.refuse(Rule::UnsupportedOp, format!("a tensor cannot be made of {} here", other.type_name())),
    }
}

pub(super) fn tensor(vm: &mut Interp, a: &Args) -> R<Value> {
    let data = a.value("data");
    if let Value::Tensor(t) = &data {
        // `as_tensor` takes it as it is, the others copy it and cut the gradient
        let dtype = a.dtype(vm, "dtype", vm.tracer.dtype_of(t))?;
        if a.function() == "as_tensor" {
            return super::convert::convert(&mut vm.tracer, t, Some(dtype));
        }
        if let Some(l) = vm.tracer.run.literal(&data)?.filter(|l| l.dtype == dtype) {
            return Ok(vm.tracer.run.literal_value(l.shape, l.init, l.dtype));
        }
        let id = vm.tracer.node(t)?;
        let id = vm.tracer.push(Op::Detach, &[id])?;
        let (shape, id) = (vm.tracer.shape(id).clone(), vm.tracer.cast(id, dtype)?);
        return vm.tracer.push_as(Op::Reshape, &[id], shape, dtype).map(|id| vm.tracer.tensor_value(id));
    }
    if matches!(data, Value::Dim(_) | Value::Number(_)) {
        let id = a.operand(vm, "data")?;
        let dtype = a.dtype(vm, "dtype", vm.tracer.dtype(id))?;
        return vm.tracer.cast(id, dtype).map(|id| vm.tracer.tensor_value(id));
    }
    let (mut values, mut top) = (Vec::new(), DType::Bool);
    let shape = flatten_data(vm, &data, &mut values, &mut top, 0)?;
    vm.allocate(values.len())?;
    let dtype = a.dtype(vm, "dtype", if values.is_empty() { DType::Float } else { top })?;
    let init = match values.as_slice() {
        [one] => Init::Constant(*one),
        _ => Init::Values(values),
    };
    Ok(vm.tracer.run.literal_value(shape, init, dtype))
}

/// `torch.Tensor(sizes)`, whose values are not set, and `torch.Tensor(list)`.
fn legacy(vm: &mut Interp, a: &Args, dtype: DType) -> R<Value> {
    match a.rest.as_slice() {
        [Value::Tensor(t)] if vm.tracer.dtype_of(t) == dtype => Ok(Value::Tensor(t.clone())),
        [data @ (Value::List(_) | Value::Tuple(_))] => {
            let (mut values, mut top) = (Vec::new(), DType::Bool);
            let shape = flatten_data(vm, data, &mut values, &mut top, 0)?;
            vm.allocate(values.len())?;
            let whole = |v: f64| match dtype {
                DType::Float => v,
                DType::Int => v.trunc(),
                DType::Bool => f64::from(u8::from(v != 0.0)),
            };
            let init = Init::Values(values.into_iter().map(whole).collect());
            Ok(vm.tracer.run.literal_value(shape, init, dtype))
        }
        sizes => {
            let shape = vm.tracer.run.new_shape(sizes)?;
            vm.tracer.filled(shape, Init::Constant(0.0), dtype)
        }
    }
}

pub static TABLE: &[Native] = &[
    f!("torch.meshgrid", "*tensors | indexing?", |vm, a| {
        if &*a.text_or(vm, "indexing", "ij")? != "ij" {
            return vm.refuse(Rule::UnsupportedOp, "meshgrid is supported with indexing='ij'");
        }
        let items = match a.rest.as_slice() {
            [list @ (Value::List(_) | Value::Tuple(_))] => vm.items(&list.clone())?,
            many => many.to_vec(),
        };
        let mut shape = Vec::new();
        let mut ids = Vec::new();
        for item in &items {
            let Value::Tensor(t) = item else { return vm.type_fault("meshgrid() takes tensors") };
            let id = vm.tracer.node(t)?;
            match vm.tracer.shape(id).as_slice() {
                [size] => shape.push(size.clone()),
                _ => return vm.refuse(Rule::ShapeOp, "meshgrid takes tensors of one axis"),
            }
            ids.push(id);
        }
        let mut out = Vec::new();
        for (axis, id) in ids.into_iter().enumerate() {
            let own = (0..shape.len())
                .map(|i| if i == axis { shape.get(i).cloned().unwrap_or_default() } else { Dim::known(1) });
            let column = vm.tracer.reshaped(id, own.collect())?;
            let dtype = vm.tracer.dtype(column);
            let wide = vm.tracer.push_as(Op::Expand, &[column], shape.clone(), dtype)?;
            out.push(vm.tracer.tensor_value(wide));
        }
        Ok(Value::tuple(out))
    }),
    f!("torch.eye", "n m? | dtype? device? requires_grad?", eye),
    f!("torch.arange", "*args | start? end? step? out? dtype? device? requires_grad?", arange),
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
        let t = base(&vm.tracer.run, a, "input")?;
        let (shape, dtype) = (vm.tracer.shape_of(&t), vm.tracer.dtype_of(&t));
        let out = fill(vm, a, shape, Some(dtype))?;
        like_in_memory(vm, &t, out)
    }),
    f!("Tensor.new_empty", "input *size | dtype? device?", |vm, a| new_like(vm, a, Init::Constant(0.0))),
    f!("Tensor.new_zeros", "input *size | dtype? device?", |vm, a| new_like(vm, a, Init::Constant(0.0))),
    f!("Tensor.new_ones", "input *size | dtype? device?", |vm, a| new_like(vm, a, Init::Constant(1.0))),
    f!("Tensor.new_full", "input size fill_value | dtype? device?", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        let items = a.listed(vm, "size")?;
        let (shape, dtype) = (vm.tracer.run.new_shape(&items)?, vm.tracer.dtype_of(&t));
        fill(vm, a, shape, Some(dtype))
    }),
    f!("Tensor.new_tensor", "input data | dtype? device? requires_grad?", tensor),
    f!("torch.tensor", "data | dtype? device? requires_grad?", tensor),
    f!("torch.as_tensor", "data | dtype? device?", tensor),
    f!("torch.LongTensor", "*args", |vm, a| legacy(vm, a, DType::Int)),
    f!("torch.BoolTensor", "*args", |vm, a| legacy(vm, a, DType::Bool)),
    f!("torch.Tensor.$new", "*args", |vm, a| legacy(vm, a, DType::Float)),
];
