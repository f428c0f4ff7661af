//! Means over seeds and tasks, and the distance to the reference.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemas::{TransferRow, TransferSummary};
use score::{mean, std};
use stage::terminal;
use train::Program;

use crate::Tasks;

/// What the mean over all tasks is called.
const AVERAGE: &str = "average";

/// Level of the intervals.
const LEVEL: f64 = 0.95;

/// One row per program and task, and one for each program's average. `reference`: which program the others are compared
/// with.
pub fn summary(
    rows: &[TransferRow],
    programs: &[Program],
    reference: Option<usize>,
    tasks: &Tasks,
) -> Vec<TransferSummary> {
    let mut summary: Vec<TransferSummary> = Vec::new();
    for program in programs {
        let of_program = |row: &&TransferRow| row.program == program.label;
        let first = summary.len();
        for task in &tasks.names {
            let rows: Vec<_> = rows.iter().filter(of_program).filter(|row| row.task == *task).collect();
            let scores: Vec<f64> = rows.iter().filter_map(|row| row.test_acc).collect();
            let failed = rows.len() - scores.len();
            let mut line = line(program, task, scores.len(), failed);
            if failed == 0 {
                (line.test_acc, line.test_acc_std) = (mean(&scores), std(&scores));
            }
            let published = &tasks.published;
            line.published = published.reference.get(task).copied();
            line.published_reimplemented = published.reimplemented.get(task).copied();
            line.published_best = published.best.get(task).copied();
            line.settings_digest = rows.first().and_then(|row| row.settings_digest.clone());
            line.reads_triplets = model::explain::reads_triplets(task).ok();
            summary.push(line);
        }
        let lines = summary.get(first..).unwrap_or_default();
        let all = |of: fn(&TransferSummary) -> Option<f64>| lines.iter().map(of).collect::<Option<Vec<f64>>>();
        let sum = |of: fn(&TransferSummary) -> i64| lines.iter().map(of).sum::<i64>();
        let average = TransferSummary {
            settings_digest: lines.first().and_then(|line| line.settings_digest.clone()),
            seeds: sum(|line| line.seeds),
            failed: sum(|line| line.failed),
            test_acc: all(|line| line.test_acc).and_then(|means| mean(&means)),
            published: all(|line| line.published).and_then(|figures| mean(&figures)),
            published_reimplemented: all(|line| line.published_reimplemented).and_then(|figures| mean(&figures)),
            published_best: all(|line| line.published_best).and_then(|figures| mean(&figures)),
            ..line(program, AVERAGE, 0, 0)
        };
        summary.push(average);
    }
    compare(&mut summary, reference.and_then(|index| programs.get(index)));
    summary
}

fn line(program: &Program, task: &str, seeds: usize, failed: usize) -> TransferSummary {
    TransferSummary {
        program: program.label.clone(),
        settings_digest: None,
        candidate_id: program.candidate.candidate_id.clone(),
        task: task.to_owned(),
        seeds: seeds as i64,
        failed: failed as i64,
        test_acc: None,
        test_acc_std: None,
        difference: None,
        published: None,
        published_reimplemented: None,
        published_best: None,
        reads_triplets: None,
        params: program.candidate.params,
        macs: program.candidate.macs,
    }
}

fn compare(summary: &mut [TransferSummary], reference: Option<&Program>) {
    let Some(reference) = reference else { return };
    let of_reference: Vec<(String, f64)> = summary
        .iter()
        .filter(|line| line.program == reference.label)
        .filter_map(|line| Some((line.task.clone(), line.test_acc?)))
        .collect();
    for line in summary.iter_mut().filter(|line| line.program != reference.label) {
        let other = of_reference.iter().find(|(task, _)| *task == line.task);
        line.difference = line.test_acc.zip(other).map(|(accuracy, (_, reference))| accuracy - reference);
    }
}

