#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
use std::process::ExitCode;

use anyhow::Result;
use schemas::Stage;
use stage::job::Missing;
use stage::signal;
use stage::table::{self, Table};
use train::{Args, Supervisor};

fn main() -> ExitCode {
    // The children's side: not for people, so not in the help.
    if std::env::args_os().nth(1).is_some_and(|word| word == check::CHILD) {
        return check::serve();
    }
    let args: Args = stage::parse();
    stage::main("train", || run(&args))
}

fn run(args: &Args) -> Result<()> {
    if let Some(key) = &args.one {
        return train::one(&train::Kind::TRAINING, key, &args.work);
    }
    let Some(config) = args.config()? else { return Ok(()) };
    if args.explain {
        return args.explain(&config);
    }
    args.table.check_output()?;
    args.curves.iter().try_for_each(|path| table::check_output(path))?;
    let table = if args.race.is_some() { args.table.read()? } else { args.table.read_with_programs()? };
    let archive = if args.archive.is_empty() { Table::default() } else { table::read(&args.archive)? };
    let provenance = args.table.provenance(Stage::Train, &config, &args.archive)?;
    args.common.announce_defaults("train");
    let stop = signal::install()?;
    let work = |supervisor: &Supervisor<'_>, table: Table| match args.race {
        Some(round) => train::race(table, &archive, round, supervisor, &args.common),
        None => train::train(table, supervisor, &args.common),
    };
    let (table, trainings) = if args.collect {
        collect(&config.train.device, |device| {
            work(&Supervisor::collecting(&config, &args.work, stop, device), table.clone())
        })?
    } else {
        work(&Supervisor::new(&config, &args.work, stop)?, table)?
    };
    // The table comes last: where it is there, all of the stage's files are.
    if let Some(path) = &args.curves {
        train::curves(&trainings, &config, path)?;
    }
    args.table.write(&table, &provenance)
}

/// Collects the results of trainings on a kind of device. Which kind `auto` was is for the cache to say, and not for this
/// machine: that of which less is missing, the CPU of equals.
fn collect<T>(device: &str, on: impl Fn(&str) -> Result<T>) -> Result<T> {
    if device != "auto" {
        return on(if device.starts_with("cuda") { "cuda:0" } else { "cpu" });
    }
    let missing = |error: &anyhow::Error| error.downcast_ref::<Missing>().map(|missing| missing.missing);
    match (on("cpu"), on("cuda:0")) {
        (Err(cpu), cuda) => match cuda {
            Err(cuda) if missing(&cuda) < missing(&cpu) => Err(cuda),
            Ok(collected) => Ok(collected),
            Err(_) => Err(cpu),
        },
        (collected, _) => collected,
    }
}
