//! Learning curves of the trainings of a table.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schemas::CurvePoint;
use stage::Config;
use stage::table::{Extra, write_records};

/// The curve's file in a training's folder.
pub const CURVE: &str = "curve.jsonl";

/// A training that has a curve.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The run of the candidate.
    pub run: String,
    pub candidate_id: String,
    pub task: String,
    pub seed: u64,
    /// Its folder in the cache.
    pub folder: PathBuf,
}

impl Trained {
    /// Its curve.
    pub fn points(&self) -> Result<Vec<model::CurvePoint>> {
        let file = self.folder.join(CURVE);
        let lines = BufReader::new(File::open(&file).with_context(|| format!("{}: cannot read", file.display()))?);
        let point = |line: std::io::Result<String>| {
            serde_json::from_str(&line?).with_context(|| format!("{}: broken", file.display()))
        };
        lines.lines().map(point).collect()
    }
}

/// Writes the curves of these trainings as one table.
pub fn curves(trainings: &[Trained], config: &Config, path: &Path) -> Result<()> {
    let settings_digest = Some(config.settings_digest());
    let mut points = Vec::new();
    for training in trainings {
        for point in training.points()? {
            points.push(CurvePoint {
                run: Some(training.run.clone()),
                settings_digest: settings_digest.clone(),
                candidate_id: training.candidate_id.clone(),
                task: training.task.clone(),
                train_seed: i64::try_from(training.seed)?,
                step: i64::try_from(point.step)?,
                loss: point.loss,
                val_acc: point.val_acc.filter(|accuracy| accuracy.is_finite()),
            });
        }
    }
    let none = Extra::default();
    write_records(points.iter().map(|point| (point, &none)), path, true)
}
