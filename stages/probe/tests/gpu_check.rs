//! `probe gpu-check` as far as it goes without a GPU: its files, its page, and how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn command(out: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.args(["gpu-check", "--out"]).arg(out).args(args);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command
}

fn gpu_check(out: &Path, args: &[&str]) -> Output {
    command(out, args).output().expect("it starts")
}

fn document(out: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(out.join("gpu-check.json")).expect("the document")).expect("is JSON")
}

fn page(out: &Path) -> String {
    std::fs::read_to_string(out.join("gpu-check.md")).expect("the page")
}

fn step<'a>(document: &'a Value, name: &str) -> &'a Value {
    let mut steps = document["steps"].as_array().expect("a list").iter();
    steps.find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step {name}: {document}"))
}

fn rows<'a>(document: &'a Value, name: &str, kind: &str) -> Vec<&'a Value> {
    step(document, name)["rows"].as_array().expect("a list").iter().filter(|row| row["row"] == kind).collect()
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("a/check");
    (folder, out)
}

#[test]
fn a_dry_run_goes_all_the_way() {
    let (_folder, out) = scratch();
    let output = gpu_check(&out, &["--dry", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let found = document(&out);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).expect("is JSON"), found);
    assert_eq!((&found["dry"], &found["ok"], &found["state"]), (&true.into(), &true.into(), &"done".into()));
    let states = found["steps"].as_array().expect("a list").iter();
    let states: Vec<_> =
        states.map(|step| (step["name"].as_str().expect("a name"), step["state"].as_str().expect("a state"))).collect();
    let expected = ["machine", "parity", "speed", "memory", "speed_cpu", "seeds", "training"];
    let expected = expected.map(|name| (name, if name == "memory" { "skipped" } else { "done" }));
    assert_eq!(states, expected);

    assert_eq!(rows(&found, "machine", "host").len(), 1);
    assert!(rows(&found, "machine", "library")[0]["path"].as_str().is_some_and(|path| path.contains("libtorch")));
    let kinds: Vec<_> = rows(&found, "parity", "case").iter().map(|case| case["kind"].clone()).collect();
    assert_eq!(kinds, ["network", "network", "program", "program"]);
    let speeds = rows(&found, "speed", "speed");
    let of = |mode: &str| speeds.iter().filter(|row| row["mode"] == mode).collect::<Vec<_>>();
    assert_eq!(of("plans").len(), 2, "one for each length");
    assert!(of("plans").iter().all(|row| row["step_s"].as_f64() > Some(0.0)));
    assert_eq!(of("plans, bf16").len(), 2);
    let seeds = rows(&found, "seeds", "speed");
    let seeds: Vec<_> = seeds.iter().map(|row| (row["mode"].as_str(), row["seeds"].as_u64())).collect();
    let expected = [("processes", 1), ("processes", 2), ("threads", 2), ("batched seeds", 2)];
    assert_eq!(seeds, expected.map(|(mode, count)| (Some(mode), Some(count))));
    for training in rows(&found, "training", "training") {
        assert_eq!(training["curve"].as_array().map(Vec::len), Some(2), "{training}");
        assert!(training["test_acc"].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)), "{training}");
    }

    let page = page(&out);
    for words in [
        "This was a dry run on the CPU",
        "4 of 4 reference cases",
        "| batched seeds |",
        "The most steps a second in all: ",
        "46.78 ± 3.85",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let left: Vec<_> = std::fs::read_dir(&out).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_device_that_is_not_there_is_recorded() {
    let (_folder, out) = scratch();
    let output = gpu_check(&out, &["--device=cuda:99", "--minutes=0.5"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found = document(&out);
    assert_eq!((&found["ok"], &found["dry"]), (&false.into(), &false.into()));
    let machine = step(&found, "machine");
    assert_eq!(machine["state"], "failed");
    assert!(machine["error"].as_str().is_some_and(|error| error.contains("cuda:99")), "{machine}");
    assert_eq!(rows(&found, "machine", "library").len(), 1, "what was found before stays");
    let (page, printed) = (page(&out), String::from_utf8_lossy(&output.stdout).into_owned());
    assert_eq!(page, printed);
    assert!(page.contains("NOT everything went well") && page.contains("| machine | FAILED |"), "{page}");
    assert!(!page.contains("dry run"), "{page}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
}

/// A driver of two GPUs, of which libtorch here knows nothing.
const DRIVER: &str = r#"#!/bin/sh
case "$*" in
    -L) echo "GPU 0: NVIDIA L4 (UUID: GPU-aaaa-1)"; echo "GPU 1: NVIDIA H100 (UUID: GPU-bbbb-2)";;
    *uuid*) echo "0, GPU-aaaa-1, NVIDIA L4, 580.1"; echo "1, GPU-bbbb-2, NVIDIA H100, 580.1";;
    *memory*GPU-bbbb-2) echo "5, 81559";;
    *) exit 6;;
