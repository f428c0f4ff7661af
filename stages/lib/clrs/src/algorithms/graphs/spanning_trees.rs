//! Minimum spanning trees: CLRS, chapter 23.

use super::{graphs, least, no_predecessors, probe_graph, probe_rooted};
use crate::algorithms::{Algorithm, Family};
use crate::matrix::Matrix;
use crate::problem::{Edges, Problem};
use crate::spec::Location::{Edge, Graph, Node};
use crate::spec::Type::{Categorical, Mask, MaskOne, Pointer, Scalar};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::Trace;

/// Kruskal's minimum spanning forest, with a union-find structure probed down to its path compressions.
pub(in crate::algorithms) const MST_KRUSKAL: Algorithm = Algorithm::new(
    "mst_kruskal",
    Family::Graphs,
    "CLRS 23.2; Kruskal (1956)",
    MST_KRUSKAL_SPEC,
    Problem::Graph { kind: graphs(Edges::Undirected, true, 0.2), run: mst_kruskal },
)
.sparse_training();

const MST_KRUSKAL_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("A", Edge, Scalar),
    input("adj", Edge, Mask),
    output("in_mst", Edge, Mask),
    hint("in_mst_h", Edge, Mask),
    hint("pi", Node, Pointer),
    hint("u", Node, MaskOne),
    hint("v", Node, MaskOne),
    hint("root_u", Node, MaskOne),
    hint("root_v", Node, MaskOne),
    hint("mask_u", Node, Mask),
    hint("mask_v", Node, Mask),
    hint("phase", Graph, Categorical).of(3),
];

/// Prim's minimum spanning tree of what is connected with a root.
pub(in crate::algorithms) const MST_PRIM: Algorithm = Algorithm::new(
    "mst_prim",
    Family::Graphs,
    "CLRS 23.2; Prim (1957)",
    MST_PRIM_SPEC,
    Problem::Rooted { kind: graphs(Edges::Undirected, true, 0.5), run: mst_prim },
);

const MST_PRIM_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("s", Node, MaskOne),
    input("A", Edge, Scalar),
    input("adj", Edge, Mask),
    output("pi", Node, Pointer),
    hint("pi_h", Node, Pointer),
    hint("key", Node, Scalar),
    hint("mark", Node, Mask),
    hint("in_queue", Node, Mask),
    hint("u", Node, MaskOne),
];

/// What Kruskal's algorithm is doing.
#[derive(Clone, Copy)]
enum Phase {
    /// Joining two trees, or leaving them alone.
    Union = 0,
    /// Looking for the root of one end of the edge.
    FindU = 1,
    /// Looking for the root of the other end.
    FindV = 2,
}

/// The way from a node to the root of its tree in the union-find structure.
#[derive(Clone)]
struct Path {
    begin: usize,
    root: usize,
    passed: Vec<bool>,
}

impl Path {
    fn new(begin: usize, n: usize) -> Self {
        Self { begin, root: begin, passed: (0..n).map(|node| node == begin).collect() }
    }

    /// Goes one node on, and takes all nodes passed along; false at the root.
    fn step(&mut self, pi: &mut [usize]) -> bool {
        if pi[self.root] == self.root {
            return false;
        }
        self.root = pi[self.root];
        for (pointer, _) in pi.iter_mut().zip(&self.passed).filter(|&(_, &passed)| passed) {
            *pointer = self.root;
        }
        self.passed[self.root] = true;
        true
    }
}

struct Kruskal<'a> {
    in_mst: Vec<bool>,
    /// The union-find structure's forest.
    pi: Vec<usize>,
    trace: &'a mut Trace,
}

impl Kruskal<'_> {
    fn probe(&mut self, u: &Path, v: &Path, phase: Phase) {
        self.trace
            .hint()
            .mask("in_mst_h", &self.in_mst)
            .pointers("pi", &self.pi)
            .one("u", u.begin)
            .one("v", v.begin)
            .one("root_u", u.root)
            .one("root_v", v.root)
            .mask("mask_u", &u.passed)
            .mask("mask_v", &v.passed)
            .class("phase", phase as u8)
            .done();
    }

    /// Takes the edge between `u` and `v` unless they are connected already. The higher root becomes the root of both.
    fn union(&mut self, u: usize, v: usize) {
        let n = self.pi.len();
        let (mut from_u, mut from_v) = (Path::new(u, n), Path::new(v, n));
        self.probe(&from_u, &from_v, Phase::FindU);
        while from_u.step(&mut self.pi) {
            self.probe(&from_u, &from_v, Phase::FindU);
        }
        while from_v.step(&mut self.pi) {
            self.probe(&from_u, &from_v, Phase::FindV);
        }
        let (low, high) = (from_u.root.min(from_v.root), from_u.root.max(from_v.root));
        if low != high {
            self.in_mst[u * n + v] = true;
            self.in_mst[v * n + u] = true;
            self.pi[low] = high;
        }
        self.probe(&from_u, &from_v, Phase::Union);
    }
}

/// MST-KRUSKAL.
fn mst_kruskal(graph: &Matrix, trace: &mut Trace) {
    let n = graph.n();
    probe_graph(graph, trace);
    let mut kruskal = Kruskal { in_mst: vec![false; n * n], pi: (0..n).collect(), trace };
    let nowhere = Path { begin: 0, root: 0, passed: vec![false; n] };
    kruskal.probe(&nowhere, &nowhere, Phase::Union);
    let pairs = (0..n).flat_map(|u| (u + 1..n).map(move |v| (u, v)));
    let mut edges: Vec<(usize, usize)> = pairs.filter(|&(u, v)| graph.edge(u, v)).collect();
    edges.sort_by(|&a, &b| graph[a].total_cmp(&graph[b]));
    for (u, v) in edges {
        kruskal.union(u, v);
    }
    kruskal.trace.outputs().mask("in_mst", &kruskal.in_mst).done();
}

/// MST-PRIM, with nodes in the queue only once they have a key.
fn mst_prim(graph: &Matrix, root: usize, trace: &mut Trace) {
    let n = graph.n();
    probe_rooted(graph, root, trace);
    let mut key = vec![0.0; n];
    let mut mark = vec![false; n];
    let mut in_queue = vec![false; n];
    let mut pi = no_predecessors(n);
    let mut probe = |pi: &[usize], key: &[f64], mark: &[bool], in_queue: &[bool], u: usize| {
        trace
            .hint()
            .pointers("pi_h", pi)
            .numbers("key", key)
            .mask("mark", mark)
            .mask("in_queue", in_queue)
            .one("u", u)
            .done();
    };
    in_queue[root] = true;
    probe(&pi, &key, &mark, &in_queue, root);
    while let Some(u) = least(&key, &in_queue) {
        mark[u] = true;
        in_queue[u] = false;
        for v in (0..n).filter(|&v| graph.edge(u, v)) {
            if !mark[v] && (!in_queue[v] || graph[(u, v)] < key[v]) {
                pi[v] = u;
                key[v] = graph[(u, v)];
                in_queue[v] = true;
            }
        }
        probe(&pi, &key, &mark, &in_queue, u);
    }
    trace.outputs().pointers("pi", &pi).done();
}
