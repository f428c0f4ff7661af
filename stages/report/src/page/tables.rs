//! The tables of the page.

use schemas::Candidate;

use crate::analysis::{evaluations, factor_name, factors, losses, rates};
use crate::run::{Run, short_id};
use crate::table::{Cell, Table};
use crate::text::{edit, percent, points, score, whole};

pub(super) fn share(value: Option<f64>) -> Cell {
    Cell::number(value, percent)
}

/// A mean with its standard deviation; the number of seeds stands in a column of its own.
pub(super) fn spread(mean: Option<f64>, std: Option<f64>) -> Cell {
    Cell::number(mean, |mean| score(Some(mean), std.filter(|std| *std > 0.0), 0))
}

/// The candidates of a run: those with a score by fitness, then the others in order. The page shows the best `top`.
pub fn candidates(run: &Run, top: usize) -> Table {
    let columns = [
        ("#", "rank", true),
        ("Candidate", "candidate_id", false),
        ("Attempt", "attempt", true),
        ("Factor", "factor", false),
        ("Edit", "edit", false),
        ("Fitness (%)", "fitness", true),
        ("OOD (%)", "ood_acc", true),
        ("Test (%)", "test_acc", true),
        ("Seeds", "seeds", true),
        ("Parameters", "params", true),
        ("MACs", "macs", true),
        ("Parent", "parent_id", false),
        ("Gain", "gain", true),
        ("Status", "status", false),
    ];
    let note = "Fitness: the mean over trainings, shrunk by their noise, ± its error. Others: mean over training seeds ± standard deviation. Gain: change of OOD accuracy against the parent, in percentage points.";
    let mut table =
        Table::new("candidates", "Candidates", note, &columns).only_in_files("parent_id").only_in_files("status");
    let seed = run.seed_program();
    let ranking = run.ranking();
    table.shown = Some(ranking.len().min(top));
    let unscored = run.rows().iter().filter(|row| !ranking.iter().any(|ranked| std::ptr::eq(*ranked, *row)));
    for (i, row) in ranking.iter().copied().chain(unscored).enumerate() {
        let is_seed = seed.is_some_and(|seed| std::ptr::eq(seed, row));
        let parent = row.parent_id.as_deref().and_then(|id| run.candidate(id));
        let gain = parent.and_then(|parent| Some(row.ood_acc? - parent.ood_acc?));
        table.rows.push(vec![
            if i < ranking.len() { Cell::count(i + 1) } else { Cell::both("–", "") },
            Cell::both(short_id(&row.candidate_id), &row.candidate_id),
            Cell::number(Some(row.attempt), whole),
            Cell::text(if is_seed { "–" } else { factor_name(row) }),
            Cell::text(if is_seed { "seed program" } else { edit(row) }),
            spread(row.fitness, row.fitness_sd),
            spread(row.ood_acc, row.ood_acc_std),
            spread(row.test_acc, row.test_acc_std),
            Cell::number(row.ood_acc_seeds.as_ref().map(Vec::len), |n| n.to_string()),
            Cell::number(row.params, whole),
            Cell::number(row.macs, whole),
            Cell::both(row.parent_id.as_deref().map_or("–", short_id), row.parent_id.clone().unwrap_or_default()),
            Cell::number(gain, points),
            Cell::text(row.status.as_str()),
        ]);
    }
    table
}

/// Success per factor.
pub fn factor_table(run: &Run) -> Table {
    let columns = [
        ("Factor", "factor", false),
        ("Proposed", "proposed", true),
        ("Valid", "valid", true),
        ("Entangled", "entangled", true),
        ("Evaluated", "evaluated", true),
        ("Scored", "scored", true),
        ("Better than parent", "improved", true),
        ("Evaluated per improvement", "evaluated_per_improvement", true),
    ];
    let mut table = Table::new("factors", "Success by factor", "", &columns);
    for counts in factors([run]) {
        let price = (counts.improved > 0).then(|| counts.evaluated as f64 / counts.improved as f64);
        table.rows.push(vec![
            Cell::text(&counts.name),
            Cell::count(counts.proposed),
            Cell::count(counts.valid),
            Cell::count(counts.entangled),
            Cell::count(counts.evaluated),
            Cell::count(counts.scored),
            Cell::count(counts.improved),
            Cell::number(price, |v| format!("{v:.1}")),
        ]);
    }
    table
}

