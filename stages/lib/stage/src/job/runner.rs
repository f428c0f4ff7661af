//! The parent's side of a job: from the cache, from someone else who is at it, or from a child.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use schemas::Status;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Answer, Failure, Outcome, Place, Request, Runner, Work};
use crate::cache::entry::{RESULT, seal};
use crate::cache::failed::{Bounds, FailureRecord, Measurements, at_limit};
use crate::cache::lock::{BEAT, LOOK, Lock, Patience};
use crate::cache::{Cache, Scratch, clear};
use crate::engine::Engine;
use crate::engine::grant::Granted;
use crate::signal::Interrupted;
use crate::supervise::{self, End, Limits, Report};
use crate::{Machine, Progress, VERSION, atomic, pool};

/// How often a job is begun whose child dies of a signal that we have not sent.
const ATTEMPTS: usize = 2;
/// Where and how a result was made, for people.
pub(super) const PROVENANCE: &str = "provenance.json";

/// Whose turn a job is.
enum Turn<R> {
    /// Ours; without a lock when its owner shows no life, or everything is done anew.
    Ours(Option<Lock>),
    /// Someone else is at it.
    Theirs,
    Known(Outcome<R>),
}

/// How one attempt has ended.
enum Attempt<R> {
    Ended(Outcome<R>),
    /// The job has failed, perhaps by a limit.
    Failed {
        status: Status,
        reason: String,
        at_limit: bool,
    },
    /// The child has died of a signal that we have not sent.
    Killed(String),
}

/// What the attempts have come to.
#[derive(Default)]
struct Tally {
    measured: Measurements,
    machine: Machine,
    attempts: usize,
    /// Machines of attempts before ours.
    before: Vec<Machine>,
}

impl Tally {
    fn add(&mut self, report: &Report) {
        self.measured.seconds = report.seconds;
        self.measured.at_work_s += report.at_work.as_secs_f64();
        self.measured.peak_memory_mib = self.measured.peak_memory_mib.max(report.peak_memory >> 20);
    }
}

