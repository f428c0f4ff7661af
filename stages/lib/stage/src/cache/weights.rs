//! The weights that a row of a table names, such as `train/ab/abcd.../weights.safetensors`.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::Cache;
use super::entry::Fault;

/// The weights' file in a training's folder.
pub const WEIGHTS: &str = "weights.safetensors";
/// The folder of trainings in the cache.
pub const TRAIN: &str = "train";

/// Why the weights that a row names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The name leads to no entry of a training.
    #[error("{0:?} does not name weights in the cache (train/AB/KEY/weights.safetensors)")]
    Outside(String),
    /// The name is that of another training's entry.
    #[error("{0:?} are not the weights of this row's training (see its train_key)")]
    OfAnother(String),
    /// This cache has no such entry.
    #[error("{}: {what} are not in this cache: name the one that it was trained with (--cache)", path.display())]
    Absent {
        /// Where it would be.
        path: PathBuf,
        /// What is looked for, in the plural.
        what: &'static str,
    },
    /// The entry is not what was written.
    #[error("{}: the entry is damaged ({reason}): train it again, and it is replaced", path.display())]
    Broken {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// How a table names the weights of the training with this key: relative to the cache, so that tables are equal wherever
/// that lies.
pub fn name_of(key: &str) -> String {
    Path::new(TRAIN).join(super::place_of(key)).join(WEIGHTS).display().to_string()
}

/// The key of the training whose weights a table names so.
///
/// # Errors
/// For everything else, such as absolute paths and those that lead out of the cache.
pub fn key_of(name: &str) -> Result<&str, WeightsError> {
    let outside = || WeightsError::Outside(name.to_owned());
    let parts: Option<Vec<&str>> = Path::new(name)
        .components()
        .map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    let key = match parts.as_deref() {
        Some([TRAIN, key, WEIGHTS]) => *key,
        Some([TRAIN, shard, key, WEIGHTS]) if key.get(..2) == Some(shard) => *key,
        _ => return Err(outside()),
    };
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_key { Ok(key) } else { Err(outside()) }
}

/// The files of weights that a row names, each verified, in order. `train_key`: of the row.
///
/// # Errors
/// For names that are malformed, for those of another row's training, and for entries that are absent or damaged.
pub fn of_row(cache: &Path, names: &[String], train_key: Option<&str>) -> Result<Vec<PathBuf>, WeightsError> {
    let keys = names.iter().map(|name| key_of(name)).collect::<Result<Vec<_>, _>>()?;
    let own = match keys.as_slice() {
        [one] => (*one).to_owned(),
        several => super::hash(&several),
    };
    if train_key != Some(own.as_str()) {
        return Err(WeightsError::OfAnother(names.first().cloned().unwrap_or_default()));
    }
    keys.iter().zip(names).map(|(key, name)| verified(cache, key, name)).collect()
}

fn verified(cache: &Path, key: &str, name: &str) -> Result<PathBuf, WeightsError> {
    let path = cache.join(name);
    match Cache::new(cache.join(TRAIN)).open(key, &[WEIGHTS]) {
        Ok(entry) => {
            let file = entry.folder.join(WEIGHTS);
            // Folders on the way may be links.
            let inside = |cache: PathBuf| fs::canonicalize(&file).is_ok_and(|file| file.starts_with(cache));
            match fs::canonicalize(cache).is_ok_and(inside) {
                true => Ok(file),
                false => Err(WeightsError::Outside(name.to_owned())),
            }
        }
        Err(Fault::Absent) => Err(WeightsError::Absent { path, what: "the weights" }),
        Err(Fault::Broken(reason)) => Err(WeightsError::Broken { path, reason }),
    }
}
