//! Containers of layers.

use super::*;

pub(super) fn sequential_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
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
    let o = this(vm, a)?;
    let mut value = a.value("input");
    vm.go_over_module(&o)?;
    for layer in vm.container_items(&o).unwrap_or_default() {
        value = vm.call(&layer, vec![value], Vec::new())?;
    }
    Ok(value)
}

pub(super) fn list_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    if let Some(items) = a.some("modules") {
        for item in vm.items(&items.clone())? {
            vm.append(&o, item)?;
        }
    }
    Ok(Value::None)
}

pub(super) fn dict_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    if let Some(items) = a.some("modules") {
        vm.update_modules(&o, &items.clone())?;
    }
    Ok(Value::None)
}

pub(super) fn no_forward(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let name = o.class.name.rsplit('.').next().unwrap_or("").to_string();
    Err(vm.fault(Category::Interface, "E-INTERFACE-FORWARD", format!("{name} has no forward method")))
}
