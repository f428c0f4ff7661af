//! The API key: read from the environment, shown to nobody but the server.

use std::fmt;

use crate::error::{CallError, Kind};

/// Shorter keys are the placeholders that local servers ask for (`none`, `ollama`); blanking those words out of replies
/// would damage programs.
const SHORTEST_REAL_KEY: usize = 8;

/// What stands where a key was.
const BLANK: &str = "***";

/// A key. Neither `Debug` nor `Display` shows it, and it cannot be serialised.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The key in the environment variable `name`; `None` if it is unset or blank, as local servers need none.
    pub fn from_env(name: &str) -> Option<Self> {
        std::env::var(name).ok().and_then(|value| Self::new(&value))
    }

    /// A key given directly; surrounding white space, which often comes with a pasted key, is dropped.
    pub fn new(value: &str) -> Option<Self> {
        let value = value.trim();
        (!value.is_empty()).then(|| Self(value.to_owned()))
    }

    /// The value of a header, marked so that HTTP libraries do not print it either.
    pub(crate) fn header(&self, scheme: &str) -> Result<reqwest::header::HeaderValue, CallError> {
        let mut value = reqwest::header::HeaderValue::from_str(&format!("{scheme}{}", self.0))
            .map_err(|_| CallError::new(Kind::Setup, "the API key has characters that an HTTP header cannot carry"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The key itself, for a request.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` without the key: for anything that a server may have echoed.
    pub fn scrub(&self, text: &str) -> String {
        if self.0.len() < SHORTEST_REAL_KEY {
            return text.to_owned();
        }
        let mut clean = text.replace(&self.0, BLANK);
        // A text that was broken off may end within the key.
        let starts = self.0.char_indices().map(|(at, _)| at).rev().filter(|at| *at >= SHORTEST_REAL_KEY);
        if let Some(rest) = starts.filter_map(|at| clean.strip_suffix(self.0.get(..at)?)).map(str::len).next() {
            clean.truncate(rest);
            clean.push_str(BLANK);
        }
        clean
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({BLANK})")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(BLANK)
    }
}

/// All the secrets that a server may echo. What it sends is masked before anything is cut from it, kept or shown.
#[derive(Clone, Debug, Default)]
pub struct Mask(Vec<Secret>);

impl Mask {
    /// A mask of these secrets.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut secrets: Vec<Secret> = secrets.into_iter().collect();
        // One may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.0.len()));
        Self(secrets)
    }

    /// `text` without the secrets, and without the beginning of one that the text breaks off in.
    pub fn scrub(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| secret.scrub(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shown() {
        let key = Secret::new(" sk-very-secret-42\n").unwrap();
        assert_eq!(format!("{key:?} {key}"), "Secret(***) ***");
        assert_eq!(format!("{:?}", Some(&key)), "Some(Secret(***))");
        assert!(!format!("{:?}", key.header("Bearer ").unwrap()).contains("very-secret"));
        assert_eq!(key.scrub("no such key: sk-very-secret-42!"), "no such key: ***!");
    }

    #[test]
    fn placeholders_damage_no_text() {
        assert_eq!(Secret::new("none").unwrap().scrub("return none"), "return none");
    }

    #[test]
    fn a_text_that_breaks_off_within_the_key_keeps_nothing_of_it() {
        let key = Secret::new("sk-very-secret-42").unwrap();
        assert_eq!(key.scrub("half of it: sk-very-secre"), "half of it: ***");
        assert_eq!(key.scrub("sk- is how keys begin: sk-"), "sk- is how keys begin: sk-");
        let mask = Mask::new([key, Secret::new("sk-very-secret-42-and-more").unwrap()]);
        assert_eq!(mask.scrub("sk-very-secret-42-and-more, sk-very-secret-42"), "***, ***");
    }

    #[test]
    fn blank_is_no_key_and_line_breaks_are_refused() {
        assert!(Secret::new(" \n").is_none());
        let error = Secret::new("sk-secret\nsecond-line").unwrap().header("").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
