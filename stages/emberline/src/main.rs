//! `emberline STAGE ...`: the stages under one name. Each is a program of its own beside this one; `select` is a word of
//! bash's, and `check`, `run` and `train` are too common for everybody's path.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod manual;
mod stages;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use stage::{Usage, exit};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    stage::main("emberline", || run(&words))
}

fn run(words: &[OsString]) -> Result<()> {
    let Some((first, rest)) = words.split_first() else { return exit::say(&stages::help()) };
    let text = |at: usize| rest.get(at).map(|word| word.to_string_lossy().into_owned());
    match first.to_string_lossy().as_ref() {
        "--help" | "-h" => exit::say(&stages::help()),
        "help" => match text(0) {
            None => exit::say(&stages::help()),
            Some(name) => stages::start(&name, &["--help".into()]),
        },
        "--version" | "-V" => exit::say(&format!("emberline {}\n", stage::version())),
        "completions" => match text(0) {
            Some(shell) => exit::print_raw(&manual::completions(&shell)?),
            None => Err(Usage("completions for which shell? bash, zsh, fish, elvish or powershell".to_owned()).into()),
        },
        "man" => match rest.first() {
            Some(folder) => manual::pages(folder.as_ref()),
            None => exit::print_raw(&manual::page()?),
        },
        option if option.starts_with('-') => {
            Err(Usage(format!("there is no option {option}; `emberline help` lists what there is")).into())
        }
        name => stages::start(name, rest),
    }
}
