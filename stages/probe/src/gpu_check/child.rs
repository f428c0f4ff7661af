//! The measuring side: a process for each task, so that a fault or a hang is that task's own.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use network::parity::{Options as Comparison, Report};
use network::speed::{Settings, measure};
use network::{Backend, CurvePoint, Device, DeviceArg, Dtype, EvalConfig, Start, TrainConfig};
use program::Options;
use serde::{Deserialize, Serialize};
use stage::gpus;

use super::plan::Way;
use super::record::{Case, Library, Memory, Row, Speed};
use crate::{parity, programs};

/// The mode of the row of an evaluation, among those of training steps.
pub const EVALUATION: &str = "evaluation";
/// The mode of a training step whose operations are launched one by one.
pub const EAGER: &str = "eager";
/// The mode of a training step whose time steps are recorded as CUDA graphs.
pub const GRAPHS: &str = "graphs";
/// The mode of a training step on the CPU.
pub const PLANS: &str = "plans";

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub device: String,
    /// Threads of libtorch; 0: one for each core.
    pub threads: usize,
    /// Whether time steps are recorded as CUDA graphs.
    pub graphs: bool,
    /// Whether products may be rounded to TensorFloat-32.
    pub tf32: bool,
    pub task: Task,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// What there is, and whether the device can be used.
    Library,
    /// All reference cases.
    Parity { fixtures: PathBuf, most: usize },
    /// Training steps of each length of a training.
    Speed {
        training: TrainConfig,
        repeats: usize,
        /// Also evaluate at this many nodes.
        test_length: Option<usize>,
        /// Whose memory to look at.
        gpu: Option<String>,
    },
    /// Training steps at the longest length while others do the same, in this process and in others. All begin when so many
    /// have made their first step.
    Beside { trainings: Vec<TrainConfig>, way: Way, repeats: usize, meeting: PathBuf, of: usize },
    /// Trainings with their tests, all at once.
    Training { trainings: Vec<TrainConfig>, way: Way, test: EvalConfig },
}

/// What a child says, one JSON object a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Say {
    Row(Row),
    /// Seconds of a training step.
    StepTime(f64),
    Point {
        seed: u64,
        point: CurvePoint,
    },
    Trained {
        seed: u64,
        val_acc: f64,
    },
    Tested {
        seed: u64,
        test_acc: f64,
    },
    Failed(String),
}

/// Does what its parent asks for on stdin.
pub fn child() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A parent that does not listen any more needs no answer.
            let _ = say(&Say::Failed(format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn work() -> Result<()> {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let Request { device, threads, graphs, tf32, task } = serde_json::from_str(&input)?;
    let wanted: DeviceArg = device.parse().map_err(anyhow::Error::msg)?;
    if let Task::Library = task {
        return library(&wanted);
    }
    let start = || network::init_with(&wanted, Start { threads, graphs, tf32 });
    let device = start()?;
    match task {
        Task::Library => Ok(()),
        Task::Parity { fixtures, most } => cases(&fixtures, most, device),
        Task::Speed { training, repeats, test_length, gpu } => {
            let mode = match (device.is_cuda(), graphs, training.dtype) {
                (false, _, Dtype::Bf16) => "plans, bf16",
                (false, ..) => PLANS,
                (true, false, _) => EAGER,
                (true, true, Dtype::Tf32) => "graphs, tf32",
                (true, true, Dtype::Bf16) => "graphs, bf16",
                (true, true, _) => GRAPHS,
            };
            speed(&training, repeats, test_length, gpu.as_deref(), device, mode)
        }
        Task::Beside { trainings, way: Way::Batched, repeats, .. } => beside_in_one(&trainings, repeats, device),
        Task::Beside { trainings, repeats, meeting, of, .. } => {
            each(&trainings, |training| {
                let measured = beside(training, repeats, &meeting, of, start()?);
                // Those beside one that has failed would wait for it.
                measured.inspect_err(|_| drop(arrive(&meeting, training.seed)))
            })
        }
        Task::Training { trainings, way: Way::Batched, test } => train_in_one(&trainings, &test, device),
        Task::Training { trainings, test, .. } => each(&trainings, |training| train(training, &test, start()?)),
    }
}

/// Does something with every training at once, each in a thread: on a GPU a thread has a stream of its own, so that the
/// kernels of one training run beside those of another.
fn each(trainings: &[TrainConfig], one: impl Fn(&TrainConfig) -> Result<()> + Sync) -> Result<()> {
    let one = |training| one(training).with_context(|| format!("seed {}", training.seed));
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = trainings.iter().map(|training| scope.spawn(move || one(training))).collect();
        let ended =
            |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|_| bail!("a thread died"));
        threads.into_iter().map(ended).collect()
    });
    results.into_iter().collect()
}

