//! The CLRS baseline network around a candidate processor.
//!
//! As dm-clrs 2.0.3 computes it (<https://github.com/google-deepmind/clrs>): encode, process, decode at every step of
//! the algorithm, with losses on hints and outputs. [`model`](::model) builds one step as a typed graph, the crate `executor` runs
//! it over time, forward and backward, and [`train`] and [`evaluate`] say on what. [`diagnose`](mod@diagnose) says where a trained
//! network fails. Call [`init`] before anything else.

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![forbid(unsafe_code)]

mod adam;
mod batch;
mod checkpoint;
pub mod diagnose;
mod draws;
mod error;
pub mod evaluate;
mod feedback;
pub mod parity;
mod score;
pub mod speed;
mod statistics;
mod supervision;
mod threads;
mod together;
pub mod train;
mod unroll;
mod workers;

pub use checkpoint::Checkpoints;
pub use diagnose::diagnose;
pub use error::NetworkError;
pub use evaluate::evaluate;
pub use executor::weights::{Array, Weights};
pub use executor::{Backend, Device, DeviceArg, Doctor, Dtype, Start, doctor, init, init_with};
pub use model::data::EvalData;
pub use model::explain::{explain, parameter_count, reads_triplets};
pub use model::{CurvePoint, DiagnoseConfig, EvalConfig, Fact, Repred, Tally, TrainConfig};
pub use score::Scores;
pub use together::{can_train_together, train_together};
pub use train::{Trained, train};
