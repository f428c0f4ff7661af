//! An entry of the cache: a folder of files, and `B3SUMS`, which has a checksum of each as `b3sum` prints and checks them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::atomic;

/// The file that every entry has.
pub const RESULT: &str = "result.json";
const SUMS: &str = "B3SUMS";

/// An entry whose files are what was written.
#[derive(Debug)]
pub struct Entry {
    /// Where its files are.
    pub folder: PathBuf,
    /// Content of `result.json`.
    pub result: Vec<u8>,
}

/// Why an entry cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is no such folder.
    #[error("there is none")]
    Absent,
    /// A file is missing, was changed, or cannot be read.
    #[error("{0}")]
    Broken(String),
}

impl Entry {
    /// Reads an entry and verifies all its files, among which must be `files`.
    pub(super) fn open(folder: &Path, files: &[&str]) -> Result<Self, Fault> {
        match fs::symlink_metadata(folder) {
            Ok(there) if there.is_dir() => {}
            Ok(_) => return Err(Fault::Broken("it is no folder".into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Fault::Absent),
            Err(error) => return Err(Fault::Broken(error.to_string())),
        }
        let sums = read(folder, SUMS)?;
        let sums = parse(&String::from_utf8_lossy(&sums)).ok_or_else(|| broken(SUMS, "cannot be read"))?;
        if let Some(file) = files.iter().find(|file| !sums.contains_key(**file)) {
            return Err(broken(file, "has no checksum"));
        }
        let mut result = None;
        for (name, sum) in sums {
            let content = read(folder, &name)?;
            if blake3::hash(&content) != sum {
                return Err(broken(&name, "is not what was written"));
            }
            if name == RESULT {
                result = Some(content);
            }
        }
        let result = result.ok_or_else(|| broken(RESULT, "has no checksum"))?;
        Ok(Self { folder: folder.to_owned(), result })
    }

    /// As [`open`](Self::open), for entries that were made before there were checksums.
    pub(super) fn open_of_before(folder: &Path, files: &[&str]) -> Result<Self, Fault> {
        if folder.join(SUMS).exists() {
            return Self::open(folder, files);
        }
        // Most entries that are looked for are not there: nobody waits for those.
        if !folder.join(RESULT).exists() {
            return Err(Fault::Absent);
        }
        let result = read(folder, RESULT)?;
        for file in files {
            read(folder, file)?;
        }
        Ok(Self { folder: folder.to_owned(), result })
    }
}

/// Writes the checksums of a folder's files, the last thing before it is published.
pub fn seal(folder: &Path) -> Result<()> {
    let mut lines = BTreeMap::new();
    let found = fs::read_dir(folder).with_context(|| format!("{}: cannot read", folder.display()))?;
    for found in found {
        let name = found?.file_name().to_string_lossy().into_owned();
        let path = folder.join(&name);
        let content = fs::read(&path).with_context(|| format!("{}: cannot read", path.display()))?;
        lines.insert(name.clone(), format!("{}  {name}\n", blake3::hash(&content).to_hex()));
    }
    let text: String = lines.into_values().collect();
    atomic::write_bytes(&folder.join(SUMS), text.as_bytes())
}

fn parse(text: &str) -> Option<BTreeMap<String, blake3::Hash>> {
    let line = |line: &str| {
        let (sum, name) = line.split_once("  ")?;
        // A name is of this folder: nothing leads out of it.
        let plain = Path::new(name).components().count() == 1 && !name.contains(['/', '\0']) && name != "..";
        Some((name.to_owned(), blake3::Hash::from_hex(sum).ok()?)).filter(|_| plain)
    };
    text.lines().map(line).collect()
}

/// A file of the folder itself: no link, no pipe that never ends. The entries of a folder are published together, so that a
/// file which is not there is one that a network file system does not show yet: it gets some time to appear.
fn read(folder: &Path, name: &str) -> Result<Vec<u8>, Fault> {
    let path = folder.join(name);
    let once = || -> io::Result<Option<Vec<u8>>> {
        if !fs::symlink_metadata(&path)?.is_file() {
            return Ok(None);
        }
        fs::read(&path).map(Some)
    };
    patiently(once).map_err(|error| broken(name, &error.to_string()))?.ok_or_else(|| broken(name, "is no file"))
}

/// Repeats what fails as it does on a network file system whose news have not arrived (ENOENT, ESTALE), for two seconds.
/// Tests damage many entries, and wait a tenth of that.
fn patiently<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for pause in PAUSES.map(|pause| if cfg!(test) { pause / 10 } else { pause }) {
        match read() {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle) => {
                std::thread::sleep(pause);
            }
            other => return other,
        }
    }
    read()
}

const PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(300),
    Duration::from_millis(500),
    Duration::from_millis(1000),
];

fn broken(name: &str, what: &str) -> Fault {
    Fault::Broken(format!("{name}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let began = std::time::Instant::now();
        for _ in 0..100 {
            let absent = folder.path().join("absent");
            assert!(matches!(Entry::open(&absent, &["curve.json"]), Err(Fault::Absent)));
            assert!(matches!(Entry::open_of_before(&absent, &["curve.json"]), Err(Fault::Absent)));
        }
        // One wait each would take 40 seconds.
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }

    #[test]
    fn a_file_that_comes_late_is_waited_for_and_other_faults_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("late");
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(40));
                fs::write(path.with_extension("tmp"), "here").unwrap();
                fs::rename(path.with_extension("tmp"), path).unwrap();
            })
        };
        assert_eq!(read(folder.path(), "late").unwrap(), b"here");
        writer.join().unwrap();
        let mut tries = 0;
        let denied = patiently(|| {
            tries += 1;
            Err::<(), _>(io::Error::from(io::ErrorKind::PermissionDenied))
        });
        assert!(denied.is_err() && tries == 1);
        let mut tries = 0;
        let stale = patiently(|| {
            tries += 1;
            // 116: ESTALE, as the file system of another machine says it.
            if tries < 3 { Err(io::Error::from_raw_os_error(116)) } else { Ok(tries) }
        });
        assert_eq!(stale.unwrap(), 3);
    }
}
