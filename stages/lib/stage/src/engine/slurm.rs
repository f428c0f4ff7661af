//! Slurm: a batch is one job array.
//!
//! Neither accounting (`sacct`) nor `srun` is needed. An array is known by its name, which is written down before it is
//! sent: so it is found again where sbatch has not lived to tell its number.

use std::process::Command;

use super::batch::Batch;
use super::queue::{Ids, Listing, Phase, Queue, QueueError, Seen, Submission};
use super::tool::{ask, quoted};
use crate::config::SlurmEngine;

/// Slurm's own default, where it does not say.
const ARRAY: usize = 1001;
/// Jobs in one call of scancel.
const AT_ONCE: usize = 500;

/// Slurm, asked through its own commands.
pub struct Slurm {
    options: Vec<String>,
    max: usize,
}

impl Slurm {
    /// Slurm, with these options.
    pub fn new(settings: &SlurmEngine) -> Self {
        Self { options: settings.options.clone(), max: settings.max }
    }

    /// Whether it was the controller that did not answer, or it has answered no.
    fn judge(complaint: String) -> QueueError {
        let mut ping = Command::new("scontrol");
        ping.arg("ping");
        match ask(ping, "") {
            Ok(answer) if answer.contains("is UP") => QueueError::Refused(complaint),
            Ok(answer) => QueueError::Down(format!("{complaint} ({})", answer.trim())),
            // Without any of Slurm's programs there is nothing to wait for.
            Err(_) if which("sbatch").is_none() => {
                QueueError::Refused(format!("{complaint}: Slurm's programs are not installed here (sbatch, squeue)"))
            }
            Err(_) => QueueError::Down(complaint),
        }
    }

    fn sbatch(&self, submission: &Submission<'_>, avoid: &[String]) -> Result<String, String> {
        let Submission { batch, command, keys, logs, .. } = submission;
        let most = if self.max > 0 { format!("%{}", self.max) } else { String::new() };
        // In a file's name Slurm replaces what follows a percent sign.
        let output = format!("{}/%a.out", logs.display().to_string().replace('%', "%%"));
        let mut sbatch = Command::new("sbatch");
        sbatch
            .args(["--parsable", "--requeue", "--signal=B:TERM@120", "--open-mode=append"])
            .arg(format!("--job-name={}", batch.name))
            .arg(format!("--array=0-{}{most}", batch.elements.len().saturating_sub(1)))
            .arg(format!("--output={output}"));
        if !avoid.is_empty() {
            sbatch.arg(format!("--exclude={}", avoid.join(",")));
        }
        sbatch.args(&self.options);
        let command: Vec<String> = command.iter().map(|word| quoted(word)).collect();
        let script = format!(
            "#!/bin/sh\nkey=$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" {}) || exit 1\nexec {} \"$key\"\n",
            quoted(&keys.display().to_string()),
            command.join(" ")
        );
        ask(sbatch, &script)
    }
}

impl Queue for Slurm {
    fn name(&self) -> &'static str {
        "slurm"
    }

    fn options(&self) -> String {
        self.options.join(" ")
    }

    fn gives_gpus(&self) -> bool {
        let gpu = |option: &String| option.starts_with("--gpus") || option.contains("gpu:") || option.ends_with("=gpu");
        self.options.iter().any(|option| gpu(option) && !option.starts_with("--partition"))
            || self.options.windows(2).any(|pair| pair[0] == "-G" || pair[0] == "--gres" && pair[1].starts_with("gpu"))
    }

    fn largest(&self) -> usize {
        let mut show = Command::new("scontrol");
        show.args(["show", "config"]);
        let config = ask(show, "").unwrap_or_default();
        let line = config.lines().find_map(|line| line.trim().strip_prefix("MaxArraySize"));
        let size = line.and_then(|rest| rest.trim_start_matches([' ', '=']).trim().parse().ok()).unwrap_or(ARRAY);
        // It is the first index that is too large.
        size.max(1)
    }

    fn submit(&self, submission: &Submission<'_>) -> Result<Ids, QueueError> {
        let sent = match self.sbatch(submission, &submission.avoid) {
            Err(complaint) if !submission.avoid.is_empty() => match Self::judge(complaint) {
                // Perhaps no other node is left.
                QueueError::Refused(_) => self.sbatch(submission, &[]),
                down => return Err(down),
            },
            sent => sent,
        };
        let answer = sent.map_err(Self::judge)?;
        let id = answer.lines().next().and_then(|line| line.split(';').next()).unwrap_or_default().trim();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(QueueError::Refused(format!("sbatch has answered {answer:?}, and not with a job's number")));
        }
        Ok(Ids::Batch(id.to_owned()))
    }

    fn look(&self, batches: &[&Batch]) -> Result<Listing, QueueError> {
        if batches.is_empty() {
            return Ok(Listing::default());
        }
        let names: Vec<&str> = batches.iter().map(|batch| batch.name.as_str()).collect();
        let mut squeue = Command::new("squeue");
        squeue.args(["--noheader", "--array", "--states=all", "--format=%j|%F|%K|%T|%M|%N|%r"]);
        squeue.arg(format!("--name={}", names.join(",")));
        let answer = ask(squeue, "").map_err(|complaint| match Self::judge(complaint) {
            // It was there for the ping, and not for us: later.
            QueueError::Refused(complaint) if which("squeue").is_some() => QueueError::Down(complaint),
            other => other,
        })?;
        Ok(listing(&answer))
    }

    fn cancel(&self, batch: &Batch, elements: &[usize], waiting_only: bool) -> Result<(), QueueError> {
        let Some(id) = &batch.id else { return Ok(()) };
        for some in elements.chunks(AT_ONCE) {
            let mut scancel = Command::new("scancel");
            scancel.arg("--quiet");
            if waiting_only {
                scancel.arg("--state=PENDING");
            }
            scancel.args(some.iter().map(|element| format!("{id}_{element}")));
            ask(scancel, "").map_err(Self::judge)?;
        }
        Ok(())
    }
}

