//! What another machine is to do: a job as a file in the cache, `work/KEY.job.json`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cache::failed::Bounds;
use crate::supervise::Limits;
use crate::{VERSION, atomic};

/// A job with all that its supervisor must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ticket<J> {
    /// Version of the program that wrote it.
    pub version: String,
    /// Version of the code that results depend on.
    pub code: String,
    /// For people.
    pub label: String,
    /// Limits of the child.
    pub limits: Bounds,
    /// How the queue is asked, see [`crate::engine::Queue::options`].
    pub options: String,
    /// What the child is given.
    pub job: J,
}

impl<J> Ticket<J> {
    /// The limits as a supervisor takes them.
    pub fn limits(&self) -> Limits {
        Limits {
            time: self.limits.time_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            memory: self.limits.memory_mib.map(|mib| mib.saturating_mul(1 << 20)),
            ..Limits::default()
        }
    }
}

/// Where the job with this key lies, in a cache's folder of one kind.
pub fn place(kind: &Path, key: &str) -> PathBuf {
    kind.join("work").join(format!("{key}.job.json"))
}

/// Whether it lies there.
pub fn waits(kind: &Path, key: &str) -> bool {
    place(kind, key).is_file()
}

/// Writes a job to where its supervisor looks for it.
pub fn write<J: Serialize>(kind: &Path, key: &str, ticket: &Ticket<J>) -> Result<()> {
    atomic::write_bytes(&place(kind, key), &serde_json::to_vec_pretty(ticket)?)
}

/// Reads a job.
///
/// # Errors
/// Where there is none, or this program is another one than it was made for: its result would be another one.
pub fn read<J: DeserializeOwned>(kind: &Path, key: &str, code: &str) -> Result<Ticket<J>> {
    let path = place(kind, key);
    let text = std::fs::read(&path).with_context(|| {
        format!("{}: there is no such job (is it another --cache than the sender's?)", path.display())
    })?;
    let about: Ticket<serde_json::Value> =
        serde_json::from_slice(&text).with_context(|| format!("{}: broken", path.display()))?;
    ensure!(
        about.code == code && about.version == VERSION,
        "{}: it was made by another version of this program ({} {}; this is {VERSION} {code}): use the same build everywhere",
        path.display(),
        about.version,
        about.code
    );
    serde_json::from_slice(&text).with_context(|| format!("{}: broken", path.display()))
}
