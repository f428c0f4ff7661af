//! From archives to runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use schemas::{Candidate, CurvePoint, DiagnosisRow, TransferRow, TransferSummary};
use search::diagnosis::Diagnosis;
use stage::live::Record;
use stage::runs::RunRecord;
use stage::table::{Extra, read_records};

use crate::effort::Effort;
use crate::exchanges;
use crate::run::{Beside, Run, Setting};

/// All runs of all archives, in the order given; an archive that holds several runs gives each of them.
/// `folder`: where the rest of a run lies, where that is not the archive's folder.
pub fn load(archives: &[PathBuf], folder: Option<&Path>) -> Result<Vec<Run>> {
    let mut parts: Vec<(String, Vec<Candidate>, Beside)> = Vec::new();
    for archive in archives {
        let mut runs: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        let rows = read_records::<Candidate>(archive)?.rows;
        let beside = beside(archive, folder, &rows)?;
        for (row, _) in rows {
            runs.entry(row.run.clone()).or_default().push(row);
        }
        if runs.is_empty() {
            runs.insert(String::new(), Vec::new());
        }
        let single = runs.len() == 1;
        for (run, rows) in runs {
            let name = if run.is_empty() || run == "-" { folder_name(archive) } else { run };
            // what lies beside an archive of several runs belongs to none of them
            let mut beside = if single { beside.clone() } else { Beside::default() };
            let scored = rows.iter().filter(|row| row.fitness.is_some()).chain(&rows);
            let digest = scored.filter_map(|row| row.settings_digest.as_deref()).next();
            beside.identity = stage::runs::Run::new(&name, digest, if single { archive } else { Path::new("-") });
            parts.push((name, rows, beside));
        }
    }
    let mut runs: Vec<Run> = Vec::new();
    for (name, rows, beside) in parts {
        let taken = |name: &str| runs.iter().any(|run| run.name == name);
        let unique = (2..).map(|n| format!("{name} ({n})")).find(|other| !taken(other));
        let name = if taken(&name) { unique.unwrap_or(name) } else { name };
        let number = runs.len();
        runs.push(Run::new(name, rows, beside).numbered(number));
    }
    if runs.is_empty() {
        bail!("no archive to report on");
    }
    Ok(runs)
}

/// Settings, curves, diagnoses, exchanges with models, effort and transfer results in the archive's folder. What is not there is empty; what is broken is an
/// error.
fn beside(archive: &Path, folder: Option<&Path>, rows: &[(Candidate, Extra)]) -> Result<Beside> {
    if archive == Path::new("-") {
        return Ok(Beside::default());
    }
    let own = archive.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.unwrap_or(own);
    let mut curves = Vec::new();
    // Rounds of racing have tables of their own.
    let files = tables(folder, "curves*.parquet")?;
    for file in files {
        curves.extend(read_records::<CurvePoint>(&file)?.rows.into_iter().map(|(point, _)| point));
    }
    let mut diagnoses = BTreeMap::new();
    for file in tables(folder, "diagnosis*.parquet")? {
        let rows: Vec<DiagnosisRow> = read_records(&file)?.rows.into_iter().map(|(row, _)| row).collect();
        diagnoses.extend(Diagnosis::by_candidate(&rows));
    }
    let transfer = optional::<TransferRow>(&folder.join("transfer.parquet"))?;
    let transfer_summary = optional::<TransferSummary>(&folder.join("transfer_summary.parquet"))?;
    let config = folder.join("config.toml");
    let settings = if config.is_file() { settings(&config)? } else { Vec::new() };
    let attempts = rows.iter().map(|(row, _)| row.attempt).collect();
    let exchanges = exchanges::read(&folder.join("transcripts.jsonl"), &attempts)?;
    let effort = Effort::read(&tables(folder, "trained*.parquet")?, rows, &exchanges)?;
    let confirmation = stage::confirmation::beside(archive)?;
    // A page about tables does not fail for want of a line at its head.
    let made = RunRecord::read(folder).ok().flatten();
    let changed = Record::read(folder).changed;
    let folder = Some(folder.to_owned());
    Ok(Beside {
        settings,
        curves,
        diagnoses,
        confirmation,
        exchanges,
        effort,
        transfer,
        transfer_summary,
        made,
        changed,
        folder,
        ..Beside::default()
    })
}

/// The rows of a table that may not be there.
fn optional<T: schemas::Table>(path: &Path) -> Result<Vec<T>> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    Ok(read_records::<T>(path)?.rows.into_iter().map(|(row, _)| row).collect())
}

/// The tables of this name, a pattern, in a run's folder: of the run itself, and of its generations.
fn tables(folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let here = glob::Pattern::escape(&folder.to_string_lossy());
    let patterns = [format!("{here}/{name}"), format!("{here}/gen*/{name}")];
    let mut files = Vec::new();
    for pattern in patterns {
        files.extend(glob::glob(&pattern)?.filter_map(Result::ok));
    }
    Ok(files)
}

/// The settings of a run: they are shown as they are, so keys of other versions are not errors here.
fn settings(path: &Path) -> Result<Vec<Setting>> {
    let text = stage::files::read_text(path).with_context(|| path.display().to_string())?;
    let table: toml::Table = text.parse().with_context(|| path.display().to_string())?;
    let mut list = Vec::new();
    for (section, value) in &table {
        match value {
            toml::Value::Table(keys) => {
                list.extend(
                    keys.iter().map(|(key, value)| Setting { key: format!("{section}.{key}"), value: shown(value) }),
                );
            }
            value => list.push(Setting { key: section.clone(), value: shown(value) }),
        }
    }
    Ok(list)
}

fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Name of a run that has none: that of its folder.
fn folder_name(archive: &Path) -> String {
    let folder = archive.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    folder
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| if archive == Path::new("-") { "stdin".into() } else { archive.display().to_string() })
}
