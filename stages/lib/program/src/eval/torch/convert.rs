//! Types, properties, copies, gradients, and what is refused.

use super::super::storage::may_be_shared;
use super::super::value::INT32;
use super::*;
use crate::rules::Rule;

pub fn random<T>(run: &Run, function: &str) -> R<T> {
    let text = format!("{function}() draws integers, which is not supported");
    let d = run.fault(Rule::UnsupportedRandom, text);
    Err(Box::new(d.help("draw floats, in training only: torch.rand, randn, bernoulli, nn.Dropout")))
}

pub(super) fn to(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    let mut target = None;
    for v in a.rest.iter().chain(a.get("dtype")) {
        match v {
            Value::DType(d) if *d == INT32 => return to_int32(&mut vm.tracer, &t),
            Value::DType(d) => target = Some(vm.tracer.run.precision(*d)?),
            Value::Tensor(other) if is_int32(&mut vm.tracer, other)? => return to_int32(&mut vm.tracer, &t),
            Value::Tensor(other) => target = Some(vm.tracer.dtype_of(other)),
            _ => {}
        }
    }
    let out = convert(&mut vm.tracer, &t, target)?;
    // `copy=True` makes a tensor of its own of what would be the same one
    match (&out, a.bool(vm, "copy", false)?) {
        (Value::Tensor(same), true) if Rc::ptr_eq(same, &t) => {
            let id = vm.tracer.node(&t)?;
            let (shape, dtype) = (vm.tracer.shape(id).clone(), vm.tracer.dtype(id));
            let copy = vm.tracer.push_as(Op::Reshape, &[id], shape, dtype)?;
            let copy = vm.tracer.copied(copy, id);
            Ok(vm.tracer.tensor_value(copy))
        }
        _ => Ok(out),
    }
}

fn is_int32(tracer: &mut Tracer, t: &Tensor) -> R<bool> {
    Ok(tracer.dtype_of(t) == DType::Int && matches!(t.data.borrow().clone(), Data::Node(_)) && {
        let id = tracer.node(t)?;
        tracer.widths.is_narrow(id)
    })
}

fn to_int32(tracer: &mut Tracer, t: &Rc<Tensor>) -> R<Value> {
    if is_int32(tracer, t)? {
        return Ok(Value::Tensor(t.clone()));
    }
    let id = tracer.node(t)?;
    tracer.narrowed(id).map(|id| tracer.tensor_value(id))
}

pub(super) fn convert(tracer: &mut Tracer, t: &Rc<Tensor>, target: Option<DType>) -> R<Value> {
    match target {
        Some(DType::Int) if is_int32(tracer, t)? => {
            let id = tracer.node(t)?;
            let shape = tracer.shape(id).clone();
            tracer.push_as(Op::Cast, &[id], shape, DType::Int).map(|id| tracer.tensor_value(id))
        }
        Some(dtype) if tracer.dtype_of(t) != dtype => {
            if let Data::Literal(l) = t.data.borrow().clone()
                && let (DType::Float, Some(_)) = (dtype, l.values())
            {
                return Ok(tracer.run.literal_value(l.shape, l.init, dtype));
            }
            let id = tracer.node(t)?;
            tracer.cast(id, dtype).map(|id| tracer.tensor_value(id))
        }
        _ => Ok(Value::Tensor(t.clone())),
    }
}

pub(super) fn size(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    let shape = vm.tracer.shape_of(&t);
    if a.some("dim").is_none() {
        return Ok(Value::tuple(shape.iter().map(Value::dim).collect()));
    }
    let dim = a.axis(vm, "dim", shape.len())?;
    Ok(shape.get(dim).map_or(Value::None, Value::dim))
}

pub(super) fn same(vm: &mut Interp, a: &Args) -> R<Value> {
    Ok(Value::Tensor(base(&vm.tracer.run, a, "input")?))
}

