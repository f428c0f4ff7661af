//! Broken input and a hostile machine: one clear error, and what was there stays.

use std::path::Path;
use std::process::Command;

use tests::{root, run, shell, skip};

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

/// A small table of proposals in `folder`.
fn proposals(folder: &Path, name: &str) -> String {
    let path = folder.join(name).display().to_string();
    run("propose", ["--n", "3", "--seed", "5", "-o", &path]).ok();
    path
}

#[test]
fn a_broken_table_is_named() {
    let folder = scratch();
    let path = folder.path().join("broken.parquet");
    std::fs::write(&path, b"PAR1 this is no table PAR1").expect("written");
    for stage in ["check", "train", "score", "select"] {
        run(stage, [path.to_str().expect("a plain name")]).refused(1, &["broken.parquet"]);
    }
}

#[test]
fn a_truncated_table_is_named() {
    let folder = scratch();
    let path = proposals(folder.path(), "whole.parquet");
    let bytes = std::fs::read(&path).expect("read");
    let cut = folder.path().join("cut.parquet");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("written");
    run("check", [cut.to_str().expect("a plain name")]).refused(1, &["cut.parquet"]);
}

#[test]
fn a_missing_column_is_named_with_its_row() {
    let folder = scratch();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, "{\"candidate_id\": \"a\"}\n").expect("written");
    run("check", [path.to_str().expect("a plain name")]).refused(1, &["rows.jsonl", "source"]);
}

#[test]
fn a_broken_line_of_jsonl_is_named() {
    let folder = scratch();
    let path = proposals(folder.path(), "rows.jsonl");
    let mut text = std::fs::read_to_string(&path).expect("read");
    text.push_str("{\"candidate_id\": \"x\", \"sour\n");
    std::fs::write(&path, text).expect("written");
    run("check", [path.as_str()]).refused(1, &["rows.jsonl", "4"]);
}

#[test]
fn unknown_flags_and_values_are_wrong_usage() {
    for stage in ["propose", "check", "train", "score", "select", "transfer", "sample", "probe", "report"] {
        run(stage, ["--no-such-flag"]).refused(2, &["--no-such-flag"]);
    }
    run("propose", ["--n", "many"]).refused(2, &["many"]);
    run("train", ["--device", "toaster", "data/seed_pgn.py"]).refused(2, &["toaster"]);
    run("propose", ["--set", "train.stepz=5", "--print-config"]).refused(2, &["stepz", "steps"]);
}

#[test]
fn a_missing_file_is_named() {
    for stage in ["check", "train", "score", "select", "report"] {
        run(stage, ["no/such/table.parquet"]).refused(1, &["no/such/table.parquet"]);
    }
}

#[test]
fn a_syntax_error_has_line_and_column() {
    let folder = scratch();
    let path = folder.path().join("broken.py");
    std::fs::write(&path, "import torch\n\ndef f(:\n    pass\n").expect("written");
    let outcome = run("check", [path.to_str().expect("a plain name"), "--json"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let rows = outcome.rows();
    assert_eq!(rows[0]["verdict"], "reject");
    assert_eq!(rows[0]["diagnostics"][0]["category"], "syntax");
    assert_eq!(rows[0]["diagnostics"][0]["line"], 3);
}

/// Mounts a file system of 64 KiB on `folder`, or says why the test cannot run here.
fn mount(folder: &Path, options: &str) -> bool {
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder).output();
    let done = mount.is_ok_and(|output| output.status.success());
    if !done {
        skip("this machine does not let the test mount a small tmpfs");
    }
    done
}

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_leaves_earlier_files_intact() {
    let folder = scratch();
    let table = proposals(folder.path(), "rows.parquet");
    let small = folder.path().join("small");
    std::fs::create_dir(&small).expect("made");
    if !mount(&small, "size=64k") {
        return;
    }
    let _mounted = Mounted(&small);
    let earlier = small.join("earlier.parquet");
    std::fs::write(&earlier, b"what was there").expect("written");
    std::fs::write(small.join("filling"), vec![0_u8; 44 * 1024]).expect("written");
    let name = earlier.display().to_string();
    run("check", [table.as_str(), "-o", &name]).refused(1, &["earlier.parquet"]);
    assert_eq!(std::fs::read(&earlier).expect("read"), b"what was there");
    let left: Vec<_> = std::fs::read_dir(&small).expect("listed").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 2, "half a file stayed: {left:?}");
}

