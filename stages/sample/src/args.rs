//! The command line, as typed.

use std::path::PathBuf;

use clap::{ArgGroup, Parser};
use clrs::Split;

use crate::plan;

const EXAMPLES: &str = "\
Examples:
  sample --list
  sample --algorithm dfs --length 16 --batches 100 -o dfs.parquet
  sample --algorithm bfs,dijkstra --split test -o benchmark/
  sample --algorithm all --length 8 --batches 10 -o clrs30/
  sample --algorithm insertion_sort --length 5 --batch-size 2 | jq .hint_pred_h
  sample --algorithm dfs --length 16 --seed 42 --batch-size 4 --batches 2 --digest
  sample --card dfs | less
  sample --card all --config data/profiles/paper.toml -o cards/
  sample --card kmp_matcher --json | jq '.channels[] | {feature, hints, outputs, later}'
  duckdb -c \"select steps, count(*) from 'dfs.parquet' group by 1 order by 1\"

Rows: one for each sample. Columns: algorithm, split, seed, length, nodes, batch, sample, steps, then input_*, output_* \
and hint_* for each data point, as nested lists: hints [steps][...], node data [nodes], edge data [nodes][nodes], a \
trailing list of classes for categoricals. Hints end with the sample's own last step. \
Scalars are doubles, pointers are node numbers from 0, everything else is 0, 1, or -1 for \"not a target\".

A card is a page on a task: what the algorithm does and what its data mean, how it is scored, pseudo-code with the places \
where hints are recorded, what each result of a processor can influence, and the settings in force (defaults unless \
--config or --set change them).

Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// Draw CLRS-30 problems, run the algorithms on them, and write inputs, outputs and hints; or tell what a task is.
///
/// The data is that of dm-clrs 2.0.3, bit for bit, for any seed, length and batch size.
#[derive(Parser, Debug)]
#[command(group(ArgGroup::new("about").args(["list", "card"])))]
#[command(version = stage::version(), after_long_help = EXAMPLES, after_help = "See --help for examples and the columns of the tables.")]
pub struct Args {
    /// Name of an algorithm, several separated by commas, or `all`; see --list
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', required_unless_present = "about")]
    pub algorithm: Vec<String>,

    /// List the algorithms with their data points
    #[arg(long)]
    pub list: bool,

    /// Print the task card of an algorithm as Markdown; several separated by commas, or `all`
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with_all = ["algorithm", "digest", "format", "Draw"])]
    pub card: Vec<String>,

    /// With --card: the short form for prompts
    #[arg(long, conflicts_with = "json")]
    pub brief: bool,

    /// With --card: the settings that it states, e.g. data/profiles/quick.toml; unknown keys are errors
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// With --card: change a setting, or several, as in --set 'train.steps=50 train.val_length=12'; may be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub sets: Vec<String>,

    /// With --list or --card: as JSON, an object a line
    #[arg(long, requires = "about")]
    pub json: bool,

    /// Where the rows go: .parquet, .jsonl, or - for JSONL on stdout. A folder, which gets a file for each algorithm,
    /// where there are several. Where cards go: a file, a folder for several, or - for stdout. Files appear whole or not at
    /// all
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,

    /// Format of the files in a folder: parquet or jsonl
    #[arg(long, default_value = "parquet")]
    pub format: plan::Format,

    /// Print digests of the batches' tensors as JSON instead: SHA-256 of little-endian float32, row-major, hints padded
    #[arg(long, conflicts_with_all = ["output", "format"])]
    pub digest: bool,

    /// No progress, only errors
    #[arg(short, long)]
    pub quiet: bool,

    #[command(flatten, next_help_heading = "What to draw")]
    pub draw: Draw,
}

#[derive(clap::Args, Debug)]
pub struct Draw {
    /// Size of the problems [default: 16, or the split's]
    #[arg(long, value_name = "N", value_parser = stage::args::count::<usize>, allow_negative_numbers = true)]
    pub length: Option<usize>,

    /// Seed of the sampler [default: 0, or the split's]
    #[arg(long, value_name = "N", value_parser = stage::args::count::<u32>, allow_negative_numbers = true)]
    pub seed: Option<u32>,

    /// Samples in a batch [default: 32]
    #[arg(long, value_name = "N", value_parser = stage::args::count::<usize>, allow_negative_numbers = true)]
    pub batch_size: Option<usize>,

    /// Number of batches [default: 1]
    #[arg(long, value_name = "N", value_parser = stage::args::count::<usize>, allow_negative_numbers = true)]
    pub batches: Option<usize>,

    /// The benchmark's own dataset, train, val or test: its seed, length and number of samples, all samples in order.
    /// Batches drawn from it at random where --batch-size or --batches is given
    #[arg(long, value_name = "SPLIT")]
    pub split: Option<Split>,

    /// Draw that many samples first: all of them in order, or batches from them as with --split
    #[arg(long, value_name = "N", value_parser = stage::args::count::<usize>, allow_negative_numbers = true)]
    pub num_samples: Option<usize>,

    /// Edge probabilities, one of which is drawn for each graph [default: those of training, 0.1 to 0.9, or half of
    /// that for some algorithms; the sampler's own with --split]
    #[arg(long, value_name = "P,..", value_delimiter = ',')]
    pub p: Option<Vec<f64>>,

    /// Length of the needle in string matching, -K for a random one from 1 to K [default: that of training, -8; a fifth
    /// of the length with --split]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub length_needle: Option<i64>,

    /// Leave --p and --length-needle to the sampler, rather than to what training uses
    #[arg(long)]
    pub sampler_defaults: bool,

    /// Do not draw 1000 samples first to pad hints to the longest of them
    #[arg(long)]
    pub no_track_max_steps: bool,

    /// Transform batches as training does: random positions, `pred_h` as an input where it never changes, permutations
    #[arg(long)]
    pub pipeline: bool,

    /// With --pipeline: seed of the random positions
    #[arg(long, value_name = "N", default_value_t = 0, requires = "pipeline", value_parser = stage::args::count::<u32>, allow_negative_numbers = true)]
    pub pos_seed: u32,
}