impl Runner<'_> {
    /// Makes the cache folder, and clears away what killed runs have left in it.
    ///
    /// # Errors
    /// Where there is no folder and none can be made.
    pub fn prepare(&self) -> Result<()> {
        self.cache().prepare()
    }

    /// The result of the job with this key: from the cache, or from a child process. `on_note` gets what the child says
    /// meanwhile.
    ///
    /// # Errors
    /// For faults of the machine; faults of the job are [`Outcome::Failed`].
    pub fn run<J: Serialize, R: DeserializeOwned>(
        &self,
        key: &str,
        job: &J,
        on_note: &mut dyn FnMut(Value),
    ) -> Result<Outcome<R>> {
        let stopped = || self.stop.load(Ordering::SeqCst);
        Ok(self.run_until(key, job, on_note, &stopped, true)?.unwrap_or(Outcome::Interrupted))
    }

    /// Runs all works, `jobs` side by side, and returns their outcomes in order. Works with the same key are done once;
    /// the heaviest are begun first, so that none of them is left over for the end, and those that another process is at
    /// come last. `tell` makes a line for the progress display of what a child says.
    ///
    /// # Errors
    /// At the first fault of the machine, which ends the others, too; [`Interrupted`] when we were asked to stop.
    pub fn run_all<J: Serialize + Sync, R: DeserializeOwned + Clone + PartialEq + Send>(
        &self,
        works: &[Work<J>],
        jobs: usize,
        progress: &Progress,
        tell: impl Fn(&Value) -> Option<String> + Sync,
        sum_up: impl Fn(&R) -> String + Sync,
    ) -> Result<Vec<Outcome<R>>> {
        match &self.engine {
            Engine::Local => {}
            Engine::Collect => return self.collect(works, progress, sum_up),
            Engine::Remote(remote) => return self.send(remote, works, progress, sum_up),
        }
        self.prepare()?;
        let mut unique: BTreeMap<&str, &Work<J>> = BTreeMap::new();
        let mut left: Vec<&Work<J>> = works.iter().filter(|work| unique.insert(&work.key, work).is_none()).collect();
        left.sort_by(|one, two| two.weight.total_cmp(&one.weight));
        let halt = AtomicBool::new(false);
        let stopped = || self.stop.load(Ordering::SeqCst) || halt.load(Ordering::SeqCst);
        let mut outcomes: BTreeMap<&str, Outcome<R>> = BTreeMap::new();
        for wait in [false, true] {
            let results = pool::run(&left, jobs, &halt, |_, work| {
                if stopped() {
                    return Ok(Some(Outcome::Interrupted));
                }
                let mut on_note = |note: Value| {
                    if let Some(text) = tell(&note) {
                        progress.note(&format!("{}: {text}", work.label));
                    }
                };
                let outcome = self.run_until(&work.key, &work.job, &mut on_note, &stopped, wait);
                match &outcome {
                    Ok(Some(outcome)) => show(progress, work, outcome, &sum_up),
                    Ok(None) => {}
                    Err(_) => halt.store(true, Ordering::SeqCst),
                }
                outcome
            });
            let mut theirs = Vec::new();
            for (work, result) in left.into_iter().zip(results) {
                match result.transpose()? {
                    Some(Some(Outcome::Interrupted)) | None => {}
                    Some(Some(outcome)) => drop(outcomes.insert(&work.key, outcome)),
                    Some(None) => theirs.push(work),
                }
            }
            left = theirs;
        }
        let of_work = |work: &Work<J>| outcomes.get(work.key.as_str()).cloned();
        works.iter().map(of_work).collect::<Option<Vec<_>>>().ok_or_else(|| Interrupted.into())
    }

    pub(super) fn cache(&self) -> Cache {
        Cache::new(&self.cache)
    }

    /// The outcome of a job; `None` when someone else is at it, and we are not to `wait`.
    fn run_until<J: Serialize, R: DeserializeOwned>(
        &self,
        key: &str,
        job: &J,
        on_note: &mut dyn FnMut(Value),
        stopped: &dyn Fn() -> bool,
        wait: bool,
    ) -> Result<Option<Outcome<R>>> {
        let mut patience = Patience::default();
        let lock = loop {
            match self.turn(key, &mut patience)? {
                Turn::Known(outcome) => return Ok(Some(outcome)),
                Turn::Ours(lock) => break lock,
                Turn::Theirs if !wait => return Ok(None),
                Turn::Theirs if stopped() => return Ok(Some(Outcome::Interrupted)),
                Turn::Theirs => std::thread::sleep(LOOK),
            }
        };
        let mut tally = Tally::default();
        let mut ends: Vec<String> = Vec::new();
        if self.once
            && let Some(before) =
                FailureRecord::read(&self.cache().failed(key)).filter(|record| !record.open.is_empty())
        {
            tally.attempts = before.attempts;
            tally.before = vec![before.machine];
            ends = before.open;
        }
        loop {
            tally.attempts += 1;
            let (status, reason, at_limit) =
                match self.attempt(key, job, on_note, stopped, lock.as_ref(), &mut tally)? {
                    Attempt::Ended(outcome) => return Ok(Some(outcome)),
                    Attempt::Failed { status, reason, at_limit } => (status, reason, at_limit),
                    Attempt::Killed(_) if stopped() => return Ok(Some(Outcome::Interrupted)),
                    Attempt::Killed(how) => {
                        ends.push(how);
                        if ends.len() < ATTEMPTS && self.once {
                            let reason = in_words(&ends);
                            let record = self.record(Status::Crashed, reason, false, tally, ends);
                            record.write(&self.cache().failed(key))?;
                            return Ok(Some(Outcome::Interrupted));
                        }
                        if ends.len() < ATTEMPTS {
                            continue;
                        }
                        clear(&self.cache().lasting(key));
                        (Status::Crashed, in_words(&ends), false)
                    }
                };
            let record = self.record(status, reason, at_limit, tally, Vec::new());
            record.write(&self.cache().failed(key))?;
            let FailureRecord { status, reason, machine, .. } = record;
            return Ok(Some(Outcome::Failed { status, reason, machine }));
        }
    }

    fn record(&self, status: Status, reason: String, at_limit: bool, tally: Tally, open: Vec<String>) -> FailureRecord {
        let Tally { measured, machine, attempts, mut before } = tally;
        before.push(machine);
        FailureRecord {
            status,
            reason,
            at_limit,
            limits: Bounds::of(&self.limits),
            granted: self.short().cloned(),
            open,
            machine: Machine {
                host: Machine::words(&before, |machine| machine.host.as_ref()),
                gpu: Machine::words(&before, |machine| machine.gpu.as_ref()),
                driver: Machine::words(&before, |machine| machine.driver.as_ref()),
            },
            attempts,
            measured,
        }
    }

    /// What the machine grants, where that is less than the limit.
    fn short(&self) -> Option<&Granted> {
        // No limit is more than any machine grants.
        let limit = self.limits.memory.unwrap_or(u64::MAX);
        self.granted.as_ref().filter(|granted| granted.memory_mib.saturating_mul(1 << 20) < limit)
    }

    /// The limits that are in force on this machine.
    fn in_force(&self) -> Limits {
        let memory = self.short().map(|granted| granted.memory_mib.saturating_mul(1 << 20));
        Limits { memory: memory.or(self.limits.memory), ..self.limits }
    }

    /// The reason for a job that has met a limit here.
    fn at_limit(&self, status: Status) -> String {
        match self.short().filter(|_| status == Status::Oom) {
            None => at_limit(status, &self.limits),
            Some(Granted { memory_mib, .. }) => {
                let host = Machine::here().host.unwrap_or_else(|| "the node".to_owned());
                format!("killed at {memory_mib} MiB: {host} grants no more memory")
            }
        }
    }

    /// Looks whose turn it is.
    fn turn<R: DeserializeOwned>(&self, key: &str, patience: &mut Patience) -> Result<Turn<R>> {
        if !self.reuse && !self.made.contains(key) {
            return Ok(Turn::Ours(None));
        }
        if let Some(outcome) = self.known(key) {
            return Ok(Turn::Known(outcome));
        }
        let Some(lock) = self.cache().lock(key)? else {
            let given_up = patience.look(&self.cache().lock_file(key));
            return Ok(if given_up { Turn::Ours(None) } else { Turn::Theirs });
        };
        // It may have been done between our look and the lock.
        Ok(self.known(key).map_or(Turn::Ours(Some(lock)), Turn::Known))
    }

    /// What the cache has on a job: its result, or why there is none.
    pub(super) fn known<R: DeserializeOwned>(&self, key: &str) -> Option<Outcome<R>> {
        if let Some(outcome) = self.cached(key) {
            return Some(outcome);
        }
        let record = FailureRecord::read(&self.cache().failed(key)).filter(|_| !self.retry_failed)?;
        let holds = match &self.engine {
            Engine::Local => record.holds(&self.in_force(), &self.gpus),
            Engine::Collect => record.holds_there(&self.limits, None),
            Engine::Remote(remote) => record.holds_there(&self.limits, Some(&remote.queue.options())),
        };
        holds.then(|| {
            let FailureRecord { status, reason, machine, granted, .. } = record;
            // With a lower limit the reason is that.
            let of_limit = record.at_limit && (granted.is_none() || status != Status::Oom);
            let reason = if of_limit { at_limit(status, &self.limits) } else { reason };
            Outcome::Failed { status, reason, machine }
        })
    }

    fn cached<R: DeserializeOwned>(&self, key: &str) -> Option<Outcome<R>> {
        let cache = self.cache();
        // Of jobs that fail by their content there are no other files.
        let entry = cache.open(key, self.files).or_else(|_| cache.open(key, &[])).ok()?;
        match serde_json::from_slice(&entry.result).ok()? {
            Answer::Done(result) => {
                let whole = self.files.iter().all(|file| entry.folder.join(file).is_file());
                whole.then_some(Outcome::Done { folder: entry.folder, result, cached: true })
            }
            Answer::Failed(Failure { status, reason }) => {
                let machine = made_on(&entry.folder);
                Some(Outcome::Failed { status: status.unwrap_or(Status::Failed), reason, machine })
            }
        }
    }

    /// Has a child do the job once.
    fn attempt<J: Serialize, R: DeserializeOwned>(
        &self,
        key: &str,
        job: &J,
        on_note: &mut dyn FnMut(Value),
        stopped: &dyn Fn() -> bool,
        lock: Option<&Lock>,
        tally: &mut Tally,
    ) -> Result<Attempt<R>> {
        let cache = self.cache();
        let scratch = cache.scratch(key)?;
        let (lasting, private) = self.lasting(key, &scratch, lock)?;
        let spent = Place::spent(&lasting);
        // Another try is a whole one, and not the rest of the last one.
        let used = if self.retry_failed { Duration::ZERO } else { spent };
        let limits = Limits { time: self.limits.time.map(|time| time.saturating_sub(used)), ..self.in_force() };
        let seat = self.gpus.take();
        tally.machine = seat.machine();
        let place = Place {
            folder: scratch.0.clone(),
            lasting: lasting.clone(),
            spent: spent.as_secs_f64(),
            machine: seat.machine(),
        };
        let (version, code) = (VERSION.to_owned(), self.code.to_owned());
        let input = serde_json::to_vec(&Request { version, code, place, job })?;
        let Some((program, arguments)) = self.command.split_first() else { bail!("no child to run") };
        let mut command = Command::new(program);
        command.args(arguments).env("RUST_BACKTRACE", "0");
        seat.give(&mut command);
        let mut failure = None;
        let beat = beat(&scratch, lock);
        let stop = || {
            beat();
            stopped()
        };
        let report = supervise::run(command, input, limits, &stop, |line| match serde_json::from_str::<Value>(line) {
            Ok(mut note) => match note.get_mut("failed").map(Value::take) {
                Some(failed) => failure = serde_json::from_value::<Failure>(failed).ok(),
                None => on_note(note),
            },
            Err(_) => on_note(Value::String(line.to_owned())),
        })
        .with_context(|| format!("cannot run {}", Path::new(program).display()))?;
        drop((seat, private));
        tally.add(&report);
        // What it was killed by may be raised, or not come again, and then it goes on.
        let limited = |status| Attempt::Failed { status, reason: self.at_limit(status), at_limit: true };
        match report.end {
            End::Interrupted => return Ok(Attempt::Ended(Outcome::Interrupted)),
            End::Timeout => return Ok(limited(Status::Timeout)),
            End::OutOfMemory(_) => return Ok(limited(Status::Oom)),
            End::Signalled(_) => return Ok(Attempt::Killed(crash(&report))),
            End::Exited(_) => {}
        }
        if let Some(Failure { status: None, reason }) = failure {
            bail!("{reason}");
        }
        clear(&lasting);
        match failure {
            Some(Failure { status: Some(status), reason }) if status != Status::Diverged => {
                Ok(Attempt::Failed { status, reason, at_limit: false })
            }
            _ if report.end != End::Exited(0) || !self.is_whole(&scratch.0) => {
                Ok(Attempt::Failed { status: Status::Crashed, reason: crash(&report), at_limit: false })
            }
            _ => self.publish(key, &scratch, tally).map(Attempt::Ended),
        }
    }

    /// Whether a child has left all that a result needs.
    fn is_whole(&self, folder: &Path) -> bool {
        let answer = std::fs::read(folder.join(RESULT)).ok();
        match answer.and_then(|answer| serde_json::from_slice::<Answer<Value>>(&answer).ok()) {
            Some(Answer::Done(_)) => self.files.iter().all(|file| folder.join(file).is_file()),
            Some(Answer::Failed(_)) => true,
            None => false,
        }
    }

    /// Where a child leaves what outlives it. Without a lock it is shared with nobody, and goes with the guard.
    fn lasting(&self, key: &str, scratch: &Scratch, lock: Option<&Lock>) -> Result<(PathBuf, Option<Scratch>)> {
        if lock.is_none() {
            let own = self.cache().scratch(key)?;
            return Ok((own.0.join("part"), Some(own)));
        }
        // As absolute as the scratch folder is.
        let name = self.cache().lasting(key);
        Ok((scratch.0.with_file_name(name.file_name().unwrap_or_default()), None))
    }

    /// Puts a result into the cache, and reads it back: it is what stands there, ours or the one that was first.
    fn publish<R: DeserializeOwned>(&self, key: &str, scratch: &Scratch, tally: &Tally) -> Result<Outcome<R>> {
        let cache = self.cache();
        let provenance = json!({
            "version": VERSION,
            "machine": tally.machine,
            "job": job_of_queue(),
            "attempts": tally.attempts,
            "limits": Bounds::of(&self.in_force()),
            "measured": tally.measured,
        });
        atomic::write_bytes(&scratch.0.join(PROVENANCE), &serde_json::to_vec_pretty(&provenance)?)?;
        seal(&scratch.0)?;
        // A child that left too little has crashed, in its way; the cache would not take it.
        cache.publish(key, scratch, &[], !self.reuse || self.cached::<R>(key).is_none())?;
        clear(&cache.failed(key));
        match self.cached(key) {
            Some(Outcome::Done { folder, result, .. }) => Ok(Outcome::Done { folder, result, cached: false }),
            Some(outcome) => Ok(outcome),
            None => bail!("{}: the result cannot be read back", cache.place(key).display()),
        }
    }
}

