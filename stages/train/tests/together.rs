//! Trainings of one program as one computation, through the command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const PROGRAM: &str = "data/processors/mpnn.py";
const FOUR: [&str; 4] = ["--set", "train.seeds=[3, 4, 5, 6]", "--set", "train.together=3"];

fn command(cache: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.args(["--config", "data/profiles/tiny.toml", "--set", "train.device=cpu", "--cache"]).arg(cache).args(args);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command
}

fn train(cache: &Path, args: &[&str]) -> Output {
    command(cache, args).output().expect("it starts")
}

fn row(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().next().expect("a row")).expect("JSON")
}

fn entries(folder: &Path) -> Vec<String> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The folders of a row's trainings.
fn folders(cache: &Path, row: &Value) -> Vec<PathBuf> {
    let weights = row["weights"].as_array().expect("a list");
    let folder = |name: &Value| cache.join(name.as_str().expect("a path")).parent().expect("a folder").to_owned();
    weights.iter().map(folder).collect()
}

fn numbers(row: &Value, column: &str) -> Vec<f64> {
    row[column].as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

#[test]
fn seeds_together_are_entries_of_their_own_and_as_good_as_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = folder.path().join("cache");
    let curves = folder.path().join("curves.jsonl");
    let args = [&FOUR[..], &["--curves", curves.to_str().expect("UTF-8"), PROGRAM]].concat();
    let output = train(&cache, &args);
    let together = row(&output);
    assert_eq!((&together["status"], &together["train_seeds"]), (&"trained".into(), &serde_json::json!([3, 4, 5, 6])));
    let alone = row(&train(&cache, &[&FOUR[..2], &[PROGRAM]].concat()));
    for column in ["train_loss", "val_acc"] {
        let pairs = numbers(&together, column).into_iter().zip(numbers(&alone, column));
        for (ours, theirs) in pairs {
            assert!((ours - theirs).abs() < 1e-4 * (1.0 + theirs.abs()), "{column}: {ours} and {theirs}");
        }
    }
    let (ours, theirs) = (folders(&cache, &together), folders(&cache, &alone));
    let same = ours.iter().zip(&theirs).map(|(x, y)| x == y).collect::<Vec<_>>();
    assert_eq!(same, [false, false, false, true], "the fourth had nobody to go with");
    for folder in &ours {
        let mut files = entries(folder);
        files.sort();
        let expected = ["B3SUMS", "curve.jsonl", "job.json", "provenance.json", "result.json", "weights.safetensors"];
        assert_eq!(files, expected);
    }
    let points = fs::read_to_string(&curves).expect("curves").lines().count();
    assert_eq!(points, 16, "four steps each");
    // What it was made by is gone, and what it made is known.
    let left = entries(&cache.join("together"));
    let kept: Vec<String> = left.iter().flat_map(|name| entries(&cache.join("together").join(name))).collect();
    assert_eq!(kept, Vec::<String>::new());
    assert_eq!(row(&train(&cache, &args)), together, "the cache gives the same row, its times included");

    // One that is damaged is made again by all, and is the same to the bit.
    let weights = ours[1].join("weights.safetensors");
    let before = fs::read(&weights).expect("weights");
    fs::write(&weights, "damaged").expect("written");
    let mut again = row(&train(&cache, &args));
    assert!(fs::read(&weights).expect("weights") == before);
    for row in [&mut again, &mut together.clone()] {
        row.as_object_mut().expect("an object").remove("train_seconds");
    }
    assert_eq!(numbers(&again, "train_loss"), numbers(&together, "train_loss"));
}

#[test]
fn without_the_cache_all_are_trained_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = [&FOUR[..], &[PROGRAM]].concat();
    let before = row(&train(folder.path(), &args));
    let times = |row: &Value| -> Vec<std::time::SystemTime> {
        let written = |folder: &PathBuf| fs::metadata(folder.join("result.json")).and_then(|file| file.modified());
        folders(folder.path(), row).iter().map(|folder| written(folder).expect("a time")).collect()
    };
    let first = times(&before);
    let anew = row(&train(folder.path(), &[&args[..], &["--no-cache"]].concat()));
    assert_eq!((&anew["weights"], &anew["train_loss"]), (&before["weights"], &before["train_loss"]));
    let second = times(&anew);
    // The fourth, too, which had nobody to go with.
    assert!(second.iter().zip(&first).all(|(now, before)| now > before), "{second:?} and {first:?}");
}

#[test]
fn what_cannot_go_together_goes_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = "tests/fixtures/programs/further/batch_norm.py";
    let ended = row(&train(folder.path(), &[&FOUR[..], &[program]].concat()));
    assert_eq!(ended["status"], "trained", "{ended}");
    assert_eq!(numbers(&ended, "val_acc").len(), 4);
    // What meets a limit together is tried alone, and meets it there, too.
    let limited = [&FOUR[..], &["--set", "train.memory_limit_mb=20", "--set", "train.steps=100000", PROGRAM]].concat();
    let output = train(folder.path(), &limited);
    let ended = row(&output);
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&"oom".into(), &"seed 3: killed at the memory limit (20 MiB)".into())
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("killed at the memory limit (60 MiB); each is done alone"), "{said}");
    // One that diverges is a failure of its own.
    let diverging = ["--set", "train.learning_rate=1e30", "--set", "train.steps=20", PROGRAM];
    let ended = row(&train(folder.path(), &[&FOUR[..], &diverging].concat()));
    assert_eq!(ended["status"], "diverged", "{ended}");
}

#[test]
fn other_machines_are_sent_trainings_one_by_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = train(folder.path(), &[&FOUR[..], &["--set", "train.engine=slurm", PROGRAM]].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("train.together goes with train.engine=local"), "{said}");
}

#[test]
fn killed_together_they_go_on_where_they_were_and_come_to_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (calm, cache) = (folder.path().join("calm"), folder.path().join("cache"));
    let long = ["--set", "train.steps=150", "--set", "train.checkpoint_s=0.000001", "--set", "train.seeds=[3, 4, 5]"];
    let args = [&long[..], &FOUR[2..], &[PROGRAM]].concat();
    let expected = row(&train(&calm, &args));
    let mut supervisor = command(&cache, &args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
    let work = cache.join("together/work");
    let deadline = Instant::now() + Duration::from_secs(100);
    let written = || {
        let parts = entries(&work).into_iter().filter(|name| name.ends_with(".part"));
        parts.flat_map(|part| entries(&work.join(part))).filter(|name| name.ends_with(".safetensors")).count()
    };
    // Both sets of three are there.
    while written() < 6 {
        assert!(Instant::now() < deadline, "no checkpoint appears");
        assert!(supervisor.try_wait().expect("it can be asked").is_none(), "it was too fast to be killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    supervisor.kill().expect("it runs");
    supervisor.wait().expect("it ends");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(entries(&cache.join("train")).into_iter().filter(|name| name != "work").count(), 0, "none was done");
    let found = row(&train(&cache, &args));
    assert_eq!(found["weights"], expected["weights"]);
    for (ours, theirs) in folders(&cache, &found).iter().zip(folders(&calm, &expected)) {
        for file in ["weights.safetensors", "curve.jsonl"] {
            assert!(fs::read(ours.join(file)).expect(file) == fs::read(theirs.join(file)).expect(file), "{file}");
        }
    }
    assert_eq!(written(), 0, "a checkpoint is left");
}
