//! At which sizes rewrites are weighed, where no rewrite is better for all sizes.

use crate::dim::{Dim, Shape, numel};

/// Sizes of a typical training step, and what work costs there relative to one multiply-accumulate of a matrix product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// Graphs in the batch.
    pub b: i64,
    /// Nodes of each graph.
    pub n: i64,
    /// Time steps of a sequence: static work is done once for all of them.
    pub steps: i64,
}

impl Default for Reference {
    /// The published training size: batches of 32 graphs of 16 nodes, 48 steps.
    fn default() -> Self {
        Self { b: 32, n: 16, steps: 48 }
    }
}

/// Reading two floats and writing one takes the memory of a desktop as long as some 40 multiply-accumulates.
const PER_ELEMENT: f64 = 40.0;

impl Reference {
    pub(super) fn size(&self, shape: &[Dim]) -> f64 {
        self.value(&numel(shape))
    }

    pub(super) fn value(&self, dim: &Dim) -> f64 {
        dim.eval(self.b, self.n).map_or(f64::INFINITY, |value| value as f64)
    }

    /// The share of time steps in which a value is computed.
    pub(super) fn rate(&self, varies: bool) -> f64 {
        if varies { 1.0 } else { 1.0 / self.steps.max(1) as f64 }
    }

    /// The cost of writing a tensor element by element.
    pub(super) fn element_wise(&self, shape: &Shape) -> f64 {
        self.size(shape) * PER_ELEMENT
    }
}
