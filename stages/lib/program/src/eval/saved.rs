//! What the backward pass needs: values that torch keeps from the forward pass, and that must not change in place before.

use std::collections::BTreeMap;

use graph::{BinaryOp, Graph, NodeId, Op, ReduceOp, Span, UnaryOp};

use super::reach::gradients;

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
            | UnaryOp::Bfloat16
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

/// The nodes that gradients of the outputs pass through.
fn reached(graph: &Graph, has: &[bool], ret: NodeId, tri: Option<NodeId>) -> Vec<bool> {
    let mut reached = vec![false; graph.nodes().len()];
    let mut stack: Vec<NodeId> = std::iter::once(ret).chain(tri).collect();
    while let Some(id) = stack.pop() {
        let at = id.index();
        if has.get(at) == Some(&true)
            && let Some(seen) = reached.get_mut(at).filter(|r| !**r)
        {
            *seen = true;
            stack.extend(&graph.node(id).args);
        }
    }
    reached
}

/// What is noted of the values that the backward pass may need.
#[derive(Default)]
pub struct Tape {
    /// All changes of tensors in place.
    writes: Vec<Write>,
    /// Results of in-place operations that the backward pass needs although their plain forms need the argument.
    kept_results: Vec<NodeId>,
    /// Values that a function made of several operations keeps for its gradient, as torch's does, each behind the node that it gives.
    kept_args: Vec<(NodeId, NodeId)>,
    /// Operations that torch has no derivative for, so that no gradient may reach them.
    underivable: Vec<NodeId>,
    /// The number of nodes when the change that is being made began.
    writing: Option<usize>,
}

/// The length of a tape, for going back to it.
pub struct Mark {
    writes: usize,
    kept_results: usize,
    kept_args: usize,
}

impl Tape {
    /// Begins a change in place, when there are as many nodes.
    pub fn begin(&mut self, nodes: usize) {
        self.writing = Some(nodes);
    }

    /// As [`Tape::begin`], unless a change is being made.
    pub fn begin_outer(&mut self, nodes: usize) {
        self.writing.get_or_insert(nodes);
    }

    /// Ends a change in place, and gives the number of nodes when it began, if anybody said so.
    pub fn end(&mut self) -> Option<usize> {
        self.writing.take()
    }

    pub fn note(&mut self, write: Write) {
        self.writes.push(write);
    }

    pub fn keep_result(&mut self, id: NodeId) {
        self.kept_results.push(id);
    }

    /// States that the function that gave the node `of` keeps a value.
    pub fn keep_arg(&mut self, of: NodeId, value: NodeId) {
        self.kept_args.push((of, value));
    }

    /// States that torch has no derivative for an operation.
    pub fn lacks_derivative(&mut self, id: NodeId) {
        self.underivable.push(id);
    }

    pub fn is_without_derivative(&self, id: NodeId) -> bool {
        self.underivable.contains(&id)
    }

    pub fn mark(&self) -> Mark {
        let (writes, kept_results) = (self.writes.len(), self.kept_results.len());
        Mark { writes, kept_results, kept_args: self.kept_args.len() }
    }

    /// Forgets what was noted since the mark, of a call that nothing takes gradients of.
    pub fn rewind(&mut self, mark: Mark) {
        self.writes.truncate(mark.writes);
        self.kept_results.truncate(mark.kept_results);
        self.kept_args.truncate(mark.kept_args);
    }

    /// The first operation without a derivative that a gradient of the outputs would pass through.
    pub fn underivable(&self, graph: &Graph, ret: NodeId, tri: Option<NodeId>) -> Option<NodeId> {
        if self.underivable.is_empty() {
            return None;
        }
        let reached = reached(graph, &gradients(graph), ret, tri);
        self.underivable.iter().copied().find(|id| reached.get(id.index()) == Some(&true))
    }

    /// The first change in place of a value that the backward pass from the outputs needs, with the operation that needs it.
    pub fn lost_value(&self, graph: &Graph, ret: NodeId, tri: Option<NodeId>) -> Option<(Span, Span)> {
        if self.writes.is_empty() {
            return None;
        }
        let has = gradients(graph);
        let reached = reached(graph, &has, ret, tri);
        let mut lost: BTreeMap<NodeId, &Write> = BTreeMap::new();
        for write in &self.writes {
            for id in &write.nodes {
                lost.entry(*id).or_insert(write);
            }
        }
        for id in graph.ids().filter(|id| reached.get(id.index()) == Some(&true)) {
            let node = graph.node(id);
            let needs: Vec<bool> = node.args.iter().map(|a| has.get(a.index()) == Some(&true)).collect();
            let (args, result) = kept(&node.op, &needs);
            let result = result || self.kept_results.contains(&id);
            let kept = args.iter().filter_map(|i| node.args.get(*i)).chain(result.then_some(&id));
            for value in kept {
                if let Some(write) = lost.get(value).filter(|w| (id.index()) < w.from) {
                    return Some((write.span, node.span));
                }
            }
        }
        for (user, value) in &self.kept_args {
            if reached.get(user.index()) == Some(&true)
                && let Some(write) = lost.get(value).filter(|w| (user.index()) < w.from)
            {
                return Some((write.span, graph.node(*user).span));
            }
        }
        None
    }
}
