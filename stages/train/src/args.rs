//! The command line of `train`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use schemas::Candidate;
use stage::config::Config;
use stage::{Common, TableArgs, Usage, WorkArgs};

const EXAMPLES: &str = "\
Cost: all of a search's time. A training takes seconds (profile quick) to hours (profile paper); its memory grows with \
batch, length squared and width. Results are kept in the cache by content, so that no training is done twice, and a \
stage that was interrupted goes on where it was.

Examples:
  train checked.parquet -o trained.parquet --curves curves.parquet
  train --config data/profiles/quick.toml my_idea.py data/seed_pgn.py
  propose | check - | train --jobs 2 - | score - | jq '{edit, fitness}'
  train --set train.time_limit_s=60 --set 'train.seeds=[0, 1, 2]' checked.parquet -o trained.parquet
  train --explain my_idea.py                        the network's graph as built and as run, with costs

Training seeds are drawn for each run, candidate and training (train.seeds says how many; a list fixes them). With \
--race, half of the candidates that were in the round before get one more, by their shrunken accuracy, as far as they can \
still be the best:
  train --race 1 scored.parquet --archive ../gen003/archive.parquet -o trained1.parquet
  score trained1.parquet -o scored1.parquet

A training that hangs, crashes, diverges or takes too much memory is its row's status (timeout, crashed, diverged, oom) \
and no other's.

On other machines (train.engine=slurm): jobs wait in the cache, a queue runs train --one KEY for each, and rows are made \
of what they leave. Every machine must see the same cache, and have the same build.
  train --engine slurm --slurm '--partition=a100 --gpus=1 --mem=16G' checked.parquet -o trained.parquet
  train --collect --device cuda checked.parquet -o trained.parquet

Exit codes: 0 done, whatever became of single rows; 1 failed or interrupted; 2 wrong usage; 3 (--collect, --one) there is \
no result yet.";

/// Trains accepted candidates, each seed of each in a child process with limits of time and memory.
///
/// Rows with status `accepted` are trained; programs given as .py files are checked first; all other rows pass unchanged.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "train", version = stage::version(), after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub table: TableArgs,

    #[command(flatten)]
    pub work: WorkArgs,

    /// Also write the learning curves as a table
    #[arg(long, value_name = "FILE")]
    pub curves: Option<PathBuf>,

    /// A round of racing, counted from 1: the input is a table of scored rows, and those that may still be the best of the run
    /// get one more training, if train.max_seeds allows; all others pass unchanged
    #[arg(long, value_name = "ROUND", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub race: Option<usize>,

    /// With --race: the archive before these rows [default: none]
    #[arg(long, value_name = "TABLE", requires = "race")]
    pub archive: Vec<String>,

    /// Train nothing: take the rows from the cache. Where it does not have all that is needed nothing is written, and the exit
    /// code is 3. No device is looked for: --device says on which kind the trainings were made (auto: whichever the cache has)
    #[arg(long, conflicts_with_all = ["no_cache", "retry_failed", "explain"])]
    pub collect: bool,

    /// Do this one job as it lies in the cache, and leave its result or failure there: what a queue runs on a node
    #[arg(long, value_name = "KEY", conflicts_with_all = ["race", "curves", "explain", "collect", "no_cache", "retry_failed"])]
    pub one: Option<String>,

    /// Print the graph of the network around the programs, before and after it is rewritten, with costs; and stop
    #[arg(long)]
    pub explain: bool,

    #[command(flatten)]
    pub common: Common,
}

impl Args {
    /// The settings in force; `None` when they were only to be printed.
    pub fn config(&self) -> Result<Option<Config>> {
        let Some(config) = self.common.config(&self.work.flags())? else { return Ok(None) };
        known_task(&config.task.algorithm)?;
        Ok(Some(config))
    }

    /// Prints the graphs of the input's programs.
    pub fn explain(&self, config: &Config) -> Result<()> {
        for row in self.table.read_with_programs()?.rows {
            match crate::explain(&row.candidate.source, config)? {
                Ok(text) => stage::exit::say(&format!("{text}\n"))?,
                Err(reason) => bail!("{}: there is no network around it\n{reason}", name(&row.candidate)),
            }
        }
        Ok(())
    }
}

/// What a program is called: its file, or its hash.
fn name(candidate: &Candidate) -> &str {
    candidate.edit.as_deref().filter(|_| crate::by_hand(candidate)).unwrap_or(&candidate.candidate_id)
}

/// That a task is one of the benchmark's.
pub fn known_task(name: &str) -> Result<()> {
    clrs::find_algorithm(name).map_err(|error| Usage(format!("task.algorithm: {error}")))?;
    Ok(())
}
