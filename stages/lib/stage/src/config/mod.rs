//! Configuration: TOML files, one over the other, then `--set section.key=value`, then flags; each value remembers where it came from.
//!
//! There are no keys that do nothing: unknown ones are errors, and [`Config::to_toml`] prints every value in force.

mod error;
mod identity;
mod layers;
mod pages;
mod sections;
mod seeds;
mod sets;
mod splits;
mod validate;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Deref;
use std::path::Path;

pub use clrs::card::Fitness;
pub use error::ConfigError;
pub use identity::{Difference, bears_on, compares};
pub use pages::{describe, markdown};
pub use sections::{
    Class, CommandEngine, Confirm, Context, Continues, Editable, Endpoint, EngineKind, EngineSettings, Entangled, Eoh,
    EvoPrompting, FunSearch, Growth, KEYS, Key, LanguageForm, Llm, ModelPrice, Network, OnInterrupt, Propose,
    ReplyForm, SECTIONS, Score, Search, Settings, SlurmEngine, Stages, Task, TaskSettings, Train, Transfer,
};
pub use seeds::Seeds;
pub use sets::{quoted, words};
pub use splits::Split;
pub use validate::{METHODS, PROPOSERS};

/// The settings in force. Dereferences to [`Settings`]: `config.train.steps`.
#[derive(Clone, Debug, Default)]
pub struct Config {
    settings: Settings,
    origins: BTreeMap<String, Origin>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has set it.
    Default,
    /// A file of settings.
    File {
        /// The file, as it was named.
        path: String,
        /// Number of the line, from 1.
        line: usize,
    },
    /// An assignment behind `--set`.
    Set,
    /// An option of its own, which this is the name of.
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{path}:{line}"),
            Origin::Set => f.write_str("--set"),
            Origin::Flag(flag) => f.write_str(flag),
        }
    }
}

impl Deref for Config {
    type Target = Settings;
    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl Config {
    /// Reads the layers. `flags` are `(flag, section.key, TOML value)`, for options that are settings in their own right.
    pub fn load(file: Option<&Path>, sets: &[String], flags: &[(&str, &str, String)]) -> Result<Self, ConfigError> {
        let files: Vec<&Path> = file.into_iter().collect();
        Self::layered(&files, sets, flags)
    }

    /// As [`Config::load`], from several files: each goes over those before it. Tables within a setting are joined.
    pub fn layered(files: &[&Path], sets: &[String], flags: &[(&str, &str, String)]) -> Result<Self, ConfigError> {
        let mut layers = layers::Layers::default();
        files.iter().try_for_each(|path| layers.file(path))?;
        Self::finish(layers, sets, flags)
    }

    /// As [`Config::load`], from the text of a file, for programs that bring a profile along. `name`: what the file is called
    /// in messages.
    pub fn from_text(name: &str, text: &str, sets: &[String]) -> Result<Self, ConfigError> {
        let mut layers = layers::Layers::default();
        layers.text(Path::new(name), text)?;
        Self::finish(layers, sets, &[])
    }

    fn finish(
        mut layers: layers::Layers,
        sets: &[String],
        flags: &[(&str, &str, String)],
    ) -> Result<Self, ConfigError> {
        for set in sets {
            layers.sets(set)?;
        }
        for (flag, key, value) in flags {
            layers.set(&format!("{key}={value}"), Origin::Flag((*flag).to_owned()))?;
        }
        let config = layers.finish()?;
        validate::validate(&config)?;
        Ok(config)
    }

    /// These settings with changes that a stage makes by itself, for a part of its work.
    pub fn changed(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut changed = self.clone();
        change(&mut changed.settings);
        changed
    }

    /// Where the value of `section.key` came from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// The value of a key, `section.name`; `None` where it is not set.
    pub(crate) fn value(&self, key: &str) -> Option<toml::Value> {
        let (section, name) = key.split_once('.')?;
        let table = toml::Table::try_from(&self.settings).ok()?;
        table.get(section)?.get(name).cloned()
    }

    /// Every value in force by its key, as JSON; what is not set is left out.
    pub fn values(&self) -> serde_json::Map<String, serde_json::Value> {
        let value = |key: &Key| Some((key.path(), serde_json::to_value(self.value(&key.path())?).ok()?));
        KEYS.iter().filter_map(value).collect()
    }

    /// Every value in force as TOML that this program reads back, with its origin in a comment.
    pub fn to_toml(&self) -> String {
        let table = toml::Table::try_from(&self.settings).unwrap_or_default();
        let mut lines = Vec::new();
        for key in KEYS {
            let value = table.get(key.section).and_then(|section| section.get(key.name));
            // TOML has no null: a setting that is not set is a comment
            let line = value.map_or_else(|| format!("# {} =", key.name), |value| format!("{} = {value}", key.name));
            lines.push((key, line));
        }
        let width = lines.iter().map(|(_, line)| line.chars().count()).max().unwrap_or(0).min(48);
        let mut text = String::new();
        let mut section = "";
        for (key, line) in lines {
            if key.section != section {
                let _ = writeln!(text, "{}[{}]", if section.is_empty() { "" } else { "\n" }, key.section);
                section = key.section;
            }
            let _ = writeln!(text, "{line:width$}  # {}", self.origin(&key.path()));
        }
        text
    }
}

#[cfg(test)]
mod tests;
