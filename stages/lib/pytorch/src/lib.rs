//! A network as PyTorch: one readable module, written from the typed graph of the whole network.
//!
//! A candidate's text is never copied. What it computes is known as a graph, whose operations are written one by one as
//! Python expressions; its names of layers and parameters stay, as identifiers. So what is exported computes what was
//! trained, and holds no code but this crate's.

#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]

mod body;
mod error;
mod members;
mod module;
mod names;
mod op;
mod text;

pub use error::{ExportError, Result};
pub use module::{Module, Settings, module};

/// The script that scores an exported network on samples (`evaluate.py`).
pub const EVALUATE: &str = include_str!("../python/evaluate.py");
