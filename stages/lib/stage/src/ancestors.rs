//! A stage that Make has started ends with Make.
//!
//! Make passes SIGTERM on to what it has started itself, but not to what that has started; SIGINT and SIGHUP it passes on
//! to nobody, and waits; of SIGKILL nobody hears. So a stage that runs in a recipe watches the processes between it and
//! the first Make: when one of them is gone, or a Make has taken a signal and only waits for its children, the stage ends
//! as if the signal had come to itself.
//!
//! What is detached on purpose is not watched over: a stage in another session than its Make (`setsid`), or one that
//! ignores SIGHUP where its Make does not (`nohup`). `nohup make search` is no such case: all of it ends with that Make.
//! Without Make (a shell, a pipe, a service) nothing is watched.

use std::io::Write;
use std::time::Duration;

use crate::proc::{self, Stat, bit};

const LOOK: Duration = Duration::from_millis(200);
/// After this time a stage that was asked to end is ended.
const GRACE: Duration = Duration::from_secs(20);

/// Signals that end Make. It stops to catch the one that it has taken.
const FATAL: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// A process on the way to the first Make.
#[derive(Clone, Debug, PartialEq)]
struct Ancestor {
    pid: u32,
    start: u64,
    /// For a Make: the signals of [`FATAL`] that it catches.
    catches: Option<u64>,
}

impl Ancestor {
    fn of(stat: &Stat) -> Self {
        Self { pid: stat.pid, start: stat.start, catches: is_make(stat).then(|| catches(stat.pid)).flatten() }
    }

    /// Whether it is there, and wants to stay.
    fn goes_on(&self) -> bool {
        let there = Stat::of(self.pid).is_some_and(|stat| stat.start == self.start && !stat.is_dead());
        // Where it cannot be read it was gone between the two looks: the next one tells.
        there && self.catches.is_none_or(|before| catches(self.pid).is_none_or(|now| now & before == before))
    }
}

fn is_make(stat: &Stat) -> bool {
    matches!(stat.name.as_str(), "make" | "gmake")
}

fn catches(pid: u32) -> Option<u64> {
    let fatal = FATAL.iter().fold(0, |set, &signal| set | bit(signal));
    Some(proc::signals(pid, "SigCgt")? & fatal)
}

/// Watches over this stage from now on, where Make has started it.
pub fn watch() {
    // Make says in which depth of its own calls a recipe runs.
    let depth = std::env::var("MAKELEVEL").ok().and_then(|depth| depth.parse::<usize>().ok()).unwrap_or(0);
    let ancestors = if depth > 0 { up_to_make(depth) } else { Vec::new() };
    if ancestors.is_empty() {
        return;
    }
    let watch = move || {
        while ancestors.iter().all(Ancestor::goes_on) {
            std::thread::sleep(LOOK);
        }
        end();
    };
    // Without a thread there is no watch; the work itself needs none.
    drop(std::thread::Builder::new().name("ancestors".into()).stack_size(256 << 10).spawn(watch));
}

/// The processes between this one and the first of `makes` nested Makes, that one included.
fn up_to_make(makes: usize) -> Vec<Ancestor> {
    let Some(me) = Stat::of("self") else { return Vec::new() };
    let ignores_hangup = |pid: u32| proc::signals(pid, "SigIgn").is_some_and(|set| set & bit(libc::SIGHUP) != 0);
    let detached = ignores_hangup(me.pid);
    let (mut path, mut found, mut last) = (Vec::new(), 0, 0);
    let mut next = me.parent;
    while found < makes
        && let Some(stat) = Stat::of(next)
        && stat.session == me.session
    {
        path.push(Ancestor::of(&stat));
        if is_make(&stat) {
            if detached && !ignores_hangup(stat.pid) {
                break;
            }
            found += 1;
            last = path.len();
        }
        next = stat.parent;
    }
    path.truncate(last);
    path
}

/// Ends this stage as a signal would.
fn end() -> ! {
    let _ = writeln!(std::io::stderr(), "the make that started this has ended, or was told to: so does this");
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
    std::thread::sleep(GRACE);
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use super::*;

    /// Starts `make` that starts a `make` that starts [`waits`], with `prefix` before it.
    fn start(folder: &Path, prefix: &str) -> Option<(Child, u32)> {
        let this = std::env::current_exe().expect("there is one");
        let makefile = folder.join("Makefile");
        let (pid, this) = (folder.join("pid"), this.display());
        let waits = format!("{prefix} {this} --exact ancestors::tests::waits --ignored --nocapture");
        let text = format!(
            "outer:\n\t@if true; then $(MAKE) -f {0} inner; true; fi\ninner:\n\t@EMBERLINE_TEST_PID={1} {waits}\n",
            makefile.display(),
            pid.display()
        );
        fs::write(&makefile, text).expect("written");
        // Whoever runs these tests may ignore signals, and what ignores them hands that down.
        let mut make = Command::new("env");
        make.args(["--default-signal", "make", "-f"])
            .arg(&makefile)
            .arg("outer")
            .env_remove("MAKELEVEL")
            .env_remove("MAKEFLAGS")
            .env_remove("MFLAGS");
        make.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let child = make.spawn().ok()?;
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let said = fs::read_to_string(&pid).unwrap_or_default();
            if let Ok(found) = said.trim().parse() {
                return Some((child, found));
            }
            assert!(Instant::now() < deadline, "it never began");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn send(pid: u32, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    fn ends(pid: u32, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while Stat::of(pid).is_some_and(|stat| !stat.is_dead()) {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    #[test]
    fn what_make_has_started_ends_with_make() {
        for signal in ["TERM", "INT", "HUP", "KILL"] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let Some((mut make, pid)) = start(folder.path(), "") else { return eprintln!("skipped: there is no make") };
            std::thread::sleep(Duration::from_millis(300));
            send(make.id(), signal);
            assert!(ends(pid, Duration::from_secs(10)), "after SIG{signal} it is still there");
            make.wait().expect("it ends");
        }
    }

    #[test]
    fn what_is_detached_on_purpose_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for prefix in ["nohup", "setsid --wait"] {
            let folder = folder.path().join(prefix.split(' ').next().expect("a word"));
            fs::create_dir(&folder).expect("made");
            let Some((mut make, pid)) = start(&folder, prefix) else { return eprintln!("skipped: there is no make") };
            send(make.id(), "KILL");
            make.wait().expect("it ends");
            assert!(!ends(pid, Duration::from_secs(1)), "{prefix}");
            send(pid, "KILL");
        }
    }

    #[test]
    #[ignore = "what the others have make start"]
    fn waits() {
        watch();
        let path = std::env::var_os("EMBERLINE_TEST_PID").expect("it is started by a test");
        crate::atomic::write_bytes(Path::new(&path), std::process::id().to_string().as_bytes()).expect("written");
        std::thread::sleep(Duration::from_secs(60));
    }
}
