//! Reading the layers of the settings, one over the other.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Value;
use toml::de::DeTable;

use super::{Config, ConfigError, KEYS, Key, Origin, Settings};

/// Values that were given, by key; later layers replace earlier ones.
#[derive(Default)]
pub(super) struct Layers {
    values: BTreeMap<String, (Value, Origin)>,
}

impl Layers {
    /// Adds a TOML file.
    pub(super) fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            crate::files::read_text(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        self.text(path, &text)
    }

    /// Adds the text of a TOML file.
    pub(super) fn text(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let line_of = |offset: usize| text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1;
        let syntax = |error: &toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            line: error.span().map_or(1, |span| line_of(span.start)),
            message: error.message().to_owned(),
        };
        let spans = DeTable::parse(text).map_err(|error| syntax(&error))?;
        let mut values: toml::Table = toml::from_str(text).map_err(|error| syntax(&error))?;
        let origin = |offset: usize| Origin::File { path: path.display().to_string(), line: line_of(offset) };
        for (section, keys) in spans.get_ref() {
            let name = section.get_ref().as_ref();
            let Some(keys) = keys.get_ref().as_table().filter(|_| KEYS.iter().any(|key| key.section == name)) else {
                return Err(unknown(name, origin(section.span().start)));
            };
            for key in keys.keys() {
                let value =
                    values.get_mut(name).and_then(Value::as_table_mut).and_then(|t| t.remove(key.get_ref().as_ref()));
                if let Some(value) = value {
                    self.insert(&format!("{name}.{}", key.get_ref()), value, origin(key.span().start))?;
                }
            }
        }
        Ok(())
    }

    /// Adds a text of any number of settings; see [`sets::split`].
    pub(super) fn sets(&mut self, text: &str) -> Result<(), ConfigError> {
        super::sets::split(text).into_iter().try_for_each(|set| self.set(set, Origin::Set))
    }

    /// Adds one `section.key=value`. The value is TOML; what is not, is taken for a string.
    pub(super) fn set(&mut self, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(ConfigError::Form { text: text.to_owned() });
        };
        let (key, value) = (key.trim(), value.trim());
        let parsed =
            toml::from_str::<toml::Table>(&format!("value = {value}")).ok().and_then(|mut t| t.remove("value"));
        self.insert(key, parsed.unwrap_or_else(|| Value::String(value.to_owned())), origin)
    }

    fn insert(&mut self, path: &str, value: Value, origin: Origin) -> Result<(), ConfigError> {
        let Some(key) = KEYS.iter().find(|key| key.path() == path) else {
            return match self.whole(path, &value) {
                Some((path, value)) => self.insert(&path, value, origin),
                None => Err(unknown(path, origin)),
            };
        };
        // Whole numbers are fine where a number is due.
        let value = match value {
            Value::Integer(whole) if (key.check)(Value::Integer(whole)).is_err() => Value::Float(whole as f64),
            other => other,
        };
        if let Err(error) = (key.check)(value.clone()) {
            return Err(ConfigError::Value { origin, key: path.to_owned(), message: complaint(&error, &value) });
        }
        self.values.insert(path.to_owned(), (value, origin));
        Ok(())
    }

    /// Of a path to a part of a key whose value is a table (`engine.slurm.max`): that key, and its value with the part.
    fn whole(&self, path: &str, value: &Value) -> Option<(String, Value)> {
        let (whole, part) = path.rsplit_once('.')?;
        KEYS.iter().find(|key| key.path() == whole && (key.check)(Value::Table(toml::Table::new())).is_ok())?;
        let before = self.values.get(whole).and_then(|(before, _)| before.as_table()).cloned();
        let mut table = before.unwrap_or_default();
        table.insert(part.to_owned(), value.clone());
        Some((whole.to_owned(), Value::Table(table)))
    }

    /// The settings, defaults filled in.
    pub(super) fn finish(self) -> Result<Config, ConfigError> {
        let mut table = toml::Table::new();
        let mut origins = BTreeMap::new();
        for (path, (value, origin)) in self.values {
            if let Some((section, key)) = path.split_once('.') {
                let section = table.entry(section).or_insert_with(|| Value::Table(toml::Table::new()));
                if let Some(section) = section.as_table_mut() {
                    section.insert(key.to_owned(), value);
                }
            }
            origins.insert(path, origin);
        }
        let settings: Settings = table.try_into().map_err(|error: toml::de::Error| ConfigError::Value {
            origin: Origin::Default,
            key: "settings".to_owned(),
            message: error.message().to_owned(),
        })?;
        Ok(Config { settings, origins })
    }
}

fn complaint(error: &toml::de::Error, value: &Value) -> String {
    format!("{} (it is {value})", error.message().trim_end())
}

fn unknown(path: &str, origin: Origin) -> ConfigError {
    let sections = KEYS.iter().map(|key| key.section.to_owned());
    let names: Vec<String> = match path.split_once('.') {
        // A key in the wrong section, or without one, is found by its name.
        Some((_, name)) => {
            if let Some(key) = KEYS.iter().find(|key| key.name == name) {
                return ConfigError::Unknown { origin, key: path.to_owned(), nearest: Some(key.path()) };
            }
            KEYS.iter().map(Key::path).collect()
        }
        None => {
            if let Some(key) = KEYS.iter().find(|key| key.name == path) {
                return ConfigError::Unknown { origin, key: path.to_owned(), nearest: Some(key.path()) };
            }
            sections.collect()
        }
    };
    let nearest = names.into_iter().map(|name| (strsim::levenshtein(path, &name), name)).min();
    // A name that shares less than half of its letters is no help.
    let nearest = nearest.filter(|(distance, name)| distance * 2 <= name.len()).map(|(_, name)| name);
    ConfigError::Unknown { origin, key: path.to_owned(), nearest }
}
