use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::Value;

use super::*;
use crate::Progress;
use crate::cache::place_of;
use crate::gpus::Gpu;
use crate::signal::Interrupted;

static GO: AtomicBool = AtomicBool::new(false);

/// A runner whose child is a shell script. The script finds its request in `$request`, its folder in `$folder`.
fn runner(cache: &Path, script: &str) -> Runner<'static> {
    let head = r#"request=$(cat); folder=${request#*\"folder\":\"}; folder=${folder%%\"*}; "#;
    Runner {
        command: ["/bin/sh", "-c", &format!("{head}{script}")].map(OsString::from).to_vec(),
        cache: cache.join("train"),
        reuse: true,
        made: Default::default(),
        retry_failed: false,
        files: &["weights"],
        limits: Limits { time: Some(Duration::from_secs(20)), grace: Duration::from_millis(200), ..Limits::default() },
        granted: None,
        engine: Engine::Local,
        once: false,
        code: "test",
        gpus: Arc::new(Gpus::none()),
        stop: &GO,
    }
}

fn run(runner: &Runner<'_>, key: &str) -> Outcome<u32> {
    runner.prepare().expect("a cache folder");
    runner.run(key, &"job", &mut |_| {}).expect("the machine is fine")
}

/// Names of all entries, and of whatever else lies about.
fn left(runner: &Runner<'_>) -> Vec<String> {
    let inside = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|found| found.path());
    let mut names: Vec<_> = inside(&runner.cache)
        .flat_map(|shard| inside(&shard))
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_killed_job_goes_on_from_its_lasting_folder_and_its_time_counts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // the first child is killed at its limit; the second finds what it left, and its limit is shorter by that
    let script = r#"part=${request#*\"lasting\":\"}; part=${part%%\"*}
        if test -e $part/half; then sleep 0.3; echo x > $folder/weights; echo '{"done":7}' > $folder/result.json; exit; fi
        mkdir $part; echo x > $part/half; echo 10 > $part/seconds; sleep 1000"#;
    let part = folder.path().join("train/work/k.part");
    let mut killed = runner(folder.path(), script);
    killed.limits.time = Some(Duration::from_millis(300));
    assert!(matches!(run(&killed, "k"), Outcome::Failed { status: Status::Timeout, .. }));
    assert!(part.join("half").exists());
    let Outcome::Failed { reason, .. } = run(&killed, "k") else { panic!("its time was over") };
    assert_eq!(reason, "killed at the time limit (0.3 s)");
    killed.limits.time = Some(Duration::from_secs(1));
    let Outcome::Failed { reason, .. } = run(&killed, "k") else { panic!("its first 10 s count") };
    assert_eq!(reason, "killed at the time limit (1 s)");
    assert!(matches!(run(&runner(folder.path(), script), "k"), Outcome::Done { result: 7, cached: false, .. }));
    assert!(!part.exists(), "a job that is done needs no rest");

    // anew means from the start; what is left beside a result goes
    fs::create_dir_all(&part).expect("made");
    fs::write(part.join("half"), "").expect("written");
    let anew = Runner { reuse: false, ..runner(folder.path(), &script.replace("sleep 1000", "exit 5")) };
    assert!(matches!(anew.run::<_, u32>("k", &"job", &mut |_| {}), Ok(Outcome::Failed { .. })));
    fs::create_dir_all(&part).expect("made");
    anew.prepare().expect("a cache folder");
    assert!(!part.exists());
}

#[test]
fn the_heaviest_are_begun_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("log");
    let runner = runner(folder.path(), &format!("echo ${{request##*job}} >> {}; {GOOD}", log.display()));
    let works: Vec<_> = [("a", 1.0), ("b", 3.0), ("c", 2.0)]
        .map(|(key, weight)| Work { key: key.to_owned(), label: key.to_owned(), weight, job: key })
        .into_iter()
        .collect();
    let progress = Progress::new("test", 3, true);
    runner.run_all::<_, u32>(&works, 1, &progress, |_| None, u32::to_string).expect("fine");
    let order: String = fs::read_to_string(log).expect("the log").chars().filter(|c| "abc".contains(*c)).collect();
    assert_eq!(order, "bca");
}

const GOOD: &str = r#"echo '{"step":1}'; echo x > $folder/weights; echo '{"done":7}' > $folder/result.json"#;

