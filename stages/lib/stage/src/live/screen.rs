//! A block of lines at the bottom of a terminal, with lines above it that stay; also for those who watch a run from outside.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::LINES;
use crate::terminal;

/// The block. Where stderr is not a terminal there is none, and only the lines that stay are written.
pub struct Screen {
    block: Option<(ProgressBar, Arc<Mutex<Vec<String>>>)>,
}

impl Screen {
    /// A block of lines where stderr is a terminal; nothing where it is not.
    pub fn open() -> Self {
        if !std::io::stderr().is_terminal() || std::env::var_os(LINES).is_some() {
            return Self { block: None };
        }
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{search}") {
            let lines = Arc::clone(&lines);
            bar.set_style(style.with_key("search", move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = out.write_str(&lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n"));
            }));
        }
        Self { block: Some((bar, lines)) }
    }

    /// Whether there is a terminal to draw on.
    pub fn is_terminal(&self) -> bool {
        self.block.is_some()
    }

    /// What the block says from now on.
    pub fn show(&self, text: Vec<String>) {
        if let Some((bar, lines)) = &self.block {
            *lines.lock().unwrap_or_else(PoisonError::into_inner) = text;
            bar.tick();
        }
    }

    /// A line that stays, above the block.
    pub fn keep(&self, line: &str) {
        let line = terminal::line(line);
        match &self.block {
            Some((bar, _)) => bar.println(line),
            // A line that cannot be written is no reason to stop.
            None => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }

    /// Removes the block.
    pub fn close(&self) {
        if let Some((bar, _)) = &self.block {
            bar.finish_and_clear();
        }
    }
}
