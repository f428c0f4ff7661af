//! Tables between stages, and what other tools make of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{finish, make_search, root, run, shell, skip};

#[test]
fn stages_pipe_as_jsonl() {
    let outcome = shell("propose --n 20 --seed 1 | check - | jq -r .status").ok();
    let statuses: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(statuses.len(), 20, "{}", outcome.stdout);
    assert!(statuses.iter().all(|s| ["accepted", "rejected", "duplicate"].contains(s)), "{statuses:?}");
    let accepted = statuses.iter().filter(|s| **s == "accepted").count();
    assert!(accepted >= 10, "only {accepted} of 20 built-in proposals are accepted");
}

#[test]
fn parquet_and_jsonl_say_the_same() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    run("propose", ["--n", "4", "--seed", "2", "-o", &path("p.parquet")]).ok();
    run("propose", ["--n", "4", "--seed", "2", "-o", &path("p.jsonl")]).ok();
    let from_parquet = run("check", [path("p.parquet")]).ok();
    let from_lines = run("check", [path("p.jsonl")]).ok();
    assert_eq!(from_parquet.rows(), from_lines.rows());
}

#[test]
fn unknown_columns_pass_through_every_stage() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let script = format!(
        "propose --n 2 --seed 2 | jq -c '. + {{note: {{author: \"me\", marks: [1, 2]}}, weight_of_my_own: 2.5}}' > {lines}
         check {lines} -o {checked}
         train --config data/profiles/tiny.toml --cache {cache} {checked} -o {trained}
         score --config data/profiles/tiny.toml --cache {cache} {trained} -o {scored}
         command select --config data/profiles/tiny.toml {scored} -o -",
        lines = path("rows.jsonl"),
        checked = path("checked.parquet"),
        trained = path("trained.parquet"),
        scored = path("scored.parquet"),
        cache = path("cache"),
    );
    let outcome = shell(&script).ok();
    let rows = outcome.rows();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row["note"], serde_json::json!({"author": "me", "marks": [1, 2]}), "{row}");
        assert_eq!(row["weight_of_my_own"], 2.5);
    }
}

/// A Python with DuckDB in it, in a folder of its own; `None`, with a message, where it can't be had.
fn duckdb() -> Option<PathBuf> {
    let folder = tests::bin().join("duckdb-venv");
    let python = folder.join("bin/python");
    let works = |python: &Path| {
        Command::new(python).args(["-c", "import duckdb"]).output().is_ok_and(|output| output.status.success())
    };
    if !works(&python) {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).output();
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "duckdb==2.0.0"];
        let got = made.is_ok_and(|o| o.status.success())
            && Command::new(&python).args(pip).output().is_ok_and(|o| o.status.success());
        if !got || !works(&python) {
            skip("DuckDB cannot be installed from PyPI here");
            return None;
        }
    }
    Some(python)
}

/// The `sql` blocks of a Markdown file.
fn queries(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    for block in markdown.split("```sql\n").skip(1) {
        found.push(block.split("```").next().unwrap_or_default().to_owned());
    }
    found
}

#[test]
fn duckdb_runs_the_readmes_queries() {
    let Some(python) = duckdb() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    finish(make_search(folder.path(), 0)).ok();
    // The README speaks of runs/*/...: the same shape, in the scratch folder.
    let home = folder.path().join("runs");
    std::fs::create_dir(&home).expect("made");
    std::fs::rename(folder.path().join("run"), home.join("spark-dfs-seed0")).expect("moved");
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let queries = queries(&readme);
    assert!(queries.len() >= 4, "the README has only {} queries", queries.len());
    for query in queries {
        let script = "import duckdb, sys; rows = duckdb.sql(sys.argv[1]).fetchall(); print(len(rows))";
        let output = Command::new(&python).args(["-c", script, &query]).current_dir(folder.path()).output();
        let output = output.expect("python starts");
        assert!(output.status.success(), "{query}\n{}", String::from_utf8_lossy(&output.stderr));
        assert_ne!(String::from_utf8_lossy(&output.stdout).trim(), "0", "no rows: {query}");
    }
}

#[test]
fn duckdb_reads_the_pipes_jsonl() {
    let Some(python) = duckdb() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("checked.jsonl").display().to_string();
    shell(&format!("propose --n 5 --seed 3 | check - -o {path}")).ok();
    let script = "import duckdb, sys\n\
                  rows = duckdb.sql(f\"select status, len(diagnostics), macs from '{sys.argv[1]}'\").fetchall()\n\
                  assert len(rows) == 5, rows";
    let output = Command::new(&python).args(["-c", script, &path]).output().expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
