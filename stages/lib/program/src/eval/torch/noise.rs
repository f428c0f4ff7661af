//! Functions that draw: dropout, Bernoulli and Gumbel noise.

use super::super::nn::{BatchNorm, Running, normalised};
use super::*;

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
    let t = base(vm, a, "input")?;
    // torch looks at the axes in any mode
    let shape = noise_shape(vm, &vm.shape_of(&t), kind)?;
    if p == 0.0 || !training {
        return Ok(Value::Tensor(t));
    }
    if vm.dtype_of(&t) != DType::Float {
        return vm.refuse("E-SHAPE-DTYPE", format!("{}() needs a float tensor", a.function()));
    }
    let drop = |vm: &mut Interp, x: NodeId| {
        if p == 1.0 {
            let zero = vm.float(0.0)?;
            return vm.bin(BinaryOp::Mul, x, zero);
        }
        let kept = vm.coins(&shape, 1.0 - p)?;
        if !matches!(kind, Dropout::Alpha | Dropout::AlphaChannels) {
            let scale = vm.float(1.0 - p)?;
            let noise = vm.bin(BinaryOp::Div, kept, scale)?;
            return vm.bin(BinaryOp::Mul, x, noise);
        }
        let scale = 1.0 / ((ALPHA * ALPHA * p + 1.0) * (1.0 - p)).sqrt();
        let shift = vm.scaled(kept, ALPHA * scale, ALPHA * scale * (p - 1.0))?;
        let noise = vm.scaled(kept, scale, 0.0)?;
        let y = vm.bin(BinaryOp::Mul, x, noise)?;
        vm.bin(BinaryOp::Add, y, shift)
    };
    if inplace {
        vm.change(&t, drop)?;
        return Ok(Value::Tensor(t));
    }
    let x = vm.node(&t)?;
    let out = drop(vm, x);
    done(vm, out)
}

/// The shape of the coins that are thrown.
fn noise_shape(vm: &Interp, shape: &Shape, kind: Dropout) -> R<Shape> {
    let rank = shape.len();
    let channels = match kind {
        Dropout::Plain | Dropout::Alpha => return Ok(shape.clone()),
        // without a batch, the channels come first
        Dropout::Channels(Some(behind)) if behind != 2 && rank == behind + 1 => 1,
        Dropout::Channels(Some(behind)) if behind != 2 && rank != behind + 2 => {
            let text = format!("dropout of channels needs {} or {} axes, not {rank}", behind + 1, behind + 2);
            return vm.refuse("E-SHAPE-AXIS", text);
        }
        _ if rank < 2 => {
            return vm.refuse("E-SHAPE-AXIS", "dropout of channels needs two axes or more");
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
    let t = base(vm, a, "input")?;
    let (low, high) = slopes;
    if low > high {
        return vm.value_fault(format!("the lower slope {low} is above the upper one, {high}"));
    }
    let rectified = |vm: &mut Interp, x: NodeId| {
        if !training {
            return vm.un(UnaryOp::LeakyRelu { slope: 0.5 * (low + high) }, x);
        }
        let shape = vm.graph.shape(x).clone();
        let slope = vm.drawn_as(&Init::Uniform { low, high }, &shape)?;
        let (zero, below) = (vm.float(0.0)?, vm.bin(BinaryOp::Mul, x, slope)?);
        let positive = vm.bin(BinaryOp::Gt, x, zero)?;
        vm.push(Op::Where, &[positive, x, below])
    };
    if inplace {
        vm.change(&t, rectified)?;
        return Ok(Value::Tensor(t));
    }
    let x = vm.node(&t)?;
    let out = rectified(vm, x);
    done(vm, out)
}

/// `F.gumbel_softmax` (Jang et al. 2017; Maddison et al. 2017).
fn gumbel_softmax(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "logits")?;
    needs_float(vm, a, &[x])?;
    let shape = vm.graph.shape(x).clone();
    let dim = a.axis_or(vm, "dim", -1, shape.len())?;
    let tau = a.float_or(vm, "tau", 1.0)?;
    let wait = vm.exponential(&shape, 1.0)?;
    let wait = vm.un(UnaryOp::Log, wait)?;
    let noisy = vm.bin(BinaryOp::Sub, x, wait)?;
    let tau = vm.float(tau)?;
    let noisy = vm.bin(BinaryOp::Div, noisy, tau)?;
    let soft = vm.push(Op::Softmax { dim }, &[noisy])?;
    if !a.bool(vm, "hard", false)? {
        return Ok(vm.tensor_value(soft));
    }
    let best = vm.push(Op::Reduce { op: ReduceOp::ArgMax, dims: vec![dim], keepdim: true }, &[soft])?;
    let size = shape.get(dim).cloned().unwrap_or_default();
    let places = vm.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], vec![size.clone()], DType::Int)?;
    let mut wide = vec![Dim::known(1); shape.len() - dim];
    if let Some(first) = wide.first_mut() {
        *first = size;
    }
    let places = vm.push_as(Op::Reshape, &[places], wide, DType::Int)?;
    let chosen = vm.bin(BinaryOp::Eq, places, best)?;
    let hard = vm.cast(chosen, DType::Float)?;
    let still = vm.push(Op::Detach, &[soft])?;
    let gap = vm.bin(BinaryOp::Sub, hard, still)?;
    let out = vm.bin(BinaryOp::Add, gap, soft);
    done(vm, out)
}

