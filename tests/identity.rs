//! Runs keep apart: what was made with other settings is never put together with them, whoever asks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use llm::mock::{Server, player};
use serde_json::Value;
use tests::{blocks, duckdb, finish, make_search, root, run, shell, with_shared_cache};

/// The settings of the second of two profiles.
const OTHER: &str = "network.hidden=6 train.steps=5";

/// A tiny search in `runs/NAME`, with early stopping.
fn search(runs: &Path, name: &str, variables: &[&str], settings: &str) {
    let mut make = with_shared_cache(make_search(runs, 0));
    make.arg(format!("RUN={}", runs.join(name).display()))
        .arg(format!("SET=train.rungs=[2] {settings}"))
        .args(variables);
    finish(make).ok();
}

fn archive(run: &Path) -> String {
    run.join("archive.parquet").display().to_string()
}

fn rows(table: &Path) -> Vec<Value> {
    run("check", [table.display().to_string()]).ok().rows()
}

fn record(run: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(run.join("run.json")).expect("a record")).expect("JSON")
}

/// A folder with copies of these runs and their list.
fn side_by_side(folder: &Path, runs: &[PathBuf]) -> PathBuf {
    let into = folder.join("runs");
    fs::create_dir_all(&into).expect("a folder");
    for run_folder in runs {
        shell(&format!("cp -r '{}' '{}'", run_folder.display(), into.display())).ok();
        let name = run_folder.file_name().expect("a name");
        run("run", ["done".as_ref(), into.join(name).as_os_str()]).ok();
    }
    folder.to_owned()
}