/// The interval of a program's mean on a task, in percent.
fn interval(line: &TransferSummary, rows: &[TransferRow]) -> String {
    let of_task = |row: &&TransferRow| row.program == line.program && row.task == line.task;
    let scores: Vec<f64> = rows.iter().filter(of_task).filter_map(|row| row.test_acc).collect();
    match stats::paired_t(&scores, LEVEL) {
        Ok(interval) => format!("{:.1} to {:.1}", interval.low * 100.0, interval.high * 100.0),
        Err(_) => "-".to_owned(),
    }
}

/// The interval of the difference from the reference on a task, over pairs of one seed, in points.
fn paired(line: &TransferSummary, summary: &[TransferSummary], rows: &[TransferRow]) -> String {
    let reference = summary.first().filter(|first| line.difference.is_some() && first.program != line.program);
    let Some(reference) = reference else { return "-".to_owned() };
    let scores = |program: &str| -> BTreeMap<i64, f64> {
        let of_task = rows.iter().filter(|row| row.program == program && row.task == line.task);
        of_task.filter_map(|row| Some((row.train_seed, row.test_acc?))).collect()
    };
    let (own, others) = (scores(&line.program), scores(&reference.program));
    let gaps: Vec<f64> = own.iter().filter_map(|(seed, score)| Some(score - others.get(seed)?)).collect();
    match stats::paired_t(&gaps, LEVEL) {
        Ok(interval) => format!("{:+.1} to {:+.1}", interval.low * 100.0, interval.high * 100.0),
        Err(_) => "-".to_owned(),
    }
}

/// For each task, by how much programs differ and by how much the trainings of one, where there are enough of both.
fn spreads(rows: &[TransferRow]) -> Vec<String> {
    let mut tasks: BTreeMap<&str, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for row in rows {
        if let Some(score) = row.test_acc {
            tasks.entry(&row.task).or_default().entry(&row.program).or_default().push(100.0 * score);
        }
    }
    let line = |(task, programs): (&str, BTreeMap<&str, Vec<f64>>)| {
        let groups: Vec<Vec<f64>> = programs.into_values().filter(|scores| scores.len() > 1).collect();
        // Two programs are a difference, which the table has already.
        if groups.len() < 3 {
            return None;
        }
        let found = stats::components(&groups, 0).ok()?;
        Some(format!(
            "{}: {} programs differ by a standard deviation of {:.1} points, trainings of one by {:.1} (permutation test: p = {:.2})\n",
            terminal::line(task),
            groups.len(),
            found.between.sqrt(),
            found.within.sqrt(),
            found.p
        ))
    };
    tasks.into_iter().filter_map(line).collect()
}

