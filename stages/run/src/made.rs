//! `made.json`: which archive the report and the results were made from. Tables carry that themselves.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use stage::live::Record;
use stage::{atomic, table};

const FILE: &str = "made.json";
/// In place of a digest.
const UNFINISHED: &str = "unfinished";
/// What a confirmation came to, beside the archive.
pub const CONFIRMATION: &str = "confirm.json";

/// What is not a table.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    Report,
    Results,
}

impl Product {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Results => "results",
        }
    }

    /// Its files, in the run's folder.
    const fn files(self) -> &'static [&'static str] {
        match self {
            Self::Report => &["report.html"],
            Self::Results => &[
                "results/best.py",
                "results/best.safetensors",
                "results/best.md",
                "results/model.py",
                "results/model.safetensors",
                "results/evaluate.py",
                "results/README.md",
            ],
        }
    }
}

/// Notes that a product was made from the archive that is there now.
///
/// `unfinished`: it was made from less, and is to be made again.
pub fn record(folder: &Path, product: Product, unfinished: bool) -> Result<()> {
    let mut made = read(folder)?;
    let sources = if unfinished {
        UNFINISHED.to_owned()
    } else {
        sources(folder, table::digest(&folder.join("archive.parquet"))?)?
    };
    made.insert(product.name().to_owned(), sources);
    atomic::write_bytes(&folder.join(FILE), serde_json::to_string_pretty(&made)?.as_bytes())?;
    if product == Product::Report && !unfinished {
        // The last thing that a search makes. A display that is not told so is no reason to fail.
        let mut progress = Record::read(folder);
        (progress.done, progress.now) = (true, None);
        let _ = progress.save(folder);
    }
    Ok(())
}

/// A digest of what products are made from, given that of the archive: the confirmation counts, where there is one.
pub fn sources(folder: &Path, archive: String) -> Result<String> {
    let path = folder.join(CONFIRMATION);
    match std::fs::read(&path) {
        Ok(text) => Ok(table::digest_of_text(&[archive.as_bytes(), &text].concat())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(archive),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Why a product is not up to date, given the digest of what it is made from. Where nothing was noted (by earlier versions), it is
/// enough that it is there.
pub fn stale(folder: &Path, product: Product, sources: &str) -> Result<Option<String>> {
    if let Some(file) = product.files().iter().find(|file| !folder.join(file).is_file()) {
        return Ok(Some(format!("{file} is missing")));
    }
    let made = read(folder)?;
    let noted = made.get(product.name());
    Ok(noted.filter(|noted| *noted != sources).map(|_| "archive or confirmation have changed".to_owned()))
}

fn read(folder: &Path) -> Result<BTreeMap<String, String>> {
    let path = folder.join(FILE);
    match std::fs::read(&path) {
        Ok(text) => {
            serde_json::from_slice(&text).with_context(|| format!("{}: delete it, and make again", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_a_search_that_was_interrupted_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("report.html"), "a page").unwrap();
        let stale = |sources: &str| stale(folder.path(), Product::Report, sources).unwrap();
        assert_eq!(stale("abc"), None, "of earlier versions");
        record(folder.path(), Product::Report, true).unwrap();
        assert!(stale("abc").is_some_and(|why| why.contains("changed")));
    }
}
