//! Dead code: what no output depends on, directly or through others, is left out.

use crate::graph::Graph;
use crate::op::NodeId;

/// By node index: whether an output depends on it.
pub fn live(graph: &Graph, outputs: &[NodeId]) -> Vec<bool> {
    let mut live = vec![false; graph.nodes.len()];
    for id in outputs {
        live[id.0 as usize] = true;
    }
    for at in (0..graph.nodes.len()).rev() {
        if live[at] {
            for id in &graph.nodes[at].args {
                live[id.0 as usize] = true;
            }
        }
    }
    live
}
