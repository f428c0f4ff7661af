//! `select`: judges all candidates so far, and finds the best. See `select --help`.

mod args;
mod card;
mod export;
mod merge;
mod summary;
mod winner;

use std::process::ExitCode;

use race::Confirmation;
use schemas::Stage;
use search::population::Population;
use stage::exit;
use stage::table::{self, Table};

use args::Args;

fn main() -> ExitCode {
    let args: Args = stage::parse();
    stage::main("select", || run(&args))
}

/// What lies beside a single archive belongs to it.
fn confirmation(inputs: &[String]) -> anyhow::Result<Option<Confirmation>> {
    match table::expand(inputs)?.as_slice() {
        [archive] => stage::confirmation::beside(archive),
        _ => Ok(None),
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let Some(config) = args.config()? else { return Ok(()) };
    let scored = args.table.read()?;
    if args.best || args.export.is_some() || args.summary {
        let population = Population::new(scored.candidates());
        let confirmation = confirmation(&args.table.inputs)?;
        let winner = || winner::of(&population, confirmation.as_ref());
        if args.best {
            return winner::write(winner()?, &args.table.output);
        }
        if let Some(folder) = &args.export {
            let considered = population.scored().count();
            return export::write(winner()?, considered, confirmation.as_ref(), folder, &args.cache, &config);
        }
        let summary = summary::Summary::of(&population, &config, confirmation);
        return if args.json { exit::print(&summary.json()?) } else { exit::say(&summary.text()) };
    }
    args.table.check_output()?;
    let earlier = if args.archive.is_empty() { Table::default() } else { table::read(&args.archive)? };
    let provenance = args.table.provenance(Stage::Select, &config, &args.archive)?;
    let mut all = merge::merge(earlier, scored)?;
    merge::judge(&mut all, &config);
    table::write_reproducible(&all, &args.table.output, &provenance)?;
    let summary = summary::Summary::of(&Population::new(all.candidates()), &config, None);
    args.common.progress("select", 0).finish(&summary.line());
    Ok(())
}
