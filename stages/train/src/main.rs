use std::process::ExitCode;

use anyhow::Result;
use stage::signal;
use train::{Args, Lab};

fn main() -> ExitCode {
    // The child's side: not for people, so not in the help.
    if std::env::args_os().nth(1).is_some_and(|word| word == "train-child") {
        return train::child();
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
    let stop = signal::install()?;
    let lab = Lab::new(&config, &args.work, stop)?;
    let (table, trainings) = train::train(table, &lab, &args.common)?;
    // The table comes last: where it is there, all of the stage's files are.
    if let Some(path) = &args.curves {
        train::curves(&trainings, path)?;
    }
    args.table.write(&table)
}
