//! Functions that are made of others.

use super::*;
use crate::rules::Rule;

/// `x - y`.
fn difference(tracer: &mut Tracer, x: NodeId, y: NodeId) -> R<NodeId> {
    tracer.bin(BinaryOp::Sub, x, y)
}

/// `where(condition(x, bound), x, value)`.
fn keep_where(tracer: &mut Tracer, x: NodeId, op: BinaryOp, bound: f64, value: f64) -> R<NodeId> {
    let (bound, value) = (tracer.float(bound)?, tracer.float(value)?);
    let keep = tracer.bin(op, x, bound)?;
    tracer.push(Op::Where, &[keep, x, value])
}

fn square_root_of_one_minus_square(tracer: &mut Tracer, x: NodeId) -> R<NodeId> {
    let square = tracer.un(UnaryOp::Square, x)?;
    let one = tracer.float(1.0)?;
    let rest = tracer.bin(BinaryOp::Sub, one, square)?;
    tracer.un(UnaryOp::Sqrt, rest)
}

/// `x` along `dim`, without its first and without its last element.
pub(super) fn neighbours(tracer: &mut Tracer, x: NodeId, dim: usize) -> R<(NodeId, NodeId)> {
    let size = tracer.shape(x).get(dim).cloned().unwrap_or_default();
    let (zero, one) = (Dim::known(0), Dim::known(1));
    let later = tracer.push(Op::Slice { dim, start: one.clone(), end: size.clone(), step: 1 }, &[x])?;
    let earlier = tracer.push(Op::Slice { dim, start: zero, end: size - one, step: 1 }, &[x])?;
    Ok((later, earlier))
}

/// The negative of what is below 0: as the absolute value, but for the sign of -0 and the gradient at 0.
fn size_of(tracer: &mut Tracer, x: NodeId) -> R<(NodeId, NodeId)> {
    let zero = tracer.float(0.0)?;
    let (below, other) = (tracer.bin(BinaryOp::Lt, x, zero)?, tracer.un(UnaryOp::Neg, x)?);
    Ok((below, tracer.push(Op::Where, &[below, other, x])?))
}

/// The remainder with the sign of the dividend, also where it is 0.
fn fmod(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y) = (a.tensor(vm, "input")?, a.operand(vm, "other")?);
    if vm.tracer.dtype(x).max(vm.tracer.dtype(y)) != DType::Float {
        let (size, by) = (vm.tracer.un(UnaryOp::Abs, x)?, vm.tracer.un(UnaryOp::Abs, y)?);
        let rest = vm.tracer.bin(BinaryOp::Remainder, size, by)?;
        let sign = vm.tracer.un(UnaryOp::Sign, x)?;
        return vm.tracer.bin(BinaryOp::Mul, sign, rest).map(|id| vm.tracer.tensor_value(id));
    }
    let ((below, size), (_, by)) = (size_of(&mut vm.tracer, x)?, size_of(&mut vm.tracer, y)?);
    let rest = vm.tracer.bin(BinaryOp::Remainder, size, by)?;
    let other = vm.tracer.un(UnaryOp::Neg, rest)?;
    let out = vm.tracer.push(Op::Where, &[below, other, rest]);
    if vm.tracer.has_gradient(y) {
        keeping(&mut vm.tracer, out, &[x, y])
    } else {
        out.map(|id| vm.tracer.tensor_value(id))
    }
}

fn diff(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut x = a.tensor(vm, "input")?;
    let dim = a.axis_or(vm, "dim", -1, vm.tracer.rank(x))?;
    for _ in 0..a.int_or(vm, "n", 1)?.clamp(0, 16) {
        let (later, earlier) = neighbours(&mut vm.tracer, x, dim)?;
        x = difference(&mut vm.tracer, later, earlier)?;
    }
    Ok(vm.tracer.tensor_value(x))
}

