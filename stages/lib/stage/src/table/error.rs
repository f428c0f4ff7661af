//! What can be wrong with a table: each message names the file, and the row and column where there is one.

use std::io;
use std::path::{Path, PathBuf};

/// Why a table cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{}: cannot read", name(path))]
    Io { path: PathBuf, source: io::Error },

    #[error("no file matches {pattern}")]
    NoMatch { pattern: String },

    #[error("{pattern}: not a pattern: {reason}")]
    BadPattern { pattern: String, reason: String },

    #[error("{}: {}", name(path), unknown_format(path))]
    UnknownFormat { path: PathBuf },

    #[error("{}: this stage takes tables, not programs: pass it through `check` first", name(path))]
    NoPrograms { path: PathBuf },

    #[error("stdin is a terminal: name a table, or pipe JSONL into this stage")]
    Terminal,

    #[error("{}: not a readable Parquet file: {reason}", name(path))]
    BrokenParquet { path: PathBuf, reason: String },

    #[error("{}: line {line}: not a JSON object: {reason}{}", name(path), if *last { " (it is the last line: the file may be cut short)" } else { "" })]
    BrokenLine { path: PathBuf, line: usize, reason: String, last: bool },

    #[error("{}: {place}{}", name(path), missing(columns))]
    MissingColumns { path: PathBuf, place: String, columns: Vec<&'static schemas::Column> },

    #[error("{}: row {row}: column {column}: no value", name(path))]
    MissingValue { path: PathBuf, row: usize, column: String },

    #[error("{}: {place}column {column}: expected {expected}, found {found}", name(path))]
    BadValue { path: PathBuf, place: String, column: String, expected: String, found: String },

    #[error("{}: schema version {found}, but this program reads version {}", name(path), schemas::SCHEMA_VERSION)]
    Version { path: PathBuf, found: String },

    #[error("{}: row {row}: column {column}: {value} is not a value that a table may hold", name(path))]
    NotFinite { path: PathBuf, row: usize, column: String, value: f64 },

    #[error(
        "{}: {place}{found} {what}, and at most {limit} are read: split the table, or leave out what no stage needs",
        name(path)
    )]
    TooLarge { path: PathBuf, place: String, what: &'static str, found: usize, limit: usize },

    #[error("{}: {reason}: choose another -o", name(path))]
    Output { path: PathBuf, reason: String },

    #[error("{}: column {column}: {reason}", name(path))]
    Extra { path: PathBuf, column: String, reason: String },

    #[error("{}: {reason}", name(path))]
    Encode { path: PathBuf, reason: String },

    #[error(transparent)]
    Write(#[from] crate::atomic::WriteError),
}

/// What to do about a file of another format.
fn unknown_format(path: &Path) -> &'static str {
    let extension =
        path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "csv" | "tsv" | "xls" | "xlsx" | "ods" => {
            "no table of ours fits into such a file: it has neither lists nor types, nor does it tell nulls from empty texts; take \
             .parquet or .jsonl (in pandas df.to_parquet, in polars df.write_parquet, in DuckDB copy ... to 'x.parquet')"
        }
        "json" => {
            "tables are JSON objects, one a line: name it .jsonl (in pandas df.to_json(orient='records', lines=True))"
        }
        "arrow" | "feather" | "ipc" | "avro" | "orc" => {
            "it is of a format that is not read or written: take .parquet or .jsonl"
        }
        _ => "cannot tell its format: name it .parquet or .jsonl (or .py for a program)",
    }
}

fn missing(columns: &[&schemas::Column]) -> String {
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    let stage = columns.first().map_or("propose", |column| column.stage.as_str());
    let (s, are, them) = if names.len() == 1 { ("", "is", "it") } else { ("s", "are", "them") };
    if names == ["source"] {
        return "column source is missing: the text of a program is what a row must have, and all that it must have"
            .into();
    }
    format!("column{s} {} {are} missing: the {stage} stage makes {them}", names.join(", "))
}

/// A file as messages call it.
pub(super) fn name(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() }
}
