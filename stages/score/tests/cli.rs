//! `score` through its command line: what it makes of rows, and what it refuses. Trained rows are scored by the tests of
//! `transfer` and of the whole pipeline, which have both stages at hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn score(cache: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_score"));
    command.args(["--config", "data/profiles/tiny.toml", "--device", "cpu", "--cache"]).arg(cache).args(args);
    command.current_dir(root()).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn rows_that_were_not_trained_pass_and_lost_weights_are_one_rows_failure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let base = serde_json::json!({"run": "r", "method": "spark", "proposer": "builtin", "generation": 0, "slot": 0,
        "attempt": 0, "island": 0, "candidate_id": "a", "status": "timeout", "mine": 1,
        "source": std::fs::read_to_string(root().join("data/processors/mpnn.py")).expect("there")});
    let mut trained = base.clone();
    trained["status"] = "trained".into();
    trained["weights"] = serde_json::json!(["train/none/weights.safetensors"]);
    trained["train_key"] = "none".into();
    let mut stolen = trained.clone();
    stolen["weights"] = serde_json::json!(["/etc/passwd"]);
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, format!("{base}\n{trained}\n{stolen}\n")).expect("written");
    let output = score(folder.path(), &[path.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows[0], base);
    assert_eq!((&rows[1]["status"], &rows[1]["mine"]), (&"failed".into(), &1.into()));
    assert!(rows[1]["reason"].as_str().is_some_and(|r| r.contains("train/none/weights.safetensors")), "{}", rows[1]);
    assert!(rows[1].get("fitness").is_none());
    assert!(
        rows[2]["reason"].as_str().is_some_and(|r| r.contains("does not name weights in the cache")),
        "{}",
        rows[2]
    );
}

#[test]
fn wrong_usage_is_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (args, code, word) in [
        (&["data/seed_pgn.py"][..], 2, "--weights"),
        (&["data/seed_pgn.py", "data/processors/mpnn.py", "--weights", "w"][..], 2, "one program"),
        (&["--set", "score.fitness=best"][..], 2, "best"),
        (&["no/such.parquet"][..], 1, "no/such.parquet"),
    ] {
        let output = score(folder.path(), args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(word), "{args:?}: {}", text(&output.stderr));
    }
}
