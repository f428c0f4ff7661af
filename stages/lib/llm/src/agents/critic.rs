//! RC's reply: a title and the directive.

use crate::error::excerpt;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectiveText {
    pub text: String,
    /// A few words, for tables and figures.
    pub label: String,
}

/// Longest label, in characters.
pub const LABEL: usize = 80;

/// Reads the reply. A missing title is no fault: the beginning of the directive serves.
pub fn read(text: &str) -> DirectiveText {
    let text = text.trim();
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    match titled(first, "title") {
        Some(title) if !rest.trim().is_empty() => {
            DirectiveText { text: rest.trim().to_owned(), label: excerpt(&title, LABEL) }
        }
        Some(title) => DirectiveText { text: title.clone(), label: excerpt(&title, LABEL) },
        None => {
            let sentence = first.split_inclusive(". ").next().unwrap_or(first);
            DirectiveText { text: text.to_owned(), label: excerpt(sentence.trim().trim_end_matches('.'), LABEL) }
        }
    }
}

/// The rest of a line such as `Title: rest` or `**Title:** rest`; none for other lines.
pub fn titled(line: &str, word: &str) -> Option<String> {
    const MARKS: &[char] = &['*', '#', '_', '`', ' '];
    let (head, rest) = line.split_once(':')?;
    let rest = rest.trim_start_matches(MARKS).trim_end_matches(['*', ' ', '\t']);
    (head.trim_matches(MARKS).eq_ignore_ascii_case(word) && !rest.is_empty()).then(|| rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_and_directive() {
        for text in [
            "Title: gate edge_fts\n\nMultiply by a gate.\n",
            "**Title:** gate edge_fts\nMultiply by a gate.",
            "## **Title: gate edge_fts**\nMultiply by a gate.",
        ] {
            assert_eq!(read(text), DirectiveText { text: "Multiply by a gate.".into(), label: "gate edge_fts".into() });
        }
    }

    #[test]
    fn without_a_title_the_beginning_serves() {
        let read = read("Use two heads. Then sum.\nMore.");
        assert_eq!((read.label.as_str(), read.text.as_str()), ("Use two heads", "Use two heads. Then sum.\nMore."));
    }
}
