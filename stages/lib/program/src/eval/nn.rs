//! The layers of `torch.nn`.

use std::rc::Rc;

use graph::{BinaryOp, DType, Dim, Init, NodeId, Op, ReduceOp, UnaryOp};

use super::native::{Args, Native};
use super::value::{Literal, ModuleState, Object, Tensor, Value};
use super::{Interp, R};
use crate::diagnostic::{Category, Diagnostic};
use crate::syntax::Name;

/// A class of `torch.nn`.
pub struct Layer {
    /// `torch.nn.Linear`.
    pub name: &'static str,
    /// The class it derives from; `Module` derives from `object`.
    pub base: Option<&'static str>,
    /// For containers: which methods they have.
    pub container: &'static str,
    pub init: Native,
    pub forward: Native,
}

/// The layer of a name without `torch.nn.`.
pub fn find(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|l| l.name.strip_prefix("torch.nn.") == Some(name))
}

/// All layers, with their full names.
pub fn layer_names() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().map(|l| l.name)
}

/// All layers with their constructors' parameters.
pub fn layers() -> impl Iterator<Item = (&'static str, &'static str)> {
    LAYERS.iter().map(|l| (l.name, l.init.signature.trim_start_matches("self").trim_start()))
}

fn this(vm: &Interp, a: &Args) -> R<Rc<Object>> {
    match a.value("self") {
        Value::Object(o) => Ok(o),
        other => vm.type_fault(format!("a layer is needed, not {}", other.type_name())),
    }
}

/// `nn.Module.__init__`.
fn begin(vm: &mut Interp, a: &Args) -> R<Rc<Object>> {
    let o = this(vm, a)?;
    let mut state = o.module.borrow_mut();
    if state.is_none() {
        *state = Some(ModuleState::default());
    }
    drop(state);
    Ok(o)
}

fn set(o: &Object, name: &str, value: Value) {
    o.attrs.borrow_mut().insert(name.into(), value);
}

fn get(o: &Object, name: &str) -> Value {
    o.attrs.borrow().get(name).cloned().unwrap_or(Value::None)
}

fn number(o: &Object, name: &str) -> f64 {
    match get(o, name) {
        Value::Float(f) => f,
        Value::Int(i) => i as f64,
        _ => 0.0,
    }
}

/// Makes a parameter of a layer.
fn param(vm: &mut Interp, o: &Rc<Object>, name: &str, shape: &[usize], init: Init) -> R<()> {
    if vm.phase == super::Phase::Second {
        let d = vm.fault(
            Category::Unsupported,
            "E-STATEFUL",
            "a layer is made anew in every call of forward, so it is never trained",
        );
        return Err(Box::new(d.help("make it once, in __init__ or behind a flag")));
    }
    let literal = Literal { shape: shape.to_vec(), init, dtype: DType::Float };
    let span = vm.span;
    let leaf = vm.leaf(literal, false, false, span)?;
    let t =
        Tensor { data: super::value::Data::Leaf(leaf).into(), storage: Rc::new(()), requires_grad: true.into(), span };
    vm.set_attribute(&Value::Object(o.clone()), &name.into(), Value::Tensor(Rc::new(t)))
}

fn no_param(o: &Object, name: &str) {
    if let Some(state) = o.module.borrow_mut().as_mut() {
        let name: Name = name.into();
        state.params.push((name, None));
    }
}

/// The node of a layer's own parameter.
fn own(vm: &mut Interp, o: &Rc<Object>, name: &str) -> R<Option<NodeId>> {
    match vm.attribute(&Value::Object(o.clone()), &name.into())? {
        Value::Tensor(t) => vm.node(&t).map(Some),
        Value::None => Ok(None),
        other => vm.type_fault(format!("the layer's {name} is {}", other.type_name())),
    }
}

fn needed(vm: &mut Interp, o: &Rc<Object>, name: &str) -> R<NodeId> {
    match own(vm, o, name)? {
        Some(id) => Ok(id),
        None => vm.type_fault(format!("the layer has no {name}")),
    }
}

