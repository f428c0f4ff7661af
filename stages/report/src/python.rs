//! Colours for Python source: a tokeniser that knows strings, comments, numbers and words, and never fails.

use std::collections::BTreeSet;

use program::regions::Marker;
use schemas::Factor;
use serde::Serialize;

use crate::draw::visible;

/// A piece of a line with its class; the empty class is plain text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    pub class: &'static str,
    pub text: String,
}

/// A line of source, and the kind of editable region that it lies in: `operator`, `action`, `factor` for any other, or empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub number: usize,
    pub region: &'static str,
    pub tokens: Vec<Token>,
}

const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// The lines of a program, coloured.
pub fn highlight(source: &str) -> Vec<Line> {
    let keywords: BTreeSet<&str> = KEYWORDS.iter().copied().collect();
    let chars: Vec<char> = source.replace("\r\n", "\n").chars().collect();
    let mut lines = Lines::default();
    let mut at = 0;
    let mut names_definition = false;
    while at < chars.len() {
        let start = at;
        let c = chars[at];
        let class = if c == '#' {
            at = until(&chars, at, |c| c == '\n');
            "comment"
        } else if let Some(end) = string(&chars, at) {
            at = end;
            "string"
        } else if c.is_ascii_digit() || (c == '.' && chars.get(at + 1).is_some_and(char::is_ascii_digit)) {
            at = number_end(&chars, at);
            "number"
        } else if c.is_alphabetic() || c == '_' {
            at = until(&chars, at, |c| !(c.is_alphanumeric() || c == '_'));
            let word: String = chars[start..at].iter().collect();
            if names_definition {
                names_definition = false;
                "name"
            } else if keywords.contains(word.as_str()) {
                names_definition = word == "def" || word == "class";
                "keyword"
            } else {
                ""
            }
        } else if c == '@' && lines.only_space() {
            at = until(&chars, at, |c| c == '\n' || c == '(');
            "name"
        } else {
            at += 1;
            ""
        };
        if !c.is_whitespace() && class.is_empty() && !(c.is_alphabetic() || c == '_') {
            names_definition = false;
        }
        lines.push(class, &chars[start..at]);
    }
    lines.finish()
}

fn until(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    chars[from..].iter().position(|c| stop(*c)).map_or(chars.len(), |n| from + n)
}

/// End of the number that starts here; a sign belongs to it after an exponent.
fn number_end(chars: &[char], from: usize) -> usize {
    let hex = chars.get(from + 1).is_some_and(|c| matches!(c, 'x' | 'X'));
    let mut at = from;
    while let Some(c) = chars.get(at) {
        let sign = matches!(c, '+' | '-') && !hex && at > from && matches!(chars[at - 1], 'e' | 'E');
        if !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || sign) {
            break;
        }
        at += 1;
    }
    at
}

/// End of the string that starts here, with its prefix; an unclosed one ends with its line, or with the source.
fn string(chars: &[char], from: usize) -> Option<usize> {
    let prefix =
        chars[from..].iter().take(3).take_while(|c| matches!(c.to_ascii_lowercase(), 'r' | 'b' | 'u' | 'f')).count();
    let word_before = from > 0 && (chars[from - 1].is_alphanumeric() || chars[from - 1] == '_');
    let open = from + prefix;
    let quote = *chars.get(open).filter(|c| matches!(c, '"' | '\''))?;
    if prefix > 2 || (prefix > 0 && word_before) {
        return None;
    }
    let triple = chars.get(open + 1) == Some(&quote) && chars.get(open + 2) == Some(&quote);
    let mut at = open + if triple { 3 } else { 1 };
    while let Some(c) = chars.get(at) {
        match c {
            '\\' => at += 1,
            '\n' if !triple => return Some(at),
            c if *c == quote && !triple => return Some(at + 1),
            c if *c == quote && chars.get(at + 1) == Some(&quote) && chars.get(at + 2) == Some(&quote) => {
                return Some(at + 3);
            }
            _ => {}
        }
        at += 1;
    }
    Some(chars.len())
}

