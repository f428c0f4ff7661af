//! `nn.MultiheadAttention`.

use super::super::Tracer;
use super::*;
use crate::rules::Rule;

pub(super) fn init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let (embed, heads) = (a.size(vm, "embed_dim")?, a.size(vm, "num_heads")?);
    if heads == 0 || embed % heads != 0 {
        return vm.value_fault(format!("MultiheadAttention: {embed} features cannot be split into {heads} heads"));
    }
    let drop = a.float_or(vm, "dropout", 0.0)?;
    if !(0.0..=1.0).contains(&drop) {
        return vm.value_fault(format!("MultiheadAttention: dropout must lie between 0 and 1, but is {drop}"));
    }
    for option in ["add_bias_kv", "add_zero_attn"] {
        if a.bool(vm, option, false)? {
            return vm.refuse(Rule::UnsupportedOp, format!("MultiheadAttention is not supported with {option}"));
        }
    }
    let key = if a.some("kdim").is_some() { a.size(vm, "kdim")? } else { embed };
    let value = if a.some("vdim").is_some() { a.size(vm, "vdim")? } else { embed };
    let bias = a.bool(vm, "bias", true)?;
    let numbers =
        [("embed_dim", embed), ("num_heads", heads), ("head_dim", embed / heads), ("kdim", key), ("vdim", value)];
    for (name, number) in numbers {
        set(&o, name, Value::Int(number as i64));
    }
    set(&o, "dropout", Value::Float(drop));
    set(&o, "batch_first", Value::Bool(a.bool(vm, "batch_first", false)?));
    let xavier = |rows: usize, columns: usize| {
        let bound = (6.0 / (rows + columns).max(1) as f64).sqrt();
        Init::Uniform { low: -bound, high: bound }
    };
    let own = ["q_proj_weight", "k_proj_weight", "v_proj_weight"];
    if key == embed && value == embed {
        param(vm, &o, "in_proj_weight", &[3 * embed, embed], xavier(3 * embed, embed))?;
        own.into_iter().for_each(|name| no_param(&o, name));
    } else {
        for (name, width) in own.into_iter().zip([embed, key, value]) {
            param(vm, &o, name, &[embed, width], xavier(embed, width))?;
        }
        no_param(&o, "in_proj_weight");
    }
    if bias {
        param(vm, &o, "in_proj_bias", &[3 * embed], Init::Constant(0.0))?;
    } else {
        no_param(&o, "in_proj_bias");
    }
    let Some(linear) = find("Linear") else { return vm.refuse(Rule::Internal, "there is no Linear") };
    let class = Value::Class(vm.heap.layer_class(linear));
    let width = Value::Int(embed as i64);
    let out = vm.call(&class, vec![width.clone(), width], vec![("bias".into(), Value::Bool(bias))])?;
    if let Value::Tensor(t) = vm.attribute(&out, &"bias".into())?
        && let Data::Leaf(at) = &*t.data.borrow()
    {
        vm.tracer.restart(*at, |_, _| Init::Constant(0.0));
    }
    vm.set_attribute(&Value::Object(o), &"out_proj".into(), out)?;
    Ok(Value::None)
}

/// Rows `part * size ..` of a parameter of three parts.
fn third(tracer: &mut Tracer, id: NodeId, part: i64, size: i64) -> R<NodeId> {
    let (start, end) = (Dim::known(part * size), Dim::known((part + 1) * size));
    tracer.push(Op::Slice { dim: 0, start, end, step: 1 }, &[id])
}

/// Projected to heads: [batch, length, features] to [batch, heads, length, features of a head].
fn heads(vm: &mut Interp, o: &Rc<Object>, x: NodeId, part: i64, sizes: (i64, i64)) -> R<NodeId> {
    let (embed, count) = sizes;
    let weight = match own(vm, o, "in_proj_weight")? {
        Some(all) => third(&mut vm.tracer, all, part, embed)?,
        None => {
            let name = match part {
                0 => "q_proj_weight",
                1 => "k_proj_weight",
                _ => "v_proj_weight",
            };
            needed(vm, o, name)?
        }
    };
    let bias = match own(vm, o, "in_proj_bias")? {
        Some(all) => Some(third(&mut vm.tracer, all, part, embed)?),
        None => None,
    };
    let y = made_here(o, vm.tracer.linear(x, weight, bias))?;
    let mut shape = vm.tracer.shape(y).clone();
    shape.pop();
    shape.extend([Dim::known(count), Dim::known(embed / count.max(1))]);
    let y = vm.tracer.push_as(Op::Reshape, &[y], shape, DType::Float)?;
    vm.tracer.push(Op::Permute(vec![0, 2, 1, 3]), &[y])
}

/// A mask as numbers to add: a bool mask leaves out what is true.
fn added(tracer: &mut Tracer, mask: NodeId) -> R<NodeId> {
    if tracer.dtype(mask) != DType::Bool {
        return Ok(mask);
    }
    let (low, zero) = (tracer.float(f64::NEG_INFINITY)?, tracer.float(0.0)?);
    tracer.push(Op::Where, &[mask, low, zero])
}

