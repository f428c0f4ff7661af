//! The command line, as typed.

use std::path::{Path, PathBuf};

use clap::{Args as Group, Parser, Subcommand};
use stage::config::{self, ConfigError, Origin};
use stage::{Config, Usage};
use toml::Value;

use crate::made::Product;

const EXAMPLES: &str = "\
Examples:
  run plan runs/a --profile quick --program data/seed_pgn.py      what is to be made, one name a line
  run plan runs/a --profile quick --iterations 64 --dry-run       the same, and nothing is written
  run status runs/a --cache cache
  run remove runs/a
  run compare runs/a runs/a-replay

Exit codes: 0 done, 1 failed, 2 wrong usage, or settings that are not the run's.";

/// Keep the folder of a run: its settings, its seed program, and what in it is up to date.
///
/// The Makefile calls this. Whether a table is up to date is told by the digests in its metadata, never by file times.
#[derive(Parser, Debug)]
#[command(name = "run", version, after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    Plan(Box<PlanArgs>),
    Made(MadeArgs),
    Status(StatusArgs),
    Remove(RemoveArgs),
    Replay(ReplayArgs),
    Compare(CompareArgs),
}

/// Open a run, or make its folder, and print the names of what is to be made in it, in order
///
/// A run keeps the settings of its experiment and its seed program: others are refused. Operational settings and a larger
/// number of proposals are taken over, and noted in changes.jsonl. Options that are empty are not given.
#[derive(Group, Debug)]
pub struct PlanArgs {
    /// The run's folder
    pub folder: PathBuf,

    /// A name in data/profiles, or a path to a .toml file
    #[arg(long, value_name = "PROFILE")]
    pub profile: String,

    /// A file of settings that go over the profile's
    #[arg(long, value_name = "FILE", default_value = "")]
    pub settings: String,

    /// The program that the search starts from [propose.program]
    #[arg(long, value_name = "FILE")]
    pub program: PathBuf,

    /// Proposals in total [search.attempts]
    #[arg(long, value_name = "N", default_value = "")]
    pub iterations: String,

    /// [search.seed]
    #[arg(long, value_name = "SEED", default_value = "")]
    pub seed: String,

    /// [search.method]
    #[arg(long, value_name = "NAME", default_value = "")]
    pub method: String,

    /// [task.algorithm]
    #[arg(long, value_name = "NAME", default_value = "")]
    pub task: String,

    /// [train.device]
    #[arg(long, value_name = "DEVICE", default_value = "")]
    pub device: String,

    /// [train.engine]
    #[arg(long, value_name = "ENGINE", default_value = "")]
    pub engine: String,

    /// Options of sbatch, as one text [engine.slurm.options]
    #[arg(long, value_name = "OPTIONS", default_value = "", allow_hyphen_values = true)]
    pub slurm: String,

    /// [propose.proposer]
    #[arg(long, value_name = "NAME", default_value = "")]
    pub proposer: String,

    /// [llm.base_url]
    #[arg(long, value_name = "URL", default_value = "")]
    pub api_base: String,

    /// One or several as "NAME=WEIGHT ..." [llm.models]
    #[arg(long, value_name = "NAMES", default_value = "")]
    pub model: String,

    /// Further settings, as of the stages' --set
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub sets: Vec<String>,

    /// Write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Note that the report or the results were made from the archive as it is
#[derive(Group, Debug)]
pub struct MadeArgs {
    pub folder: PathBuf,
    pub product: Product,
}

/// Say what is on its way to other machines: queued, running where and for how long, lost, failed
#[derive(Group, Debug)]
pub struct StatusArgs {
    /// The run's folder, for the commands of its queue (engine.command)
    #[arg(default_value = ".")]
    pub folder: PathBuf,

    /// Folder of results, which all runs share
    #[arg(long, value_name = "DIR", default_value = "cache")]
    pub cache: PathBuf,
}

/// Remove a run's folder; whatever is not, or holds more than a run, is refused
#[derive(Group, Debug)]
pub struct RemoveArgs {
    pub folder: PathBuf,
}

/// Check that a search can be made again from its recording, and make room for that: an earlier replay is removed
#[derive(Group, Debug)]
pub struct ReplayArgs {
    /// The run's folder
    pub folder: PathBuf,

    /// The folder of the replay
    pub into: PathBuf,

    /// The recording
    #[arg(long, value_name = "FILE")]
    pub transcripts: PathBuf,
}

/// Say whether the archives of two runs are equal, byte for byte, and what differs; exit code 1 where they are not
#[derive(Group, Debug)]
pub struct CompareArgs {
    pub folder: PathBuf,
    pub other: PathBuf,
}

impl PlanArgs {
    /// The settings that are asked for.
    pub fn config(&self) -> anyhow::Result<Config> {
        let program = self
            .program
            .to_str()
            .ok_or_else(|| Usage(format!("{}: the path of the seed program must be UTF-8", self.program.display())))?;
        let models: Vec<Value> = self.model.split_whitespace().map(Value::from).collect();
        let models = if models.is_empty() { String::new() } else { Value::from(models).to_string() };
        let options = if self.slurm.trim().is_empty() { String::new() } else { config::words(&self.slurm) };
        let flags = [
            ("--program", "propose.program", config::quoted(program)),
            ("--iterations", "search.attempts", self.iterations.clone()),
            ("--seed", "search.seed", self.seed.clone()),
            ("--method", "search.method", quoted(&self.method)),
            ("--task", "task.algorithm", quoted(&self.task)),
            ("--device", "train.device", quoted(&self.device)),
            ("--engine", "train.engine", quoted(&self.engine)),
            ("--slurm", "engine.slurm.options", options),
            ("--proposer", "propose.proposer", quoted(&self.proposer)),
            ("--api-base", "llm.base_url", quoted(&self.api_base)),
            ("--model", "llm.models", models),
        ];
        let given: Vec<_> = flags.into_iter().filter(|(_, _, value)| !value.trim().is_empty()).collect();
        Ok(self.load(&given)?)
    }

    fn load(&self, flags: &[(&str, &str, String)]) -> Result<Config, ConfigError> {
        let name = self.profile.trim();
        let path = if name.ends_with(".toml") {
            PathBuf::from(name)
        } else {
            PathBuf::from("data/profiles").join(format!("{name}.toml"))
        };
        let own = self.settings();
        let files: Vec<&Path> = [Some(path.as_path()), own].into_iter().flatten().collect();
        Config::layered(&files, &self.sets, flags)
    }

    /// The file of settings that somebody has asked for.
    fn settings(&self) -> Option<&Path> {
        (!self.settings.trim().is_empty()).then(|| Path::new(&self.settings))
    }

    /// Whether a value was asked for with this call, and is not only what the profile has.
    pub fn asks_for(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Default => false,
            Origin::File { path, .. } => self.settings().is_some_and(|own| own.display().to_string() == *path),
            Origin::Set | Origin::Flag(_) => true,
        }
    }
}

/// A text as TOML; nothing if there is none.
fn quoted(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { config::quoted(text) }
}