#[test]
fn a_read_only_folder_leaves_earlier_files_intact() {
    let folder = scratch();
    let table = proposals(folder.path(), "rows.parquet");
    let fixed = folder.path().join("fixed");
    std::fs::create_dir(&fixed).expect("made");
    if !mount(&fixed, "size=64k") {
        return;
    }
    let _mounted = Mounted(&fixed);
    let earlier = fixed.join("earlier.parquet");
    std::fs::write(&earlier, b"what was there").expect("written");
    let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(&fixed).status().expect("mount starts");
    assert!(remount.success());
    let name = earlier.display().to_string();
    run("check", [table.as_str(), "-o", &name]).refused(1, &["earlier.parquet"]);
    assert_eq!(std::fs::read(&earlier).expect("read"), b"what was there");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let outcome = shell("propose --n 200 --seed 1 | head -n 1 | wc -l");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.stdout.trim(), "1");
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn a_program_that_is_rejected_is_a_row_and_trains_nothing() {
    let folder = scratch();
    let path = folder.path().join("broken.py");
    let seed = std::fs::read_to_string(root().join("data/seed_pgn.py")).expect("the seed program");
    std::fs::write(&path, seed.replace("self.t_1(z)", "self.t_1(zz)")).expect("written");
    let outcome = run("train", [path.to_str().expect("a plain name"), "--config", "data/profiles/tiny.toml"]);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    let rows = outcome.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["status"], "rejected");
    assert_eq!(rows[0]["diagnostics"][0]["category"], "name");
}

#[test]
fn score_trains_again_what_is_damaged() {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cache, table) = (path("cache"), path("trained.jsonl"));
    let common = ["--config", "data/profiles/tiny.toml", "--device", "cpu", "--cache", cache.as_str()];
    let train = |set: &str| run("train", common.iter().chain(&["--set", set, "-o", &table, "data/seed_pgn.py"])).ok();
    let score = |set: &str| run("score", common.iter().chain(&["--set", set, table.as_str()])).ok();
    let sets = "train.seeds=[3, 4]";
    train(sets);
    let row: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(&table).expect("a table").trim()).expect("a row");
    let weights = folder.path().join("cache").join(row["weights"][1].as_str().expect("a path"));
    let whole = std::fs::read(&weights).expect("weights");
    let scored = score(sets).rows().remove(0);
    assert_eq!(scored["status"], "scored", "{scored}");
    for damage in ["flipped", "cut", "gone"] {
        match damage {
            "flipped" => {
                let mut bytes = whole.clone();
                *bytes.last_mut().expect("not empty") ^= 1;
                std::fs::write(&weights, bytes).expect("written");
            }
            "cut" => std::fs::write(&weights, &whole[..whole.len() / 2]).expect("written"),
            _ => std::fs::remove_file(&weights).expect("removed"),
        }
        let again = score(sets);
        assert!(again.stderr.contains("trained again"), "{damage}: {}", again.stderr);
        assert_eq!(again.rows().remove(0)["fitness"], scored["fitness"], "{damage}");
        assert!(std::fs::read(&weights).expect("there") == whole, "{damage}: it is what it was");
    }
    // Other settings are another training, which would give other weights.
    std::fs::write(&weights, b"x").expect("written");
    let row = score("train.steps=3").rows().remove(0);
    assert_eq!(row["status"], "failed");
    assert!(row["reason"].as_str().is_some_and(|reason| reason.contains("damaged")), "{row}");
}
