//! A training.

use std::time::{Duration, Instant, SystemTime};

use graph::Processor;
use network::{Checkpoints, CurvePoint, Device, DeviceArg, NetworkError, Start, Trained};
use schemas::Status;
use serde_json::{Value, json};
use stage::atomic;
use stage::clock::WorkClock;
use stage::job::{Answer, Failure, Place, serve};
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

/// Does several trainings as one computation as the supervisor asks for it on stdin, and returns the exit code.
pub fn children() -> u8 {
    serve(CODE_VERSION, train_together)
}

/// A training that is under way.
struct Session<'a> {
    place: &'a Place,
    started: Instant,
    /// Time in which the machine was suspended is not held against a training that goes on later.
    clock: WorkClock,
    checkpoints: Option<Checkpoints>,
    /// When the files of checkpoints were last written.
    seen: Option<SystemTime>,
}

impl<'a> Session<'a> {
    fn new(job: &Job, place: &'a Place) -> Result<Self, Failure> {
        let started = Instant::now();
        let checkpoints = checkpoints(job, place)?;
        let mut new = Self { place, started, clock: WorkClock::starting_at(started), checkpoints, seen: None };
        new.seen = new.written();
        Ok(new)
    }

    fn seconds(&self) -> f64 {
        self.place.spent + self.started.elapsed().as_secs_f64()
    }

    fn written(&self) -> Option<SystemTime> {
        let folder = self.checkpoints.as_ref()?.path.parent()?;
        let files = std::fs::read_dir(folder).ok()?.flatten();
        let checkpoints = files.filter(|file| file.path().extension().is_some_and(|end| end == "safetensors"));
        checkpoints.filter_map(|file| file.metadata().ok()?.modified().ok()).max()
    }

    /// Notes the time that has been spent where a checkpoint was written since.
    fn look(&mut self) {
        let last = self.written();
        if last != self.seen {
            self.seen = last;
            self.note_spent();
        }
    }

    fn note_spent(&mut self) {
        let cpu = Stat::of("self").map_or(Duration::MAX, |stat| stat.cpu);
        let at_work = self.clock.look(Instant::now(), cpu, false);
        // Not noted, it costs some seconds of a time limit.
        let _ = self.place.note_spent(self.place.spent + at_work.as_secs_f64());
    }

    /// Ends as a process that was stopped does, where the training was.
    fn stop_if<T>(&mut self, trained: &Result<T, NetworkError>) {
        if let Err(NetworkError::Stopped { .. }) = trained {
            self.note_spent();
            signal::end_by(libc::SIGTERM);
        }
    }

    /// What a training came to, with its files in the job's folder, their names after `prefix`.
    fn leave(
        &self,
        job: &Job,
        trained: &Trained,
        prefix: &str,
        share: f64,
        device: Device,
    ) -> Result<Measured, Failure> {
        if !(trained.best_val_acc.is_finite() && trained.final_loss.is_finite()) {
            return Err(Failure::of_job(Status::Diverged, "the accuracy or the last loss is not finite"));
        }
        for warning in &trained.warnings {
            stage::exit::note(&format!("warning: {warning}"));
        }
        let path = |name: &str| self.place.folder.join(format!("{prefix}{name}"));
        trained.weights.save(path(WEIGHTS)).map_err(|error| failure(&error.into()))?;
        let machine = |error: anyhow::Error| Failure::of_machine(format!("{error:#}"));
        atomic::write(&path(CURVE), |out| {
            for point in &trained.curve {
                writeln!(out, "{}", serde_json::to_string(point)?)?;
            }
            Ok(())
        })
        .map_err(machine)?;
        // For people who look into the cache; nothing reads it.
        let about = serde_json::to_vec_pretty(job).map_err(Failure::of_machine)?;
        atomic::write_bytes(&path("job.json"), &about).map_err(machine)?;
        Ok(Measured {
            val_acc: trained.best_val_acc,
            loss: trained.final_loss,
            steps: trained.steps,
            device: device.to_string(),
            seconds: share * self.seconds(),
            peak_rss_mb: peak_rss_mb(),
            machine: self.place.machine.clone(),
        })
    }
}

