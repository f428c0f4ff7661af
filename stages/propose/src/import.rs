//! Searches of other tools as candidate tables: `propose --import TOOL RUN`.
//!
//! Their programs were evaluated by our own stages (`data/bridges`), which noted a row for each. What is added here is who came
//! from whom and when.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use schemas::{Candidate, Status};
use serde::Deserialize;
use stage::{Config, Row, Table, Usage};

/// Rows of evaluations, in a run's folder.
const EVALUATED: &str = "evaluated.jsonl";
/// Who came from whom, as OpenEvolve traces it; the other bridges write the same.
const TRACE: &str = "evolution_trace.jsonl";

/// Whose searches can be imported.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Openevolve,
    Shinka,
    Llm4ad,
}

impl Tool {
    /// The name of its method, which is not one of ours, though one of ours may be called alike.
    fn method(self) -> &'static str {
        match self {
            Self::Openevolve => "openevolve-real",
            Self::Shinka => "shinka-real",
            Self::Llm4ad => "llm4ad-real",
        }
    }

    /// What an edit is called whose origin is not traced. LLM4AD traces none.
    fn untraced(self, attempt: i64) -> String {
        match self {
            Self::Llm4ad => format!("sample {attempt}"),
            Self::Openevolve | Self::Shinka => "an iteration that the trace does not know".to_owned(),
        }
    }
}

/// The tool of this name.
pub fn tool(name: &OsStr) -> Result<Tool> {
    let known = Tool::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let known: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
    let found = name.to_str().and_then(|name| Tool::from_str(name, false).ok());
    let message = || Usage(format!("--import {}: known are {}", name.to_string_lossy(), known.join(", ")));
    found.ok_or_else(|| message().into())
}

/// A line of a trace.
#[derive(Deserialize)]
struct Step {
    iteration: i64,
    parent_code: Option<String>,
    child_code: Option<String>,
    island_id: Option<i64>,
}

/// Who came from whom, by `candidate_id`.
#[derive(Debug, Default)]
struct Origin {
    parent: String,
    iteration: i64,
    island: i64,
}

/// The rows of a run, in the order of their evaluation. The first program is the seed program; what has no known parent counts
/// as a child of it. A line that is cut off, as by a killed process, is left out.
pub fn import(tool: Tool, folder: &Path, config: &Config) -> Result<Table> {
    let path = folder.join(EVALUATED);
    let text = stage::files::read_text(&path)
        .with_context(|| format!("{}: no evaluations (is it the folder that EMBERLINE_RUN named?)", path.display()))?;
    let origins = origins(folder)?;
    let mut rows: Vec<Row> = Vec::new();
    let (mut seed, mut known) = (String::new(), BTreeSet::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row: serde_json::Value = match serde_json::from_str(line) {
            Ok(row) => row,
            Err(error) => {
                stage::exit::note(&format!("warning: {} line {}: {error}; left out", path.display(), number + 1));
                continue;
            }
        };
        let mut candidate: Candidate = serde_json::from_value(row)
            .with_context(|| format!("{} line {}: not a row of ours", path.display(), number + 1))?;
        // What a program is called is computed, not believed.
        candidate.candidate_id = program::candidate_id(&candidate.source);
        let attempt = schemas::count(rows.len());
        let origin = origins.get(&candidate.candidate_id);
        candidate.run = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        candidate.method = tool.method().to_owned();
        candidate.proposer = tool.method().to_owned();
        candidate.attempt = attempt;
        candidate.slot = 0;
        candidate.generation = attempt;
        candidate.island = origin.map_or(0, |origin| origin.island);
        if rows.is_empty() {
            seed.clone_from(&candidate.candidate_id);
            candidate.edit = Some("seed".to_owned());
            candidate.parent_id = None;
        } else {
            candidate.edit = Some(match origin {
                Some(origin) => format!("iteration {}", origin.iteration),
                None => tool.untraced(attempt),
            });
            let parent = origin.map_or(&seed, |origin| &origin.parent);
            candidate.parent_id = Some(parent.clone());
        }
        // Nothing was spent on a program that was known.
        if !known.insert(candidate.candidate_id.clone()) {
            candidate.status = Status::Duplicate;
            (candidate.fitness, candidate.ood_acc, candidate.test_acc) = (None, None, None);
        }
        candidate.task.get_or_insert_with(|| config.task.algorithm.clone());
        rows.push(Row::from(candidate));
    }
    if rows.is_empty() {
        bail!("{} has no whole line", path.display());
    }
    Ok(rows.into_iter().collect())
}

