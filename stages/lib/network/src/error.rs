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
    /// The training was asked to stop, and has written a checkpoint.
    #[error("stopped at step {step}; it goes on from there")]
    Stopped { step: usize },
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

impl From<executor::Error> for NetworkError {
    /// The cause stays what it was: rows of tables are judged by it.
    fn from(error: executor::Error) -> Self {
        match error {
            executor::Error::OutOfMemory(text) => Self::OutOfMemory(text),
            executor::Error::Torch(text) => Self::Torch(text),
            executor::Error::Device { device, reason } => Self::Device { device, reason },
            executor::Error::Graph(error) => Self::Graph(error),
            executor::Error::Tensor { name, reason } => Self::Tensor { name, reason },
            executor::Error::File { path, reason } => Self::File { path, reason },
            executor::Error::Inconsistent(text) => Self::Inconsistent(text),
            other => Self::Inconsistent(other.to_string()),
        }
    }
}

impl From<model::ModelError> for NetworkError {
    fn from(error: model::ModelError) -> Self {
        use model::ModelError;
        match error {
            ModelError::Algorithm(name) => Self::Algorithm(name),
            ModelError::Setting { setting, reason } => Self::Setting { setting, reason },
            ModelError::Graph(error) => Self::Graph(error),
            ModelError::Data(error) => Self::Data(error),
            ModelError::Inconsistent(text) => Self::Inconsistent(text),
            other => Self::Inconsistent(other.to_string()),
        }
    }
}

impl From<tch::TchError> for NetworkError {
    fn from(error: tch::TchError) -> Self {
        executor::Error::from(error).into()
    }
}

pub(crate) type Result<T> = std::result::Result<T, NetworkError>;
