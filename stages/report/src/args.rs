//! Arguments: as typed, and as a resolved plan.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;
use stage::{Usage, table};

const EXAMPLES: &str = "Examples:
  report runs/spark-dfs-seed0/archive.parquet
  report 'runs/*-dfs-seed*/archive.parquet' -o compare.html --baseline eoh
  report runs/spark-dfs-seed0/archive.parquet --tensorboard tb       # tensorboard --logdir tb shows them
  report archive.jsonl -o page.html --json --quiet | less
  report runs/spark-dfs-seed0/archive.parquet -o report.html --svg-dir paper/figures --table-dir paper/tables";

/// Draw one HTML page about one or several searches, with figures and tables as files of their own.
///
/// The page needs nothing else: no network, no server. It can be read without scripts; with its own, tables sort and filter, and
/// every candidate opens. Beside each archive, config.toml, confirm.json, transcripts.jsonl, gen*/curves*.parquet and
/// transfer.parquet are read where they exist. Costs seconds.
#[derive(Parser, Clone, Debug)]
#[command(name = "report", version = stage::version(), after_help = EXAMPLES)]
pub struct Args {
    /// Archives (.parquet, .jsonl), patterns such as 'runs/*/archive.parquet', or - for JSONL on stdin
    #[arg(value_name = "ARCHIVE", default_value = "-")]
    pub inputs: Vec<String>,

    /// The page, or - for stdout; [default: report.html beside the archive, for several archives in the current folder]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Folder of the figures as SVG files [default: figures beside the page]
    #[arg(long, value_name = "FOLDER")]
    pub svg_dir: Option<PathBuf>,

    /// Write no SVG files
    #[arg(long, conflicts_with = "svg_dir")]
    pub no_svg: bool,

    /// Folder of the tables as CSV, Markdown and Parquet [default: tables beside the page]
    #[arg(long, visible_alias = "tables", value_name = "FOLDER")]
    pub table_dir: Option<PathBuf>,

    /// Write no table files
    #[arg(long, conflicts_with = "table_dir")]
    pub no_tables: bool,

    /// The run's folder, with its settings, curves and exchanges, where the archive lies elsewhere, as that of a generation
    #[arg(long, value_name = "FOLDER")]
    pub run: Option<PathBuf>,

    /// The search is still on: the page says so, and opens itself anew every half a minute
    #[arg(long)]
    pub live: bool,

    /// Write the curves as TensorBoard's event files into this folder, too: of the search by attempt, of each training by step
    #[arg(long, value_name = "FOLDER")]
    pub tensorboard: Option<PathBuf>,

    /// Write them as MLflow's file store into this folder, too, with the settings as parameters (mlflow ui
    /// --backend-store-uri FOLDER)
    #[arg(long, value_name = "FOLDER")]
    pub mlflow: Option<PathBuf>,

    /// Heading of the page
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,

    /// Rows in the tables of the best candidates
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = stage::args::count::<usize>, allow_negative_numbers = true)]
    pub top: usize,

    /// Method that the others are compared with [default: spark, else the first]
    #[arg(long, value_name = "METHOD")]
    pub baseline: Option<String>,

    /// Draw the literature's figures as reference lines; how they were made is not known, and they say little about ours
    #[arg(long)]
    pub published: bool,

    /// Print a summary as JSON on stdout
    #[arg(long)]
    pub json: bool,

    /// No messages, only errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// Where the page goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Stdout,
    File(PathBuf),
}

/// Everything that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub archives: Vec<PathBuf>,
    pub output: Output,
    pub svg_dir: Option<PathBuf>,
    pub table_dir: Option<PathBuf>,
    pub run: Option<PathBuf>,
    pub live: bool,
    pub tensorboard: Option<PathBuf>,
    pub mlflow: Option<PathBuf>,
    pub title: Option<String>,
    pub top: usize,
    pub published: bool,
    pub baseline: Option<String>,
    pub json: bool,
    pub quiet: bool,
}

impl Args {
    /// Checks the arguments, and finds the files that they mean.
    pub fn resolve(self) -> Result<Plan> {
        let mut archives: Vec<PathBuf> = Vec::new();
        for path in table::expand(&self.inputs)? {
            // two patterns may match the same archive
            if !archives.contains(&path) {
                archives.push(path);
            }
        }
        let output = match self.output {
            Some(path) if path == Path::new("-") => Output::Stdout,
            Some(path) => Output::File(path),
            None => Output::File(beside(&archives, "report.html")),
        };
        if self.json && output == Output::Stdout {
            return Err(Usage("--json and -o - would both write to stdout; give the page a file".into()).into());
        }
        if self.run.is_some() && archives.len() != 1 {
            return Err(Usage("--run is the folder of one archive's run; several archives are given".into()).into());
        }
        let folder = |asked: Option<PathBuf>, none: bool, name: &str| match (&output, asked) {
            _ if none => None,
            (_, Some(folder)) => Some(folder),
            (Output::File(page), None) if !page.starts_with("/dev") => Some(page.with_file_name(name)),
            _ => None,
        };
        Ok(Plan {
            svg_dir: folder(self.svg_dir, self.no_svg, "figures"),
            table_dir: folder(self.table_dir, self.no_tables, "tables"),
            tensorboard: self.tensorboard,
            mlflow: self.mlflow,
            archives,
            output,
            run: self.run,
            live: self.live,
            title: self.title,
            top: self.top,
            published: self.published,
            baseline: self.baseline,
            json: self.json,
            quiet: self.quiet,
        })
    }
}

fn beside(archives: &[PathBuf], name: &str) -> PathBuf {
    match archives {
        [archive] if archive != Path::new("-") => archive.with_file_name(name),
        _ => PathBuf::from(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arguments: &[&str]) -> Result<Plan> {
        Args::try_parse_from([&["report"], arguments].concat())?.resolve()
    }

    #[test]
    fn outputs_lie_beside_the_archive_unless_told() {
        let one = plan(&["runs/a/archive.parquet"]).expect("valid");
        assert_eq!(one.output, Output::File("runs/a/report.html".into()));
        assert_eq!(one.svg_dir, Some("runs/a/figures".into()));
        let two = plan(&["runs/a/archive.parquet", "runs/b/archive.parquet", "runs/a/archive.parquet"]).expect("valid");
        assert_eq!((two.archives.len(), two.output), (2, Output::File("report.html".into())));
        let stdout = plan(&["a.parquet", "-o", "-"]).expect("valid");
        assert_eq!((stdout.svg_dir, stdout.table_dir), (None, None));
        let none = plan(&["a.parquet", "--no-svg", "--table-dir", "t"]).expect("valid");
        assert_eq!((none.svg_dir, none.table_dir), (None, Some("t".into())));
    }

    #[test]
    fn contradictions_are_wrong_usage() {
        assert!(plan(&["a.parquet", "-o", "-", "--json"]).expect_err("both").is::<Usage>());
        assert!(plan(&["a.parquet", "--no-svg", "--svg-dir", "x"]).is_err());
        assert!(plan(&["a.parquet", "b.parquet", "--run", "x"]).expect_err("of which?").is::<Usage>());
    }
}
