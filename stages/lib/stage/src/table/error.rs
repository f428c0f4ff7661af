//! What can be wrong with a table: each message names the file, and the row and column where there is one.

use std::io;
use std::path::{Path, PathBuf};

/// Why a table cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A file cannot be read.
    #[error("{}: cannot read", name(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },

    /// No file has a name of this pattern.
    #[error("no file matches {pattern}")]
    NoMatch {
        /// The pattern, as it was given.
        pattern: String,
    },

    /// A pattern cannot be read.
    #[error("{pattern}: not a pattern: {reason}")]
    BadPattern {
        /// The pattern, as it was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The extension of a file tells no format of tables.
    #[error("{}: {}", name(path), unknown_format(path))]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },

    /// A program is given to a stage that takes tables alone.
    #[error("{}: this stage takes tables, not programs: pass it through `check` first", name(path))]
    NoPrograms {
        /// The file.
        path: PathBuf,
    },

    /// Nothing is given, and nobody pipes anything.
    #[error("stdin is a terminal: name a table, or pipe JSONL into this stage")]
    Terminal,

    /// A file is not Parquet, or is damaged.
    #[error("{}: not a readable Parquet file: {reason}", name(path))]
    BrokenParquet {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },

    /// A line of JSONL is not an object.
    #[error("{}: line {line}: not a JSON object: {reason}{}", name(path), if *last { " (it is the last line: the file may be cut short)" } else { "" })]
    BrokenLine {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What the parser says.
        reason: String,
        /// Whether it is the last line of the file.
        last: bool,
    },

    /// Columns that a stage cannot do without are missing.
    #[error("{}: {place}{}", name(path), missing(columns))]
    MissingColumns {
        /// The file.
        path: PathBuf,
        /// The beginning of the message: the row, where one is meant; else empty.
        place: String,
        /// The columns.
        columns: Vec<&'static schemas::Column>,
    },

    /// A column that must have a value has none.
    #[error("{}: row {row}: column {column}: no value", name(path))]
    MissingValue {
        /// The file.
        path: PathBuf,
        /// Number of the row, from 1.
        row: usize,
        /// Name of the column.
        column: String,
    },

    /// A value is not of its column's type.
    #[error("{}: {place}column {column}: expected {expected}, found {found}", name(path))]
    BadValue {
        /// The file.
        path: PathBuf,
        /// The beginning of the message: the row, where one is meant; else empty.
        place: String,
        /// Name of the column.
        column: String,
        /// The column's type, in words.
        expected: String,
        /// What there is, in words.
        found: String,
    },

    /// The file was written with another version of the schema.
    #[error("{}: schema version {found}, but this program reads version {}", name(path), schemas::SCHEMA_VERSION)]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },

    /// A number is infinite or NaN.
    #[error("{}: row {row}: column {column}: {value} is not a value that a table may hold", name(path))]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Number of the row, from 1.
        row: usize,
        /// Name of the column.
        column: String,
        /// The number.
        value: f64,
    },

    /// A file, or something in it, is larger than what is read.
    #[error(
        "{}: {place}{found} {what}, and at most {limit} are read: split the table, or leave out what no stage needs",
        name(path)
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The beginning of the message: the row, where one is meant; else empty.
        place: String,
        /// What is counted, such as `rows`.
        what: &'static str,
        /// How much of it there is.
        found: usize,
        /// How much is read at most.
        limit: usize,
    },

    /// A table cannot be written to where it is wanted.
    #[error("{}: {reason}: choose another -o", name(path))]
    Output {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },

    /// A column that we do not know cannot be carried along.
    #[error("{}: column {column}: {reason}", name(path))]
    Extra {
        /// The file that is written.
        path: PathBuf,
        /// Name of the column.
        column: String,
        /// Why not.
        reason: String,
    },

    /// Rows cannot be put into the file's format.
    #[error("{}: {reason}", name(path))]
    Encode {
        /// The file that is written.
        path: PathBuf,
        /// What the writer says.
        reason: String,
    },

    /// The file cannot be written.
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
