//! The tables of the pipeline. Each table is one struct here: its fields are the columns, in order, with their types,
//! the stage that fills them, and what they mean. Everything else is derived from that: the Arrow schema of the Parquet
//! files, the keys of the JSONL lines, and the JSON Schema documents beside this crate (`schemas/*.schema.json`).
//!
//! Names are the same in Parquet and JSONL. A column is `null` (or left out of a JSONL line) until its stage has run;
//! the few columns without which a row means nothing are required.

#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]

mod arrow;
mod candidate;
mod column;
mod diagnosis;
mod factor;
mod json;
mod run;
mod transfer;
mod values;

pub use arrow::{arrow_field, arrow_schema};
pub use candidate::Candidate;
pub use column::{Column, ColumnType, Fill, Kind, Table};
pub use diagnosis::{DiagnosisRow, Feedback, Lesioned, Measure};
pub use factor::{Factor, NoFactor};
pub use json::{Misfit, accept, documents};
pub use run::RunRow;
pub use transfer::{ConfirmedRow, CurvePoint, GraphScore, TransferRow, TransferSummary};
pub use values::{Diagnostic, Locality, Severity, Stage, Status, Verdict};

/// Version of all tables, stored in the metadata of every Parquet file. It rises when a column changes its meaning or
/// type, or an enum gains a value; a new column that older readers may ignore does not raise it.
pub const SCHEMA_VERSION: &str = "2";

/// The versions that can be read: 1 lacks the status `stopped`, and means the same else.
pub const READABLE_VERSIONS: &[&str] = &["1", SCHEMA_VERSION];

/// A count as tables hold it, whose whole numbers are signed. One beyond `i64::MAX`, which nothing in memory reaches, is held
/// as that.
pub fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
