//! Tables of candidates: read from Parquet, JSONL or program files, written as Parquet or JSONL.
//!
//! Columns that the schema knows are checked on the way in, so that a stage works on typed rows; columns that it does not
//! know are carried along as they are. What is written appears whole or not at all.

mod convert;
mod error;
mod extra;
mod fill;
mod footer;
mod inputs;
mod jsonl;
pub mod limits;
mod parquet;
mod plain;
mod provenance;
mod records;
mod side;

use std::path::{Path, PathBuf};

use anyhow::Result;
use schemas::Candidate;

pub use error::TableError;
pub use extra::Extra;
pub use inputs::{Format, expand};
pub use plain::{Values, write_columns};
pub use provenance::{Input, Provenance, digest, digest_of_text};
pub use records::{Records, read_records, write_records, write_records_from};
pub use side::side_tables;

/// One candidate, and the columns of its row that are not ours.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The columns of the schema.
    pub candidate: Candidate,
    /// All others, which are carried along.
    pub extra: Extra,
}

impl From<Candidate> for Row {
    fn from(candidate: Candidate) -> Self {
        Self { candidate, extra: Extra::default() }
    }
}

/// Rows in order.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The rows, in the order of the file.
    pub rows: Vec<Row>,
}

impl FromIterator<Row> for Table {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Self {
        Self { rows: rows.into_iter().collect() }
    }
}

impl Table {
    /// The rows without the columns of others.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.rows.iter().map(|row| &row.candidate)
    }
}

/// Reads tables, one after the other: paths (`.parquet`, `.jsonl`), patterns, or `-` for JSONL on stdin.
pub fn read(inputs: &[String]) -> Result<Table, TableError> {
    read_all(inputs, false)
}

/// As [`read`]; a `.py` file is a row with status `proposed`, proposer `file`, and the file's name as its `edit`.
pub fn read_with_programs(inputs: &[String]) -> Result<Table, TableError> {
    read_all(inputs, true)
}

fn read_all(inputs: &[String], programs: bool) -> Result<Table, TableError> {
    let mut table = Table::default();
    let mut last = PathBuf::from("-");
    for path in expand(inputs)? {
        if Format::of(&path)? == Format::Program {
            if !programs {
                return Err(TableError::NoPrograms { path });
            }
            table.rows.push(inputs::program(&path, table.rows.len())?.into());
        } else {
            let records = read_records::<Candidate>(&path)?;
            table.rows.extend(records.rows.into_iter().map(|(candidate, extra)| Row { candidate, extra }));
        }
        limits::within(table.rows.len(), limits::ROWS, &path, "with the inputs before it ", "rows")?;
        last = path;
    }
    // Each row has few columns, but all together they become the columns of one table.
    let names = extra::names(table.rows.iter().map(|row| &row.extra)).len();
    limits::within(names, limits::COLUMNS, &last, "with the inputs before it ", "unknown columns")?;
    Ok(table)
}

/// Checks that a table can be written there, before the work is done: a known format, a folder that exists and takes
/// files.
pub fn check_output(path: &Path) -> Result<(), TableError> {
    if path != Path::new("-") && Format::of(path)? == Format::Program {
        return Err(TableError::UnknownFormat { path: path.to_owned() });
    }
    check_file(path)
}

/// Checks that a file of any kind can be written there; `-` is stdout.
pub fn check_file(path: &Path) -> Result<(), TableError> {
    let fail = |reason: String| Err(TableError::Output { path: path.to_owned(), reason });
    if path == Path::new("-") {
        return Ok(());
    }
    match std::fs::metadata(path) {
        Ok(there) if there.is_dir() => return fail("it is a folder".into()),
        // Devices and pipes are written to directly.
        Ok(there) if !there.is_file() => return Ok(()),
        _ => {}
    }
    let folder = crate::atomic::folder_of(path);
    match tempfile::tempfile_in(folder) {
        Ok(_) => Ok(()),
        Err(_) if !folder.is_dir() => fail(format!("there is no folder {}", folder.display())),
        Err(error) => fail(format!("nothing can be written into its folder ({error})")),
    }
}

/// Checks that files can be written into a folder, which may have to be made.
pub fn check_folder(folder: &Path) -> Result<(), TableError> {
    let fail = |reason: String| Err(TableError::Output { path: folder.to_owned(), reason });
    let there = folder.ancestors().find(|path| path.exists()).filter(|path| !path.as_os_str().is_empty());
    let there = there.unwrap_or(Path::new("."));
    if !there.is_dir() {
        return fail(format!("{} is no folder", there.display()));
    }
    match tempfile::tempfile_in(there) {
        Ok(_) => Ok(()),
        Err(error) => fail(format!("nothing can be written into {} ({error})", there.display())),
    }
}

/// Writes a table, its format given by the extension, `-` being JSONL on stdout.
pub fn write(table: &Table, path: &Path) -> Result<()> {
    write_with(table, path, true, None)
}

/// As [`write()`], with what the table was made from in its metadata.
pub fn write_from(table: &Table, path: &Path, provenance: &Provenance) -> Result<()> {
    write_with(table, path, true, Some(provenance))
}

/// As [`write_from`], without the columns whose values differ from run to run: for tables that must be equal byte for
/// byte.
pub fn write_reproducible(table: &Table, path: &Path, provenance: &Provenance) -> Result<()> {
    write_with(table, path, false, Some(provenance))
}

fn write_with(table: &Table, path: &Path, volatile: bool, provenance: Option<&Provenance>) -> Result<()> {
    let rows = table.rows.iter().map(|row| (&row.candidate, &row.extra));
    write_records_from(rows, path, volatile, provenance)
}
