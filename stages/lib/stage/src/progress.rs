//! Progress on stderr: a bar on a terminal, one plain line per finished item elsewhere, nothing when quiet.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A display of how many of `length` items are done. Shared between threads by reference.
pub struct Progress {
    label: String,
    length: usize,
    done: AtomicUsize,
    look: Look,
}

enum Look {
    Bar(ProgressBar),
    Lines,
    Silent,
}

impl Progress {
    pub fn new(label: &str, length: usize, quiet: bool) -> Self {
        let look = if quiet {
            Look::Silent
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(length as u64);
            let template = "{prefix} [{bar:24}] {pos}/{len} {elapsed} (left {eta}) {wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(500));
            Look::Bar(bar)
        } else {
            Look::Lines
        };
        Self { label: label.to_owned(), length, done: AtomicUsize::new(0), look }
    }

    /// Says what is going on within an item; shown on a bar only.
    pub fn note(&self, text: &str) {
        if let Look::Bar(bar) = &self.look {
            bar.set_message(text.to_owned());
        }
    }

    /// One more item is done.
    pub fn item(&self, text: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        match &self.look {
            Look::Bar(bar) => {
                bar.set_message(text.to_owned());
                bar.inc(1);
            }
            // A progress line that cannot be written is no reason to stop.
            Look::Lines => drop(writeln!(std::io::stderr(), "{}: {done}/{}: {text}", self.label, self.length)),
            Look::Silent => {}
        }
    }

    /// A line that stays.
    pub fn say(&self, text: &str) {
        match &self.look {
            Look::Bar(bar) => bar.println(text),
            Look::Lines => drop(writeln!(std::io::stderr(), "{}: {text}", self.label)),
            Look::Silent => {}
        }
    }

    /// Clears the bar and leaves one last line.
    pub fn finish(&self, text: &str) {
        if let Look::Bar(bar) = &self.look {
            bar.finish_and_clear();
        }
        if !matches!(self.look, Look::Silent) {
            drop(writeln!(std::io::stderr(), "{}: {text}", self.label));
        }
    }
}
