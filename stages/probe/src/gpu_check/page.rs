//! The document for people: Markdown.

use std::fmt::Write as _;

use super::plan::{PUBLISHED, TASK, Way};
use super::record::{Name, Record, Row, Step, Training};

/// Points of a curve that are shown.
const SHOWN: usize = 12;

pub fn page(record: &Record) -> String {
    let mut text = String::from("# GPU check\n\n");
    if record.dry {
        text.push_str(
            "**This was a dry run on the CPU, with tiny sizes and a few cases: it shows that the check works, and says \
             nothing about any GPU.**\n\n",
        );
    }
    let verdict = if record.ok { "everything that was tried went well" } else { "NOT everything went well: see below" };
    let _ = writeln!(
        text,
        "Device `{}`, {}, {:.0} s of {} min; {verdict}. Emberline {}.\n",
        record.device,
        record.state.words(),
        record.seconds,
        record.minutes,
        record.version
    );
    text.push_str("| step | | seconds | |\n|---|---|---|---|\n");
    for step in &record.steps {
        let error = step.error.as_deref().map(cell).unwrap_or_default();
        let _ = writeln!(text, "| {} | {} | {:.1} | {error} |", step.name.title(), step.state.words(), step.seconds);
    }
    for step in &record.steps {
        if step.rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n## {}\n", capital(step.name.title()));
        match step.name {
            Name::Machine => machine(&mut text, step),
            Name::Parity => parity(&mut text, record),
            Name::Speed | Name::SpeedCpu => speed(&mut text, record, step.name),
            Name::Seeds => {
                speed(&mut text, record, step.name);
                advice(&mut text, record);
            }
            Name::Memory => memory(&mut text, step),
            Name::Training => training(&mut text, record),
        }
    }
    text
}

/// A text that keeps within a cell of a table.
fn cell(text: &str) -> String {
    text.lines().next().unwrap_or_default().replace('|', "\\|")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn or_unknown(text: Option<&str>) -> &str {
    text.unwrap_or("unknown")
}

fn machine(text: &mut String, step: &Step) {
    for row in &step.rows {
        let _ = match row {
            Row::Host(host) => writeln!(
                text,
                "- host {}: {}, {} cores, {:.1} GiB",
                or_unknown(host.name.as_deref()),
                or_unknown(host.cpu.as_deref()),
                host.cores,
                host.memory_mib.unwrap_or(0) as f64 / 1024.0
            ),
            Row::Gpu(gpu) => writeln!(
                text,
                "- GPU `{}`: {}, driver {}, {} MiB",
                gpu.entry,
                or_unknown(gpu.model.as_deref()),
                or_unknown(gpu.driver.as_deref()),
                gpu.memory_mib.map_or_else(|| "unknown".to_owned(), |mib| mib.to_string())
            ),
            Row::Library(library) => writeln!(
                text,
                "- libtorch {} ({}), CUDA: {}",
                or_unknown(library.version.as_deref()),
                or_unknown(library.path.as_deref()),
                match (&library.cuda_reason, library.cuda) {
                    (_, true) => "yes".to_owned(),
                    (Some(reason), false) => format!("no ({})", cell(reason)),
                    (None, false) => "no (it finds no GPU or driver)".to_owned(),
                }
            ),
            _ => Ok(()),
        };
    }
}

fn parity(text: &mut String, record: &Record) {
    let (all, good) = (record.cases().count(), record.cases().filter(|case| case.ok).count());
    let quantities: usize = record.cases().map(|case| case.quantities).sum();
    let _ = writeln!(text, "{good} of {all} reference cases within tolerance, in float32, {quantities} quantities.\n");
    text.push_str("| case | | closest to its tolerance | error | tolerance | seconds |\n|---|---|---|---|---|---|\n");
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1e}"));
    for case in record.cases() {
        let verdict = match (&case.failure, case.ok) {
            (Some(_), _) => "FAILED",
            (None, true) => "ok",
            (None, false) => "BEYOND",
        };
        let closest = case.failure.as_deref().or(case.closest.as_deref()).map(cell).unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} {} | {verdict} | {closest} | {} | {} | {:.1} |",
            case.kind,
            case.case,
            number(case.error),
            number(case.tolerance),
            case.seconds
        );
    }
}

