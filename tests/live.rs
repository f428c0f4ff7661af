//! A search that one can watch: plain lines or a block on a terminal, a page after each generation, and nothing of it ever in
//! a table.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::{bin, finish, make_search, root, run, shell, skip, stage};

fn archive(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("run/archive.parquet")).expect("the archive")
}

#[test]
fn a_search_says_what_it_finds_and_hides_its_commands() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let here = folder.path().join("run");
    let said = finish(make_search(folder.path(), 0)).ok();
    let all = said.stdout.clone() + &said.stderr;
    assert!(!all.contains("--config"), "a command is shown: {all}");
    for generation in [
        "generation 0 of 2: 0 of 6 attempts, best ",
        "generation 1 of 2: 3 of 6 attempts, best ",
        "generation 2 of 2: 6 of 6",
    ] {
        assert!(said.stdout.contains(generation), "{generation} is missing in:\n{}", said.stdout);
    }
    assert!(said.stderr.contains("train: 3 of 3 trainings done"), "{}", said.stderr);

    // Once it is done, that is what is said, and nothing refreshes itself any more.
    let watched = run("run", ["watch", &here.display().to_string(), "--once"]).ok();
    assert!(
        watched.stdout.contains("confirmed gain: ") && watched.stdout.trim_end().ends_with(", done"),
        "{}",
        watched.stdout
    );
    let status = run("run", ["status", &here.display().to_string()]).ok();
    assert!(status.stdout.contains("6 of 6 attempts"), "{}", status.stdout);
    let page = fs::read_to_string(here.join("report.html")).expect("the page");
    assert!(!page.contains("data-live") && !page.contains("http-equiv=\"refresh\""));
    for part in [
        "<dt>command</dt><dd class=\"code\">make search SEED=0 PROFILE=tiny",
        "<dt>version</dt>",
        "<dt>machine</dt>",
        "<dt>date</dt>",
        "best.py",
    ] {
        assert!(page.contains(part), "the head lacks: {part}");
    }

    // Display is not a part of a run: without it, there is nothing to do either.
    fs::remove_file(here.join("progress.json")).expect("it was there");
    let again = finish(make_search(folder.path(), 0)).ok();
    assert!(again.stdout.contains("nothing to do") && !here.join("progress.json").exists());
    let other = tempfile::tempdir().expect("a scratch folder");
    let mut shown = make_search(other.path(), 0);
    shown.args(["V=1", "ITERATIONS=1", "SET=confirm.top=0"]);
    let shown = finish(shown).ok();
    assert!(shown.stdout.contains("--config"), "V=1 shows commands: {}", shown.stdout);
}

