//! Training under supervision: what `train` and `transfer` share.
//!
//! The supervisor never computes: it compiles programs, hands each training to a [`worker`], and gathers what those leave
//! in the cache. Only they have libtorch; who supervises is small.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod again;
mod args;
mod curves;
mod halving;
mod job;
mod one;
mod program;
mod rows;
mod together;
pub mod worker;

pub use again::race;
pub use args::{Args, known_task};
pub use curves::{CURVE, Trained, curves};
pub use job::{
    CODE_VERSION, FILES, Job, Measured, WEIGHTS, as_the_benchmark, computed_on, hash, kind, seed, seeds, settings,
    works, works_of_candidate,
};
pub use one::{Kind, one};
pub use program::{Program, by_hand, explain, prepare};
pub use rows::{Supervisor, train};
pub use worker::Device;
