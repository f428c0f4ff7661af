//! Removing a run's folder, and never anything else.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use stage::{Config, Usage};

use crate::open::CONFIG;

/// What a run's folder holds, apart from its generations.
const OURS: &[&str] = &[
    CONFIG,
    stage::runs::FILE,
    crate::open::SEED_PROGRAM,
    crate::hold::FILE,
    "changes.jsonl",
    "made.json",
    crate::demo::MARK,
    stage::live::FILE,
    "archive.parquet",
    "confirm.json",
    "confirmed.parquet",
    "confirm_again.json",
    "confirmed_again.parquet",
    "curves.parquet",
    "report.html",
    "figures",
    "tables",
    "results",
    "weights",
    "transcripts.jsonl",
    "transfer.parquet",
    "transfer_summary.parquet",
];

/// Removes the folder of a run.
///
/// # Errors
/// When it is not a run of ours, or holds anything that is not a part of one.
pub fn remove(folder: &Path) -> Result<()> {
    let refuse = |why: String| Usage(format!("{} is not removed: {why}", folder.display()));
    if folder.as_os_str().is_empty() {
        return Err(refuse("it has no name".to_owned()).into());
    }
    // A slash at the end would lead through a link.
    let folder: &Path = &folder.components().collect::<PathBuf>();
    let Ok(there) = fs::symlink_metadata(folder) else {
        eprintln!("run: {}: there is no such run, nothing to remove", folder.display());
        return Ok(());
    };
    if there.is_symlink() {
        return Err(refuse("it is a link to somewhere else".to_owned()).into());
    }
    if !there.is_dir() {
        return Err(refuse("it is no folder".to_owned()).into());
    }
    let whole = folder.canonicalize().with_context(|| folder.display().to_string())?;
    if let Some(place) = places().into_iter().find(|place| place.starts_with(&whole)) {
        return Err(refuse(format!("{} lies in it", place.display())).into());
    }
    if Config::load(Some(&whole.join(CONFIG)), &[], &[]).is_err() {
        return Err(refuse(format!("it has no {CONFIG} of a run")).into());
    }
    if let Some(other) = foreign(&whole)? {
        let why = format!("it holds {other}, which is no part of a run; move that away first");
        return Err(refuse(why).into());
    }
    fs::remove_dir_all(&whole).with_context(|| format!("{}: cannot remove", folder.display()))?;
    crate::record::list(&whole);
    Ok(())
}

/// Folders that must stay, with all above them.
fn places() -> Vec<PathBuf> {
    let home = env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let places = [env::current_dir().ok(), home, Some(PathBuf::from("/"))];
    places.into_iter().flatten().filter_map(|place| place.canonicalize().ok()).collect()
}

/// The first entry that no run has.
fn foreign(folder: &Path) -> Result<Option<String>> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let name = entry.with_context(|| folder.display().to_string())?.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix("gen").unwrap_or_default();
        let generation = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
        // Left by a write that was killed.
        let temporary = name.ends_with(".tmp");
        if !OURS.contains(&name.as_str()) && !generation && !temporary {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(parent: &Path, name: &str) -> PathBuf {
        let folder = parent.join(name);
        fs::create_dir_all(folder.join("gen000")).unwrap();
        fs::write(folder.join(CONFIG), Config::default().to_toml()).unwrap();
        folder
    }

    fn refused(folder: &Path, word: &str) {
        let error = remove(folder).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains(word), "{error}");
    }

    #[test]
    fn a_run_is_removed_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let parent = scratch.path();
        let folder = run(parent, "a b'c;$(d)");
        std::os::unix::fs::symlink(&folder, parent.join("link")).unwrap();
        for link in ["link", "link/", "link/."] {
            refused(&parent.join(link), "link");
        }
        fs::write(folder.join("thesis.tex"), "x").unwrap();
        refused(&folder, "thesis.tex");
        fs::remove_file(folder.join("thesis.tex")).unwrap();
        remove(&folder).unwrap();
        assert!(!folder.exists());
        remove(&folder).unwrap();
    }

    #[test]
    fn places_that_must_stay_and_folders_that_are_no_runs_are_refused() {
        let scratch = tempfile::tempdir().unwrap();
        for folder in ["/", ".", "..", "../.."] {
            refused(Path::new(folder), "lies in it");
        }
        refused(Path::new(""), "no name");
        refused(scratch.path(), "config.toml");
        fs::write(scratch.path().join(CONFIG), "[package]\nname = \"x\"\n").unwrap();
        refused(scratch.path(), "config.toml");
        assert!(scratch.path().exists());
    }
}
