use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::Result;
use schemas::Stage;
use stage::signal;
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
    let table = args.table.read_with_programs()?;
    let provenance = args.table.provenance(Stage::Train, &config, &[])?;
    let stop = signal::install()?;
    let lab = Lab::new(&config, &args.work, stop)?;
    let (table, trainings) = train::train(table, &lab, &args.common)?;
    // The table comes last: where it is there, all of the stage's files are.
    if let Some(path) = &args.curves {
        train::curves(&trainings, path)?;
    }
    args.table.write(&table, &provenance)
}
