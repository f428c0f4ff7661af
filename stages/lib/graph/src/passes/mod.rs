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
mod reference;
mod reuse;
mod samples;
mod simplify;
mod splits;
mod sums;
mod terms;
mod varying;

pub(crate) use build::commutes;
pub use dce::live;
pub use order::constant;
pub use reference::Reference;
pub use reuse::overwrites;
pub use samples::independent;
pub use splits::{Split, splits};
pub use varying::varying;

use std::fmt;

use crate::error::OpError;
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

/// A pass that made something which does not type. That is a fault of the pass, not of the graph, which is as good without it.
#[derive(Clone, Debug, PartialEq)]
pub struct PassFault {
    /// The name of the pass.
    pub pass: &'static str,
    /// What is wrong with what it made.
    pub error: OpError,
}

impl fmt::Display for PassFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pass {} was left out, for what it made is wrong: {}", self.pass, self.error)
    }
}

/// An equal graph that costs less, with `outputs` in it, in their order. Inputs and parameters stay as they are, whether
/// still used or not. Nodes are ordered: what depends on parameters alone, what is static, what varies.
pub fn optimise(graph: &Graph, outputs: &[NodeId], passes: &Passes) -> (Graph, Vec<NodeId>) {
    let (graph, outputs, faults) = optimise_reporting(graph, outputs, passes);
    debug_assert!(faults.is_empty(), "{faults:?}");
    (graph, outputs)
}

/// As [`optimise`], with the passes that had to be left out.
pub fn optimise_reporting(graph: &Graph, outputs: &[NodeId], passes: &Passes) -> (Graph, Vec<NodeId>, Vec<PassFault>) {
    let reference = passes.reference;
    let linear = |graph: &Graph, outputs: &[NodeId]| linear::run(graph, outputs, reference);
    let max_plus = |graph: &Graph, outputs: &[NodeId]| maxplus::run(graph, outputs, reference);
    let sums = |graph: &Graph, outputs: &[NodeId]| sums::run(graph, outputs, reference);
    let order = |graph: &Graph, outputs: &[NodeId]| Ok(order::run(graph, outputs));
    let merge = |graph: &Graph, outputs: &[NodeId]| merge::run(graph, outputs, reference);
    let all: [(&'static str, bool, &Pass<'_>); 9] = [
        ("normal form", true, &normalised),
        ("join", passes.join, &join::run),
        ("linear", passes.linear, &linear),
        ("max-plus", passes.max_plus, &max_plus),
        ("sums", passes.sums, &sums),
        ("order", true, &order),
        ("merge", passes.merge, &merge),
        ("normal form", true, &normalised),
        ("order", true, &order),
    ];
    run_all(graph, outputs, all.into_iter().filter(|(_, chosen, _)| *chosen).map(|(name, _, pass)| (name, pass)))
}

type Pass<'a> = dyn Fn(&Graph, &[NodeId]) -> Rewritten + 'a;

fn run_all<'a>(
    graph: &Graph,
    outputs: &[NodeId],
    passes: impl Iterator<Item = (&'static str, &'a Pass<'a>)>,
) -> (Graph, Vec<NodeId>, Vec<PassFault>) {
    let (mut graph, mut outputs, mut faults) = (graph.clone(), outputs.to_vec(), Vec::new());
    for (pass, run) in passes {
        match run(&graph, &outputs) {
            Ok(rewritten) => (graph, outputs) = rewritten,
            Err(error) => faults.push(PassFault { pass, error }),
        }
    }
    (graph, outputs, faults)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dim::Dim;
    use crate::op::{DType, Op, Span, UnaryOp};

    #[test]
    fn a_pass_that_fails_is_left_out_and_named() {
        let mut graph = Graph::new();
        let x = graph.input("x", vec![Dim::b()], DType::Float, true);
        let y = graph.push(Op::Unary(UnaryOp::Relu), &[x], Span::default()).expect("types");
        let broken = |_: &Graph, _: &[NodeId]| Err(OpError::NoSuchNode { node: 7 });
        let passes: [(&'static str, &Pass<'_>); 2] = [("broken", &broken), ("normal form", &normalised)];
        let (rewritten, outputs, faults) = run_all(&graph, &[y], passes.into_iter());
        assert_eq!((&rewritten, outputs.as_slice()), (&graph, [y].as_slice()));
        assert_eq!(faults, [PassFault { pass: "broken", error: OpError::NoSuchNode { node: 7 } }]);
        assert!(faults[0].to_string().contains("broken was left out"));
    }
}
