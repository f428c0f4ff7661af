//! Batch normalisation (Ioffe and Szegedy 2015), and normalisation of instances.

use super::super::Tracer;
use super::super::random::Moved;
use super::norms::grouped;
use super::*;
use crate::rules::Rule;

/// A buffer of a layer, saved under its name.
fn buffer(tracer: &mut Tracer, o: &Rc<Object>, name: &str, literal: Literal) -> R<()> {
    let span = tracer.run.here();
    let leaf = tracer.add_leaf(literal, true, false, span)?;
    let t = Tensor::new(Data::Leaf(leaf), Rc::default(), false, span);
    if let Some(state) = o.module.borrow_mut().as_mut() {
        state.buffers.push((name.into(), Some(Rc::new(t)), true));
    }
    Ok(())
}

pub(super) fn init(vm: &mut Interp, a: &Args, affine: bool, track: bool) -> R<Value> {
    let o = begin(&mut vm.tracer.run, a)?;
    let channels = a.size(vm, "num_features")?;
    let momentum = match a.get("momentum") {
        Some(Value::None) => Value::None,
        _ => Value::Float(a.float_or(vm, "momentum", 0.1)?),
    };
    let (affine, track) = (a.bool(vm, "affine", affine)?, a.bool(vm, "track_running_stats", track)?);
    set(&o, "num_features", Value::Int(channels as i64));
    set(&o, "eps", Value::Float(a.float_or(vm, "eps", 1e-5)?));
    set(&o, "momentum", momentum);
    set(&o, "affine", Value::Bool(affine));
    set(&o, "track_running_stats", Value::Bool(track));
    if affine {
        param(vm, &o, "weight", &[channels], Init::Constant(1.0))?;
        param(vm, &o, "bias", &[channels], Init::Constant(0.0))?;
    } else {
        no_param(&o, "weight");
        no_param(&o, "bias");
    }
    if track && vm.tracer.phase() == super::super::Phase::Second {
        return vm.refuse(Rule::Stateful, "a layer is made anew in every call of forward, so its statistics are lost");
    }
    for (name, shape, value, dtype) in [
        ("running_mean", vec![channels], 0.0, DType::Float),
        ("running_var", vec![channels], 1.0, DType::Float),
        ("num_batches_tracked", Vec::new(), 0.0, DType::Int),
    ] {
        if track {
            buffer(&mut vm.tracer, &o, name, Literal { shape, init: Init::Constant(value), dtype })?;
        } else if let Some(state) = o.module.borrow_mut().as_mut() {
            state.buffers.push((name.into(), None, true));
        }
    }
    Ok(Value::None)
}

/// Settings of a normalisation.
pub struct Settings {
    pub weight: Option<NodeId>,
    pub bias: Option<NodeId>,
    pub eps: f64,
    pub momentum: Option<f64>,
}

/// The running statistics that a normalisation has: means, variances, and the number of updates.
#[derive(Default)]
pub struct Running {
    pub means: Option<Rc<Tensor>>,
    pub variances: Option<Rc<Tensor>>,
    pub count: Option<Rc<Tensor>>,
}

fn leaf(tracer: &Tracer, t: &Option<Rc<Tensor>>) -> R<Option<usize>> {
    match t.as_ref().map(|t| t.data.borrow().clone()) {
        None => Ok(None),
        Some(Data::Leaf(at)) if tracer.leaf(at).is_some_and(|leaf| leaf.buffer) => Ok(Some(at)),
        Some(_) => tracer.run.refuse(
            Rule::UnsupportedTraining,
            "running statistics are updated in training, so they must be buffers of a module",
        ),
    }
}

/// Normalises each channel, the second axis: by the batch's statistics where `training`, and where there are no running ones.
pub fn normalised(tracer: &mut Tracer, x: NodeId, s: &Settings, running: &Running, training: bool) -> R<NodeId> {
    let shape = tracer.shape(x).clone();
    let Some(channels) = shape.get(1).and_then(Dim::as_known) else {
        let text = "a batch norm needs [batch, channels, ...] with a known number of channels";
        let d = tracer.run.fault(Rule::ShapeNorm, text);
        return Err(Box::new(d.help(
            "bring the features to the second axis: bn(x.flatten(0, 1)) of [B * N, H], or bn(x.transpose(1, 2))",
        )));
    };
    let dims: Vec<usize> = (0..shape.len()).filter(|axis| *axis != 1).collect();
    let mut wide = vec![Dim::known(1); shape.len()];
    if let Some(second) = wide.get_mut(1) {
        *second = Dim::known(channels);
    }
    let known = running.means.as_ref().zip(running.variances.as_ref());
    let (mean, variance) = match known.filter(|_| !training) {
        Some((means, variances)) => {
            let (means, variances) = (tracer.node(means)?, tracer.node(variances)?);
            let means = tracer.push_as(Op::Reshape, &[means], wide.clone(), DType::Float)?;
            (means, tracer.push_as(Op::Reshape, &[variances], wide.clone(), DType::Float)?)
        }
        None => {
            let values: Vec<Dim> = dims.iter().filter_map(|axis| shape.get(*axis)).cloned().collect();
            if !graph::numel(&values).provably_gt(&Dim::known(1)) {
                let text = format!(
                    "a batch norm of {} has one value per channel for a batch of one sample, which torch refuses in training",
                    graph::display(&shape)
                );
                let d = tracer.run.fault(Rule::ShapeNorm, text);
                return Err(Box::new(d.help("normalise over the nodes, too: bn(x.flatten(0, 1)) of [B * N, H]")));
            }
            let mut reduce = |op: ReduceOp, keepdim| tracer.push(Op::Reduce { op, dims: dims.clone(), keepdim }, &[x]);
            let (mean, variance) = (reduce(ReduceOp::Mean, true)?, reduce(ReduceOp::Var { correction: 0.0 }, true)?);
            if training && known.is_some() {
                let batch = [reduce(ReduceOp::Mean, false)?, reduce(ReduceOp::Var { correction: 1.0 }, false)?];
                let running_leaves = [leaf(tracer, &running.means)?, leaf(tracer, &running.variances)?];
                let (count, span) = (leaf(tracer, &running.count)?, tracer.run.here());
                tracer.mode.note_moved(Moved { batch, running: running_leaves, count, momentum: s.momentum, span });
            }
            (mean, variance)
        }
    };
    let eps = tracer.float(s.eps)?;
    let variance = tracer.bin(BinaryOp::Add, variance, eps)?;
    let scale = tracer.un(UnaryOp::Rsqrt, variance)?;
    let centred = tracer.bin(BinaryOp::Sub, x, mean)?;
    let mut y = tracer.bin(BinaryOp::Mul, centred, scale)?;
    for (op, id) in [(BinaryOp::Mul, s.weight), (BinaryOp::Add, s.bias)] {
        if let Some(id) = id {
            let id = tracer.push_as(Op::Reshape, &[id], wide.clone(), DType::Float)?;
            y = tracer.bin(op, y, id)?;
        }
    }
    Ok(tracer.plain(y))
}

