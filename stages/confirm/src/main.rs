#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
use std::process::ExitCode;

use anyhow::Result;
use confirm::Args;
use schemas::Stage;
use stage::table::{self, Extra, write_records_from};
use stage::{atomic, signal};
use train::Supervisor;

fn main() -> ExitCode {
    // The children's side: not for people, so not in the help.
    if std::env::args_os().nth(1).is_some_and(|word| word == check::CHILD) {
        return check::serve();
    }
    let args: Args = stage::parse();
    stage::main("confirm", || run(&args))
}

fn run(args: &Args) -> Result<()> {
    let Some(config) = args.config()? else { return Ok(()) };
    args.table.check_output()?;
    args.json.iter().try_for_each(|path| table::check_file(path))?;
    let archive = args.table.read()?;
    let provenance = args.table.provenance(Stage::Confirm, &config, &[])?;
    args.common.announce_defaults("confirm");
    let stop = signal::install()?;
    let supervisor = Supervisor::new(&config, &args.work, stop)?;
    let (rows, mut outcome) = confirm::confirm(&archive, &supervisor, &args.common)?;
    if let [input] = provenance.inputs.as_slice() {
        outcome.archive.clone_from(&input.digest);
    }
    // The table comes last: where it is there, all of the stage's files are.
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&outcome)? + "\n";
        atomic::write_bytes(path, text.as_bytes())?;
    }
    let none = Extra::default();
    write_records_from(rows.iter().map(|row| (row, &none)), &args.table.output, false, Some(&provenance))?;
    args.common.progress("confirm", 0).finish(&outcome.sentence());
    Ok(())
}