/// Proposals without a score, by reason, with an example each.
pub fn loss_table(run: &Run) -> Table {
    let columns = [
        ("Stage", "stage", false),
        ("Reason", "category", false),
        ("Rule", "code", false),
        ("Proposals", "count", true),
        ("Example", "example_id", false),
        ("Line", "line", true),
        ("What was said about it", "message", false),
    ];
    let mut table = Table::new("losses", "Proposals without a score, by reason", "", &columns);
    for loss in losses(run) {
        let stop = if loss.message.ends_with(['.', '!', '?']) { "" } else { "." };
        let help = loss.help.as_deref().map_or(String::new(), |help| format!("{stop} Help: {help}"));
        let message = format!("{}{help}", loss.message);
        table.rows.push(vec![
            Cell::text(loss.stage),
            Cell::text(&loss.category),
            Cell::text(&loss.code),
            Cell::count(loss.count),
            example(loss.example),
            Cell::number(loss.line, |line| line.to_string()),
            Cell::both(crate::draw::shorten(&message, 400), message),
        ]);
    }
    table
}

/// A candidate; an attempt without a program has a number alone.
fn example(row: &Candidate) -> Cell {
    if row.candidate_id.is_empty() {
        return Cell::text(format!("attempt {}", row.attempt));
    }
    Cell::both(short_id(&row.candidate_id), &row.candidate_id)
}

/// The rates at the end of each run.
pub fn rates_table(runs: &[Run]) -> Table {
    let columns = [
        ("Run", "run", false),
        ("Attempts", "attempts", true),
        ("Executable (%)", "executable_rate", true),
        ("Admitted (%)", "admitted_rate", true),
        ("Entangled (%)", "entanglement_rate", true),
    ];
    let mut table = Table::new(
        "rates",
        "Executable, admitted and entangled",
        "Executable: the program has a graph; admitted: it went on to training; of the checked attempts. Entangled: of those whose reach is known.",
        &columns,
    );
    for run in runs {
        let end = rates(run).last().copied();
        table.rows.push(vec![
            Cell::text(&run.name),
            Cell::count(end.map_or(0, |r| r.attempts)),
            share(end.and_then(|r| r.executable)),
            share(end.and_then(|r| r.admitted)),
            share(end.and_then(|r| r.entangled)),
        ]);
    }
    table
}

/// One line per run.
pub fn runs_table(runs: &[Run]) -> Table {
    let columns = [
        ("Run", "run", false),
        ("Method", "method", false),
        ("Proposer", "proposer", false),
        ("Task", "task", false),
        ("Attempts", "attempts", true),
        ("Evaluated", "evaluated", true),
        ("Seed program, OOD (%)", "seed_ood_acc", true),
        ("Best OOD (%)", "best_ood_acc", true),
        ("Test (%)", "best_test_acc", true),
        ("Seeds", "seeds", true),
        ("Parameters", "best_params", true),
        ("MACs", "best_macs", true),
        ("Winner", "best_id", false),
    ];
    let note = "Mean over training seeds ± standard deviation. Test accuracy is that of the winner by OOD validation accuracy.";
    let mut table = Table::new("runs", "Runs", note, &columns);
    // what all runs share stands in the head of the page
    let shared = |of: fn(&Run) -> String| runs.windows(2).all(|pair| of(&pair[0]) == of(&pair[1]));
    if shared(|run| run.proposers.join(", ")) {
        table = table.only_in_files("proposer");
    }
    if shared(|run| run.task.clone()) {
        table = table.only_in_files("task");
    }
    // a dozen columns are more than the page has room for
    for key in ["method", "seeds", "best_id"] {
        table = table.only_in_files(key);
    }
    for run in runs {
        let (winner, seed) = (run.winner(), run.seed_program());
        table.rows.push(vec![
            Cell::text(&run.name),
            Cell::text(&run.method),
            Cell::text(run.proposers.join(", ")),
            Cell::text(&run.task),
            Cell::count(run.proposals().count()),
            Cell::count(evaluations(run).iter().filter(|e| e.number > 0).count()),
            seed.map_or(Cell::both("–", ""), |row| spread(row.ood_acc, row.ood_acc_std)),
            winner.map_or(Cell::both("–", ""), |row| spread(row.ood_acc, row.ood_acc_std)),
            winner.map_or(Cell::both("–", ""), |row| spread(row.test_acc, row.test_acc_std)),
            Cell::number(winner.and_then(|row| row.ood_acc_seeds.as_ref()).map(Vec::len), |n| n.to_string()),
            Cell::number(winner.and_then(|row| row.params), whole),
            Cell::number(winner.and_then(|row| row.macs), whole),
            winner.map_or(Cell::both("–", ""), |row| Cell::both(short_id(&row.candidate_id), &row.candidate_id)),
        ]);
    }
    table
}

/// All settings of a run; None without any.
pub fn settings_table(run: &Run) -> Option<Table> {
    let mut table =
        Table::new("settings", "Settings in force", "", &[("Setting", "setting", false), ("Value", "value", false)]);
    table.rows = run.settings.iter().map(|s| vec![Cell::text(&s.key), Cell::text(&s.value)]).collect();
    (!table.rows.is_empty()).then_some(table)
}
