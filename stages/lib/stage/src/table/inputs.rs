//! Which files the inputs of a stage mean.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use schemas::Candidate;

use super::{TableError, limits};

/// How a file is to be read, told by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns in binary form.
    Parquet,
    /// One JSON object a line.
    Jsonl,
    /// A candidate's source.
    Program,
}

impl Format {
    /// `-` is JSONL, and so are devices, which have no extension.
    pub fn of(path: &Path) -> Result<Self, TableError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => Ok(Format::Parquet),
            Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
            Some("py") => Ok(Format::Program),
            _ if path == Path::new("-") || path.starts_with("/dev") => Ok(Format::Jsonl),
            _ => Err(TableError::UnknownFormat { path: path.to_owned() }),
        }
    }
}

/// The files that the inputs mean: patterns are replaced by what they match, sorted. A file of that very name wins over
/// reading its name as a pattern.
pub fn expand(inputs: &[String]) -> Result<Vec<PathBuf>, TableError> {
    let mut paths = Vec::new();
    for input in inputs {
        let path = PathBuf::from(input);
        if input == "-" {
            if std::io::stdin().is_terminal() {
                return Err(TableError::Terminal);
            }
            paths.push(path);
        } else if path.exists() || !input.contains(['*', '?', '[']) {
            paths.push(path);
        } else {
            let before = paths.len();
            let matches = glob::glob(input)
                .map_err(|error| TableError::BadPattern { pattern: input.clone(), reason: error.to_string() })?;
            for path in matches {
                paths.push(path.map_err(|error| TableError::Io {
                    path: error.path().to_owned(),
                    source: std::io::Error::from(error.error().kind()),
                })?);
            }
            if paths.len() == before {
                return Err(TableError::NoMatch { pattern: input.clone() });
            }
        }
    }
    Ok(paths)
}

/// The row of a program that was given as a file, the `slot`-th input.
pub(super) fn program(path: &Path, slot: usize) -> Result<Candidate, TableError> {
    let fail = |source| TableError::Io { path: path.to_owned(), source };
    let mut source = String::new();
    let file = std::fs::File::open(path).map_err(fail)?;
    file.take(limits::CELL as u64 + 1).read_to_string(&mut source).map_err(fail)?;
    limits::within(source.len(), limits::CELL, path, "", "or more bytes")?;
    Ok(Candidate {
        run: "-".into(),
        method: "-".into(),
        proposer: "file".into(),
        slot: slot as i64,
        attempt: slot as i64,
        edit: path.file_name().map(|name| name.to_string_lossy().into_owned()),
        source,
        ..Candidate::default()
    })
}