/// Lines of `squeue`: name, array, index, state, time, nodes, reason.
fn listing(answer: &str) -> Listing {
    let mut listing = Listing::default();
    for line in answer.lines() {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, id, index, state, elapsed, nodes, reason] = fields.as_slice() else { continue };
        listing.ids.insert((*name).to_owned(), (*id).to_owned());
        let Ok(index) = index.parse::<usize>() else { continue };
        let plain = ["", "None", "(null)"];
        let words = if plain.contains(reason) { (*state).to_owned() } else { format!("{state}, {reason}") };
        let seen = Seen {
            phase: phase(state, reason),
            node: Some((*nodes).to_owned()).filter(|node| !plain.contains(&node.as_str())),
            words,
            elapsed: (*elapsed).to_owned(),
        };
        let place = listing.seen.entry(((*name).to_owned(), index)).or_insert_with(|| seen.clone());
        // An array whose number was used before has dead namesakes.
        if seen.phase > place.phase {
            *place = seen;
        }
    }
    listing
}

fn phase(state: &str, reason: &str) -> Phase {
    match state {
        "OUT_OF_MEMORY" => Phase::OutOfMemory,
        "BOOT_FAIL" | "CANCELLED" | "COMPLETED" | "DEADLINE" | "FAILED" | "NODE_FAIL" | "PREEMPTED" | "REVOKED"
        | "TIMEOUT" => Phase::Ended,
        // It would be held until somebody comes.
        "PENDING" if reason.starts_with("launch") && reason.contains("held") => Phase::Ended,
        "PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD" | "RESV_DEL_HOLD" => Phase::Waiting,
        _ => Phase::Running,
    }
}

fn which(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_squeue_says_is_understood() {
        let text = "a|7|0|COMPLETED|0:01|n1|None\na|7|1|RUNNING|1-02:03:04|n[2-3]|None\n\
            a|7|2|PENDING|0:00||Priority\na|7|3|PENDING|0:00|(null)|launch failed requeued held\n\
            a|7|4|OUT_OF_MEMORY|0:09|n1|OutOfMemory\na|7|N/A|PENDING|0:00||None\nbroken\na|6|1|CANCELLED|0:00||None\n";
        let listing = listing(text);
        let phases: Vec<Phase> = listing.seen.values().map(|seen| seen.phase).collect();
        assert_eq!(phases, [Phase::Ended, Phase::Running, Phase::Waiting, Phase::Ended, Phase::OutOfMemory]);
        let running = &listing.seen[&("a".to_owned(), 1)];
        assert_eq!((running.node.as_deref(), running.elapsed.as_str()), (Some("n[2-3]"), "1-02:03:04"));
        assert_eq!(listing.seen[&("a".to_owned(), 2)].words, "PENDING, Priority");
        assert_eq!(listing.seen[&("a".to_owned(), 2)].node, None);
    }

    #[test]
    fn options_tell_whether_there_are_gpus() {
        let of = |options: &[&str]| {
            let options = options.iter().map(|option| (*option).to_owned()).collect();
            Slurm::new(&SlurmEngine { options, max: 0 }).gives_gpus()
        };
        for with in
            [&["--gpus=1"] as &[&str], &["--gres=gpu:a100:1"], &["--gres=gpu"], &["-G", "1"], &["--gpus-per-task=1"]]
        {
            assert!(of(with), "{with:?}");
        }
        assert!(!of(&["--partition=gpu", "--mem=16G"]) && !of(&[]));
    }
}
