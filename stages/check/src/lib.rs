//! What `check` finds out about a candidate. A library, too, for the stages that take programs given by hand.
//!
//! What is accepted here cannot panic or mis-shape the trainer, for any batch size and any number of nodes from 2.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod args;
mod duplicates;
mod explain;
mod inspect;
mod isolation;
mod pages;
mod reach;
mod rules;
mod text;

pub use args::{Args, Format};
pub use duplicates::Known;
pub use inspect::{Inspection, settle};
pub use isolation::{CHILD, Inspectors, serve};
pub use pages::rule;
pub use reach::Parents;
pub use rules::Rules;
pub use text::Show;
