//! The rows of a table, trained.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use schemas::{Candidate, Status};
use serde_json::Value;
use stage::config::Config;
use stage::engine::Engine;
use stage::job::{Outcome, Runner, Work};
use stage::{Common, Gpus, Machine, Progress, Table, Usage, WorkArgs};

use crate::halving::{self, Raced};
use crate::one::seats;
use crate::worker::{self, Worker};
use crate::{
    CODE_VERSION, FILES, Job, Measured, Program, Trained, by_hand, hash, kind, prepare, seeds, settings, together,
    works_of_candidate,
};

/// What starts the children that train and evaluate, and gathers what they leave: on which device, in which cache, within which
/// limits.
pub struct Supervisor<'a> {
    pub config: &'a Config,
    /// The device as a child calls it: `cpu`, `cuda:0`.
    pub device: String,
    /// What children are placed on.
    pub gpus: Arc<Gpus>,
    pub jobs: usize,
    /// Where jobs are done.
    pub engine: Engine,
    /// What does them, where that is here.
    worker: Option<Worker>,
    pub args: &'a WorkArgs,
    pub stop: &'a AtomicBool,
}

impl<'a> Supervisor<'a> {
    /// Finds the worker, the device and the GPUs.
    pub fn new(config: &'a Config, args: &'a WorkArgs, stop: &'a AtomicBool) -> Result<Self> {
        let engine = Engine::of(config).context("this program does not know where it lies")?;
        if let Engine::Remote(remote) = &engine {
            if args.no_cache {
                let text = "--no-cache goes with train.engine=local: results of other machines come through the cache";
                return Err(Usage(text.to_owned()).into());
            }
            if config.train.together > 1 {
                let text =
                    "train.together goes with train.engine=local: to other machines, trainings are sent one by one";
                return Err(Usage(text.to_owned()).into());
            }
            // What the nodes have, and not what this machine has.
            let gpu =
                config.train.device.starts_with("cuda") || config.train.device == "auto" && remote.queue.gives_gpus();
            return Ok(Self::elsewhere(config, args, stop, engine, if gpu { "cuda:0" } else { "cpu" }));
        }
        let worker = Worker::beside_us()?;
        let wanted = config.train.device.as_str();
        // Whichever GPU it is to be: whether there is any, and libtorch can use it.
        let mut device = worker.device(if wanted.starts_with("cuda") { "cuda" } else { wanted })?;
        let on_gpu = kind(&device) == "cuda";
        let gpus = seats(on_gpu, wanted, &config.train.device_model)?;
        if on_gpu && gpus.all().is_empty() {
            // Nobody can name them: the worker takes the one that libtorch numbers so.
            device = worker.device(wanted)?;
        }
        let jobs = WorkArgs::jobs(config, if on_gpu { gpus.all().len().max(1) } else { 0 });
        Ok(Self { config, device, gpus: Arc::new(gpus), jobs, engine, worker: Some(worker), args, stop })
    }

    /// One in which nothing is computed: outcomes come from the cache, of trainings on this kind of device.
    pub fn collecting(config: &'a Config, args: &'a WorkArgs, stop: &'a AtomicBool, device: &str) -> Self {
        Self::elsewhere(config, args, stop, Engine::Collect, device)
    }

    fn elsewhere(config: &'a Config, args: &'a WorkArgs, stop: &'a AtomicBool, engine: Engine, device: &str) -> Self {
        let gpus = Arc::new(Gpus::none());
        Self { config, device: device.to_owned(), gpus, jobs: 1, engine, worker: None, args, stop }
    }

    /// Where it is computed, in words.
    pub fn place(&self) -> String {
        match self.gpus.all().len() {
            _ if !self.engine.is_local() => format!("{} of other machines", kind(&self.device)),
            0 | 1 => kind(&self.device).to_owned(),
            several => format!("{several} GPUs"),
        }
    }

    /// A runner of jobs of one kind; `subcommand` is what the worker calls it, `kind` its folder in the cache.
    pub fn runner(&self, subcommand: &str, kind: &str, files: &'static [&'static str]) -> Runner<'a> {
        Runner {
            command: self.worker.as_ref().map_or_else(Vec::new, |worker| worker.command(subcommand)),
            cache: self.args.cache.join(kind),
            reuse: !self.args.no_cache,
            made: Default::default(),
            retry_failed: self.args.retry_failed,
            files,
            limits: WorkArgs::limits(self.config),
            granted: None,
            engine: self.engine.clone(),
            once: false,
            code: CODE_VERSION,
            gpus: Arc::clone(&self.gpus),
            stop: self.stop,
        }
    }

    /// Runs trainings with a progress display of their own; outcomes in order.
    pub fn trainings(&self, works: &[Work<Job>], label: &str, common: &Common) -> Result<Vec<Outcome<Measured>>> {
        let progress = common.progress(label, works.len());
        let outcomes = self.trainings_on(works, &progress)?;
        let done = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done { .. })).count();
        progress.finish(&format!("{done} of {} trainings done on {}", works.len(), self.place()));
        Ok(outcomes)
    }

    /// Runs trainings as a part of what a display shows.
    pub fn trainings_on(&self, works: &[Work<Job>], progress: &Progress) -> Result<Vec<Outcome<Measured>>> {
        let mut alone = self.runner(worker::TRAIN, "train", FILES);
        let groups = together::groups(works);
        if !groups.is_empty() && !matches!(self.engine, Engine::Collect) {
            let runner = self.runner(worker::TOGETHER, "together", &[]);
            alone.made = runner.run_groups::<Job, Measured>(&alone, &groups, self.jobs, progress, step)?;
        }
        alone.run_all(works, self.jobs, progress, step, sum_up)
    }
}

