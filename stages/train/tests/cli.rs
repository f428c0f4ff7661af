//! `train` through its command line, with real trainings of seconds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const PROGRAM: &str = "data/processors/mpnn.py";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `train` with the tiny profile and a cache of its own.
fn command(cache: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.args(["--config", "data/profiles/tiny.toml", "--set", "train.device=cpu", "--cache"]).arg(cache).args(args);
    command.current_dir(root());
    command
}

fn train(cache: &Path, args: &[&str]) -> Output {
    command(cache, args).output().expect("it starts")
}

fn rows(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A row without what differs from run to run.
fn steady(mut row: Value) -> Value {
    for column in ["train_seconds", "peak_rss_mb"] {
        row.as_object_mut().expect("an object").remove(column).expect("it is measured");
    }
    row
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_program_is_trained_once_and_then_known() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cache, curves) = (folder.path().join("cache"), folder.path().join("curves.jsonl"));
    let two_seeds = ["--set", "train.seeds=[3, 4]", "--curves", curves.to_str().expect("UTF-8"), PROGRAM];
    let first = train(&cache, &two_seeds);
    let row = &rows(&first)[0];
    assert_eq!((&row["status"], &row["task"], &row["device"]), (&"trained".into(), &"dfs".into(), &"cpu".into()));
    assert_eq!((&row["train_seeds"], &row["train_steps"]), (&serde_json::json!([3, 4]), &4.into()));
    assert!(row["train_host"].as_str().is_some_and(|host| !host.is_empty()), "{row}");
    assert!(row.get("train_gpu").is_none() && row.get("train_driver").is_none(), "there is none on the CPU: {row}");
    for column in ["train_loss", "val_acc"] {
        assert!(row[column].as_array().is_some_and(|list| list.len() == 2 && list.iter().all(Value::is_f64)), "{row}");
    }
    for weights in row["weights"].as_array().expect("a list") {
        assert!(cache.join(weights.as_str().expect("a path")).is_file(), "{weights}");
    }
    let points: Vec<Value> =
        text(&fs::read(&curves).expect("curves")).lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(points.len(), 8);
    assert_eq!((&points[5]["train_seed"], &points[5]["step"]), (&4.into(), &2.into()));
    assert!(points[5]["val_acc"].is_f64() && points[4].get("val_acc").is_none());

    let again = train(&cache, &two_seeds);
    assert_eq!(rows(&again), rows(&first), "the cache gives the same rows, their times included");
    assert!(text(&again.stderr).contains("(from the cache)"), "{}", text(&again.stderr));
    let side_by_side = train(&folder.path().join("other"), &[&two_seeds[..], &["--jobs", "2"]].concat());
    assert_eq!(steady(rows(&side_by_side)[0].clone()), steady(row.clone()));
    let threads = train(&cache, &[&two_seeds[..], &["--set", "train.threads=2"]].concat());
    assert_eq!(rows(&threads), rows(&first), "results do not depend on the number of threads");
    let one_seed = train(&cache, &["--set", "train.seeds=[4]", PROGRAM]);
    assert!(text(&one_seed.stderr).contains("(from the cache)"));
    assert_eq!(entries(&cache.join("train/work")), Vec::<String>::new(), "nothing half done is left");
}

#[test]
fn a_flipped_bit_in_the_weights_is_noticed_and_the_training_made_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = rows(&train(folder.path(), &[PROGRAM])).remove(0);
    let weights = folder.path().join(first["weights"][0].as_str().expect("a path"));
    let content = fs::read(&weights).expect("there");
    let mut flipped = content.clone();
    *flipped.last_mut().expect("it is not empty") ^= 1;
    fs::write(&weights, flipped).expect("written");
    let again = train(folder.path(), &[PROGRAM]);
    assert!(!text(&again.stderr).contains("(from the cache)"), "{}", text(&again.stderr));
    assert_eq!(steady(rows(&again).remove(0)), steady(first));
    assert!(fs::read(&weights).expect("there") == content, "it is what it was");
}

