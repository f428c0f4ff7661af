//! The CLRS baseline network around a candidate processor, as a typed graph, and the data that it learns from and is scored on.
//!
//! [`Model`] builds one step of the network, [`Steps`] adds what ties it to the steps before and after, [`data`] says which
//! samples a training and an evaluation see, [`TrainConfig`] and [`EvalConfig`] how they are made. The crate `network` runs these graphs with libtorch, the crate `pytorch` writes
//! them as Python. This crate knows no tensors: no libtorch.

#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]

mod builder;
mod channels;
pub mod data;
mod decode;
mod encode;
mod error;
pub mod explain;
mod findings;
mod losses;
mod network;
mod settings;
mod steps;

pub use channels::Channel;
pub use clrs::Repred;
pub use decode::SINKHORN_TEMPERATURE;
pub use error::{ModelError, Result};
pub use findings::{CurvePoint, Fact, Measure, Mode, Subject, Tally};
pub use graph::lesion::Replacement;
pub use losses::{counts_differ, is_distribution};
pub use network::{Model, Port, encoded_shape, reads_triplets};
pub use settings::{DiagnoseConfig, EvalConfig, LesionConfig, TrainConfig};
pub use steps::{Record, Steps, Target, Targets};
