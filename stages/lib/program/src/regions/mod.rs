//! The editable regions of a program: where they begin and end. This is the only reader of their markers.
//!
//! A marker is a comment that stands alone on its line, in capitals or small letters. A program marks as many factors as it
//! likes, each by a name of its own:
//!
//! ```text
//! # ===== BEGIN READOUT REGION =====           # ===== END READOUT REGION =====
//! # ===== BEGIN MESSAGE OPERATOR REGION =====  # ===== END MESSAGE OPERATOR REGION =====
//! # ===== BEGIN MESSAGE ACTION REGION =====    # ===== END MESSAGE ACTION REGION =====
//! ```
//!
//! A rule of `=`, `-`, `#` or `*` stands before or behind the words; a name is as [`Factor::parse`] has it. Of a pair
//! (OPERATOR and ACTION, by themselves or behind one and the same word) a program has both or none.
//!
//! The paper's two need no rule, and are read in the spelling of the reference implementation's published programs too:
//!
//! ```text
//! # ===== BEGIN OPERATOR REGION =====      # ===== END OPERATOR REGION =====
//! # ===== BEGIN ACTION REGION =====        # ===== END ACTION REGION =====
//! # === EVOLVE TRIPLET PROJECTIONS START   # === EVOLVE TRIPLET PROJECTIONS END
//! # EVOLVE-BLOCK-START: TRI_MSGS           # EVOLVE-BLOCK-END: TRI_MSGS
//! ```
//!
//! `EVOLVE TRIPLET PROJECTIONS` (or `TRIPLET_PROJECTIONS`) is the operator region, `EVOLVE TRI_MSGS` the action region.

mod marker;
mod passage;

use graph::Span;
use schemas::Factor;

pub use marker::Marker;
pub use passage::Passage;

use crate::diagnostic::Diagnostic;
use crate::rules::Rule;

/// The lines of one region, markers included; lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The line of the marker that begins it.
    pub begin: u32,
    /// The line of the marker that ends it.
    pub end: u32,
}

impl Region {
    /// Whether a line lies between the markers.
    pub fn contains(&self, line: u32) -> bool {
        self.begin < line && line < self.end
    }
}

/// Where the regions of a program are: at least one, each with its markers in order, no two of which overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regions(Vec<(Factor, Region)>);

impl Regions {
    /// The region of a factor, if the program marks it.
    pub fn get(&self, factor: Factor) -> Option<Region> {
        self.iter().find(|(known, _)| *known == factor).map(|(_, region)| region)
    }

    /// The factors that the program marks, in the order of factors.
    pub fn factors(&self) -> impl Iterator<Item = Factor> + '_ {
        self.iter().map(|(factor, _)| factor)
    }

    /// Factors with their regions, in the order of factors.
    pub fn iter(&self) -> impl Iterator<Item = (Factor, Region)> + '_ {
        self.0.iter().copied()
    }

    /// The factor and the region that a line lies in; `None` where the program is frozen.
    pub fn at(&self, line: u32) -> Option<(Factor, Region)> {
        self.iter().find(|(_, region)| region.contains(line))
    }

    /// The factor whose region a line lies in; `None` where the program is frozen.
    pub fn factor_at(&self, line: u32) -> Option<Factor> {
        self.at(line).map(|(factor, _)| factor)
    }
}

/// The factors that a program marks, in the order of factors; none where its markers are wrong.
pub fn factors(source: &str) -> Vec<Factor> {
    find(source).map(|regions| regions.factors().collect()).unwrap_or_default()
}

/// Names of factors as a sentence has them: `OPERATOR, ACTION and READOUT`.
pub fn names(factors: &[Factor]) -> String {
    match factors {
        [] => "none".to_owned(),
        [one] => one.to_string(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(Factor::as_str).collect();
            format!("{} and {last}", most.join(", "))
        }
    }
}

/// Which marker a line is, if it is one.
pub fn marker(line: &str) -> Option<Marker> {
    marker::read(line)
}

/// All markers of a program, with their lines.
fn markers(source: &str) -> impl Iterator<Item = (u32, Marker)> + '_ {
    (1_u32..).zip(source.lines()).filter_map(|(line, text)| Some((line, marker::read(text)?)))
}

