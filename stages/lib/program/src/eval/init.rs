//! How parameters start: `nn.init`, in-place initialisers of tensors, `nn.Parameter`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use graph::{DType, Init, NodeId, Op};

use super::literal::weighted;
use super::native::{Args, Native, native};
use super::torch::draw_into;
use super::value::{Data, Literal, Tensor, Value};
use super::{Interp, Phase, R, Run, Tracer};
use crate::rules::Rule;
use crate::syntax::BinOp;

/// Most elements that constants are computed from.
const MAX_CONSTANT: usize = 1 << 16;

impl Tracer {
    /// A node that is a constant of known size, as a literal: computed here where it is made of constants.
    pub fn constant(&mut self, id: NodeId) -> R<Option<Literal>> {
        let node = self.graph().node(id);
        let shape: Option<Vec<usize>> =
            node.shape.iter().map(|d| d.as_known().and_then(|s| usize::try_from(s).ok())).collect();
        let Some(shape) = shape else { return Ok(None) };
        let dtype = node.dtype;
        let init = match &node.op {
            Op::Full(v) | Op::Scalar(v) => Init::Constant(*v),
            Op::Const(values) => Init::Values(values.clone()),
            Op::Eye => Init::Eye,
            _ => match self.evaluated(id)? {
                Some(values) => Init::Values(values),
                None => return Ok(None),
            },
        };
        Ok(Some(Literal { shape, init, dtype }))
    }

    /// The elements of a node that depends on constants of known size alone.
    fn evaluated(&mut self, id: NodeId) -> R<Option<Vec<f64>>> {
        let mut needed = BTreeSet::from([id]);
        let mut stack = vec![id];
        let mut elements = 0_usize;
        while let Some(id) = stack.pop() {
            let node = self.graph().node(id);
            let count = graph::numel(&node.shape).as_known().and_then(|n| usize::try_from(n).ok());
            // a size that is not known is more than any constant has
            elements = elements.saturating_add(count.unwrap_or(usize::MAX));
            let slow = matches!(node.op, Op::MatMul | Op::Linear { .. } | Op::Einsum(_));
            if elements > MAX_CONSTANT || slow || matches!(node.op, Op::Input(_) | Op::Param(_)) {
                return Ok(None);
            }
            stack.extend(node.args.iter().filter(|a| needed.insert(**a)));
        }
        self.run.charge(elements as u64 / 4 + needed.len() as u64)?;
        let mut small = graph::Graph::new();
        let mut placed = BTreeMap::new();
        for id in &needed {
            let mut node = self.graph().node(*id).clone();
            node.args = node.args.iter().filter_map(|arg| placed.get(arg).copied()).collect();
            let Ok(copy) = small.adopt_node(node) else { return Ok(None) };
            placed.insert(*id, copy);
        }
        let values = graph::interpret::evaluate(&small, &[], &[], graph::MIN_B, graph::MIN_N);
        Ok(values.ok().and_then(|mut v| v.pop()).map(|v| v.data))
    }
}

impl Tracer {
    /// A tensor that starts as a parameter or buffer does, or as some of its elements do: with the numbers that are drawn for it.
    pub fn copy_of_leaf(&self, leaf: usize, part: Option<(Vec<usize>, Vec<u32>)>) -> Option<Literal> {
        let source = self.leaf(leaf)?;
        let (dtype, whole) = (source.dtype, source.start());
        if part.is_none() && matches!(source.init, Init::Constant(_) | Init::Values(_) | Init::Eye) {
            return Some(whole);
        }
        let count = u32::try_from(whole.numel()).ok()?;
        let (shape, places) = part.unwrap_or_else(|| (source.shape.clone(), (0..count).collect()));
        let init = match (&source.init, whole.values()) {
            (Init::Constant(v), _) => Init::Constant(*v),
            (_, Some(values)) => {
                Init::Values(places.iter().map(|at| values.get(*at as usize).copied().unwrap_or(0.0)).collect())
            }
            // the name follows when all modules are known
            _ => Init::Copied {
                of: leaf.to_string(),
                shape: source.shape.clone(),
                init: Box::new(source.init.clone()),
                places,
            },
        };
        Some(Literal { shape, init, dtype })
    }

