//! The command line of `confirm`.

use std::path::PathBuf;

use anyhow::Result;
use stage::config::Config;
use stage::{Common, TableArgs, Usage, WorkArgs};

const EXAMPLES: &str = "\
The leaders of a search owe their place to luck, too. So confirm.top of them are trained anew on confirm.choosing fresh \
seeds, and by these the winner is chosen. Then winner and seed program are trained on confirm.seeds other fresh seeds, each \
training scored on graphs of its own, and only these say how large the gain is: whatever the choice was led by, it has not \
seen them, so that their mean is unbiased. Winner and seed program share seeds and graphs: the interval is Student's of the \
paired differences (95 %), p is of the permutation test that flips their signs.

Cost: confirm.top x confirm.choosing + 2 x confirm.seeds trainings, kept in the cache.

Examples:
  confirm --config runs/a/config.toml runs/a/archive.parquet -o confirmed.parquet --json confirm.json
  confirm --set 'confirm.seeds=[100, 101, 102]' runs/a/archive.parquet -o again.parquet    seeds of your own choice

Exit codes: 0 done, whether a gain is confirmed or not; 1 failed or interrupted; 2 wrong usage.";

/// Measures the gain of a search's winner over the seed program once more, on seeds and graphs that it has not seen.
///
/// Writes one row per training, and with --json what they come to.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "confirm", version = stage::version(), after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub table: TableArgs,

    /// Also write what the trainings come to: winner, gain, interval, p
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    #[command(flatten)]
    pub work: WorkArgs,

    #[command(flatten)]
    pub common: Common,
}

impl Args {
    /// The settings in force; `None` when they were only to be printed.
    pub fn config(&self) -> Result<Option<Config>> {
        let Some(config) = self.common.config(&self.work.flags())? else { return Ok(None) };
        train::known_task(&config.task.algorithm)?;
        if config.confirm.top == 0 {
            return Err(Usage("confirm.top is 0: nothing is to be confirmed".to_owned()).into());
        }
        Ok(Some(config))
    }
}
