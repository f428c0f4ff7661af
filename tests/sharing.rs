//! One cache for several users: who may write in its folders works with what others have made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::{finish, shell, skip, stage};

/// Two users of no account, and the group that they share.
const ONE: u32 = 60_001;
const OTHER: u32 = 60_002;
const GROUP: u32 = 60_000;

/// A stage as one of them, who lets the group write.
fn by(user: u32, name: &str, cache: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 002; exec \"$@\"", "sh"]).arg(stage(name).get_program()).current_dir(tests::root());
    command.args(["--config", "data/profiles/tiny.toml", "--device", "cpu", "--cache"]).arg(cache).args(words);
    command.uid(user).gid(GROUP).env("HOME", "/nonexistent");
    command
}

/// Whether this test may become somebody else, who can read programs and sources.
fn able() -> bool {
    if !rustix::process::geteuid().is_root() {
        skip("only root can be another user");
        return false;
    }
    let works =
        |command: &mut Command| command.uid(ONE).gid(GROUP).output().is_ok_and(|output| output.status.success());
    let readable = works(stage("worker").args(["device", "cpu"]))
        && works(Command::new("cat").arg("data/processors/mpnn.py").current_dir(tests::root()));
    if !readable {
        skip("other users cannot read the programs here");
    }
    readable
}

/// Rows of trainings without what was measured anew.
fn kept(rows: &[Value]) -> Vec<[&Value; 3]> {
    rows.iter().map(|row| [&row["train_loss"], &row["val_acc"], &row["weights"]]).collect()
}

#[test]
fn another_user_collects_scores_and_goes_on() {
    if !able() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("readable");
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).expect("a folder");
    shell(&format!("chgrp {GROUP} {0} && chmod 2775 {0}", cache.display())).ok();
    let program = "data/processors/mpnn.py";
    let stage_of = |user: u32, name: &str, sets: &str, words: &[&str]| {
        finish(by(user, name, &cache, &[&["--set", sets], words].concat()))
    };

    let trained = stage_of(ONE, "train", "train.seeds=[1, 2]", &[program]).ok();
    let owned = format!("find {} -user {ONE} -name weights.safetensors | wc -l", cache.display());
    assert_eq!(shell(&owned).stdout.trim(), "2");
    let collected = stage_of(OTHER, "train", "train.seeds=[1, 2]", &["--collect", program]).ok();
    assert_eq!(collected.rows(), trained.rows());

    let table = folder.path().join("trained.jsonl");
    fs::write(&table, &trained.stdout).expect("written");
    let table = table.to_str().expect("a path");
    let by_other = stage_of(OTHER, "score", "train.seeds=[1, 2]", &[table]).ok();
    let by_one = stage_of(ONE, "score", "train.seeds=[1, 2]", &[table]).ok();
    assert_eq!(by_other.rows()[0]["status"], "scored");
    assert!(by_one.stderr.contains("(from the cache)"), "{}", by_one.stderr);
    assert_eq!(by_one.rows(), by_other.rows());

    // What has failed for one is known to the other, who tries it again, and goes on where the first has stopped.
    let hang = "train.seeds=[7] train.steps=100000 train.time_limit_s=1 train.checkpoint_s=0";
    let failed = stage_of(ONE, "train", hang, &[program]).ok().rows();
    assert_eq!(failed[0]["status"], "timeout");
    assert_eq!(stage_of(OTHER, "train", hang, &[program]).ok().rows(), failed);
    assert_eq!(stage_of(OTHER, "train", hang, &["--retry-failed", program]).ok().rows(), failed);
    let more = stage_of(OTHER, "train", "train.seeds=[1, 2, 3]", &[program]).ok();
    assert_eq!(more.stderr.matches("(from the cache)").count(), 2, "{}", more.stderr);

    // A user who may not write there collects all the same.
    let mut reader = by(60_003, "train", &cache, &["--set", "train.seeds=[1, 2]", "--collect", program]);
    reader.gid(60_003);
    let (read, trained) = (finish(reader).ok().rows(), trained.rows());
    assert_eq!(kept(&read), kept(&trained));
}
