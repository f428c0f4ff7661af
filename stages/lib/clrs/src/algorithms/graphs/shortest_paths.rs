//! Shortest paths: CLRS, chapters 24 and 25.
//!
//! A distance of 0 with no mark stands for the textbook's infinity.

use super::depth_first::Order;
use super::walk::{Visitor, WHITE, Walk};
use super::{graphs, least, no_predecessors, probe_graph, probe_rooted};
use crate::algorithms::{Algorithm, Family};
use crate::matrix::Matrix;
use crate::problem::{Edges, Problem};
use crate::spec::Location::{Edge, Graph, Node};
use crate::spec::Type::{Categorical, Mask, MaskOne, Pointer, Scalar};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::Trace;

/// Bellman and Ford's shortest paths from a source.
pub(in crate::algorithms) const BELLMAN_FORD: Algorithm = Algorithm::new(
    "bellman_ford",
    Family::Graphs,
    "CLRS 24.1; Bellman (1958)",
    BELLMAN_FORD_SPEC,
    Problem::Rooted { kind: graphs(Edges::Undirected, true, 0.5), run: bellman_ford },
);

const BELLMAN_FORD_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("s", Node, MaskOne),
    input("A", Edge, Scalar),
    input("adj", Edge, Mask),
    output("pi", Node, Pointer),
    hint("pi_h", Node, Pointer),
    hint("d", Node, Scalar),
    hint("msk", Node, Mask),
];

/// Shortest paths from a source in a graph without cycles.
pub(in crate::algorithms) const DAG_SHORTEST_PATHS: Algorithm = Algorithm::new(
    "dag_shortest_paths",
    Family::Graphs,
    "CLRS 24.2",
    DAG_SHORTEST_PATHS_SPEC,
    Problem::Rooted { kind: graphs(Edges::Acyclic, true, 0.5), run: dag_shortest_paths },
);

const DAG_SHORTEST_PATHS_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("s", Node, MaskOne),
    input("A", Edge, Scalar),
    input("adj", Edge, Mask),
    output("pi", Node, Pointer),
    hint("pi_h", Node, Pointer),
    hint("d", Node, Scalar),
    hint("mark", Node, Mask),
    hint("topo_h", Node, Pointer),
    hint("topo_head_h", Node, MaskOne),
    hint("color", Node, Categorical).of(3),
    hint("s_prev", Node, Pointer),
    hint("u", Node, MaskOne),
    hint("v", Node, MaskOne),
    hint("s_last", Node, MaskOne),
    hint("phase", Graph, Mask),
];

/// Dijkstra's shortest paths from a source.
pub(in crate::algorithms) const DIJKSTRA: Algorithm = Algorithm::new(
    "dijkstra",
    Family::Graphs,
    "CLRS 24.3; Dijkstra (1959)",
    DIJKSTRA_SPEC,
    Problem::Rooted { kind: graphs(Edges::Undirected, true, 0.5), run: dijkstra },
);

const DIJKSTRA_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("s", Node, MaskOne),
    input("A", Edge, Scalar),
    input("adj", Edge, Mask),
    output("pi", Node, Pointer),
    hint("pi_h", Node, Pointer),
    hint("d", Node, Scalar),
    hint("mark", Node, Mask),
    hint("in_queue", Node, Mask),
    hint("u", Node, MaskOne),
];

/// Floyd and Warshall's shortest paths between all pairs.
pub(in crate::algorithms) const FLOYD_WARSHALL: Algorithm = Algorithm::new(
    "floyd_warshall",
    Family::Graphs,
    "CLRS 25.2; Floyd (1962)",
    FLOYD_WARSHALL_SPEC,
    Problem::Graph { kind: graphs(Edges::Undirected, true, 0.5), run: floyd_warshall },
);

const FLOYD_WARSHALL_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("A", Edge, Scalar),
    input("adj", Edge, Mask),
    output("Pi", Edge, Pointer),
    hint("Pi_h", Edge, Pointer),
    hint("D", Edge, Scalar),
    hint("msk", Edge, Mask),
    hint("k", Node, MaskOne),
];

/// BELLMAN-FORD, relaxing all edges at once in each step, until nothing changes.
fn bellman_ford(graph: &Matrix, source: usize, trace: &mut Trace) {
    let n = graph.n();
    probe_rooted(graph, source, trace);
    let mut d = vec![0.0; n];
    let mut pi = no_predecessors(n);
    let mut reached = vec![false; n];
    reached[source] = true;
    loop {
        trace.hint().pointers("pi_h", &pi).numbers("d", &d).mask("msk", &reached).done();
        let (old_d, old_reached) = (d.clone(), reached.clone());
        for u in (0..n).filter(|&u| old_reached[u]) {
            for v in (0..n).filter(|&v| graph.edge(u, v)) {
                let through_u = old_d[u] + graph[(u, v)];
                if !reached[v] || through_u < d[v] {
                    d[v] = through_u;
                    pi[v] = u;
                }
                reached[v] = true;
            }
        }
        if d == old_d {
            break;
        }
    }
    trace.outputs().pointers("pi", &pi).done();
}

