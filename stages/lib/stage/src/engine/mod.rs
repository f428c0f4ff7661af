//! The heavy work on other machines, through a queue that places it: Slurm, or any other by commands of the user's.
//!
//! There is no scheduler and no server here. A job is an element of a [batch](batch) that a [`Queue`] runs as
//! `train --one KEY` on some node. What it is to do lies in the cache, and so does what came of it: whoever waits looks
//! there, and asks the queue only now and then which jobs are gone without a result. Batches are files in the cache, too:
//! every process that uses the cache sees what is on its way, so that nothing is sent twice, and who comes back after an
//! interruption waits for what was sent before.

pub mod batch;
pub mod command;
pub mod grant;
pub mod queue;
pub mod slurm;
mod tool;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use queue::{Queue, QueueError};

use crate::config::{Config, EngineKind, OnInterrupt};

/// Where jobs are done.
#[derive(Clone)]
pub enum Engine {
    /// In child processes of this one.
    Local,
    /// Nowhere: what the cache has is taken, and what it lacks is counted.
    Collect,
    /// By whatever machines a queue has.
    Remote(Arc<Remote>),
}

/// A queue, and how it is used.
pub struct Remote {
    /// The queue.
    pub queue: Box<dyn Queue>,
    /// Folder of the programs that nodes run.
    pub programs: PathBuf,
    /// Time between two questions to the queue.
    pub poll: Duration,
    /// So many losses of a job make its row `crashed`.
    pub losses: usize,
    /// Whether running jobs are ended with who waits for them.
    pub cancel_running: bool,
}

impl Engine {
    /// The engine of the settings.
    ///
    /// # Errors
    /// Where this program does not know where it lies.
    pub fn of(config: &Config) -> std::io::Result<Self> {
        let queue: Box<dyn Queue> = match config.train.engine {
            EngineKind::Local => return Ok(Self::Local),
            EngineKind::Slurm => Box::new(slurm::Slurm::new(&config.engine.slurm)),
            EngineKind::Command => Box::new(command::Commands::new(&config.engine.command)),
        };
        let program = std::env::current_exe()?;
        Ok(Self::Remote(Arc::new(Remote {
            queue,
            programs: crate::atomic::folder_of(&program).to_owned(),
            poll: Duration::try_from_secs_f64(config.engine.poll_s).unwrap_or(Duration::MAX),
            losses: config.engine.losses,
            cancel_running: config.engine.running == OnInterrupt::Cancel,
        })))
    }

    /// Whether work is done on this machine.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local)
    }
}
