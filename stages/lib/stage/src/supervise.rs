//! One child process under limits: when it loops, leaks or crashes, that is its own end and nobody else's.
//!
//! The child leads a process group of its own. Past its limit of time the group gets SIGTERM, and SIGKILL after a grace
//! period; past its memory limit SIGKILL at once. Whatever the child has started and left behind dies with it. The child
//! dies, too, when this process does, even of SIGKILL.
//!
//! Time is [time at work](crate::clock): a child that is stopped, or suspended with the whole machine, is not nearer to its
//! limit afterwards. A child that hangs without being stopped is.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::clock::WorkClock;
use crate::proc::{self, Memory, Stat};
use crate::system::die_with_parent;

/// How often we look whether the child has ended. A line from it wakes us earlier.
const TICK: Duration = Duration::from_millis(20);
/// How often its time and memory are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Lines of stderr that are kept.
const TAIL: usize = 40;

/// What a child may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time at work, see [`crate::clock`].
    pub time: Option<Duration>,
    /// Resident memory in bytes, summed over the child and its descendants.
    pub memory: Option<u64>,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Whether what a child has left running goes on after it ended by itself: who sends a job leaves one.
    pub leave: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: None, memory: None, grace: Duration::from_secs(5), leave: false }
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal, not ours.
    Signalled(i32),
    /// Killed at its limit of time.
    Timeout,
    /// Killed at its memory limit, using this many bytes.
    OutOfMemory(u64),
    /// Killed because we were asked to stop.
    Interrupted,
}

/// What is left of a child.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// The last lines that it wrote to stderr.
    pub stderr: Vec<String>,
    /// From its start to its end, whatever happened between.
    pub seconds: f64,
    /// The part of that in which it was at work, see [`crate::clock`].
    pub at_work: Duration,
    /// Largest resident memory seen, in bytes.
    pub peak_memory: u64,
}

impl Report {
    /// The last line on stderr that says something.
    pub fn last_words(&self) -> Option<&str> {
        self.stderr.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty())
    }
}

/// Runs a command to its end, or until `stop` says so: `input` on its stdin, each line of its stdout to `on_line`.
///
/// # Errors
/// Only where the command could not be started or watched; whatever the child does is a [`Report`].
pub fn run(
    mut command: Command,
    input: Vec<u8>,
    limits: Limits,
    stop: &dyn Fn() -> bool,
    mut on_line: impl FnMut(&str),
) -> io::Result<Report> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    die_with_parent(&mut command);
    let started = Instant::now();
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A child that does not read its input is its own problem.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let lines = lines_of(child.stdout.take());
    let stderr = Tail::of(child.stderr.take());

    let clock = WorkClock::starting_at(started);
    let mut watch = Watch { pid: child.id(), limits, clock, deadline: None, verdict: None, peak: 0, looked: started };
    let status = loop {
        match lines.recv_timeout(TICK) {
            Ok(line) => on_line(&line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(TICK),
        }
        if ended(&child)? {
            break if limits.leave && watch.verdict.is_none() { child.wait()? } else { reap(&mut child)? };
        }
        watch.look(stop);
    };
    // What it said last may still be in the pipe.
    while let Ok(line) = lines.recv_timeout(Duration::from_secs(1)) {
        on_line(&line);
    }
    let end = watch.verdict.unwrap_or_else(|| {
        use std::os::unix::process::ExitStatusExt;
        status.signal().map_or_else(|| End::Exited(status.code().unwrap_or(-1)), End::Signalled)
    });
    let (seconds, at_work) = (started.elapsed().as_secs_f64(), watch.clock.total());
    Ok(Report { end, stderr: stderr.lines(), seconds, at_work, peak_memory: watch.peak })
}

