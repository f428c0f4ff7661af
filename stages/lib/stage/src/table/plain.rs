//! Tables without a schema of ours: what a report has counted, for other tools.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};

use super::{TableError, parquet};
use crate::atomic;

/// The values of a column, one for each row; `None` is null.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Floats of 64 bits.
    Number(Vec<Option<f64>>),
    /// Strings.
    Text(Vec<Option<String>>),
}

/// Writes columns of equal length as a Parquet file, whole or not at all. Numbers that are not finite are an error, as in all
/// tables.
///
/// # Errors
/// Columns of unequal length or of one name, numbers that are not finite, and what goes wrong in writing.
pub fn write_columns(name: &str, columns: &[(&str, Values)], path: &Path) -> Result<()> {
    let encode = |reason: String| TableError::Encode { path: path.to_owned(), reason };
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
    for (column, values) in columns {
        if fields.iter().any(|field: &Field| field.name() == column) {
            return Err(encode(format!("two columns are called {column}")).into());
        }
        let (kind, array): (_, ArrayRef) = match values {
            Values::Number(values) => (DataType::Float64, Arc::new(Float64Array::from(values.clone()))),
            Values::Text(values) => (DataType::Utf8, Arc::new(StringArray::from(values.clone()))),
        };
        let field = Field::new(*column, kind, true);
        super::records::finite(&field, &array, path, 0)?;
        fields.push(field);
        arrays.push(array);
    }
    let batch =
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|error| encode(error.to_string()))?;
    atomic::write(path, |out| parquet::write(&batch, path, name, None, out))
}