    /// As [`Tracer::copy_of_leaf`], for a tensor that views or copies some of the elements of a parameter or buffer.
    pub fn copy_of_view(&mut self, t: &Tensor) -> R<Option<Literal>> {
        if let Some((leaf, shape, places)) = self.viewed_leaf(t)? {
            return Ok(self.copy_of_leaf(leaf, Some((shape, places))));
        }
        if !matches!(t.data.borrow().clone(), Data::Node(_)) {
            return Ok(None);
        }
        let id = self.node(t)?;
        match self.moved_leaf(id)? {
            Some((leaf, shape, places)) => Ok(self.copy_of_leaf(leaf, Some((shape, places)))),
            None => Ok(None),
        }
    }

    /// Changes how the elements of a parameter or buffer start that a view shows. Gives whether `t` is such a view, and its change
    /// a part of the initialisation.
    pub fn initialise_part(&mut self, t: &Tensor, init: &Init) -> R<bool> {
        if self.phase() == Phase::Second || !matches!(&*t.data.borrow(), Data::Node(_)) {
            return Ok(false);
        }
        let Some((leaf, part, places)) = self.viewed_leaf(t)? else { return Ok(false) };
        if !self.no_grad() && !t.is_detached() && self.leaf(leaf).is_some_and(|l| l.trainable) {
            let text = "a parameter that requires gradients is changed in place";
            let d = self.run.fault(Rule::LeafInplace, text);
            return Err(Box::new(d.help("put it inside 'with torch.no_grad():' or use nn.init")));
        }
        self.unused_yet(leaf)?;
        self.run.allocate(places.len())?;
        self.restart(leaf, |base, count| super::literal::patched(base, count, places, part, init));
        Ok(true)
    }

    /// Arithmetic between a tensor that is drawn at random and one whose numbers are known: see [`weighted`].
    pub fn fold_drawn(&mut self, a: &Value, op: BinOp, b: &Value) -> R<Option<Value>> {
        let (Value::Tensor(x), Value::Tensor(y)) = (a, b) else { return Ok(None) };
        let drawn = |t: &Tensor| matches!(&*t.data.borrow(), Data::Literal(literal) if literal.is_random());
        if !drawn(x) && !drawn(y) {
            return Ok(None);
        }
        let (Some(x), Some(y)) = (self.known_start(x)?, self.known_start(y)?) else { return Ok(None) };
        self.run.allocate(x.numel().saturating_add(y.numel()))?;
        Ok(weighted(&x, op, &y).map(|l| self.run.literal_value(l.shape, l.init, l.dtype)))
    }

    /// How a tensor starts that nothing trains, where that is known.
    pub fn known_start(&mut self, t: &Tensor) -> R<Option<Literal>> {
        let data = t.data.borrow().clone();
        match data {
            Data::Literal(literal) => Ok(Some(literal)),
            // What a parameter starts with is not what it holds later.
            Data::Leaf(leaf) if self.leaf(leaf).is_none_or(|leaf| leaf.trainable) => Ok(None),
            Data::Leaf(leaf) => Ok(self.copy_of_leaf(leaf, None)),
            Data::Node(_) => {
                let id = self.node(t)?;
                self.constant(id)
            }
        }
    }

    /// Refuses the change of a parameter that something has been computed from.
    pub fn unused_yet(&mut self, leaf: usize) -> R<()> {
        let Some(node) = self.leaf(leaf).and_then(|l| l.node) else { return Ok(()) };
        self.run.charge((self.graph().nodes().len() as u64).saturating_sub(node.index() as u64) / 4)?;
        let mut views = BTreeSet::from([node]);
        for id in self.graph().ids().skip(node.index() + 1) {
            let user = self.graph().node(id);
            if user.args.iter().any(|a| views.contains(a)) {
                if !user.op.is_view() {
                    return self.run.refuse(Rule::Stateful, "a parameter is changed after it has been used");
                }
                views.insert(id);
            }
        }
        Ok(())
    }
}