/// Adds where the layer was made.
fn made_here<T>(o: &Object, result: R<T>) -> R<T> {
    result.map_err(|d: Box<Diagnostic>| {
        if o.span.line > 0 && o.span.line != d.line && d.category == Category::Shape {
            Box::new(d.note(o.span, "the layer is made here"))
        } else {
            d
        }
    })
}

fn uniform(fan: usize) -> Init {
    let bound = if fan == 0 { 0.0 } else { 1.0 / (fan as f64).sqrt() };
    Init::Uniform { low: -bound, high: bound }
}

fn linear_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    let (input, output) = (a.size(vm, "in_features")?, a.size(vm, "out_features")?);
    set(&o, "in_features", Value::Int(input as i64));
    set(&o, "out_features", Value::Int(output as i64));
    param(vm, &o, "weight", &[output, input], uniform(input))?;
    if a.bool(vm, "bias", true)? {
        param(vm, &o, "bias", &[output], uniform(input))?;
    } else {
        no_param(&o, "bias");
    }
    Ok(Value::None)
}

fn linear(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let x = a.tensor(vm, "input")?;
    let weight = needed(vm, &o, "weight")?;
    let bias = own(vm, &o, "bias")?;
    let id = made_here(&o, vm.linear(x, weight, bias))?;
    Ok(vm.tensor_value(id))
}

fn shape_arg(vm: &mut Interp, a: &Args, name: &str) -> R<Vec<usize>> {
    let items = match a.value(name) {
        v @ (Value::Tuple(_) | Value::List(_)) => vm.items(&v)?,
        one => vec![one],
    };
    let mut out = Vec::new();
    for item in items {
        match item {
            Value::Int(i) if i > 0 => out.push(i as usize),
            Value::Dim(d) => {
                return vm.shape_fault(
                    "E-SHAPE-PARAMETER",
                    format!("{}: {d} depends on the size of the graph", a.function()),
                );
            }
            other => {
                let text = vm.repr_of(&other)?;
                return vm.type_fault(format!("{}: sizes are positive integers, not {text}", a.function()));
            }
        }
    }
    Ok(out)
}

fn layer_norm_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    let shape = shape_arg(vm, a, "normalized_shape")?;
    set(&o, "normalized_shape", Value::tuple(shape.iter().map(|s| Value::Int(*s as i64)).collect()));
    set(&o, "eps", Value::Float(a.float_or(vm, "eps", 1e-5)?));
    if a.bool(vm, "elementwise_affine", true)? {
        param(vm, &o, "weight", &shape, Init::Constant(1.0))?;
        if a.bool(vm, "bias", true)? {
            param(vm, &o, "bias", &shape, Init::Constant(0.0))?;
        } else {
            no_param(&o, "bias");
        }
    } else {
        no_param(&o, "weight");
        no_param(&o, "bias");
    }
    Ok(Value::None)
}

fn layer_norm(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let x = a.tensor(vm, "input")?;
    let shape = get(&o, "normalized_shape");
    let sizes: Vec<Dim> = vm.items(&shape)?.iter().filter_map(|v| vm.as_dim(v)).collect();
    let (weight, bias) = (own(vm, &o, "weight")?, own(vm, &o, "bias")?);
    let eps = number(&o, "eps");
    let id = made_here(&o, vm.layer_norm(x, &sizes, weight, bias, eps))?;
    Ok(vm.tensor_value(id))
}

fn rms_norm_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    let shape = shape_arg(vm, a, "normalized_shape")?;
    set(&o, "normalized_shape", Value::tuple(shape.iter().map(|s| Value::Int(*s as i64)).collect()));
    set(&o, "eps", Value::Float(a.float_or(vm, "eps", f64::from(f32::EPSILON))?));
    if a.bool(vm, "elementwise_affine", true)? {
        param(vm, &o, "weight", &shape, Init::Constant(1.0))?;
    } else {
        no_param(&o, "weight");
    }
    Ok(Value::None)
}

