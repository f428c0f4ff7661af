//! Layers of one product or look-up: Linear, Bilinear, Embedding, PReLU, convolutions of width one.

use super::super::Tracer;
use super::*;
use crate::rules::Rule;

pub(super) fn linear_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let (input, output) = (a.size(vm, "in_features")?, a.size(vm, "out_features")?);
    set(&o, "in_features", Value::Int(input as i64));
    set(&o, "out_features", Value::Int(output as i64));
    param(vm, &o, "weight", &[output, input], uniform(input))?;
    if a.bool(vm, "bias", true)? {
        param(vm, &o, "bias", &[output], uniform(input))?;
    } else {
        no_param(&o, "bias");
    }
    Ok(Value::None)
}

pub(super) fn linear(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let x = a.tensor(vm, "input")?;
    let weight = needed(vm, &o, "weight")?;
    let bias = own(vm, &o, "bias")?;
    let id = made_here(&o, vm.tracer.linear(x, weight, bias))?;
    Ok(vm.tracer.tensor_value(id))
}

pub(super) fn bilinear_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let (in1, in2) = (a.size(vm, "in1_features")?, a.size(vm, "in2_features")?);
    let out = a.size(vm, "out_features")?;
    param(vm, &o, "weight", &[out, in1, in2], uniform(in1))?;
    if a.bool(vm, "bias", true)? {
        param(vm, &o, "bias", &[out], uniform(in1))?;
    } else {
        no_param(&o, "bias");
    }
    Ok(Value::None)
}

pub(super) fn bilinear(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let (x, y) = (a.tensor(vm, "input1")?, a.tensor(vm, "input2")?);
    let weight = needed(vm, &o, "weight")?;
    let bias = own(vm, &o, "bias")?;
    let id = made_here(&o, vm.tracer.bilinear(x, y, weight, bias))?;
    Ok(vm.tracer.tensor_value(id))
}

pub(super) fn embedding_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let (count, size) = (a.size(vm, "num_embeddings")?, a.size(vm, "embedding_dim")?);
    for option in ["max_norm", "_weight"] {
        if a.some(option).is_some() {
            return vm.refuse(Rule::UnsupportedOp, format!("Embedding is not supported with {option}"));
        }
    }
    for option in ["scale_grad_by_freq", "sparse"] {
        if a.bool(vm, option, false)? {
            return vm.refuse(Rule::UnsupportedOp, format!("Embedding is not supported with {option}"));
        }
    }
    set(&o, "num_embeddings", Value::Int(count as i64));
    set(&o, "embedding_dim", Value::Int(size as i64));
    let drawn = Init::Normal { mean: 0.0, std: 1.0 };
    let padding = padding_row(vm, a, count)?;
    set(&o, "padding_idx", padding.map_or(Value::None, |row| Value::Int(row as i64)));
    let init = match padding {
        None => drawn,
        Some(row) => {
            let places = (row * size..(row + 1) * size).filter_map(|at| u32::try_from(at).ok()).collect();
            super::super::literal::patched(drawn, count * size, places, vec![size], &Init::Constant(0.0))
        }
    };
    param(vm, &o, "weight", &[count, size], init)?;
    Ok(Value::None)
}

/// The row that `padding_idx` names, counted from the end where negative.
pub fn padding_row(vm: &mut Interp, a: &Args, count: usize) -> R<Option<usize>> {
    if a.some("padding_idx").is_none() {
        return Ok(None);
    }
    let (index, rows) = (a.int(vm, "padding_idx")?, count as i64);
    let at = if index < 0 { index.saturating_add(rows) } else { index };
    match usize::try_from(at) {
        Ok(at) if at < count => Ok(Some(at)),
        _ => vm.value_fault(format!("padding_idx {index} is not among {count} rows")),
    }
}

/// Rows of `weight`; the padding row gets no gradient.
pub fn looked_up(tracer: &mut Tracer, weight: NodeId, index: NodeId, padding: Option<usize>) -> R<NodeId> {
    let mut weight = weight;
    if let Some(row) = padding {
        let count = tracer.shape(weight).first().and_then(Dim::as_known).unwrap_or(0);
        let rows = tracer.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], vec![Dim::known(count)], DType::Int)?;
        let rows = tracer.unsqueeze(rows, 1)?;
        let row = tracer.scalar(row as f64, DType::Int)?;
        let is_padding = tracer.bin(BinaryOp::Eq, rows, row)?;
        let fixed = tracer.push(Op::Detach, &[weight])?;
        weight = tracer.push(Op::Where, &[is_padding, fixed, weight])?;
    }
    tracer.push(Op::IndexSelect { dim: 0 }, &[weight, index])
}

