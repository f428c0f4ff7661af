//! The side table of scores: graph by graph.

use std::path::Path;

use anyhow::Result;
use schemas::GraphScore;
use stage::table::{Extra, write_records};

use crate::{SPLITS, Scored};

/// One evaluation of one training.
#[derive(Clone, Debug)]
pub struct Measured {
    pub run: String,
    pub settings_digest: Option<String>,
    pub candidate_id: String,
    pub task: String,
    /// Number of the training among those of the candidate.
    pub seed_index: i64,
    pub train_seed: i64,
    pub scored: Scored,
}

impl Measured {
    /// A row for each split, graph and output.
    pub fn rows(&self) -> Vec<GraphScore> {
        let mut rows = Vec::new();
        for (split, tallies) in SPLITS.iter().zip(&self.scored.tallies) {
            for tally in tallies {
                let numbers = (0..).zip(tally.correct.iter().zip(&tally.total));
                rows.extend(numbers.map(|(graph, (&correct, &total))| GraphScore {
                    run: Some(self.run.clone()),
                    settings_digest: self.settings_digest.clone(),
                    candidate_id: self.candidate_id.clone(),
                    task: self.task.clone(),
                    train_seed: self.train_seed,
                    split: (*split).to_owned(),
                    graph,
                    output: tally.output.clone(),
                    correct,
                    total,
                }));
            }
        }
        rows
    }
}

/// Writes these evaluations as one table.
pub fn graphs(measured: &[Measured], path: &Path) -> Result<()> {
    let rows: Vec<GraphScore> = measured.iter().flat_map(Measured::rows).collect();
    let none = Extra::default();
    write_records(rows.iter().map(|row| (row, &none)), path, true)
}
