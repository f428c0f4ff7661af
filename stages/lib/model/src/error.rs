//! What can go wrong when a network's graph or its data are made.

/// A fault of the settings, of the graph, or of the data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    #[error("`{0}` is not an algorithm of the benchmark")]
    Algorithm(String),
    #[error("{setting}: {reason}")]
    Setting { setting: &'static str, reason: String },
    #[error(transparent)]
    Graph(#[from] graph::OpError),
    #[error(transparent)]
    Data(#[from] clrs::ClrsError),
    /// A graph and its values that do not belong together.
    #[error("inconsistent network: {0}")]
    Inconsistent(String),
}

/// What this crate's functions answer.
pub type Result<T> = std::result::Result<T, ModelError>;
