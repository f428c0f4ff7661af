//! The two editable regions of a program, by byte range, and what to put in their place.
//!
//! A splice leaves every byte outside the region as it was: locality by construction.

use schemas::Factor;

/// The markers of each factor: ours, then the spelling of the reference implementation's published programs.
const MARKERS: [(Factor, [&str; 2]); 2] = [
    (Factor::Operator, ["OPERATOR REGION", "EVOLVE TRIPLET PROJECTIONS"]),
    (Factor::Action, ["ACTION REGION", "EVOLVE TRI_MSGS"]),
];

/// One region: the lines between its markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region<'a> {
    source: &'a str,
    start: usize,
    end: usize,
    /// The indentation of the marker, which is that of the code around it.
    pub indent: &'a str,
}

impl<'a> Region<'a> {
    /// The region of a factor; `None` unless the program has exactly one pair of markers for it, in order.
    #[must_use]
    pub fn find(source: &'a str, factor: Factor) -> Option<Self> {
        let (_, names) = MARKERS.into_iter().find(|(of, _)| *of == factor)?;
        let mut begin = None;
        let mut end = None;
        let mut offset = 0;
        for line in source.split_inclusive('\n') {
            match marker(line, &names) {
                Some(true) if begin.is_none() => begin = Some((offset + line.len(), indentation(line))),
                Some(false) if begin.is_some() && end.is_none() => end = Some(offset),
                Some(_) => return None,
                None => {}
            }
            offset += line.len();
        }
        let ((start, indent), end) = (begin?, end?);
        Some(Self { source, start, end, indent })
    }

    /// The bytes between the markers.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<usize> {
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

/// `true` for a BEGIN marker of one of these names, `false` for an END marker.
fn marker(line: &str, names: &[&str]) -> Option<bool> {
    let comment = line.trim().strip_prefix('#')?.trim_matches([' ', '=', '-', '#']);
    let (word, name) = comment.split_once(' ')?;
    if !names.contains(&name.trim()) {
        return None;
    }
    match word {
        "BEGIN" | "START" => Some(true),
        "END" => Some(false),
        _ => None,
    }
}

fn indentation(line: &str) -> &str {
    line.get(..line.len() - line.trim_start().len()).unwrap_or_default()
}

/// The same text without the spaces at the ends of lines: how two region bodies are compared.
#[must_use]
pub fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SEED_PROGRAM;

    #[test]
    fn splice_keeps_frozen_bytes() {
        for factor in [Factor::Operator, Factor::Action] {
            let region = Region::find(SEED_PROGRAM, factor).expect("the seed has both regions");
            assert_eq!(region.splice(region.text()), SEED_PROGRAM);
            let spliced = region.splice("        pass");
            let new = Region::find(&spliced, factor).expect("the markers stay");
            assert_eq!(new.text(), "        pass\n");
            assert_eq!(new.splice(region.text()), SEED_PROGRAM);
            assert_eq!(new.indent, "        ");
        }
    }

    #[test]
    fn both_spellings_are_read() {
        let reference = "# BEGIN EVOLVE TRI_MSGS\nx = 1\n# END EVOLVE TRI_MSGS\n";
        assert_eq!(Region::find(reference, Factor::Action).map(|r| r.text()), Some("x = 1\n"));
        assert_eq!(Region::find(reference, Factor::Operator), None);
    }

    #[test]
    fn crooked_markers_are_no_region() {
        let begin = "# ===== BEGIN ACTION REGION =====\n";
        let end = "# ===== END ACTION REGION =====\n";
        for text in
            [begin.to_owned(), format!("{end}{begin}"), format!("{begin}{begin}{end}"), format!("{begin}{end}{end}")]
        {
            assert_eq!(Region::find(&text, Factor::Action), None, "{text}");
        }
    }
}
