//! A search as it goes, from its folder: `make watch`. It may be made by another terminal, or by another machine that shares
//! the folder.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use stage::Usage;
use stage::live::{Board, Screen, duration, seconds_now};

use crate::args::WatchArgs;

/// How often the folder is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Seconds without news after which it is said so: a stage at work has some every second, apart from the longest steps.
const SILENCE: f64 = 120.0;

/// Shows what the search is doing until it is done.
pub fn watch(args: &WatchArgs) -> Result<()> {
    let folder = &args.folder;
    let look = || {
        let none = || Usage(format!("{}: there is no run here: it has no config.toml of one", folder.display()));
        Board::read(folder).ok_or_else(none)
    };
    let board = look()?;
    if args.once {
        return stage::exit::say(&format!("{}\n", board.line(seconds_now())));
    }
    let screen = Screen::open();
    let mut before: Vec<String> = Vec::new();
    let mut line = String::new();
    loop {
        let board = look()?;
        let now = seconds_now();
        for said in news(&before, &board.record.said) {
            screen.keep(said);
        }
        before.clone_from(&board.record.said);
        let mut lines = board.lines(now);
        let silent = now - board.record.changed;
        if !board.record.done && board.record.changed > 0.0 && silent > SILENCE {
            lines.push(format!("nothing heard for {}: has it stopped? make search goes on", duration(silent)));
        }
        screen.show(lines);
        let said = board.line(now);
        // On a terminal the block says it, elsewhere each change of what is found.
        let found = said.split(", about ").next().unwrap_or_default().to_owned();
        if board.record.done || (!screen.is_terminal() && found != line) {
            screen.keep(&said);
            line = found;
        }
        if board.record.done {
            screen.close();
            return Ok(());
        }
        sleep(EVERY);
    }
}

/// What was said since: both lists end with the newest.
fn news<'a>(before: &[String], now: &'a [String]) -> &'a [String] {
    let known = (0..=now.len()).rev().find(|n| now.get(..*n).is_some_and(|head| before.ends_with(head)));
    now.get(known.unwrap_or_default()..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_said() {
        let list = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let said = |before: &str, now: &str| news(&list(before), &list(now)).concat();
        assert_eq!(said("", "abc"), "abc");
        assert_eq!(said("abc", "bcd"), "d");
        assert_eq!(said("abc", "abc"), "");
        assert_eq!(said("abc", "xyz"), "xyz");
    }
}
