//! `check` through its command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn check(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_check")).args(args).current_dir(root()).output().expect("it starts")
}

fn rows(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn scratch(name: &str, content: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("written");
    let path = path.display().to_string();
    (folder, path)
}

#[test]
fn the_seed_program_is_accepted_with_its_costs() {
    let output = check(&["data/seed_pgn.py"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let row = &rows(&output)[0];
    assert_eq!((&row["status"], &row["edit"]), (&"accepted".into(), &"seed_pgn.py".into()), "{row}");
    for column in ["params", "macs", "peak_bytes"] {
        assert!(row[column].as_i64().is_some_and(|value| value > 0), "{column}: {row}");
    }
    assert_eq!(row["graph_hash"].as_str().map(str::len), Some(64));
    assert!(row["macs_formula"].as_str().is_some_and(|formula| formula.contains("B*N")), "{row}");
}

#[test]
fn a_fault_has_its_place_and_exit_code_1() {
    let (_folder, path) = scratch("broken.py", "import torch\n\ndef f(:\n    pass\n");
    let output = check(&[&path, "--json"]);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(1), ""));
    let row = &rows(&output)[0];
    assert_eq!((&row["status"], &row["verdict"]), (&"rejected".into(), &"reject".into()));
    assert_eq!((&row["diagnostics"][0]["category"], &row["diagnostics"][0]["line"]), (&"syntax".into(), &3.into()));
    // a comparison with a parent reads the same text, and says nothing twice
    let output = check(&[&path, "--json", "--parent", "data/seed_pgn.py"]);
    let found = rows(&output)[0]["diagnostics"].as_array().cloned().unwrap_or_default();
    assert_eq!(found.iter().filter(|d| d["code"] == "E-SYNTAX").count(), 1, "{found:?}");
    let output = check(&[&path, "--format", "text"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("broken.py:3:"), "{}", text(&output.stdout));
    assert!(text(&output.stdout).trim_end().ends_with("broken.py: reject"), "{}", text(&output.stdout));
}

#[test]
fn tables_succeed_whatever_the_verdicts_and_rows_keep_their_order() {
    let output = check(&["data/seed_pgn.py", "--json"]);
    let lines = text(&output.stdout).replace("\"accepted\"", "\"proposed\"");
    let broken = lines.lines().next().expect("a row");
    let mut row: Value = serde_json::from_str(broken).expect("JSON");
    row["source"] = "def f(:".into();
    row["mine"] = 7.into();
    let (_folder, path) = scratch("rows.jsonl", &format!("{row}\n{lines}"));
    let output = check(&[&path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let statuses: Vec<_> = rows(&output).iter().map(|row| row["status"].clone()).collect();
    assert_eq!(statuses, ["rejected", "accepted"]);
    assert_eq!(rows(&output)[0]["mine"], 7);
}

#[test]
fn equal_graphs_are_duplicates_within_and_across_tables() {
    let seed = std::fs::read_to_string(root().join("data/seed_pgn.py")).expect("the seed program");
    let (folder, copy) = scratch("copy.py", &format!("# the same, with a comment\n{seed}"));
    let output = check(&["data/seed_pgn.py", &copy, "--json"]);
    let found = rows(&output);
    assert_eq!((&found[0]["status"], &found[1]["status"]), (&"accepted".into(), &"duplicate".into()));
    assert_eq!(found[1]["duplicate_of"], found[0]["candidate_id"]);
    let table = folder.path().join("known.parquet").display().to_string();
    assert!(check(&["data/seed_pgn.py", "-o", &table]).status.success());
    let output = check(&["--known", &table, "--json", "--", &copy]);
    assert_eq!(rows(&output)[0]["duplicate_of"], found[0]["candidate_id"]);
}

#[test]
fn renaming_makes_a_duplicate() {
    let seed = std::fs::read_to_string(root().join("data/seed_pgn.py")).expect("the seed program");
    let renamed =
        seed.replace("self.t_1", "self.left").replace("self.t_e_3", "self.far").replace("triplets", "triples");
    assert_ne!(renamed, seed);
    let (_folder, copy) = scratch("renamed.py", &renamed);
    let found = rows(&check(&["data/seed_pgn.py", &copy, "--json"]));
    assert_ne!(found[0]["candidate_id"], found[1]["candidate_id"], "another program");
    assert_eq!((&found[1]["status"], &found[1]["duplicate_of"]), (&"duplicate".into(), &found[0]["candidate_id"]));
}

#[test]
fn edits_are_measured_in_what_the_program_computes() {
    let seed = std::fs::read_to_string(root().join("data/seed_pgn.py")).expect("the seed program");
    let measured = |program: &str| {
        let (_folder, path) = scratch("edit.py", program);
        let output = check(&["--parent", "data/seed_pgn.py", "--factor", "ACTION", "--json", "--", &path]);
        let row = rows(&output).remove(0);
        ["graph_edit_distance", "frozen_outputs_changed", "changed_frozen_outputs"].map(|column| row[column].clone())
    };
    let nothing = [0.into(), 0.into(), serde_json::json!([])];
    assert_eq!(measured(&format!("# a comment\n{seed}")), nothing);
    assert_eq!(measured(&seed.replace("self.t_1", "self.left")), nothing, "names are no computation");
    // The region's own output: far in the graph, and no frozen output.
    let [distance, frozen, _] = measured(&seed.replace("triplets.amax(dim=1)", "triplets.mean(dim=1)"));
    assert!(distance.as_i64() > Some(0) && frozen == 0, "{distance} {frozen}");
    // Frozen code: `ret` is what it computes alone.
    let [distance, frozen, names] = measured(&seed.replace("self.o1(z) + self.o2(msgs)", "self.o1(z) - self.o2(msgs)"));
    assert!(distance.as_i64() > Some(0) && frozen == 1, "{distance} {frozen}");
    assert_eq!(names, serde_json::json!(["ret"]));
    let unknown = [Value::Null, Value::Null, Value::Null];
    assert_eq!(measured(&seed.replace("self.t_1(z)", "self.t_9(z)")), unknown, "no graph to compare");
}

#[test]
fn without_a_factor_both_regions_are_open_and_frozen_code_only_with_the_file() {
    let seed = std::fs::read_to_string(root().join("data/seed_pgn.py")).expect("the seed program");
    let operator = "        # ===== END OPERATOR REGION =====";
    let action = "        # ===== END ACTION REGION =====";
    assert!(seed.contains(operator) && seed.contains(action), "the markers are where this test puts its edits");
    let both = seed
        .replace(operator, &format!("        self.extra = nn.Linear(4, 4)\n{operator}"))
        .replace(action, &format!("            unused = 1\n{action}"));
    let status = |program: &str, set: &str| {
        let row = serde_json::json!({
            "run": "r", "method": "eoh", "proposer": "builtin", "generation": 1, "slot": 0, "attempt": 1, "island": 0,
            "candidate_id": "", "source": program, "parent_source": seed, "status": "proposed",
        });
        let (_folder, path) = scratch("edit.jsonl", &format!("{row}\n"));
        let output = check(&["--set", set, &path]);
        let row = rows(&output).into_iter().next().unwrap_or_else(|| panic!("{}", text(&output.stderr)));
        (row["locality"].as_str().unwrap_or_default().to_owned(), row["status"].as_str().unwrap_or_default().to_owned())
    };
    let said = |locality: &str, status: &str| (locality.to_owned(), status.to_owned());
    let (regions, file) = ("search.editable=regions", "search.editable=file");
    assert_eq!(status(&both, regions), said("entangled", "accepted"), "entangled, and within bounds");
    let frozen = format!("{seed}\n\ndef unused(x):\n    return x + 1\n");
    assert_eq!(status(&frozen, regions), said("entangled", "rejected"));
    assert_eq!(status(&frozen, file), said("entangled", "accepted"));
    assert_eq!(status(&both, "propose.entangled=reject"), said("entangled", "rejected"));
}

#[test]
fn entangled_edits_are_rejected_unless_allowed() {
    let seed = std::fs::read_to_string(root().join("data/seed_pgn.py")).expect("the seed program");
    // Frozen code changes: the factory gains a statement.
    let (_folder, edit) = scratch("edit.py", &format!("{seed}\n\ndef unused(x):\n    return x + 1\n"));
    let edited = ["--parent", "data/seed_pgn.py", "--factor", "ACTION", "--json", &edit];
    let row = &rows(&check(&edited))[0];
    assert_eq!((&row["locality"], &row["status"]), (&"entangled".into(), &"rejected".into()), "{row}");
    assert!(row["entanglement"].as_array().is_some_and(|kinds| !kinds.is_empty()));
    let allowed = check(&[&edited[..], &["--allow-entangled"]].concat());
    let row = &rows(&allowed)[0];
    assert_eq!((&row["locality"], &row["status"]), (&"entangled".into(), &"accepted".into()), "{row}");
    let own = ["--parent", "data/seed_pgn.py", "--factor", "ACTION", "--json", "data/seed_pgn.py"];
    assert_eq!(rows(&check(&own))[0]["locality"], "local");
}

#[test]
fn people_can_ask_for_costs_by_line_and_for_the_language() {
    let output = check(&["--explain", "data/seed_pgn.py"]);
    let explained = text(&output.stdout);
    assert!(explained.contains("seed_pgn.py: accept"), "{explained}");
    assert!(explained.contains("multiply-accumulates:"), "{explained}");
    assert!(explained.lines().any(|line| line.contains("% ") && line.contains("self.")), "{explained}");
    assert!(check(&["--language"]).stdout.len() > 500);
}

#[test]
fn wrong_usage_is_2_and_missing_files_are_1() {
    for (args, code, word) in [
        (&["--no-such-flag"][..], 2, "--no-such-flag"),
        (&["--factor", "BOTH-OF-THEM", "--parent", "x.py", "y.py"][..], 2, "is not the name of a factor"),
        (
            &["--factor", "READOUT", "--parent", "data/seed_pgn.py", "data/seed_pgn.py"][..],
            2,
            "its factors are OPERATOR and ACTION",
        ),
        (&["--set", "network.hiden=3", "data/seed_pgn.py"][..], 2, "did you mean `network.hidden`"),
        (&["no/such.parquet"][..], 1, "no/such.parquet"),
        (&["rows.csv"][..], 1, "rows.csv"),
    ] {
        let output = check(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(word), "{args:?}: {}", text(&output.stderr));
    }
}

#[test]
fn settings_are_printed_with_their_origin() {
    let output = check(&["--config", "data/profiles/tiny.toml", "--set", "train.steps=9", "--print-config"]);
    let printed = text(&output.stdout);
    assert!(printed.lines().any(|line| line.starts_with("steps = 9 ") && line.ends_with("# --set")), "{printed}");
    assert!(printed.lines().any(|line| line.starts_with("hidden = 8 ") && line.contains("tiny.toml:")), "{printed}");
}
