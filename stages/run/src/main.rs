//! `run`: the folder of a run, for the Makefile. See `run --help`.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod after;
mod args;
mod demo;
mod estimate;
mod hold;
mod made;
mod open;
mod plan;
mod record;
mod remove;
mod replay;
mod simulate;
mod status;
mod watch;

use std::process::ExitCode;

use args::{Args, Command};

fn main() -> ExitCode {
    let args: Args = stage::parse();
    if let Command::Hold(args) = &args.command {
        // It sees for itself when its Make has ended, and then has nothing to say.
        return stage::exit::alone("run", || hold::hold(&args.folder));
    }
    stage::main("run", || match &args.command {
        Command::Plan(args) => plan::plan(args),
        Command::Made(args) => made::record(&args.folder, args.product, args.unfinished),
        Command::Name(args) => record::name(&args.folder),
        Command::Hold(args) => hold::hold(&args.folder),
        Command::Done(args) => record::done(&args.folder),
        Command::Estimate(args) => estimate::estimate(args),
        Command::Demo(args) => demo::demo(args),
        Command::After(args) => after::run(args),
        Command::Status(args) => status::status(args),
        Command::Watch(args) => watch::watch(args),
        Command::Remove(args) => remove::remove(&args.folder),
        Command::Replay(args) => replay::prepare(args),
        Command::Compare(args) => replay::compare(args),
        Command::Simulate(args) => simulate::simulate(args),
    })
}
