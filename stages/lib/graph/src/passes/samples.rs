//! Whether the samples of a batch are computed independently of each other.
//!
//! Then a batch can be cut into parts, and each part run by itself: on its own thread, in memory that fits a cache, and
//! no longer than its own longest sample needs. It holds where every value either does not depend on the batch at all, or
//! has one axis of size `B * q` in which B is the slower part, and whatever reads the value leaves that axis alone:
//! element by element, in a product's rows, as a leading axis. Reductions over it, sorts along it, sizes that mention B
//! and arithmetic with B mix samples. When in doubt the answer is no.

use crate::dim::{Dim, numel};
use crate::graph::Graph;
use crate::infer::Equation;
use crate::op::{Node, NodeId, Op};

/// How a value depends on the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Along {
    /// Not at all.
    Shared,
    /// The samples lie one after the other along this axis.
    Axis(usize),
}

/// Whether row b of each of `outputs`, whose first axis is B, depends on row b of the inputs alone.
pub fn independent(graph: &Graph, outputs: &[NodeId]) -> bool {
    let live = super::dce::live(graph, outputs);
    let mut known: Vec<Option<Along>> = Vec::with_capacity(graph.nodes.len());
    for (node, live) in graph.nodes.iter().zip(live) {
        let along = if live { along(graph, node, &known) } else { None };
        if live && along.is_none() {
            return false;
        }
        known.push(along);
    }
    let leads = |id: &NodeId| {
        known.get(id.index()).copied().flatten() == Some(Along::Axis(0)) && graph.shape(*id).first() == Some(&Dim::b())
    };
    outputs.iter().all(leads)
}

fn mentions_b(dim: &Dim) -> bool {
    dim.terms().any(|(b, _, _)| b > 0)
}

/// The only axis whose size mentions B, as a multiple of B.
fn batch_axis(shape: &[Dim]) -> Option<Along> {
    let mut axes = shape.iter().enumerate().filter(|(_, dim)| mentions_b(dim));
    match (axes.next(), axes.next()) {
        (None, _) => Some(Along::Shared),
        (Some((axis, dim)), None) if dim.terms().all(|(b, _, _)| b == 1) => Some(Along::Axis(axis)),
        _ => None,
    }
}

/// `None` where samples are mixed. The answer is checked against the shape: no other axis may mention B.
fn along(graph: &Graph, node: &Node, known: &[Option<Along>]) -> Option<Along> {
    let args = node.args.iter().map(|id| known.get(id.index()).copied().flatten()).collect::<Option<Vec<_>>>()?;
    let found = if args.iter().all(|arg| *arg == Along::Shared) { made(node)? } else { moved(graph, node, &args)? };
    (found == batch_axis(&node.shape)?).then_some(found)
}

/// Values of no sample: inputs, constants, and what follows from these.
fn made(node: &Node) -> Option<Along> {
    match &node.op {
        Op::Size(dim) | Op::Select { index: dim, .. } | Op::TopK { k: dim, .. } | Op::TopKIndices { k: dim, .. }
            if mentions_b(dim) =>
        {
            None
        }
        Op::Slice { start, end, .. } if mentions_b(start) || mentions_b(end) => None,
        // the same everywhere along an axis that is made here
        Op::Input(_) | Op::Full(_) | Op::Expand => batch_axis(&node.shape),
        _ => Some(Along::Shared),
    }
}

