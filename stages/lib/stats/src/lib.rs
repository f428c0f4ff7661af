//! Statistics of few, noisy runs.
//!
//! Searches are dear, so that methods are compared over a handful of seeds, and trainings are noisy, so that the
//! comparison has to say how much of a difference may be luck. Everything here is exact where that can be had with few
//! values: permutation tests list all arrangements, intervals take Student's t, and searches that never reached a level
//! are counted as censored instead of being left out.
//!
//! Values are plain `f64` in any unit; results are in the same unit. What cannot be computed is an [`Undefined`], never a
//! NaN. Whatever draws random numbers takes a seed and gives the same answer for the same seed, on any machine.

#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]

mod components;
mod effect;
mod interval;
mod permutation;
mod progress;
mod random;
mod ranks;
mod student;

pub use components::{Components, components};
pub use effect::{cliffs_delta, hedges_g, hedges_g_paired, superiority};
pub use interval::{Interval, bootstrap_difference, bootstrap_mean, bootstrap_paired, paired_t, proportion, welch};
pub use permutation::{Permutation, holm, paired_permutation, permutation, smallest_p, smallest_paired_p};
pub use progress::{Waited, area_under_best, expected_evaluations, kaplan_meier, restricted_mean};
pub use ranks::{ranks, spearman};
pub use student::{student_cdf, student_quantile};

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undefined {
    /// Nothing was given where something is needed.
    #[error("there are no values")]
    Empty,
    /// A value is NaN or infinite, or values are so large that their sum is.
    #[error("a value is not a finite number")]
    NotFinite,
    /// Pairs need as many values on both sides.
    #[error("the samples differ in length")]
    Unpaired,
    /// A spread needs two values.
    #[error("there are too few values")]
    TooFew,
    /// All values are the same where a spread is divided by.
    #[error("the values do not vary")]
    Constant,
    /// A level, probability, budget or time is outside of what it can be.
    #[error("a parameter is out of range")]
    OutOfRange,
    /// No search reached the level, so that its expectation has no upper bound.
    #[error("no search reached the level")]
    NeverReached,
    /// The curve of what is still waiting is not known as far as was asked.
    #[error("no search was observed for so long")]
    Unobserved,
}

/// Mean of finite values.
///
/// # Errors
/// [`Undefined::Empty`], [`Undefined::NotFinite`]
pub fn mean(values: &[f64]) -> Result<f64, Undefined> {
    if values.is_empty() {
        return Err(Undefined::Empty);
    }
    finite(values)?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    if mean.is_finite() { Ok(mean) } else { Err(Undefined::NotFinite) }
}

/// Sample variance (n - 1).
///
/// # Errors
/// [`Undefined::TooFew`] for fewer than two values, and those of [`mean`].
pub fn variance(values: &[f64]) -> Result<f64, Undefined> {
    let mean = mean(values)?;
    if values.len() < 2 {
        return Err(Undefined::TooFew);
    }
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64;
    if variance.is_finite() { Ok(variance) } else { Err(Undefined::NotFinite) }
}

/// `a[i] - b[i]`.
///
/// # Errors
/// [`Undefined::Unpaired`] where the lengths differ.
pub fn differences(a: &[f64], b: &[f64]) -> Result<Vec<f64>, Undefined> {
    if a.len() != b.len() {
        return Err(Undefined::Unpaired);
    }
    Ok(a.iter().zip(b).map(|(a, b)| a - b).collect())
}

fn finite(values: &[f64]) -> Result<(), Undefined> {
    if values.iter().all(|v| v.is_finite()) { Ok(()) } else { Err(Undefined::NotFinite) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_answer_says_why() {
        assert_eq!(mean(&[]), Err(Undefined::Empty));
        assert_eq!(mean(&[1.0, f64::NAN]), Err(Undefined::NotFinite));
        assert_eq!(mean(&[f64::MAX, f64::MAX]), Err(Undefined::NotFinite));
        assert_eq!(variance(&[1.0]), Err(Undefined::TooFew));
        assert_eq!(variance(&[1.0, 3.0]), Ok(2.0));
        assert_eq!(differences(&[1.0], &[]), Err(Undefined::Unpaired));
    }
}
