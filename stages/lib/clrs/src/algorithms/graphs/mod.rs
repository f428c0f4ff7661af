//! Graphs: CLRS, chapters 22 to 25.
//!
//! Graphs come as an N x N matrix `A` of weights (or of ones), where 0 means no edge. `adj` is the same as a mask, with
//! every node joined to itself so that no node is without neighbours.

mod depth_first;
mod walk;

pub(super) use depth_first::DFS;

use crate::matrix::Matrix;
use crate::trace::{Probe, Trace};

/// Position of each node in [0, 1).
pub(super) fn positions(n: usize) -> Vec<f64> {
    (0..n).map(|i| i as f64 / n as f64).collect()
}

/// Probes `pos`, `A` and `adj`, the inputs of every graph algorithm without a source.
fn probe_graph(graph: &Matrix, trace: &mut Trace) {
    probe_edges(trace.inputs(graph.n()).numbers("pos", &positions(graph.n())), graph).done();
}

/// Probes `pos`, `s`, `A` and `adj`, the inputs of every graph algorithm with a source.
#[expect(dead_code)]
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
