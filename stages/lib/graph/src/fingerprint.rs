//! Whether two graphs mean the same computation, and how far apart they are.
//!
//! A fingerprint is taken of the normal form (dead code gone, local identities applied, equal nodes one), so it does not
//! depend on names of variables or parameters, on the order in which independent nodes were made, nor on the order of
//! the operands of `+`, `*` and their like. It does depend on every setting, on shapes, on how parameters start and
//! whether they are trained, and on which uses share a parameter.
//!
//! Parameters have no names here, so they are told apart by their place. Each round hashes every node from its arguments
//! (upwards), then from the contexts that it is used in (downwards), and gives parameters what was found; three rounds
//! settle all but contrived symmetric graphs, whose parameters could be exchanged anyway.

use crate::dim::display;
use crate::error::OpError;
use crate::graph::Graph;
use crate::op::{NodeId, Op};
use crate::passes::{commutes, normal_form};
use std::collections::BTreeMap;
use std::fmt;

type Hash = [u8; 32];

/// Identifies what a graph computes. Displays as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub Hash);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

const ROUNDS: usize = 3;

/// The fingerprint of `outputs`, in their order.
pub fn fingerprint(graph: &Graph, outputs: &[NodeId]) -> Fingerprint {
    let (graph, outputs) = normal(graph, outputs);
    let own: Vec<Hash> = graph.ids().map(|id| label(&graph, id)).collect();
    let mut place: Vec<Hash> = vec![[0; 32]; graph.nodes.len()];
    let mut up = upwards(&graph, &own, &place);
    for _ in 0..ROUNDS {
        place = downwards(&graph, &outputs, &own, &up);
        up = upwards(&graph, &own, &place);
    }
    let mut hasher = blake3::Hasher::new();
    for id in &outputs {
        hasher.update(&up[id.0 as usize]);
    }
    Fingerprint(*hasher.finalize().as_bytes())
}

fn normal(graph: &Graph, outputs: &[NodeId]) -> (Graph, Vec<NodeId>) {
    // The identities are proven by tests; should one not type, the graph as it is serves as its own normal form.
    normal_form(graph, outputs).unwrap_or_else(|_: OpError| (graph.clone(), outputs.to_vec()))
}

/// What a node is by itself, without its arguments.
fn label(graph: &Graph, id: NodeId) -> Hash {
    *blake3::hash(describe(graph, id).as_bytes()).as_bytes()
}

fn describe(graph: &Graph, id: NodeId) -> String {
    let node = graph.node(id);
    let (shape, dtype) = (display(&node.shape), node.dtype);
    match (&node.op, graph.param_of(id)) {
        (_, Some(p)) => format!("param {:?} {} {} {shape}", p.init, p.trainable, p.transient),
        (Op::Input(i), _) => format!("input {i} {dtype} {shape}"),
        (op, _) => format!("{op:?} {dtype} {shape}"),
    }
}

/// From the arguments; parameters also from their place.
fn upwards(graph: &Graph, own: &[Hash], place: &[Hash]) -> Vec<Hash> {
    let mut up: Vec<Hash> = Vec::with_capacity(graph.nodes.len());
    for (at, node) in graph.nodes.iter().enumerate() {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&own[at]);
        if matches!(node.op, Op::Param(_)) {
            hasher.update(&place[at]);
        }
        let mut args: Vec<&Hash> = node.args.iter().map(|x| &up[x.0 as usize]).collect();
        if commutes(&node.op) {
            args.sort_unstable();
        }
        for arg in args {
            hasher.update(arg);
        }
        let hash = *hasher.finalize().as_bytes();
        up.push(hash);
    }
    up
}

/// From the users: which of their arguments a node is, what they are, and where they are used in turn.
fn downwards(graph: &Graph, outputs: &[NodeId], own: &[Hash], up: &[Hash]) -> Vec<Hash> {
    let mut uses: Vec<Vec<Hash>> = vec![Vec::new(); graph.nodes.len()];
    for (position, id) in outputs.iter().enumerate() {
        uses[id.0 as usize].push(*blake3::hash(format!("output {position}").as_bytes()).as_bytes());
    }
    let mut place = vec![[0; 32]; graph.nodes.len()];
    for at in (0..graph.nodes.len()).rev() {
        let node = &graph.nodes[at];
        uses[at].sort_unstable();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&own[at]).update(&up[at]);
        for r#use in &uses[at] {
            hasher.update(r#use);
        }
        place[at] = *hasher.finalize().as_bytes();
        for (position, x) in node.args.iter().enumerate() {
            let position = if commutes(&node.op) { 0 } else { position };
            let mut hasher = blake3::Hasher::new();
            hasher.update(&place[at]).update(&(position as u64).to_le_bytes());
            uses[x.0 as usize].push(*hasher.finalize().as_bytes());
        }
    }
    place
}

/// For each output whether the two graphs compute it differently. An output that only one of them has is different.
pub fn changed_outputs(old: (&Graph, &[NodeId]), new: (&Graph, &[NodeId])) -> Vec<bool> {
    let alone = |(graph, outputs): (&Graph, &[NodeId]), at: usize| {
        outputs.get(at).map(|&id| fingerprint(graph, std::slice::from_ref(&id)))
    };
    (0..old.1.len().max(new.1.len())).map(|at| alone(old, at) != alone(new, at)).collect()
}

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

/// The size of the multiset difference of the normal forms' nodes and edges.
///
/// A node is what it is by itself: operation, settings, type; of a parameter shape and initialisation; an edge is its two
/// nodes and the argument's position (0 for operands that commute). This is the number of nodes and edges that any edit by
/// insertion and deletion has to touch at least, 0 for equal graphs, symmetric, and needs no search.
pub fn edit_distance(old: (&Graph, &[NodeId]), new: (&Graph, &[NodeId])) -> EditDistance {
    let (mut nodes, mut edges) = (BTreeMap::new(), BTreeMap::new());
    for ((graph, outputs), sign) in [(old, 1_i64), (new, -1)] {
        let (graph, outputs) = normal(graph, outputs);
        let labels: Vec<Hash> = graph.ids().map(|id| label(&graph, id)).collect();
        for (at, node) in graph.nodes.iter().enumerate() {
            *nodes.entry(labels[at]).or_insert(0) += sign;
            for (position, x) in node.args.iter().enumerate() {
                let position = if commutes(&node.op) { 0 } else { position };
                *edges.entry((labels[x.0 as usize], labels[at], position)).or_insert(0) += sign;
            }
        }
        for (position, id) in outputs.iter().enumerate() {
            *edges.entry((labels[id.0 as usize], [0; 32], position)).or_insert(0) += sign;
        }
    }
    let size = |count: i64| usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    EditDistance { nodes: nodes.values().map(|&c| size(c)).sum(), edges: edges.values().map(|&c| size(c)).sum() }
}
