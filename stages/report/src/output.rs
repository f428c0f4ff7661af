//! Writing the page and the files beside it.

use std::path::Path;

use anyhow::Result;
use stage::atomic::{make_folder, write_bytes};
use stage::table::{Values, write_columns};

use crate::page::Report;

/// Writes each figure as `NAME.svg`; returns how many.
pub fn figures(report: &Report, folder: &Path) -> Result<usize> {
    make_folder(folder)?;
    for (name, svg) in &report.figures {
        write_bytes(&folder.join(format!("{name}.svg")), svg.as_bytes())?;
    }
    Ok(report.figures.len())
}

/// Writes each table as `NAME.csv`, `NAME.md` and `NAME.parquet`; returns how many tables.
pub fn tables(report: &Report, folder: &Path) -> Result<usize> {
    make_folder(folder)?;
    for (name, table) in &report.tables {
        write_bytes(&folder.join(format!("{name}.csv")), table.csv().as_bytes())?;
        write_bytes(&folder.join(format!("{name}.md")), table.markdown().as_bytes())?;
        let columns = table.values();
        let columns: Vec<(&str, Values)> = columns.iter().map(|(key, values)| (key.as_str(), values.clone())).collect();
        write_columns(name, &columns, &folder.join(format!("{name}.parquet")))?;
    }
    Ok(report.tables.len())
}
