//! Containers of layers.

use super::super::container::container_items;
use super::*;
use crate::rules::Rule;

pub(super) fn sequential_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    if let [Value::Dict(_)] = a.rest.as_slice() {
        let from = a.rest.first().cloned().unwrap_or(Value::None);
        vm.update_modules(&o, &from)?;
        return Ok(Value::None);
    }
    for (i, layer) in a.rest.iter().enumerate() {
        vm.register(&o, &i.to_string().as_str().into(), layer.clone())?;
    }
    Ok(Value::None)
}

pub(super) fn sequential(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let mut value = a.value("input");
    vm.tracer.run.go_over_module(&o)?;
    for layer in container_items(&o).unwrap_or_default() {
        value = vm.call(&layer, vec![value], Vec::new())?;
    }
    Ok(value)
}

pub(super) fn list_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    if let Some(items) = a.some("modules") {
        for item in vm.items(&items.clone())? {
            vm.append(&o, item)?;
        }
    }
    Ok(Value::None)
}

pub(super) fn dict_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    if let Some(items) = a.some("modules") {
        vm.update_modules(&o, &items.clone())?;
    }
    Ok(Value::None)
}

pub(super) fn no_forward(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let name = o.class.name.rsplit('.').next().unwrap_or("").to_string();
    Err(vm.fault(Rule::InterfaceForward, format!("{name} has no forward method")))
}

/// A layer of `einops` keeps its pattern.
pub(super) fn einops_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    set(&o, "$pattern", Value::Str(a.text(vm, "pattern")?));
    if a.get("reduction").is_some() {
        set(&o, "$reduction", Value::Str(a.text(vm, "reduction")?));
    }
    let sizes = a.keywords.iter().map(|(n, v)| Value::tuple(vec![Value::Str(n.clone()), v.clone()])).collect();
    set(&o, "$sizes", Value::tuple(sizes));
    Ok(Value::None)
}

pub(super) fn einops(vm: &mut Interp, a: &Args, function: &str) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let mut keywords = Vec::new();
    for pair in vm.items(&get(&o, "$sizes"))? {
        if let [Value::Str(name), value] = vm.items(&pair)?.as_slice() {
            keywords.push((name.clone(), value.clone()));
        }
    }
    let mut given = vec![a.value("input"), get(&o, "$pattern")];
    given.extend(Some(get(&o, "$reduction")).filter(|r| !matches!(r, Value::None)));
    match super::super::native::find(function) {
        Some(f) => vm.call_native(f, given, keywords),
        None => vm.refuse(Rule::UnsupportedOp, format!("{function} is not supported")),
    }
}
