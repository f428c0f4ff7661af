//! Confirmation of a search's gain: what the binary does, for its tests.

mod args;
mod measure;
mod outcome;

pub use args::Args;
pub use outcome::confirm;
