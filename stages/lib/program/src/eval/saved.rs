//! What the backward pass needs: values that torch keeps from the forward pass, and that must not change in place before.

use std::collections::BTreeMap;

use graph::{BinaryOp, DType, Graph, NodeId, Op, ReduceOp, Span, UnaryOp};

/// A change of a tensor in place.
pub struct Write {
    /// All that tensors of this storage stood for until then.
    pub nodes: Vec<NodeId>,
    /// The number of nodes when the change began: what is computed for the change itself keeps copies.
    pub from: usize,
    pub span: Span,
}

/// Which arguments an operation keeps for its gradient, and whether it keeps its result. `needs`: which arguments have a
/// gradient. The rules are those of torch's derivatives.
fn kept(op: &Op, needs: &[bool]) -> (Vec<usize>, bool) {
    let need = |i: usize| needs.get(i) == Some(&true);
    let pick = |list: &[(usize, bool)]| list.iter().filter(|(_, keep)| *keep).map(|(i, _)| *i).collect::<Vec<_>>();
    match op {
        Op::Unary(op) => match op {
            UnaryOp::Neg
            | UnaryOp::Sign
            | UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::Trunc
            | UnaryOp::LogicalNot
            | UnaryOp::IsNan
            | UnaryOp::IsInf
            | UnaryOp::IsFinite => (Vec::new(), false),
            UnaryOp::Relu
            | UnaryOp::Sigmoid
            | UnaryOp::Tanh
            | UnaryOp::Exp
            | UnaryOp::Expm1
            | UnaryOp::Sqrt
            | UnaryOp::Rsqrt
            | UnaryOp::Reciprocal
            | UnaryOp::Tan => (Vec::new(), true),
            _ => (vec![0], false),
        },
        Op::Binary(BinaryOp::Mul) | Op::MatMul => (pick(&[(0, need(1)), (1, need(0))]), false),
        Op::Binary(BinaryOp::Div) => (pick(&[(0, need(1)), (1, need(0) || need(1))]), false),
        Op::Binary(BinaryOp::Remainder) => (pick(&[(0, need(1)), (1, need(1))]), false),
        Op::Binary(BinaryOp::Pow) => (pick(&[(0, need(0) || need(1)), (1, need(0) || need(1))]), need(1)),
        Op::Binary(BinaryOp::Maximum | BinaryOp::Minimum | BinaryOp::Atan2) => (vec![0, 1], false),
        Op::Where => (vec![0], false),
        Op::Reduce { op, .. } => match op {
            ReduceOp::Amax | ReduceOp::Amin | ReduceOp::Prod | ReduceOp::LogSumExp | ReduceOp::Norm { .. } => {
                (vec![0], true)
            }
            ReduceOp::Std { .. } => (vec![0], true),
            ReduceOp::Var { .. } => (vec![0], false),
            _ => (Vec::new(), false),
        },
        Op::Softmax { .. } | Op::LogSoftmax { .. } => (Vec::new(), true),
        Op::LayerNorm { .. } => (vec![0, 1], false),
        Op::CumProd { .. } => (vec![0], true),
        Op::Gather { .. } => (vec![0, 1], false),
        Op::Scatter { .. } | Op::ScatterAdd { .. } | Op::IndexSelect { .. } => (vec![1], false),
        Op::Linear { .. } => (pick(&[(0, need(1)), (1, need(0))]), false),
        Op::Einsum(_) => {
            let others = |i: usize| (0..needs.len()).any(|j| j != i && need(j));
            ((0..needs.len()).filter(|i| others(*i)).collect(), false)
        }
        _ => (Vec::new(), false),
    }
}

/// Whether a gradient can flow into an input: into all but the adjacency matrix, which no encoder makes, and keys of noise.
pub fn input_has_gradient(graph: &Graph, input: u32) -> bool {
    let name = graph.inputs().get(input as usize).map_or("", |input| input.name.as_str());
    name != "adj_mat" && !super::random::is_key(name)
}

/// Whether a gradient can flow into the value of a node: from parameters and inputs.
fn has_gradient(graph: &Graph) -> Vec<bool> {
    let mut has: Vec<bool> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        has.push(match node.op {
            _ if node.dtype != DType::Float => false,
            Op::Input(i) => input_has_gradient(graph, i),
            Op::Param(p) => graph.params().get(p.0 as usize).is_some_and(|p| p.trainable),
            Op::Detach => false,
            _ => node.args.iter().any(|a| has.get(a.0 as usize) == Some(&true)),
        });
    }
    has
}

/// The nodes that gradients of the outputs pass through.
fn reached(graph: &Graph, has: &[bool], ret: NodeId, tri: Option<NodeId>) -> Vec<bool> {
    let mut reached = vec![false; graph.nodes().len()];
    let mut stack: Vec<NodeId> = std::iter::once(ret).chain(tri).collect();
    while let Some(id) = stack.pop() {
        let at = id.0 as usize;
        if has.get(at) == Some(&true)
            && let Some(seen) = reached.get_mut(at).filter(|r| !**r)
        {
            *seen = true;
            stack.extend(&graph.node(id).args);
        }
    }
    reached
}

/// The first of some nodes that a gradient of the outputs would pass through.
pub fn reached_by_gradients(graph: &Graph, nodes: &[NodeId], ret: NodeId, tri: Option<NodeId>) -> Option<NodeId> {
    if nodes.is_empty() {
        return None;
    }
    let reached = reached(graph, &has_gradient(graph), ret, tri);
    nodes.iter().copied().find(|id| reached.get(id.0 as usize) == Some(&true))
}

/// The first change in place of a value that the backward pass from the outputs needs, with the operation that needs it.
pub fn lost_value(
    graph: &Graph,
    writes: &[Write],
    kept_results: &[NodeId],
    kept_args: &[(NodeId, NodeId)],
    ret: NodeId,
    tri: Option<NodeId>,
) -> Option<(Span, Span)> {
    if writes.is_empty() {
        return None;
    }
    let has = has_gradient(graph);
    let reached = reached(graph, &has, ret, tri);
    let mut lost: BTreeMap<NodeId, &Write> = BTreeMap::new();
    for write in writes {
        for id in &write.nodes {
            lost.entry(*id).or_insert(write);
        }
    }
    for id in graph.ids().filter(|id| reached.get(id.0 as usize) == Some(&true)) {
        let node = graph.node(id);
        let needs: Vec<bool> = node.args.iter().map(|a| has.get(a.0 as usize) == Some(&true)).collect();
        let (args, result) = kept(&node.op, &needs);
        let result = result || kept_results.contains(&id);
        let kept = args.iter().filter_map(|i| node.args.get(*i)).chain(result.then_some(&id));
        for value in kept {
            if let Some(write) = lost.get(value).filter(|w| (id.0 as usize) < w.from) {
                return Some((write.span, node.span));
            }
        }
    }
    for (user, value) in kept_args {
        if reached.get(user.0 as usize) == Some(&true)
            && let Some(write) = lost.get(value).filter(|w| (user.0 as usize) < w.from)
        {
            return Some((write.span, graph.node(*user).span));
        }
    }
    None
}
