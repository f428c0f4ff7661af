//! `select`: judges all candidates so far, and finds the best. See `select --help`.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod args;
mod card;
mod export;
mod merge;
mod network;
mod page;
mod runs;
mod safetensors;
mod summary;
mod winner;

use std::ffi::OsStr;
use std::process::ExitCode;

use schemas::Stage;
use search::population::Population;
use stage::exit;
use stage::table::{self, Table};

use args::Args;

fn main() -> ExitCode {
    // The children's side: not for people, so not in the help.
    if std::env::args_os().nth(1).as_deref().and_then(OsStr::to_str) == Some(check::CHILD) {
        return check::serve();
    }
    let args: Args = stage::parse();
    stage::main("select", || run(&args))
}

fn run(args: &Args) -> anyhow::Result<()> {
    let Some(config) = args.config()? else { return Ok(()) };
    if args.summary {
        let parts = runs::read(&args.table.inputs)?;
        return if args.json {
            exit::print(&summary::json(&parts, &config)?)
        } else {
            exit::say(&summary::text(&parts, &config))
        };
    }
    if args.best || args.export.is_some() {
        return winner(args, &config);
    }
    args.table.check_output()?;
    let scored = runs::together(runs::read(&args.table.inputs)?)?;
    let earlier = if args.archive.is_empty() { Table::default() } else { runs::together(runs::read(&args.archive)?)? };
    let provenance = args.table.provenance(Stage::Select, &config, &args.archive)?;
    runs::comparable([&earlier, &scored])?;
    let mut all = merge::merge(earlier, scored)?;
    merge::judge(&mut all, &config);
    table::write_reproducible(&all, &args.table.output, &provenance)?;
    let summary = summary::Summary::of(&Population::new(all.candidates()), &config, None);
    args.common.progress("select", 0).finish(&summary.line());
    Ok(())
}

/// Writes the winner, as a program alone or with its weights and a page.
fn winner(args: &Args, config: &stage::Config) -> anyhow::Result<()> {
    match &args.export {
        Some(folder) => export::check(folder)?,
        None => winner::check(&args.table.output)?,
    }
    let mut parts = runs::read(&args.table.inputs)?;
    // What was confirmed of one run says nothing of several.
    let confirmation = if let [only] = parts.as_mut_slice() { only.confirmation.take() } else { None };
    let rows = runs::together(parts)?;
    let population = Population::new(rows.candidates());
    let winner = winner::of(&population, confirmation.as_ref())?;
    let Some(folder) = &args.export else { return winner::write(winner, &args.table.output) };
    let considered = population.scored().count();
    export::write(winner, considered, confirmation.as_ref(), folder, &args.cache, config)
}
