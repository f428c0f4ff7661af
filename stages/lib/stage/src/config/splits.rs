//! The samples that candidates are scored on.

use super::Config;

/// One set of graphs on which every candidate of a run is scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// `ood` or `test`.
    pub name: &'static str,
    /// Nodes of a graph.
    pub length: usize,
    /// Graphs: as set, times the benchmark's factor for tasks that have few scored values a graph.
    pub samples: usize,
    /// Seed of the graphs; without meaning for the benchmark's test split, which has its own.
    pub seed: u64,
    /// Whether they are drawn as the benchmark's test split is.
    pub of_benchmark: bool,
}

impl Config {
    /// Out-of-distribution validation on the run's own graphs, then the benchmark's test split.
    pub fn splits(&self, task: &str) -> [Split; 2] {
        let score = &self.score;
        let factor = clrs::algorithm(task).map_or(1, |algorithm| algorithm.samples_multiplier);
        let seed = score.ood_seed.unwrap_or_else(|| race::seeds::graphs(self.search.seed, "ood"));
        [
            Split {
                name: "ood",
                length: score.ood_length,
                samples: score.ood_samples * factor,
                seed,
                of_benchmark: false,
            },
            Split {
                name: "test",
                length: score.test_length,
                samples: score.test_samples * factor,
                seed: 0,
                of_benchmark: true,
            },
        ]
    }
}
