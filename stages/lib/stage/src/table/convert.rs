//! Columns as other tools write them, in our types.
//!
//! A data frame keeps the values and not the types: integers with nulls become floats, texts become large, viewed or
//! dictionaries, the fields of a struct change their order. What means the same is taken; what does not is refused with its
//! row.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, ListArray, StructArray, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field};

/// The largest whole number up to which every whole number is a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a column is not one of ours.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Misfit {
    /// Row of the array, from 0; `None` where no value of its type could fit.
    pub row: Option<usize>,
    /// Where within the column, e.g. `.line`.
    pub at: String,
    pub found: Found,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    Nothing,
    Other(String),
}

impl Misfit {
    fn kind(of: &DataType) -> Self {
        Self { row: None, at: String::new(), found: Found::Other(of.to_string()) }
    }

    fn value(row: usize, found: String) -> Self {
        Self { row: Some(row), at: String::new(), found: Found::Other(found) }
    }
}

/// A column in the type that is wanted. Nulls stay: whether there may be any is for the caller, except within lists and structs.
pub(super) fn convert(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, Misfit> {
    use DataType::{
        Binary, BinaryView, Boolean, Decimal32, Decimal64, Decimal128, Decimal256, Dictionary, FixedSizeBinary,
        FixedSizeList, Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeList, LargeListView,
        LargeUtf8, List, ListView, Null, Struct, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    match (array.data_type(), wanted) {
        (Null, _) => Ok(new_null_array(wanted, array.len())),
        (Dictionary(_, values), _) => convert(&cast(array, values)?, wanted),
        (Boolean, Boolean) | (Utf8 | LargeUtf8 | Utf8View, Utf8) => cast(array, wanted),
        (Binary | LargeBinary | BinaryView | FixedSizeBinary(_), Utf8) => cast(array, wanted),
        (Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64, Int64 | Float64) => cast(array, wanted),
        (Float16 | Float32 | Float64, Float64) => cast(array, wanted),
        (Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..), Float64) => cast(array, wanted),
        (Float16 | Float32 | Float64 | Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..), Int64) => {
            whole(&cast(array, &Float64)?)
        }
        (List(of) | LargeList(of) | FixedSizeList(of, _) | ListView(of) | LargeListView(of), List(element)) => {
            list(&cast(array, &List(of.clone()))?, element)
        }
        (Struct(_), Struct(fields)) => structure(array.as_struct(), fields),
        (other, _) => Err(Misfit::kind(other)),
    }
}

/// A cast that loses nothing; where a value would be lost, its row is looked for.
fn cast(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, Misfit> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let all = cast_with_options(array, wanted, &strict);
    all.map_err(|error| {
        let fails = |row: &usize| cast_with_options(&array.slice(*row, 1), wanted, &strict).is_err();
        Misfit { row: (0..array.len()).find(fails), at: String::new(), found: Found::Other(error.to_string()) }
    })
}

/// Whole numbers of floats, as data frames have them that know no integers with nulls.
fn whole(floats: &ArrayRef) -> Result<ArrayRef, Misfit> {
    let values = floats.as_primitive::<Float64Type>();
    let fits = |x: f64| x.is_finite() && x.fract() == 0.0 && x.abs() <= EXACT;
    for (row, value) in values.iter().enumerate() {
        if let Some(value) = value.filter(|value| !fits(*value)) {
            return Err(Misfit::value(row, value.to_string()));
        }
    }
    cast(floats, &DataType::Int64)
}

fn list(array: &ArrayRef, element: &Arc<Field>) -> Result<ArrayRef, Misfit> {
    let lists = array.as_list::<i32>();
    let offsets = lists.offsets();
    // The row whose list holds this element.
    let row_of = |at: usize| {
        (0..lists.len()).find(|&row| {
            let held = |row: usize| Some((*offsets.get(row)? as usize)..(*offsets.get(row + 1)? as usize));
            lists.is_valid(row) && held(row).is_some_and(|held| held.contains(&at))
        })
    };
    let values = convert(lists.values(), element.data_type()).map_err(|misfit| {
        let row = misfit.row.map(|at| row_of(at).unwrap_or(0));
        Misfit { row, ..misfit }
    })?;
    if !element.is_nullable() && values.null_count() > 0 {
        let row = (0..values.len()).filter(|&at| values.is_null(at)).find_map(row_of);
        if row.is_some() {
            return Err(Misfit { row, at: " (an element of the list)".into(), found: Found::Nothing });
        }
    }
    let made = ListArray::try_new(element.clone(), offsets.clone(), values, lists.nulls().cloned());
    Ok(Arc::new(made.map_err(|error| Misfit::value(0, error.to_string()))?))
}

