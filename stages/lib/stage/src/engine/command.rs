//! Any other queue, through three commands of the user's: submit, status, cancel.
//!
//! Each is a line for `sh -c` in which words in braces are replaced by quoted texts: `{script}` (what the job is to run),
//! `{name}` (of the job), `{log}` (a file for what it prints) and `{ids}`. `submit` prints the job's id as the first word of
//! its last line; `status` a line `ID STATE [NODE]` for each of the jobs that it knows.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::batch::Batch;
use super::queue::{Ids, Listing, Phase, Queue, QueueError, Seen, Submission};
use super::tool::{ask, quoted};
use crate::atomic;
use crate::config::CommandEngine;

/// Ids in one call.
const AT_ONCE: usize = 200;

/// Another queue, asked through commands of the user.
pub struct Commands {
    settings: CommandEngine,
}

impl Commands {
    /// A queue that is asked through these commands.
    pub fn new(settings: &CommandEngine) -> Self {
        Self { settings: settings.clone() }
    }
}

/// A line with its words in braces replaced; `{ids}` is already a list of words.
fn filled(template: &str, words: &[(&str, String)]) -> String {
    words.iter().fold(template.to_owned(), |line, (name, text)| line.replace(&format!("{{{name}}}"), text))
}

fn shell(line: &str) -> Result<String, String> {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    ask(command, "")
}

fn list<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    ids.map(|id| quoted(id)).collect::<Vec<_>>().join(" ")
}

impl Queue for Commands {
    fn name(&self) -> &'static str {
        "command"
    }

    fn options(&self) -> String {
        self.settings.submit.clone()
    }

    fn gives_gpus(&self) -> bool {
        false
    }

    fn largest(&self) -> usize {
        1000
    }

    fn submit(&self, submission: &Submission<'_>) -> Result<Ids, QueueError> {
        let mut ids = Vec::new();
        for (index, element) in submission.batch.elements.iter().enumerate() {
            let script = submission.logs.join(format!("{index}.sh"));
            let command: Vec<String> =
                submission.command.iter().chain([&element.key]).map(|word| quoted(word)).collect();
            let text = format!("#!/bin/sh\nexec {}\n", command.join(" "));
            let written = atomic::write_bytes(&script, text.as_bytes())
                .and_then(|()| Ok(std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?));
            written.map_err(|error| QueueError::Refused(format!("{error:#}")))?;
            let log = submission.logs.join(format!("{index}.out"));
            let line = filled(
                &self.settings.submit,
                &[
                    ("script", quoted(&script.display().to_string())),
                    ("name", quoted(&format!("{}-{index}", submission.batch.name))),
                    ("log", quoted(&log.display().to_string())),
                ],
            );
            match shell(&line) {
                Ok(answer) => {
                    let last = answer.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
                    let Some(id) = last.split_whitespace().next() else {
                        return Err(QueueError::Refused("engine.command.submit prints no id".to_owned()));
                    };
                    ids.push(id.to_owned());
                }
                // The others are sent later.
                Err(_) if !ids.is_empty() => break,
                Err(complaint) => return Err(QueueError::Refused(format!("engine.command.submit: {complaint}"))),
            }
        }
        Ok(Ids::Elements(ids))
    }

    fn look(&self, batches: &[&Batch]) -> Result<Listing, QueueError> {
        let mut places: BTreeMap<&String, (String, usize)> = BTreeMap::new();
        for batch in batches {
            for (index, element) in batch.elements.iter().enumerate() {
                if let Some(id) = &element.id {
                    places.insert(id, (batch.name.clone(), index));
                }
            }
        }
        let mut listing = Listing::default();
        let ids: Vec<&String> = places.keys().copied().collect();
        for some in ids.chunks(AT_ONCE) {
            let line = filled(&self.settings.status, &[("ids", list(some.iter().copied()))]);
            let answer =
                shell(&line).map_err(|complaint| QueueError::Down(format!("engine.command.status: {complaint}")))?;
            for line in answer.lines() {
                let mut words = line.split_whitespace();
                let (Some(id), Some(state)) = (words.next(), words.next()) else { continue };
                let Some(place) = places.get(&id.to_owned()) else { continue };
                let seen = Seen {
                    phase: phase(state),
                    node: words.next().map(str::to_owned),
                    words: state.to_owned(),
                    elapsed: String::new(),
                };
                listing.seen.insert(place.clone(), seen);
            }
        }
        Ok(listing)
    }

    fn cancel(&self, batch: &Batch, elements: &[usize], _waiting_only: bool) -> Result<(), QueueError> {
        if self.settings.cancel.trim().is_empty() {
            return Ok(());
        }
        let ids: Vec<&String> = elements.iter().filter_map(|&index| batch.elements.get(index)?.id.as_ref()).collect();
        for some in ids.chunks(AT_ONCE) {
            let line = filled(&self.settings.cancel, &[("ids", list(some.iter().copied()))]);
            shell(&line).map_err(|complaint| QueueError::Down(format!("engine.command.cancel: {complaint}")))?;
        }
        Ok(())
    }
}

