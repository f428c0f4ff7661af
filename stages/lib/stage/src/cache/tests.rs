use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::entry::seal;
use super::owner::{Life, Owner};
use super::weights::{WeightsError, key_of, name_of, of_row};
use super::*;

fn age(path: &Path, hours: u64) {
    let then = SystemTime::now() - Duration::from_secs(hours * 60 * 60);
    File::open(path).and_then(|file| file.set_modified(then)).expect("its time can be set");
}

#[test]
fn only_the_dead_of_this_place_are_cleared_away_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::new(folder.path());
    let me = Owner::me().to_string();
    let alive = cache.scratch("k").expect("made");
    let (place, rest) = me.split_once('-').expect("a place");
    let (pid, start) = rest.split_once('-').expect("a pid");
    let start: u64 = start.parse().expect("a number");
    let make = |name: &str, hours: u64| {
        let path = cache.work().join(name);
        fs::create_dir(&path).expect("made");
        fs::write(path.join("file"), "x").expect("written");
        age(&path.join("file"), hours);
        age(&path, hours);
        path
    };
    let dead = make(&format!("k.{place}-{}-{start}-0.tmp", u32::MAX), 0);
    let reused = make(&format!("k.{place}-{pid}-{}-0.tmp", start + 1), 0);
    let elsewhere = make(&format!("k.0123456789ab-{}-{start}-0.tmp", u32::MAX), 23);
    let given_up = make(&format!("k.0123456789ab-{}-{start}-1.tmp", u32::MAX), 25);
    let of_before = make("k.4194303-0.tmp", 0);
    let of_long_before = make("k.4194303-1.tmp", 25);
    let busy = make(&format!("k.0123456789ab-{}-{start}-2.tmp", u32::MAX), 25);
    fs::write(busy.join("new"), "x").expect("written");
    cache.prepare().expect("a cache folder");
    for (path, stays) in [
        (&alive.0, true),
        (&dead, false),
        (&reused, false),
        (&elsewhere, true),
        (&given_up, false),
        (&of_before, true),
        (&of_long_before, false),
        (&busy, true),
    ] {
        assert_eq!(path.exists(), stays, "{}", path.display());
    }
    assert_eq!(Owner::of_name("k.4194303-0.tmp"), None);
    assert_eq!(Owner::of_name(&format!("k.{me}-7.tmp")).expect("ours").life(), Life::Alive);
}

/// Two namespaces of pids, each with a `/proc` of its own: what is alive in one has no pid in the other.
#[test]
fn another_namespace_of_pids_is_another_place() {
    let ours = || fs::read_link("/proc/self/ns/pid").expect("Linux");
    let mut command = Command::new("unshare");
    let script = "readlink /proc/self/ns/pid";
    let output = command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", script]).output();
    let Ok(output) = output else { return eprintln!("skipped: there is no unshare") };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some(theirs) = text.lines().next().filter(|line| line.starts_with("pid:")) else {
        return eprintln!("skipped: no namespace can be made here");
    };
    assert_ne!(ours().to_string_lossy(), theirs);
    // This very test, there: it leaves a scratch folder and prints its owner.
    if std::env::var_os("EMBERLINE_TEST_OWNER").is_some() {
        return;
    }
    let this = std::env::current_exe().expect("there is one");
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc"])
        .arg(this)
        .args(["--exact", "cache::tests::prints_its_owner", "--ignored", "--nocapture"])
        .output()
        .expect("unshare runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let theirs = text.lines().find_map(|line| line.split("owner=").nth(1)).expect("it says so");
    let theirs = Owner::of_name(&format!("k.{}-0.tmp", theirs.trim())).expect("it is an owner");
    assert_eq!(theirs.life(), Life::Unknown, "{theirs}");
}

#[test]
#[ignore = "a part of another_namespace_of_pids_is_another_place"]
fn prints_its_owner() {
    println!("owner={}", Owner::me());
}

fn entry(cache: &Cache, key: &str, weights: &[u8], replace: bool) {
    let scratch = cache.scratch(key).expect("made");
    fs::write(scratch.0.join(entry::RESULT), "{}").expect("written");
    fs::write(scratch.0.join("weights.safetensors"), weights).expect("written");
    seal(&scratch.0).expect("sealed");
    cache.publish(key, &scratch, &[], replace).expect("published");
}

#[test]
fn the_first_result_stands_unless_it_is_to_be_replaced() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::new(folder.path());
    let content = || fs::read_to_string(cache.place("abc").join("weights.safetensors")).expect("there");
    entry(&cache, "abc", b"first", false);
    entry(&cache, "abc", b"second", false);
    assert_eq!(content(), "first");
    entry(&cache, "abc", b"third", true);
    assert_eq!(content(), "third");
    assert_eq!(fs::read_dir(cache.work()).expect("there").count(), 0);
    assert!(cache.place("abc").ends_with("ab/abc"));
    // What a program makes has the modes that the umask leaves, for those who share the cache.
    let sums = fs::metadata(cache.place("abc").join("B3SUMS")).expect("there").permissions().mode();
    let plain = folder.path().join("plain");
    fs::write(&plain, "").expect("written");
    assert_eq!(sums, fs::metadata(plain).expect("there").permissions().mode());
}

