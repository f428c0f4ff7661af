//! The command line, as typed.

use std::path::{Path, PathBuf};

use clap::Parser;
use stage::{Common, Config, TableArgs};

const AFTER: &str = "\
The output holds every row of every generation so far, with the columns
  fitness       the mean accuracy of its trainings, shrunk towards that of all candidates by the noise of a training
  trainings, fitness_mean, fitness_se, fitness_sd, fitness_lower    what that rests on, and how sure it is
  archived      whether parents are drawn from it (search.archive_size rows of each island; the rest stays in the table)
  elite         whether it is the best of its cell in its island
  cell          its cell (search.features; without features an island is one cell)
  best_so_far   the largest fitness up to and including this row
and without the columns that differ from run to run (seconds, memory): the same rows give the same bytes. \
A row that claims to be scored and has no finite fitness becomes `failed`; a scored row whose candidate_id is not \
that of its program is refused.

Examples (select is a word of bash's own: call it through `emberline`, or as `command select`):
  emberline select scored.parquet --archive ../gen003/archive.parquet -o archive.parquet
  emberline select --best archive.parquet -o best.py          the winner's program
  emberline select --export results archive.parquet           the winner: program, weights, PyTorch module, model card
  emberline select --summary 'runs/*/archive.parquet' --json  what came of each run, for machines
";

/// Judges all candidates so far: which are kept as parents, which lead their cell, and what is best
#[derive(Parser, Debug)]
#[command(version = stage::version(), after_help = AFTER)]
pub struct Args {
    #[command(flatten)]
    pub table: TableArgs,

    /// The archive before these rows [default: none]
    #[arg(long, value_name = "TABLE")]
    pub archive: Vec<String>,

    /// Write the program of the winner to --output, and nothing else: the candidate that confirm.json beside the archive has
    /// chosen, without one the best by fitness
    #[arg(long, conflicts_with_all = ["summary", "archive"])]
    pub best: bool,

    /// Write the winner into this folder, and nothing else: best.py, best.safetensors (its trained weights) and best.md (about
    /// both); and its whole network as PyTorch: model.py (written from its graph), model.safetensors, the samples that it was
    /// scored on, evaluate.py (prints that accuracy) and README.md, a model card. Settings are those of --config, else of
    /// config.toml beside the archive
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["best", "summary", "archive"])]
    pub export: Option<PathBuf>,

    /// With --export: the cache that the weights lie in
    #[arg(long, value_name = "DIR", default_value = "cache", requires = "export")]
    pub cache: PathBuf,

    /// Print what came of a search: the gain that is confirmed (confirm.json beside the archive), the best against the seed
    /// program, counts, rates
    #[arg(long, conflicts_with = "archive")]
    pub summary: bool,

    /// With --summary: one JSON object
    #[arg(long, requires = "summary")]
    pub json: bool,

    #[command(flatten)]
    pub common: Common,
}

impl Args {
    /// The settings in force; `None` after they have been printed. Where none are named, those beside an archive are what it was
    /// made with.
    pub fn config(&self) -> anyhow::Result<Option<Config>> {
        let mut common = self.common.clone();
        let reads = self.export.is_some() || self.summary;
        if let (true, [archive], []) = (reads, self.table.inputs.as_slice(), common.config.as_slice()) {
            let beside = Path::new(archive).with_file_name("config.toml");
            common.config.extend(Some(beside).filter(|path| archive != "-" && path.is_file()));
        }
        common.config(&[])
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Args::command().debug_assert();
    }
}
