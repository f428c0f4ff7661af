//! Normalisations.

use super::super::Tracer;
use super::super::arith::as_dim;
use super::*;
use crate::rules::Rule;

pub(super) fn shape_arg(vm: &mut Interp, a: &Args, name: &str) -> R<Vec<usize>> {
    let items = match a.value(name) {
        v @ (Value::Tuple(_) | Value::List(_)) => vm.items(&v)?,
        one => vec![one],
    };
    let mut out = Vec::new();
    for item in items {
        match item {
            Value::Int(i) if i > 0 => out.push(i as usize),
            Value::Dim(d) => {
                return vm
                    .refuse(Rule::ShapeParameter, format!("{}: {d} depends on the size of the graph", a.function()));
            }
            other => {
                let text = vm.repr_of(&other)?;
                return vm.type_fault(format!("{}: sizes are positive integers, not {text}", a.function()));
            }
        }
    }
    Ok(out)
}

pub(super) fn layer_norm_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let shape = shape_arg(vm, a, "normalized_shape")?;
    set(&o, "normalized_shape", Value::tuple(shape.iter().map(|s| Value::Int(*s as i64)).collect()));
    set(&o, "eps", Value::Float(a.float_or(vm, "eps", 1e-5)?));
    if a.bool(vm, "elementwise_affine", true)? {
        param(vm, &o, "weight", &shape, Init::Constant(1.0))?;
        if a.bool(vm, "bias", true)? {
            param(vm, &o, "bias", &shape, Init::Constant(0.0))?;
        } else {
            no_param(&o, "bias");
        }
    } else {
        no_param(&o, "weight");
        no_param(&o, "bias");
    }
    Ok(Value::None)
}

pub(super) fn layer_norm(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let x = a.tensor(vm, "input")?;
    let shape = get(&o, "normalized_shape");
    let sizes: Vec<Dim> = vm.items(&shape)?.iter().filter_map(as_dim).collect();
    let (weight, bias) = (own(vm, &o, "weight")?, own(vm, &o, "bias")?);
    let eps = number(&o, "eps");
    let id = made_here(&o, vm.tracer.layer_norm(x, &sizes, weight, bias, eps))?;
    Ok(vm.tracer.tensor_value(id))
}

pub(super) fn rms_norm_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let shape = shape_arg(vm, a, "normalized_shape")?;
    set(&o, "normalized_shape", Value::tuple(shape.iter().map(|s| Value::Int(*s as i64)).collect()));
    set(&o, "eps", Value::Float(a.float_or(vm, "eps", f64::from(f32::EPSILON))?));
    if a.bool(vm, "elementwise_affine", true)? {
        param(vm, &o, "weight", &shape, Init::Constant(1.0))?;
    } else {
        no_param(&o, "weight");
    }
    Ok(Value::None)
}

pub(super) fn rms_norm(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let x = a.tensor(vm, "input")?;
    let shape = get(&o, "normalized_shape");
    let sizes: Vec<Dim> = vm.items(&shape)?.iter().filter_map(as_dim).collect();
    let weight = own(vm, &o, "weight")?;
    let eps = number(&o, "eps");
    let y = made_here(&o, root_mean_square(&mut vm.tracer, x, &sizes, weight, eps))?;
    Ok(vm.tracer.tensor_value(y))
}

/// `x` over the root of the mean of its squares over the last axes, whose sizes are given.
pub fn root_mean_square(tracer: &mut Tracer, x: NodeId, sizes: &[Dim], weight: Option<NodeId>, eps: f64) -> R<NodeId> {
    let shape = tracer.shape(x).clone();
    if !shape.ends_with(sizes) || sizes.is_empty() {
        let text = format!(
            "an RMS norm over {} cannot be applied to {}: the last axes must be equal",
            graph::display(sizes),
            graph::display(&shape)
        );
        return tracer.run.refuse(Rule::ShapeNorm, text);
    }
    let square = tracer.un(UnaryOp::Square, x)?;
    let dims = (shape.len() - sizes.len()..shape.len()).collect();
    let mean = tracer.push(Op::Reduce { op: ReduceOp::Mean, dims, keepdim: true }, &[square])?;
    let eps = tracer.float(eps)?;
    let sum = tracer.bin(BinaryOp::Add, mean, eps)?;
    let scale = tracer.un(UnaryOp::Rsqrt, sum)?;
    let y = tracer.bin(BinaryOp::Mul, x, scale)?;
    match weight {
        Some(w) => tracer.bin(BinaryOp::Mul, y, w),
        None => Ok(y),
    }
}

/// Normalised within `groups` groups of channels (the second axis), over all axes behind it too.
pub fn grouped(
    tracer: &mut Tracer,
    x: NodeId,
    groups: usize,
    weight: Option<NodeId>,
    bias: Option<NodeId>,
    eps: f64,
) -> R<NodeId> {
    let shape = tracer.shape(x).clone();
    let (Some(batch), Some(channels)) = (shape.first(), shape.get(1).and_then(Dim::as_known)) else {
        return tracer
            .run
            .refuse(Rule::ShapeNorm, "a group norm needs [batch, channels, ...] with a known number of channels");
    };
    let groups = i64::try_from(groups).unwrap_or(0);
    if groups < 1 || channels % groups != 0 {
        return tracer.run.refuse(Rule::ShapeNorm, format!("{channels} channels cannot be split into {groups} groups"));
    }
    let inner = graph::numel(shape.get(2..).unwrap_or(&[])) * Dim::known(channels / groups);
    let y = tracer.push_as(Op::Reshape, &[x], vec![batch.clone(), Dim::known(groups), inner], DType::Float)?;
    let y = tracer.push(Op::LayerNorm { axes: 1, eps, weighted: false, biased: false }, &[y])?;
    let mut y = tracer.push_as(Op::Reshape, &[y], shape.clone(), DType::Float)?;
    for (op, id) in [(BinaryOp::Mul, weight), (BinaryOp::Add, bias)] {
        if let Some(id) = id {
            let mut wide = vec![Dim::known(channels)];
            wide.extend(shape.iter().skip(2).map(|_| Dim::known(1)));
            let id = tracer.push_as(Op::Reshape, &[id], wide, DType::Float)?;
            y = tracer.bin(op, y, id)?;
        }
    }
    Ok(tracer.plain(y))
}

pub(super) fn group_norm_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let (groups, channels) = (a.size(vm, "num_groups")?, a.size(vm, "num_channels")?);
    if groups == 0 || channels % groups != 0 {
        return vm.value_fault(format!("{channels} channels cannot be split into {groups} groups"));
    }
    set(&o, "num_groups", Value::Int(groups as i64));
    set(&o, "num_channels", Value::Int(channels as i64));
    set(&o, "eps", Value::Float(a.float_or(vm, "eps", 1e-5)?));
    if a.bool(vm, "affine", true)? {
        param(vm, &o, "weight", &[channels], Init::Constant(1.0))?;
        param(vm, &o, "bias", &[channels], Init::Constant(0.0))?;
    } else {
        no_param(&o, "weight");
        no_param(&o, "bias");
    }
    Ok(Value::None)
}

pub(super) fn group_norm(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let x = a.tensor(vm, "input")?;
    let (weight, bias) = (own(vm, &o, "weight")?, own(vm, &o, "bias")?);
    let (groups, eps) = (number(&o, "num_groups") as usize, number(&o, "eps"));
    let id = made_here(&o, grouped(&mut vm.tracer, x, groups, weight, bias, eps))?;
    Ok(vm.tracer.tensor_value(id))
}
