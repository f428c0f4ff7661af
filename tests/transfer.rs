//! Transfers through Make, with the tiny profile.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tests::{finish, kill9, make, make_search, moments};

/// A transfer of a program to two tasks, the tables in `folder/run`.
fn transfer(folder: &Path) -> Command {
    let mut command = make(folder, "transfer");
    // Checkpoints after every step, so that the trainings that are killed go on in their midst.
    command.args(["PROGRAM=data/processors/mpnn.py", "TASKS=bfs insertion_sort"]);
    command.arg("SET=transfer.steps=30 train.checkpoint_s=0.000001");
    command
}

#[test]
fn killed_anywhere_and_resumed_the_tables_are_the_same() {
    let calm = tempfile::tempdir().expect("a scratch folder");
    let start = Instant::now();
    let first = finish(transfer(calm.path())).ok();
    let whole = start.elapsed();
    assert!(first.stdout.contains("insertion_sort"), "{}", first.stdout);
    assert!(first.stderr.contains("transfer: 1/16"), "eight trainings, eight tests:\n{}", first.stderr);
    assert!(first.stderr.contains(" left): "), "no estimate of the time left:\n{}", first.stderr);

    let folder = tempfile::tempdir().expect("a scratch folder");
    for moment in moments(whole).take(4) {
        kill9(transfer(folder.path()), moment, folder.path());
    }
    finish(transfer(folder.path())).ok();
    for table in ["transfer.parquet", "transfer_summary.parquet"] {
        let read = |folder: &Path| std::fs::read(folder.join("run").join(table)).expect(table);
        assert!(read(calm.path()) == read(folder.path()), "{table} differs");
    }
}

#[test]
fn the_winner_of_a_search_is_transferred_and_reported() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    finish(make_search(folder.path(), 0)).ok();
    let outcome = finish(make(folder.path(), "transfer")).ok();
    assert!(outcome.stdout.contains("seed_pgn") && outcome.stdout.contains("average"), "{}", outcome.stdout);
    let page = std::fs::read_to_string(folder.path().join("run/report.html")).expect("the page");
    assert!(page.contains("Transfer to further tasks"));
}
