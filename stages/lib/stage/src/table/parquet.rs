//! Tables as Parquet files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue};
use parquet::file::properties::WriterProperties;
use schemas::{Column, Kind, Table};

use super::records::{Records, finite, metadata};
use super::{Extra, Provenance, TableError, limits};

pub(super) fn read<T: Table>(path: &Path) -> Result<Records<T>, TableError> {
    let broken =
        |error: &dyn std::fmt::Display| TableError::BrokenParquet { path: path.to_owned(), reason: error.to_string() };
    let file = File::open(path).map_err(|source| TableError::Io { path: path.to_owned(), source })?;
    let footer = footer_length(&file).map_err(|source| TableError::Io { path: path.to_owned(), source })?;
    limits::within(footer, limits::FOOTER, path, "", "bytes of description")?;
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
        let unknown: Vec<usize> =
            (0..batch.num_columns()).filter(|&i| T::column(batch.schema().field(i).name()).is_none()).collect();
        let unknown = Arc::new(batch.project(&unknown).map_err(|error| broken(&error))?);
        rows.extend(parsed.into_iter().enumerate().map(|(row, known)| (known, Extra::arrow(&unknown, row))));
    }
    Ok(Records { rows })
}

/// Bytes of the part that describes the file, as the file says at its end; 0 where it is no Parquet file.
fn footer_length(mut file: &File) -> io::Result<usize> {
    let size = file.metadata()?.len();
    if size < 12 {
        return Ok(0);
    }
    file.seek(SeekFrom::End(-8))?;
    let mut end = [0; 8];
    file.read_exact(&mut end)?;
    file.rewind()?;
    let [a, b, c, d, magic @ ..] = end;
    let length = u32::from_le_bytes([a, b, c, d]);
    // A length beyond the file is no description: the reader says so.
    Ok(if magic == *b"PAR1" && u64::from(length) < size { length as usize } else { 0 })
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
    let absent = |column: &&'static Column| column.required && batch.column_by_name(column.name).is_none();
    let columns: Vec<_> = T::COLUMNS.iter().filter(absent).collect();
    if !columns.is_empty() {
        return Err(TableError::MissingColumns { path: path.to_owned(), place: String::new(), columns });
    }
    let schema = schemas::arrow_schema::<T>();
    let mut columns = Vec::with_capacity(T::COLUMNS.len());
    for (column, field) in T::COLUMNS.iter().zip(schema.fields()) {
        columns.push(match batch.column_by_name(column.name) {
            Some(found) => {
                let array = convert(found, column, field.data_type(), path, before)?;
                finite(field, &array, path, before)?;
                array
            }
            None => new_null_array(field.data_type(), batch.num_rows()),
        });
    }
    RecordBatch::try_new(Arc::new(schema), columns)
        .map_err(|error| TableError::BrokenParquet { path: path.to_owned(), reason: error.to_string() })
}

fn convert(
    found: &ArrayRef,
    column: &Column,
    wanted: &DataType,
    path: &Path,
    before: usize,
) -> Result<ArrayRef, TableError> {
    let bad = |place: String, found: String| TableError::BadValue {
        path: path.to_owned(),
        place,
        column: column.name.to_owned(),
        expected: column.kind.to_string(),
        found,
    };
    if !widens(found.data_type(), wanted) {
        return Err(bad(String::new(), found.data_type().to_string()));
    }
    if let Some((row, at)) = missing(found, wanted, column.required) {
        let (path, column) = (path.to_owned(), format!("{}{at}", column.name));
        return Err(TableError::MissingValue { path, row: before + row + 1, column });
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let array = cast_with_options(found, wanted, &strict).map_err(|error| bad(String::new(), error.to_string()))?;
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
            return Err(bad(format!("row {}: ", before + row + 1), format!("`{value}`")));
        }
    }
    Ok(array)
}

/// Whether every value of type `found` is one of type `wanted`, perhaps stored otherwise: what other tools write.
fn widens(found: &DataType, wanted: &DataType) -> bool {
    use DataType::{
        Boolean, Dictionary, FixedSizeList, Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeList, LargeUtf8,
        List, Null, Struct, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    let int = |t: &DataType| matches!(t, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64);
    match (found, wanted) {
        (Null, _) | (Boolean, Boolean) | (Utf8 | LargeUtf8 | Utf8View, Utf8) => true,
        (Dictionary(_, values), _) => widens(values, wanted),
        (found, Int64) => int(found),
        (found, Float64) => int(found) || matches!(found, Float16 | Float32 | Float64),
        (List(a) | LargeList(a) | FixedSizeList(a, _), List(b)) => widens(a.data_type(), b.data_type()),
        (Struct(a), Struct(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| a.name() == b.name() && widens(a.data_type(), b.data_type()))
        }
        _ => false,
    }
}

/// The first row with a null where there must be none, and where in the column.
fn missing(array: &ArrayRef, wanted: &DataType, required: bool) -> Option<(usize, &'static str)> {
    if required && array.logical_null_count() > 0 {
        let nulls = array.logical_nulls()?;
        return Some(((0..array.len()).find(|&row| nulls.is_null(row))?, ""));
    }
    let DataType::List(of) = wanted else { return None };
    let rows = array.as_list_opt::<i32>()?;
    (0..rows.len()).find_map(|row| {
        if rows.is_null(row) {
            return None;
        }
        let items = rows.value(row);
        let nested = match (of.data_type(), items.as_struct_opt()) {
            (DataType::Struct(fields), Some(items)) => fields
                .iter()
                .zip(items.columns())
                .any(|(field, column)| !field.is_nullable() && column.logical_null_count() > 0),
            _ => false,
        };
        (nested || (!of.is_nullable() && items.logical_null_count() > 0)).then_some((row, " (an element of the list)"))
    })
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
