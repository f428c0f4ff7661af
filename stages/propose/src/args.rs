//! The command line, as typed.

use std::path::PathBuf;

use clap::Parser;
use stage::config::quoted;
use stage::{Common, Config, table};

const AFTER: &str = "\
Generation 0 begins with the seed program itself, so that its score stands in the archive for comparison; \
further rows of generation 0 are edits of it. Later generations draw their parents from the archive that `select` made.

What is proposed depends on the archive, the settings and (seed, generation, slot) alone: the same call gives the \
same rows.

With --proposer openai, language models write the programs, through any server that speaks OpenAI's protocol. The key \
comes from the environment (OPENAI_API_KEY, or what llm.key_env names) and goes nowhere else. Each exchange is recorded; \
what has been answered is not asked again when the same generation is made again, and --proposer replay makes it from the \
recording alone. A proposal that `check` would refuse goes back with its diagnostics: each try is a row.

Methods:
{methods}

Examples:
  propose --n 20 --seed 1 | check - | jq -r .status
  propose --parents runs/a/gen003/archive.parquet -o runs/a/gen004/proposed.parquet
  propose --parents archive.parquet --method funsearch --n 4 | jq -r .source
  propose --program my_idea.py --n 8 -o edits.jsonl        start from a program of your own
  propose --proposer openai --api-base http://localhost:11434/v1 --model qwen3:32b --ping
  propose --proposer openai --api-base URL --model NAME --n 3 --dry-run
  propose --proposer openai --api-base URL --model NAME --n 3 --max-tokens-total 200000 -o made.jsonl
  propose --proposer replay --transcripts transcripts.jsonl --model NAME --n 3 -o again.jsonl
  propose --import openevolve runs/openevolve-real -o scored.parquet
  propose --show runs/qwen-seed0 17 | less                 what was asked in attempt 17, and what came of it
";

/// Proposes the candidates of one generation: a table of programs with status `proposed`
#[derive(Parser, Debug)]
#[command(version = stage::version(), after_help = after_help())]
pub struct Args {
    /// The archive so far: .parquet or .jsonl, patterns, or - for JSONL on stdin [default: none, generation 0]
    #[arg(long, value_name = "TABLE")]
    pub parents: Vec<String>,

    /// Where the rows go: .parquet or .jsonl, or - for JSONL on stdout. The file appears whole or not at all
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,

    /// Generation to propose [default: the one after the archive's last; 0 without an archive]
    #[arg(long, value_name = "G", value_parser = stage::args::count::<u32>, allow_negative_numbers = true)]
    pub generation: Option<u32>,

    /// How many rows [default: 1 for generation 0, else search.generation_size, as far as search.attempts allows]
    #[arg(long, short, value_name = "COUNT", value_parser = stage::args::count::<usize>, allow_negative_numbers = true)]
    pub n: Option<usize>,

    /// Seed of the run [search.seed]
    #[arg(long, value_name = "SEED", value_parser = stage::args::count::<u64>, allow_negative_numbers = true)]
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

    /// Server of the language models, e.g. http://localhost:11434/v1 [llm.base_url]
    #[arg(long, value_name = "URL", help_heading = "Language models")]
    pub api_base: Option<String>,

    /// Model, or NAME=WEIGHT; may be repeated [llm.models]
    #[arg(long, value_name = "NAME", help_heading = "Language models")]
    pub model: Vec<String>,

    /// Where exchanges are recorded, and what a replay answers from [default: transcripts.jsonl beside the output]
    #[arg(long, value_name = "FILE", help_heading = "Language models")]
    pub transcripts: Option<PathBuf>,

    /// Learning curves that `train` wrote, for the prompts: tables, patterns, or the folder of a run; may be repeated
    #[arg(long, value_name = "TABLE|FOLDER", help_heading = "Language models")]
    pub curves: Vec<String>,

    /// Diagnoses that `score` wrote, for the prompts: tables, patterns, or the folder of a run; may be repeated
    #[arg(long, value_name = "TABLE|FOLDER", help_heading = "Language models")]
    pub diagnosis: Vec<String>,

    /// Money that the whole run may spend, in the currency of llm.prices [llm.max_cost]
    #[arg(long, value_name = "AMOUNT", help_heading = "Language models")]
    pub max_cost: Option<f64>,

    /// Tokens that the whole run may take [llm.max_tokens_total]
    #[arg(long, value_name = "COUNT", help_heading = "Language models", value_parser = stage::args::count::<u64>, allow_negative_numbers = true)]
    pub max_tokens_total: Option<u64>,

