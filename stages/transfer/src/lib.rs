//! Programs, trained from scratch on further tasks: which programs, which tasks, the matrix of trainings, its summary.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod args;
mod effort;
mod matrix;
mod programs;
mod summary;
mod target;
mod tasks;

pub use args::Args;
pub use matrix::matrix;
pub use programs::programs;
pub use summary::{summary, table};
pub use target::{Target, verdict};
pub use tasks::{Published, Tasks, known};
