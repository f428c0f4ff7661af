//! An attempt as JSON: everything that is recorded of it, nothing cut.

use serde_json::{Map, Value, json};

use super::Attempt;
use super::account::Account;
use super::rows::Try;

/// One object, with an end of line.
pub fn attempt(attempt: &Attempt) -> anyhow::Result<String> {
    let mut calls = Vec::new();
    for recorded in attempt.calls.iter() {
        let mut call = serde_json::to_value(&recorded.exchange)?;
        if let Some(object) = call.as_object_mut() {
            object.insert("superseded".to_owned(), json!(recorded.superseded));
        }
        calls.push(call);
    }
    let tries = attempt.tries.iter().map(row).collect::<anyhow::Result<Vec<_>>>()?;
    written(&json!({
        "source": attempt.source,
        "attempt": attempt.number,
        "totals": attempt.calls.account(),
        "calls": calls,
        "tries": tries,
    }))
}

fn row(made: &Try) -> anyhow::Result<Value> {
    let mut row = match serde_json::to_value(&made.row)? {
        Value::Object(row) => row,
        _ => Map::new(),
    };
    row.extend(made.extra.clone());
    let table = |(table, status, reason): &(String, String, Option<String>)| json!({ "table": table, "status": status, "reason": reason });
    Ok(json!({ "tables": made.tables.iter().map(table).collect::<Vec<_>>(), "row": row }))
}

/// All attempts of a run.
pub fn list(source: &str, lines: &[(i64, Account, String)]) -> anyhow::Result<String> {
    let line = |(number, account, outcome): &(i64, Account, String)| json!({ "attempt": number, "totals": account, "outcome": outcome });
    written(&json!({ "source": source, "attempts": lines.iter().map(line).collect::<Vec<_>>() }))
}

/// As a text that cannot steer a terminal; its values are the same.
fn written(value: &Value) -> anyhow::Result<String> {
    Ok(stage::terminal::json(&serde_json::to_string_pretty(value)?).into_owned() + "\n")
}
