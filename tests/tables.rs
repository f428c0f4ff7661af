//! Tables between stages, and what other tools make of them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use llm::mock::{Server, player};

use tests::{blocks, duckdb, finish, make_search, root, run, shell};

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

/// The rows that a query gives; what comes on its standard input is `stdin`.
fn rows_of(python: &Path, query: &str, folder: &Path, stdin: &[u8]) -> usize {
    let script = "import duckdb, sys; rows = duckdb.sql(sys.argv[1]).fetchall(); print(len(rows))";
    let mut command = Command::new(python);
    command.args(["-c", script, query]).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("python starts");
    // A query that does not read its input may be done before it has all of it.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin);
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "{query}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}

#[test]
fn duckdb_answers_all_documented_questions() {
    let Some(python) = duckdb() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    // Searches in the shape that the pages speak of: all with early stopping, two by a model.
    let runs = folder.path().join("runs");
    let run = |name: &str| format!("RUN={}", runs.join(name).display());
    let mut stopping = make_search(folder.path(), 0);
    stopping.args([&run("spark-dfs-seed0"), "SET=train.rungs=[2]"]);
    finish(stopping).ok();
    let server = Server::start(player()).expect("a local server");
    let base = format!("API_BASE={}", server.url());
    // Methods compare where everything else is alike, the model too.
    for (name, method) in [("player-dfs-seed0", "METHOD=free-form"), ("player-spark-dfs-seed0", "METHOD=spark")] {
        let mut model = make_search(folder.path(), 0);
        model.args([&run(name), "PROPOSER=openai", "MODEL=player", method, "SET=train.rungs=[2]", &base]);
        finish(model).ok();
    }
    let piped = shell("propose --n 5 --seed 3 | check -").ok().stdout;
    for (page, least) in [("stages/README.md", 2), ("schemas/queries.md", 20)] {
        let queries = blocks(&std::fs::read_to_string(root().join(page)).expect("the page"), "sql");
        assert!(queries.len() >= least, "{page} has only {} queries", queries.len());
        for query in queries {
            assert!(rows_of(&python, &query, folder.path(), piped.as_bytes()) > 0, "no rows: {query}");
        }
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
