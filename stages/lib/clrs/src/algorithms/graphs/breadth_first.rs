//! Breadth-first search: CLRS, section 22.2.

use super::{graphs, no_predecessors, probe_rooted};
use crate::algorithms::{Algorithm, Family};
use crate::matrix::Matrix;
use crate::problem::{Edges, Problem};
use crate::spec::Location::{Edge, Node};
use crate::spec::Type::{Mask, MaskOne, Pointer, Scalar};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::Trace;

/// Breadth-first search: the tree of what can be reached from a source.
pub(in crate::algorithms) const BFS: Algorithm = Algorithm::new(
    "bfs",
    Family::Graphs,
    "CLRS 22.2; Moore (1959)",
    BFS_SPEC,
    Problem::Rooted { kind: graphs(Edges::Undirected, false, 0.5), run: bfs },
);

const BFS_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("s", Node, MaskOne),
    input("A", Edge, Scalar).whole(),
    input("adj", Edge, Mask),
    output("pi", Node, Pointer),
    hint("reach_h", Node, Mask),
    hint("pi_h", Node, Pointer),
];

/// Expands the whole frontier at each step, rather than the textbook's queue node by node.
fn bfs(graph: &Matrix, source: usize, trace: &mut Trace) {
    let n = graph.n();
    probe_rooted(graph, source, trace);
    let mut reached = vec![false; n];
    let mut pi = no_predecessors(n);
    reached[source] = true;
    loop {
        trace.hint().mask("reach_h", &reached).pointers("pi_h", &pi).done();
        let before = reached.clone();
        for u in (0..n).filter(|&u| before[u]) {
            for v in (0..n).filter(|&v| graph.edge(u, v)) {
                if pi[v] == v && v != source {
                    pi[v] = u;
                }
                reached[v] = true;
            }
        }
        if reached == before {
            break;
        }
    }
    trace.outputs().pointers("pi", &pi).done();
}
