//! Programs, trained from scratch on further tasks: which programs, which tasks, the matrix of trainings, its summary.

mod args;
mod effort;
mod matrix;
mod programs;
mod summary;
mod tasks;

pub use args::Args;
pub use matrix::matrix;
pub use programs::programs;
pub use summary::{summary, table};
pub use tasks::{Published, Tasks, known};
