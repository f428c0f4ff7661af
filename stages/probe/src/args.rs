//! The command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args as Group, Parser, Subcommand};
use network::{Device, DeviceArg, Dtype, Start};

use crate::gpu_check::Name;

const GPU_CHECK_EXAMPLES: &str = "\
Examples:
  probe gpu-check
  probe gpu-check --device cuda:1 --minutes 30 --out runs/gpu-check
  probe gpu-check --dry          everything with tiny sizes on the CPU, in seconds
  LD_LIBRARY_PATH=/path/to/torch/lib probe gpu-check --fixtures tests/fixtures

Exit codes: 0 all went well, or ran out of time after parity held; 1 something \
failed, is beyond its tolerance or was interrupted; 2 wrong usage.";

/// Compare processors and networks with reference numbers, and measure speed.
///
/// Exit codes: 0 all within tolerance, 1 something beyond it or failed, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "probe", version = stage::version())]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Program(ProgramArgs),
    Network(NetworkArgs),
    Speed(SpeedArgs),
    Doctor(DoctorArgs),
    #[command(hide = true)]
    Node(NodeArgs),
    GpuCheck(GpuCheckArgs),
}

/// Where and how to compute.
#[derive(Clone, Copy, Debug, Group)]
pub struct Machine {
    /// auto, cpu, cuda or cuda:K
    #[arg(long, default_value = "auto")]
    pub device: DeviceArg,
    /// Number format: f32, tf32, bf16 or f64
    #[arg(long, default_value = "f32")]
    pub dtype: Dtype,
    /// Threads of libtorch; 0: one for each core
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Machine {
    /// Wakes libtorch up.
    pub fn init(&self) -> Result<Device> {
        let start = Start { threads: self.threads, graphs: true, tf32: self.dtype.rounds_on_gpu() };
        Ok(network::init_with(&self.device, start)?)
    }
}

/// Run a candidate on a PyTorch reference's parameters and inputs, and compare outputs and gradients
///
/// The case holds `param/`, `in/`, `out/`, `grad/` and `grad_in/` tensors. Errors are relative to each tensor's largest
/// magnitude, taken as at least 1; tolerated are 2e-5 for outputs and 2e-4 for gradients. Of a program that computes something
/// else in training, with dropout or batch norms, these are about evaluation; the same under `train/` is about training, with
/// the noise that PyTorch was given as `train/noise/K` for the K-th drawing of a call (numbers between 0 and 1, the batch as the
/// first axis; an element is kept where its number is below 1 - p), and with the running statistics after the call under `train/buffer/`.
///
/// Example: probe program data/seed_pgn.py tests/fixtures/programs/seed_pgn.safetensors
#[derive(Debug, Group)]
pub struct ProgramArgs {
    /// The candidate program
    pub program: PathBuf,
    /// A safetensors file, or a glob pattern
    #[arg(required = true)]
    pub cases: Vec<String>,
    /// Write the noise that a call draws in training for the first case's sizes, to give it to PyTorch, and compare nothing
    #[arg(long, value_name = "FILE")]
    pub export_noise: Option<PathBuf>,
    #[command(flatten)]
    pub machine: Machine,
    /// One tolerance for everything, in place of the documented ones
    #[arg(long)]
    pub tolerance: Option<f64>,
}

/// Run a whole network on a dm-clrs reference case, and compare loss, predictions, gradients, optimiser steps, scores
///
/// Each case is a JSON file with a safetensors file of the same name beside it. The processor is the program in
/// `--program`, or the one that the project has for the case's processor.
///
/// Example: probe network 'tests/fixtures/model/dfs*.json'
#[derive(Debug, Group)]
pub struct NetworkArgs {
    /// JSON files, or glob patterns
    #[arg(required = true)]
    pub cases: Vec<String>,
    /// The processor's program
    #[arg(long)]
    pub program: Option<PathBuf>,
    #[command(flatten)]
    pub machine: Machine,
    /// One tolerance for everything, in place of the documented ones, which are meant for f32 and f64
    #[arg(long)]
    pub tolerance: Option<f64>,
    /// Run the graph as it is built, without rewriting it first
    #[arg(long)]
    pub no_passes: bool,
}

/// Median seconds of a training step and of an evaluation, and the share of the machine's arithmetic that they reach
///
/// The share is that of the matrix products that cannot be avoided (those of the rewritten graph) in what one large
/// product reaches here and now.
///
/// Examples:
///   probe speed --program data/seed_pgn.py --length 16 --batch-size 32 --hidden 128 --eval-length 64 --growth
///   probe speed --program data/seed_pgn.py --length 8 --hidden 32 --beside 'before=OLD/probe speed --program
///     data/seed_pgn.py --length {length} --hidden {hidden} --steps {steps} --json'
///   probe speed --passes 'tests/fixtures/programs/valid/*.py' --length 8 --batch-size 16 --hidden 64
#[derive(Debug, Group)]
#[command(verbatim_doc_comment)]
pub struct SpeedArgs {
    /// The processor's program
    #[arg(long, required_unless_present = "passes")]
    pub program: Option<PathBuf>,
    #[arg(long, default_value = "dfs")]
    pub algorithm: String,
    /// Length of the training problems
    #[arg(long, default_value_t = 16)]
    pub length: usize,
    /// Samples of a training step and of an evaluation
    #[arg(long, default_value_t = 32)]
    pub batch_size: usize,
    /// Features of each node
    #[arg(long, default_value_t = 128)]
    pub hidden: usize,
    /// Training steps to measure, after one that is not
    #[arg(long, default_value_t = 5)]
    pub steps: usize,
    /// Length of the evaluation problems; 0: no evaluation
    #[arg(long, default_value_t = 0)]
    pub eval_length: usize,
    #[command(flatten)]
    pub machine: Machine,
    /// Run the graph as it is built, without rewriting it first
    #[arg(long)]
    pub no_passes: bool,
    /// Also with a half and a quarter of each size
    #[arg(long)]
    pub growth: bool,
    /// Also the time of each kernel of a training step, on the first thread
    #[arg(long)]
    pub profile: bool,
    /// Also the training step of another program, in turn with ours (repeatable): a shell command whose last line is JSON with
    /// train_step_s. {length}, {batch}, {hidden}, {steps} and {threads} in it are filled in
    #[arg(long, value_name = "NAME=COMMAND")]
    pub beside: Vec<crate::beside::Peer>,
    /// How many times all of them take their turn
    #[arg(long, default_value_t = 3, requires = "beside")]
    pub rounds: usize,
    /// Instead: a training step of each of these programs (a file or glob pattern, repeatable) with and without rewriting
    /// its graph. Exit code 1 where rewriting makes one slower
    #[arg(long, value_name = "FILE", conflicts_with_all = ["program", "no_passes", "growth", "profile", "beside", "eval_length"])]
    pub passes: Vec<String>,
}

/// Say which libtorch, GPUs and threads this machine has
#[derive(Debug, Group)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long, conflicts_with = "engine")]
    pub json: bool,

