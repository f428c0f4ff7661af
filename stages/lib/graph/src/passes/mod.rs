//! Rewrites that keep what a graph means and lower what it costs.
//!
//! Each module states its algebra. All passes work on the same operations, so that an executor of unrewritten graphs runs
//! rewritten ones, given [`Op::MaxPlus`](crate::Op::MaxPlus). Results differ by rounding only; tests compare values and
//! gradients of random graphs with and without each pass.

mod build;
mod dce;
mod join;
mod linear;
mod masks;
mod maxplus;
mod merge;
mod order;
mod partition;
mod reference;
mod reuse;
mod samples;
mod simplify;
mod splits;
mod sums;
mod terms;

pub(crate) use build::commutes;
pub use dce::live;
pub use order::constant;
pub use partition::{Partition, partition, varying};
pub use reference::Reference;
pub use reuse::overwrites;
pub use samples::independent;
pub use splits::{Split, splits};

use crate::graph::Graph;
use crate::op::NodeId;
use build::Rewritten;

/// Which passes run. Dead code, local identities and common subexpressions are always seen to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passes {
    /// Sums of layers as one layer.
    pub join: bool,
    /// Layers over sums, concatenations and layers.
    pub linear: bool,
    /// Reductions of broadcast sums without the tensor of all combinations.
    pub max_plus: bool,
    /// The order of additions.
    pub sums: bool,
    /// Layers over one input as one product.
    pub merge: bool,
    /// Sizes at which alternatives are weighed.
    pub reference: Reference,
}

impl Passes {
    /// All passes, weighed at the default sizes.
    pub fn all() -> Self {
        Self { join: true, linear: true, max_plus: true, sums: true, merge: true, reference: Reference::default() }
    }

    /// Normal form only.
    pub fn none() -> Self {
        Self { join: false, linear: false, max_plus: false, sums: false, merge: false, reference: Reference::default() }
    }
}

impl Default for Passes {
    fn default() -> Self {
        Self::all()
    }
}

/// An equal graph that costs less, with `outputs` in it, in their order. Inputs and parameters stay as they are, whether
/// still used or not. Nodes are ordered: what depends on parameters alone, what is static, what varies.
pub fn optimise(graph: &Graph, outputs: &[NodeId], passes: &Passes) -> (Graph, Vec<NodeId>) {
    let mut current = (graph.clone(), outputs.to_vec());
    let mut apply = |pass: &dyn Fn(&Graph, &[NodeId]) -> Rewritten| {
        let rewritten = pass(&current.0, &current.1);
        debug_assert!(rewritten.is_ok(), "{:?}", rewritten.as_ref().err());
        // A rewrite that does not type is a fault of the pass, not of the graph, which is as good without it.
        if let Ok(rewritten) = rewritten {
            current = rewritten;
        }
    };
    let reference = passes.reference;
    apply(&normalised);
    if passes.join {
        apply(&join::run);
    }
    if passes.linear {
        apply(&|graph, outputs| linear::run(graph, outputs, reference));
    }
    if passes.max_plus {
        apply(&|graph, outputs| maxplus::run(graph, outputs, reference));
    }
    if passes.sums {
        apply(&|graph, outputs| sums::run(graph, outputs, reference));
    }
    apply(&|graph, outputs| Ok(order::run(graph, outputs)));
    if passes.merge {
        apply(&|graph, outputs| merge::run(graph, outputs, reference));
    }
    apply(&normalised);
    apply(&|graph, outputs| Ok(order::run(graph, outputs)));
    current
}

/// What `outputs` need, in normal form: local identities applied, equal nodes one, the rest left out. Inputs and
/// parameters stay as they are, whether still used or not.
pub fn normal_form(graph: &Graph, outputs: &[NodeId]) -> (Graph, Vec<NodeId>) {
    let rewritten = normalised(graph, outputs);
    debug_assert!(rewritten.is_ok(), "{:?}", rewritten.as_ref().err());
    // The identities are proven by tests; should one not type, the graph as it is serves as its own normal form.
    rewritten.unwrap_or_else(|_| (graph.clone(), outputs.to_vec()))
}

fn normalised(graph: &Graph, outputs: &[NodeId]) -> Rewritten {
    let (graph, outputs) = build::rebuild(graph, outputs, |_, _| Ok(None))?;
    // Identities leave behind what they replaced.
    Ok(dce::by(&graph, &outputs, |_| 0))
}
