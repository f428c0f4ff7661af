//! The command line of `transfer`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use schemas::{TransferRow, TransferSummary};
use stage::config::Config;
use stage::table::{Extra, Format, check_output, write_records};
use stage::{Common, Usage, WorkArgs};

use crate::Target;

const EXAMPLES: &str = "\
Cost: programs x tasks x seeds trainings, each as long as one of a search's. Results are kept in the cache by content: \
what was interrupted goes on where it was, and a further task, seed or program costs only itself.

Examples:
  transfer runs/spark-dfs-seed0/archive.parquet -o transfer.parquet
  transfer --program my_idea.py --tasks bfs dijkstra -o transfer.parquet
  transfer --target div2mean-dfs --config data/profiles/paper.toml -o div2mean.parquet
  transfer --program my_idea.py --tasks data/tasks/transfer9.toml --set 'transfer.seeds=[0, 1, 2]' -o transfer.parquet

Its jobs are trainings and evaluations like those of train and score, under the same keys: what one of them has done is \
done for all. On other machines (train.engine) each runs as train --one KEY or score --one KEY; transfer --one KEY does \
either.

Exit codes: 0 done, whatever became of single trainings; 1 failed or interrupted; 2 wrong usage; 3 (--one) there is no \
result yet.";

/// Trains programs from scratch on further tasks, tests them on the CLRS test split, and compares them with a reference.
///
/// Writes one row per program, task and seed, and a summary of means and spreads beside it. The reference
/// (transfer.reference) is trained alike.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "transfer", version = stage::version(), after_help = EXAMPLES)]
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

    /// Reproduce a published figure: train what --targets says of it, and print a verdict with an interval. --program takes
    /// another program, --tasks other tasks
    #[arg(long, value_name = "NAME", conflicts_with = "inputs")]
    pub target: Option<String>,

    /// With --target: the figures
    #[arg(long, value_name = "FILE", default_value = "data/reproduce.toml", requires = "target")]
    pub targets: PathBuf,

    /// With --target: the settings are not those of the published figure, so that no verdict is given
    #[arg(long, requires = "target")]
    pub small: bool,

    /// Where the rows go: .parquet or .jsonl, or - for JSONL on stdout
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,

    /// Where the summary goes [default: beside the rows, named ..._summary]
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,

    /// Do this one job, a training or an evaluation, as it lies in the cache, and leave its result or failure there: what a
    /// queue runs on a node
    #[arg(long, value_name = "KEY", conflicts_with_all = ["inputs", "programs", "tasks", "target", "summary", "no_cache", "retry_failed"])]
    pub one: Option<String>,

    #[command(flatten)]
    pub work: WorkArgs,

    #[command(flatten)]
    pub common: Common,
}

impl Args {
    /// The settings in force; `None` when they were only to be printed.
    pub fn config(&self) -> Result<Option<Config>> {
        for path in std::iter::once(self.output.clone()).chain(self.summary_path()) {
            if Format::of(&path)? == Format::Program {
                return Err(Usage(format!("{}: rows go to .parquet or .jsonl", path.display())).into());
            }
            check_output(&path)?;
        }
        let mut flags = self.work.flags();
        if let Some(target) = self.wanted()? {
            flags.push(("--target", "transfer.reference", "\"\"".to_owned()));
            if self.tasks.is_empty() {
                flags.push(("--target", "transfer.tasks", toml::Value::from(target.tasks).to_string()));
            }
            if !self.common.sets.iter().any(|set| set.contains("transfer.seeds")) {
                let seeds: Vec<i64> = (0..i64::from(target.seeds)).collect();
                flags.push(("--target", "transfer.seeds", toml::Value::from(seeds).to_string()));
            }
        }
        if !self.tasks.is_empty() {
            let names = self.tasks.iter().flat_map(|text| names(text)).collect::<Vec<_>>();
            flags.push(("--tasks", "transfer.tasks", toml::Value::from(names).to_string()));
        }
        self.common.config(&flags)
    }

    /// That there is something to transfer: the reference alone is hardly what a call without a word asks for.
    pub fn named(&self) -> Result<()> {
        if self.inputs.is_empty() && self.programs.is_empty() && self.target.is_none() {
            let text =
                "no program to transfer: name archives, .py files or --program (the reference alone: make reference)";
            return Err(Usage(text.to_owned()).into());
        }
        Ok(())
    }

    /// The figure to reproduce.
    pub fn wanted(&self) -> Result<Option<Target>> {
        self.target.as_ref().map(|name| Target::read(&self.targets, name)).transpose()
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
            if self.output == Path::new("-") {
                return None;
            }
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
