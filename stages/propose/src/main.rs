//! `propose`: the candidates of one generation, each a whole program. See `propose --help`.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod args;
mod import;
mod language;
mod models;
mod ping;
mod plan;
mod proposers;
mod show;

use std::process::ExitCode;

use search::population::Population;
use stage::exit;
use stage::table::{self, Provenance, Table};

use args::Args;
use plan::Plan;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The child's side of checking a program: not for people, so not in the help.
    if std::env::args_os().nth(1).is_some_and(|first| first == check::CHILD) {
        return check::serve();
    }
    let args: Args = stage::parse();
    stage::main("propose", || run(&args))
}

fn run(args: &Args) -> anyhow::Result<()> {
    if let [run, attempt @ ..] = args.show.as_slice() {
        let attempt = attempt.first().map(|number| number.to_string_lossy());
        return exit::say(&show::show(run, attempt.as_deref(), args.transcripts.as_deref(), args.json)?);
    }
    let Some(config) = args.config()? else { return Ok(()) };
    if !args.dry_run && !args.ping {
        table::check_output(&args.output)?;
    }
    if let [tool, folder] = args.import.as_slice() {
        let rows = import::import(import::tool(tool)?, folder.as_ref(), &config)?;
        let provenance = Provenance::new(schemas::Stage::Propose, &config, &[])?;
        args.common.progress("propose", 0).finish(&format!("{} programs taken over", rows.rows.len()));
        return table::write_from(&rows, &args.output, &provenance);
    }
    let parents = if args.parents.is_empty() { Table::default() } else { table::read(&args.parents)? };
    let population = Population::new(parents.candidates());
    let plan = Plan::new(args, &config, &population, models::tokens(&parents))?;
    if args.ping {
        return exit::say(&ping::ping(args, &config, &population, &plan.for_a_trial())?);
    }
    if args.dry_run {
        return exit::say(&models::dry_run(args, &config, &population, &plan)?);
    }
    let provenance = plan.provenance(args, &config)?;
    let proposer = proposers::open(args, &config, &population)?;

    if let Some(reason) = plan.stop {
        args.common.progress("propose", 0).finish(&format!("nothing to propose: {reason}"));
        return table::write_from(&Table::default(), &args.output, &provenance);
    }
    let progress = args.common.progress("propose", plan.count);
    let mut made = proposer.propose(&population, &plan, &|row| progress.item(&plan::summary(row)))?;
    for row in &mut made.rows.rows {
        row.candidate.settings_digest = Some(config.settings_digest());
    }
    progress.finish(&plan.outcome(&made));
    table::write_from(&made.rows, &args.output, &provenance)
}