    /// Ask the machines of a queue instead, slurm or command, by a job: same cache, same code, CUDA, rename, clock
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<String>,

    /// Options of sbatch, as one text
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true, requires = "engine")]
    pub slurm: Option<String>,

    /// The device that the nodes are to have
    #[arg(long, value_name = "DEVICE", requires = "engine")]
    pub device: Option<String>,

    /// Further settings, as of the stages' --set
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", requires = "engine")]
    pub sets: Vec<String>,

    /// The cache that all machines are to see
    #[arg(long, value_name = "DIR", default_value = "cache")]
    pub cache: PathBuf,

    /// Longest wait for the job, in seconds
    #[arg(long = "patience", value_name = "SECONDS", default_value_t = 300)]
    pub patience_s: u64,
}

/// What a queue's node is asked by doctor; for its use only
#[derive(Debug, Group)]
pub struct NodeArgs {
    #[arg(long, value_name = "DIR")]
    pub cache: PathBuf,

    #[arg(long)]
    pub key: String,
}

/// Check and measure everything on a GPU, within so many minutes, and write a page about it
///
/// Steps: the machine; all reference cases in f32; seconds of a training step at the sizes of the paper's profile, on the
/// device and on the CPU, for one seed and for several side by side; the GPU's memory; and with the time that is left the
/// reference architecture, trained and tested. Each step is tried in a process of its own: what fails is recorded, and the
/// next one goes on. DIR/gpu-check.json is rewritten along the way, DIR/gpu-check.md at the end, also when it is interrupted
/// or out of time.
///
/// It needs this program, the fixtures, and the libraries of PyTorch 2.11.0 (cu130): neither Rust nor a network.
#[derive(Debug, Group)]
#[command(after_help = GPU_CHECK_EXAMPLES)]
pub struct GpuCheckArgs {
    /// cuda (all visible GPUs; only the training uses more than the first), cuda:K, auto or cpu
    #[arg(long, default_value = "cuda", value_parser = device)]
    pub device: String,
    /// Folder of the reference cases
    #[arg(long, value_name = "DIR", default_value = "tests/fixtures")]
    pub fixtures: PathBuf,
    /// Folder of gpu-check.json and gpu-check.md; it is made
    #[arg(long, value_name = "DIR", default_value = "gpu-check")]
    pub out: PathBuf,
    /// Time for everything
    #[arg(long, default_value_t = 8.0, value_parser = minutes)]
    pub minutes: f64,
    /// Only these steps, and the machine
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    pub only: Vec<Name>,
    /// Try it out: the CPU in place of the device, a few cases, tiny sizes
    #[arg(long)]
    pub dry: bool,
    /// Print the JSON, in place of the page
    #[arg(long)]
    pub json: bool,
}

/// A device as it was typed: `cuda` is all of them, `cuda:0` the first.
fn device(text: &str) -> Result<String, String> {
    text.parse::<DeviceArg>().map(|_| text.to_owned())
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|error| format!("{error}"))?;
    // A day: beyond that it is a typing error.
    if minutes > 0.0 && minutes <= 1440.0 { Ok(minutes) } else { Err("it must be above 0 and at most 1440".to_owned()) }
}
