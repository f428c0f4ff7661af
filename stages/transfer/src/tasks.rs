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
    /// Published accuracies, in [0, 1], where a task list gives them.
    pub published: Published,
}

/// Published accuracies by task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Published {
    /// The reference architecture, Ibarz et al. 2022.
    pub reference: BTreeMap<String, f64>,
    /// The same as EvoPrompting's authors trained it.
    pub reimplemented: BTreeMap<String, f64>,
    /// EvoPrompting's best network for the task.
    pub best: BTreeMap<String, f64>,
}

/// A task list such as `data/tasks/transfer9.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    tasks: Vec<String>,
    /// In percent, as the other two.
    #[serde(default)]
    published: BTreeMap<String, f64>,
    #[serde(default)]
    published_reimplemented: BTreeMap<String, f64>,
    #[serde(default)]
    published_best: BTreeMap<String, f64>,
    /// Parameters of the reference architecture, for readers of the list.
    #[serde(default)]
    published_parameters: BTreeMap<String, u64>,
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
        let columns = [&list.published, &list.published_reimplemented, &list.published_best];
        let named = columns.into_iter().flat_map(BTreeMap::keys).chain(list.published_parameters.keys());
        known(list.tasks.iter().chain(named)).with_context(|| path.display().to_string())?;
        list.tasks.iter().for_each(|name| self.add(name));
        let shares = |column: BTreeMap<String, f64>| column.into_iter().map(|(name, percent)| (name, percent / 100.0));
        self.published.reference.extend(shares(list.published));
        self.published.reimplemented.extend(shares(list.published_reimplemented));
        self.published.best.extend(shares(list.published_best));
        Ok(())
    }
}

/// Checks that all of these are algorithms of the benchmark.
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
        let average = |column: &BTreeMap<String, f64>| nine.names.iter().map(|name| column[name]).sum::<f64>() / 9.0;
        let published = &nine.published;
        assert!((average(&published.reference) - 0.7122).abs() < 5e-5);
        // what speaks against them, as the file says
        assert!((average(&published.reimplemented) - 0.7269).abs() < 5e-5);
        assert!((average(&published.best) - 0.7387).abs() < 5e-5);
        // as the published table says: 450 thousand parameters, on the average, at hidden 128
        let options = program::Options { hidden: 128, ..program::Options::default() };
        let seed =
            program::compile(include_str!("../../../data/seed_pgn.py"), &options).processor.expect("it is valid");
        let count = |name: &String| model::explain::parameter_count(&seed, name, 1).expect("a network");
        assert_eq!(nine.names.iter().map(count).sum::<usize>() / 9, 450_326);
        let families: std::collections::BTreeSet<_> =
            nine.names.iter().map(|name| format!("{:?}", clrs::algorithm(name).expect("known").family)).collect();
        assert_eq!(families.len(), 7, "{families:?}");
    }

    /// A list with its columns, in the order of its tasks: hundredths of a percent, and parameters.
    fn columns(file: &str) -> (Vec<String>, [Vec<i64>; 4]) {
        let path = format!("{}/../../data/tasks/{file}", env!("CARGO_MANIFEST_DIR"));
        let list: List = toml::from_str(&std::fs::read_to_string(path).expect("the list")).expect("it is readable");
        let hundredths = |column: &BTreeMap<String, f64>| {
            list.tasks.iter().map(|name| (column[name] * 100.0).round() as i64).collect::<Vec<_>>()
        };
        let parameters = list.tasks.iter().map(|name| list.published_parameters[name] as i64).collect();
        let (a, b, c) = (&list.published, &list.published_reimplemented, &list.published_best);
        (list.tasks.clone(), [hundredths(a), hundredths(b), hundredths(c), parameters])
    }

    #[test]
    fn the_nine_are_one_guess_among_many() {
        let (names, [reference, reimplemented, best, parameters]) = columns("transfer29.toml");
        let others: Vec<&str> = clrs::algorithms().iter().map(|a| a.name).filter(|name| *name != "dfs").collect();
        let sorted = |mut names: Vec<&str>| {
            names.sort_unstable();
            names.join(" ")
        };
        assert_eq!(sorted(names.iter().map(String::as_str).collect()), sorted(others));
        let (nine, of_nine) = columns("transfer9.toml");
        let place = |name: &String| names.iter().position(|known| known == name).expect("one of the 29");
        let all = [&reference, &reimplemented, &best, &parameters];
        for (column, own) in all.into_iter().zip(&of_nine) {
            assert_eq!(nine.iter().map(|name| column[place(name)]).collect::<Vec<_>>(), *own, "the lists agree");
        }
        // Nine tasks whose averages round to 71.22, to 450 thousand parameters, and to 74.42.
        struct Count<'a> {
            columns: [&'a [i64]; 3],
            fits: [usize; 4],
        }
        impl Count<'_> {
            fn choose(&mut self, from: usize, left: usize, sums: [i64; 3]) {
                let [reference, parameters, best] = sums;
                if left == 0 {
                    // a mean rounds to what lies within half a unit
                    let near = |sum: i64, mean: i64, unit: i64| {
                        let off = 2 * (sum - 9 * mean);
                        (-9 * unit..9 * unit).contains(&off)
                    };
                    let first = near(reference, 7122, 1);
                    let second = first && near(parameters, 450_000, 1000);
                    let third = second && near(best, 7442, 1);
                    for (count, hit) in self.fits.iter_mut().zip([true, first, second, third]) {
                        *count += usize::from(hit);
                    }
                    return;
                }
                for i in from..=self.columns[0].len() - left {
                    let [a, b, c] = self.columns.map(|column| column[i]);
                    self.choose(i + 1, left - 1, [reference + a, parameters + b, best + c]);
                }
            }
        }
        let mut count = Count { columns: [&reference, &parameters, &best], fits: [0; 4] };
        count.choose(0, 9, [0; 3]);
        assert_eq!(count.fits, [10_015_005, 3_712, 105, 0]);
    }
}