/// Where the batch is after an operation on `args`, some of which have it.
fn moved(graph: &Graph, node: &Node, args: &[Along]) -> Option<Along> {
    let rank_of = |at: usize| node.args.get(at).map(|&id| graph.shape(id).len());
    let own = |at: usize| match args.get(at) {
        Some(Along::Axis(axis)) => Some(*axis),
        _ => None,
    };
    let rest_shared = |from: usize| args.iter().skip(from).all(|arg| *arg == Along::Shared);
    let rank = node.shape.len();
    let axis = match &node.op {
        Op::Unary(_) | Op::Cast | Op::Detach | Op::OneHot { .. } => own(0)?,
        Op::Binary(_) | Op::Where | Op::Expand => aligned(graph, node, args)?,
        Op::Reduce { dims, keepdim, .. } => {
            let axis = own(0)?;
            if dims.contains(&axis) {
                return None;
            }
            if *keepdim { axis } else { axis - dims.iter().filter(|&&dim| dim < axis).count() }
        }
        Op::Softmax { dim }
        | Op::LogSoftmax { dim }
        | Op::CumSum { dim }
        | Op::CumProd { dim }
        | Op::Sort { dim, .. }
        | Op::ArgSort { dim, .. }
        | Op::Roll { dim, .. } => own(0).filter(|axis| axis != dim)?,
        Op::TopK { k, dim, .. } | Op::TopKIndices { k, dim, .. } => {
            own(0).filter(|axis| axis != dim && !mentions_b(k))?
        }
        Op::Flip { dims } => own(0).filter(|axis| !dims.contains(axis))?,
        Op::LayerNorm { axes, .. } => own(0).filter(|axis| axis + axes < rank)?,
        Op::Reshape => reshaped(graph, node, own(0)?)?,
        Op::Permute(perm) => perm.iter().position(|&from| Some(from) == own(0))?,
        Op::Slice { dim, start, end, .. } => {
            own(0).filter(|axis| axis != dim && !mentions_b(start) && !mentions_b(end))?
        }
        Op::Select { dim, index } => {
            let axis = own(0).filter(|axis| axis != dim && !mentions_b(index))?;
            axis - usize::from(*dim < axis)
        }
        Op::Cat { dim } | Op::Gather { dim } | Op::Scatter { dim } | Op::ScatterAdd { dim } => {
            let axis = own(0).filter(|axis| axis != dim)?;
            args.iter().all(|arg| *arg == Along::Axis(axis)).then_some(axis)?
        }
        Op::IndexSelect { dim } => match (own(0), own(1)) {
            (Some(axis), None) if axis != *dim => {
                if axis > *dim {
                    axis + rank_of(1)? - 1
                } else {
                    axis
                }
            }
            (None, Some(axis)) => dim + axis,
            _ => return None,
        },
        Op::Random { .. } => own(0).filter(|axis| *axis == 0)?,
        Op::Tril { .. } | Op::Triu { .. } => own(0).filter(|axis| axis + 2 < rank)?,
        Op::Diagonal { dim1, dim2, .. } => {
            let axis = own(0).filter(|axis| axis != dim1 && axis != dim2)?;
            axis - usize::from(*dim1 < axis) - usize::from(*dim2 < axis)
        }
        Op::Linear { .. } => own(0).filter(|axis| axis + 1 < rank && rest_shared(1))?,
        Op::MatMul => product(graph, node, args)?,
        Op::Einsum(equation) => contracted(equation, args)?,
        Op::ShareExtreme { dims, .. } => {
            let axis = own(0).filter(|axis| !dims.contains(axis))?;
            args.iter().all(|arg| *arg == Along::Axis(axis)).then_some(axis)?
        }
        Op::CumProdGrad { dim } => {
            let axis = own(0).filter(|axis| axis != dim)?;
            args.iter().all(|arg| *arg == Along::Axis(axis)).then_some(axis)?
        }
        Op::MaxPlus { .. } | Op::MaxPlusGrad { .. } => args.iter().all(|arg| *arg == Along::Axis(0)).then_some(0)?,
        Op::Input(_)
        | Op::Param(_)
        | Op::Scalar(_)
        | Op::Size(_)
        | Op::Full(_)
        | Op::Const(_)
        | Op::Arange { .. }
        | Op::Eye => return None,
    };
    Some(Along::Axis(axis))
}

/// The batch's place in a broadcast value: shapes align at the last axis.
fn aligned(graph: &Graph, node: &Node, args: &[Along]) -> Option<usize> {
    let mut found = None;
    for (&id, arg) in node.args.iter().zip(args) {
        if let Along::Axis(axis) = arg {
            let place = (axis + node.shape.len()).checked_sub(graph.shape(id).len())?;
            if found.is_some_and(|known| known != place) {
                return None;
            }
            found = Some(place);
        }
    }
    found
}

/// As many elements before the batch as before: then what follows is the samples, one after the other, as it was.
fn reshaped(graph: &Graph, node: &Node, axis: usize) -> Option<usize> {
    let from = graph.shape(*node.args.first()?);
    let Some(Along::Axis(to)) = batch_axis(&node.shape) else { return None };
    (numel(from.get(..axis)?) == numel(node.shape.get(..to)?)).then_some(to)
}

