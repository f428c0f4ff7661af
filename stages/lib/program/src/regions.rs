//! The two editable regions of a program: where they begin and end.
//!
//! A marker is a comment that stands alone on its line. Both spellings are read, in any case, with any run of `=`, `-`,
//! `#` or `*` around the words:
//!
//! ```text
//! # ===== BEGIN OPERATOR REGION =====      # ===== END OPERATOR REGION =====
//! # ===== BEGIN ACTION REGION =====        # ===== END ACTION REGION =====
//! # === EVOLVE TRIPLET PROJECTIONS START   # === EVOLVE TRIPLET PROJECTIONS END
//! # EVOLVE-BLOCK-START: TRI_MSGS           # EVOLVE-BLOCK-END: TRI_MSGS
//! ```
//!
//! `EVOLVE TRIPLET PROJECTIONS` (or `TRIPLET_PROJECTIONS`) is the operator region, `EVOLVE TRI_MSGS` the action region.

use graph::Span;

use crate::diagnostic::{Category, Diagnostic};

/// One of the two editable parts of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// What exists: layers, projections, gates, parameters of the triplet channel.
    Operator,
    /// How it is applied: invoked, routed, masked, aggregated.
    Action,
}

impl Factor {
    pub const ALL: [Self; 2] = [Self::Operator, Self::Action];

    /// `OPERATOR` or `ACTION`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "OPERATOR",
            Self::Action => "ACTION",
        }
    }

    /// From `OPERATOR` or `ACTION`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.as_str() == text)
    }
}

/// The lines of one region, markers included; lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub begin: u32,
    pub end: u32,
}

impl Region {
    /// Whether a line lies between the markers.
    pub fn contains(&self, line: u32) -> bool {
        self.begin < line && line < self.end
    }
}

/// Where the regions of a program are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regions {
    pub operator: Region,
    pub action: Region,
}

impl Regions {
    pub fn get(&self, factor: Factor) -> Region {
        match factor {
            Factor::Operator => self.operator,
            Factor::Action => self.action,
        }
    }

    /// The region that a line lies in; `None` where the program is frozen.
    pub fn factor_at(&self, line: u32) -> Option<Factor> {
        Factor::ALL.into_iter().find(|f| self.get(*f).contains(line))
    }
}

/// Which marker a line is, if it is one.
fn marker(line: &str) -> Option<(Factor, bool)> {
    let text = line.trim().strip_prefix('#')?;
    let upper = text.to_uppercase();
    let words: Vec<&str> = upper.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let has = |word: &str| words.contains(&word);
    let begin = has("BEGIN") || has("START");
    let end = has("END") || has("STOP");
    if begin == end {
        return None;
    }
    let evolve = has("EVOLVE");
    let factor = if (has("OPERATOR") && has("REGION")) || (evolve && has("PROJECTIONS")) || (evolve && has("OPERATOR"))
    {
        Factor::Operator
    } else if (has("ACTION") && has("REGION")) || (evolve && has("TRI") && has("MSGS")) || (evolve && has("ACTION")) {
        Factor::Action
    } else {
        return None;
    };
    // prose that happens to use the words is no marker
    (words.len() <= 8).then_some((factor, begin))
}

fn line_span(lines: &[&str], line: u32) -> Span {
    let text = lines.get(line as usize - 1).copied().unwrap_or("");
    let indent = text.chars().take_while(|c| c.is_whitespace()).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { line, column: count(indent + 1), end_line: line, end_column: count(text.trim_end().chars().count() + 1) }
}

/// Finds the regions of a program, or all that is wrong with its markers.
pub fn find(source: &str) -> Result<Regions, Vec<Diagnostic>> {
    let lines: Vec<&str> = source.lines().collect();
    let mut faults = Vec::new();
    let mut found: [[Option<u32>; 2]; 2] = [[None; 2]; 2];
    let fault = |line: u32, code, message: String| {
        let span = if line == 0 { Span::default() } else { line_span(&lines, line) };
        Diagnostic::error(Category::Region, code, span, message)
    };
    for (line, text) in (1_u32..).zip(&lines) {
        let Some((factor, begin)) = marker(text) else { continue };
        let Some(slot) = found.get_mut(factor as usize).and_then(|f| f.get_mut(usize::from(!begin))) else { continue };
        if let Some(first) = slot {
            let name = factor.as_str();
            faults.push(fault(
                line,
                "E-REGION-TWICE",
                format!("this {name} marker occurs twice; the first is in line {first}"),
            ));
        } else {
            *slot = Some(line);
        }
    }
    let mut regions = Vec::new();
    for factor in Factor::ALL {
        let name = factor.as_str();
        let [begin, end] = found.get(factor as usize).copied().unwrap_or_default();
        match (begin, end) {
            (Some(begin), Some(end)) if begin < end => regions.push(Region { begin, end }),
            (Some(_), Some(end)) => {
                faults.push(fault(end, "E-REGION-ORDER", format!("the {name} region ends before it begins")));
            }
            (Some(begin), None) => {
                faults.push(
                    fault(begin, "E-REGION-OPEN", format!("the {name} region is opened but never closed"))
                        .help(format!("add '# ===== END {name} REGION =====' behind it")),
                );
            }
            (None, Some(end)) => {
                faults.push(fault(end, "E-REGION-OPEN", format!("the {name} region is closed but never opened")));
            }
            (None, None) => {
                faults.push(fault(0, "E-REGION-MISSING", format!("the program has no {name} region")).help(format!(
                    "put '# ===== BEGIN {name} REGION =====' and '# ===== END {name} REGION =====' around it"
                )));
            }
        }
    }
    if let [operator, action] = regions.as_slice() {
        if operator.begin < action.end && action.begin < operator.end {
            let inner = operator.begin.max(action.begin);
            faults.push(fault(inner, "E-REGION-NESTED", "the two regions overlap".to_string()));
        }
        if faults.is_empty() {
            return Ok(Regions { operator: *operator, action: *action });
        }
    }
    Err(faults)
}
