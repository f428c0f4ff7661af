//! One search at a time in one folder.
//!
//! A file of the folder is locked (flock) by a process that lives as long as the Make of the search: so the lock is gone with
//! it, however that ends. What is written in the file only tells others who has it. Where a file system has no locks, the
//! file's owner is looked for among the processes of this machine.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use stage::Machine;
use stage::cache::owner::{Life, Owner};
use stage::proc::Stat;

/// The file, in the run's folder, while a search runs.
pub const FILE: &str = "search.lock";
/// How often the Make is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long a lock is waited for whose search has ended: its keeper may not have noticed yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// The process that searches in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    /// The name of its machine, for people.
    host: String,
    /// The Make.
    owner: Owner,
}

impl Holder {
    fn of(pid: u32) -> Self {
        Self { host: Machine::here().host.unwrap_or_default(), owner: Owner::of(pid) }
    }

    /// What the file says, as far as it can be read.
    fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
    }

    /// Whether it may still be at it: of processes of other machines, other containers, and of times before this machine was
    /// started nothing is known.
    fn may_live(&self) -> bool {
        self.owner.life() != Life::Dead
    }
}

/// A search is under way.
#[derive(Debug, thiserror::Error)]
#[error(
    "{folder}: another search is under way in this folder: {who}. Wait for it, end it, or give this one a folder of its own (RUN=runs/NAME){hint}"
)]
pub struct Held {
    folder: String,
    who: String,
    hint: String,
}

/// The right to search in a folder, as long as it lives.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still ours: nobody else's file can have this name now.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes the lock for a Make, if nobody has it.
fn try_take(folder: &Path, holder: &Holder) -> io::Result<Option<Lock>> {
    let path = folder.join(FILE);
    loop {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(_))
                if Holder::read(&path).is_some_and(|there| &there != holder && there.may_live()) =>
            {
                return Ok(None);
            }
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        // The one before us removes the file: then ours is one that nobody else finds.
        let same = |there: fs::Metadata| file.metadata().is_ok_and(|ours| ours.ino() == there.ino());
        if fs::metadata(&path).is_ok_and(same) {
            file.set_len(0)?;
            file.write_all(&serde_json::to_vec(holder)?)?;
            return Ok(Some(Lock { path, _file: file }));
        }
    }
}

/// Takes the lock for a Make, or says who has it. A search that has ended is waited for.
fn take(folder: &Path, holder: &Holder) -> Result<Lock> {
    let path = folder.join(FILE);
    let until = Instant::now() + PATIENCE;
    loop {
        let tried = try_take(folder, holder);
        if let Some(lock) = tried.with_context(|| format!("{}: cannot lock", path.display()))? {
            return Ok(lock);
        }
        let there = Holder::read(&path);
        let ending = there.as_ref().is_none_or(|there| !there.may_live());
        if !ending || Instant::now() >= until {
            return Err(held(folder, there).into());
        }
        std::thread::sleep(LOOK);
    }
}

fn held(folder: &Path, holder: Option<Holder>) -> Held {
    let folder = folder.display().to_string();
    let Some(Holder { host, owner }) = holder else {
        return Held { folder, who: "of which nothing is known yet".into(), hint: String::new() };
    };
    let hint = match owner.life() {
        Life::Unknown => format!("; if that machine is down, or was started anew since, remove {folder}/{FILE}"),
        Life::Alive | Life::Dead => String::new(),
    };
    Held { who: format!("process {} on {host}", owner.pid()), folder, hint }
}

/// Checks that no search is under way in a folder.
///
/// # Errors
/// When there is one.
pub fn check(folder: &Path) -> Result<()> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(());
    }
    // What cannot be locked for other reasons, such as a folder that cannot be written to, is told where it is written to.
    match take(folder, &Holder::of(std::process::id())) {
        Err(error) if error.is::<Held>() => Err(error),
        _ => Ok(()),
    }
}

/// Takes the lock of a folder for the process that has started this one, says so, and keeps it until that ends.
pub fn hold(folder: &Path) -> Result<()> {
    let Some(me) = Stat::of("self") else { return stage::exit::print("held\n") };
    let _lock = take(folder, &Holder::of(me.parent))?;
    stage::exit::print("held\n")?;
    while Stat::of("self").is_some_and(|now| now.parent == me.parent) {
        std::thread::sleep(LOOK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Holder {
        Holder::of(std::process::id())
    }

    /// A process that has ended.
    fn dead() -> Holder {
        let mut child = std::process::Command::new("true").spawn().expect("it starts");
        let holder = Holder::of(child.id());
        child.wait().expect("it ends");
        holder
    }

    /// A process of another machine.
    fn elsewhere() -> Holder {
        let mut holder = serde_json::to_value(me()).expect("JSON");
        (holder["host"], holder["owner"]["place"]) = ("node7".into(), "another".into());
        serde_json::from_value(holder).expect("a holder")
    }

    #[test]
    fn one_at_a_time_and_again_when_it_has_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        check(folder.path()).expect("nobody is there");
        let lock = take(folder.path(), &me()).expect("it is free");
        for refused in [take(folder.path(), &me()).map(drop), check(folder.path())] {
            let message = refused.expect_err("taken").to_string();
            assert!(message.contains(&format!("process {} on ", std::process::id())), "{message}");
            assert!(!message.contains("remove"), "{message}");
        }
        drop(lock);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing stays");
        drop(take(folder.path(), &me()).expect("it is free again"));
    }

    #[test]
    fn what_the_dead_left_is_no_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let dead = dead();
        for left in [serde_json::to_string(&dead).expect("text"), String::new(), "{".into(), "x".repeat(5000)] {
            fs::write(&path, left).expect("written");
            check(folder.path()).expect("nobody is there");
            fs::write(&path, serde_json::to_string(&dead).expect("text")).expect("written");
            let lock = take(folder.path(), &me()).expect("it is free");
            assert_eq!(Holder::read(&path), Some(me()));
            drop(lock);
        }
    }

    #[test]
    fn an_ending_search_is_waited_for_and_one_elsewhere_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let dead = dead();
        let lock = take(folder.path(), &dead).expect("free");
        let ends = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            drop(lock);
        });
        drop(take(folder.path(), &me()).expect("it has ended"));
        ends.join().expect("no panic");
        let lock = take(folder.path(), &elsewhere()).expect("free");
        let message = take(folder.path(), &me()).expect_err("taken").to_string();
        assert!(message.contains("on node7") && message.contains("remove"), "{message}");
        drop(lock);
    }
}
