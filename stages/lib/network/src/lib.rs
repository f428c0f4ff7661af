//! The CLRS baseline network around a candidate processor, on libtorch.
//!
//! As dm-clrs 2.0.3 computes it (<https://github.com/google-deepmind/clrs>): encode, process, decode at every step of
//! the algorithm, with losses on hints and outputs. [`model`] builds one step as a typed graph, [`train`] and
//! [`evaluate`] run it over time. Call [`init`] before anything else.

mod adam;
mod allocator;
mod batch;
mod checkpoint;
mod compiled;
mod crew;
mod data;
mod device;
mod error;
pub mod evaluate;
mod execute;
mod explain;
mod feedback;
mod loss;
mod model;
mod parameters;
pub mod parity;
mod rng;
mod rollout;
mod score;
pub mod speed;
mod tensor;
pub mod train;
mod weights;

pub use checkpoint::Checkpoints;
pub use device::{Device, DeviceArg, Doctor, doctor, init};
pub use error::NetworkError;
pub use evaluate::{EvalConfig, EvalData, evaluate};
pub use explain::{explain, parameter_count};
pub use feedback::Repred;
pub use score::Scores;
pub use tensor::Dtype;
pub use train::{CurvePoint, TrainConfig, Trained, train};
pub use weights::{Array, Weights};
