//! What `run.json` says of a run, and the list of runs beside its folder.

use std::path::Path;

use anyhow::Result;
use stage::runs::{self, RunRecord};
use stage::{exit, table};

use crate::open::{FIRST, Run};

/// Notes what a run is when it is opened, and that work begins where there is any. `transcripts`: what a replay answers from;
/// `work`: the command that it was asked for with.
pub fn planned(run: &Run, transcripts: &Path, work: Option<String>) -> Result<()> {
    let mut record = match RunRecord::read(&run.folder)? {
        // As long as nothing was made, the folder may get another name, and the run other settings and another program.
        Some(record) if run.folder.join(FIRST).exists() => record,
        _ => {
            let name = match replayed(run, transcripts)? {
                Some(name) => name,
                None => named(&run.folder)?,
            };
            RunRecord::begin(name, run.seed_program.clone(), &run.config)
        }
    };
    if let Some(command) = work {
        record = record.with(&run.config);
        record.open_session(command);
    }
    record.write(&run.folder)?;
    list(&run.folder);
    Ok(())
}

/// The name of the run that a replay makes again: its rows are that run's, to the byte.
fn replayed(run: &Run, transcripts: &Path) -> Result<Option<String>> {
    let recording = transcripts.parent().filter(|_| run.config.propose.proposer == "replay");
    let record = recording.map(RunRecord::read).transpose()?.flatten();
    Ok(record.map(|record| record.run))
}

/// The name that a run's rows have: of one that was begun by an earlier version that of its first row.
fn named(folder: &Path) -> Result<String> {
    let first = folder.join(FIRST);
    if first.exists() {
        let row = table::read(&[first.display().to_string()])?.rows.into_iter().next();
        if let Some(row) = row.filter(|row| !["", "-"].contains(&row.candidate.run.as_str())) {
            return Ok(row.candidate.run);
        }
    }
    Ok(runs::folder_name(folder))
}

/// Prints the name of a run.
pub fn name(folder: &Path) -> Result<()> {
    let name = match RunRecord::read(folder)? {
        Some(record) => record.run,
        None => named(folder)?,
    };
    exit::print(&format!("{name}\n"))
}

/// Notes that a run is complete.
pub fn done(folder: &Path) -> Result<()> {
    if let Some(mut record) = RunRecord::read(folder)? {
        record.close_session();
        record.write(folder)?;
    }
    list(folder);
    Ok(())
}

/// Brings the list beside a run's folder up to date. A list that cannot be written is no reason to stop.
pub fn list(folder: &Path) {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let Some(beside) = whole.parent().filter(|parent| parent.is_dir()) else { return };
    if let Err(error) = runs::refresh(beside) {
        exit::note(&format!("run: warning: the list of runs is not up to date: {error:#}"));
    }
}
