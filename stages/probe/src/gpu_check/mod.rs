//! Everything that there is to know about a GPU, in a few minutes: see [`GpuCheckArgs`].
//!
//! The parent computes nothing: each task is a child process with what is left of the time, so that a fault, a hang or a
//! driver that ends the process costs that task and no other. What children say is in the document within a second.

mod child;
mod page;
mod plan;
mod record;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use network::{Dtype, TrainConfig};
use stage::exit::{self, Negative};
use stage::gpus::Seat;
use stage::supervise::{self, End, Limits};
use stage::{Gpus, Machine, Usage, atomic, pool, signal};

pub use child::child;
pub use record::Name;

use crate::args::GpuCheckArgs;
use child::{EVALUATION, GRAPHS, PLANS, Request, Say, Task};
use plan::{Measured, Plan, Together, Way};
use record::{Gpu, Host, Record, Row, Speed, State, Step, Training};

/// The hidden subcommand.
pub const CHILD: &str = "gpu-check-child";

/// How often the document is written while a step runs, at the most ...
const EVERY: Duration = Duration::from_secs(1);
/// ... and how much longer than it takes that is: long curves are not to take time from trainings.
const RARELY: u32 = 20;

/// Why a step is not done.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Skipped(String),
    #[error("its share of the time was over")]
    OutOfTime,
    #[error("interrupted")]
    Interrupted,
}

impl Trouble {
    fn state(&self) -> State {
        match self {
            Self::Failed(_) => State::Failed,
            Self::Skipped(_) => State::Skipped,
            Self::OutOfTime => State::OutOfTime,
            Self::Interrupted => State::Interrupted,
        }
    }
}

type Tried<T = ()> = std::result::Result<T, Trouble>;

pub fn run(args: &GpuCheckArgs) -> Result<()> {
    if !args.fixtures.is_dir() {
        bail!(Usage(format!("--fixtures {}: no such folder", args.fixtures.display())));
    }
    let fixtures = args.fixtures.canonicalize().with_context(|| args.fixtures.display().to_string())?;
    atomic::make_folder(&args.out)?;
    let check = Check::new(args, fixtures, signal::install()?)?;
    check.save()?;
    for (name, share) in STEPS.into_iter().filter(|(name, _)| is_wanted(args, *name)) {
        check.step(name, share)?;
    }
    let record = check.finish();
    atomic::write_bytes(&args.out.join("gpu-check.json"), &document(&record)?)?;
    let text = page::page(&record);
    atomic::write_bytes(&args.out.join("gpu-check.md"), text.as_bytes())?;
    if args.json {
        stage::exit::print(&String::from_utf8_lossy(&document(&record)?))?;
    } else {
        stage::exit::say(&text)?;
    }
    if record.ok { Ok(()) } else { Err(Negative.into()) }
}

/// The machine is looked at in any case: the others' figures mean nothing without it.
fn is_wanted(args: &GpuCheckArgs, name: Name) -> bool {
    args.only.is_empty() || name == Name::Machine || args.only.contains(&name)
}

fn document(record: &Record) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(record)?;
    text.push(b'\n');
    Ok(text)
}

/// The steps in order, with the largest share of the whole time that each may take. The training takes what is left.
const STEPS: [(Name, f64); 7] = [
    (Name::Machine, 0.25),
    (Name::Parity, 0.3),
    (Name::Speed, 0.25),
    (Name::Memory, 0.1),
    (Name::SpeedCpu, 0.1),
    (Name::Seeds, 0.2),
    (Name::Training, 1.0),
];

struct Check<'a> {
    plan: Plan,
    /// The device as a child calls it.
    device: String,
    gpus: Gpus,
    fixtures: PathBuf,
    out: &'a Path,
    stop: &'a AtomicBool,
    started: Instant,
    limit: Duration,
    record: Mutex<Record>,
    next_save: Mutex<Instant>,
}

