//! Early stopping (`train.rungs`) through the command line.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Trains the rows with the tiny profile.
fn train(folder: &Path, rows: &[Value], args: &[&str]) -> Vec<Value> {
    let table = folder.join("rows.jsonl");
    std::fs::write(&table, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.args(["--config", "data/profiles/tiny.toml", "--set", "train.device=cpu", "--cache"]);
    command.arg(folder.join("cache")).args(args).arg(&table).current_dir(root());
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Five rows of a search, each another program: gates that start elsewhere.
fn candidates() -> Vec<Value> {
    let source = std::fs::read_to_string(root().join("data/processors/mpnn.py")).expect("the program");
    let rows = (0..5).map(|slot| {
        let source = source.replace("BLOCKED = -1e6", &format!("BLOCKED = -1e{}", slot + 2));
        json!({"run": "r", "method": "spark", "proposer": "builtin", "generation": 1, "slot": slot, "attempt": slot,
            "island": 0, "candidate_id": format!("c{slot}"), "status": "accepted", "source": source})
    });
    rows.collect()
}

/// Rows without their times, and without the settings, of which a race has others.
fn steady(rows: &[Value]) -> Vec<Value> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        let row = row.as_object_mut().expect("an object");
        for column in ["train_seconds", "peak_rss_mb", "settings_digest"] {
            row.remove(column);
        }
    }
    rows
}

const RUNGS: [&str; 4] = ["--set", "train.rungs=[2]", "--set", "train.keep=0.4"];

#[test]
fn the_poor_are_stopped_and_the_others_train_as_ever() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole = train(folder.path(), &candidates(), &[]);
    assert!(whole.iter().all(|row| row["status"] == "trained" && row.get("rung").is_none()), "{whole:?}");
    let raced = train(folder.path(), &candidates(), &RUNGS);
    let (stopped, trained): (Vec<&Value>, Vec<&Value>) = raced.iter().partition(|row| row["status"] == "stopped");
    assert_eq!((stopped.len(), trained.len()), (3, 2));
    for row in &trained {
        // The very training of before: same key, and so the same weights, from the cache.
        let before = whole.iter().find(|other| other["candidate_id"] == row["candidate_id"]).expect("it was there");
        assert_eq!(steady(std::slice::from_ref(row)), steady(std::slice::from_ref(before)));
    }
    for row in &stopped {
        assert_eq!((&row["rung"], &row["train_steps"]), (&json!(1), &json!(2)), "{row}");
        assert!(row["reason"].as_str().is_some_and(|r| r.starts_with("stopped at rung 1, step 2 of 4: ")), "{row}");
        assert!(row["val_acc"][0].is_f64() && row.get("weights").is_none() && row.get("fitness").is_none(), "{row}");
        assert!(row["train_seconds"].as_f64() > Some(0.0));
    }
}

#[test]
fn a_race_ends_alike_for_any_number_of_jobs() {
    let folders = [1, 3].map(|_| tempfile::tempdir().expect("a temporary folder"));
    let raced = |folder: &Path, jobs: &str| {
        let curves = folder.join("curves.jsonl").display().to_string();
        let rows = train(folder, &candidates(), &[&RUNGS[..], &["--jobs", jobs, "--curves", &curves]].concat());
        (steady(&rows), std::fs::read_to_string(curves).expect("curves"))
    };
    let one = raced(folders[0].path(), "1");
    assert_eq!(one, raced(folders[1].path(), "3"));
    assert_eq!(one.1.lines().count(), 3 * 2 + 2 * 4, "the stopped ones have their curves, too");
}

#[test]
fn programs_given_by_hand_do_not_race() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut rows = candidates();
    rows.iter_mut().for_each(|row| row["proposer"] = "file".into());
    let rows = train(folder.path(), &rows, &RUNGS);
    assert!(rows.iter().all(|row| row["status"] == "trained"), "{rows:?}");
}