    /// Folder of templates that replace the built-in prompts of the same name [llm.prompts]
    #[arg(long, value_name = "DIR", help_heading = "Language models")]
    pub prompts: Option<PathBuf>,

    /// Take only the chosen region from a reply [llm.splice]
    #[arg(long, help_heading = "Language models")]
    pub splice: bool,

    /// Print the prompts as they would be sent, and an estimate of their tokens; ask nobody, write nothing
    #[arg(long, visible_alias = "print-prompt", help_heading = "Language models")]
    pub dry_run: bool,

    /// Of a dry run, this attempt alone, as pages that name the template of each paragraph; K as in the column `attempt`
    #[arg(long, value_name = "K", requires = "dry_run", help_heading = "Language models")]
    pub attempt: Option<i64>,

    /// Print an attempt of a run as a page: prompts, reasoning, replies, tokens, costs, and its rows in the tables. RUN is the
    /// run's folder (with --transcripts where its exchanges lie elsewhere), or a transcripts.jsonl alone; without K, a list of
    /// all attempts
    #[arg(long, num_args = 1..=2, value_names = ["RUN", "K"], allow_negative_numbers = true, help_heading = "Language models")]
    pub show: Vec<PathBuf>,

    /// With --show: everything as one JSON object
    #[arg(long, requires = "show", help_heading = "Language models")]
    pub json: bool,

    /// Send each role's prompt to its model once: whether server, key and names are right, the prompt fits, the answer is of use,
    /// and what a search will take
    #[arg(long, help_heading = "Language models")]
    pub ping: bool,

    /// Take over the search of another tool whose evaluation our stages were (data/bridges): its programs with their scores, as
    /// a table for `select`. TOOL: openevolve, shinka or llm4ad; RUN: the folder that EMBERLINE_RUN named
    #[arg(long, num_args = 2, value_names = ["TOOL", "RUN"], conflicts_with_all = ["parents", "show", "ping", "dry_run"])]
    pub import: Vec<std::ffi::OsString>,

    /// Name of the run, for the column [default: METHOD-TASK-seedSEED]
    #[arg(long, value_name = "NAME")]
    pub run: Option<String>,

    #[command(flatten)]
    pub common: Common,
}

impl Args {
    /// The tables of learning curves. Of a run's folder they are its generations' up to `last`, the last one that the archive
    /// holds: what later ones have by now depends on the time of day.
    pub fn curve_tables(&self, last: i64) -> anyhow::Result<Vec<PathBuf>> {
        table::side_tables(&self.curves, "curves", last)
    }

    /// The tables of diagnoses, likewise.
    pub fn diagnosis_tables(&self, last: i64) -> anyhow::Result<Vec<PathBuf>> {
        table::side_tables(&self.diagnosis, "diagnosis", last)
    }

    /// The settings in force; `None` after they have been printed.
    pub fn config(&self) -> anyhow::Result<Option<Config>> {
        let mut flags = Vec::new();
        if let Some(seed) = self.seed {
            flags.push(("--seed", "search.seed", seed.to_string()));
        }
        if let Some(method) = &self.method {
            flags.push(("--method", "search.method", quoted(method)));
        }
        if let Some(proposer) = &self.proposer {
            flags.push(("--proposer", "propose.proposer", quoted(proposer)));
        }
        if let Some(program) = &self.program {
            flags.push(("--program", "propose.program", quoted(&program.display().to_string())));
        }
        if let Some(url) = &self.api_base {
            flags.push(("--api-base", "llm.base_url", quoted(url)));
        }
        if !self.model.is_empty() {
            let models: Vec<String> = self.model.iter().map(|name| quoted(name)).collect();
            flags.push(("--model", "llm.models", format!("[{}]", models.join(", "))));
        }
        if let Some(cost) = self.max_cost {
            flags.push(("--max-cost", "llm.max_cost", format!("{cost:?}")));
        }
        if let Some(tokens) = self.max_tokens_total {
            flags.push(("--max-tokens-total", "llm.max_tokens_total", tokens.to_string()));
        }
        if let Some(folder) = &self.prompts {
            flags.push(("--prompts", "llm.prompts", quoted(&folder.display().to_string())));
        }
        if self.splice {
            flags.push(("--splice", "llm.splice", "true".to_owned()));
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
        let names: Vec<&str> = search::methods::all().iter().map(|method| method.name()).collect();
        let mut known = stage::config::METHODS.to_vec();
        known.sort_by_key(|name| names.iter().position(|other| other == name));
        assert_eq!(known, names, "the settings know other methods than there are");
    }
}
