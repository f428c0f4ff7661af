//! Matrix products of what is rounded to bfloat16: see [`graph::Dtype::Bf16`].
//!
//! Here the rounding is an operation of the graph: it is computed in the loop that makes an operand, or once for a sequence
//! where that does not vary, and every engine computes the same. Where a CPU has instructions for such products, their
//! kernel ([`crate::kernels::bfloat16`]) rounds instead, and only the few products that it would make slower are rounded so.

use std::collections::{BTreeMap, BTreeSet};

use graph::{DType, Graph, NodeId, Op, OpError, Span, UnaryOp};

use crate::rewrite::rewritten;

/// The graph with every operand of a matrix product rounded. `known`: inputs that are rounded already, by their numbers.
pub(crate) fn rounded(
    graph: &Graph,
    outputs: &[NodeId],
    known: &BTreeSet<usize>,
) -> Result<(Graph, Vec<NodeId>), OpError> {
    let mut rounding = Rounding::new(known);
    rewritten(graph, outputs, |to, id, args| {
        let node = graph.node(id);
        let factors = match node.op {
            _ if node.dtype != DType::Float => 0,
            Op::Linear { .. } => 2,
            Op::MatMul | Op::Einsum(_) => args.len(),
            _ => 0,
        };
        let mut args = args.to_vec();
        for arg in args.iter_mut().take(factors) {
            *arg = rounding.of(to, *arg)?;
        }
        to.push_as(node.op.clone(), &args, node.shape.clone(), node.dtype, node.span)
    })
}

/// Whether a value is one of [`Op::Unary`]`(`[`UnaryOp::Bfloat16`]`)`, or a view of one.
pub(crate) fn is_rounded(graph: &Graph, mut id: NodeId) -> bool {
    loop {
        let node = graph.node(id);
        match (&node.op, node.args.first()) {
            (Op::Unary(UnaryOp::Bfloat16), _) => return true,
            (op, Some(&shown)) if op.is_view() => id = shown,
            _ => return false,
        }
    }
}

/// Rounds values of a graph in the making, each once.
pub(crate) struct Rounding<'a> {
    known: &'a BTreeSet<usize>,
    /// Values that were rounded before.
    made: BTreeMap<NodeId, NodeId>,
}

impl<'a> Rounding<'a> {
    /// `known`: inputs that are rounded already, by their numbers.
    pub fn new(known: &'a BTreeSet<usize>) -> Self {
        Self { known, made: BTreeMap::new() }
    }

    /// A value rounded: below its views, since only what is computed can be rounded where it is made.
    pub fn of(&mut self, to: &mut Graph, id: NodeId) -> Result<NodeId, OpError> {
        if let Some(&made) = self.made.get(&id) {
            return Ok(made);
        }
        let node = to.node(id).clone();
        let made = match (&node.op, node.args.as_slice()) {
            _ if node.dtype != DType::Float => id,
            (Op::Unary(UnaryOp::Bfloat16), _) => id,
            (Op::Input(input), _) if self.known.contains(&(*input as usize)) => id,
            (op, &[shown]) if op.is_view() => {
                let shown = self.of(to, shown)?;
                to.push_as(node.op.clone(), &[shown], node.shape, node.dtype, node.span)?
            }
            _ => to.push_as(Op::Unary(UnaryOp::Bfloat16), &[id], node.shape, DType::Float, Span::default())?,
        };
        self.made.insert(id, made);
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use graph::{Dim, Init, Param};

    use super::*;

    fn push(graph: &mut Graph, op: Op, args: &[NodeId]) -> NodeId {
        graph.push(op, args, Span::default()).expect("types")
    }

    fn count(graph: &Graph, op: &Op) -> usize {
        graph.nodes().iter().filter(|node| node.op == *op).count()
    }

    #[test]
    fn operands_are_rounded_once_and_below_their_views() {
        let mut graph = Graph::new();
        let shape = vec![Dim::b(), Dim::n(), Dim::known(4)];
        let x = graph.input("x", shape.clone(), DType::Float, true);
        let y = graph.input("y", shape, DType::Float, true);
        let weight = Param {
            name: "w".to_owned(),
            aliases: Vec::new(),
            shape: vec![4, 4],
            init: Init::Constant(0.5),
            trainable: true,
            transient: false,
            span: Span::default(),
        };
        let weight = graph.param(weight, Span::default());
        let turned = push(&mut graph, Op::Permute(vec![0, 2, 1]), &[x]);
        let products = [
            push(&mut graph, Op::MatMul, &[y, turned]),
            push(&mut graph, Op::Linear { biased: false }, &[x, weight]),
            push(&mut graph, Op::MatMul, &[x, weight]),
        ];
        let round = Op::Unary(UnaryOp::Bfloat16);
        let (once, outputs) = rounded(&graph, &products, &BTreeSet::new()).expect("types");
        assert_eq!(count(&once, &round), 3, "x, y and the weight");
        for &output in &outputs {
            assert!(once.node(output).args.iter().all(|&arg| is_rounded(&once, arg)));
        }
        let views = once.nodes().iter().filter(|node| node.op.is_view());
        assert!(views.into_iter().all(|view| once.node(view.args[0]).op == round));

        let (again, _) = rounded(&once, &outputs, &BTreeSet::new()).expect("types");
        assert_eq!(again.nodes(), once.nodes(), "what is rounded stays as it is");
        let (known, _) = rounded(&graph, &products, &BTreeSet::from([1])).expect("types");
        assert_eq!(count(&known, &round), 2, "y is known to be rounded");
    }
}
