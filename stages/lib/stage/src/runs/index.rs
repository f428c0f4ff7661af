//! `runs.parquet`: a line for each run of a folder, made from their `run.json`.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Result;
use schemas::RunRow;
use serde_json::Value;

use super::{RunRecord, folder_name};
use crate::table::{Extra, read_records, write_records};

/// The table's file.
pub const FILE: &str = "runs.parquet";

/// Writes the list of the runs of a folder, if it is not as they are. Nothing is written into the working directory, which is
/// no folder of runs; what is not a run, or not readable as one, is passed over.
///
/// # Errors
/// When the table cannot be written.
pub fn refresh(runs: &Path) -> Result<()> {
    if runs.canonicalize().ok() == std::env::current_dir().ok().and_then(|here| here.canonicalize().ok()) {
        return Ok(());
    }
    // Searches that run side by side take turns: each writes the list as the last of them left it.
    let turn = File::open(runs)?;
    turn.lock()?;
    let mut rows = Vec::new();
    for entry in fs::read_dir(runs)?.flatten() {
        if let Ok(Some(record)) = RunRecord::read(&entry.path()) {
            rows.push(row(&record, folder_name(&entry.path())));
        }
    }
    rows.sort_by(|a, b| a.folder.cmp(&b.folder));
    let path = runs.join(FILE);
    let before = read_records::<RunRow>(&path).ok().map(|there| there.rows.into_iter().map(|(row, _)| row).collect());
    if before.as_ref() == Some(&rows) || (rows.is_empty() && !path.exists()) {
        return Ok(());
    }
    let none = Extra::default();
    write_records(rows.iter().map(|row| (row, &none)), &path, true)
}

fn row(record: &RunRecord, folder: String) -> RunRow {
    let text = |key: &str| record.settings.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let sessions = &record.sessions;
    let each = |of: fn(&super::Session) -> Option<&String>| {
        let mut values: Vec<String> = Vec::new();
        for value in sessions.iter().filter_map(of) {
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
        values
    };
    let seconds = |session: &super::Session| Some((session.ended()? - session.began()?).max(0.0));
    RunRow {
        run: record.run.clone(),
        run_id: record.run_id.clone(),
        folder,
        settings_digest: record.settings_digest.clone(),
        method: text("search.method"),
        task: text("task.algorithm"),
        seed: record.settings.get("search.seed").and_then(Value::as_i64).unwrap_or_default(),
        proposer: text("propose.proposer"),
        seed_program: record.seed_program.clone(),
        settings: Value::Object(record.settings.clone()).to_string(),
        begun: sessions.first().map_or_else(String::new, |session| session.begun.clone()),
        finished: sessions.last().and_then(|session| session.finished.clone()),
        seconds: sessions.iter().filter_map(seconds).sum(),
        hosts: each(|session| session.host.as_ref()),
        versions: each(|session| Some(&session.version)),
        commits: each(|session| session.commit.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn runs_are_listed_and_the_list_is_left_alone_where_nothing_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        refresh(folder.path()).expect("nothing to list");
        assert!(!path.exists());
        for name in ["b", "a"] {
            fs::create_dir(folder.path().join(name)).expect("made");
            let mut record = RunRecord::begin(name.into(), "seed".into(), &Config::default());
            record.open_session(String::new());
            record.write(&folder.path().join(name)).expect("written");
        }
        fs::create_dir(folder.path().join("c")).expect("made");
        fs::write(folder.path().join("c").join(super::super::FILE), "no run").expect("written");
        fs::rename(folder.path().join("a"), folder.path().join("moved")).expect("moved");
        refresh(folder.path()).expect("listed");
        let rows: Vec<RunRow> = read_records(&path).expect("a table").rows.into_iter().map(|(row, _)| row).collect();
        let names: Vec<(&str, &str)> = rows.iter().map(|row| (row.folder.as_str(), row.run.as_str())).collect();
        assert_eq!(names, [("b", "b"), ("moved", "a")]);
        assert_eq!((rows[0].task.as_str(), rows[0].finished.as_ref()), ("dfs", None));
        let settings: Value = serde_json::from_str(&rows[0].settings).expect("JSON");
        assert_eq!(settings["train.steps"], 120);
        let written = fs::metadata(&path).and_then(|data| data.modified()).expect("a time");
        refresh(folder.path()).expect("nothing to do");
        assert_eq!(fs::metadata(&path).and_then(|data| data.modified()).expect("a time"), written);
    }
}
