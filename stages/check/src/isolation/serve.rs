//! The child's side: a line of rules, then a line for each program, and a line back.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::Request;
use crate::Rules;
use crate::inspect;

/// Memory that the kernel grants a child, in bytes: far beyond [`super::LIMITS`], for one request that is larger than a
/// look could be in time for. Allocators reserve more than they use.
const GRANTED: u64 = 8 << 30;

/// Runs the child.
pub fn serve() -> ExitCode {
    let limit = |resource, bytes| {
        let limits = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        // Where a limit cannot be set, the parent's looks must do.
        let _ = setrlimit(resource, limits);
    };
    // A core file for each hostile program would fill the folder.
    limit(Resource::Core, 0);
    limit(Resource::Data, GRANTED);
    let (send, requests) = channel();
    let read = std::thread::Builder::new().spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(std::io::Result::ok) {
            let _ = send.send(line);
        }
        // The parent is done with us, or dead. Whatever is being worked on, nobody waits for it.
        std::process::exit(0);
    });
    if read.is_err() {
        return ExitCode::from(1);
    }
    let requests = Mutex::new(requests);
    let ended = Mutex::new(ExitCode::SUCCESS);
    // All programs of this child are inspected on one thread with room, so that what one taught it serves the next.
    program::on_big_stack(|| {
        let (Ok(requests), Ok(mut ended)) = (requests.lock(), ended.lock()) else { return };
        let mut lines = requests.iter();
        if let Err(error) = answer(&mut lines) {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            *ended = ExitCode::from(1);
        }
    });
    ended.into_inner().unwrap_or(ExitCode::from(1))
}

fn answer(lines: &mut dyn Iterator<Item = String>) -> Result<()> {
    let Some(rules) = lines.next() else { return Ok(()) };
    let rules: Rules = serde_json::from_str(&rules).context("rules")?;
    let mut out = std::io::stdout().lock();
    for line in lines {
        let Request { candidate, show } = serde_json::from_str(&line).context("a request")?;
        let inspection = inspect::inspect(&candidate, &rules, show.as_ref());
        let reply = serde_json::to_string(&inspection)?;
        writeln!(out, "{reply}").and_then(|()| out.flush())?;
    }
    Ok(())
}