fn speed(text: &mut String, record: &Record, name: Name) {
    text.push_str("| way | device | seeds | nodes | batch | hidden | ms a step | steps/s in all | GFLOP/s | |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    let number = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |x| format!("{x:.digits$}"));
    for row in record.speeds(name) {
        let (seeds, length) = match row.length {
            Some(length) => (row.seeds.to_string(), length.to_string()),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let note = row.note.as_deref().map(cell).unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {} | {seeds} | {length} | {} | {} | {} | {} | {} | {note} |",
            row.mode,
            row.device,
            row.batch_size,
            row.hidden,
            number(row.step_s.map(|seconds| 1e3 * seconds), 1),
            number(row.steps_per_s, 2),
            number(row.gflops, 0)
        );
    }
}

/// Which way of training several seeds is the fastest, and how it is asked for.
fn advice(text: &mut String, record: &Record) {
    let rows = || record.speeds(Name::Seeds).filter_map(|row| Some((row, row.steps_per_s?)));
    let Some((_, alone)) = rows().find(|(row, _)| row.seeds == 1) else { return };
    let Some((best, rate)) = rows().max_by(|(_, x), (_, y)| x.total_cmp(y)) else { return };
    let seeds = best.seeds;
    let how = match Way::ALL.into_iter().find(|way| way.mode() == best.mode) {
        _ if seeds == 1 => "`train.jobs = 1` for each GPU".to_owned(),
        Some(Way::Batched) => format!("`train.together = {seeds}`"),
        Some(Way::Processes) => format!("`train.jobs = {seeds}` for each GPU"),
        // Only this check trains so.
        Some(Way::Threads) | None => "which no setting asks for".to_owned(),
    };
    let _ = writeln!(
        text,
        "\nThe most steps a second in all: {} with {seeds} ({how}), {:.2} times those of a training alone.",
        best.mode,
        rate / alone
    );
}

fn memory(text: &mut String, step: &Step) {
    for row in &step.rows {
        if let Row::Memory(memory) = row {
            let _ = writeln!(text, "- after {}: {} of {} MiB in use", memory.after, memory.used_mib, memory.total_mib);
        }
    }
    text.push_str("\nOther programs' memory is included; libtorch keeps what it has once used.\n");
}

fn training(text: &mut String, record: &Record) {
    let _ = writeln!(
        text,
        "The reference architecture on {TASK}. Published for the whole training, tested at 64 nodes: {:.2} ± {:.2} %.\n",
        PUBLISHED.0, PUBLISHED.1
    );
    if record.dry {
        text.push_str("The sizes of this dry run are not the published ones: its accuracies mean nothing.\n\n");
    }
    text.push_str("| seed | steps done | of | validation (%) | test (%) | test nodes | seconds | |\n");
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    let percent = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{:.2}", 100.0 * value));
    for row in record.trainings() {
        let note = match &row.failure {
            Some(failure) => cell(failure),
            None if row.planned < row.of => {
                "shortened to fit the time: not comparable with what is published".to_owned()
            }
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {:.0} | {note} |",
            row.seed,
            row.curve.len(),
            row.of,
            percent(row.val_acc.or_else(|| best(row))),
            percent(row.test_acc),
            row.test_length,
            row.seconds
        );
    }
    let whole: Vec<f64> =
        record.trainings().filter(|row| row.planned == row.of).filter_map(|row| row.test_acc).collect();
    if whole.len() > 1 {
        let mean = whole.iter().sum::<f64>() / whole.len() as f64;
        let variance = whole.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (whole.len() - 1) as f64;
        let _ = writeln!(text, "\nOver {} seeds: {:.2} ± {:.2} %.", whole.len(), 100.0 * mean, 100.0 * variance.sqrt());
    }
    for row in record.trainings().filter(|row| !row.curve.is_empty()) {
        let _ = writeln!(text, "\nCurve of seed {}, all of it in the JSON document:\n", row.seed);
        text.push_str("| step | loss | validation (%) |\n|---|---|---|\n");
        let every = row.curve.len().div_ceil(SHOWN);
        for (at, point) in row.curve.iter().enumerate() {
            if (at + 1) % every == 0 || at + 1 == row.curve.len() {
                let _ = writeln!(text, "| {} | {:.4} | {} |", point.step, point.loss, percent(point.val_acc));
            }
        }
    }
}

/// The best validation so far, of a training that did not come to its end.
fn best(training: &Training) -> Option<f64> {
    training.curve.iter().filter_map(|point| point.val_acc).max_by(f64::total_cmp)
}
