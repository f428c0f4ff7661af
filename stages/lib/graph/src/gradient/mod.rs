//! Reverse-mode differentiation: the graph of a graph's gradients.
//!
//! Each operation has a rule that says what its arguments get of its adjoint, in terms of the same operations; three of
//! them ([`Op::ShareExtreme`], [`Op::MaxPlusGrad`], [`Op::CumProdGrad`]) exist for this alone. Where a value serves a rule
//! as well as the argument does (ReLU, softmax, ...), the rule reads the value, so that the argument need not be kept.
//!
//! At ties and kinks the gradients are those that [`crate::interpret`] has as tangents, which are PyTorch's. A place that is
//! masked out gets exactly 0 from [`Op::Where`]; like in PyTorch, 0 times an infinite slope is not a number.
//!
//! * `tape` keeps what is still to be differentiated, and makes nodes.
//! * `parts` puts together what a node gets from its users.
//! * `formula` lets element-wise rules be written as formulas.
//! * `elementwise`, `reduce`, `along`, `rearrange`, `indexed` and `product` are the rules.

mod along;
mod elementwise;
mod formula;
mod indexed;
mod parts;
mod product;
mod rearrange;
mod reduce;
mod tape;

use crate::error::OpError;
use crate::graph::Graph;
use crate::op::{BinaryOp, DType, NodeId, Op, ReduceOp, UnaryOp};
use tape::{Site, Tape};

/// Adds to `graph` the nodes that compute, for each of `wanted`, the gradient of the sum over `seeds` of
/// `<value, adjoint>`. A seed is a value and its adjoint, two Float nodes of one shape; a value may have several. Adjoints
/// count as constants, whatever they are made of.
///
/// Answers the gradients in the order of `wanted`, each of the shape of the node it is for, or `None` where no seed
/// depends on that node differentiably: the gradient is 0 then. A wanted node does not stop the differentiation, so that
/// its ancestors can be wanted as well.
///
/// The new nodes are not simplified; [`crate::normal_form`] does that, and drops what is not needed. Passes that compute
/// a maximum in another way than before ([`crate::optimise`]) have to run before: [`Op::ShareExtreme`] and
/// [`Op::MaxPlusGrad`] find ties by exact equality.
///
/// Gradients of what this function adds can be taken in turn, but for the three operations that it has for itself.
pub fn gradients(
    graph: &mut Graph,
    seeds: &[(NodeId, NodeId)],
    wanted: &[NodeId],
) -> Result<Vec<Option<NodeId>>, OpError> {
    check(graph, seeds, wanted)?;
    let needs = needs(graph, wanted);
    let before = graph.ids();
    let mut tape = Tape::new(graph, needs);
    for &(value, adjoint) in seeds {
        tape.pass(value, adjoint);
    }
    let mut found: Vec<Option<NodeId>> = vec![None; wanted.len()];
    for id in before.rev() {
        tape.span = tape.graph.node(id).span;
        let Some(g) = tape.adjoint(id)? else { continue };
        for (place, _) in wanted.iter().enumerate().filter(|(_, other)| **other == id) {
            found[place] = Some(g);
        }
        let node = tape.graph.node(id);
        let (op, args) = (node.op.clone(), node.args.clone());
        if carries(&op) && args.iter().any(|&x| tape.needs(x)) {
            rule(&mut tape, &op, &Site { y: id, g, args })?;
        }
    }
    Ok(found)
}

fn check(graph: &Graph, seeds: &[(NodeId, NodeId)], wanted: &[NodeId]) -> Result<(), OpError> {
    let exists = |id: NodeId| graph.nodes.get(id.index()).ok_or(OpError::NoSuchNode { node: id.0 });
    for &(value, adjoint) in seeds {
        let (value, adjoint) = (exists(value)?, exists(adjoint)?);
        for node in [value, adjoint] {
            if node.dtype != DType::Float {
                return Err(OpError::DType { op: "gradients", got: node.dtype, hint: "; only floats have a gradient" });
            }
        }
        if value.shape != adjoint.shape {
            let (got, wanted) = (adjoint.shape.clone(), value.shape.clone());
            return Err(OpError::Operand { op: "gradients", what: "adjoint", got, wanted });
        }
    }
    wanted.iter().try_for_each(|&id| exists(id).map(|_| ()))
}

/// By node index: whether a wanted node is, or differentiably leads to, this one. Nothing else is worth an adjoint.
fn needs(graph: &Graph, wanted: &[NodeId]) -> Vec<bool> {
    let mut needs: Vec<bool> = Vec::with_capacity(graph.nodes.len());
    for id in graph.ids() {
        let node = graph.node(id);
        let leads = || carries(&node.op) && node.args.iter().any(|x| needs[x.index()]);
        let own = node.dtype == DType::Float && (wanted.contains(&id) || leads());
        needs.push(own);
    }
    needs
}