fn masked(vm: &mut Interp, a: &Args, scores: NodeId) -> R<NodeId> {
    let shape = vm.tracer.shape(scores).clone();
    let mut scores = scores;
    if a.some("attn_mask").is_some() {
        let mut mask = a.tensor(vm, "attn_mask")?;
        // [length, length], or [batch * heads, length, length]
        if vm.tracer.rank(mask) == 3 {
            let dtype = vm.tracer.dtype(mask);
            mask = vm.tracer.push_as(Op::Reshape, &[mask], shape.clone(), dtype)?;
        } else if vm.tracer.shape(mask).as_slice() != shape.get(2..).unwrap_or(&[]) {
            let text = format!(
                "the attention mask {} must be {}, or have batch * heads before that",
                graph::display(vm.tracer.shape(mask)),
                graph::display(shape.get(2..).unwrap_or(&[]))
            );
            return vm.refuse(Rule::ShapeBroadcast, text);
        }
        let mask = added(&mut vm.tracer, mask)?;
        scores = vm.tracer.bin(BinaryOp::Add, scores, mask)?;
    }
    if a.some("key_padding_mask").is_some() {
        let mask = a.tensor(vm, "key_padding_mask")?;
        let wanted: Vec<Dim> = [shape.first(), shape.get(3)].into_iter().flatten().cloned().collect();
        if *vm.tracer.shape(mask) != wanted {
            let text = format!(
                "key_padding_mask must have the shape {}, not {}",
                graph::display(&wanted),
                graph::display(vm.tracer.shape(mask))
            );
            return vm.refuse(Rule::ShapeBroadcast, text);
        }
        let mask = vm.tracer.unsqueeze(mask, 1)?;
        let mask = vm.tracer.unsqueeze(mask, 1)?;
        let mask = added(&mut vm.tracer, mask)?;
        scores = vm.tracer.bin(BinaryOp::Add, scores, mask)?;
    }
    Ok(scores)
}

pub(super) fn forward(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let size = |name: &str| match get(&o, name) {
        Value::Int(i) => i,
        _ => 1,
    };
    let (embed, count, width) = (size("embed_dim"), size("num_heads"), size("head_dim"));
    let mut inputs = [a.tensor(vm, "query")?, a.tensor(vm, "key")?, a.tensor(vm, "value")?];
    let rank = vm.tracer.rank(inputs[0]);
    if !(2..=3).contains(&rank) || inputs.iter().any(|id| vm.tracer.rank(*id) != rank) {
        let text = "attention takes three tensors of [batch, length, features], or of [length, features]";
        let d = vm.fault(Rule::ShapeMatmul, text);
        return Err(Box::new(d.help("reshape other axes into the batch")));
    }
    if a.bool(vm, "is_causal", false)? && a.some("attn_mask").is_none() {
        return vm.value_fault("is_causal is a hint about attn_mask, which is not given");
    }
    let batch_first = matches!(get(&o, "batch_first"), Value::Bool(true));
    for id in &mut inputs {
        *id = match (rank, batch_first) {
            (2, _) => vm.tracer.unsqueeze(*id, 0)?,
            (_, false) => vm.tracer.push(Op::Permute(vec![1, 0, 2]), &[*id])?,
            _ => *id,
        };
    }
    let [query, key, value] = inputs;
    if vm.tracer.shape(key).get(..2) != vm.tracer.shape(value).get(..2)
        || vm.tracer.shape(query).first() != vm.tracer.shape(key).first()
    {
        return vm.refuse(Rule::ShapeMatmul, "queries, keys and values differ in batch or length");
    }
    let q = heads(vm, &o, query, 0, (embed, count))?;
    let k = heads(vm, &o, key, 1, (embed, count))?;
    let v = heads(vm, &o, value, 2, (embed, count))?;
    let scale = vm.tracer.float(1.0 / (width as f64).sqrt())?;
    let q = vm.tracer.bin(BinaryOp::Mul, q, scale)?;
    let k = vm.tracer.push(Op::Permute(vec![0, 1, 3, 2]), &[k])?;
    let scores = vm.tracer.push(Op::MatMul, &[q, k])?;
    let scores = masked(vm, a, scores)?;
    let weights = vm.tracer.push(Op::Softmax { dim: 3 }, &[scores])?;
    // torch hands out the weights after dropout
    let drop = number(&o, "dropout");
    let weights =
        if drop > 0.0 && vm.tracer.in_training(&o) { vm.tracer.with_dropout(weights, drop)? } else { weights };
    let y = vm.tracer.push(Op::MatMul, &[weights, v])?;
    let y = vm.tracer.push(Op::Permute(vec![0, 2, 1, 3]), &[y])?;
    let mut shape = vm.tracer.shape(query).clone();
    if let Some(last) = shape.last_mut() {
        *last = Dim::known(embed);
    }
    let y = vm.tracer.push_as(Op::Reshape, &[y], shape, DType::Float)?;
    let y = vm.tracer.tensor_value(y);
    let out = vm.attribute(&Value::Object(o.clone()), &"out_proj".into())?;
    let Value::Tensor(y) = vm.call(&out, vec![y], Vec::new())? else { return vm.type_fault("a tensor is needed") };
    let mut y = vm.tracer.node(&y)?;
    if rank == 2 {
        y = vm.tracer.push(Op::Select { dim: 0, index: Dim::known(0) }, &[y])?;
    } else if !batch_first {
        y = vm.tracer.push(Op::Permute(vec![1, 0, 2]), &[y])?;
    }
    let y = vm.tracer.any_layout(y);
    let mut shown = Value::None;
    if a.bool(vm, "need_weights", true)? {
        let mut w = weights;
        if a.bool(vm, "average_attn_weights", true)? {
            w = vm.tracer.push(Op::Reduce { op: ReduceOp::Mean, dims: vec![1], keepdim: false }, &[w])?;
        }
        if rank == 2 {
            w = vm.tracer.push(Op::Select { dim: 0, index: Dim::known(0) }, &[w])?;
        }
        shown = vm.tracer.tensor_value(w);
    }
    Ok(Value::tuple(vec![vm.tracer.tensor_value(y), shown]))
}
