//! Runs keep what they are: what is made again is told by contents, settings are held, and no variable of Make is ever
//! run as code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use tests::{Outcome, finish, make, make_search, root, run, shell, with_shared_cache};

/// A scratch folder with a finished search in `run`.
fn finished() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    again(folder.path(), &[]).ok();
    folder
}

/// The search again, with further variables.
fn again(folder: &Path, variables: &[&str]) -> Outcome {
    let mut make = with_shared_cache(make_search(folder, 0));
    make.args(variables);
    finish(make)
}

/// Every file of a run with its content, and when it was written.
fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            let time = entry.metadata().and_then(|data| data.modified()).expect("a time");
            files.push((path.clone(), fs::read(&path).expect("readable"), time));
        }
    }
    files.sort();
    files
}

#[track_caller]
fn nothing_to_do(outcome: Outcome) {
    let outcome = outcome.ok();
    assert!(outcome.stdout.contains("nothing to do"), "{}\n{}", outcome.stdout, outcome.stderr);
}

fn set_time(path: &Path, time: SystemTime) {
    fs::File::options().append(true).open(path).and_then(|file| file.set_modified(time)).expect("a time can be set");
}

fn rows(path: &Path) -> Vec<serde_json::Value> {
    run("check", [path.display().to_string()]).ok().rows()
}

#[test]
fn times_of_files_remake_nothing() {
    let folder = finished();
    let here = folder.path().join("run");
    let later = SystemTime::now() + Duration::from_secs(1_000_000);
    let paths: Vec<PathBuf> = snapshot(&here).into_iter().map(|(path, ..)| path).collect();
    for (number, path) in paths.iter().enumerate() {
        set_time(path, if number % 2 == 0 { later } else { SystemTime::UNIX_EPOCH + Duration::from_secs(99) });
    }
    let seed = folder.path().join("seed.py");
    fs::copy(root().join("data/seed_pgn.py"), &seed).expect("copied");
    set_time(&seed, later);
    let before = snapshot(&here);
    nothing_to_do(again(folder.path(), &[&format!("PROGRAM={}", seed.display())]));
    assert!(snapshot(&here) == before);
}

#[test]
fn a_copied_or_moved_run_is_complete() {
    let folder = finished();
    let copy = folder.path().join("the copy");
    shell(&format!("cp -r '{}/run' '{}'", folder.path().display(), copy.display())).ok();
    let moved = folder.path().join("moved: away");
    fs::rename(&copy, &moved).expect("moved");
    let before = snapshot(&moved);
    // With an empty cache, a training would show.
    let nowhere = folder.path().join("empty");
    let variables = [format!("RUN={}", moved.display()), format!("CACHE={}", nowhere.display())];
    nothing_to_do(again(folder.path(), &variables.each_ref().map(String::as_str)));
    assert!(snapshot(&moved) == before && !nowhere.exists());
}

#[test]
fn another_seed_program_is_another_setting() {
    let folder = finished();
    let here = folder.path().join("run");
    let seed = folder.path().join("seed.py");
    let text = fs::read_to_string(root().join("data/seed_pgn.py")).expect("the seed program");
    fs::write(&seed, format!("{text}\n# edited\n")).expect("written");
    let program = format!("PROGRAM={}", seed.display());
    let before = snapshot(&here);
    again(folder.path(), &[&program]).refused(2, &["another seed program", "seed_program.py", "RUN="]);
    assert!(snapshot(&here) == before);
    let own = format!("PROGRAM={}", here.join("seed_program.py").display());
    nothing_to_do(again(folder.path(), &[&own]));
    fs::write(here.join("seed_program.py"), format!("{text}\n# edited\n")).expect("written");
    again(folder.path(), &[&program]).refused(2, &["not the seed program", "gen000/proposed.parquet"]);
}

