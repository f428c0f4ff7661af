//! A network's time step as a graph.

use crate::graph::Graph;
use crate::op::NodeId;

/// One time step of a network, and how it is tied to the steps before and after.
#[derive(Clone, Debug)]
pub struct Step {
    /// Inputs that do not vary are given once for a sequence. Those that vary and are not state are *data*: each time step
    /// has a row of its own.
    pub graph: Graph,
    /// What is carried over time: the number of the graph's input, and the node that the next step is given there.
    pub state: Vec<(usize, NodeId)>,
    /// Numbers, each summed over time; gradients are those of their sum.
    pub losses: Vec<NodeId>,
    /// Values that are handed out after a step. They are not differentiated.
    pub outputs: Vec<NodeId>,
}
