//! The sender's side of jobs on other machines: send what the cache lacks, look for results, and notice what is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use schemas::Status;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::runner::show;
use super::ticket::{self, Ticket};
use super::{Outcome, Place, Runner, Work};
use crate::cache::clear;
use crate::cache::failed::{Bounds, FailureRecord, Measurements};
use crate::cache::lock::{LOOK, Lock, Patience};
use crate::engine::Remote;
use crate::engine::batch::{Batch, Batches, Element, State};
use crate::engine::grant::Granted;
use crate::engine::queue::{Ids, Listing, Phase, QueueError, Submission};
use crate::signal::Interrupted;
use crate::{Machine, Progress, VERSION, atomic};

/// The shortest and the longest time between two looks into the cache.
const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(5);
/// A job that the queue does not have any more has its result; or it is lost, if nothing is seen of that for so long. File
/// systems of several machines show the files of others late.
const LATE: Duration = Duration::from_secs(5);

/// A place in the queue: a batch's name and an element of it.
type At = (String, usize);

/// One stage's wait for its jobs.
struct Wait<'a, J> {
    runner: &'a Runner<'a>,
    remote: &'a Remote,
    works: BTreeMap<&'a str, &'a Work<J>>,
    batches: Batches,
    progress: &'a Progress,
    /// Since when jobs are seen to be gone.
    gone: BTreeMap<At, Instant>,
    largest: Option<usize>,
    /// What was last said of the queue.
    said: String,
}

impl Runner<'_> {
    /// The outcomes of all works, in order, by the machines of a queue.
    ///
    /// # Errors
    /// For faults of this machine, where the queue refuses the jobs, and [`Interrupted`] when we were asked to stop.
    pub(super) fn send<J: Serialize, R: DeserializeOwned + Clone>(
        &self,
        remote: &Remote,
        works: &[Work<J>],
        progress: &Progress,
        sum_up: impl Fn(&R) -> String,
    ) -> Result<Vec<Outcome<R>>> {
        self.prepare()?;
        let unique: BTreeMap<&str, &Work<J>> = works.iter().map(|work| (work.key.as_str(), work)).collect();
        let mut wait = Wait {
            runner: self,
            remote,
            works: unique,
            batches: Batches::new(&self.cache),
            progress,
            gone: BTreeMap::new(),
            largest: None,
            said: String::new(),
        };
        let seeing = Runner { retry_failed: false, ..self.clone() };
        wait.forget_failures()?;
        let mut outcomes: BTreeMap<&str, Outcome<R>> = BTreeMap::new();
        let (mut pause, mut asked) = (SHORT, None::<Instant>);
        loop {
            let before = outcomes.len();
            let left: Vec<&str> = wait.works.keys().copied().filter(|key| !outcomes.contains_key(key)).collect();
            for key in left {
                let Some(outcome) = seeing.known::<R>(key) else { continue };
                let fresh = match outcome {
                    Outcome::Done { folder, result, .. } => Outcome::Done { folder, result, cached: asked.is_none() },
                    other => other,
                };
                if let Some(work) = wait.works.get(key) {
                    show(progress, work, &fresh, &sum_up);
                }
                clear(&ticket::place(&self.cache, key));
                outcomes.insert(key, fresh);
            }
            let left: BTreeSet<String> =
                wait.works.keys().filter(|key| !outcomes.contains_key(**key)).map(|key| (*key).to_owned()).collect();
            if left.is_empty() {
                break;
            }
            if self.stop.load(Ordering::SeqCst) {
                wait.take_back(&left)?;
                return Err(Interrupted.into());
            }
            // A result means that there is room again, and more to come.
            pause = if outcomes.len() > before { SHORT } else { (pause * 3 / 2).min(LONG) };
            let gone_soon = !wait.gone.is_empty();
            let due = if gone_soon { remote.poll.min(LATE) } else { remote.poll };
            if asked.is_none_or(|asked| asked.elapsed() >= due) {
                asked = Some(Instant::now());
                wait.round(&left, &|key| seeing.known::<R>(key).is_some())?;
            }
            self.sleep(pause.min(due));
        }
        wait.tidy(&|key| seeing.known::<R>(key).is_some());
        let all = works.iter().map(|work| outcomes.get(work.key.as_str()).cloned()).collect::<Option<Vec<_>>>();
        all.ok_or_else(|| Interrupted.into())
    }

    /// Sleeps, but not past a signal.
    fn sleep(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.stop.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(50).min(pause));
        }
    }
}

