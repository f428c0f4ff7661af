//! Operations on each element.

use super::*;
use crate::rules::Rule;

pub(super) fn unary(vm: &mut Interp, a: &Args, op: UnaryOp) -> R<Value> {
    if let Some(l) = vm.tracer.run.literal(&a.value("input"))?
        && l.dtype == DType::Float
        && let Some(values) = l.values().filter(|v| v.len() <= 4096)
        && let Some(f) = scalar_function(op)
    {
        let init = match l.init {
            Init::Constant(v) => Init::Constant(f(v)),
            _ => Init::Values(values.into_iter().map(f).collect()),
        };
        return Ok(vm.tracer.run.literal_value(l.shape, init, l.dtype));
    }
    let id = a.tensor(vm, "input")?;
    vm.tracer.un(op, id).map(|id| vm.tracer.tensor_value(id))
}

/// A function of `torch.nn.functional` that may work in place.
pub(super) fn activation(vm: &mut Interp, a: &Args, op: UnaryOp) -> R<Value> {
    base(&vm.tracer.run, a, "input")?;
    if !a.bool(vm, "inplace", false)? {
        return unary(vm, a, op);
    }
    let backwards = match op {
        UnaryOp::LeakyRelu { slope } => slope < 0.0,
        UnaryOp::Elu { alpha } | UnaryOp::Celu { alpha } => alpha < 0.0,
        _ => false,
    };
    if backwards {
        let text = format!("{}() in place has no derivative where its slope is negative", a.function());
        return vm.refuse(Rule::UnsupportedInplace, text);
    }
    changed(vm, a, |vm, id| vm.tracer.un(op, id))
}

/// Functions that are computed at once on constants, so that they may initialise parameters.
pub(super) fn scalar_function(op: UnaryOp) -> Option<fn(f64) -> f64> {
    Some(match op {
        UnaryOp::Exp => f64::exp,
        UnaryOp::Log => f64::ln,
        UnaryOp::Sqrt => f64::sqrt,
        UnaryOp::Abs => f64::abs,
        UnaryOp::Sin => f64::sin,
        UnaryOp::Cos => f64::cos,
        UnaryOp::Neg => |x| -x,
        _ => return None,
    })
}

/// Where torch takes numbers beside tensors differs from function to function.
pub(super) fn binary(vm: &mut Interp, a: &Args, op: BinaryOp) -> R<Value> {
    let (x, y) = match op {
        BinaryOp::Maximum | BinaryOp::Minimum | BinaryOp::Atan2 => (a.tensor(vm, "input")?, a.tensor(vm, "other")?),
        BinaryOp::Remainder | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor
            if matches!(a.value("other"), Value::Tensor(_)) =>
        {
            (a.operand(vm, "input")?, a.tensor(vm, "other")?)
        }
        _ => (a.tensor(vm, "input")?, a.operand(vm, "other")?),
    };
    vm.tracer.bin(op, x, y).map(|id| vm.tracer.tensor_value(id))
}

/// A tensor to the power of a number or tensor, or a number to that of a tensor.
pub(super) fn power(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y) = match a.value("exponent") {
        Value::Tensor(_) => (a.operand(vm, "input")?, a.tensor(vm, "exponent")?),
        _ => (a.tensor(vm, "input")?, a.operand(vm, "exponent")?),
    };
    vm.tracer.check_power(x, &a.value("exponent"))?;
    vm.tracer.bin(BinaryOp::Pow, x, y).map(|id| vm.tracer.tensor_value(id))
}

/// `fmax` and `fmin`: the first argument where it compares so or the second is NaN; at ties it takes the gradient.
pub(super) fn first_unless(vm: &mut Interp, a: &Args, op: BinaryOp) -> R<Value> {
    let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
    let (wins, missing) = (vm.tracer.bin(op, x, y)?, vm.tracer.un(UnaryOp::IsNan, y)?);
    let first = vm.tracer.bin(BinaryOp::Or, wins, missing)?;
    vm.tracer.push(Op::Where, &[first, x, y]).map(|id| vm.tracer.tensor_value(id))
}

