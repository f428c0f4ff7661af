//! The parent's side of one child.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use stage::proc::{Memory, Stat};

use super::{Death, Limits};
use crate::Inspection;

/// How often a child is looked at that has not answered yet; most answers come sooner.
const TICK: Duration = Duration::from_millis(20);
/// Bytes of stderr that are kept.
const LAST_WORDS: usize = 4096;

/// What became of a request.
pub enum Answer {
    Inspected(Box<Inspection>),
    Died(Death),
}

/// A child, ready for a request. It ends when this is dropped, and when this process ends, however that comes about: it reads
/// the end of its input then.
pub struct Process {
    child: Child,
    limits: Limits,
    requests: Option<ChildStdin>,
    replies: Receiver<String>,
    /// Gathers its last words, to its end.
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Process {
    /// Starts a program with its arguments as a child, and tells it the rules.
    pub fn start(command: &[OsString], limits: Limits, rules: &str) -> Result<Self> {
        let Some((program, arguments)) = command.split_first() else { bail!("no program to start") };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for the parent, which ends its children in its own way.
        command.env("RUST_BACKTRACE", "0").process_group(0);
        let mut child = command.spawn()?;
        let (send, replies) = channel();
        if let Some(stdout) = child.stdout.take() {
            let lines = BufReader::new(stdout).lines().map_while(std::io::Result::ok);
            thread::spawn(move || lines.map(|line| send.send(line)).all(|sent| sent.is_ok()));
        }
        let stderr = child.stderr.take().map(|stream| thread::spawn(move || last_words(stream)));
        let requests = child.stdin.take();
        let mut process = Self { child, limits, requests, replies, stderr };
        // A child that is dead already shows when it is asked.
        let _ = process.send(rules);
        Ok(process)
    }

    fn send(&mut self, line: &str) -> std::io::Result<()> {
        let Some(requests) = &mut self.requests else { return Ok(()) };
        requests.write_all(line.as_bytes())?;
        requests.write_all(b"\n")?;
        requests.flush()
    }

    /// Asks, and waits for the answer or for the child's end. After an end, the child is of no more use.
    pub fn ask(&mut self, request: &str) -> Result<Answer> {
        // A child that is dead cannot be written to; its end is seen below.
        let _ = self.send(request);
        let pid = self.child.id();
        let mut used_before = None;
        loop {
            match self.replies.recv_timeout(TICK) {
                Ok(line) => return Ok(Answer::Inspected(serde_json::from_str(&line).context("a child's answer")?)),
                Err(RecvTimeoutError::Disconnected) => return Ok(Answer::Died(self.end()?)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Counted from the first look on, in processor time: a machine that sleeps or is busy costs nobody a verdict.
            let used = Stat::of(pid).map(|stat| stat.cpu).unwrap_or_default();
            let used_before = *used_before.get_or_insert(used);
            let death = if used.saturating_sub(used_before) > self.limits.cpu {
                Death::Cpu
            } else if Memory::of(pid).own() > self.limits.memory {
                Death::Memory
            } else {
                continue;
            };
            self.child.kill().and_then(|()| self.child.wait()).context("cannot end a child")?;
            return Ok(Answer::Died(death));
        }
    }

    /// How a child ended that closed its output.
    fn end(&mut self) -> Result<Death> {
        drop(self.requests.take());
        let status = self.child.wait().context("cannot wait for a child")?;
        let words = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Ok(death(status, &String::from_utf8_lossy(&words)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.requests.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a child's end means. The numbers of threads and of bytes in its words differ between equal runs, so they are left out.
fn death(status: ExitStatus, words: &str) -> Death {
    const KILL: i32 = rustix::process::Signal::KILL.as_raw();
    const TERM: i32 = rustix::process::Signal::TERM.as_raw();
    if words.contains("memory allocation of") {
        return Death::Memory;
    }
    if words.contains("has overflowed its stack") {
        return Death::Crashed("its stack overflowed".to_owned());
    }
    match status.signal() {
        Some(signal @ (KILL | TERM)) => Death::Killed(signal),
        Some(signal) => Death::Crashed(format!("signal {signal}")),
        None => Death::Crashed(format!("it ended with exit code {}", status.code().unwrap_or(-1))),
    }
}

fn last_words(mut stream: impl Read) -> Vec<u8> {
    let (mut kept, mut block) = (Vec::new(), [0_u8; 1024]);
    while let Ok(read @ 1..) = stream.read(&mut block) {
        kept.extend(block.iter().take(read));
        let surplus = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..surplus);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_by_their_cause() {
        let signal = |number| ExitStatus::from_raw(number);
        let overflow =
            "\nthread '<unnamed>' (77) has overflowed its stack\nfatal runtime error: stack overflow, aborting\n";
        assert_eq!(death(signal(6), overflow), Death::Crashed("its stack overflowed".into()));
        assert_eq!(death(signal(6), "memory allocation of 1099511627776 bytes failed\n"), Death::Memory);
        assert_eq!(death(signal(9), ""), Death::Killed(9));
        assert_eq!(death(signal(11), ""), Death::Crashed("signal 11".into()));
        assert_eq!(death(signal(3 << 8), "x"), Death::Crashed("it ended with exit code 3".into()));
    }

    #[test]
    fn last_words_are_the_last() {
        let kept = last_words([vec![b'a'; 10_000], b"end".to_vec()].concat().as_slice());
        assert_eq!((kept.len(), kept.ends_with(b"aend")), (LAST_WORDS, true));
    }
}
