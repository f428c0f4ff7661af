//! A recorded search once more, from its recording alone: the folder for it, and whether the archives are equal.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use schemas::{Candidate, Table as _};
use serde_json::{Map, Value};
use stage::exit::Negative;
use stage::{Config, Usage, table};

use crate::args::{CompareArgs, ReplayArgs};
use crate::open::{CONFIG, SEED_PROGRAM};
use crate::remove;

const ARCHIVE: &str = "archive.parquet";
/// Longer values are cut in messages, in characters.
const SHOWN: usize = 120;

/// Checks that a run can be replayed, and makes room for the replay: one that lies there from before is removed, and
/// whatever else lies there stays.
///
/// # Errors
/// When something of the recording is missing, or the folder holds anything but a replay.
pub fn prepare(args: &ReplayArgs) -> Result<()> {
    let run = &args.folder;
    let missing = |what: String| Usage(format!("{} cannot be replayed: {what}", run.display()));
    for file in [CONFIG, SEED_PROGRAM, ARCHIVE] {
        if !run.join(file).is_file() {
            return Err(missing(format!("it has no {file}; RUN= names the folder of a finished search")).into());
        }
    }
    if !args.transcripts.is_file() {
        let config = Config::load(Some(&run.join(CONFIG)), &[], &[])?;
        let why = if config.propose.proposer == "builtin" {
            "; its programs are the built-in proposer's, which needs none: make search with the same SEED makes it again"
        } else {
            ""
        };
        return Err(missing(format!("there is no {}{why}", args.transcripts.display())).into());
    }
    let into = &args.into;
    let (here, there) = (place(run)?, place(into)?);
    if there.starts_with(&here) || here.starts_with(&there) {
        bail!(Usage(format!("{}: a replay needs a folder of its own: give REPLAY=runs/NAME", into.display())));
    }
    if !into.exists() {
        return Ok(());
    }
    let earlier = Config::load(Some(&into.join(CONFIG)), &[], &[]);
    if !earlier.is_ok_and(|config| config.propose.proposer == "replay") {
        let message =
            format!("{} is there, and is no replay: give the replay another folder, REPLAY=runs/NAME", into.display());
        return Err(Usage(message).into());
    }
    remove::remove(into)
}