/// Whether the child has ended, without forgetting its pid: until it is reaped, its group's number is not given away.
fn ended(child: &Child) -> io::Result<bool> {
    let Some(pid) = pid_of(child.id()) else { return Ok(false) };
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(rustix::process::waitid(WaitId::Pid(pid), look)?.is_some())
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Kills what is left of the group, then forgets the child.
fn reap(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    signal_group(child.id(), Signal::KILL);
    child.wait()
}

fn signal_group(pid: u32, signal: Signal) {
    // A group that is gone already is fine.
    let _ = pid_of(pid).map(|pid| rustix::process::kill_process_group(pid, signal));
}

struct Watch {
    pid: u32,
    limits: Limits,
    clock: WorkClock,
    /// When SIGTERM becomes SIGKILL.
    deadline: Option<Instant>,
    verdict: Option<End>,
    peak: u64,
    looked: Instant,
}

impl Watch {
    fn look(&mut self, stop: &dyn Fn() -> bool) {
        if let Some(deadline) = self.deadline {
            if Instant::now() >= deadline {
                signal_group(self.pid, Signal::KILL);
            }
            return;
        }
        if stop() {
            return self.terminate(End::Interrupted, self.limits.grace);
        }
        let now = Instant::now();
        if now.saturating_duration_since(self.looked) < LOOK {
            return;
        }
        self.looked = now;
        let seen = Seen::of(self.pid);
        let at_work = self.clock.look(now, seen.cpu, seen.stopped);
        self.peak = self.peak.max(seen.resident);
        if self.limits.memory.is_some_and(|limit| seen.resident > limit) {
            // It would only grow while it is asked nicely.
            self.terminate(End::OutOfMemory(seen.resident), Duration::ZERO);
        } else if self.limits.time.is_some_and(|limit| at_work >= limit) {
            self.terminate(End::Timeout, self.limits.grace);
        }
    }

    fn terminate(&mut self, end: End, grace: Duration) {
        signal_group(self.pid, if grace.is_zero() { Signal::KILL } else { Signal::TERM });
        // One that is stopped would not hear it.
        signal_group(self.pid, Signal::CONT);
        self.verdict = Some(end);
        self.deadline = Some(Instant::now() + grace);
    }
}

/// A process and its descendants at one moment; zeros where it cannot be told.
#[derive(Default)]
struct Seen {
    /// In bytes.
    resident: u64,
    cpu: Duration,
    /// Whether the process itself is.
    stopped: bool,
}

impl Seen {
    fn of(root: u32) -> Self {
        let mut seen = Self::default();
        for pid in proc::tree(root) {
            seen.resident += Memory::of(pid).resident;
            if let Some(stat) = Stat::of(pid) {
                seen.cpu += stat.cpu;
                seen.stopped |= pid == root && stat.is_stopped();
            }
        }
        seen
    }
}

fn lines_of(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, receive) = channel();
    if let Some(stream) = stream {
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
    }
    receive
}

/// The last lines of a stream, gathered by a thread.
struct Tail {
    lines: Arc<Mutex<VecDeque<String>>>,
    done: Receiver<()>,
}