/// Where programs come from, by all traces below the folder; the first trace that made a program counts.
fn origins(folder: &Path) -> Result<BTreeMap<String, Origin>> {
    let mut origins = BTreeMap::new();
    for path in traces(folder)? {
        let text = stage::files::read_text(&path).with_context(|| path.display().to_string())?;
        for step in text.lines().filter_map(|line| serde_json::from_str::<Step>(line).ok()) {
            let (Some(parent), Some(child)) = (step.parent_code, step.child_code) else { continue };
            let origin = Origin {
                parent: program::candidate_id(&parent),
                iteration: step.iteration,
                island: step.island_id.unwrap_or(0),
            };
            origins.entry(program::candidate_id(&child)).or_insert(origin);
        }
    }
    Ok(origins)
}

/// The folder itself, and those below it, one level deep: the output of a tool is usually one of these.
fn traces(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = Vec::new();
    let here = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for path in here.flatten().map(|entry| entry.path()).chain([folder.to_owned()]) {
        found.extend(Some(path.join(TRACE)).filter(|trace| trace.is_file()));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_get_their_parents_from_the_trace_and_cut_lines_are_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let row = |source: &str, fitness: f64| {
            let row = Candidate {
                source: source.into(),
                status: Status::Scored,
                fitness: Some(fitness),
                ..Candidate::default()
            };
            serde_json::to_string(&row).expect("JSON")
        };
        let lines = [row("a = 1\n", 0.5), row("a = 2\n", 0.6), row("a = 3\n", 0.4), "{\"cut".to_owned()];
        std::fs::write(folder.path().join(EVALUATED), lines.join("\n")).expect("writes");
        let step = serde_json::json!({
            "iteration": 7, "timestamp": 0.0, "parent_id": "x", "child_id": "y",
            "parent_code": "a = 2\n", "child_code": "a = 3\n", "island_id": 2,
        });
        std::fs::create_dir(folder.path().join("output")).expect("a folder");
        std::fs::write(folder.path().join("output").join(TRACE), format!("{step}\n{{")).expect("writes");
        let table = import(Tool::Openevolve, folder.path(), &Config::default()).expect("it is a run");
        let rows: Vec<&Candidate> = table.candidates().collect();
        let id = program::candidate_id;
        let parents: Vec<Option<String>> = rows.iter().map(|row| row.parent_id.clone()).collect();
        assert_eq!(parents, [None, Some(id("a = 1\n")), Some(id("a = 2\n"))]);
        assert_eq!((rows[2].edit.as_deref(), rows[2].island, rows[2].attempt), (Some("iteration 7"), 2, 2));
        assert!(rows.iter().all(|row| row.method == "openevolve-real" && row.task.as_deref() == Some("dfs")));
        // LLM4AD traces nothing: all are children of the seed program.
        std::fs::remove_dir_all(folder.path().join("output")).expect("removes");
        let table = import(Tool::Llm4ad, folder.path(), &Config::default()).expect("it is a run");
        let last = table.candidates().last().expect("rows");
        assert_eq!((last.method.as_str(), last.edit.as_deref()), ("llm4ad-real", Some("sample 2")));
        assert_eq!(last.parent_id, Some(id("a = 1\n")));
        assert!(import(Tool::Openevolve, &folder.path().join("none"), &Config::default()).is_err());
    }
}