impl<'a> Check<'a> {
    fn new(args: &'a GpuCheckArgs, fixtures: PathBuf, stop: &'a AtomicBool) -> Result<Self> {
        let wanted = if args.dry { "cpu" } else { args.device.as_str() };
        // One that is not there is found out, and recorded, by the first child.
        let gpus = Gpus::find(wanted).unwrap_or_else(|_| Gpus::none());
        let device = if gpus.all().is_empty() { wanted.to_owned() } else { "cuda:0".to_owned() };
        let step = |name| Step { name, state: State::Waiting, seconds: 0.0, error: None, rows: Vec::new() };
        let record = Record {
            format: 1,
            version: stage::VERSION,
            dry: args.dry,
            device: wanted.to_owned(),
            minutes: args.minutes,
            seconds: 0.0,
            state: State::Running,
            ok: false,
            steps: STEPS.iter().filter(|(name, _)| is_wanted(args, *name)).map(|(name, _)| step(*name)).collect(),
        };
        Ok(Self {
            plan: Plan::new(args.dry)?,
            device,
            gpus,
            fixtures,
            out: &args.out,
            stop,
            started: Instant::now(),
            limit: Duration::from_secs_f64(60.0 * args.minutes),
            record: Mutex::new(record),
            next_save: Mutex::new(Instant::now()),
        })
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }

    fn save(&self) -> Result<()> {
        let text = {
            let mut record = self.record();
            record.seconds = self.started.elapsed().as_secs_f64();
            document(&record)?
        };
        atomic::write_bytes(&self.out.join("gpu-check.json"), &text)
    }

