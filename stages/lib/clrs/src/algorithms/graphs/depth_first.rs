//! Depth-first search and topological sort: CLRS, sections 22.3 and 22.4.

use super::walk::{BLACK, Clock, Visitor, WHITE, Walk};
use super::{graphs, no_predecessors, probe_graph};
use crate::algorithms::{Algorithm, Family};
use crate::matrix::Matrix;
use crate::problem::{Edges, Problem};
use crate::spec::Location::{Edge, Graph, Node};
use crate::spec::Type::{Categorical, Mask, MaskOne, Pointer, Scalar};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::Trace;

/// Depth-first search: the forest of all nodes, each pointing at its predecessor.
pub(in crate::algorithms) const DFS: Algorithm = Algorithm::new(
    "dfs",
    Family::Graphs,
    "CLRS 22.3; Moore (1959)",
    DFS_SPEC,
    Problem::Graph { kind: graphs(Edges::Directed, false, 0.5), run: dfs },
);

const DFS_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("A", Edge, Scalar).whole(),
    input("adj", Edge, Mask),
    output("pi", Node, Pointer),
    hint("pi_h", Node, Pointer),
    hint("color", Node, Categorical).of(3),
    hint("d", Node, Scalar),
    hint("f", Node, Scalar),
    hint("s_prev", Node, Pointer),
    hint("s", Node, MaskOne),
    hint("u", Node, MaskOne),
    hint("v", Node, MaskOne),
    hint("s_last", Node, MaskOne),
    hint("time", Graph, Scalar),
];

/// Topological sort: each node of a graph without cycles pointing at the next in the order.
pub(in crate::algorithms) const TOPOLOGICAL_SORT: Algorithm = Algorithm::new(
    "topological_sort",
    Family::Graphs,
    "CLRS 22.4; Knuth (1973)",
    TOPOLOGICAL_SORT_SPEC,
    Problem::Graph { kind: graphs(Edges::Acyclic, false, 0.5), run: topological_sort },
);

const TOPOLOGICAL_SORT_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("A", Edge, Scalar).whole(),
    input("adj", Edge, Mask),
    output("topo", Node, Pointer),
    output("topo_head", Node, MaskOne),
    hint("topo_h", Node, Pointer),
    hint("topo_head_h", Node, MaskOne),
    hint("color", Node, Categorical).of(3),
    hint("s_prev", Node, Pointer),
    hint("s", Node, MaskOne),
    hint("u", Node, MaskOne),
    hint("v", Node, MaskOne),
    hint("s_last", Node, MaskOne),
];

fn dfs(graph: &Matrix, trace: &mut Trace) {
    let n = graph.n();
    probe_graph(graph, trace);
    let mut search = Dfs { clock: Clock::new(n), pi: no_predecessors(n), trace };
    Walk::new(n).forest(graph, 0..n, &mut search);
    search.trace.outputs().pointers("pi", &search.pi).done();
}

struct Dfs<'a> {
    clock: Clock,
    pi: Vec<usize>,
    trace: &'a mut Trace,
}

impl Visitor for Dfs<'_> {
    fn probe(&mut self, walk: &Walk) {
        self.trace
            .hint()
            .pointers("pi_h", &self.pi)
            .classes("color", &walk.color)
            .numbers("d", &self.clock.d)
            .numbers("f", &self.clock.f)
            .pointers("s_prev", &walk.s_prev)
            .one("s", walk.s)
            .one("u", walk.u)
            .one("v", walk.v)
            .one("s_last", walk.s_last)
            .number("time", self.clock.time)
            .done();
    }

    fn is_new(&self, walk: &Walk) -> bool {
        self.clock.is_new(walk)
    }

    fn discover(&mut self, walk: &Walk) {
        self.clock.discover(walk.u);
    }

    fn tree_edge(&mut self, walk: &Walk) {
        self.pi[walk.v] = walk.u;
    }

    fn finish(&mut self, walk: &Walk) {
        self.clock.finish(walk.u);
    }
}

fn topological_sort(graph: &Matrix, trace: &mut Trace) {
    let n = graph.n();
    probe_graph(graph, trace);
    let mut sort = TopologicalSort { order: Order::new(n), trace };
    Walk::new(n).forest(graph, 0..n, &mut sort);
    sort.trace.outputs().pointers("topo", &sort.order.next).one("topo_head", sort.order.head).done();
}

/// The linked list that finished nodes are put in front of.
pub(super) struct Order {
    /// The node after each node, itself at the end and outside.
    pub next: Vec<usize>,
    pub head: usize,
}

impl Order {
    pub fn new(n: usize) -> Self {
        Self { next: (0..n).collect(), head: 0 }
    }

    pub fn put_in_front(&mut self, walk: &Walk) {
        // Until a first node is finished the head is node 0, which is not in the list.
        if walk.color[self.head] == BLACK {
            self.next[walk.u] = self.head;
        }
        self.head = walk.u;
    }
}

struct TopologicalSort<'a> {
    order: Order,
    trace: &'a mut Trace,
}

impl Visitor for TopologicalSort<'_> {
    fn probe(&mut self, walk: &Walk) {
        self.trace
            .hint()
            .pointers("topo_h", &self.order.next)
            .one("topo_head_h", self.order.head)
            .classes("color", &walk.color)
            .pointers("s_prev", &walk.s_prev)
            .one("s", walk.s)
            .one("u", walk.u)
            .one("v", walk.v)
            .one("s_last", walk.s_last)
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
