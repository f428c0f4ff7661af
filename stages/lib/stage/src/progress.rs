//! Progress on stderr: a bar on a terminal with results above it, one plain line per finished item elsewhere, nothing when quiet.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::live::{self, Live};
use crate::terminal;

/// A display of how many of `length` items are done. Shared between threads by reference.
pub struct Progress {
    label: String,
    length: usize,
    done: AtomicUsize,
    pace: Option<Mutex<Pace>>,
    look: Look,
    /// The part in a run's progress, for a stage of a search.
    live: Option<Arc<Live>>,
}

enum Look {
    Bar(ProgressBar),
    Lines,
    Silent,
}

/// How much work was done in what time.
struct Pace {
    started: Instant,
    done: f64,
    left: f64,
}

impl Pace {
    /// An item is done; `free`: it has cost no time. Returns an estimate of the time left, once there is ground for one.
    fn item(&mut self, weight: f64, free: bool, now: Instant) -> Option<Duration> {
        self.left = (self.left - weight).max(0.0);
        if !free {
            self.done += weight;
        }
        let ratio = self.left / self.done;
        let elapsed = now.saturating_duration_since(self.started);
        (ratio.is_finite() && self.done > 0.0).then(|| Duration::from_secs_f64(elapsed.as_secs_f64() * ratio))
    }
}

impl Progress {
    /// A display of `length` items; none where it is to be quiet.
    pub fn new(label: &str, length: usize, quiet: bool) -> Self {
        Self::with_pace(label, length, None, quiet)
    }

    /// A display of items that take work in proportion to weights, `total` in all: it tells about how much time is left.
    pub fn weighted(label: &str, length: usize, total: f64, quiet: bool) -> Self {
        let pace = Pace { started: Instant::now(), done: 0.0, left: total };
        Self::with_pace(label, length, Some(Mutex::new(pace)), quiet)
    }

    fn with_pace(label: &str, length: usize, pace: Option<Mutex<Pace>>, quiet: bool) -> Self {
        let live = Live::open(label, length).map(Arc::new);
        let lines = std::env::var_os(live::LINES).is_some();
        let look = if quiet {
            Look::Silent
        } else if std::io::stderr().is_terminal() && !lines {
            Look::Bar(bar(label, length, pace.is_some(), live.as_ref()))
        } else {
            Look::Lines
        };
        Self { label: terminal::line(label).into_owned(), length, done: AtomicUsize::new(0), pace, look, live }
    }

    /// Says what is going on within an item; shown on a bar only.
    pub fn note(&self, text: &str) {
        if let Some(live) = &self.live {
            live.note(text);
        } else if let Look::Bar(bar) = &self.look {
            bar.set_message(terminal::line(text).into_owned());
        }
    }

    /// One more item is done.
    pub fn item(&self, text: &str) {
        self.item_of(1.0, false, text);
    }

    /// One more item is done, and with it so much of the work; `free`: it was there already, and has cost no time.
    pub fn item_of(&self, weight: f64, free: bool, text: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(live) = &self.live {
            live.item(free, text);
        }
        let left = self
            .pace
            .as_ref()
            .and_then(|pace| pace.lock().unwrap_or_else(PoisonError::into_inner).item(weight, free, Instant::now()));
        let left = left.filter(|_| done < self.length).map_or_else(String::new, |left| format!("{} left", about(left)));
        match &self.look {
            Look::Bar(bar) => {
                if !left.is_empty() {
                    bar.set_prefix(format!("{} ({left})", self.label));
                }
                // Results stay above the bar.
                bar.println(format!("{}: {done}/{}: {}", self.label, self.length, terminal::line(text)));
                bar.set_message("");
                bar.inc(1);
            }
            // A progress line that cannot be written is no reason to stop.
            Look::Lines => {
                let left = if left.is_empty() { left } else { format!(" ({left})") };
                drop(writeln!(
                    std::io::stderr(),
                    "{}: {done}/{}{left}: {}",
                    self.label,
                    self.length,
                    terminal::line(text)
                ));
            }
            Look::Silent => {}
        }
    }

    /// A line that stays.
    pub fn say(&self, text: &str) {
        match &self.look {
            Look::Bar(bar) => bar.println(terminal::message(text)),
            Look::Lines => drop(writeln!(std::io::stderr(), "{}: {}", self.label, terminal::message(text))),
            Look::Silent => {}
        }
    }

    /// Clears the bar and leaves one last line.
    pub fn finish(&self, text: &str) {
        if let Some(live) = &self.live {
            live.finish();
        }
        if let Look::Bar(bar) = &self.look {
            bar.finish_and_clear();
        }
        if !matches!(self.look, Look::Silent) {
            drop(writeln!(std::io::stderr(), "{}: {}", self.label, terminal::message(text)));
        }
    }
}

/// A bar for a stage alone; within a run, the block of lines that says where the whole search is.
fn bar(label: &str, length: usize, has_pace: bool, live: Option<&Arc<Live>>) -> ProgressBar {
    let bar = ProgressBar::new(length as u64);
    let template = match (live, has_pace) {
        (Some(_), _) => "[{bar:40}]\n{search}",
        (None, false) => "{prefix} [{bar:24}] {pos}/{len} {elapsed} (left {eta}) {wide_msg}",
        (None, true) => "{prefix} [{bar:24}] {pos}/{len} {elapsed} {wide_msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        let style = style.progress_chars("=> ");
        bar.set_style(match live.cloned() {
            Some(live) => style.with_key("search", move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = out.write_str(&live.lines().join("\n"));
            }),
            None => style,
        });
    }
    bar.set_prefix(terminal::line(label).into_owned());
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// A duration as precise as an estimate can be.
fn about(duration: Duration) -> String {
    match duration.as_secs_f64() {
        s if s < 90.0 => format!("about {:.0} s", s.max(1.0)),
        s if s < 5400.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_follows_the_work_that_took_time() {
        let started = Instant::now();
        let mut pace = Pace { started, done: 0.0, left: 100.0 };
        let at = |seconds: u64| started + Duration::from_secs(seconds);
        assert_eq!(pace.item(40.0, true, at(0)), None, "what was there says nothing about speed");
        assert_eq!(pace.item(20.0, false, at(10)), Some(Duration::from_secs(20)));
        assert_eq!(pace.item(30.0, false, at(15)), Some(Duration::from_secs(3)));
        assert_eq!(pace.item(10.0, false, at(18)), Some(Duration::ZERO));
    }

    #[test]
    fn estimates_are_not_more_precise_than_they_are() {
        let text = |seconds: f64| about(Duration::from_secs_f64(seconds));
        assert_eq!([0.2, 89.0, 100.0, 6000.0].map(text), ["about 1 s", "about 89 s", "about 2 min", "about 1.7 h"]);
    }
}
