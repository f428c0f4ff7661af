//! Confirmation of a search's gain: what the binary does, for its tests.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod args;
mod measure;
mod outcome;

pub use args::Args;
pub use outcome::confirm;
