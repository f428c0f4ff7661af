//! The text of one region, and what to put in its place.

use std::ops::Range;

use schemas::Factor;

use super::Region;

/// The lines between the markers of one region, by their place in the source. A splice leaves every byte outside of them as it
/// was: locality by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage<'a> {
    source: &'a str,
    start: usize,
    end: usize,
    /// The indentation of the marker, which is that of the code around it.
    pub indent: &'a str,
}

impl<'a> Passage<'a> {
    /// The region of a factor; `None` unless the program has exactly one pair of markers for it, in order, with no other
    /// marker in between. What is wrong with other regions does not matter here: a fragment of a program may have one alone.
    #[must_use]
    pub fn find(source: &'a str, factor: Factor) -> Option<Self> {
        Some(Self::of(source, super::one(source, factor)?))
    }

    /// The text of a region that was found in this source.
    #[must_use]
    pub fn of(source: &'a str, region: Region) -> Self {
        let before = |line: u32| source.split_inclusive('\n').take(line as usize).map(str::len).sum();
        let (start, end) = (before(region.begin), before(region.end.saturating_sub(1)));
        let marker = source.lines().nth(region.begin.saturating_sub(1) as usize).unwrap_or_default();
        let indent = marker.get(..marker.len() - marker.trim_start().len()).unwrap_or_default();
        Self { source, start, end, indent }
    }

    /// The bytes between the markers.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The lines between the markers.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.source.get(self.start..self.end).unwrap_or_default()
    }

    /// The whole program with `body` in place of the region's lines. A missing last newline is added.
    #[must_use]
    pub fn splice(&self, body: &str) -> String {
        let before = self.source.get(..self.start).unwrap_or_default();
        let after = self.source.get(self.end..).unwrap_or_default();
        let newline = if body.is_empty() || body.ends_with('\n') { "" } else { "\n" };
        format!("{before}{body}{newline}{after}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = include_str!("../../../../../data/seed_pgn.py");

    #[test]
    fn a_splice_keeps_every_byte_outside() {
        let windows = SEED.replace('\n', "\r\n");
        let named = SEED.replace(" ACTION REGION", " READOUT REGION");
        let readout = Factor::parse("READOUT").unwrap();
        for (source, factors) in
            [(SEED, Factor::PAPER), (&windows, Factor::PAPER), (&named, [Factor::OPERATOR, readout])]
        {
            for factor in factors {
                let region = Passage::find(source, factor).unwrap();
                assert_eq!(region.splice(region.text()), source);
                let spliced = region.splice("        pass");
                let new = Passage::find(&spliced, factor).unwrap();
                assert_eq!(new.text(), "        pass\n");
                assert_eq!(new.splice(region.text()), source);
                assert_eq!(new.indent, "        ");
            }
        }
    }

    #[test]
    fn one_region_alone_is_found() {
        let fragment = "# BEGIN EVOLVE TRI_MSGS\nx = 1\n# END EVOLVE TRI_MSGS\n";
        assert_eq!(Passage::find(fragment, Factor::ACTION).map(|r| r.text()), Some("x = 1\n"));
        assert_eq!(Passage::find(fragment, Factor::OPERATOR), None);
    }

    #[test]
    fn crooked_markers_are_no_region() {
        let begin = "# ===== BEGIN ACTION REGION =====\n";
        let end = "# ===== END ACTION REGION =====\n";
        let other = "# ===== BEGIN READOUT REGION =====\n";
        for text in [
            begin.to_owned(),
            format!("{end}{begin}"),
            format!("{begin}{begin}{end}"),
            format!("{begin}{end}{end}"),
            format!("{begin}{other}{end}"),
        ] {
            assert_eq!(Passage::find(&text, Factor::ACTION), None, "{text}");
        }
    }
}
