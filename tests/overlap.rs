//! Generations that overlap (`search.lag`): whatever the timing, the same archive.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tests::{finish, kill9, make, moments, run};

/// A search of eight proposals in four generations, three of which may be under way at once.
fn search(folder: &Path, variables: &[&str]) -> Command {
    let mut make = make(folder, "search");
    make.args(["ITERATIONS=8", "SET=search.generation_size=2 search.lag=2 confirm.top=0"]).args(variables);
    make
}

fn archive(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("run/archive.parquet")).expect("the archive")
}

fn rows(table: &Path) -> Vec<serde_json::Value> {
    run("check", ["--json", &table.display().to_string()]).ok().rows()
}

#[test]
fn any_number_of_jobs_and_any_kill_gives_the_same_archive() {
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a scratch folder"));
    let [calm, busy, killed] = folders.each_ref().map(|folder| folder.path());
    let began = Instant::now();
    finish(search(calm, &["JOBS=1"])).ok();
    let whole = began.elapsed();
    finish(search(busy, &["JOBS=6"])).ok();
    assert!(archive(calm) == archive(busy), "the number of jobs has changed the archive");

    for moment in moments(whole).take(3) {
        kill9(search(killed, &["JOBS=3"]), moment, killed);
    }
    finish(search(killed, &[])).ok();
    assert!(archive(calm) == archive(killed), "kills have changed the archive");
    let again = finish(search(killed, &[])).ok();
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);

    let table = calm.join("run/archive.parquet");
    let rows = rows(&table);
    let number = |row: &serde_json::Value, name: &str| row[name].as_i64().expect("a number");
    let attempts: Vec<i64> = rows.iter().map(|row| number(row, "attempt")).collect();
    assert_eq!(attempts, (0..=8).collect::<Vec<_>>());
    let seed = rows[0]["candidate_id"].clone();
    for row in &rows[1..] {
        let generation = number(row, "generation");
        let parent = rows.iter().find(|other| other["candidate_id"] == row["parent_id"]).expect("its parent");
        // Generations 1 to 3 know of generation 0 alone; generation 4 knows of generation 1, too.
        assert!(number(parent, "generation") <= (generation - 3).max(0), "{row}");
        assert!(generation > 3 || row["parent_id"] == seed, "{row}");
    }
}

#[test]
fn equal_graphs_under_way_are_trained_once() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    finish(search(folder.path(), &["JOBS=2"])).ok();
    // Somebody proposes in generation 2 what is under way in generation 1, in other words.
    let generation =
        |number: usize, table: &str| -> PathBuf { folder.path().join(format!("run/gen{number:03}/{table}.parquet")) };
    let twin = rows(&generation(1, "proposed"))[0]["source"].as_str().expect("a program").to_owned() + "\n# the same\n";
    let program = folder.path().join("twin.py");
    std::fs::write(&program, &twin).expect("written");
    let mut proposed = rows(&generation(2, "proposed"));
    proposed[0]["candidate_id"] = rows(&program)[0]["candidate_id"].clone();
    proposed[0]["source"] = twin.into();
    proposed[0]["status"] = "proposed".into();
    let lines: String = proposed.iter().map(|row| format!("{row}\n")).collect();
    let file = folder.path().join("theirs.jsonl");
    std::fs::write(&file, lines).expect("written");
    let arguments = |known: &[PathBuf]| {
        let config = folder.path().join("run/config.toml").display().to_string();
        let mut all = vec!["--json".to_owned(), "--config".to_owned(), config, file.display().to_string()];
        all.extend(known.iter().flat_map(|path| ["--known".to_owned(), path.display().to_string()]));
        all
    };
    let judged = |known: &[PathBuf]| run("check", arguments(known)).ok().rows()[0]["status"].clone();
    assert_eq!(judged(&[generation(0, "archive")]), "accepted", "the archive does not know of it");
    assert_eq!(judged(&[generation(0, "archive"), generation(1, "checked")]), "duplicate");

    // That is how the search calls `check`.
    std::fs::remove_file(generation(2, "checked")).expect("it was there");
    let said = finish(search(folder.path(), &["-n"])).ok();
    let line = said.stdout.replace("\\\n", " ");
    let line = line.lines().find(|line| line.contains("/check ") && line.contains("gen002/proposed")).expect("check");
    assert!(line.contains("gen000/archive.parquet") && line.contains("gen001/checked.parquet"), "{line}");
}

#[test]
fn a_plan_of_thousands_of_generations_is_read_at_once() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut make = make(folder.path(), "search");
    make.args(["-n", "ITERATIONS=30000", "SET=search.generation_size=10 search.lag=3 train.max_seeds=2"]);
    let began = Instant::now();
    let said = finish(make).ok();
    // More names than fit into an argument of a command; the time is a guard against what grows with their square.
    assert!(said.stdout.contains("gen3000/scored1.parquet"), "{}", said.stdout.len());
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
    assert!(!folder.path().join("run").exists(), "a dry run writes nothing");
}
