//! The command line, as typed.

use std::path::{Path, PathBuf};

use clap::{Args as Group, Parser, Subcommand};
use stage::config::{self, ConfigError, Origin};
use stage::{Config, Usage};
use toml::Value;

use crate::made::Product;
use crate::simulate::SimulateArgs;

const EXAMPLES: &str = "\
Examples:
  run plan runs/a --profile quick --program data/seed_pgn.py            what is to be made, one name a line
  run plan runs/a --profile quick --program data/seed_pgn.py --dry-run  the same, and nothing is written
  run status runs/a --cache cache
  run watch runs/a                             what the search is doing, until it is done
  run watch runs/a --once                      the same in a line
  run remove runs/a
  run compare runs/a runs/a-replay
  run demo data/demo runs/demo/recorded        a recorded search: make search DEMO=yes
  run simulate --gpus 64 --lag 0,4,7                              how busy a lag keeps a cluster

Exit codes: 0 done, 1 failed, 2 wrong usage, or settings that are not the run's.";

/// Keep the folder of a run: its settings, its seed program, and what in it is up to date.
///
/// The Makefile calls this. Whether a table is up to date is told by the digests in its metadata, never by file times.
#[derive(Parser, Debug)]
#[command(name = "run", version = stage::version(), after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    Plan(Box<PlanArgs>),
    /// Print the name of a run, as its rows have it: that of its folder when it was begun
    Name(FolderArgs),
    Made(MadeArgs),
    /// Let no other search into a run's folder until the process that starts this one ends: prints a line when it is so
    Hold(FolderArgs),
    /// Note in run.json, and in the list of runs beside the folder, that the run is complete
    Done(FolderArgs),
    Demo(DemoArgs),
    After(AfterArgs),
    Estimate(EstimateArgs),
    Status(StatusArgs),
    Watch(WatchArgs),
    Remove(RemoveArgs),
    Replay(ReplayArgs),
    Compare(CompareArgs),
    Simulate(SimulateArgs),
}

/// Open a run, or make its folder, and print the names of what is to be made in it, in order
///
/// A run keeps the settings of its experiment and its seed program: others are refused. Operational settings and a larger
/// number of proposals are taken over, and noted in changes.jsonl. Options that are empty are not given.
#[derive(Group, Debug)]
pub struct PlanArgs {
    /// The run's folder
    pub folder: PathBuf,

    /// A name in data/profiles, or a path to a .toml file
    #[arg(long, value_name = "PROFILE")]
    pub profile: String,

    /// A file of settings that go over the profile's
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    pub settings: String,

    /// The program that the search starts from [propose.program]
    #[arg(long, value_name = "FILE")]
    pub program: PathBuf,

    /// Proposals in total [search.attempts]
    #[arg(long, value_name = "N", default_value = "", hide_default_value = true)]
    pub iterations: String,

    /// Seed of the run [search.seed]
    #[arg(long, value_name = "SEED", default_value = "", hide_default_value = true)]
    pub seed: String,

    /// How attempts are made [search.method]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub method: String,

    /// CLRS algorithm that candidates are trained on [task.algorithm]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub task: String,

    /// auto, cpu, cuda (all visible GPUs) or cuda:K [train.device]
    #[arg(long, value_name = "DEVICE", default_value = "", hide_default_value = true)]
    pub device: String,

    /// Where trainings run: local, slurm or command [train.engine]
    #[arg(long, value_name = "ENGINE", default_value = "", hide_default_value = true)]
    pub engine: String,

    /// Options of sbatch, as one text [engine.slurm.options]
    #[arg(long, value_name = "OPTIONS", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub slurm: String,

    /// The recording: a replay's rows have the name of the run that lies beside it
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    pub transcripts: String,

    /// What writes the programs [propose.proposer]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub proposer: String,

    /// Server of the language models [llm.base_url]
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub api_base: String,

    /// Its model, or several as "NAME=WEIGHT ..." [llm.models]
    #[arg(long, value_name = "NAMES", default_value = "", hide_default_value = true)]
    pub model: String,

    /// Trainings side by side, as `train --jobs` takes them: only looked at
    #[arg(long, value_name = "N", default_value = "", hide_default_value = true)]
    pub jobs: String,

    /// A stage of one's own, as in check=./my_stage [stages.after_check]; may be repeated
    #[arg(long, value_name = "STAGE=COMMAND")]
    pub after: Vec<String>,

