//! One name for all stages, what is installed, and examples that run as they are printed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tests::{finish, make_search, root, run, shell, stage};

/// Every program with a command line of its own.
const STAGES: [&str; 11] =
    ["propose", "check", "train", "score", "select", "confirm", "transfer", "sample", "probe", "report", "run"];

#[test]
fn one_name_leads_to_every_stage() {
    let help = run("emberline", [""; 0]).ok().stdout;
    for name in STAGES {
        assert!(help.contains(&format!("\n  {name} ")), "{name} is not in:\n{help}");
        let own = run(name, ["--help"]).ok().stdout;
        assert_eq!(run("emberline", ["help", name]).ok().stdout, own);
        let version = run("emberline", [name, "--version"]).ok().stdout;
        assert!(version.starts_with(&format!("{name} {} (commit ", env!("CARGO_PKG_VERSION"))), "{version}");
    }
    let version = run("emberline", ["--version"]).ok().stdout;
    let commit = version.split("commit ").nth(1).and_then(|rest| rest.split([',', ')']).next()).unwrap_or_default();
    let known = commit == "unknown" || (commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(version.starts_with("emberline ") && known, "{version}");
    // Words, pipes and exit codes are the stage's own; in bash, where `select` is a word of the shell's.
    let rows = shell("emberline propose --n 2 --seed 1 | emberline check - | emberline select - | jq -r .status").ok();
    assert_eq!(rows.stdout.lines().count(), 2, "{}", rows.stdout);
    run("emberline", ["check", "--no-such-option"]).refused(2, &["--no-such-option"]);
    run("emberline", ["selct"]).refused(2, &["there is no stage selct", "did you mean select?"]);
    run("emberline", ["--sumary"]).refused(2, &["there is no option"]);
}

#[test]
fn rules_and_settings_are_told() {
    let page = run("check", ["--rule", "E-SHAPE-VIEW"]).ok().stdout;
    assert!(page.starts_with("# E-SHAPE-VIEW") && page.contains("## Why"), "{page}");
    assert!(run("check", ["--rule"]).ok().stdout.lines().count() > 80);
    run("check", ["--rule", "E-SHAPE-VEIW"]).refused(2, &["E-SHAPE-VIEW?"]);
    for stage in ["propose", "check", "train", "score", "select", "confirm", "transfer"] {
        let told = run(stage, ["--config", "data/profiles/tiny.toml", "--settings", "train.steps"]).ok().stdout;
        assert!(
            told.contains("train.steps = 4") && told.contains("tiny.toml:") && told.contains("Optimiser steps."),
            "{told}"
        );
        run(stage, ["--settings", "train.stepz"]).refused(2, &["train.steps"]);
    }
    let all = run("train", ["--settings"]).ok().stdout;
    assert!(all.contains("[llm]") && all.contains("search.islands"), "{all}");
}

/// `UPDATE=1` writes the page anew.
#[test]
fn the_page_of_settings_is_current() {
    let path = root().join("schemas/settings.md");
    let page = ::stage::config::markdown();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).expect("written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "schemas/settings.md is out of date: UPDATE=1 cargo test --test front the_page_of_settings"
    );
}

#[test]
fn what_is_installed_works_and_completes() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let prefix = folder.path().join("a prefix");
    let mut make = Command::new("make");
    make.args(["install", "BUILD=no"]).arg(format!("BIN={}", tests::bin().display())).current_dir(root());
    make.arg(format!("PREFIX={}", prefix.display()));
    for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"] {
        make.env_remove(name);
    }
    finish(make).ok();
    let emberline = prefix.join("bin/emberline");
    assert_eq!(fs::read_dir(prefix.join("bin")).expect("a folder").count(), 1, "only one name is put into the path");
    let checked = Command::new(&emberline).args(["check", "data/seed_pgn.py", "--json"]).current_dir(root()).output();
    assert!(checked.expect("it starts").status.success());
    for name in STAGES {
        let page = fs::read_to_string(prefix.join(format!("share/man/man1/emberline-{name}.1"))).expect("a page");
        assert!(
            page.contains(".TH emberline-") && page.contains(".SH OPTIONS") || name == "run" || name == "probe",
            "{page}"
        );
    }
    assert!(prefix.join("share/man/man1/emberline.1").exists());
    for script in ["share/zsh/site-functions/_emberline", "share/fish/vendor_completions.d/emberline.fish"] {
        assert!(fs::read_to_string(prefix.join(script)).expect(script).contains("emberline"), "{script}");
    }
    let bash = prefix.join("share/bash-completion/completions/emberline");
    let complete = |words: &str| {
        let script = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _emberline emberline \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            bash.display()
        );
        shell(&script).ok().stdout
    };
    let said = complete("emberline se");
    assert!(said.lines().any(|word| word == "select"), "{said}");
    let said = complete("emberline train --cur");
    assert!(said.lines().any(|word| word == "--curves"), "{said}");
}

