//! Trainings that are killed and go on: where they are, in a safetensors file.
//!
//! The file holds all that a step depends on: parameters, the optimiser's means, the position of the random stream of
//! noise and forced hints, and what there is so far of the curve and of the best weights. Batches are not stored: they
//! follow from the seed and the number of the step. Numbers are stored as they are computed, so that nothing is rounded
//! on the way. The tensors are `parameters`, `adam.mean`, `adam.square`, `curve.loss`, `curve.val_acc` (NaN where there
//! was not a validation), `best.NAME`, and `statistics` where the program has batch normalisations; everything else is JSON in the metadata.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use executor::Dtype;
use executor::rng::Rng;
use executor::weights::{self, Array, Metadata, Weights};
use graph::Processor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{NetworkError, Result};
use crate::train::{Progress, State, Trainer};
use model::{CurvePoint, TrainConfig};

/// Keys of the metadata: where the training is, and a checksum of that and of all tensors.
const ABOUT: &str = "emberline.checkpoint";
const SUM: &str = "emberline.checksum";
const BEST: &str = "best.";

/// Where and how often a training notes how far it is.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// The file. It is read first, if it is there; it stays when the training is done.
    pub path: PathBuf,
    /// Time between two checkpoints.
    pub every: Duration,
    /// Whatever else results depend on, such as the version of the code: a checkpoint of another one is refused.
    pub code: String,
    /// Asks to stop: the training then writes a checkpoint after the step that it is at, and ends.
    pub stop: Option<&'static AtomicBool>,
}

/// What the metadata says.
#[derive(Serialize, Deserialize)]
struct About {
    /// The settings of the training: the checkpoint of another one is refused.
    training: Value,
    steps: usize,
    adam_steps: i32,
    rng: Rng,
    best_val_acc: Option<f64>,
    /// See [`Progress::diverged`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    diverged: Option<(usize, String)>,
}

/// Writes a training's checkpoints, and reads them back.
pub(crate) struct CheckpointWriter {
    to: Checkpoints,
    training: Value,
    dtype: Dtype,
    written: Instant,
}

impl CheckpointWriter {
    pub fn new(to: &Checkpoints, processor: &Processor, cfg: &TrainConfig) -> Self {
        let params: Vec<_> = processor.graph.params().iter().map(|param| (&param.name, &param.shape)).collect();
        let program = processor.fingerprint().to_string();
        let training = json!({ "settings": cfg, "program": program, "parameters": params, "code": to.code });
        Self { to: to.clone(), training, dtype: cfg.dtype, written: Instant::now() }
    }

    /// Where the file says that the training was; `None` where there is no file. `statistics`: whether the network has running ones.
    pub fn load(&self, statistics: bool) -> Result<Option<(State, Progress)>> {
        if !self.to.path.exists() {
            return Ok(None);
        }
        let (mut stored, metadata) = weights::read(&self.to.path)?;
        let about = metadata.get(ABOUT).ok_or_else(|| self.fail("it is no checkpoint"))?;
        let sum = checksum(about, stored.arrays.iter().map(|(name, array)| (name.as_str(), array)));
        if metadata.get(SUM) != Some(&sum) {
            return Err(self.fail("it is not what was written: its checksum is another"));
        }
        let about: About = serde_json::from_str(about).map_err(|error| self.fail(&format!("broken: {error}")))?;
        if about.training != self.training {
            let differs = differences(&about.training, &self.training);
            return Err(self.fail(&format!("the checkpoint is of another training (other {})", differs.join(", "))));
        }
        let mut take = |name: &str| -> Result<Vec<f64>> {
            let array = stored.arrays.remove(name).ok_or_else(|| self.fail(&format!("it has no {name}")))?;
            Ok(array.data)
        };
        let state = State {
            parameters: take("parameters")?,
            mean: take("adam.mean")?,
            square: take("adam.square")?,
            adam_steps: about.adam_steps,
            rng: about.rng,
            steps: about.steps,
            statistics: if statistics { take("statistics")? } else { Vec::new() },
        };
        let (losses, accuracies) = (take("curve.loss")?, take("curve.val_acc")?);
        if losses.len() != about.steps || accuracies.len() != about.steps {
            return Err(self.fail("its curve has another length than its steps"));
        }
        let points = losses.iter().zip(&accuracies).enumerate();
        let point = |(at, (&loss, &accuracy)): (usize, (&f64, &f64))| CurvePoint {
            step: at + 1,
            loss,
            val_acc: Some(accuracy).filter(|accuracy| !accuracy.is_nan()),
        };
        let curve = points.map(point).collect();
        let arrays =
            stored.arrays.into_iter().filter_map(|(name, array)| Some((name.strip_prefix(BEST)?.to_owned(), array)));
        let best = Weights { arrays: arrays.collect(), dtype: self.dtype };
        let best = about.best_val_acc.map(|accuracy| (accuracy, best));
        Ok(Some((state, Progress { curve, best, diverged: about.diverged })))
    }