    /// Changes the document, and writes it if that was not done just now. Should that fail, the end of the step tells.
    fn edit(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record());
        let now = Instant::now();
        let mut next = self.next_save.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= *next {
            let _ = self.save();
            *next = Instant::now() + EVERY.max(RARELY * now.elapsed());
        }
    }

    fn add(&self, name: Name, row: Row) {
        self.edit(|record| record.add(name, row));
    }

    /// Tries a step, and notes how it went.
    fn step(&self, name: Name, share: f64) -> Result<()> {
        if self.record().state != State::Running {
            return Ok(());
        }
        let limit = self.left().min(self.limit.mul_f64(share));
        let began = Instant::now();
        let tried = if self.stop.load(Ordering::SeqCst) {
            Err(Trouble::Interrupted)
        } else if limit.is_zero() {
            Err(Trouble::OutOfTime)
        } else {
            exit::note(&format!("gpu-check: {}", name.title()));
            self.edit(|record| record.step_mut(name).into_iter().for_each(|step| step.state = State::Running));
            self.work(name, limit)
        };
        let mut record = self.record();
        if let Some(step) = record.step_mut(name) {
            step.seconds = began.elapsed().as_secs_f64();
            step.state = tried.as_ref().map_or_else(Trouble::state, |()| State::Done);
            step.error = tried.as_ref().err().map(Trouble::to_string);
        }
        if let Err(trouble) = &tried {
            exit::note(&format!("gpu-check: {}: {}: {trouble}", name.title(), trouble.state().words()));
        }
        if matches!(tried, Err(Trouble::Interrupted)) {
            record.state = State::Interrupted;
        }
        drop(record);
        self.save()
    }

    fn work(&self, name: Name, limit: Duration) -> Tried {
        match name {
            Name::Machine => self.machine(limit),
            Name::Parity => self.parity(limit),
            Name::Speed => self.speed(limit),
            Name::Memory => self.memory(),
            Name::SpeedCpu => self.speed_on_cpu(limit),
            Name::Seeds => self.seeds(limit),
            Name::Training => self.training(),
        }
    }

    fn finish(&self) -> Record {
        let mut record = self.record();
        let ended = |state| record.steps.iter().any(|step| step.state == state);
        if record.state == State::Running {
            record.state = if ended(State::OutOfTime) { State::OutOfTime } else { State::Done };
        }
        record.ok = record.is_ok();
        record.seconds = self.started.elapsed().as_secs_f64();
        record.clone()
    }

    /// Has a child do a task, on the GPU of the seat.
    fn ask(
        &self,
        request: &Request,
        seat: &Seat<'_>,
        limit: Duration,
        halt: &AtomicBool,
        on_say: &mut dyn FnMut(Say),
    ) -> Tried {
        let failed = |error: &dyn std::fmt::Display| Trouble::Failed(error.to_string());
        let input = serde_json::to_vec(request).map_err(|error| failed(&error))?;
        // The kernel's name for this program: the file may be replaced meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.arg(CHILD).env("RUST_BACKTRACE", "0");
        seat.give(&mut command);
        let limits = Limits { time: Some(limit), ..Limits::default() };
        let stopped = || self.stop.load(Ordering::SeqCst) || halt.load(Ordering::SeqCst);
        let mut reason = None;
        let report = supervise::run(command, input, limits, &stopped, |line| match serde_json::from_str(line) {
            Ok(Say::Failed(text)) => reason = Some(text),
            Ok(said) => on_say(said),
            // Something that a library has to say.
            Err(_) => {}
        });
        let report = report.map_err(|error| failed(&format!("this program cannot start itself: {error}")))?;
        match report.end {
            End::Timeout => Err(Trouble::OutOfTime),
            End::Interrupted if !self.stop.load(Ordering::SeqCst) => Err(failed(&"stopped: one beside it has failed")),
            End::Interrupted => Err(Trouble::Interrupted),
            End::Exited(0) if reason.is_none() => Ok(()),
            end => Err(Trouble::Failed(reason.unwrap_or_else(|| {
                let words = report.last_words().unwrap_or("it said nothing");
                format!("the process has ended ({end:?}): {words}")
            }))),
        }
    }

    /// As [`Check::ask`], alone on the first GPU.
    fn ask_alone(&self, device: &str, threads: usize, task: Task, limit: Duration, name: Name) -> Tried {
        self.ask_as(Request { threads, ..self.request(device, task) }, limit, name)
    }

    /// The usual way of computing.
    fn request(&self, device: &str, task: Task) -> Request {
        Request { device: device.to_owned(), threads: 1, graphs: true, tf32: false, task }
    }

    /// As [`Check::ask_alone`], for any request.
    fn ask_as(&self, request: Request, limit: Duration, name: Name) -> Tried {
        self.ask(&request, &self.gpus.take(), limit, &AtomicBool::new(false), &mut |said| match said {
            Say::Row(row @ Row::Memory(_)) => self.add(Name::Memory, row),
            Say::Row(row) => self.add(name, row),
            _ => {}
        })
    }

    fn machine(&self, limit: Duration) -> Tried {
        self.add(Name::Machine, Row::Host(host()));
        for gpu in self.gpus.all() {
            let total = child::in_use(&gpu.entry, "").map(|memory| memory.total_mib);
            let (entry, model, driver) = (gpu.entry.clone(), gpu.model.clone(), gpu.driver.clone());
            self.add(Name::Machine, Row::Gpu(Gpu { entry, model, driver, memory_mib: total }));
        }
        self.ask_alone(&self.device, 1, Task::Library, limit, Name::Machine)
    }

    fn parity(&self, limit: Duration) -> Tried {
        let task = Task::Parity { fixtures: self.fixtures.clone(), most: self.plan.cases };
        self.ask_alone(&self.device, 1, task, limit, Name::Parity)?;
        let record = self.record();
        let (all, good) = (record.cases().count(), record.cases().filter(|case| case.ok).count());
        if good == all { Ok(()) } else { Err(Trouble::Failed(format!("{} of {all} cases are not met", all - good))) }
    }

    /// The GPU that memory is measured on.
    fn first_gpu(&self) -> Option<String> {
        self.gpus.all().first().map(|gpu| gpu.entry.clone())
    }

    fn speed(&self, limit: Duration) -> Tried {
        if let Some(memory) = self.first_gpu().and_then(|gpu| child::in_use(&gpu, NOTHING)) {
            self.add(Name::Memory, Row::Memory(memory));
        }
        let test = self.plan.test().map_err(|error| Trouble::Failed(format!("{error:#}")))?;
        let task = |dtype: Option<Dtype>, test_length: Option<usize>, gpu: Option<String>| {
            let training = self.plan.training(0);
            let training = TrainConfig { dtype: dtype.unwrap_or(training.dtype), ..training };
            Task::Speed { training, repeats: self.plan.repeats, test_length, gpu }
        };
        let began = Instant::now();
        let usual = self.request(&self.device, task(None, Some(test.length), self.first_gpu()));
        self.ask_as(usual, limit, Name::Speed)?;
        let left = || limit.saturating_sub(began.elapsed());
        let rounded =
            |dtype: Dtype| Request { tf32: true, ..self.request(&self.device, task(Some(dtype), None, None)) };
        self.ask_as(rounded(Dtype::Bf16), left(), Name::Speed)?;
        if self.gpus.all().is_empty() {
            return Ok(());
        }
        self.ask_as(rounded(Dtype::Tf32), left(), Name::Speed)?;
        let eager = Request { graphs: false, ..self.request(&self.device, task(None, None, None)) };
        self.ask_as(eager, left(), Name::Speed)
    }

    /// Its rows come with those of the training steps, while their memory is still held.
    fn memory(&self) -> Tried {
        let before = |row: &Row| matches!(row, Row::Memory(memory) if memory.after == NOTHING);
        let measured = self.record().step(Name::Memory).is_some_and(|step| !step.rows.iter().all(before));
        match self.first_gpu() {
            _ if measured => Ok(()),
            None => Err(Trouble::Skipped("there is no GPU that the driver can name".to_owned())),
            Some(gpu) => Err(Trouble::Skipped(format!("after the training steps nvidia-smi has told none of {gpu}"))),
        }
    }

    fn speed_on_cpu(&self, limit: Duration) -> Tried {
        let task = Task::Speed {
            training: self.plan.training(0),
            repeats: self.plan.repeats_on_cpu,
            test_length: None,
            gpu: None,
        };
        self.ask_alone("cpu", 0, task, limit, Name::SpeedCpu)
    }

    /// Several trainings on the first GPU, in all ways.
    fn seeds(&self, limit: Duration) -> Tried {
        let began = Instant::now();
        for way in Way::ALL {
            for &seeds in self.plan.beside.iter().filter(|&&seeds| seeds > 1 || way == Way::Processes) {
                let seconds = self.beside(Together { seeds, way }, limit.saturating_sub(began.elapsed()))?;
                let training = self.plan.training(0);
                let row = Speed {
                    mode: way.mode().to_owned(),
                    device: self.device.clone(),
                    seeds,
                    length: training.lengths.iter().max().copied(),
                    batch_size: training.batch_size,
                    hidden: training.hidden,
                    step_s: Some(seconds),
                    steps_per_s: Some(seeds as f64 / seconds),
                    ..Speed::default()
                };
                self.add(Name::Seeds, Row::Speed(row));
            }
        }
        Ok(())
    }

    /// Mean seconds of a step of trainings side by side.
    fn beside(&self, Together { seeds, way }: Together, limit: Duration) -> Tried<f64> {
        let failed = |error: std::io::Error| Trouble::Failed(format!("{}: {error}", self.out.display()));
        let meeting = tempfile::Builder::new().prefix("meeting").tempdir_in(self.out).map_err(failed)?;
        let folder = meeting.path().canonicalize().map_err(failed)?;
        let times = Mutex::new(Vec::new());
        let halt = AtomicBool::new(false);
        // All on one GPU: one seat for them all.
        let seat = self.gpus.take();
        let one = |process: &[u64]| {
            let task = Task::Beside {
                trainings: process.iter().map(|&seed| self.plan.training(seed)).collect(),
                way,
                repeats: self.plan.repeats,
                meeting: folder.clone(),
                of: seeds,
            };
            let request = self.request(&self.device, task);
            let tried = self.ask(&request, &seat, limit, &halt, &mut |said| {
                if let Say::StepTime(seconds) = said {
                    times.lock().unwrap_or_else(PoisonError::into_inner).push(seconds);
                }
            });
            if tried.is_err() {
                halt.store(true, Ordering::SeqCst);
            }
            tried
        };
        let all: Vec<u64> = (0..seeds as u64).collect();
        self.together(&all, way.in_one(seeds), &one)?;
        let times = times.into_inner().unwrap_or_else(PoisonError::into_inner);
        match times.len() {
            count if count == seeds => Ok(times.iter().sum::<f64>() / count as f64),
            count => Err(Trouble::Failed(format!("{count} of {seeds} trainings have told their times"))),
        }
    }

    /// Does something for all seeds at once, so many at a time. The first cause of trouble is told: what was stopped because of it
    /// is not.
    fn together(&self, seeds: &[u64], each: usize, one: &(dyn Fn(&[u64]) -> Tried + Sync)) -> Tried {
        let processes: Vec<&[u64]> = seeds.chunks(each.max(1)).collect();
        let results = pool::run(&processes, processes.len(), &AtomicBool::new(false), |_, seeds| one(seeds));
        let mut troubles: Vec<Trouble> = results.into_iter().flatten().filter_map(Result::err).collect();
        let stopped = |trouble: &Trouble| matches!(trouble, Trouble::Failed(text) if text.starts_with("stopped: "));
        troubles.sort_by_key(|trouble| (stopped(trouble), !matches!(trouble, Trouble::Interrupted)));
        troubles.into_iter().next().map_or(Ok(()), Err)
    }

    fn training(&self) -> Tried {
        let measured = self.measured();
        let whole = self.plan.training(0);
        let gpus = self.gpus.all().len().max(1);
        let mut first = 0;
        for round in 0..self.plan.rounds {
            let Some(fits) = measured.round(self.left(), whole.steps, whole.val_every) else { break };
            // A part of a further training would tell nothing that the whole ones before it do not.
            if round > 0 && fits.steps < whole.steps {
                break;
            }
            let Together { seeds, way } = fits.together;
            let all: Vec<u64> = (first..first + (seeds * gpus) as u64).collect();
            self.together(&all, way.in_one(seeds), &|seeds| self.train(seeds, way, fits.steps))?;
            first += all.len() as u64;
        }
        if first == 0 { Err(Trouble::OutOfTime) } else { Ok(()) }
    }

    /// A process that trains with all of these seeds.
    fn train(&self, seeds: &[u64], way: Way, steps: usize) -> Tried {
        let test = self.plan.test().map_err(|error| Trouble::Failed(format!("{error:#}")))?;
        let profiles: Vec<TrainConfig> = seeds.iter().map(|&seed| self.plan.training(seed)).collect();
        for profile in &profiles {
            let (seed, of, test_length) = (profile.seed, profile.steps, test.length);
            let row = Training { seed, planned: steps, of, test_length, ..Training::default() };
            self.add(Name::Training, Row::Training(row));
        }
        let began = Instant::now();
        let edit = |seed: u64, change: &mut dyn FnMut(&mut Training)| {
            self.edit(|record| {
                if let Some(training) = record.training_mut(seed) {
                    training.seconds = began.elapsed().as_secs_f64();
                    change(training);
                }
            });
        };
        let trainings = profiles.into_iter().map(|profile| TrainConfig { steps, ..profile }).collect();
        let request = self.request(&self.device, Task::Training { trainings, way, test });
        let never = AtomicBool::new(false);
        let tried = self.ask(&request, &self.gpus.take(), self.left(), &never, &mut |said| match said {
            Say::Point { seed, point } => edit(seed, &mut |training| training.curve.push(point)),
            Say::Trained { seed, val_acc } => edit(seed, &mut |training| training.val_acc = Some(val_acc)),
            Say::Tested { seed, test_acc } => edit(seed, &mut |training| training.test_acc = Some(test_acc)),
            _ => {}
        });
        if let Err(trouble) = &tried {
            for &seed in seeds {
                edit(seed, &mut |training| {
                    if training.test_acc.is_none() {
                        training.failure = Some(trouble.to_string());
                    }
                });
            }
        }
        tried
    }

    /// What the steps before the training have found.
    fn measured(&self) -> Measured {
        let lengths = self.plan.training(0).lengths.len();
        let record = self.record();
        let steps: Vec<f64> = record
            .speeds(Name::Speed)
            .filter(|speed| [GRAPHS, PLANS].contains(&speed.mode.as_str()))
            .filter_map(|speed| speed.step_s)
            .collect();
        let evaluation = record.speeds(Name::Speed).find(|speed| speed.mode == EVALUATION);
        Measured {
            start: record.step(Name::Machine).map_or(0.0, |step| step.seconds),
            // The shorter lengths alone, measured first, would promise too much.
            step: (steps.len() == lengths).then(|| steps.iter().sum::<f64>() / lengths as f64),
            test: evaluation.and_then(|speed| speed.step_s),
            beside: record.speeds(Name::Seeds).filter_map(together).collect(),
        }
    }
}

/// How the trainings of a row were side by side, and the seconds of a step.
fn together(row: &Speed) -> Option<(Together, f64)> {
    let way = Way::ALL.into_iter().find(|way| way.mode() == row.mode)?;
    Some((Together { seeds: row.seeds, way }, row.step_s?))
}

/// After what the memory in use is not ours.
const NOTHING: &str = "nothing yet";

fn host() -> Host {
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start_matches([' ', '\t', ':']).trim().to_owned())
    };
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    Host {
        name: Machine::here().host,
        cpu: field("/proc/cpuinfo", "model name"),
        cores: pool::cores(),
        memory_mib: memory.map(|kib| kib >> 10),
    }
}
