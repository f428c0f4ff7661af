//! Programs are inspected in child processes: whatever a program does to the checker, it does to its own row.
//!
//! The front end has budgets, and no program is known that gets past them. This is the belt beside them: a child that dies, runs
//! on or eats memory is replaced, and the program that it was busy with is rejected with the cause. A child serves many programs,
//! so that isolation costs a pipe's round trip and not a start.

mod process;
mod serve;

use std::ffi::OsString;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use program::Rule;
use schemas::Candidate;
use serde::{Deserialize, Serialize};

use crate::inspect::{self, Inspection};
use crate::{Rules, Show};
use process::{Answer, Process};

pub use serve::serve;

/// The hidden subcommand by which a stage's binary becomes a child: not for people, so not in any help.
pub const CHILD: &str = "inspect-child";

/// What one program may take. The front end's budgets end every known program within a hundredth of it, so that a slow machine
/// does not change a verdict.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Processor time.
    cpu: Duration,
    /// Memory that the child may hold, in bytes.
    memory: u64,
}

const LIMITS: Limits = Limits { cpu: Duration::from_secs(10), memory: 768 << 20 };

/// What is asked of a child.
#[derive(Serialize, Deserialize)]
struct Request {
    candidate: Candidate,
    show: Option<Show>,
}

/// How a child ended that was asked about a program.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Death {
    /// It used too much processor time.
    Cpu,
    /// It held too much memory.
    Memory,
    /// By a signal that somebody else sent: the kernel, short of memory, or a person.
    Killed(i32),
    /// By itself: its last words, and how it ended.
    Crashed(String),
}

/// Children that inspect programs by the same rules: as many as there are threads that ask.
pub struct Inspectors {
    rules: String,
    home: Home,
    idle: Mutex<Vec<Process>>,
}

enum Home {
    /// The children's program with its arguments.
    Children(Vec<OsString>, Limits),
    /// This process: for tests, whose own program is not a stage.
    Here(Box<Rules>),
}

impl Inspectors {
    /// Nothing is started before there is a program to inspect.
    ///
    /// The running program must call [`serve`] when its first argument is [`CHILD`].
    pub fn new(rules: &Rules) -> Result<Self> {
        // The kernel's name for this program: a child runs the same code even when the file has been replaced meanwhile.
        Self::at(rules, Home::Children(vec!["/proc/self/exe".into(), CHILD.into()], LIMITS))
    }

    /// Inspects in the calling process, without isolation: for tests.
    pub fn here(rules: &Rules) -> Result<Self> {
        Self::at(rules, Home::Here(Box::new(rules.clone())))
    }

    fn at(rules: &Rules, home: Home) -> Result<Self> {
        Ok(Self { rules: serde_json::to_string(rules)?, home, idle: Mutex::default() })
    }

    /// Inspects one candidate; `show` asks for a text for people, too.
    ///
    /// A program that a child dies of is inspected again by a fresh one: what earlier programs have left behind in a child, or
    /// somebody's `kill`, is not a finding about this one.
    ///
    /// # Errors
    /// Only where no child can be started or talked to.
    pub fn inspect(&self, candidate: &Candidate, show: Option<&Show>) -> Result<Inspection> {
        let (command, limits) = match &self.home {
            Home::Here(rules) => return Ok(inspect::inspect(candidate, rules, show)),
            Home::Children(command, limits) => (command, *limits),
        };
        let request = Request { candidate: candidate.clone(), show: show.cloned() };
        let request = serde_json::to_string(&request)?;
        let used = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(process) = used
            && let Answer::Inspected(inspection) = self.ask(process, &request)?
        {
            return Ok(*inspection);
        }
        let mut death = Death::Crashed(String::new());
        for _ in 0..2 {
            let process = Process::start(command, limits, &self.rules)
                .context("cannot start a process to inspect programs in")?;
            match self.ask(process, &request)? {
                Answer::Inspected(inspection) => return Ok(*inspection),
                Answer::Died(how) => death = how,
            }
            if !matches!(death, Death::Killed(_)) {
                break;
            }
        }
        Ok(inspect::dead(candidate, death.rule(), &death.message(limits), show))
    }

    /// A child that has answered is kept for the next program.
    fn ask(&self, mut process: Process, request: &str) -> Result<Answer> {
        let answer = process.ask(request)?;
        if matches!(answer, Answer::Inspected(_)) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        }
        Ok(answer)
    }
}

