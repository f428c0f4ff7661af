//! Weight normalisation (Salimans and Kingma 2016): a layer's weight as a direction and its length.

use super::*;
use crate::rules::Rule;

/// What an attribute of the layer begins with that says how a weight is made: the axis of its lengths, or none.
const RULE: &str = "$norm.";

/// `forms`: names of length and direction.
fn normalise(vm: &mut Interp, a: &Args, inner: bool) -> R<Value> {
    let o = match a.value("module") {
        Value::Object(o) if o.module.borrow().is_some() => o,
        other => return vm.type_fault(format!("weight_norm() needs a layer, not {}", other.type_name())),
    };
    if vm.tracer.phase() == super::super::Phase::Second {
        return vm.refuse(Rule::Stateful, "a layer is changed in every call of forward");
    }
    let name = a.text_or(vm, "name", "weight")?;
    let held = o.module.borrow().as_ref().and_then(|s| s.params.iter().find(|p| p.0 == name).and_then(|p| p.1.clone()));
    let Some(weight) = held else {
        return vm.type_fault(format!("the layer has no parameter '{name}' to normalise"));
    };
    let leaf = match &*weight.data.borrow() {
        Data::Leaf(leaf) => *leaf,
        _ => return vm.refuse(Rule::UnsupportedInit, "only a parameter can be normalised"),
    };
    vm.tracer.unused_yet(leaf)?;
    let (shape, init) = match vm.tracer.leaf(leaf) {
        Some(known) => (known.shape.clone(), known.init.clone()),
        None => return vm.refuse(Rule::Internal, "a parameter without a place"),
    };
    let axis = match a.get("dim") {
        Some(Value::None | Value::Int(-1)) => None,
        _ => match usize::try_from(a.int_or(vm, "dim", 0)?) {
            Ok(axis) if axis < shape.len() => Some(axis),
            _ => {
                return vm
                    .value_fault(format!("weight_norm() along an axis that a weight of {} axes has not", shape.len()));
            }
        },
    };
    let lengths = match axis {
        Some(axis) => shape.iter().enumerate().map(|(at, size)| if at == axis { *size } else { 1 }).collect(),
        None => Vec::new(),
    };
    // the name follows when all modules are known
    let init = Init::Lengths { of: leaf.to_string(), shape, init: Box::new(init), axis };
    let span = vm.here();
    let length = vm.tracer.add_leaf(Literal { shape: lengths, init, dtype: DType::Float }, false, false, span)?;
    let length = Rc::new(Tensor::new(Data::Leaf(length), Rc::default(), true, span));
    if let Some(state) = o.module.borrow_mut().as_mut() {
        state.params.retain(|p| p.0 != name);
    }
    if inner {
        let list = list(vm)?;
        fill(&list, [("original0".into(), length), ("original1".into(), weight)]);
        let Some(dict) = find("ModuleDict") else { return vm.refuse(Rule::Internal, "there is no ModuleDict") };
        let own = Value::Object(o.clone());
        let known = o.module.borrow().as_ref().is_some_and(|s| s.children.iter().any(|c| &*c.0 == "parametrizations"));
        if !known {
            let class = Value::Class(vm.heap.layer_class(dict));
            let made = vm.call(&class, Vec::new(), Vec::new())?;
            vm.set_attribute(&own, &"parametrizations".into(), made)?;
        }
        if let Value::Object(all) = vm.attribute(&own, &"parametrizations".into())? {
            vm.register(&all, &name, Value::Object(list))?;
        }
    } else {
        fill(&o, [(format!("{name}_g").as_str().into(), length), (format!("{name}_v").as_str().into(), weight)]);
    }
    let axis = axis.map_or(Value::None, |axis| Value::Int(axis as i64));
    set(&o, &format!("{RULE}{name}"), Value::tuple(vec![axis, Value::Bool(inner)]));
    Ok(Value::Object(o))
}

fn list(vm: &mut Interp) -> R<Rc<Object>> {
    let Some(layer) = find("ModuleList") else { return vm.refuse(Rule::Internal, "there is no ModuleList") };
    let class = Value::Class(vm.heap.layer_class(layer));
    match vm.call(&class, Vec::new(), Vec::new())? {
        Value::Object(made) => Ok(made),
        other => vm.type_fault(format!("a module is needed, not {}", other.type_name())),
    }
}

fn fill(o: &Object, params: [(Name, Rc<Tensor>); 2]) {
    if let Some(state) = o.module.borrow_mut().as_mut() {
        state.params.extend(params.into_iter().map(|(name, tensor)| (name, Some(tensor))));
    }
}

/// A weight that a layer has as a direction and its length; nothing where it has none of this name.
pub fn normalised_weight(vm: &mut Interp, o: &Rc<Object>, name: &str) -> R<Option<Value>> {
    let rule = o.attrs.borrow().get(format!("{RULE}{name}").as_str()).cloned();
    let Some(Value::Tuple(rule)) = rule else { return Ok(None) };
    let own = Value::Object(o.clone());
    let (holder, names) = if matches!(rule.get(1), Some(Value::Bool(true))) {
        let all = vm.attribute(&own, &"parametrizations".into())?;
        (vm.attribute(&all, &name.into())?, ["original0".to_string(), "original1".to_string()])
    } else {
        (own, [format!("{name}_g"), format!("{name}_v")])
    };
    let mut ids = Vec::new();
    for name in &names {
        match vm.attribute(&holder, &name.as_str().into())? {
            Value::Tensor(t) => ids.push(vm.tracer.node(&t)?),
            other => return vm.type_fault(format!("the layer's {name} is {}", other.type_name())),
        }
    }
    let [length, direction] = ids[..] else { return Ok(None) };
    let rank = vm.tracer.rank(direction);
    let (kept, keepdim) = match rule.first() {
        Some(Value::Int(axis)) => (usize::try_from(*axis).ok(), true),
        _ => (None, false),
    };
    let dims = (0..rank).filter(|axis| Some(*axis) != kept).collect();
    let norm = vm.tracer.push(Op::Reduce { op: ReduceOp::Norm { p: 2.0 }, dims, keepdim }, &[direction])?;
    let scale = vm.tracer.bin(BinaryOp::Div, length, norm)?;
    let weight = vm.tracer.bin(BinaryOp::Mul, direction, scale)?;
    Ok(Some(vm.tracer.tensor_value(weight)))
}

pub static TABLE: &[Native] = &[
    native("torch.nn.utils.weight_norm", "module name? dim?", |vm, a| normalise(vm, a, false)),
    native("torch.nn.utils.parametrizations.weight_norm", "module name? dim?", |vm, a| normalise(vm, a, true)),
];
