//! Which stages there are, and where.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use stage::Usage;

/// The stages by what one wants of them.
pub const GROUPS: [(&str, &[(&str, &str)]); 4] = [
    (
        "A search, stage by stage",
        &[
            ("propose", "the candidates of a generation: changed programs"),
            ("check", "what is wrong with a program, what it costs, how far an edit reaches"),
            ("train", "trains what was accepted, each in a process of its own"),
            ("score", "accuracy on larger graphs, and where a network fails"),
            ("select", "judges all candidates so far; the best, and what came of a search"),
            ("confirm", "the winner's gain on seeds and graphs that the search has not seen"),
        ],
    ),
    (
        "What came of it",
        &[
            ("report", "a page about one or several searches, with figures and tables"),
            ("run", "the folder of a run: what is to be made in it, is it equal to another"),
        ],
    ),
    ("Beyond a search", &[("transfer", "trains programs from scratch on other tasks")]),
    (
        "The benchmark, and this machine",
        &[
            ("sample", "CLRS data as tables, and what a task is"),
            ("probe", "compares with reference numbers, measures speed"),
        ],
    ),
];

/// The names of all stages.
pub fn names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().flat_map(|(_, stages)| stages.iter().map(|(name, _)| *name))
}

/// The page of all stages.
pub fn help() -> String {
    let mut text = String::from(
        "Searches for graph network architectures, as a pipeline of stages over tables.\n\n\
         Usage: emberline STAGE [OPTIONS] ...\n       emberline help STAGE\n",
    );
    for (title, stages) in GROUPS {
        let _ = writeln!(text, "\n{title}:");
        for (name, about) in stages {
            let _ = writeln!(text, "  {name:10} {about}");
        }
    }
    text += "\nBeside them:\n  completions SHELL    for bash, zsh, fish, elvish or powershell\n  man [FOLDER]         manual pages\n  \
             --version\n\nExamples:\n  emberline check my_idea.py\n  emberline propose --n 20 | emberline check - | jq -r .status\n  \
             emberline select --summary runs/spark-dfs-seed0/archive.parquet\n\nA whole search is Make's: `make search SEED=0` in the \
             folder of the sources (`make help`).\n";
    text
}

/// The program of a stage: beside this one, or in libexec/emberline of the place that this one is installed in.
pub fn program(name: &str) -> Result<PathBuf> {
    if !names().any(|known| known == name) {
        let near = stage::nearest(name, names()).map_or_else(String::new, |known| format!(": did you mean {known}?"));
        return Err(Usage(format!("there is no stage {name}{near} `emberline help` lists all")).into());
    }
    let own = std::env::current_exe().context("this program does not know where it lies")?;
    let folder = own.parent().unwrap_or(Path::new("."));
    let places = [folder.join(name), folder.join("../libexec/emberline").join(name)];
    match places.iter().find(|place| place.is_file()) {
        Some(place) => Ok(place.clone()),
        None => bail!("{name} is not installed: it is neither {} nor {}", places[0].display(), places[1].display()),
    }
}

/// Becomes the stage.
pub fn start(name: &str, words: &[OsString]) -> Result<()> {
    let program = program(name)?;
    let error = Command::new(&program).args(words).exec();
    if error.kind() == ErrorKind::PermissionDenied {
        bail!("{}: it may not be run", program.display());
    }
    Err(error).with_context(|| format!("{}: it cannot be started", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_in_the_help_and_a_misspelt_one_is_corrected() {
        assert!(names().all(|name| help().contains(&format!("  {name} "))));
        let error = program("selct").unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("did you mean select?"), "{error}");
        assert!(program("xyzzy").unwrap_err().to_string().contains("lists all"));
    }
}
