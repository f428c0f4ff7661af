//! Functions that draw: dropout, Bernoulli and Gumbel noise.

use super::super::nn::{BatchNorm, Running, normalised};
use super::super::storage::settle;
use super::*;
use crate::rules::Rule;

/// The negative limit of SELU: scale times alpha.
const ALPHA: f64 = 1.758_099_340_847_376_6;

/// Which dropout.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dropout {
    /// Element by element.
    Plain,
    /// Whole channels, the second axis; with so many axes behind it, where that is fixed.
    Channels(Option<usize>),
    /// Element by element, keeping mean and variance of SELU's values.
    Alpha,
    /// As before, whole channels.
    AlphaChannels,
}

/// `p` of a dropout.
pub fn probability(vm: &Interp, a: &Args) -> R<f64> {
    let p = a.float_or(vm, "p", 0.5)?;
    if (0.0..=1.0).contains(&p) {
        return Ok(p);
    }
    vm.value_fault(format!("{}(): the probability must lie between 0 and 1, but is {p}", a.function()))
}

/// Drops elements of the argument `input`, which changes itself where it is to be in place.
pub fn dropout(vm: &mut Interp, a: &Args, kind: Dropout, p: f64, (training, inplace): (bool, bool)) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    // torch looks at the axes in any mode
    let shape = noise_shape(&vm.tracer.run, &vm.tracer.shape_of(&t), kind)?;
    if p == 0.0 || !training {
        return Ok(Value::Tensor(t));
    }
    if vm.tracer.dtype_of(&t) != DType::Float {
        return vm.refuse(Rule::ShapeDtype, format!("{}() needs a float tensor", a.function()));
    }
    let drop = |vm: &mut Interp, x: NodeId| {
        if p == 1.0 {
            let zero = vm.tracer.float(0.0)?;
            return vm.tracer.bin(BinaryOp::Mul, x, zero);
        }
        let kept = vm.tracer.coins(&shape, 1.0 - p)?;
        if !matches!(kind, Dropout::Alpha | Dropout::AlphaChannels) {
            let scale = vm.tracer.float(1.0 - p)?;
            let noise = vm.tracer.bin(BinaryOp::Div, kept, scale)?;
            return vm.tracer.bin(BinaryOp::Mul, x, noise);
        }
        let scale = 1.0 / ((ALPHA * ALPHA * p + 1.0) * (1.0 - p)).sqrt();
        let shift = vm.tracer.scaled(kept, ALPHA * scale, ALPHA * scale * (p - 1.0))?;
        let noise = vm.tracer.scaled(kept, scale, 0.0)?;
        let y = vm.tracer.bin(BinaryOp::Mul, x, noise)?;
        vm.tracer.bin(BinaryOp::Add, y, shift)
    };
    if inplace {
        vm.change(&t, drop)?;
        return Ok(Value::Tensor(t));
    }
    let x = vm.tracer.node(&t)?;
    drop(vm, x).map(|id| vm.tracer.tensor_value(id))
}

/// The shape of the coins that are thrown.
fn noise_shape(run: &Run, shape: &Shape, kind: Dropout) -> R<Shape> {
    let rank = shape.len();
    let channels = match kind {
        Dropout::Plain | Dropout::Alpha => return Ok(shape.clone()),
        // without a batch, the channels come first
        Dropout::Channels(Some(behind)) if behind != 2 && rank == behind + 1 => 1,
        Dropout::Channels(Some(behind)) if behind != 2 && rank != behind + 2 => {
            let text = format!("dropout of channels needs {} or {} axes, not {rank}", behind + 1, behind + 2);
            return run.refuse(Rule::ShapeAxis, text);
        }
        _ if rank < 2 => {
            return run.refuse(Rule::ShapeAxis, "dropout of channels needs two axes or more");
        }
        _ => 2,
    };
    Ok(shape.iter().enumerate().map(|(at, dim)| if at < channels { dim.clone() } else { Dim::known(1) }).collect())
}

