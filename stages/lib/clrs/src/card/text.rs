//! What people have written about an algorithm: one file each, in `cards/` beside the sources.
//!
//! A file has a title, a statement, and three sections. *Data*: a line for each datum, `name: meaning`, with the classes of
//! a categorical at the end, `{class: meaning | ...}`. *Records*: how many snapshots a run leaves, and why. *Code*:
//! pseudo-code, in which [`RECORD`] and [`CONSTANT`] mark where hints are recorded. Tests hold that each file is whole and
//! agrees with the algorithm.

use super::data::Class;
use super::records::Records;
use crate::algorithms::Algorithm;

/// In pseudo-code, before the hints that may have changed since the record before: here all hints are recorded.
pub const RECORD: char = '●';
/// In pseudo-code, before hints that are the same in all records.
pub const CONSTANT: char = '○';

/// The sections of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Text {
    pub title: String,
    pub statement: String,
    pub data: Vec<Meaning>,
    pub records: Records,
    pub code: String,
}

/// What a datum means.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Meaning {
    pub name: String,
    pub meaning: String,
    pub classes: Vec<Class>,
}

impl Text {
    pub fn of(algorithm: &Algorithm) -> Self {
        let file = FILES.iter().find(|(name, _)| *name == algorithm.name);
        file.map_or_else(Self::default, |(_, text)| Self::read(text))
    }

    fn read(text: &str) -> Self {
        let (head, sections) = text.split_once("\n## ").unwrap_or((text, ""));
        let (title, statement) = head.trim_start_matches('#').split_once('\n').unwrap_or((head, ""));
        let mut read = Self { title: title.trim().to_owned(), statement: one_line(statement), ..Self::default() };
        for section in sections.split("\n## ") {
            let (name, body) = section.split_once('\n').unwrap_or((section, ""));
            match name.trim() {
                "Data" => read.data = body.lines().filter_map(Meaning::read).collect(),
                "Records" => read.records = Records::read(&one_line(body)),
                "Code" => read.code = body.trim_matches('\n').to_owned(),
                _ => {}
            }
        }
        read
    }
}

impl Meaning {
    fn read(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once(": ")?;
        let (meaning, classes) = match rest.trim_end().strip_suffix('}').and_then(|rest| rest.split_once('{')) {
            Some((meaning, classes)) => (meaning.trim(), classes.split('|').map(class).collect()),
            None => (rest.trim(), Vec::new()),
        };
        Some(Self { name: name.to_owned(), meaning: meaning.to_owned(), classes })
    }
}

fn class(text: &str) -> Class {
    let (name, meaning) = text.split_once(':').unwrap_or((text, ""));
    Class { name: name.trim().to_owned(), meaning: meaning.trim().to_owned() }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

macro_rules! files {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../../cards/", $name, ".md")))),*] };
}

const FILES: &[(&str, &str)] = files![
    "activity_selector" "articulation_points" "bellman_ford" "bfs" "binary_search" "bridges" "bubble_sort"
    "dag_shortest_paths" "dfs" "dijkstra" "find_maximum_subarray_kadane" "floyd_warshall" "graham_scan" "heapsort"
    "insertion_sort" "jarvis_march" "kmp_matcher" "lcs_length" "matrix_chain_order" "minimum" "mst_kruskal" "mst_prim"
    "naive_string_matcher" "optimal_bst" "quickselect" "quicksort" "segments_intersect"
    "strongly_connected_components" "task_scheduling" "topological_sort"
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::algorithms;

    #[test]
    fn every_datum_has_a_meaning_and_every_class_a_name() {
        for algorithm in algorithms() {
            let text = Text::of(algorithm);
            let mut named: Vec<&str> = text.data.iter().map(|datum| datum.name.as_str()).collect();
            let mut known: Vec<&str> = algorithm.spec().iter().map(|entry| entry.name).collect();
            named.sort_unstable();
            known.sort_unstable();
            assert_eq!(named, known, "{}", algorithm.name);
            for datum in &text.data {
                let entry = algorithm.spec().iter().find(|entry| entry.name == datum.name).expect("a datum");
                assert_eq!(datum.classes.len(), entry.classes, "{}: {}", algorithm.name, datum.name);
                assert!(!datum.meaning.is_empty(), "{}: {}", algorithm.name, datum.name);
            }
            assert!(text.statement.len() > 60 && text.statement.ends_with('.'), "{}", algorithm.name);
            assert!(!text.title.is_empty() && !text.code.is_empty(), "{}", algorithm.name);
        }
        assert_eq!(FILES.len(), algorithms().len());
    }

    #[test]
    fn sections_come_in_any_order_and_may_be_absent() {
        let text = Text::read("# T\n\nOne\ntwo.\n\n## Code\n\na\n  b\n\n## Data\n\nx: what {y: z | w}\n");
        assert_eq!((text.title.as_str(), text.statement.as_str(), text.code.as_str()), ("T", "One two.", "a\n  b"));
        assert_eq!((text.data[0].meaning.as_str(), text.data[0].classes[0].meaning.as_str()), ("what", "z"));
        assert_eq!((text.data[0].classes[1].name.as_str(), text.data[0].classes[1].meaning.as_str()), ("w", ""));
        assert_eq!(Text::read("").data, []);
    }
}
