//! `sample`: CLRS-30 data without Python. See `sample --help` and the README beside this crate.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

use std::process::ExitCode;

use sample::Args;

fn main() -> ExitCode {
    let args: Args = stage::parse();
    stage::main("sample", || sample::run(&args))
}