fn functional(vm: &mut Interp, a: &Args, kind: Dropout, default: bool) -> R<Value> {
    let p = probability(vm, a)?;
    let modes = (a.bool(vm, "training", default)?, a.bool(vm, "inplace", false)?);
    dropout(vm, a, kind, p, modes)
}

/// A rectifier with a slope below zero: drawn for each element in training, and their mean in evaluation (Xu et al. 2015).
pub fn random_rectifier(vm: &mut Interp, a: &Args, slopes: (f64, f64), (training, inplace): (bool, bool)) -> R<Value> {
    let t = base(&vm.tracer.run, a, "input")?;
    let (low, high) = slopes;
    if low > high {
        return vm.value_fault(format!("the lower slope {low} is above the upper one, {high}"));
    }
    let rectified = |vm: &mut Interp, x: NodeId| {
        if !training {
            return vm.tracer.un(UnaryOp::LeakyRelu { slope: 0.5 * (low + high) }, x);
        }
        let shape = vm.tracer.shape(x).clone();
        let slope = vm.tracer.drawn_as(&Init::Uniform { low, high }, &shape)?;
        let (zero, below) = (vm.tracer.float(0.0)?, vm.tracer.bin(BinaryOp::Mul, x, slope)?);
        let positive = vm.tracer.bin(BinaryOp::Gt, x, zero)?;
        vm.tracer.push(Op::Where, &[positive, x, below])
    };
    if inplace {
        vm.change(&t, rectified)?;
        return Ok(Value::Tensor(t));
    }
    let x = vm.tracer.node(&t)?;
    rectified(vm, x).map(|id| vm.tracer.tensor_value(id))
}

/// `F.gumbel_softmax` (Jang et al. 2017; Maddison et al. 2017).
fn gumbel_softmax(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "logits")?;
    needs_float(&vm.tracer, a, &[x])?;
    let shape = vm.tracer.shape(x).clone();
    let dim = a.axis_or(vm, "dim", -1, shape.len())?;
    let tau = a.float_or(vm, "tau", 1.0)?;
    let wait = vm.tracer.exponential(&shape, 1.0)?;
    let wait = vm.tracer.un(UnaryOp::Log, wait)?;
    let noisy = vm.tracer.bin(BinaryOp::Sub, x, wait)?;
    let tau = vm.tracer.float(tau)?;
    let noisy = vm.tracer.bin(BinaryOp::Div, noisy, tau)?;
    let soft = vm.tracer.push(Op::Softmax { dim }, &[noisy])?;
    if !a.bool(vm, "hard", false)? {
        return Ok(vm.tracer.tensor_value(soft));
    }
    let best = vm.tracer.push(Op::Reduce { op: ReduceOp::ArgMax, dims: vec![dim], keepdim: true }, &[soft])?;
    let size = shape.get(dim).cloned().unwrap_or_default();
    let places = vm.tracer.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], vec![size.clone()], DType::Int)?;
    let mut wide = vec![Dim::known(1); shape.len() - dim];
    if let Some(first) = wide.first_mut() {
        *first = size;
    }
    let places = vm.tracer.push_as(Op::Reshape, &[places], wide, DType::Int)?;
    let chosen = vm.tracer.bin(BinaryOp::Eq, places, best)?;
    let hard = vm.tracer.cast(chosen, DType::Float)?;
    let still = vm.tracer.push(Op::Detach, &[soft])?;
    let gap = vm.tracer.bin(BinaryOp::Sub, hard, still)?;
    vm.tracer.bin(BinaryOp::Add, gap, soft).map(|id| vm.tracer.tensor_value(id))
}

