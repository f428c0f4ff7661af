//! Functions that are made of others.

use super::*;

/// `x - y`.
fn difference(vm: &mut Interp, x: NodeId, y: NodeId) -> R<NodeId> {
    vm.bin(BinaryOp::Sub, x, y)
}

/// `where(condition(x, bound), x, value)`.
fn keep_where(vm: &mut Interp, x: NodeId, op: BinaryOp, bound: f64, value: f64) -> R<NodeId> {
    let (bound, value) = (vm.float(bound)?, vm.float(value)?);
    let keep = vm.bin(op, x, bound)?;
    vm.push(Op::Where, &[keep, x, value])
}

fn square_root_of_one_minus_square(vm: &mut Interp, x: NodeId) -> R<NodeId> {
    let square = vm.un(UnaryOp::Square, x)?;
    let one = vm.float(1.0)?;
    let rest = vm.bin(BinaryOp::Sub, one, square)?;
    vm.un(UnaryOp::Sqrt, rest)
}

/// `x` along `dim`, without its first and without its last element.
pub(super) fn neighbours(vm: &mut Interp, x: NodeId, dim: usize) -> R<(NodeId, NodeId)> {
    let size = vm.graph.shape(x).get(dim).cloned().unwrap_or_default();
    let (zero, one) = (Dim::known(0), Dim::known(1));
    let later = vm.push(Op::Slice { dim, start: one.clone(), end: size.clone(), step: 1 }, &[x])?;
    let earlier = vm.push(Op::Slice { dim, start: zero, end: size - one, step: 1 }, &[x])?;
    Ok((later, earlier))
}

/// The negative of what is below 0: as the absolute value, but for the sign of -0 and the gradient at 0.
fn size_of(vm: &mut Interp, x: NodeId) -> R<(NodeId, NodeId)> {
    let zero = vm.float(0.0)?;
    let (below, other) = (vm.bin(BinaryOp::Lt, x, zero)?, vm.un(UnaryOp::Neg, x)?);
    Ok((below, vm.push(Op::Where, &[below, other, x])?))
}

/// The remainder with the sign of the dividend, also where it is 0.
fn fmod(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y) = (a.tensor(vm, "input")?, a.operand(vm, "other")?);
    if vm.graph.dtype(x).max(vm.graph.dtype(y)) != DType::Float {
        let (size, by) = (vm.un(UnaryOp::Abs, x)?, vm.un(UnaryOp::Abs, y)?);
        let rest = vm.bin(BinaryOp::Remainder, size, by)?;
        let sign = vm.un(UnaryOp::Sign, x)?;
        let out = vm.bin(BinaryOp::Mul, sign, rest);
        return done(vm, out);
    }
    let ((below, size), (_, by)) = (size_of(vm, x)?, size_of(vm, y)?);
    let rest = vm.bin(BinaryOp::Remainder, size, by)?;
    let other = vm.un(UnaryOp::Neg, rest)?;
    let out = vm.push(Op::Where, &[below, other, rest]);
    if vm.has_gradient(y) { keeping(vm, out, &[x, y]) } else { done(vm, out) }
}

fn diff(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut x = a.tensor(vm, "input")?;
    let dim = a.axis_or(vm, "dim", -1, vm.graph.shape(x).len())?;
    for _ in 0..a.int_or(vm, "n", 1)?.clamp(0, 16) {
        let (later, earlier) = neighbours(vm, x, dim)?;
        x = difference(vm, later, earlier)?;
    }
    Ok(vm.tensor_value(x))
}

/// `std_mean` and `var_mean`.
fn spread_and_mean(vm: &mut Interp, a: &Args, std: bool) -> R<Value> {
    let spread = super::reduce::spread(vm, a, std)?;
    let id = a.tensor(vm, "input")?;
    let rank = vm.graph.shape(id).len();
    let dims = match a.some("dim") {
        Some(Value::Bool(_)) => None,
        _ => a.axes(vm, "dim", rank)?,
    };
    let keepdim = a.bool(vm, "keepdim", false)?;
    let mean = vm.reduce(ReduceOp::Mean, id, dims.unwrap_or_else(|| (0..rank).collect()), keepdim)?;
    Ok(Value::tuple(vec![spread, vm.tensor_value(mean)]))
}

