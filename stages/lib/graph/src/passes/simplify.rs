//! Local identities, applied as nodes are made.
//!
//! * A view of a view is one view; neighbouring slices side by side are one slice; a view that changes nothing is its argument.
//! * Broadcasting commutes with everything that works element by element or along other axes:
//!   `f(expand(x)) = expand(f(x))`. Expansions move towards the outputs, so that work is done on the small tensor, and
//!   disappear where their reader broadcasts anyway. `full(shape, c)` is `expand(c)`.
//! * A linear layer reads the last axis only: `linear(view of outer axes(x)) = view(linear(x))`.
//! * `where(true, x, y) = x`, with comparisons and casts of numbers carried out, so that masks of all ones go.
//! * `x + 0`, `x - 0`, `x * 1`, `x / 1`, `x + -y`, `--x`, `relu(relu(x))`, casts to the own type.

use super::build::Builder;
use crate::dim::{Dim, Shape};
use crate::error::OpError;
use crate::infer::shapes::broadcast;
use crate::op::{BinaryOp, DType, NodeId, Op, ReduceOp, Span, UnaryOp};

/// Beyond, f64 does not hold every integer.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// What the node would be equal to, where an identity applies; made in `b` as far as needed.
pub(super) fn simplified(
    b: &mut Builder,
    op: &Op,
    args: &[NodeId],
    shape: &Shape,
    dtype: DType,
    span: Span,
) -> Result<Option<NodeId>, OpError> {
    match op {
        Op::Full(value) if !shape.is_empty() => {
            let scalar = b.emit_as(Op::Scalar(*value), &[], Vec::new(), dtype, span)?;
            b.expand(scalar, shape.clone(), span).map(Some)
        }
        Op::Full(value) => b.emit_as(Op::Scalar(*value), &[], Vec::new(), dtype, span).map(Some),
        Op::Reshape => reshape(b, args[0], shape, span),
        Op::Permute(perm) => permute(b, perm, args[0], span),
        Op::Expand => expand(b, args[0], shape, span),
        Op::Cast => cast(b, args[0], dtype, span),
        Op::Slice { dim, start, end, step } => slice(b, args[0], (*dim, start, end, *step), shape, span),
        Op::Cat { dim } => cat(b, *dim, args, dtype, span),
        Op::Unary(unary) => one_argument(b, unary, args[0], span),
        Op::Binary(binary) => {
            if let Some(id) = neutral(b, *binary, args, shape, dtype) {
                return Ok(Some(id));
            }
            if let Some(difference) = difference(b, *binary, args, span)? {
                return Ok(Some(difference));
            }
            if let Some(value) = of_numbers(b, *binary, args) {
                let value = b.emit_as(Op::Scalar(value), &[], Vec::new(), dtype, span)?;
                return b.expand(value, shape.clone(), span).map(Some);
            }
            element_wise(b, op, args, shape, span)
        }
        Op::Where => match number(b, args[0]) {
            Some(condition) => {
                let chosen = args[if condition != 0.0 { 1 } else { 2 }];
                let own = b.graph.shape(chosen).clone();
                let chosen = b.emit_as(Op::Cast, &[chosen], own, dtype, span)?;
                b.expand(chosen, shape.clone(), span).map(Some)
            }
            None => element_wise(b, op, args, shape, span),
        },
        Op::Linear { .. } => linear(b, op, args, shape, span),
        Op::Softmax { dim } | Op::LogSoftmax { dim } => along_axes(b, op, args, &[*dim], shape, span),
        Op::LayerNorm { axes, .. } => {
            let dims: Vec<usize> = (shape.len() - axes..shape.len()).collect();
            along_axes(b, op, args, &dims, shape, span)
        }
        Op::Reduce { op: reduce, dims, keepdim } => reduced(b, reduce, dims, *keepdim, args[0], (shape, dtype), span),
        _ => Ok(None),
    }
}

fn argument(b: &Builder, id: NodeId) -> Option<NodeId> {
    b.graph.node(id).args.first().copied()
}