pub(super) fn show<J, R>(progress: &Progress, work: &Work<J>, outcome: &Outcome<R>, sum_up: &impl Fn(&R) -> String) {
    match outcome {
        Outcome::Done { result, cached, .. } => {
            let from = if *cached { " (from the cache)" } else { "" };
            progress.item_of(work.weight, *cached, &format!("{}: {}{from}", work.label, sum_up(result)));
        }
        Outcome::Failed { status, reason, .. } => {
            progress.item_of(work.weight, false, &format!("{}: {status}: {reason}", work.label));
        }
        Outcome::Interrupted => {}
    }
}

/// Shows others, now and then, that we are at it.
fn beat<'a>(scratch: &'a Scratch, lock: Option<&'a Lock>) -> impl Fn() + 'a {
    let last = Cell::new(Instant::now());
    move || {
        if last.get().elapsed() >= BEAT {
            last.set(Instant::now());
            scratch.touch();
            if let Some(lock) = lock {
                lock.beat();
            }
        }
    }
}

/// Where a result was made, as is noted beside it.
fn made_on(folder: &Path) -> Machine {
    let noted = std::fs::read(folder.join(PROVENANCE)).ok();
    let noted = noted.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    noted.and_then(|mut noted| serde_json::from_value(noted.get_mut("machine")?.take()).ok()).unwrap_or_default()
}