/// DIJKSTRA, with nodes in the queue only once they have a distance.
fn dijkstra(graph: &Matrix, source: usize, trace: &mut Trace) {
    let n = graph.n();
    probe_rooted(graph, source, trace);
    let mut d = vec![0.0; n];
    let mut mark = vec![false; n];
    let mut in_queue = vec![false; n];
    let mut pi = no_predecessors(n);
    let mut probe = |pi: &[usize], d: &[f64], mark: &[bool], in_queue: &[bool], u: usize| {
        trace
            .hint()
            .pointers("pi_h", pi)
            .numbers("d", d)
            .mask("mark", mark)
            .mask("in_queue", in_queue)
            .one("u", u)
            .done();
    };
    in_queue[source] = true;
    probe(&pi, &d, &mark, &in_queue, source);
    while let Some(u) = least(&d, &in_queue) {
        mark[u] = true;
        in_queue[u] = false;
        for v in (0..n).filter(|&v| graph.edge(u, v)) {
            let through_u = d[u] + graph[(u, v)];
            if !mark[v] && (!in_queue[v] || through_u < d[v]) {
                pi[v] = u;
                d[v] = through_u;
                in_queue[v] = true;
            }
        }
        probe(&pi, &d, &mark, &in_queue, u);
    }
    trace.outputs().pointers("pi", &pi).done();
}

/// DAG-SHORTEST-PATHS, on what can be reached from the source: a topological sort, then relaxation in its order.
fn dag_shortest_paths(graph: &Matrix, source: usize, trace: &mut Trace) {
    let n = graph.n();
    probe_rooted(graph, source, trace);
    let (d, mark, pi) = (vec![0.0; n], vec![false; n], no_predecessors(n));
    let mut paths = DagPaths { d, mark, pi, order: Order::new(n), relaxing: false, trace };
    let mut walk = Walk::new(n);
    walk.tree(graph, source, &mut paths);
    paths.relax_in_order(graph, &walk);
    paths.trace.outputs().pointers("pi", &paths.pi).done();
}

struct DagPaths<'a> {
    d: Vec<f64>,
    mark: Vec<bool>,
    pi: Vec<usize>,
    order: Order,
    relaxing: bool,
    trace: &'a mut Trace,
}

impl DagPaths<'_> {
    fn relax_in_order(&mut self, graph: &Matrix, walk: &Walk) {
        self.relaxing = true;
        self.mark[self.order.head] = true;
        loop {
            self.probe(walk);
            let i = self.order.head;
            if self.order.next[i] == i {
                return;
            }
            for j in (0..graph.n()).filter(|&j| graph.edge(i, j)) {
                let through_i = self.d[i] + graph[(i, j)];
                if !self.mark[j] || through_i < self.d[j] {
                    self.d[j] = through_i;
                    self.pi[j] = i;
                    self.mark[j] = true;
                }
            }
            self.order.head = self.order.next[i];
        }
    }
}

impl Visitor for DagPaths<'_> {
    fn probe(&mut self, walk: &Walk) {
        self.trace
            .hint()
            .pointers("pi_h", &self.pi)
            .numbers("d", &self.d)
            .mask("mark", &self.mark)
            .pointers("topo_h", &self.order.next)
            .one("topo_head_h", self.order.head)
            .classes("color", &walk.color)
            .pointers("s_prev", &walk.s_prev)
            .one("u", walk.u)
            .one("v", walk.v)
            .one("s_last", walk.s_last)
            .flag("phase", self.relaxing)
            .done();
    }

    fn is_new(&self, walk: &Walk) -> bool {
        walk.color[walk.u] == WHITE
    }

    fn discover(&mut self, _walk: &Walk) {}

    fn finish(&mut self, walk: &Walk) {
        self.order.put_in_front(walk);
    }
}

/// FLOYD-WARSHALL. `pi[i, j]` is the node before j on the way from i, or i itself as long as there is no way.
fn floyd_warshall(graph: &Matrix, trace: &mut Trace) {
    let n = graph.n();
    probe_graph(graph, trace);
    let mut d = graph.clone();
    let mut pi: Vec<usize> = (0..n * n).map(|cell| cell / n).collect();
    let mut known = graph.adjacency();
    for k in 0..n {
        trace.hint().pointers("Pi_h", &pi).numbers("D", d.values()).mask("msk", &known).one("k", k).done();
        let (old_d, old_known) = (d.clone(), known.clone());
        for i in (0..n).filter(|&i| old_known[i * n + k]) {
            for j in (0..n).filter(|&j| old_known[k * n + j]) {
                let through_k = old_d[(i, k)] + old_d[(k, j)];
                if !known[i * n + j] || through_k < d[(i, j)] {
                    d[(i, j)] = through_k;
                    pi[i * n + j] = pi[k * n + j];
                }
                known[i * n + j] = true;
            }
        }
    }
    trace.outputs().pointers("Pi", &pi).done();
}
