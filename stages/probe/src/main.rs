//! `probe`: does the network compute what it should, how fast, and on what.

mod args;
mod doctor;
mod parity;
mod programs;
mod speed;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = args::Args::parse();
    stage::main("probe", || match args.command {
        args::Command::Program(args) => parity::program(&args),
        args::Command::Network(args) => parity::network(&args),
        args::Command::Speed(args) => speed::run(&args),
        args::Command::Doctor(args) => doctor::run(&args),
    })
}
