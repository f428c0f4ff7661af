//! Products of tensors, and what is made of them.

use super::super::storage::may_be_shared;
use super::*;
use crate::rules::Rule;

pub(super) fn matmul(vm: &mut Interp, a: &Args, rank: Option<usize>) -> R<Value> {
    let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
    if let Some(rank) = rank {
        for id in [x, y] {
            if vm.tracer.rank(id) != rank {
                let text = format!(
                    "{} needs tensors of {rank} axes, not {}",
                    a.function(),
                    graph::display(vm.tracer.shape(id))
                );
                return vm.refuse(Rule::ShapeMatmul, text);
            }
        }
        // without broadcasting
        if rank == 3 && vm.tracer.shape(x).first() != vm.tracer.shape(y).first() {
            let text = format!(
                "bmm: {} and {} differ in the first axis",
                graph::display(vm.tracer.shape(x)),
                graph::display(vm.tracer.shape(y))
            );
            return vm.refuse(Rule::ShapeMatmul, text);
        }
    }
    vm.tracer.push(Op::MatMul, &[x, y]).map(|id| vm.tracer.tensor_value(id))
}

/// The product of tensors of these numbers of axes.
fn of_ranks(vm: &mut Interp, a: &Args, second: &str, first_rank: usize, second_rank: usize) -> R<Value> {
    let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, second)?);
    let ranks = (vm.tracer.rank(x), vm.tracer.rank(y));
    if ranks != (first_rank, second_rank) {
        let text = format!(
            "{}() takes tensors of {first_rank} and {second_rank} axes, not {} and {}",
            a.function(),
            graph::display(vm.tracer.shape(x)),
            graph::display(vm.tracer.shape(y))
        );
        return vm.refuse(Rule::ShapeMatmul, text);
    }
    vm.tracer.push(Op::MatMul, &[x, y]).map(|id| vm.tracer.tensor_value(id))
}

/// `beta * input + alpha * (x @ y)`.
pub(super) fn add_matmul(vm: &mut Interp, a: &Args) -> R<Value> {
    let (input, x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "x")?, a.tensor(vm, "y")?);
    let (beta, alpha) = (a.float_or(vm, "beta", 1.0)?, a.float_or(vm, "alpha", 1.0)?);
    let mut product = vm.tracer.push(Op::MatMul, &[x, y])?;
    if alpha != 1.0 {
        let s = vm.tracer.float(alpha)?;
        product = vm.tracer.bin(BinaryOp::Mul, product, s)?;
    }
    if beta == 0.0 {
        return Ok(vm.tracer.tensor_value(product));
    }
    let mut added = input;
    if beta != 1.0 {
        let s = vm.tracer.float(beta)?;
        added = vm.tracer.bin(BinaryOp::Mul, added, s)?;
    }
    vm.tracer.bin(BinaryOp::Add, added, product).map(|id| vm.tracer.tensor_value(id))
}

/// Longest equation of `einsum`, in bytes: far beyond what tensors of 8 axes need.
const MAX_EQUATION: usize = 256;

pub(super) fn einsum(vm: &mut Interp, a: &Args) -> R<Value> {
    let equation = a.text(vm, "equation")?;
    if equation.len() > MAX_EQUATION {
        let text = format!("an equation of {} letters; at most {MAX_EQUATION} are read", equation.len());
        return vm.refuse(Rule::ShapeEinsum, text);
    }
    let mut ids = Vec::new();
    let operands = match a.rest.as_slice() {
        [list @ (Value::List(_) | Value::Tuple(_))] => vm.items(&list.clone())?,
        many => many.to_vec(),
    };
    for operand in &operands {
        match operand {
            Value::Tensor(t) => ids.push(vm.tracer.node(t)?),
            other => return vm.type_fault(format!("einsum() takes tensors, not {}", other.type_name())),
        }
    }
    let ranks: Vec<usize> = ids.iter().map(|i| vm.tracer.rank(*i)).collect();
    let normal = match normal_equation(&equation, &ranks) {
        Ok(text) => text,
        Err(reason) => return vm.refuse(Rule::ShapeEinsum, format!("einsum \"{equation}\": {reason}")),
    };
    // the axes of one tensor in another order are a view, as is what it repeats
    if let ([id], Some((input, output)), [Value::Tensor(t)]) =
        (ids.as_slice(), normal.split_once("->"), operands.as_slice())
    {
        let places: Option<Vec<usize>> = output.chars().map(|c| input.chars().position(|i| i == c)).collect();
        let distinct = input.chars().enumerate().all(|(i, c)| input.chars().position(|o| o == c) == Some(i));
        match places {
            Some(places) if distinct && places.len() == ranks.first().copied().unwrap_or(0) => {
                let out = vm.tracer.push(Op::Permute(places), &[*id])?;
                return vm.tracer.view_value(out, t);
            }
            _ if !distinct => may_be_shared(t),
            _ => {}
        }
    }
    vm.tracer.push(Op::Einsum(normal), &ids).map(|id| vm.tracer.tensor_value(id))
}