pub(super) fn copy(vm: &mut Interp, a: &Args) -> R<Value> {
    let value = a.value("input");
    if let Some(l) = vm.tracer.run.literal(&value)? {
        return Ok(vm.tracer.run.literal_value(l.shape, l.init, l.dtype));
    }
    let id = a.tensor(vm, "input")?;
    // a node of its own: what happens to the copy does not happen to the original
    let (shape, dtype) = (vm.tracer.shape(id).clone(), vm.tracer.dtype(id));
    let out = vm.tracer.push_as(Op::Reshape, &[id], shape, dtype)?;
    let out = vm.tracer.copied(out, id);
    Ok(vm.tracer.tensor_value(out))
}

pub(super) fn detach(vm: &mut Interp, a: &Args) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    if matches!(&*t.data.borrow(), Data::Literal(_)) {
        return Ok(Value::Tensor(t));
    }
    view(vm, a, |vm, id, _| vm.tracer.push(Op::Detach, &[id]))
}

pub(super) fn in_place(vm: &mut Interp, a: &Args, op: BinOp) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    let mut other = a.value("other");
    if let Some(alpha) = a.some("alpha") {
        other = vm.binary(&other, BinOp::Mul, &alpha.clone())?;
    }
    vm.tracer.update_in_place(&t, op, &other)?;
    Ok(Value::Tensor(t))
}

