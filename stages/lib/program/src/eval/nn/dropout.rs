//! Layers that drop elements or channels in training.

use super::super::torch::{self, Dropout};
use super::*;

pub(super) fn init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let p = torch::probability(vm, a)?;
    let given = a.some("p").cloned().unwrap_or(Value::Float(p));
    set(&o, "p", given);
    let inplace = a.bool(vm, "inplace", false)?;
    set(&o, "inplace", Value::Bool(inplace));
    Ok(Value::None)
}

pub(super) fn rectifier_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    for (name, default) in [("lower", 1.0 / 8.0), ("upper", 1.0 / 3.0)] {
        let slope = a.float_or(vm, name, default)?;
        set(&o, name, Value::Float(slope));
    }
    let inplace = a.bool(vm, "inplace", false)?;
    set(&o, "inplace", Value::Bool(inplace));
    Ok(Value::None)
}

pub(super) fn rectifier(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let slopes = (number(&o, "lower"), number(&o, "upper"));
    let inplace = matches!(get(&o, "inplace"), Value::Bool(true));
    let training = vm.tracer.in_training(&o);
    torch::random_rectifier(vm, a, slopes, (training, inplace))
}

pub(super) fn forward(vm: &mut Interp, a: &Args, kind: Dropout) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let p = number(&o, "p");
    if !(0.0..=1.0).contains(&p) {
        return vm.value_fault(format!("a dropout's probability must lie between 0 and 1, but is {p}"));
    }
    // a layer that drops nothing is the same in both modes
    let training = p > 0.0 && vm.tracer.in_training(&o);
    let inplace = matches!(get(&o, "inplace"), Value::Bool(true));
    torch::dropout(vm, a, kind, p, (training, inplace))
}