/// `std_mean` and `var_mean`.
fn spread_and_mean(vm: &mut Interp, a: &Args, std: bool) -> R<Value> {
    let spread = super::reduce::spread(vm, a, std)?;
    let id = a.tensor(vm, "input")?;
    let rank = vm.tracer.rank(id);
    let dims = match a.some("dim") {
        Some(Value::Bool(_)) => None,
        _ => a.axes(vm, "dim", rank)?,
    };
    let keepdim = a.bool(vm, "keepdim", false)?;
    let mean = vm.tracer.reduce(ReduceOp::Mean, id, dims.unwrap_or_else(|| (0..rank).collect()), keepdim)?;
    Ok(Value::tuple(vec![spread, vm.tracer.tensor_value(mean)]))
}

fn matrix_power(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let n = a.int(vm, "n")?;
    let shape = vm.tracer.shape(x).clone();
    let (Some(columns), Some(rows)) = (shape.last(), shape.iter().rev().nth(1)) else {
        return vm.refuse(Rule::ShapeMatmul, "matrix_power() needs matrices");
    };
    if rows != columns {
        return vm.refuse(
            Rule::ShapeMatmul,
            format!("matrix_power() needs square matrices, not {}", graph::display(&shape)),
        );
    }
    if !(0..=64).contains(&n) {
        return vm.refuse(Rule::UnsupportedOp, "matrix_power() is supported for exponents from 0 to 64");
    }
    if n == 0 {
        let eye = vm.tracer.push_as(Op::Eye, &[], vec![rows.clone(), columns.clone()], vm.tracer.dtype(x))?;
        let dtype = vm.tracer.dtype(x);
        return vm.tracer.push_as(Op::Expand, &[eye], shape, dtype).map(|id| vm.tracer.tensor_value(id));
    }
    let (mut power, mut rest, mut out) = (x, n, None);
    loop {
        if rest % 2 == 1 {
            out = Some(match out {
                None => power,
                Some(so_far) => vm.tracer.push(Op::MatMul, &[so_far, power])?,
            });
        }
        rest /= 2;
        if rest == 0 {
            break;
        }
        power = vm.tracer.push(Op::MatMul, &[power, power])?;
    }
    Ok(vm.tracer.tensor_value(out.unwrap_or(power)))
}

fn tensordot(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y) = (a.tensor(vm, "a")?, a.tensor(vm, "b")?);
    let (rx, ry) = (vm.tracer.rank(x), vm.tracer.rank(y));
    let axes = |vm: &mut Interp, v: &Value, rank: usize| -> R<Vec<usize>> {
        let items = match v {
            Value::Int(_) => vec![v.clone()],
            _ => vm.items(v)?,
        };
        let one = |i: &Value| match i {
            Value::Int(i) => vm.tracer.run.axis(*i, rank, "tensordot"),
            other => vm.type_fault(format!("axes are integers, not {}", other.type_name())),
        };
        items.iter().map(one).collect()
    };
    let (dx, dy): (Vec<usize>, Vec<usize>) = match a.get("dims").cloned().unwrap_or(Value::Int(2)) {
        Value::Int(n) => {
            let n = usize::try_from(n).unwrap_or(0);
            if n > rx || n > ry {
                return vm.refuse(Rule::ShapeEinsum, "tensordot: there are fewer axes than that");
            }
            ((rx - n..rx).collect(), (0..n).collect())
        }
        _ => match a.listed(vm, "dims")?.as_slice() {
            [p, q] => (axes(vm, p, rx)?, axes(vm, q, ry)?),
            _ => return vm.type_fault("tensordot: dims is a number or a pair of lists"),
        },
    };
    if dx.len() != dy.len() || rx + ry > 26 {
        return vm.refuse(Rule::ShapeEinsum, "tensordot: both tensors need the same number of summed axes");
    }
    let mut letters = 'a'..='z';
    let first: Vec<char> = letters.by_ref().take(rx).collect();
    let second: Vec<char> = (0..ry)
        .map(|i| match dy.iter().position(|d| *d == i).and_then(|at| dx.get(at)).and_then(|at| first.get(*at)) {
            Some(shared) => *shared,
            None => letters.next().unwrap_or('z'),
        })
        .collect();
    let open = |names: &[char], summed: &[usize]| -> String {
        names.iter().enumerate().filter(|(i, _)| !summed.contains(i)).map(|(_, c)| *c).collect()
    };
    let out = format!("{}{}", open(&first, &dx), open(&second, &dy));
    let equation = format!("{},{}->{out}", first.iter().collect::<String>(), second.iter().collect::<String>());
    let id = vm.tracer.push(Op::Einsum(equation), &[x, y])?;
    let id = vm.tracer.plain(id);
    Ok(vm.tracer.tensor_value(id))
}

