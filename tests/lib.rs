//! What the whole-pipeline tests share: the real binaries, scratch folders, and the outcome of a command.

pub mod python;

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Pid;
pub use rustix::process::Signal;

/// The top of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The folder with the binaries of the profile that these tests were built with. Builds them once, so that plain
/// `cargo test -p tests` works too.
pub fn bin() -> &'static Path {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let test = std::env::current_exe().expect("the test knows its own path");
        let folder = test.ancestors().nth(2).expect("tests run from target/PROFILE/deps").to_path_buf();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--workspace", "--bins", "--quiet"]).current_dir(root());
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        // What cargo tells this test of its package would look like other settings to build scripts, which then begin anew.
        let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
            if of_package(&name) {
                cargo.env_remove(name);
            }
        }
        let built = cargo.status().expect("cargo starts");
        assert!(built.success(), "the binaries do not build");
        folder
    })
}

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The outcome of a command that has to succeed.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks a refusal: the exit code, one clear message that holds every one of `words`, and no panic.
    #[track_caller]
    pub fn refused(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        assert!(self.stderr.contains("error:"), "no message: {:?}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing in: {}", self.stderr);
        }
        self
    }

    /// The JSON objects on stdout, a line each.
    #[track_caller]
    pub fn rows(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// A stage's binary, in the repository's top folder (where the default seed program is found).
pub fn stage(name: &str) -> Command {
    let mut command = Command::new(bin().join(name));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a stage with the given arguments.
pub fn run<S: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = S>) -> Outcome {
    Outcome::new(stage(name).args(args).output().expect("the stage starts"))
}

/// Runs a shell pipeline with the binaries on the PATH.
pub fn shell(script: &str) -> Outcome {
    let path = format!("{}:{}", bin().display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["-o", "pipefail", "-c", script]).current_dir(root()).env("PATH", path).stdin(Stdio::null());
    Outcome::new(command.output().expect("bash starts"))
}

/// Make, for a tiny search in `folder`, with the binaries under test.
pub fn make_search(folder: &Path, seed: u64) -> Command {
    let mut make = make(folder, "search");
    make.arg(format!("SEED={seed}"));
    make
}

/// Make, for one of its targets, with the tiny profile, the binaries under test, and a run and a cache in `folder`.
pub fn make(folder: &Path, target: &str) -> Command {
    let mut make = Command::new("make");
    make.arg(target).args([
        "PROFILE=tiny".to_owned(),
        "JOBS=2".to_owned(),
        format!("BIN={}", bin().display()),
        "BUILD=no".to_owned(),
        format!("RUN={}", folder.join("run").display()),
        format!("CACHE={}", folder.join("cache").display()),
    ]);
    // A make that runs these tests must not hand its own flags and job slots down.
    make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("MAKELEVEL").env_remove("MAKEOVERRIDES");
    make.current_dir(root()).stdin(Stdio::null());
    make
}

/// A cache for all tests of this process that are not about trainings, so that each training is done once. It is empty at
/// first, so that results of earlier code are never taken; those that processes which are gone have left are removed.
pub fn shared_cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| {
        let all = bin().with_file_name("tmp").join("caches");
        let own = std::process::id().to_string();
        for entry in std::fs::read_dir(&all).into_iter().flatten().flatten() {
            let pid = entry.file_name();
            if pid == *own || !Path::new("/proc").join(&pid).exists() {
                std::fs::remove_dir_all(entry.path()).expect("an old cache can be removed");
            }
        }
        all.join(own)
    })
}

/// The same Make with [`shared_cache`]; a `CACHE` that is given later wins.
pub fn with_shared_cache(mut make: Command) -> Command {
    make.arg(format!("CACHE={}", shared_cache().display()));
    make
}

/// Sends a signal to a process; one that is gone already is fine.
pub fn signal(pid: u32, signal: Signal) {
    let _ = i32::try_from(pid).ok().and_then(Pid::from_raw).map(|pid| rustix::process::kill_process(pid, signal));
}

/// The processes that a process has started, and that have not been waited for.
pub fn children(parent: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lines = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lines.flat_map(|pids| pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// As [`signal`], to all of a process's group.
pub fn signal_group(pid: u32, signal: Signal) {
    let _ = i32::try_from(pid).ok().and_then(Pid::from_raw).map(|pid| rustix::process::kill_process_group(pid, signal));
}

/// Starts a command in a process group of its own and kills that with signal 9 after a while. Returns when no process is
/// left that names `folder`: trainings have groups of their own, and must not outlive their supervisor.
pub fn kill9(mut command: Command, after: Duration, folder: &Path) {
    command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().expect("the command starts");
    std::thread::sleep(after);
    signal_group(child.id(), Signal::KILL);
    child.wait().expect("the command ends");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !processes_of(folder).is_empty() {
        assert!(Instant::now() < deadline, "still there: {:?}", processes_of(folder));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every process whose command line names `folder`, apart from this test.
fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("a Linux machine").flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&name) {
            found.push(line);
        }
    }
    found
}

/// Moments in the first half of `whole`, without end. They are drawn anew each time, from the clock: any of them
/// has to do.
pub fn moments(whole: Duration) -> impl Iterator<Item = Duration> {
    let mut state = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |t| t.as_nanos() as u64) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        whole.mul_f64(0.02 + 0.5 * (state % 1000) as f64 / 1000.0)
    })
}

/// Says that a test cannot run here, past the capturing of tests' output: a skipped test must be seen.
pub fn skip(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

/// A Python with DuckDB in it.
pub fn duckdb() -> Option<PathBuf> {
    python::python("duckdb", &["duckdb"], &["duckdb==2.0.0"])
}

/// The blocks of a Markdown file in this language.
pub fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let starts = markdown.split(fence.as_str()).skip(1);
    starts.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// Runs a command to its end.
pub fn finish(mut command: Command) -> Outcome {
    Outcome::new(command.output().expect("the command starts"))
}
