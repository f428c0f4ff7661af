//! What holds a graph together: strongly connected components (CLRS, section 22.5), articulation points and bridges
//! (CLRS, problem 22-2).

use super::walk::{Clock, TICK, Visitor, Walk};
use super::{graphs, no_predecessors, probe_graph};
use crate::algorithms::{Algorithm, Family, sorted_by};
use crate::matrix::Matrix;
use crate::problem::{Edges, Problem};
use crate::spec::Location::{Edge, Graph, Node};
use crate::spec::Type::{Categorical, Mask, MaskOne, Pointer, Scalar};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::Trace;

/// Strongly connected components, by Kosaraju's two walks: each node pointing at its component's root.
pub(in crate::algorithms) const STRONGLY_CONNECTED_COMPONENTS: Algorithm = Algorithm::new(
    "strongly_connected_components",
    Family::Graphs,
    "CLRS 22.5; Aho, Hopcroft and Ullman (1974)",
    STRONGLY_CONNECTED_COMPONENTS_SPEC,
    Problem::Communities { run: strongly_connected_components },
);

const STRONGLY_CONNECTED_COMPONENTS_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("A", Edge, Scalar),
    input("adj", Edge, Mask),
    output("scc_id", Node, Pointer),
    hint("scc_id_h", Node, Pointer),
    hint("A_t", Edge, Mask),
    hint("color", Node, Categorical).of(3),
    hint("d", Node, Scalar),
    hint("f", Node, Scalar),
    hint("s_prev", Node, Pointer),
    hint("s", Node, MaskOne),
    hint("u", Node, MaskOne),
    hint("v", Node, MaskOne),
    hint("s_last", Node, MaskOne),
    hint("time", Graph, Scalar),
    hint("phase", Graph, Mask),
];

/// Nodes without which a connected part of the graph would fall apart.
pub(in crate::algorithms) const ARTICULATION_POINTS: Algorithm = Algorithm::new(
    "articulation_points",
    Family::Graphs,
    "CLRS, problem 22-2",
    ARTICULATION_POINTS_SPEC,
    Problem::Graph { kind: graphs(Edges::Undirected, false, 0.2), run: articulation_points },
)
.sparse_training();

const ARTICULATION_POINTS_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("A", Edge, Scalar).whole(),
    input("adj", Edge, Mask),
    output("is_cut", Node, Mask),
    hint("is_cut_h", Node, Mask),
    hint("pi_h", Node, Pointer),
    hint("color", Node, Categorical).of(3),
    hint("d", Node, Scalar),
    hint("f", Node, Scalar),
    hint("low", Node, Scalar),
    hint("child_cnt", Node, Scalar),
    hint("s_prev", Node, Pointer),
    hint("s", Node, MaskOne),
    hint("u", Node, MaskOne),
    hint("v", Node, MaskOne),
    hint("s_last", Node, MaskOne),
    hint("time", Graph, Scalar),
];

/// Edges without which a connected part of the graph would fall apart.
pub(in crate::algorithms) const BRIDGES: Algorithm = Algorithm::new(
    "bridges",
    Family::Graphs,
    "CLRS, problem 22-2",
    BRIDGES_SPEC,
    Problem::Graph { kind: graphs(Edges::Undirected, false, 0.2), run: bridges },
)
.sparse_training();

const BRIDGES_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("A", Edge, Scalar).whole(),
    input("adj", Edge, Mask),
    output("is_bridge", Edge, Mask),
    hint("is_bridge_h", Edge, Mask),
    hint("pi_h", Node, Pointer),
    hint("color", Node, Categorical).of(3),
    hint("d", Node, Scalar),
    hint("f", Node, Scalar),
    hint("low", Node, Scalar),
    hint("s_prev", Node, Pointer),
    hint("s", Node, MaskOne),
    hint("u", Node, MaskOne),
    hint("v", Node, MaskOne),
    hint("s_last", Node, MaskOne),
    hint("time", Graph, Scalar),
];