/// Leading axes of both, rows of the first, or columns of the second.
fn product(graph: &Graph, node: &Node, args: &[Along]) -> Option<usize> {
    let [x, y] = node.args[..] else { return None };
    let (x_rank, y_rank, rank) = (graph.shape(x).len(), graph.shape(y).len(), node.shape.len());
    if x_rank < 2 || y_rank < 2 {
        return None;
    }
    let leading = |arg: Along, own: usize| matches!(arg, Along::Axis(axis) if axis + 2 < own) || arg == Along::Shared;
    match (args.first()?, args.get(1)?) {
        (&x, &y) if leading(x, x_rank) && leading(y, y_rank) => aligned(graph, node, args),
        (Along::Axis(axis), Along::Shared) if axis + 2 == x_rank => Some(rank - 2),
        (Along::Shared, Along::Axis(axis)) if axis + 1 == y_rank => Some(rank - 1),
        _ => None,
    }
}

/// One letter stands for the batch, in every operand that has it and in the value.
fn contracted(equation: &str, args: &[Along]) -> Option<usize> {
    let parsed = Equation::parse(equation).ok()?;
    let mut letter = None;
    for (operand, arg) in parsed.operands.iter().zip(args) {
        if let Along::Axis(axis) = arg {
            let own = *operand.get(*axis)?;
            let once = operand.iter().filter(|&&c| c == own).count() == 1;
            if !once || letter.is_some_and(|known| known != own) {
                return None;
            }
            letter = Some(own);
        }
    }
    let letter = letter?;
    let foreign = parsed.operands.iter().zip(args).any(|(o, arg)| *arg == Along::Shared && o.contains(&letter));
    if foreign { None } else { parsed.value.iter().position(|&c| c == letter) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{BinaryOp, DType, ReduceOp, Span};

    fn graph() -> (Graph, NodeId) {
        let mut g = Graph::new();
        let x = g.input("x", vec![Dim::b(), Dim::n(), Dim::known(4)], DType::Float, true);
        (g, x)
    }

    fn push(g: &mut Graph, op: Op, args: &[NodeId]) -> NodeId {
        g.push(op, args, Span::default()).unwrap()
    }

    fn reshape(g: &mut Graph, x: NodeId, shape: Vec<Dim>) -> NodeId {
        g.push_as(Op::Reshape, &[x], shape, DType::Float, Span::default()).unwrap()
    }

    #[test]
    fn rows_may_move_and_merge_with_what_is_theirs() {
        let (mut g, x) = graph();
        let flat = reshape(&mut g, x, vec![&Dim::b() * &Dim::n(), Dim::known(4)]);
        let back = reshape(&mut g, flat, vec![Dim::b(), &Dim::n() * &Dim::known(4)]);
        assert!(independent(&g, &[back]));
        let (b, n) = (Dim::b(), Dim::n());
        let turned = push(&mut g, Op::Permute(vec![1, 0, 2]), &[x]);
        let again = push(&mut g, Op::Permute(vec![1, 0, 2]), &[turned]);
        assert!(independent(&g, &[again]));
        // N before B: the rows of a sample are no longer together
        let mixed = reshape(&mut g, turned, vec![&n * &b, Dim::known(4)]);
        let mixed = reshape(&mut g, mixed, vec![b, n, Dim::known(4)]);
        assert!(!independent(&g, &[mixed]));
        assert!(!independent(&g, &[turned]));
    }

    #[test]
    fn what_reaches_over_samples_is_noticed() {
        let (mut g, x) = graph();
        let mean = push(&mut g, Op::Reduce { op: ReduceOp::Mean, dims: vec![0], keepdim: true }, &[x]);
        let centred = push(&mut g, Op::Binary(BinaryOp::Sub), &[x, mean]);
        assert!(!independent(&g, &[centred]));
        let flipped = push(&mut g, Op::Flip { dims: vec![0] }, &[x]);
        assert!(!independent(&g, &[flipped]));
        let count = g.push_as(Op::Size(Dim::b()), &[], vec![], DType::Int, Span::default()).unwrap();
        let scaled = push(&mut g, Op::Binary(BinaryOp::Div), &[x, count]);
        assert!(!independent(&g, &[scaled]));
        let sum = push(&mut g, Op::Einsum("bnk,cnk->bc".into()), &[x, x]);
        assert!(!independent(&g, &[sum]));
        let own = push(&mut g, Op::Einsum("bnk,bmk->bnm".into()), &[x, x]);
        assert!(independent(&g, &[own]));
        let rows = push(&mut g, Op::Softmax { dim: 1 }, &[x]);
        assert!(independent(&g, &[own, rows]));
        assert!(!independent(&g, &[own, rows, centred]));
    }
}
