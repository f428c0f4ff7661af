//! What can go wrong when data is asked for.

/// An error of the benchmark's samplers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClrsError {
    /// No such algorithm in CLRS-30.
    #[error("unknown algorithm '{name}'{}", .nearest.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default())]
    UnknownAlgorithm {
        /// The name that was asked for.
        name: String,
        /// The most similar name that exists; `None` where none is similar.
        nearest: Option<&'static str>,
    },

    /// The problem that this algorithm solves does not exist at this length.
    #[error("{algorithm} needs a length of at least {least}{why}, got {length}")]
    LengthTooShort {
        /// Name of the algorithm.
        algorithm: &'static str,
        /// The length that was asked for.
        length: usize,
        /// The least length that it can take.
        least: usize,
        /// The reason, to be put behind the least length; empty where there is nothing to explain.
        why: &'static str,
    },

    /// Beyond this, hints would not fit in any memory.
    #[error("{algorithm}: lengths above {most} are not supported, got {length}")]
    LengthTooLong {
        /// Name of the algorithm.
        algorithm: &'static str,
        /// The length that was asked for.
        length: usize,
        /// The largest length that is supported.
        most: usize,
    },

    /// A needle of this length does not fit a haystack.
    #[error(
        "{algorithm}: a needle of up to {needle} needs a length of at least {least}, got {length} \
         (the haystack must be longer than the needle)"
    )]
    NeedleTooLong {
        /// Name of the algorithm.
        algorithm: &'static str,
        /// The longest needle that can be drawn.
        needle: usize,
        /// The length that was asked for, of both strings together.
        length: usize,
        /// The least length for such a needle.
        least: usize,
    },

    /// A needle must hold a character; ranges are given as negative numbers.
    #[error("the needle's length must not be 0: give a length, or -k for a random one between 1 and k")]
    EmptyNeedle,

    /// Edge probabilities must be a non-empty list of numbers in [0, 1].
    #[error("edge probabilities must be numbers between 0 and 1, got {0:?}")]
    BadProbabilities(Vec<f64>),

    /// A batch holds at least one sample.
    #[error("the batch size must be at least 1")]
    EmptyBatch,

    /// A dataset holds at least one sample.
    #[error("the number of samples must be at least 1")]
    EmptyDataset,

    /// A fixed dataset is drawn from without promise of distinct samples, yet never beyond its size.
    #[error("a batch of {batch} is larger than the dataset of {samples}")]
    BatchLargerThanDataset {
        /// Samples that were asked for.
        batch: usize,
        /// Samples that there are.
        samples: usize,
    },

    /// Rejection sampling of points in general position gave up.
    #[error("no {length} points without three on a line within {attempts} attempts")]
    NoGeneralPosition {
        /// Number of points.
        length: usize,
        /// How many sets of points were drawn.
        attempts: usize,
    },

    /// The whole dataset was asked of a sampler that draws samples on the fly.
    #[error("this sampler draws samples on the fly: it has no finite dataset")]
    Endless,

    /// The background threads ended early.
    #[error("the background sampler stopped: {0}")]
    LoaderStopped(String),

    /// `pred_h` must not change over time where it is to become an input.
    #[error("hint 'pred_h' changes over time, so that it cannot become an input")]
    ChangingPredecessor,
}
