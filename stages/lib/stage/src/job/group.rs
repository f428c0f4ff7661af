//! Jobs that one child does together. What it leaves for each of them becomes an entry of its own, as if each had been done alone.
//!
//! The child is given the jobs and answers with a list, in their order. The files of job K are in its folder as `K.NAME`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::runner::PROVENANCE;
use super::{Answer, Outcome, Runner};
use crate::cache::clear;
use crate::cache::entry::{RESULT, seal};
use crate::signal::Interrupted;
use crate::supervise::Limits;
use crate::{Progress, atomic, pool};

/// Jobs to do together.
pub struct Group<'a, J> {
    /// Hash of all that their results depend on.
    pub key: String,
    /// For the progress display.
    pub label: String,
    /// The key of each job, under which its result is kept, and the job.
    pub members: Vec<(&'a str, &'a J)>,
}

impl Runner<'_> {
    /// Does the jobs of groups of which not all have a result, `jobs` groups side by side, and puts what they came to into the cache
    /// of `members`, the runner of such jobs alone. Returns the keys of these. Where a group fails as a whole, its jobs are left to be
    /// done alone. `tell` makes a line for the progress display of what a child says.
    ///
    /// # Errors
    /// At the first fault of the machine; [`Interrupted`] when we were asked to stop.
    pub fn run_groups<J: Serialize + Sync, R: Serialize + DeserializeOwned>(
        &self,
        members: &Runner<'_>,
        groups: &[Group<'_, J>],
        jobs: usize,
        progress: &Progress,
        tell: impl Fn(&Value) -> Option<String> + Sync,
    ) -> Result<BTreeSet<String>> {
        let known = |group: &&Group<'_, J>| {
            members.reuse && group.members.iter().all(|(key, _)| members.known::<R>(key).is_some())
        };
        let due: Vec<&Group<'_, J>> = groups.iter().filter(|group| !known(group)).collect();
        if due.is_empty() {
            return Ok(BTreeSet::new());
        }
        self.prepare()?;
        members.prepare()?;
        let halt = AtomicBool::new(false);
        let results = pool::run(&due, jobs, &halt, |_, group| {
            let done = self.run_group::<J, R>(members, group, progress, &tell);
            if done.is_err() {
                halt.store(true, Ordering::SeqCst);
            }
            done
        });
        let made = results.into_iter().flatten().collect::<Result<Vec<_>>>()?;
        Ok(made.into_iter().flatten().collect())
    }

    fn run_group<J: Serialize, R: Serialize + DeserializeOwned>(
        &self,
        members: &Runner<'_>,
        group: &Group<'_, J>,
        progress: &Progress,
        tell: &impl Fn(&Value) -> Option<String>,
    ) -> Result<Vec<String>> {
        // What one may take, all of them may take so many times.
        let count = u32::try_from(group.members.len()).unwrap_or(u32::MAX);
        let Limits { time, memory, .. } = self.limits;
        let limits = Limits {
            time: time.map(|time| time.saturating_mul(count)),
            memory: memory.map(|memory| memory.saturating_mul(count.into())),
            ..self.limits
        };
        let runner = Runner { limits, ..self.clone() };
        let all: Vec<&J> = group.members.iter().map(|(_, job)| *job).collect();
        let mut on_note = |note: Value| {
            if let Some(text) = tell(&note) {
                progress.note(&format!("{}: {text}", group.label));
            }
        };
        match runner.run::<_, Vec<Answer<R>>>(&group.key, &all, &mut on_note)? {
            Outcome::Done { folder, result, .. } => {
                for (at, ((key, _), answer)) in group.members.iter().zip(&result).enumerate() {
                    members.adopt(key, &folder, at, answer)?;
                }
                // Everything in it is in the entries of its jobs.
                clear(&self.cache().place(&group.key));
                Ok(group.members.iter().map(|(key, _)| (*key).to_owned()).collect())
            }
            Outcome::Failed { status, reason, .. } => {
                progress.say(&format!("{}: {status}: {reason}; each is done alone", group.label));
                Ok(Vec::new())
            }
            Outcome::Interrupted => Err(Interrupted.into()),
        }
    }

    /// Makes an entry of what a group's folder holds of one of its jobs.
    fn adopt<R: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        group: &Path,
        at: usize,
        answer: &Answer<R>,
    ) -> Result<()> {
        let cache = self.cache();
        let scratch = cache.scratch(key)?;
        let own = format!("{at}.");
        let unread = || format!("{}: cannot read", group.display());
        for found in fs::read_dir(group).with_context(unread)? {
            let path = found.with_context(unread)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let name = if name == PROVENANCE { Some(PROVENANCE) } else { name.strip_prefix(&own) };
            if let Some(name) = name {
                let to = scratch.0.join(name);
                fs::copy(&path, &to).with_context(|| format!("{}: cannot copy to {}", path.display(), to.display()))?;
            }
        }
        atomic::write_bytes(&scratch.0.join(RESULT), &serde_json::to_vec_pretty(answer)?)?;
        seal(&scratch.0)?;
        cache.publish(key, &scratch, &[], !self.reuse || self.known::<R>(key).is_none())?;
        clear(&cache.failed(key));
        Ok(())
    }
}
