//! CLRS-30 data without Python, as a library: what is drawn, and how it becomes a table.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod args;
mod cards;
mod columns;
mod digests;
mod jsonl;
mod list;
mod parquet;
mod plan;
mod source;
mod tables;

use anyhow::Result;

pub use args::Args;
pub use parquet::write as write_parquet;
pub use plan::{Extent, Request};

use plan::{Plan, Work};

/// Does what the command line asks for.
pub fn run(args: &Args) -> Result<()> {
    cards::check(args)?;
    if args.list {
        return stage::exit::print(&list::text(args.json));
    }
    if !args.card.is_empty() {
        return cards::write(args);
    }
    let plan = Plan::new(args)?;
    match plan.work {
        Work::Digest => digests::print(&plan),
        Work::Tables(_) => tables::write(&plan),
    }
}
