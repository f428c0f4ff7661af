use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use schemas::Stage;
use score::Args;
use stage::signal;
use train::Lab;

fn main() -> ExitCode {
    // The children's side: not for people, so not in the help.
    match std::env::args().nth(1).as_deref() {
        Some("score-child") => return score::child(),
        Some(check::CHILD) => return check::serve(),
        _ => {}
    }
    let args = Args::parse();
    stage::main("score", || run(&args))
}

fn run(args: &Args) -> Result<()> {
    if args.summary {
        let rows = args.table.read()?;
        let reach = search::reach::by_method(rows.candidates());
        return stage::exit::print(&if args.json { score::summary_json(&reach)? } else { score::summary(&reach) });
    }
    let Some(config) = args.config()? else { return Ok(()) };
    let table = args.read()?;
    let provenance = args.table.provenance(Stage::Score, &config, &[])?;
    let stop = signal::install()?;
    let lab = Lab::new(&config, &args.work, stop)?;
    let table = score::score(table, &args.weights, &lab, &args.common)?;
    args.table.write(&table, &provenance)
}