/// Whether an adjoint goes on to any argument; the others are constant between their steps, or cut the way on purpose.
fn carries(op: &Op) -> bool {
    match op {
        Op::Unary(op) => !matches!(
            op,
            UnaryOp::Sign
                | UnaryOp::Floor
                | UnaryOp::Ceil
                | UnaryOp::Round
                | UnaryOp::Trunc
                | UnaryOp::LogicalNot
                | UnaryOp::IsNan
                | UnaryOp::IsInf
                | UnaryOp::IsFinite
        ),
        Op::Binary(op) => matches!(
            op,
            BinaryOp::Add
                | BinaryOp::Sub
                | BinaryOp::Mul
                | BinaryOp::Div
                | BinaryOp::Remainder
                | BinaryOp::Pow
                | BinaryOp::Maximum
                | BinaryOp::Minimum
                | BinaryOp::Atan2
        ),
        Op::Reduce { op, .. } => !matches!(
            op,
            ReduceOp::ArgMax | ReduceOp::ArgMin | ReduceOp::Any | ReduceOp::All | ReduceOp::Norm { p: 0.0 }
        ),
        Op::Detach | Op::OneHot { .. } | Op::Random { .. } => false,
        _ => true,
    }
}

fn rule(t: &mut Tape<'_>, op: &Op, at: &Site) -> Result<(), OpError> {
    match op {
        Op::Unary(unary) => elementwise::unary(t, unary, at),
        Op::Binary(binary) => elementwise::binary(t, *binary, at),
        Op::Where => elementwise::choice(t, at),
        Op::Cast => {
            t.pass(at.args[0], at.g);
            Ok(())
        }
        Op::Reduce { op, dims, .. } => reduce::gradient(t, op, dims, at),
        Op::Softmax { dim } => along::softmax(t, *dim, at),
        Op::LogSoftmax { dim } => along::log_softmax(t, *dim, at),
        Op::LayerNorm { axes, eps, .. } => along::layer_norm(t, *axes, *eps, at),
        Op::CumSum { dim } => along::running_sum(t, *dim, at),
        Op::CumProd { dim } => along::running_product(t, *dim, at),
        Op::TopK { k, dim, largest } => {
            along::sorted(t, Op::TopKIndices { k: k.clone(), dim: *dim, largest: *largest }, *dim, at)
        }
        Op::Sort { dim, descending } => along::sorted(t, Op::ArgSort { dim: *dim, descending: *descending }, *dim, at),
        Op::Reshape => rearrange::reshape(t, at),
        Op::Permute(perm) => rearrange::permute(t, perm, at),
        Op::Expand => rearrange::expand(t, at),
        Op::Slice { dim, start, end, step } => rearrange::slice(t, *dim, start, end, *step, at),
        Op::Select { dim, index } => rearrange::select(t, *dim, index, at),
        Op::Cat { dim } => rearrange::cat(t, *dim, at),
        Op::Flip { .. } | Op::Tril { .. } | Op::Triu { .. } => rearrange::own_inverse(t, op, at),
        Op::Roll { shift, dim } => {
            rearrange::own_inverse(t, &Op::Roll { shift: shift.saturating_neg(), dim: *dim }, at)
        }
        Op::Diagonal { offset, dim1, dim2 } => rearrange::diagonal(t, *offset, *dim1, *dim2, at),
        Op::Gather { dim } => indexed::gather(t, *dim, at),
        Op::Scatter { dim } => indexed::scatter(t, *dim, at),
        Op::ScatterAdd { dim } => indexed::scatter_add(t, *dim, at),
        Op::IndexSelect { dim } => indexed::index_select(t, *dim, at),
        Op::Linear { .. } => product::linear(t, at),
        Op::MatMul => product::matmul(t, at),
        Op::Einsum(equation) => product::einsum(t, equation, at),
        Op::MaxPlus { minimum, first } => product::max_plus(t, *minimum, *first, at),
        Op::ShareExtreme { .. } | Op::MaxPlusGrad { .. } | Op::CumProdGrad { .. } => {
            Err(OpError::Setting { op: op.name(), reason: "it is a gradient, and has none of its own".into() })
        }
        // They have no arguments, or none that an adjoint goes to.
        Op::Input(_)
        | Op::Param(_)
        | Op::Scalar(_)
        | Op::Size(_)
        | Op::Full(_)
        | Op::Const(_)
        | Op::Arange { .. }
        | Op::Eye
        | Op::Random { .. }
        | Op::Detach
        | Op::TopKIndices { .. }
        | Op::ArgSort { .. }
        | Op::OneHot { .. } => Ok(()),
    }
}
