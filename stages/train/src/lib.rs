//! Training under supervision: what `train` and `transfer` share.
//!
//! The supervisor never computes: it compiles programs, hands each training to a child process, and gathers what the
//! children leave in the cache. Only a child touches libtorch, but for the question which device there is.

mod again;
mod args;
mod child;
mod curves;
mod halving;
mod job;
mod one;
mod program;
mod rows;

pub use again::race;
pub use args::{Args, known_task};
pub use child::{child, failure, peak_rss_mb, processor};
pub use curves::{Trained, curves};
pub use job::{CODE_VERSION, FILES, Job, Measured, WEIGHTS, as_the_benchmark, hash, kind, seed, seeds, settings, work};
pub use one::{Kind, one};
pub use program::{Program, by_hand, explain, prepare};
pub use rows::{Lab, train};
