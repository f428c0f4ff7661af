//! Evaluation under supervision: what `score` and `transfer` share.

mod args;
mod graphs;
mod job;
mod rows;
mod statistics;
mod summary;

pub use args::Args;
pub use graphs::{Measured, graphs};
pub use job::{Job, SPLITS, Scored, child, evaluations, evaluations_on, test, work};
pub use rows::{run, score};
pub use statistics::{mean, std};
pub use summary::{json as summary_json, text as summary};
