//! Line differences between two programs, with the changed words within changed lines.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use crate::draw::visible;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// A line of a difference. `old` and `new` are line numbers from 1, where the line exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffLine {
    /// `same`, `cut` or `add`.
    pub kind: &'static str,
    pub old: Option<usize>,
    pub new: Option<usize>,
    /// Pieces of the line, and whether each is what changed.
    pub pieces: Vec<(bool, String)>,
}

/// Programs up to this size are compared, in bytes; the language itself has a smaller limit.
const LARGEST: usize = 64 << 10;

/// Lines up to this length are shown whole, in characters.
pub const LINE: usize = 2000;

/// How long to look for the smallest difference; a valid one is found in any case.
const PATIENCE: Duration = Duration::from_secs(1);

/// Changes that lie close together, with their context.
pub type Hunk = Vec<DiffLine>;

/// A difference: its hunks, and how many lines it cuts and adds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    pub hunks: Vec<Hunk>,
    pub added: usize,
    pub cut: usize,
}

pub fn diff(old: &str, new: &str) -> Diff {
    let (old, new) = (bounded(old), bounded(new));
    let text = TextDiff::configure().timeout(PATIENCE).diff_lines(old.as_ref(), new.as_ref());
    let mut result = Diff::default();
    for group in text.grouped_ops(CONTEXT) {
        let mut hunk = Hunk::new();
        for change in group.iter().flat_map(|op| text.iter_inline_changes(op)) {
            let kind = match change.tag() {
                ChangeTag::Equal => "same",
                ChangeTag::Delete => "cut",
                ChangeTag::Insert => "add",
            };
            result.added += usize::from(kind == "add");
            result.cut += usize::from(kind == "cut");
            let mut pieces: Vec<(bool, String)> = change
                .iter_strings_lossy()
                .map(|(strong, piece)| {
                    (strong && kind != "same", piece.trim_end_matches(['\n', '\r']).chars().map(visible).collect())
                })
                .filter(|(_, piece): &(bool, String)| !piece.is_empty())
                .collect();
            // a line that changed as a whole needs no marks within
            if pieces.iter().all(|(strong, piece)| *strong || piece.trim().is_empty()) {
                pieces.iter_mut().for_each(|(strong, _)| *strong = false);
            }
            hunk.push(DiffLine {
                kind,
                old: change.old_index().map(|i| i + 1),
                new: change.new_index().map(|i| i + 1),
                pieces,
            });
        }
        result.hunks.push(hunk);
    }
    result
}

/// What of a program is compared and shown: as much as a page can hold, and no line without end.
pub fn bounded(source: &str) -> Cow<'_, str> {
    let cut = source.get(..source.floor_char_boundary(LARGEST)).unwrap_or_default();
    if cut.len() == source.len() && source.lines().all(|line| line.len() <= LINE) {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(cut.len());
    for line in cut.split_inclusive('\n') {
        match line.char_indices().nth(LINE) {
            Some((at, _)) => {
                out.push_str(line.get(..at).unwrap_or_default());
                out.push('…');
                out.push_str(if line.ends_with('\n') { "\n" } else { "" });
            }
            None => out.push_str(line),
        }
    }
    if cut.len() < source.len() {
        out.push_str("\n… (cut here: the program is too large for a page)\n");
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_words_are_marked_within_their_line() {
        let diff = diff("a\nself.t_1 = Linear(z, 8)\nc\n", "a\nself.t_1 = Linear(z, 16)\nc\nd\n");
        assert_eq!((diff.added, diff.cut, diff.hunks.len()), (2, 1, 1));
        let lines = &diff.hunks[0];
        assert_eq!(lines.iter().map(|l| l.kind).collect::<Vec<_>>(), ["same", "cut", "add", "same", "add"]);
        assert_eq!((lines[1].old, lines[1].new), (Some(2), None));
        assert!(lines[2].pieces.iter().any(|(strong, text)| *strong && text.contains("16")));
        assert!(lines[4].pieces.iter().all(|(strong, _)| !strong), "a new line has no marks within");
    }

    #[test]
    fn equal_programs_have_no_hunks() {
        assert_eq!(diff("a\nb\n", "a\nb\n"), Diff::default());
        assert_eq!(diff("", ""), Diff::default());
    }

    #[test]
    fn huge_programs_are_cut_and_said_to_be() {
        let endless = "x".repeat(3 << 20);
        assert!(bounded(&endless).len() < 4 * LINE && bounded(&endless).contains("too large"));
        let lines = "abc\n".repeat(1 << 18);
        assert!(bounded(&lines).len() < LARGEST + 100);
        let other = lines.replace("abc\nabc", "abd\nabc");
        let began = std::time::Instant::now();
        assert!(diff(&lines, &other).added > 0);
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    }
}
