//! `nn.TransformerEncoderLayer` (Vaswani et al. 2017), of the layers that it holds.

use super::*;
use crate::rules::Rule;

/// Makes a layer and registers it.
fn child(
    vm: &mut Interp,
    o: &Rc<Object>,
    name: &str,
    class: &str,
    args: Vec<Value>,
    settings: &[(&str, Value)],
) -> R<()> {
    let Some(layer) = find(class) else { return vm.refuse(Rule::Internal, format!("there is no {class}")) };
    let class = Value::Class(vm.heap.layer_class(layer));
    let settings = settings.iter().map(|(name, value)| (Name::from(*name), value.clone())).collect();
    let made = vm.call(&class, args, settings)?;
    vm.set_attribute(&Value::Object(o.clone()), &name.into(), made)
}

/// Calls one of the layers.
fn through(vm: &mut Interp, o: &Rc<Object>, name: &str, x: Value) -> R<Value> {
    let layer = vm.attribute(&Value::Object(o.clone()), &name.into())?;
    vm.call(&layer, vec![x], Vec::new())
}

pub(super) fn init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let int = |vm: &Interp, name: &str, default: i64| a.int_or(vm, name, default).map(Value::Int);
    let (model, heads) = (int(vm, "d_model", 0)?, int(vm, "nhead", 0)?);
    let inner = int(vm, "dim_feedforward", 2048)?;
    let drop = Value::Float(a.float_or(vm, "dropout", 0.1)?);
    let eps = Value::Float(a.float_or(vm, "layer_norm_eps", 1e-5)?);
    let (bias, first) = (a.bool(vm, "bias", true)?, a.bool(vm, "norm_first", false)?);
    let (bias, batch_first) = (Value::Bool(bias), Value::Bool(a.bool(vm, "batch_first", false)?));
    let settings = [("dropout", drop.clone()), ("bias", bias.clone()), ("batch_first", batch_first)];
    child(vm, &o, "self_attn", "MultiheadAttention", vec![model.clone(), heads], &settings)?;
    child(vm, &o, "linear1", "Linear", vec![model.clone(), inner.clone()], &[("bias", bias.clone())])?;
    child(vm, &o, "dropout", "Dropout", vec![drop.clone()], &[])?;
    child(vm, &o, "linear2", "Linear", vec![inner, model.clone()], &[("bias", bias.clone())])?;
    set(&o, "norm_first", Value::Bool(first));
    for name in ["norm1", "norm2"] {
        child(vm, &o, name, "LayerNorm", vec![model.clone()], &[("eps", eps.clone()), ("bias", bias.clone())])?;
    }
    for name in ["dropout1", "dropout2"] {
        child(vm, &o, name, "Dropout", vec![drop.clone()], &[])?;
    }
    let activation = match a.get("activation").cloned() {
        None => function(&vm.tracer.run, "relu")?,
        Some(Value::Str(name)) if matches!(&*name, "relu" | "gelu") => function(&vm.tracer.run, &name)?,
        Some(Value::Str(name)) => {
            return vm.value_fault(format!("activation should be relu or gelu, or a function, not '{name}'"));
        }
        Some(given) => given,
    };
    vm.set_attribute(&Value::Object(o), &"activation".into(), activation)?;
    Ok(Value::None)
}

fn function(run: &Run, name: &str) -> R<Value> {
    match super::super::native::find(&format!("torch.nn.functional.{name}")) {
        Some(native) => Ok(Value::Native(native)),
        None => run.refuse(Rule::Internal, format!("there is no {name}")),
    }
}

fn attention(vm: &mut Interp, a: &Args, o: &Rc<Object>, x: Value) -> R<Value> {
    let layer = vm.attribute(&Value::Object(o.clone()), &"self_attn".into())?;
    let mut settings: Vec<(Name, Value)> = vec![("need_weights".into(), Value::Bool(false))];
    for (from, to) in
        [("src_mask", "attn_mask"), ("src_key_padding_mask", "key_padding_mask"), ("is_causal", "is_causal")]
    {
        settings.extend(a.some(from).map(|value| (Name::from(to), value.clone())));
    }
    let out = vm.call(&layer, vec![x.clone(), x.clone(), x], settings)?;
    let first = vm.items(&out)?.into_iter().next().unwrap_or(Value::None);
    through(vm, o, "dropout1", first)
}

fn feed_forward(vm: &mut Interp, o: &Rc<Object>, x: Value) -> R<Value> {
    ["linear1", "activation", "dropout", "linear2", "dropout2"]
        .into_iter()
        .try_fold(x, |x, name| through(vm, o, name, x))
}

pub(super) fn forward(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let first = matches!(get(&o, "norm_first"), Value::Bool(true));
    let mut x = a.value("src");
    for (norm, attends) in [("norm1", true), ("norm2", false)] {
        let inner = if first { through(vm, &o, norm, x.clone())? } else { x.clone() };
        let y = if attends { attention(vm, a, &o, inner)? } else { feed_forward(vm, &o, inner)? };
        x = vm.binary(&x, crate::syntax::BinOp::Add, &y)?;
        if !first {
            x = through(vm, &o, norm, x)?;
        }
    }
    Ok(x)
}

pub(super) fn encoder_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let count = a.size(vm, "num_layers")?;
    let (layer, mut layers) = (a.value("encoder_layer"), Vec::new());
    for _ in 0..count {
        layers.push(vm.deep_copy(&layer, &mut super::super::deepcopy::Copies::default())?);
    }
    child(vm, &o, "layers", "ModuleList", vec![Value::list(layers)], &[])?;
    set(&o, "num_layers", Value::Int(count as i64));
    vm.set_attribute(&Value::Object(o), &"norm".into(), a.value("norm"))?;
    Ok(Value::None)
}

pub(super) fn encoder(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    if a.some("src_key_padding_mask").is_some() {
        let text = "TransformerEncoder is not supported with src_key_padding_mask, by which PyTorch leaves zeros in evaluation";
        let d = vm.fault(Rule::UnsupportedOp, text);
        return Err(Box::new(d.help("loop over TransformerEncoderLayers, which take it")));
    }
    let layers = vm.attribute(&Value::Object(o.clone()), &"layers".into())?;
    let mut settings: Vec<(Name, Value)> = Vec::new();
    for (from, to) in [("mask", "src_mask"), ("is_causal", "is_causal")] {
        settings.extend(a.some(from).map(|value| (Name::from(to), value.clone())));
    }
    let mut x = a.value("src");
    for layer in vm.items(&layers)? {
        x = vm.call(&layer, vec![x], settings.clone())?;
    }
    match vm.attribute(&Value::Object(o), &"norm".into())? {
        Value::None => Ok(x),
        norm => vm.call(&norm, vec![x], Vec::new()),
    }
}