/// The equation without spaces and `...`, its output spelled out.
pub(super) fn normal_equation(equation: &str, ranks: &[usize]) -> Result<String, String> {
    let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = match text.split_once("->") {
        Some((i, o)) => (i, Some(o)),
        None => (text.as_str(), None),
    };
    let inputs: Vec<&str> = inputs.split(',').collect();
    if inputs.len() != ranks.len() {
        return Err(format!("it names {} operands, but {} are given", inputs.len(), ranks.len()));
    }
    let free: Vec<char> = ('A'..='Z').chain('a'..='z').filter(|c| !text.contains(*c)).collect();
    let mut widest = 0;
    for (part, rank) in inputs.iter().zip(ranks) {
        if part.contains("...") {
            let named = part.chars().filter(|c| c.is_alphabetic()).count();
            widest = widest.max(rank.checked_sub(named).ok_or("an operand has fewer axes than letters")?);
        }
    }
    let dots: Vec<char> = free.get(..widest).ok_or("too many axes")?.to_vec();
    let spell = |part: &str, count: usize| -> String {
        let letters: String = dots.iter().skip(widest - count.min(widest)).collect();
        part.replace("...", &letters)
    };
    let mut spelled = Vec::new();
    for (part, rank) in inputs.iter().zip(ranks) {
        let named = part.chars().filter(|c| c.is_alphabetic()).count();
        spelled.push(spell(part, rank.saturating_sub(named)));
    }
    let output = match output {
        Some(o) => spell(o, widest),
        None => {
            // letters that occur once, in alphabetical order, behind those of '...'
            let joined: String = spelled.concat();
            let mut once: Vec<char> =
                joined.chars().filter(|c| !dots.contains(c) && joined.matches(*c).count() == 1).collect();
            once.sort_unstable();
            dots.iter().chain(&once).collect()
        }
    };
    Ok(format!("{}->{output}", spelled.join(",")))
}

