use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::Result;
use schemas::Stage;
use stage::signal;
use stage::table::{self, Table};
use train::{Args, Lab};

fn main() -> ExitCode {
    // The children's side: not for people, so not in the help.
    match std::env::args_os().nth(1).as_deref().and_then(OsStr::to_str) {
        Some("train-child") => return train::child(),
        Some(check::CHILD) => return check::serve(),
        _ => {}
    }
    let args: Args = stage::parse();
    stage::main("train", || run(&args))
}

fn run(args: &Args) -> Result<()> {
    let Some(config) = args.config()? else { return Ok(()) };
    if args.explain {
        return args.explain(&config);
    }
    args.table.check_output()?;
    let table = if args.race.is_some() { args.table.read()? } else { args.table.read_with_programs()? };
    let archive = if args.archive.is_empty() { Table::default() } else { table::read(&args.archive)? };
    let provenance = args.table.provenance(Stage::Train, &config, &args.archive)?;
    let stop = signal::install()?;
    let lab = Lab::new(&config, &args.work, stop)?;
    let (table, trainings) = match args.race {
        Some(round) => train::race(table, &archive, round, &lab, &args.common)?,
        None => train::train(table, &lab, &args.common)?,
    };
    // The table comes last: where it is there, all of the stage's files are.
    if let Some(path) = &args.curves {
        train::curves(&trainings, path)?;
    }
    args.table.write(&table, &provenance)
}