pub(super) fn embedding(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let index = a.tensor(vm, "input")?;
    let weight = needed(vm, &o, "weight")?;
    let padding = match get(&o, "padding_idx") {
        Value::Int(row) => usize::try_from(row).ok(),
        _ => None,
    };
    let id = looked_up(&mut vm.tracer, weight, index, padding)?;
    Ok(vm.tracer.tensor_value(id))
}

pub(super) fn prelu_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let count = usize::try_from(a.int_or(vm, "num_parameters", 1)?).unwrap_or(1);
    let start = a.float_or(vm, "init", 0.25)?;
    set(&o, "num_parameters", Value::Int(count as i64));
    param(vm, &o, "weight", &[count], Init::Constant(start))?;
    Ok(Value::None)
}

pub(super) fn prelu(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let x = a.tensor(vm, "input")?;
    let weight = needed(vm, &o, "weight")?;
    let id = made_here(&o, rectified(&mut vm.tracer, x, weight))?;
    Ok(vm.tracer.tensor_value(id))
}

/// `x` where it is positive, else `x` times the weight: one, or one for each channel, which is the second axis.
pub fn rectified(tracer: &mut Tracer, x: NodeId, weight: NodeId) -> R<NodeId> {
    let (shape, sizes) = (tracer.shape(x).clone(), tracer.shape(weight).clone());
    let count = graph::numel(&sizes);
    let mut slope = weight;
    if !count.is_known_one() {
        let channels = if shape.len() < 2 { Dim::known(1) } else { shape.get(1).cloned().unwrap_or_default() };
        if sizes.len() != 1 || count != channels {
            let text = format!("{count} slopes do not fit the {channels} channels of {}", graph::display(&shape));
            return tracer.run.refuse(Rule::ShapeBroadcast, text);
        }
        let mut wide = vec![count];
        wide.extend(shape.iter().skip(2).map(|_| Dim::known(1)));
        slope = tracer.push_as(Op::Reshape, &[weight], wide, DType::Float)?;
    } else if !sizes.is_empty() {
        slope = tracer.push_as(Op::Reshape, &[weight], Vec::new(), DType::Float)?;
    }
    let zero = tracer.float(0.0)?;
    let up = tracer.bin(BinaryOp::Gt, x, zero)?;
    let down = tracer.bin(BinaryOp::Mul, slope, x)?;
    tracer.push(Op::Where, &[up, x, down])
}

/// `Linear` whose width is that of its first input.
pub(super) fn lazy_linear_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    set(&o, "in_features", Value::Int(0));
    set(&o, "out_features", Value::Int(a.size(vm, "out_features")? as i64));
    set(&o, "$bias", Value::Bool(a.bool(vm, "bias", true)?));
    Ok(Value::None)
}

pub(super) fn lazy_linear(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    if matches!(get(&o, "in_features"), Value::Int(0)) {
        let x = a.tensor(vm, "input")?;
        let last = vm.tracer.shape(x).last().cloned().unwrap_or_default();
        let Some(input) = last.as_known().and_then(|d| usize::try_from(d).ok()) else {
            return vm.refuse(Rule::ShapeParameter, format!("LazyLinear: the width {last} depends on the graph"));
        };
        set(&o, "in_features", Value::Int(input as i64));
        let output = number(&o, "out_features") as usize;
        param(vm, &o, "weight", &[output, input], uniform(input))?;
        if matches!(get(&o, "$bias"), Value::Bool(true)) {
            param(vm, &o, "bias", &[output], uniform(input))?;
        } else {
            no_param(&o, "bias");
        }
    }
    linear(vm, a)
}

/// Whether a size or each of a tuple of sizes is `wanted`.
fn all_are(vm: &mut Interp, a: &Args, name: &str, wanted: i64) -> R<bool> {
    Ok(match a.value(name) {
        Value::None => true,
        Value::Int(i) => i == wanted,
        v @ (Value::Tuple(_) | Value::List(_)) => {
            vm.items(&v)?.iter().all(|v| matches!(v, Value::Int(i) if *i == wanted))
        }
        _ => false,
    })
}

