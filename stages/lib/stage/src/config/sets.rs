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

/// Whether a text begins with `section.key=`, or with the name of something within a setting: `llm.prices.m.input=`.
fn begins_setting(text: &str) -> bool {
    let word = |text: &String| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    key(text).is_some_and(|(names, _)| names.len() >= 2 && names.iter().take(2).all(word))
}

/// The names of a dotted key and the text behind its `=`. As in TOML, names are letters, digits, `_` and `-`, or stand in
/// quotation marks: `llm.prices."a/b:1".input=2`.
pub(super) fn key(text: &str) -> Option<(Vec<String>, &str)> {
    let end = key_end(text)?;
    let (name, rest) = (text.get(..end)?, text.get(end..)?);
    let value = rest.trim_start().strip_prefix('=')?;
    let mut table: toml::Table = toml::from_str(&format!("{} = 0", name.trim())).ok()?;
    let mut names = Vec::new();
    loop {
        let (name, within) = table.into_iter().next()?;
        names.push(name);
        match within {
            toml::Value::Table(deeper) => table = deeper,
            _ => return Some((names, value)),
        }
    }
}

/// Where the names of a dotted key end.
fn key_end(text: &str) -> Option<usize> {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some(mark) => {
                let ends = c == mark && !escaped;
                escaped = mark == '"' && c == '\\' && !escaped;
                quote = quote.filter(|_| !ends);
            }
            None => match c {
                '"' | '\'' => quote = Some(c),
                '=' => return Some(at),
                c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '\t') => {}
                _ => return None,
            },
        }
    }
    None
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
    fn names_within_a_setting_are_told_from_values() {
        let sets = r#"llm.prices."a/b:1".input=1 llm.prices.m.output=2 llm.extra.top-k=3 llm.jobs=1"#;
        assert_eq!(
            split(sets),
            [r#"llm.prices."a/b:1".input=1"#, "llm.prices.m.output=2", "llm.extra.top-k=3", "llm.jobs=1"]
        );
        assert_eq!(
            key(r#"llm.prices."a = \"b\"".input = 1"#).expect("a key").0,
            ["llm", "prices", "a = \"b\"", "input"]
        );
        assert_eq!(
            key("llm.extra . x = y = z").expect("a key"),
            (vec!["llm".into(), "extra".into(), "x".into()], " y = z")
        );
        for none in ["", "=", "a.b", "a..b=1", "a/b.c=1", "\"a=1", "llm.prices.qwen3:32b.input=1", "a b=1"] {
            assert_eq!(key(none), None, "{none}");
        }
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
