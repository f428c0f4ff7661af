//! `made.json`: which archive the report and the results were made from. Tables carry that themselves.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use stage::{atomic, table};

const FILE: &str = "made.json";

/// What is no table.
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
            Self::Results => &["results/best.py", "results/best.safetensors", "results/best.md"],
        }
    }
}

/// Notes that a product was made from the archive that is there now.
pub fn record(folder: &Path, product: Product) -> Result<()> {
    let mut made = read(folder)?;
    made.insert(product.name().to_owned(), table::digest(&folder.join("archive.parquet"))?);
    atomic::write_bytes(&folder.join(FILE), serde_json::to_string_pretty(&made)?.as_bytes())
}

/// Why a product is not up to date, given the digest of the archive. Where nothing was noted (by earlier versions), it is
/// enough that it is there.
pub fn stale(folder: &Path, product: Product, archive: &str) -> Result<Option<String>> {
    if let Some(file) = product.files().iter().find(|file| !folder.join(file).is_file()) {
        return Ok(Some(format!("{file} is missing")));
    }
    let made = read(folder)?;
    let noted = made.get(product.name());
    Ok(noted.filter(|noted| *noted != archive).map(|_| "the archive has changed".to_owned()))
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
