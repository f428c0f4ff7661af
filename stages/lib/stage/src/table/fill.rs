//! What columns have in rows whose makers do not know them: a foreign proposer has to write programs, and nothing else.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, StringArray};
use schemas::{Column, Fill};
use serde_json::Value;

/// The value of a column in a row, counted from 0 in its file, that has none.
pub(super) fn value(fill: Fill, row: usize) -> Value {
    match fill {
        Fill::Text(text) => Value::from(text),
        Fill::Number(number) => Value::from(number),
        Fill::Row => Value::from(row),
    }
}

/// A column with its nulls filled, where it has a value for that. `before`: rows of the file before these.
pub(super) fn array(array: ArrayRef, column: &Column, before: usize) -> ArrayRef {
    let Some(fill) = column.fill.filter(|_| array.null_count() > 0) else { return array };
    let number = |row: usize| match fill {
        Fill::Number(number) => number,
        _ => schemas::count(before + row),
    };
    match fill {
        Fill::Text(text) => {
            let values = array.as_string::<i32>().iter().map(|value| Some(value.unwrap_or(text)));
            Arc::new(values.collect::<StringArray>())
        }
        Fill::Number(_) | Fill::Row => {
            let values = array.as_primitive::<Int64Type>().iter().enumerate();
            Arc::new(values.map(|(row, value)| Some(value.unwrap_or_else(|| number(row)))).collect::<Int64Array>())
        }
    }
}