/// Packs a gigabyte of programs: `make test-full`.
#[test]
#[ignore = "minutes"]
fn a_packed_folder_runs_elsewhere() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let top = folder.path().join("sources");
    shell(&format!(
        "mkdir -p '{0}/stages/lib/executor' && cp -r Makefile Cargo.toml LICENSE README.md data prompts schemas '{0}' && \
         cp stages/lib/executor/libtorch* '{0}/stages/lib/executor'",
        top.display()
    ))
    .ok();
    let clean = |folder: &Path, arguments: &[String]| {
        let mut make = Command::new("make");
        make.args(arguments).current_dir(folder);
        for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"] {
            make.env_remove(name);
        }
        finish(make)
    };
    let packed = clean(&top, &["dist".into(), "BUILD=no".into(), format!("BIN={}", tests::bin().display())]).ok();
    let archive = packed.stdout.trim().rsplit("packed: ").next().expect("a name").to_owned();
    let elsewhere = folder.path().join("elsewhere, unpacked");
    fs::create_dir(&elsewhere).expect("a folder");
    shell(&format!("tar -xzf '{}' -C '{}' --strip-components=1", top.join(archive).display(), elsewhere.display()))
        .ok();
    fs::remove_dir_all(&top).expect("removed");
    let help = Command::new(elsewhere.join("bin/emberline"))
        .args(["check", "data/seed_pgn.py", "--json"])
        .current_dir(&elsewhere)
        .output();
    assert!(help.expect("it starts").status.success());
    // libtorch is the one that these tests run with, where that is told.
    let Some(libtorch) = std::env::var_os("LIBTORCH") else { return tests::skip("LIBTORCH is not set") };
    let libtorch = format!("LIBTORCH={}", libtorch.to_string_lossy());
    let said = clean(&elsewhere, &["search".into(), "PROFILE=tiny".into(), libtorch]).ok();
    assert!(
        said.stdout.contains("winner:") && elsewhere.join("runs/spark-dfs-seed0/archive.parquet").exists(),
        "{}",
        said.stdout
    );
}

/// The commands under `Examples` in a help page, without what is said of them.
fn examples(help: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut within = false;
    for line in help.lines() {
        match line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) {
            // Options are listed under headings, too; a command begins with a word.
            Some(command) if within && !command.starts_with('-') => {
                found.push(command.split("  ").next().unwrap_or_default().trim().to_owned());
            }
            // A line between two commands is about the next one.
            _ if line.starts_with("Examples") => within = true,
            _ if line.starts_with("Exit codes") || line.starts_with("Rows:") || line.starts_with("Options:") => {
                within = false
            }
            _ => {}
        }
    }
    found.retain(|command| {
        STAGES.iter().chain(&["emberline", "duckdb"]).any(|name| command.starts_with(&format!("{name} ")))
    });
    found
}

#[test]
fn examples_of_help_run_as_they_are_printed() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let here = folder.path().join("work");
    fs::create_dir_all(here.join("runs")).expect("a folder");
    for method in ["spark", "eoh"] {
        let mut search = make_search(folder.path(), 0);
        search.arg(format!("RUN={}", here.join(format!("runs/{method}-dfs-seed0")).display()));
        search.arg(format!("METHOD={method}")).arg("SET=search.attempts=9 confirm.top=1 confirm.seeds=1");
        finish(search).ok();
    }
    // What the examples speak of: a run in the folder `a`, its tables, and a quick profile that it was made with.
    shell(&format!(
        "cd '{0}' && cp -r '{1}/data' . && cp -r runs/spark-dfs-seed0 runs/a && cp -r runs/a runs/a-replay && mkdir runs/a/gen004 &&
         for program in my_idea my_edit my_program; do cp data/seed_pgn.py $program.py; done && cp runs/a/config.toml data/profiles/quick.toml &&
         cp runs/a/gen001/*.parquet . && cp runs/a/archive.parquet . && cp -r runs/a/gen003 .. && ln -s ../cache cache &&
         check archive.parquet -o archive.jsonl",
        here.display(),
        root().display(),
    ))
    .ok();
    // What would train for minutes, or ask a server, is held to its grammar: it prints its settings in place of its work.
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    let real = tests::bin().display();
    for name in STAGES.iter().chain(&["emberline"]) {
        let script = match *name {
            "train" | "score" | "confirm" | "transfer" => format!(
                "case \" $* \" in *' --summary '*|*' --explain '*|*' --one '*) exec '{real}/{name}' \"$@\";; esac\n\
                 '{real}/{name}' --print-config \"$@\" > /dev/null && [ -t 0 ] || cat > /dev/null; echo '{{}}'"
            ),
            "propose" => format!(
                "case \" $* \" in *' openai '*|*' replay '*) '{real}/{name}' --print-config \"$@\" > /dev/null && echo '{{}}';; \
                 *) exec '{real}/{name}' \"$@\";; esac"
            ),
            // Slow where it is not built for speed.
            "probe" => format!("exec '{real}/{name}' --help > /dev/null"),
            _ => format!("exec '{real}/{name}' \"$@\""),
        };
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/bash\n{script}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }
    let mut tried = 0;
    for name in STAGES.iter().chain(&["emberline"]) {
        let mut page = stage(name);
        page.args((*name != "emberline").then_some("--help")).env("COLUMNS", "400");
        let help = finish(page).ok().stdout;
        for example in examples(&help) {
            // DuckDB is not ours, runs by a model and by another tool are not at hand, and the others need the run that is removed.
            let absent = ["qwen-seed0", "openevolve-real"].iter().any(|run| example.contains(run));
            if absent || example.starts_with("duckdb ") || example.starts_with("run remove") {
                continue;
            }
            tried += 1;
            let outcome = in_bash(&here, &bin, &example);
            // `check` says no to a program by its exit code.
            let fine = outcome.status.success() || (example.starts_with("check ") && outcome.status.code() == Some(1));
            let said = String::from_utf8_lossy(&outcome.stderr);
            assert!(fine && !said.contains("syntax error") && !said.contains("panicked"), "{name}: {example}\n{said}");
        }
    }
    assert!(tried >= 40, "only {tried} examples were found");
}

fn in_bash(here: &Path, bin: &Path, example: &str) -> std::process::Output {
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["-o", "pipefail", "-c", example]).current_dir(here).env("PATH", path).env("PAGER", "cat");
    command.stdin(std::process::Stdio::null()).output().expect("bash starts")
}