fn target(run: &Run, a: &Args, name: &str) -> R<Rc<Tensor>> {
    match a.value(name) {
        Value::Tensor(t) => Ok(t),
        Value::None => {
            let d = run.fault(Rule::Type, format!("{}(): there is no tensor to initialise", a.function()));
            Err(Box::new(d.help("a layer with bias=False has no bias")))
        }
        other => run.type_fault(format!("{}() initialises tensors, not {}", a.function(), other.type_name())),
    }
}

/// Sets how the tensor starts. `nn.init` works without gradients by itself.
fn start(tracer: &mut Tracer, a: &Args, name: &str, init: Init) -> R<Value> {
    let t = target(&tracer.run, a, name)?;
    let native_init = name == "tensor";
    let part = match native_init {
        true => tracer.without_gradients(|tracer| tracer.initialise_part(&t, &init)),
        false => tracer.initialise_part(&t, &init),
    };
    if part? {
        return Ok(Value::Tensor(t));
    }
    if matches!(&*t.data.borrow(), Data::Node(_)) {
        // an ordinary tensor: `zeros.fill_(1.0)`
        if let Init::Constant(v) = init {
            let old = tracer.node(&t)?;
            let (shape, dtype) = (tracer.shape(old).clone(), tracer.dtype(old));
            let id = tracer.push_as(Op::Full(v), &[], shape, dtype)?;
            tracer.finish_in_place(&t, old, id)?;
            return Ok(Value::Tensor(t));
        }
        return draw_into(tracer, &t, |tracer, shape| tracer.drawn_as(&init, shape));
    }
    let random = Literal { shape: Vec::new(), init: init.clone(), dtype: DType::Float }.is_random();
    if random && tracer.phase() == Phase::Second && matches!(&*t.data.borrow(), Data::Literal(_)) {
        return draw_into(tracer, &t, |tracer, shape| tracer.drawn_as(&init, shape));
    }
    match native_init {
        true => tracer.without_gradients(|tracer| tracer.reinitialise(&t, |_| init))?,
        false => tracer.reinitialise(&t, |_| init)?,
    }
    Ok(Value::Tensor(t))
}

/// Number of inputs and outputs of one unit, as torch counts them.
fn fans(tracer: &Tracer, t: &Tensor) -> R<(f64, f64)> {
    let shape: Vec<f64> = tracer.shape_of(t).iter().map(|d| d.as_known().unwrap_or(0) as f64).collect();
    match shape.as_slice() {
        [out, input, rest @ ..] => {
            let field: f64 = rest.iter().product();
            Ok((input * field, out * field))
        }
        _ => tracer.run.value_fault("fan in and fan out need a tensor of two axes or more"),
    }
}

/// torch's recommended gain of a nonlinearity.
fn gain(run: &Run, nonlinearity: &str, param: Option<f64>) -> R<f64> {
    Ok(match nonlinearity {
        "linear" | "conv1d" | "conv2d" | "sigmoid" | "identity" => 1.0,
        "tanh" => 5.0 / 3.0,
        "relu" => std::f64::consts::SQRT_2,
        "leaky_relu" => {
            let slope = param.unwrap_or(0.01);
            (2.0 / (1.0 + slope * slope)).sqrt()
        }
        "selu" => 0.75,
        other => return run.value_fault(format!("no gain is known for '{other}'")),
    })
}

fn kaiming(vm: &mut Interp, a: &Args) -> R<f64> {
    let t = target(&vm.tracer.run, a, "tensor")?;
    let (fan_in, fan_out) = fans(&vm.tracer, &t)?;
    let fan = match &*a.text_or(vm, "mode", "fan_in")? {
        "fan_in" => fan_in,
        "fan_out" => fan_out,
        other => return vm.value_fault(format!("mode is 'fan_in' or 'fan_out', not '{other}'")),
    };
    let slope = a.float_or(vm, "a", 0.0)?;
    let g = gain(&vm.tracer.run, &a.text_or(vm, "nonlinearity", "leaky_relu")?, Some(slope))?;
    Ok(g / fan.max(1.0).sqrt())
}

