//! The committed JSON Schema documents are those that the structs give. `UPDATE=1 cargo test -p schemas` rewrites them.

use std::path::Path;

use schemas::{Candidate, Kind, Stage, Table, arrow_schema};

#[test]
fn documents_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in schemas::documents() {
        let path = folder.join(&name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &text).expect("the document can be written");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{name} is out of date: run UPDATE=1 cargo test -p schemas");
    }
}

#[test]
fn every_column_is_documented_and_required_ones_come_from_propose() {
    for column in Candidate::COLUMNS {
        assert!(column.doc.trim().ends_with('.'), "{}: `{}`", column.name, column.doc);
        assert!(!column.required || column.stage == Stage::Propose, "{}", column.name);
    }
}

#[test]
fn volatile_columns_are_times_memory_and_machines() {
    let volatile: Vec<_> = Candidate::COLUMNS.iter().filter(|c| c.volatile).map(|c| c.name).collect();
    assert_eq!(volatile, ["llm_seconds", "train_seconds", "peak_rss_mb", "train_host", "train_gpu", "train_driver"]);
}

#[test]
fn schemas_agree_with_serde() {
    let row = serde_json::to_value(Candidate::default()).expect("a row is JSON");
    let keys: Vec<_> = row.as_object().expect("an object").keys().cloned().collect();
    let columns: Vec<_> = Candidate::COLUMNS.iter().map(|c| c.name).collect();
    assert_eq!(keys, columns);
    let schema = arrow_schema::<Candidate>();
    assert_eq!(schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), columns);
    let diagnostics = schema.field_with_name("diagnostics").expect("it is there");
    let expected = "List(non-null Struct(\"severity\": non-null Utf8";
    assert!(diagnostics.data_type().to_string().starts_with(expected), "{}", diagnostics.data_type());
}

#[test]
fn values_are_checked_with_their_place() {
    let kind = Candidate::column("diagnostics").expect("it is there").kind;
    let mut value = serde_json::json!([{"severity": "error", "category": "shape", "code": "E", "line": 3.0, "column": 1,
        "message": "m"}]);
    assert_eq!(schemas::accept(&kind, &mut value), Ok(()));
    assert_eq!(value[0]["line"], serde_json::json!(3));
    value[0]["line"] = serde_json::json!(2.5);
    let misfit = schemas::accept(&kind, &mut value).expect_err("2.5 is no line");
    assert_eq!((misfit.at.as_str(), misfit.found.as_str()), ("[0].line", "2.5"));
    let misfit = schemas::accept(&Kind::Enum(schemas::Status::NAMES), &mut "done".into()).expect_err("no status");
    assert!(misfit.expected.contains("proposed, accepted"), "{misfit:?}");
}
