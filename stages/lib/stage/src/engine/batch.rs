//! Batches: which keys were sent together to a queue, and what became of each, as files in the cache.
//!
//! `work/arrays/NAME.json` is a batch, `NAME.keys` the keys of its elements for the nodes to read, and `NAME.logs/INDEX.out`
//! what an element printed. Only the holder of the lock `work/arrays.lock` changes them. They go when all their keys
//! are known.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cache::clear;
use crate::cache::owner::Owner;
use crate::{Machine, atomic};

/// Keys that were sent together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// What the queue calls its jobs.
    pub name: String,
    /// The queue that has the batch.
    pub engine: String,
    /// The queue's id of the whole; `None` while it is not known, or where there is one for each element.
    pub id: Option<String>,
    /// Seconds since 1970.
    pub sent: u64,
    /// The host that sent it.
    pub from: Option<String>,
    /// By their indices.
    pub elements: Vec<Element>,
}

/// A job of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Element {
    /// Key of its result in the cache.
    pub key: String,
    /// Its name, for people.
    pub label: String,
    /// The queue's id of it, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Seconds of work that its checkpoint stood for when it was sent.
    pub spent: f64,
    /// What is known of its way.
    pub state: State,
}

/// What is known of a job's way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is with the queue, or has ended with a result.
    Sent,
    /// Gone without a result.
    Lost {
        /// Where it was last; `None` where that is not known.
        node: Option<String>,
        /// What became of it, in words.
        reason: String,
        /// Whether it had got on since it was sent, which is not a loss.
        progress: bool,
    },
    /// It was taken back, or counts no more.
    Void,
}

/// The batches of one kind of results.
#[derive(Clone, Debug)]
pub struct Batches {
    folder: PathBuf,
}

impl Batches {
    /// The batches of a cache's folder for one kind of work.
    pub fn new(kind: &Path) -> Self {
        Self { folder: kind.join("work").join("arrays") }
    }

    /// The file whose lock is needed to change anything.
    pub fn lock_file(&self) -> PathBuf {
        self.folder.with_extension("lock")
    }

    /// A batch of these elements with a name that no other has.
    pub fn make(engine: &str, kind: &str, elements: Vec<Element>) -> Batch {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let keys: Vec<&String> = elements.iter().map(|element| &element.key).collect();
        let mark = crate::cache::hash(&(Owner::me().to_string(), since.as_nanos().to_string(), keys));
        let name = format!("emberline-{kind}-{}", mark.get(..12).unwrap_or(&mark));
        let from = Machine::here().host;
        Batch { name, engine: engine.to_owned(), id: None, sent: since.as_secs(), from, elements }
    }

    /// All of them, in the order in which they were sent. What cannot be read is left out.
    pub fn all(&self) -> Vec<Batch> {
        let found = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|found| found.path());
        let read = |path: PathBuf| serde_json::from_slice::<Batch>(&fs::read(path).ok()?).ok();
        let of_name = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
        let mut batches: Vec<Batch> = found.filter(of_name).filter_map(read).collect();
        batches.sort_by(|one, two| (one.sent, &one.name).cmp(&(two.sent, &two.name)));
        batches
    }

    /// Writes a batch, and for a new one what its elements read.
    ///
    /// # Errors
    /// Where the cache cannot be written to.
    pub fn write(&self, batch: &Batch) -> Result<()> {
        let keys = self.keys(batch);
        if !keys.exists() {
            atomic::make_folder(&self.logs(batch))?;
            let lines: String = batch.elements.iter().map(|element| format!("{}\n", element.key)).collect();
            atomic::write_bytes(&keys, lines.as_bytes())?;
        }
        atomic::write_bytes(&self.folder.join(format!("{}.json", batch.name)), &serde_json::to_vec_pretty(batch)?)
    }

    /// Removes a batch and all that belongs to it.
    pub fn remove(&self, batch: &Batch) {
        clear(&self.folder.join(format!("{}.json", batch.name)));
        clear(&self.keys(batch));
        clear(&self.logs(batch));
    }

    /// The file with the keys of the elements, a line each.
    pub fn keys(&self, batch: &Batch) -> PathBuf {
        self.folder.join(format!("{}.keys", batch.name))
    }

    /// The folder with what the elements print.
    pub fn logs(&self, batch: &Batch) -> PathBuf {
        self.folder.join(format!("{}.logs", batch.name))
    }

    /// What an element has printed: the node that it began on, where it says so, and its last words.
    pub fn words(&self, batch: &Batch, element: usize) -> (Option<String>, Option<String>) {
        let path = self.logs(batch).join(format!("{element}.out"));
        let text = fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
        let node = lines().rev().find_map(|line| line.strip_prefix(ON_NODE)).map(str::to_owned);
        (node, lines().next_back().filter(|line| !line.starts_with(ON_NODE)).map(str::to_owned))
    }
}

/// How an element says where it begins.
pub const ON_NODE: &str = "on node ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_read_back_in_order_and_go_with_all_that_is_theirs() {
        let folder = tempfile::tempdir().expect("a folder");
        let batches = Batches::new(folder.path());
        let element = |key: &str| Element {
            key: key.into(),
            label: "l".into(),
            id: None,
            spent: 0.0,
            state: State::Lost { node: Some("n1".into()), reason: "NODE_FAIL".into(), progress: false },
        };
        let mut two = Batches::make("slurm", "train", vec![element("a"), element("b")]);
        let mut one = Batches::make("slurm", "train", vec![element("c")]);
        assert_ne!(one.name, two.name);
        (one.sent, two.sent) = (1, 2);
        for batch in [&two, &one] {
            batches.write(batch).expect("written");
        }
        fs::write(folder.path().join("work/arrays/broken.json"), "{").expect("written");
        assert_eq!(batches.all(), [one, two.clone()]);
        assert_eq!(fs::read_to_string(batches.keys(&two)).expect("keys"), "a\nb\n");
        fs::write(batches.logs(&two).join("1.out"), "on node n1\nx\non node n2\n\nlast words\n").expect("written");
        assert_eq!(batches.words(&two, 1), (Some("n2".into()), Some("last words".into())));
        assert_eq!(batches.words(&two, 0), (None, None));
        batches.remove(&two);
        assert_eq!(batches.all().len(), 1);
        assert!(!batches.keys(&two).exists() && !batches.logs(&two).exists());
    }
}
