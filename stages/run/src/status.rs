//! How far a search is, and what is on its way to other machines: `make status`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use stage::Config;
use stage::cache::Cache;
use stage::cache::failed::FailureRecord;
use stage::engine::batch::{Batch, Batches, Element, State};
use stage::engine::queue::{Listing, Phase};
use stage::engine::{Queue, command::Commands, slurm::Slurm};
use stage::live::{self, Board};

use crate::args::StatusArgs;
use crate::open::CONFIG;

/// The kinds of jobs that a cache has.
const KINDS: [&str; 2] = ["train", "score"];

/// Prints what became of every job that was sent and is still waited for.
pub fn status(args: &StatusArgs) -> Result<()> {
    let path = args.folder.join(CONFIG);
    let config = if path.exists() { Config::load(Some(&path), &[], &[])? } else { Config::default() };
    let mut text = String::new();
    if let Some(board) = Board::read(&args.folder).filter(|board| board.began.is_some()) {
        writeln!(text, "{}: {}", args.folder.display(), board.line(live::seconds_now()))?;
    }
    let run = text.len();
    for kind in KINDS {
        let folder = args.cache.join(kind);
        for batch in Batches::new(&folder).all() {
            let queue: Box<dyn Queue> = match batch.engine.as_str() {
                "command" => Box::new(Commands::new(&config.engine.command)),
                _ => Box::new(Slurm::new(&config.engine.slurm)),
            };
            let listing = queue.look(&[&batch]);
            describe(kind, &folder, &batch, listing.as_ref().ok(), &mut text)?;
            if let Err(error) = listing {
                writeln!(text, "  the queue does not answer: {error}")?;
            }
        }
    }
    if text.len() == run {
        writeln!(text, "{}: nothing is on its way to other machines", args.cache.display())?;
    }
    stage::exit::say(&text)
}

fn describe(kind: &str, folder: &Path, batch: &Batch, listing: Option<&Listing>, text: &mut String) -> Result<()> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut lines = String::new();
    for (index, element) in batch.elements.iter().enumerate() {
        let seen = listing.and_then(|listing| listing.seen.get(&(batch.name.clone(), index)));
        let (word, details) = of_element(folder, element).unwrap_or_else(|| match seen {
            Some(seen) if seen.phase == Phase::Running => {
                ("running", format!("{} for {}", seen.node.as_deref().unwrap_or("somewhere"), seen.elapsed))
            }
            Some(seen) if seen.phase == Phase::Waiting => ("queued", seen.words.clone()),
            Some(seen) => ("gone", format!("{}, no result yet", seen.words)),
            None => ("unknown", "the queue does not have it".to_owned()),
        });
        *counts.entry(word).or_default() += 1;
        if word != "done" && word != "cancelled" {
            writeln!(lines, "  {word:8} {}  {details}", element.label)?;
        }
    }
    let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let id = batch.id.as_deref().map_or_else(String::new, |id| format!(" {id}"));
    let from = batch.from.as_deref().unwrap_or("?");
    let minutes = now.saturating_sub(batch.sent) / 60;
    writeln!(text, "{kind}: {}{id}, sent {minutes} min ago from {from}: {}", batch.engine, counts.join(", "))?;
    text.push_str(&lines);
    Ok(())
}

/// What the cache knows of a job.
fn of_element(folder: &Path, element: &Element) -> Option<(&'static str, String)> {
    let cache = Cache::new(folder);
    if cache.place(&element.key).is_dir() {
        return Some(("done", String::new()));
    }
    if let Some(record) = FailureRecord::read(&cache.failed(&element.key)).filter(|record| record.open.is_empty()) {
        return Some(("failed", format!("{}: {}", record.status, record.reason)));
    }
    match &element.state {
        State::Sent => None,
        State::Void => Some(("cancelled", String::new())),
        State::Lost { node, reason, .. } => {
            Some(("lost", node.as_ref().map_or_else(|| reason.clone(), |node| format!("on {node}: {reason}"))))
        }
    }
}