/// A training in a line.
pub(crate) fn sum_up(measured: &Measured) -> String {
    let Measured { loss, val_acc, seconds, .. } = measured;
    format!("loss {loss:.4}, validation {:.1} %, {seconds:.1} s", val_acc * 100.0)
}

/// What a child says after a step, for the progress display.
fn step(note: &Value) -> Option<String> {
    let number = |name: &str| note.get(name).and_then(Value::as_f64);
    Some(format!("step {}/{} loss {:.3}", number("step")?, number("of")?, number("loss")?))
}

/// Trains the rows that are due; all others stay as they are. Returns the table, in order, and the trainings' curves.
pub fn train(mut table: Table, supervisor: &Supervisor<'_>, common: &Common) -> Result<(Table, Vec<Trained>)> {
    let config = supervisor.config;
    let task = config.task.algorithm.as_str();
    let mut due: Vec<(usize, Program)> = Vec::new();
    for (index, prepared) in prepare(&table.rows, config, due_for_training)?.into_iter().enumerate() {
        match (prepared, table.rows.get_mut(index)) {
            (Some(Ok(program)), _) => due.push((index, program)),
            (Some(Err(row)), Some(slot)) => slot.candidate = *row,
            _ => {}
        }
    }
    let raced = halving::race(&due.iter().map(|(_, program)| program).collect::<Vec<_>>(), supervisor, common)?;
    let mut trained = Vec::new();
    let mut whole: Vec<(usize, Program, f64)> = Vec::new();
    for ((index, program), Raced { out, seconds }) in due.into_iter().zip(raced) {
        match (out, table.rows.get_mut(index)) {
            (Some((candidate, curves)), Some(row)) => {
                row.candidate = candidate;
                trained.extend(curves);
            }
            _ => whole.push((index, program, seconds)),
        }
    }
    let each = config.train.seeds.count();
    let mut works: Vec<Work<Job>> = Vec::new();
    for (_, program, _) in &whole {
        let seeds = seeds(config, &program.candidate.candidate_id);
        let settings: Vec<_> = seeds.into_iter().map(|seed| settings(config, task, seed)).collect();
        works.extend(works_of_candidate(program, &settings, &config.train, &supervisor.device));
    }
    let outcomes = supervisor.trainings(&works, "train", common)?;
    let of_rows = works.chunks(each).zip(outcomes.chunks(each));
    for ((index, program, seconds), (works, outcomes)) in whole.into_iter().zip(of_rows) {
        let mut candidate = program.candidate;
        fill(&mut candidate, works, outcomes, task, &supervisor.device);
        candidate.train_seconds = candidate.train_seconds.map(|own| own + seconds);
        trained.extend(Trained::of(&candidate, works, outcomes));
        if let Some(row) = table.rows.get_mut(index) {
            row.candidate = candidate;
        }
    }
    Ok((table, trained))
}

fn due_for_training(candidate: &Candidate) -> bool {
    candidate.status == Status::Accepted || by_hand(candidate)
}

/// Fills a row's columns from the outcomes of its seeds. One seed that failed is the whole row's failure: no mean is
/// taken over what is left.
pub(crate) fn fill(
    candidate: &mut Candidate,
    works: &[Work<Job>],
    outcomes: &[Outcome<Measured>],
    task: &str,
    device: &str,
) {
    let keys: Vec<&str> = works.iter().map(|work| work.key.as_str()).collect();
    candidate.task = Some(task.to_owned());
    candidate.train_key = Some(match keys.as_slice() {
        [one] => (*one).to_owned(),
        several => hash(&several),
    });
    candidate.train_seeds = Some(works.iter().filter_map(|work| i64::try_from(work.job.config.seed).ok()).collect());
    candidate.device = Some(kind(device).to_owned());
    candidate.reason = None;
    candidate.rung = None;
    let mut measured = Vec::new();
    for (work, outcome) in works.iter().zip(outcomes) {
        match outcome {
            Outcome::Done { result, .. } => measured.push(result),
            Outcome::Failed { status, reason, machine } => {
                made_on(candidate, &[machine]);
                let seed = if works.len() > 1 { format!("seed {}: ", work.job.config.seed) } else { String::new() };
                candidate.status = *status;
                candidate.reason = Some(format!("{seed}{reason}"));
                return;
            }
            Outcome::Interrupted => return,
        }
    }
    candidate.status = Status::Trained;
    candidate.train_steps = measured.first().and_then(|m| i64::try_from(m.steps).ok());
    candidate.train_loss = Some(measured.iter().map(|m| m.loss).collect());
    candidate.val_acc = Some(measured.iter().map(|m| m.val_acc).collect());
    candidate.weights = Some(keys.iter().map(|key| stage::cache::weights::name_of(key)).collect());
    candidate.train_seconds = Some(measured.iter().map(|m| m.seconds).sum());
    candidate.peak_rss_mb = measured.iter().map(|m| m.peak_rss_mb).reduce(f64::max);
    made_on(candidate, &measured.iter().map(|measured| &measured.machine).collect::<Vec<_>>());
}

/// Notes where a row's trainings ran.
fn made_on(candidate: &mut Candidate, machines: &[&Machine]) {
    let words = |of: fn(&Machine) -> Option<&String>| Machine::words(machines.iter().copied(), of);
    candidate.train_host = words(|machine| machine.host.as_ref());
    candidate.train_gpu = words(|machine| machine.gpu.as_ref());
    candidate.train_driver = words(|machine| machine.driver.as_ref());
}
