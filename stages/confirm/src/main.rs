use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::Result;
use confirm::Args;
use schemas::Stage;
use stage::table::{Extra, write_records_from};
use stage::{atomic, signal};
use train::Lab;

fn main() -> ExitCode {
    // The children's side: not for people, so not in the help.
    match std::env::args_os().nth(1).as_deref().and_then(OsStr::to_str) {
        Some("train-child") => return train::child(),
        Some("score-child") => return score::child(),
        Some(check::CHILD) => return check::serve(),
        _ => {}
    }
    let args: Args = stage::parse();
    stage::main("confirm", || run(&args))
}

fn run(args: &Args) -> Result<()> {
    let Some(config) = args.config()? else { return Ok(()) };
    args.table.check_output()?;
    let archive = args.table.read()?;
    let provenance = args.table.provenance(Stage::Confirm, &config, &[])?;
    let stop = signal::install()?;
    let lab = Lab::new(&config, &args.work, stop)?;
    let (rows, mut outcome) = confirm::confirm(&archive, &lab, &args.common)?;
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
