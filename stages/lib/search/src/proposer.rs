//! What writes candidates: the built-in grammar, a language model, or a recording of one.
//!
//! A method says which steps are taken and in which order; a proposer knows how to take them. SPARK's three roles are
//! three functions here: `route` (ASR, which factor), `direct` (RC, what to do there), `write` (SAR, the program). A
//! method that leaves a role out does not call it, and everything else stays the same.

use schemas::{Candidate, Factor};

use crate::diagnosis::Diagnosis;
use crate::population::Population;
use crate::random::{Stream, StreamKey};

/// Why there is no proposal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProposeError {
    /// This attempt failed; the search goes on. The row gets the status `failed` and this reason.
    #[error("{0}")]
    Failed(String),
    /// No further attempt can succeed, e.g. because the budget is spent: the search ends with what it has.
    #[error("{0}")]
    Ended(String),
}

/// The program that an attempt starts from.
#[derive(Debug, Clone, Copy)]
pub struct Parent<'a> {
    /// Its `candidate_id`.
    pub id: &'a str,
    /// Its program.
    pub source: &'a str,
    /// Its row; `None` for the seed program before it has been evaluated.
    pub row: Option<&'a Candidate>,
}

impl Parent<'_> {
    /// Its [`factors`].
    #[must_use]
    pub fn factors(&self) -> Vec<Factor> {
        factors(self.source)
    }
}

/// The factors that a program marks, in the order of factors; where its markers are wrong, the usual two, of which whoever
/// looks for them finds out.
#[must_use]
pub fn factors(source: &str) -> Vec<Factor> {
    let marked = program::regions::factors(source);
    if marked.is_empty() { Factor::PAPER.to_vec() } else { marked }
}

/// All that a proposer may know about one attempt.
#[derive(Clone)]
pub struct Brief<'a> {
    /// The rows that the attempt may know of: by `search.context` those of its island, or all of the run so far. The same
    /// rule holds for all methods.
    pub population: &'a Population<'a>,
    /// Where the attempt starts.
    pub parent: Parent<'a>,
    /// The programs to show beside the parent, in the order that the method wants them in, be it none; without a list the
    /// proposer chooses among the rows that the attempt may know of.
    pub examples: Option<Vec<&'a Candidate>>,
    /// Where the parent fails, and what its parts are worth, where that was measured and may be known.
    pub diagnosis: Option<&'a Diagnosis>,
    /// The place of the attempt, for its random streams.
    pub key: StreamKey,
}

impl Brief<'_> {
    /// The stream for one purpose of this attempt.
    #[must_use]
    pub fn stream(&self, purpose: &str) -> Stream {
        self.key.stream(purpose)
    }
}

/// What an edit is to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directive {
    /// In words.
    pub text: String,
    /// Short label for tables.
    pub label: String,
    /// As settings of genes, where the built-in proposer gave it.
    pub genes: Vec<(String, String)>,
}

/// How a new program comes from known ones. The names are those of the methods' papers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Change the parent.
    Edit,
    /// Combine the parent with the examples, then change the result a little.
    Crossover,
    /// Continue the series of versions: the examples in ascending order of score, the parent last.
    NextVersion,
    /// Write something that is as different as possible from parent and examples (EoH's E1).
    Depart,
    /// Keep what parent and examples have in common, and vary the rest (EoH's E2).
    CommonIdea,
    /// Modify the parent (EoH's M1).
    Modify,
    /// Keep the parent's structure, and change its sizes (EoH's M2).
    Tune,
    /// Simplify the parent (EoH's M3).
    Simplify,
    /// Any program of the space, whatever the parent is.
    Random,
}

impl Operation {
    /// The name that `prompts/parts/operation.jinja` has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Crossover => "crossover",
            Self::NextVersion => "next-version",
            Self::Depart => "depart",
            Self::CommonIdea => "common-idea",
            Self::Modify => "modify",
            Self::Tune => "tune",
            Self::Simplify => "simplify",
            Self::Random => "random",
        }
    }
}

/// What to write.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// How.
    pub operation: Operation,
    /// The only region that may change; `None`: both may.
    pub factor: Option<Factor>,
    /// What to do; `None`: the writer's own choice.
    pub directive: Option<&'a Directive>,
}

/// A proposed program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The whole program.
    pub source: String,
    /// Short label of the edit.
    pub edit: String,
}

/// Takes the steps of an attempt.
pub trait Proposer {
    /// Its name in the column `proposer`.
    fn name(&self) -> &'static str;

    /// Chooses the factor to edit (SPARK's ASR).
    fn route(&self, brief: &Brief<'_>) -> Result<Factor, ProposeError>;

    /// Says what to do with the factor, or with the whole program where none was chosen (SPARK's RC).
    fn direct(&self, brief: &Brief<'_>, factor: Option<Factor>) -> Result<Directive, ProposeError>;

    /// Writes the program (SPARK's SAR).
    fn write(&self, brief: &Brief<'_>, task: &Task<'_>) -> Result<Draft, ProposeError>;
}
