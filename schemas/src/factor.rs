//! Factors: the parts of a program that can be edited one at a time, each by its name.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::{ColumnType, Kind};

/// The words that may stand as a second word in a name, for a pair of regions about one part of a program.
const HALVES: [&str; 2] = ["OPERATOR", "ACTION"];

/// What a name of a factor looks like, in words.
pub(crate) const NAMES: &str =
    "the name of a factor (letters, digits and _, up to 32 characters; OPERATOR or ACTION may follow as a second word)";

/// An editable part of a program, by its name in capitals: `OPERATOR` and `ACTION` (the paper's two), or any other that a
/// program marks, such as `READOUT`, or `MESSAGE OPERATOR` with `MESSAGE ACTION`.
///
/// The order of factors is OPERATOR, ACTION, then the others by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Factor {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

/// Why a text is not a name of a factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoFactor(String);

impl fmt::Display for NoFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {NAMES}", self.0)
    }
}

impl std::error::Error for NoFactor {}

impl Factor {
    /// Most characters of a name.
    pub const LONGEST: usize = 32;
    /// What exists: layers, projections, gates, parameters.
    pub const OPERATOR: Self = Self::literal("OPERATOR");
    /// How it is used: invoked, routed, masked, aggregated.
    pub const ACTION: Self = Self::literal("ACTION");
    /// The paper's two.
    pub const PAPER: [Self; 2] = [Self::OPERATOR, Self::ACTION];

    const fn literal(name: &str) -> Self {
        let from = name.as_bytes();
        let mut bytes = [0; Self::LONGEST];
        let mut at = 0;
        while at < from.len() && at < Self::LONGEST {
            bytes[at] = from[at];
            at += 1;
        }
        Self { bytes, length: at as u8 }
    }

    /// Reads a name: one word of ASCII letters, digits and `_`, and perhaps `OPERATOR` or `ACTION` as a second one; capitals
    /// and small letters mean the same.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let fine = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let name = words.join(" ").to_ascii_uppercase();
        let second = match words.as_slice() {
            [_] => true,
            [_, second] => HALVES.iter().any(|half| half.eq_ignore_ascii_case(second)),
            _ => false,
        };
        (second && words.iter().all(fine) && name.len() <= Self::LONGEST).then(|| Self::literal(&name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.length)).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }

    /// The other half of a pair: `ACTION` for `OPERATOR`, `MESSAGE OPERATOR` for `MESSAGE ACTION`; `None` for a factor that is
    /// a single region.
    pub fn other_half(&self) -> Option<Self> {
        let name = self.as_str();
        let [operator, action] = HALVES;
        let swapped = [(operator, action), (action, operator)].into_iter().find_map(|(from, to)| {
            let prefix = name.strip_suffix(from)?;
            (prefix.is_empty() || prefix.ends_with(' ')).then(|| format!("{prefix}{to}"))
        });
        swapped.and_then(|name| Self::parse(&name))
    }

    /// Whether it is a region of what exists: `OPERATOR`, or `OPERATOR` with a word before it.
    pub fn is_operator(&self) -> bool {
        self.other_half().is_some() && self.as_str().ends_with("OPERATOR")
    }

    /// Place in the order of factors, before the name.
    fn rank(self) -> usize {
        Self::PAPER.iter().position(|factor| *factor == self).unwrap_or(Self::PAPER.len())
    }
}

impl Ord for Factor {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.rank(), self.as_str()).cmp(&(other.rank(), other.as_str()))
    }
}

impl PartialOrd for Factor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Factor {
    type Err = NoFactor;
    fn from_str(text: &str) -> Result<Self, NoFactor> {
        Self::parse(text).ok_or_else(|| NoFactor(text.chars().take(2 * Self::LONGEST).collect()))
    }
}

impl PartialEq<str> for Factor {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Factor {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl serde::Serialize for Factor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Factor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Factor {
    fn schema_name() -> Cow<'static, str> {
        "Factor".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The name of an editable part of a program, in capitals: OPERATOR, ACTION, or any other that it marks.",
            "type": "string",
            "maxLength": Self::LONGEST,
            "pattern": "^[A-Z0-9_]+( OPERATOR| ACTION)?$",
            "examples": ["OPERATOR", "ACTION", "READOUT", "MESSAGE OPERATOR"]
        })
    }
}

impl ColumnType for Factor {
    const KIND: Kind = Kind::Factor;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_in_capitals() {
        for (text, name) in [
            ("OPERATOR", "OPERATOR"),
            ("action", "ACTION"),
            (" Read_Out2 ", "READ_OUT2"),
            ("message  operator", "MESSAGE OPERATOR"),
            (&"x".repeat(32), &"X".repeat(32)),
        ] {
            let factor: Factor = text.parse().unwrap();
            assert_eq!(factor.as_str(), name);
            assert_eq!(serde_json::to_string(&factor).unwrap(), format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Factor>(&format!("\"{text}\"")).unwrap(), factor);
        }
        for text in ["", " ", "READ-OUT", "A B", "A OPERATOR ACTION", "größe", &"x".repeat(33), "A\u{a0}OPERATORS"] {
            assert_eq!(Factor::parse(text), None, "{text}");
            assert!(text.parse::<Factor>().unwrap_err().to_string().contains("is not the name of a factor"));
        }
        assert_eq!(Factor::parse("operator"), Some(Factor::OPERATOR));
    }

    #[test]
    fn halves_and_order() {
        let named = |name: &str| Factor::parse(name).unwrap();
        assert_eq!(Factor::OPERATOR.other_half(), Some(Factor::ACTION));
        assert_eq!(named("MESSAGE ACTION").other_half(), Some(named("MESSAGE OPERATOR")));
        assert_eq!(named("REACTION").other_half(), None);
        assert!(
            named("GATE OPERATOR").is_operator()
                && !named("COOPERATOR").is_operator()
                && !named("READOUT").is_operator()
        );
        let mut all = [named("READOUT"), Factor::ACTION, named("AGGREGATION"), Factor::OPERATOR];
        all.sort_unstable();
        assert_eq!(all.map(|factor| factor.to_string()), ["OPERATOR", "ACTION", "AGGREGATION", "READOUT"]);
    }
}