/// `x.index_add(dim, index, source)`: rows of `source` added to those of `x` that `index` names.
fn index_add(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, index, source) = (a.tensor(vm, "input")?, a.tensor(vm, "index")?, a.operand(vm, "source")?);
    let shape = vm.tracer.shape(source).clone();
    let dim = a.axis(vm, "dim", vm.tracer.rank(x))?;
    let mut source = source;
    if a.some("alpha").is_some() {
        let alpha = a.operand(vm, "alpha")?;
        source = vm.tracer.bin(BinaryOp::Mul, source, alpha)?;
    }
    if vm.tracer.rank(index) != 1 || vm.tracer.shape(index).first() != shape.get(dim) {
        return vm.refuse(Rule::ShapeGather, "index_add needs one index for each row of the source");
    }
    let own = shape.iter().enumerate().map(|(i, d)| if i == dim { d.clone() } else { Dim::known(1) });
    let index = vm.tracer.push_as(Op::Reshape, &[index], own.collect(), DType::Int)?;
    let index = vm.tracer.push_as(Op::Expand, &[index], shape, DType::Int)?;
    vm.tracer.push(Op::ScatterAdd { dim }, &[x, index, source]).map(|id| vm.tracer.tensor_value(id))
}

/// Values along an axis with the place of the first element that has each.
fn with_places(tracer: &mut Tracer, x: NodeId, values: NodeId, dim: usize, keepdim: bool) -> R<Value> {
    let equal = tracer.bin(BinaryOp::Eq, x, values)?;
    let equal = tracer.cast(equal, DType::Int)?;
    let places = tracer.push(Op::Reduce { op: ReduceOp::ArgMax, dims: vec![dim], keepdim }, &[equal])?;
    let values = if keepdim { values } else { tracer.push(Op::Select { dim, index: Dim::known(0) }, &[values])? };
    super::reduce::pair(tracer, values, places)
}

pub(super) fn median(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let dim = a.axis(vm, "dim", vm.tracer.rank(x))?;
    let keepdim = a.bool(vm, "keepdim", false)?;
    let values = vm.tracer.push(Op::Reduce { op: ReduceOp::Median, dims: vec![dim], keepdim: true }, &[x])?;
    with_places(&mut vm.tracer, x, values, dim, keepdim)
}

fn kth(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    if vm.tracer.dtype(x) == DType::Bool {
        return vm.refuse(Rule::ShapeDtype, "kthvalue() takes no bools");
    }
    let dim = a.axis_or(vm, "dim", -1, vm.tracer.rank(x))?;
    let k = a.dim(vm, "k")?;
    let keepdim = a.bool(vm, "keepdim", false)?;
    let (start, end) = (k.clone() - Dim::known(1), k);
    let mut pair_of = Vec::new();
    for op in [Op::Sort { dim, descending: false }, Op::ArgSort { dim, descending: false }] {
        let sorted = vm.tracer.push(op, &[x])?;
        let mut one = vm.tracer.push(Op::Slice { dim, start: start.clone(), end: end.clone(), step: 1 }, &[sorted])?;
        if !keepdim {
            one = vm.tracer.push(Op::Select { dim, index: Dim::known(0) }, &[one])?;
        }
        pair_of.push(one);
    }
    match pair_of.as_slice() {
        [values, places] => super::reduce::pair(&mut vm.tracer, *values, *places),
        _ => vm.type_fault("a pair is needed"),
    }
}