/// What an expansion expands.
fn expanded(b: &Builder, id: NodeId) -> Option<NodeId> {
    if b.graph.node(id).op == Op::Expand { argument(b, id) } else { None }
}

fn reshape(b: &mut Builder, x: NodeId, shape: &Shape, span: Span) -> Result<Option<NodeId>, OpError> {
    if b.graph.shape(x) == shape {
        return Ok(Some(x));
    }
    if b.graph.node(x).op == Op::Reshape
        && let Some(inner) = argument(b, x)
    {
        return b.reshape(inner, shape.clone(), span).map(Some);
    }
    // Axes of size 1 that come or go inside an expansion can do so before it.
    if let Some(inner) = expanded(b, x)
        && let Some(small) = small_view(b.graph.shape(inner), b.graph.shape(x), shape)
    {
        let small = b.reshape(inner, small, span)?;
        return b.expand(small, shape.clone(), span).map(Some);
    }
    Ok(None)
}

/// The shape of `small`, which expands to `wide`, after a view from `wide` to `to` that only moves axes of size 1.
fn small_view(small: &Shape, wide: &Shape, to: &Shape) -> Option<Shape> {
    let padding = wide.len().checked_sub(small.len())?;
    let mut kept = wide
        .iter()
        .enumerate()
        .filter(|(_, dim)| !dim.is_known_one())
        .map(|(axis, dim)| (dim, axis.checked_sub(padding).map_or_else(|| Dim::known(1), |at| small[at].clone())));
    let mut shape = Vec::with_capacity(to.len());
    for dim in to {
        if dim.is_known_one() {
            shape.push(Dim::known(1));
        } else {
            let (wide, small) = kept.next()?;
            if wide != dim {
                return None;
            }
            shape.push(small);
        }
    }
    if kept.next().is_some() { None } else { Some(shape) }
}

fn permute(b: &mut Builder, perm: &[usize], x: NodeId, span: Span) -> Result<Option<NodeId>, OpError> {
    if perm.iter().enumerate().all(|(axis, &from)| axis == from) {
        return Ok(Some(x));
    }
    if let Op::Permute(inner) = &b.graph.node(x).op
        && let Some(source) = argument(b, x)
    {
        let both: Vec<usize> = perm.iter().map(|&axis| inner[axis]).collect();
        return b.emit(Op::Permute(both), &[source], span).map(Some);
    }
    if let Some(inner) = expanded(b, x) {
        let wide = perm.iter().map(|&axis| b.graph.shape(x)[axis].clone()).collect();
        let padded = padded(b, inner, perm.len(), span)?;
        let small = b.emit(Op::Permute(perm.to_vec()), &[padded], span)?;
        return b.expand(small, wide, span).map(Some);
    }
    Ok(None)
}

fn expand(b: &mut Builder, x: NodeId, shape: &Shape, span: Span) -> Result<Option<NodeId>, OpError> {
    if b.graph.shape(x) == shape {
        return Ok(Some(x));
    }
    match expanded(b, x) {
        Some(inner) => b.expand(inner, shape.clone(), span).map(Some),
        None => Ok(None),
    }
}

fn cast(b: &mut Builder, x: NodeId, dtype: DType, span: Span) -> Result<Option<NodeId>, OpError> {
    if b.graph.dtype(x) == dtype {
        return Ok(Some(x));
    }
    if let Some(value) = number(b, x) {
        let value = match dtype {
            DType::Bool => f64::from(u8::from(value != 0.0)),
            DType::Int => value.trunc(),
            DType::Float => value,
        };
        if dtype == DType::Int && (value.is_nan() || value.abs() > WHOLE) {
            return Ok(None);
        }
        let wide = b.graph.shape(x).clone();
        let value = b.emit_as(Op::Scalar(value), &[], Vec::new(), dtype, span)?;
        return b.expand(value, wide, span).map(Some);
    }
    if let Some(inner) = expanded(b, x) {
        let (small, wide) = (b.graph.shape(inner).clone(), b.graph.shape(x).clone());
        let small = b.emit_as(Op::Cast, &[inner], small, dtype, span)?;
        return b.expand(small, wide, span).map(Some);
    }
    Ok(None)
}

