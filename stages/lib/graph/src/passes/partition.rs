//! What need not be computed again at every time step.
//!
//! A value that depends on parameters and on inputs that do not vary is the same at all T steps of a sequence: it is
//! *static*. Computing static values once divides their cost by T. Only the static values that the varying part reads,
//! the *frontier*, have to be kept.

use crate::graph::Graph;
use crate::op::{NodeId, Op};

/// Which nodes are static, and which of them must be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// By node index: whether the value may differ from step to step.
    pub varies: Vec<bool>,
    /// Static nodes that a varying node or an output reads, ascending. Constants that cost nothing to make again
    /// (`Scalar`, `Size`, `Full`) and bare parameters and inputs are not listed.
    pub frontier: Vec<NodeId>,
}

/// By node index: whether the value may differ from step to step.
pub fn varying(graph: &Graph) -> Vec<bool> {
    let mut varies: Vec<bool> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let own = match node.op {
            Op::Input(i) => graph.inputs.get(i as usize).is_none_or(|input| input.varies),
            _ => node.args.iter().any(|id| varies[id.0 as usize]),
        };
        varies.push(own);
    }
    varies
}

/// Splits what `outputs` need into static and per-step work.
pub fn partition(graph: &Graph, outputs: &[NodeId]) -> Partition {
    let varies = varying(graph);
    let live = super::dce::live(graph, outputs);
    let mut kept = vec![false; graph.nodes.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        if live[at] && varies[at] {
            for id in &node.args {
                kept[id.0 as usize] |= !varies[id.0 as usize];
            }
        }
    }
    for id in outputs {
        kept[id.0 as usize] |= !varies[id.0 as usize];
    }
    let costly = |id: &NodeId| {
        !matches!(graph.node(*id).op, Op::Scalar(_) | Op::Size(_) | Op::Full(_) | Op::Param(_) | Op::Input(_))
    };
    let frontier = graph.ids().filter(|id| kept[id.0 as usize]).filter(costly).collect();
    Partition { varies, frontier }
}
