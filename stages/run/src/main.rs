//! `run`: the folder of a run, for the Makefile. See `run --help`.

mod args;
mod made;
mod open;
mod plan;
mod remove;
mod replay;
mod status;

use std::process::ExitCode;

use args::{Args, Command};

fn main() -> ExitCode {
    let args: Args = stage::parse();
    stage::main("run", || match &args.command {
        Command::Plan(args) => plan::plan(args),
        Command::Made(args) => made::record(&args.folder, args.product),
        Command::Status(args) => status::status(args),
        Command::Remove(args) => remove::remove(&args.folder),
        Command::Replay(args) => replay::prepare(args),
        Command::Compare(args) => replay::compare(args),
    })
}
