//! A tour with the real binaries: what a new user once stumbled over, point by point, and that each of it now behaves. Other
//! tests look at every point more closely; this one does all of them in one sitting, on one machine, in a minute.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tests::{Outcome, finish, root, run, shell, skip};

/// A new user, with a folder for runs and cache.
struct User {
    folder: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a scratch folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Make as it is typed, with the binaries under test and tiny networks.
    fn make(&self, words: &[&str]) -> Outcome {
        let mut make = Command::new("make");
        make.args(words).args(["JOBS=2".to_owned(), "BUILD=no".to_owned(), format!("BIN={}", tests::bin().display())]);
        if !words.iter().any(|word| word.starts_with("PROFILE=")) {
            make.arg("PROFILE=tiny");
        }
        make.args([format!("RUNS={}", self.text("runs")), format!("CACHE={}", self.text("cache"))]);
        for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"] {
            make.env_remove(name);
        }
        make.current_dir(root()).stdin(std::process::Stdio::null());
        finish(make)
    }

    /// Names of the runs that are there.
    fn runs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("runs")).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn archive(&self, run: &str) -> String {
        self.text(&format!("runs/{run}/archive.parquet"))
    }
}

fn rows(table: &str) -> Vec<Value> {
    run("check", [table]).ok().rows()
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

/// Runs a script of the user's data frames.
#[track_caller]
fn python(python: &Path, script: &str) {
    let output = Command::new(python).args(["-c", script]).output().expect("python starts");
    assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn ten_points() {
    let user = User::new();
    let first = watched(&user);
    identity(&user);
    frames(&user);
    long_searches(&user, &first);
    doors(&user);
    page(&user);
    mistakes(&user);
    stays(&user);
    as_printed(&user);
    around(&user);
}

/// 3: there is something to see while it runs, and no more than that.
fn watched(user: &User) -> String {
    let said = user.make(&["search", "SEED=0"]).ok();
    let all = said.stdout.clone() + &said.stderr;
    says(
        &all,
        &[
            "generation 1 of 2: 3 of 6 attempts",
            "best ",
            " left",
            "train: 3 of 3 trainings done",
            "confirmed",
            "report:",
            "winner:",
        ],
    );
    let lines = all.lines().count();
    assert!(lines < 150, "{lines} lines:\n{all}");
    assert!(!all.contains("--config") && !all.contains("Compiling"), "commands of Make or cargo are shown:\n{all}");
    let status = user.make(&["status"]).ok().stdout;
    says(&status, &["6 of 6 attempts", "done"]);
    let watch = user.make(&["watch"]).ok();
    says(&(watch.stdout + &watch.stderr), &["6 of 6 attempts", "done"]);
    all
}

/// 1: `run` is the run, and two profiles side by side are not mixed.
fn identity(user: &User) {
    let other = ["search", "SEED=0", "SET=network.hidden=6 train.steps=5"];
    // The same folder is refused: it is another experiment.
    user.make(&other).refused(2, &["other settings", "network.hidden", "RUN="]);
    let named = format!("RUN={}", user.text("runs/wide"));
    user.make(&[&other[..], &[&named]].concat()).ok();
    let digest = |name: &str| {
        let rows = rows(&user.archive(name));
        assert!(rows.iter().all(|row| row["run"] == name), "{name}: rows of another run");
        assert!(rows[0]["settings_digest"].is_string());
        rows[0]["settings_digest"].clone()
    };
    assert_ne!(digest("spark-dfs-seed0"), digest("wide"));
    let summary = run("select", ["--summary".to_owned(), user.archive("*")]).ok().stdout;
    says(
        &summary,
        &[
            "run:         spark-dfs-seed0\n",
            "run:         wide\n",
            "do not compare",
            "train.steps: 4 in spark-dfs-seed0; 5 in wide",
        ],
    );
    run("select", ["--best".to_owned(), user.archive("*")]).refused(2, &["different settings"]);
    let list = rows_of_list(&user.text("runs/runs.parquet"));
    assert!(list.contains("spark-dfs-seed0") && list.contains("wide"), "{list}");
    let record: Value =
        serde_json::from_str(&fs::read_to_string(user.path("runs/wide/run.json")).expect("a record")).expect("JSON");
    says(record["sessions"][0]["command"].as_str().unwrap_or_default(), &["make search", "SEED=0", "network.hidden=6"]);
}

fn rows_of_list(table: &str) -> String {
    let rows = stage::table::read_records::<schemas::RunRow>(Path::new(table)).expect("the list");
    rows.rows.into_iter().map(|(row, _)| format!("{} {}\n", row.run, row.settings)).collect()
}

/// 2: tables come back from data frames, and CSV is refused before any work.
fn frames(user: &User) {
    let packages = ["duckdb==2.0.0", "pandas", "polars", "pyarrow"];
    let there = tests::python::python("frames", &["duckdb", "pandas", "polars", "pyarrow"], &packages);
    let table = user.text("runs/spark-dfs-seed0/gen001/checked.parquet");
    let config = user.text("runs/spark-dfs-seed0/config.toml");
    let train = ["--config", &config, "--cache", &user.text("cache"), "--quiet"];
    if let Some(there) = there {
        let (pandas, polars) = (user.text("pandas.parquet"), user.text("polars.parquet"));
        python(&there, &format!("import pandas as pd; pd.read_parquet('{table}').to_parquet('{pandas}')"));
        python(&there, &format!("import polars as pl; pl.read_parquet('{table}').write_parquet('{polars}')"));
        let mut answers = vec![run("train", [&train[..], &[&table]].concat()).ok().stdout];
        for (at, back) in [&pandas, &polars].into_iter().enumerate() {
            run("check", [back]).ok();
            let trained = user.text(&format!("trained{at}.parquet"));
            let scored = user.text(&format!("scored{at}.parquet"));
            run("train", [&train[..], &[back, "-o", &trained]].concat()).ok();
            run("score", [&train[..], &[&trained, "-o", &scored]].concat()).ok();
            run("select", ["--config", &config, &scored]).ok();
            answers.push(run("train", [&train[..], &[back]].concat()).ok().stdout);
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "a data frame has changed what is trained");
        for codec in ["zstd", "gzip", "lz4", "brotli"] {
            let packed = user.text(&format!("{codec}.parquet"));
            python(
                &there,
                &format!(
                    "import polars as pl; pl.read_parquet('{table}').write_parquet('{packed}', compression='{codec}')"
                ),
            );
            run("check", [&packed]).ok();
        }
    }
    for name in ["train", "check"] {
        let out = user.text("x.csv");
        let outcome = run(name, [table.as_str(), "-o", &out]);
        assert_ne!(outcome.code, Some(0), "{name}");
        says(&outcome.stderr, &["csv", ".parquet or .jsonl"]);
        assert!(!Path::new(&out).exists());
    }
}

/// 4 and 7: quick is the default with a GPU, too; a long search tells its time before it begins; the whole of arrow is not built.
fn long_searches(user: &User, said: &str) {
    says(said, &["search:  at most about ", "trainings of", "as the first one took"]);
    let tools = user.path("tools");
    fs::create_dir(&tools).expect("a folder");
    let driver = tools.join("nvidia-smi");
    fs::write(&driver, "#!/bin/sh\necho 'GPU 0: NVIDIA H100 (UUID: GPU-1)'\n").expect("written");
    fs::set_permissions(&driver, fs::Permissions::from_mode(0o755)).expect("it may run");
    let mut make = Command::new("make");
    make.args(["help"]).current_dir(root()).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    make.env("PATH", format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default()));
    let help = finish(make).ok().stdout;
    let profile = help.lines().find(|line| line.starts_with("  PROFILE ")).unwrap_or_default();
    says(profile, &[" quick "]);
    let demo = user.make(&["search", "DEMO=yes", "PROFILE=quick"]).ok().stdout;
    says(&demo, &["a recording; nothing is trained now", "every verdict as recorded", "generation 3 of 3", "report:"]);
    assert!(
        !user.path("runs/demo/recorded/gen000/proposed.parquet").exists()
            && user.path("runs/demo/recorded/report.html").exists()
    );
    // Before a long search: here the settings of one, and its steps.
    let long = user.path("runs/long");
    fs::create_dir(&long).expect("a folder");
    let set = ["train.steps=100000".to_owned(), "train.device=\"cpu\"".to_owned()];
    let config = ::stage::Config::load(Some(&root().join("data/profiles/tiny.toml")), &set, &[]).expect("settings");
    fs::write(long.join("config.toml"), config.to_toml()).expect("written");
    fs::copy(root().join("data/seed_pgn.py"), long.join("seed_program.py")).expect("copied");
    let told = run("run", ["estimate", "--before", "--jobs", "1", &long.display().to_string()]).ok().stdout;
    says(&told, &["at most about ", " trainings of ", "as timed steps of the seed program have it"]);
    fs::remove_dir_all(long).expect("removed");
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("the lock");
    assert!(!lock.contains("name = \"arrow\"\n"), "only the parts of arrow that are used are built");
}

/// 5: settings and rules have a door.
fn doors(user: &User) {
    let config = user.text("runs/spark-dfs-seed0/config.toml");
    says(
        &run("train", ["--config", &config, "--settings", "train.steps"]).ok().stdout,
        &["train.steps = 4", "Optimiser steps."],
    );
    says(&run("check", ["--rule", "E-SHAPE-VIEW"]).ok().stdout, &["# E-SHAPE-VIEW", "## Why"]);
    assert!(run("check", ["--rule"]).ok().stdout.lines().count() > 80);
    for page in ["schemas/settings.md", "schemas/rules.md"] {
        let readme = fs::read_to_string(root().join("README.md")).expect("README");
        assert!(root().join(page).is_file() && readme.contains(page), "{page}");
    }
}

/// 6: the page has every candidate, says where it is from, and ends with the settings.
fn page(user: &User) {
    let page = fs::read_to_string(user.path("runs/spark-dfs-seed0/report.html")).expect("the page");
    says(
        &page,
        &[
            "<dt>command</dt>",
            "make search SEED=0",
            "<dt>version</dt>",
            "<dt>machine</dt>",
            "<dt>date</dt>",
            "best.py",
            "archive.parquet",
        ],
    );
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not on the page"));
    assert!(place("<svg") < place("id=\"settings\""), "settings come before the first figure");
    for row in rows(&user.archive("spark-dfs-seed0")) {
        let id = row["candidate_id"].as_str().expect("an id");
        assert!(page.contains(id.get(..8).unwrap_or(id)), "{id} is not on the page");
    }
    assert!(page.len() < 2 << 20);
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http://localhost"), "the page loads something");
}

/// 8: what can be known is refused before any work, in plain words.
fn mistakes(user: &User) {
    let before = user.runs();
    for (words, told) in [
        (&["search", "seed=3"][..], &["SEED?"][..]),
        (&["search", "SEED=7", "TASK=dsf"], &["dsf", "dfs"]),
        (&["search", "SEED=7", "METHOD=sparkk"], &["did you mean `spark`?"]),
        (&["search", "SEED=7", "ITERATIONS=-5"], &["must not be negative: -5"]),
        (&["search", "SEED=7", "ITERATIONS=2.5"], &["must be a whole number: 2.5"]),
        (&["search", "SEED=-1"], &["must not be negative: -1"]),
        (&["search", "DEMO=maybe"], &["yes or no"]),
        (&["transfer", "SEED=7"], &["make search SEED=7"]),
    ] {
        let outcome = user.make(words);
        assert_ne!(outcome.code, Some(0), "{words:?}: {}", outcome.stdout);
        says(&outcome.stderr, told);
        assert_eq!(user.runs(), before, "{words:?} left a run");
    }
    run("transfer", ["--cache", &user.text("cache")]).refused(2, &["no program to transfer"]);
    run("propose", ["--n", "-5"]).refused(2, &["must not be negative"]);
    fs::write(user.path("none.jsonl"), "").expect("written");
    let nothing = user.text("nothing.html");
    run("report", [&user.text("none.jsonl"), "-o", &nothing]).refused(2, &["nothing to report"]);
    assert!(!Path::new(&nothing).exists());
}

/// 8: copies, touched files and clones remake nothing, and an edited seed program says that it is another one.
fn stays(user: &User) {
    shell(&format!("cp -r '{0}/spark-dfs-seed0' '{0}/copy'", user.text("runs"))).ok();
    shell(&format!("find '{}/copy' -name '*.parquet' -exec touch {{}} +", user.text("runs"))).ok();
    let seed = user.path("seed.py");
    fs::copy(root().join("data/seed_pgn.py"), &seed).expect("copied");
    let later = SystemTime::now() + Duration::from_secs(99_999);
    fs::File::options().append(true).open(&seed).and_then(|file| file.set_modified(later)).expect("touched");
    let (named, program) = (format!("RUN={}", user.text("runs/copy")), format!("PROGRAM={}", seed.display()));
    says(&user.make(&["search", "SEED=0", &named, &program]).ok().stdout, &["nothing to do"]);
    let text = fs::read_to_string(&seed).expect("the program");
    fs::write(&seed, text + "\n# edited\n").expect("written");
    user.make(&["search", "SEED=0", &named, &program]).refused(2, &["another seed program"]);
}

/// 9: examples run as they are printed, in bash, where `select` is a reserved word; other settings than a profile's are announced.
fn as_printed(user: &User) {
    let script = format!(
        "emberline select --summary '{}' && emberline report '{}' -o - | grep -c '^<!doctype html>$'",
        user.archive("wide"),
        user.archive("wide")
    );
    says(&shell(&script).ok().stdout, &["proposals:   6 in 3 generations", "\n1\n"]);
    says(&run("select", ["--help"]).ok().stdout, &["emberline select"]);
    let said = run("train", ["--cache", &user.text("cache"), &user.text("none.jsonl")]).ok().stderr;
    says(&said, &["no --config"]);
}

/// 10: what is around the programs.
fn around(user: &User) {
    let prefix = user.text("prefix");
    user.make(&["install", &format!("PREFIX={prefix}")]).ok();
    for file in [
        "bin/emberline",
        "share/man/man1/emberline-train.1",
        "share/bash-completion/completions/emberline",
        "share/zsh/site-functions/_emberline",
    ] {
        assert!(Path::new(&prefix).join(file).is_file(), "{file}");
    }
    says(&run("emberline", ["--version"]).ok().stdout, &["emberline ", "(commit "]);
    for file in ["CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "Containerfile", "workflows/ci.yml"] {
        assert!(root().join(".github").join(file).is_file(), "{file}");
    }
    let readme = fs::read_to_string(root().join("README.md")).expect("README");
    let words = readme.split_whitespace().count();
    assert!(words <= 1000 && readme.contains("![") && readme.contains("report.png"), "{words} words");
    if !root().join(".git").exists() {
        skip("the commit of --version: this is no repository");
    }
}
