//! Whether two graphs mean the same computation.
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
use crate::graph::Graph;
use crate::op::{NodeId, Op};
use crate::passes::{commutes, live, normal_form};
use std::fmt;

pub(crate) type Hash = [u8; 32];

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
    Form::new(graph, outputs).fingerprint()
}

/// A graph in normal form, made once and asked several things: see [`Form::fingerprint`], [`Form::output`] and
/// [`Form::parts`].
#[derive(Clone, Debug)]
pub struct Form {
    pub(crate) graph: Graph,
    pub(crate) outputs: Vec<NodeId>,
    /// What each node is by itself.
    pub(crate) own: Vec<Hash>,
}

impl Form {
    /// The form of what a graph computes at these outputs.
    pub fn new(graph: &Graph, outputs: &[NodeId]) -> Self {
        let (graph, outputs) = normal_form(graph, outputs);
        let own = graph.ids().map(|id| label(&graph, id)).collect();
        Self { graph, outputs, own }
    }

    /// The fingerprint of all outputs, in their order.
    pub fn fingerprint(&self) -> Fingerprint {
        self.of(&self.outputs)
    }

    /// The fingerprint of some of the nodes alone: what else the graph computes does not count.
    pub(crate) fn of(&self, outputs: &[NodeId]) -> Fingerprint {
        let live = live(&self.graph, outputs);
        let mut place: Vec<Hash> = vec![[0; 32]; self.graph.nodes.len()];
        let mut up = upwards(&self.graph, &self.own, &place);
        for _ in 0..ROUNDS {
            place = downwards(&self.graph, outputs, &live, &self.own, &up);
            up = upwards(&self.graph, &self.own, &place);
        }
        let mut hasher = blake3::Hasher::new();
        for id in outputs {
            hasher.update(&up[id.index()]);
        }
        Fingerprint(*hasher.finalize().as_bytes())
    }
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
        let mut args: Vec<&Hash> = node.args.iter().map(|x| &up[x.index()]).collect();
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
fn downwards(graph: &Graph, outputs: &[NodeId], live: &[bool], own: &[Hash], up: &[Hash]) -> Vec<Hash> {
    let mut uses: Vec<Vec<Hash>> = vec![Vec::new(); graph.nodes.len()];
    for (position, id) in outputs.iter().enumerate() {
        uses[id.index()].push(*blake3::hash(format!("output {position}").as_bytes()).as_bytes());
    }
    let mut place = vec![[0; 32]; graph.nodes.len()];
    for at in (0..graph.nodes.len()).rev().filter(|&at| live[at]) {
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
            uses[x.index()].push(*hasher.finalize().as_bytes());
        }
    }
    place
}