    /// Writes a checkpoint, if the last one is old enough. One that cannot be written is no reason to stop: it is only
    /// needed if something else goes wrong.
    pub fn save_if_due(&mut self, trainer: &Trainer<'_>, progress: &Progress) -> Result<()> {
        if self.written.elapsed() >= self.to.every {
            let _ = self.save(&trainer.state()?, progress);
            self.written = Instant::now();
        }
        Ok(())
    }

    /// Writes a checkpoint and ends the training, where it was asked to stop.
    pub fn stop_if_asked(&self, trainer: &Trainer<'_>, progress: &Progress) -> Result<()> {
        if !self.to.stop.is_some_and(|stop| stop.load(Ordering::SeqCst)) {
            return Ok(());
        }
        let state = trainer.state()?;
        self.save(&state, progress)?;
        Err(NetworkError::Stopped { step: state.steps })
    }

    /// Writes a checkpoint.
    pub fn save(&self, state: &State, progress: &Progress) -> Result<()> {
        let about = About {
            training: self.training.clone(),
            steps: state.steps,
            adam_steps: state.adam_steps,
            rng: state.rng.clone(),
            best_val_acc: progress.best.as_ref().map(|(accuracy, _)| *accuracy),
            diverged: progress.diverged.clone(),
        };
        let flat = |data: Vec<f64>| Array { shape: vec![data.len()], data };
        let curve = &progress.curve;
        let mut arrays = BTreeMap::from([
            ("parameters".to_owned(), (self.dtype, flat(state.parameters.clone()))),
            ("adam.mean".to_owned(), (self.dtype, flat(state.mean.clone()))),
            ("adam.square".to_owned(), (self.dtype, flat(state.square.clone()))),
            ("curve.loss".to_owned(), (Dtype::F64, flat(curve.iter().map(|point| point.loss).collect()))),
            (
                "curve.val_acc".to_owned(),
                (Dtype::F64, flat(curve.iter().map(|point| point.val_acc.unwrap_or(f64::NAN)).collect())),
            ),
        ]);
        if !state.statistics.is_empty() {
            arrays.insert("statistics".to_owned(), (self.dtype, flat(state.statistics.clone())));
        }
        for (name, array) in progress.best.iter().flat_map(|(_, weights)| &weights.arrays) {
            arrays.insert(format!("{BEST}{name}"), (self.dtype, array.clone()));
        }
        let arrays: Vec<_> = arrays.iter().map(|(name, (dtype, array))| (name.as_str(), *dtype, array)).collect();
        let about = serde_json::to_string(&about).map_err(|error| self.fail(&error.to_string()))?;
        let sum = checksum(&about, arrays.iter().map(|(name, _, array)| (*name, *array)));
        let metadata = Metadata::from([(ABOUT.to_owned(), about), (SUM.to_owned(), sum)]);
        Ok(weights::write(&self.to.path, &arrays, Some(metadata))?)
    }

    fn fail(&self, reason: &str) -> NetworkError {
        NetworkError::File { path: self.to.path.clone(), reason: reason.to_owned() }
    }
}

/// The checksum of what a checkpoint says and holds, arrays in the order of their names: a flipped bit must not change a training.
fn checksum<'a>(about: &str, arrays: impl Iterator<Item = (&'a str, &'a Array)>) -> String {
    let mut hasher = blake3::Hasher::new();
    let text = |text: &str, hasher: &mut blake3::Hasher| {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    };
    text(about, &mut hasher);
    for (name, array) in arrays {
        text(name, &mut hasher);
        hasher.update(&(array.data.len() as u64).to_le_bytes());
        for value in &array.data {
            hasher.update(&value.to_bits().to_le_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// Names of what two trainings do not share; those of single settings where it is these.
fn differences(one: &Value, two: &Value) -> Vec<String> {
    let (Value::Object(one), Value::Object(two)) = (one, two) else { return vec!["format".to_owned()] };
    let mut names = Vec::new();
    for (name, value) in two {
        match one.get(name) {
            Some(other) if other == value => {}
            Some(other) if name == "settings" => names.extend(differences(other, value)),
            _ => names.push(name.clone()),
        }
    }
    names
}
