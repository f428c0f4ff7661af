//! Programs on further tasks: means over training seeds, the mean over tasks, and what they are compared with.

use schemas::TransferRow;

use super::mean_std;
use crate::run::Run;

/// What the summary calls the mean over all tasks.
const AVERAGE: &str = "average";

/// One program on one task, or on all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Transferred {
    pub program: String,
    /// `None` for the mean over tasks.
    pub task: Option<String>,
    /// Mean test accuracy, in [0, 1]; `None` where a training failed.
    pub mean: Option<f64>,
    /// Standard deviation over training seeds.
    pub std: Option<f64>,
    pub seeds: usize,
    pub failed: usize,
    /// To the reference program, trained alike.
    pub difference: Option<f64>,
    /// Accuracy of the reference architecture in the literature.
    pub published: Option<f64>,
    /// The same as EvoPrompting's authors trained it, and the best network that they found.
    pub published_reimplemented: Option<f64>,
    pub published_best: Option<f64>,
    /// Whether a decoder of the task reads triplet messages; None for the mean over tasks, and where it is not known.
    pub reads_triplets: Option<bool>,
    pub params: Option<i64>,
    pub macs: Option<i64>,
}

/// By task, in the order of the table, and the mean over tasks last; within each by program.
pub fn transferred(run: &Run) -> Vec<Transferred> {
    let mut tasks: Vec<&str> = Vec::new();
    let mut programs: Vec<&str> = Vec::new();
    for TransferRow { task, program, .. } in &run.transfer {
        if !tasks.contains(&task.as_str()) {
            tasks.push(task);
        }
        if !programs.contains(&program.as_str()) {
            programs.push(program);
        }
    }
    let mut lines = Vec::new();
    for task in &tasks {
        lines.extend(programs.iter().filter_map(|program| of_task(run, program, task)));
    }
    if tasks.len() > 1 {
        let averages: Vec<_> = programs.iter().map(|program| average(run, program, &lines)).collect();
        lines.extend(averages);
    }
    lines
}

fn of_task(run: &Run, program: &str, task: &str) -> Option<Transferred> {
    let rows: Vec<_> = run.transfer.iter().filter(|row| row.task == task && row.program == program).collect();
    let first = rows.first()?;
    let scores: Vec<f64> = rows.iter().filter_map(|row| row.test_acc.filter(|v| v.is_finite())).collect();
    // a mean needs all of its seeds
    let stats = mean_std(&scores).filter(|_| scores.len() == rows.len());
    Some(Transferred {
        program: program.to_owned(),
        task: Some(task.to_owned()),
        mean: stats.map(|s| s.0),
        std: stats.map(|s| s.1),
        seeds: scores.len(),
        failed: rows.len() - scores.len(),
        params: first.params,
        macs: first.macs,
        ..compared(run, program, task)
    })
}

fn average(run: &Run, program: &str, lines: &[Transferred]) -> Transferred {
    let of_program: Vec<_> = lines.iter().filter(|line| line.program == program).collect();
    let means: Option<Vec<f64>> = of_program.iter().map(|line| line.mean).collect();
    Transferred {
        program: program.to_owned(),
        task: None,
        mean: means.and_then(|means| mean_std(&means)).map(|s| s.0),
        std: None,
        seeds: of_program.iter().map(|line| line.seeds).sum(),
        failed: of_program.iter().map(|line| line.failed).sum(),
        params: of_program.first().and_then(|line| line.params),
        macs: of_program.first().and_then(|line| line.macs),
        ..compared(run, program, AVERAGE)
    }
}

/// What only the summary knows.
fn compared(run: &Run, program: &str, task: &str) -> Transferred {
    let line = run.transfer_summary.iter().find(|line| line.program == program && line.task == task);
    Transferred {
        program: String::new(),
        task: None,
        mean: None,
        std: None,
        seeds: 0,
        failed: 0,
        difference: line.and_then(|line| line.difference),
        published: line.and_then(|line| line.published),
        published_reimplemented: line.and_then(|line| line.published_reimplemented),
        published_best: line.and_then(|line| line.published_best),
        reads_triplets: line.and_then(|line| line.reads_triplets),
        params: None,
        macs: None,
    }
}