#[test]
fn fewer_proposals_are_refused_and_more_extend_the_run() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let here = folder.path().join("run");
    // The last generation of 4 proposals has only one of its three.
    again(folder.path(), &["ITERATIONS=4"]).ok();
    let before = snapshot(&here);
    again(folder.path(), &["ITERATIONS=2"]).refused(2, &["4 proposals already", "the 2 asked for"]);
    assert!(snapshot(&here) == before);
    again(folder.path(), &["ITERATIONS=7"]).ok();
    let changes = fs::read_to_string(here.join("changes.jsonl")).expect("the change is noted");
    assert!(changes.contains(r#"{"key":"search.attempts","before":4,"now":7}"#), "{changes}");
    // The profile's 6 are not asked for, and do not shorten what was extended.
    nothing_to_do(again(folder.path(), &[]));
    let whole = tempfile::tempdir().expect("a scratch folder");
    again(whole.path(), &["ITERATIONS=7"]).ok();
    let archive = |folder: &Path| rows(&folder.join("run/archive.parquet"));
    assert_eq!(archive(folder.path()).len(), 8);
    assert!(archive(folder.path()) == archive(whole.path()), "extended, it is another run");
}

#[test]
fn settings_of_the_experiment_hold_and_operational_ones_may_change() {
    let folder = finished();
    let here = folder.path().join("run");
    let before = snapshot(&here);
    for setting in ["SET=train.steps=7", "SET=score.ood_length=6 llm.jobs=2", "METHOD=eoh", "TASK=bfs"] {
        again(folder.path(), &[setting]).refused(2, &["other settings", "before", "now"]);
    }
    assert!(snapshot(&here) == before);
    nothing_to_do(again(folder.path(), &["SET=llm.max_tokens_total=1000 llm.jobs=2", "DEVICE=cpu"]));
    let noted = fs::read_to_string(here.join("changes.jsonl")).expect("changes are noted");
    for key in ["llm.max_tokens_total", "llm.jobs", "train.device"] {
        assert!(noted.contains(key), "{noted}");
    }
    nothing_to_do(again(folder.path(), &[]));
    let config = fs::read_to_string(here.join("config.toml")).expect("the settings");
    assert!(config.contains("max_tokens_total = 1000"), "what was not asked for now stays: {config}");
    assert_eq!(fs::read_to_string(here.join("changes.jsonl")).expect("there").lines().count(), 1);
}

#[test]
fn a_table_put_there_by_hand_stays_and_what_follows_is_made_again() {
    let folder = finished();
    let here = folder.path().join("run");
    let table = here.join("gen001/scored.parquet");
    let mut edited = rows(&table);
    for row in edited.iter_mut().filter(|row| row["status"] == "scored") {
        row["fitness"] = serde_json::json!(0.875);
    }
    let lines: String = edited.iter().map(|row| format!("{row}\n")).collect();
    let jsonl = folder.path().join("edited.jsonl");
    fs::write(&jsonl, lines).expect("written");
    // `score` passes rows that have a score.
    run("score", [jsonl.as_os_str(), "-o".as_ref(), table.as_os_str()]).ok();
    let ours = fs::read(&table).expect("the table");
    let upstream = fs::read(here.join("gen001/trained.parquet")).expect("a table");
    let said = again(folder.path(), &[]).ok();
    assert!(said.stderr.contains("gen001/trained1 is made again"), "{}", said.stderr);
    assert!(fs::read(&table).expect("the table") == ours, "the table made by hand was overwritten");
    assert!(fs::read(here.join("gen001/trained.parquet")).expect("a table") == upstream);
    let best: Vec<_> = rows(&here.join("archive.parquet")).iter().filter_map(|row| row["fitness"].as_f64()).collect();
    assert!(best.contains(&0.875), "{best:?}");
    nothing_to_do(again(folder.path(), &[]));
}

/// Values that end words, quotes and commands in shells and in Make.
const HOSTILE: [&str; 4] = [
    "a b'c\";d$(touch pwned)`touch pwned`&touch pwned;#%:é",
    "$(shell touch pwned)${shell touch pwned}$$(touch pwned)\\",
    "-x [y]*?~ =\u{1b}[31m",
    "new\nline\ttab|touch pwned",
];

/// Make in a scratch copy of what it needs, so that files which a value makes would be seen.
fn copy_of_the_makefile(folder: &Path) -> PathBuf {
    let top = folder.join("top");
    shell(&format!("mkdir '{0}' && cp -r Makefile data '{0}'", top.display())).ok();
    top
}

fn hostile_make(top: &Path, target: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = make(top, target);
    command.current_dir(top).args(variables.iter().map(|(name, value)| format!("{name}={value}")));
    command
}

#[test]
fn folders_may_have_any_name() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let top = copy_of_the_makefile(folder.path());
    for (number, name) in HOSTILE.into_iter().enumerate() {
        // Folders of their own: with an equal seed, all of them share a cache.
        let cache = format!("{name} cache");
        let variables =
            [("RUN", name), ("CACHE", &cache), ("SET", "train.seeds=[0, 1]  train.steps=3 search.attempts=1")];
        finish(hostile_make(&top, "search", &variables)).ok();
        assert!(top.join(name).join("results/best.py").exists(), "{number}: {name}");
        let config = fs::read_to_string(top.join(name).join("config.toml")).expect("settings");
        assert!(config.contains("seeds = [0, 1]") && config.contains("steps = 3"), "{config}");
        nothing_to_do(finish(hostile_make(&top, "search", &variables)));
        finish(hostile_make(&top, "clean-run", &variables)).ok();
        assert!(!top.join(name).exists(), "{number}: {name}");
    }
    assert!(!top.join("pwned").exists(), "a variable was run");
}

