//! Evaluation under supervision: what `score` and `transfer` share.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod args;
mod diagnosis;
mod graphs;
mod job;
mod rows;
mod shift;
mod statistics;
mod summary;

pub use args::Args;
pub use diagnosis::{diagnosing, diagnosis, of_settings};
pub use graphs::{Measured, graphs};
pub use job::{EVALUATION, Job, SPLITS, Scored, evaluations, evaluations_on, sum_up, test, work};
pub use rows::{run, score};
pub use shift::{parents, shifts};
pub use statistics::{mean, std};
pub use summary::{json as summary_json, text as summary};
