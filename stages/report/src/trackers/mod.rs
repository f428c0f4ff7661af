//! A run's curves in the file formats of other viewers: TensorBoard's event files, MLflow's file store.
//!
//! Both get the same series: the search by attempt, and each training by step. Files depend on the tables alone: where a
//! format wants times, steps stand in for them.

mod crc32c;
pub mod mlflow;
pub mod tensorboard;

use search::population::fitness;

use crate::run::Run;

/// The curves of a search, or of one training.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// `search`, or `<candidate>-seed<seed>`.
    pub name: String,
    /// Name, and values by step.
    pub metrics: Vec<(&'static str, Vec<(i64, f64)>)>,
}

/// All curves of a run: those of the search first.
pub fn curves(run: &Run) -> Vec<Curves> {
    let column = |of: &dyn Fn(&schemas::Candidate) -> Option<f64>| -> Vec<(i64, f64)> {
        run.rows().iter().filter_map(|row| Some((row.attempt, of(row)?))).collect()
    };
    let mut best = f64::NEG_INFINITY;
    let mut so_far = Vec::new();
    for row in run.rows() {
        if let Some(value) = fitness(row) {
            best = best.max(value);
            so_far.push((row.attempt, best));
        }
    }
    let search = vec![
        ("best_so_far", so_far),
        ("fitness", column(&|row| fitness(row))),
        ("ood_acc", column(&|row| row.ood_acc)),
        ("test_acc", column(&|row| row.test_acc)),
        ("params", column(&|row| row.params.map(|params| params as f64))),
    ];
    let mut all = vec![Curves { name: "search".to_owned(), metrics: search }];
    for (candidate, seeds) in &run.curves {
        for (seed, points) in seeds {
            let loss = points.iter().map(|point| (point.step, point.loss)).collect();
            let accuracy = points.iter().filter_map(|point| Some((point.step, point.val_acc?))).collect();
            let id: String = candidate.chars().take(12).collect();
            let metrics = vec![("loss", loss), ("val_acc", accuracy)];
            all.push(Curves { name: format!("{id}-seed{seed}"), metrics });
        }
    }
    for curves in &mut all {
        curves.metrics.iter_mut().for_each(|(_, points)| points.retain(|(_, value)| value.is_finite()));
        curves.metrics.retain(|(_, points)| !points.is_empty());
    }
    all.retain(|curves| !curves.metrics.is_empty());
    all
}

/// A name as one part of a path: nothing in it leads elsewhere.
pub(crate) fn part(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    let name: String = name.chars().take(120).map(kept).collect();
    if name.is_empty() { "run".to_owned() } else { name }
}
