//! Failures that are not to be repeated: why a job has no result, and under which limits.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use schemas::Status;
use serde::{Deserialize, Serialize};

use crate::engine::grant::Granted;
use crate::supervise::Limits;
use crate::{Gpus, Machine, atomic};

/// Limits as they are kept, `None` for none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Seconds at work.
    pub time_s: Option<f64>,
    /// Resident memory, in MiB.
    pub memory_mib: Option<u64>,
}

impl Bounds {
    /// The limits under which something was tried.
    pub fn of(limits: &Limits) -> Self {
        Self { time_s: limits.time.map(|time| time.as_secs_f64()), memory_mib: limits.memory.map(|bytes| bytes >> 20) }
    }

    /// Whether one of them allows more than before.
    pub fn is_above(&self, before: &Self) -> bool {
        let time = before.time_s.is_some_and(|before| self.time_s.is_none_or(|now| now > before));
        time || before.memory_mib.is_some_and(|before| self.memory_mib.is_none_or(|now| now > before))
    }
}

/// What was measured: for people, and in no table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// From the start to the end of the last attempt, in seconds.
    pub seconds: f64,
    /// At work in all attempts, in seconds.
    pub at_work_s: f64,
    /// Largest resident memory of any attempt, in MiB.
    pub peak_memory_mib: u64,
}

/// A failure, as `KEY.failed.json` has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// What the row of such a candidate says.
    pub status: Status,
    /// What happened, in words.
    pub reason: String,
    /// Whether one of the limits was met, and the reason is about that.
    pub at_limit: bool,
    /// As they were set.
    pub limits: Bounds,
    /// Where the machine granted less memory than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
    /// How attempts have ended that may be repeated once elsewhere: then this is not the last word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<String>,
    /// Where the attempts were made.
    #[serde(default)]
    pub machine: Machine,
    /// How many there were.
    pub attempts: usize,
    /// What they took.
    pub measured: Measurements,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    failure: FailureRecord,
    blake3: String,
}

impl FailureRecord {
    /// The record in this file; `None` where there is none that can be believed.
    pub fn read(path: &Path) -> Option<Self> {
        let Sealed { failure, blake3 } = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (failure.sum() == blake3).then_some(failure)
    }

    /// Writes it to this file.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            atomic::make_folder(folder)?;
        }
        let sealed = Sealed { failure: self.clone(), blake3: self.sum() };
        atomic::write_bytes(path, &serde_json::to_vec_pretty(&sealed)?)
    }

    /// Whether the same would happen again here: under limits that are not above those it had, and not on another model of
    /// GPU, whose memory and speed are others.
    pub fn holds(&self, limits: &Limits, gpus: &Gpus) -> bool {
        let same_gpu = |model: &String| gpus.all().iter().any(|gpu| gpu.model.as_ref() == Some(model));
        let depends = matches!(self.status, Status::Oom | Status::Timeout);
        let granted = self.granted.as_ref().map(|granted| granted.memory_mib);
        let before = Bounds { memory_mib: granted.or(self.limits.memory_mib), ..self.limits };
        let elsewhere = depends && !self.machine.gpu.as_ref().is_none_or(same_gpu);
        self.open.is_empty() && !Bounds::of(limits).is_above(&before) && !elsewhere
    }

    /// Whether the same would happen again on the machines of a queue, which is asked for them with these `options`; `None`:
    /// whatever they are.
    pub fn holds_there(&self, limits: &Limits, options: Option<&str>) -> bool {
        let as_before = |granted: &Granted| options.is_none_or(|options| granted.options == options);
        let same = self.granted.as_ref().is_none_or(as_before);
        self.open.is_empty() && !Bounds::of(limits).is_above(&self.limits) && same
    }

    fn sum(&self) -> String {
        super::hash(self)
    }
}

/// The reason for a job that has met a limit. It names the limit and not what was measured, which is another one in every run.
pub fn at_limit(status: Status, limits: &Limits) -> String {
    match status {
        Status::Oom => format!("killed at the memory limit ({} MiB)", limits.memory.unwrap_or_default() >> 20),
        _ => format!("killed at the time limit ({} s)", limits.time.unwrap_or(Duration::ZERO).as_secs_f64()),
    }
}
