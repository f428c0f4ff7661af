//! `sample`: CLRS-30 data without Python. See `sample --help` and the README beside this crate.

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

use std::process::ExitCode;

use args::Args;
use plan::{Plan, Work};

fn main() -> ExitCode {
    let args: Args = stage::parse();
    stage::main("sample", || run(&args))
}

fn run(args: &Args) -> anyhow::Result<()> {
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