fn slice(
    b: &mut Builder,
    x: NodeId,
    (dim, start, end, step): (usize, &Dim, &Dim, usize),
    shape: &Shape,
    span: Span,
) -> Result<Option<NodeId>, OpError> {
    let node = b.graph.node(x);
    let size = &node.shape[dim];
    if step == 1 && start.as_known() == Some(0) && end == size {
        return Ok(Some(x));
    }
    match &node.op {
        Op::Slice { dim: inner_dim, start: inner_start, step: 1, .. } if *inner_dim == dim => {
            let op = Op::Slice { dim, start: inner_start + start, end: inner_start + end, step };
            let source = node.args[0];
            b.emit(op, &[source], span).map(Some)
        }
        Op::Cat { dim: along } if *along == dim => {
            let mut offset = Dim::known(0);
            for part in node.args.clone() {
                let next = &offset + &b.graph.shape(part)[dim];
                if start.provably_ge(&offset) && next.provably_ge(end) && b.graph.dtype(part) == b.graph.dtype(x) {
                    let op = Op::Slice { dim, start: start - &offset, end: end - &offset, step };
                    return b.emit(op, &[part], span).map(Some);
                }
                offset = next;
            }
            Ok(None)
        }
        Op::Expand => {
            let inner = node.args[0];
            let rank = node.shape.len();
            let small = padded(b, inner, rank, span)?;
            let small = if b.graph.shape(small)[dim].is_known_one() {
                small
            } else {
                b.emit(Op::Slice { dim, start: start.clone(), end: end.clone(), step }, &[small], span)?
            };
            // An axis that was expanded may be cut to nothing, which an axis of size 1 cannot expand to.
            if shape[dim].provably_ge(&Dim::known(1)) {
                b.expand(small, shape.clone(), span).map(Some)
            } else {
                Ok(None)
            }
        }
        _ => Ok(None),
    }
}

/// Neighbouring slices of one tensor are one slice of it.
fn cat(b: &mut Builder, dim: usize, args: &[NodeId], dtype: DType, span: Span) -> Result<Option<NodeId>, OpError> {
    if let [only] = args
        && b.graph.dtype(*only) == dtype
    {
        return Ok(Some(*only));
    }
    let piece = |b: &Builder, id: NodeId| match &b.graph.node(id).op {
        Op::Slice { dim: along, start, end, step: 1 } if *along == dim => {
            Some((b.graph.node(id).args[0], start.clone(), end.clone()))
        }
        _ => None,
    };
    let mut parts: Vec<NodeId> = Vec::with_capacity(args.len());
    for &next in args {
        let joined = match (parts.last().and_then(|&before| piece(b, before)), piece(b, next)) {
            (Some((x, start, middle)), Some((y, second, end))) if x == y && middle == second => Some((x, start, end)),
            _ => None,
        };
        match joined {
            Some((x, start, end)) => {
                parts.pop();
                parts.push(b.emit(Op::Slice { dim, start, end, step: 1 }, &[x], span)?);
            }
            None => parts.push(next),
        }
    }
    if parts == args { Ok(None) } else { b.emit(Op::Cat { dim }, &parts, span).map(Some) }
}

