//! What can go wrong around a network, as types: `train` turns them into a row's status.

use std::path::PathBuf;

/// A fault of training, evaluation or of the machine under them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A number of the training is not finite (weights are not updated with it), or the loss is hopeless.
    #[error("training diverged at step {step}: {reason}")]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// Which number, and what it is.
        reason: String,
    },
    /// The memory of the machine or of the GPU is spent; libtorch's first line about it.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The training was asked to stop, and has written a checkpoint.
    #[error("stopped at step {step}; it goes on from there")]
    Stopped {
        /// The last step that was taken, from 1.
        step: usize,
    },
    /// Any other complaint of libtorch, its first line.
    #[error("libtorch: {0}")]
    Torch(String),
    /// A device that was asked for is not there, or cannot be used.
    #[error("device {device} cannot be used: {reason}")]
    Device {
        /// Its name, as of [`crate::DeviceArg`].
        device: String,
        /// Why not.
        reason: String,
    },
    /// There is no algorithm of this name.
    #[error("`{0}` is not an algorithm of the benchmark")]
    Algorithm(String),
    /// A setting has a value that no network can be made or trained with.
    #[error("{setting}: {reason}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// The graph of the network cannot be made.
    #[error(transparent)]
    Graph(#[from] graph::OpError),
    /// The samples cannot be drawn.
    #[error(transparent)]
    Data(#[from] clrs::ClrsError),
    /// A tensor that is missing, or of another shape than the network's.
    #[error("tensor {name}: {reason}")]
    Tensor {
        /// Name of the tensor.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A size that does not fit, or a graph and its values that do not belong together.
    #[error("inconsistent network: {0}")]
    Inconsistent(String),
}

impl NetworkError {
    /// At this step, `what` was not a finite number.
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