#[test]
fn rows_that_are_not_due_pass() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let row = r#"{"run":"r","method":"spark","proposer":"builtin","generation":0,"slot":0,"attempt":0,"island":0,"candidate_id":"a","source":"x","status":"rejected","reason":"why","mine":[1]}"#;
    let path = folder.path().join("rows.jsonl");
    fs::write(&path, format!("{row}\n")).expect("written");
    let output = train(folder.path(), &[path.to_str().expect("UTF-8")]);
    assert_eq!(rows(&output)[0], serde_json::from_str::<Value>(row).expect("JSON"));
}

#[test]
fn limits_are_statuses_of_single_rows() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let status = |settings: &[&str]| {
        let sets: Vec<&str> = settings.iter().flat_map(|set| ["--set", set]).collect();
        let row = rows(&train(folder.path(), &[&sets[..], &[PROGRAM]].concat())).remove(0);
        assert!(row.get("weights").is_none() && row.get("val_acc").is_none(), "{row}");
        (row["status"].as_str().expect("a status").to_owned(), row["reason"].as_str().expect("a reason").to_owned())
    };
    let (timeout, reason) = status(&["train.time_limit_s=1", "train.steps=1000000"]);
    assert_eq!(timeout, "timeout");
    assert_eq!(reason, "killed at the time limit (1 s)");
    let (oom, reason) = status(&["train.memory_limit_mb=20", "train.steps=1000000"]);
    assert_eq!(oom, "oom");
    assert_eq!(reason, "killed at the memory limit (20 MiB)");
    let (diverged, reason) = status(&["train.learning_rate=1e30", "train.steps=20"]);
    assert_eq!(diverged, "diverged", "{reason}");
    assert!(entries(&folder.path().join("train/work")).iter().all(|name| !name.ends_with(".tmp")));
}

#[test]
fn killed_at_any_point_nothing_half_done_is_left() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = folder.path().join("cache");
    let output = folder.path().join("trained.jsonl");
    let args = ["--set", "train.steps=1000000", "-o", output.to_str().expect("UTF-8"), PROGRAM];
    let mut supervisor = command(&cache, &args).stderr(Stdio::null()).spawn().expect("it starts");
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", supervisor.id());
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            // The child is started by a thread of the supervisor, any of which may be its parent by name.
            let found: Vec<u32> = fs::read_dir(format!("/proc/{}/task", supervisor.id()))
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
                .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
                .collect();
            if !found.is_empty() {
                return found;
            }
            assert!(Instant::now() < deadline, "no child appears in {path}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let children = children();
    supervisor.kill().expect("it runs");
    supervisor.wait().expect("it ends");
    let alive = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while children.iter().any(alive) {
        assert!(Instant::now() < deadline, "the child outlives its supervisor");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!output.exists());
    rows(&train(&cache, &[PROGRAM]));
    let left = entries(&cache.join("train/work"));
    assert!(left.iter().all(|name| !name.ends_with(".tmp")), "leftovers are cleared away: {left:?}");
}

/// Where a training's files are.
fn entry(cache: &Path, key: &str) -> PathBuf {
    cache.join("train").join(stage::cache::place_of(key))
}

/// A training with checkpoints after every step that takes long enough to be killed.
const KILLED: [&str; 6] =
    ["--set", "train.steps=400", "--set", "train.checkpoint_s=0.000001", "--set", "task.algorithm=insertion_sort"];