/// The region of one factor, whatever is wrong with the others.
fn one(source: &str, factor: Factor) -> Option<Region> {
    let (mut begin, mut end) = (None, None);
    for (line, marker) in markers(source) {
        match marker {
            Marker::Begin(found) if found == factor && begin.is_none() => begin = Some(line),
            Marker::End(found) if found == factor && begin.is_some() && end.is_none() => end = Some(line),
            Marker::Begin(found) | Marker::End(found) if found == factor => return None,
            // another region begins or ends within this one
            _ if begin.is_some() && end.is_none() => return None,
            _ => {}
        }
    }
    Some(Region { begin: begin?, end: end? })
}

fn line_span(lines: &[&str], line: u32) -> Span {
    let text = lines.get(line as usize - 1).copied().unwrap_or("");
    let indent = text.chars().take_while(|c| c.is_whitespace()).count();
    // a program of such long lines is refused before it is read; here the mark just ends where columns do
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { line, column: count(indent + 1), end_line: line, end_column: count(text.trim_end().chars().count() + 1) }
}

/// The lines of the markers of one factor, as far as there are any.
struct Found {
    factor: Factor,
    begin: Option<u32>,
    end: Option<u32>,
}

/// Finds the regions of a program, or all that is wrong with its markers.
pub fn find(source: &str) -> Result<Regions, Vec<Diagnostic>> {
    let lines: Vec<&str> = source.lines().collect();
    let mut faults = Vec::new();
    let fault = |line: u32, rule, message: String| {
        let span = if line == 0 { Span::default() } else { line_span(&lines, line) };
        Diagnostic::new(rule, span, message)
    };
    let mut found: Vec<Found> = Vec::new();
    for (line, marker) in markers(source) {
        let (factor, begins) = match marker {
            Marker::Begin(factor) => (factor, true),
            Marker::End(factor) => (factor, false),
            Marker::Nameless(name) => {
                let text = format!("'{name}' is no name of a region");
                let help = "a name is one word of letters, digits and '_', up to 32 characters; OPERATOR or ACTION may follow it";
                faults.push(fault(line, Rule::RegionName, text).help(help));
                continue;
            }
        };
        let place = found.iter().position(|of| of.factor == factor).unwrap_or_else(|| {
            found.push(Found { factor, begin: None, end: None });
            found.len() - 1
        });
        let Some(of) = found.get_mut(place) else { continue };
        let slot = if begins { &mut of.begin } else { &mut of.end };
        if let Some(first) = slot {
            let text = format!("this {factor} marker occurs twice; the first is in line {first}");
            faults.push(fault(line, Rule::RegionTwice, text));
        } else {
            *slot = Some(line);
        }
    }
    // a program that marks nothing is told of the two regions that are usual, one that has half of a pair of the other half
    let halves: Vec<Factor> = if found.is_empty() && faults.is_empty() {
        Factor::PAPER.to_vec()
    } else {
        found.iter().filter_map(|of| of.factor.other_half()).collect()
    };
    for factor in halves {
        if !found.iter().any(|of| of.factor == factor) {
            found.push(Found { factor, begin: None, end: None });
        }
    }
    found.sort_by_key(|of| of.factor);
    let mut regions = Vec::new();
    for Found { factor: name, begin, end } in found {
        match (begin, end) {
            (Some(begin), Some(end)) if begin < end => regions.push((name, Region { begin, end })),
            (Some(_), Some(end)) => {
                faults.push(fault(end, Rule::RegionOrder, format!("the {name} region ends before it begins")));
            }
            (Some(begin), None) => {
                faults.push(
                    fault(begin, Rule::RegionOpen, format!("the {name} region is opened but never closed"))
                        .help(format!("add '# ===== END {name} REGION =====' behind it")),
                );
            }
            (None, Some(end)) => {
                faults.push(fault(end, Rule::RegionOpen, format!("the {name} region is closed but never opened")));
            }
            (None, None) => {
                faults.push(fault(0, Rule::RegionMissing, format!("the program has no {name} region")).help(format!(
                    "put '# ===== BEGIN {name} REGION =====' and '# ===== END {name} REGION =====' around it"
                )));
            }
        }
    }
    let mut by_line = regions.clone();
    by_line.sort_by_key(|(_, region)| region.begin);
    let mut open: Option<(Factor, Region)> = None;
    for (factor, region) in by_line {
        if let Some((outer, around)) = open
            && region.begin < around.end
        {
            faults.push(fault(region.begin, Rule::RegionNested, format!("the {outer} and {factor} regions overlap")));
        }
        if open.is_none_or(|(_, around)| around.end < region.end) {
            open = Some((factor, region));
        }
    }
    if faults.is_empty() { Ok(Regions(regions)) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(marks: &[&str]) -> String {
        marks.iter().map(|mark| format!("  # ===== {mark} REGION =====\n  x = 1\n")).collect()
    }

    fn faults(marks: &[&str]) -> Vec<(&'static str, u32)> {
        find(&program(marks)).unwrap_err().into_iter().map(|d| (d.code(), d.line)).collect()
    }

    #[test]
    fn any_number_of_factors() {
        let found = find(&program(&[
            "BEGIN READOUT",
            "END READOUT",
            "BEGIN ACTION",
            "END ACTION",
            "BEGIN Message Action",
            "END MESSAGE ACTION",
            "BEGIN OPERATOR",
            "END OPERATOR",
            "BEGIN MESSAGE OPERATOR",
            "END MESSAGE OPERATOR",
        ]))
        .unwrap();
        let names: Vec<String> = found.factors().map(|factor| factor.to_string()).collect();
        assert_eq!(names, ["OPERATOR", "ACTION", "MESSAGE ACTION", "MESSAGE OPERATOR", "READOUT"]);
        assert_eq!(found.get(Factor::ACTION), Some(Region { begin: 5, end: 7 }));
        assert_eq!((found.factor_at(2), found.factor_at(4)), (Factor::parse("readout"), None));
        assert_eq!(found.get(Factor::parse("GATE").unwrap()), None);
        assert!(find(&program(&["BEGIN READOUT", "END READOUT"])).is_ok(), "a single region is enough");
    }

    #[test]
    fn every_name_has_the_same_diagnostics() {
        for name in ["READOUT", "MESSAGE ACTION"] {
            let (begin, end) = (format!("BEGIN {name}"), format!("END {name}"));
            let (begin, end) = (begin.as_str(), end.as_str());
            let pair = match name {
                "READOUT" => ["BEGIN STEP", "END STEP"],
                _ => ["BEGIN MESSAGE OPERATOR", "END MESSAGE OPERATOR"],
            };
            let with = |marks: &[&str]| faults(&[&pair, marks].concat());
            assert_eq!(with(&[begin]), [("E-REGION-OPEN", 5)]);
            assert_eq!(with(&[end]), [("E-REGION-OPEN", 5)]);
            assert_eq!(with(&[end, begin]), [("E-REGION-ORDER", 5)]);
            assert_eq!(with(&[begin, begin, end]), [("E-REGION-TWICE", 7)]);
            assert_eq!(with(&[begin, "BEGIN GATE", "END GATE", end]), [("E-REGION-NESTED", 7)]);
            assert_eq!(with(&[begin, "BEGIN GATE", end, "END GATE"]), [("E-REGION-NESTED", 7)]);
        }
        assert_eq!(
            faults(&["BEGIN READ-OUT", "END READ-OUT"]),
            [("E-REGION-NAME", 1), ("E-REGION-NAME", 3)][..].to_vec()
        );
    }

    #[test]
    fn pairs_are_whole() {
        assert_eq!(faults(&["BEGIN GATE OPERATOR", "END GATE OPERATOR"]), [("E-REGION-MISSING", 1)]);
        assert_eq!(faults(&["BEGIN ACTION", "END ACTION", "BEGIN READOUT", "END READOUT"]), [("E-REGION-MISSING", 1)]);
        assert_eq!(faults(&[]), [("E-REGION-MISSING", 1), ("E-REGION-MISSING", 1)]);
    }
}
