//! Completions and manual pages of all stages, made of what each says of itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap_complete::Shell;
use stage::manual::{FLAG, Spec};
use stage::{Usage, atomic};

use crate::stages::{self, GROUPS};

/// What a stage prints when it is asked for this.
fn ask(name: &str, what: &str) -> Result<String> {
    let program = stages::program(name)?;
    let output = Command::new(&program).arg(format!("{FLAG}{what}")).output();
    let output = output.with_context(|| format!("{}: it cannot be started", program.display()))?;
    if !output.status.success() {
        bail!("{} does not tell of itself: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The command line of all stages.
fn command() -> Result<clap::Command> {
    let mut whole = front();
    for name in stages::names() {
        let spec: Spec = serde_json::from_str(&ask(name, "spec")?)?;
        whole = whole.subcommand(spec.command());
    }
    Ok(whole)
}

/// The part of it that is this program's own.
fn front() -> clap::Command {
    let shell = clap::Arg::new("shell").index(1).value_parser(["bash", "zsh", "fish", "elvish", "powershell"]);
    let folder = clap::Arg::new("folder").index(1).value_hint(clap::ValueHint::DirPath);
    clap::Command::new("emberline")
        .about("Searches for graph network architectures, as a pipeline of stages over tables")
        .version(stage::VERSION)
        .subcommand(clap::Command::new("completions").about("Completions for a shell").arg(shell))
        .subcommand(clap::Command::new("man").about("Manual pages, into a folder").arg(folder))
}

/// Completions for a shell.
pub fn completions(shell: &str) -> Result<String> {
    let shell: Shell = shell.parse().map_err(|_| {
        Usage(format!("there are no completions for {shell}: take bash, zsh, fish, elvish or powershell"))
    })?;
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command()?, "emberline", &mut text);
    Ok(String::from_utf8(text)?)
}

/// The page of the whole, `emberline.1`.
pub fn page() -> Result<String> {
    let mut whole = front();
    for (name, about) in GROUPS.iter().flat_map(|(_, stages)| stages.iter()) {
        whole = whole.subcommand(clap::Command::new(*name).about(*about));
    }
    stage::manual::man(whole.name("emberline"))
}

/// Writes `emberline.1`, and a page for each stage.
pub fn pages(folder: &Path) -> Result<()> {
    stage::table::check_folder(folder)?;
    atomic::make_folder(folder)?;
    for name in stages::names() {
        atomic::write_bytes(&folder.join(format!("emberline-{name}.1")), ask(name, "man")?.as_bytes())?;
    }
    atomic::write_bytes(&folder.join("emberline.1"), page()?.as_bytes())
}
