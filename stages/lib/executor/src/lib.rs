//! Runs typed graphs, and their gradients, over time: on the CPU by a plan of kernels on buffers that are allocated once,
//! on a GPU with libtorch, whose kernels are recorded as CUDA graphs.
//!
//! A [`Step`] says what a network does at one time step. [`Recurrence`] compiles it, for all sizes at once: what does not
//! vary leaves the time loop, and the gradient becomes a graph of its own. An [`Engine`] runs sequences of such steps,
//! forward and backward. Call [`init`] before anything else: libtorch looks for its CUDA half once.
//!
//! All of libtorch's `unsafe` lives in this crate.

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![allow(unsafe_code, reason = "kernels, libtorch and CUDA; each block says why it is sound")]

mod allocator;
mod bfloat16;
mod biases;
mod cpu;
mod device;
mod eager;
mod engine;
mod error;
mod gpu;
pub mod kernels;
pub mod ops;
mod parameters;
mod plan;
mod recurrence;
mod replay;
mod rewrite;
mod shapes;
pub mod tensor;
pub mod weights;

pub use device::{Device, DeviceArg, Doctor, Start, doctor, init, init_with};
pub use engine::{Backend, Engine, OnStep, Outcome, Sequence};
pub use error::{Error, Result};
pub use graph::{Step, rng};
pub use parameters::Parameters;
pub use recurrence::{Options, Part, Recurrence};
pub use tensor::Dtype;
