//! Which process makes an entry, so that others wait for it instead of doing the same.
//!
//! A lock of the file system (flock): it is gone with its owner, however that ends, in whatever container. It only saves
//! work. Where a file system has no locks, or an owner shows no life, others go on without it, and the first result
//! stands.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::atomic::WriteError;

/// How often an owner shows that it is at it.
pub const BEAT: Duration = Duration::from_secs(15);
/// How often who waits looks.
pub const LOOK: Duration = Duration::from_millis(200);
/// After so many looks without a beat the owner is taken to be suspended. Looks are counted, and not time: who waits may
/// have been suspended with it.
const PATIENCE: u32 = 600;

/// The right to make an entry, as long as it lives.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// `None`: the file system has no locks.
    file: Option<File>,
}

impl Lock {
    /// Takes it, if nobody has it.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn try_take(path: &Path) -> Result<Option<Self>, WriteError> {
        loop {
            let file = match File::options().write(true).create(true).truncate(false).open(path) {
                // Another user's, perhaps: to lock it, it need not be ours.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.exists() => File::open(path),
                file => file,
            };
            let file = file.map_err(|source| WriteError { path: path.to_owned(), source })?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(_)) => return Ok(Some(Self { path: path.to_owned(), file: None })),
                Ok(()) => {}
            }
            // The one before us removes the file: then ours is one that nobody else finds.
            let same = |there: fs::Metadata| file.metadata().is_ok_and(|ours| ours.ino() == there.ino());
            if fs::metadata(path).is_ok_and(same) {
                let lock = Self { path: path.to_owned(), file: Some(file) };
                lock.beat();
                return Ok(Some(lock));
            }
        }
    }

    /// Shows those who wait that we are at it.
    pub fn beat(&self) {
        if let Some(file) = &self.file {
            let _ = file.set_modified(SystemTime::now());
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While we still have it: nobody else's file can have this name now.
        if self.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Watches whether an owner shows life.
#[derive(Debug, Default)]
pub struct Patience {
    seen: Option<SystemTime>,
    looks: u32,
}

impl Patience {
    /// A look at the lock's file. Whether patience is at its end.
    pub fn look(&mut self, path: &Path) -> bool {
        let beat = fs::metadata(path).and_then(|there| there.modified()).ok();
        self.looks = if beat == self.seen { self.looks + 1 } else { 0 };
        self.seen = beat;
        self.looks > PATIENCE
    }
}