fn one_argument(b: &mut Builder, unary: &UnaryOp, x: NodeId, span: Span) -> Result<Option<NodeId>, OpError> {
    if *unary == UnaryOp::LogicalNot
        && let Some(value) = number(b, x)
    {
        let wide = b.graph.shape(x).clone();
        let opposite = b.emit_as(Op::Scalar(f64::from(u8::from(value == 0.0))), &[], Vec::new(), DType::Bool, span)?;
        return b.expand(opposite, wide, span).map(Some);
    }
    let node = b.graph.node(x);
    match (unary, &node.op) {
        (UnaryOp::Relu, Op::Unary(UnaryOp::Relu)) => Ok(Some(x)),
        (UnaryOp::Neg, Op::Unary(UnaryOp::Neg)) => Ok(argument(b, x)),
        (_, Op::Expand) => {
            let (inner, wide) = (node.args[0], node.shape.clone());
            let small = b.emit(Op::Unary(*unary), &[inner], span)?;
            b.expand(small, wide, span).map(Some)
        }
        _ => Ok(None),
    }
}

/// `x` where the other operand changes nothing.
fn neutral(b: &Builder, op: BinaryOp, args: &[NodeId], shape: &Shape, dtype: DType) -> Option<NodeId> {
    let is = |id: NodeId, value: f64| number(b, id) == Some(value);
    let same = |id: NodeId| b.graph.shape(id) == shape && b.graph.dtype(id) == dtype;
    let (x, y) = (args[0], args[1]);
    match op {
        BinaryOp::Add if is(y, 0.0) && same(x) => Some(x),
        BinaryOp::Add if is(x, 0.0) && same(y) => Some(y),
        BinaryOp::Sub if is(y, 0.0) && same(x) => Some(x),
        BinaryOp::Mul if is(y, 1.0) && same(x) => Some(x),
        BinaryOp::Mul if is(x, 1.0) && same(y) => Some(y),
        BinaryOp::Div if is(y, 1.0) && same(x) => Some(x),
        _ => None,
    }
}

/// `x + -y` and `-y + x` as `x - y`.
fn difference(b: &mut Builder, op: BinaryOp, args: &[NodeId], span: Span) -> Result<Option<NodeId>, OpError> {
    let negated = |id: NodeId| {
        let node = b.graph.node(id);
        if node.op == Op::Unary(UnaryOp::Neg) { node.args.first().copied() } else { None }
    };
    let (x, y) = match (op, negated(args[0]), negated(args[1])) {
        (BinaryOp::Add, _, Some(y)) => (args[0], y),
        (BinaryOp::Add, Some(y), None) => (args[1], y),
        _ => return Ok(None),
    };
    b.emit(Op::Binary(BinaryOp::Sub), &[x, y], span).map(Some)
}

/// The value that all elements are known to have.
fn number(b: &Builder, mut id: NodeId) -> Option<f64> {
    loop {
        let node = b.graph.node(id);
        match node.op {
            Op::Scalar(value) => return Some(value),
            Op::Expand | Op::Reshape => id = *node.args.first()?,
            _ => return None,
        }
    }
}

/// Comparisons of two numbers.
fn of_numbers(b: &Builder, op: BinaryOp, args: &[NodeId]) -> Option<f64> {
    let (x, y) = (number(b, args[0])?, number(b, args[1])?);
    let holds = match op {
        BinaryOp::Eq => x == y,
        BinaryOp::Ne => x != y,
        BinaryOp::Lt => x < y,
        BinaryOp::Le => x <= y,
        BinaryOp::Gt => x > y,
        BinaryOp::Ge => x >= y,
        _ => return None,
    };
    Some(f64::from(u8::from(holds)))
}

/// `f(expand(x), y) = expand(f(x, y))`: the operands broadcast by themselves as far as they reach.
fn element_wise(
    b: &mut Builder,
    op: &Op,
    args: &[NodeId],
    shape: &Shape,
    span: Span,
) -> Result<Option<NodeId>, OpError> {
    let small: Vec<NodeId> = args.iter().map(|&x| expanded(b, x).unwrap_or(x)).collect();
    if small == args {
        return Ok(None);
    }
    let mut reach = Vec::new();
    for &x in &small {
        reach = broadcast(&reach, b.graph.shape(x))?;
    }
    let value = b.emit(op.clone(), &small, span)?;
    b.expand(value, shape.clone(), span).map(Some)
}

