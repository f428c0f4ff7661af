//! MLflow's file store (`mlruns`): an experiment for each run, in it an MLflow run for the search and one for each training.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde_json::json;
use stage::atomic;

use super::{Curves, curves, part};
use crate::run::Run;

/// Longest value of a parameter that MLflow takes.
const LONGEST: usize = 6000;

/// Writes all runs; answers how many MLflow runs there are.
pub fn write(runs: &[Run], folder: &Path) -> Result<usize> {
    let mut count = 0;
    for run in runs {
        let experiment = number(&run.name);
        let place = folder.join(&experiment);
        atomic::make_folder(&place)?;
        for curves in curves(run) {
            write_run(run, &curves, &experiment, &place)?;
            count += 1;
        }
        // Last: MLflow sees an experiment by this file.
        let about = yaml(&[
            ("artifact_location", json!(location(&place))),
            ("creation_time", json!(0)),
            ("experiment_id", json!(experiment)),
            ("last_update_time", json!(0)),
            ("lifecycle_stage", json!("active")),
            ("name", json!(run.name)),
        ]);
        atomic::write_bytes(&place.join("meta.yaml"), about.as_bytes())?;
    }
    Ok(count)
}

fn write_run(run: &Run, curves: &Curves, experiment: &str, place: &Path) -> Result<()> {
    let id = hash(&format!("{}/{}", run.name, curves.name));
    let folder = place.join(&id);
    for name in ["metrics", "params", "tags", "artifacts"] {
        atomic::make_folder(&folder.join(name))?;
    }
    let mut last = 0;
    for (name, points) in &curves.metrics {
        let mut text = String::new();
        for (step, value) in points {
            last = last.max(*step);
            // time in milliseconds, value, step
            let _ = writeln!(text, "{step} {value:?} {step}");
        }
        atomic::write_bytes(&folder.join("metrics").join(name), text.as_bytes())?;
    }
    if curves.name == "search" {
        for setting in &run.settings {
            let value: String = setting.value.chars().take(LONGEST).collect();
            let name = setting
                .key
                .chars()
                .map(|c| if c == '.' { '.' } else { part(&c.to_string()).chars().next().unwrap_or('_') });
            let name: String = name.collect();
            atomic::write_bytes(&folder.join("params").join(name), value.as_bytes())?;
        }
    }
    for (name, value) in [("mlflow.runName", curves.name.as_str()), ("method", &run.method), ("task", &run.task)] {
        atomic::write_bytes(&folder.join("tags").join(name), value.as_bytes())?;
    }
    let about = yaml(&[
        ("artifact_uri", json!(location(&folder.join("artifacts")))),
        ("end_time", json!(last)),
        ("entry_point_name", json!("")),
        ("experiment_id", json!(experiment)),
        ("lifecycle_stage", json!("active")),
        ("run_id", json!(id)),
        ("run_name", json!(curves.name)),
        ("run_uuid", json!(id)),
        ("source_name", json!("")),
        ("source_type", json!(4)),
        ("source_version", json!("")),
        ("start_time", json!(0)),
        // finished
        ("status", json!(3)),
        ("tags", json!([])),
        ("user_id", json!("emberline")),
    ]);
    atomic::write_bytes(&folder.join("meta.yaml"), about.as_bytes())
}

/// YAML; a text in JSON's quotes is one in YAML's.
fn yaml(fields: &[(&str, serde_json::Value)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

fn location(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// 32 hexadecimal digits that stand for a text.
fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(32).collect()
}

/// 18 decimal digits that do: MLflow's experiments are numbered.
fn number(text: &str) -> String {
    let bytes = blake3::hash(text.as_bytes());
    let digits: String = bytes.as_bytes().iter().take(18).map(|byte| char::from(b'0' + byte % 10)).collect();
    format!("1{}", digits.chars().skip(1).collect::<String>())
}
