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
    /// Adds a TOML file. Where a setting is a table, such as `llm.prices`, what it holds is added to that of earlier files.
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
                    let path = format!("{name}.{}", key.get_ref());
                    let value = match self.values.get(&path) {
                        Some((before, _)) => merged(before.clone(), value),
                        None => value,
                    };
                    self.insert(&path, value, origin(key.span().start))?;
                }
            }
        }
        Ok(())
    }

    /// Adds a text of any number of settings; see [`sets::split`].
    pub(super) fn sets(&mut self, text: &str) -> Result<(), ConfigError> {
        super::sets::split(text).into_iter().try_for_each(|set| self.set(set, Origin::Set))
    }

    /// Adds one `section.key=value`, or one value within a setting that is a table, as in `llm.prices.m.input=2`. The value is
    /// TOML; what is not, is taken for a string.
    pub(super) fn set(&mut self, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let (names, value) = match super::sets::key(text) {
            Some(found) => found,
            None => {
                let (key, value) = text.split_once('=').ok_or_else(|| ConfigError::Form { text: text.to_owned() })?;
                if let Some(setting) = KEYS.iter().find(|known| key.trim().starts_with(&(known.path() + "."))) {
                    let message =
                        "a name within it that has other characters than letters, digits, `_` and `-` stands in \
                                   quotation marks: llm.prices.\"qwen3:32b\".input=1"
                            .to_owned();
                    return Err(ConfigError::Value { origin, key: setting.path(), message });
                }
                (vec![key.trim().to_owned()], value)
            }
        };
        let value = value.trim();
        let parsed =
            toml::from_str::<toml::Table>(&format!("value = {value}")).ok().and_then(|mut t| t.remove("value"));
        let value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
        match names.as_slice() {
            [section, name, first, deeper @ ..] => {
                self.within(&format!("{section}.{name}"), first, deeper, value, origin)
            }
            names => self.insert(&names.join("."), value, origin),
        }
    }

    /// Sets a value within a setting that is a table. Whether the whole of it is right is told when all layers are there: a
    /// price, for instance, comes in two parts.
    fn within(
        &mut self,
        path: &str,
        first: &str,
        deeper: &[String],
        value: Value,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let Some(key) = KEYS.iter().find(|key| key.path() == path) else {
            return Err(unknown(path, origin));
        };
        let wrong = |message: String| ConfigError::Value { origin: origin.clone(), key: path.to_owned(), message };
        if (key.check)(Value::Table(toml::Table::new())).is_err() {
            return Err(wrong(format!("it is no table, so there is no `{first}` in it")));
        }
        let added = deeper.iter().rev().fold(value, |value, name| table_of(name, value));
        let before = match self.values.get(path) {
            Some((before, _)) => before.clone(),
            None => Config::default().value(path).unwrap_or_else(|| Value::Table(toml::Table::new())),
        };
        // Of two tables the parts are joined; where a whole value is named, it takes the place of what was there.
        let whole = merged(before, table_of(first, added));
        self.values.insert(path.to_owned(), (whole, origin));
        Ok(())
    }

    fn insert(&mut self, path: &str, value: Value, origin: Origin) -> Result<(), ConfigError> {
        let Some(key) = KEYS.iter().find(|key| key.path() == path) else {
            return Err(unknown(path, origin));
        };
        // Whole numbers are fine where a number is due.
        let value = match value {
            Value::Integer(whole) if (key.check)(Value::Integer(whole)).is_err() => {
                let float = Value::Float(whole as f64);
                // Where neither fits, the number that was given is the one to complain of.
                if (key.check)(float.clone()).is_ok() { float } else { Value::Integer(whole) }
            }
            other => other,
        };
        if let Err(error) = (key.check)(value.clone()) {
            return Err(ConfigError::Value { origin, key: path.to_owned(), message: complaint(&error, &value) });
        }
        self.values.insert(path.to_owned(), (value, origin));
        Ok(())
    }

    /// The settings, defaults filled in.
    pub(super) fn finish(self) -> Result<Config, ConfigError> {
        let mut table = toml::Table::new();
        let mut origins = BTreeMap::new();
        for (path, (value, origin)) in self.values {
            let check = KEYS.iter().find(|key| key.path() == path).map(|key| (key.check)(value.clone()));
            if let Some(Err(error)) = check {
                return Err(ConfigError::Value { origin, key: path, message: complaint(&error, &value) });
            }
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

/// A table of one name.
fn table_of(name: &str, value: Value) -> Value {
    Value::Table(toml::Table::from_iter([(name.to_owned(), value)]))
}

/// Two values as one: of tables what both hold, the later value where both have a name; else the later one.
fn merged(before: Value, now: Value) -> Value {
    match (before, now) {
        (Value::Table(mut whole), Value::Table(now)) => {
            for (name, value) in now {
                let value = match whole.remove(&name) {
                    Some(before) => merged(before, value),
                    None => value,
                };
                whole.insert(name, value);
            }
            Value::Table(whole)
        }
        (_, now) => now,
    }
}

fn complaint(error: &toml::de::Error, value: &Value) -> String {
    let text = error.message();
    let counts = ["usize", "u64", "u32"].iter().any(|kind| text.contains(kind));
    match value {
        Value::Integer(number) if counts && *number < 0 => return format!("it must not be negative: {number}"),
        Value::Integer(number) if counts => return format!("it is too large: {number}"),
        Value::Float(number) if counts => return format!("it must be a whole number: {number}"),
        Value::String(text) if counts => return format!("it must be a whole number, and is the text {text:?}"),
        _ => {}
    }
    format!("{} (it is {value})", error.message().trim_end())
}

pub(super) fn unknown(path: &str, origin: Origin) -> ConfigError {
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
    let nearest = crate::nearest(path, names.iter().map(String::as_str)).map(str::to_owned);
    ConfigError::Unknown { origin, key: path.to_owned(), nearest }
}
