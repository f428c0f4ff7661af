//! Whether the machines of a queue can do our work: the sender's side ([`ask`]) and the node's ([`answer`]).

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stage::cache::lock::Lock;
use stage::engine::batch::{Batch, Batches, Element, State};
use stage::engine::queue::{Ids, Submission};
use stage::engine::{Engine, Remote};
use stage::exit::Negative;
use stage::{Config, Machine, VERSION, atomic, exit};

use crate::args::{DoctorArgs, NodeArgs};

/// The folder of these questions in the cache.
const FOLDER: &str = "doctor";
/// Clocks may differ by so many seconds.
const CLOCK: f64 = 2.0;

/// What a node finds.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    machine: Machine,
    version: String,
    code: String,
    unix_time: f64,
    /// What the question's file holds.
    question: String,
    /// Whether a folder that is renamed onto another one leaves the first.
    first_stands: bool,
    /// Whether the lock that the sender holds is seen.
    lock_seen: bool,
    libtorch: Value,
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The node's side: finds out, and leaves the answer in the cache.
pub fn answer(args: &NodeArgs) -> Result<()> {
    let folder = args.cache.join(FOLDER);
    let path = folder.join(format!("{}.question", args.key));
    let question = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: this node does not see the sender's cache", path.display()))?;
    let scratch = tempfile::Builder::new().prefix("node").tempdir_in(&folder)?;
    let [one, two, place] = ["one", "two", "place"].map(|name| scratch.path().join(name));
    for from in [&one, &two] {
        atomic::make_folder(from)?;
        atomic::write_bytes(&from.join("x"), from.as_os_str().as_encoded_bytes())?;
    }
    let (first, second) = (atomic::publish_folder(&one, &place), atomic::publish_folder(&two, &place));
    let lock = Lock::try_take(&folder.join(format!("{}.lock", args.key)));
    let answer = Answer {
        machine: Machine::here(),
        version: VERSION.to_owned(),
        code: train::CODE_VERSION.to_owned(),
        unix_time: now(),
        question,
        first_stands: first.is_ok() && second.is_err() && two.exists(),
        lock_seen: matches!(lock, Ok(None)),
        libtorch: serde_json::to_value(network::doctor()?)?,
    };
    atomic::write_bytes(&folder.join(format!("{}.answer", args.key)), &serde_json::to_vec_pretty(&answer)?)
}

/// Sends a job to the queue of the settings, waits for its answer, and says what is right and what is not.
///
/// # Errors
/// Where there is no answer in time; [`Negative`] where the node cannot do our work.
pub fn ask(args: &DoctorArgs, config: &Config) -> Result<()> {
    let Engine::Remote(remote) = Engine::of(config)? else { return Ok(()) };
    let folder = args.cache.join(FOLDER);
    atomic::make_folder(&folder)?;
    let element = Element { key: String::new(), label: "doctor".into(), id: None, spent: 0.0, state: State::Sent };
    let mut batch = Batches::make(remote.queue.name(), FOLDER, vec![element]);
    let key: String = batch.name.chars().filter(char::is_ascii_alphanumeric).collect();
    if let Some(element) = batch.elements.first_mut() {
        element.key.clone_from(&key);
    }
    let question = format!("asked at {}\n", now());
    let sent_at = now();
    let files = ["question", "answer", "lock"].map(|end| folder.join(format!("{key}.{end}")));
    let [asked, answered, lock] = &files;
    atomic::write_bytes(asked, question.as_bytes())?;
    let held = Lock::try_take(lock)?;
    let batches = Batches::new(&folder);
    batches.write(&batch)?;
    let found = send(&remote, args, &batches, &mut batch, answered);
    drop(held);
    if found.is_err() {
        let _ = remote.queue.cancel(&batch, &[0], false);
    }
    batches.remove(&batch);
    for file in &files {
        let _ = std::fs::remove_file(file);
    }
    report(&found?, &question, sent_at, config)
}

fn send(remote: &Remote, args: &DoctorArgs, batches: &Batches, batch: &mut Batch, answered: &Path) -> Result<Answer> {
    let absolute = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let words = |path: &Path| absolute(path).display().to_string();
    let submission = Submission {
        batch,
        command: vec![
            words(&remote.programs.join("probe")),
            "node".to_owned(),
            "--cache".to_owned(),
            words(&args.cache),
            "--key".to_owned(),
        ],
        keys: absolute(&batches.keys(batch)),
        logs: absolute(&batches.logs(batch)),
        avoid: Vec::new(),
    };
    let ids = remote.queue.submit(&submission)?;
    match ids {
        Ids::Batch(id) => batch.id = Some(id),
        Ids::Elements(ids) => {
            for (element, id) in batch.elements.iter_mut().zip(ids) {
                element.id = Some(id);
            }
        }
    }
    let deadline = Instant::now() + Duration::from_secs(args.patience_s);
    let mut gone = 0;
    loop {
        if let Some(answer) = std::fs::read(answered).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
            return Ok(answer);
        }
        std::thread::sleep(Duration::from_secs(1));
        let seen = remote.queue.look(&[batch])?.seen.remove(&(batch.name.clone(), 0));
        gone = if seen.as_ref().is_some_and(|seen| seen.phase.is_alive()) { 0 } else { gone + 1 };
        let state = seen.map_or_else(|| "it is gone".to_owned(), |seen| seen.words);
        if gone > 10 {
            let words = batches.words(batch, 0).1.unwrap_or_else(|| "it has printed nothing".to_owned());
            bail!("the job has left no answer in {}: {state}; {words}", args.cache.display());
        }
        if Instant::now() > deadline {
            bail!("no answer after {} s (--patience): the job is {state}", args.patience_s);
        }
    }
}

fn report(answer: &Answer, question: &str, sent_at: f64, config: &Config) -> Result<()> {
    let received = now();
    let late = (answer.unix_time - received).max(sent_at - answer.unix_time).max(0.0);
    let cuda = answer.libtorch.get("cuda_available").and_then(Value::as_bool).unwrap_or(false);
    let wants_cuda = config.train.device.starts_with("cuda");
    let same_code = answer.code == train::CODE_VERSION && answer.version == VERSION;
    let checks = [
        (
            "cache",
            answer.question == question,
            "the same on both sides",
            "the node reads something else than was written",
        ),
        ("code", same_code, "the same build", "another build than here: use one folder of programs for all"),
        ("rename", answer.first_stands, "the first result stands", "a second result replaces the first"),
        ("clock", late < CLOCK, "within two seconds", "differs from this machine's: run NTP"),
        ("CUDA", cuda || !wants_cuda, if cuda { "there" } else { "none, and none is asked for" }, "none"),
    ];
    let mut text = format!("node           {}\n", answer.machine.host.as_deref().unwrap_or("?"));
    for (what, right, good, bad) in &checks {
        writeln!(text, "{what:14} {}", if *right { format!("ok: {good}") } else { format!("WRONG: {bad}") })?;
    }
    // Without it all is right, too: some work is done twice.
    let locks = if answer.lock_seen { "ok: seen by the node" } else { "not shared: some work may be done twice" };
    writeln!(text, "{:14} {locks}", "locks")?;
    exit::say(&text)?;
    if checks.iter().all(|(_, right, _, _)| *right) { Ok(()) } else { Err(Negative.into()) }
}