/// The job of a queue that this process is, for people.
fn job_of_queue() -> Option<String> {
    let of = |name: &str| std::env::var(name).ok();
    match (of("SLURM_ARRAY_JOB_ID"), of("SLURM_ARRAY_TASK_ID")) {
        (Some(array), Some(task)) => Some(format!("slurm {array}_{task}")),
        _ => of("SLURM_JOB_ID").map(|job| format!("slurm {job}")),
    }
}

/// The ends of all attempts, each kind told once.
fn in_words(ends: &[String]) -> String {
    match ends {
        [first, rest @ ..] if rest.iter().all(|end| end == first) && !rest.is_empty() => {
            format!("{first} ({} times)", ends.len())
        }
        _ => ends.join("; then "),
    }
}

fn crash(report: &Report) -> String {
    let how = match report.end {
        End::Exited(0) => "ended without a result".to_owned(),
        End::Exited(code) => format!("ended with exit code {code}"),
        // We have not sent it; more often than not the kernel has, for lack of memory.
        End::Signalled(libc::SIGKILL) => "killed by signal 9, perhaps by the system for lack of memory".to_owned(),
        End::Signalled(signal) => format!("killed by signal {signal}"),
        End::Timeout | End::OutOfMemory(_) | End::Interrupted => "killed".to_owned(),
    };
    let words = report.stderr.iter().rev().map(|line| line.trim());
    // Rust's own advice on backtraces comes last, and says nothing.
    match words.clone().find(|line| !line.is_empty() && !line.starts_with("note: ")) {
        Some(words) => format!("{how}: {words}"),
        None => how,
    }
}
