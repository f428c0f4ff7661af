//! `transfer` through its command line, with real trainings of seconds.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn transfer(cache: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transfer"));
    command.args(["--config", "data/profiles/tiny.toml", "--device", "cpu", "--cache"]).arg(cache).args(args);
    command.current_dir(root()).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("it is there");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn programs_are_trained_tested_and_compared() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = folder.path().join("t.jsonl");
    let args = [
        "--program",
        "data/processors/gmpnn.py",
        "--set",
        "transfer.reference=data/processors/mpnn.py",
        "--tasks",
        "bfs,insertion_sort",
        "-o",
        rows.to_str().expect("UTF-8"),
    ];
    let output = transfer(folder.path(), &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = lines(&rows);
    let cells: Vec<_> =
        found.iter().map(|row| format!("{} {} {}", row["program"], row["task"], row["train_seed"])).collect();
    let expected = ["mpnn", "gmpnn"].into_iter().flat_map(|program| {
        ["bfs", "insertion_sort"]
            .into_iter()
            .flat_map(move |task| (0..2).map(move |seed| format!("{program:?} {task:?} {seed}")))
    });
    assert_eq!(cells, expected.collect::<Vec<_>>());
    for row in &found {
        assert_eq!(row["status"], "scored", "{row}");
        assert!(row["test_acc"].as_f64().is_some_and(|accuracy| (0.0..=1.0).contains(&accuracy)), "{row}");
    }
    let summary = lines(&folder.path().join("t_summary.jsonl"));
    assert_eq!(summary.len(), 6);
    let mean = |i: usize, j: usize| {
        (found[i]["test_acc"].as_f64().expect("a") + found[j]["test_acc"].as_f64().expect("b")) / 2.0
    };
    assert_eq!(summary[0]["test_acc"], mean(0, 1));
    assert_eq!((&summary[5]["task"], &summary[5]["seeds"]), (&"average".into(), &4.into()));
    assert!(summary[5]["difference"].is_f64() && summary[2].get("difference").is_none());
    assert!(text(&output.stdout).contains("insertion_sort"), "{}", text(&output.stdout));

    let again = transfer(folder.path(), &args);
    assert_eq!(lines(&rows), found, "from the cache: the same rows");
    let computed = text(&again.stderr).lines().filter(|line| line.contains("loss") && !line.contains("cache")).count();
    assert_eq!(computed, 0, "{}", text(&again.stderr));
}

#[test]
fn wrong_usage_is_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (args, code, word) in [
        (&["--tasks", "bsf"][..], 2, "bfs"),
        (&["--set", "transfer.reference="][..], 2, "no program"),
        (&["--program", "no/such.py"][..], 1, "no/such.py"),
        (&["-o", "x.py"][..], 2, "x.py"),
        (&["--set", "transfer.overrides={ bsf = { steps = 2 } }"][..], 2, "bfs"),
    ] {
        let output = transfer(folder.path(), args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(word), "{args:?}: {}", text(&output.stderr));
    }
}
