//! Work that is done by a child process, once: its results lie in a cache under the hash of all that they depend on.
//!
//! The parent runs [`Runner::run`], the child [`serve`]. A job's folder holds `result.json` and whatever files the child
//! made beside it, and appears whole or not at all. A run that is killed at any point leaves nothing half done behind but
//! what a long job has put into its [`Place::lasting`] folder, `KEY.part`, in order to go on from there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use schemas::Status;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::signal::Interrupted;
use crate::supervise::{self, End, Limits, Report};
use crate::{Gpus, Machine, Progress, atomic, pool};

const RESULT: &str = "result.json";
/// End of the names of lasting folders.
const LASTING: &str = ".part";
/// In a lasting folder: how many seconds of work the rest of it stands for.
const SPENT: &str = "seconds";

/// Runs jobs of one kind.
pub struct Runner<'a> {
    /// The child: a program and its arguments.
    pub command: Vec<OsString>,
    /// Folder of the results, one folder in it per key.
    pub cache: PathBuf,
    /// Whether results that are there already are taken.
    pub reuse: bool,
    /// Files that a result must have beside `result.json` to be taken from the cache.
    pub files: &'static [&'static str],
    pub limits: Limits,
    /// What children are placed on.
    pub gpus: Arc<Gpus>,
    /// Asks to stop; see [`crate::signal`].
    pub stop: &'a AtomicBool,
}

/// A job to run.
pub struct Work<J> {
    /// Hash of all that its result depends on.
    pub key: String,
    /// For the progress display.
    pub label: String,
    /// About how much work it is, compared with others: for the estimate of the time left, and what is begun first.
    pub weight: f64,
    pub job: J,
}

/// Where a child leaves its files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// What is here becomes the job's result.
    pub folder: PathBuf,
    /// A folder that stays when the child is killed, for the next one with the same job. Made by who wants it; removed
    /// once the job is done.
    pub lasting: PathBuf,
    /// Seconds that earlier children have put into what the lasting folder holds.
    pub spent: f64,
    /// What the child runs on, for its result to tell. It is known to the parent alone.
    #[serde(default)]
    pub machine: Machine,
}

impl Place {
    /// Notes how many seconds of work, those of earlier children included, the lasting folder now stands for: they count
    /// towards the time limit.
    pub fn note_spent(&self, seconds: f64) -> Result<()> {
        atomic::write_bytes(&self.lasting.join(SPENT), seconds.to_string().as_bytes())
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<R> {
    Done {
        /// Where its files are.
        folder: PathBuf,
        result: R,
        /// Whether it was there already.
        cached: bool,
    },
    /// The job's own failure, which concerns nobody else.
    Failed { status: Status, reason: String },
    /// We were asked to stop before it was done.
    Interrupted,
}

/// Why a child has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `None`: the fault is the machine's (a full disk, no GPU), not the job's, and concerns all jobs.
    pub status: Option<Status>,
    pub reason: String,
}

impl Failure {
    /// The job's own fault.
    pub fn of_job(status: Status, reason: impl ToString) -> Self {
        Self { status: Some(status), reason: reason.to_string() }
    }