/// Fields by name, in any order; those that nobody asks for are left out, those that may be absent are null.
fn structure(array: &StructArray, fields: &arrow_schema::Fields) -> Result<ArrayRef, Misfit> {
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let within = |misfit: Misfit| Misfit { at: format!(".{}{}", field.name(), misfit.at), ..misfit };
        let column = match array.column_by_name(field.name()) {
            Some(found) => convert(found, field.data_type()).map_err(within)?,
            None => new_null_array(field.data_type(), array.len()),
        };
        let absent = |row: &usize| array.is_valid(*row) && column.is_null(*row);
        if let Some(row) = (0..array.len()).find(absent).filter(|_| !field.is_nullable()) {
            return Err(within(Misfit { row: Some(row), at: String::new(), found: Found::Nothing }));
        }
        columns.push(column);
    }
    let made = StructArray::try_new(fields.clone(), columns, array.nulls().cloned());
    Ok(Arc::new(made.map_err(|error| Misfit::value(0, error.to_string()))?))
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::ListBuilder;
    use arrow_array::types::Int64Type;
    use arrow_array::{Decimal128Array, StringArray};
    use arrow_array::{Float32Array, Float64Array, Int32Array, LargeStringArray, StringViewArray, UInt64Array};

    use super::*;

    fn as_whole(array: ArrayRef) -> Result<Vec<Option<i64>>, Misfit> {
        Ok(convert(&array, &DataType::Int64)?.as_primitive::<Int64Type>().iter().collect())
    }

    #[test]
    fn floats_are_whole_numbers_where_they_are_whole() {
        let floats = |values: Vec<Option<f64>>| as_whole(Arc::new(Float64Array::from(values)));
        assert_eq!(floats(vec![Some(3.0), None, Some(-0.0)]), Ok(vec![Some(3), None, Some(0)]));
        for (value, text) in [(2.5, "2.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf"), (1e300, "1000")] {
            let misfit = floats(vec![Some(1.0), None, Some(value)]).expect_err(text);
            assert!(
                misfit.row == Some(2) && matches!(&misfit.found, Found::Other(found) if found.starts_with(text)),
                "{misfit:?}"
            );
        }
        assert_eq!(as_whole(Arc::new(Float32Array::from(vec![7.0]))), Ok(vec![Some(7)]));
        let decimals = Decimal128Array::from(vec![700, 750]).with_precision_and_scale(9, 2).expect("decimals");
        assert_eq!(as_whole(Arc::new(decimals.slice(0, 1))), Ok(vec![Some(7)]));
        assert_eq!(as_whole(Arc::new(decimals)).expect_err("7.5").row, Some(1));
        assert_eq!(as_whole(Arc::new(UInt64Array::from(vec![1, u64::MAX]))).expect_err("too large").row, Some(1));
        assert_eq!(as_whole(Arc::new(StringArray::from(vec!["1"]))).expect_err("a text").row, None);
    }

    #[test]
    fn texts_of_every_kind_are_texts() {
        for array in [
            Arc::new(LargeStringArray::from(vec![Some("a"), None])) as ArrayRef,
            Arc::new(StringViewArray::from(vec![Some("a"), None])),
            Arc::new(arrow_array::BinaryArray::from(vec![Some(&b"a"[..]), None])),
        ] {
            let text = convert(&array, &DataType::Utf8).expect("a text");
            assert_eq!(text.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), None]);
        }
        let bytes: ArrayRef = Arc::new(arrow_array::BinaryArray::from(vec![&b"a"[..], b"\xff"]));
        assert_eq!(convert(&bytes, &DataType::Utf8).expect_err("no text").row, Some(1));
    }

    #[test]
    fn lists_and_structs_fit_by_what_they_hold() {
        let element = Arc::new(Field::new("element", DataType::Int64, false));
        let wanted = DataType::List(element);
        let mut lists = ListBuilder::new(arrow_array::builder::Float64Builder::new());
        lists.append_value([Some(1.0), Some(2.0)]);
        lists.append_null();
        lists.append_value([Some(3.0)]);
        let array: ArrayRef = Arc::new(lists.finish());
        let found = convert(&array, &wanted).expect("whole numbers");
        assert_eq!(found.as_list::<i32>().value(2).as_primitive::<Int64Type>().value(0), 3);
        let mut lists = ListBuilder::new(arrow_array::builder::Float64Builder::new());
        lists.append_value([Some(1.0)]);
        lists.append_value([Some(1.0), None]);
        let array: ArrayRef = Arc::new(lists.finish());
        let misfit = convert(&array, &wanted).expect_err("a null");
        assert_eq!((misfit.row, misfit.found), (Some(1), Found::Nothing));

        let fields = vec![Field::new("a", DataType::Int64, false), Field::new("b", DataType::Utf8, true)];
        let wanted = DataType::Struct(fields.into());
        let shuffled = StructArray::from(vec![
            (Arc::new(Field::new("more", DataType::Int32, true)), Arc::new(Int32Array::from(vec![1])) as ArrayRef),
            (Arc::new(Field::new("a", DataType::Float64, true)), Arc::new(Float64Array::from(vec![4.0])) as ArrayRef),
        ]);
        let found = convert(&(Arc::new(shuffled) as ArrayRef), &wanted).expect("by name");
        let found = found.as_struct();
        assert_eq!(found.column(0).as_primitive::<Int64Type>().value(0), 4);
        assert!(found.column(1).is_null(0));
        let lacking = StructArray::from(vec![(
            Arc::new(Field::new("b", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["x"])) as ArrayRef,
        )]);
        let misfit = convert(&(Arc::new(lacking) as ArrayRef), &wanted).expect_err("no a");
        assert_eq!((misfit.at.as_str(), misfit.found), (".a", Found::Nothing));
    }
}