fn device(job: &Job) -> Result<Device, Failure> {
    let wanted: DeviceArg = job.device.parse().map_err(Failure::of_machine)?;
    let start = Start { threads: job.threads, graphs: job.graphs, tf32: job.config.dtype.rounds_on_gpu() };
    network::init_with(&wanted, start).map_err(|error| failure(&error.into()))
}

fn progress(job: &Job, point: &CurvePoint) -> Value {
    json!({ "step": point.step, "of": job.config.steps, "loss": point.loss, "val_acc": point.val_acc })
}

fn train(job: Job, place: &Place, tell: &mut dyn FnMut(&Value)) -> Result<Measured, Failure> {
    let mut session = Session::new(&job, place)?;
    let device = device(&job)?;
    let processor = processor(&job.source, job.config.hidden)?;
    let checkpoints = session.checkpoints.clone();
    let mut on_point = |point: &CurvePoint| {
        tell(&progress(&job, point));
        session.look();
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
    session.stop_if(&trained);
    session.leave(&job, &trained.map_err(|error| failure(&error))?, "", 1.0, device)
}

fn train_together(
    jobs: Vec<Job>,
    place: &Place,
    tell: &mut dyn FnMut(&Value),
) -> Result<Vec<Answer<Measured>>, Failure> {
    let Some(first) = jobs.first() else { return Ok(Vec::new()) };
    let mut session = Session::new(first, place)?;
    let device = device(first)?;
    let processor = processor(&first.source, first.config.hidden)?;
    let checkpoints = session.checkpoints.clone();
    let seeds: Vec<u64> = jobs.iter().map(|job| job.config.seed).collect();
    let mut on_point = |at: usize, point: &CurvePoint| {
        // One speaks for all: they keep step.
        if at == 0 {
            tell(&progress(first, point));
            session.look();
        }
    };
    let together = match network::can_train_together(&processor) {
        true => network::train_together(&processor, &first.config, &seeds, device, checkpoints.as_ref(), &mut on_point),
        false => one_by_one(&processor, &jobs, device, &mut on_point),
    };
    session.stop_if(&together);
    let trained = match together {
        // One at a time may fit.
        Err(NetworkError::OutOfMemory(_)) => one_by_one(&processor, &jobs, device, &mut |_, _| {}),
        trained => trained,
    };
    let trained = trained.map_err(|error| failure(&error))?;
    let share = 1.0 / jobs.len() as f64;
    let end = |((at, job), trained): ((usize, &Job), Result<Trained, NetworkError>)| {
        let left = trained.map_err(|error| failure(&error));
        match left.and_then(|trained| session.leave(job, &trained, &format!("{at}."), share, device)) {
            Ok(measured) => Ok(Answer::Done(measured)),
            Err(failure) if failure.status == Some(Status::Diverged) => Ok(Answer::Failed(failure)),
            Err(failure) => Err(failure),
        }
    };
    jobs.iter().enumerate().zip(trained).map(end).collect()
}

/// Each training alone, one after the other; their ends as [`network::train_together`] has them.
fn one_by_one(
    processor: &Processor,
    jobs: &[Job],
    device: Device,
    on_point: &mut dyn FnMut(usize, &CurvePoint),
) -> Result<Vec<Result<Trained, NetworkError>>, NetworkError> {
    let mut ended = Vec::new();
    for (at, job) in jobs.iter().enumerate() {
        match network::train(processor, &job.config, device, None, &mut |point| on_point(at, point)) {
            Err(error @ NetworkError::Diverged { .. }) => ended.push(Err(error)),
            trained => ended.push(Ok(trained?)),
        }
    }
    Ok(ended)
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