fn matrix_power(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let n = a.int(vm, "n")?;
    let shape = vm.graph.shape(x).clone();
    let (Some(columns), Some(rows)) = (shape.last(), shape.iter().rev().nth(1)) else {
        return vm.refuse("E-SHAPE-MATMUL", "matrix_power() needs matrices");
    };
    if rows != columns {
        return vm
            .refuse("E-SHAPE-MATMUL", format!("matrix_power() needs square matrices, not {}", graph::display(&shape)));
    }
    if !(0..=64).contains(&n) {
        return vm.refuse("E-UNSUPPORTED-OP", "matrix_power() is supported for exponents from 0 to 64");
    }
    if n == 0 {
        let eye = vm.push_as(Op::Eye, &[], vec![rows.clone(), columns.clone()], vm.graph.dtype(x))?;
        let dtype = vm.graph.dtype(x);
        let out = vm.push_as(Op::Expand, &[eye], shape, dtype);
        return done(vm, out);
    }
    let (mut power, mut rest, mut out) = (x, n, None);
    loop {
        if rest % 2 == 1 {
            out = Some(match out {
                None => power,
                Some(so_far) => vm.push(Op::MatMul, &[so_far, power])?,
            });
        }
        rest /= 2;
        if rest == 0 {
            break;
        }
        power = vm.push(Op::MatMul, &[power, power])?;
    }
    Ok(vm.tensor_value(out.unwrap_or(power)))
}

fn tensordot(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, y) = (a.tensor(vm, "a")?, a.tensor(vm, "b")?);
    let (rx, ry) = (vm.graph.shape(x).len(), vm.graph.shape(y).len());
    let axes = |vm: &mut Interp, v: &Value, rank: usize| -> R<Vec<usize>> {
        let items = match v {
            Value::Int(_) => vec![v.clone()],
            _ => vm.items(v)?,
        };
        let one = |i: &Value| match i {
            Value::Int(i) => vm.axis(*i, rank, "tensordot"),
            other => vm.type_fault(format!("axes are integers, not {}", other.type_name())),
        };
        items.iter().map(one).collect()
    };
    let (dx, dy): (Vec<usize>, Vec<usize>) = match a.get("dims").cloned().unwrap_or(Value::Int(2)) {
        Value::Int(n) => {
            let n = usize::try_from(n).unwrap_or(0);
            if n > rx || n > ry {
                return vm.refuse("E-SHAPE-EINSUM", "tensordot: there are fewer axes than that");
            }
            ((rx - n..rx).collect(), (0..n).collect())
        }
        pair => match vm.items(&pair)?.as_slice() {
            [p, q] => (axes(vm, p, rx)?, axes(vm, q, ry)?),
            _ => return vm.type_fault("tensordot: dims is a number or a pair of lists"),
        },
    };
    if dx.len() != dy.len() || rx + ry > 26 {
        return vm.refuse("E-SHAPE-EINSUM", "tensordot: both tensors need the same number of summed axes");
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
    let id = vm.push(Op::Einsum(equation), &[x, y])?;
    let id = vm.plain(id);
    Ok(vm.tensor_value(id))
}

/// `x.index_add(dim, index, source)`: rows of `source` added to those of `x` that `index` names.
fn index_add(vm: &mut Interp, a: &Args) -> R<Value> {
    let (x, index, source) = (a.tensor(vm, "input")?, a.tensor(vm, "index")?, a.operand(vm, "source")?);
    let shape = vm.graph.shape(source).clone();
    let dim = a.axis(vm, "dim", vm.graph.shape(x).len())?;
    let mut source = source;
    if a.some("alpha").is_some() {
        let alpha = a.operand(vm, "alpha")?;
        source = vm.bin(BinaryOp::Mul, source, alpha)?;
    }
    if vm.graph.shape(index).len() != 1 || vm.graph.shape(index).first() != shape.get(dim) {
        return vm.refuse("E-SHAPE-GATHER", "index_add needs one index for each row of the source");
    }
    let own = shape.iter().enumerate().map(|(i, d)| if i == dim { d.clone() } else { Dim::known(1) });
    let index = vm.push_as(Op::Reshape, &[index], own.collect(), DType::Int)?;
    let index = vm.push_as(Op::Expand, &[index], shape, DType::Int)?;
    let out = vm.push(Op::ScatterAdd { dim }, &[x, index, source]);
    done(vm, out)
}