/// Coins that show 1 with the probability that `p` says, a number or a tensor, or else with those in `input`.
fn bernoulli(vm: &mut Interp, a: &Args, shape: &[Dim], otherwise: Option<NodeId>) -> R<NodeId> {
    let p = match a.some("p") {
        Some(Value::Tensor(t)) => {
            let t = t.clone();
            vm.tracer.node(&t)?
        }
        Some(_) => return vm.tracer.coins(shape, probability(vm, a)?),
        None => match otherwise {
            Some(p) => p,
            None => return vm.tracer.coins(shape, 0.5),
        },
    };
    let u = vm.tracer.uniform(shape)?;
    let heads = vm.tracer.bin(BinaryOp::Lt, u, p)?;
    vm.tracer.cast(heads, DType::Float)
}

/// Gives a tensor new values that are drawn, in place.
pub fn draw_into(tracer: &mut Tracer, t: &Rc<Tensor>, draw: impl FnOnce(&mut Tracer, &[Dim]) -> R<NodeId>) -> R<Value> {
    let shape = tracer.shape_of(t);
    let old = begin_draw(tracer, t)?;
    let id = draw(tracer, &shape)?;
    end_draw(tracer, t, old, id)
}

/// The node of a tensor that is given drawn values, where it has one.
fn begin_draw(tracer: &mut Tracer, t: &Rc<Tensor>) -> R<Option<NodeId>> {
    let data = t.data.borrow().clone();
    let (dtype, old) = match data {
        Data::Leaf(_) => {
            return tracer.run.refuse(Rule::UnsupportedInit, "this distribution is not there for parameters");
        }
        Data::Literal(l) => (l.dtype, None),
        Data::Node(_) => {
            let old = tracer.node(t)?;
            (tracer.dtype(old), Some(old))
        }
    };
    if dtype != DType::Float {
        return tracer.run.refuse(Rule::UnsupportedRandom, "random integers are not supported");
    }
    Ok(old)
}

fn end_draw(tracer: &mut Tracer, t: &Rc<Tensor>, old: Option<NodeId>, id: NodeId) -> R<Value> {
    match old {
        Some(old) => tracer.finish_in_place(t, old, id)?,
        None => settle(t, id),
    }
    Ok(Value::Tensor(t.clone()))
}

/// `torch.normal` of numbers and a size, or of tensors.
fn normal(vm: &mut Interp, a: &Args) -> R<Value> {
    let init = Init::Normal { mean: 0.0, std: 1.0 };
    if a.some("size").is_some() {
        let items = a.listed(vm, "size")?;
        let shape = vm.tracer.run.new_shape(&items)?;
        let (mean, std) = (a.float_or(vm, "mean", 0.0)?, a.float_or(vm, "std", 1.0)?);
        return vm.tracer.filled(shape, Init::Normal { mean, std }, DType::Float);
    }
    let mean = a.operand(vm, "mean")?;
    let std = if a.some("std").is_some() { a.operand(vm, "std")? } else { vm.tracer.float(1.0)? };
    let shape = graph::broadcast(vm.tracer.shape(mean), vm.tracer.shape(std));
    let shape = shape.map_err(|e| vm.tracer.run.op_fault(Rule::ShapeBroadcast, &e))?;
    let standard = vm.tracer.drawn_as(&init, &shape)?;
    let y = vm.tracer.bin(BinaryOp::Mul, standard, std)?;
    vm.tracer.bin(BinaryOp::Add, y, mean).map(|id| vm.tracer.tensor_value(id))
}

