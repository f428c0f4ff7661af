//! What a run is, beside its tables: `run.json` in its folder, the list of all runs of a folder, and which runs compare.
//!
//! Rows name their run and the digest of their settings, and nothing that differs when the same search is made again. What
//! does (hosts, times, commits) and what the digest stands for is in `run.json`.

mod compare;
mod index;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::{Machine, atomic, build, files, time};

pub use compare::{Difference, Run, differences};
pub use index::refresh;

/// The file in a run's folder.
pub const FILE: &str = "run.json";

/// What a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its name in the column `run` of its rows: that of its folder when it was begun. It stays when the folder is moved.
    pub run: String,
    /// Drawn once.
    pub run_id: String,
    /// [`Config::settings_digest`]
    pub settings_digest: String,
    /// Digest of the seed program's text.
    pub seed_program: String,
    /// Every setting in force, by its key.
    pub settings: Map<String, Value>,
    /// The calls that had something to do.
    pub sessions: Vec<Session>,
}

/// One call of `make search` that had something to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// When it began, UTC.
    pub begun: String,
    /// When the run was complete; absent where the call was interrupted or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// Name of the host; absent where it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Version of the programs.
    pub version: String,
    /// The commit that the programs were built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The call, as a command for a shell; empty in what earlier versions wrote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
}

impl Session {
    /// When it began, in seconds since 1970, UTC.
    pub fn began(&self) -> Option<f64> {
        seconds(&self.begun)
    }

    /// When the run was complete, in seconds since 1970, UTC.
    pub fn ended(&self) -> Option<f64> {
        seconds(self.finished.as_deref()?)
    }
}

fn seconds(text: &str) -> Option<f64> {
    Some(time::parse(text)?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64())
}

impl RunRecord {
    /// The record in a run's folder; `None` where there is none.
    ///
    /// # Errors
    /// When the file cannot be read, or was not written by us.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let text = match files::read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let record = serde_json::from_str(&text);
        Ok(Some(record.with_context(|| format!("{}: this is no record of a run; delete it", path.display()))?))
    }

    /// The record of a run that is begun now. `seed_program`: its digest.
    pub fn begin(run: String, seed_program: String, config: &Config) -> Self {
        let run_id = draw(&run);
        Self { run, run_id, seed_program, ..Self::default() }.with(config)
    }

    /// The same with the settings that are in force now.
    #[must_use]
    pub fn with(self, config: &Config) -> Self {
        Self { settings_digest: config.settings_digest(), settings: config.values(), ..self }
    }

    /// Notes that work begins. `command`: how it was asked for.
    pub fn open_session(&mut self, command: String) {
        self.sessions.push(Session {
            begun: time::utc(SystemTime::now()),
            finished: None,
            host: Machine::here().host,
            version: crate::VERSION.to_owned(),
            commit: build::commit().map(str::to_owned),
            command,
        });
    }

    /// Notes that the run is complete, if work was begun.
    pub fn close_session(&mut self) {
        if let Some(last) = self.sessions.last_mut().filter(|last| last.finished.is_none()) {
            last.finished = Some(time::utc(SystemTime::now()));
        }
    }

    /// Writes it into the run's folder, unless that has it already.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let path = folder.join(FILE);
        if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(());
        }
        atomic::write_bytes(&path, text.as_bytes())
    }
}

/// An id that no other run has: from the clock, the process and the host.
fn draw(run: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let host = Machine::here().host.unwrap_or_default();
    let hash = blake3::hash(format!("{run}\n{host}\n{}\n{now}", std::process::id()).as_bytes());
    hash.to_hex().chars().take(16).collect()
}

/// The name of a folder that may be written in many ways (`runs/a/`, `.`), or of one that is not there yet.
pub fn folder_name(folder: &Path) -> String {
    let plain: PathBuf = folder.components().collect();
    let whole = plain.canonicalize().unwrap_or(plain);
    whole.file_name().map_or_else(|| "-".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_sessions_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(RunRecord::read(folder.path()).expect("nothing"), None);
        let mut record = RunRecord::begin("a".into(), "seed".into(), &Config::default());
        record.open_session("make search SEED=0".into());
        record.write(folder.path()).expect("written");
        assert_eq!(RunRecord::read(folder.path()).expect("there").as_ref(), Some(&record));
        assert!(record.sessions[0].began().is_some_and(|began| began > 1e9) && record.sessions[0].ended().is_none());
        record.close_session();
        let finished = record.sessions[0].finished.clone();
        assert!(finished.as_deref().and_then(time::parse).is_some());
        record.close_session();
        assert_eq!(record.sessions[0].finished, finished);
        assert_eq!(record.settings.get("train.steps"), Some(&Value::from(120)));
        assert_ne!(RunRecord::begin("a".into(), "seed".into(), &Config::default()).run_id, record.run_id);
        std::fs::write(folder.path().join(FILE), "[]").expect("written");
        assert!(RunRecord::read(folder.path()).is_err());
    }

    #[test]
    fn folders_have_one_name_however_they_are_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = folder.path().join("a b");
        std::fs::create_dir(&run).expect("made");
        for written in [run.clone(), run.join(""), run.join("."), run.join("../a b")] {
            assert_eq!(folder_name(&written), "a b");
        }
        assert_eq!(folder_name(Path::new("nowhere/x/")), "x");
    }
}
