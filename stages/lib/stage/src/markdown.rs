//! Text from outside within Markdown: shown as it is, and never markup.

use crate::terminal::steers;

/// One line in which nothing is markup: no table, HTML, link, image, emphasis, code, formula, list, heading or mention.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let in_word = |c: Option<&char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        match c {
            // Within a word it is not emphasis, and names are full of it.
            '_' if in_word(out.chars().last().as_ref()) && in_word(rest.peek()) => out.push(c),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '!' | '$' | '{' | '}' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // Sites make links of bare addresses and mentions; an entity looks the same and is not one.
            '@' => out.push_str("&#64;"),
            ':' if SCHEMES.iter().any(|scheme| ends_with(&out, scheme)) => out.push_str("&#58;"),
            '.' if ends_with(&out, "www") => out.push_str("&#46;"),
            c => out.push(visible(c)),
        }
    }
    out
}

const SCHEMES: [&str; 8] = ["http", "https", "ftp", "mailto", "javascript", "data", "xmpp", "file"];

/// Whether the text ends with this scheme, in any case.
fn ends_with(text: &str, scheme: &str) -> bool {
    let end = text.len().checked_sub(scheme.len()).and_then(|at| text.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(scheme))
}

/// A span of code on one line, also within a table.
pub fn code(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().map(visible).collect::<String>().replace('|', "\\|");
    let ticks = "`".repeat(longest_run(&line) + 1);
    let space = if line.starts_with('`') || line.ends_with('`') || line.is_empty() { " " } else { "" };
    format!("{ticks}{space}{line}{space}{ticks}")
}

/// A block of code, its lines as they are; its fence is longer than any in it.
pub fn block(language: &str, text: &str) -> String {
    let fence = "`".repeat((longest_run(text) + 1).max(3));
    let text: String = text.chars().map(visible).collect();
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}\n")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn visible(c: char) -> char {
    if steers(c) && c != '\n' && c != '\t' { '\u{fffd}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_link_an_image_or_a_mention() {
        assert_eq!(text("![x](javascript:alert(1))"), "\\!\\[x\\](javascript&#58;alert(1))");
        assert_eq!(text("HTTPS://a.b www.a.b @you"), "HTTPS&#58;//a.b www&#46;a.b &#64;you");
        assert_eq!(text("~~a~~ $x$ {{b}}"), "\\~\\~a\\~\\~ \\$x\\$ \\{\\{b\\}\\}");
        assert_eq!(text("<b>\n# a | b"), "&lt;b&gt; \\# a \\| b");
        assert_eq!(text("accuracy: 3"), "accuracy: 3");
        assert_eq!(text("insertion_sort _a_ a__b"), "insertion_sort \\_a\\_ a\\_\\_b");
    }

    #[test]
    fn code_cannot_end_early() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("`a\n`` | b"), "``` `a `` \\| b ```");
        assert_eq!(block("toml", "x = 1\n````\n<script>"), "`````toml\nx = 1\n````\n<script>\n`````\n");
    }
}
