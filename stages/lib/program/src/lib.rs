//! The candidate language: PyTorch programs, understood without running them.
//!
//! ```text
//! source --parse--> syntax tree --forbidden, regions--> evaluate --> graph --> warnings
//! ```
//!
//! [`compile`] turns a program into a [`graph::Processor`], or says what is wrong with it and where. [`locality`] compares
//! a child with its parent. Nothing of a program is ever executed by Python, and nothing in it reaches outside.

#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]

mod bounds;
pub mod budget;
mod compile;
mod contract;
pub mod diagnostic;
mod eval;
mod explain;
mod forbidden;
mod language;
mod locality;
mod modules;
mod parse;
mod recent;
pub mod regions;
pub mod rules;
pub mod sites;
mod suggest;
mod syntax;
mod tree;
mod vocabulary;
mod walk;
mod warn;

pub use budget::Budgets;
pub use compile::{Compiled, Options, compile, on_big_stack};
pub use contract::{Coverage, contract_page, coverage};
pub use diagnostic::{Category, Diagnostic, Note, render};
pub use explain::{LineCost, line_costs};
pub use language::language_page;
pub use locality::{EditDistance, Locality, LocalityVerdict, candidate_id, locality};
pub use regions::{Passage, Region, Regions};
pub use rules::Rule;
pub use schemas::{Factor, Severity, Verdict};
