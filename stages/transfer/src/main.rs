use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::{Context, Result};
use stage::{exit, signal};
use train::Lab;
use transfer::{Args, Tasks};

fn main() -> ExitCode {
    // The children's side: not for people, so not in the help.
    match std::env::args_os().nth(1).as_deref().and_then(OsStr::to_str) {
        Some("train-child") => return train::child(),
        Some("score-child") => return score::child(),
        Some(check::CHILD) => return check::serve(),
        _ => {}
    }
    let args: Args = stage::parse();
    stage::main("transfer", || run(&args))
}

fn run(args: &Args) -> Result<()> {
    let Some(config) = args.config()? else { return Ok(()) };
    let tasks = Tasks::new(&config.transfer.tasks)?;
    transfer::known(config.transfer.overrides.keys()).context("transfer.overrides")?;
    let (programs, reference) = transfer::programs(&args.inputs, &args.programs, &config)?;
    let stop = signal::install()?;
    let lab = Lab::new(&config, &args.work, stop)?;
    let rows = transfer::matrix(&programs, &tasks.names, &lab, &args.common)?;
    let summary = transfer::summary(&rows, &programs, reference, &tasks);
    args.write(&rows, &summary)?;
    if args.talks() {
        exit::say(&transfer::table(&summary, config.transfer.test_length))?;
    }
    Ok(())
}
