//! Paragraphs of a width that people read.

/// Columns of a page.
const WIDTH: usize = 100;

/// The text in lines of the page's width, the first after `first`, the others after as many spaces; ends with a line end.
pub(super) fn wrapped(first: &str, text: &str) -> String {
    let indent = " ".repeat(first.chars().count());
    let mut out = first.to_owned();
    let mut column = indent.len();
    let mut empty = true;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if !empty && column + 1 + width > WIDTH {
            out.push('\n');
            out.push_str(&indent);
            (column, empty) = (indent.len(), true);
        }
        if !empty {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
        empty = false;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_full_and_no_longer() {
        let text = wrapped("- ", &"word ".repeat(60));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert_eq!(text.lines().map(|line| line.split("word").count() - 1).collect::<Vec<_>>(), [19, 19, 19, 3]);
        assert!(text.starts_with("- word") && text.lines().nth(1).is_some_and(|line| line.starts_with("  word")));
        assert_eq!(wrapped("", &"x".repeat(120)).lines().count(), 1, "a long word stays whole");
    }
}
