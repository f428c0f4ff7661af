//! Arrow types of the columns.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};

use crate::{Column, Kind, Table};

fn data_type(kind: &Kind) -> DataType {
    match kind {
        // Enums are plain strings, not dictionaries: every reader of Parquet understands those.
        Kind::Str | Kind::Enum(_) | Kind::Factor => DataType::Utf8,
        Kind::I64 => DataType::Int64,
        Kind::F64 => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::List(of) => DataType::List(Arc::new(Field::new("element", data_type(of), false))),
        Kind::Struct(columns) => DataType::Struct(columns.iter().map(arrow_field).collect()),
    }
}

/// The Arrow field of a column: required ones are not nullable.
pub fn arrow_field(column: &Column) -> Field {
    Field::new(column.name, data_type(&column.kind), !column.required)
}

/// The Arrow schema of a table, columns in order.
pub fn arrow_schema<T: Table>() -> Schema {
    Schema::new(T::COLUMNS.iter().map(arrow_field).collect::<Vec<_>>())
}