#[test]
fn results_are_kept_and_taken_from_the_cache() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let good = runner(folder.path(), GOOD);
    let mut notes = Vec::new();
    good.prepare().expect("a cache folder");
    let outcome = good.run::<_, u32>("k", &"job", &mut |note| notes.push(note)).expect("fine");
    assert_eq!(outcome, Outcome::Done { folder: good.cache.join(place_of("k")), result: 7, cached: false });
    assert_eq!(notes, [serde_json::json!({"step": 1})]);
    let bad = runner(folder.path(), "exit 9");
    assert!(matches!(run(&bad, "k"), Outcome::Done { cached: true, result: 7, .. }));
    assert!(matches!(run(&bad, "other"), Outcome::Failed { status: Status::Crashed, .. }));
    let again = Runner { reuse: false, ..runner(folder.path(), &GOOD.replace('7', "8")) };
    assert!(matches!(run(&again, "k"), Outcome::Done { cached: false, result: 8, .. }));
    fs::remove_file(good.cache.join("k/k/weights")).expect("it was there");
    assert_eq!(left(&good), ["k", "other.failed.json"]);
    assert!(matches!(run(&bad, "k"), Outcome::Failed { .. }), "a result without its files is none");
}

#[test]
fn jobs_are_spread_over_the_gpus_and_told_what_they_run_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("log");
    // each waits for the other, so that both have a place at once
    let script = format!(
        r#"case $request in *'"gpu":"model '$CUDA_VISIBLE_DEVICES'"'*) echo $CUDA_VISIBLE_DEVICES >> {0};; esac
        while test $(wc -l < {0}) -lt 2; do sleep 0.02; done; {GOOD}"#,
        log.display()
    );
    let gpu = |entry: &str| Gpu { entry: entry.into(), model: Some(format!("model {entry}")), driver: None };
    let gpus = Arc::new(Gpus::new(vec![gpu("MIG-a"), gpu("7")]));
    let runner = Runner { gpus, ..runner(folder.path(), &script) };
    let works: Vec<_> = ["a", "b"]
        .map(|key| Work { key: key.to_owned(), label: key.to_owned(), weight: 1.0, job: key })
        .into_iter()
        .collect();
    let progress = Progress::new("test", 2, true);
    let outcomes = runner.run_all::<_, u32>(&works, 2, &progress, |_| None, u32::to_string).expect("fine");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { .. })), "{outcomes:?}");
    let log = fs::read_to_string(log).expect("the log");
    let mut seen: Vec<&str> = log.lines().collect();
    seen.sort_unstable();
    assert_eq!(seen, ["7", "MIG-a"]);
}

#[test]
fn failures_are_told_and_leave_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fail = |script: &str| match run(&Runner { retry_failed: true, ..runner(folder.path(), script) }, "k") {
        Outcome::Failed { status, reason, .. } => (status, reason),
        other => panic!("{script}: {other:?}"),
    };
    let (status, reason) = fail("echo 'half' > $folder/weights; echo oops >&2; exit 3");
    assert_eq!((status, reason.as_str()), (Status::Crashed, "ended with exit code 3: oops"));
    let (status, reason) = fail("echo 'note: advice' >&2; kill -SEGV $$");
    assert_eq!((status, reason.as_str()), (Status::Crashed, "killed by signal 11 (2 times)"));
    for script in
        ["exit 0", "echo '{\"done\":7}' > $folder/result.json", "echo > $folder/weights; echo > $folder/result.json"]
    {
        assert_eq!(fail(script).1, "ended without a result", "{script}");
    }
    let told = r#"echo '{"failed":{"status":"oom","reason":"CUDA out of memory"}}'; exit 1"#;
    assert_eq!(fail(told), (Status::Oom, "CUDA out of memory".to_owned()));
    assert_eq!(left(&runner(folder.path(), "")), ["k.failed.json"]);
}

#[test]
fn time_limit_is_a_status_and_touches_no_other_job() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut looping = runner(folder.path(), "while :; do :; done");
    looping.limits.time = Some(Duration::from_millis(200));
    let Outcome::Failed { status, reason, .. } = run(&looping, "k") else { panic!("it looped for ever") };
    assert_eq!(status, Status::Timeout);
    assert_eq!(reason, "killed at the time limit (0.2 s)");
    assert!(matches!(run(&runner(folder.path(), GOOD), "next"), Outcome::Done { .. }));
}

#[test]
fn faults_of_the_machine_stop_the_stage() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = r#"echo '{"failed":{"status":null,"reason":"no space left"}}'; exit 1"#;
    let runner = runner(folder.path(), script);
    runner.prepare().expect("a cache folder");
    let error = runner.run::<_, u32>("k", &"job", &mut |_| {}).expect_err("a full disk");
    assert_eq!(error.to_string(), "no space left");
}

