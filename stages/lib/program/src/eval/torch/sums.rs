//! Sums of products, distances and areas.

use super::*;
use crate::rules::Rule;

fn sum(tracer: &mut Tracer, x: NodeId, dim: usize, keepdim: bool) -> R<NodeId> {
    tracer.push(Op::Reduce { op: ReduceOp::Sum, dims: vec![dim], keepdim }, &[x])
}

/// Two tensors, broadcast against each other.
fn spread(tracer: &mut Tracer, x: NodeId, y: NodeId) -> R<(NodeId, NodeId)> {
    let to = match graph::broadcast(tracer.shape(x), tracer.shape(y)) {
        Ok(to) => to,
        Err(e) => return Err(tracer.run.op_fault(Rule::ShapeBroadcast, &e)),
    };
    let mut expand = |id: NodeId| {
        let dtype = tracer.dtype(id);
        tracer.push_as(Op::Expand, &[id], to.clone(), dtype)
    };
    Ok((expand(x)?, expand(y)?))
}

/// The vector product along an axis of three elements: `torch.cross` takes the first such one where none is named.
fn cross(vm: &mut Interp, a: &Args, last: bool) -> R<Value> {
    let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
    if vm.tracer.rank(x) != vm.tracer.rank(y) {
        return vm.refuse(Rule::ShapeOp, "cross() needs two tensors with as many axes");
    }
    let given = [x, y];
    let (x, y) = spread(&mut vm.tracer, x, y)?;
    let shape = vm.tracer.shape(x).clone();
    let dim = if last || a.some("dim").is_some() {
        a.axis_or(vm, "dim", -1, shape.len())?
    } else {
        match shape.iter().position(|size| size.as_known().is_none_or(|known| known == 3)) {
            Some(at) => at,
            None => return vm.refuse(Rule::ShapeOp, "cross() needs an axis of 3"),
        }
    };
    let size = shape.get(dim).cloned().unwrap_or_default();
    if size.as_known() != Some(3) {
        let text = format!("cross() works along an axis of 3 elements, not {size}; name one with dim=");
        return vm.refuse(Rule::ShapeOp, text);
    }
    let mut roll = |id: NodeId, shift: i64| vm.tracer.push(Op::Roll { shift, dim }, &[id]);
    let (x1, y2, x2, y1) = (roll(x, -1)?, roll(y, -2)?, roll(x, -2)?, roll(y, -1)?);
    let (up, down) = (vm.tracer.bin(BinaryOp::Mul, x1, y2)?, vm.tracer.bin(BinaryOp::Mul, x2, y1)?);
    let out = vm.tracer.bin(BinaryOp::Sub, up, down);
    keeping(&mut vm.tracer, out, &given)
}

/// Both sides of each step along an axis, added.
fn steps(tracer: &mut Tracer, y: NodeId, dim: usize) -> R<NodeId> {
    let (later, earlier) = super::composed::neighbours(tracer, y, dim)?;
    tracer.bin(BinaryOp::Add, later, earlier)
}

/// The areas under each step of `y`, at `x` or `dx` apart.
fn areas(vm: &mut Interp, a: &Args) -> R<(NodeId, usize)> {
    let y = a.tensor(vm, "y")?;
    if vm.tracer.dtype(y) == DType::Bool {
        return vm.refuse(Rule::ShapeDtype, format!("{}() takes no bools", a.function()));
    }
    let rank = vm.tracer.rank(y);
    let dim = a.axis_or(vm, "dim", -1, rank)?;
    let both = steps(&mut vm.tracer, y, dim)?;
    if a.some("x").is_none() {
        let half = vm.tracer.float(0.5 * a.float_or(vm, "dx", 1.0)?)?;
        return Ok((vm.tracer.bin(BinaryOp::Mul, both, half)?, dim));
    }
    let mut x = a.tensor(vm, "x")?;
    if a.some("dx").is_some() {
        return vm.type_fault(format!("{}() takes x or dx, not both", a.function()));
    }
    if vm.tracer.rank(x) == 1 {
        let count = vm.tracer.shape(x).first().cloned().unwrap_or_default();
        let own = (0..rank).map(|at| if at == dim { count.clone() } else { Dim::known(1) }).collect();
        x = vm.tracer.reshaped(x, own)?;
    } else if vm.tracer.rank(x) != rank {
        return vm.refuse(Rule::ShapeOp, format!("{}() needs x of one axis or of as many as y", a.function()));
    }
    if vm.tracer.shape(x).get(dim) != vm.tracer.shape(y).get(dim) {
        return vm.refuse(Rule::ShapeOp, format!("{}() needs a place x for each y", a.function()));
    }
    let (later, earlier) = super::composed::neighbours(&mut vm.tracer, x, dim)?;
    let gap = vm.tracer.bin(BinaryOp::Sub, later, earlier)?;
    let (area, half) = (vm.tracer.bin(BinaryOp::Mul, gap, both)?, vm.tracer.float(0.5)?);
    Ok((vm.tracer.bin(BinaryOp::Mul, area, half)?, dim))
}

