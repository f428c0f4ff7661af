//! The order of nodes: what depends on parameters alone first, then the rest of what is static, then what varies.
//!
//! Arguments still come before their users, as nothing depends on what is in a later part. An executor runs the first
//! part once per set of weights, the second once per sequence, and the third at every step.

use crate::graph::Graph;
use crate::op::{NodeId, Op};

/// By node index: whether it depends on no input at all.
pub fn constant(graph: &Graph) -> Vec<bool> {
    let mut constant: Vec<bool> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let own = !matches!(node.op, Op::Input(_)) && node.args.iter().all(|x| constant[x.index()]);
        constant.push(own);
    }
    constant
}

pub(super) fn run(graph: &Graph, outputs: &[NodeId]) -> (Graph, Vec<NodeId>) {
    let (constant, varies) = (constant(graph), super::varying(graph));
    super::dce::by(graph, outputs, |at| if constant[at] { 0 } else { 1 + u8::from(varies[at]) })
}