#[test]
fn many_jobs_come_back_in_order_and_equal_ones_run_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("log");
    let script = format!("echo x >> {}; {GOOD}", log.display());
    let runner = runner(folder.path(), &script);
    let works: Vec<_> = ["a", "b", "a", "c"]
        .map(|key| Work { key: key.to_owned(), label: key.to_owned(), weight: 1.0, job: key })
        .into_iter()
        .collect();
    let progress = Progress::new("test", 4, true);
    let outcomes = runner.run_all::<_, u32>(&works, 2, &progress, |_| None, u32::to_string).expect("fine");
    let folders: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Done { folder, .. } => folder.file_name().expect("a name").to_string_lossy().into_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(folders, ["a", "b", "a", "c"]);
    assert_eq!(fs::read_to_string(log).expect("the log").lines().count(), 3);
}

#[test]
fn an_interrupted_stage_keeps_what_is_done() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let stop = AtomicBool::new(false);
    let script = format!("case $request in *first*) {GOOD};; *) echo 1; sleep 1000;; esac");
    let runner = Runner { stop: &stop, ..runner(folder.path(), &script) };
    let works: Vec<_> = ["first", "second"]
        .map(|key| Work { key: key.to_owned(), label: String::new(), weight: 1.0, job: key })
        .into_iter()
        .collect();
    let progress = Progress::new("test", 2, true);
    let tell = |note: &Value| {
        stop.store(note == &Value::from(1), Ordering::SeqCst);
        None
    };
    let error = runner.run_all::<_, u32>(&works, 1, &progress, tell, u32::to_string).expect_err("stopped");
    assert!(error.is::<Interrupted>());
    assert_eq!(left(&runner), ["first"]);
}

/// Runs a script that counts its runs in `$log`.
fn counted(folder: &Path, script: &str) -> (Runner<'static>, impl Fn() -> usize + use<>) {
    let log = folder.join("log");
    let runner = runner(folder, &format!("log={}; echo x >> $log; {script}", log.display()));
    (runner, move || fs::read_to_string(&log).unwrap_or_default().lines().count())
}

#[test]
fn a_kill_from_outside_is_not_believed_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for signal in ["KILL", "TERM", "SEGV"] {
        let folder = folder.path().join(signal);
        fs::create_dir(&folder).expect("made");
        let (once, count) = counted(&folder, &format!("test $(wc -l < $log) = 1 && kill -{signal} $$; {GOOD}"));
        assert!(matches!(run(&once, "k"), Outcome::Done { result: 7, .. }), "{signal}");
        assert_eq!((count(), left(&once)), (2, vec!["k".to_owned()]));
    }
    let (always, count) = counted(folder.path(), "test $(wc -l < $log) = 1 && kill -ABRT $$; kill -KILL $$");
    let crashed = run(&always, "k");
    let Outcome::Failed { status: Status::Crashed, reason, .. } = &crashed else { panic!("{crashed:?}") };
    let second = "killed by signal 9, perhaps by the system for lack of memory";
    assert_eq!(reason, &format!("killed by signal 6; then {second}"));
    assert_eq!(run(&always, "k"), crashed);
    assert_eq!(count(), 2, "who has been believed is not tried again");
}