fn say(what: &Say) -> Result<()> {
    stage::exit::print(&format!("{}\n", serde_json::to_string(what)?))
}

fn library(wanted: &DeviceArg) -> Result<()> {
    let found = network::doctor()?;
    let version = found.found_version;
    let library = Library { path: found.libtorch, version, cuda: found.cuda_available, cuda_reason: found.cuda_reason };
    say(&Say::Row(Row::Library(library)))?;
    network::init(wanted, 0)?;
    Ok(())
}

fn cases(fixtures: &Path, most: usize, device: Device) -> Result<()> {
    let options = Comparison { dtype: Dtype::F32, tolerance: None, passes: true, backend: Backend::Auto };
    let networks = files(&fixtures.join("model"), "json")?;
    let mut of_programs = Vec::new();
    for folder in ["valid", "further", "published"] {
        of_programs.extend(files(&fixtures.join("programs").join(folder), "safetensors")?);
    }
    if networks.is_empty() || of_programs.is_empty() {
        bail!("{}: no reference cases in model/ and programs/", fixtures.display());
    }
    for path in networks.iter().take(most) {
        case("network", path, || parity::network_case(None, path, device, options))?;
    }
    for path in of_programs.iter().take(most) {
        case("program", path, || parity::program_case(&path.with_extension("py"), path, device, options))?;
    }
    Ok(())
}

/// The files of a folder, in order.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for path in glob::glob(&folder.join(format!("*.{extension}")).to_string_lossy())? {
        paths.push(path?);
    }
    Ok(paths)
}

fn case(kind: &str, path: &Path, compare: impl FnOnce() -> Result<Report>) -> Result<()> {
    let started = Instant::now();
    let compared = compare();
    let seconds = started.elapsed().as_secs_f64();
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let empty = Case {
        kind: kind.to_owned(),
        case: name,
        ok: false,
        quantities: 0,
        closest: None,
        error: None,
        tolerance: None,
        failure: None,
        seconds,
    };
    let case = match compared {
        Ok(report) => {
            let closest = report.worst();
            Case {
                ok: report.ok,
                quantities: report.checks.len(),
                closest: closest.map(|check| check.name.clone()),
                // JSON has neither NaN nor infinity.
                error: closest.map(|check| check.error).filter(|error| error.is_finite()),
                tolerance: closest.map(|check| check.tolerance),
                ..empty
            }
        }
        Err(error) => Case { failure: Some(format!("{error:#}")), ..empty },
    };
    say(&Say::Row(Row::Case(case)))
}

/// The reference architecture.
fn reference(hidden: usize) -> Result<graph::Processor> {
    programs::of_benchmark("triplet_gmpnn", &Options { hidden, ..Options::default() })
}

fn speed(
    training: &TrainConfig,
    repeats: usize,
    test_length: Option<usize>,
    gpu: Option<&str>,
    device: Device,
    mode: &str,
) -> Result<()> {
    let processor = reference(training.hidden)?;
    let settings = |length: usize, steps: usize, eval_length: Option<usize>| Settings {
        algorithm: training.algorithm.clone(),
        length,
        batch_size: training.batch_size,
        steps,
        eval_length,
        dtype: training.dtype,
        passes: true,
        profile: false,
    };
    let row = |length: usize, seconds: f64, gflop: f64| Speed {
        mode: mode.to_owned(),
        device: device.to_string(),
        seeds: 1,
        length: Some(length),
        batch_size: training.batch_size,
        hidden: training.hidden,
        step_s: Some(seconds),
        steps_per_s: Some(1.0 / seconds),
        gflops: Some(gflop / seconds),
        note: None,
    };
    for &length in &training.lengths {
        let found = measure(&processor, &settings(length, repeats, None), device)?;
        say(&Say::Row(Row::Speed(row(length, found.train_step_s, found.train_gflop))))?;
    }
    // What the steps have used is still held: libtorch keeps it for the next ones.
    memory(gpu, "training steps")?;
    if let Some(length) = test_length {
        let shortest = training.lengths.iter().min().copied().unwrap_or(4);
        let found = measure(&processor, &settings(shortest, 1, Some(length)), device)?;
        if let (Some(seconds), Some(gflop)) = (found.eval_s, found.eval_gflop) {
            let note = Some("prediction and score of one batch, the first at this length".to_owned());
            say(&Say::Row(Row::Speed(Speed { mode: EVALUATION.into(), note, ..row(length, seconds, gflop) })))?;
        }
        memory(gpu, "evaluation")?;
    }
    Ok(())
}

fn memory(gpu: Option<&str>, after: &str) -> Result<()> {
    match gpu.and_then(|entry| in_use(entry, after)) {
        Some(memory) => say(&Say::Row(Row::Memory(memory))),
        None => Ok(()),
    }
}

