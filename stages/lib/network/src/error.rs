//! What can go wrong around a network, as types: `train` turns them into a row's status.

use std::path::PathBuf;

/// A fault of training, evaluation or of the machine under them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A number of the training is not finite (weights are not updated with it), or the loss is hopeless.
    #[error("training diverged at step {step}: {reason}")]
    Diverged { step: usize, reason: String },
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// Any other complaint of libtorch, its first line.
    #[error("libtorch: {0}")]
    Torch(String),
    #[error("device {device} cannot be used: {reason}")]
    Device { device: String, reason: String },
    #[error("`{0}` is not an algorithm of the benchmark")]
    Algorithm(String),
    #[error("{setting}: {reason}")]
    Setting { setting: &'static str, reason: String },
    #[error(transparent)]
    Graph(#[from] graph::OpError),
    #[error(transparent)]
    Data(#[from] clrs::ClrsError),
    /// A tensor that is missing, or of another shape than the network's.
    #[error("tensor {name}: {reason}")]
    Tensor { name: String, reason: String },
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    /// A size that does not fit, or a graph and its values that do not belong together.
    #[error("inconsistent network: {0}")]
    Inconsistent(String),
}

impl NetworkError {
    /// At this step, `what` was no finite number.
    pub(crate) fn diverged(step: usize, what: &str, value: f64) -> Self {
        Self::Diverged { step, reason: format!("{what} is {value}") }
    }
}

impl From<tch::TchError> for NetworkError {
    fn from(error: tch::TchError) -> Self {
        // What follows the first line is a C++ backtrace with addresses: noise in tables, and different in every run.
        let text = error.to_string();
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown error").to_owned();
        let memory = ["out of memory", "can't allocate memory", "not enough memory", "bad_alloc"];
        if memory.iter().any(|sign| text.contains(sign)) { Self::OutOfMemory(line) } else { Self::Torch(line) }
    }
}

pub(crate) type Result<T> = std::result::Result<T, NetworkError>;
