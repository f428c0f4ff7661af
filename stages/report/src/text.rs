//! Numbers and labels as a reader sees them.

use schemas::Candidate;

use crate::analysis::factor_name;
use crate::draw::{Tip, shorten};
use crate::run::{Run, short_id};

/// An accuracy in per cent, as the literature gives it: `83.74`.
pub fn percent(value: f64) -> String {
    format!("{:.2}", value * 100.0)
}

/// A difference of accuracies in percentage points, with its sign: `+3.10`.
pub fn points(value: f64) -> String {
    let text = format!("{:+.2}", value * 100.0);
    if text == "-0.00" { "+0.00".into() } else { text.replace('-', "−") }
}

/// A mean with its spread and the number of seeds: `83.74 ± 0.52 (n = 3)`; without a spread for a single seed.
pub fn score(mean: Option<f64>, std: Option<f64>, seeds: usize) -> String {
    let Some(mean) = mean else { return "–".into() };
    let spread = spread(std, seeds);
    format!("{}{}{spread}", percent(mean), if spread.is_empty() { "" } else { " " })
}

/// The spread of a mean over so many seeds, 0 where their number is unknown.
pub fn spread(std: Option<f64>, seeds: usize) -> String {
    match (std.filter(|_| seeds != 1), seeds) {
        (Some(std), 0) => format!("± {}", percent(std)),
        (Some(std), n) => format!("± {} (n = {n})", percent(std)),
        (None, 0) => String::new(),
        (None, n) => format!("(n = {n})"),
    }
}

/// Score on the out-of-distribution validation split.
pub fn ood(row: &Candidate) -> String {
    score(row.ood_acc, row.ood_acc_std, row.ood_acc_seeds.as_ref().map_or(0, Vec::len))
}

/// Score on the test split.
pub fn test(row: &Candidate) -> String {
    score(row.test_acc, row.test_acc_std, row.test_acc_seeds.as_ref().map_or(0, Vec::len))
}

/// A whole number with thin spaces: `1 234 567`.
pub fn whole(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    if value < 0 { format!("−{out}") } else { out }
}

pub fn whole_or_dash(value: Option<i64>) -> String {
    value.map_or_else(|| "–".into(), whole)
}

/// `3 proposals`, `1 proposal`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", whole(n as i64), if n == 1 { "" } else { "s" })
}

/// What the edit was: its label, else its directive, else nothing.
pub fn edit(row: &Candidate) -> &str {
    row.edit.as_deref().or(row.directive.as_deref()).unwrap_or_default()
}

/// One line about a candidate, for the tip of its mark.
pub fn tip(run: &Run, row: &Candidate) -> Tip {
    let seed = run.seed_program().is_some_and(|seed| std::ptr::eq(seed, row));
    let what = if seed {
        "seed program".into()
    } else {
        let label = shorten(edit(row), 60);
        let colon = if label.is_empty() { "" } else { ": " };
        format!("attempt {}, {}{colon}{label}", row.attempt, factor_name(row))
    };
    let result = if row.ood_acc.is_some() { format!("{} %", ood(row)) } else { row.status.to_string() };
    let text = format!("{} · {what} · {result}", short_id(&row.candidate_id));
    Tip { text, candidate: Some(run.key(row)) }
}

/// A part of a file name: lower case letters, digits, hyphens.
pub fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() { "run".into() } else { out.chars().take(60).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_name_their_spread_and_seeds() {
        assert_eq!(score(Some(0.8374), Some(0.0052), 3), "83.74 ± 0.52 (n = 3)");
        assert_eq!(score(Some(0.5), Some(0.0), 1), "50.00 (n = 1)");
        assert_eq!(score(Some(0.5), None, 0), "50.00");
        assert_eq!(score(None, None, 0), "–");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(whole(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(whole(-12), "−12");
        assert_eq!(points(0.031), "+3.10");
        assert_eq!(points(-0.0000001), "+0.00");
        assert_eq!(count(1, "proposal"), "1 proposal");
    }

    #[test]
    fn file_names_hold_nothing_surprising() {
        assert_eq!(slug("../../etc/Passwd <x>"), "etc-passwd-x");
        assert_eq!(slug("///"), "run");
    }
}