pub static TABLE: &[Native] = &[
    f!("torch.nn.functional.dropout", "input p? training? inplace?", |vm, a| functional(vm, a, Dropout::Plain, true)),
    f!("torch.dropout", "input p train", |vm, a| {
        let (p, training) = (probability(vm, a)?, a.bool(vm, "train", true)?);
        dropout(vm, a, Dropout::Plain, p, (training, false))
    }),
    f!("torch.nn.functional.dropout1d", "input p? training? inplace?", |vm, a| {
        functional(vm, a, Dropout::Channels(Some(1)), true)
    }),
    f!("torch.nn.functional.dropout2d", "input p? training? inplace?", |vm, a| {
        functional(vm, a, Dropout::Channels(Some(2)), true)
    }),
    f!("torch.nn.functional.dropout3d", "input p? training? inplace?", |vm, a| {
        functional(vm, a, Dropout::Channels(Some(3)), true)
    }),
    f!("torch.nn.functional.alpha_dropout", "input p? training? inplace?", |vm, a| {
        functional(vm, a, Dropout::Alpha, false)
    }),
    f!("torch.nn.functional.feature_alpha_dropout", "input p? training? inplace?", |vm, a| {
        functional(vm, a, Dropout::AlphaChannels, false)
    }),
    f!("torch.nn.functional.rrelu torch.rrelu", "input lower? upper? training? inplace?", |vm, a| {
        let slopes = (a.float_or(vm, "lower", 1.0 / 8.0)?, a.float_or(vm, "upper", 1.0 / 3.0)?);
        let modes = (a.bool(vm, "training", false)?, a.bool(vm, "inplace", false)?);
        random_rectifier(vm, a, slopes, modes)
    }),
    f!("torch.nn.functional.gumbel_softmax", "logits tau? hard? eps? dim?", gumbel_softmax),
    f!("torch.bernoulli Tensor.bernoulli", "input p? | generator?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let shape = vm.tracer.shape(x).clone();
        if vm.tracer.dtype(x) != DType::Float {
            return vm.refuse(Rule::ShapeDtype, "bernoulli() needs a float tensor");
        }
        bernoulli(vm, a, &shape, Some(x)).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("Tensor.bernoulli_", "input p? | generator?", |vm, a| {
        let t = base(&vm.tracer.run, a, "input")?;
        let shape = vm.tracer.shape_of(&t);
        let old = begin_draw(&mut vm.tracer, &t)?;
        let id = bernoulli(vm, a, &shape, None)?;
        end_draw(&mut vm.tracer, &t, old, id)
    }),
    f!("Tensor.exponential_", "input lambd? | generator?", |vm, a| {
        let (t, rate) = (base(&vm.tracer.run, a, "input")?, a.float_or(vm, "lambd", 1.0)?);
        if rate <= 0.0 {
            return vm.value_fault(format!("exponential_() needs a positive rate, not {rate}"));
        }
        draw_into(&mut vm.tracer, &t, |tracer, shape| tracer.exponential(shape, rate))
    }),
    f!("torch.normal", "mean? std? size? | generator? dtype? device?", normal),
    f!("torch.manual_seed", "seed", |vm, _| {
        if vm.tracer.phase() != super::super::Phase::Load {
            let span = vm.here();
            vm.tracer.mode.note_seed(span);
        }
        Ok(Value::None)
    }),
    f!(
        "torch.nn.functional.batch_norm",
        "input running_mean running_var weight? bias? training? momentum? eps?",
        |vm, a| {
            let x = a.tensor(vm, "input")?;
            let mut given = |name: &str| if a.some(name).is_some() { a.tensor(vm, name).map(Some) } else { Ok(None) };
            let (weight, bias) = (given("weight")?, given("bias")?);
            let held = |name: &str| match a.value(name) {
                Value::Tensor(t) => Some(t),
                _ => None,
            };
            let running = Running { means: held("running_mean"), variances: held("running_var"), count: None };
            let training = a.bool(vm, "training", false)?;
            if !training && (running.means.is_none() || running.variances.is_none()) {
                return vm.value_fault("batch_norm() without running statistics needs training=True");
            }
            let (eps, momentum) = (a.float_or(vm, "eps", 1e-5)?, Some(a.float_or(vm, "momentum", 0.1)?));
            normalised(&mut vm.tracer, x, &BatchNorm { weight, bias, eps, momentum }, &running, training)
                .map(|id| vm.tracer.tensor_value(id))
        }
    ),
    refuse_random!(
        "torch.randint torch.randint_like torch.randperm torch.multinomial Tensor.multinomial torch.poisson"
    ),
];
