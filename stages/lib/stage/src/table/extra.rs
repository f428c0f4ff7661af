//! The columns of a row that the schema does not know: carried along with their types.
//!
//! A row from Parquet keeps its Arrow values, a row from JSONL its JSON values; they are converted only where a table
//! goes out in the other format, so that a stage between two others changes nothing.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_cast::cast;
use arrow_json::{LineDelimitedWriter, ReaderBuilder};
use arrow_schema::ArrowError;
use arrow_schema::{DataType, Field, FieldRef, Schema};
use arrow_select::interleave::interleave;
use serde_json::{Map, Value};

use super::TableError;

/// The unknown columns of one row.
#[derive(Clone, Debug, Default)]
pub struct Extra(Values);

#[derive(Clone, Debug, Default)]
enum Values {
    #[default]
    None,
    Json(Map<String, Value>),
    /// One row of the unknown columns of a batch.
    Arrow {
        batch: Arc<RecordBatch>,
        row: usize,
    },
}

/// Columns of a stage's own, beside those of the schema.
impl From<Map<String, Value>> for Extra {
    fn from(values: Map<String, Value>) -> Self {
        Self::json(values)
    }
}

impl Extra {
    pub(super) fn json(values: Map<String, Value>) -> Self {
        Self(if values.is_empty() { Values::None } else { Values::Json(values) })
    }

    pub(super) fn arrow(batch: &Arc<RecordBatch>, row: usize) -> Self {
        Self(if batch.num_columns() == 0 { Values::None } else { Values::Arrow { batch: batch.clone(), row } })
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> Vec<String> {
        match &self.0 {
            Values::None => Vec::new(),
            Values::Json(values) => values.keys().cloned().collect(),
            Values::Arrow { batch, .. } => batch.schema().fields().iter().map(|f| f.name().clone()).collect(),
        }
    }

    /// The value of a column as JSON, where there is one that JSON can say.
    pub fn get(&self, name: &str) -> Option<Value> {
        match &self.0 {
            Values::None => None,
            Values::Json(values) => values.get(name).cloned(),
            Values::Arrow { batch, row } => {
                let column = batch.schema().index_of(name).ok()?;
                let one = batch.slice(*row, 1).project(&[column]).ok()?;
                to_json(&one).ok()?.pop()?.remove(name)
            }
        }
    }
}

/// One JSON object per row of a batch; nulls are left out.
fn to_json(batch: &RecordBatch) -> Result<Vec<Map<String, Value>>, ArrowError> {
    let batch = &in_utc(batch)?;
    let mut lines = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut lines);
    writer.write(batch)?;
    writer.finish()?;
    let rows: Result<Vec<_>, _> = serde_json::Deserializer::from_slice(&lines).into_iter().collect();
    rows.map_err(|error| ArrowError::JsonError(error.to_string()))
}