/// What the words of common queues mean. A word that nobody knows is a job that waits.
fn phase(state: &str) -> Phase {
    match state.to_ascii_lowercase().as_str() {
        "r" | "run" | "running" | "active" => Phase::Running,
        "oom" | "oomkilled" => Phase::OutOfMemory,
        "c" | "f" | "x" | "complete" | "completed" | "done" | "exit" | "exited" | "failed" | "finished"
        | "succeeded" | "removed" | "cancelled" | "canceled" | "error" | "evicted" | "successcriteriamet"
        | "failuretarget" => Phase::Ended,
        _ => Phase::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::{Batches, Element, State};
    use super::*;

    #[test]
    fn templates_are_filled_and_answers_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = CommandEngine {
            submit: format!(
                "echo {{name}} >> {0}; {{script}} > {{log}}; echo 'Your job:'; echo \"id$(wc -l < {0}) sent\"",
                folder.path().join("names").display()
            ),
            status: "for id in {ids}; do echo $id R n$id; done | head -n 1; echo other Q".to_owned(),
            cancel: format!("echo {{ids}} > {}", folder.path().join("ended").display()),
        };
        let element =
            |key: &str| Element { key: key.into(), label: String::new(), id: None, spent: 0.0, state: State::Sent };
        let batches = Batches::new(folder.path());
        let mut batch = Batches::make("command", "train", vec![element("it's"), element("b")]);
        batches.write(&batch).expect("written");
        let queue = Commands::new(&settings);
        let (keys, logs) = (batches.keys(&batch), batches.logs(&batch));
        let command = vec!["echo".to_owned(), "--one $HOME".to_owned()];
        let ids = queue.submit(&Submission { batch: &batch, command, keys, logs, avoid: Vec::new() }).expect("sent");
        assert_eq!(ids, Ids::Elements(vec!["id1".into(), "id2".into()]));
        assert_eq!(batches.words(&batch, 0).1.as_deref(), Some("--one $HOME it's"));
        for (index, element) in batch.elements.iter_mut().enumerate() {
            element.id = Some(format!("id{}", index + 1));
        }
        let seen = queue.look(&[&batch]).expect("an answer").seen;
        assert_eq!(seen.len(), 1);
        let first = &seen[&(batch.name.clone(), 0)];
        assert_eq!((first.phase, first.node.as_deref()), (Phase::Running, Some("nid1")));
        queue.cancel(&batch, &[1], false).expect("ended");
        assert_eq!(std::fs::read_to_string(folder.path().join("ended")).expect("told"), "id2\n");
        let broken = Commands::new(&CommandEngine { status: "echo no server >&2; exit 1".into(), ..settings });
        assert_eq!(
            broken.look(&[&batch]).expect_err("it is down"),
            QueueError::Down("engine.command.status: no server".into())
        );
    }
}
