//! The typed tensor graph that a candidate program means.
//!
//! `program` evaluates a Python source file to such a graph, `network` puts encoders and decoders around it and
//! executes it with libtorch. Every node has a symbolic [`Shape`] (polynomials in B, the batch, and N, the nodes) and
//! a [`DType`], computed when the node is made: a [`Graph`] that exists is well-typed for every B >= 1 and N >= 2.
//! This crate knows no tensors: no libtorch.
//!
//! Besides: what a graph costs ([`costs`](mod@costs)), whether two graphs are the same ([`fingerprint`]), what a graph
//! computes ([`interpret`], in plain f64, with derivatives), equal graphs that cost less ([`passes`]), the graph of a graph's
//! gradients ([`gradients`]), and what is left without one of its operators ([`lesion`]).

#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]

mod compare;
pub mod costs;
mod dim;
mod error;
mod explain;
mod fingerprint;
mod format;
mod gradient;
mod graph;
mod infer;
pub mod interpret;
pub mod lesion;
mod names;
pub mod noise;
mod op;
pub mod passes;
mod range;
pub mod rng;
pub mod start;
mod step;
mod vectorise;

pub use compare::{EditDistance, Parts, changed_outputs, edit_distance};
pub use costs::{Costs, Largest, NodeCost, costs};
pub use dim::{Dim, MIN_B, MIN_N, Shape, display, numel};
pub use error::OpError;
pub use explain::explain;
pub use fingerprint::{Fingerprint, Form, fingerprint};
pub use format::{Dtype, bfloat16};
pub use gradient::gradients;
pub use graph::{Graph, Processor, Statistic, Training};
pub use infer::Equation;
pub use infer::shapes::{broadcast, infer_minus_one};
pub use op::{BinaryOp, DType, Init, Input, Node, NodeId, Op, Param, ParamId, ReduceOp, Span, UnaryOp};
pub use passes::{PassFault, Passes, Reference, normal_form, optimise, optimise_reporting};
pub use range::{Range, ranges, unproven_indices};
pub use step::Step;
pub use vectorise::vectorise;
