//! Recurrent cells.

use super::super::Tracer;
use super::*;
use crate::rules::Rule;

/// GRU, LSTM and RNN cells: `gates` blocks of weights.
pub(super) fn cell_init(vm: &mut Interp, a: &Args, gates: usize) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let (input, hidden) = (a.size(vm, "input_size")?, a.size(vm, "hidden_size")?);
    set(&o, "input_size", Value::Int(input as i64));
    set(&o, "hidden_size", Value::Int(hidden as i64));
    if let Some(v) = a.some("nonlinearity") {
        set(&o, "nonlinearity", v.clone());
    }
    param(vm, &o, "weight_ih", &[gates * hidden, input], uniform(hidden))?;
    param(vm, &o, "weight_hh", &[gates * hidden, hidden], uniform(hidden))?;
    if a.bool(vm, "bias", true)? {
        param(vm, &o, "bias_ih", &[gates * hidden], uniform(hidden))?;
        param(vm, &o, "bias_hh", &[gates * hidden], uniform(hidden))?;
    } else {
        no_param(&o, "bias_ih");
        no_param(&o, "bias_hh");
    }
    Ok(Value::None)
}

/// The products of a cell's input and state, each cut into `gates` blocks.
pub(super) fn cell(vm: &mut Interp, o: &Rc<Object>, x: NodeId, h: NodeId, gates: i64) -> R<(Vec<NodeId>, Vec<NodeId>)> {
    let rank = vm.tracer.rank(x);
    if !(1..=2).contains(&rank) {
        let text = format!(
            "a recurrent cell takes [features] or [batch, features], not {}",
            graph::display(vm.tracer.shape(x))
        );
        let d = vm.fault(Rule::ShapeCell, text);
        return Err(Box::new(d.help("reshape to two axes before the cell and back after it")));
    }
    if vm.tracer.rank(h) != rank || (rank == 2 && vm.tracer.shape(x).first() != vm.tracer.shape(h).first()) {
        return vm.refuse(
            Rule::ShapeCell,
            format!(
                "a recurrent cell's input {} and state {} do not fit",
                graph::display(vm.tracer.shape(x)),
                graph::display(vm.tracer.shape(h))
            ),
        );
    }
    let hidden = match get(o, "hidden_size") {
        Value::Int(i) => i,
        _ => 0,
    };
    let mut out = (Vec::new(), Vec::new());
    for (value, weight, bias, list) in
        [(x, "weight_ih", "bias_ih", &mut out.0), (h, "weight_hh", "bias_hh", &mut out.1)]
    {
        let weight = needed(vm, o, weight)?;
        let bias = own(vm, o, bias)?;
        let all = vm.tracer.linear(value, weight, bias)?;
        for gate in 0..gates {
            let (start, end) = (Dim::known(gate * hidden), Dim::known((gate + 1) * hidden));
            list.push(vm.tracer.push(Op::Slice { dim: rank - 1, start, end, step: 1 }, &[all])?);
        }
    }
    Ok(out)
}

/// A state of zeros where none is given.
pub(super) fn state(tracer: &mut Tracer, o: &Object, x: NodeId, value: &Value) -> R<NodeId> {
    match value {
        Value::Tensor(t) => tracer.node(t),
        Value::None => {
            let mut shape = tracer.shape(x).clone();
            if let (Some(last), Value::Int(h)) = (shape.last_mut(), get(o, "hidden_size")) {
                *last = Dim::known(h);
            }
            tracer.push_as(Op::Full(0.0), &[], shape, DType::Float)
        }
        other => tracer.run.type_fault(format!("the state must be a tensor, not {}", other.type_name())),
    }
}

pub(super) fn gru_cell(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let x = a.tensor(vm, "input")?;
    let h = state(&mut vm.tracer, &o, x, &a.value("hx"))?;
    let (i, g) = made_here(&o, cell(vm, &o, x, h, 3))?;
    let ([ir, iz, in_], [hr, hz, hn]) = (i.as_slice(), g.as_slice()) else {
        return vm.type_fault("a GRU has three gates");
    };
    let r = vm.tracer.bin(BinaryOp::Add, *ir, *hr)?;
    let r = vm.tracer.un(UnaryOp::Sigmoid, r)?;
    let z = vm.tracer.bin(BinaryOp::Add, *iz, *hz)?;
    let z = vm.tracer.un(UnaryOp::Sigmoid, z)?;
    let n = vm.tracer.bin(BinaryOp::Mul, r, *hn)?;
    let n = vm.tracer.bin(BinaryOp::Add, *in_, n)?;
    let n = vm.tracer.un(UnaryOp::Tanh, n)?;
    // (1 - z) n + z h
    let keep = vm.tracer.bin(BinaryOp::Sub, h, n)?;
    let keep = vm.tracer.bin(BinaryOp::Mul, z, keep)?;
    vm.tracer.bin(BinaryOp::Add, n, keep).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn lstm_cell(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let x = a.tensor(vm, "input")?;
    let (h, c) = match a.value("hx") {
        Value::None => (state(&mut vm.tracer, &o, x, &Value::None)?, state(&mut vm.tracer, &o, x, &Value::None)?),
        _ => match a.listed(vm, "hx")?.as_slice() {
            [h, c] => (state(&mut vm.tracer, &o, x, h)?, state(&mut vm.tracer, &o, x, c)?),
            _ => return vm.type_fault("an LSTM's state is a pair"),
        },
    };
    let (i, g) = made_here(&o, cell(vm, &o, x, h, 4))?;
    let mut gates = Vec::new();
    for (at, (x, h)) in i.iter().zip(&g).enumerate() {
        let sum = vm.tracer.bin(BinaryOp::Add, *x, *h)?;
        gates.push(vm.tracer.un(if at == 2 { UnaryOp::Tanh } else { UnaryOp::Sigmoid }, sum)?);
    }
    let [input, forget, new, output] = gates.as_slice() else {
        return vm.type_fault("an LSTM has four gates");
    };
    let kept = vm.tracer.bin(BinaryOp::Mul, *forget, c)?;
    let added = vm.tracer.bin(BinaryOp::Mul, *input, *new)?;
    let c = vm.tracer.bin(BinaryOp::Add, kept, added)?;
    let shown = vm.tracer.un(UnaryOp::Tanh, c)?;
    let h = vm.tracer.bin(BinaryOp::Mul, *output, shown)?;
    Ok(Value::tuple(vec![vm.tracer.tensor_value(h), vm.tracer.tensor_value(c)]))
}

pub(super) fn rnn_cell(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let x = a.tensor(vm, "input")?;
    let h = state(&mut vm.tracer, &o, x, &a.value("hx"))?;
    let (i, g) = made_here(&o, cell(vm, &o, x, h, 1))?;
    let ([x], [h]) = (i.as_slice(), g.as_slice()) else { return vm.type_fault("an RNN has one gate") };
    let sum = vm.tracer.bin(BinaryOp::Add, *x, *h)?;
    let relu = matches!(get(&o, "nonlinearity"), Value::Str(s) if &*s == "relu");
    vm.tracer.un(if relu { UnaryOp::Relu } else { UnaryOp::Tanh }, sum).map(|id| vm.tracer.tensor_value(id))
}