/// STRONGLY-CONNECTED-COMPONENTS: the second walk follows edges backwards, from the node finished last in the first.
fn strongly_connected_components(graph: &Matrix, trace: &mut Trace) {
    let n = graph.n();
    probe_graph(graph, trace);
    let backwards = graph.transposed();
    let adj_t = backwards.adjacency();
    let (clock, scc_id) = (Clock::new(n), (0..n).collect());
    let mut search = Components { clock, scc_id, adj_t, second: false, trace };
    Walk::new(n).forest(graph, 0..n, &mut search);
    search.second = true;
    let roots = sorted_by(&search.clock.f).into_iter().rev();
    Walk::new(n).forest(&backwards, roots, &mut search);
    search.trace.outputs().pointers("scc_id", &search.scc_id).done();
}

struct Components<'a> {
    clock: Clock,
    scc_id: Vec<usize>,
    adj_t: Vec<bool>,
    second: bool,
    trace: &'a mut Trace,
}

impl Visitor for Components<'_> {
    fn probe(&mut self, walk: &Walk) {
        self.trace
            .hint()
            .pointers("scc_id_h", &self.scc_id)
            .mask("A_t", &self.adj_t)
            .classes("color", &walk.color)
            .numbers("d", &self.clock.d)
            .numbers("f", &self.clock.f)
            .pointers("s_prev", &walk.s_prev)
            .one("s", walk.s)
            .one("u", walk.u)
            .one("v", walk.v)
            .one("s_last", walk.s_last)
            .number("time", self.clock.time)
            .flag("phase", self.second)
            .done();
    }

    fn visit(&mut self, walk: &Walk) {
        if self.second {
            self.scc_id[walk.u] = walk.s;
        }
    }

    // In the second walk all nodes have a time of discovery, so that only roots, which are white, get a new one.
    fn is_new(&self, walk: &Walk) -> bool {
        self.clock.is_new(walk)
    }

    fn discover(&mut self, walk: &Walk) {
        self.clock.discover(walk.u);
    }

    fn finish(&mut self, walk: &Walk) {
        self.clock.finish(walk.u);
    }
}

/// A depth-first walk that knows how far back each subtree's edges lead.
struct LowPoints {
    clock: Clock,
    pi: Vec<usize>,
    /// Earliest time of discovery that the subtree of each node has an edge to.
    low: Vec<f64>,
}

impl LowPoints {
    fn new(n: usize) -> Self {
        Self { clock: Clock::new(n), pi: no_predecessors(n), low: vec![0.0; n] }
    }

    fn discover(&mut self, u: usize) {
        self.clock.discover(u);
        self.low[u] = self.clock.d[u];
    }

    /// Takes the edge from `walk.u` to a node seen before into account, unless that is its predecessor.
    fn back_edge(&mut self, walk: &Walk) -> bool {
        let counts = walk.v != self.pi[walk.u];
        if counts {
            self.low[walk.u] = self.low[walk.u].min(self.clock.d[walk.v]);
        }
        counts
    }

    /// Ends the visit of `u` and calls `child` with each node whose predecessor `u` is (`u` too, if a root), once
    /// `low[u]` knows of it.
    fn finish(&mut self, u: usize, mut child: impl FnMut(&Self, usize)) {
        self.clock.finish(u);
        for v in (0..self.pi.len()).filter(|&v| self.pi[v] == u).collect::<Vec<_>>() {
            self.low[u] = self.low[u].min(self.low[v]);
            child(self, v);
        }
    }
}

fn articulation_points(graph: &Matrix, trace: &mut Trace) {
    let n = graph.n();
    probe_graph(graph, trace);
    let mut search =
        ArticulationPoints { points: LowPoints::new(n), children: vec![0.0; n], is_cut: vec![false; n], trace };
    Walk::new(n).forest(graph, 0..n, &mut search);
    search.trace.outputs().mask("is_cut", &search.is_cut).done();
}

struct ArticulationPoints<'a> {
    points: LowPoints,
    /// Number of children in the tree, in ticks.
    children: Vec<f64>,
    is_cut: Vec<bool>,
    trace: &'a mut Trace,
}

