//! What can go wrong while a graph runs, as types.

use std::path::PathBuf;

/// A fault of a graph's execution, of a file of weights, or of the machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// Any other complaint of libtorch, its first line.
    #[error("libtorch: {0}")]
    Torch(String),
    #[error("device {device} cannot be used: {reason}")]
    Device { device: String, reason: String },
    #[error(transparent)]
    Graph(#[from] graph::OpError),
    #[error("inconsistent graph: {0}")]
    Start(#[from] graph::start::StartError),
    #[error("kernel: {0}")]
    Kernel(#[from] crate::kernels::KernelError),
    /// A tensor that is missing, or of another shape than the graph's.
    #[error("tensor {name}: {reason}")]
    Tensor { name: String, reason: String },
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
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
