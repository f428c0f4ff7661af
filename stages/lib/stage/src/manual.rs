//! What is made of a command line's definition beside its help: man pages, and what completions are made of.
//!
//! Every program prints them on the hidden first argument `--generate=man` or `--generate=spec`; `emberline` puts them together.

use std::ffi::OsStr;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};
use serde::{Deserialize, Serialize};

use crate::Usage;

/// The hidden argument, with what is wanted behind it.
pub const FLAG: &str = "--generate=";

/// A command line, as completions need to know it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The word that calls it.
    pub name: String,
    /// What it does, in a line.
    pub about: String,
    /// Its options and arguments, without hidden ones.
    pub options: Vec<OptionSpec>,
    /// Its subcommands, without hidden ones.
    pub subcommands: Vec<Spec>,
}

/// An option, or where there is neither a long nor a short form, an argument.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OptionSpec {
    /// Its name within the command line.
    pub id: String,
    /// The word behind `--`; `None` where there is no long form.
    pub long: Option<String>,
    /// The letter behind `-`; `None` where there is no short form.
    pub short: Option<char>,
    /// The first line of its help.
    pub help: String,
    /// Whether a value follows.
    pub takes_value: bool,
    /// The values that it can have; empty where any will do.
    pub values: Vec<String>,
    /// Whether it may be given several times.
    pub repeated: bool,
}

/// What is asked for by the first argument of this call, if anything.
pub fn asked() -> Option<String> {
    let first = std::env::args_os().nth(1)?;
    OsStr::to_str(&first)?.strip_prefix(FLAG).map(str::to_owned)
}

/// A man page, or a [`Spec`] as JSON.
///
/// # Errors
/// When nothing of that name is made.
pub fn generate(command: Command, what: &str) -> Result<String> {
    match what {
        "man" => {
            let name = format!("emberline-{}", command.get_name());
            man(command.name(name))
        }
        "spec" => Ok(serde_json::to_string(&spec(&command))? + "\n"),
        other => Err(Usage(format!("{FLAG}{other}: it makes man or spec")).into()),
    }
}

/// The man page of a program.
///
/// # Errors
/// When it is not text.
pub fn man(command: Command) -> Result<String> {
    let page = clap_mangen::Man::new(command).source(format!("emberline {}", crate::VERSION));
    let mut text = Vec::new();
    page.render(&mut text)?;
    Ok(String::from_utf8(text)?)
}

fn spec(command: &Command) -> Spec {
    let shown = |arg: &&Arg| !arg.is_hide_set();
    Spec {
        name: command.get_name().to_owned(),
        about: command.get_about().map(ToString::to_string).unwrap_or_default(),
        options: command.get_arguments().filter(shown).map(option).collect(),
        subcommands: command.get_subcommands().filter(|command| !command.is_hide_set()).map(spec).collect(),
    }
}

fn option(arg: &Arg) -> OptionSpec {
    OptionSpec {
        id: arg.get_id().to_string(),
        long: arg.get_long().map(str::to_owned),
        short: arg.get_short(),
        help: arg
            .get_help()
            .map(|help| help.to_string().lines().next().unwrap_or_default().to_owned())
            .unwrap_or_default(),
        takes_value: arg.get_action().takes_values(),
        values: arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect(),
        repeated: matches!(arg.get_action(), ArgAction::Append),
    }
}

impl Spec {
    /// The command line that it tells of, with no more than completions need.
    pub fn command(self) -> Command {
        let mut command = Command::new(self.name).about(self.about).disable_help_flag(true);
        let mut place = 1;
        for option in self.options {
            let mut arg = Arg::new(option.id).help(option.help);
            arg = match (option.takes_value, option.repeated) {
                (true, true) => arg.action(ArgAction::Append),
                (true, false) => arg.action(ArgAction::Set),
                (false, _) => arg.action(ArgAction::SetTrue),
            };
            if option.long.is_none() && option.short.is_none() {
                arg = arg.index(place).value_hint(ValueHint::FilePath);
                if option.repeated {
                    arg = arg.num_args(0..);
                }
                place += 1;
            }
            if let Some(long) = option.long {
                arg = arg.long(long);
            }
            if let Some(short) = option.short {
                arg = arg.short(short);
            }
            if option.takes_value {
                arg = if option.values.is_empty() {
                    arg.value_hint(ValueHint::AnyPath)
                } else {
                    arg.value_parser(PossibleValuesParser::new(option.values))
                };
            }
            command = command.arg(arg);
        }
        command.subcommands(self.subcommands.into_iter().map(Self::command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Command {
        let kind = Arg::new("kind").long("kind").short('k').value_parser(["a", "b"]).help("Which\nof two");
        Command::new("train")
            .about("Trains")
            .arg(Arg::new("inputs").action(ArgAction::Append))
            .arg(kind)
            .arg(Arg::new("quiet").long("quiet").action(ArgAction::SetTrue))
            .arg(Arg::new("secret").long("secret").hide(true))
            .subcommand(Command::new("deeper").about("More"))
    }

    #[test]
    fn a_command_line_is_told_and_made_again() {
        let text = generate(example(), "spec").expect("JSON");
        let told: Spec = serde_json::from_str(&text).expect("a spec");
        assert!(!text.contains("secret") && told.options.len() == 3 && told.options[1].values == ["a", "b"]);
        told.clone().command().debug_assert();
        assert_eq!(spec(&told.clone().command()).subcommands[0].name, "deeper");
        let page = generate(example(), "man").expect("a page");
        assert!(page.contains(".TH emberline-train") && page.contains("\\-\\-kind"), "{page}");
        assert!(generate(example(), "x").is_err());
    }
}
