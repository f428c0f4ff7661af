//! The rows of an attempt in the tables of its run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use schemas::Candidate;
use serde_json::{Map, Value};
use stage::table::read_records;

const ARCHIVE: &str = "archive.parquet";

/// One try at a program: a row, as each table has it.
pub struct Try {
    /// The row in the last table that has it.
    pub row: Candidate,
    /// Its columns that no schema knows, such as those of the models.
    pub extra: Map<String, Value>,
    /// Each table with the row's status and reason there, in the order of the stages.
    pub tables: Vec<(String, String, Option<String>)>,
}

/// Which row of an attempt it is, in every table: its phase, its repair round, and the how-manieth of these.
type Which = (Option<i64>, Option<i64>, usize);

/// The tries of one attempt, in order. `generation`: where its rows are, if that is known.
///
/// # Errors
/// When a table cannot be read.
pub fn of(run: &Path, attempt: i64, generation: Option<i64>) -> anyhow::Result<Vec<Try>> {
    let folders = generations(run)?;
    let wanted = |number: &i64| generation.is_none_or(|wanted| wanted == *number);
    let mut tries: BTreeMap<Which, Try> = BTreeMap::new();
    for folder in folders.iter().filter(|(number, _)| wanted(number)).map(|(_, folder)| folder) {
        for path in tables(folder)? {
            add(&mut tries, run, &path, attempt)?;
        }
    }
    // Each generation has an archive, too: that of the run is the last one's, and counts where it is there.
    let whole = run.join(ARCHIVE);
    let last = folders.iter().rev().map(|(_, folder)| folder.join(ARCHIVE));
    if let Some(archive) = [whole].into_iter().chain(last).find(|path| path.is_file()) {
        add(&mut tries, run, &archive, attempt)?;
    }
    Ok(tries.into_values().collect())
}

fn add(tries: &mut BTreeMap<Which, Try>, run: &Path, path: &Path, attempt: i64) -> anyhow::Result<()> {
    let table = path.strip_prefix(run).unwrap_or(path).with_extension("").display().to_string();
    let mut seen: BTreeMap<(Option<i64>, Option<i64>), usize> = BTreeMap::new();
    for (row, extra) in read_records::<Candidate>(path)?.rows {
        if row.attempt != attempt {
            continue;
        }
        let number = seen.entry((row.phase, row.repair_round)).or_default();
        let which = (row.phase, row.repair_round, *number);
        *number += 1;
        let known =
            tries.entry(which).or_insert_with(|| Try { row: row.clone(), extra: Map::new(), tables: Vec::new() });
        known.tables.push((table.clone(), row.status.to_string(), row.reason.clone()));
        for name in extra.names() {
            if let Some(value) = extra.get(&name) {
                known.extra.insert(name, value);
            }
        }
        // Archives leave out what differs from run to run.
        known.row = Candidate {
            train_seconds: row.train_seconds.or(known.row.train_seconds),
            peak_rss_mb: row.peak_rss_mb.or(known.row.peak_rss_mb),
            ..row
        };
    }
    Ok(())
}

/// How each attempt ended: the status of its last row, with the reason where there is no score.
///
/// # Errors
/// When a table cannot be read.
pub fn outcomes(run: &Path) -> anyhow::Result<BTreeMap<i64, String>> {
    let mut found = BTreeMap::new();
    let mut note = |path: &Path| -> anyhow::Result<()> {
        for (row, _) in read_records::<Candidate>(path)?.rows {
            let score = row.fitness.map(|fitness| format!("fitness {fitness:.4}"));
            let text = match score.or(row.reason) {
                Some(more) => format!("{}: {more}", row.status),
                None => row.status.to_string(),
            };
            found.insert(row.attempt, text);
        }
        Ok(())
    };
    // What has no archive yet is where it has come to.
    for (_, folder) in generations(run)? {
        if let Some(path) = tables(&folder)?.last() {
            note(path)?;
        }
    }
    let archive = run.join(ARCHIVE);
    if archive.is_file() {
        note(&archive)?;
    }
    Ok(found)
}

/// The folders of a run's generations, by their numbers.
fn generations(run: &Path) -> anyhow::Result<Vec<(i64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(run).with_context(|| run.display().to_string())? {
        let entry = entry.with_context(|| run.display().to_string())?;
        let name = entry.file_name();
        let number = name.to_string_lossy().strip_prefix("gen").and_then(|number| number.parse().ok());
        if let Some(number) = number.filter(|_| entry.path().is_dir()) {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// A generation's tables of candidates that are there, in the order of the stages: racing trains and scores again.
fn tables(generation: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut add = |name: String| {
        let path = generation.join(format!("{name}.parquet"));
        let there = path.is_file();
        if there {
            found.push(path);
        }
        there
    };
    for name in ["proposed", "checked", "trained", "scored"] {
        add(name.to_owned());
    }
    for round in 1.. {
        let trained = add(format!("trained{round}"));
        let scored = add(format!("scored{round}"));
        if !trained && !scored {
            break;
        }
    }
    Ok(found)
}