#[test]
fn no_variable_is_run_in_any_target() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let top = copy_of_the_makefile(folder.path());
    let names = [
        "RUN",
        "RUNS",
        "CACHE",
        "PROGRAM",
        "TRANSCRIPTS",
        "SET",
        "SETTINGS",
        "REPLAY",
        "API_BASE",
        "MODEL",
        "TASKS",
        "OUT",
        "SEED",
        "METHOD",
        "TASK",
        "PROFILE",
        "ITERATIONS",
        "JOBS",
        "DEVICE",
        "PROPOSER",
        "METHODS",
        "SEEDS",
        "MINUTES",
        "DRY",
        "BIN",
    ];
    for value in HOSTILE {
        for name in names {
            // What comes of it is mostly a refusal; that nothing is run, and nothing left, is what counts.
            for target in ["search", "transfer", "compare", "clean-run", "gpu-check", "replay", "ping"] {
                let wanted = match target {
                    "search" => true,
                    "compare" => ["METHODS", "SEEDS", "RUNS"].contains(&name),
                    "gpu-check" => ["OUT", "MINUTES", "DRY"].contains(&name),
                    "clean-run" => ["RUN", "RUNS"].contains(&name),
                    "replay" => ["RUN", "REPLAY", "TRANSCRIPTS"].contains(&name),
                    "ping" => ["RUN", "SET", "SETTINGS", "API_BASE", "MODEL", "PROFILE"].contains(&name),
                    _ => ["TASKS", "PROGRAM", "RUN", "DEVICE", "SET"].contains(&name),
                };
                if wanted {
                    let mut command = hostile_make(&top, target, &[(name, value)]);
                    // A dry run is enough to see what Make itself would run; recipes with sub-makes run even so.
                    command.args(["-n", "METHODS=spark", "SEEDS=0"]).arg(format!("{name}={value}"));
                    finish(command);
                    assert!(!top.join("pwned").exists(), "{target} {name}={value}");
                }
            }
        }
    }
}

#[test]
fn only_runs_are_removed() {
    let folder = finished();
    let top = copy_of_the_makefile(folder.path());
    let clean = |run: &str| {
        let mut command = make(&top, "clean-run");
        command.current_dir(&top).env("HOME", folder.path()).arg(format!("RUN={run}"));
        finish(command)
    };
    fs::create_dir(top.join("thesis")).expect("a folder");
    fs::write(top.join("thesis/chapter1.tex"), "years of work").expect("written");
    let home = folder.path().display().to_string();
    for run in ["/", ".", "..", "./", "data/..", home.as_str(), "data", "thesis", "Makefile"] {
        clean(run).refused(2, &["is not removed"]);
    }
    let linked = top.join("linked");
    std::os::unix::fs::symlink(folder.path().join("run"), &linked).expect("a link");
    clean("linked").refused(2, &["link"]);
    clean("linked/").refused(2, &["link"]);
    fs::copy(folder.path().join("run/config.toml"), top.join("thesis/config.toml")).expect("copied");
    clean("thesis").refused(2, &["chapter1.tex"]);
    assert!(top.join("thesis/chapter1.tex").exists() && folder.path().join("run/archive.parquet").exists());
    clean(&folder.path().join("run").display().to_string()).ok();
    assert!(!folder.path().join("run").exists());
}
