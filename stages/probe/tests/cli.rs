//! The program from outside: what it prints and how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn probe(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.args(args).current_dir(root()).output().expect("starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const PROGRAM: [&str; 5] = [
    "program",
    "tests/fixtures/programs/valid/seed_pgn.py",
    "tests/fixtures/programs/valid/seed_pgn.safetensors",
    "--device=cpu",
    "--threads=1",
];

#[test]
fn agreement_is_success_and_disagreement_is_not() {
    let output = probe(&PROGRAM);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = stdout(&output);
    assert!(text.contains("out/ret") && text.contains("grad/") && text.contains("case2/grad_in/hidden"), "{text}");

    let strict = probe(&[&PROGRAM[..], &["--tolerance=1e-30", "--json"]].concat());
    assert_eq!(strict.status.code(), Some(1), "{strict:?}");
    let report: serde_json::Value = serde_json::from_str(&stdout(&strict)).expect("is JSON");
    assert_eq!(report["ok"], false);
}

#[test]
fn networks_compare_with_the_programs_that_come_along() {
    let output = probe(&["network", "tests/fixtures/model/dfs_*m*p*.json", "--device=cpu", "--threads=1", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let reports: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("is JSON");
    let cases: Vec<&str> =
        reports.as_array().into_iter().flatten().filter_map(|report| report["case"].as_str()).collect();
    assert_eq!(cases, ["dfs_gmpnn", "dfs_mp3", "dfs_mpnn"]);
}

#[test]
fn speed_is_one_line_of_json() {
    let args = ["speed", "--program=data/seed_pgn.py", "--length=4", "--batch-size=2", "--hidden=8", "--steps=1"];
    let output = probe(&[&args[..], &["--eval-length=5", "--device=cpu", "--threads=1", "--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let speed: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("is JSON");
    for name in ["train_step_s", "eval_s", "train_gflop", "eval_gflop", "peak_gflops", "train_share", "eval_share"] {
        assert!(speed[name].as_f64().is_some_and(|number| number > 0.0), "{name}: {speed}");
    }
}

#[test]
fn speed_grows_with_every_size() {
    let args = ["speed", "--program=data/seed_pgn.py", "--length=8", "--batch-size=4", "--hidden=16", "--steps=1"];
    let output = probe(&[&args[..], &["--growth", "--device=cpu", "--threads=1", "--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let speed: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("is JSON");
    let sizes =
        |row: &serde_json::Value| ["length", "batch_size", "hidden"].map(|name| row[name].as_u64().unwrap_or(0));
    let growth: Vec<_> = speed["growth"].as_array().into_iter().flatten().map(sizes).collect();
    assert_eq!(growth, [[4, 4, 16], [8, 4, 8], [8, 2, 16], [4, 4, 16], [8, 4, 4], [8, 1, 16]]);
    // the arithmetic does, whatever the time
    for row in speed["growth"].as_array().into_iter().flatten() {
        assert!(row["train_gflop"].as_f64() < speed["train_gflop"].as_f64(), "{row}");
    }
}

#[test]
fn programs_are_timed_with_and_without_rewriting() {
    let programs = "--passes=tests/fixtures/programs/valid/s*.py";
    let args = ["speed", programs, "--length=4", "--batch-size=2", "--hidden=8", "--steps=1"];
    let output = probe(&[&args[..], &["--device=cpu", "--threads=1", "--json"]].concat());
    // a few milliseconds say nothing: any of them may come out slower
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let rows: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("is JSON");
    let rows = rows.as_array().cloned().unwrap_or_default();
    let names: Vec<&str> = rows.iter().filter_map(|row| row["program"].as_str()).collect();
    assert_eq!(names, ["seed_pgn", "sliced_gates", "soft_reductions", "split_everything", "spread_stats"]);
    for row in &rows {
        let (plain, rewritten) = (row["plain_s"].as_f64(), row["rewritten_s"].as_f64());
        let ratio = plain.zip(rewritten).map(|(plain, rewritten)| plain / rewritten);
        assert!(ratio.is_some_and(|ratio| ratio > 0.0) && row["ratio"].as_f64() == ratio, "{row}");
    }
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    for (args, code) in [
        (&["network", "no/such/case*.json"][..], 2),
        (&["speed", "--program=data/seed_pgn.py", "--dtype=f16"], 2),
        (&["doctor", "--no-such-flag"], 2),
        (&["program", "no/such/program.py", PROGRAM[2]], 1),
        (&["speed", "--program=data/seed_pgn.py", "--algorithm=bogo_sort", "--hidden=8"], 1),
        (&["network", "tests/fixtures/model/dfs.json", "--device=cuda:99"], 1),
    ] {
        let output = probe(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains("error") && !message.contains("panicked"), "{message}");
    }
}

#[test]
fn the_doctor_names_libtorch() {
    let output = probe(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let found: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("is JSON");
    assert!(found["libtorch"].as_str().is_some_and(|path| path.ends_with("libtorch_cpu.so")), "{found}");
}
