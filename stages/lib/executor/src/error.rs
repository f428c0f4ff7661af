//! What can go wrong while a graph runs, as types.

use std::path::PathBuf;

/// A fault of a graph's execution, of a file of weights, or of the machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The memory of the machine or of the GPU is spent; libtorch's first line about it.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
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
    /// A graph cannot be made.
    #[error(transparent)]
    Graph(#[from] graph::OpError),
    /// An initialisation does not fit its parameter.
    #[error("inconsistent graph: {0}")]
    Start(#[from] graph::start::StartError),
    /// A kernel cannot be built or run.
    #[error("kernel: {0}")]
    Kernel(#[from] crate::kernels::KernelError),
    /// A tensor that is missing, or of another shape than the graph's.
    #[error("tensor {name}: {reason}")]
    Tensor {
        /// Name of the tensor.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of weights cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A size that does not fit, or a graph and its values that do not belong together.
    #[error("inconsistent graph: {0}")]
    Inconsistent(String),
}

impl Error {
    /// Something that a graph, its plans or its values should have and do not.
    pub(crate) fn missing(what: &str) -> Self {
        Self::Inconsistent(format!("{what} is missing"))
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        // What follows the first line is a C++ backtrace with addresses: noise in tables, and different in every run.
        let text = error.to_string();
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown error").to_owned();
        let memory = ["out of memory", "can't allocate memory", "not enough memory", "bad_alloc"];
        if memory.iter().any(|sign| text.contains(sign)) { Self::OutOfMemory(line) } else { Self::Torch(line) }
    }
}

/// What this crate's functions answer.
pub type Result<T> = std::result::Result<T, Error>;