/// What a query answers in this folder: each row as JSON, sorted, numbers to nine digits.
fn answer(python: &Path, query: &str, folder: &Path) -> Vec<String> {
    let script = "
import duckdb, json, sys
def plain(x):
    if isinstance(x, float): return float(f'{x:.9g}')
    if isinstance(x, (list, tuple)): return [plain(y) for y in x]
    return x if isinstance(x, (int, str, bool, type(None))) else str(x)
for row in sorted(json.dumps(plain(row)) for row in duckdb.sql(sys.argv[1]).fetchall()): print(row)";
    let output = Command::new(python).args(["-c", script, query]).current_dir(folder).output().expect("python starts");
    assert!(output.status.success(), "{query}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn every_query_keeps_two_profiles_of_one_seed_apart() {
    let Some(python) = duckdb() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = Server::start(player()).expect("a local server");
    let base = format!("API_BASE={}", server.url());
    let model = ["PROPOSER=openai", "MODEL=player", "METHOD=free-form", &base];
    let made = folder.path().join("made");
    fs::create_dir(&made).expect("a folder");
    let mut names = [Vec::new(), Vec::new()];
    for (at, (suffix, settings)) in [("", ""), ("-other", OTHER)].into_iter().enumerate() {
        for (name, variables) in [
            ("spark-dfs-seed0", &["METHOD=spark"][..]),
            ("eoh-dfs-seed0", &["METHOD=eoh"]),
            ("player-dfs-seed0", &model),
        ] {
            let name = format!("{name}{suffix}");
            search(&made, &name, variables, settings);
            names[at].push(made.join(name));
        }
    }
    let of = |name: &str, runs: &[PathBuf]| {
        fs::create_dir(folder.path().join(name)).expect("a folder");
        side_by_side(&folder.path().join(name), runs)
    };
    let (one, other, both) = (of("one", &names[0]), of("other", &names[1]), of("both", &names.concat()));
    let page = fs::read_to_string(root().join("schemas/queries.md")).expect("the page");
    let mut asked = 0;
    for query in blocks(&page, "sql") {
        // Of a pipe there is one; and the question in which settings runs differ is about all of them.
        if query.contains("/dev/stdin") || query.contains("json_keys(settings)") {
            continue;
        }
        asked += 1;
        // The runs of ten attempts have few rows: what a page has room for is not a part of the question.
        let query = query.replace("limit 10", "");
        let (first, together) = (answer(&python, &query, &one), answer(&python, &query, &both));
        assert!(!first.is_empty(), "no rows: {query}");
        let mut apart = first;
        if !query.contains("runs/spark-dfs-seed0/") {
            apart.extend(answer(&python, &query, &other));
        }
        apart.sort();
        assert_eq!(together, apart, "two profiles side by side are mixed by: {query}");
    }
    assert!(asked >= 25, "only {asked} queries");
    let differing =
        blocks(&page, "sql").into_iter().find(|query| query.contains("json_keys(settings)")).expect("the query");
    let said = answer(&python, &differing, &both).join("\n");
    assert!(
        said.contains("network.hidden") && said.contains("train.steps") && !said.contains("train.val_every"),
        "{said}"
    );
}

#[test]
fn summaries_and_reports_keep_settings_apart_and_say_which_differ() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let runs = folder.path();
    search(runs, "a", &[], "");
    search(runs, "b", &[], OTHER);
    search(runs, "c", &["SEED=1"], "");
    let [a, b, c] = ["a", "b", "c"].map(|name| runs.join(name));

    // Rows say which run they are of, and with which settings they were made; seeds are not a setting, the profile is.
    let digests: BTreeMap<&str, Value> = [("a", &a), ("b", &b), ("c", &c)]
        .map(|(name, run)| {
            let rows = rows(&run.join("archive.parquet"));
            assert!(rows.iter().all(|row| row["run"] == name && row["settings_digest"] == rows[0]["settings_digest"]));
            assert_eq!(record(run)["settings_digest"], rows[0]["settings_digest"]);
            (name, rows[0]["settings_digest"].clone())
        })
        .into();
    assert!(digests["a"] == digests["c"] && digests["a"] != digests["b"] && digests["a"].is_string(), "{digests:?}");
    assert_ne!(record(&a)["run_id"], record(&b)["run_id"]);

    let pattern = runs.join("*/archive.parquet").display().to_string();
    let text = run("select", ["--summary", &pattern]).ok().stdout;
    for part in [
        "run:         a\n",
        "run:         b\n",
        "do not compare",
        "train.steps: 4 in a, c; 5 in b",
        "network.hidden: 8 in",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    let json: Value =
        serde_json::from_str(&run("select", ["--summary", "--json", &pattern]).ok().stdout).expect("JSON");
    assert_eq!(json["runs"].as_array().map(Vec::len), Some(3));
    let keys: Vec<&str> =
        json["differing_settings"].as_array().expect("a list").iter().filter_map(|d| d["setting"].as_str()).collect();
    assert_eq!(keys, ["network.hidden", "train.steps"]);
    let alike = run("select", ["--summary".to_owned(), archive(&a), archive(&c)]).ok().stdout;
    assert!(!alike.contains("do not compare"), "{alike}");
    let single: Value =
        serde_json::from_str(&run("select", ["--summary", "--json", &archive(&a)]).ok().stdout).expect("JSON");
    assert!(single["confirmation"].is_object() && single["run"] == "a", "{single}");

    // A winner of both, or an archive of both, there is not.
    let out = folder.path().join("out.parquet").display().to_string();
    for arguments in [
        vec!["--best".to_owned(), archive(&a), archive(&b)],
        vec![archive(&a), archive(&b), "-o".to_owned(), out.clone()],
        vec![archive(&a), "--archive".to_owned(), archive(&b), "-o".to_owned(), out.clone()],
    ] {
        run("select", arguments).refused(2, &["different settings"]);
    }
    run("select", ["--best".to_owned(), archive(&a), archive(&c)]).ok();

    let page = folder.path().join("page/report.html");
    fs::create_dir(folder.path().join("page")).expect("a folder");
    run("report", [archive(&a), archive(&b), archive(&c), "-o".into(), page.display().to_string(), "--quiet".into()])
        .ok();
    let html = fs::read_to_string(&page).expect("the page");
    assert!(
        html.contains("different settings") && html.contains("train.steps: 4 in a, c; 5 in b"),
        "the page mixes settings"
    );
    let table = fs::read_to_string(folder.path().join("page/tables/comparison.csv")).expect("the table");
    assert_eq!(table.lines().filter(|line| line.contains("spark [")).count(), 2, "{table}");

    // The same searches in other folders are the same, but for their names.
    let elsewhere = tempfile::tempdir().expect("a scratch folder");
    let trained_anew = format!("CACHE={}", elsewhere.path().join("cache").display());
    search(elsewhere.path(), "a", &[&trained_anew], "");
    search(elsewhere.path(), "another", &[&trained_anew], "");
    let bytes = |run: &Path| fs::read(run.join("archive.parquet")).expect("an archive");
    assert!(bytes(&a) == bytes(&elsewhere.path().join("a")));
    let said =
        run("run", ["compare".as_ref(), a.as_os_str(), elsewhere.path().join("another").as_os_str()]).ok().stdout;
    assert!(said.contains("byte for byte but for the column run"), "{said}");
    assert_eq!(run("run", ["compare".as_ref(), a.as_os_str(), c.as_os_str()]).code, Some(1));
}

#[test]
fn a_record_survives_moving_and_the_list_of_runs_follows() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let runs = folder.path();
    search(runs, "a", &[], "");
    let before = record(&runs.join("a"));
    assert_eq!(before["sessions"].as_array().map(Vec::len), Some(1));
    for key in ["begun", "finished", "host", "version", "commit"] {
        assert!(before["sessions"][0][key].is_string(), "{before}");
    }
    assert_eq!(before["settings"]["train.steps"], 4);
    let moved = runs.join("moved");
    fs::rename(runs.join("a"), &moved).expect("moved");
    let again = |settings: &str| {
        let mut make = with_shared_cache(make_search(runs, 0));
        make.arg(format!("RUN={}", moved.display())).arg(format!("SET=train.rungs=[2] {settings}"));
        finish(make).ok()
    };
    let said = again("");
    assert!(said.stdout.contains("nothing to do"), "{}", said.stdout);
    assert_eq!(record(&moved), before);
    // What is made later has the name and the id that it was begun with.
    again("search.attempts=8");
    let after = record(&moved);
    assert_eq!((&after["run"], &after["run_id"]), (&Value::from("a"), &before["run_id"]));
    assert_eq!(after["sessions"].as_array().map(Vec::len), Some(2));
    let rows = rows(&moved.join("archive.parquet"));
    assert!(rows.len() >= 8 && rows.iter().all(|row| row["run"] == "a"), "{rows:?}");
    let Some(python) = duckdb() else { return };
    let list = "select run, folder, run_id, len(commits) > 0, finished is not null from 'runs.parquet'";
    let expected = format!("[\"a\", \"moved\", {}, true, true]", before["run_id"]);
    assert_eq!(answer(&python, list, runs), [expected]);
    let mut clean = Command::new("make");
    clean.args(["clean-run", "BUILD=no"]).arg(format!("BIN={}", tests::bin().display()));
    clean.arg(format!("RUN={}", moved.display())).current_dir(root());
    finish(clean).ok();
    assert!(answer(&python, list, runs).is_empty());
}