fn rms_norm(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let x = a.tensor(vm, "input")?;
    let count = vm.items(&get(&o, "normalized_shape"))?.len();
    let rank = vm.graph.shape(x).len();
    if count > rank {
        return vm.shape_fault("E-SHAPE-NORM", "RMSNorm over more axes than there are");
    }
    let square = vm.un(UnaryOp::Square, x)?;
    let dims = (rank - count..rank).collect();
    let mean = vm.push(Op::Reduce { op: ReduceOp::Mean, dims, keepdim: true }, &[square])?;
    let eps = vm.float(number(&o, "eps"))?;
    let sum = vm.bin(BinaryOp::Add, mean, eps)?;
    let scale = vm.un(UnaryOp::Rsqrt, sum)?;
    let mut y = vm.bin(BinaryOp::Mul, x, scale)?;
    if let Some(w) = own(vm, &o, "weight")? {
        y = made_here(&o, vm.bin(BinaryOp::Mul, y, w))?;
    }
    Ok(vm.tensor_value(y))
}

fn bilinear_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    let (in1, in2) = (a.size(vm, "in1_features")?, a.size(vm, "in2_features")?);
    let out = a.size(vm, "out_features")?;
    param(vm, &o, "weight", &[out, in1, in2], uniform(in1))?;
    if a.bool(vm, "bias", true)? {
        param(vm, &o, "bias", &[out], uniform(in1))?;
    } else {
        no_param(&o, "bias");
    }
    Ok(Value::None)
}

fn bilinear(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let (x, y) = (a.tensor(vm, "input1")?, a.tensor(vm, "input2")?);
    let weight = needed(vm, &o, "weight")?;
    let bias = own(vm, &o, "bias")?;
    let id = made_here(&o, vm.bilinear(x, y, weight, bias))?;
    Ok(vm.tensor_value(id))
}

