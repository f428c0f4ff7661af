//! Mistakes that can be known before any work are refused before any work, in words that say what to do.

use std::fs;
use std::path::Path;

use tests::{Outcome, finish, make, make_search, run, shell, stage};

/// A search with these variables; what it leaves of a run's folder.
fn search(folder: &Path, variables: &[&str]) -> Outcome {
    let mut make = make_search(folder, 0);
    make.args(variables);
    finish(make)
}

#[test]
fn misspelt_names_and_impossible_numbers_leave_no_run() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let cases: &[(&[&str], &[&str])] = &[
        (&["TASK=dsf"], &["dsf", "dfs"]),
        (&["METHOD=sparkk"], &["no method `sparkk`", "did you mean `spark`?", "openevolve"]),
        (&["PROPOSER=bultin"], &["did you mean `builtin`?"]),
        (&["SEED=-5"], &["search.seed", "must not be negative: -5"]),
        (&["SEED=two"], &["search.seed", "whole number"]),
        (&["ITERATIONS=-5"], &["search.attempts", "must not be negative: -5"]),
        (&["ITERATIONS=2.5"], &["search.attempts", "must be a whole number: 2.5"]),
        (&["JOBS=-1"], &["JOBS=-1", "must not be negative"]),
        (&["JOBS=many"], &["JOBS=many", "whole number"]),
        (&["SET=train.steps=-5"], &["train.steps", "must not be negative: -5"]),
        (&["SET=train.batch_size=99999999999999999999"], &["train.batch_size"]),
        (&["SET=train.stepz=5"], &["did you mean `train.steps`?"]),
        (&["PROFILE=qick"], &["qick.toml"]),
        (&["PROGRAM=nowhere.py"], &["nowhere.py"]),
        (&["STAGE_AFTER_check=./my_stage", "DEVICE=gpu"], &["train.device"]),
    ];
    for (variables, words) in cases {
        let outcome = search(folder.path(), variables);
        let code = outcome.code;
        assert_ne!(code, Some(0), "{variables:?}: {}", outcome.stdout);
        for word in *words {
            assert!(outcome.stderr.contains(word), "{variables:?}: {word:?} is missing in: {}", outcome.stderr);
        }
        assert!(!folder.path().join("run").exists(), "{variables:?} left a run");
    }
}

#[test]
fn variables_that_nobody_knows_are_refused() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for (variable, words) in [
        ("seed=3", &["there is no variable seed", "SEED?"][..]),
        ("Jobs=2", &["JOBS?"]),
        ("ITERATION=3", &["ITERATIONS?"]),
        ("STEPS=3", &["there is no variable STEPS", "make help"]),
    ] {
        let outcome = search(folder.path(), &[variable]);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        for word in words {
            assert!(outcome.stderr.contains(word), "{word:?} is missing in: {}", outcome.stderr);
        }
        assert!(!folder.path().join("run").exists());
    }
    let help = finish(make(folder.path(), "help")).ok().stdout;
    let profile = help.lines().find(|line| line.starts_with("  PROFILE ")).unwrap_or_default();
    assert!(profile.contains(" quick "), "quick is the default everywhere:\n{help}");
}

#[test]
fn outputs_are_looked_at_before_the_work() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (seed, tiny, cache) = ("data/seed_pgn.py", "data/profiles/tiny.toml", path("cache"));
    fs::write(path("file"), "x").expect("written");
    shell(&format!("propose --n 2 --seed 1 | check - -o '{}'", path("rows.parquet"))).ok();
    let rows = path("rows.parquet");
    let train = ["--config", tiny, "--cache", &cache, seed];
    let nowhere = [path("nowhere/x.parquet"), path("file/x.parquet"), folder.path().display().to_string()];
    for out in &nowhere {
        let refused = |name: &str, args: &[&str]| {
            let outcome = run(name, args);
            assert!(matches!(outcome.code, Some(1 | 2)), "{name} {args:?}: {outcome:?}");
            assert!(
                outcome.stderr.contains("error:") && outcome.stderr.contains(out.as_str()),
                "{name}: {}",
                outcome.stderr
            );
            assert!(!Path::new(&cache).exists(), "{name} {args:?} trained");
        };
        refused("train", &[&train[..], &["-o", out]].concat());
        refused("train", &[&train[..], &["--curves", out]].concat());
        refused("score", &["--config", tiny, "--cache", &cache, &rows, "-o", out]);
        refused("score", &["--config", tiny, "--cache", &cache, &rows, "--graphs", out]);
        refused("confirm", &["--config", tiny, "--cache", &cache, &rows, "--json", out]);
        refused("transfer", &["--config", tiny, "--cache", &cache, "--program", seed, "-o", out]);
        refused(
            "transfer",
            &["--config", tiny, "--cache", &cache, "--program", seed, "-o", &path("o.jsonl"), "--summary", out],
        );
        refused("select", &["--best", &rows, "-o", out]);
        refused("propose", &["--n", "1", "-o", out]);
        refused("check", &[&rows, "-o", out]);
    }
    run("report", [&rows, "-o", &path("file/report.html")]).refused(1, &["file"]);
    run("select", ["--export", &path("file/results"), &rows]).refused(1, &["file"]);
}

#[test]
fn nothing_to_do_is_said_and_defaults_are_announced() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let cache = path("cache");
    run("transfer", ["--cache", &cache]).refused(2, &["no program to transfer", "--program"]);
    assert!(!Path::new(&cache).exists());
    fs::write(path("none.jsonl"), "").expect("written");
    run("report", [path("none.jsonl")]).refused(2, &["nothing to report"]);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "a page about nothing was written");
    let mut report = stage("report");
    report.current_dir(folder.path());
    finish(report).refused(2, &["nothing to report"]);

    for (name, args) in [
        ("train", vec!["--jobs", "-1"]),
        ("propose", vec!["--n", "-3"]),
        ("propose", vec!["--seed", "-1"]),
        ("report", vec!["--top", "-1"]),
        ("sample", vec!["--algorithm", "dfs", "--length", "-4"]),
    ] {
        run(name, args).refused(2, &["must not be negative"]);
    }
    run("train", ["--set", "train.steps=-5"]).refused(2, &["train.steps", "must not be negative: -5"]);

    // Without a profile the built-in settings hold: that is said, once, and not where somebody asks for silence.
    let none = path("none.jsonl");
    let said = run("train", ["--cache", &cache, &none]).ok().stderr;
    assert!(said.contains("no --config"), "{said}");
    let silent = run("train", ["--cache", &cache, "--quiet", &none]).ok().stderr;
    assert!(!silent.contains("--config"), "{silent}");
    let told = run("train", ["--cache", &cache, "--config", "data/profiles/quick.toml", &none]).ok().stderr;
    assert!(!told.contains("no --config"), "{told}");
}

#[test]
fn the_time_of_a_search_is_told_after_its_first_training() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let said = search(folder.path(), &[]).ok().stdout;
    let line = said.lines().find(|line| line.contains("to go")).unwrap_or_else(|| panic!("no estimate in:\n{said}"));
    // Six candidates, three and two rounds of racing of their halves, two leaders once and two seeds of each of two.
    assert!(line.contains("trainings of") && line.contains("as the first one took"), "{line}");
    let again = search(folder.path(), &[]).ok().stdout;
    assert!(!again.contains("to go"), "{again}");
}
