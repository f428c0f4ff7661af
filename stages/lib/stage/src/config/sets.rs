//! Several settings in one text, as `--set` and Make's variable `SET` have them: `train.seeds=[0, 1] train.steps=50`.

/// A text as a TOML string, whatever characters it has: for options whose values are texts.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The words of a text as a list in TOML, split as a shell does: at white space outside of quotes.
pub fn words(text: &str) -> String {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for c in text.chars() {
        match quote {
            Some(mark) if c == mark => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    toml::Value::from(words).to_string()
}

/// Splits a text before every `section.key=` that stands after white space and outside of quotes and brackets. So values
/// are TOML with all its spaces, and a text that is one setting stays one.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let mut depth = 0_usize;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut after_space = false;
    for (at, c) in text.char_indices() {
        if let Some(mark) = quote {
            // In TOML only double quotes know escapes.
            let ends = c == mark && !escaped;
            escaped = mark == '"' && c == '\\' && !escaped;
            if ends {
                quote = None;
            }
        } else if after_space && depth == 0 && begins_setting(text.get(at..).unwrap_or_default()) {
            starts.push(at);
        } else {
            match c {
                '"' | '\'' => quote = Some(c),
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        after_space = c.is_whitespace();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let pieces = starts.iter().zip(ends).filter_map(|(&start, end)| text.get(start..end));
    pieces.map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

/// Whether a text begins with `section.key=`.
fn begins_setting(text: &str) -> bool {
    let Some((path, _)) = text.split_once('=') else { return false };
    let Some((section, key)) = path.trim_end().split_once('.') else { return false };
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    word(section) && key.split('.').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_spaces() {
        let of = split;
        assert_eq!(of("train.steps=50 network.hidden=64"), ["train.steps=50", "network.hidden=64"]);
        assert_eq!(of("train.seeds=[0, 1]"), ["train.seeds=[0, 1]"]);
        assert_eq!(of(" a.b = [1, 2]\n\tc.d='x e.f=1' "), ["a.b = [1, 2]", "c.d='x e.f=1'"]);
        assert_eq!(of(r#"a.b="say \" c.d=1" c.d={ x = "]", y.z = 1 } e.f=2"#).len(), 3);
        assert_eq!(
            of("propose.program=my own file.py train.steps=1"),
            ["propose.program=my own file.py", "train.steps=1"]
        );
        assert_eq!(of(" \n "), Vec::<&str>::new());
        assert_eq!(of("é train.steps=1"), ["é", "train.steps=1"]);
    }

    #[test]
    fn any_text_can_be_quoted() {
        for text in ["plain", "a\"b\\c'", "new\nline", "\u{1b}[31m\u{301}\u{7f}", "1", "true", "[x]", " a ", ""] {
            let flags = [("--program", "propose.program", quoted(text))];
            let config = super::super::Config::load(None, &[], &flags).expect("valid");
            assert_eq!(config.propose.program, text);
        }
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(
            words("--partition=a100  --comment='two words' -x\"a b\"c ''"),
            r#"["--partition=a100", "--comment=two words", "-xa bc", ""]"#
        );
        assert_eq!(words("  "), "[]");
    }

    #[test]
    fn what_is_not_closed_is_one_setting() {
        assert_eq!(split("train.seeds=[0, 1 train.steps=3"), ["train.seeds=[0, 1 train.steps=3"]);
        assert_eq!(split("train.device='cpu train.steps=3"), ["train.device='cpu train.steps=3"]);
        assert_eq!(split("a.b=] c.d=1"), ["a.b=]", "c.d=1"]);
    }
}
