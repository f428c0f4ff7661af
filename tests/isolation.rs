//! Programs are looked at in child processes, and what happens to those happens to no table.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::{Signal, children, run, signal, stage};

/// The pids of the children in which `parent` looks at programs.
fn inspectors(parent: u32) -> Vec<u32> {
    let looks = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("inspect-child")
    };
    children(parent).into_iter().filter(looks).collect()
}

fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// A table of proposals, long enough to be interrupted.
fn proposals(folder: &Path) -> String {
    let path = folder.join("proposed.jsonl").display().to_string();
    run("propose", ["--n", "40", "--seed", "3", "-o", &path]).ok();
    let once = std::fs::read_to_string(&path).expect("proposals");
    std::fs::write(&path, once.repeat(20)).expect("written");
    path
}

#[test]
fn killed_children_change_no_row() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let table = proposals(folder.path());
    let quiet = run("check", [table.as_str()]).ok().stdout;
    let out = folder.path().join("checked.jsonl");
    let mut check = stage("check").args([table.as_str(), "-o"]).arg(&out).spawn().expect("check starts");
    let mut kills = 0;
    while check.try_wait().expect("it can be waited for").is_none() {
        // One at a time: a child that is killed twice over the same program is believed.
        std::thread::sleep(Duration::from_millis(150));
        if let Some(&pid) = inspectors(check.id()).get(kills % 2) {
            signal(pid, Signal::KILL);
            kills += 1;
        }
    }
    assert!(check.wait().expect("it has ended").success() && kills > 2, "{kills} kills");
    assert!(std::fs::read_to_string(&out).expect("a table") == quiet, "rows differ after {kills} kills");
}

/// The children of `check` as soon as it has any.
fn first_inspectors(check: u32) -> Vec<u32> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let children = inspectors(check);
        if !children.is_empty() {
            return children;
        }
        assert!(Instant::now() < deadline, "no child has started");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn children_end_with_a_parent_that_is_killed() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let table = proposals(folder.path());
    let mut check = stage("check").arg(&table).stdout(Stdio::null()).spawn().expect("check starts");
    let children = first_inspectors(check.id());
    signal(check.id(), Signal::KILL);
    check.wait().expect("it ends");
    let deadline = Instant::now() + Duration::from_secs(20);
    while children.iter().any(|pid| alive(*pid)) {
        assert!(Instant::now() < deadline, "children are left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_stopped_child_is_waited_for() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let table = proposals(folder.path());
    let quiet = run("check", [table.as_str()]).ok().stdout;
    let out = folder.path().join("checked.jsonl");
    let mut check = stage("check").args([table.as_str(), "-o"]).arg(&out).spawn().expect("check starts");
    let children = first_inspectors(check.id());
    children.iter().for_each(|pid| signal(*pid, Signal::STOP));
    std::thread::sleep(Duration::from_secs(2));
    children.iter().for_each(|pid| signal(*pid, Signal::CONT));
    assert!(check.wait().expect("it ends").success());
    assert!(std::fs::read_to_string(&out).expect("a table") == quiet);
}
