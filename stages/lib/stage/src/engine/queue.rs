//! What is asked of a queue of jobs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::batch::Batch;

/// Why a queue did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// It cannot be reached: later it may.
    #[error("{0}")]
    Down(String),
    /// It does not want to, and would not later.
    #[error("{0}")]
    Refused(String),
}

/// What is seen of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How far it has come.
    pub phase: Phase,
    /// Where it runs, or has run.
    pub node: Option<String>,
    /// The queue's own word for its state, with its reason.
    pub words: String,
    /// How long it has run, as the queue says it.
    pub elapsed: String,
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It has ended, one way or another.
    Ended,
    /// Ended by the queue or the node for its use of memory.
    OutOfMemory,
    /// It has not begun.
    Waiting,
    /// It is at work.
    Running,
}

impl Phase {
    /// Whether it is on its way.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }
}

/// What a queue has of some batches: by batch and element. What it does not know any more is absent.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// What is seen, by the name of the batch and the index of the element.
    pub seen: BTreeMap<(String, usize), Seen>,
    /// Ids of batches by their names.
    pub ids: BTreeMap<String, String>,
}

/// A batch on its way to the queue.
pub struct Submission<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// Program and arguments of an element, to which its key is added.
    pub command: Vec<String>,
    /// File with the keys of all elements, a line each.
    pub keys: PathBuf,
    /// Folder of what elements print, and of their scripts.
    pub logs: PathBuf,
    /// Nodes that are not to be used, if others can be.
    pub avoid: Vec<String>,
}

/// Ids that a queue has given: to the whole batch, or to each element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ids {
    /// That of the whole.
    Batch(String),
    /// In order; those that could not be sent are missing at the end.
    Elements(Vec<String>),
}

/// A queue of jobs.
pub trait Queue: Send + Sync {
    /// `slurm` or `command`.
    fn name(&self) -> &'static str;

    /// How jobs are sent, in words: a job that a node had too little memory for may do under others.
    fn options(&self) -> String;

    /// Whether jobs are given GPUs, where that can be told.
    fn gives_gpus(&self) -> bool;

    /// Most elements of a batch.
    fn largest(&self) -> usize;

    /// Sends a batch.
    ///
    /// # Errors
    /// [`QueueError::Down`] also where it may have been sent all the same: [`look`](Self::look) tells.
    fn submit(&self, submission: &Submission<'_>) -> Result<Ids, QueueError>;

    /// What it has of these batches.
    ///
    /// # Errors
    /// Where it cannot be asked.
    fn look(&self, batches: &[&Batch]) -> Result<Listing, QueueError>;

    /// Ends jobs of a batch, or only those of them that still wait.
    ///
    /// # Errors
    /// Where it cannot be asked. Jobs that are gone already are fine.
    fn cancel(&self, batch: &Batch, elements: &[usize], waiting_only: bool) -> Result<(), QueueError>;
}
