//! Programs that only wait are small: neither `train` nor the other stages with trainings or evaluations have libtorch in them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::{bin, children, finish, stage};

/// In a program that is linked against libtorch.
const LIBRARY: &[u8] = b"libtorch_cpu.so";

/// Most MiB of a supervisor that waits. Programs of a debug build are larger.
const MOST_MIB: f64 = if cfg!(debug_assertions) { 30.0 } else { 20.0 };

fn mib(pid: u32, file: &str, line: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let found = text.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib = found.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.expect("the kernel tells") / 1024.0
}

fn maps_library(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default().contains("libtorch_cpu.so")
}

/// The workers of a supervisor.
fn workers(pid: u32) -> Vec<u32> {
    let works = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "worker");
    children(pid).into_iter().filter(works).collect()
}

fn started(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

/// Measures a supervisor, and ends it.
fn measure(name: &str, mut child: Child, works_here: bool) {
    let pid = child.id();
    let deadline = Instant::now() + Duration::from_secs(120);
    let at_work = || workers(pid).iter().any(|&worker| maps_library(worker));
    while works_here && !at_work() {
        assert!(Instant::now() < deadline && child.try_wait().expect("known").is_none(), "{name}: nobody computes");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(2));
    assert!(child.try_wait().expect("known").is_none(), "{name}: it is over too soon");
    let (resident, peak) = (mib(pid, "status", "VmRSS"), mib(pid, "status", "VmHWM"));
    let (own, shares) = (mib(pid, "status", "RssAnon"), mib(pid, "smaps_rollup", "Pss"));
    eprintln!("{name}: resident {resident:.1} MiB (peak {peak:.1}), its own {own:.1}, proportional {shares:.1}");
    let loaded = maps_library(pid);
    tests::signal(pid, tests::Signal::TERM);
    child.wait().expect("it ends");
    assert!(!loaded, "{name} has loaded libtorch");
    assert!(resident < MOST_MIB, "{name}: {resident} MiB");
}

#[test]
fn only_what_computes_is_linked_against_libtorch() {
    let with_it = |name: &str| {
        let program = fs::read(bin().join(name)).expect("it is built");
        program.windows(LIBRARY.len()).any(|bytes| bytes == LIBRARY)
    };
    for name in ["propose", "check", "train", "score", "select", "confirm", "transfer", "report", "run", "emberline"] {
        assert!(!with_it(name), "{name}");
    }
    assert!(with_it("worker") && with_it("probe"));
}

fn tiny(name: &str, cache: &Path, sets: &str) -> Command {
    let mut command = stage(name);
    command.args(["--config", "data/profiles/tiny.toml", "--device", "cpu", "--set", sets, "--cache"]).arg(cache);
    command
}

#[test]
fn a_supervisor_that_waits_is_small() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let long = "train.steps=1000000 train.val_every=500000 train.seeds=[1]";
    let mut train = tiny("train", &cache, long);
    train.arg("data/processors/mpnn.py");
    measure("train", started(train), true);
    let mut transfer = tiny("transfer", &cache, &format!("{long} transfer.steps=1000000"));
    transfer.args(["--tasks", "bfs", "--program", "data/processors/mpnn.py", "-o"]).arg(folder.path().join("t.jsonl"));
    measure("transfer", started(transfer), true);

    let trained = folder.path().join("trained.jsonl");
    let mut train = tiny("train", &cache, "train.seeds=[2]");
    train.arg("data/processors/mpnn.py").arg("-o").arg(&trained);
    finish(train).ok();
    let mut score = tiny("score", &cache, "train.seeds=[2] score.test_samples=200000");
    score.arg(&trained).arg("-o").arg(folder.path().join("scored.jsonl"));
    measure("score", started(score), true);

    // A stage that waits for other machines: the queue says that its job runs, and that is all.
    let queue = "train.engine=command engine.poll_s=0.5 engine.command={ submit = 'echo 7', status = 'echo 7 R here' }";
    let mut train = tiny("train", &cache, &format!("train.seeds=[3] {queue}"));
    train.arg("data/processors/mpnn.py");
    measure("train, for other machines", started(train), false);
}

#[test]
fn a_worker_that_is_missing_is_told_and_who_computes_nothing_needs_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let programs = folder.path().join("bin");
    fs::create_dir(&programs).expect("a folder");
    fs::copy(bin().join("train"), programs.join("train")).expect("copied");
    let train = |more: &[&str]| {
        let mut command = Command::new(programs.join("train"));
        command.current_dir(tests::root()).args(["--config", "data/profiles/tiny.toml", "--device", "cpu", "--cache"]);
        command.arg(folder.path().join("cache")).args(more).arg("data/processors/mpnn.py").stdin(Stdio::null());
        finish(command)
    };
    train(&[]).refused(1, &["bin/worker", "must lie beside this one"]);
    train(&["--collect"]).refused(3, &["1 of 1 have no result"]);
    fs::copy(bin().join("worker"), programs.join("worker")).expect("copied");
    assert_eq!(train(&[]).ok().rows()[0]["status"], "trained");
}