/// The tensor that a layer holds under a name, if there is one.
fn held(vm: &mut Interp, o: &Rc<Object>, name: &str) -> R<Option<Rc<Tensor>>> {
    Ok(match vm.attribute(&Value::Object(o.clone()), &name.into())? {
        Value::Tensor(t) => Some(t),
        _ => None,
    })
}

fn fits(tracer: &Tracer, o: &Object, x: NodeId, ranks: &[usize]) -> R<()> {
    let shape = tracer.shape(x);
    let channels = number(o, "num_features") as i64;
    if ranks.contains(&shape.len()) && shape.get(1) == Some(&Dim::known(channels)) {
        return Ok(());
    }
    let text = format!(
        "{} of {channels} channels needs [batch, {channels}{}], not {}",
        o.class.name.rsplit('.').next().unwrap_or(""),
        if ranks.contains(&2) { "] or [batch, channels, length" } else { ", ..." },
        graph::display(shape)
    );
    let d = tracer.run.fault(Rule::ShapeNorm, text);
    Err(Box::new(
        d.help("bring the features to the second axis: bn(x.flatten(0, 1)) of [B * N, H], or bn(x.transpose(1, 2))"),
    ))
}

pub(super) fn forward(vm: &mut Interp, a: &Args, ranks: &[usize]) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let x = a.tensor(vm, "input")?;
    made_here(&o, fits(&vm.tracer, &o, x, ranks))?;
    let (weight, bias) = (own(vm, &o, "weight")?, own(vm, &o, "bias")?);
    let momentum = if matches!(get(&o, "momentum"), Value::None) { None } else { Some(number(&o, "momentum")) };
    let settings = Settings { weight, bias, eps: number(&o, "eps"), momentum };
    let running = Running {
        means: held(vm, &o, "running_mean")?,
        variances: held(vm, &o, "running_var")?,
        count: held(vm, &o, "num_batches_tracked")?,
    };
    // without running statistics both modes are one
    let training = running.means.is_some() && vm.tracer.in_training(&o);
    let y = made_here(&o, normalised(&mut vm.tracer, x, &settings, &running, training))?;
    Ok(vm.tracer.tensor_value(y))
}

pub(super) fn instance_init(vm: &mut Interp, a: &Args) -> R<Value> {
    if a.bool(vm, "track_running_stats", false)? {
        return vm.refuse(Rule::UnsupportedOp, "InstanceNorm is not supported with track_running_stats");
    }
    init(vm, a, false, false)
}

/// `behind`: axes behind the channels.
pub(super) fn instance(vm: &mut Interp, a: &Args, behind: usize) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let mut x = a.tensor(vm, "input")?;
    let alone = vm.tracer.rank(x) == behind + 1;
    if alone {
        x = vm.tracer.unsqueeze(x, 0)?;
    }
    made_here(&o, fits(&vm.tracer, &o, x, &[behind + 2]))?;
    let (weight, bias) = (own(vm, &o, "weight")?, own(vm, &o, "bias")?);
    let inner = graph::numel(vm.tracer.shape(x).get(2..).unwrap_or(&[]));
    if !inner.provably_gt(&Dim::known(1)) {
        return vm.refuse(Rule::ShapeNorm, "an instance norm needs more than one value per channel");
    }
    let groups = number(&o, "num_features") as usize;
    let mut y = made_here(&o, grouped(&mut vm.tracer, x, groups, weight, bias, number(&o, "eps")))?;
    if alone {
        y = vm.tracer.push(Op::Select { dim: 0, index: Dim::known(0) }, &[y])?;
    }
    Ok(vm.tracer.tensor_value(y))
}
