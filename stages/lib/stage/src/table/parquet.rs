//! Tables as Parquet files.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue};
use parquet::file::properties::WriterProperties;
use schemas::{Column, Kind, Table};

use super::convert::{Found, convert};
use super::fill;
use super::records::{Records, finite, metadata};
use super::{Extra, Provenance, TableError, footer, limits};

pub(super) fn read<T: Table>(path: &Path) -> Result<Records<T>, TableError> {
    // The reader of pages panics on some that are broken. Nothing that it leaves half done is looked at again.
    std::panic::catch_unwind(|| unpack(path)).unwrap_or_else(|_| {
        let reason = "its pages are not what they say they are".to_owned();
        Err(TableError::BrokenParquet { path: path.to_owned(), reason })
    })
}

fn unpack<T: Table>(path: &Path) -> Result<Records<T>, TableError> {
    let broken =
        |error: &dyn std::fmt::Display| TableError::BrokenParquet { path: path.to_owned(), reason: error.to_string() };
    let mut file = File::open(path).map_err(|source| TableError::Io { path: path.to_owned(), source })?;
    footer::check(&mut file, path)?;
    let size = file.metadata().map_err(|source| TableError::Io { path: path.to_owned(), source })?.len();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| broken(&error))?;
    check_version(&builder, path)?;
    let outside =
        builder.metadata().row_groups().iter().flat_map(|group| group.columns()).find(|c| !lies_within(c, size));
    if let Some(chunk) = outside {
        let name = chunk.column_path().string();
        return Err(broken(&format!(
            "the column {name} does not lie within the file, by what the file says of itself"
        )));
    }
    let reader = sized(builder, path)?.build().map_err(|error| broken(&error))?;
    let mut rows = Vec::new();
    let mut bytes = 0_usize;
    for batch in reader {
        let batch = batch.map_err(|error| broken(&error))?;
        limits::within(rows.len() + batch.num_rows(), limits::ROWS, path, "", "rows")?;
        limits::cells(&batch, path, rows.len())?;
        let known = known_columns::<T>(&batch, path, rows.len())?;
        limits::cells(&known, path, rows.len())?;
        bytes = bytes.saturating_add(batch.get_array_memory_size().max(known.get_array_memory_size()));
        limits::within(bytes, limits::TABLE, path, "", "bytes when unpacked")?;
        let parsed: Vec<T> = serde_arrow::from_record_batch(&known).map_err(|error| broken(&error))?;
        let own = |name: &str| T::column(name).is_none() && !row_labels(name);
        let unknown: Vec<usize> = (0..batch.num_columns()).filter(|&i| own(batch.schema().field(i).name())).collect();
        let unknown = Arc::new(batch.project(&unknown).map_err(|error| broken(&error))?);
        rows.extend(parsed.into_iter().enumerate().map(|(row, known)| (known, Extra::arrow(&unknown, row))));
    }
    Ok(Records { rows })
}

/// Whether a column's pages lie within the file. The reader takes that for granted, and panics where a footer lies.
fn lies_within(chunk: &ColumnChunkMetaData, size: u64) -> bool {
    let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
    let end = u64::try_from(start).ok().zip(u64::try_from(chunk.compressed_size()).ok());
    let end = end.and_then(|(start, length)| start.checked_add(length));
    chunk.data_page_offset() >= 0 && end.is_some_and(|end| end <= size)
}

/// Refuses what is too large by its own description, and decodes few rows at once where single values may be large.
fn sized(
    builder: ParquetRecordBatchReaderBuilder<File>,
    path: &Path,
) -> Result<ParquetRecordBatchReaderBuilder<File>, TableError> {
    let metadata = builder.metadata();
    // A negative count is nonsense, and taken for one that is too large.
    let count = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
    limits::within(builder.parquet_schema().num_columns(), limits::COLUMNS, path, "", "columns")?;
    limits::within(count(metadata.file_metadata().num_rows()), limits::ROWS, path, "", "rows")?;
    let chunks = || metadata.row_groups().iter().flat_map(|group| group.columns());
    let values = chunks().map(|chunk| count(chunk.num_values())).max().unwrap_or(0);
    limits::within(values, limits::ROWS * 64, path, "", "values in one column")?;
    let largest = chunks().map(|chunk| count(chunk.uncompressed_size())).max().unwrap_or(0);
    Ok(builder.with_batch_size(limits::batch_rows(largest)))
}

