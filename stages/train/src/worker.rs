//! The program that computes, `worker`: it lies beside the stages, and is started for each job.
//!
//! It is a program of its own because libtorch takes more than a hundred megabytes from the moment that a process starts
//! which is linked against it. The programs that supervise, collect or wait for other machines do without it.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use stage::gpus;
use stage::supervise::{self, Limits};

/// Its name.
pub const NAME: &str = "worker";
/// Its subcommand for a training.
pub const TRAIN: &str = "train";
/// For several trainings as one computation.
pub const TOGETHER: &str = "together";
/// For an evaluation.
pub const SCORE: &str = "score";
/// For the question which [`Device`] a setting means.
pub const DEVICE: &str = "device";

/// What the worker answers to [`DEVICE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// As libtorch calls it: `cpu`, `cuda:0`.
    Found(String),
    /// Why it cannot be used.
    Failed(String),
}

/// The worker's file, held open: jobs run the code that was there at the start, even when the file is replaced meanwhile.
#[derive(Clone, Debug)]
pub struct Worker {
    file: Arc<File>,
    path: PathBuf,
}

impl Worker {
    /// The one in the folder of this program.
    ///
    /// # Errors
    /// Where there is none that can be read.
    pub fn beside_us() -> Result<Self> {
        let own = std::env::current_exe().context("this program does not know where it lies")?;
        let path = own.with_file_name(NAME);
        let absent = || format!("{}: the program that trains and evaluates must lie beside this one", path.display());
        let file = Arc::new(File::open(&path).with_context(absent)?);
        Ok(Self { file, path })
    }

    /// The words that start it, as long as this worker, or a clone of it, is there.
    pub fn command(&self, subcommand: &str) -> Vec<OsString> {
        // The kernel's name for the open file. A child has it until its program is in place of ours.
        vec![format!("/proc/self/fd/{}", self.file.as_raw_fd()).into(), subcommand.into()]
    }

    /// Which device a setting means here.
    ///
    /// # Errors
    /// Where there is no such device, or it cannot be used.
    pub fn device(&self, setting: &str) -> Result<String> {
        // Most machines need not start it for that.
        if setting == "cpu" || setting == "auto" && !gpus::in_sight() {
            return Ok("cpu".to_owned());
        }
        let mut command = Command::new(self.command(DEVICE).swap_remove(0));
        command.args([DEVICE, setting]);
        let mut answer = None;
        let report = supervise::run(command, Vec::new(), Limits::default(), &|| false, |line| {
            answer = serde_json::from_str::<Device>(line).ok().or(answer.take());
        });
        let report = report.with_context(|| format!("{}: cannot be started", self.path.display()))?;
        match answer {
            Some(Device::Found(device)) => Ok(device),
            Some(Device::Failed(reason)) => bail!("{reason}"),
            None => bail!(
                "{}: does not say which device {setting} is: {}",
                self.path.display(),
                report.last_words().unwrap_or("it says nothing")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_was_there_at_the_start_is_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NAME);
        std::fs::copy("/bin/echo", &path).expect("copied");
        let worker = Worker { file: Arc::new(File::open(&path).expect("opened")), path: path.clone() };
        std::fs::remove_file(&path).expect("removed");
        let words = worker.command(TRAIN);
        let said = Command::new(&words[0]).arg(&words[1]).output().expect("it starts").stdout;
        assert_eq!(said, b"train\n");
        assert_eq!(worker.device("cpu").expect("always there"), "cpu");
        let error = worker.device("cuda").expect_err("echo knows no devices");
        assert!(error.to_string().contains("does not say which device cuda is"), "{error:#}");
    }
}