/// The summary for people, in percent; `rows` are what it was made from. The reference comes first.
pub fn table(summary: &[TransferSummary], rows: &[TransferRow], test_length: usize) -> String {
    let percent = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |x| format!("{:.2}", x * 100.0));
    let width = |of: fn(&TransferSummary) -> &str| {
        summary.iter().map(|l| terminal::line(of(l)).chars().count()).max().unwrap_or(0).max(7)
    };
    let (programs, tasks) = (width(|row| &row.program), width(|row| &row.task));
    let mut text = format!("Accuracy on the CLRS test split at N = {test_length}, in percent\n\n");
    let _ = writeln!(
        text,
        "{:programs$}  {:tasks$}  {:>8}  {:>6}  {:>5}  {:>6}  {:>10}  {:>9}  {:>8}  {:>15}  {:>15}",
        "program",
        "task",
        "accuracy",
        "std",
        "seeds",
        "failed",
        "difference",
        "published",
        "triplets",
        "95 % interval",
        "of difference"
    );
    for row in summary {
        let difference = row.difference.map_or_else(|| "-".to_owned(), |x| format!("{:+.2}", x * 100.0));
        let _ = writeln!(
            text,
            "{:programs$}  {:tasks$}  {:>8}  {:>6}  {:>5}  {:>6}  {difference:>10}  {:>9}  {:>8}  {:>15}  {:>15}",
            terminal::line(&row.program),
            terminal::line(&row.task),
            percent(row.test_acc),
            percent(row.test_acc_std),
            row.seeds,
            row.failed,
            percent(row.published),
            row.reads_triplets.map_or("-", |reads| if reads { "read" } else { "unread" }),
            interval(row, rows),
            paired(row, summary, rows)
        );
    }
    text.push('\n');
    for line in spreads(rows) {
        text.push_str(&line);
    }
    text.push_str("95 % interval: Student's, over training seeds; of the difference over pairs of one seed\n");
    text.push_str("published: the reference architecture in the literature, trained with another budget than here\n");
    text.push_str(
        "triplets: where they are unread, programs that differ in the triplet channel alone are the same network\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{Candidate, Status};

    use crate::Published;

    fn program(label: &str) -> Program {
        Program {
            label: label.into(),
            source: String::new(),
            graph_hash: label.into(),
            params: vec![],
            candidate: Candidate { params: Some(7), ..Candidate::default() },
        }
    }

    fn row(program: &str, task: &str, test_acc: Option<f64>) -> TransferRow {
        TransferRow {
            program: program.into(),
            settings_digest: None,
            candidate_id: String::new(),
            task: task.into(),
            train_seed: 0,
            status: Status::Scored,
            reason: None,
            test_length: 16,
            test_acc,
            val_acc: None,
            train_loss: None,
            train_steps: None,
            params: None,
            macs: None,
            weights: None,
            train_seconds: None,
        }
    }

    #[test]
    fn means_differences_and_no_mean_where_a_seed_failed() {
        let rows = [
            row("ref", "bfs", Some(0.5)),
            row("ref", "bfs", Some(0.75)),
            row("ref", "dfs", Some(0.25)),
            row("new", "bfs", Some(0.875)),
            row("new", "bfs", Some(0.875)),
            row("new", "dfs", None),
        ];
        let tasks = Tasks {
            names: vec!["bfs".into(), "dfs".into()],
            published: Published { reference: [("bfs".to_owned(), 0.99)].into(), ..Published::default() },
        };
        let found = summary(&rows, &[program("ref"), program("new")], Some(0), &tasks);
        let line = |i: usize| {
            let line = &found[i];
            (line.program.as_str(), line.task.as_str(), line.test_acc, line.difference, line.failed)
        };
        assert_eq!(line(0), ("ref", "bfs", Some(0.625), None, 0));
        assert_eq!(line(2), ("ref", "average", Some(0.4375), None, 0));
        assert_eq!(line(3), ("new", "bfs", Some(0.875), Some(0.25), 0));
        assert_eq!(line(4), ("new", "dfs", None, None, 1));
        assert_eq!(line(5), ("new", "average", None, None, 1));
        assert_eq!((found[0].published, found[2].published), (Some(0.99), None));
        assert_eq!((found[0].reads_triplets, found[2].reads_triplets), (Some(true), None));
        let text = table(&found, &rows, 16);
        assert!(text.contains("new      bfs         87.50    0.00      2       0      +25.00      99.00"), "{text}");
        assert!(text.contains("-96.3 to 221.3") && text.contains("87.5 to 87.5"), "{text}");
    }

    #[test]
    fn spreads_of_programs_and_of_trainings_are_told_apart() {
        let rows: Vec<TransferRow> = [("a", [0.50, 0.52]), ("b", [0.70, 0.72]), ("c", [0.90, 0.92])]
            .iter()
            .flat_map(|(program, scores)| scores.map(|score| row(program, "dfs", Some(score))))
            .collect();
        let said = spreads(&rows);
        assert_eq!(said.len(), 1);
        assert!(
            said[0]
                .starts_with("dfs: 3 programs differ by a standard deviation of 20.0 points, trainings of one by 1.4")
        );
        assert!(spreads(&rows[..4]).is_empty(), "two programs are a difference");
        assert!(spreads(&rows[..5]).is_empty(), "the third has one training");
    }
}
