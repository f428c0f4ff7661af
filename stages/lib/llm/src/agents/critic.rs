//! RC's reply: a title and the directive.

use search::proposer::Directive;

use crate::error::excerpt;

/// Longest label, in characters.
pub const LABEL: usize = 80;

/// Reads the reply. A missing title is not a fault: the beginning of the directive serves.
pub fn read(text: &str) -> Directive {
    let directive =
        |text: &str, label: &str| Directive { text: text.to_owned(), label: excerpt(label, LABEL), genes: Vec::new() };
    let text = text.trim();
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    match titled(first, "title") {
        Some(title) if !rest.trim().is_empty() => directive(rest.trim(), &title),
        Some(title) => directive(&title, &title),
        None => {
            let sentence = first.split_inclusive(". ").next().unwrap_or(first);
            directive(text, sentence.trim().trim_end_matches('.'))
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
            let read = read(text);
            assert_eq!((read.text.as_str(), read.label.as_str()), ("Multiply by a gate.", "gate edge_fts"));
        }
    }

    #[test]
    fn without_a_title_the_beginning_serves() {
        let read = read("Use two heads. Then sum.\nMore.");
        assert_eq!((read.label.as_str(), read.text.as_str()), ("Use two heads", "Use two heads. Then sum.\nMore."));
    }
}
