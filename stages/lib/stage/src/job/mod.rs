//! Work that is done by a child process, once: its results lie in a [cache](crate::cache) under the hash of all that they
//! depend on.
//!
//! The parent runs [`Runner::run`], the child [`serve`]. A job's folder holds `result.json` and whatever files the child
//! made beside it, and appears whole or not at all. A run that is killed at any point leaves nothing half done behind but
//! what a long job has put into its [`Place::lasting`] folder, `work/KEY.part`, in order to go on from there.
//!
//! Processes that share a cache share the work: while one is at a job, the others do other jobs, and then wait for it.

mod child;
mod collect;
mod group;
mod one;
mod remote;
mod runner;
mod ticket;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Result;
use schemas::Status;
use serde::{Deserialize, Serialize};

pub use child::serve;
pub use collect::Missing;
pub use group::Group;
pub use one::{Unfinished, one};
pub use ticket::waits;

use crate::engine::Engine;
use crate::engine::grant::Granted;
use crate::supervise::Limits;
use crate::{Gpus, Machine, atomic};

/// In a lasting folder: how many seconds of work the rest of it stands for.
const SPENT: &str = "seconds";

/// Runs jobs of one kind.
#[derive(Clone)]
pub struct Runner<'a> {
    /// The child: a program and its arguments.
    pub command: Vec<OsString>,
    /// Folder of the results of this kind, see [`crate::cache`].
    pub cache: PathBuf,
    /// Whether results that are there already are taken.
    pub reuse: bool,
    /// Keys of results that this very run has made, and that are taken in any case.
    pub made: BTreeSet<String>,
    /// Whether jobs that have failed before are tried again.
    pub retry_failed: bool,
    /// Files that a result must have beside `result.json` to be taken from the cache.
    pub files: &'static [&'static str],
    /// As they are set.
    pub limits: Limits,
    /// What the machine has of memory, where that may be less.
    pub granted: Option<Granted>,
    /// Where jobs are done.
    pub engine: Engine,
    /// Whether a job that dies of a signal is left for another machine to repeat.
    pub once: bool,
    /// The version of the code that results depend on.
    pub code: &'static str,
    /// What children are placed on.
    pub gpus: Arc<Gpus>,
    /// Asks to stop; see [`crate::signal`].
    pub stop: &'a AtomicBool,
}

/// A job to run.
pub struct Work<J> {
    /// Hash of all that its result depends on.
    pub key: String,
    /// For the progress display.
    pub label: String,
    /// About how much work it is, compared with others: for the estimate of the time left, and what is begun first.
    pub weight: f64,
    /// What the child is given.
    pub job: J,
}

/// Where a child leaves its files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// What is here becomes the job's result.
    pub folder: PathBuf,
    /// A folder that stays when the child is killed, for the next one with the same job. Made by the child that wants it; removed
    /// once the job is done.
    pub lasting: PathBuf,
    /// Seconds that earlier children have put into what the lasting folder holds.
    pub spent: f64,
    /// What the child runs on, for its result to tell. It is known to the parent alone.
    #[serde(default)]
    pub machine: Machine,
}

impl Place {
    /// Notes how many seconds of work, those of earlier children included, the lasting folder now stands for: they count
    /// towards the time limit.
    pub fn note_spent(&self, seconds: f64) -> Result<()> {
        atomic::write_bytes(&self.lasting.join(SPENT), seconds.to_string().as_bytes())
    }

    /// What was noted so. Nonsense is nothing.
    fn spent(lasting: &std::path::Path) -> Duration {
        let text = std::fs::read_to_string(lasting.join(SPENT)).unwrap_or_default();
        text.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default()
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<R> {
    /// There is a result.
    Done {
        /// Where its files are.
        folder: PathBuf,
        /// What the child answered.
        result: R,
        /// Whether it was there already.
        cached: bool,
    },
    /// The job's own failure, which concerns nobody else, and where it happened.
    Failed {
        /// What the row of such a candidate says.
        status: Status,
        /// What happened, in words.
        reason: String,
        /// Where it happened.
        machine: Machine,
    },
    /// We were asked to stop before it was done.
    Interrupted,
}

/// Why a child has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `None`: the fault is the machine's (a full disk, no GPU), not the job's, and concerns all jobs.
    pub status: Option<Status>,
    /// What happened, in words.
    pub reason: String,
}

impl Failure {
    /// The job's own fault.
    pub fn of_job(status: Status, reason: impl ToString) -> Self {
        Self { status: Some(status), reason: reason.to_string() }
    }

    /// The machine's fault.
    pub fn of_machine(reason: impl ToString) -> Self {
        Self { status: None, reason: reason.to_string() }
    }
}

/// What a child's work on a job came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<R> {
    /// There is a result.
    Done(R),
    /// The job has failed by its own content, and would again.
    Failed(Failure),
}

#[derive(Serialize, Deserialize)]
struct Request<J> {
    /// Versions of the parent, see [`Runner::code`].
    version: String,
    code: String,
    place: Place,
    job: J,
}

#[cfg(test)]
mod tests;