fn check_version(builder: &ParquetRecordBatchReaderBuilder<File>, path: &Path) -> Result<(), TableError> {
    let entries = builder.metadata().file_metadata().key_value_metadata();
    let found = entries.into_iter().flatten().find(|entry| entry.key == "emberline.schema_version");
    match found.and_then(|entry| entry.value.clone()) {
        Some(found) if !schemas::READABLE_VERSIONS.contains(&found.as_str()) => {
            Err(TableError::Version { path: path.to_owned(), found })
        }
        _ => Ok(()),
    }
}

/// The columns of the schema in our types. `before`: rows of the file before this batch.
fn known_columns<T: Table>(batch: &RecordBatch, path: &Path, before: usize) -> Result<RecordBatch, TableError> {
    let absent = |column: &&'static Column| {
        column.required && column.fill.is_none() && batch.column_by_name(column.name).is_none()
    };
    let columns: Vec<_> = T::COLUMNS.iter().filter(absent).collect();
    if !columns.is_empty() {
        return Err(TableError::MissingColumns { path: path.to_owned(), place: String::new(), columns });
    }
    let schema = schemas::arrow_schema::<T>();
    let mut columns = Vec::with_capacity(T::COLUMNS.len());
    for (column, field) in T::COLUMNS.iter().zip(schema.fields()) {
        let array = match batch.column_by_name(column.name) {
            Some(found) => known(found, column, field.data_type(), path, before)?,
            None => new_null_array(field.data_type(), batch.num_rows()),
        };
        let array = fill::array(array, column, before);
        if column.required && array.null_count() > 0 {
            let row = (0..array.len()).find(|&row| array.is_null(row)).unwrap_or(0);
            let (path, column) = (path.to_owned(), column.name.to_owned());
            return Err(TableError::MissingValue { path, row: before + row + 1, column });
        }
        finite(field, &array, path, before)?;
        columns.push(array);
    }
    RecordBatch::try_new(Arc::new(schema), columns)
        .map_err(|error| TableError::BrokenParquet { path: path.to_owned(), reason: error.to_string() })
}

/// A column in its type, its names known.
fn known(
    found: &ArrayRef,
    column: &Column,
    wanted: &DataType,
    path: &Path,
    before: usize,
) -> Result<ArrayRef, TableError> {
    let array = convert(found, wanted).map_err(|misfit| {
        let (path, name) = (path.to_owned(), format!("{}{}", column.name, misfit.at));
        let place = misfit.row.map_or_else(String::new, |row| format!("row {}: ", before + row + 1));
        match misfit.found {
            Found::Nothing => {
                TableError::MissingValue { path, row: before + misfit.row.unwrap_or(0) + 1, column: name }
            }
            Found::Other(found) => {
                TableError::BadValue { path, place, column: name, expected: column.kind.to_string(), found }
            }
        }
    })?;
    let named = |value: &str| match column.kind {
        Kind::Enum(names) => names.contains(&value),
        Kind::Factor => schemas::Factor::parse(value).is_some(),
        _ => true,
    };
    if matches!(column.kind, Kind::Enum(_) | Kind::Factor) {
        let unknown = |value: Option<&str>| value.filter(|value| !named(value)).map(str::to_owned);
        if let Some((row, value)) =
            array.as_string::<i32>().iter().enumerate().find_map(|(row, value)| Some((row, unknown(value)?)))
        {
            return Err(TableError::BadValue {
                path: path.to_owned(),
                place: format!("row {}: ", before + row + 1),
                column: column.name.to_owned(),
                expected: column.kind.to_string(),
                found: format!("`{value}`"),
            });
        }
    }
    Ok(array)
}

/// Labels of rows that pandas writes beside its columns: no data of anybody's.
fn row_labels(name: &str) -> bool {
    let number = name.strip_prefix("__index_level_").and_then(|rest| rest.strip_suffix("__"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(super) fn write(
    batch: &RecordBatch,
    path: &Path,
    name: &str,
    provenance: Option<&Provenance>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut entries: Vec<_> = metadata().into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
    if let Some(provenance) = provenance {
        entries.extend(provenance.entries()?);
    }
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(format!("emberline {}", crate::VERSION))
        .set_key_value_metadata(Some(entries))
        .build();
    let context = || format!("{}: cannot write the {name} table", path.display());
    let mut buffer = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut buffer, batch.schema(), Some(properties)).with_context(context)?;
    writer.write(batch).with_context(context)?;
    writer.close().with_context(context)?;
    out.write_all(&buffer)?;
    Ok(())
}
