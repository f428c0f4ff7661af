//! How far apart two graphs are.

use std::collections::BTreeMap;

use crate::fingerprint::Form;
use crate::graph::Graph;
use crate::op::NodeId;
use crate::passes::commutes;

/// What [`edit_distance`] counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EditDistance {
    /// Nodes that only one of the two graphs has.
    pub nodes: usize,
    /// Edges that only one of the two graphs has.
    pub edges: usize,
}

impl EditDistance {
    pub fn total(&self) -> usize {
        self.nodes + self.edges
    }
}

impl Form {
    /// For each output whether the two graphs compute it differently. An output that only one of them has is different.
    pub fn changed_outputs(&self, other: &Form) -> Vec<bool> {
        let alone = |form: &Form, at: usize| form.outputs.get(at).map(|id| form.of(std::slice::from_ref(id)));
        let outputs = self.outputs.len().max(other.outputs.len());
        (0..outputs).map(|at| alone(self, at) != alone(other, at)).collect()
    }

    /// The size of the multiset difference of the normal forms' nodes and edges.
    ///
    /// A node is what it is by itself: operation, settings, type; of a parameter shape and initialisation; an edge is its
    /// two nodes and the argument's position (0 for operands that commute). This is the number of nodes and edges that any
    /// edit by insertion and deletion has to touch at least, 0 for equal graphs, symmetric, and needs no search: the time
    /// is that of sorting the nodes, where an exact distance is NP-hard.
    pub fn edit_distance(&self, other: &Form) -> EditDistance {
        let (mut nodes, mut edges) = (BTreeMap::new(), BTreeMap::new());
        for (form, sign) in [(self, 1_i64), (other, -1)] {
            let labels = &form.own;
            for (at, node) in form.graph.nodes.iter().enumerate() {
                *nodes.entry(labels[at]).or_insert(0) += sign;
                for (position, x) in node.args.iter().enumerate() {
                    let position = if commutes(&node.op) { 0 } else { position };
                    *edges.entry((labels[x.0 as usize], labels[at], position)).or_insert(0) += sign;
                }
            }
            for (position, id) in form.outputs.iter().enumerate() {
                *edges.entry((labels[id.0 as usize], [0; 32], position)).or_insert(0) += sign;
            }
        }
        let size = |count: i64| usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        EditDistance { nodes: nodes.values().map(|&c| size(c)).sum(), edges: edges.values().map(|&c| size(c)).sum() }
    }
}

/// As [`Form::changed_outputs`], of graphs as they are.
pub fn changed_outputs(old: (&Graph, &[NodeId]), new: (&Graph, &[NodeId])) -> Vec<bool> {
    Form::new(old.0, old.1).changed_outputs(&Form::new(new.0, new.1))
}

/// As [`Form::edit_distance`], of graphs as they are.
pub fn edit_distance(old: (&Graph, &[NodeId]), new: (&Graph, &[NodeId])) -> EditDistance {
    Form::new(old.0, old.1).edit_distance(&Form::new(new.0, new.1))
}
