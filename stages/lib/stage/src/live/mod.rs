//! What a search is doing, for people who watch it: how far it has come, what it has found, how long it may still take.
//!
//! The stages of a search are processes that follow each other. What one has to know of the others it finds in the run's
//! folder: the tables, and `progress.json`, which each stage rewrites while it works. Nothing depends on that file: it may
//! be deleted at any time, and where it cannot be written, nothing is lost but the display.

mod board;
mod counts;
mod estimate;
mod record;
mod screen;

pub use board::{Board, duration};
pub use counts::Counts;
pub use estimate::Load;
pub use record::{Cost, FILE, Now, Record, seconds_now};
pub use screen::Screen;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The environment variable that names the folder of the run that a stage works for; the Makefile sets it.
pub const FOLDER: &str = "EMBERLINE_RUN";
/// Set to anything: plain lines on a terminal, too, as for several searches side by side.
pub const LINES: &str = "EMBERLINE_LINES";

/// The file is not written more often.
const EVERY: Duration = Duration::from_millis(900);
/// Results that are kept for those who begin to watch later.
const SAID: usize = 6;

/// The part of a stage in its run's progress.
pub(crate) struct Live {
    folder: PathBuf,
    board: Mutex<Board>,
    written: Mutex<Option<Instant>>,
}

impl Live {
    /// The display of a stage that has so much to do; `None` outside of a run.
    pub(crate) fn open(label: &str, length: usize) -> Option<Self> {
        let folder = PathBuf::from(std::env::var_os(FOLDER).filter(|folder| !folder.is_empty())?);
        if length == 0 {
            return None;
        }
        let mut board = Board::read(&folder)?;
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let label = full_label(label, program.as_deref().unwrap_or_default(), board.counts.rounds);
        let generation = (!label.starts_with("confirm")).then_some(board.counts.generation);
        board.record.now =
            Some(Now { label, generation, length, done: 0, free: 0, began: seconds_now(), note: String::new() });
        let live = Self { folder, board: Mutex::new(board), written: Mutex::new(None) };
        live.write(true);
        Some(live)
    }

    /// One more item; `free`: it has cost no time.
    pub(crate) fn item(&self, free: bool, text: &str) {
        self.with(|board| {
            if let Some(now) = &mut board.record.now {
                now.done += 1;
                now.free += usize::from(free);
                now.note.clear();
                board.record.said.push(format!("{}: {}/{}: {text}", now.label, now.done, now.length));
            }
            let extra = board.record.said.len().saturating_sub(SAID);
            board.record.said.drain(..extra);
        });
        self.write(false);
    }

    pub(crate) fn note(&self, text: &str) {
        self.with(|board| {
            if let Some(now) = &mut board.record.now {
                now.note = text.to_owned();
            }
        });
        self.write(false);
    }

    /// The stage is done: what it has cost is kept, for the estimate.
    pub(crate) fn finish(&self) {
        self.with(|board| {
            if let Some(now) = board.record.now.take() {
                let seconds = (seconds_now() - now.began).max(0.0);
                let Now { label, generation, done, free, .. } = now;
                board.record.spend(Cost { label, generation, items: done, free, seconds });
            }
        });
        self.write(true);
    }

    /// The lines of the block.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).lines(seconds_now())
    }

    fn with(&self, change: impl FnOnce(&mut Board)) {
        change(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Writes the record, unless it was written a moment ago. A record that cannot be written is no reason to stop.
    fn write(&self, at_once: bool) {
        let now = Instant::now();
        {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            if !at_once && written.is_some_and(|before| now.saturating_duration_since(before) < EVERY) {
                return;
            }
            *written = Some(now);
        }
        let record = self.board.lock().unwrap_or_else(PoisonError::into_inner).record.clone();
        let _ = record.write(&self.folder);
    }
}

/// What a stage calls its work, so that each round of racing, and the confirmation's own evaluations, are told apart.
fn full_label(label: &str, program: &str, rounds: usize) -> String {
    match label {
        "score" if program == "confirm" => "confirm: score".to_owned(),
        "score" if rounds > 0 => format!("score of race {rounds}"),
        _ => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_generation_has_a_label_of_its_own() {
        assert_eq!(full_label("score", "score", 0), "score");
        assert_eq!(full_label("score", "score", 2), "score of race 2");
        assert_eq!(full_label("score", "confirm", 2), "confirm: score");
        assert_eq!(full_label("race 1", "train", 1), "race 1");
    }

    #[test]
    fn outside_of_a_run_there_is_nothing_to_show() {
        // Tests are not started by the Makefile.
        assert!(std::env::var_os(FOLDER).is_some() || Live::open("train", 3).is_none());
    }
}
