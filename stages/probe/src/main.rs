//! `probe`: does the network compute what it should, how fast, and on what.

mod args;
mod beside;
mod doctor;
mod gpu_check;
mod parity;
mod programs;
mod speed;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The measuring side of gpu-check: not for people, so not in the help.
    if std::env::args_os().nth(1).is_some_and(|word| word == gpu_check::CHILD) {
        return gpu_check::child();
    }
    let args: args::Args = stage::parse();
    stage::main("probe", || match args.command {
        args::Command::Program(args) => parity::program(&args),
        args::Command::Network(args) => parity::network(&args),
        args::Command::Speed(args) => speed::run(&args),
        args::Command::Doctor(args) => doctor::run(&args),
        args::Command::GpuCheck(args) => gpu_check::run(&args),
    })
}