/// A convolution of width 1 is a `Linear` over the second axis; `axes` are those behind it.
pub(super) fn convolution_init(vm: &mut Interp, a: &Args, axes: usize) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let (input, output) = (a.size(vm, "in_channels")?, a.size(vm, "out_channels")?);
    let plain = all_are(vm, a, "kernel_size", 1)? && all_are(vm, a, "stride", 1)? && all_are(vm, a, "padding", 0)?;
    if !plain {
        let d = vm.fault(
            Rule::UnsupportedOp,
            "nodes have no order that a convolution could follow: only kernel_size=1 is supported, unpadded",
        );
        return Err(Box::new(d.help("use nn.Linear over the features")));
    }
    let groups = if a.some("groups").is_some() { a.size(vm, "groups")? } else { 1 };
    if groups == 0 || input % groups != 0 || output % groups != 0 {
        return vm.value_fault(format!("{groups} groups do not divide {input} and {output} channels"));
    }
    set(&o, "in_channels", Value::Int(input as i64));
    set(&o, "out_channels", Value::Int(output as i64));
    set(&o, "groups", Value::Int(groups as i64));
    let input = input / groups;
    let mut shape = vec![output, input];
    shape.extend(std::iter::repeat_n(1, axes));
    param(vm, &o, "weight", &shape, uniform(input))?;
    if a.bool(vm, "bias", true)? {
        param(vm, &o, "bias", &[output], uniform(input))?;
    } else {
        no_param(&o, "bias");
    }
    Ok(Value::None)
}

pub(super) fn convolution(vm: &mut Interp, a: &Args, axes: usize) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let x = a.tensor(vm, "input")?;
    let rank = vm.tracer.rank(x);
    if rank != axes + 2 {
        let text = format!("this convolution takes {} axes, not {}", axes + 2, graph::display(vm.tracer.shape(x)));
        return made_here(&o, vm.refuse(Rule::ShapeLinear, text));
    }
    let weight = needed(vm, &o, "weight")?;
    let flat = vm.tracer.shape(weight).get(..2).unwrap_or(&[]).to_vec();
    let weight = vm.tracer.push_as(Op::Reshape, &[weight], flat, DType::Float)?;
    let bias = own(vm, &o, "bias")?;
    let last: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    let second: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let x = vm.tracer.push(Op::Permute(last), &[x])?;
    let groups = number(&o, "groups") as i64;
    let y = if groups > 1 {
        made_here(&o, grouped_linear(&mut vm.tracer, x, weight, bias, groups))?
    } else {
        made_here(&o, vm.tracer.linear(x, weight, bias))?
    };
    let y = vm.tracer.push(Op::Permute(second), &[y])?;
    let y = vm.tracer.any_layout(y);
    Ok(vm.tracer.tensor_value(y))
}

/// A `Linear` over each of `groups` equal parts of the features.
fn grouped_linear(tracer: &mut Tracer, x: NodeId, weight: NodeId, bias: Option<NodeId>, groups: i64) -> R<NodeId> {
    let shape = tracer.shape(x).clone();
    let (Some((features, lead)), Some(rows), Some(width)) = (
        shape.split_last(),
        tracer.shape(weight).first().and_then(Dim::as_known),
        tracer.shape(weight).get(1).and_then(Dim::as_known),
    ) else {
        return tracer.run.refuse(Rule::ShapeLinear, "a convolution needs channels");
    };
    if *features != Dim::known(groups * width) {
        let text = format!("the convolution takes {} channels, not {features}", groups * width);
        return tracer.run.refuse(Rule::ShapeLinear, text);
    }
    let known = Dim::known;
    let apart = vec![graph::numel(lead), known(groups), known(width)];
    let x = tracer.push_as(Op::Reshape, &[x], apart, DType::Float)?;
    let parts = vec![known(groups), known(rows / groups), known(width)];
    let weight = tracer.push_as(Op::Reshape, &[weight], parts, DType::Float)?;
    let y = tracer.push(Op::Einsum("mgi,goi->mgo".into()), &[x, weight])?;
    let mut to = lead.to_vec();
    to.push(known(rows));
    let y = tracer.push_as(Op::Reshape, &[y], to, DType::Float)?;
    match bias {
        Some(bias) => tracer.bin(BinaryOp::Add, y, bias),
        None => Ok(y),
    }
}
