//! Graphs: CLRS, chapters 22 to 25.
//!
//! Graphs come as an N x N matrix `A` of weights (or of ones), where 0 means no edge. `adj` is the same as a mask, with
//! every node joined to itself so that no node is without neighbours.

mod breadth_first;
mod connectivity;
mod depth_first;
mod shortest_paths;
mod spanning_trees;
mod walk;

pub(super) use breadth_first::BFS;
pub(super) use connectivity::{ARTICULATION_POINTS, BRIDGES, STRONGLY_CONNECTED_COMPONENTS};
pub(super) use depth_first::{DFS, TOPOLOGICAL_SORT};
pub(super) use shortest_paths::{BELLMAN_FORD, DAG_SHORTEST_PATHS, DIJKSTRA, FLOYD_WARSHALL};
pub(super) use spanning_trees::{MST_KRUSKAL, MST_PRIM};

use super::positions;
use crate::matrix::Matrix;
use crate::problem::{Edges, GraphKind};
use crate::trace::{Probe, Trace};

/// Random graphs that samplers draw unless told another probability.
const fn graphs(edges: Edges, weighted: bool, p: f64) -> GraphKind {
    GraphKind { edges, weighted, p }
}

/// Probes `pos`, `A` and `adj`, the inputs of every graph algorithm without a source.
fn probe_graph(graph: &Matrix, trace: &mut Trace) {
    probe_edges(trace.inputs(graph.n()).numbers("pos", &positions(graph.n())), graph).done();
}

/// Probes `pos`, `s`, `A` and `adj`, the inputs of every graph algorithm with a source.
fn probe_rooted(graph: &Matrix, source: usize, trace: &mut Trace) {
    probe_edges(trace.inputs(graph.n()).numbers("pos", &positions(graph.n())).one("s", source), graph).done();
}

fn probe_edges<'a>(probe: Probe<'a>, graph: &Matrix) -> Probe<'a> {
    probe.numbers("A", graph.values()).mask("adj", &graph.adjacency())
}

/// Each node its own predecessor: nobody has been reached yet.
fn no_predecessors(n: usize) -> Vec<usize> {
    (0..n).collect()
}

/// EXTRACT-MIN of a queue that is a mask over nodes, without taking the node out.
fn least(keys: &[f64], in_queue: &[bool]) -> Option<usize> {
    (0..keys.len()).filter(|&node| in_queue[node]).min_by(|&i, &j| keys[i].total_cmp(&keys[j]))
}
