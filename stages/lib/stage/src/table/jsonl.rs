//! Tables as lines of JSON objects. A null may be left out, and is, on the way out.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use schemas::{Column, Table};
use serde_json::{Map, Value};

use super::records::Records;
use super::{Extra, TableError, extra, fill, limits};

pub(super) fn read<T: Table>(path: &Path) -> Result<Records<T>, TableError> {
    let fail = |source| TableError::Io { path: path.to_owned(), source };
    let input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).map_err(fail)?))
    };
    let mut input = input;
    let (mut rows, mut number, mut total) = (Vec::new(), 0, 0_usize);
    let mut bytes = Vec::new();
    while next_line(&mut input, &mut bytes).map_err(fail)? {
        number += 1;
        let place = format!("line {number}: ");
        limits::within(bytes.len(), limits::LINE, path, &place, "or more bytes")?;
        total = total.saturating_add(bytes.len());
        limits::within(total, limits::TABLE, path, &place, "bytes in all")?;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        limits::within(rows.len() + 1, limits::ROWS, path, &place, "rows")?;
        let last = input.fill_buf().map_err(fail)?.is_empty();
        let row = rows.len();
        rows.push(parse(&bytes, path, (number, row), last)?);
    }
    Ok(Records { rows })
}

/// Reads a line without its end, and no more of it than shows that it is too long; whether there was one.
fn next_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = input.take(limits::LINE as u64 + 1).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(read > 0)
}

/// `line` counts from 1, `row` from 0 and without empty lines.
fn parse<T: Table>(
    bytes: &[u8],
    path: &Path,
    (line, row): (usize, usize),
    last: bool,
) -> Result<(T, Extra), TableError> {
    let broken = |error: serde_json::Error| TableError::BrokenLine {
        path: path.to_owned(),
        line,
        // The position that serde_json gives is within the line; its own "line 1" would mislead.
        reason: error.to_string().replace("at line 1 column", "at character"),
        last,
    };
    let mut extra: Map<String, Value> = serde_json::from_slice(bytes).map_err(broken)?;
    let place = format!("line {line}: ");
    limits::line(&extra, path, &place)?;
    for column in T::COLUMNS {
        if let Some(fill) = column.fill.filter(|_| extra.get(column.name).is_none_or(Value::is_null)) {
            extra.insert(column.name.to_owned(), fill::value(fill, row));
        }
    }
    let absent = |column: &&'static Column| column.required && extra.get(column.name).is_none_or(Value::is_null);
    let columns: Vec<_> = T::COLUMNS.iter().filter(absent).collect();
    if !columns.is_empty() {
        return Err(TableError::MissingColumns { path: path.to_owned(), place, columns });
    }
    let mut known = Map::new();
    for column in T::COLUMNS {
        let mut value = extra.shift_remove(column.name).unwrap_or(Value::Null);
        if value.is_null() {
            continue;
        }
        schemas::accept(&column.kind, &mut value).map_err(|misfit| TableError::BadValue {
            path: path.to_owned(),
            place: place.clone(),
            column: format!("{}{}", column.name, misfit.at),
            expected: misfit.expected,
            found: misfit.found,
        })?;
        known.insert(column.name.to_owned(), value);
    }
    let row = serde_json::from_value(Value::Object(known)).map_err(broken)?;
    Ok((row, Extra::json(extra)))
}

pub(super) fn write<T: Table>(
    rows: &[&T],
    extras: &[&Extra],
    volatile: bool,
    path: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    for (row, extra) in rows.iter().zip(extra::objects(extras, path)?) {
        let mut line = serde_json::to_value(row)?;
        if let Some(object) = line.as_object_mut() {
            object.retain(|name, value| {
                !value.is_null() && (volatile || T::column(name).is_none_or(|column| !column.volatile))
            });
            object.extend(extra);
        }
        serde_json::to_writer(&mut *out, &line).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
