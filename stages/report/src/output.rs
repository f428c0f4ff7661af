//! Writing the page and the files beside it.

use std::path::Path;

use anyhow::Result;
use stage::atomic::{make_folder, write_bytes};

use crate::page::Report;

/// Writes each figure as `NAME.svg`; returns how many.
pub fn figures(report: &Report, folder: &Path) -> Result<usize> {
    make_folder(folder)?;
    for (name, svg) in &report.figures {
        write_bytes(&folder.join(format!("{name}.svg")), svg.as_bytes())?;
    }
    Ok(report.figures.len())
}

/// Writes each table as `NAME.csv` and `NAME.md`; returns how many tables.
pub fn tables(report: &Report, folder: &Path) -> Result<usize> {
    make_folder(folder)?;
    for (name, table) in &report.tables {
        write_bytes(&folder.join(format!("{name}.csv")), table.csv().as_bytes())?;
        write_bytes(&folder.join(format!("{name}.md")), table.markdown().as_bytes())?;
    }
    Ok(report.tables.len())
}
