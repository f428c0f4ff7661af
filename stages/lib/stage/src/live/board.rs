//! The block of lines that says what a search is doing.

use std::path::Path;

use super::{Counts, Record, estimate};
use crate::runs::RunRecord;
use crate::{Config, terminal};

/// All that is known of a run that is being made.
#[derive(Clone, Debug)]
pub struct Board {
    /// The settings of the run.
    pub config: Config,
    /// What its tables tell.
    pub counts: Counts,
    /// What its stages have cost, and are doing.
    pub record: Record,
    /// When the last call of `make search` began that had something to do, in seconds since 1970.
    pub began: Option<f64>,
}

impl Board {
    /// The board of the run in a folder; `None` where there are no settings of a run.
    pub fn read(folder: &Path) -> Option<Self> {
        let config = Config::load(Some(&folder.join("config.toml")), &[], &[]).ok()?;
        let counts = Counts::read(folder, &config);
        let sessions = RunRecord::read(folder).ok().flatten().map(|run| run.sessions).unwrap_or_default();
        let began = sessions.last().and_then(|session| session.began());
        Some(Self { config, counts, record: Record::read(folder), began })
    }

    /// The lines, at a time in seconds since 1970.
    pub fn lines(&self, time: f64) -> Vec<String> {
        let mut lines = vec![self.place(time), self.found()];
        let note = self.record.now.as_ref().map_or("", |now| now.note.as_str());
        if !note.is_empty() {
            lines.push(note.to_owned());
        }
        lines.push(self.times(time));
        lines.iter().map(|line| terminal::line(line).into_owned()).collect()
    }

    /// The same in one line, without what changes every second.
    pub fn line(&self, time: f64) -> String {
        let Counts { generation, generations, attempts, of, .. } = self.counts;
        let left = match estimate::left(&self.config, &self.counts, &self.record, time) {
            _ if self.record.done => ", done".to_owned(),
            Some(left) => format!(", about {} left", duration(left)),
            None => String::new(),
        };
        let line =
            format!("generation {generation} of {generations}: {attempts} of {of} attempts, {}{left}", self.found());
        terminal::line(&line).into_owned()
    }

    fn place(&self, time: f64) -> String {
        let Counts { generation, generations, attempts, of, valid, .. } = self.counts;
        let mut parts = vec![format!("generation {generation} of {generations}")];
        if let Some(now) = &self.record.now {
            if now.label.starts_with("confirm") {
                parts.clear();
            }
            let pace = estimate::pace(&self.counts, &self.record, time);
            let pace = pace.map_or(String::new(), |pace| format!(", {} each", duration(pace)));
            parts.push(format!("{}: {} of {}{pace}", now.label, now.done, now.length));
        }
        parts.push(format!("{attempts} of {of} attempts, {valid} valid"));
        parts.join(" · ")
    }

    fn found(&self) -> String {
        let percent = |value: f64| format!("{:.1} %", 100.0 * value);
        let mut text = match (self.counts.best, self.counts.seed) {
            (Some(best), Some(seed)) => format!("best {}, seed program {}", percent(best), percent(seed)),
            (Some(best), None) => format!("best {}", percent(best)),
            _ => "no score yet".to_owned(),
        };
        if let Some(confirmed) = &self.counts.confirmed {
            text += &format!(" · confirmed gain: {confirmed}");
        } else if self.counts.best.is_some() {
            text += " · not confirmed yet";
        }
        if !self.counts.lost.is_empty() {
            let lost: Vec<String> = self.counts.lost.iter().map(|(status, n)| format!("{n} {status}")).collect();
            text += &format!(" · without a score: {}", lost.join(", "));
        }
        text
    }

    fn times(&self, time: f64) -> String {
        let since =
            self.began.map(|began| format!("{} so far, ", duration((time - began).max(0.0)))).unwrap_or_default();
        match estimate::left(&self.config, &self.counts, &self.record, time) {
            _ if self.record.done => "done".to_owned(),
            Some(left) => format!("{since}about {} left of the whole search", duration(left)),
            None => format!("{since}time left: known after the first training"),
        }
    }
}

/// A duration as precise as an estimate can be.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Now;
    use super::*;

    #[test]
    fn the_block_says_where_the_search_is_and_what_it_found() {
        let counts = Counts {
            generation: 2,
            generations: 4,
            attempts: 16,
            of: 32,
            valid: 14,
            best: Some(0.853),
            seed: Some(0.669),
            lost: [("rejected".to_owned(), 2)].into(),
            ..Counts::default()
        };
        let now = Now {
            label: "train".into(),
            length: 6,
            done: 3,
            began: 100.0,
            note: "c1: step 1\u{1b}[2J".into(),
            ..Now::default()
        };
        let record = Record { now: Some(now), ..Record::default() };
        let mut board = Board { config: Config::default(), counts, record, began: Some(40.0) };
        assert_eq!(
            board.lines(130.0),
            [
                "generation 2 of 4 · train: 3 of 6, 10 s each · 16 of 32 attempts, 14 valid",
                "best 85.3 %, seed program 66.9 % · not confirmed yet · without a score: 2 rejected",
                "c1: step 1\\u{1b}[2J",
                "90 s so far, time left: known after the first training",
            ]
            .map(|line| line.replace("90 s", &duration(90.0)))
        );
        board.record.done = true;
        board.counts.confirmed = Some("+21.1 points".into());
        assert!(
            board.line(0.0).ends_with("· confirmed gain: +21.1 points · without a score: 2 rejected, done"),
            "{}",
            board.line(0.0)
        );
    }
}
