//! Texts as lists of lines that all of them share: programs and prompts of a search differ in a few lines each.

use std::collections::HashMap;

use serde::Serialize;

use crate::draw::visible;

/// A text of the pool, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text(usize);

/// Texts, and the lines that they are made of.
#[derive(Debug, Default)]
pub struct Pool {
    lines: Vec<String>,
    /// Runs of neighbouring lines, each as its first line and their number, one after the other.
    texts: Vec<Vec<usize>>,
    by_line: HashMap<String, usize>,
    by_text: HashMap<Vec<usize>, usize>,
    bytes: usize,
}

impl Pool {
    /// Adds a text, as far as it is new. Characters that must not reach a reader's screen as they are become U+FFFD.
    pub fn add(&mut self, text: &str) -> Text {
        let mut runs: Vec<usize> = Vec::new();
        for line in text.split('\n') {
            let line: String = line.strip_suffix('\r').unwrap_or(line).chars().map(visible).collect();
            let number = match self.by_line.get(&line) {
                Some(number) => *number,
                None => {
                    let number = self.lines.len();
                    self.bytes += line.len() + 1;
                    self.by_line.insert(line.clone(), number);
                    self.lines.push(line);
                    number
                }
            };
            match runs.as_mut_slice() {
                [.., first, count] if *first + *count == number => *count += 1,
                _ => runs.extend([number, 1]),
            }
        }
        let next = self.texts.len();
        let at = *self.by_text.entry(runs.clone()).or_insert(next);
        if at == next {
            self.texts.push(runs);
        }
        Text(at)
    }

    /// Bytes of all lines, each counted once.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn into_parts(self) -> (Vec<String>, Vec<Vec<usize>>) {
        (self.lines, self.texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pool: &Pool, text: Text) -> String {
        let runs = pool.texts[text.0].chunks(2);
        let lines: Vec<&str> =
            runs.flat_map(|run| pool.lines[run[0]..run[0] + run[1]].iter().map(String::as_str)).collect();
        lines.join("\n")
    }

    #[test]
    fn texts_come_back_and_common_lines_are_stored_once() {
        let mut pool = Pool::default();
        let parent = "a\nb\n\nc\nd\n";
        let child = "a\nb\nx\nc\nd\n";
        let (one, two, again) = (pool.add(parent), pool.add(child), pool.add(parent));
        assert_eq!((text(&pool, one).as_str(), text(&pool, two).as_str()), (parent, child));
        assert_eq!(one, again);
        assert_eq!(pool.lines, ["a", "b", "", "c", "d", "x"]);
        assert_eq!(pool.bytes(), 5 + 6);
        let (empty, odd) = (pool.add(""), pool.add("q\r\n\u{202e}\u{0}"));
        assert_eq!((text(&pool, empty).as_str(), text(&pool, odd).as_str()), ("", "q\n\u{fffd}\u{fffd}"));
    }
}
