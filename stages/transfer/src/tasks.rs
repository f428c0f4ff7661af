//! The tasks, and what is published about them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use stage::Usage;

/// Tasks in order, each once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tasks {
    pub names: Vec<String>,
    /// Published accuracy of the reference architecture, in [0, 1], where a task list gives it.
    pub published: BTreeMap<String, f64>,
}

/// A task list such as `data/tasks/transfer9.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    tasks: Vec<String>,
    /// In percent.
    #[serde(default)]
    published: BTreeMap<String, f64>,
}

impl Tasks {
    /// Reads names, `all`, and files of lists.
    pub fn new(given: &[String]) -> Result<Self> {
        let mut tasks = Self::default();
        for name in given {
            if name == "all" {
                clrs::algorithms().iter().for_each(|algorithm| tasks.add(algorithm.name));
            } else if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
                tasks.list(Path::new(name))?;
            } else {
                tasks.add(&find(name)?);
            }
        }
        Ok(tasks)
    }

    fn add(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    fn list(&mut self, path: &Path) -> Result<()> {
        let text = stage::files::read_text(path).with_context(|| format!("{}: cannot read", path.display()))?;
        let list: List = toml::from_str(&text).map_err(|error| Usage(format!("{}: {error}", path.display())))?;
        known(list.tasks.iter().chain(list.published.keys())).with_context(|| path.display().to_string())?;
        list.tasks.iter().for_each(|name| self.add(name));
        self.published.extend(list.published.into_iter().map(|(name, percent)| (name, percent / 100.0)));
        Ok(())
    }
}

/// That all of these are algorithms of the benchmark.
pub fn known<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<()> {
    names.into_iter().try_for_each(|name| find(name).map(|_| ()))
}

fn find(name: &str) -> Result<String> {
    Ok(clrs::find_algorithm(name).map_err(|error| Usage(error.to_string()))?.name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(given: &[&str]) -> Result<Tasks> {
        Tasks::new(&given.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn names_lists_and_all() {
        assert_eq!(tasks(&["bfs", "dfs", "bfs"]).expect("known").names, ["bfs", "dfs"]);
        assert_eq!(tasks(&["all"]).expect("known").names.len(), 30);
        let error = tasks(&["bsf"]).expect_err("unknown");
        assert!(error.is::<Usage>() && error.to_string().contains("bfs"), "{error}");
    }

    #[test]
    fn the_nine_average_to_the_published_figures() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/tasks/transfer9.toml");
        let nine = tasks(&[path]).expect("it is readable");
        assert_eq!(nine.names.len(), 9);
        let sum: f64 = nine.names.iter().map(|name| nine.published[name]).sum();
        assert!((sum / 9.0 - 0.7122).abs() < 5e-5, "{sum}");
        // as the published table says: 450 thousand parameters, on the average, at hidden 128
        let options = program::Options { hidden: 128, ..program::Options::default() };
        let seed =
            program::compile(include_str!("../../../data/seed_pgn.py"), &options).processor.expect("it is valid");
        let count = |name: &String| network::parameter_count(&seed, name, 1).expect("a network");
        assert_eq!(nine.names.iter().map(count).sum::<usize>() / 9, 450_326);
        let families: std::collections::BTreeSet<_> =
            nine.names.iter().map(|name| format!("{:?}", clrs::algorithm(name).expect("known").family)).collect();
        assert_eq!(families.len(), 7, "{families:?}");
    }
}