    /// Further settings, as of the stages' --set
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub sets: Vec<String>,

    /// Write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Group, Debug)]
pub struct FolderArgs {
    /// The run's folder
    pub folder: PathBuf,
}

/// Say how long a search is going to take, by the trainings that it has had
#[derive(Group, Debug)]
pub struct EstimateArgs {
    /// The run's folder
    pub folder: PathBuf,

    /// Before the first of them: by timed training steps of the seed program, where the search is a long one
    #[arg(long)]
    pub before: bool,

    /// Trainings side by side, as `train --jobs` takes them [train.jobs]
    #[arg(long, value_name = "N", default_value = "", hide_default_value = true)]
    pub jobs: String,
}

/// Show a recorded search in a folder of its own: its programs are checked anew, nothing is trained
#[derive(Group, Debug)]
pub struct DemoArgs {
    /// The recording
    pub recording: PathBuf,

    /// The folder that it is shown in
    pub folder: PathBuf,
}

/// Run a stage of one's own on a table of a run ([stages] in its config.toml): the command is given the paths of its input and of
/// its output
#[derive(Group, Debug)]
pub struct AfterArgs {
    /// The stage that it follows on: propose, check, train or score
    pub stage: schemas::Stage,

    /// The run's folder
    pub folder: PathBuf,

    /// Name of the table, such as gen001/checked
    pub table: String,
}

/// Note that the report or the results were made from the archive as it is
#[derive(Group, Debug)]
pub struct MadeArgs {
    /// The run's folder
    pub folder: PathBuf,

    /// What was made
    pub product: Product,

    /// It is of an earlier generation: it is to be made again
    #[arg(long)]
    pub unfinished: bool,
}

/// Show what a search is doing, from its folder alone, until it is done
#[derive(Group, Debug)]
pub struct WatchArgs {
    /// The run's folder
    pub folder: PathBuf,

    /// Print one line, and stop
    #[arg(long)]
    pub once: bool,
}

/// Say how far the search is, and what is on its way to other machines: queued, running where and for how long, lost, failed
#[derive(Group, Debug)]
pub struct StatusArgs {
    /// The run's folder, for the commands of its queue (engine.command)
    #[arg(default_value = ".")]
    pub folder: PathBuf,

    /// Folder of results, which all runs share
    #[arg(long, value_name = "DIR", default_value = "cache")]
    pub cache: PathBuf,
}

/// Remove a run's folder; whatever is not, or holds more than a run, is refused
#[derive(Group, Debug)]
pub struct RemoveArgs {
    /// The run's folder
    pub folder: PathBuf,
}

/// Check that a search can be made again from its recording, and make room for that: an earlier replay is removed
#[derive(Group, Debug)]
pub struct ReplayArgs {
    /// The run's folder
    pub folder: PathBuf,

    /// The folder of the replay
    pub into: PathBuf,

    /// The recording
    #[arg(long, value_name = "FILE")]
    pub transcripts: PathBuf,
}

/// Say whether the archives of two runs are equal, byte for byte, and what differs; exit code 1 where they are not
#[derive(Group, Debug)]
pub struct CompareArgs {
    /// The one run's folder
    pub folder: PathBuf,