fn xavier(vm: &mut Interp, a: &Args) -> R<f64> {
    let t = target(&vm.tracer.run, a, "tensor")?;
    let (fan_in, fan_out) = fans(&vm.tracer, &t)?;
    Ok(a.float_or(vm, "gain", 1.0)? * (2.0 / (fan_in + fan_out).max(1.0)).sqrt())
}

fn uniform(vm: &mut Interp, a: &Args) -> R<Init> {
    Ok(Init::Uniform { low: a.float_or(vm, "a", 0.0)?, high: a.float_or(vm, "b", 1.0)? })
}

fn normal(vm: &mut Interp, a: &Args) -> R<Init> {
    Ok(Init::Normal { mean: a.float_or(vm, "mean", 0.0)?, std: a.float_or(vm, "std", 1.0)? })
}

fn truncated(vm: &mut Interp, a: &Args) -> R<Init> {
    let (mean, std) = (a.float_or(vm, "mean", 0.0)?, a.float_or(vm, "std", 1.0)?);
    let (low, high) = (a.float_or(vm, "a", -2.0)?, a.float_or(vm, "b", 2.0)?);
    if std <= 0.0 || high <= low {
        return vm.value_fault("trunc_normal_ needs a positive std, and bounds in order");
    }
    if ((high - mean) - (mean - low)).abs() > 1e-9 * high.abs().max(1.0) {
        return Ok(Init::BoundedNormal { mean, std, low, high });
    }
    let cut = (high - mean) / std;
    let base = Init::TruncatedNormal { std, cut };
    Ok(if mean == 0.0 { base } else { super::literal::affine(&base, 1.0, mean) })
}

