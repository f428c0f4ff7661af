//! Searches of which processes are killed at random: each goes on, and has the archive that it would have had.
//!
//! `KILLS` and `KILLS_SEED` set how many are killed at least, and which, and when.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use stage::proc;
use tests::{Signal, finish, make_search, signal, signal_group};

/// The file that a search holds a lock on while it runs.
const LOCK: &str = "search.lock";
/// Most kills in one search.
const KILLS_EACH: usize = 4;

/// What is killed.
#[derive(Clone, Copy, PartialEq)]
enum Victim {
    /// One process of the search.
    One,
    /// All of them at once, but for trainings, which have groups of their own.
    Whole,
}

/// Numbers that look random: the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }
}

fn search(folder: &Path) -> Child {
    let mut command = make_search(folder, 0);
    command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().expect("make starts")
}

fn archive(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("run/archive.parquet")).expect("the archive")
}

/// What a process does: the stage, and whether it is a child of one.
fn kind(pid: u32) -> Option<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line).into_owned();
    let mut words = line.split('\0');
    let program = words.next()?.rsplit('/').next()?.to_owned();
    let child = words.next().filter(|word| word.ends_with("-child"));
    (!program.is_empty()).then(|| child.map_or(program, str::to_owned))
}

/// Whether a search is under way in the folder: one whose outer Make was killed goes on in the inner one, and a second search
/// beside it is refused.
fn is_held(folder: &Path) -> bool {
    std::fs::File::open(folder.join("run").join(LOCK)).is_ok_and(|file| file.try_lock().is_err())
}

/// The Make of that search, where the lock says it already.
fn keeper(folder: &Path) -> Option<u32> {
    let text = std::fs::read(folder.join("run").join(LOCK)).ok()?;
    let holder: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let pid = holder["owner"]["pid"].as_u64().expect("the lock names its owner's process");
    u32::try_from(pid).ok()
}

/// Waits until no search runs in the folder.
fn wait_for_the_lock(folder: &Path) {
    let until = Instant::now() + Duration::from_secs(300);
    while is_held(folder) {
        assert!(Instant::now() < until, "{} is held for ever", folder.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills one of the processes below `make`, which is told; none where there is none of ours.
fn kill_one(make: u32, random: &mut Random, before: &[String]) -> Option<String> {
    // A child that is killed twice over the same work is believed: one of a kind is enough.
    let known = |kind: &String| !(kind.ends_with("-child") && before.contains(kind));
    let there: Vec<(u32, String)> =
        proc::tree(make).into_iter().filter_map(|pid| Some((pid, kind(pid).filter(known)?))).collect();
    let (pid, kind) = there.get(random.below(there.len()))?;
    signal(*pid, Signal::KILL);
    Some(kind.clone())
}

/// Searches, each with some kills, until there have been `total`; and what was killed how often.
fn killed(total: usize, victim: Victim) {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let total = setting("KILLS").map_or(total, |kills| kills as usize);
    let mut random = Random(setting("KILLS_SEED").unwrap_or(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let calm = tempfile::tempdir().expect("a scratch folder");
    let start = Instant::now();
    finish(make_search(calm.path(), 0)).ok();
    let whole = start.elapsed();
    let wanted = archive(calm.path());

    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    let mut searches = 0;
    while tally.values().sum::<usize>() < total {
        assert!(searches < 3 * total, "the searches end before anything is killed: {tally:?}");
        searches += 1;
        let folder = tempfile::tempdir().expect("a scratch folder");
        let done = kill_some(folder.path(), victim, whole, &mut random);
        // What ends with a stage that was killed is gone on with.
        let again = (0..3).map(|_| {
            wait_for_the_lock(folder.path());
            make_search(folder.path(), 0).output().expect("make starts")
        });
        let again: Vec<_> = again.collect();
        let last = again.last().expect("three");
        assert!(last.status.success(), "search {searches}, {done:?}: {}", String::from_utf8_lossy(&last.stderr));
        assert!(archive(folder.path()) == wanted, "search {searches} has another archive after {done:?}");
        done.into_iter().for_each(|kind| *tally.entry(kind).or_default() += 1);
    }
    let kills: usize = tally.values().sum();
    println!("{kills} kills in {searches} searches, all archives equal: {tally:?}");
}

/// Begins a search, kills in it at random moments, begins it again where it has ended of that, and returns what was killed.
/// `whole` is how long an undisturbed one takes.
fn kill_some(folder: &Path, victim: Victim, whole: Duration, random: &mut Random) -> Vec<String> {
    let complete = || ["run/archive.parquet", "run/report.html"].iter().all(|file| folder.join(file).exists());
    let mut done: Vec<String> = Vec::new();
    let mut make = search(folder);
    while done.len() < KILLS_EACH {
        let pause = 0.6 / KILLS_EACH as f64 * (random.below(1000) as f64 / 1000.0 + 0.01);
        std::thread::sleep(whole.mul_f64(pause));
        let ended = make.try_wait().expect("it can be waited for").is_some();
        match victim {
            _ if ended && !is_held(folder) && complete() => break,
            _ if ended && !is_held(folder) => make = search(folder),
            Victim::One => {
                let root = if ended { keeper(folder) } else { Some(make.id()) };
                done.extend(root.and_then(|root| kill_one(root, random, &done)));
            }
            // Its last processes are ending.
            Victim::Whole if ended => {}
            Victim::Whole => {
                signal_group(make.id(), Signal::KILL);
                make.wait().expect("it ends");
                done.push("all".into());
            }
        }
    }
    // Whatever is still under way goes on undisturbed.
    let _ = make.wait();
    done
}

#[test]
fn a_search_survives_the_death_of_any_of_its_processes() {
    killed(KILLS_EACH, Victim::One);
}

#[test]
fn a_search_that_is_killed_goes_on() {
    killed(KILLS_EACH, Victim::Whole);
}

#[test]
#[ignore = "minutes: part of make test-full"]
fn a_search_survives_the_deaths_of_a_hundred_processes() {
    killed(100, Victim::One);
}

#[test]
#[ignore = "minutes: part of make test-full"]
fn a_search_that_is_killed_a_hundred_times_goes_on() {
    killed(100, Victim::Whole);
}

#[test]
fn one_search_at_a_time_in_a_folder() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut first = search(folder.path());
    let lock = folder.path().join("run").join(LOCK);
    let until = Instant::now() + Duration::from_secs(60);
    while !lock.exists() {
        assert!(Instant::now() < until && first.try_wait().expect("waited").is_none(), "no lock");
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = finish(make_search(folder.path(), 0));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    assert!(second.code != Some(0), "{second:?}");
    for word in ["another search is under way", "process", host.trim()] {
        assert!(second.stderr.contains(word), "{word}: {}", second.stderr);
    }
    assert!(first.wait().expect("it ends").success(), "the first one goes on undisturbed");
    // Its keeper looks at the Make ten times a second.
    let until = Instant::now() + Duration::from_secs(10);
    while lock.exists() {
        assert!(Instant::now() < until, "the lock is gone with it");
        std::thread::sleep(Duration::from_millis(20));
    }
    let calm = tempfile::tempdir().expect("a scratch folder");
    finish(make_search(calm.path(), 0)).ok();
    assert!(archive(folder.path()) == archive(calm.path()));
}