/// Coins that show 1 with the probability that `p` says, a number or a tensor, or else with those in `input`.
fn bernoulli(vm: &mut Interp, a: &Args, shape: &[Dim], otherwise: Option<NodeId>) -> R<NodeId> {
    let p = match a.some("p") {
        Some(Value::Tensor(t)) => {
            let t = t.clone();
            vm.node(&t)?
        }
        Some(_) => return vm.coins(shape, probability(vm, a)?),
        None => match otherwise {
            Some(p) => p,
            None => return vm.coins(shape, 0.5),
        },
    };
    let u = vm.uniform(shape)?;
    let heads = vm.bin(BinaryOp::Lt, u, p)?;
    vm.cast(heads, DType::Float)
}

/// Gives a tensor new values that are drawn, in place.
pub fn draw_into(vm: &mut Interp, t: &Rc<Tensor>, draw: impl FnOnce(&mut Interp, &[Dim]) -> R<NodeId>) -> R<Value> {
    let shape = vm.shape_of(t);
    let data = t.data.borrow().clone();
    match data {
        Data::Leaf(_) => {
            let text = "this distribution is not there for parameters";
            return vm.refuse("E-UNSUPPORTED-INIT", text);
        }
        Data::Literal(l) if l.dtype != DType::Float => {
            return vm.refuse("E-UNSUPPORTED-RANDOM", "random integers are not supported");
        }
        Data::Literal(_) => {
            let id = draw(vm, &shape)?;
            vm.settle(t, id);
        }
        Data::Node(_) => {
            let old = vm.node(t)?;
            if vm.graph.dtype(old) != DType::Float {
                return vm.refuse("E-UNSUPPORTED-RANDOM", "random integers are not supported");
            }
            let id = draw(vm, &shape)?;
            vm.finish_in_place(t, old, id)?;
        }
    }
    Ok(Value::Tensor(t.clone()))
}

/// `torch.normal` of numbers and a size, or of tensors.
fn normal(vm: &mut Interp, a: &Args) -> R<Value> {
    let init = Init::Normal { mean: 0.0, std: 1.0 };
    if let Some(size) = a.some("size").cloned() {
        let items = vm.items(&size)?;
        let shape = vm.new_shape(&items)?;
        let (mean, std) = (a.float_or(vm, "mean", 0.0)?, a.float_or(vm, "std", 1.0)?);
        return vm.filled(shape, Init::Normal { mean, std }, DType::Float);
    }
    let mean = a.operand(vm, "mean")?;
    let std = if a.some("std").is_some() { a.operand(vm, "std")? } else { vm.float(1.0)? };
    let shape = graph::broadcast(vm.graph.shape(mean), vm.graph.shape(std));
    let shape = shape.map_err(|e| vm.run.op_fault("E-SHAPE-BROADCAST", &e))?;
    let standard = vm.drawn_as(&init, &shape)?;
    let y = vm.bin(BinaryOp::Mul, standard, std)?;
    let out = vm.bin(BinaryOp::Add, y, mean);
    done(vm, out)
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
        let shape = vm.graph.shape(x).clone();
        if vm.graph.dtype(x) != DType::Float {
            return vm.refuse("E-SHAPE-DTYPE", "bernoulli() needs a float tensor");
        }
        let out = bernoulli(vm, a, &shape, Some(x));
        done(vm, out)
    }),
    f!("Tensor.bernoulli_", "input p? | generator?", |vm, a| {
        let t = base(vm, a, "input")?;
        draw_into(vm, &t, |vm, shape| bernoulli(vm, a, shape, None))
    }),
    f!("Tensor.exponential_", "input lambd? | generator?", |vm, a| {
        let (t, rate) = (base(vm, a, "input")?, a.float_or(vm, "lambd", 1.0)?);
        if rate <= 0.0 {
            return vm.value_fault(format!("exponential_() needs a positive rate, not {rate}"));
        }
        draw_into(vm, &t, |vm, shape| vm.exponential(shape, rate))
    }),
    f!("torch.normal", "mean? std? size? | generator? dtype? device?", normal),
    f!("torch.manual_seed", "seed", |vm, _| {
        if vm.phase != super::super::Phase::Load {
            let span = vm.here();
            vm.drawn.seeded.get_or_insert(span);
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
            let out = normalised(vm, x, &BatchNorm { weight, bias, eps, momentum }, &running, training);
            done(vm, out)
        }
    ),
    refuse_random!(
        "torch.randint torch.randint_like torch.randperm torch.multinomial Tensor.multinomial torch.poisson"
    ),
];
