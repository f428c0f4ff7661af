//! Dead code: what no output depends on, directly or through others, is left out.

use crate::graph::Graph;
use crate::op::{Node, NodeId};

/// By node index: whether an output depends on it.
pub fn live(graph: &Graph, outputs: &[NodeId]) -> Vec<bool> {
    let mut live = vec![false; graph.nodes.len()];
    for id in outputs {
        live[id.index()] = true;
    }
    for at in (0..graph.nodes.len()).rev() {
        if live[at] {
            for id in &graph.nodes[at].args {
                live[id.index()] = true;
            }
        }
    }
    live
}

/// By node index: how many times needed nodes and outputs read it.
pub(super) fn uses(graph: &Graph, outputs: &[NodeId]) -> Vec<usize> {
    let live = live(graph, outputs);
    let mut uses = vec![0; graph.nodes.len()];
    let args = graph.nodes.iter().zip(live).filter(|(_, live)| *live).flat_map(|(node, _)| &node.args);
    for id in args.chain(outputs) {
        uses[id.index()] += 1;
    }
    uses
}

/// Only what `outputs` need, in the order of `key` (which must not put a node before its arguments), then as it was.
pub(super) fn by(graph: &Graph, outputs: &[NodeId], key: impl Fn(usize) -> u8) -> (Graph, Vec<NodeId>) {
    let live = live(graph, outputs);
    let mut order: Vec<usize> = (0..graph.nodes.len()).filter(|&at| live[at]).collect();
    order.sort_by_key(|&at| key(at));
    let mut sorted = Graph { inputs: graph.inputs.clone(), params: graph.params.clone(), nodes: Vec::new() };
    let mut map = vec![NodeId(0); graph.nodes.len()];
    for at in order {
        let node = &graph.nodes[at];
        let args = node.args.iter().map(|x| map[x.index()]).collect();
        map[at] = sorted.add(Node { args, ..node.clone() });
    }
    (sorted, outputs.iter().map(|id| map[id.index()]).collect())
}
