//! The command line, as typed.

use std::path::PathBuf;

use clap::Parser;
use stage::{Common, Config};

const AFTER: &str = "\
Generation 0 begins with the seed program itself, so that its score stands in the archive for comparison; \
further rows of generation 0 are edits of it. Later generations draw their parents from the archive that `select` made.

What is proposed depends on the archive, the settings and (seed, generation, slot) alone: the same call gives the \
same rows.

Methods:
{methods}

Examples:
  propose --n 20 --seed 1 | check - | jq -r .status
  propose --parents runs/a/gen003/archive.parquet -o runs/a/gen004/proposed.parquet
  propose --parents archive.parquet --method funsearch --n 4 | jq -r .source
  propose --program my_idea.py --n 8 -o edits.jsonl        start from a program of your own
";

/// Proposes the candidates of one generation: a table of programs with status `proposed`
#[derive(Parser, Debug)]
#[command(version, after_help = after_help())]
pub struct Args {
    /// The archive so far: .parquet or .jsonl, patterns, or - for JSONL on stdin [default: none, generation 0]
    #[arg(long, value_name = "TABLE")]
    pub parents: Vec<String>,

    /// Where the rows go: .parquet or .jsonl, or - for JSONL on stdout. The file appears whole or not at all
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,

    /// Generation to propose [default: the one after the archive's last; 0 without an archive]
    #[arg(long, value_name = "G")]
    pub generation: Option<u32>,

    /// How many rows [default: 1 for generation 0, else search.generation_size, as far as search.attempts allows]
    #[arg(long, short, value_name = "COUNT")]
    pub n: Option<usize>,

    /// Seed of the run [search.seed]
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,

    /// How attempts are made [search.method]; listed below
    #[arg(long, value_name = "NAME")]
    pub method: Option<String>,

    /// What writes the programs [propose.proposer]
    #[arg(long, value_name = "NAME")]
    pub proposer: Option<String>,

    /// The program that the search starts from [propose.program]
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,

    /// A motif library of your own for the built-in proposer, like data/motifs.toml
    #[arg(long, value_name = "FILE")]
    pub motifs: Option<PathBuf>,

    /// Name of the run, for the column [default: METHOD-TASK-seedSEED]
    #[arg(long, value_name = "NAME")]
    pub run: Option<String>,

    #[command(flatten)]
    pub common: Common,
}

impl Args {
    /// The settings in force; `None` after they have been printed.
    pub fn config(&self) -> anyhow::Result<Option<Config>> {
        let mut flags = Vec::new();
        if let Some(seed) = self.seed {
            flags.push(("--seed", "search.seed", seed.to_string()));
        }
        if let Some(method) = &self.method {
            flags.push(("--method", "search.method", format!("{method:?}")));
        }
        if let Some(proposer) = &self.proposer {
            flags.push(("--proposer", "propose.proposer", format!("{proposer:?}")));
        }
        if let Some(program) = &self.program {
            flags.push(("--program", "propose.program", format!("{:?}", program.display().to_string())));
        }
        self.common.config(&flags)
    }
}

fn after_help() -> String {
    let methods: Vec<String> =
        search::methods::all().iter().map(|method| format!("  {:13} {}", method.name(), method.about())).collect();
    AFTER.replace("{methods}", &methods.join("\n"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
        let help = Args::command().render_long_help().to_string();
        assert!(search::methods::all().iter().all(|method| help.contains(method.name())));
    }
}
