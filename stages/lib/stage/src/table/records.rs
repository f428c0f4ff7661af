//! Rows of any of our tables, in either format.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field};
use schemas::Table;

use super::{Extra, Format, Provenance, TableError, extra, jsonl, parquet};
use crate::{atomic, terminal};

/// The rows of one file, each with the columns that the schema does not know.
#[derive(Clone, Debug)]
pub struct Records<T> {
    /// Each row with its further columns, in the order of the file.
    pub rows: Vec<(T, Extra)>,
}

/// Reads one table of this type.
pub fn read_records<T: Table>(path: &Path) -> Result<Records<T>, TableError> {
    match Format::of(path)? {
        Format::Parquet => parquet::read(path),
        Format::Jsonl => jsonl::read(path),
        Format::Program => Err(TableError::NoPrograms { path: path.to_owned() }),
    }
}

/// Writes rows as a table. `volatile`: whether to keep the columns whose values differ from run to run.
pub fn write_records<'a, T: Table + 'a>(
    rows: impl Iterator<Item = (&'a T, &'a Extra)>,
    path: &Path,
    volatile: bool,
) -> Result<()> {
    write_records_from(rows, path, volatile, None)
}

/// As [`write_records`], with what the table was made from in its metadata, where the format has any.
pub fn write_records_from<'a, T: Table + 'a>(
    rows: impl Iterator<Item = (&'a T, &'a Extra)>,
    path: &Path,
    volatile: bool,
    provenance: Option<&Provenance>,
) -> Result<()> {
    let (rows, extras): (Vec<&T>, Vec<&Extra>) = rows.unzip();
    let known = known_columns(&rows, path, volatile)?;
    match Format::of(path)? {
        Format::Parquet => {
            let batch = extra::append(known, &extras, path)?;
            atomic::write(path, |out| parquet::write(&batch, path, T::NAME, provenance, out))?;
        }
        Format::Jsonl if path == Path::new("-") => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            if io::stdout().is_terminal() {
                let mut text = Vec::new();
                jsonl::write(&rows, &extras, volatile, path, &mut text)?;
                out.write_all(terminal::json(&String::from_utf8_lossy(&text)).as_bytes())?;
            } else {
                jsonl::write(&rows, &extras, volatile, path, &mut out)?;
            }
            out.flush()?;
        }
        Format::Jsonl => atomic::write(path, |out| jsonl::write(&rows, &extras, volatile, path, out))?,
        Format::Program => return Err(TableError::UnknownFormat { path: path.to_owned() }.into()),
    }
    Ok(())
}

/// The columns of the schema as Arrow arrays, all of them finite.
fn known_columns<T: Table>(rows: &[&T], path: &Path, volatile: bool) -> Result<RecordBatch, TableError> {
    let encode =
        |error: &dyn std::fmt::Display| TableError::Encode { path: path.to_owned(), reason: error.to_string() };
    let schema = schemas::arrow_schema::<T>();
    let batch = serde_arrow::to_record_batch(schema.fields(), &rows).map_err(|error| encode(&error))?;
    // serde_arrow's own schema may differ in metadata; ours is the one that is stored.
    let batch = RecordBatch::try_new(Arc::new(schema), batch.columns().to_vec()).map_err(|error| encode(&error))?;
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        finite(field, column, path, 0)?;
    }
    if volatile {
        return Ok(batch);
    }
    let kept: Vec<usize> = (0..T::COLUMNS.len()).filter(|&i| !T::COLUMNS[i].volatile).collect();
    batch.project(&kept).map_err(|error| encode(&error))
}

/// A number that is not finite would be read back differently from the two formats, and must never look like a result. `before`:
/// rows of the file before these.
pub(super) fn finite(field: &Field, column: &dyn Array, path: &Path, before: usize) -> Result<(), TableError> {
    let bad = |row: usize, value: f64| TableError::NotFinite {
        path: path.to_owned(),
        row: before + row + 1,
        column: field.name().clone(),
        value,
    };
    match column.data_type() {
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            let found = values.iter().enumerate().find_map(|(row, x)| Some((row, x.filter(|x| !x.is_finite())?)));
            found.map_or(Ok(()), |(row, value)| Err(bad(row, value)))
        }
        DataType::List(of) if *of.data_type() == DataType::Float64 => {
            for (row, list) in column.as_list::<i32>().iter().enumerate() {
                let Some(list) = list else { continue };
                if let Some(value) = list.as_primitive::<Float64Type>().iter().flatten().find(|x| !x.is_finite()) {
                    return Err(bad(row, value));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The metadata of everything that we write.
pub(super) fn metadata() -> Vec<(String, String)> {
    let entry = |key: &str, value: String| (format!("emberline.{key}"), value);
    vec![
        entry("schema_version", schemas::SCHEMA_VERSION.into()),
        entry("version", crate::VERSION.into()),
        entry("command", command()),
    ]
}

/// The command line, as a shell would take it, without the folders of its paths: tables of equal runs are equal
/// wherever those runs lie.
fn command() -> String {
    let words = std::env::args_os().map(|word| {
        let word = word.to_string_lossy();
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (format!("{flag}="), value),
            None => (String::new(), word.as_ref()),
        };
        let value = Path::new(value).file_name().map_or(value.to_owned(), |name| name.to_string_lossy().into_owned());
        let word = flag + &value;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=,:@+%".contains(c);
        if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
    });
    words.collect::<Vec<_>>().join(" ")
}
