//! Whole searches through Make, with the tiny profile.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use tests::{finish, make_search, run};

/// The time of last change of every table of a run.
fn tables(run: &Path) -> BTreeMap<PathBuf, SystemTime> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, SystemTime>) {
        for entry in std::fs::read_dir(folder).expect("a folder of the run").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                found.insert(path, entry.metadata().and_then(|m| m.modified()).expect("a time of change"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(run, &mut found);
    found
}

/// The names of the tables that are not as they were, from `generation/stage` on.
fn changed(run: &Path, before: &BTreeMap<PathBuf, SystemTime>) -> Vec<String> {
    let now = tables(run);
    let differs = now.iter().filter(|&(path, time)| before.get(path) != Some(time));
    differs.map(|(path, _)| path.strip_prefix(run).expect("inside the run").display().to_string()).collect()
}

#[test]
fn a_search_finishes_and_make_reruns_only_what_is_missing() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let run_folder = folder.path().join("run");
    let first = finish(make_search(folder.path(), 0)).ok();
    for file in ["config.toml", "archive.parquet", "report.html", "results/best.py"] {
        assert!(run_folder.join(file).exists(), "{file} is missing");
        if file != "config.toml" && file != "archive.parquet" {
            assert!(first.stdout.contains(file), "{file} is not announced in:\n{}", first.stdout);
        }
    }

    let archive = run_folder.join("archive.parquet").display().to_string();
    let checked = run("check", [archive.as_str()]).ok();
    let scored = checked.rows().iter().filter(|row| row["fitness"].as_f64().is_some()).count();
    assert!(scored >= 3, "only {scored} candidates were trained and scored");

    let before = tables(&run_folder);
    let again = finish(make_search(folder.path(), 0)).ok();
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    assert_eq!(changed(&run_folder, &before), Vec::<String>::new());

    std::fs::remove_file(run_folder.join("gen001/scored.parquet")).expect("it was there");
    finish(make_search(folder.path(), 0)).ok();
    let reran = changed(&run_folder, &before);
    assert!(reran.contains(&"gen001/scored.parquet".to_owned()), "{reran:?}");
    assert!(reran.contains(&"gen001/archive.parquet".to_owned()), "{reran:?}");
    let untouched = |table: &&String| table.starts_with("gen000") || table.ends_with("gen001/trained.parquet");
    assert_eq!(reran.iter().find(untouched), None);
}

#[test]
fn two_runs_with_one_seed_are_equal_and_another_seed_differs() {
    let archive = |seed| {
        let folder = tempfile::tempdir().expect("a scratch folder");
        finish(make_search(folder.path(), seed)).ok();
        std::fs::read(folder.path().join("run/archive.parquet")).expect("the archive")
    };
    let first = archive(3);
    assert!(first == archive(3), "the same seed gave another archive");
    assert!(first != archive(4), "another seed gave the same archive");
}

#[test]
fn a_run_keeps_its_settings() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    finish(make_search(folder.path(), 0)).ok();
    let mut other = make_search(folder.path(), 0);
    other.arg("SET=train.steps=7");
    finish(other).refused(2, &["other settings", "steps"]);
}

/// Every process whose command line names `folder`, apart from this test.
fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("a Linux machine").flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&name) {
            found.push(line);
        }
    }
    found
}

#[test]
fn kill9_anywhere_then_make() {
    let calm = tempfile::tempdir().expect("a scratch folder");
    let start = SystemTime::now();
    finish(make_search(calm.path(), 0)).ok();
    let whole = start.elapsed().unwrap_or(Duration::from_secs(10));

    let folder = tempfile::tempdir().expect("a scratch folder");
    // The moments are drawn anew each time, from the clock: any of them has to do.
    let mut state = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |t| t.as_nanos() as u64) | 1;
    for _ in 0..5 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let moment = whole.mul_f64(0.02 + 0.5 * (state % 1000) as f64 / 1000.0);
        let mut make = make_search(folder.path(), 0);
        make.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut child = make.spawn().expect("make starts");
        std::thread::sleep(moment);
        // SAFETY: a plain system call; the group is the one that was just made.
        unsafe { libc::kill(-(child.id() as libc::pid_t), libc::SIGKILL) };
        child.wait().expect("make ends");
        // Trainings have process groups of their own; they must not outlive their supervisor.
        let deadline = SystemTime::now() + Duration::from_secs(10);
        while !processes_of(folder.path()).is_empty() {
            assert!(SystemTime::now() < deadline, "still there: {:?}", processes_of(folder.path()));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    finish(make_search(folder.path(), 0)).ok();
    let read = |folder: &Path| std::fs::read(folder.join("run/archive.parquet")).expect("the archive");
    assert!(read(calm.path()) == read(folder.path()), "the interrupted run has another archive");
}
