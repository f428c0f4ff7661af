//! How large a difference is, beside how sure it is.

use crate::student::ln_gamma_step;
use crate::{Undefined, mean, ranks, variance};

/// Hedges' g: the difference of two means, a - b, over their pooled standard deviation, times the exact correction
/// J = Γ(m/2) / (√(m/2) Γ((m-1)/2)) for m degrees of freedom, without which few values give too large an effect
/// (Hedges 1981).
///
/// # Errors
/// [`Undefined::TooFew`] for fewer than two values on a side, [`Undefined::Constant`] where neither side varies, and those
/// of [`mean`].
pub fn hedges_g(a: &[f64], b: &[f64]) -> Result<f64, Undefined> {
    let difference = mean(a)? - mean(b)?;
    let (a_df, b_df) = ((a.len() - 1) as f64, (b.len() - 1) as f64);
    let pooled = (variance(a)? * a_df + variance(b)? * b_df) / (a_df + b_df);
    standardised(difference, pooled, a_df + b_df)
}

/// The same for paired differences: their mean over their own standard deviation (Cohen's d_z, corrected).
///
/// # Errors
/// As [`hedges_g`].
pub fn hedges_g_paired(differences: &[f64]) -> Result<f64, Undefined> {
    standardised(mean(differences)?, variance(differences)?, (differences.len() - 1) as f64)
}

fn standardised(difference: f64, variance: f64, df: f64) -> Result<f64, Undefined> {
    if variance <= 0.0 {
        return Err(Undefined::Constant);
    }
    // With one degree of freedom the correction is 0: such an effect has no expectation to be corrected to.
    if df < 2.0 {
        return Err(Undefined::TooFew);
    }
    let correction = ln_gamma_step(0.5 * (df - 1.0)).exp() / (0.5 * df).sqrt();
    Ok(difference / variance.sqrt() * correction)
}

/// The probability that a value of `a` is above one of `b`, ties counted half (Vargha and Delaney's A, the area under the
/// ROC curve).
///
/// # Errors
/// [`Undefined::Empty`], [`Undefined::NotFinite`]
pub fn superiority(a: &[f64], b: &[f64]) -> Result<f64, Undefined> {
    if a.is_empty() || b.is_empty() {
        return Err(Undefined::Empty);
    }
    let all: Vec<f64> = a.iter().chain(b).copied().collect();
    let sum: f64 = ranks(&all)?[..a.len()].iter().sum();
    let (n, m) = (a.len() as f64, b.len() as f64);
    Ok((sum - 0.5 * n * (n + 1.0)) / (n * m))
}

/// Cliff's delta, in -1..=1: how much more often a value of `a` is above one of `b` than below.
///
/// # Errors
/// As [`superiority`].
pub fn cliffs_delta(a: &[f64], b: &[f64]) -> Result<f64, Undefined> {
    Ok(2.0 * superiority(a, b)? - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: [f64; 5] = [0.672, 0.737, 0.755, 0.737, 0.721];
    const B: [f64; 8] = [0.669, 0.755, 0.685, 0.690, 0.711, 0.768, 0.664, 0.682];

    #[test]
    fn effects_are_scipys() {
        // scipy 1.17.1: the formula with numpy and scipy.special.gamma; mannwhitneyu(a, b).statistic / (5 * 8)
        let g = hedges_g(&A, &B).unwrap();
        assert!((g - 0.5459739410271905).abs() < 1e-9, "{g}");
        let share = superiority(&A, &B).unwrap();
        assert!((share - 0.6625).abs() < 1e-12, "{share}");
        assert!((cliffs_delta(&A, &B).unwrap() - (2.0 * 0.6625 - 1.0)).abs() < 1e-12);
        let g = hedges_g_paired(&[0.021, -0.004, 0.013, 0.030, 0.007, -0.001, 0.013]).unwrap();
        assert!((g - 0.8219667613300524).abs() < 1e-9, "{g}");
    }

    #[test]
    fn what_has_no_effect_size_says_why() {
        assert_eq!(hedges_g(&[1.0], &B), Err(Undefined::TooFew));
        assert_eq!(hedges_g(&[1.0, 1.0], &[2.0, 2.0]), Err(Undefined::Constant));
        assert_eq!(hedges_g_paired(&[1.0, 2.0]), Err(Undefined::TooFew));
        assert_eq!(hedges_g_paired(&[]), Err(Undefined::Empty));
        assert_eq!(superiority(&[], &B), Err(Undefined::Empty));
        assert_eq!(cliffs_delta(&[f64::NAN], &B), Err(Undefined::NotFinite));
    }

    proptest! {
        #[test]
        fn superiority_is_the_share_of_pairs(
            a in prop::collection::vec(0..6i32, 1..9), b in prop::collection::vec(0..6i32, 1..9),
        ) {
            let mut won = 0.0;
            for x in &a {
                for y in &b {
                    won += match x.cmp(y) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
            }
            let numbers = |v: &[i32]| v.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
            let got = superiority(&numbers(&a), &numbers(&b)).unwrap();
            prop_assert!((got - won / (a.len() * b.len()) as f64).abs() < 1e-12);
            prop_assert!((got + superiority(&numbers(&b), &numbers(&a)).unwrap() - 1.0).abs() < 1e-12);
        }
    }
}