/// Joined along the axis that numpy's `vstack` and `hstack` join along.
fn joined(vm: &mut Interp, a: &Args, horizontal: bool) -> R<Value> {
    let items = a.listed(vm, "tensors")?;
    let mut ids = Vec::new();
    for item in &items {
        let Value::Tensor(t) = item else { return vm.type_fault("tensors are needed") };
        let mut id = vm.tracer.node(t)?;
        if vm.tracer.shape(id).is_empty() {
            id = vm.tracer.unsqueeze(id, 0)?;
        }
        if !horizontal && vm.tracer.rank(id) == 1 {
            id = vm.tracer.unsqueeze(id, 0)?;
        }
        ids.push(id);
    }
    let Some(first) = ids.first() else { return vm.value_fault("there is nothing to join") };
    let dim = usize::from(horizontal && vm.tracer.rank(*first) > 1);
    let ids = super::pieces::same_type(&mut vm.tracer, ids)?;
    vm.tracer.push(Op::Cat { dim }, &ids).map(|id| vm.tracer.tensor_value(id))
}

fn group_norm(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let groups = a.size(vm, "num_groups")?;
    let weight = if a.some("weight").is_some() { Some(a.tensor(vm, "weight")?) } else { None };
    let bias = if a.some("bias").is_some() { Some(a.tensor(vm, "bias")?) } else { None };
    let eps = a.float_or(vm, "eps", 1e-5)?;
    super::super::nn::grouped(&mut vm.tracer, x, groups, weight, bias, eps).map(|id| vm.tracer.tensor_value(id))
}

