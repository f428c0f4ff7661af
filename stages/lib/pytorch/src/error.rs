//! Why a network cannot be written as PyTorch.

/// A fault of an export.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The network around the candidate cannot be built.
    #[error(transparent)]
    Model(#[from] model::ModelError),
    /// An operation that only gradients have, or an argument that is not there.
    #[error("{op} cannot be written as PyTorch: {reason}")]
    Op {
        /// The operation.
        op: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The network does not fit together, which is a fault of this program.
    #[error("the network is inconsistent: {0}")]
    Inconsistent(String),
}

/// What this crate's functions answer.
pub type Result<T> = std::result::Result<T, ExportError>;
