//! The report: one HTML page about one or several searches, offline, light and dark, with its figures as SVG files and its
//! tables as CSV and Markdown.
//!
//! The page is whole without scripts. Its own script, the only one that its policy lets run, opens what is packed into it: every
//! candidate with its program, findings, curves and exchanges (`explore`).
//!
//! Archives become runs (`load`, `run`), runs become numbers (`analysis`), numbers become drawings (`figures` on `draw`)
//! and tables (`table`, `page`). Only `load` reads files and only `output` writes them. Equal archives give equal bytes.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

pub mod analysis;
pub mod args;
mod diff;
pub mod draw;
pub mod effort;
pub mod exchanges;
pub mod explore;
pub mod figures;
pub mod load;
pub mod output;
pub mod page;
mod python;
pub mod run;
pub mod summary;
pub mod table;
mod text;
pub mod trackers;