/// GRU, LSTM and RNN cells: `gates` blocks of weights.
fn cell_init(vm: &mut Interp, a: &Args, gates: usize) -> R<Value> {
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
fn cell(vm: &mut Interp, o: &Rc<Object>, x: NodeId, h: NodeId, gates: i64) -> R<(Vec<NodeId>, Vec<NodeId>)> {
    let rank = vm.graph.shape(x).len();
    if !(1..=2).contains(&rank) {
        let text = format!(
            "a recurrent cell takes [features] or [batch, features], not {}",
            graph::display(vm.graph.shape(x))
        );
        let d = vm.fault(Category::Shape, "E-SHAPE-CELL", text);
        return Err(Box::new(d.help("reshape to two axes before the cell and back after it")));
    }
    if vm.graph.shape(h).len() != rank || (rank == 2 && vm.graph.shape(x).first() != vm.graph.shape(h).first()) {
        return vm.shape_fault(
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
fn state(vm: &mut Interp, o: &Object, x: NodeId, value: &Value) -> R<NodeId> {
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

fn gru_cell(vm: &mut Interp, a: &Args) -> R<Value> {
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

fn lstm_cell(vm: &mut Interp, a: &Args) -> R<Value> {
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

fn rnn_cell(vm: &mut Interp, a: &Args) -> R<Value> {
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

fn embedding_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    let (count, size) = (a.size(vm, "num_embeddings")?, a.size(vm, "embedding_dim")?);
    if a.some("padding_idx").is_some() || a.some("max_norm").is_some() {
        return vm.unsupported("E-UNSUPPORTED-OP", "Embedding knows neither padding_idx nor max_norm here");
    }
    param(vm, &o, "weight", &[count, size], Init::Normal { mean: 0.0, std: 1.0 })?;
    Ok(Value::None)
}

fn embedding(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let index = a.tensor(vm, "input")?;
    let weight = needed(vm, &o, "weight")?;
    let id = vm.push(Op::IndexSelect { dim: 0 }, &[weight, index])?;
    Ok(vm.tensor_value(id))
}

fn prelu_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    let count = usize::try_from(a.int_or(vm, "num_parameters", 1)?).unwrap_or(1);
    let start = a.float_or(vm, "init", 0.25)?;
    param(vm, &o, "weight", &[count], Init::Constant(start))?;
    Ok(Value::None)
}

fn prelu(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let x = a.tensor(vm, "input")?;
    let weight = needed(vm, &o, "weight")?;
    if vm.graph.shape(weight).first().is_some_and(|d| !d.is_known_one()) {
        return vm.unsupported("E-UNSUPPORTED-OP", "PReLU with more than one parameter is not supported");
    }
    let zero = vm.float(0.0)?;
    let up = vm.un(UnaryOp::Relu, x)?;
    let down = vm.bin(BinaryOp::Minimum, x, zero)?;
    let down = vm.bin(BinaryOp::Mul, weight, down)?;
    let id = vm.bin(BinaryOp::Add, up, down)?;
    Ok(vm.tensor_value(id))
}

fn sequential_init(vm: &mut Interp, a: &Args) -> R<Value> {
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

fn sequential(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let mut value = a.value("input");
    for layer in vm.container_items(&o).unwrap_or_default() {
        value = vm.call(&layer, vec![value], Vec::new())?;
    }
    Ok(value)
}

fn list_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    if let Some(items) = a.some("modules") {
        for item in vm.items(&items.clone())? {
            vm.append(&o, item)?;
        }
    }
    Ok(Value::None)
}

fn dict_init(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = begin(vm, a)?;
    if let Some(items) = a.some("modules") {
        vm.update_modules(&o, &items.clone())?;
    }
    Ok(Value::None)
}

fn no_forward(vm: &mut Interp, a: &Args) -> R<Value> {
    let o = this(vm, a)?;
    let name = o.class.name.rsplit('.').next().unwrap_or("").to_string();
    Err(vm.fault(Category::Interface, "E-INTERFACE-FORWARD", format!("{name} has no forward method")))
}

/// A constructor that keeps its arguments as attributes.
fn keep(vm: &mut Interp, a: &Args, names: &[&str]) -> R<Value> {
    let o = begin(vm, a)?;
    for name in names {
        if let Some(v) = a.some(name) {
            set(&o, name, v.clone());
        }
    }
    Ok(Value::None)
}

/// Applies a function with the attributes that the constructor kept as keywords.
fn apply(vm: &mut Interp, a: &Args, function: &str) -> R<Value> {
    let o = this(vm, a)?;
    let keywords = o.attrs.borrow().iter().map(|(n, v)| (n.clone(), v.clone())).collect();
    match super::native::find(function) {
        Some(f) => vm.call_native(f, vec![a.value("input")], keywords),
        None => vm.unsupported("E-UNSUPPORTED-OP", format!("{function} is not supported")),
    }
}

macro_rules! layer {
    ($name:literal, $signature:literal, $init:expr, $forward_signature:literal, $forward:expr) => {
        layer!($name, "", $signature, $init, $forward_signature, $forward)
    };
    ($name:literal, $container:literal, $signature:literal, $init:expr, $forward_signature:literal, $forward:expr) => {
        Layer {
            name: concat!("torch.nn.", $name),
            base: Some("Module"),
            container: $container,
            init: Native { names: $name, signature: concat!("self ", $signature), run: $init },
            forward: Native { names: $name, signature: concat!("self ", $forward_signature), run: $forward },
        }
    };
}

/// A layer that is a function with fixed settings.
macro_rules! activation {
    ($name:literal, $signature:literal, [$($kept:literal),*], $function:literal) => {
        layer!($name, $signature, |vm, a| keep(vm, a, &[$($kept),*]), "input", |vm, a| apply(vm, a, $function))
    };
}

static LAYERS: &[Layer] = &[
    Layer {
        name: "torch.nn.Module",
        base: None,
        container: "",
        init: Native {
            names: "Module",
            signature: "self *args **kwargs",
            run: |vm, a| begin(vm, a).map(|_| Value::None),
        },
        forward: Native { names: "forward", signature: "self *args **kwargs", run: no_forward },
    },
    layer!("Linear", "in_features out_features bias? device? dtype?", linear_init, "input", linear),
    layer!(
        "LayerNorm",
        "normalized_shape eps? elementwise_affine? bias? device? dtype?",
        layer_norm_init,
        "input",
        layer_norm
    ),
    layer!("RMSNorm", "normalized_shape eps? elementwise_affine? device? dtype?", rms_norm_init, "input", rms_norm),
    layer!(
        "Bilinear",
        "in1_features in2_features out_features bias? device? dtype?",
        bilinear_init,
        "input1 input2",
        bilinear
    ),
    layer!(
        "GRUCell",
        "input_size hidden_size bias? device? dtype?",
        |vm, a| cell_init(vm, a, 3),
        "input hx?",
        gru_cell
    ),
    layer!(
        "LSTMCell",
        "input_size hidden_size bias? device? dtype?",
        |vm, a| cell_init(vm, a, 4),
        "input hx?",
        lstm_cell
    ),
    layer!(
        "RNNCell",
        "input_size hidden_size bias? nonlinearity? device? dtype?",
        |vm, a| cell_init(vm, a, 1),
        "input hx?",
        rnn_cell
    ),
    layer!("Embedding", "num_embeddings embedding_dim padding_idx? max_norm?", embedding_init, "input", embedding),
    layer!("PReLU", "num_parameters? init? device? dtype?", prelu_init, "input", prelu),
    layer!("Sequential", "ModuleList", "*args", sequential_init, "input", sequential),
    layer!("ModuleList", "ModuleList", "modules?", list_init, "*args", no_forward),
    layer!("ModuleDict", "ModuleDict", "modules?", dict_init, "*args", no_forward),
    layer!("ParameterList", "ParameterList", "modules?", list_init, "*args", no_forward),
    layer!("Identity", "*args **kwargs", |vm, a| begin(vm, a).map(|_| Value::None), "input", |_, a| Ok(
        a.value("input")
    )),
    activation!("ReLU", "inplace?", [], "torch.nn.functional.relu"),
    activation!("ReLU6", "inplace?", [], "torch.nn.functional.relu6"),
    activation!("LeakyReLU", "negative_slope? inplace?", ["negative_slope"], "torch.nn.functional.leaky_relu"),
    activation!("ELU", "alpha? inplace?", ["alpha"], "torch.nn.functional.elu"),
    activation!("CELU", "alpha? inplace?", ["alpha"], "torch.nn.functional.celu"),
    activation!("SELU", "inplace?", [], "torch.nn.functional.selu"),
    activation!("GELU", "approximate?", ["approximate"], "torch.nn.functional.gelu"),
    activation!("SiLU", "inplace?", [], "torch.nn.functional.silu"),
    activation!("Mish", "inplace?", [], "torch.nn.functional.mish"),
    activation!("Sigmoid", "", [], "torch.sigmoid"),
    activation!("Tanh", "", [], "torch.tanh"),
    activation!("LogSigmoid", "", [], "torch.nn.functional.logsigmoid"),
    activation!("Softplus", "beta? threshold?", ["beta", "threshold"], "torch.nn.functional.softplus"),
    activation!("Softsign", "", [], "torch.nn.functional.softsign"),
    activation!("Tanhshrink", "", [], "torch.nn.functional.tanhshrink"),
    activation!("Hardtanh", "min_val? max_val? inplace?", ["min_val", "max_val"], "torch.nn.functional.hardtanh"),
    activation!("Hardsigmoid", "inplace?", [], "torch.nn.functional.hardsigmoid"),
    activation!("Hardswish", "inplace?", [], "torch.nn.functional.hardswish"),
    activation!("Softmax", "dim?", ["dim"], "torch.nn.functional.softmax"),
    activation!("LogSoftmax", "dim?", ["dim"], "torch.nn.functional.log_softmax"),
    activation!("Softmin", "dim?", ["dim"], "torch.nn.functional.softmin"),
    activation!("GLU", "dim?", ["dim"], "torch.nn.functional.glu"),
    activation!("Flatten", "start_dim? end_dim?", ["start_dim", "end_dim"], "torch.nn.Flatten.apply"),
    activation!("Unflatten", "dim sizes", ["dim", "sizes"], "torch.unflatten"),
    activation!("Dropout", "p? inplace?", ["p"], "torch.nn.functional.dropout"),
    activation!("Dropout1d", "p? inplace?", ["p"], "torch.nn.functional.dropout"),
];
