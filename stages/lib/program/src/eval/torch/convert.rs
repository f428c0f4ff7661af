//! Types, properties, copies, gradients, and what is refused.

use super::*;

pub fn random<T>(vm: &Interp) -> R<T> {
    let d = vm.fault(
        Category::Unsupported,
        "E-UNSUPPORTED-RANDOM",
        "random values in the computation make every evaluation different",
    );
    Err(Box::new(d.help("leave dropout and noise out, or set p to 0")))
}

pub(super) fn dropout(vm: &mut Interp, a: &Args) -> R<Value> {
    if a.float_or(vm, "p", 0.5)? == 0.0 || !a.bool(vm, "training", true)? {
        return Ok(a.value("input"));
    }
    random(vm)
}

pub(super) fn to(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(vm, a, "input")?;
    let mut target = None;
    for v in a.rest.iter().chain(a.get("dtype")) {
        match v {
            Value::DType(d) => target = Some(vm.precision(*d)?),
            Value::Tensor(other) => target = Some(vm.dtype_of(other)),
            _ => {}
        }
    }
    convert(vm, &t, target)
}

pub(super) fn convert(vm: &mut Interp, t: &Rc<Tensor>, target: Option<DType>) -> R<Value> {
    match target {
        Some(dtype) if vm.dtype_of(t) != dtype => {
            if let Data::Literal(l) = t.data.borrow().clone()
                && let (DType::Float, Some(_)) = (dtype, l.values())
            {
                return Ok(vm.literal_value(l.shape, l.init, dtype));
            }
            let id = vm.node(t)?;
            let out = vm.cast(id, dtype);
            done(vm, out)
        }
        _ => Ok(Value::Tensor(t.clone())),
    }
}

pub(super) fn size(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(vm, a, "input")?;
    let shape = vm.shape_of(&t);
    if a.some("dim").is_none() {
        return Ok(Value::tuple(shape.iter().map(Value::dim).collect()));
    }
    let dim = a.axis(vm, "dim", shape.len())?;
    Ok(shape.get(dim).map_or(Value::None, Value::dim))
}

pub(super) fn same(vm: &mut Interp, a: &Args) -> R<Value> {
    Ok(Value::Tensor(base(vm, a, "input")?))
}

pub(super) fn copy(vm: &mut Interp, a: &Args) -> R<Value> {
    let value = a.value("input");
    if let Some(l) = vm.literal(&value) {
        return Ok(vm.literal_value(l.shape, l.init, l.dtype));
    }
    let id = a.tensor(vm, "input")?;
    // a node of its own: what happens to the copy does not happen to the original
    let (shape, dtype) = (vm.graph.shape(id).clone(), vm.graph.dtype(id));
    let out = vm.push_as(Op::Reshape, &[id], shape, dtype)?;
    let out = vm.copied(out, id);
    Ok(vm.tensor_value(out))
}

pub(super) fn detach(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(vm, a, "input")?;
    if matches!(&*t.data.borrow(), Data::Literal(_)) {
        return Ok(Value::Tensor(t));
    }
    view(vm, a, |vm, id, _| vm.push(Op::Detach, &[id]))
}

pub(super) fn in_place(vm: &mut Interp, a: &Args, op: BinOp) -> R<Value> {
    let t = base(vm, a, "input")?;
    let mut other = a.value("other");
    if let Some(alpha) = a.some("alpha") {
        other = vm.binary(&other, BinOp::Mul, &alpha.clone())?;
    }
    vm.update_in_place(&t, op, &other)?;
    Ok(Value::Tensor(t))
}