/// Where a path leads to; of what is not there yet, where it would lie.
fn place(path: &Path) -> Result<PathBuf> {
    let named = || path.display().to_string();
    if path.exists() {
        return path.canonicalize().with_context(named);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match path.file_name() {
        Some(name) => Ok(place(folder)?.join(name)),
        None => Ok(path.to_owned()),
    }
}

/// Says whether the archives of two runs are equal, byte for byte, and what differs first where they are not.
///
/// # Errors
/// [`Negative`] where they differ; otherwise when they cannot be read.
pub fn compare(args: &CompareArgs) -> Result<()> {
    let [one, other] = [&args.folder, &args.other].map(|folder| folder.join(ARCHIVE));
    let read = |path: &PathBuf| fs::read(path).with_context(|| path.display().to_string());
    let (bytes, rows) = (read(&one)?, rows_of(&one)?);
    let [name, other_name] = [&one, &other].map(|path| stage::terminal::line(&path.to_string_lossy()).into_owned());
    if bytes == read(&other)? {
        let size = format!("{} rows, {} bytes", rows.len(), bytes.len());
        return stage::exit::say(&format!("equal:   {name} and {other_name}, byte for byte ({size})\n"));
    }
    let others = rows_of(&other)?;
    if bytes_of(&one)? == bytes_of(&other)? {
        let which = identity(&rows, &others).join(" and ");
        let size = format!("{} rows", rows.len());
        return stage::exit::say(&format!(
            "equal:   {name} and {other_name}, byte for byte but for {which} ({size})\n"
        ));
    }
    let differences = differences(&rows, &others);
    stage::exit::say(&format!("differs: {name} and {other_name}\n{differences}"))?;
    Err(Negative.into())
}

/// The columns that tell one run from another, and say nothing of what it found.
const IDENTITY: [&str; 2] = ["run", "settings_digest"];

/// Which of them differ: what their tables' metadata are made of differs with them.
fn identity(one: &[Map<String, Value>], other: &[Map<String, Value>]) -> Vec<String> {
    let differs = |name: &&&str| one.iter().zip(other).any(|(a, b)| a.get(**name) != b.get(**name));
    let mut columns: Vec<String> = IDENTITY.iter().filter(differs).map(|name| format!("the column {name}")).collect();
    if columns.is_empty() {
        columns.push("what their metadata say of their origin".to_owned());
    }
    columns
}

/// An archive as a file, without what tells one run from another.
fn bytes_of(archive: &Path) -> Result<Vec<u8>> {
    let mut rows = table::read_records::<Candidate>(archive)?.rows;
    for (candidate, _) in &mut rows {
        candidate.run.clear();
        candidate.settings_digest = None;
    }
    let folder = tempfile::tempdir().context("no folder for temporary files")?;
    let path = folder.path().join(ARCHIVE);
    table::write_records(rows.iter().map(|(row, extra)| (row, extra)), &path, false)?;
    fs::read(&path).with_context(|| path.display().to_string())
}

/// The rows of an archive as JSON, without the columns whose values differ from run to run.
fn rows_of(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let mut rows = Vec::new();
    for (candidate, extra) in table::read_records::<Candidate>(path)?.rows {
        let Value::Object(mut row) = serde_json::to_value(&candidate)? else { continue };
        row.retain(|name, _| Candidate::column(name).is_none_or(|column| !column.volatile));
        for name in extra.names() {
            if let Some(value) = extra.get(&name) {
                row.insert(name, value);
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

/// What differs between the rows of two archives, in lines.
fn differences(one: &[Map<String, Value>], other: &[Map<String, Value>]) -> String {
    let mut text = String::new();
    if one.len() != other.len() {
        let _ = writeln!(text, "  {} rows were recorded, {} were made", one.len(), other.len());
    }
    let strip = |row: &Map<String, Value>| {
        let mut row = row.clone();
        row.retain(|name, _| !IDENTITY.contains(&name.as_str()));
        row
    };
    let differing: Vec<_> = one.iter().zip(other).filter(|(a, b)| strip(a) != strip(b)).collect();
    let Some((a, b)) = differing.first() else {
        if one.len() == other.len() {
            text += "  their rows are equal; the files were written by different versions or commands\n";
        }
        return text;
    };
    let attempt = a.get("attempt").map_or_else(String::new, Value::to_string);
    let _ =
        writeln!(text, "  {} of {} rows differ; the first one is of attempt {attempt}:", differing.len(), one.len());
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let told = |name: &&&String| !IDENTITY.contains(&name.as_str()) && a.get(**name) != b.get(**name);
    for name in names.iter().filter(told).copied() {
        let shown = |row: &Map<String, Value>| short(&row.get(name).map_or_else(|| "null".into(), Value::to_string));
        let _ = writeln!(text, "  {name}: {} was recorded, {} was made", shown(a), shown(b));
    }
    text
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stage::{Row, Table};

    use super::*;

    fn args(folder: &Path) -> ReplayArgs {
        ReplayArgs {
            folder: folder.join("run"),
            into: folder.join("again"),
            transcripts: folder.join("run/transcripts.jsonl"),
        }
    }

    #[test]
    fn what_is_missing_is_named_and_what_is_no_replay_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let args = args(scratch.path());
        let refused = |word: &str| {
            let error = prepare(&args).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains(word), "{error}");
        };
        fs::create_dir_all(args.folder.join("gen000")).unwrap();
        refused("no config.toml");
        fs::write(args.folder.join(CONFIG), Config::default().to_toml()).unwrap();
        fs::write(args.folder.join(SEED_PROGRAM), "x").unwrap();
        refused("no archive.parquet");
        fs::write(args.folder.join(ARCHIVE), "x").unwrap();
        refused("the built-in proposer's");
        fs::write(&args.transcripts, "x").unwrap();
        prepare(&args).unwrap();
        fs::create_dir(&args.into).unwrap();
        refused("is no replay");
        fs::write(args.into.join(CONFIG), Config::default().to_toml()).unwrap();
        refused("is no replay");
        let flags = [("--proposer", "propose.proposer", "replay".to_owned())];
        fs::write(args.into.join(CONFIG), Config::load(None, &[], &flags).unwrap().to_toml()).unwrap();
        prepare(&args).unwrap();
        assert!(!args.into.exists());
        for into in
            [args.folder.clone(), args.folder.join("-replay"), args.folder.join("new/deeper"), scratch.path().into()]
        {
            let inside = ReplayArgs { into, folder: args.folder.clone(), transcripts: args.transcripts.clone() };
            assert!(prepare(&inside).unwrap_err().to_string().contains("folder of its own"));
        }
    }

    #[test]
    fn the_first_difference_is_named() {
        let row = |attempt: i64, reason: &str| match json!({"attempt": attempt, "reason": reason, "run": "r"}) {
            Value::Object(row) => row,
            _ => Map::new(),
        };
        let one = [row(0, "a"), row(1, "b"), row(2, "c")];
        let text = differences(&one, &[row(0, "a"), row(1, "x"), row(2, "y"), row(3, "z")]);
        assert_eq!(
            text,
            "  3 rows were recorded, 4 were made\n  2 of 3 rows differ; the first one is of attempt 1:\n  reason: \"b\" was \
             recorded, \"x\" was made\n"
        );
        assert!(differences(&one, &one).contains("rows are equal"));
    }

    #[test]
    fn archives_are_compared_by_their_bytes() {
        let scratch = tempfile::tempdir().unwrap();
        let write = |name: &str, reason: &str| {
            let folder = scratch.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            let row = Candidate { run: name.to_owned(), reason: Some(reason.to_owned()), ..Candidate::default() };
            let rows: Table = [Row::from(row)].into_iter().collect();
            table::write(&rows, &folder.join(ARCHIVE)).unwrap();
            folder
        };
        let of = |folder: PathBuf, other: PathBuf| compare(&CompareArgs { folder, other });
        of(write("a [x]", "r"), write("b", "r")).unwrap();
        assert!(of(write("a [x]", "r"), write("c", "s")).unwrap_err().is::<Negative>());
    }
}
