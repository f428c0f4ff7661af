//! The command line of `transfer`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use schemas::{TransferRow, TransferSummary};
use stage::config::Config;
use stage::table::{Extra, Format, write_records};
use stage::{Common, Usage, WorkArgs};

const EXAMPLES: &str = "\
Cost: programs x tasks x seeds trainings, each as long as one of a search's. Results are kept in the cache by content:
what was interrupted goes on where it was, and a further task, seed or program costs only itself.

Examples:
  transfer runs/spark-dfs-seed0/archive.parquet -o transfer.parquet
  transfer --program my_idea.py --tasks bfs dijkstra -o transfer.parquet
  transfer --program my_idea.py --tasks data/tasks/transfer9.toml --set 'transfer.seeds=[0, 1, 2]' -o transfer.parquet

Exit codes: 0 done, whatever became of single trainings; 1 failed or interrupted; 2 wrong usage.";

/// Trains programs from scratch on further tasks, tests them on the CLRS test split, and compares them with a reference.
///
/// Writes one row per program, task and seed, and a summary of means and spreads beside it. The reference
/// (transfer.reference) is trained alike.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "transfer", version, after_help = EXAMPLES)]
pub struct Args {
    /// Archives, whose winner is taken (the confirmed one, else the row with the largest fitness), or .py files; patterns are
    /// allowed
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,

    /// A program to train; may be repeated
    #[arg(long = "program", value_name = "FILE.py")]
    pub programs: Vec<PathBuf>,

    /// CLRS algorithms, `all`, or lists such as data/tasks/transfer9.toml [default: transfer.tasks]
    ///
    /// Several in one text are separated by spaces or commas; a text that is the name of a file is that file.
    #[arg(long, value_name = "TASK")]
    pub tasks: Vec<String>,

    /// Where the rows go: .parquet or .jsonl, or - for JSONL on stdout
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,

    /// Where the summary goes [default: beside the rows, named ..._summary]
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,

    #[command(flatten)]
    pub work: WorkArgs,

    #[command(flatten)]
    pub common: Common,
}

impl Args {
    /// The settings in force; `None` when they were only to be printed.
    pub fn config(&self) -> Result<Option<Config>> {
        for path in std::iter::once(&self.output).chain(&self.summary) {
            if Format::of(path)? == Format::Program {
                return Err(Usage(format!("{}: rows go to .parquet or .jsonl", path.display())).into());
            }
        }
        let mut flags = self.work.flags();
        if !self.tasks.is_empty() {
            let names = self.tasks.iter().flat_map(|text| names(text)).collect::<Vec<_>>();
            flags.push(("--tasks", "transfer.tasks", toml::Value::from(names).to_string()));
        }
        self.common.config(&flags)
    }

    /// Writes rows and summary, without what differs from run to run. The rows come last: where they are there, all is.
    pub fn write(&self, rows: &[TransferRow], summary: &[TransferSummary]) -> Result<()> {
        let none = Extra::default();
        if let Some(path) = self.summary_path() {
            write_records(summary.iter().map(|line| (line, &none)), &path, false)?;
        }
        write_records(rows.iter().map(|row| (row, &none)), &self.output, false)
    }

    fn summary_path(&self) -> Option<PathBuf> {
        let beside = || {
            let stem = self.output.file_stem()?.to_string_lossy();
            let extension = self.output.extension()?.to_string_lossy();
            Some(self.output.with_file_name(format!("{stem}_summary.{extension}")))
        };
        self.summary.clone().or_else(beside)
    }

    /// Whether stdout is free for people.
    pub fn talks(&self) -> bool {
        self.output != Path::new("-")
    }
}

/// The names in a text.
fn names(text: &str) -> Vec<String> {
    if Path::new(text).is_file() {
        return vec![text.to_owned()];
    }
    text.split([',', ' ', '\t', '\n']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