/// The memory of a GPU in use now; `None` where the driver does not tell.
pub fn in_use(gpu: &str, after: &str) -> Option<Memory> {
    let query = ["--query-gpu=memory.used,memory.total", "--format=csv,noheader,nounits", "-i", gpu];
    let answer = gpus::ask(&query)?;
    let (used, total) = answer.lines().next()?.split_once(',')?;
    Some(Memory { after: after.to_owned(), used_mib: used.trim().parse().ok()?, total_mib: total.trim().parse().ok()? })
}

/// A training of so many steps at the longest length.
fn at_length(training: &TrainConfig, repeats: usize) -> TrainConfig {
    let length = training.lengths.iter().max().copied().unwrap_or(4);
    // One step to warm up, and one behind those that are measured: the last one is followed by a validation.
    let steps = repeats + 2;
    TrainConfig { lengths: vec![length], steps, val_every: 0, ..training.clone() }
}

/// The settings that trainings share, and their seeds.
fn shared(trainings: &[TrainConfig]) -> Result<(&TrainConfig, Vec<u64>)> {
    let first = trainings.first().context("no training is asked for")?;
    Ok((first, trainings.iter().map(|training| training.seed).collect()))
}

fn beside_in_one(trainings: &[TrainConfig], repeats: usize, device: Device) -> Result<()> {
    let (first, seeds) = shared(trainings)?;
    let training = at_length(first, repeats);
    let processor = reference(training.hidden)?;
    let last = seeds.len().saturating_sub(1);
    let (mut started, mut seconds) = (Instant::now(), f64::NAN);
    let mut on_point = |at: usize, point: &CurvePoint| {
        if at == last && point.step == 1 {
            started = Instant::now();
        } else if at == last && point.step == repeats + 1 {
            seconds = started.elapsed().as_secs_f64() / repeats as f64;
        }
    };
    let trained = network::train_together(&processor, &training, &seeds, device, None, &mut on_point)?;
    trained.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    // A step is one of each.
    seeds.iter().try_for_each(|_| say(&Say::StepTime(seconds)))
}

fn train_in_one(trainings: &[TrainConfig], test: &EvalConfig, device: Device) -> Result<()> {
    let (training, seeds) = shared(trainings)?;
    let processor = reference(training.hidden)?;
    let mut told = Ok(());
    let mut on_point = |at: usize, point: &CurvePoint| {
        if let (Ok(()), Some(&seed)) = (&told, seeds.get(at)) {
            told = say(&Say::Point { seed, point: *point });
        }
    };
    let trained = network::train_together(&processor, training, &seeds, device, None, &mut on_point)?;
    told?;
    for (trained, &seed) in trained.into_iter().zip(&seeds) {
        let trained = trained.with_context(|| format!("seed {seed}"))?;
        say(&Say::Trained { seed, val_acc: trained.best_val_acc })?;
        let scores = network::evaluate(&processor, &trained.weights, test, device)?;
        say(&Say::Tested { seed, test_acc: scores.score })?;
    }
    Ok(())
}

fn beside(training: &TrainConfig, repeats: usize, meeting: &Path, of: usize, device: Device) -> Result<()> {
    let training = at_length(training, repeats);
    let (processor, seed) = (reference(training.hidden)?, training.seed);
    let mut met = Ok(());
    let mut started = Instant::now();
    let mut seconds = f64::NAN;
    let mut on_point = |point: &CurvePoint| {
        if point.step == 1 {
            met = meet(meeting, seed, of);
            started = Instant::now();
        } else if point.step == repeats + 1 {
            seconds = started.elapsed().as_secs_f64() / repeats as f64;
        }
    };
    network::train(&processor, &training, device, None, &mut on_point)?;
    met?;
    say(&Say::StepTime(seconds))
}

/// Lets the others know that a training is where it waits for them.
fn arrive(folder: &Path, seed: u64) -> std::io::Result<()> {
    std::fs::write(folder.join(seed.to_string()), "")
}

/// Waits until so many trainings are here. If one of them fails, the parent ends the others.
fn meet(folder: &Path, seed: u64, of: usize) -> std::io::Result<()> {
    arrive(folder, seed)?;
    while std::fs::read_dir(folder)?.count() < of {
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn train(training: &TrainConfig, test: &EvalConfig, device: Device) -> Result<()> {
    let (processor, seed) = (reference(training.hidden)?, training.seed);
    let mut told = Ok(());
    let mut on_point = |point: &CurvePoint| {
        if told.is_ok() {
            told = say(&Say::Point { seed, point: *point });
        }
    };
    let trained = network::train(&processor, training, device, None, &mut on_point)?;
    told?;
    say(&Say::Trained { seed, val_acc: trained.best_val_acc })?;
    let scores = network::evaluate(&processor, &trained.weights, test, device)?;
    say(&Say::Tested { seed, test_acc: scores.score })
}
