//! The CLRS baseline network around a candidate processor.
//!
//! As dm-clrs 2.0.3 computes it (<https://github.com/google-deepmind/clrs>): encode, process, decode at every step of
//! the algorithm, with losses on hints and outputs. [`model`] builds one step as a typed graph, the crate `executor` runs
//! it over time, forward and backward, and [`train`] and [`evaluate`] say on what. [`diagnose`](mod@diagnose) says where a trained
//! network fails. Call [`init`] before anything else.

#![forbid(unsafe_code)]

mod adam;
mod batch;
mod checkpoint;
mod data;
pub mod diagnose;
mod error;
pub mod evaluate;
mod explain;
mod feedback;
mod model;
pub mod parity;
mod score;
pub mod speed;
mod supervision;
mod threads;
pub mod train;
mod unroll;
mod workers;

pub use checkpoint::Checkpoints;
pub use diagnose::{DiagnoseConfig, Fact, diagnose};
pub use error::NetworkError;
pub use evaluate::{EvalConfig, EvalData, evaluate};
pub use executor::weights::{Array, Weights};
pub use executor::{Backend, Device, DeviceArg, Doctor, Dtype, Start, doctor, init, init_with};
pub use explain::{explain, parameter_count, reads_triplets};
pub use feedback::Repred;
pub use score::{Scores, Tally};
pub use train::{CurvePoint, TrainConfig, Trained, train};