pub(super) fn normalize(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let rank = vm.tracer.rank(x);
    let dim = a.axis_or(vm, "dim", 1, rank)?;
    let (p, eps) = (a.float_or(vm, "p", 2.0)?, a.float_or(vm, "eps", 1e-12)?);
    let n = vm.tracer.push(Op::Reduce { op: ReduceOp::Norm { p }, dims: vec![dim], keepdim: true }, &[x])?;
    let n = vm.tracer.un(UnaryOp::Clamp { min: eps, max: f64::INFINITY }, n)?;
    vm.tracer.bin(BinaryOp::Div, x, n).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn cosine_similarity(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y) = (a.tensor(vm, "x1")?, a.tensor(vm, "x2")?);
    let product = vm.tracer.bin(BinaryOp::Mul, x, y)?;
    let rank = vm.tracer.rank(product);
    let dim = a.axis_or(vm, "dim", 1, rank)?;
    let eps = a.float_or(vm, "eps", 1e-8)?;
    let dot = vm.tracer.push(Op::Reduce { op: ReduceOp::Sum, dims: vec![dim], keepdim: false }, &[product])?;
    let shape = vm.tracer.shape(product).clone();
    let mut lengths = Vec::new();
    for id in [x, y] {
        let dtype = vm.tracer.dtype(id);
        let wide = vm.tracer.push_as(Op::Expand, &[id], shape.clone(), dtype)?;
        let n =
            vm.tracer.push(Op::Reduce { op: ReduceOp::Norm { p: 2.0 }, dims: vec![dim], keepdim: false }, &[wide])?;
        // torch bounds it behind the gradient's back: the gradient is that of the length, also below the bound
        let bounded = vm.tracer.un(UnaryOp::Clamp { min: eps, max: f64::INFINITY }, n)?;
        let more = vm.tracer.bin(BinaryOp::Sub, bounded, n)?;
        let more = vm.tracer.push(Op::Detach, &[more])?;
        lengths.push(vm.tracer.bin(BinaryOp::Add, n, more)?);
    }
    let [nx, ny] = lengths.as_slice() else { return vm.type_fault("two tensors are needed") };
    let scale = vm.tracer.bin(BinaryOp::Mul, *nx, *ny)?;
    vm.tracer.bin(BinaryOp::Div, dot, scale).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn attention(vm: &mut Interp, a: &Args) -> R<Value> {
    let (q, k, v) = (a.tensor(vm, "query")?, a.tensor(vm, "key")?, a.tensor(vm, "value")?);
    let drop = a.float_or(vm, "dropout_p", 0.0)?;
    if !(0.0..=1.0).contains(&drop) {
        return vm.value_fault(format!("dropout_p must lie between 0 and 1, but is {drop}"));
    }
    let rank = vm.tracer.rank(k);
    let (Some(width), true) = (vm.tracer.shape(q).last().and_then(Dim::as_known), rank >= 2) else {
        return vm.refuse(Rule::ShapeMatmul, "attention needs a known feature size");
    };
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 1, rank - 2);
    let kt = vm.tracer.push(Op::Permute(perm), &[k])?;
    let scale = a.float_or(vm, "scale", 1.0 / (width as f64).sqrt())?;
    let scores = vm.tracer.push(Op::MatMul, &[q, kt])?;
    let s = vm.tracer.float(scale)?;
    let mut scores = vm.tracer.bin(BinaryOp::Mul, scores, s)?;
    let mut mask = None;
    if a.some("attn_mask").is_some() {
        let given = a.tensor(vm, "attn_mask")?;
        if vm.tracer.dtype(given) == DType::Bool {
            mask = Some(given);
        } else if vm.tracer.dtype(given) == DType::Int {
            return vm.refuse(Rule::ShapeDtype, "attn_mask is a tensor of bools or floats; compare it, or use .bool()");
        } else {
            scores = vm.tracer.bin(BinaryOp::Add, scores, given)?;
        }
    }
    if a.bool(vm, "is_causal", false)? {
        if a.some("attn_mask").is_some() {
            return vm.value_fault("is_causal makes a mask of its own; leave attn_mask out");
        }
        let shape = vm.tracer.shape(scores).clone();
        let square = shape.get(shape.len() - 2..).unwrap_or(&[]).to_vec();
        let ones = vm.tracer.push_as(Op::Full(1.0), &[], square, DType::Int)?;
        let lower = vm.tracer.push(Op::Tril { diagonal: 0 }, &[ones])?;
        mask = Some(vm.tracer.as_bool_node(lower)?);
    }
    let dim = vm.tracer.rank(scores) - 1;
    let p = match mask {
        None => vm.tracer.push(Op::Softmax { dim }, &[scores])?,
        Some(mask) => {
            // a row that may attend to nothing gets weights of 0, and no gradient
            let last = vm.tracer.rank(mask).saturating_sub(1);
            let open = vm.tracer.push(Op::Reduce { op: ReduceOp::Any, dims: vec![last], keepdim: true }, &[mask])?;
            let (low, zero) = (vm.tracer.float(f64::NEG_INFINITY)?, vm.tracer.float(0.0)?);
            let masked = vm.tracer.push(Op::Where, &[mask, scores, low])?;
            let masked = vm.tracer.push(Op::Where, &[open, masked, zero])?;
            let p = vm.tracer.push(Op::Softmax { dim }, &[masked])?;
            vm.tracer.push(Op::Where, &[open, p, zero])?
        }
    };
    let p = vm.tracer.with_dropout(p, drop)?;
    let out = vm.tracer.push(Op::MatMul, &[p, v])?;
    // which of torch's kernels runs decides how the result lies in memory
    let out = vm.tracer.any_layout(out);
    Ok(vm.tracer.tensor_value(out))
}

pub(super) fn layer_norm(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let sizes = match a.value("normalized_shape") {
        v @ (Value::Tuple(_) | Value::List(_)) => vm.items(&v)?,
        _ => return vm.type_fault("layer_norm(): 'normalized_shape' must be a tuple of integers"),
    };
    let sizes = vm.tracer.run.new_shape(&sizes)?;
    let weight = if a.some("weight").is_some() { Some(a.tensor(vm, "weight")?) } else { None };
    let bias = if a.some("bias").is_some() { Some(a.tensor(vm, "bias")?) } else { None };
    let eps = a.float_or(vm, "eps", 1e-5)?;
    vm.tracer.layer_norm(x, &sizes, weight, bias, eps).map(|id| vm.tracer.tensor_value(id))
}

