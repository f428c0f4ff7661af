//! Evaluation under supervision: what `score` and `transfer` share.

mod args;
mod job;
mod rows;
mod statistics;

pub use args::Args;
pub use job::{Job, Scored, child, evaluations, test, work};
pub use rows::score;
pub use statistics::{mean, std};
