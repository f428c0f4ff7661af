//! The command line of `check`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schemas::{Candidate, Factor};
use stage::config::Config;
use stage::{Common, Table, TableArgs, Usage, table};

use crate::{Known, Show};

const EXAMPLES: &str = "\
Cost: milliseconds a program; memory for the whole table. Nothing is trained, and no Python is run.

Examples:
  check my_idea.py                                  what is wrong with it, and where
  check --explain my_idea.py                        what each line costs
  check --rule E-SHAPE-VIEW                         what a diagnostic means; check --rule lists all
  check --parent data/seed_pgn.py --factor ACTION my_edit.py
  propose --n 20 | check - | jq -r .status
  check --known runs/a/archive.parquet proposed.parquet -o checked.parquet

Exit codes: 0 done, whatever the verdicts in a table; 1 failed, or a .py file was rejected; 2 wrong usage.";

/// Checks candidate programs and adds verdict, diagnostics, locality, costs and duplicates to their rows.
///
/// A program that is accepted here can be trained: it is right for any batch and any number of nodes from 2. A program
/// that is not gets diagnostics with line and column; its row stays in the table with status `rejected`.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "check", version = stage::version(), after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub table: TableArgs,

    /// A table of earlier candidates (patterns allowed; may be repeated): equal graphs are marked as duplicates
    #[arg(long, value_name = "TABLE")]
    pub known: Vec<String>,

    /// Program that the given .py files were made from: their edit is checked for locality
    #[arg(long, value_name = "PROGRAM.py")]
    pub parent: Option<PathBuf>,

    /// The factor that the edit was to change: OPERATOR, ACTION, or any other that the parent marks; without it, all regions
    /// are open
    #[arg(long, value_name = "NAME", requires = "parent")]
    pub factor: Option<Factor>,

    /// Accept edits that reach beyond their factor, and only count them
    #[arg(long)]
    pub allow_entangled: bool,

    /// text: for people; rows: a table [default: text for .py files on a terminal, else rows]
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    pub format: Option<Format>,

    /// The same as --format rows
    #[arg(long)]
    pub json: bool,

    /// Show what each line of the program costs
    #[arg(long, conflicts_with_all = ["json", "format"])]
    pub explain: bool,

    /// Print the page of a rule, such as E-SHAPE-VIEW: what it says, why, and an example; without one, the list of all rules; and
    /// stop
    #[arg(long, value_name = "RULE", num_args = 0..=1, default_missing_value = "")]
    pub rule: Option<String>,

    /// Print the language that programs are written in, and stop
    #[arg(long)]
    pub language: bool,

    #[command(flatten)]
    pub common: Common,
}

/// What the output is for.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Rows,
}

impl Args {
    /// The settings in force; `None` when they were only to be printed.
    pub fn config(&self) -> Result<Option<Config>> {
        let allow = self.allow_entangled.then(|| ("--allow-entangled", "propose.entangled", "\"allow\"".to_owned()));
        self.common.config(&Vec::from_iter(allow))
    }

    /// Whether all inputs are programs given by hand.
    pub fn programs(&self) -> bool {
        self.table.inputs.iter().all(|input| input.ends_with(".py"))
    }

    /// Whether people are to read the output.
    pub fn text(&self) -> bool {
        let terminal = self.table.output == Path::new("-") && std::io::stdout().is_terminal();
        match self.format {
            Some(format) => format == Format::Text,
            None => self.explain || (!self.json && self.programs() && terminal),
        }
    }

    /// What people are to be shown of a candidate.
    pub fn show(&self, candidate: &Candidate) -> Option<Show> {
        let name = candidate.edit.as_deref().filter(|_| self.programs()).unwrap_or(&candidate.candidate_id);
        let color = std::io::stdout().is_terminal();
        self.text().then(|| Show { name: name.to_owned(), color, costs: self.explain })
    }

    /// The rows to check; with `--parent`, each with its parent.
    pub fn read(&self) -> Result<Table> {
        let mut table = self.table.read_with_programs()?;
        let Some(path) = &self.parent else { return Ok(table) };
        if !self.programs() {
            return Err(Usage("--parent goes with .py files; rows of a table name their own parent".into()).into());
        }
        let parent = stage::files::read_text(path).with_context(|| format!("{}: cannot read", path.display()))?;
        let marked = program::regions::factors(&parent);
        if let Some(factor) = self.factor.filter(|factor| !marked.is_empty() && !marked.contains(factor)) {
            let (path, names) = (path.display(), program::regions::names(&marked));
            return Err(Usage(format!("--factor {factor}: {path} has no such region; its factors are {names}")).into());
        }
        for row in &mut table.rows {
            row.candidate.parent_id = Some(program::candidate_id(&parent));
            row.candidate.parent_source = Some(parent.clone());
            row.candidate.factor = self.factor;
        }
        Ok(table)
    }

    /// What was seen before.
    pub fn known(&self) -> Result<Known> {
        let mut known = Known::default();
        if !self.known.is_empty() {
            table::read(&self.known)?.candidates().for_each(|candidate| known.add(candidate));
        }
        Ok(known)
    }
}