pub static TABLE: &[Native] = &[
    f!("torch.exp2 torch.special.exp2 Tensor.exp2", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let two = vm.tracer.float(2.0)?;
        vm.tracer.bin(BinaryOp::Pow, two, x).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.frac Tensor.frac", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        needs_float(&vm.tracer, a, &[x])?;
        let whole = vm.tracer.un(UnaryOp::Trunc, x)?;
        vm.tracer.bin(BinaryOp::Sub, x, whole).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.asin torch.arcsin Tensor.asin Tensor.arcsin", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let y = square_root_of_one_minus_square(&mut vm.tracer, x)?;
        vm.tracer.bin(BinaryOp::Atan2, x, y).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.acos torch.arccos Tensor.acos Tensor.arccos", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let y = square_root_of_one_minus_square(&mut vm.tracer, x)?;
        vm.tracer.bin(BinaryOp::Atan2, y, x).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.asinh torch.arcsinh Tensor.asinh Tensor.arcsinh", "input", |vm, a| {
        // of the absolute value, which loses no digits, and odd
        let x = a.tensor(vm, "input")?;
        let one = vm.tracer.float(1.0)?;
        let (below, size) = size_of(&mut vm.tracer, x)?;
        let square = vm.tracer.un(UnaryOp::Square, size)?;
        let root = vm.tracer.bin(BinaryOp::Add, square, one)?;
        let root = vm.tracer.un(UnaryOp::Sqrt, root)?;
        let root = vm.tracer.bin(BinaryOp::Add, root, one)?;
        // a product, which leaves -0 its sign
        let more = vm.tracer.bin(BinaryOp::Div, size, root)?;
        let more = vm.tracer.bin(BinaryOp::Add, more, one)?;
        let product = vm.tracer.bin(BinaryOp::Mul, size, more)?;
        let y = vm.tracer.un(UnaryOp::Log1p, product)?;
        let other = vm.tracer.un(UnaryOp::Neg, y)?;
        let out = vm.tracer.push(Op::Where, &[below, other, y]);
        keeping(&mut vm.tracer, out, &[x])
    }),
    f!("torch.acosh torch.arccosh Tensor.acosh Tensor.arccosh", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let one = vm.tracer.float(1.0)?;
        let (below, above) = (vm.tracer.bin(BinaryOp::Sub, x, one)?, vm.tracer.bin(BinaryOp::Add, x, one)?);
        let product = vm.tracer.bin(BinaryOp::Mul, below, above)?;
        let root = vm.tracer.un(UnaryOp::Sqrt, product)?;
        let sum = vm.tracer.bin(BinaryOp::Add, x, root)?;
        let out = vm.tracer.un(UnaryOp::Log, sum);
        keeping(&mut vm.tracer, out, &[x])
    }),
    f!("torch.atanh torch.arctanh Tensor.atanh Tensor.arctanh", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let other = vm.tracer.un(UnaryOp::Neg, x)?;
        let (up, down) = (vm.tracer.un(UnaryOp::Log1p, x)?, vm.tracer.un(UnaryOp::Log1p, other)?);
        let (gap, half) = (vm.tracer.bin(BinaryOp::Sub, up, down)?, vm.tracer.float(0.5)?);
        vm.tracer.bin(BinaryOp::Mul, gap, half).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.fmod Tensor.fmod", "input other", fmod),
    f!("torch.hypot Tensor.hypot", "input other", |vm, a| {
        let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
        needs_float(&vm.tracer, a, &[x, y])?;
        let (x, y) = (vm.tracer.un(UnaryOp::Square, x)?, vm.tracer.un(UnaryOp::Square, y)?);
        let sum = vm.tracer.bin(BinaryOp::Add, x, y)?;
        vm.tracer.un(UnaryOp::Sqrt, sum).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.heaviside Tensor.heaviside", "input values", |vm, a| {
        let (x, at_zero) = (a.tensor(vm, "input")?, a.tensor(vm, "values")?);
        let dtype = vm.tracer.dtype(x);
        if vm.tracer.dtype(at_zero) != dtype {
            return vm.refuse(Rule::ShapeDtype, "heaviside() takes two tensors of one type");
        }
        let (zero, one) = (vm.tracer.scalar(0.0, dtype)?, vm.tracer.scalar(1.0, dtype)?);
        let (above, equal) = (vm.tracer.bin(BinaryOp::Gt, x, zero)?, vm.tracer.bin(BinaryOp::Eq, x, zero)?);
        let step = vm.tracer.push(Op::Where, &[above, one, zero])?;
        let out = vm.tracer.push(Op::Where, &[equal, at_zero, step])?;
        if vm.tracer.has_gradient(x) || vm.tracer.has_gradient(at_zero) {
            // torch has no derivative for it: the choice that is never made marks that a gradient would pass
            let never = vm.tracer.scalar(0.0, DType::Bool)?;
            let out = vm.tracer.push(Op::Where, &[never, x, out])?;
            vm.tracer.tape.lacks_derivative(out);
            return Ok(vm.tracer.tensor_value(out));
        }
        Ok(vm.tracer.tensor_value(out))
    }),
    f!("torch.addcdiv Tensor.addcdiv", "input tensor1 tensor2 | value?", |vm, a| {
        let parts = [a.tensor(vm, "tensor1")?, a.tensor(vm, "tensor2")?];
        needs_float(&vm.tracer, a, &parts)?;
        let quotient = vm.tracer.binary_tensor(&a.value("tensor1"), BinOp::Div, &a.value("tensor2"))?;
        let quotient = vm.binary(&quotient, BinOp::Mul, &Value::Float(a.float_or(vm, "value", 1.0)?))?;
        vm.tracer.binary_tensor(&a.value("input"), BinOp::Add, &quotient)
    }),
    f!("torch.nn.functional.hardshrink torch.hardshrink Tensor.hardshrink", "input lambd?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        needs_float(&vm.tracer, a, &[x])?;
        let lambd = a.float_or(vm, "lambd", 0.5)?;
        let size = vm.tracer.un(UnaryOp::Abs, x)?;
        let (bound, zero) = (vm.tracer.float(lambd)?, vm.tracer.float(0.0)?);
        let keep = vm.tracer.bin(BinaryOp::Gt, size, bound)?;
        let out = vm.tracer.push(Op::Where, &[keep, x, zero]);
        keeping(&mut vm.tracer, out, &[x])
    }),
    f!("torch.nn.functional.softshrink", "input lambd?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        needs_float(&vm.tracer, a, &[x])?;
        let lambd = a.float_or(vm, "lambd", 0.5)?;
        let (up, low) = (vm.tracer.float(lambd)?, vm.tracer.float(-lambd)?);
        let inner = vm.tracer.un(UnaryOp::Clamp { min: -lambd, max: lambd }, x)?;
        // x - lambd above, x + lambd below, 0 between, where no gradient flows
        let moved = vm.tracer.bin(BinaryOp::Sub, x, inner)?;
        let (above, below) = (vm.tracer.bin(BinaryOp::Gt, x, up)?, vm.tracer.bin(BinaryOp::Lt, x, low)?);
        let outside = vm.tracer.bin(BinaryOp::Or, above, below)?;
        let zero = vm.tracer.float(0.0)?;
        let out = vm.tracer.push(Op::Where, &[outside, moved, zero]);
        keeping(&mut vm.tracer, out, &[x])
    }),
    f!("torch.nn.functional.threshold", "input threshold value inplace?", |vm, a| {
        let (bound, value) = (a.float_or(vm, "threshold", 0.0)?, a.float_or(vm, "value", 0.0)?);
        changed(vm, a, |vm, x| keep_where(&mut vm.tracer, x, BinaryOp::Gt, bound, value))
    }),
    f!("torch.threshold", "input threshold value", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let (bound, value) = (a.float_or(vm, "threshold", 0.0)?, a.float_or(vm, "value", 0.0)?);
        let out = keep_where(&mut vm.tracer, x, BinaryOp::Gt, bound, value);
        keeping(&mut vm.tracer, out, &[x])
    }),
    f!("torch.nn.functional.group_norm", "input num_groups weight? bias? eps?", group_norm),
    f!("torch.group_norm", "input num_groups weight? bias? eps? cudnn_enabled?", group_norm),
    f!("torch.nn.functional.pairwise_distance torch.pairwise_distance", "x1 x2 p? eps? keepdim?", |vm, a| {
        let (x, y) = (a.tensor(vm, "x1")?, a.tensor(vm, "x2")?);
        let (p, eps) = (a.float_or(vm, "p", 2.0)?, a.float_or(vm, "eps", 1e-6)?);
        let keepdim = a.bool(vm, "keepdim", false)?;
        let gap = difference(&mut vm.tracer, x, y)?;
        let eps = vm.tracer.float(eps)?;
        let gap = vm.tracer.bin(BinaryOp::Add, gap, eps)?;
        let last = vm.tracer.rank(gap).saturating_sub(1);
        vm.tracer
            .push(Op::Reduce { op: ReduceOp::Norm { p }, dims: vec![last], keepdim }, &[gap])
            .map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.diff Tensor.diff", "input n? dim?", diff),
    f!("torch.std_mean", "input dim? unbiased? keepdim? | correction?", |vm, a| spread_and_mean(vm, a, true)),
    f!("torch.var_mean", "input dim? unbiased? keepdim? | correction?", |vm, a| spread_and_mean(vm, a, false)),
    f!("torch.aminmax Tensor.aminmax", "input | dim? keepdim?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let rank = vm.tracer.rank(x);
        let dims = a.axes(vm, "dim", rank)?.unwrap_or_else(|| (0..rank).collect());
        let keepdim = a.bool(vm, "keepdim", false)?;
        let low = vm.tracer.reduce(ReduceOp::Amin, x, dims.clone(), keepdim)?;
        let high = vm.tracer.reduce(ReduceOp::Amax, x, dims, keepdim)?;
        let items = vec![vm.tracer.tensor_value(low), vm.tracer.tensor_value(high)];
        Ok(Value::Named(Rc::new((super::ENDS, items))))
    }),
    f!("torch.matrix_power torch.linalg.matrix_power Tensor.matrix_power", "input n", matrix_power),
    f!("torch.tensordot", "a b dims?", tensordot),
    f!("torch.inner Tensor.inner", "input other", |vm, a| {
        let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
        let rank = vm.tracer.rank(y);
        if rank < 2 || vm.tracer.shape(x).is_empty() {
            let out = if rank == 0 || vm.tracer.shape(x).is_empty() {
                vm.tracer.bin(BinaryOp::Mul, x, y)
            } else {
                vm.tracer.push(Op::MatMul, &[x, y])
            };
            return out.map(|id| vm.tracer.tensor_value(id));
        }
        let (first, second): (String, String) = {
            let mut letters = 'a'..='y';
            let own: String = letters.by_ref().take(vm.tracer.rank(x) - 1).collect();
            (own, letters.take(rank - 1).collect())
        };
        let out = vm.tracer.push(Op::Einsum(format!("{first}z,{second}z->{first}{second}")), &[x, y])?;
        let out = vm.tracer.plain(out);
        Ok(vm.tracer.tensor_value(out))
    }),
    f!("torch.linalg.multi_dot torch.chain_matmul", "tensors", |vm, a| {
        let mut product: Option<NodeId> = None;
        for item in a.listed(vm, "tensors")? {
            let Value::Tensor(t) = item else { return vm.type_fault("multi_dot() takes tensors") };
            let id = vm.tracer.node(&t)?;
            product = Some(match product {
                None => id,
                Some(so_far) => vm.tracer.push(Op::MatMul, &[so_far, id])?,
            });
        }
        match product {
            Some(id) => Ok(vm.tracer.tensor_value(id)),
            None => vm.value_fault("multi_dot() of nothing"),
        }
    }),
    f!("torch.trace Tensor.trace", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        if vm.tracer.rank(x) != 2 {
            return vm.refuse(Rule::ShapeAxis, "trace() needs a matrix; use diagonal(dim1=-2, dim2=-1).sum(-1)");
        }
        let x = vm.tracer.push(Op::Diagonal { offset: 0, dim1: 0, dim2: 1 }, &[x])?;
        vm.tracer
            .push(Op::Reduce { op: ReduceOp::Sum, dims: vec![0], keepdim: false }, &[x])
            .map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.index_add Tensor.index_add", "input dim index source | alpha?", index_add),
    f!("torch.kthvalue Tensor.kthvalue", "input k dim? keepdim?", kth),
    f!("torch.vstack torch.row_stack", "tensors", |vm, a| joined(vm, a, false)),
    f!("torch.hstack", "tensors", |vm, a| joined(vm, a, true)),
    f!("torch.nansum Tensor.nansum", "input dim? keepdim? | dtype?", |vm, a| {
        let mut x = super::reduce::typed(vm, a)?;
        let given = x;
        if vm.tracer.dtype(x) == DType::Float {
            let (zero, broken) = (vm.tracer.float(0.0)?, vm.tracer.un(UnaryOp::IsNan, x)?);
            x = vm.tracer.push(Op::Where, &[broken, zero, x])?;
        }
        let rank = vm.tracer.rank(x);
        let dims = a.axes(vm, "dim", rank)?.unwrap_or_else(|| (0..rank).collect());
        let keepdim = a.bool(vm, "keepdim", false)?;
        let out = vm.tracer.reduce(ReduceOp::Sum, x, dims, keepdim);
        keeping(&mut vm.tracer, out, &[given])
    }),
    f!("torch.isclose Tensor.isclose", "input other rtol? atol?", |vm, a| {
        let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
        let (rtol, atol) = (a.float_or(vm, "rtol", 1e-5)?, a.float_or(vm, "atol", 1e-8)?);
        let gap = difference(&mut vm.tracer, x, y)?;
        let (gap, size) = (vm.tracer.un(UnaryOp::Abs, gap)?, vm.tracer.un(UnaryOp::Abs, y)?);
        let (rtol, atol) = (vm.tracer.float(rtol)?, vm.tracer.float(atol)?);
        let slack = vm.tracer.bin(BinaryOp::Mul, size, rtol)?;
        let slack = vm.tracer.bin(BinaryOp::Add, slack, atol)?;
        vm.tracer.bin(BinaryOp::Le, gap, slack).map(|id| vm.tracer.tensor_value(id))
    }),
];
