//! The JSON Schema of a line of `transcripts.jsonl`, made from the types.

use schemars::generate::SchemaSettings;
use serde_json::json;

use crate::transcript::Exchange;

/// The document, as (file name, text). It describes what is written: readers also take lines of earlier versions, in which
/// some of it is missing.
pub fn document() -> (String, String) {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Exchange>();
    schema.insert("x-schema-version".into(), json!(schemas::SCHEMA_VERSION));
    let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    ("transcript.schema.json".to_owned(), text + "\n")
}
