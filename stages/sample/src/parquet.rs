//! Rows as Parquet.

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, Float64Array, Int8Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema};
use clrs::{DataPoint, SpecEntry};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::columns::{Column, Kind, slices};
use crate::plan::Request;
use crate::source::{self, Piece};

/// Version of the columns, stored in each file.
const SCHEMA_VERSION: &str = "1";

/// Draws what `request` asks for and writes it as one file.
pub fn write(request: &Request, out: &mut dyn Write, mut after_piece: impl FnMut(usize)) -> Result<()> {
    // The writer wants to own its output: it gets a buffer, which is emptied after each row group.
    let mut writer: Option<ArrowWriter<Vec<u8>>> = None;
    source::pieces(request, |piece| {
        let batch = &piece.samples;
        let points: Vec<&DataPoint> = batch.inputs.iter().chain(&batch.outputs).chain(&batch.hints).collect();
        let columns: Vec<Column> = points.iter().map(|point| Column::new(point, batch.size())).collect();
        for samples in slices(&columns, &batch.lengths) {
            let table = table(request, &piece, &points, &columns, samples)?;
            let writer = match &mut writer {
                Some(writer) => writer,
                none => none.insert(ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties(request)))?),
            };
            writer.write(&table)?;
            writer.flush()?;
            out.write_all(writer.inner())?;
            writer.inner_mut().clear();
        }
        after_piece(batch.size());
        Ok(())
    })?;
    if let Some(writer) = writer {
        out.write_all(&writer.into_inner()?)?;
    }
    Ok(())
}

fn properties(request: &Request) -> WriterProperties {
    let entry = |key: &str, value: String| KeyValue::new(format!("emberline.{key}"), value);
    let entries = vec![
        entry("schema_version", SCHEMA_VERSION.to_owned()),
        entry("version", stage::VERSION.to_owned()),
        entry("command", request.command()),
    ];
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(format!("emberline {}", stage::VERSION))
        .set_key_value_metadata(Some(entries))
        .build()
}

fn table(
    request: &Request,
    piece: &Piece,
    points: &[&DataPoint],
    columns: &[Column],
    samples: Range<usize>,
) -> Result<RecordBatch> {
    let count = samples.len();
    let batch = &piece.samples;
    let same = |value: i64| Arc::new(Int64Array::from(vec![value; count])) as ArrayRef;
    let each = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let split = request.split.map(|split| split.as_str());
    let mut fields = vec![Field::new("algorithm", DataType::Utf8, false), Field::new("split", DataType::Utf8, true)];
    fields.extend(
        ["seed", "length", "nodes", "batch", "sample", "steps"].map(|name| Field::new(name, DataType::Int64, false)),
    );
    let mut arrays = vec![
        Arc::new(StringArray::from(vec![request.algorithm.name; count])) as ArrayRef,
        Arc::new(StringArray::from(vec![split; count])),
        same(i64::from(request.config.seed)),
        same(request.config.length as i64),
        same(batch.nodes() as i64),
        same(piece.batch as i64),
        each(samples.clone().map(|sample| (piece.first + sample) as i64).collect()),
        each(batch.lengths[samples.clone()].iter().map(|&steps| steps as i64).collect()),
    ];
    let spec = source::transforms(request).spec(request.algorithm);
    for (point, column) in points.iter().zip(columns) {
        let array = array(column, &batch.lengths, samples.clone());
        let entry = spec.iter().find(|entry| entry.name == point.name);
        let field = Field::new(&column.name, array.data_type().clone(), false);
        fields.push(field.with_metadata(entry.map(description).unwrap_or_default()));
        arrays.push(array);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// What a reader of the Arrow schema may want to know of a column.
fn description(entry: &SpecEntry) -> HashMap<String, String> {
    let mut about = HashMap::from([
        ("stage".to_owned(), entry.stage.to_string()),
        ("location".to_owned(), entry.location.to_string()),
        ("type".to_owned(), entry.ty.to_string()),
    ]);
    if entry.classes > 0 {
        about.insert("classes".to_owned(), entry.classes.to_string());
    }
    about
}

/// The numbers of some samples, nested.
fn array(column: &Column, lengths: &[usize], samples: Range<usize>) -> ArrayRef {
    let rows = samples.clone().flat_map(|sample| column.rows(sample, lengths[sample]));
    let numbers = rows.flat_map(|row| row.iter().copied());
    let mut array: ArrayRef = match column.kind {
        Kind::Double => Arc::new(Float64Array::from_iter_values(numbers)),
        Kind::Whole => Arc::new(Int64Array::from_iter_values(numbers.map(|value| value as i64))),
        Kind::Node => Arc::new(Int32Array::from_iter_values(numbers.map(|value| value as i32))),
        Kind::Mark => Arc::new(Int8Array::from_iter_values(numbers.map(|value| value as i8))),
    };
    for &size in column.inner.iter().rev() {
        let lists = array.len() / size.max(1);
        array = list(array, OffsetBuffer::from_repeated_length(size, lists));
    }
    if column.is_hint {
        array = list(array, OffsetBuffer::from_lengths(lengths[samples].iter().copied()));
    }
    array
}

fn list(values: ArrayRef, offsets: OffsetBuffer<i32>) -> ArrayRef {
    let item = Field::new("item", values.data_type().clone(), false);
    Arc::new(ListArray::new(Arc::new(item), offsets, values, None))
}