/// Starts a training and kills it with its child as soon as it has written a checkpoint. Returns the key.
fn kill_at_checkpoint(cache: &Path, output: &Path) -> String {
    let args = [&KILLED[..], &["-o", output.to_str().expect("UTF-8"), PROGRAM]].concat();
    let mut supervisor = command(cache, &args).stderr(Stdio::null()).spawn().expect("it starts");
    let deadline = Instant::now() + Duration::from_secs(100);
    let checkpoint = |name: &String| cache.join("train/work").join(name).join("checkpoint.safetensors").exists();
    let part = loop {
        if let Some(part) = entries(&cache.join("train/work")).into_iter().find(checkpoint) {
            break part;
        }
        assert!(Instant::now() < deadline, "no checkpoint appears");
        assert!(supervisor.try_wait().expect("it can be asked").is_none(), "it was too fast to be killed");
        std::thread::sleep(Duration::from_millis(5));
    };
    supervisor.kill().expect("it runs");
    supervisor.wait().expect("it ends");
    part.strip_suffix(".part").expect("a lasting folder").to_owned()
}

#[test]
fn a_killed_training_goes_on_where_it_was_and_comes_to_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (calm, cache) = (folder.path().join("calm"), folder.path().join("cache"));
    let expected = rows(&train(&calm, &[&KILLED[..], &[PROGRAM]].concat())).remove(0);
    let key = kill_at_checkpoint(&cache, &folder.path().join("trained.jsonl"));
    assert!(!entry(&cache, &key).exists(), "it was done before it was killed");
    // The killed one's child dies with it, but not at once; what it still writes is as good.
    std::thread::sleep(Duration::from_millis(300));

    let curves = folder.path().join("curves.jsonl");
    let output = train(&cache, &[&KILLED[..], &["--curves", curves.to_str().expect("UTF-8"), PROGRAM]].concat());
    assert_eq!(steady(rows(&output).remove(0)), steady(expected));
    for file in ["weights.safetensors", "curve.jsonl"] {
        let read = |cache: &Path| fs::read(entry(cache, &key).join(file)).expect(file);
        assert!(read(&calm) == read(&cache), "{file} differs");
    }
    assert_eq!(text(&fs::read(&curves).expect("curves")).lines().count(), 400);
    assert_eq!(entries(&cache.join("train/work")), Vec::<String>::new(), "a checkpoint is left");
}

#[test]
fn a_checkpoint_is_really_used_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (calm, cache) = (folder.path().join("calm"), folder.path().join("cache"));
    let expected = rows(&train(&calm, &[&KILLED[..], &[PROGRAM]].concat())).remove(0);
    let key = kill_at_checkpoint(&cache, &folder.path().join("trained.jsonl"));
    std::thread::sleep(Duration::from_millis(300));
    let part = cache.join("train/work").join(format!("{key}.part"));
    // what was spent counts towards the limit of time
    fs::write(part.join("seconds"), "5000").expect("written");
    let row = rows(&train(&cache, &[&KILLED[..], &[PROGRAM]].concat())).remove(0);
    assert_eq!(row["status"], "timeout", "{row}");
    assert!(part.join("checkpoint.safetensors").exists(), "it may go on with a higher limit");
    fs::write(part.join("checkpoint.safetensors"), "not tensors").expect("written");
    fs::remove_file(part.join("seconds")).expect("removed");
    let row = rows(&train(&cache, &[&KILLED[..], &[PROGRAM]].concat())).remove(0);
    assert_eq!(row["status"], "timeout", "it is not tried again unless that is asked for: {row}");
    let row = rows(&train(&cache, &[&KILLED[..], &["--retry-failed", PROGRAM]].concat())).remove(0);
    assert_eq!(steady(row), steady(expected));
}

#[test]
fn graphs_can_be_explained_and_wrong_usage_is_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = train(folder.path(), &["--explain", PROGRAM]);
    let explained = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for part in ["A step as built", "A step as run", "multiply-accumulates at each step", "linear"] {
        assert!(explained.contains(part), "{part} is missing in {explained}");
    }
    for (args, code, word) in [
        (&["--device", "toaster", PROGRAM][..], 2, "train.device"),
        (&["--set", "task.algorithm=dsf", PROGRAM][..], 2, "dfs"),
        (&["--jobs", "many"][..], 2, "many"),
        (&["no/such.parquet"][..], 1, "no/such.parquet"),
    ] {
        let output = train(folder.path(), args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(word), "{args:?}: {}", text(&output.stderr));
    }
}
