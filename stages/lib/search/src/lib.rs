//! The search: what a parent is, how an attempt is made, what stays in the archive. No tensors, no HTTP, and no state
//! but the candidate table.

#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]

pub mod archive;
pub mod builtin;
pub mod diagnosis;
pub mod features;
pub mod generation;
pub mod islands;
pub mod methods;
pub mod noise;
pub mod population;
pub mod proposer;
pub mod random;
pub mod reach;
pub mod region;
pub mod sampling;
pub mod stop;

/// The program that searches start from when no other is given.
pub const SEED_PROGRAM: &str = include_str!("../../../../data/seed_pgn.py");