#[derive(Default)]
struct Lines {
    done: Vec<Line>,
    tokens: Vec<Token>,
    region: &'static str,
}

impl Lines {
    fn only_space(&self) -> bool {
        self.tokens.iter().all(|token| token.text.trim().is_empty())
    }

    /// Adds a piece, which may hold line ends.
    fn push(&mut self, class: &'static str, piece: &[char]) {
        for (i, part) in piece.split(|c| *c == '\n').enumerate() {
            if i > 0 {
                self.end_line();
            }
            let text: String = part.iter().map(|c| visible(*c)).collect();
            match self.tokens.last_mut() {
                _ if text.is_empty() => {}
                Some(last) if last.class == class => last.text.push_str(&text),
                _ => self.tokens.push(Token { class, text }),
            }
        }
    }

    fn end_line(&mut self) {
        let mut tokens = std::mem::take(&mut self.tokens);
        let marker = tokens
            .iter()
            .find(|token| token.class == "comment")
            .and_then(|token| program::regions::marker(&token.text));
        let region = match marker {
            Some(Marker::Begin(factor)) => {
                self.region = match factor {
                    Factor::OPERATOR => "operator",
                    Factor::ACTION => "action",
                    _ => "factor",
                };
                self.region
            }
            Some(Marker::End(_)) => std::mem::take(&mut self.region),
            Some(Marker::Nameless(_)) | None => self.region,
        };
        if marker.is_some() {
            tokens.iter_mut().filter(|token| token.class == "comment").for_each(|token| token.class = "marker");
        }
        self.done.push(Line { number: self.done.len() + 1, region, tokens });
    }

    fn finish(mut self) -> Vec<Line> {
        if !self.tokens.is_empty() {
            self.end_line();
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(source: &str) -> Vec<(String, &'static str)> {
        highlight(source)
            .into_iter()
            .flat_map(|line| line.tokens)
            .filter(|token| !token.class.is_empty())
            .map(|token| (token.text, token.class))
            .collect()
    }

    #[test]
    fn words_strings_numbers_and_comments_have_classes() {
        let found = classes("def f(x):  # note\n    return x * 1e-3 + len(f\"a\\\"b\")\n");
        let expected = [
            ("def", "keyword"),
            ("f", "name"),
            ("# note", "comment"),
            ("return", "keyword"),
            ("1e-3", "number"),
            ("f\"a\\\"b\"", "string"),
        ];
        assert_eq!(found, expected.map(|(text, class)| (text.to_string(), class)));
    }

    #[test]
    fn triple_quoted_strings_span_lines() {
        let lines = highlight("x = \"\"\"a # no\nb\"\"\"\ny = 1");
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].tokens, [Token { class: "string", text: "b\"\"\"".into() }]);
    }

    #[test]
    fn regions_are_marked_in_every_spelling() {
        let source = "a\n  # ===== BEGIN OPERATOR REGION =====\nb\n# ===== END OPERATOR REGION =====\nc\n# === EVOLVE TRI_MSGS START\nd\n# === EVOLVE TRI_MSGS END\n# === BEGIN READOUT REGION ===\n";
        let regions: Vec<_> = highlight(source).into_iter().map(|line| line.region).collect();
        assert_eq!(regions, ["", "operator", "operator", "operator", "", "action", "action", "action", "factor"]);
    }

    #[test]
    fn nothing_is_lost_and_nothing_fails() {
        for source in ["", "'", "\"\"\"", "'\\", "0x", "ä = 'ö", "@", "def", "\r\n\r\n", "f", "rb", "1.e+", "a\\\n"] {
            let text: Vec<String> =
                highlight(source).iter().map(|l| l.tokens.iter().map(|t| t.text.as_str()).collect()).collect();
            let whole = source.replace("\r\n", "\n");
            assert_eq!(text.join("\n"), whole.strip_suffix('\n').unwrap_or(&whole), "{source:?}")
        }
    }
}