impl Death {
    fn rule(&self) -> Rule {
        match self {
            Self::Cpu => Rule::BudgetTime,
            Self::Memory => Rule::BudgetMemory,
            Self::Killed(_) | Self::Crashed(_) => Rule::Internal,
        }
    }

    /// Limits are named, measurements are not: equal runs have equal rows.
    fn message(&self, limits: Limits) -> String {
        match self {
            Self::Cpu => format!("it takes more than {} s of processor time to understand", limits.cpu.as_secs()),
            Self::Memory => format!("it takes more than {} MiB of memory to understand", limits.memory >> 20),
            Self::Killed(signal) => format!("the checker was killed twice by signal {signal} over it"),
            Self::Crashed(cause) => format!("the checker gave up: {cause}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Status;

    /// Inspectors whose children are shell scripts.
    fn scripted(script: &str, cpu: Duration) -> Inspectors {
        let limits = Limits { cpu, memory: 64 << 20 };
        let command = ["/bin/sh", "-c", script].map(OsString::from).to_vec();
        let rules = Rules::new(&stage::config::Config::default());
        Inspectors::at(&rules, Home::Children(command, limits)).expect("rules are text")
    }

    /// The code and reason of the row that comes of a child that runs this script once it has its request.
    fn row(script: &str) -> (Status, String) {
        // Only the loop is to run into it.
        let cpu = if script.contains("while") { Duration::from_millis(200) } else { Duration::from_secs(60) };
        let inspectors = scripted(&format!("read rules; read request; {script}"), cpu);
        let candidate = Candidate { source: "x = 1\n".into(), ..Candidate::default() };
        let inspection = inspectors.inspect(&candidate, Some(&Show::plain("program.py"))).expect("no fault of ours");
        let row = inspection.candidate;
        let reason = row.reason.expect("a reason");
        assert_eq!(row.source, candidate.source);
        assert!(
            inspection.text.contains(row.diagnostics.expect("diagnostics")[0].code.as_str()),
            "{}",
            inspection.text
        );
        (row.status, reason)
    }

    #[test]
    fn whatever_a_child_dies_of_is_one_rows_rejection() {
        for (script, reason) in [
            ("kill -ABRT $$", "E-INTERNAL: the checker gave up: signal 6"),
            ("kill -SEGV $$", "E-INTERNAL: the checker gave up: signal 11"),
            (
                "echo 'thread 1 has overflowed its stack' >&2; kill -ABRT $$",
                "E-INTERNAL: the checker gave up: its stack overflowed",
            ),
            ("exit 7", "E-INTERNAL: the checker gave up: it ended with exit code 7"),
            ("kill -KILL $$", "E-INTERNAL: the checker was killed twice by signal 9 over it"),
            ("while :; do :; done", "E-BUDGET-TIME: it takes more than 0 s of processor time to understand"),
            (
                "x=$(head -c 150000000 /dev/zero | tr '\\0' x); sleep 30",
                "E-BUDGET-MEMORY: it takes more than 64 MiB of memory to understand",
            ),
        ] {
            assert_eq!(row(script), (Status::Rejected, reason.to_owned()), "{script}");
        }
    }

    #[test]
    fn somebodys_kill_is_no_finding_and_nor_is_what_others_left_behind() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mark = folder.path().join("mark");
        let rules = Rules::new(&stage::config::Config::default());
        let candidate = Candidate { source: "x = 1\n".into(), ..Candidate::default() };
        let answer = Inspectors::here(&rules).and_then(|here| here.inspect(&candidate, None)).expect("inspected");
        let answer = serde_json::to_string(&answer).expect("text").replace('\'', "'\\''");
        let mark = mark.display();
        // The first child is killed; the next one answers once and dies of its second program; a third one takes that over.
        let inspectors = scripted(
            &format!(
                "read rules; read request; if [ ! -e {mark} ]; then touch {mark}; kill -KILL $$; fi
                printf '%s\\n' '{answer}'; read request; kill -ABRT $$"
            ),
            Duration::from_secs(5),
        );
        for _ in 0..2 {
            let row = inspectors.inspect(&candidate, None).expect("inspected").candidate;
            assert!(!row.reason.expect("rejected").contains("checker"), "it had its turn");
        }
    }

    #[test]
    fn a_child_that_cannot_be_started_is_an_error() {
        let rules = Rules::new(&stage::config::Config::default());
        let inspectors = Inspectors::at(&rules, Home::Children(vec!["/no/such/program".into()], LIMITS)).expect("text");
        assert!(inspectors.inspect(&Candidate::default(), None).is_err());
    }
}