/// The same batch with its times in UTC: the names of other zones are known to no library that we have, and the moment stays.
fn in_utc(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields: Vec<FieldRef> = batch.schema().fields().to_vec();
    let mut columns = batch.columns().to_vec();
    for (field, column) in fields.iter_mut().zip(&mut columns) {
        if let DataType::Timestamp(unit, Some(_)) = field.data_type() {
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            *column = column.to_data().into_builder().data_type(utc.clone()).build().map(arrow_array::make_array)?;
            *field = Arc::new(field.as_ref().clone().with_data_type(utc));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The unknown columns of rows as JSON objects.
pub(super) fn objects(extras: &[&Extra], path: &Path) -> Result<Vec<Map<String, Value>>, TableError> {
    // Rows of one batch share it: each batch is converted once. Batches are alive meanwhile, so addresses are theirs.
    let mut converted: BTreeMap<*const RecordBatch, Vec<Map<String, Value>>> = BTreeMap::new();
    let mut objects = Vec::with_capacity(extras.len());
    for extra in extras {
        objects.push(match &extra.0 {
            Values::None => Map::new(),
            Values::Json(values) => values.clone(),
            Values::Arrow { batch, row } => {
                let rows = match converted.entry(Arc::as_ptr(batch)) {
                    Entry::Occupied(there) => there.into_mut(),
                    Entry::Vacant(place) => place.insert(
                        to_json(batch)
                            .map_err(|error| TableError::Encode { path: path.to_owned(), reason: error.to_string() })?,
                    ),
                };
                rows.get(*row).cloned().unwrap_or_default()
            }
        });
    }
    Ok(objects)
}

/// The batch with the unknown columns of its rows behind the known ones.
pub(super) fn append(known: RecordBatch, extras: &[&Extra], path: &Path) -> Result<RecordBatch, TableError> {
    let mut fields: Vec<FieldRef> = known.schema().fields().to_vec();
    let mut columns = known.columns().to_vec();
    let places = Places::of(extras);
    for name in names(extras.iter().copied()) {
        let fail = |reason: String| TableError::Extra { path: path.to_owned(), column: name.clone(), reason };
        let (field, column) = gather(&name, extras, &places).map_err(fail)?;
        fields.push(Arc::new(field));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| TableError::Encode { path: path.to_owned(), reason: error.to_string() })
}

/// The names of the unknown columns of rows, in the order in which they appear.
pub(super) fn names<'a>(extras: impl Iterator<Item = &'a Extra>) -> Vec<String> {
    let (mut list, mut seen) = (Vec::new(), BTreeSet::new());
    let mut before: *const RecordBatch = std::ptr::null();
    for extra in extras {
        // Neighbours of one batch have the same columns.
        if let Values::Arrow { batch, .. } = &extra.0
            && std::mem::replace(&mut before, Arc::as_ptr(batch)) == Arc::as_ptr(batch)
        {
            continue;
        }
        for name in extra.names() {
            if seen.insert(name.clone()) {
                list.push(name);
            }
        }
    }
    list
}

/// Where each batch has its columns: looking a name up in a batch itself takes as long as the batch is wide.
struct Places<'a>(BTreeMap<*const RecordBatch, BTreeMap<&'a str, usize>>);

impl<'a> Places<'a> {
    fn of(extras: &[&'a Extra]) -> Self {
        let mut places = BTreeMap::new();
        for extra in extras {
            if let Values::Arrow { batch, .. } = &extra.0 {
                places.entry(Arc::as_ptr(batch)).or_insert_with(|| {
                    let fields = batch.schema_ref().fields().iter().enumerate();
                    // Of columns with the same name the first counts.
                    fields.rev().map(|(at, field)| (field.name().as_str(), at)).collect()
                });
            }
        }
        Self(places)
    }

    fn find(&self, batch: &Arc<RecordBatch>, name: &str) -> Option<usize> {
        self.0.get(&Arc::as_ptr(batch))?.get(name).copied()
    }
}

/// One unknown column over all rows, from whatever each row has of it.
fn gather(name: &str, extras: &[&Extra], columns: &Places<'_>) -> Result<(Field, ArrayRef), String> {
    let mut arrays: Vec<ArrayRef> = Vec::new();
    let mut addresses: BTreeMap<*const RecordBatch, usize> = BTreeMap::new();
    let mut field: Option<Field> = None;
    let mut values: Vec<Value> = Vec::new();
    // For each row: in which array, and where in it. `None`: no value. JSON values become an array of their own, last.
    let mut places: Vec<Option<(Option<usize>, usize)>> = Vec::with_capacity(extras.len());
    for extra in extras {
        places.push(match &extra.0 {
            Values::Arrow { batch, row } => match columns.find(batch, name) {
                Some(column) => {
                    let array = match addresses.entry(Arc::as_ptr(batch)) {
                        Entry::Occupied(known) => *known.get(),
                        Entry::Vacant(new) => {
                            arrays.push(batch.column(column).clone());
                            let found = batch.schema_ref().field(column);
                            field = Some(match field.take() {
                                None => found.clone(),
                                Some(before) => common(before, found)?,
                            });
                            *new.insert(arrays.len() - 1)
                        }
                    };
                    Some((Some(array), *row))
                }
                None => None,
            },
            Values::Json(row) => match row.get(name) {
                None | Some(Value::Null) => None,
                Some(value) => {
                    values.push(value.clone());
                    Some((None, values.len() - 1))
                }
            },
            Values::None => None,
        });
    }
    let field = match field {
        Some(field) if *field.data_type() != DataType::Null || values.is_empty() => field,
        _ => infer(name, &values)?,
    };
    let field = field.with_nullable(true);
    let mut sources = Vec::with_capacity(arrays.len() + 2);
    for array in &arrays {
        sources.push(cast(array, field.data_type()).map_err(|error| error.to_string())?);
    }
    let (json, null) = (sources.len(), sources.len() + 1);
    sources.push(decode(name, &field, &values)?);
    sources.push(new_null_array(field.data_type(), 1));
    let indices: Vec<(usize, usize)> =
        places.into_iter().map(|place| place.map_or((null, 0), |(array, row)| (array.unwrap_or(json), row))).collect();
    let sources: Vec<&dyn Array> = sources.iter().map(AsRef::as_ref).collect();
    let column = interleave(&sources, &indices).map_err(|error| error.to_string())?;
    Ok((field, column))
}

/// The type that holds the values of both fields.
fn common(a: Field, b: &Field) -> Result<Field, String> {
    use DataType::{
        Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Null, UInt8, UInt16, UInt32, Utf8, Utf8View,
    };
    let int = |t: &DataType| matches!(t, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32);
    let number = |t: &DataType| int(t) || matches!(t, Float32 | Float64);
    let text = |t: &DataType| matches!(t, Utf8 | LargeUtf8 | Utf8View);
    let data_type = match (a.data_type(), b.data_type()) {
        (x, y) if x == y => return Ok(a),
        (x, Null) | (Null, x) => x.clone(),
        (x, y) if int(x) && int(y) => Int64,
        (x, y) if number(x) && number(y) => Float64,
        (x, y) if text(x) && text(y) => Utf8,
        (x, y) => return Err(format!("it is {x} in one input and {y} in another")),
    };
    Ok(a.with_data_type(data_type))
}

/// The type of a column that so far was JSON only.
fn infer(name: &str, values: &[Value]) -> Result<Field, String> {
    let rows = values.iter().map(|value| Ok(object(name, value)));
    let schema = arrow_json::reader::infer_json_schema_from_iterator(rows).map_err(|error| error.to_string())?;
    Ok(schema.fields().first().map_or_else(|| Field::new(name, DataType::Null, true), |field| field.as_ref().clone()))
}

fn decode(name: &str, field: &Field, values: &[Value]) -> Result<ArrayRef, String> {
    if values.is_empty() {
        return Ok(new_null_array(field.data_type(), 0));
    }
    let mixed = |error: ArrowError| format!("its values are not all of one type ({error})");
    let rows: Vec<Value> = values.iter().map(|value| object(name, value)).collect();
    let schema = Arc::new(Schema::new(vec![field.clone()]));
    let mut decoder =
        ReaderBuilder::new(schema).with_batch_size(rows.len()).build_decoder().map_err(|error| error.to_string())?;
    decoder.serialize(&rows).map_err(mixed)?;
    let batch = decoder.flush().map_err(mixed)?.ok_or("it has no values")?;
    Ok(batch.column(0).clone())
}

fn object(name: &str, value: &Value) -> Value {
    Value::Object(std::iter::once((name.to_owned(), value.clone())).collect())
}
