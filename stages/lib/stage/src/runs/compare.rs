//! Which runs compare: those whose experiments were set alike. What tells them apart is said by the settings themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use toml::Value;

use super::folder_name;
use crate::config::{Config, KEYS, compares};
use crate::files;

/// A run as its rows and its folder tell of it.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What it is called where several are told of.
    pub name: String,
    /// What its rows say of their settings.
    pub settings_digest: Option<String>,
    /// The settings that decide whether it compares with others, by key; `None` where nothing lies beside the rows.
    pub settings: Option<BTreeMap<String, String>>,
}

impl Run {
    /// The run of rows with this name and digest in this file. A folder's settings are those of the rows if the digests agree, or
    /// the rows have none.
    pub fn new(name: &str, settings_digest: Option<&str>, archive: &Path) -> Self {
        let beside = archive.with_file_name("config.toml");
        let settings = (archive != Path::new("-")).then(|| read(&beside)).flatten();
        let folder = || folder_name(&archive.with_file_name(""));
        let name = if name.is_empty() || name == "-" { folder() } else { name.to_owned() };
        Self { name, settings_digest: settings_digest.map(str::to_owned), settings }
    }
}

/// The values of a run's settings that decide whether it compares. Settings of other versions that are not known are left out.
fn read(path: &Path) -> Option<BTreeMap<String, String>> {
    let given: toml::Table = files::read_text(path).ok()?.parse().ok()?;
    let defaults = Config::default();
    let value = |section: &str, name: &str| given.get(section).and_then(|keys| keys.get(name)).map(Value::to_string);
    let of_key = |path: String, section: &str, name: &str| {
        let value = value(section, name).or_else(|| defaults.value(&path).map(|value| value.to_string()));
        (path, value.unwrap_or_else(|| "not set".to_owned()))
    };
    Some(KEYS.iter().filter(|key| compares(key)).map(|key| of_key(key.path(), key.section, key.name)).collect())
}

/// A setting in which runs differ, with the values that it has and the runs that have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `train.steps`; `settings_digest` where the settings themselves are not known.
    pub key: String,
    /// Each value with the names of the runs that have it.
    pub values: Vec<(String, Vec<String>)>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.iter().map(|(value, runs)| match runs.as_slice() {
            [first, second, third, more @ ..] if !more.is_empty() => {
                format!("{value} in {first}, {second}, {third} and {} more", more.len())
            }
            runs => format!("{value} in {}", runs.join(", ")),
        });
        write!(f, "{}: {}", self.key, values.collect::<Vec<_>>().join("; "))
    }
}

/// In what runs differ that decides whether they compare; nothing: they do, as far as is known.
pub fn differences(runs: &[Run]) -> Vec<Difference> {
    let keys: BTreeSet<&String> =
        runs.iter().filter_map(|run| run.settings.as_ref()).flat_map(BTreeMap::keys).collect();
    let mut found: Vec<Difference> = keys
        .into_iter()
        .filter_map(|key| of(key, runs.iter().filter_map(|run| Some((run.settings.as_ref()?.get(key)?, run)))))
        .collect();
    let digests = of("settings_digest", runs.iter().filter_map(|run| Some((run.settings_digest.as_ref()?, run))));
    // What digests stand for is told, where it is known.
    if found.is_empty() {
        found.extend(digests);
    }
    found
}

fn of<'a>(key: &str, values: impl Iterator<Item = (&'a String, &'a Run)>) -> Option<Difference> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (value, run) in values {
        match groups.iter_mut().find(|(known, _)| known == value) {
            Some((_, names)) => names.push(run.name.clone()),
            None => groups.push((value.clone(), vec![run.name.clone()])),
        }
    }
    (groups.len() > 1).then(|| Difference { key: key.to_owned(), values: groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &Path, name: &str, config: &str, digest: &str) -> Run {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).expect("made");
        if !config.is_empty() {
            std::fs::write(folder.join("config.toml"), config).expect("written");
        }
        Run::new(name, Some(digest), &folder.join("archive.parquet"))
    }

    #[test]
    fn differing_settings_are_named_with_their_runs() {
        let scratch = tempfile::tempdir().expect("a folder");
        let run = |name, config, digest| run(scratch.path(), name, config, digest);
        let a = run("a", "[train]\nsteps = 4\njobs = 1\n[search]\nseed = 1\n[later]\nx = 1\n", "1");
        let b = run("b", "[train]\nsteps = 4\n[search]\nseed = 2\nmethod = \"eoh\"\n", "1");
        assert_eq!(differences(&[a.clone(), b.clone()]), []);
        let c = run("c", "[train]\nsteps = 5\n", "2");
        let d = run("d", "", "2");
        let told = |runs: &[Run]| differences(runs).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(told(&[a.clone(), b, c]), ["train.steps: 4 in a, b; 5 in c"]);
        assert_eq!(told(&[a.clone(), d]), ["settings_digest: 1 in a; 2 in d"]);
        let unknown = Run { name: "e".into(), ..Run::default() };
        assert_eq!(told(&[a, unknown]), Vec::<String>::new());
    }
}
