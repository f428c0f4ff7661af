//! The typed tensor graph that a candidate program means.
//!
//! `program` evaluates a Python source file to such a graph, `network` puts encoders and decoders around it and
//! executes it with libtorch. Every node has a symbolic [`Shape`] (polynomials in B, the batch, and N, the nodes) and
//! a [`DType`], computed when the node is made: a [`Graph`] that exists is well-typed for every B >= 1 and N >= 2.
//! This crate knows no tensors: no libtorch.

mod dim;
mod op;

pub use dim::{Dim, Shape};
pub use op::{BinaryOp, DType, Input, Node, NodeId, Op, Param, ParamId, ReduceOp, Span, UnaryOp, Init};
