//! The binary as its users call it.

use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

fn propose(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("propose").unwrap();
    command.arg("--quiet").args(args);
    command
}

#[track_caller]
fn rows(args: &[&str]) -> Vec<Value> {
    let output = propose(args).assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn refused(args: &[&str], code: i32, words: &[&str]) {
    let output = propose(args).assert().code(code).get_output().stderr.clone();
    let message = String::from_utf8(output).unwrap();
    for word in words {
        assert!(message.contains(word), "{word:?} is missing in: {message}");
    }
}

/// Rows as if they had been evaluated.
fn scored(rows: &[Value], path: &Path) {
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let mut row = row.clone();
        row["status"] = json!("scored");
        row["fitness"] = json!(0.3 + 0.01 * number as f64);
        row["archived"] = json!(true);
        text += &format!("{row}\n");
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn works_with_no_input() {
    let made = rows(&["--n", "20", "--seed", "1"]);
    assert_eq!(made.len(), 20);
    let seed = &made[0];
    assert_eq!((&seed["edit"], &seed["factor"], &seed["generation"]), (&json!("seed"), &Value::Null, &json!(0)));
    for (slot, row) in made.iter().enumerate() {
        assert_eq!((&row["slot"], &row["status"]), (&json!(slot), &json!("proposed")), "{row}");
        assert_eq!((&row["method"], &row["proposer"]), (&json!("spark"), &json!("builtin")));
        assert_eq!(row["run"], "spark-dfs-seed1");
        if slot > 0 {
            assert_eq!(row["parent_id"], seed["candidate_id"]);
            assert_eq!(row["parent_source"], seed["source"]);
            assert!(["OPERATOR", "ACTION"].contains(&row["factor"].as_str().unwrap()));
            assert!(!row["directive"].as_str().unwrap().is_empty());
        }
    }
    assert_eq!(made, rows(&["--n", "20", "--seed", "1"]));
    assert_ne!(made, rows(&["--n", "20", "--seed", "2"]));
}

#[test]
fn the_next_generation_follows_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive.jsonl");
    let path = archive.to_str().unwrap();
    let first = rows(&["--n", "6", "--seed", "3"]);
    scored(&first, &archive);
    let second = rows(&["--parents", path, "--seed", "3"]);
    assert_eq!(second.len(), 8);
    let ids = |rows: &[Value]| rows.iter().map(|row| row["candidate_id"].to_string()).collect::<Vec<_>>();
    for (slot, row) in second.iter().enumerate() {
        assert_eq!((&row["generation"], &row["attempt"]), (&json!(1), &json!(6 + slot)));
        assert!(ids(&first).contains(&row["parent_id"].to_string()));
        assert!(!ids(&first).contains(&row["candidate_id"].to_string()));
    }
    assert_eq!(second, rows(&["--parents", path, "--generation", "1", "--seed", "3"]));

    // Order of the rows in the archive: no matter.
    let mut text: Vec<String> = std::fs::read_to_string(&archive).unwrap().lines().map(str::to_owned).collect();
    text.reverse();
    std::fs::write(&archive, text.join("\n") + "\n").unwrap();
    assert_eq!(second, rows(&["--parents", path, "--seed", "3"]));

    // The budget counts what is already proposed: 5 edits beside the seed program.
    assert_eq!(rows(&["--parents", path, "--set", "search.attempts=7"]).len(), 2);
    assert_eq!(rows(&["--parents", path, "--set", "search.attempts=5"]).len(), 0);
    assert_eq!(rows(&["--parents", path, "--set", "search.target=0.34"]).len(), 0);
}

#[test]
fn every_method_proposes() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive.jsonl");
    scored(&rows(&["--n", "6"]), &archive);
    let controls = ["random-router", "iid", "sequential", "random"];
    let ablations = ["spark", "asr-only", "rc-sar-only", "free-form"];
    let rivals = ["openevolve", "evoprompting", "funsearch", "eoh"];
    for method in [ablations, rivals, controls].concat() {
        let made = rows(&["--parents", archive.to_str().unwrap(), "--method", method, "--n", "3"]);
        assert_eq!(made.len(), 3);
        let scoped = matches!(method, "spark" | "asr-only" | "random-router");
        assert!(made.iter().all(|row| row["method"] == method && row["factor"].is_null() != scoped), "{method}");
    }
}

#[test]
fn a_program_of_ones_own_is_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine.py");
    std::fs::write(&mine, include_str!("../../../data/seed_pgn.py").replace("-3.0", "-1.0")).unwrap();
    let made = rows(&["--program", mine.to_str().unwrap(), "--n", "5"]);
    assert!(made.iter().all(|row| row["source"].as_str().unwrap().contains("CLOSED_GATE = -1.0")));

    std::fs::write(&mine, "x = 1\n").unwrap();
    let made = rows(&["--program", mine.to_str().unwrap(), "--n", "2"]);
    assert_eq!(made[1]["status"], "failed");
    assert!(made[1]["reason"].as_str().unwrap().contains("no OPERATOR region"), "{}", made[1]["reason"]);
}

#[test]
fn mistakes_are_wrong_usage() {
    refused(&["--method", "guess"], 2, &["no method `guess`", "spark", "funsearch"]);
    refused(&["--proposer", "oracle"], 2, &["no proposer `oracle`", "builtin"]);
    refused(&["--generation", "3"], 2, &["generation 3", "--parents"]);
    refused(&["--program", "no/such.py"], 1, &["no/such.py"]);
    refused(&["--parents", "no/such.parquet"], 1, &["no/such.parquet"]);
    let folder = tempfile::tempdir().unwrap();
    let motifs = folder.path().join("motifs.toml");
    std::fs::write(&motifs, "[[motif]]\nname='m'\nfactor='ACTION'\ndirective='d'\ngenes={mask='blue'}\nafter=''\n")
        .unwrap();
    refused(&["--motifs", motifs.to_str().unwrap()], 1, &["motifs.toml", "motif m", "mask = \"blue\""]);
}
