//! The flags that mean the same in every stage.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::supervise::Limits;
use crate::{Config, Progress, Table, exit, pool, table};

/// Configuration and verbosity.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Settings in TOML, e.g. data/profiles/quick.toml; unknown keys are errors
    #[arg(long, value_name = "FILE", help_heading = "Common options")]
    pub config: Option<PathBuf>,

    /// Change one setting, e.g. --set train.steps=50; may be repeated, and wins over the file
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", help_heading = "Common options")]
    pub sets: Vec<String>,

    /// Print every setting in force, and where it comes from, as TOML; then stop
    #[arg(long, help_heading = "Common options")]
    pub print_config: bool,

    /// No progress, only errors
    #[arg(short, long, help_heading = "Common options")]
    pub quiet: bool,
}

impl Common {
    /// The settings in force: defaults, then the file, then `--set`, then `flags`, each `(flag, section.key, TOML
    /// value)`, for the options of a stage that are settings in their own right.
    ///
    /// `None` after `--print-config` has printed them.
    pub fn config(&self, flags: &[(&str, &str, String)]) -> Result<Option<Config>> {
        let config = Config::load(self.config.as_deref(), &self.sets, flags)?;
        if self.print_config {
            exit::print(&config.to_toml())?;
            return Ok(None);
        }
        Ok(Some(config))
    }

    /// A progress display of `length` items.
    pub fn progress(&self, label: &str, length: usize) -> Progress {
        Progress::new(label, length, self.quiet)
    }

    /// A progress display of `length` items that take work in proportion to weights, `total` in all.
    pub fn weighted_progress(&self, label: &str, length: usize, total: f64) -> Progress {
        Progress::weighted(label, length, total, self.quiet)
    }
}

/// Input and output of a stage that turns tables into a table.
#[derive(Args, Clone, Debug)]
pub struct TableArgs {
    /// Tables (.parquet, .jsonl), programs (.py) where the stage takes them, patterns such as 'runs/*/archive.parquet',
    /// or - for JSONL on stdin
    #[arg(value_name = "INPUT", default_value = "-")]
    pub inputs: Vec<String>,

    /// Where the rows go: .parquet or .jsonl, or - for JSONL on stdout. The file appears whole or not at all
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
}

impl TableArgs {
    pub fn read(&self) -> Result<Table> {
        Ok(table::read(&self.inputs)?)
    }

    /// As [`read`](Self::read), and `.py` files are rows.
    pub fn read_with_programs(&self) -> Result<Table> {
        Ok(table::read_with_programs(&self.inputs)?)
    }

    pub fn write(&self, table: &Table) -> Result<()> {
        table::write(table, &self.output)
    }
}

/// Where the heavy work runs, and where its results are kept.
#[derive(Args, Clone, Debug)]
pub struct WorkArgs {
    /// Folder of results that are kept by content and shared by all runs
    #[arg(long, value_name = "DIR", default_value = "cache")]
    pub cache: PathBuf,

    /// Do everything again, and replace what the cache has
    #[arg(long)]
    pub no_cache: bool,

    /// Processes side by side; 0: as many as there are cores for [default: train.jobs]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,

    /// auto, cpu, cuda or cuda:K [default: train.device]
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
}

impl WorkArgs {
    /// The settings that these flags are, for [`Common::config`].
    pub fn flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let jobs = self.jobs.map(|jobs| ("--jobs", "train.jobs", jobs.to_string()));
        // Debug quotes and escapes as TOML's basic strings do.
        let device = self.device.as_ref().map(|device| ("--device", "train.device", format!("{device:?}")));
        jobs.into_iter().chain(device).collect()
    }

    /// Processes side by side, in numbers.
    pub fn jobs(config: &Config, gpu: bool) -> usize {
        let fitting = (pool::cores() / config.train.threads).max(1);
        match config.train.jobs {
            // Small networks leave a GPU idle half of the time, but its memory is shared.
            0 if gpu => fitting.min(4),
            0 => fitting,
            jobs => jobs,
        }
    }

    /// What one process may use.
    pub fn limits(config: &Config) -> Limits {
        let train = &config.train;
        Limits {
            wall: (train.time_limit_s > 0).then(|| Duration::from_secs(train.time_limit_s)),
            memory: (train.memory_limit_mb > 0).then(|| train.memory_limit_mb.saturating_mul(1 << 20)),
            ..Limits::default()
        }
    }
}