pub static TABLE: &[Native] = &[
    f!("torch.nn.functional.dropout torch.dropout", "input p? training? inplace?", dropout),
    f!("Tensor.to", "input *args | dtype? device? non_blocking? copy?", to),
    f!("Tensor.type_as", "input other", |vm, a| {
        let (t, other) = (base(vm, a, "input")?, base(vm, a, "other")?);
        let dtype = vm.dtype_of(&other);
        convert(vm, &t, Some(dtype))
    }),
    f!("Tensor.type", "input dtype", |vm, a| {
        let t = base(vm, a, "input")?;
        let dtype = a.dtype(vm, "dtype", DType::Float)?;
        convert(vm, &t, Some(dtype))
    }),
    f!("Tensor.double Tensor.half Tensor.bfloat16", "input", |vm, _| {
        vm.unsupported("E-UNSUPPORTED-PRECISION", "the precision of floats is the trainer's choice")
    }),
    f!("Tensor.float", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        convert(vm, &t, Some(DType::Float))
    }),
    f!("Tensor.long Tensor.int", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        convert(vm, &t, Some(DType::Int))
    }),
    f!("Tensor.bool", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        convert(vm, &t, Some(DType::Bool))
    }),
    f!("Tensor.contiguous", "input | memory_format?", |vm, a| {
        let t = base(vm, a, "input")?;
        if !matches!(&*t.data.borrow(), Data::Node(_)) {
            return Ok(Value::Tensor(t));
        }
        let id = vm.node(&t)?;
        let out = vm.contiguous(id)?;
        Ok(if out == id { Value::Tensor(t) } else { vm.tensor_value(out) })
    }),
    f!("Tensor.cpu Tensor.cuda Tensor.requires_grad_", "input *args **kwargs", same),
    f!("torch.clone Tensor.clone", "input | memory_format?", copy),
    f!("torch.detach Tensor.detach", "input", detach),
    f!("Tensor.dim Tensor.ndimension", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        Ok(Value::Int(vm.shape_of(&t).len() as i64))
    }),
    f!("Tensor.size", "input dim?", size),
    f!("Tensor.numel Tensor.nelement torch.numel", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        Ok(Value::dim(&graph::numel(&vm.shape_of(&t))))
    }),
    f!("Tensor.is_floating_point torch.is_floating_point", "input", |vm, a| {
        let t = base(vm, a, "input")?;
        Ok(Value::Bool(vm.dtype_of(&t) == DType::Float))
    }),
    f!("torch.is_tensor", "obj", |_, a| Ok(Value::Bool(matches!(a.value("obj"), Value::Tensor(_))))),
    f!("Tensor.item Tensor.tolist Tensor.numpy", "input", |vm, a| vm.tensor_to_number(&format!(".{}()", a.function()))),
    f!(
        "Tensor.nonzero torch.nonzero torch.masked_select Tensor.masked_select torch.unique Tensor.unique",
        "*args **kwargs",
        |vm, a| {
            vm.unsupported(
                "E-UNSUPPORTED-MASK-INDEX",
                format!("the size of what {}() gives depends on values", a.function()),
            )
        }
    ),
    f!("Tensor.backward Tensor.register_hook torch.autograd.grad", "*args **kwargs", |vm, a| {
        vm.unsupported("E-UNSUPPORTED-OP", format!("{}() belongs to training, not to a processor", a.function()))
    }),
    f!("Tensor.add_", "input other | alpha?", |vm, a| in_place(vm, a, BinOp::Add)),
    f!("Tensor.sub_", "input other | alpha?", |vm, a| in_place(vm, a, BinOp::Sub)),
    f!("Tensor.mul_", "input other", |vm, a| in_place(vm, a, BinOp::Mul)),
    f!("Tensor.div_", "input other", |vm, a| in_place(vm, a, BinOp::Div)),
    f!("Tensor.$in_place", "function input *args **kwargs", |vm, a| {
        let t = base(vm, a, "input")?;
        if matches!(&*t.data.borrow(), Data::Leaf(_)) {
            return vm.unsupported("E-UNSUPPORTED-INPLACE", "a parameter or buffer is changed in place");
        }
        let old = vm.node(&t)?;
        let mut args = vec![Value::Tensor(t.clone())];
        args.extend(a.rest.iter().cloned());
        vm.writing = Some(vm.graph.nodes.len());
        let Value::Tensor(new) = vm.call(&a.value("function"), args, a.keywords.clone())? else {
            return vm.unsupported("E-UNSUPPORTED-INPLACE", "this in-place operation is not supported");
        };
        let new = vm.node(&new)?;
        vm.finish_in_place(&t, old, new)?;
        Ok(Value::Tensor(t))
    }),
    f!("torch.no_grad torch.inference_mode", "", |_, _| Ok(Value::Context(Some(true)))),
    f!("torch.enable_grad", "", |_, _| Ok(Value::Context(Some(false)))),
    f!("torch.set_grad_enabled", "mode", |vm, a| Ok(Value::Context(Some(!a.bool(vm, "mode", true)?)))),
    f!("torch.is_grad_enabled", "", |vm, _| Ok(Value::Bool(vm.no_grad == 0))),
    f!("torch.device", "*args **kwargs", |_, _| Ok(Value::Device)),
    f!("torch.manual_seed", "seed", |_, _| Ok(Value::None)),
    f!("torch.finfo", "dtype?", |_, _| {
        let values = [f32::MIN, f32::MAX, f32::EPSILON, f32::MIN_POSITIVE, f32::MIN_POSITIVE];
        let values = values.iter().map(|v| Value::Float(f64::from(*v))).collect();
        Ok(Value::Named(Rc::new((super::FINFO, values))))
    }),
    refuse_random!(
        "torch.bernoulli Tensor.bernoulli torch.randint torch.randperm torch.normal torch.multinomial torch.nn.functional.gumbel_softmax torch.poisson"
    ),
    f!("Tensor.is_contiguous", "input", |vm, a| {
        let id = a.tensor(vm, "input")?;
        let plain = vm.contiguous(id)?;
        Ok(Value::Bool(plain == id))
    }),
];
