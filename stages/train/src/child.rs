//! The child's side of a training.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use network::{CurvePoint, DeviceArg, NetworkError};
use schemas::Status;
use serde_json::{Value, json};
use stage::atomic;
use stage::job::{Failure, serve};

use crate::curves::CURVE;
use crate::{Job, Measured, WEIGHTS};

/// Does one training as the supervisor asks for it on stdin.
pub fn child() -> ExitCode {
    serve(train)
}

fn train(job: Job, folder: &Path, tell: &mut dyn FnMut(&Value)) -> Result<Measured, Failure> {
    let started = Instant::now();
    let wanted: DeviceArg = job.device.parse().map_err(Failure::of_machine)?;
    let device = network::init(&wanted, job.threads).map_err(|error| failure(&error))?;
    let processor = processor(&job.source, job.config.hidden)?;
    let mut curve = Vec::new();
    let mut on_point = |point: &CurvePoint| {
        curve.push(*point);
        tell(&json!({ "step": point.step, "of": job.config.steps, "loss": point.loss, "val_acc": point.val_acc }));
    };
    let trained = network::train(&processor, &job.config, device, &mut on_point).map_err(|error| failure(&error))?;
    if !(trained.best_val_acc.is_finite() && trained.final_loss.is_finite()) {
        return Err(Failure::of_job(Status::Diverged, "the accuracy or the last loss is not finite"));
    }
    trained.weights.save(folder.join(WEIGHTS)).map_err(|error| failure(&error))?;
    let machine = |error: anyhow::Error| Failure::of_machine(format!("{error:#}"));
    atomic::write(&folder.join(CURVE), |out| {
        for point in &curve {
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
        seconds: started.elapsed().as_secs_f64(),
        peak_rss_mb: peak_rss_mb(),
    })
}

/// The processor of a program that was accepted before.
pub fn processor(source: &str, hidden: usize) -> Result<graph::Processor, Failure> {
    let options = program::Options { hidden, need_regions: false, ..program::Options::default() };
    let compiled = program::compile(source, &options);
    compiled.processor.ok_or_else(|| Failure::of_job(Status::Failed, "the program does not compile"))
}

/// Whose fault an error is, and which status a row gets by it.
pub fn failure(error: &NetworkError) -> Failure {
    match error {
        NetworkError::Diverged { .. } => Failure::of_job(Status::Diverged, error),
        NetworkError::OutOfMemory(_) => Failure::of_job(Status::Oom, error),
        // A device-side fault takes the process's whole context with it, as a crash does.
        NetworkError::Torch(message) if message.contains("CUDA error") => Failure::of_job(Status::Crashed, error),
        NetworkError::Device { .. } | NetworkError::File { .. } => Failure::of_machine(error),
        _ => Failure::of_job(Status::Failed, error),
    }
}

/// Largest resident memory of this process so far, in MiB.
pub fn peak_rss_mb() -> f64 {
    // SAFETY: rusage is plain data that the kernel fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    // Linux counts in KiB.
    usage.ru_maxrss as f64 / 1024.0
}
