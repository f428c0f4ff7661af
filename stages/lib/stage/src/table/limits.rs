//! How large a table may be. Whatever stays below is read in time and memory that grow with its size; whatever does not
//! is refused with the place and the limit, before it fills the memory.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

use super::TableError;

/// Columns of a table, known and unknown.
pub const COLUMNS: usize = 4096;

/// Rows of a table.
pub const ROWS: usize = 1_000_000;

/// Bytes of one text, such as a program.
pub const CELL: usize = 16 << 20;

/// Elements of one list.
pub const ELEMENTS: usize = 1_000_000;

/// Bytes of one line of JSONL.
pub const LINE: usize = 32 << 20;

/// Bytes of one table in memory, before it is taken apart into rows.
pub const TABLE: usize = 1 << 30;

/// Bytes of the part of a Parquet file that describes it.
pub const FOOTER: usize = 16 << 20;

/// Columns inside of columns: a list takes two levels, a map three.
pub const LEVELS: usize = 64;

/// Bytes that a Parquet file is decoded in at once, roughly.
const BATCH: usize = 256 << 20;

/// Rows that are decoded at once where a value has up to so many bytes.
pub(super) fn batch_rows(largest: usize) -> usize {
    (BATCH / largest.max(1)).clamp(1, 1024)
}

/// Checks that a count keeps its limit. `place`: where, with its colon; `what`: of what there are too many.
pub(super) fn within(
    found: usize,
    limit: usize,
    path: &Path,
    place: &str,
    what: &'static str,
) -> Result<(), TableError> {
    if found <= limit {
        return Ok(());
    }
    Err(TableError::TooLarge { path: path.to_owned(), place: place.to_owned(), what, found, limit })
}

/// Checks that all cells of a batch keep their limits. `before`: rows of the file before it.
pub(super) fn cells(batch: &RecordBatch, path: &Path, before: usize) -> Result<(), TableError> {
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        for (limit, what, length) in [(CELL, "bytes", widest_text(column)), (ELEMENTS, "elements", longest(column))] {
            if let Some((row, found)) = length.filter(|(_, found)| *found > limit) {
                let place = format!("row {}: column {}: ", before + row + 1, field.name());
                within(found, limit, path, &place, what)?;
            }
        }
    }
    Ok(())
}

/// The longest text of a column, with its row; within lists, of all elements of a row.
fn widest_text(column: &ArrayRef) -> Option<(usize, usize)> {
    match column.data_type() {
        DataType::Utf8 => most(column.as_string::<i32>().iter().map(|text| text.map_or(0, str::len))),
        DataType::LargeUtf8 => most(column.as_string::<i64>().iter().map(|text| text.map_or(0, str::len))),
        DataType::Utf8View => most(column.as_string_view().iter().map(|text| text.map_or(0, str::len))),
        DataType::Binary => most(column.as_binary::<i32>().iter().map(|bytes| bytes.map_or(0, <[u8]>::len))),
        DataType::List(of) if *of.data_type() == DataType::Utf8 => {
            most(column.as_list::<i32>().iter().map(|list| list.as_ref().map_or(0, total)))
        }
        _ => None,
    }
}

/// Bytes of all texts of an array.
fn total(texts: &ArrayRef) -> usize {
    texts.as_string_opt::<i32>().map_or(0, |texts| texts.iter().flatten().map(str::len).sum())
}

/// The longest list of a column, with its row.
fn longest(column: &ArrayRef) -> Option<(usize, usize)> {
    match column.data_type() {
        DataType::List(_) => most(column.as_list::<i32>().iter().map(|list| list.map_or(0, |list| list.len()))),
        DataType::LargeList(_) => most(column.as_list::<i64>().iter().map(|list| list.map_or(0, |list| list.len()))),
        _ => None,
    }
}

fn most(lengths: impl Iterator<Item = usize>) -> Option<(usize, usize)> {
    lengths.enumerate().max_by_key(|(_, length)| *length)
}

/// Checks that all cells of a line keep their limits.
pub(super) fn line(
    row: &serde_json::Map<String, serde_json::Value>,
    path: &Path,
    place: &str,
) -> Result<(), TableError> {
    within(row.len(), COLUMNS, path, place, "columns")?;
    for (name, value) in row {
        let (found, limit, what) = match value {
            serde_json::Value::String(text) => (text.len(), CELL, "bytes"),
            serde_json::Value::Array(items) => (items.len(), ELEMENTS, "elements"),
            _ => continue,
        };
        if found > limit {
            within(found, limit, path, &format!("{place}column {name}: "), what)?;
        }
    }
    Ok(())
}