pub static TABLE: &[Native] = &[
    f!("torch.matmul Tensor.matmul torch.linalg.matmul", "input other", |vm, a| matmul(vm, a, None)),
    f!("torch.bmm Tensor.bmm", "input other", |vm, a| matmul(vm, a, Some(3))),
    f!("torch.mm Tensor.mm", "input other", |vm, a| matmul(vm, a, Some(2))),
    f!("torch.mv Tensor.mv", "input vec", |vm, a| of_ranks(vm, a, "vec", 2, 1)),
    f!("torch.dot Tensor.dot", "input tensor", |vm, a| of_ranks(vm, a, "tensor", 1, 1)),
    f!("torch.vdot Tensor.vdot", "input other", |vm, a| of_ranks(vm, a, "other", 1, 1)),
    f!("torch.baddbmm torch.addmm Tensor.baddbmm Tensor.addmm", "input x y | beta? alpha?", add_matmul),
    f!("torch.einsum", "equation *operands", einsum),
    f!("torch.outer Tensor.outer", "input other", |vm, a| {
        let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
        let x = vm.tracer.unsqueeze(x, 1)?;
        vm.tracer.bin(BinaryOp::Mul, x, y).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.cdist", "x1 x2 p?", |vm, a| {
        let (x, y) = (a.tensor(vm, "x1")?, a.tensor(vm, "x2")?);
        let p = a.float_or(vm, "p", 2.0)?;
        let (rx, ry) = (vm.tracer.rank(x), vm.tracer.rank(y));
        if rx < 2 || ry < 2 {
            return vm.refuse(Rule::ShapeOp, "cdist needs tensors of two axes or more");
        }
        let x = vm.tracer.unsqueeze(x, rx - 1)?;
        let y = vm.tracer.unsqueeze(y, ry - 2)?;
        let gap = vm.tracer.bin(BinaryOp::Sub, x, y)?;
        let last = vm.tracer.rank(gap) - 1;
        vm.tracer
            .push(Op::Reduce { op: ReduceOp::Norm { p }, dims: vec![last], keepdim: false }, &[gap])
            .map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.nn.functional.normalize", "input p? dim? eps?", normalize),
    f!("torch.nn.functional.cosine_similarity torch.cosine_similarity", "x1 x2 dim? eps?", cosine_similarity),
    f!(
        "torch.nn.functional.scaled_dot_product_attention",
        "query key value attn_mask? dropout_p? is_causal? | scale? enable_gqa?",
        attention
    ),
    f!("torch.nn.functional.layer_norm", "input normalized_shape weight? bias? eps?", layer_norm),
    f!("torch.layer_norm", "input normalized_shape weight? bias? eps? cudnn_enable?", layer_norm),
    f!("torch.nn.functional.rms_norm torch.rms_norm", "input normalized_shape weight? eps?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let sizes = match a.value("normalized_shape") {
            v @ (Value::Tuple(_) | Value::List(_)) => vm.items(&v)?,
            _ => return vm.type_fault("rms_norm(): 'normalized_shape' must be a tuple of integers"),
        };
        let sizes = vm.tracer.run.new_shape(&sizes)?;
        let weight = if a.some("weight").is_some() { Some(a.tensor(vm, "weight")?) } else { None };
        let eps = a.float_or(vm, "eps", f64::from(f32::EPSILON))?;
        super::super::nn::root_mean_square(&mut vm.tracer, x, &sizes, weight, eps).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.nn.functional.prelu torch.prelu Tensor.prelu", "input weight", |vm, a| {
        let (x, w) = (a.tensor(vm, "input")?, a.tensor(vm, "weight")?);
        super::super::nn::rectified(&mut vm.tracer, x, w).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.nn.functional.adaptive_avg_pool1d torch.adaptive_avg_pool1d", "input output_size", |vm, a| {
        super::super::nn::pooled_to(vm, a, 1, false)
    }),
    f!("torch.nn.functional.adaptive_avg_pool2d", "input output_size", |vm, a| {
        super::super::nn::pooled_to(vm, a, 2, false)
    }),
    f!("torch.nn.functional.adaptive_avg_pool3d", "input output_size", |vm, a| {
        super::super::nn::pooled_to(vm, a, 3, false)
    }),
    f!("torch.nn.functional.adaptive_max_pool1d", "input output_size", |vm, a| {
        super::super::nn::pooled_to(vm, a, 1, true)
    }),
    f!("torch.nn.functional.adaptive_max_pool2d", "input output_size", |vm, a| {
        super::super::nn::pooled_to(vm, a, 2, true)
    }),
    f!("torch.nn.functional.adaptive_max_pool3d", "input output_size", |vm, a| {
        super::super::nn::pooled_to(vm, a, 3, true)
    }),
    f!("torch.nn.functional.linear", "input weight bias?", |vm, a| {
        let (x, w) = (a.tensor(vm, "input")?, a.tensor(vm, "weight")?);
        let bias = if a.some("bias").is_some() { Some(a.tensor(vm, "bias")?) } else { None };
        vm.tracer.linear(x, w, bias).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.nn.functional.bilinear torch.bilinear", "input1 input2 weight bias?", |vm, a| {
        let (x, y, w) = (a.tensor(vm, "input1")?, a.tensor(vm, "input2")?, a.tensor(vm, "weight")?);
        let bias = if a.some("bias").is_some() { Some(a.tensor(vm, "bias")?) } else { None };
        vm.tracer.bilinear(x, y, w, bias).map(|id| vm.tracer.tensor_value(id))
    }),
];
