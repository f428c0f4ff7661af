//! What can be wrong with a table: each message names the file, and the row and column where there is one.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{}: cannot read", path.display())]
    Io { path: PathBuf, source: io::Error },

    #[error("no file matches {pattern}")]
    NoMatch { pattern: String },

    #[error("{pattern}: not a pattern: {reason}")]
    BadPattern { pattern: String, reason: String },

    #[error("{}: cannot tell its format: name it .parquet or .jsonl (or .py for a program)", path.display())]
    UnknownFormat { path: PathBuf },

    #[error("{}: this stage takes tables, not programs: pass it through `check` first", path.display())]
    NoPrograms { path: PathBuf },

    #[error("stdin is a terminal: name a table, or pipe JSONL into this stage")]
    Terminal,

    #[error("{}: not a readable Parquet file: {reason}", path.display())]
    BrokenParquet { path: PathBuf, reason: String },

    #[error("{}: line {line}: not a JSON object: {reason}{}", path.display(), if *last { " (it is the last line: the file may be cut short)" } else { "" })]
    BrokenLine { path: PathBuf, line: usize, reason: String, last: bool },

    #[error("{}: {place}{}", path.display(), missing(columns))]
    MissingColumns { path: PathBuf, place: String, columns: Vec<&'static schemas::Column> },

    #[error("{}: row {row}: column {column}: no value", path.display())]
    MissingValue { path: PathBuf, row: usize, column: String },

    #[error("{}: {place}column {column}: expected {expected}, found {found}", path.display())]
    BadValue { path: PathBuf, place: String, column: String, expected: String, found: String },

    #[error("{}: schema version {found}, but this program reads version {}", path.display(), schemas::SCHEMA_VERSION)]
    Version { path: PathBuf, found: String },

    #[error("{}: row {row}: column {column}: {value} is not a value that a table may hold", path.display())]
    NotFinite { path: PathBuf, row: usize, column: String, value: f64 },

    #[error("{}: column {column}: {reason}", path.display())]
    Extra { path: PathBuf, column: String, reason: String },

    #[error("{}: {reason}", path.display())]
    Encode { path: PathBuf, reason: String },

    #[error(transparent)]
    Write(#[from] crate::atomic::WriteError),
}

fn missing(columns: &[&schemas::Column]) -> String {
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    let stage = columns.first().map_or("propose", |column| column.stage.as_str());
    let (s, are, them) = if names.len() == 1 { ("", "is", "it") } else { ("s", "are", "them") };
    format!("column{s} {} {are} missing: the {stage} stage makes {them}", names.join(", "))
}
