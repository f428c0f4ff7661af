//! The same training steps by other programs, in turn with ours: a ratio means something only where both ran in one sitting.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

/// Another program: a name, and what the shell is to run.
#[derive(Clone, Debug)]
pub struct Peer {
    pub name: String,
    command: String,
}

impl std::str::FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, command)) if !name.is_empty() && !command.is_empty() => {
                Ok(Self { name: name.to_owned(), command: command.to_owned() })
            }
            _ => Err(format!("`{text}` is not NAME=COMMAND")),
        }
    }
}

/// Seconds of a training step in each round.
#[derive(Clone, Debug, Serialize)]
pub struct Timed {
    pub name: String,
    pub train_step_s: Vec<f64>,
}

impl Timed {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), train_step_s: Vec::new() }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.train_step_s.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn median(&self) -> f64 {
        self.sorted().get(self.train_step_s.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

impl Peer {
    /// Runs the program once. It answers with a last line of JSON that has `train_step_s`, as `probe speed --json` does.
    /// `{length}`, `{batch}`, `{hidden}`, `{steps}` and `{threads}` in the command stand for what is measured.
    pub fn run(&self, values: &[(&str, usize)]) -> Result<f64> {
        #[derive(Deserialize)]
        struct Answer {
            train_step_s: f64,
        }
        let mut command = self.command.clone();
        for (name, value) in values {
            command = command.replace(&format!("{{{name}}}"), &value.to_string());
        }
        let mut shell = Command::new("sh");
        let output = shell.arg("-c").arg(&command).stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("{} cannot be run: {command}", self.name))?;
        if !output.status.success() {
            bail!("{} failed ({}): {command}", self.name, output.status);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
        let answer: Answer = serde_json::from_str(line)
            .map_err(|error| anyhow!("{} did not end with JSON that has train_step_s ({error}): {line}", self.name))?;
        Ok(answer.train_step_s)
    }
}

/// A table: ours comes first, and the others' ratios are to it.
pub fn table(all: &[Timed]) -> Result<String> {
    let mut text = String::new();
    let ours = all.first().map_or(f64::NAN, Timed::median);
    let rounds = all.first().map_or(0, |first| first.train_step_s.len());
    writeln!(text, "\ntraining step, in turn, {rounds} rounds    median      least       most   times ours")?;
    for timed in all {
        let sorted = timed.sorted();
        let (least, most) = (sorted.first().copied().unwrap_or(f64::NAN), sorted.last().copied().unwrap_or(f64::NAN));
        let median = timed.median();
        writeln!(text, "{:34} {median:8.4} s {least:8.4} s {most:8.4} s {:8.2}", timed.name, median / ours)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_read_and_run() {
        let peer: Peer =
            "other=echo noise; echo '{\"train_step_s\": {length}.5, \"more\": 1}'".parse().expect("is one");
        assert_eq!(peer.run(&[("length", 8)]).expect("runs"), 8.5);
        for broken in ["other=exit 3", "other=echo no", "other=true"] {
            let peer: Peer = broken.parse().expect("is one");
            assert!(peer.run(&[]).is_err(), "{broken}");
        }
        assert!("other".parse::<Peer>().is_err() && "=x".parse::<Peer>().is_err());
    }

    #[test]
    fn ratios_are_to_ours() {
        let timed = |name: &str, times: &[f64]| Timed { name: name.to_owned(), train_step_s: times.to_vec() };
        let text = table(&[timed("ours", &[2.0, 1.0, 3.0]), timed("other", &[8.0, 6.0, 7.0])]).expect("is written");
        assert!(text.contains("3.50") && text.contains("6.0000 s"), "{text}");
    }
}
