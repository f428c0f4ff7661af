//! A training.

use std::time::{Duration, Instant};

use network::{Checkpoints, CurvePoint, DeviceArg, NetworkError, Start};
use schemas::Status;
use serde_json::{Value, json};
use stage::atomic;
use stage::clock::WorkClock;
use stage::job::{Failure, Place, serve};
use stage::proc::Stat;
use stage::signal;
use train::{CODE_VERSION, CURVE, Job, Measured, WEIGHTS, kind};

use crate::common::{failure, processor};

/// The checkpoint's file in a training's lasting folder.
const CHECKPOINT: &str = "checkpoint.safetensors";

/// Does one training as the supervisor asks for it on stdin, and returns the exit code.
pub fn child() -> u8 {
    serve(CODE_VERSION, train)
}

fn train(job: Job, place: &Place, tell: &mut dyn FnMut(&Value)) -> Result<Measured, Failure> {
    let started = Instant::now();
    let seconds = || place.spent + started.elapsed().as_secs_f64();
    // Time in which the machine was suspended is not held against a training that goes on later.
    let mut clock = WorkClock::starting_at(started);
    let wanted: DeviceArg = job.device.parse().map_err(Failure::of_machine)?;
    let start = Start { threads: job.threads, graphs: job.graphs, tf32: job.config.dtype.rounds_on_gpu() };
    let device = network::init_with(&wanted, start).map_err(|error| failure(&error.into()))?;
    let processor = processor(&job.source, job.config.hidden)?;
    let checkpoints = checkpoints(&job, place)?;
    let written = || checkpoints.as_ref().and_then(|to| to.path.metadata().ok()?.modified().ok());
    let mut seen = written();
    let mut on_point = |point: &CurvePoint| {
        tell(&json!({ "step": point.step, "of": job.config.steps, "loss": point.loss, "val_acc": point.val_acc }));
        let last = written();
        if last != seen {
            seen = last;
            let cpu = Stat::of("self").map_or(Duration::MAX, |stat| stat.cpu);
            let at_work = clock.look(Instant::now(), cpu, false);
            // Not noted, it costs some seconds of a time limit.
            let _ = place.note_spent(place.spent + at_work.as_secs_f64());
        }
    };
    let mut run = || network::train(&processor, &job.config, device, checkpoints.as_ref(), &mut on_point);
    let trained = match run() {
        // It can only be broken, its folder being that of this very training: what it held is computed again.
        Err(NetworkError::File { path, reason }) if checkpoints.as_ref().is_some_and(|to| to.path == path) => {
            std::fs::remove_file(&path).map_err(|_| Failure::of_machine(format!("{}: {reason}", path.display())))?;
            run()
        }
        trained => trained,
    };
    if let Err(NetworkError::Stopped { .. }) = trained {
        let cpu = Stat::of("self").map_or(Duration::MAX, |stat| stat.cpu);
        let at_work = clock.look(Instant::now(), cpu, false);
        let _ = place.note_spent(place.spent + at_work.as_secs_f64());
        signal::end_by(libc::SIGTERM);
    }
    let trained = trained.map_err(|error| failure(&error))?;
    if !(trained.best_val_acc.is_finite() && trained.final_loss.is_finite()) {
        return Err(Failure::of_job(Status::Diverged, "the accuracy or the last loss is not finite"));
    }
    for warning in &trained.warnings {
        stage::exit::note(&format!("warning: {warning}"));
    }
    let folder = &place.folder;
    trained.weights.save(folder.join(WEIGHTS)).map_err(|error| failure(&error.into()))?;
    let machine = |error: anyhow::Error| Failure::of_machine(format!("{error:#}"));
    atomic::write(&folder.join(CURVE), |out| {
        for point in &trained.curve {
            writeln!(out, "{}", serde_json::to_string(point)?)?;
        }
        Ok(())
    })
    .map_err(machine)?;
    // For people who look into the cache; nothing reads it.
    let about = serde_json::to_vec_pretty(&job).map_err(Failure::of_machine)?;
    atomic::write_bytes(&folder.join("job.json"), &about).map_err(machine)?;
    Ok(Measured {
        val_acc: trained.best_val_acc,
        loss: trained.final_loss,
        steps: trained.steps,
        device: device.to_string(),
        seconds: seconds(),
        peak_rss_mb: peak_rss_mb(),
        machine: place.machine.clone(),
    })
}

/// Where the training notes how far it is; `None` where it is not to.
fn checkpoints(job: &Job, place: &Place) -> Result<Option<Checkpoints>, Failure> {
    if job.checkpoint_s <= 0.0 {
        return Ok(None);
    }
    atomic::make_folder(&place.lasting).map_err(|error| Failure::of_machine(format!("{error:#}")))?;
    let every = Duration::try_from_secs_f64(job.checkpoint_s).unwrap_or(Duration::MAX);
    // Beyond the settings: what the job's key depends on.
    let code = format!("{CODE_VERSION} {}", kind(&job.device));
    // Without checkpoints a training ends at once.
    let stop = signal::install().map_err(Failure::of_machine)?;
    Ok(Some(Checkpoints { path: place.lasting.join(CHECKPOINT), every, code, stop: Some(stop) }))
}

/// Largest resident memory of this process so far, in MiB.
fn peak_rss_mb() -> f64 {
    stage::proc::peak() as f64 / f64::from(1 << 20)
}