pub static TABLE: &[Native] = &[
    f!("Tensor.to", "input *args | dtype? device? non_blocking? copy?", to),
    f!("Tensor.type_as", "input other", |vm, a| {
        let (t, other) = (base(&vm.tracer.run, a, "input")?, base(&vm.tracer.run, a, "other")?);
        if is_int32(&mut vm.tracer, &other)? {
            return to_int32(&mut vm.tracer, &t);
        }
        let dtype = vm.tracer.dtype_of(&other);
        convert(&mut vm.tracer, &t, Some(dtype))
    }),
    f!("Tensor.int", "input", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        to_int32(&mut vm.tracer, &t)
    }),
    f!("Tensor.type", "input dtype", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        if matches!(a.some("dtype"), Some(Value::DType(d)) if *d == INT32) {
            return to_int32(&mut vm.tracer, &t);
        }
        let dtype = a.dtype(vm, "dtype", DType::Float)?;
        convert(&mut vm.tracer, &t, Some(dtype))
    }),
    f!("Tensor.double Tensor.half Tensor.bfloat16", "input", |vm, _| {
        vm.refuse(Rule::UnsupportedPrecision, "the precision of floats is the trainer's choice")
    }),
    f!("Tensor.float", "input", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        convert(&mut vm.tracer, &t, Some(DType::Float))
    }),
    f!("Tensor.long", "input", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        convert(&mut vm.tracer, &t, Some(DType::Int))
    }),
    f!("Tensor.bool", "input", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        convert(&mut vm.tracer, &t, Some(DType::Bool))
    }),
    f!("Tensor.contiguous", "input | memory_format?", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        if !matches!(&*t.data.borrow(), Data::Node(_)) {
            return Ok(Value::Tensor(t));
        }
        let id = vm.tracer.node(&t)?;
        let out = vm.tracer.contiguous(id)?;
        if out == id {
            return Ok(Value::Tensor(t));
        }
        if vm.tracer.layouts.is_unknown(id) {
            may_be_shared(&t);
        }
        Ok(vm.tracer.tensor_value(out))
    }),
    f!("Tensor.cpu Tensor.cuda", "input *args **kwargs", same),
    f!("Tensor.requires_grad_", "input requires_grad?", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        let on = a.bool(vm, "requires_grad", true)?;
        if matches!(&*t.data.borrow(), Data::Node(_)) {
            let id = vm.tracer.node(&t)?;
            // it changes nothing
            if vm.tracer.has_gradient(id) == on {
                return Ok(Value::Tensor(t));
            }
            let text = "requires_grad_() of a computed tensor is not supported";
            let d = vm.fault(Rule::UnsupportedOp, text);
            return Err(Box::new(d.help("cut gradients with detach()")));
        }
        vm.set_attribute(&Value::Tensor(t.clone()), &"requires_grad".into(), Value::Bool(on))?;
        Ok(Value::Tensor(t))
    }),
    f!("torch.clone Tensor.clone", "input | memory_format?", copy),
    f!("torch.detach Tensor.detach", "input", detach),
    f!("Tensor.dim Tensor.ndimension", "input", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        Ok(Value::Int(vm.tracer.shape_of(&t).len() as i64))
    }),
    f!("Tensor.size", "input dim?", size),
    f!("Tensor.numel Tensor.nelement torch.numel", "input", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        Ok(Value::dim(&graph::numel(&vm.tracer.shape_of(&t))))
    }),
    f!("Tensor.is_floating_point torch.is_floating_point", "input", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        Ok(Value::Bool(vm.tracer.dtype_of(&t) == DType::Float))
    }),
    f!("torch.is_tensor", "obj", |_, a| Ok(Value::Bool(matches!(a.value("obj"), Value::Tensor(_))))),
    f!("Tensor.item", "input", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        vm.tracer.number_of(&t, ".item()")
    }),
    f!("Tensor.tolist", "input", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        vm.tracer.list_of(&t)
    }),
    f!("Tensor.numpy", "input", |vm, _| vm.tracer.run.tensor_to_number(".numpy()")),
    f!(
        "Tensor.nonzero torch.nonzero torch.masked_select Tensor.masked_select torch.unique Tensor.unique",
        "*args **kwargs",
        |vm, a| {
            vm.refuse(
                Rule::UnsupportedMaskIndex,
                format!("the size of what {}() gives depends on values", a.function()),
            )
        }
    ),
    f!("Tensor.backward Tensor.register_hook torch.autograd.grad", "*args **kwargs", |vm, a| {
        vm.refuse(Rule::UnsupportedOp, format!("{}() belongs to training, not to a processor", a.function()))
    }),
    f!("Tensor.add_", "input other | alpha?", |vm, a| in_place(vm, a, BinOp::Add)),
    f!("Tensor.sub_", "input other | alpha?", |vm, a| in_place(vm, a, BinOp::Sub)),
    f!("Tensor.mul_", "input other", |vm, a| in_place(vm, a, BinOp::Mul)),
    f!("Tensor.div_", "input other", |vm, a| in_place(vm, a, BinOp::Div)),
    f!("Tensor.$in_place", "function input *args **kwargs", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        for value in a.rest.iter().chain(a.keywords.iter().map(|k| &k.1)) {
            vm.tracer.run.no_overlap(&t, value)?;
        }
        vm.change(&t, |vm, old| {
            // the old value as a tensor of its own, which stays as it is
            let mut args = vec![vm.tracer.tensor_value(old)];
            args.extend(a.rest.iter().cloned());
            let Value::Tensor(new) = vm.call(&a.value("function"), args, a.keywords.clone())? else {
                return vm.refuse(Rule::UnsupportedInplace, "this in-place operation is not supported");
            };
            vm.tracer.node(&new)
        })?;
        Ok(Value::Tensor(t))
    }),
    f!("torch.no_grad torch.inference_mode", "", |_, _| Ok(Value::Context(Some(true)))),
    f!("torch.enable_grad", "", |_, _| Ok(Value::Context(Some(false)))),
    f!("torch.set_grad_enabled", "mode", |vm, a| Ok(Value::Context(Some(!a.bool(vm, "mode", true)?)))),
    f!("torch.is_grad_enabled", "", |vm, _| { Ok(Value::Bool(vm.tracer.is_grad_enabled())) }),
    f!("torch.device", "*args **kwargs", |_, _| Ok(Value::Device)),
    f!("torch.finfo", "dtype?", |_, _| {
        let values = [f32::MIN, f32::MAX, f32::EPSILON, f32::MIN_POSITIVE, f32::MIN_POSITIVE];
        let values = values.iter().map(|v| Value::Float(f64::from(*v))).collect();
        Ok(Value::Named(Rc::new((super::FINFO, values))))
    }),
    f!("Tensor.is_contiguous", "input", |vm, a| {
        let id = a.tensor(vm, "input")?;
        let plain = vm.tracer.contiguous(id)?;
        Ok(Value::Bool(plain == id))
    }),
];
