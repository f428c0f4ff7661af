//! What the agents must know of the candidate language.

use std::ops::Range;

use schemas::Factor;

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the program is a candidate, and the edit within its bounds.
    pub accepted: bool,
    /// The findings as text with excerpts, as a person would be shown them: what a repair round gets.
    pub report: String,
    /// What the program computes, whatever its spelling (`graph_hash`), where it has a graph.
    pub graph: Option<String>,
}

/// The language of candidates, as far as proposing needs it.
pub trait Checker: Send + Sync {
    /// The page that tells all of what can be written.
    fn language(&self) -> &str;

    /// Checks a program against its parent too: whether the edit stays within the factor, or within what edits without a
    /// factor may change.
    fn judge(&self, source: &str, parent: &str, factor: Option<Factor>) -> Judgement;

    /// Why the machine could not check some program: its judgements are then worth nothing.
    fn fault(&self) -> Option<String> {
        None
    }

    /// The bytes between the markers of a factor: whole lines.
    fn region(&self, source: &str, factor: Factor) -> Option<Range<usize>>;
}