/// Values along an axis with the place of the first element that has each.
fn with_places(vm: &mut Interp, x: NodeId, values: NodeId, dim: usize, keepdim: bool) -> R<Value> {
    let equal = vm.bin(BinaryOp::Eq, x, values)?;
    let equal = vm.cast(equal, DType::Int)?;
    let places = vm.push(Op::Reduce { op: ReduceOp::ArgMax, dims: vec![dim], keepdim }, &[equal])?;
    let values = if keepdim { values } else { vm.push(Op::Select { dim, index: Dim::known(0) }, &[values])? };
    super::reduce::pair(vm, values, places)
}

pub(super) fn median(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let dim = a.axis(vm, "dim", vm.graph.shape(x).len())?;
    let keepdim = a.bool(vm, "keepdim", false)?;
    let values = vm.push(Op::Reduce { op: ReduceOp::Median, dims: vec![dim], keepdim: true }, &[x])?;
    with_places(vm, x, values, dim, keepdim)
}

fn kth(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    if vm.graph.dtype(x) == DType::Bool {
        return vm.refuse("E-SHAPE-DTYPE", "kthvalue() takes no bools");
    }
    let dim = a.axis_or(vm, "dim", -1, vm.graph.shape(x).len())?;
    let k = a.dim(vm, "k")?;
    let keepdim = a.bool(vm, "keepdim", false)?;
    let (start, end) = (k.clone() - Dim::known(1), k);
    let mut pair_of = Vec::new();
    for op in [Op::Sort { dim, descending: false }, Op::ArgSort { dim, descending: false }] {
        let sorted = vm.push(op, &[x])?;
        let mut one = vm.push(Op::Slice { dim, start: start.clone(), end: end.clone(), step: 1 }, &[sorted])?;
        if !keepdim {
            one = vm.push(Op::Select { dim, index: Dim::known(0) }, &[one])?;
        }
        pair_of.push(one);
    }
    match pair_of.as_slice() {
        [values, places] => super::reduce::pair(vm, *values, *places),
        _ => vm.type_fault("a pair is needed"),
    }
}

/// Joined along the axis that numpy's `vstack` and `hstack` join along.
fn joined(vm: &mut Interp, a: &Args, horizontal: bool) -> R<Value> {
    let items = vm.items(&a.value("tensors"))?;
    let mut ids = Vec::new();
    for item in &items {
        let Value::Tensor(t) = item else { return vm.type_fault("tensors are needed") };
        let mut id = vm.node(t)?;
        if vm.graph.shape(id).is_empty() {
            id = vm.unsqueeze(id, 0)?;
        }
        if !horizontal && vm.graph.shape(id).len() == 1 {
            id = vm.unsqueeze(id, 0)?;
        }
        ids.push(id);
    }
    let Some(first) = ids.first() else { return vm.value_fault("there is nothing to join") };
    let dim = usize::from(horizontal && vm.graph.shape(*first).len() > 1);
    let ids = super::pieces::same_type(vm, ids)?;
    let out = vm.push(Op::Cat { dim }, &ids);
    done(vm, out)
}

fn group_norm(vm: &mut Interp, a: &Args) -> R<Value> {
    let x = a.tensor(vm, "input")?;
    let groups = a.size(vm, "num_groups")?;
    let weight = if a.some("weight").is_some() { Some(a.tensor(vm, "weight")?) } else { None };
    let bias = if a.some("bias").is_some() { Some(a.tensor(vm, "bias")?) } else { None };
    let eps = a.float_or(vm, "eps", 1e-5)?;
    let out = super::super::nn::grouped(vm, x, groups, weight, bias, eps);
    done(vm, out)
}