#[test]
fn a_page_is_there_while_the_search_is_on_and_others_can_watch() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let here = folder.path().join("run");
    let mut search = make_search(folder.path(), 0);
    let mut search = search.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("make starts");
    let deadline = Instant::now() + Duration::from_secs(240);
    while !here.join("config.toml").exists() {
        assert!(Instant::now() < deadline, "the run never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    let watcher =
        stage("run").args(["watch".as_ref(), here.as_os_str()]).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut live = None;
    while search.try_wait().expect("it runs").is_none() {
        assert!(Instant::now() < deadline, "the search never ends");
        live =
            fs::read_to_string(here.join("report.html")).ok().filter(|page| page.contains("data-live=\"30\"")).or(live);
        std::thread::sleep(Duration::from_millis(20));
    }
    let live = live.expect("there was no page while the search was on");
    assert!(
        live.contains("<strong>The search is on</strong>: generation ")
            && live.contains(" of 2, ")
            && live.contains(" of 6 attempts")
    );
    assert!(live.contains("<noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript>"));
    let watched = watcher.wait_with_output().expect("the watcher ends with the search");
    let watched = String::from_utf8_lossy(&watched.stderr).into_owned();
    assert!(watched.contains("generation 1 of 2: ") && watched.trim_end().ends_with(", done"), "{watched}");
    assert!(watched.contains("train: 1/3: "), "results are told to those who watch: {watched}");
}

/// The real binaries, but for a `report` that fails while the search is on.
fn without_pages(folder: &Path) -> String {
    let binaries = folder.join("bin");
    fs::create_dir(&binaries).expect("a folder");
    for entry in fs::read_dir(bin()).expect("binaries").flatten() {
        let path = entry.path();
        if path.is_file() && path.extension().is_none() && entry.file_name() != "report" {
            std::os::unix::fs::symlink(&path, binaries.join(entry.file_name())).expect("a link");
        }
    }
    let report = binaries.join("report");
    let real = bin().join("report");
    let text = format!(
        "#!/bin/bash\ncase \" $* \" in *' --live '*) echo 'no ink' >&2; exit 1;; esac\nexec '{}' \"$@\"\n",
        real.display()
    );
    fs::write(&report, text).expect("written");
    fs::set_permissions(&report, fs::Permissions::from_mode(0o755)).expect("it may run");
    binaries.display().to_string()
}

#[test]
fn what_cannot_be_drawn_changes_no_table_and_fails_no_stage() {
    let plain = tempfile::tempdir().expect("a scratch folder");
    let mut quiet = make_search(plain.path(), 5);
    quiet.args(["ITERATIONS=3"]);
    finish(quiet).ok();

    let broken = tempfile::tempdir().expect("a scratch folder");
    fs::create_dir_all(broken.path().join("run/progress.json/full")).expect("a folder where the file should be");
    let mut search = make_search(broken.path(), 5);
    search.args(["ITERATIONS=3".to_owned(), format!("BIN={}", without_pages(broken.path()))]);
    let said = finish(search).ok();
    assert!(
        said.stderr.contains("no ink") && said.stderr.contains("no page of generation 001; the search goes on"),
        "{}",
        said.stderr
    );
    assert!(archive(plain.path()) == archive(broken.path()), "the display has changed the archive");

    if shell("command -v script").code != Some(0) {
        return skip("script (util-linux) is needed to give a program a terminal");
    }
    let terminal = tempfile::tempdir().expect("a scratch folder");
    let record = terminal.path().join("typescript");
    let make = format!(
        "stty cols 120 rows 40; make search PROFILE=tiny SEED=5 ITERATIONS=3 JOBS=2 BUILD=no BIN={} RUN={1}/run CACHE={1}/cache",
        bin().display(),
        terminal.path().display()
    );
    shell(&format!("unset MAKEFLAGS MFLAGS MAKELEVEL; script -qec '{make}' '{}'", record.display())).ok();
    let seen = String::from_utf8_lossy(&fs::read(&record).expect("what was on the screen")).into_owned();
    for part in [
        "generation 1 of 1 · train: ",
        " of 3 attempts",
        "left of the whole search",
        "not confirmed yet",
        "train: 1/3: ",
        "train: 3 of 3 trainings done",
    ] {
        assert!(seen.contains(part), "{part} was not on the screen");
    }
    assert!(archive(plain.path()) == archive(terminal.path()), "the terminal has changed the archive");
}

#[test]
fn cargo_speaks_on_one_line_and_its_errors_are_shown_in_full() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let cargo = folder.path().join("cargo");
    let fake = "#!/bin/bash\nprintf '   Compiling a v1\\n    Building [=>    ] 1/2: a     \\r   Compiling b v1\\n    Building [==>   ] 2/2: b  \\r' >&2\n\
                [ \"${FAIL:-}\" = no ] || { printf 'error[E0308]: mismatched\\n --> src/main.rs:1\\n\\nerror: could not compile\\n' >&2; exit 101; }\n\
                printf '    Finished `dev`\\n' >&2\n";
    fs::write(&cargo, fake).expect("written");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("it may run");
    let build = |more: &str| {
        let script = root().join("stages/lib/stage/build.sh");
        shell(&format!("PATH='{}':$PATH {more} bash '{}' --bins", folder.path().display(), script.display()))
    };
    let done = build("FAIL=no").ok();
    assert!(done.stderr.starts_with("build: 2 steps\nbuild: 2 steps in 0 min "), "{}", done.stderr);
    let failed = build("FAIL=yes");
    assert_eq!(failed.code, Some(101));
    assert!(
        failed.stderr.contains("error[E0308]: mismatched\n --> src/main.rs:1\n\nerror: could not compile\n"),
        "{}",
        failed.stderr
    );
    assert!(failed.stderr.contains("build: failed") && !failed.stderr.contains("Compiling"), "{}", failed.stderr);
    assert!(build("FAIL=no VERBOSE=1").ok().stderr.contains("Compiling b v1"));
}

#[test]
fn what_is_no_run_cannot_be_watched() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    run("run", ["watch", &folder.path().display().to_string()]).refused(2, &["there is no run here"]);
}
