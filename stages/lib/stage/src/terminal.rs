//! Text from outside on its way to a terminal: what would steer the terminal, turn or hide text is written as an escape.
//!
//! Programs, file names, replies of servers and tables may hold anything. A terminal obeys control characters, so each
//! text that people read passes one of these functions at the border; the data in tables and files stays as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character can do more to a screen than take its place on it: control characters (C0, DEL, C1), marks that
/// turn the direction of text, characters without a width, separators of lines, tags and non-characters.
///
/// The ranges are Unicode's `Default_Ignorable_Code_Point` and `Bidi_Control` with the categories Cc, Zl and Zp.
pub fn steers(c: char) -> bool {
    match c {
        ' '..='~' => false,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => true,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        c => c.is_control() || u32::from(c) & 0xfffe == 0xfffe,
    }
}

/// A text that is to stay on one line, such as a name or a reason: line ends and tabs are escaped, too.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, steers, rust)
}

/// A text of several lines.
pub fn block(text: &str) -> Cow<'_, str> {
    escaped(text, |c| steers(c) && c != '\n' && c != '\t', rust)
}

/// A message of one or several lines; the further ones are indented, so that none of them passes for another message.
pub fn message(text: &str) -> String {
    block(text).trim_end_matches('\n').replace('\n', "\n  ")
}

/// A text whose columns are pointed at: each such character becomes one visible one.
pub fn aligned(text: &str) -> Cow<'_, str> {
    escaped(text, |c| steers(c) && !matches!(c, '\n' | '\r' | '\t'), |out, _| out.push('\u{fffd}'))
}

/// JSON with the same values, in which such characters are escaped; they can only stand in strings.
pub fn json(text: &str) -> Cow<'_, str> {
    escaped(
        text,
        |c| steers(c) && !matches!(c, '\n' | '\r' | '\t'),
        |out, c| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        },
    )
}

fn rust(out: &mut String, c: char) {
    out.extend(c.escape_default());
}

fn escaped(text: &str, bad: impl Fn(char) -> bool, put: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(&bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if bad(c) {
            put(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_becomes_text() {
        assert_eq!(line("a\u{1b}[31m\r\nb\tc\u{9b}2J\u{202e}\u{2028}"), r"a\u{1b}[31m\r\nb\tc\u{9b}2J\u{202e}\u{2028}");
        assert_eq!(block("a\n\tb\u{7}\u{7f}"), "a\n\tb\\u{7}\\u{7f}");
        assert_eq!(message("cannot\ncheck: done\n"), "cannot\n  check: done");
        assert_eq!(aligned("x = '\u{200b}\u{1b}'\n"), "x = '\u{fffd}\u{fffd}'\n");
        assert_eq!(json("{\"a\":\"\u{9b}\u{e0041}\"}"), r#"{"a":"\u009b\udb40\udc41"}"#);
    }

    #[test]
    fn plain_text_is_not_copied() {
        for text in ["", "naïve café, 数据, µ ± 2 – “x” 🦀", "a\\b"] {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_steers_is_left(text in any::<String>()) {
            let unsafe_in = |text: &str, kept: &[char]| text.chars().any(|c| steers(c) && !kept.contains(&c));
            prop_assert!(!unsafe_in(&line(&text), &[]));
            prop_assert!(!unsafe_in(&message(&text), &['\n', '\t']));
            prop_assert_eq!(aligned(&text).chars().count(), text.chars().count());
        }

        #[test]
        fn json_keeps_its_values(text in any::<String>()) {
            let written = serde_json::to_string(&text).expect("a string");
            prop_assert_eq!(serde_json::from_str::<String>(&json(&written)).expect("still JSON"), text);
        }
    }
}
