//! Rows as JSON, one a line.

use std::fmt::Write as _;

use crate::columns::{Column, Kind};
use crate::plan::Request;
use crate::source::Piece;

/// The lines of a piece, one for each sample.
pub fn lines(request: &Request, piece: &Piece) -> Vec<String> {
    let batch = &piece.samples;
    let points = batch.inputs.iter().chain(&batch.outputs).chain(&batch.hints);
    let columns: Vec<Column> = points.map(|point| Column::new(point, batch.size())).collect();
    let split = request.split.map_or("null".to_owned(), |split| format!("\"{split}\""));
    let head = format!(
        "{{\"algorithm\":\"{}\",\"split\":{split},\"seed\":{},\"length\":{},\"nodes\":{},\"batch\":{}",
        request.algorithm.name,
        request.config.seed,
        request.config.length,
        batch.nodes(),
        piece.batch,
    );
    let line = |(sample, &steps): (usize, &usize)| {
        let mut line = format!("{head},\"sample\":{},\"steps\":{steps}", piece.first + sample);
        for column in &columns {
            // Writing to a string cannot fail.
            let _ = write!(line, ",\"{}\":", column.name);
            value(&mut line, column, sample, steps);
        }
        line.push_str("}\n");
        line
    };
    batch.lengths.iter().enumerate().map(line).collect()
}

fn value(line: &mut String, column: &Column, sample: usize, steps: usize) {
    if !column.is_hint {
        column.rows(sample, steps).for_each(|numbers| nested(line, column.kind, numbers, column.inner));
        return;
    }
    let mut before = '[';
    for numbers in column.rows(sample, steps) {
        line.push(before);
        nested(line, column.kind, numbers, column.inner);
        before = ',';
    }
    line.push(']');
}

fn nested(line: &mut String, kind: Kind, numbers: &[f64], sizes: &[usize]) {
    let Some((&size, inner)) = sizes.split_first() else {
        numbers.iter().for_each(|&value| number(line, kind, value));
        return;
    };
    let mut before = '[';
    for part in numbers.chunks_exact(numbers.len() / size.max(1)) {
        line.push(before);
        nested(line, kind, part, inner);
        before = ',';
    }
    line.push(']');
}

fn number(line: &mut String, kind: Kind, value: f64) {
    // The shortest text that reads back as the same number. Writing to a string cannot fail.
    let _ = match kind {
        Kind::Double => write!(line, "{value:?}"),
        Kind::Whole | Kind::Node | Kind::Mark => write!(line, "{}", value as i64),
    };
}