/// `beta * input + alpha * product`, without the input where beta is 0.
pub(super) fn added(vm: &mut Interp, a: &Args, mut product: NodeId) -> R<Value> {
    let (beta, alpha) = (a.float_or(vm, "beta", 1.0)?, a.float_or(vm, "alpha", 1.0)?);
    let input = a.tensor(vm, "input")?;
    if alpha != 1.0 {
        let alpha = a.operand(vm, "alpha")?;
        product = vm.tracer.bin(BinaryOp::Mul, product, alpha)?;
    }
    if beta == 0.0 {
        return Ok(vm.tracer.tensor_value(product));
    }
    let mut added = input;
    if beta != 1.0 {
        let beta = a.operand(vm, "beta")?;
        added = vm.tracer.bin(BinaryOp::Mul, added, beta)?;
    }
    vm.tracer.bin(BinaryOp::Add, added, product).map(|id| vm.tracer.tensor_value(id))
}

/// The product of two arguments, which have this many axes.
fn product(vm: &mut Interp, a: &Args, names: [&str; 2], ranks: [usize; 2]) -> R<NodeId> {
    let (x, y) = (a.tensor(vm, names[0])?, a.tensor(vm, names[1])?);
    let found = [vm.tracer.rank(x), vm.tracer.rank(y)];
    if found != ranks {
        let text = format!("{}() takes tensors of {} and {} axes", a.function(), ranks[0], ranks[1]);
        return vm.refuse(Rule::ShapeMatmul, text);
    }
    match ranks {
        [1, 1] => {
            let column = vm.tracer.unsqueeze(x, 1)?;
            let out = vm.tracer.bin(BinaryOp::Mul, column, y)?;
            vm.tracer.tape.keep_arg(out, x);
            Ok(out)
        }
        [3, 3] => {
            if vm.tracer.shape(x).first() != vm.tracer.shape(y).first() {
                return vm.refuse(Rule::ShapeMatmul, format!("{}() needs as many matrices twice", a.function()));
            }
            let each = vm.tracer.push(Op::MatMul, &[x, y])?;
            sum(&mut vm.tracer, each, 0, false)
        }
        _ => vm.tracer.push(Op::MatMul, &[x, y]),
    }
}

pub static TABLE: &[Native] = &[
    f!("torch.cross Tensor.cross", "input other dim?", |vm, a| cross(vm, a, false)),
    f!("torch.linalg.cross", "input other | dim?", |vm, a| cross(vm, a, true)),
    f!("torch.linalg.vecdot", "x y | dim?", |vm, a| {
        let (x, y) = (a.tensor(vm, "x")?, a.tensor(vm, "y")?);
        needs_float(&vm.tracer, a, &[x])?;
        needs_float(&vm.tracer, a, &[y])?;
        let product = vm.tracer.bin(BinaryOp::Mul, x, y)?;
        let dim = a.axis_or(vm, "dim", -1, vm.tracer.rank(product))?;
        sum(&mut vm.tracer, product, dim, false).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.dist Tensor.dist", "input other p?", |vm, a| {
        let (x, y) = (a.tensor(vm, "input")?, a.tensor(vm, "other")?);
        let p = a.float_or(vm, "p", 2.0)?;
        let gap = vm.tracer.bin(BinaryOp::Sub, x, y)?;
        let dims = (0..vm.tracer.rank(gap)).collect();
        let out = vm.tracer.reduce(ReduceOp::Norm { p }, gap, dims, false);
        keeping(&mut vm.tracer, out, &[x, y])
    }),
    f!("torch.nanmean Tensor.nanmean", "input dim? keepdim? | dtype?", |vm, a| {
        let x = super::reduce::typed(vm, a)?;
        needs_float(&vm.tracer, a, &[x])?;
        let given = x;
        let (zero, broken) = (vm.tracer.float(0.0)?, vm.tracer.un(UnaryOp::IsNan, x)?);
        let (x, there) = (vm.tracer.push(Op::Where, &[broken, zero, x])?, vm.tracer.un(UnaryOp::LogicalNot, broken)?);
        let there = vm.tracer.cast(there, DType::Int)?;
        let rank = vm.tracer.rank(x);
        let dims = a.axes(vm, "dim", rank)?.unwrap_or_else(|| (0..rank).collect());
        let keepdim = a.bool(vm, "keepdim", false)?;
        let sum = vm.tracer.reduce(ReduceOp::Sum, x, dims.clone(), keepdim)?;
        let count = vm.tracer.reduce(ReduceOp::Sum, there, dims, keepdim)?;
        let out = vm.tracer.bin(BinaryOp::Div, sum, count);
        keeping(&mut vm.tracer, out, &[given])
    }),
    f!("torch.trapezoid torch.trapz", "y x? | dx? dim?", |vm, a| {
        let (areas, dim) = areas(vm, a)?;
        sum(&mut vm.tracer, areas, dim, false).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.cumulative_trapezoid", "y x? | dx? dim?", |vm, a| {
        let (areas, dim) = areas(vm, a)?;
        vm.tracer.push(Op::CumSum { dim }, &[areas]).map(|id| vm.tracer.tensor_value(id))
    }),
    f!("torch.addr Tensor.addr", "input vec1 vec2 | beta? alpha?", |vm, a| {
        let product = product(vm, a, ["vec1", "vec2"], [1, 1])?;
        added(vm, a, product)
    }),
    f!("torch.addmv Tensor.addmv", "input mat vec | beta? alpha?", |vm, a| {
        let product = product(vm, a, ["mat", "vec"], [2, 1])?;
        added(vm, a, product)
    }),
    f!("torch.addbmm Tensor.addbmm", "input batch1 batch2 | beta? alpha?", |vm, a| {
        let product = product(vm, a, ["batch1", "batch2"], [3, 3])?;
        added(vm, a, product)
    }),
];
