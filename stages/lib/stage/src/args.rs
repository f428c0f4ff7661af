//! The flags that mean the same in every stage.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::{Config, Progress, Table, exit, table};

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
