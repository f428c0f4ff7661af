//! Whole searches through Make, with the tiny profile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tests::{finish, kill9, make_search, moments, run};

/// The time of last change of every table of a run.
fn tables(run: &Path) -> BTreeMap<PathBuf, SystemTime> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, SystemTime>) {
        for entry in std::fs::read_dir(folder).expect("a folder of the run").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                found.insert(path, entry.metadata().and_then(|m| m.modified()).expect("a time of change"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(run, &mut found);
    found
}

/// The names of the tables that are not as they were, from `generation/stage` on.
fn changed(run: &Path, before: &BTreeMap<PathBuf, SystemTime>) -> Vec<String> {
    let now = tables(run);
    let differs = now.iter().filter(|&(path, time)| before.get(path) != Some(time));
    differs.map(|(path, _)| path.strip_prefix(run).expect("inside the run").display().to_string()).collect()
}

#[test]
fn a_search_finishes_and_make_reruns_only_what_is_missing() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let run_folder = folder.path().join("run");
    let first = finish(make_search(folder.path(), 0)).ok();
    let results = ["results/best.py", "results/best.safetensors", "results/best.md"];
    for file in ["config.toml", "archive.parquet", "report.html"].iter().chain(&results) {
        assert!(run_folder.join(file).exists(), "{file} is missing");
        if ["report.html", "results/best.py"].contains(file) {
            assert!(first.stdout.contains(file), "{file} is not announced in:\n{}", first.stdout);
        }
    }

    let archive = run_folder.join("archive.parquet").display().to_string();
    let checked = run("check", [archive.as_str()]).ok();
    let scored = checked.rows().iter().filter(|row| row["fitness"].as_f64().is_some()).count();
    assert!(scored >= 3, "only {scored} candidates were trained and scored");
    // An edit of a program that was looked at says how far the worth of what it left in place changed.
    let edits = checked.rows().into_iter().filter(|row| row["fitness"].is_number() && row["parent_id"].is_string());
    let shifts: Vec<_> = edits.map(|row| row["behavioural_shift"].clone()).collect();
    let shift = |shift: &serde_json::Value| shift.as_f64().is_some_and(|shift| (0.0..=1.0).contains(&shift));
    assert!(shifts.len() >= 2 && shifts.iter().all(shift), "{shifts:?}");

    let before = tables(&run_folder);
    let again = finish(make_search(folder.path(), 0)).ok();
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    assert_eq!(changed(&run_folder, &before), Vec::<String>::new());

    std::fs::remove_file(run_folder.join("gen001/scored.parquet")).expect("it was there");
    finish(make_search(folder.path(), 0)).ok();
    let reran = changed(&run_folder, &before);
    assert!(reran.contains(&"gen001/scored.parquet".to_owned()), "{reran:?}");
    assert!(reran.contains(&"gen001/archive.parquet".to_owned()), "{reran:?}");
    let untouched = |table: &&String| table.starts_with("gen000") || table.ends_with("gen001/trained.parquet");
    assert_eq!(reran.iter().find(untouched), None);
}

#[test]
fn two_runs_with_one_seed_are_equal_and_another_seed_differs() {
    let archive = |seed| {
        let folder = tempfile::tempdir().expect("a scratch folder");
        finish(make_search(folder.path(), seed)).ok();
        std::fs::read(folder.path().join("run/archive.parquet")).expect("the archive")
    };
    let first = archive(3);
    assert!(first == archive(3), "the same seed gave another archive");
    assert!(first != archive(4), "another seed gave the same archive");
}

#[test]
fn a_run_keeps_its_settings() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    finish(make_search(folder.path(), 0)).ok();
    let mut other = make_search(folder.path(), 0);
    other.arg("SET=train.steps=7");
    finish(other).refused(2, &["other settings", "steps"]);
}

#[test]
fn kill9_anywhere_then_make() {
    let calm = tempfile::tempdir().expect("a scratch folder");
    let start = SystemTime::now();
    finish(make_search(calm.path(), 0)).ok();
    let whole = start.elapsed().unwrap_or(Duration::from_secs(10));

    let folder = tempfile::tempdir().expect("a scratch folder");
    for moment in moments(whole).take(5) {
        kill9(make_search(folder.path(), 0), moment, folder.path());
    }
    finish(make_search(folder.path(), 0)).ok();
    let read = |folder: &Path| std::fs::read(folder.join("run/archive.parquet")).expect("the archive");
    assert!(read(calm.path()) == read(folder.path()), "the interrupted run has another archive");
}

/// What the outputs and hints of these tasks are: pointers, masks, one-hot masks over more samples, scalar hints,
/// categories on edges, permutations, strings, and a value of the whole graph.
const KINDS: [&str; 8] = [
    "bfs",
    "articulation_points",
    "minimum",
    "dijkstra",
    "lcs_length",
    "insertion_sort",
    "kmp_matcher",
    "segments_intersect",
];

#[test]
fn another_task_can_be_searched() {
    search_tasks(&["insertion_sort", "kmp_matcher"]);
}

/// Takes minutes: `make test-full`.
#[test]
#[ignore = "minutes"]
fn every_kind_of_task_can_be_searched() {
    search_tasks(&KINDS);
}

fn search_tasks(tasks: &[&str]) {
    for &task in tasks {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut make = make_search(folder.path(), 0);
        make.args([format!("TASK={task}"), "ITERATIONS=2".to_owned()]);
        finish(make).ok();
        let archive = folder.path().join("run/archive.parquet").display().to_string();
        let rows = run("check", [archive.as_str()]).ok().rows();
        let scored: Vec<_> = rows.iter().filter(|row| row["status"] == "scored").collect();
        assert!(scored.len() >= 2, "{task}: {rows:?}");
        for row in scored {
            assert_eq!(row["task"], task);
            for column in ["ood_acc", "test_acc"] {
                assert!(row[column].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)), "{task}: {row}");
            }
        }
        let card = std::fs::read_to_string(folder.path().join("run/results/best.md")).expect("the winner's page");
        assert!(card.contains(&format!("| task | {task} |")), "{card}");
    }
}
