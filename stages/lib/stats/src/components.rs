//! How much of a spread is of what was measured, and how much of the measuring.

use crate::random::Random;
use crate::{Undefined, mean};

/// Random dealings of the values to groups, beside the observed one.
const DRAWN: u64 = 9_999;

/// The spread of values in groups, taken apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Components {
    /// Variance of the values of one group about its mean.
    pub within: f64,
    /// Variance of the groups' true means, beyond what `within` gives their measured ones; at least 0.
    pub between: f64,
    /// Share of the dealings whose groups are at least as far apart, (k + 1) / (n + 1).
    pub p: f64,
}

/// One-way random effects by the method of moments (Searle, Casella and McCulloch 1992, section 3.6): the mean squares between
/// and within groups, and what the former has beyond the latter. `p` is of the permutation test of their ratio: it needs no
/// normality. Groups of fewer than two values tell nothing of `within`, and count for `between`.
///
/// # Errors
/// [`Undefined::TooFew`] for fewer than two groups, or where no group has two values; [`Undefined::Empty`] for an empty group;
/// [`Undefined::Constant`] where no group's values vary; [`Undefined::NotFinite`]
pub fn components(groups: &[Vec<f64>], seed: u64) -> Result<Components, Undefined> {
    for group in groups {
        mean(group)?;
    }
    let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
    let all: Vec<f64> = groups.iter().flatten().copied().collect();
    let (count, total) = (groups.len(), all.len());
    if count < 2 || total <= count {
        return Err(Undefined::TooFew);
    }
    let centre = mean(&all)?;
    let mut centred: Vec<f64> = all.iter().map(|value| value - centre).collect();
    let whole: f64 = centred.iter().map(|value| value * value).sum();
    let observed = apart(&centred, &sizes);
    let within = (whole - observed) / (total - count) as f64;
    if within <= whole * 1e-12 {
        return Err(Undefined::Constant);
    }
    let squares: usize = sizes.iter().map(|size| size * size).sum();
    // The groups' common size, where they have one.
    let size = (total as f64 - squares as f64 / total as f64) / (count - 1) as f64;
    let between = ((observed / (count - 1) as f64 - within) / size).max(0.0);

    let mut random = Random::new(seed);
    let least = observed - whole * 1e-12;
    let mut extreme = 0;
    for _ in 0..DRAWN {
        for place in 0..total - 1 {
            let other = place + random.below(total - place);
            centred.swap(place, other);
        }
        extreme += u64::from(apart(&centred, &sizes) >= least);
    }
    Ok(Components { within, between, p: (extreme + 1) as f64 / (DRAWN + 1) as f64 })
}

/// Sum of squares between groups, of values about their common mean.
fn apart(centred: &[f64], sizes: &[usize]) -> f64 {
    let mut rest = centred;
    let mut sum = 0.0;
    for &size in sizes {
        let (group, others) = rest.split_at(size);
        sum += group.iter().sum::<f64>().powi(2) / size as f64;
        rest = others;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_taken_apart() {
        // By hand: means 2 and 6, squares within 2 + 2, between 2 * 4 * 3 = 24 for one degree of freedom.
        let found = components(&[vec![1.0, 2.0, 3.0], vec![5.0, 6.0, 7.0]], 0).expect("values");
        assert!((found.within - 1.0).abs() < 1e-12 && (found.between - 23.0 / 3.0).abs() < 1e-12, "{found:?}");
        // 2 of the 20 dealings are as far apart.
        assert!((found.p - 0.1).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn simulated_components_come_back() {
        let mut random = Random::new(7);
        let groups: Vec<Vec<f64>> = (0..400)
            .map(|_| {
                let own = 2.0 * random.normal();
                (0..4).map(|_| own + 5.0 * random.normal()).collect()
            })
            .collect();
        let found = components(&groups, 0).expect("values");
        assert!((found.within.sqrt() - 5.0).abs() < 0.3 && (found.between.sqrt() - 2.0).abs() < 0.5, "{found:?}");
        assert!(found.p < 0.01, "{found:?}");
        let noise: Vec<Vec<f64>> = (0..40).map(|_| (0..4).map(|_| random.normal()).collect()).collect();
        assert!(components(&noise, 0).expect("values").p > 0.01);
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        assert_eq!(components(&[vec![1.0, 2.0]], 0), Err(Undefined::TooFew));
        assert_eq!(components(&[vec![1.0], vec![2.0]], 0), Err(Undefined::TooFew));
        assert_eq!(components(&[vec![1.0, 1.0], vec![2.0, 2.0]], 0), Err(Undefined::Constant));
        assert_eq!(components(&[vec![1.0, f64::NAN], vec![2.0, 2.0]], 0), Err(Undefined::NotFinite));
        assert_eq!(components(&[vec![], vec![2.0, 3.0]], 0), Err(Undefined::Empty));
    }
}
