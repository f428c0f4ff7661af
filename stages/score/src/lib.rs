//! Evaluation under supervision: what `score` and `transfer` share.

mod args;
mod job;
mod rows;
mod statistics;
mod summary;

pub use args::Args;
pub use job::{Job, Scored, child, evaluations, test, work};
pub use rows::score;
pub use statistics::{mean, std};
pub use summary::{json as summary_json, text as summary};