    /// The machine's fault.
    pub fn of_machine(reason: impl ToString) -> Self {
        Self { status: None, reason: reason.to_string() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer<R> {
    Done(R),
    Failed(Failure),
}

#[derive(Serialize, Deserialize)]
struct Request<J> {
    place: Place,
    job: J,
}

impl Runner<'_> {
    /// This program, with a hidden subcommand, as the child.
    ///
    /// The kernel's name for it: a child runs the same code as its parent even when the file has been replaced meanwhile.
    pub fn this_program(subcommand: &str) -> Vec<OsString> {
        vec!["/proc/self/exe".into(), subcommand.into()]
    }

    /// Makes the cache folder, and clears away what killed runs have left in it.
    pub fn prepare(&self) -> Result<()> {
        atomic::make_folder(&self.cache)?;
        let Ok(entries) = fs::read_dir(&self.cache) else { return Ok(()) };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(key) = name.strip_suffix(LASTING)
                && self.cache.join(key).join(RESULT).is_file()
            {
                let _ = fs::remove_dir_all(entry.path());
            }
            let owner =
                name.strip_suffix(".tmp").and_then(|name| name.rsplit('.').next()?.split('-').next()?.parse().ok());
            if owner.is_some_and(|pid: u32| !Path::new(&format!("/proc/{pid}")).exists()) {
                // Whoever else clears it away at the same time is welcome.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
    }

    /// The result of the job with this key: from the cache, or from a child process. `on_note` gets what the child says
    /// meanwhile.
    ///
    /// # Errors
    /// For faults of the machine; faults of the job are [`Outcome::Failed`].
    pub fn run<J: Serialize, R: DeserializeOwned>(
        &self,
        key: &str,
        job: &J,
        on_note: &mut dyn FnMut(Value),
    ) -> Result<Outcome<R>> {
        self.run_until(key, job, on_note, &|| self.stop.load(Ordering::SeqCst))
    }

    /// Runs all works, `jobs` side by side, and returns their outcomes in order. Works with the same key are done once;
    /// the heaviest are begun first, so that none of them is left over for the end. `tell` makes a line for the progress
    /// display of what a child says.
    ///
    /// # Errors
    /// At the first fault of the machine, which ends the others, too; [`Interrupted`] when we were asked to stop.
    pub fn run_all<J: Serialize + Sync, R: DeserializeOwned + Clone + PartialEq + Send>(
        &self,
        works: &[Work<J>],
        jobs: usize,
        progress: &Progress,
        tell: impl Fn(&Value) -> Option<String> + Sync,
        sum_up: impl Fn(&R) -> String + Sync,
    ) -> Result<Vec<Outcome<R>>> {
        self.prepare()?;
        let mut place: BTreeMap<&str, usize> = BTreeMap::new();
        let mut unique: Vec<&Work<J>> = Vec::new();
        for work in works {
            place.entry(&work.key).or_insert_with(|| {
                unique.push(work);
                unique.len() - 1
            });
        }
        let mut order: Vec<usize> = (0..unique.len()).collect();
        let weight = |at: usize| unique.get(at).map_or(0.0, |work| work.weight);
        order.sort_by(|&one, &two| weight(two).total_cmp(&weight(one)));
        let halt = AtomicBool::new(false);
        let stopped = || self.stop.load(Ordering::SeqCst) || halt.load(Ordering::SeqCst);
        let results = pool::run(&order, jobs, &halt, |_, &at| {
            let Some(work) = unique.get(at).filter(|_| !stopped()) else { return Ok(Outcome::Interrupted) };
            let mut on_note = |note: Value| {
                if let Some(text) = tell(&note) {
                    progress.note(&format!("{}: {text}", work.label));
                }
            };
            let outcome = self.run_until(&work.key, &work.job, &mut on_note, &stopped);
            match &outcome {
                Ok(Outcome::Done { result, cached, .. }) => {
                    let from = if *cached { " (from the cache)" } else { "" };
                    progress.item_of(work.weight, *cached, &format!("{}: {}{from}", work.label, sum_up(result)));
                }
                Ok(Outcome::Failed { status, reason }) => {
                    progress.item_of(work.weight, false, &format!("{}: {status}: {reason}", work.label));
                }
                Ok(Outcome::Interrupted) => {}
                Err(_) => halt.store(true, Ordering::SeqCst),
            }
            outcome
        });
        let mut outcomes: Vec<Option<Outcome<R>>> = vec![None; unique.len()];
        for (&at, result) in order.iter().zip(results) {
            match (result.transpose()?, outcomes.get_mut(at)) {
                (Some(outcome), Some(slot)) if outcome != Outcome::Interrupted => *slot = Some(outcome),
                _ => {}
            }
        }
        let of_work = |work: &Work<J>| outcomes.get(*place.get(work.key.as_str())?)?.clone();
        works.iter().map(of_work).collect::<Option<Vec<_>>>().ok_or_else(|| Interrupted.into())
    }

    fn run_until<J: Serialize, R: DeserializeOwned>(
        &self,
        key: &str,
        job: &J,
        on_note: &mut dyn FnMut(Value),
        stopped: &dyn Fn() -> bool,
    ) -> Result<Outcome<R>> {
        let folder = self.cache.join(key);
        if self.reuse
            && let Some(outcome) = self.cached(&folder)
        {
            return Ok(outcome);
        }
        let scratch = self.scratch(key)?;
        let lasting = scratch.0.with_file_name(format!("{key}{LASTING}"));
        if !self.reuse {
            forget(&lasting)?;
        }
        let spent = spent(&lasting);
        let limits = Limits { time: self.limits.time.map(|time| time.saturating_sub(spent)), ..self.limits };
        let seat = self.gpus.take();
        let place = Place {
            folder: scratch.0.clone(),
            lasting: lasting.clone(),
            spent: spent.as_secs_f64(),
            machine: seat.machine(),
        };
        let input = serde_json::to_vec(&Request { place, job })?;
        let Some((program, arguments)) = self.command.split_first() else { bail!("no child to run") };
        let mut command = Command::new(program);
        command.args(arguments).env("RUST_BACKTRACE", "0");
        seat.give(&mut command);
        let mut failure = None;
        let report =
            supervise::run(command, input, limits, stopped, |line| match serde_json::from_str::<Value>(line) {
                Ok(mut note) => match note.get_mut("failed").map(Value::take) {
                    Some(failed) => failure = serde_json::from_value::<Failure>(failed).ok(),
                    None => on_note(note),
                },
                Err(_) => on_note(Value::String(line.to_owned())),
            })
            .with_context(|| format!("cannot run {}", Path::new(program).display()))?;
        drop(seat);
        // What it was killed by may be raised, and then it goes on.
        if let Some(outcome) = unfinished(&report, &self.limits, spent) {
            return Ok(outcome);
        }
        if !matches!(failure, Some(Failure { status: None, .. })) {
            forget(&lasting)?;
        }
        match failure {
            Some(Failure { status: None, reason }) => bail!("{reason}"),
            Some(Failure { status: Some(status), reason }) if status != Status::Diverged => {
                return Ok(Outcome::Failed { status, reason });
            }
            _ => {}
        }
        if report.end != End::Exited(0) || !scratch.0.join(RESULT).is_file() {
            return Ok(Outcome::Failed { status: Status::Crashed, reason: crash(&report) });
        }
        if !self.reuse && folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{}: cannot remove", folder.display()))?;
        }
        atomic::publish_folder(&scratch.0, &folder)?;
        match self.cached(&folder) {
            Some(Outcome::Done { folder, result, .. }) => Ok(Outcome::Done { folder, result, cached: false }),
            Some(outcome) => Ok(outcome),
            None => bail!("{}: the result cannot be read back", folder.display()),
        }
    }

    fn cached<R: DeserializeOwned>(&self, folder: &Path) -> Option<Outcome<R>> {
        let answer = serde_json::from_slice(&fs::read(folder.join(RESULT)).ok()?).ok()?;
        match answer {
            Answer::Done(result) => self.files.iter().all(|file| folder.join(file).is_file()).then(|| Outcome::Done {
                folder: folder.to_owned(),
                result,
                cached: true,
            }),
            Answer::Failed(Failure { status, reason }) => {
                Some(Outcome::Failed { status: status.unwrap_or(Status::Failed), reason })
            }
        }
    }

    fn scratch(&self, key: &str) -> Result<Scratch> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("{key}.{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // The child may have another working folder in mind than we have.
        let cache = fs::canonicalize(&self.cache).with_context(|| format!("{}: cannot use", self.cache.display()))?;
        let folder = cache.join(name);
        atomic::make_folder(&folder)?;
        Ok(Scratch(folder))
    }
}

/// Seconds of work that a lasting folder stands for.
fn spent(lasting: &Path) -> Duration {
    let text = fs::read_to_string(lasting.join(SPENT)).unwrap_or_default();
    text.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default()
}

fn forget(lasting: &Path) -> Result<()> {
    match fs::remove_dir_all(lasting) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot remove", lasting.display()))
        }
        _ => Ok(()),
    }
}

/// A folder that goes away unless it was published under another name.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The outcome of a child that we have killed.
fn unfinished<R>(report: &Report, limits: &Limits, spent: Duration) -> Option<Outcome<R>> {
    let mib = |bytes: u64| bytes >> 20;
    match report.end {
        End::Interrupted => Some(Outcome::Interrupted),
        End::Timeout => {
            let limit = limits.time.unwrap_or_default().as_secs_f64();
            let seconds = spent.as_secs_f64() + report.seconds;
            let reason = format!("killed after {seconds:.1} s (limit {limit} s)");
            Some(Outcome::Failed { status: Status::Timeout, reason })
        }
        End::OutOfMemory(used) => {
            let limit = limits.memory.unwrap_or_default();
            let reason = format!("killed at {} MiB of memory (limit {} MiB)", mib(used), mib(limit));
            Some(Outcome::Failed { status: Status::Oom, reason })
        }
        End::Exited(_) | End::Signalled(_) => None,
    }
}

fn crash(report: &Report) -> String {
    let how = match report.end {
        End::Exited(0) => "ended without a result".to_owned(),
        End::Exited(code) => format!("ended with exit code {code}"),
        // We have not sent it; more often than not the kernel has, for lack of memory.
        End::Signalled(libc::SIGKILL) => "killed by signal 9, perhaps by the system for lack of memory".to_owned(),
        End::Signalled(signal) => format!("killed by signal {signal}"),
        End::Timeout | End::OutOfMemory(_) | End::Interrupted => "killed".to_owned(),
    };
    let words = report.stderr.iter().rev().map(|line| line.trim());
    // Rust's own advice on backtraces comes last, and says nothing.
    match words.clone().find(|line| !line.is_empty() && !line.starts_with("note: ")) {
        Some(words) => format!("{how}: {words}"),
        None => how,
    }
}

/// The child's side: reads the job from stdin, does it in its folder, and leaves the result there. `work` gets the job,
/// the place for its files, and a function that tells the parent something.
pub fn serve<J: DeserializeOwned, R: Serialize>(
    work: impl FnOnce(J, &Place, &mut dyn FnMut(&Value)) -> Result<R, Failure>,
) -> ExitCode {
    match answer(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&serde_json::json!({ "failed": failure }));
            ExitCode::FAILURE
        }
    }
}