impl Visitor for ArticulationPoints<'_> {
    fn probe(&mut self, walk: &Walk) {
        self.trace
            .hint()
            .mask("is_cut_h", &self.is_cut)
            .pointers("pi_h", &self.points.pi)
            .classes("color", &walk.color)
            .numbers("d", &self.points.clock.d)
            .numbers("f", &self.points.clock.f)
            .numbers("low", &self.points.low)
            .numbers("child_cnt", &self.children)
            .pointers("s_prev", &walk.s_prev)
            .one("s", walk.s)
            .one("u", walk.u)
            .one("v", walk.v)
            .one("s_last", walk.s_last)
            .number("time", self.points.clock.time)
            .done();
    }

    fn is_new(&self, walk: &Walk) -> bool {
        self.points.clock.is_new(walk)
    }

    fn discover(&mut self, walk: &Walk) {
        self.points.discover(walk.u);
    }

    fn tree_edge(&mut self, walk: &Walk) {
        self.points.pi[walk.v] = walk.u;
        self.children[walk.u] += TICK;
    }

    fn other_edge(&mut self, walk: &Walk) -> bool {
        self.points.back_edge(walk)
    }

    /// A root is a cut if it has several children, another node if no edge leads from some child's subtree past it.
    fn finish(&mut self, walk: &Walk) {
        let u = walk.u;
        let is_cut = &mut self.is_cut[u];
        self.points.finish(u, |points, v| *is_cut |= points.pi[u] != u && points.low[v] >= points.clock.d[u]);
        *is_cut |= self.points.pi[u] == u && self.children[u] > TICK;
    }
}

fn bridges(graph: &Matrix, trace: &mut Trace) {
    let n = graph.n();
    probe_graph(graph, trace);
    let is_bridge = graph.adjacency().into_iter().map(|joined| if joined { 0 } else { NO_EDGE }).collect();
    let mut search = Bridges { points: LowPoints::new(n), is_bridge, trace };
    Walk::new(n).forest(graph, 0..n, &mut search);
    search.trace.outputs().marks("is_bridge", &search.is_bridge).done();
}

/// Pairs without an edge are not targets.
const NO_EDGE: i8 = crate::trace::MASKED as i8;

struct Bridges<'a> {
    points: LowPoints,
    is_bridge: Vec<i8>,
    trace: &'a mut Trace,
}

impl Visitor for Bridges<'_> {
    fn probe(&mut self, walk: &Walk) {
        self.trace
            .hint()
            .marks("is_bridge_h", &self.is_bridge)
            .pointers("pi_h", &self.points.pi)
            .classes("color", &walk.color)
            .numbers("d", &self.points.clock.d)
            .numbers("f", &self.points.clock.f)
            .numbers("low", &self.points.low)
            .pointers("s_prev", &walk.s_prev)
            .one("s", walk.s)
            .one("u", walk.u)
            .one("v", walk.v)
            .one("s_last", walk.s_last)
            .number("time", self.points.clock.time)
            .done();
    }

    fn is_new(&self, walk: &Walk) -> bool {
        self.points.clock.is_new(walk)
    }

    fn discover(&mut self, walk: &Walk) {
        self.points.discover(walk.u);
    }

    fn tree_edge(&mut self, walk: &Walk) {
        self.points.pi[walk.v] = walk.u;
    }

    fn other_edge(&mut self, walk: &Walk) -> bool {
        self.points.back_edge(walk)
    }

    /// The edge to a child is a bridge if no other edge leads from the child's subtree to here or further back.
    fn finish(&mut self, walk: &Walk) {
        let (u, n) = (walk.u, walk.color.len());
        let is_bridge = &mut self.is_bridge;
        self.points.finish(u, |points, v| {
            if points.low[v] > points.clock.d[u] {
                is_bridge[u * n + v] = 1;
                is_bridge[v * n + u] = 1;
            }
        });
    }
}
