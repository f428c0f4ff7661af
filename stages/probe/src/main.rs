//! `probe`: does the network compute what it should, how fast, and on what.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod args;
mod beside;
mod doctor;
mod gpu_check;
mod node;
mod parity;
mod programs;
mod speed;

use std::ffi::OsStr;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The children's side: not for people, so not in the help.
    match std::env::args_os().nth(1).as_deref().and_then(OsStr::to_str) {
        Some(gpu_check::CHILD) => return gpu_check::child(),
        Some(check::CHILD) => return check::serve(),
        _ => {}
    }
    let args: args::Args = stage::parse();
    stage::main("probe", || match args.command {
        args::Command::Program(args) => parity::program(&args),
        args::Command::Network(args) => parity::network(&args),
        args::Command::Speed(args) => speed::run(&args),
        args::Command::Doctor(args) => doctor::run(&args),
        args::Command::Node(args) => node::answer(&args),
        args::Command::GpuCheck(args) => gpu_check::run(&args),
    })
}
