//! The table of a transfer.

use crate::analysis::transferred;
use crate::figures::PUBLISHED;
use crate::run::Run;
use crate::table::{Cell, Table};
use crate::text::{percent, points, whole};

/// How many tasks the published averages are of.
const TASKS: usize = 9;
/// The methods whose published averages stand below ours.
const BESIDE: [&str; 2] = ["CLRS reference architecture", "SPARK"];

/// Programs on further tasks; None without a transfer table.
pub fn transfer_table(run: &Run) -> Option<Table> {
    let lines = transferred(run);
    if lines.is_empty() {
        return None;
    }
    let columns = [
        ("Task", "task", false),
        ("Program", "program", false),
        ("Test (%)", "test_acc", true),
        ("Standard deviation", "test_acc_std", true),
        ("Difference", "difference", true),
        ("Published reference (%) †", "published", true),
        ("Published, trained by EvoPrompting (%)", "published_reimplemented", true),
        ("Published, EvoPrompting's best (%)", "published_best", true),
        ("Reads triplets", "reads_triplets", false),
        ("Seeds", "seeds", true),
        ("Failed", "failed", true),
        ("Parameters", "params", true),
        ("MACs", "macs", true),
    ];
    let note = "Trained from scratch on each task. Difference: to the reference program, trained alike, in percentage \
                points. A mean needs all of its seeds, and the mean of tasks all of its tasks: where one failed there is \
                none. ‡ No decoder of the task reads triplet messages: programs that differ in the triplet channel alone are \
                the same network there, and their difference is 0. † As published (Ibarz et al. 2022, hidden size 128, test \
                at N = 64), with that paper's training budget: not comparable with smaller profiles. The averages of the \
                literature are those of SPARK's README, over nine tasks that it does not name; ours are one guess among many.";
    let mut table = Table::new("transfer", "Transfer to further tasks", note, &columns);
    for key in ["published_reimplemented", "published_best", "reads_triplets"] {
        table = table.only_in_files(key);
    }
    let share = |value: Option<f64>| Cell::number(value, percent);
    let mut tasks: Vec<&str> = lines.iter().filter_map(|line| line.task.as_deref()).collect();
    tasks.dedup();
    for line in &lines {
        table.rows.push(vec![
            match &line.task {
                Some(task) if line.reads_triplets == Some(false) => Cell::both(format!("{task} ‡"), task),
                Some(task) => Cell::text(task),
                None => Cell::both(format!("mean of {} tasks", tasks.len()), "mean"),
            },
            Cell::text(&line.program),
            share(line.mean),
            share(line.std),
            Cell::number(line.difference, points),
            share(line.published),
            share(line.published_reimplemented),
            share(line.published_best),
            line.reads_triplets.map_or(Cell::both("–", ""), |reads| Cell::text(if reads { "yes" } else { "no" })),
            Cell::count(line.seeds),
            Cell::count(line.failed),
            Cell::number(line.params, whole),
            Cell::number(line.macs, whole),
        ]);
    }
    // The literature's averages are of nine tasks: they belong beside ours only where ours are of those.
    if tasks.len() == TASKS && lines.iter().all(|line| line.published.is_some()) {
        for known in PUBLISHED.iter().filter(|known| BESIDE.contains(&known.name)) {
            let Some(average) = known.nine_tasks else { continue };
            let mut row = vec![
                Cell::both(format!("mean of {TASKS} tasks"), "mean"),
                Cell::text(format!("{} (published †)", known.name)),
            ];
            row.resize(table.columns.len(), Cell::both("", ""));
            if let Some(cell) = row.get_mut(5) {
                *cell = Cell::both(format!("{average:.2}"), format!("{:.4}", average / 100.0));
            }
            table.rows.push(row);
        }
    }
    Some(table)
}
