//! The command line of `score`.

use std::path::PathBuf;

use anyhow::Result;
use stage::config::Config;
use stage::{Common, Table, TableArgs, Usage, WorkArgs};

const EXAMPLES: &str = "\
Cost: one pass over the validation and test graphs per training seed: seconds (profile quick) to a minute (profile paper); \
its memory grows with batch and length squared, or cubed for programs with triplets. Results are kept in the cache. \
The diagnosis of a candidate (score.diagnosis) takes a tenth to a sixth of a quick training.

Examples:
  score trained.parquet -o scored.parquet --graphs graphs.parquet --diagnosis diagnosis.parquet
  score trained.parquet -o scored.parquet --parents-diagnosis runs/NAME
  score --set score.test_length=64 trained.parquet -o scored.parquet
  score --weights cache/train/AB/KEY/weights.safetensors my_idea.py
  train my_idea.py | score - | jq '{ood_acc, test_acc}'
  score --summary 'runs/*/archive.parquet'          how far the edits of each method reach, and the spread over seeds

Fitness is the mean accuracy over training seeds on an out-of-distribution split of the run's own (score.ood_length; its \
graphs are drawn from search.seed unless score.ood_seed is set); select shrinks it by the noise of a training. The CLRS \
test split is only reported; --set score.fitness=test makes it the fitness, as the reference implementation has it, and \
leaks it into the search.

Exit codes: 0 done, whatever became of single rows; 1 failed or interrupted; 2 wrong usage; 3 (--one) there is no result \
yet.";

/// Evaluates trained candidates on larger graphs than they were trained on, and gives them their fitness.
///
/// Rows with status `trained` are scored, each in a child process with limits; all other rows pass unchanged.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "score", version = stage::version(), after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub table: TableArgs,

    #[command(flatten)]
    pub work: WorkArgs,

    /// Weights of the program given as a .py file, one file per training seed; may be repeated
    #[arg(long, value_name = "FILE")]
    pub weights: Vec<PathBuf>,

    /// Also write the scores graph by graph as a table
    #[arg(long, value_name = "FILE", conflicts_with = "summary")]
    pub graphs: Option<PathBuf>,

    /// Also write where the candidates fail and what their operators are worth as a table: of the first training of each,
    /// accuracy by hint and tenth of the run, and lesions (score.diagnosis, score.lesion_samples, score.lesion_by)
    #[arg(long, value_name = "FILE", conflicts_with = "summary")]
    pub diagnosis: Option<PathBuf>,

    /// Diagnoses that `score` wrote of earlier generations, for the column behavioural_shift: tables, patterns, or the folder of
    /// a run; may be repeated
    #[arg(long, value_name = "TABLE|FOLDER", conflicts_with = "summary")]
    pub parents_diagnosis: Vec<String>,

    /// Score nothing: print, by method, valid rate, entanglement by kind, how far edits reach, the spread over seeds
    #[arg(long, conflicts_with = "weights")]
    pub summary: bool,

    /// With --summary: one JSON object per method
    #[arg(long, requires = "summary")]
    pub json: bool,

    /// Do this one job as it lies in the cache, and leave its result or failure there: what a queue runs on a node
    #[arg(long, value_name = "KEY", conflicts_with_all = ["summary", "weights", "graphs", "diagnosis", "parents_diagnosis", "no_cache", "retry_failed"])]
    pub one: Option<String>,

    #[command(flatten)]
    pub common: Common,
}

impl Args {
    /// The settings in force; `None` when they were only to be printed.
    pub fn config(&self) -> Result<Option<Config>> {
        let Some(config) = self.common.config(&self.work.flags())? else { return Ok(None) };
        train::known_task(&config.task.algorithm)?;
        Ok(Some(config))
    }

    /// Reads the rows, and checks that weights are given for a program, and for a program alone.
    pub fn read(&self) -> Result<Table> {
        let table = self.table.read_with_programs()?;
        let programs = table.candidates().filter(|candidate| train::by_hand(candidate)).count();
        match (programs, self.weights.is_empty()) {
            (0, false) => Err(Usage("--weights goes with a program given as a .py file".into()).into()),
            (2.., false) => Err(Usage("--weights goes with one program, not with several".into()).into()),
            (1.., true) => {
                Err(Usage("a .py file needs --weights, or train it first: train my.py | score -".into()).into())
            }
            _ => Ok(table),
        }
    }
}