pub static TABLE: &[Native] = &[
    native("torch.nn.init.zeros_", "tensor", |vm, a| start(&mut vm.tracer, a, "tensor", Init::Constant(0.0))),
    native("torch.nn.init.ones_", "tensor", |vm, a| start(&mut vm.tracer, a, "tensor", Init::Constant(1.0))),
    native("torch.nn.init.constant_", "tensor val", |vm, a| {
        let v = a.float_or(vm, "val", 0.0)?;
        start(&mut vm.tracer, a, "tensor", Init::Constant(v))
    }),
    native("torch.nn.init.uniform_", "tensor a? b? generator?", |vm, a| {
        let init = uniform(vm, a)?;
        start(&mut vm.tracer, a, "tensor", init)
    }),
    native("torch.nn.init.normal_", "tensor mean? std? generator?", |vm, a| {
        let init = normal(vm, a)?;
        start(&mut vm.tracer, a, "tensor", init)
    }),
    native("torch.nn.init.trunc_normal_", "tensor mean? std? a? b? generator?", |vm, a| {
        let init = truncated(vm, a)?;
        start(&mut vm.tracer, a, "tensor", init)
    }),
    native("torch.nn.init.xavier_uniform_ torch.nn.init.xavier_uniform", "tensor gain? generator?", |vm, a| {
        let bound = xavier(vm, a)? * 3.0_f64.sqrt();
        start(&mut vm.tracer, a, "tensor", Init::Uniform { low: -bound, high: bound })
    }),
    native("torch.nn.init.xavier_normal_", "tensor gain? generator?", |vm, a| {
        let std = xavier(vm, a)?;
        start(&mut vm.tracer, a, "tensor", Init::Normal { mean: 0.0, std })
    }),
    native("torch.nn.init.kaiming_uniform_", "tensor a? mode? nonlinearity? generator?", |vm, a| {
        let bound = kaiming(vm, a)? * 3.0_f64.sqrt();
        start(&mut vm.tracer, a, "tensor", Init::Uniform { low: -bound, high: bound })
    }),
    native("torch.nn.init.kaiming_normal_", "tensor a? mode? nonlinearity? generator?", |vm, a| {
        let std = kaiming(vm, a)?;
        start(&mut vm.tracer, a, "tensor", Init::Normal { mean: 0.0, std })
    }),
    native("torch.nn.init.orthogonal_", "tensor gain? generator?", |vm, a| {
        let t = target(&vm.tracer.run, a, "tensor")?;
        if vm.tracer.shape_of(&t).len() < 2 {
            return vm.value_fault("orthogonal_ needs a tensor of two axes or more");
        }
        let gain = a.float_or(vm, "gain", 1.0)?;
        start(&mut vm.tracer, a, "tensor", Init::Orthogonal { gain })
    }),
    native("torch.nn.init.eye_", "tensor", |vm, a| {
        let t = target(&vm.tracer.run, a, "tensor")?;
        if vm.tracer.shape_of(&t).len() != 2 {
            return vm.value_fault("eye_ needs a matrix");
        }
        start(&mut vm.tracer, a, "tensor", Init::Eye)
    }),
    native("torch.nn.init.calculate_gain", "nonlinearity param?", |vm, a| {
        let param = if a.some("param").is_some() { Some(a.float_or(vm, "param", 0.01)?) } else { None };
        Ok(Value::Float(gain(&vm.tracer.run, &a.text(vm, "nonlinearity")?, param)?))
    }),
    native("Tensor.fill_", "self value", |vm, a| {
        let v = a.float_or(vm, "value", 0.0)?;
        start(&mut vm.tracer, a, "self", Init::Constant(v))
    }),
    native("Tensor.zero_", "self", |vm, a| start(&mut vm.tracer, a, "self", Init::Constant(0.0))),
    native("Tensor.uniform_", "self a? b?", |vm, a| {
        let init = uniform(vm, a)?;
        start(&mut vm.tracer, a, "self", init)
    }),
    native("Tensor.normal_", "self mean? std?", |vm, a| {
        let init = normal(vm, a)?;
        start(&mut vm.tracer, a, "self", init)
    }),
    native("Tensor.copy_", "self src non_blocking?", |vm, a| {
        let t = target(&vm.tracer.run, a, "self")?;
        vm.tracer.copy_into(&t, &a.value("src"))?;
        Ok(Value::Tensor(t))
    }),
    native("torch.nn.Parameter", "data? requires_grad?", |vm, a| {
        let Value::Tensor(t) = a.value("data") else {
            return vm.type_fault("nn.Parameter needs a tensor");
        };
        let data = t.data.borrow().clone();
        let literal = match data {
            Data::Literal(l) => Some(l),
            Data::Node(_) => {
                let id = vm.tracer.node(&t)?;
                vm.tracer.constant(id)?
            }
            Data::Leaf(i) => vm.tracer.copy_of_leaf(i, None),
        };
        let literal = match literal {
            None => vm.tracer.copy_of_view(&t)?,
            known => known,
        };
        let Some(literal) = literal else {
            let shape = vm.tracer.shape_of(&t);
            if shape.iter().any(|d| d.as_known().is_none()) {
                return vm.refuse(
                    Rule::ShapeParameter,
                    format!("a parameter of shape {} would depend on the size of the graph", graph::display(&shape)),
                );
            }
            let d = vm.fault(
                Rule::UnsupportedInit,
                "a parameter must start from a constant or random tensor, with arithmetic by numbers and constant tensors at most",
            );
            return Err(Box::new(d.help("make it with torch.empty(...) and initialise it with nn.init")));
        };
        if literal.dtype != DType::Float {
            return vm.type_fault("only float tensors can be parameters: they are what has gradients");
        }
        if vm.tracer.phase() == Phase::Second {
            let d =
                vm.fault(Rule::Stateful, "a parameter is made anew in every call of forward, so it is never trained");
            return Err(Box::new(d.help("make it once, in __init__ or behind a flag")));
        }
        let trains = a.bool(vm, "requires_grad", true)?;
        let span = vm.here();
        let leaf = vm.tracer.add_leaf(literal, false, false, span)?;
        vm.tracer.set_trainable(leaf, trains);
        // a fresh object, as in torch: the tensor that was given stays what it is
        let parameter = Tensor::new(Data::Leaf(leaf), Rc::default(), trains, span);
        Ok(Value::Tensor(Rc::new(parameter)))
    }),
];
