//! One job from the cache on the machine where it is to run: what `train --one` and `score --one` do.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stage::engine::Engine;
use stage::job::{self, Runner};
use stage::{Config, Gpus, Usage, WorkArgs, signal};

use crate::{CODE_VERSION, Job, Measured, kind};

/// What a kind of jobs is called, and where it runs.
pub struct Kind<J, R> {
    /// The child's subcommand of this program.
    pub subcommand: &'static str,
    /// Its folder in the cache.
    pub folder: &'static str,
    pub files: &'static [&'static str],
    pub device: fn(&J) -> &str,
    pub sum_up: fn(&R) -> String,
}

impl Kind<Job, Measured> {
    pub const TRAINING: Self = Self {
        subcommand: "train-child",
        folder: "train",
        files: crate::FILES,
        device: |job| &job.device,
        sum_up: crate::rows::sum_up,
    };
}

/// Does one job as it lies in the cache.
pub fn one<J: Serialize + DeserializeOwned, R: DeserializeOwned>(
    kind_of_job: &Kind<J, R>,
    key: &str,
    args: &WorkArgs,
) -> Result<()> {
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_key {
        return Err(Usage(format!("--one {key:?}: this is not the key of a job")).into());
    }
    let stop = signal::install()?;
    let runner = Runner {
        command: Runner::this_program(kind_of_job.subcommand),
        cache: args.cache.join(kind_of_job.folder),
        reuse: true,
        retry_failed: false,
        files: kind_of_job.files,
        limits: WorkArgs::limits(&Config::default()),
        granted: None,
        engine: Engine::Local,
        once: true,
        code: CODE_VERSION,
        gpus: Arc::new(Gpus::none()),
        stop,
    };
    let gpus = |job: &J| match kind((kind_of_job.device)(job)) {
        "cuda" => Ok(Gpus::find("cuda")?),
        _ => Ok(Gpus::none()),
    };
    job::one(runner, key, gpus, kind_of_job.sum_up)
}
