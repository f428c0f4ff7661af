//! The report: one HTML page about one or several searches, offline, light and dark, with its figures as SVG files and its
//! tables as CSV and Markdown.
//!
//! Archives become runs (`load`, `run`), runs become numbers (`analysis`), numbers become drawings (`figures` on `draw`)
//! and tables (`table`, `page`). Only `load` reads files and only `output` writes them. Equal archives give equal bytes.

pub mod analysis;
pub mod args;
mod diff;
pub mod draw;
pub mod effort;
pub mod exchanges;
pub mod figures;
pub mod load;
pub mod output;
pub mod page;
mod python;
pub mod run;
pub mod summary;
pub mod table;
mod text;
