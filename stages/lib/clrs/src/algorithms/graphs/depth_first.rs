//! Depth-first search and what follows from it: CLRS, sections 22.3 to 22.5 and problem 22-2.

use super::walk::{TICK, Visitor, WHITE, Walk};
use super::{no_predecessors, probe_graph};
use crate::algorithms::{Algorithm, Family};
use crate::matrix::Matrix;
use crate::problem::{Edges, GraphKind, Problem};
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
    Problem::Graph { kind: GraphKind { edges: Edges::Directed, weighted: false, p: 0.5 }, run: dfs },
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

fn dfs(graph: &Matrix, trace: &mut Trace) {
    let n = graph.n();
    probe_graph(graph, trace);
    let mut search = Dfs { clock: Clock::new(n), pi: no_predecessors(n), trace };
    Walk::new(n).forest(graph, 0..n, &mut search);
    search.trace.outputs().pointers("pi", &search.pi).done();
}

/// Times of discovery and finish.
struct Clock {
    d: Vec<f64>,
    f: Vec<f64>,
    time: f64,
}

impl Clock {
    fn new(n: usize) -> Self {
        Self { d: vec![0.0; n], f: vec![0.0; n], time: 0.0 }
    }

    /// A node is new as long as it has no time of discovery, gray though it may be from having been put on the stack.
    fn is_new(&self, walk: &Walk) -> bool {
        walk.color[walk.u] == WHITE || self.d[walk.u] == 0.0
    }

    fn discover(&mut self, u: usize) {
        self.time += TICK;
        self.d[u] = self.time;
    }

    fn finish(&mut self, u: usize) {
        self.time += TICK;
        self.f[u] = self.time;
    }
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