/// `linear(expand(x))`, `linear(view(x))` and `linear(permute(x))` where the last axis stays the last.
fn linear(b: &mut Builder, op: &Op, args: &[NodeId], shape: &Shape, span: Span) -> Result<Option<NodeId>, OpError> {
    let x = args[0];
    let node = b.graph.node(x);
    let Some(&inner) = node.args.first() else { return Ok(None) };
    let inner_shape = b.graph.shape(inner).clone();
    if inner_shape.is_empty() || inner_shape.last() != node.shape.last() {
        return Ok(None);
    }
    let over = |inner: NodeId| -> Vec<NodeId> { std::iter::once(inner).chain(args[1..].iter().copied()).collect() };
    match node.op.clone() {
        Op::Expand => {
            let value = b.emit(op.clone(), &over(inner), span)?;
            b.expand(value, shape.clone(), span).map(Some)
        }
        Op::Reshape => {
            let value = b.emit(op.clone(), &over(inner), span)?;
            b.reshape(value, shape.clone(), span).map(Some)
        }
        Op::Permute(perm) if perm.last() == Some(&(perm.len() - 1)) => {
            let value = b.emit(op.clone(), &over(inner), span)?;
            b.emit(Op::Permute(perm), &[value], span).map(Some)
        }
        _ => Ok(None),
    }
}

/// Operations that keep the shape and work along `dims`, over an expansion of other axes.
fn along_axes(
    b: &mut Builder,
    op: &Op,
    args: &[NodeId],
    dims: &[usize],
    shape: &Shape,
    span: Span,
) -> Result<Option<NodeId>, OpError> {
    let Some(inner) = expanded(b, args[0]) else { return Ok(None) };
    let small = padded(b, inner, shape.len(), span)?;
    if dims.iter().any(|&dim| b.graph.shape(small)[dim] != shape[dim]) {
        return Ok(None);
    }
    let mut args = args.to_vec();
    args[0] = small;
    let value = b.emit(op.clone(), &args, span)?;
    b.expand(value, shape.clone(), span).map(Some)
}

/// A reduction over an expansion: what is left of the expansion comes after it. The largest, least or mean of equal
/// elements is the element.
fn reduced(
    b: &mut Builder,
    reduce: &ReduceOp,
    dims: &[usize],
    keepdim: bool,
    x: NodeId,
    (shape, dtype): (&Shape, DType),
    span: Span,
) -> Result<Option<NodeId>, OpError> {
    let of_equals = matches!(reduce, ReduceOp::Amax | ReduceOp::Amin | ReduceOp::Mean | ReduceOp::Any | ReduceOp::All);
    if dims.is_empty() && of_equals && b.graph.dtype(x) == dtype {
        return Ok(Some(x));
    }
    let Some(inner) = expanded(b, x) else { return Ok(None) };
    let wide = b.graph.shape(x).clone();
    let small = padded(b, inner, wide.len(), span)?;
    let grown = |b: &Builder, dim: usize| b.graph.shape(small)[dim] != wide[dim];
    if dims.iter().any(|&dim| grown(b, dim)) && !of_equals {
        return Ok(None);
    }
    // Reducing the axis of size 1 in place of the grown one gives the same, as long as the grown one is not empty.
    if dims.iter().any(|&dim| grown(b, dim) && !wide[dim].provably_ge(&Dim::known(1))) {
        return Ok(None);
    }
    let value = b.emit(Op::Reduce { op: *reduce, dims: dims.to_vec(), keepdim }, &[small], span)?;
    b.expand(value, shape.clone(), span).map(Some)
}

/// `x` with axes of size 1 in front, up to `rank` axes.
pub(super) fn padded(b: &mut Builder, x: NodeId, rank: usize, span: Span) -> Result<NodeId, OpError> {
    let shape = b.graph.shape(x);
    let missing = rank.saturating_sub(shape.len());
    let shape = std::iter::repeat_n(Dim::known(1), missing).chain(shape.iter().cloned()).collect();
    b.reshape(x, shape, span)
}
