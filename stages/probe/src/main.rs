//! `probe`: does the network compute what it should, how fast, and on what.

mod args;
mod beside;
mod doctor;
mod gpu_check;
mod parity;
mod programs;
mod speed;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // The measuring side of gpu-check, and the child that looks at programs: not for people, so not in the help.
    match std::env::args().nth(1).as_deref() {
        Some(gpu_check::CHILD) => return gpu_check::child(),
        Some(check::CHILD) => return check::serve(),
        _ => {}
    }
    let args = args::Args::parse();
    stage::main("probe", || match args.command {
        args::Command::Program(args) => parity::program(&args),
        args::Command::Network(args) => parity::network(&args),
        args::Command::Speed(args) => speed::run(&args),
        args::Command::Doctor(args) => doctor::run(&args),
        args::Command::GpuCheck(args) => gpu_check::run(&args),
    })
}