#[test]
fn locks_exclude_and_leave_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::new(folder.path());
    let lock = cache.lock("k").expect("fine").expect("free");
    assert!(cache.lock("k").expect("fine").is_none());
    assert!(cache.lock("other").expect("fine").is_some());
    drop(lock);
    assert!(cache.lock("k").expect("fine").is_some());
    assert_eq!(fs::read_dir(cache.work()).expect("there").count(), 0);
}

#[test]
fn names_of_weights_lead_nowhere_else() {
    assert_eq!(name_of("abcd"), "train/ab/abcd/weights.safetensors");
    assert_eq!(key_of("train/ab/abcd/weights.safetensors").expect("ours"), "abcd");
    assert_eq!(key_of("train/abcd/weights.safetensors").expect("of before"), "abcd");
    for name in [
        "",
        "/etc/passwd",
        "../../etc/passwd",
        "train/../../etc/passwd",
        "train/ab/../weights.safetensors",
        "/train/ab/abcd/weights.safetensors",
        "train/xy/abcd/weights.safetensors",
        "train/ab/abcd/result.json",
        "score/ab/abcd/weights.safetensors",
        "train/ab\n/weights.safetensors",
        "train/./weights.safetensors",
    ] {
        assert!(key_of(name).is_err(), "{name:?}");
    }
}

#[test]
fn the_weights_of_a_row_are_those_of_its_training() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::new(folder.path().join(weights::TRAIN));
    entry(&cache, "abc", b"one", false);
    entry(&cache, "abd", b"two", false);
    let names = |keys: &[&str]| keys.iter().map(|key| name_of(key)).collect::<Vec<_>>();
    let of = |keys: &[&str], train_key: &str| of_row(folder.path(), &names(keys), Some(train_key));
    assert_eq!(of(&["abc"], "abc").expect("there").len(), 1);
    assert_eq!(of(&["abc", "abd"], &hash(&["abc", "abd"])).expect("there").len(), 2);
    assert!(matches!(of(&["abc"], "abd"), Err(WeightsError::OfAnother(_))));
    assert!(matches!(of(&["abd", "abc"], &hash(&["abc", "abd"])), Err(WeightsError::OfAnother(_))));
    assert!(matches!(of(&["none"], "none"), Err(WeightsError::Absent { .. })));
    let file = cache.place("abc").join("weights.safetensors");
    fs::write(&file, b"onf").expect("written");
    let error = of(&["abc"], "abc").expect_err("one bit is another");
    assert!(error.to_string().contains("weights.safetensors: is not what was written"), "{error}");
    // a link to elsewhere, with checksums that fit
    let outside = tempfile::tempdir().expect("a temporary folder");
    entry(&Cache::new(outside.path()), "xyz", b"secret", false);
    std::os::unix::fs::symlink(outside.path().join("xy"), folder.path().join("train/xy")).expect("linked");
    assert!(matches!(of(&["xyz"], "xyz"), Err(WeightsError::Outside(_))));
}
