//! `select`: judges all candidates so far, and finds the best. See `select --help`.

mod args;
mod card;
mod export;
mod merge;
mod summary;
mod winner;

use std::process::ExitCode;

use schemas::Stage;
use search::population::Population;
use stage::exit;
use stage::table::{self, Table};

use args::Args;

fn main() -> ExitCode {
    let args: Args = stage::parse();
    stage::main("select", || run(&args))
}

fn run(args: &Args) -> anyhow::Result<()> {
    let Some(config) = args.config()? else { return Ok(()) };
    let scored = args.table.read()?;
    if args.best {
        return winner::write(&Population::new(scored.candidates()), &args.table.output);
    }
    if let Some(folder) = &args.export {
        return export::write(&Population::new(scored.candidates()), folder, &args.cache, &config);
    }
    if args.summary {
        let summary = summary::Summary::of(&Population::new(scored.candidates()), &config);
        return if args.json { exit::print(&summary.json()?) } else { exit::say(&summary.text()) };
    }
    args.table.check_output()?;
    let earlier = if args.archive.is_empty() { Table::default() } else { table::read(&args.archive)? };
    let provenance = args.table.provenance(Stage::Select, &config, &args.archive)?;
    let mut all = merge::merge(earlier, scored)?;
    merge::judge(&mut all, &config);
    table::write_reproducible(&all, &args.table.output, &provenance)?;
    let summary = summary::Summary::of(&Population::new(all.candidates()), &config);
    args.common.progress("select", 0).finish(&summary.line());
    Ok(())
}
