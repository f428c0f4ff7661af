//! How far apart two graphs are.

use std::cmp::Ordering;

use crate::fingerprint::{Fingerprint, Form, Hash};
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
    /// The sum of both.
    pub fn total(&self) -> usize {
        self.nodes + self.edges
    }
}

/// The nodes and edges of a graph by what they are, sorted: what distances are taken of.
///
/// A node is what it is by itself: operation, settings, type; of a parameter shape and initialisation; an edge is its two
/// nodes and the argument's position (0 for operands that commute). An output is an edge to nowhere.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    nodes: Vec<u128>,
    edges: Vec<(u128, u128, usize)>,
}

impl Parts {
    /// The size of the multiset difference of nodes and edges: the number of them that any edit by insertion and deletion
    /// has to touch at least, 0 for equal graphs, symmetric. It needs no search: an exact distance is NP-hard, this one
    /// takes a walk along both.
    pub fn distance(&self, other: &Parts) -> EditDistance {
        EditDistance { nodes: apart(&self.nodes, &other.nodes), edges: apart(&self.edges, &other.edges) }
    }
}

/// How many items of two sorted lists have no equal in the other.
fn apart<T: Ord>(a: &[T], b: &[T]) -> usize {
    let (mut i, mut j, mut common) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let order = x.cmp(y);
        common += usize::from(order == Ordering::Equal);
        i += usize::from(order != Ordering::Greater);
        j += usize::from(order != Ordering::Less);
    }
    a.len() + b.len() - 2 * common
}

/// Half of a hash is enough to tell some thousands of labels apart.
fn half(hash: &Hash) -> u128 {
    hash.first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes))
}

impl Form {
    /// What distances are taken of.
    pub fn parts(&self) -> Parts {
        let labels: Vec<u128> = self.own.iter().map(half).collect();
        let mut edges = Vec::new();
        for (at, node) in self.graph.nodes.iter().enumerate() {
            for (position, x) in node.args.iter().enumerate() {
                let position = if commutes(&node.op) { 0 } else { position };
                edges.push((labels[x.index()], labels[at], position));
            }
        }
        edges.extend(self.outputs.iter().enumerate().map(|(position, id)| (labels[id.index()], 0, position)));
        let mut nodes = labels;
        nodes.sort_unstable();
        edges.sort_unstable();
        Parts { nodes, edges }
    }

    /// The fingerprint of one output alone: what else the graph computes does not count. `None` where there is none.
    pub fn output(&self, at: usize) -> Option<Fingerprint> {
        self.outputs.get(at).map(|id| self.of(std::slice::from_ref(id)))
    }
}

/// For each output whether the two graphs compute it differently. An output that only one of them has is different.
pub fn changed_outputs(old: (&Graph, &[NodeId]), new: (&Graph, &[NodeId])) -> Vec<bool> {
    let outputs = old.1.len().max(new.1.len());
    let (old, new) = (Form::new(old.0, old.1), Form::new(new.0, new.1));
    (0..outputs).map(|at| old.output(at) != new.output(at)).collect()
}

/// The distance of two graphs in normal form: see [`Parts::distance`].
pub fn edit_distance(old: (&Graph, &[NodeId]), new: (&Graph, &[NodeId])) -> EditDistance {
    Form::new(old.0, old.1).parts().distance(&Form::new(new.0, new.1).parts())
}