fn answer<J: DeserializeOwned, R: Serialize>(
    work: impl FnOnce(J, &Place, &mut dyn FnMut(&Value)) -> Result<R, Failure>,
) -> Result<(), Failure> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input).map_err(Failure::of_machine)?;
    let Request { place, job } = serde_json::from_slice(&input)
        .map_err(|error| Failure::of_machine(format!("this subcommand is for the supervisor's use only ({error})")))?;
    let answer = match work(job, &place, &mut |note| tell(note)) {
        Ok(result) => Answer::Done(result),
        // What only the job's content can have caused would happen again: as good as a result.
        Err(failure) if failure.status == Some(Status::Diverged) => Answer::Failed(failure),
        Err(failure) => return Err(failure),
    };
    let text = serde_json::to_vec_pretty(&answer).map_err(Failure::of_machine)?;
    atomic::write_bytes(&place.folder.join(RESULT), &text).map_err(|error| Failure::of_machine(format!("{error:#}")))
}

fn tell(note: &Value) {
    // A parent that no longer listens is about to end us.
    let _ = writeln!(io::stdout().lock(), "{note}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpus::Gpu;

    static GO: AtomicBool = AtomicBool::new(false);

    /// A runner whose child is a shell script. The script finds its request in `$request`, its folder in `$folder`.
    fn runner(cache: &Path, script: &str) -> Runner<'static> {
        let head = r#"request=$(cat); folder=${request#*\"folder\":\"}; folder=${folder%%\"*}; "#;
        Runner {
            command: ["/bin/sh", "-c", &format!("{head}{script}")].map(OsString::from).to_vec(),
            cache: cache.join("train"),
            reuse: true,
            files: &["weights"],
            limits: Limits { time: Some(Duration::from_secs(20)), grace: Duration::from_millis(200), memory: None },
            gpus: Arc::new(Gpus::none()),
            stop: &GO,
        }
    }

    fn run(runner: &Runner<'_>, key: &str) -> Outcome<u32> {
        runner.prepare().expect("a cache folder");
        runner.run(key, &"job", &mut |_| {}).expect("the machine is fine")
    }

    fn left(runner: &Runner<'_>) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&runner.cache)
            .expect("the cache")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
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
        let part = folder.path().join("train/k.part");
        let mut killed = runner(folder.path(), script);
        killed.limits.time = Some(Duration::from_millis(300));
        assert!(matches!(run(&killed, "k"), Outcome::Failed { status: Status::Timeout, .. }));
        assert!(part.join("half").exists());
        let Outcome::Failed { reason, .. } = run(&killed, "k") else { panic!("its time was over") };
        assert!(reason.starts_with("killed after 1") && reason.ends_with("(limit 0.3 s)"), "{reason}");
        assert!(matches!(run(&runner(folder.path(), script), "k"), Outcome::Done { result: 7, cached: false, .. }));
        assert!(!part.exists(), "a job that is done needs no rest");

        // anew means from the start; what is left beside a result goes
        fs::create_dir(&part).expect("made");
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
        assert_eq!(outcome, Outcome::Done { folder: good.cache.join("k"), result: 7, cached: false });
        assert_eq!(notes, [serde_json::json!({"step": 1})]);
        let bad = runner(folder.path(), "exit 9");
        assert!(matches!(run(&bad, "k"), Outcome::Done { cached: true, result: 7, .. }));
        assert!(matches!(run(&bad, "other"), Outcome::Failed { status: Status::Crashed, .. }));
        let again = Runner { reuse: false, ..runner(folder.path(), &GOOD.replace('7', "8")) };
        assert!(matches!(run(&again, "k"), Outcome::Done { cached: false, result: 8, .. }));
        fs::remove_file(good.cache.join("k/weights")).expect("it was there");
        assert_eq!(left(&good), ["k"]);
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
        let fail = |script: &str| match run(&runner(folder.path(), script), "k") {
            Outcome::Failed { status, reason } => (status, reason),
            other => panic!("{script}: {other:?}"),
        };
        let (status, reason) = fail("echo 'half' > $folder/weights; echo oops >&2; exit 3");
        assert_eq!((status, reason.as_str()), (Status::Crashed, "ended with exit code 3: oops"));
        let (status, reason) = fail("echo 'note: advice' >&2; kill -SEGV $$");
        assert_eq!((status, reason.as_str()), (Status::Crashed, "killed by signal 11"));
        assert_eq!(fail("exit 0").1, "ended without a result");
        let told = r#"echo '{"failed":{"status":"oom","reason":"CUDA out of memory"}}'; exit 1"#;
        assert_eq!(fail(told), (Status::Oom, "CUDA out of memory".to_owned()));
        assert_eq!(left(&runner(folder.path(), "")), Vec::<String>::new());
    }

    #[test]
    fn time_limit_is_a_status_and_touches_no_other_job() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut looping = runner(folder.path(), "while :; do :; done");
        looping.limits.time = Some(Duration::from_millis(200));
        let Outcome::Failed { status, reason } = run(&looping, "k") else { panic!("it looped for ever") };
        assert_eq!(status, Status::Timeout);
        assert!(reason.starts_with("killed after 0.") && reason.ends_with("(limit 0.2 s)"), "{reason}");
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

    #[test]
    fn leftovers_of_the_dead_are_cleared_away() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runner = runner(folder.path(), GOOD);
        let [dead, alive] = [u32::MAX, std::process::id()].map(|pid| runner.cache.join(format!("k.{pid}-0.tmp")));
        for path in [&dead, &alive] {
            fs::create_dir_all(path).expect("made");
        }
        runner.prepare().expect("a cache folder");
        assert!(!dead.exists() && alive.exists());
    }
}
