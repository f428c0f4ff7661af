//! One job from the cache, supervised where it runs: what a queue starts on a node.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ticket::{self, Ticket};
use super::{Outcome, Runner};
use crate::cache::failed::FailureRecord;
use crate::engine::batch::ON_NODE;
use crate::engine::grant::Granted;
use crate::{Gpus, Machine, exit};

/// Time for a training that is asked to stop to write where it is: queues give a job more than that.
const GRACE: Duration = Duration::from_secs(20);

/// The job was stopped, or has died, before it had a result: exit code 3. Whoever does it next goes on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unfinished: there is no result yet, and the next one with this job goes on from its checkpoint")]
pub struct Unfinished;

/// Does the job with this key as it lies in the cache. `runner` knows the kind of the job and the machine; limits come from
/// the job, memory bounded by what is granted here. `gpus` says what a job may run on.
///
/// # Errors
/// [`Unfinished`]; whatever is wrong with this machine. A failure of the job itself is as good as a result.
pub fn one<J: Serialize + DeserializeOwned, R: DeserializeOwned>(
    runner: Runner<'_>,
    key: &str,
    gpus: impl FnOnce(&J) -> Result<Gpus>,
    sum_up: impl Fn(&R) -> String,
) -> Result<()> {
    let host = Machine::here().host.unwrap_or_default();
    exit::note(&format!("{ON_NODE}{host}"));
    let ticket = match ticket::read::<J>(&runner.cache, key, runner.code) {
        // The sender takes a job away once it has seen the result.
        Err(_) if matches!(runner.known::<R>(key), Some(Outcome::Done { .. })) => {
            exit::note("the result is there already");
            return Ok(());
        }
        ticket => ticket?,
    };
    let runner = Runner {
        limits: crate::supervise::Limits { grace: GRACE, ..ticket.limits() },
        granted: Granted::here(&ticket.options),
        once: true,
        gpus: Arc::new(gpus(&ticket.job)?),
        ..runner
    };
    runner.prepare()?;
    match runner.run::<J, R>(key, &ticket.job, &mut |_| {})? {
        Outcome::Done { result, .. } => exit::note(&format!("{}: {}", ticket.label, sum_up(&result))),
        Outcome::Failed { status, reason, .. } => {
            renew(&runner, key, &ticket)?;
            exit::note(&format!("{}: {status}: {reason}", ticket.label));
        }
        Outcome::Interrupted => return Err(Unfinished.into()),
    }
    Ok(())
}

/// A failure that still holds here, though more was asked for than before: the machine grants no more. From now on it holds
/// for the sender, too.
fn renew<J>(runner: &Runner<'_>, key: &str, ticket: &Ticket<J>) -> Result<()> {
    let path = runner.cache().failed(key);
    let Some(mut record) = FailureRecord::read(&path) else { return Ok(()) };
    if !record.holds_there(&runner.limits, Some(&ticket.options)) {
        record.limits = ticket.limits;
        if let Some(granted) = &mut record.granted {
            granted.options.clone_from(&ticket.options);
        }
        record.write(&path)?;
    }
    Ok(())
}
