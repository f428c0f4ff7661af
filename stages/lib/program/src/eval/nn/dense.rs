//! Layers of one product or look-up: Linear, Bilinear, Embedding, PReLU, convolutions of width one.

use super::*;

pub(super) fn linear_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
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
    let o = this(vm, a)?;
    let x = a.tensor(vm, "input")?;
    let weight = needed(vm, &o, "weight")?;
    let bias = own(vm, &o, "bias")?;
    let id = made_here(&o, vm.linear(x, weight, bias))?;
    Ok(vm.tensor_value(id))
}

pub(super) fn bilinear_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
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
    let o = this(vm, a)?;
    let (x, y) = (a.tensor(vm, "input1")?, a.tensor(vm, "input2")?);
    let weight = needed(vm, &o, "weight")?;
    let bias = own(vm, &o, "bias")?;
    let id = made_here(&o, vm.bilinear(x, y, weight, bias))?;
    Ok(vm.tensor_value(id))
}

pub(super) fn embedding_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    let (count, size) = (a.size(vm, "num_embeddings")?, a.size(vm, "embedding_dim")?);
    if a.some("padding_idx").is_some() || a.some("max_norm").is_some() {
        return vm.unsupported("E-UNSUPPORTED-OP", "Embedding knows neither padding_idx nor max_norm here");
    }
    param(vm, &o, "weight", &[count, size], Init::Normal { mean: 0.0, std: 1.0 })?;
    Ok(Value::None)
}

pub(super) fn embedding(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let index = a.tensor(vm, "input")?;
    let weight = needed(vm, &o, "weight")?;
    let id = vm.push(Op::IndexSelect { dim: 0 }, &[weight, index])?;
    Ok(vm.tensor_value(id))
}

pub(super) fn prelu_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    let count = usize::try_from(a.int_or(vm, "num_parameters", 1)?).unwrap_or(1);
    let start = a.float_or(vm, "init", 0.25)?;
    param(vm, &o, "weight", &[count], Init::Constant(start))?;
    Ok(Value::None)
}

pub(super) fn prelu(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let x = a.tensor(vm, "input")?;
    let weight = needed(vm, &o, "weight")?;
    if vm.graph.shape(weight).first().is_some_and(|d| !d.is_known_one()) {
        return vm.unsupported("E-UNSUPPORTED-OP", "PReLU with more than one parameter is not supported");
    }
    let zero = vm.float(0.0)?;
    let up = vm.un(UnaryOp::Relu, x)?;
    let down = vm.bin(BinaryOp::Minimum, x, zero)?;
    let down = vm.bin(BinaryOp::Mul, weight, down)?;
    let id = vm.bin(BinaryOp::Add, up, down)?;
    Ok(vm.tensor_value(id))
}

/// `Linear` whose width is that of its first input.
pub(super) fn lazy_linear_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    set(&o, "in_features", Value::Int(0));
    set(&o, "out_features", Value::Int(a.size(vm, "out_features")? as i64));
    set(&o, "$bias", Value::Bool(a.bool(vm, "bias", true)?));
    Ok(Value::None)
}

pub(super) fn lazy_linear(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    if matches!(get(&o, "in_features"), Value::Int(0)) {
        let x = a.tensor(vm, "input")?;
        let last = vm.graph.shape(x).last().cloned().unwrap_or_default();
        let Some(input) = last.as_known().and_then(|d| usize::try_from(d).ok()) else {
            return vm.shape_fault("E-SHAPE-PARAMETER", format!("LazyLinear: the width {last} depends on the graph"));
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
    let o = begin(vm, a)?;
    let (input, output) = (a.size(vm, "in_channels")?, a.size(vm, "out_channels")?);
    let plain = all_are(vm, a, "kernel_size", 1)?
        && all_are(vm, a, "stride", 1)?
        && all_are(vm, a, "padding", 0)?
        && all_are(vm, a, "groups", 1)?;
    if !plain {
        let d = vm.fault(
            Category::Unsupported,
            "E-UNSUPPORTED-OP",
            "nodes have no order that a convolution could follow: only kernel_size=1 is supported, ungrouped and unpadded",
        );
        return Err(Box::new(d.help("use nn.Linear over the features")));
    }
    set(&o, "in_channels", Value::Int(input as i64));
    set(&o, "out_channels", Value::Int(output as i64));
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
    let o = this(vm, a)?;
    let x = a.tensor(vm, "input")?;
    let rank = vm.graph.shape(x).len();
    if rank != axes + 2 {
        let text = format!("this convolution takes {} axes, not {}", axes + 2, graph::display(vm.graph.shape(x)));
        return made_here(&o, vm.shape_fault("E-SHAPE-LINEAR", text));
    }
    let weight = needed(vm, &o, "weight")?;
    let flat = vm.graph.shape(weight).get(..2).unwrap_or(&[]).to_vec();
    let weight = vm.push_as(Op::Reshape, &[weight], flat, DType::Float)?;
    let bias = own(vm, &o, "bias")?;
    let last: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    let second: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let x = vm.push(Op::Permute(last), &[x])?;
    let y = made_here(&o, vm.linear(x, weight, bias))?;
    let y = vm.push(Op::Permute(second), &[y])?;
    let y = vm.any_layout(y);
    Ok(vm.tensor_value(y))
}
