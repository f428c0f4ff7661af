//! The built-in proposer on programs that it did not write: the published ones, in the reference implementation's spelling of
//! markers, and programs with other factors. Two generations of eight, each looked at as `check` looks at it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use check::{Inspectors, Rules};
use schemas::{Candidate, Locality, Status, Verdict};
use stage::Config;

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/programs/published");
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut programs: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|e| e == "py")).collect();
    programs.sort();
    assert!(programs.len() >= 2);
    programs
}

fn propose(args: &[&str]) -> Vec<Candidate> {
    let mut command = Command::cargo_bin("propose").unwrap();
    let output = command.arg("--quiet").args(args).assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Two generations of a method from a program, checked; what is accepted gets a fitness in between.
fn two_generations(program: &Path, method: &str) -> Vec<Candidate> {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive.jsonl");
    let inspectors = Inspectors::here(&Rules::new(&Config::default())).unwrap();
    let check = |rows: Vec<Candidate>| -> Vec<Candidate> {
        rows.iter().map(|row| inspectors.inspect(row, None).unwrap().candidate).collect()
    };
    let mut rows =
        check(propose(&["--program", program.to_str().unwrap(), "--method", method, "--n", "9", "--seed", "5"]));
    let lines: Vec<String> = rows
        .iter()
        .filter(|row| row.status == Status::Accepted)
        .enumerate()
        .map(|(number, row)| {
            let fitness = Some(0.3 + 0.01 * number as f64);
            let row = Candidate { status: Status::Scored, fitness, archived: Some(true), ..row.clone() };
            serde_json::to_string(&row).unwrap() + "\n"
        })
        .collect();
    std::fs::write(&archive, lines.concat()).unwrap();
    rows.extend(check(propose(&[
        "--parents",
        archive.to_str().unwrap(),
        "--method",
        method,
        "--n",
        "8",
        "--seed",
        "5",
    ])));
    rows
}

/// What holds for each row of a search from a program. Returns the rows.
#[track_caller]
fn sound(program: &Path, method: &str) -> Vec<Candidate> {
    let rows = two_generations(program, method);
    let name = format!("{} under {method}", program.display());
    assert_eq!(rows.len(), 17, "{name}");
    for row in &rows {
        assert_ne!(row.status, Status::Failed, "{name}: {:?}", row.reason);
        assert_ne!(row.verdict, Some(Verdict::Reject), "{name}: {:?}: {:?}", row.edit, row.reason);
        assert_ne!(row.parent_source.as_deref(), Some(row.source.as_str()), "{name}: nothing was edited");
    }
    let children = rows.iter().filter(|row| row.parent_id.is_some());
    if matches!(method, "spark" | "asr-only" | "random-router") {
        assert!(children.clone().all(|row| row.locality == Some(Locality::Local)), "{name}");
        let factors: BTreeSet<_> = children.filter_map(|row| row.factor).collect();
        assert!(factors.len() >= 2, "{name}: {factors:?}");
    }
    rows
}

#[test]
fn spark_and_its_ablations_edit_every_published_program() {
    for program in fixtures() {
        for method in ["spark", "asr-only", "rc-sar-only", "free-form", "random-router"] {
            sound(&program, method);
        }
    }
}

#[test]
fn the_rivals_and_the_controls_edit_every_published_program() {
    for program in fixtures() {
        for method in ["openevolve", "evoprompting", "funsearch", "eoh", "iid", "sequential", "random"] {
            sound(&program, method);
        }
    }
}

#[test]
fn spark_reaches_the_factors_beside_the_triplet_channel() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/seed_mpnn.py");
    let factors: BTreeSet<_> = sound(&program, "spark").iter().filter_map(|row| row.factor).collect();
    assert!(factors.len() >= 4, "{factors:?}");
    sound(&program, "free-form");
}
