//! A recorded search, shown: `make search DEMO=yes`. Its programs are checked anew, and its page is drawn anew; what was
//! trained, and what came of it, is the recording's.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use schemas::{Candidate, Status};
use stage::live::{Counts, duration};
use stage::runs::{RunRecord, Session};
use stage::table::{Extra, read_records, write_records};
use stage::{Config, Usage, atomic, exit};

use crate::args::DemoArgs;
use crate::open::CONFIG;

/// What marks a folder as a recording's: a page that says where it is from.
pub const MARK: &str = "RECORDING.md";
const ARCHIVE: &str = "archive.parquet";

/// Copies the recording into a folder of its own, and tells it generation by generation.
///
/// # Errors
/// When the recording is not whole, or the folder holds anything but this recording.
pub fn demo(args: &DemoArgs) -> Result<()> {
    let (recording, folder) = (&args.recording, &args.folder);
    let record = RunRecord::read(recording)?.filter(|_| recording.join(MARK).is_file());
    let Some(record) = record else {
        return Err(Usage(format!("{}: there is no recording here", recording.display())).into());
    };
    let other = || RunRecord::read(folder).ok().flatten().is_none_or(|there| there.run_id != record.run_id);
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) && other() {
        let message = format!(
            "{} holds something else than the recording: give it another folder, RUN=runs/NAME",
            folder.display()
        );
        return Err(Usage(message).into());
    }
    let config = Config::load(Some(&recording.join(CONFIG)), &[], &[])?;
    let rows: Vec<Candidate> =
        read_records::<Candidate>(&recording.join(ARCHIVE))?.rows.into_iter().map(|(row, _)| row).collect();
    exit::say(&origin(&record))?;
    copy(recording, folder)?;
    exit::say(&check(&rows, folder)?)?;
    for generation in 0..=config.search.last_generation() {
        let so_far: Vec<Candidate> =
            rows.iter().filter(|row| row.generation <= i64::from(generation)).cloned().collect();
        exit::say(&format!("{}\n", line(&Counts::of(&so_far, generation, &config))))?;
    }
    Ok(())
}

/// Where the recording is from.
fn origin(record: &RunRecord) -> String {
    let mut text = "demo:    a recording; nothing is trained now".to_owned();
    if let Some(last) = record.sessions.last() {
        let took = last.ended().zip(last.began()).map(|(ended, began)| format!(" in {}", duration(ended - began)));
        let on = last.host.as_ref().map_or_else(String::new, |host| format!(" on {host}"));
        let commit = last.commit.as_ref().map_or_else(String::new, |commit| format!(" (commit {commit})"));
        text += &format!(
            ". It was made at {}{on}, by version {}{commit}{}, with\n         {}",
            last.begun,
            last.version,
            took.unwrap_or_default(),
            command(last),
        );
    }
    text + "\n"
}

fn command(session: &Session) -> &str {
    if session.command.is_empty() { "make search" } else { &session.command }
}

/// What the search had found by the end of a generation.
fn line(counts: &Counts) -> String {
    let percent =
        |value: Option<f64>| value.map_or_else(|| "no score".to_owned(), |value| format!("{:.1} %", 100.0 * value));
    let lost: Vec<String> = counts.lost.iter().map(|(status, n)| format!("{n} {status}")).collect();
    let lost = if lost.is_empty() { String::new() } else { format!(", without a score: {}", lost.join(", ")) };
    format!(
        "generation {} of {}: {} of {} attempts, {} valid, best {}, seed program {}{lost}",
        counts.generation,
        counts.generations,
        counts.attempts,
        counts.of,
        counts.valid,
        percent(counts.best),
        percent(counts.seed)
    )
}

/// Has `check` judge every program of the recording once more, and says whether it comes to the same.
fn check(rows: &[Candidate], folder: &Path) -> Result<String> {
    let scratch = tempfile::tempdir_in(folder)?;
    let (asked, answered) = (scratch.path().join("asked.parquet"), scratch.path().join("answered.parquet"));
    let anew: Vec<Candidate> = rows.iter().map(|row| Candidate { status: Status::Proposed, ..row.clone() }).collect();
    let none = Extra::default();
    write_records(anew.iter().map(|row| (row, &none)), &asked, true)?;
    let check = std::env::current_exe()?.with_file_name("check");
    let mut command = Command::new(&check);
    command.arg("--config").arg(folder.join(CONFIG)).arg("-o").arg(&answered).arg(&asked);
    let status = command.status().with_context(|| format!("{}: it cannot be started", check.display()))?;
    if !status.success() {
        bail!("check fails on the programs of the recording");
    }
    let judged = read_records::<Candidate>(&answered)?.rows;
    let same = judged.iter().zip(rows).filter(|((judged, _), row)| judged.verdict == row.verdict).count();
    Ok(match rows.len() - same {
        0 => format!("check:   its {same} programs, read again: every verdict as recorded\n"),
        others => {
            format!("check:   its {} programs, read again: {others} verdicts are others than recorded\n", rows.len())
        }
    })
}

/// Copies a folder's files into another, which is made.
fn copy(from: &Path, to: &Path) -> Result<()> {
    atomic::make_folder(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry.with_context(|| from.display().to_string())?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            let bytes = fs::read(entry.path()).with_context(|| entry.path().display().to_string())?;
            atomic::write_bytes(&target, &bytes)?;
        }
    }
    Ok(())
}