impl<J: Serialize> Wait<'_, J> {
    /// With `--retry-failed`: what has failed before is as if it had never been tried.
    fn forget_failures(&mut self) -> Result<()> {
        if !self.runner.retry_failed {
            return Ok(());
        }
        let cache = self.runner.cache();
        let failed: BTreeSet<String> =
            self.works.keys().filter(|key| cache.failed(key).exists()).map(|key| (*key).to_owned()).collect();
        if failed.is_empty() {
            return Ok(());
        }
        let _lock = self.lock()?;
        for mut batch in self.batches.all() {
            let mut changed = false;
            for element in batch.elements.iter_mut().filter(|element| failed.contains(&element.key)) {
                if matches!(element.state, State::Lost { .. }) {
                    element.state = State::Void;
                    changed = true;
                }
            }
            if changed {
                self.batches.write(&batch)?;
            }
        }
        for key in &failed {
            clear(&cache.failed(key));
            clear(&cache.lasting(key));
        }
        Ok(())
    }

    /// The right to change batches. Where its owner shows no life, it is taken all the same.
    fn lock(&self) -> Result<Option<Lock>> {
        let path = self.batches.lock_file();
        atomic::make_folder(atomic::folder_of(&path))?;
        let mut patience = Patience::default();
        loop {
            if let Some(lock) = Lock::try_take(&path)? {
                return Ok(Some(lock));
            }
            if patience.look(&path) {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Asks the queue, notes what is lost, and sends what is not on its way.
    fn round(&mut self, left: &BTreeSet<String>, known: &dyn Fn(&str) -> bool) -> Result<()> {
        let _lock = self.lock()?;
        let mut batches = self.ours(left);
        let listing = match self.look(&batches) {
            Ok(listing) => listing,
            Err(QueueError::Down(complaint)) => {
                self.say(&format!("waiting for the queue: {complaint}"));
                return Ok(());
            }
            Err(QueueError::Refused(complaint)) => bail!("{}: {complaint}", self.remote.queue.name()),
        };
        let mut alive = BTreeSet::new();
        for batch in &mut batches {
            let mut changed = false;
            if let (None, Some(id)) = (&batch.id, listing.ids.get(&batch.name)) {
                batch.id = Some(id.clone());
                changed = true;
            }
            for index in 0..batch.elements.len() {
                changed |= self.judge(batch, index, left, &listing, known, &mut alive)?;
            }
            if changed {
                self.batches.write(batch)?;
            }
        }
        self.tell(left, &batches, &listing);
        let idle: Vec<&str> =
            left.iter().map(String::as_str).filter(|key| !alive.contains(*key) && !known(key)).collect();
        self.dispatch(&idle, &batches)
    }

    /// The batches of this queue that have keys which are left.
    fn ours(&self, left: &BTreeSet<String>) -> Vec<Batch> {
        let engine = self.remote.queue.name();
        let with_ours =
            |batch: &Batch| batch.engine == engine && batch.elements.iter().any(|element| left.contains(&element.key));
        self.batches.all().into_iter().filter(with_ours).collect()
    }

    fn look(&self, batches: &[Batch]) -> Result<Listing, QueueError> {
        let open = |batch: &&Batch| batch.elements.iter().any(|element| element.state == State::Sent);
        let open: Vec<&Batch> = batches.iter().filter(open).collect();
        self.remote.queue.look(&open)
    }

    /// What has become of an element: `alive` gets its key where it is on its way. Whether its state has changed.
    fn judge(
        &mut self,
        batch: &mut Batch,
        index: usize,
        left: &BTreeSet<String>,
        listing: &Listing,
        known: &dyn Fn(&str) -> bool,
        alive: &mut BTreeSet<String>,
    ) -> Result<bool> {
        let at = (batch.name.clone(), index);
        let (words, known_to_queue) = (self.batches.words(batch, index), batch.id.is_some());
        let Some(element) = batch.elements.get_mut(index) else { return Ok(false) };
        if element.state != State::Sent || !left.contains(&element.key) {
            return Ok(false);
        }
        let seen = listing.seen.get(&at);
        if seen.is_some_and(|seen| seen.phase.is_alive()) {
            self.gone.remove(&at);
            alive.insert(element.key.clone());
            return Ok(false);
        }
        let since = *self.gone.entry(at.clone()).or_insert_with(Instant::now);
        if since.elapsed() < LATE.min(self.remote.poll * 2) || known(&element.key) {
            // It is judged later, and not sent meanwhile.
            alive.insert(element.key.clone());
            return Ok(false);
        }
        self.gone.remove(&at);
        let (began_on, last) = words;
        if seen.is_none() && began_on.is_none() && !known_to_queue && element.id.is_none() {
            // The queue has never had it.
            element.state = State::Void;
            return Ok(true);
        }
        let node = began_on.or_else(|| seen.and_then(|seen| seen.node.clone()));
        let mut reason = seen.map_or_else(|| "gone".to_owned(), |seen| seen.words.clone());
        if let Some(last) = &last {
            reason = format!("{reason}: {last}");
        }
        let cache = self.runner.cache();
        if seen.is_some_and(|seen| seen.phase == Phase::OutOfMemory) {
            let place = node.as_deref().unwrap_or("its node");
            let reason = format!("killed by {} on {place} for its use of memory", self.remote.queue.name());
            let machine = Machine { host: node.clone(), ..Machine::default() };
            let options = self.remote.queue.options();
            let granted = Some(Granted { memory_mib: 0, options });
            self.record(Status::Oom, &reason, granted, machine, 1).write(&cache.failed(&element.key))?;
        }
        // A job that is cut into pieces by its queue gets on; one that died of a signal has its own count.
        let progress = Place::spent(&cache.lasting(&element.key)).as_secs_f64() > element.spent;
        self.progress.say(&format!(
            "{}: lost{} ({reason}); it is sent again",
            element.label,
            node.as_deref().map_or_else(String::new, |node| format!(" on {node}"))
        ));
        element.state = State::Lost { node, reason, progress };
        Ok(true)
    }

    /// Sends keys that are not on their way, or gives them up.
    fn dispatch(&mut self, idle: &[&str], batches: &[Batch]) -> Result<()> {
        let mut groups: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
        for &key in idle {
            let losses: Vec<(Option<String>, String, bool)> = batches
                .iter()
                .flat_map(|batch| &batch.elements)
                .filter(|element| element.key == key)
                .filter_map(|element| match &element.state {
                    State::Lost { node, reason, progress } => Some((node.clone(), reason.clone(), *progress)),
                    _ => None,
                })
                .collect();
            let bad: Vec<_> = losses.iter().filter(|(_, _, progress)| !progress).collect();
            if bad.len() >= self.remote.losses {
                self.give_up(key, &bad)?;
                continue;
            }
            let mut avoid: Vec<String> = bad.iter().filter_map(|(node, _, _)| node.clone()).collect();
            avoid.sort();
            avoid.dedup();
            groups.entry(avoid).or_default().push(key);
        }
        for (avoid, keys) in groups {
            let largest = match self.largest {
                Some(largest) => largest,
                None => *self.largest.insert(self.remote.queue.largest()),
            };
            for keys in keys.chunks(largest) {
                if !self.submit(keys, &avoid)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A key that was lost too often is a failure.
    fn give_up(&self, key: &str, losses: &[&(Option<String>, String, bool)]) -> Result<()> {
        let ends: Vec<String> = losses
            .iter()
            .map(|(node, reason, _)| match node {
                Some(node) => format!("on {node} ({reason})"),
                None => format!("({reason})"),
            })
            .collect();
        let reason = format!("lost {} times: {}", losses.len(), ends.join(", "));
        let hosts: Vec<Machine> =
            losses.iter().map(|(node, _, _)| Machine { host: node.clone(), ..Machine::default() }).collect();
        let machine = Machine { host: Machine::words(&hosts, |machine| machine.host.as_ref()), ..Machine::default() };
        self.record(Status::Crashed, &reason, None, machine, losses.len()).write(&self.runner.cache().failed(key))
    }

    fn record(
        &self,
        status: Status,
        reason: &str,
        granted: Option<Granted>,
        machine: Machine,
        attempts: usize,
    ) -> FailureRecord {
        FailureRecord {
            status,
            reason: reason.to_owned(),
            at_limit: false,
            limits: Bounds::of(&self.runner.limits),
            granted,
            open: Vec::new(),
            machine,
            attempts,
            measured: Measurements::default(),
        }
    }

    /// Sends keys as one batch. `false`: the queue cannot be reached now.
    fn submit(&mut self, keys: &[&str], avoid: &[String]) -> Result<bool> {
        let (runner, queue) = (self.runner, &self.remote.queue);
        let cache = runner.cache();
        let mut elements = Vec::new();
        for &key in keys {
            let Some(work) = self.works.get(key) else { continue };
            let ticket = Ticket {
                version: VERSION.to_owned(),
                code: runner.code.to_owned(),
                label: work.label.clone(),
                limits: Bounds::of(&runner.limits),
                options: queue.options(),
                job: &work.job,
            };
            ticket::write(&runner.cache, key, &ticket)?;
            let spent = Place::spent(&cache.lasting(key)).as_secs_f64();
            elements.push(Element {
                key: key.to_owned(),
                label: work.label.clone(),
                id: None,
                spent,
                state: State::Sent,
            });
        }
        let kind = runner.cache.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut batch = Batches::make(queue.name(), &kind, elements);
        // Before it is sent: who comes after us finds it by its name.
        self.batches.write(&batch)?;
        let absolute = |path: PathBuf| std::fs::canonicalize(&path).unwrap_or(path);
        let shared = absolute(runner.cache.parent().map_or_else(PathBuf::new, PathBuf::from));
        let program = self.remote.programs.join(&kind);
        let submission = Submission {
            batch: &batch,
            command: vec![
                program.display().to_string(),
                "--cache".to_owned(),
                shared.display().to_string(),
                "--one".to_owned(),
            ],
            keys: absolute(self.batches.keys(&batch)),
            logs: absolute(self.batches.logs(&batch)),
            avoid: avoid.to_vec(),
        };
        match queue.submit(&submission) {
            Ok(Ids::Batch(id)) => {
                self.say(&format!("{} of {} sent as job {id}", batch.elements.len(), self.works.len()));
                batch.id = Some(id);
            }
            Ok(Ids::Elements(ids)) => {
                self.say(&format!("{} of {} sent", ids.len(), self.works.len()));
                let sent = ids.len();
                for (element, id) in batch.elements.iter_mut().zip(ids) {
                    element.id = Some(id);
                }
                for element in batch.elements.iter_mut().skip(sent) {
                    element.state = State::Void;
                }
            }
            Err(QueueError::Down(complaint)) => {
                self.say(&format!("waiting for the queue: {complaint}"));
                return Ok(false);
            }
            Err(QueueError::Refused(complaint)) => {
                self.batches.remove(&batch);
                bail!("{} does not take the jobs: {complaint}", queue.name());
            }
        }
        self.batches.write(&batch)?;
        Ok(true)
    }

    /// When we are interrupted: what waits is taken back, and what runs stays, or ends, as it is set.
    fn take_back(&mut self, left: &BTreeSet<String>) -> Result<()> {
        let _lock = self.lock()?;
        let (mut back, mut running) = (0, 0);
        let mut batches = self.ours(left);
        let listing = match self.look(&batches) {
            Ok(listing) => listing,
            Err(error) => {
                self.progress.say(&format!("the queue cannot be asked, and its jobs stay: {error}"));
                return Ok(());
            }
        };
        for batch in &mut batches {
            let phase = |index: usize| listing.seen.get(&(batch.name.clone(), index)).map(|seen| seen.phase);
            let of_phase = |wanted: Phase| {
                let ours = batch.elements.iter().enumerate().filter(|(_, element)| left.contains(&element.key));
                ours.map(|(index, _)| index).filter(|&index| phase(index) == Some(wanted)).collect::<Vec<_>>()
            };
            let (waits, runs) = (of_phase(Phase::Waiting), of_phase(Phase::Running));
            if batch.id.is_none() {
                batch.id = listing.ids.get(&batch.name).cloned();
            }
            let mut ended = self.remote.queue.cancel(batch, &waits, true);
            if self.remote.cancel_running && ended.is_ok() {
                ended = self.remote.queue.cancel(batch, &runs, false);
            }
            if let Err(error) = ended {
                self.progress.say(&format!("jobs cannot be cancelled: {error}"));
                continue;
            }
            let void = if self.remote.cancel_running { [waits.clone(), runs.clone()].concat() } else { waits.clone() };
            for index in void {
                if let Some(element) = batch.elements.get_mut(index) {
                    element.state = State::Void;
                }
            }
            (back, running) = (back + waits.len(), running + runs.len());
            self.batches.write(batch)?;
        }
        let fate = if self.remote.cancel_running { "ended" } else { "go on, and the same command collects them" };
        self.progress.say(&format!("{back} waiting jobs cancelled, {running} running ones {fate}"));
        Ok(())
    }

    /// Removes batches that nobody needs any more.
    fn tidy(&self, known: &dyn Fn(&str) -> bool) {
        let Ok(_lock) = self.lock() else { return };
        let ours = |element: &Element| self.works.contains_key(element.key.as_str());
        for batch in self.batches.all() {
            let over = |element: &Element| element.state == State::Void || known(&element.key);
            if batch.elements.iter().any(ours) && batch.elements.iter().all(over) {
                self.batches.remove(&batch);
            }
        }
    }

    /// Says how things stand, where that is something new.
    fn tell(&mut self, left: &BTreeSet<String>, batches: &[Batch], listing: &Listing) {
        let ours = batches.iter().flat_map(|batch| {
            batch.elements.iter().enumerate().map(|(index, element)| ((batch.name.clone(), index), element))
        });
        let phases: Vec<Phase> = ours
            .filter(|(_, element)| left.contains(&element.key) && element.state == State::Sent)
            .filter_map(|(at, _)| listing.seen.get(&at).map(|seen| seen.phase))
            .collect();
        let count = |wanted: Phase| phases.iter().filter(|phase| **phase == wanted).count();
        if !phases.is_empty() {
            self.progress.note(&format!("{} running, {} waiting", count(Phase::Running), count(Phase::Waiting)));
        }
    }

    /// A line that stays, said once.
    fn say(&mut self, text: &str) {
        if self.said != text {
            self.progress.say(text);
            text.clone_into(&mut self.said);
        }
    }
}
