#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
use std::process::ExitCode;

use anyhow::{Context, Result};
use stage::{exit, signal};
use train::Supervisor;
use transfer::{Args, Tasks};

fn main() -> ExitCode {
    // The children's side: not for people, so not in the help.
    if std::env::args_os().nth(1).is_some_and(|word| word == check::CHILD) {
        return check::serve();
    }
    let args: Args = stage::parse();
    stage::main("transfer", || run(&args))
}

fn run(args: &Args) -> Result<()> {
    if let Some(key) = &args.one {
        return if score::EVALUATION.waits(key, &args.work) {
            train::one(&score::EVALUATION, key, &args.work)
        } else {
            train::one(&train::Kind::TRAINING, key, &args.work)
        };
    }
    let Some(config) = args.config()? else { return Ok(()) };
    let tasks = Tasks::new(&config.transfer.tasks)?;
    transfer::known(config.transfer.overrides.keys()).context("transfer.overrides")?;
    args.named()?;
    let target = args.wanted()?;
    let mut files = args.programs.clone();
    if let Some(target) = &target {
        if files.is_empty() {
            files.push(target.program.clone());
        }
        if args.talks() && !args.common.quiet {
            exit::note(&target.announcement(args.target.as_deref().unwrap_or_default()));
        }
    }
    let (programs, reference) = transfer::programs(&args.inputs, &files, &config)?;
    args.common.announce_defaults("transfer");
    let stop = signal::install()?;
    let supervisor = Supervisor::new(&config, &args.work, stop)?;
    let rows = transfer::matrix(&programs, &tasks.names, &supervisor, &args.common)?;
    let summary = transfer::summary(&rows, &programs, reference, &tasks);
    args.write(&rows, &summary)?;
    if args.talks() {
        exit::say(&transfer::table(&summary, &rows, config.transfer.test_length))?;
        if let (Some(target), Some(program)) = (&target, programs.first()) {
            let name = args.target.as_deref().unwrap_or_default();
            let stand_in = target.stand_in && args.programs.is_empty();
            exit::say(&transfer::verdict(target, name, &program.label, &rows, args.small, stand_in))?;
        }
    }
    Ok(())
}
