//! `propose`: the candidates of one generation, each a whole program. See `propose --help`.

mod args;
mod plan;
mod proposers;

use std::process::ExitCode;

use clap::Parser;
use search::generation;
use search::population::Population;
use stage::Row;
use stage::table::{self, Table};

use args::Args;
use plan::Plan;

fn main() -> ExitCode {
    let args = Args::parse();
    stage::main("propose", || run(&args))
}

fn run(args: &Args) -> anyhow::Result<()> {
    let Some(config) = args.config()? else { return Ok(()) };
    let parents = if args.parents.is_empty() { Table::default() } else { table::read(&args.parents)? };
    let population = Population::new(parents.candidates());
    let plan = Plan::new(args, &config, &population)?;
    let proposer = proposers::open(args, &config)?;

    if let Some(reason) = plan.stop {
        args.common.progress("propose", 0).finish(&format!("nothing to propose: {reason}"));
        return table::write(&Table::default(), &args.output);
    }
    let progress = args.common.progress("propose", plan.count);
    let made =
        generation::propose(&population, plan.generation(), proposer.as_ref(), &program::candidate_id, &mut |row| {
            progress.item(&plan::summary(row))
        });
    progress.finish(&plan.outcome(&made));
    let rows: Table = made.rows.into_iter().map(Row::from).collect();
    table::write(&rows, &args.output)
}
