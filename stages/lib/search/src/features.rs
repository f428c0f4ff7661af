//! Cells of the archive: what makes two good programs different (MAP-Elites; Mouret and Clune, arXiv:1504.04909).
//!
//! The edges of the cells are fixed, not stretched to what has been seen so far, so that a candidate never changes its
//! cell and a best of a cell is only ever replaced by a better one.

use std::collections::BTreeMap;

use schemas::Candidate;
use serde::{Deserialize, Serialize};

use crate::population::fitness;

/// A property that cells are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feature {
    /// Fitness, in `bins` equal parts of [0, 1].
    Fitness,
    /// Trainable parameters: one bin for each factor of 2^(1/2).
    Params,
    /// Multiply-accumulates of one step: one bin for each factor of 2^(1/2).
    Macs,
    /// Distance of the code from the seed program, in `bins` equal parts of [0, 1]: see [`code_distance`].
    Distance,
}

impl Feature {
    /// All features, by their names in settings and cells.
    pub const ALL: [(&'static str, Self); 4] =
        [("fitness", Self::Fitness), ("params", Self::Params), ("macs", Self::Macs), ("distance", Self::Distance)];

    /// The feature of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, feature)| feature)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, feature)| *feature == self).map_or("", |(name, _)| name)
    }

    /// The bin of a row; `None` where the row lacks the column.
    fn bin(self, row: &Candidate, seed_source: &str, bins: usize) -> Option<i64> {
        let part = |share: f64| ((share.clamp(0.0, 1.0) * bins as f64) as i64).min(bins.max(1) as i64 - 1);
        // Half octaves, in whole numbers: floor(log2(count^2)).
        let octave =
            |count: i64| u128::try_from(count).ok().filter(|&c| c > 0).map_or(0, |c| i64::from((c * c).ilog2()));
        match self {
            Self::Fitness => fitness(row).map(part),
            Self::Params => row.params.map(octave),
            Self::Macs => row.macs.map(octave),
            Self::Distance => Some(part(code_distance(seed_source, &row.source))),
        }
    }
}

/// The cell of a row, e.g. `params=29,distance=3`; `None` without features or where the row lacks one of the columns.
#[must_use]
pub fn cell(row: &Candidate, features: &[Feature], seed_source: &str, bins: usize) -> Option<String> {
    if features.is_empty() {
        return None;
    }
    let mut parts = Vec::with_capacity(features.len());
    for feature in features {
        parts.push(format!("{}={}", feature.name(), feature.bin(row, seed_source, bins)?));
    }
    Some(parts.join(","))
}

/// How far two programs are apart, in [0, 1]: the share of words (runs of letters, digits and `_`; comments left out)
/// that only one of them has, counted with repetition. 0 for the same words, 1 for none in common.
#[must_use]
pub fn code_distance(a: &str, b: &str) -> f64 {
    let mut counts: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for word in words(a) {
        counts.entry(word).or_default().0 += 1;
    }
    for word in words(b) {
        counts.entry(word).or_default().1 += 1;
    }
    let apart: i64 = counts.values().map(|(x, y)| (x - y).abs()).sum();
    let all: i64 = counts.values().map(|(x, y)| x + y).sum();
    if all == 0 { 0.0 } else { apart as f64 / all as f64 }
}

fn words(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::examples::scored;

    #[test]
    fn cells_name_their_bins() {
        let mut row = scored(1, 0, 0, 0.55);
        row.params = Some(1024);
        assert_eq!(cell(&row, &[Feature::Fitness, Feature::Params], "", 10), Some("fitness=5,params=20".to_owned()));
        assert_eq!(cell(&row, &[Feature::Macs], "", 10), None);
        assert_eq!(cell(&row, &[], "", 10), None);
        row.fitness = Some(1.0);
        assert_eq!(cell(&row, &[Feature::Fitness], "", 10), Some("fitness=9".to_owned()));
    }

    #[test]
    fn distance_counts_words_and_no_comments() {
        assert_eq!(code_distance("a b c  # x", "c b a # y"), 0.0);
        assert_eq!(code_distance("a", "b"), 1.0);
        assert_eq!(code_distance("a b", "a c"), 0.5);
        assert_eq!(code_distance("", ""), 0.0);
    }

    #[test]
    fn names_lead_back() {
        for (name, feature) in Feature::ALL {
            assert_eq!((Feature::named(name), feature.name()), (Some(feature), name));
        }
        assert_eq!(Feature::named("size"), None);
    }
}
