//! CLRS-30, the benchmark of algorithmic reasoning: thirty textbook algorithms, each run on random problems, with its
//! inputs, its outputs and snapshots of its state (*hints*).
//!
//! Equal in every value to dm-clrs 2.0.3, the reference implementation (Veličković et al., "The CLRS Algorithmic
//! Reasoning Benchmark", 2022, <https://arxiv.org/abs/2205.15659>; <https://github.com/google-deepmind/clrs>), for any
//! seed, length and batch size. The algorithms are those of Cormen, Leiserson, Rivest and Stein, "Introduction to
//! Algorithms", third edition: "CLRS" in what follows.
//!
//! ```
//! use clrs::{Sampler, SamplerArgs, SamplerConfig, find_algorithm};
//!
//! let dfs = find_algorithm("dfs")?;
//! let config = SamplerConfig { args: SamplerArgs::training(dfs), ..SamplerConfig::on_the_fly(0, 16) };
//! let batch = Sampler::new(dfs, config)?.next(32)?;
//! assert_eq!(batch.outputs[0].name, "pi");
//! assert_eq!(batch.outputs[0].shape, [32, 16]);
//! # Ok::<(), clrs::ClrsError>(())
//! ```
//!
//! The way of a batch: a [`Sampler`] draws problems from a [`RandomState`], an [`Algorithm`] solves each of them and
//! leaves a [`Trace`], [`Trajectories`] hold traces and spell them out as a [`Batch`], and a [`Pipeline`] transforms
//! batches as the reference's trainer does. A [`Loader`] does all that ahead of time on background threads. A [`Card`] says
//! of an algorithm, to people and language models, what all this is.

#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]

mod algorithms;
mod batch;
pub mod card;
mod digest;
mod error;
mod loader;
mod matrix;
pub mod pipeline;
mod problem;
mod protocol;
mod random;
mod repred;
mod sampler;
mod spec;
mod split;
mod trace;
pub mod wiring;

pub use algorithms::{Algorithm, Family, algorithm, algorithms, find_algorithm};
pub use batch::{Batch, DataPoint, Trajectories};
pub use card::Card;
pub use digest::{Digest, digest, digests};
pub use error::ClrsError;
pub use loader::Loader;
pub use pipeline::{Pipeline, PipelineConfig, Transforms};
pub use random::RandomState;
pub use repred::Repred;
pub use sampler::{Sampler, SamplerArgs, SamplerConfig};
pub use spec::{Dtype, Location, SpecEntry, Stage, Type};
pub use split::Split;
pub use trace::{MASKED, Trace};
