//! Recurrent cells.

use super::*;

/// GRU, LSTM and RNN cells: `gates` blocks of weights.
pub(super) fn cell_init(vm: &mut Interp, a: &Args, gates: usize) -> R<Value> {
    let o = begin(vm, a)?;
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
    let rank = vm.graph.shape(x).len();
    if !(1..=2).contains(&rank) {
        let text = format!(
            "a recurrent cell takes [features] or [batch, features], not {}",
            graph::display(vm.graph.shape(x))
        );
        let d = vm.fault("E-SHAPE-CELL", text);
        return Err(Box::new(d.help("reshape to two axes before the cell and back after it")));
    }
    if vm.graph.shape(h).len() != rank || (rank == 2 && vm.graph.shape(x).first() != vm.graph.shape(h).first()) {
        return vm.refuse(
            "E-SHAPE-CELL",
            format!(
                "a recurrent cell's input {} and state {} do not fit",
                graph::display(vm.graph.shape(x)),
                graph::display(vm.graph.shape(h))
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
        let all = vm.linear(value, weight, bias)?;
        for gate in 0..gates {
            let (start, end) = (Dim::known(gate * hidden), Dim::known((gate + 1) * hidden));
            list.push(vm.push(Op::Slice { dim: rank - 1, start, end, step: 1 }, &[all])?);
        }
    }
    Ok(out)
}

/// A state of zeros where none is given.
pub(super) fn state(vm: &mut Interp, o: &Object, x: NodeId, value: &Value) -> R<NodeId> {
    match value {
        Value::Tensor(t) => vm.node(t),
        Value::None => {
            let mut shape = vm.graph.shape(x).clone();
            if let (Some(last), Value::Int(h)) = (shape.last_mut(), get(o, "hidden_size")) {
                *last = Dim::known(h);
            }
            vm.push_as(Op::Full(0.0), &[], shape, DType::Float)
        }
        other => vm.type_fault(format!("the state must be a tensor, not {}", other.type_name())),
    }
}

pub(super) fn gru_cell(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let x = a.tensor(vm, "input")?;
    let h = state(vm, &o, x, &a.value("hx"))?;
    let (i, g) = made_here(&o, cell(vm, &o, x, h, 3))?;
    let ([ir, iz, in_], [hr, hz, hn]) = (i.as_slice(), g.as_slice()) else {
        return vm.type_fault("a GRU has three gates");
    };
    let r = vm.bin(BinaryOp::Add, *ir, *hr)?;
    let r = vm.un(UnaryOp::Sigmoid, r)?;
    let z = vm.bin(BinaryOp::Add, *iz, *hz)?;
    let z = vm.un(UnaryOp::Sigmoid, z)?;
    let n = vm.bin(BinaryOp::Mul, r, *hn)?;
    let n = vm.bin(BinaryOp::Add, *in_, n)?;
    let n = vm.un(UnaryOp::Tanh, n)?;
    // (1 - z) n + z h
    let keep = vm.bin(BinaryOp::Sub, h, n)?;
    let keep = vm.bin(BinaryOp::Mul, z, keep)?;
    let id = vm.bin(BinaryOp::Add, n, keep)?;
    Ok(vm.tensor_value(id))
}

pub(super) fn lstm_cell(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let x = a.tensor(vm, "input")?;
    let (h, c) = match a.value("hx") {
        Value::None => (state(vm, &o, x, &Value::None)?, state(vm, &o, x, &Value::None)?),
        pair => match vm.items(&pair)?.as_slice() {
            [h, c] => (state(vm, &o, x, h)?, state(vm, &o, x, c)?),
            _ => return vm.type_fault("an LSTM's state is a pair"),
        },
    };
    let (i, g) = made_here(&o, cell(vm, &o, x, h, 4))?;
    let mut gates = Vec::new();
    for (at, (x, h)) in i.iter().zip(&g).enumerate() {
        let sum = vm.bin(BinaryOp::Add, *x, *h)?;
        gates.push(vm.un(if at == 2 { UnaryOp::Tanh } else { UnaryOp::Sigmoid }, sum)?);
    }
    let [input, forget, new, output] = gates.as_slice() else {
        return vm.type_fault("an LSTM has four gates");
    };
    let kept = vm.bin(BinaryOp::Mul, *forget, c)?;
    let added = vm.bin(BinaryOp::Mul, *input, *new)?;
    let c = vm.bin(BinaryOp::Add, kept, added)?;
    let shown = vm.un(UnaryOp::Tanh, c)?;
    let h = vm.bin(BinaryOp::Mul, *output, shown)?;
    Ok(Value::tuple(vec![vm.tensor_value(h), vm.tensor_value(c)]))
}

pub(super) fn rnn_cell(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let x = a.tensor(vm, "input")?;
    let h = state(vm, &o, x, &a.value("hx"))?;
    let (i, g) = made_here(&o, cell(vm, &o, x, h, 1))?;
    let ([x], [h]) = (i.as_slice(), g.as_slice()) else { return vm.type_fault("an RNN has one gate") };
    let sum = vm.bin(BinaryOp::Add, *x, *h)?;
    let relu = matches!(get(&o, "nonlinearity"), Value::Str(s) if &*s == "relu");
    let id = vm.un(if relu { UnaryOp::Relu } else { UnaryOp::Tanh }, sum)?;
    Ok(vm.tensor_value(id))
}