esac
"#;

#[test]
fn gpus_are_found_by_their_driver_and_by_the_variable() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, out) = scratch();
    let driver = folder.path().join("nvidia-smi");
    std::fs::write(&driver, DRIVER).expect("written");
    std::fs::set_permissions(&driver, PermissionsExt::from_mode(0o755)).expect("made executable");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    for (variable, device, expected) in [
        (None, "cuda", &["GPU-aaaa-1", "GPU-bbbb-2"][..]),
        (None, "cuda:1", &["GPU-bbbb-2"]),
        (Some("GPU-bbbb-2"), "auto", &["GPU-bbbb-2"]),
        (Some(""), "cuda", &[]),
    ] {
        let mut command = command(&out, &["--minutes=0.03"]);
        command.args(["--device", device]).env("PATH", &path).env_remove("CUDA_VISIBLE_DEVICES");
        command.envs(variable.map(|value| ("CUDA_VISIBLE_DEVICES", value)));
        let output = command.output().expect("it starts");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let found = document(&out);
        let gpus = rows(&found, "machine", "gpu");
        assert_eq!(gpus.iter().map(|gpu| gpu["entry"].as_str().unwrap_or("")).collect::<Vec<_>>(), expected);
        if let Some(last) = gpus.last() {
            let facts = (&last["model"], &last["driver"], &last["memory_mib"]);
            assert_eq!(facts, (&"NVIDIA H100".into(), &"580.1".into(), &81559.into()));
            assert!(page(&out).contains("- GPU `GPU-bbbb-2`: NVIDIA H100, driver 580.1, 81559 MiB"));
        }
    }
}

#[test]
fn out_of_time_and_interrupted_it_leaves_a_page() {
    let (_folder, out) = scratch();
    // Enough for a start, and for no step at these sizes.
    let output = gpu_check(&out, &["--device=cpu", "--minutes=0.02"]);
    assert_eq!(output.status.code(), Some(1), "parity was not finished: {output:?}");
    assert_eq!(document(&out)["state"], "out_of_time");
    assert!(page(&out).contains("out of time"));

    let (_folder, out) = scratch();
    let mut running = command(&out, &["--device=cpu", "--minutes=9"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !out.join("gpu-check.json").exists() || step(&document(&out), "machine")["state"] != "done" {
        assert!(Instant::now() < deadline, "the first step takes for ever");
        std::thread::sleep(Duration::from_millis(50));
    }
    let kill = Command::new("kill").args(["-INT", &running.id().to_string()]).status().expect("kill");
    assert!(kill.success());
    assert_eq!(running.wait().expect("it ends").code(), Some(1));
    let found = document(&out);
    assert_eq!((&found["state"], &step(&found, "training")["state"]), (&"interrupted".into(), &"waiting".into()));
    assert!(page(&out).contains("interrupted") && page(&out).contains("| training | not begun |"));
}

#[test]
fn wrong_usage() {
    let (_folder, out) = scratch();
    for args in [&["--minutes=0"][..], &["--minutes=NaN"], &["--device=gpu"], &["--fixtures=no/such/folder"]] {
        let output = gpu_check(&out, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(!out.exists());
    }
}
