//! One job from the cache on the machine where it is to run: what `train --one` and `score --one` do.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stage::engine::Engine;
use stage::job::{self, Runner};
use stage::{Config, Gpus, Usage, WorkArgs, signal};

use crate::worker::{self, Worker};
use crate::{CODE_VERSION, Job, Measured, kind};

/// What a kind of jobs is called, and where it runs.
pub struct Kind<J, R> {
    /// What the worker calls it.
    pub subcommand: &'static str,
    /// Its folder in the cache.
    pub folder: &'static str,
    pub files: &'static [&'static str],
    /// The device that a job is for, and what its model's name must have in it.
    pub device: fn(&J) -> (&str, &str),
    pub sum_up: fn(&R) -> String,
}

impl Kind<Job, Measured> {
    pub const TRAINING: Self = Self {
        subcommand: worker::TRAIN,
        folder: "train",
        files: crate::FILES,
        device: |job| (&job.device, &job.device_model),
        sum_up: crate::rows::sum_up,
    };
}

/// What jobs are placed on: the GPUs that a setting asks for, as far as they are of the model that is wanted, or the CPU,
/// which must be of it.
pub(crate) fn seats(on_gpu: bool, setting: &str, model: &str) -> Result<Gpus> {
    if on_gpu {
        return Ok(Gpus::find(setting)?.of_model(model)?);
    }
    Gpus::cpu_of_model(model)?;
    Ok(Gpus::none())
}

impl<J, R> Kind<J, R> {
    /// Whether a job with this key waits in the cache.
    pub fn waits(&self, key: &str, args: &WorkArgs) -> bool {
        is_key(key) && job::waits(&args.cache.join(self.folder), key)
    }
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Does one job as it lies in the cache.
pub fn one<J: Serialize + DeserializeOwned, R: DeserializeOwned>(
    kind_of_job: &Kind<J, R>,
    key: &str,
    args: &WorkArgs,
) -> Result<()> {
    if !is_key(key) {
        return Err(Usage(format!("--one {key:?}: this is not the key of a job")).into());
    }
    let stop = signal::install()?;
    // Its file has to be open for as long as jobs are started.
    let worker = Worker::beside_us()?;
    let runner = Runner {
        command: worker.command(kind_of_job.subcommand),
        cache: args.cache.join(kind_of_job.folder),
        reuse: true,
        made: Default::default(),
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
    let gpus = |job: &J| {
        let (device, model) = (kind_of_job.device)(job);
        seats(kind(device) == "cuda", "cuda", model)
    };
    job::one(runner, key, gpus, kind_of_job.sum_up)
}