    /// The other's
    pub other: PathBuf,
}

impl PlanArgs {
    /// The settings that are asked for.
    pub fn config(&self) -> anyhow::Result<Config> {
        let program = self
            .program
            .to_str()
            .ok_or_else(|| Usage(format!("{}: the path of the seed program must be UTF-8", self.program.display())))?;
        let models: Vec<Value> = self.model.split_whitespace().map(Value::from).collect();
        let models = if models.is_empty() { String::new() } else { Value::from(models).to_string() };
        let options = if self.slurm.trim().is_empty() { String::new() } else { config::words(&self.slurm) };
        let flags = [
            ("--program", "propose.program", config::quoted(program)),
            ("--iterations", "search.attempts", self.iterations.clone()),
            ("--seed", "search.seed", self.seed.clone()),
            ("--method", "search.method", quoted(&self.method)),
            ("--task", "task.algorithm", quoted(&self.task)),
            ("--device", "train.device", quoted(&self.device)),
            ("--engine", "train.engine", quoted(&self.engine)),
            ("--slurm", "engine.slurm.options", options),
            ("--proposer", "propose.proposer", quoted(&self.proposer)),
            ("--api-base", "llm.base_url", quoted(&self.api_base)),
            ("--model", "llm.models", models),
        ];
        let mut flags = flags.to_vec();
        if !self.jobs.trim().is_empty() {
            stage::args::count::<usize>(&self.jobs)
                .map_err(|error| Usage(format!("JOBS={}: {error}", self.jobs.trim())))?;
        }
        for after in &self.after {
            let (stage, command) = after.split_once('=').unwrap_or((after, ""));
            let key = match stage {
                "propose" => "stages.after_propose",
                "check" => "stages.after_check",
                "train" => "stages.after_train",
                "score" => "stages.after_score",
                other => {
                    let text =
                        format!("--after {other}: a stage of one's own goes after propose, check, train or score");
                    return Err(Usage(text).into());
                }
            };
            let words = if command.trim().is_empty() { String::new() } else { config::words(command) };
            flags.push(("--after", key, words));
        }
        let given: Vec<_> = flags.into_iter().filter(|(_, _, value)| !value.trim().is_empty()).collect();
        Ok(self.load(&given)?)
    }

    fn load(&self, flags: &[(&str, &str, String)]) -> Result<Config, ConfigError> {
        let name = self.profile.trim();
        let path = if name.ends_with(".toml") {
            PathBuf::from(name)
        } else {
            PathBuf::from("data/profiles").join(format!("{name}.toml"))
        };
        let own = self.settings();
        let files: Vec<&Path> = [Some(path.as_path()), own].into_iter().flatten().collect();
        Config::layered(&files, &self.sets, flags)
    }

    /// The file of settings that somebody has asked for.
    fn settings(&self) -> Option<&Path> {
        (!self.settings.trim().is_empty()).then(|| Path::new(&self.settings))
    }

    /// The search as a command: what is given, without what the Makefile takes in any case.
    pub fn command(&self) -> String {
        let program = self.program.display().to_string();
        let given = [
            ("SEED", self.seed.as_str(), ""),
            ("METHOD", &self.method, "spark"),
            ("TASK", &self.task, "dfs"),
            ("PROFILE", &self.profile, ""),
            ("ITERATIONS", &self.iterations, ""),
            ("DEVICE", &self.device, ""),
            ("ENGINE", &self.engine, ""),
            ("SLURM", &self.slurm, ""),
            ("PROPOSER", &self.proposer, ""),
            ("API_BASE", &without_password(&self.api_base), ""),
            ("MODEL", &self.model, ""),
            ("PROGRAM", &program, "data/seed_pgn.py"),
            ("SETTINGS", &self.settings, ""),
            ("SET", &self.sets.join(" "), ""),
        ]
        .map(|(name, value, usual)| (name, value.trim().to_owned(), usual));
        let mut command = "make search".to_owned();
        for (name, value, usual) in given {
            if !value.is_empty() && value != usual {
                command += &format!(" {name}={}", word(&value));
            }
        }
        command
    }

    /// Whether a value was asked for with this call, and is not only what the profile has.
    pub fn asks_for(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Default => false,
            Origin::File { path, .. } => self.settings().is_some_and(|own| own.display().to_string() == *path),
            Origin::Set | Origin::Flag(_) => true,
        }
    }
}

/// A text as a word of a shell.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// An address without a name and password in it.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let host = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{authority}{path}")
}

/// A text as TOML; nothing if there is none.
fn quoted(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { config::quoted(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_typed_and_holds_no_password() {
        let args = |more: &[&str]| {
            let all = [
                "run",
                "plan",
                "runs/a",
                "--profile=quick",
                "--program=data/seed_pgn.py",
                "--method=spark",
                "--seed=3",
            ];
            let args = Args::try_parse_from(all.iter().chain(more)).expect("arguments");
            match args.command {
                Command::Plan(plan) => plan.command(),
                _ => unreachable!("it was asked for"),
            }
        };
        assert_eq!(args(&[]), "make search SEED=3 PROFILE=quick");
        assert_eq!(
            args(&["--api-base=https://me:secret@host/v1", "--set=llm.x=\"it's\""]),
            r#"make search SEED=3 PROFILE=quick API_BASE=https://host/v1 SET='llm.x="it'\''s"'"#
        );
    }
}
