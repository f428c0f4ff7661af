//! Results that are kept by content, in a folder that many processes, machines and users may share.
//!
//! The folder of one kind of results (`cache/train`) holds an entry for each key, spread over folders that are named by the
//! key's first two digits: `ab/abcd.../`. An [entry](entry) is written in a scratch folder and renamed to its place, so
//! that it is there whole or not at all, and the first one stands. Every file of it has a checksum, which reading
//! verifies: an entry that is damaged is as good as none, and is replaced. Beside it, `abcd....failed.json` says why
//! there is [none](failed).
//!
//! In the folder `work` are the [locks](lock) of those who are at it, their scratch folders, what long jobs left in
//! order to go on from there, and jobs that were sent to [other machines](crate::engine). Whoever starts clears away what the [dead](owner) have left.
//!
//! Folders of before, with all entries side by side (`train/abcd...`), are still read.

pub mod entry;
pub mod failed;
pub mod lock;
pub mod owner;
pub mod weights;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::atomic;
use entry::{Entry, Fault};
use lock::Lock;
use owner::{Life, Owner};

const WORK: &str = "work";
const SCRATCH: &str = ".tmp";
const LASTING: &str = ".part";
const LOCK: &str = ".lock";
const JOB: &str = ".job.json";
/// What nobody of this machine can judge is given up after this time without a change.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// Where an entry lies, relative to the folder of its kind.
pub fn place_of(key: &str) -> PathBuf {
    Path::new(key.get(..2).unwrap_or(key)).join(key)
}

/// A hash of everything in `value`, as 32 hexadecimal digits.
pub fn hash(value: &impl serde::Serialize) -> String {
    // Types of our own without maps of other than string keys: they all are JSON.
    let text = serde_json::to_vec(value).unwrap_or_default();
    blake3::hash(&text).to_hex().chars().take(32).collect()
}

/// The results of one kind.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in this folder, which is made when something is put into it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Makes the folder, and clears away what the dead have left in it.
    ///
    /// # Errors
    /// Where there is no folder and none can be made. What cannot be cleared away stays.
    pub fn prepare(&self) -> Result<()> {
        atomic::make_folder(&self.folder)?;
        let Ok(found) = fs::read_dir(self.work()) else { return Ok(()) };
        for path in found.flatten().map(|found| found.path()).chain(self.of_earlier_layout()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with(SCRATCH) {
                let life = Owner::of_name(&name).map_or(Life::Unknown, |owner| owner.life());
                if life == Life::Dead || life == Life::Unknown && is_forgotten(&path) {
                    clear(&path);
                }
            } else if let Some(key) = name.strip_suffix(LASTING) {
                // Whoever is at it finds that it is done, or is done soon.
                if self.place(key).is_dir() && self.lock(key).is_ok_and(|lock| lock.is_some()) {
                    clear(&path);
                }
            } else if let Some(key) = name.strip_suffix(JOB) {
                if self.place(key).is_dir() {
                    clear(&path);
                }
            } else if name.ends_with(LOCK) && is_forgotten(&path) {
                drop(Lock::try_take(&path));
            }
        }
        Ok(())
    }

    /// What runs of before have left among the entries.
    fn of_earlier_layout(&self) -> Vec<PathBuf> {
        let found = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|found| found.path());
        found.filter(|path| path.extension().is_some_and(|end| end == "tmp" || end == "part")).collect()
    }

    /// The entry with this key, verified.
    ///
    /// # Errors
    /// [`Fault::Absent`] where there is none; [`Fault::Broken`] where it cannot be used.
    pub fn open(&self, key: &str, files: &[&str]) -> Result<Entry, Fault> {
        match Entry::open(&self.place(key), files) {
            Err(Fault::Absent) => Entry::open_of_before(&self.folder.join(key), files),
            found => found,
        }
    }

    /// Where the entry with this key is, or would be.
    pub fn place(&self, key: &str) -> PathBuf {
        self.folder.join(place_of(key))
    }

    /// Where it is noted why there is no such entry.
    pub fn failed(&self, key: &str) -> PathBuf {
        self.place(key).with_file_name(format!("{key}.failed.json"))
    }

    /// The right to make this entry; `None` while someone else has it.
    ///
    /// # Errors
    /// Where nothing can be written in the cache.
    pub fn lock(&self, key: &str) -> Result<Option<Lock>> {
        let work = self.work();
        atomic::make_folder(&work)?;
        Ok(Lock::try_take(&self.lock_file(key))?)
    }

    /// The file of that lock.
    pub fn lock_file(&self, key: &str) -> PathBuf {
        self.work().join(format!("{key}{LOCK}"))
    }

    /// A folder that outlives who is at this job.
    pub fn lasting(&self, key: &str) -> PathBuf {
        self.work().join(format!("{key}{LASTING}"))
    }

    /// An empty folder to make an entry in. Its path is absolute: a child may have another working folder than we have.
    pub fn scratch(&self, key: &str) -> Result<Scratch> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let work = self.work();
        atomic::make_folder(&work)?;
        let work = fs::canonicalize(&work).with_context(|| format!("{}: cannot use", work.display()))?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = work.join(format!("{key}.{}-{count}{SCRATCH}", Owner::me()));
        atomic::make_folder(&folder)?;
        Ok(Scratch(folder))
    }

    /// Moves a filled and sealed scratch folder to its place. Where there is an entry already, the first one stands,
    /// unless it is broken, or is to be replaced.
    ///
    /// # Errors
    /// Where neither ours nor another one can be put in place.
    pub fn publish(&self, key: &str, scratch: &Scratch, files: &[&str], replace: bool) -> Result<()> {
        let place = self.place(key);
        if let Some(parent) = place.parent() {
            atomic::make_folder(parent)?;
        }
        let mut keep = !replace;
        for last in [false, true] {
            match atomic::publish_folder(&scratch.0, &place) {
                Ok(()) => break,
                Err(_) if keep && Entry::open(&place, files).is_ok() => return Ok(()),
                Err(_) if !last && fs::symlink_metadata(&place).is_ok() => {
                    let aside = self.scratch(key)?;
                    // Into a scratch folder: if we die here, it is cleared away with that.
                    let _ = fs::rename(&place, aside.0.join("replaced"));
                    // Whoever was faster than us now has a good one.
                    keep = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn work(&self) -> PathBuf {
        self.folder.join(WORK)
    }
}

/// A folder that goes away unless it was published under another name.
#[derive(Debug)]
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// Shows everyone that its owner is at it.
    pub fn touch(&self) {
        let _ = fs::File::open(&self.0).and_then(|folder| folder.set_modified(SystemTime::now()));
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        clear(&self.0);
    }
}

/// Removes a file or folder. Whoever is at the same at the same time is welcome, and what is held open on another machine
/// goes another day: no result depends on it.
pub(crate) fn clear(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|there| there.is_dir()) {
        let _ = fs::remove_dir_all(path);
    } else {
        let _ = fs::remove_file(path);
    }
}

/// Whether nothing in it has changed for a day.
fn is_forgotten(path: &Path) -> bool {
    let inside = fs::read_dir(path).into_iter().flatten().flatten().map(|found| found.path());
    let mut all = std::iter::once(path.to_owned()).chain(inside);
    all.all(|path| {
        let changed = fs::symlink_metadata(path).and_then(|there| there.modified());
        changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > FORGOTTEN))
    })
}

#[cfg(test)]
mod tests;
