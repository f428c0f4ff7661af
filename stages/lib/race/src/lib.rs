//! The rules by which a search deals with its noise. A training's accuracy is its program's own and the luck of its seed;
//! these rules say how many trainings a candidate gets, what its fitness is, and how much of a gain is real.
//!
//! - [`seeds`]: no two candidates, no two runs share the luck of a seed.
//! - [`shrink`]: a mean over few trainings is drawn towards the mean of all candidates, by the noise that was measured.
//! - [`racing`]: those that may still be the best are trained again.
//! - [`confirm`]: what is reported of the winner was measured after it was chosen.
//!
//! Nothing here reads a file or a clock: the stages apply these functions to their tables, and the tests apply the same
//! functions to simulated searches whose truth is known.

#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]

pub mod confirm;
pub mod racing;
pub mod seeds;
pub mod shrink;

pub use confirm::{Confirmation, Gain};
pub use shrink::{Noise, Posterior, Prior};

/// The mean; `None` of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
