//! The flags that mean the same in every stage.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use schemas::Stage;

use crate::config::{quoted, words};
use crate::supervise::Limits;
use crate::table::Provenance;
use crate::{Config, Progress, Table, exit, pool, table};

/// Configuration and verbosity.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Settings in TOML, e.g. data/profiles/quick.toml; unknown keys are errors. May be repeated: each goes over those before it
    #[arg(long, value_name = "FILE", help_heading = "Common options")]
    pub config: Vec<PathBuf>,

    /// Change a setting, or several: --set 'train.steps=50 llm.extra.reasoning_effort="low"'; may be repeated, and wins over
    /// the files
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", help_heading = "Common options")]
    pub sets: Vec<String>,

    /// Print every setting in force, and where it comes from, as TOML; then stop
    #[arg(long, help_heading = "Common options")]
    pub print_config: bool,

    /// Print what a setting means, of a section (train) or of all, with the values in force; then stop
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "", help_heading = "Common options")]
    pub settings: Option<String>,

    /// No progress, only errors
    #[arg(short, long, help_heading = "Common options")]
    pub quiet: bool,
}

impl Common {
    /// The settings in force: defaults, then the files, then `--set`, then `flags`, each `(flag, section.key, TOML
    /// value)`, for the options of a stage that are settings in their own right.
    ///
    /// `None` after `--print-config` or `--settings` have printed them.
    pub fn config(&self, flags: &[(&str, &str, String)]) -> Result<Option<Config>> {
        let files: Vec<&Path> = self.config.iter().map(PathBuf::as_path).collect();
        let config = Config::layered(&files, &self.sets, flags)?;
        if self.print_config {
            exit::print(&config.to_toml())?;
            return Ok(None);
        }
        if let Some(asked) = &self.settings {
            exit::print(&crate::config::describe(asked, &config)?)?;
            return Ok(None);
        }
        Ok(Some(config))
    }

    /// Says that no profile is in force, where work begins that follows one: the built-in defaults are nobody's choice.
    pub fn announce_defaults(&self, stage: &str) {
        if self.config.is_empty() && !self.quiet {
            exit::note(&format!(
                "{stage}: no --config: the built-in settings hold, which are no profile's (--print-config prints them; \
                 data/profiles has quick and paper)"
            ));
        }
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
    /// Reads the inputs as one table of candidates.
    pub fn read(&self) -> Result<Table> {
        Ok(table::read(&self.inputs)?)
    }

    /// As [`read`](Self::read), and `.py` files are rows.
    pub fn read_with_programs(&self) -> Result<Table> {
        Ok(table::read_with_programs(&self.inputs)?)
    }

    /// Checks that the output can be written, before any work is done.
    pub fn check_output(&self) -> Result<()> {
        Ok(table::check_output(&self.output)?)
    }

    /// Writes what was made of the inputs.
    pub fn write(&self, table: &Table, provenance: &Provenance) -> Result<()> {
        table::write_from(table, &self.output, provenance)
    }

    /// What the output is made from: the inputs, then `others`. To be called before the work, while they are what was read.
    pub fn provenance(&self, stage: Stage, config: &Config, others: &[String]) -> Result<Provenance> {
        // Stdin cannot be read twice, and leaves nothing to compare with.
        let inputs: Vec<String> = self.inputs.iter().chain(others).filter(|input| *input != "-").cloned().collect();
        Ok(Provenance::new(stage, config, &inputs)?)
    }
}

/// A number of things on the command line; a mistake in it is told in plain words.
///
/// # Errors
/// Where it is not a whole number from 0.
pub fn count<N: std::str::FromStr>(text: &str) -> std::result::Result<N, String> {
    let number = text.trim();
    let plain = number.strip_prefix('-').unwrap_or(number);
    let digits = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().map_err(|_| match (digits, number.starts_with('-')) {
        (true, true) => "it must not be negative".to_owned(),
        (true, false) => "it is too large".to_owned(),
        (false, _) => "it must be a whole number".to_owned(),
    })
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

    /// Try again what has failed before (timeout, oom, crashed, ...), though no limit was raised since
    #[arg(long)]
    pub retry_failed: bool,

    /// Processes side by side, on each GPU where there are any; 0: as many as there are cores for, at most 4 on a GPU
    /// [default: train.jobs]
    #[arg(short, long, value_name = "N", value_parser = count::<usize>, allow_negative_numbers = true)]
    pub jobs: Option<usize>,

    /// auto, cpu, cuda (all visible GPUs) or cuda:K (one of them) [default: train.device]
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,

    /// Where the work runs: local, slurm or command [default: train.engine]
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<String>,

    /// Options of sbatch, as one text: '--partition=a100 --gpus=1' [default: engine.slurm.options]
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    pub slurm: Option<String>,
}

impl WorkArgs {
    /// The settings that these flags are, for [`Common::config`].
    pub fn flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let jobs = self.jobs.map(|jobs| ("--jobs", "train.jobs", jobs.to_string()));
        let device = self.device.as_ref().map(|device| ("--device", "train.device", quoted(device)));
        let engine = self.engine.as_ref().map(|engine| ("--engine", "train.engine", quoted(engine)));
        let slurm = self.slurm.as_ref().map(|text| ("--slurm", "engine.slurm.options", words(text)));
        jobs.into_iter().chain(device).chain(engine).chain(slurm).collect()
    }

    /// Processes side by side in all, in numbers, on so many GPUs; none: on the CPU.
    pub fn jobs(config: &Config, gpus: usize) -> usize {
        side_by_side(config.train.jobs, pool::cores() / config.train.threads, gpus)
    }

    /// What one process may use.
    pub fn limits(config: &Config) -> Limits {
        let train = &config.train;
        Limits {
            time: (train.time_limit_s > 0).then(|| Duration::from_secs(train.time_limit_s)),
            memory: (train.memory_limit_mb > 0).then(|| train.memory_limit_mb.saturating_mul(1 << 20)),
            ..Limits::default()
        }
    }
}

/// `jobs` as it is set, for each GPU; `fitting`: how many there are cores for.
fn side_by_side(jobs: usize, fitting: usize, gpus: usize) -> usize {
    match (jobs, gpus) {
        (0, 0) => fitting.max(1),
        // Small networks leave a GPU idle half of the time, but its memory is shared.
        (0, gpus) => (fitting / gpus).clamp(1, 4) * gpus,
        (jobs, gpus) => jobs * gpus.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_are_none_are_told_in_plain_words() {
        assert_eq!(count::<usize>("12"), Ok(12));
        for (text, word) in
            [("-5", "negative"), ("-0.5", "whole"), ("x", "whole"), ("", "whole"), ("99999999999999999999", "large")]
        {
            assert!(count::<usize>(text).is_err_and(|error| error.contains(word)), "{text}");
        }
    }

    #[test]
    fn jobs_count_for_each_gpu() {
        let of = side_by_side;
        assert_eq!([of(0, 6, 0), of(0, 0, 0), of(3, 6, 0)], [6, 1, 3]);
        assert_eq!([of(0, 2, 1), of(0, 16, 1), of(3, 16, 1)], [2, 4, 3]);
        assert_eq!([of(0, 16, 8), of(0, 4, 8), of(0, 64, 8), of(3, 1, 8)], [16, 8, 32, 24]);
    }
}
