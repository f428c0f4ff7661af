//! What need not be computed again at every time step.
//!
//! A value that depends on parameters and on inputs that do not vary is the same at all T steps of a sequence: it is
//! *static*. Computing static values once divides their cost by T.

use crate::graph::Graph;
use crate::op::Op;

/// By node index: whether the value may differ from step to step.
pub fn varying(graph: &Graph) -> Vec<bool> {
    let mut varies: Vec<bool> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let own = match node.op {
            Op::Input(i) => graph.inputs.get(i as usize).is_none_or(|input| input.varies),
            _ => node.args.iter().any(|id| varies[id.index()]),
        };
        varies.push(own);
    }
    varies
}
