//! Rewrites that keep what a graph means and lower what it costs.

mod build;
mod dce;
mod partition;
mod simplify;

pub(crate) use build::commutes;
pub use dce::live;
pub use partition::{Partition, partition, varying};

use crate::error::OpError;
use crate::graph::Graph;
use crate::op::NodeId;

/// What `outputs` need, in normal form: local identities applied, equal nodes one, the rest left out.
pub(crate) fn normal_form(graph: &Graph, outputs: &[NodeId]) -> Result<(Graph, Vec<NodeId>), OpError> {
    build::rebuild(graph, outputs, |_, _, _, _| Ok(None))
}