pub static TABLE: &[Native] = &[
    f!("torch.exp2 torch.special.exp2 Tensor.exp2", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let two = vm.float(2.0)?;
        let out = vm.bin(BinaryOp::Pow, two, x);
        done(vm, out)
    }),
    f!("torch.frac Tensor.frac", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        needs_float(vm, a, &[x])?;
        let whole = vm.un(UnaryOp::Trunc, x)?;
        let out = vm.bin(BinaryOp::Sub, x, whole);
        done(vm, out)
    }),
    f!("torch.asin torch.arcsin Tensor.asin Tensor.arcsin", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let y = square_root_of_one_minus_square(vm, x)?;
        let out = vm.bin(BinaryOp::Atan2, x, y);
        done(vm, out)
    }),
    f!("torch.acos torch.arccos Tensor.acos Tensor.arccos", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let y = square_root_of_one_minus_square(vm, x)?;
        let out = vm.bin(BinaryOp::Atan2, y, x);
        done(vm, out)
    }),
    f!("torch.asinh torch.arcsinh Tensor.asinh Tensor.arcsinh", "input", |vm, a| {
        // of the absolute value, which loses no digits, and odd
        let x = a.tensor(vm, "input")?;
        let one = vm.float(1.0)?;
        let (below, size) = size_of(vm, x)?;
        let square = vm.un(UnaryOp::Square, size)?;
        let root = vm.bin(BinaryOp::Add, square, one)?;
        let root = vm.un(UnaryOp::Sqrt, root)?;
        let root = vm.bin(BinaryOp::Add, root, one)?;
        // a product, which leaves -0 its sign
        let more = vm.bin(BinaryOp::Div, size, root)?;
        let more = vm.bin(BinaryOp::Add, more, one)?;
        let product = vm.bin(BinaryOp::Mul, size, more)?;
        let y = vm.un(UnaryOp::Log1p, product)?;
        let other = vm.un(UnaryOp::Neg, y)?;
        let out = vm.push(Op::Where, &[below, other, y]);
        keeping(vm, out, &[x])
    }),
    f!("torch.acosh torch.arccosh Tensor.acosh Tensor.arccosh", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let one = vm.float(1.0)?;
        let (below, above) = (vm.bin(BinaryOp::Sub, x, one)?, vm.bin(BinaryOp::Add, x, one)?);
        let product = vm.bin(BinaryOp::Mul, below, above)?;
        let root = vm.un(UnaryOp::Sqrt, product)?;
        let sum = vm.bin(BinaryOp::Add, x, root)?;
        let out = vm.un(UnaryOp::Log, sum);
        keeping(vm, out, &[x])
    }),
    f!("torch.atanh torch.arctanh Tensor.atanh Tensor.arctanh", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let other = vm.un(UnaryOp::Neg, x)?;
        let (up, down) = (vm.un(UnaryOp::Log1p, x)?, vm.un(UnaryOp::Log1p, other)?);
        let (gap, half) = (vm.bin(BinaryOp::Sub, up, down)?, vm.float(0.5)?);
        let out = vm.bin(BinaryOp::Mul, gap, half);
        done(vm, out)
    }),
    f!("torch.fmod Tensor.fmod", "input other", fmod),
    f!("torch.hypot Tensor.hypot", "input other", |vm, a| {
        let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
        needs_float(vm, a, &[x, y])?;
        let (x, y) = (vm.un(UnaryOp::Square, x)?, vm.un(UnaryOp::Square, y)?);
        let sum = vm.bin(BinaryOp::Add, x, y)?;
        let out = vm.un(UnaryOp::Sqrt, sum);
        done(vm, out)
    }),
    f!("torch.heaviside Tensor.heaviside", "input values", |vm, a| {
        let (x, at_zero) = (a.tensor(vm, "input")?, a.tensor(vm, "values")?);
        let dtype = vm.graph.dtype(x);
        if vm.graph.dtype(at_zero) != dtype {
            return vm.refuse("E-SHAPE-DTYPE", "heaviside() takes two tensors of one type");
        }
        let (zero, one) = (vm.scalar(0.0, dtype)?, vm.scalar(1.0, dtype)?);
        let (above, equal) = (vm.bin(BinaryOp::Gt, x, zero)?, vm.bin(BinaryOp::Eq, x, zero)?);
        let step = vm.push(Op::Where, &[above, one, zero])?;
        let out = vm.push(Op::Where, &[equal, at_zero, step])?;
        if vm.has_gradient(x) || vm.has_gradient(at_zero) {
            // torch has no derivative for it: the choice that is never made marks that a gradient would pass
            let never = vm.scalar(0.0, DType::Bool)?;
            let out = vm.push(Op::Where, &[never, x, out])?;
            vm.undifferentiable.push(out);
            return Ok(vm.tensor_value(out));
        }
        done(vm, Ok(out))
    }),
    f!("torch.addcdiv Tensor.addcdiv", "input tensor1 tensor2 | value?", |vm, a| {
        let parts = [a.tensor(vm, "tensor1")?, a.tensor(vm, "tensor2")?];
        needs_float(vm, a, &parts)?;
        let quotient = vm.binary_tensor(&a.value("tensor1"), BinOp::Div, &a.value("tensor2"))?;
        let quotient = vm.binary(&quotient, BinOp::Mul, &Value::Float(a.float_or(vm, "value", 1.0)?))?;
        vm.binary_tensor(&a.value("input"), BinOp::Add, &quotient)
    }),
    f!("torch.nn.functional.hardshrink torch.hardshrink Tensor.hardshrink", "input lambd?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        needs_float(vm, a, &[x])?;
        let lambd = a.float_or(vm, "lambd", 0.5)?;
        let size = vm.un(UnaryOp::Abs, x)?;
        let (bound, zero) = (vm.float(lambd)?, vm.float(0.0)?);
        let keep = vm.bin(BinaryOp::Gt, size, bound)?;
        let out = vm.push(Op::Where, &[keep, x, zero]);
        keeping(vm, out, &[x])
    }),
    f!("torch.nn.functional.softshrink", "input lambd?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        needs_float(vm, a, &[x])?;
        let lambd = a.float_or(vm, "lambd", 0.5)?;
        let (up, low) = (vm.float(lambd)?, vm.float(-lambd)?);
        let inner = vm.un(UnaryOp::Clamp { min: -lambd, max: lambd }, x)?;
        // x - lambd above, x + lambd below, 0 between, where no gradient flows
        let moved = vm.bin(BinaryOp::Sub, x, inner)?;
        let (above, below) = (vm.bin(BinaryOp::Gt, x, up)?, vm.bin(BinaryOp::Lt, x, low)?);
        let outside = vm.bin(BinaryOp::Or, above, below)?;
        let zero = vm.float(0.0)?;
        let out = vm.push(Op::Where, &[outside, moved, zero]);
        keeping(vm, out, &[x])
    }),
    f!("torch.nn.functional.threshold", "input threshold value inplace?", |vm, a| {
        let (bound, value) = (a.float_or(vm, "threshold", 0.0)?, a.float_or(vm, "value", 0.0)?);
        changed(vm, a, |vm, x| keep_where(vm, x, BinaryOp::Gt, bound, value))
    }),
    f!("torch.threshold", "input threshold value", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let (bound, value) = (a.float_or(vm, "threshold", 0.0)?, a.float_or(vm, "value", 0.0)?);
        let out = keep_where(vm, x, BinaryOp::Gt, bound, value);
        keeping(vm, out, &[x])
    }),
    f!("torch.nn.functional.group_norm", "input num_groups weight? bias? eps?", group_norm),
    f!("torch.group_norm", "input num_groups weight? bias? eps? cudnn_enabled?", group_norm),
    f!("torch.nn.functional.pairwise_distance torch.pairwise_distance", "x1 x2 p? eps? keepdim?", |vm, a| {
        let (x, y) = (a.tensor(vm, "x1")?, a.tensor(vm, "x2")?);
        let (p, eps) = (a.float_or(vm, "p", 2.0)?, a.float_or(vm, "eps", 1e-6)?);
        let keepdim = a.bool(vm, "keepdim", false)?;
        let gap = difference(vm, x, y)?;
        let eps = vm.float(eps)?;
        let gap = vm.bin(BinaryOp::Add, gap, eps)?;
        let last = vm.graph.shape(gap).len().saturating_sub(1);
        let out = vm.push(Op::Reduce { op: ReduceOp::Norm { p }, dims: vec![last], keepdim }, &[gap]);
        done(vm, out)
    }),
    f!("torch.diff Tensor.diff", "input n? dim?", diff),
    f!("torch.std_mean", "input dim? unbiased? keepdim? | correction?", |vm, a| spread_and_mean(vm, a, true)),
    f!("torch.var_mean", "input dim? unbiased? keepdim? | correction?", |vm, a| spread_and_mean(vm, a, false)),
    f!("torch.aminmax Tensor.aminmax", "input | dim? keepdim?", |vm, a| {
        let x = a.tensor(vm, "input")?;
        let rank = vm.graph.shape(x).len();
        let dims = a.axes(vm, "dim", rank)?.unwrap_or_else(|| (0..rank).collect());
        let keepdim = a.bool(vm, "keepdim", false)?;
        let low = vm.reduce(ReduceOp::Amin, x, dims.clone(), keepdim)?;
        let high = vm.reduce(ReduceOp::Amax, x, dims, keepdim)?;
        let items = vec![vm.tensor_value(low), vm.tensor_value(high)];
        Ok(Value::Named(Rc::new((super::ENDS, items))))
    }),
    f!("torch.matrix_power torch.linalg.matrix_power Tensor.matrix_power", "input n", matrix_power),
    f!("torch.tensordot", "a b dims?", tensordot),
    f!("torch.inner Tensor.inner", "input other", |vm, a| {
        let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
        let rank = vm.graph.shape(y).len();
        if rank < 2 || vm.graph.shape(x).is_empty() {
            let out = if rank == 0 || vm.graph.shape(x).is_empty() {
                vm.bin(BinaryOp::Mul, x, y)
            } else {
                vm.push(Op::MatMul, &[x, y])
            };
            return done(vm, out);
        }
        let (first, second): (String, String) = {
            let mut letters = 'a'..='y';
            let own: String = letters.by_ref().take(vm.graph.shape(x).len() - 1).collect();
            (own, letters.take(rank - 1).collect())
        };
        let out = vm.push(Op::Einsum(format!("{first}z,{second}z->{first}{second}")), &[x, y])?;
        let out = vm.plain(out);
        Ok(vm.tensor_value(out))
    }),
    f!("torch.linalg.multi_dot torch.chain_matmul", "tensors", |vm, a| {
        let mut product: Option<NodeId> = None;
        for item in vm.items(&a.value("tensors"))? {
            let Value::Tensor(t) = item else { return vm.type_fault("multi_dot() takes tensors") };
            let id = vm.node(&t)?;
            product = Some(match product {
                None => id,
                Some(so_far) => vm.push(Op::MatMul, &[so_far, id])?,
            });
        }
        match product {
            Some(id) => Ok(vm.tensor_value(id)),
            None => vm.value_fault("multi_dot() of nothing"),
        }
    }),
    f!("torch.trace Tensor.trace", "input", |vm, a| {
        let x = a.tensor(vm, "input")?;
        if vm.graph.shape(x).len() != 2 {
            return vm.refuse("E-SHAPE-AXIS", "trace() needs a matrix; use diagonal(dim1=-2, dim2=-1).sum(-1)");
        }
        let x = vm.push(Op::Diagonal { offset: 0, dim1: 0, dim2: 1 }, &[x])?;
        let out = vm.push(Op::Reduce { op: ReduceOp::Sum, dims: vec![0], keepdim: false }, &[x]);
        done(vm, out)
    }),
    f!("torch.index_add Tensor.index_add", "input dim index source | alpha?", index_add),
    f!("torch.kthvalue Tensor.kthvalue", "input k dim? keepdim?", kth),
    f!("torch.vstack torch.row_stack", "tensors", |vm, a| joined(vm, a, false)),
    f!("torch.hstack", "tensors", |vm, a| joined(vm, a, true)),
    f!("torch.nansum Tensor.nansum", "input dim? keepdim? | dtype?", |vm, a| {
        let mut x = super::reduce::typed(vm, a)?;
        let given = x;
        if vm.graph.dtype(x) == DType::Float {
            let (zero, broken) = (vm.float(0.0)?, vm.un(UnaryOp::IsNan, x)?);
            x = vm.push(Op::Where, &[broken, zero, x])?;
        }
        let rank = vm.graph.shape(x).len();
        let dims = a.axes(vm, "dim", rank)?.unwrap_or_else(|| (0..rank).collect());
        let keepdim = a.bool(vm, "keepdim", false)?;
        let out = vm.reduce(ReduceOp::Sum, x, dims, keepdim);
        keeping(vm, out, &[given])
    }),
    f!("torch.isclose Tensor.isclose", "input other rtol? atol?", |vm, a| {
        let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
        let (rtol, atol) = (a.float_or(vm, "rtol", 1e-5)?, a.float_or(vm, "atol", 1e-8)?);
        let gap = difference(vm, x, y)?;
        let (gap, size) = (vm.un(UnaryOp::Abs, gap)?, vm.un(UnaryOp::Abs, y)?);
        let (rtol, atol) = (vm.float(rtol)?, vm.float(atol)?);
        let slack = vm.bin(BinaryOp::Mul, size, rtol)?;
        let slack = vm.bin(BinaryOp::Add, slack, atol)?;
        let out = vm.bin(BinaryOp::Le, gap, slack);
        done(vm, out)
    }),
];
