//! Columns as JSON: whether a value fits, and the JSON Schema documents.

use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::{
    Candidate, Column, ConfirmedRow, CurvePoint, DiagnosisRow, Factor, Fill, GraphScore, Kind, RunRow, SCHEMA_VERSION,
    Table, TransferRow, TransferSummary,
};

/// A JSON value that does not fit its column.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// Where within the column, e.g. `[2].line`; empty for the column itself.
    pub at: String,
    /// What would have fitted.
    pub expected: String,
    /// What was there, shortened.
    pub found: String,
}

/// Checks a value against a column's type. Whole floats are turned into integers where integers are due: tools that
/// keep numbers as floats write them so.
pub fn accept(kind: &Kind, value: &mut Value) -> Result<(), Misfit> {
    if *kind == Kind::I64
        && let Some(whole) = value.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 9e15)
        && !value.is_i64()
    {
        *value = Value::from(whole as i64);
    }
    match (kind, &mut *value) {
        (Kind::Str, Value::String(_)) | (Kind::F64, Value::Number(_)) | (Kind::Bool, Value::Bool(_)) => Ok(()),
        (Kind::I64, Value::Number(n)) if n.is_i64() => Ok(()),
        (Kind::Factor, Value::String(text)) if Factor::parse(text).is_some() => Ok(()),
        (Kind::Enum(names), Value::String(text)) if names.contains(&text.as_str()) => Ok(()),
        (Kind::List(of), Value::Array(items)) => items.iter_mut().enumerate().try_for_each(|(i, item)| {
            accept(of, item).map_err(|misfit| Misfit { at: format!("[{i}]{}", misfit.at), ..misfit })
        }),
        (Kind::Struct(columns), Value::Object(fields)) => columns.iter().try_for_each(|column| {
            let at = |misfit: Misfit| Misfit { at: format!(".{}{}", column.name, misfit.at), ..misfit };
            match fields.get_mut(column.name) {
                None | Some(Value::Null) if !column.required => Ok(()),
                None => {
                    Err(at(Misfit { at: String::new(), expected: column.kind.to_string(), found: "nothing".into() }))
                }
                Some(value) => accept(&column.kind, value).map_err(at),
            }
        }),
        _ => Err(Misfit { at: String::new(), expected: kind.to_string(), found: shorten(value) }),
    }
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The JSON Schema documents, as (file name, text).
pub fn documents() -> Vec<(String, String)> {
    vec![
        document::<Candidate>(),
        document::<CurvePoint>(),
        document::<GraphScore>(),
        document::<DiagnosisRow>(),
        document::<ConfirmedRow>(),
        document::<TransferRow>(),
        document::<TransferSummary>(),
        document::<RunRow>(),
    ]
}

fn document<T: Table + JsonSchema>() -> (String, String) {
    let mut schema = schemars::schema_for!(T);
    schema.insert("x-schema-version".into(), json!(SCHEMA_VERSION));
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for Column { name, stage, volatile, fill, .. } in T::COLUMNS {
            if let Some(property) = properties.get_mut(*name).and_then(Value::as_object_mut) {
                property.insert("x-stage".into(), json!(stage.as_str()));
                match fill {
                    Some(Fill::Text(text)) => property.insert("default".into(), json!(text)),
                    Some(Fill::Number(number)) => property.insert("default".into(), json!(number)),
                    Some(Fill::Row) => {
                        property.insert("x-default".into(), json!("number of the row in its file, from 0"))
                    }
                    None => None,
                };
                if *volatile {
                    property.insert("x-volatile".into(), json!(true));
                }
            }
        }
    }
    let filled = |name: &Value| T::COLUMNS.iter().any(|column| json!(column.name) == *name && column.fill.is_some());
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !filled(name));
    }
    let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    (format!("{}.schema.json", T::NAME), text + "\n")
}