/// `x // y` of floats: torch has no derivative for it.
pub(super) fn floor_divide(vm: &mut Interp, a: &Args) -> R<Value> {
    vm.tracer.binary_tensor(&a.value("input"), BinOp::FloorDiv, &a.value("other"))
}

/// `input + alpha * other`.
pub(super) fn scaled(vm: &mut Interp, a: &Args, op: BinOp) -> R<Value> {
    let mut other = a.value("other");
    if let Some(alpha) = a.some("alpha") {
        other = vm.binary(&other, BinOp::Mul, &alpha.clone())?;
    }
    vm.tracer.binary_tensor(&a.value("input"), op, &other)
}

pub(super) fn divide(vm: &mut Interp, a: &Args) -> R<Value> {
    let mode = match a.some("rounding_mode") {
        None => return binary(vm, a, BinaryOp::Div),
        Some(_) => a.text(vm, "rounding_mode")?,
    };
    let (x, y) = (a.operand(vm, "input")?, a.operand(vm, "other")?);
    let out = match &*mode {
        "floor" => vm.tracer.bin(BinaryOp::FloorDiv, x, y),
        "trunc" if vm.tracer.dtype(x).max(vm.tracer.dtype(y)) == DType::Float => {
            let quotient = vm.tracer.bin(BinaryOp::Div, x, y)?;
            vm.tracer.un(UnaryOp::Trunc, quotient)
        }
        "trunc" => {
            let signs = [vm.tracer.un(UnaryOp::Sign, x)?, vm.tracer.un(UnaryOp::Sign, y)?];
            let (x, y) = (vm.tracer.un(UnaryOp::Abs, x)?, vm.tracer.un(UnaryOp::Abs, y)?);
            let mut quotient = vm.tracer.bin(BinaryOp::FloorDiv, x, y)?;
            for sign in signs {
                quotient = vm.tracer.bin(BinaryOp::Mul, quotient, sign)?;
            }
            Ok(quotient)
        }
        other => return vm.value_fault(format!("rounding_mode is None, 'floor' or 'trunc', not '{other}'")),
    };
    out.map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn logical(vm: &mut Interp, a: &Args, op: BinaryOp) -> R<Value> {
    let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
    let (x, y) = (vm.tracer.as_bool_node(x)?, vm.tracer.as_bool_node(y)?);
    vm.tracer.bin(op, x, y).map(|id| vm.tracer.tensor_value(id))
}

/// The bound where `x` is beyond it. On the bound the gradient is that of `x`, where a maximum would share it.
fn bounded(tracer: &mut Tracer, x: NodeId, bound: NodeId, beyond: BinaryOp, extreme: BinaryOp) -> R<NodeId> {
    if tracer.dtype(x) != DType::Float || tracer.dtype(bound) != DType::Float {
        return tracer.bin(extreme, x, bound);
    }
    let outside = tracer.bin(beyond, x, bound)?;
    tracer.push(Op::Where, &[outside, bound, x])
}

pub(super) fn clamp(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut id = a.tensor(vm, "input")?;
    let is_tensor = |v: Option<&Value>| matches!(v, Some(Value::Tensor(_) | Value::Number(_) | Value::Dim(_)));
    if a.some("min").is_none() && a.some("max").is_none() {
        return vm.value_fault("clamp() needs a bound");
    }
    if is_tensor(a.some("min")) || is_tensor(a.some("max")) {
        let tensor = |v: Option<&Value>| matches!(v, Some(Value::Tensor(_)));
        let (low, high) = (a.some("min"), a.some("max"));
        if low.is_some() && high.is_some() && tensor(low) != tensor(high) {
            return vm.type_fault(format!("{}() takes two numbers or two tensors as bounds", a.function()));
        }
        if a.some("min").is_some() {
            let bound = a.operand(vm, "min")?;
            id = bounded(&mut vm.tracer, id, bound, BinaryOp::Lt, BinaryOp::Maximum)?;
        }
        if a.some("max").is_some() {
            let bound = a.operand(vm, "max")?;
            id = bounded(&mut vm.tracer, id, bound, BinaryOp::Gt, BinaryOp::Minimum)?;
        }
        return Ok(vm.tracer.tensor_value(id));
    }
    let (min, max) = (a.float_or(vm, "min", f64::NEG_INFINITY)?, a.float_or(vm, "max", f64::INFINITY)?);
    let fraction = |v: Option<&Value>| matches!(v, Some(Value::Float(_)));
    if vm.tracer.dtype(id) != DType::Float && (fraction(a.some("min")) || fraction(a.some("max"))) {
        id = vm.tracer.cast(id, DType::Float)?;
    }
    vm.tracer.un(UnaryOp::Clamp { min, max }, id).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn masked_fill(vm: &mut Interp, a: &Args) -> R<Value> {
    let id = a.tensor(vm, "input")?;
    let mask = a.tensor(vm, "mask")?;
    if vm.tracer.dtype(mask) != DType::Bool {
        let d = vm.fault(Rule::ShapeDtype, "masked_fill needs a bool mask");
        return Err(Box::new(d.help("compare first, as in mask == 0, or use mask.bool()")));
    }
    let value = a.operand(vm, "value")?;
    if !vm.tracer.shape(value).is_empty() {
        return vm.refuse(Rule::ShapeOp, "masked_fill takes a single value; use torch.where for a tensor");
    }
    let dtype = vm.tracer.dtype(id);
    let value = vm.tracer.cast(value, dtype)?;
    let out = vm.tracer.push(Op::Where, &[mask, value, id])?;
    let out = vm.tracer.plain(out);
    Ok(vm.tracer.tensor_value(out))
}

pub(super) fn choose(vm: &mut Interp, a: &Args) -> R<Value> {
    if a.get("input").is_none() || a.get("other").is_none() {
        return vm
            .refuse(Rule::UnsupportedMaskIndex, "torch.where(condition) alone gives a size that depends on values");
    }
    let condition = a.tensor(vm, "condition")?;
    if vm.tracer.dtype(condition) != DType::Bool {
        let d = vm.fault(Rule::ShapeDtype, "torch.where needs a bool condition");
        return Err(Box::new(d.help("compare first, as in mask > 0, or use mask.bool()")));
    }
    let (x, y) = (a.operand(vm, "input")?, a.operand(vm, "other")?);
    vm.tracer.push(Op::Where, &[condition, x, y]).map(|id| vm.tracer.tensor_value(id))
}

/// `Tensor.where(condition, other)`.
pub(super) fn choose_self(vm: &mut Interp, a: &Args) -> R<Value> {
    let condition = a.tensor(vm, "condition")?;
    let (x, y) = (a.operand(vm, "input")?, a.operand(vm, "other")?);
    vm.tracer.push(Op::Where, &[condition, x, y]).map(|id| vm.tracer.tensor_value(id))
}

pub(super) fn lerp(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y, w) = (a.tensor(vm, "input")?, a.tensor(vm, "end")?, a.operand(vm, "weight")?);
    needs_float(&vm.tracer, a, &[x])?;
    needs_float(&vm.tracer, a, &[y])?;
    let d = vm.tracer.bin(BinaryOp::Sub, y, x)?;
    // from the nearer end, as torch does, so that a weight of 1 gives the end itself
    if let Some(weight) = super::scalar::number(&a.value("weight")).filter(|weight| weight.abs() >= 0.5) {
        let rest = vm.tracer.float(1.0 - weight)?;
        let d = vm.tracer.bin(BinaryOp::Mul, d, rest)?;
        return vm.tracer.bin(BinaryOp::Sub, y, d).map(|id| vm.tracer.tensor_value(id));
    }
    let d = vm.tracer.bin(BinaryOp::Mul, w, d)?;
    vm.tracer.bin(BinaryOp::Add, x, d).map(|id| vm.tracer.tensor_value(id))
}

pub static TABLE: &[Native] = &[
    un!("torch.relu Tensor.relu", UnaryOp::Relu),
    act!("torch.nn.functional.relu", UnaryOp::Relu),
    un!("torch.sigmoid Tensor.sigmoid torch.special.expit", UnaryOp::Sigmoid),
    // by itself, for it is a Python function, which a class body binds
    un!("torch.nn.functional.sigmoid", UnaryOp::Sigmoid),
    un!("torch.nn.functional.logsigmoid", UnaryOp::LogSigmoid),
    un!("torch.tanh Tensor.tanh", UnaryOp::Tanh),
    un!("torch.nn.functional.tanh", UnaryOp::Tanh),
    un!("torch.neg torch.negative Tensor.neg Tensor.negative", UnaryOp::Neg),
    un!("torch.abs torch.absolute Tensor.abs Tensor.absolute", UnaryOp::Abs),
    un!("torch.sign Tensor.sign torch.sgn Tensor.sgn", UnaryOp::Sign),
    un!("torch.exp Tensor.exp", UnaryOp::Exp),
    un!("torch.expm1 Tensor.expm1", UnaryOp::Expm1),
    un!("torch.log Tensor.log", UnaryOp::Log),
    un!("torch.log2 Tensor.log2", UnaryOp::Log2),
    un!("torch.log10 Tensor.log10", UnaryOp::Log10),
    un!("torch.log1p Tensor.log1p", UnaryOp::Log1p),
    un!("torch.sqrt Tensor.sqrt", UnaryOp::Sqrt),
    un!("torch.rsqrt Tensor.rsqrt", UnaryOp::Rsqrt),
    un!("torch.square Tensor.square", UnaryOp::Square),
    un!("torch.reciprocal Tensor.reciprocal", UnaryOp::Reciprocal),
    un!("torch.sin Tensor.sin", UnaryOp::Sin),
    un!("torch.cos Tensor.cos", UnaryOp::Cos),
    un!("torch.tan Tensor.tan", UnaryOp::Tan),
    un!("torch.atan torch.arctan Tensor.atan Tensor.arctan", UnaryOp::Atan),
    un!("torch.sinh Tensor.sinh", UnaryOp::Sinh),
    un!("torch.cosh Tensor.cosh", UnaryOp::Cosh),
    un!("torch.erf Tensor.erf", UnaryOp::Erf),
    un!("torch.erfc Tensor.erfc", UnaryOp::Erfc),
    un!("torch.floor Tensor.floor", UnaryOp::Floor),
    un!("torch.ceil Tensor.ceil", UnaryOp::Ceil),
    un!("torch.round Tensor.round", UnaryOp::Round),
    un!("torch.trunc torch.fix Tensor.trunc Tensor.fix", UnaryOp::Trunc),
    act!("torch.nn.functional.silu", UnaryOp::Silu),
    act!("torch.nn.functional.mish", UnaryOp::Mish),
    un!("torch.selu", UnaryOp::Selu),
    act!("torch.nn.functional.selu", UnaryOp::Selu),
    un!("torch.nn.functional.softsign", UnaryOp::Softsign),
    act!("torch.nn.functional.hardsigmoid", UnaryOp::Hardsigmoid),
    act!("torch.nn.functional.hardswish", UnaryOp::Hardswish),
    act!("torch.nn.functional.relu6", UnaryOp::Hardtanh { min: 0.0, max: 6.0 }),
    un!("torch.isnan Tensor.isnan", UnaryOp::IsNan),
    un!("torch.isinf Tensor.isinf", UnaryOp::IsInf),
    un!("torch.isfinite Tensor.isfinite", UnaryOp::IsFinite),
    f!("torch.pow Tensor.pow", "input exponent", power),
    bin!("torch.maximum Tensor.maximum", Maximum),
    bin!("torch.minimum Tensor.minimum", Minimum),
    f!("torch.fmax Tensor.fmax", "input other", |vm, a| first_unless(vm, a, BinaryOp::Ge)),
    f!("torch.fmin Tensor.fmin", "input other", |vm, a| first_unless(vm, a, BinaryOp::Le)),
    bin!("torch.remainder Tensor.remainder", Remainder),
    f!("torch.floor_divide Tensor.floor_divide", "input other", floor_divide),
    bin!("torch.atan2 Tensor.atan2 torch.arctan2 Tensor.arctan2", Atan2),
    bin!("torch.eq Tensor.eq", Eq),
    bin!("torch.ne Tensor.ne torch.not_equal Tensor.not_equal", Ne),
    bin!("torch.lt Tensor.lt torch.less Tensor.less", Lt),
    bin!("torch.le Tensor.le torch.less_equal Tensor.less_equal", Le),
    bin!("torch.gt Tensor.gt torch.greater Tensor.greater", Gt),
    bin!("torch.ge Tensor.ge torch.greater_equal Tensor.greater_equal", Ge),
    bin!("torch.bitwise_and Tensor.bitwise_and", And),
    bin!("torch.bitwise_or Tensor.bitwise_or", Or),
    bin!("torch.bitwise_xor Tensor.bitwise_xor", Xor),
    f!("torch.nn.functional.gelu", "input | approximate?", |vm, a| {
        let tanh = &*a.text_or(vm, "approximate", "none")? == "tanh";
        unary(vm, a, UnaryOp::Gelu { tanh })
    }),
    f!("torch.nn.functional.leaky_relu", "input negative_slope? inplace?", |vm, a| {
        let slope = a.float_or(vm, "negative_slope", 0.01)?;
        activation(vm, a, UnaryOp::LeakyRelu { slope })
    }),
    f!("torch.nn.functional.elu", "input alpha? inplace?", |vm, a| {
        let alpha = a.float_or(vm, "alpha", 1.0)?;
        activation(vm, a, UnaryOp::Elu { alpha })
    }),
    f!("torch.celu", "input alpha?", |vm, a| {
        let alpha = a.float_or(vm, "alpha", 1.0)?;
        unary(vm, a, UnaryOp::Celu { alpha })
    }),
    f!("torch.nn.functional.celu", "input alpha? inplace?", |vm, a| {
        let alpha = a.float_or(vm, "alpha", 1.0)?;
        activation(vm, a, UnaryOp::Celu { alpha })
    }),
    f!("torch.nn.functional.softplus", "input beta? threshold?", |vm, a| {
        let (beta, threshold) = (a.float_or(vm, "beta", 1.0)?, a.float_or(vm, "threshold", 20.0)?);
        unary(vm, a, UnaryOp::Softplus { beta, threshold })
    }),
    f!("torch.nn.functional.hardtanh", "input min_val? max_val? inplace?", |vm, a| {
        let (min, max) = (a.float_or(vm, "min_val", -1.0)?, a.float_or(vm, "max_val", 1.0)?);
        if min > max {
            return vm.value_fault("hardtanh(): 'min_val' is greater than 'max_val'");
        }
        activation(vm, a, UnaryOp::Hardtanh { min, max })
    }),
    f!("torch.nn.functional.tanhshrink", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let y = vm.tracer.un(UnaryOp::Tanh, x)?;
        vm.tracer.bin(BinaryOp::Sub, x, y).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.logit Tensor.logit", "input eps?", |vm, a| {
        let mut x = a.tensor(vm, "input")?;
        if a.some("eps").is_some() {
            let eps = a.float_or(vm, "eps", 0.0)?;
            x = vm.tracer.un(UnaryOp::Clamp { min: eps, max: 1.0 - eps }, x)?;
        }
        let one = vm.tracer.float(1.0)?;
        let rest = vm.tracer.bin(BinaryOp::Sub, one, x)?;
        let odds = vm.tracer.bin(BinaryOp::Div, x, rest)?;
        vm.tracer.un(UnaryOp::Log, odds).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.add Tensor.add", "input other | alpha?", |vm, a| scaled(vm, a, BinOp::Add)),
    f!("torch.sub torch.subtract Tensor.sub Tensor.subtract", "input other | alpha?", |vm, a| scaled(
        vm,
        a,
        BinOp::Sub
    )),
    f!("torch.rsub", "input other | alpha?", |vm, a| {
        // the first one is a tensor, whatever it is subtracted from
        a.tensor(vm, "input")?;
        let mut input = a.value("input");
        if let Some(alpha) = a.some("alpha") {
            input = vm.binary(&input, BinOp::Mul, &alpha.clone())?;
        }
        vm.tracer.binary_tensor(&a.value("other"), BinOp::Sub, &input)
    }),
    f!("torch.mul torch.multiply Tensor.mul Tensor.multiply", "input other", |vm, a| {
        vm.tracer.binary_tensor(&a.value("input"), BinOp::Mul, &a.value("other"))
    }),
    f!(
        "torch.div torch.divide torch.true_divide Tensor.div Tensor.divide Tensor.true_divide",
        "input other | rounding_mode?",
        divide
    ),
    f!("torch.logical_and Tensor.logical_and", "input other", |vm, a| logical(vm, a, BinaryOp::And)),
    f!("torch.logical_or Tensor.logical_or", "input other", |vm, a| logical(vm, a, BinaryOp::Or)),
    f!("torch.logical_xor Tensor.logical_xor", "input other", |vm, a| logical(vm, a, BinaryOp::Xor)),
    f!("torch.logical_not Tensor.logical_not", "input", |vm, a| {
        let id = a.tensor(vm, "input")?;
        let id = vm.tracer.as_bool_node(id)?;
        vm.tracer.un(UnaryOp::LogicalNot, id).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.bitwise_not Tensor.bitwise_not", "input", |vm, a| {
        vm.unary(crate::syntax::UnOp::Invert, &Value::Tensor(base(&vm.tracer.run, a, "input")?))
    }),
    f!("torch.clamp torch.clip Tensor.clamp Tensor.clip", "input min? max?", clamp),
    f!("torch.clamp_min Tensor.clamp_min", "input min", clamp),
    f!("torch.clamp_max Tensor.clamp_max", "input max min?", clamp),
    f!("torch.nan_to_num Tensor.nan_to_num", "input nan? posinf? neginf?", |vm, a| {
        let given = a.tensor(vm, "input")?;
        let x = given;
        if vm.tracer.dtype(x) != DType::Float {
            return super::convert::copy(vm, a);
        }
        let nan = a.float_or(vm, "nan", 0.0)?;
        let top = f64::from(f32::MAX);
        let (high, low) = (a.float_or(vm, "posinf", top)?, a.float_or(vm, "neginf", -top)?);
        let (fill, broken) = (vm.tracer.float(nan)?, vm.tracer.un(UnaryOp::IsNan, x)?);
        let mut out = vm.tracer.push(Op::Where, &[broken, fill, x])?;
        // What is finite stays, whatever stands for the infinite.
        for (infinite, by) in [(f64::INFINITY, high), (f64::NEG_INFINITY, low)] {
            let (infinite, by) = (vm.tracer.float(infinite)?, vm.tracer.float(by)?);
            let found = vm.tracer.bin(BinaryOp::Eq, x, infinite)?;
            out = vm.tracer.push(Op::Where, &[found, by, out])?;
        }
        keeping(&mut vm.tracer, Ok(out), &[given])
    }),
    f!("torch.lerp Tensor.lerp", "input end weight", lerp),
    f!("torch.addcmul Tensor.addcmul", "input tensor1 tensor2 | value?", |vm, a| {
        let product = vm.tracer.binary_tensor(&a.value("tensor1"), BinOp::Mul, &a.value("tensor2"))?;
        // an integer by default, which makes integers of bools
        let value = a.some("value").cloned().unwrap_or(Value::Int(1));
        let product = vm.binary(&product, BinOp::Mul, &value)?;
        vm.tracer.binary_tensor(&a.value("input"), BinOp::Add, &product)
    }),
    f!("torch.where", "condition input? other?", choose),
    f!("Tensor.where", "input condition other", choose_self),
    f!("torch.masked_fill Tensor.masked_fill", "input mask value", masked_fill),
];
