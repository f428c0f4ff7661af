//! An entry of the cache: a folder of files, and `B3SUMS`, which has a checksum of each as `b3sum` prints and checks them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::atomic;

/// The file that every entry has.
pub const RESULT: &str = "result.json";
const SUMS: &str = "B3SUMS";

/// An entry whose files are what was written.
#[derive(Debug)]
pub struct Entry {
    pub folder: PathBuf,
    /// Content of `result.json`.
    pub result: Vec<u8>,
}

/// Why an entry cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
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
        let result = match read(folder, RESULT) {
            Err(_) if !folder.join(RESULT).exists() => return Err(Fault::Absent),
            result => result?,
        };
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

/// A file of the folder itself: no link, no pipe that never ends.
fn read(folder: &Path, name: &str) -> Result<Vec<u8>, Fault> {
    let path = folder.join(name);
    let there = fs::symlink_metadata(&path).map_err(|error| broken(name, &error.to_string()))?;
    if !there.is_file() {
        return Err(broken(name, "is no file"));
    }
    fs::read(&path).map_err(|error| broken(name, &error.to_string()))
}

fn broken(name: &str, what: &str) -> Fault {
    Fault::Broken(format!("{name}: {what}"))
}
