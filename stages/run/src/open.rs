//! Opening a run: it keeps the settings of its experiment and its seed program.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde_json::json;
use stage::config::{Class, Difference, Origin};
use stage::table::{self, Provenance};
use stage::{Config, Usage, atomic};

use crate::args::PlanArgs;
use crate::demo;

pub const CONFIG: &str = "config.toml";
pub const SEED_PROGRAM: &str = "seed_program.py";
/// The first table of a run, in its folder.
pub const FIRST: &str = "gen000/proposed.parquet";
const CHANGES: &str = "changes.jsonl";
const ADVICE: &str = "give this search a folder of its own (RUN=runs/NAME), or remove the old run (make clean-run)";

/// An opened run.
pub struct Run {
    pub folder: PathBuf,
    pub config: Config,
    /// Digest of its seed program.
    pub seed_program: String,
}

/// Opens a run or makes its folder, unless nothing is to be written.
///
/// # Errors
/// When settings or seed program are not those of the run, or files cannot be read or written.
pub fn open(args: &PlanArgs) -> Result<Run> {
    let folder = &args.folder;
    if folder.as_os_str().is_empty() {
        return Err(Usage("the run's folder has no name: give RUN=runs/NAME".to_owned()).into());
    }
    if folder.join(demo::MARK).is_file() {
        let message = format!("{} shows a recording; {ADVICE}", folder.display());
        return Err(Usage(message).into());
    }
    let asked = args.config()?;
    let recorded = recorded(folder)?;
    let (config, changes) = match &recorded {
        Some(recorded) => settle(args, recorded, asked)?,
        None => (asked, Vec::new()),
    };
    let program = seed_program(folder, &args.program)?;
    if !args.dry_run {
        atomic::make_folder(folder)?;
        write_changed(&folder.join(SEED_PROGRAM), &program)?;
        if !changes.is_empty() {
            note(folder, &changes)?;
        }
        if recorded.is_none() || !changes.is_empty() {
            atomic::write_bytes(&folder.join(CONFIG), config.to_toml().as_bytes())?;
        }
    }
    Ok(Run { folder: folder.clone(), config, seed_program: table::digest_of_text(&program) })
}

/// The settings of a run that is there. Where nothing was made yet, there is nothing that settings could not fit.
fn recorded(folder: &Path) -> Result<Option<Config>> {
    let path = folder.join(CONFIG);
    if !folder.join(FIRST).exists() {
        return Ok(None);
    }
    // Whatever cannot be looked at is an error when it is written; what is not a regular file is one when it is read.
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(Config::load(Some(&path), &[], &[])?))
}

/// The settings with which a run goes on, and what changes.
fn settle(args: &PlanArgs, recorded: &Config, asked: Config) -> Result<(Config, Vec<Difference>)> {
    let folder = &args.folder;
    let (mut config, mut changes, mut refused) = (asked.clone(), Vec::new(), Vec::new());
    for difference in asked.differences(recorded) {
        let path = difference.key.path();
        let explicit = args.asks_for(&asked.origin(&path));
        let given = asked.origin(&path) != Origin::Default;
        // The run has its own copy of the seed program: what counts is the text, not where it came from.
        let keep = path == "propose.program"
            || match path.as_str() {
                "search.attempts" => !extends(folder, recorded, &asked, explicit)?,
                _ => difference.key.class == Class::Operational && !given,
            };
        if keep {
            config = config.with(difference.key, difference.before, Origin::Default)?;
        } else if path == "search.attempts" || difference.key.class == Class::Operational {
            changes.push(difference);
        } else {
            refused.push(difference);
        }
    }
    if refused.is_empty() {
        return Ok((config, changes));
    }
    let mut text = format!("{} was made with other settings:\n", folder.display());
    for difference in refused {
        let _ = writeln!(text, "  {difference} ({})", asked.origin(&difference.key.path()));
    }
    Err(Usage(text + ADVICE).into())
}

/// Whether the number of proposals that is asked for is to be taken. Fewer than are made already are refused if somebody
/// has said so, and not heard of if that is only what the profile has.
fn extends(folder: &Path, recorded: &Config, asked: &Config, explicit: bool) -> Result<bool> {
    let (before, now) = (recorded.search.attempts, asked.search.attempts);
    if now > before {
        return Ok(true);
    }
    let made = made(folder, recorded);
    if explicit && now < made {
        let message = format!(
            "{} has {made} proposals already, more than the {now} asked for (search.attempts); nothing was changed.\n\
             For a shorter search {ADVICE}",
            folder.display()
        );
        return Err(Usage(message).into());
    }
    Ok(explicit)
}

/// How many proposals the run has begun with: those of every generation that is there.
fn made(folder: &Path, config: &Config) -> usize {
    let there = |generation: &u32| folder.join(format!("gen{generation:03}/proposed.parquet")).exists();
    (1..=config.search.last_generation()).take_while(there).map(|generation| config.search.share(generation)).sum()
}

/// The text of the run's seed program, which must be the one asked for.
fn seed_program(folder: &Path, asked: &Path) -> Result<Vec<u8>> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("{}: cannot read the seed program", path.display()));
    let program = read(asked)?;
    let copy = folder.join(SEED_PROGRAM);
    let first = folder.join(FIRST);
    let kept = match std::fs::read(&copy) {
        Ok(_) if !first.exists() => None,
        Ok(kept) => Some(kept),
        Err(error) if error.kind() == ErrorKind::NotFound => begun_with(&first)?,
        Err(error) => return Err(error).with_context(|| copy.display().to_string()),
    };
    if kept.is_some_and(|kept| kept != program) {
        let message = format!(
            "{} was made with another seed program than {} is now: {} is the one it began with.\n\
             Go on with that (PROGRAM={}), or {ADVICE}",
            folder.display(),
            asked.display(),
            copy.display(),
            copy.display()
        );
        return Err(Usage(message).into());
    }
    let recorded = if first.exists() { Provenance::read(&first)?.and_then(|table| table.seed_program) } else { None };
    if recorded.is_some_and(|digest| digest != table::digest_of_text(&program)) {
        let message = format!(
            "{}: this is not the seed program that {} was made from: restore it, or {ADVICE}",
            copy.display(),
            first.display()
        );
        return Err(Usage(message).into());
    }
    Ok(program)
}

/// The seed program of a run that has no copy of it: the first row's.
fn begun_with(first: &Path) -> Result<Option<Vec<u8>>> {
    if !first.exists() {
        return Ok(None);
    }
    let table = table::read(&[first.display().to_string()])?;
    Ok(table.rows.into_iter().next().map(|row| row.candidate.source.into_bytes()))
}

fn write_changed(path: &Path, content: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|there| there == content) { Ok(()) } else { atomic::write_bytes(path, content) }
}

/// Notes changed settings, a line of JSON for all that change at once.
fn note(folder: &Path, changes: &[Difference]) -> Result<()> {
    let path = folder.join(CHANGES);
    let mut text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let changes: Vec<_> = changes
        .iter()
        .map(|change| json!({ "key": change.key.path(), "before": change.before, "now": change.now }))
        .collect();
    let _ = writeln!(text, "{}", json!({ "unix_time": seconds, "changes": changes }));
    atomic::write_bytes(&path, text.as_bytes())
}
