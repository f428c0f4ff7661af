//! `progress.json` in a run's folder: what the run's stages have cost, and what the one at work is doing.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Its name.
pub const FILE: &str = "progress.json";

/// What a run's stages have cost so far, and what is being done. Times are seconds since 1970, UTC. How the run came about is
/// in its [`RunRecord`](crate::runs::RunRecord).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Trainings side by side; 0: not known.
    pub at_once: usize,
    /// When this was written.
    pub changed: f64,
    /// Whether all was made that was asked for.
    pub done: bool,
    /// What each stage has cost, generation by generation.
    pub costs: Vec<Cost>,
    /// What is being done; `None` between two stages.
    pub now: Option<Now>,
    /// The last results.
    pub said: Vec<String>,
}

/// What a stage has cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// `train`, `score`, `race 1`, ...
    pub label: String,
    /// The generation that it was at work for; `None` where it belongs to none.
    pub generation: Option<u32>,
    /// What it had to do: trainings, evaluations, proposals.
    pub items: usize,
    /// How many results were there already.
    pub free: usize,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// What a stage at work is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Now {
    /// As of [`Cost`].
    pub label: String,
    /// As of [`Cost`].
    pub generation: Option<u32>,
    /// How many items there are.
    pub length: usize,
    /// How many of them are done, those that cost nothing included.
    pub done: usize,
    /// How many of them were there already.
    pub free: usize,
    /// When the stage began, in seconds since 1970.
    pub began: f64,
    /// What is going on within an item.
    pub note: String,
}

impl Record {
    /// The record of a run; empty where there is none that can be read.
    pub fn read(folder: &Path) -> Self {
        let text = crate::files::read_text(&folder.join(FILE)).ok();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Writes it as of now.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        Self { changed: seconds_now(), ..self.clone() }.save(folder)
    }

    /// Writes it, whole or not at all. It is not synced to the disk: nothing depends on it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let temporary = folder.join(format!("{FILE}.{}.tmp", std::process::id()));
        let written =
            fs::write(&temporary, serde_json::to_vec(self)?).and_then(|()| fs::rename(&temporary, folder.join(FILE)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Adds what a stage has cost. One that was done again replaces its figures, and what was measured of it stays.
    pub fn spend(&mut self, cost: Cost) {
        let same = |known: &&mut Cost| known.label == cost.label && known.generation == cost.generation;
        match self.costs.iter_mut().find(same) {
            Some(known) => {
                let fresh = known.items.saturating_sub(known.free) + cost.items.saturating_sub(cost.free);
                known.items = cost.items.max(fresh);
                known.free = known.items - fresh;
                known.seconds += cost.seconds;
            }
            None => self.costs.push(cost),
        }
    }
}

/// Seconds since 1970.
pub fn seconds_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_what_is_none_is_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Record::read(folder.path()), Record::default());
        let record = Record { at_once: 2, said: vec!["a".into()], ..Record::default() };
        record.write(folder.path()).expect("written");
        let read = Record::read(folder.path());
        assert!(read.changed > 0.0 && Record { changed: 0.0, ..read } == record);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        fs::write(folder.path().join(FILE), "[1, 2").expect("written");
        assert_eq!(Record::read(folder.path()), Record::default());
        fs::remove_file(folder.path().join(FILE)).expect("removed");
        fs::create_dir(folder.path().join(FILE)).expect("a folder in its place");
        assert!(record.write(folder.path()).is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "no half file is left");
    }

    #[test]
    fn a_stage_that_is_done_again_counts_once() {
        let cost = |items, free, seconds| Cost { label: "train".into(), generation: Some(1), items, free, seconds };
        let mut record = Record::default();
        record.spend(cost(4, 0, 40.0));
        // Interrupted after four of eight; the second time, these come from the cache.
        record.spend(cost(8, 4, 41.0));
        assert_eq!(record.costs, [cost(8, 0, 81.0)]);
        record.spend(cost(8, 8, 0.5));
        assert_eq!(record.costs, [cost(8, 0, 81.5)]);
    }
}