#[test]
fn failures_are_taken_from_the_cache_until_a_limit_is_raised() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut hangs, count) = counted(folder.path(), "sleep 1000");
    let run_within = |runner: &mut Runner<'static>, millis: u64| {
        runner.limits.time = Some(Duration::from_millis(millis));
        match run(runner, "k") {
            Outcome::Failed { status: Status::Timeout, reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(run_within(&mut hangs, 300), "killed at the time limit (0.3 s)");
    assert_eq!(run_within(&mut hangs, 300), "killed at the time limit (0.3 s)");
    assert_eq!(run_within(&mut hangs, 200), "killed at the time limit (0.2 s)", "as it would be without a cache");
    assert_eq!(count(), 1);
    run_within(&mut hangs, 400);
    assert_eq!(count(), 2, "a limit was raised");
    hangs.retry_failed = true;
    run_within(&mut hangs, 300);
    assert_eq!(count(), 3, "it was asked for");
    // a record that was changed is none
    hangs.retry_failed = false;
    let record = hangs.cache.join("k/k.failed.json");
    let text = fs::read_to_string(&record).expect("there");
    assert!(text.contains("at_work_s") && text.contains("\"host\""), "{text}");
    fs::write(&record, text.replace("timeout", "crashed")).expect("written");
    run_within(&mut hangs, 300);
    assert_eq!(count(), 4);
    // a result takes its place
    let good = Runner { retry_failed: true, ..runner(folder.path(), GOOD) };
    assert!(matches!(run(&good, "k"), Outcome::Done { .. }));
    assert_eq!(left(&good), ["k"]);
}

#[test]
fn every_kind_of_damage_is_healed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (runner, count) = counted(folder.path(), GOOD);
    run(&runner, "k");
    let entry = runner.cache.join(place_of("k"));
    let files: Vec<_> = fs::read_dir(&entry).expect("there").flatten().map(|found| found.path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    let mut damages = 0;
    for file in &files {
        let content = fs::read(file).expect("there");
        for kind in 0..5 {
            match kind {
                0 => fs::remove_file(file).expect("removed"),
                1 => fs::write(file, &content[..content.len() / 2]).expect("cut"),
                2 => fs::write(file, "").expect("emptied"),
                3 => {
                    let mut flipped = content.clone();
                    flipped[content.len() / 3] ^= 1;
                    fs::write(file, flipped).expect("flipped");
                }
                _ => {
                    fs::remove_file(file).expect("removed");
                    fs::create_dir(file).expect("a folder in its place");
                }
            }
            damages += 1;
            assert!(matches!(run(&runner, "k"), Outcome::Done { result: 7, cached: false, .. }), "{file:?} {kind}");
            assert!(matches!(run(&runner, "k"), Outcome::Done { result: 7, cached: true, .. }), "{file:?} {kind}");
            assert_eq!(left(&runner), ["k"]);
        }
    }
    fs::remove_dir_all(&entry).expect("removed");
    fs::write(&entry, "a file in place of the folder").expect("written");
    assert!(matches!(run(&runner, "k"), Outcome::Done { cached: false, .. }));
    assert_eq!(count(), damages + 2);
}

#[test]
fn entries_of_before_are_read_and_damaged_ones_made_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (runner, count) = counted(folder.path(), GOOD);
    let old = runner.cache.join("key");
    fs::create_dir_all(&old).expect("made");
    fs::write(old.join("result.json"), r#"{"done":5}"#).expect("written");
    fs::write(old.join("weights"), "x").expect("written");
    assert!(matches!(run(&runner, "key"), Outcome::Done { result: 5, cached: true, .. }));
    fs::remove_file(old.join("weights")).expect("removed");
    assert!(matches!(run(&runner, "key"), Outcome::Done { result: 7, cached: false, .. }));
    assert!(matches!(run(&runner, "key"), Outcome::Done { result: 7, cached: true, .. }));
    assert_eq!(count(), 1);
}

#[test]
fn runners_side_by_side_do_each_job_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (first, count) = counted(folder.path(), &format!("sleep 0.1; {GOOD}"));
    let works = || -> Vec<Work<&str>> {
        let work = |key: &str| Work { key: key.to_owned(), label: key.to_owned(), weight: 1.0, job: "job" };
        ["aa", "ab", "ba", "bb", "c", "d"].map(work).into_iter().collect()
    };
    for round in 1..=4 {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let runner = first.clone();
                    let progress = Progress::new("test", 6, true);
                    let outcomes = runner.run_all::<_, u32>(&works(), 2, &progress, |_| None, u32::to_string);
                    let outcomes = outcomes.expect("none fails");
                    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { result: 7, .. })));
                });
            }
        });
        assert_eq!(count(), 6 * round);
        assert_eq!(left(&first), ["aa", "ab", "ba", "bb", "c", "d"]);
        fs::remove_dir_all(&first.cache).expect("removed");
    }
}

#[test]
fn who_waits_takes_over_from_the_dead_and_can_be_interrupted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (runner, count) = counted(folder.path(), GOOD);
    runner.prepare().expect("a cache folder");
    let cache = crate::cache::Cache::new(&runner.cache);
    let lock = cache.lock("k").expect("it can be written").expect("nobody has it");
    let stop = AtomicBool::new(true);
    let stopped = Runner { stop: &stop, ..runner.clone() };
    assert_eq!(stopped.run::<_, u32>("k", &"job", &mut |_| {}).expect("fine"), Outcome::Interrupted);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run(&runner, "k"));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(count(), 0);
        drop(lock);
        assert!(matches!(waiting.join().expect("no panic"), Outcome::Done { .. }));
    });
    assert_eq!((count(), left(&runner)), (1, vec!["k".to_owned()]));
}

#[test]
fn a_cache_that_cannot_be_written_is_read_and_otherwise_one_clear_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let good = runner(folder.path(), GOOD);
    run(&good, "k");
    fs::write(folder.path().join("file"), "").expect("written");
    let in_a_file = Runner { cache: folder.path().join("file/train"), ..runner(folder.path(), GOOD) };
    let error = in_a_file.prepare().expect_err("it is a file");
    assert!(error.to_string().contains("file/train: cannot write"), "{error}");
    // a file where the folder of work is to be: nothing can be made, even by who may write anywhere
    fs::remove_dir_all(good.cache.join("work")).expect("removed");
    fs::write(good.cache.join("work"), "").expect("written");
    assert!(matches!(run(&good, "k"), Outcome::Done { cached: true, .. }));
    let started = Instant::now();
    let error = good.run::<_, u32>("other", &"job", &mut |_| {}).expect_err("there is no room");
    assert!(error.to_string().contains("work: cannot write"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(60));
}
