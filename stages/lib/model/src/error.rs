//! What can go wrong when a network's graph or its data are made.

/// A fault of the settings, of the graph, or of the data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// There is no algorithm of this name.
    #[error("`{0}` is not an algorithm of the benchmark")]
    Algorithm(String),
    /// A setting has a value that no network can be made with.
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
    /// A graph and its values that do not belong together.
    #[error("inconsistent network: {0}")]
    Inconsistent(String),
}

/// What this crate's functions answer.
pub type Result<T> = std::result::Result<T, ModelError>;