impl Tail {
    fn of(stream: Option<impl Read + Send + 'static>) -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let (send, done) = channel();
        if let Some(stream) = stream {
            let lines = lines.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                    if lines.len() == TAIL {
                        lines.pop_front();
                    }
                    lines.push_back(String::from_utf8_lossy(&line).into_owned());
                }
                drop(send);
            });
        }
        Self { lines, done }
    }

    /// Waits for the end of the stream, within reason: someone who left the group may hold it open.
    fn lines(self) -> Vec<String> {
        let _ = self.done.recv_timeout(Duration::from_secs(1));
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn limits(wall_ms: u64, grace_ms: u64) -> Limits {
        let (wall, grace) = (Duration::from_millis(wall_ms), Duration::from_millis(grace_ms));
        Limits { time: Some(wall), grace, ..Limits::default() }
    }

    fn watch(script: &str, limits: Limits) -> (Report, Vec<String>) {
        let mut lines = Vec::new();
        let report =
            run(shell(script), Vec::new(), limits, &|| false, |line| lines.push(line.to_owned())).expect("sh starts");
        (report, lines)
    }

    fn alive(pid: &str) -> bool {
        // A zombie that nobody has reaped yet is dead for our purposes.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
    }

    fn dies(pid: &str) -> bool {
        (0..200).any(|_| {
            thread::sleep(Duration::from_millis(10));
            !alive(pid)
        })
    }

    #[test]
    fn lines_input_and_exit_code_arrive() {
        let mut lines = Vec::new();
        let report = run(
            shell("cat; echo two; echo oops >&2; exit 3"),
            b"one\n".to_vec(),
            Limits::default(),
            &|| false,
            |line| lines.push(line.to_owned()),
        )
        .expect("sh starts");
        assert_eq!(report.end, End::Exited(3));
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(report.last_words(), Some("oops"));
    }

    #[test]
    fn kills_looping_candidate() {
        let (report, lines) = watch("sleep 1000 & echo $!; while :; do :; done", limits(300, 2000));
        assert_eq!(report.end, End::Timeout);
        assert!(dies(&lines[0]), "its child is left");
    }

    #[test]
    fn kills_one_that_ignores_sigterm() {
        let (report, lines) = watch("trap '' TERM; echo $$; while :; do :; done", limits(200, 200));
        assert_eq!(report.end, End::Timeout);
        assert!(dies(&lines[0]));
    }

    #[test]
    fn children_left_behind_die() {
        let (report, lines) = watch("sleep 1000 >/dev/null 2>&1 & echo $!", limits(20_000, 100));
        assert_eq!(report.end, End::Exited(0));
        assert!(dies(&lines[0]));
    }

    #[test]
    fn crash_is_told_by_its_signal() {
        let (report, _) = watch("echo last words >&2; kill -SEGV $$", Limits::default());
        assert_eq!(report.end, End::Signalled(libc::SIGSEGV));
        assert_eq!(report.last_words(), Some("last words"));
    }

    #[test]
    fn memory_limit_kills() {
        let limits = Limits { memory: Some(64 << 20), ..limits(30_000, 100) };
        let (report, _) = watch("x=$(head -c 150000000 /dev/zero | tr '\\0' x); sleep 30; echo ${#x}", limits);
        assert!(matches!(report.end, End::OutOfMemory(used) if used > 64 << 20), "{report:?}");
        assert!(report.peak_memory > 64 << 20);
    }

    /// Sends signals to a child, given its pid, from another process: so they arrive whoever is suspended.
    fn later(script: &str) -> Child {
        shell(script).stdin(Stdio::null()).spawn().expect("sh starts")
    }

    #[test]
    fn a_child_that_is_stopped_for_longer_than_its_limit_goes_on() {
        let mut helper = None;
        let script = "echo $$; n=0; while test $n -lt 8; do sleep 0.05; n=$((n + 1)); done";
        let limits = limits(1500, 200);
        let report = run(shell(script), Vec::new(), limits, &|| false, |pid| {
            helper = Some(later(&format!("kill -STOP {pid}; sleep 2.5; kill -CONT {pid}")));
        });
        let report = report.expect("sh starts");
        assert!(helper.expect("it said its pid").wait().expect("it ends").success());
        assert_eq!(report.end, End::Exited(0), "{report:?}");
        assert!(report.seconds > 2.5 && report.at_work < Duration::from_millis(1500), "{report:?}");
    }

    #[test]
    fn one_that_hangs_or_stops_itself_again_and_again_is_still_killed() {
        let (report, _) = watch("sleep 1000", limits(300, 100));
        assert_eq!(report.end, End::Timeout, "it neither computes nor says anything");
        let (report, _) = watch(
            "(while :; do sleep 0.1; kill -CONT $$ || exit; done) & while :; do kill -STOP $$; for i in 1 2 3 4 5 6 7 8 9; do :; done; sleep 0.3; done",
            limits(500, 100),
        );
        assert_eq!(report.end, End::Timeout);
    }

    #[test]
    fn stop_interrupts() {
        let stop = Cell::new(false);
        let report =
            run(shell("echo up; sleep 1000"), Vec::new(), Limits::default(), &|| stop.get(), |_| stop.set(true));
        assert_eq!(report.expect("sh starts").end, End::Interrupted);
    }

    #[test]
    fn one_that_is_stopped_can_be_interrupted() {
        let stop = Cell::new(false);
        let started = Instant::now();
        let limits = Limits { grace: Duration::from_secs(100), ..Limits::default() };
        let report =
            run(shell("echo up; kill -STOP $$; sleep 9"), Vec::new(), limits, &|| stop.get(), |_| stop.set(true));
        assert_eq!(report.expect("sh starts").end, End::Interrupted);
        assert!(started.elapsed() < Duration::from_secs(50), "it never heard of it");
    }

    #[test]
    fn missing_program_is_an_error() {
        assert!(run(Command::new("/no/such/program"), Vec::new(), Limits::default(), &|| false, |_| {}).is_err());
    }
}
