//! How many snapshots a run leaves, as a function of the number of nodes.

use std::fmt;

use serde::{Serialize, Serializer};

/// Bounds of the number of records T of a run on N nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    /// No run leaves fewer.
    pub least: Option<Count>,
    /// No run leaves more; equal to `least` where all runs of one size leave as many.
    pub most: Option<Count>,
    /// Where they come from.
    pub why: String,
}

/// A polynomial in N of degree two with halves as coefficients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Twice the coefficients of 1, N and N².
    halves: [i64; 3],
}

impl Records {
    /// Reads `3N: reason`, `N to 2N: reason` or `N or more: reason`.
    pub(super) fn read(text: &str) -> Self {
        let (count, why) = text.split_once(": ").unwrap_or((text, ""));
        let (least, most) = match count.split_once(" to ") {
            Some((least, most)) => (Count::read(least), Count::read(most)),
            None => match count.strip_suffix(" or more") {
                Some(least) => (Count::read(least), None),
                None => (Count::read(count), Count::read(count)),
            },
        };
        Self { least, most, why: why.to_owned() }
    }

    /// The number itself, where all runs on so many nodes leave as many.
    pub fn exact(&self) -> Option<Count> {
        self.least.filter(|least| Some(*least) == self.most)
    }
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (Some(least), Some(most)) if least == most => write!(f, "T = {least}"),
            (Some(least), Some(most)) => write!(f, "T varies from {least} to {most}"),
            (Some(least), None) => write!(f, "T varies: {least} or more"),
            (None, _) => f.write_str("T varies"),
        }
    }
}

impl Count {
    /// At so many nodes.
    pub fn at(self, nodes: usize) -> i64 {
        // Saturates, as the sum below does.
        let n = i64::try_from(nodes).unwrap_or(i64::MAX);
        let [one, linear, square] = self.halves;
        one.saturating_add(linear.saturating_mul(n)).saturating_add(square.saturating_mul(n).saturating_mul(n)) / 2
    }

    /// Reads terms such as `N²/2 - 3N + 1`.
    fn read(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return None;
        }
        let mut count = Self::default();
        let mut sign = 1;
        for word in text.split_whitespace() {
            match word {
                "+" => sign = 1,
                "-" => sign = -1,
                term => {
                    let (whole, twice) = term.strip_suffix("/2").map_or((term, 2), |half| (half, 1));
                    let (factor, power) = match whole.split_once('N') {
                        None => (whole, 0),
                        Some((factor, "")) => (factor, 1),
                        Some((factor, "²")) => (factor, 2),
                        Some(_) => return None,
                    };
                    let factor: i64 = if factor.is_empty() && power > 0 { 1 } else { factor.parse().ok()? };
                    count.halves[power] += sign * factor * twice;
                }
            }
        }
        Some(count)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (power, name) in [(2, "N²"), (1, "N"), (0, "")] {
            let halves = self.halves[power];
            if halves == 0 {
                continue;
            }
            match (first, halves < 0) {
                (true, true) => f.write_str("-")?,
                (true, false) => {}
                (false, true) => f.write_str(" - ")?,
                (false, false) => f.write_str(" + ")?,
            }
            first = false;
            let size = halves.abs();
            let (factor, divisor) = if size % 2 == 0 { (size / 2, "") } else { (size, "/2") };
            if factor != 1 || power == 0 {
                write!(f, "{factor}")?;
            }
            write!(f, "{name}{divisor}")?;
        }
        if first { f.write_str("0") } else { Ok(()) }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_written_and_computed() {
        for (text, at_4) in [("3N", 12), ("N²/2 - N/2 + 1", 7), ("5", 5), ("N - 1", 3), ("N² + N + 1", 21)] {
            let count = Count::read(text).expect("a polynomial");
            assert_eq!((count.to_string().as_str(), count.at(4)), (text, at_4));
        }
        assert_eq!(Count::default().to_string(), "0");
        assert!(["", "M", "N³", "x + N", "N/3", "N²/4"].iter().all(|text| Count::read(text).is_none()));
    }

    #[test]
    fn records_have_bounds() {
        let exact = Records::read("3N: each node thrice");
        assert_eq!((exact.to_string().as_str(), exact.why.as_str()), ("T = 3N", "each node thrice"));
        assert_eq!(exact.exact().map(|count| count.at(16)), Some(48));
        assert_eq!(Records::read("N to 2N: x").to_string(), "T varies from N to 2N");
        assert_eq!(Records::read("N or more: x").to_string(), "T varies: N or more");
        assert_eq!(Records::read(""), Records::default());
    }
}
