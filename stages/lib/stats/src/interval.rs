//! Intervals for means and their differences.

use crate::random::Random;
use crate::student::normal_cdf;
use crate::{Undefined, differences, mean, student_quantile, variance};

/// Resamples of a bootstrap: its ends then move by a few hundredths of the interval's width from seed to seed.
const RESAMPLES: usize = 20_000;

/// An estimate between two bounds, in the unit of the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// What lies between the bounds: the mean, or the difference of the means.
    pub estimate: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
    /// The share of such intervals that is to cover the true value, as 0.95.
    pub level: f64,
}

impl Interval {
    /// Whether 0 lies outside.
    #[must_use]
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// The difference of two means, a - b, with Welch's interval: Student's t with the degrees of freedom of Welch and
/// Satterthwaite, so that the variances need not be equal.
///
/// # Errors
/// [`Undefined::TooFew`] for fewer than two values on a side, [`Undefined::OutOfRange`] unless 0 < level < 1, and those of
/// [`mean`]. Where no value varies, the interval is the point.
pub fn welch(a: &[f64], b: &[f64], level: f64) -> Result<Interval, Undefined> {
    let estimate = mean(a)? - mean(b)?;
    let t = quantile(level, welch_df(a, b)?)?;
    let half = t * squared_error(a, b)?.sqrt();
    Ok(Interval { estimate, low: estimate - half, high: estimate + half, level })
}

/// The mean of paired differences with Student's interval, n - 1 degrees of freedom.
///
/// # Errors
/// [`Undefined::TooFew`] for fewer than two pairs, [`Undefined::OutOfRange`] unless 0 < level < 1, and those of [`mean`].
pub fn paired_t(differences: &[f64], level: f64) -> Result<Interval, Undefined> {
    let estimate = mean(differences)?;
    let n = differences.len() as f64;
    let half = (variance(differences)? / n).sqrt() * quantile(level, n - 1.0)?;
    Ok(Interval { estimate, low: estimate - half, high: estimate + half, level })
}

/// A share with Wilson's interval, which stays within 0..1 and is right for few cases and for shares near 0 and 1
/// (Wilson 1927; Brown, Cai and DasGupta 2001).
///
/// # Errors
/// [`Undefined::Empty`] where there are no cases, [`Undefined::OutOfRange`] for more hits than cases and unless 0 < level < 1.
pub fn proportion(hits: u64, cases: u64, level: f64) -> Result<Interval, Undefined> {
    if cases == 0 {
        return Err(Undefined::Empty);
    }
    if hits > cases {
        return Err(Undefined::OutOfRange);
    }
    // With so many degrees of freedom Student's t is the normal.
    let z = quantile(level, 1e15)?;
    let (n, estimate) = (cases as f64, hits as f64 / cases as f64);
    let centre = (estimate + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (estimate * (1.0 - estimate) / n + z * z / (4.0 * n * n)).sqrt();
    Ok(Interval { estimate, low: (centre - half).max(0.0), high: (centre + half).min(1.0), level })
}

/// The difference of two means, a - b, with an expanded percentile bootstrap: both samples are drawn again, each with
/// replacement from itself.
///
/// *Percentiles, not BCa:* what is biased with few values is the width, and BCa corrects skewness alone, with an
/// acceleration that a handful of values cannot tell. Plain percentiles are too narrow: they know the spread with n in
/// place of n - 1 and use the normal's quantile in place of Student's, so that of nominal 95 % intervals for the mean of
/// five normal values about 83 % cover it. As Hesterberg (2015, "What Teachers Should Know About the Bootstrap", section
/// 5.2) has it, the percentiles are moved out until normal data would have Student's width. What then remains is that no
/// resample leaves the range of the values: about 92 % cover with 5 values, 94 % with 8, and with 2 or 3 values, where the
/// interval is just the range, about half and three quarters. [`welch`] and [`paired_t`] do not have this fault and
/// assume normality instead; reports show both.
///
/// # Errors
/// As [`welch`].
pub fn bootstrap_difference(a: &[f64], b: &[f64], level: f64, seed: u64) -> Result<Interval, Undefined> {
    resampled_difference(a, b, level, seed, RESAMPLES)
}

/// The mean of paired differences, with the bootstrap of [`bootstrap_difference`] over pairs.
///
/// # Errors
/// [`Undefined::Unpaired`], and those of [`paired_t`].
pub fn bootstrap_paired(a: &[f64], b: &[f64], level: f64, seed: u64) -> Result<Interval, Undefined> {
    bootstrap_mean(&differences(a, b)?, level, seed)
}

/// The mean of values, with the bootstrap of [`bootstrap_difference`].
///
/// # Errors
/// As [`paired_t`].
pub fn bootstrap_mean(values: &[f64], level: f64, seed: u64) -> Result<Interval, Undefined> {
    resampled_mean(values, level, seed, RESAMPLES)
}

fn resampled_difference(a: &[f64], b: &[f64], level: f64, seed: u64, resamples: usize) -> Result<Interval, Undefined> {
    let estimate = mean(a)? - mean(b)?;
    let plain = |values: &[f64]| {
        let n = values.len() as f64;
        Ok(variance(values)? * (n - 1.0) / (n * n))
    };
    let tail = expanded_tail(level, welch_df(a, b)?, squared_error(a, b)?, plain(a)? + plain(b)?)?;
    let mut random = Random::new(seed);
    let means = (0..resamples).map(|_| drawn_mean(a, &mut random) - drawn_mean(b, &mut random)).collect();
    Ok(percentiles(means, tail, estimate, level))
}

fn resampled_mean(values: &[f64], level: f64, seed: u64, resamples: usize) -> Result<Interval, Undefined> {
    let estimate = mean(values)?;
    let n = values.len() as f64;
    let squared = variance(values)? / n;
    let tail = expanded_tail(level, n - 1.0, squared, squared * (n - 1.0) / n)?;
    let mut random = Random::new(seed);
    let means = (0..resamples).map(|_| drawn_mean(values, &mut random)).collect();
    Ok(percentiles(means, tail, estimate, level))
}

fn drawn_mean(values: &[f64], random: &mut Random) -> f64 {
    (0..values.len()).map(|_| values[random.below(values.len())]).sum::<f64>() / values.len() as f64
}

/// The percentile at which the bootstrap's normal approximation has the half-width that Student's t has: the squared
/// standard error with n - 1, and `plain`, the one that the resamples have.
fn expanded_tail(level: f64, df: f64, squared: f64, plain: f64) -> Result<f64, Undefined> {
    let t = quantile(level, df)?;
    Ok(if plain > 0.0 { normal_cdf(-t * (squared / plain).sqrt()) } else { 0.0 })
}

fn percentiles(mut means: Vec<f64>, tail: f64, estimate: f64, level: f64) -> Interval {
    means.sort_by(f64::total_cmp);
    let at = |p: f64| {
        let place = p * (means.len() - 1) as f64;
        let below = place.floor() as usize;
        let above = (below + 1).min(means.len() - 1);
        means[below] + (means[above] - means[below]) * (place - place.floor())
    };
    // Where nothing varies, rounding must not put the estimate outside.
    Interval { estimate, low: at(tail).min(estimate), high: at(1.0 - tail).max(estimate), level }
}

/// Student's quantile of a two-sided level.
fn quantile(level: f64, df: f64) -> Result<f64, Undefined> {
    if !(level > 0.0 && level < 1.0) {
        return Err(Undefined::OutOfRange);
    }
    student_quantile(0.5 + 0.5 * level, df)
}

/// The squared standard error of a difference of means.
fn squared_error(a: &[f64], b: &[f64]) -> Result<f64, Undefined> {
    Ok(variance(a)? / a.len() as f64 + variance(b)? / b.len() as f64)
}

/// Degrees of freedom after Welch and Satterthwaite; where nothing varies, those of the smaller sample.
fn welch_df(a: &[f64], b: &[f64]) -> Result<f64, Undefined> {
    let part = |values: &[f64]| Ok((variance(values)? / values.len() as f64, (values.len() - 1) as f64));
    let ((a, a_df), (b, b_df)) = (part(a)?, part(b)?);
    let largest = f64::max(a, b);
    if largest == 0.0 {
        return Ok(f64::min(a_df, b_df));
    }
    // In proportion to the larger one, squares of tiny variances stay above 0.
    let (a, b) = (a / largest, b / largest);
    Ok((a + b).powi(2) / (a * a / a_df + b * b / b_df))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: [f64; 5] = [0.672, 0.737, 0.755, 0.737, 0.721];
    const B: [f64; 8] = [0.669, 0.755, 0.685, 0.690, 0.711, 0.768, 0.664, 0.682];

    fn close(got: Interval, expected: [f64; 3]) {
        for (got, expected) in [got.estimate, got.low, got.high].into_iter().zip(expected) {
            assert!((got - expected).abs() < 1e-9, "{got} is not {expected}");
        }
    }

    #[test]
    fn welch_is_scipys() {
        // scipy 1.17.1: ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
        close(welch(&A, &B, 0.95).unwrap(), [0.0214, -0.02258767657495281, 0.06538767657495276]);
    }

    #[test]
    fn pairs_are_scipys() {
        // scipy 1.17.1: ttest_1samp(d, 0).confidence_interval(0.9)
        close(
            paired_t(&[0.021, -0.004, 0.013, 0.030, 0.007, -0.001, 0.013], 0.9).unwrap(),
            [0.011285714285714286, 0.0025263610872630488, 0.02004506748416552],
        );
    }

    #[test]
    fn shares_are_scipys() {
        // scipy 1.17.1: binomtest(hits, n).proportion_ci(0.95, method='wilson')
        close(proportion(3, 10, 0.95).unwrap(), [0.3, 0.10779126740630102, 0.6032218525388546]);
        let none = proportion(0, 20, 0.95).unwrap();
        assert!(none.low == 0.0 && (none.high - 0.16112515805281935).abs() < 1e-9, "{none:?}");
    }

    #[test]
    fn the_bootstrap_is_about_students_for_many_normal_values() {
        let mut random = Random::new(8);
        let a: Vec<f64> = (0..60).map(|_| random.normal()).collect();
        let b: Vec<f64> = (0..40).map(|_| 3.0 + 2.0 * random.normal()).collect();
        let (boot, student) = (bootstrap_difference(&a, &b, 0.95, 1).unwrap(), welch(&a, &b, 0.95).unwrap());
        assert_eq!(boot.estimate, student.estimate);
        assert!(
            (boot.low - student.low).abs() < 0.05 && (boot.high - student.high).abs() < 0.05,
            "{boot:?} {student:?}"
        );
        assert_eq!(bootstrap_difference(&a, &b, 0.95, 1), bootstrap_difference(&a, &b, 0.95, 1));
        assert_ne!(bootstrap_difference(&a, &b, 0.95, 1), bootstrap_difference(&a, &b, 0.95, 2));
        assert!(boot.excludes_zero() && !welch(&A, &A, 0.95).unwrap().excludes_zero());
    }

    /// How often intervals of the mean cover the truth: of `n` draws of which each has mean 0.
    fn covered(n: usize, draw: fn(&mut Random) -> f64, of: impl Fn(&[f64], u64) -> Interval) -> f64 {
        let mut random = Random::new(17);
        let hits = (0..2000).filter(|seed| {
            let values: Vec<f64> = (0..n).map(|_| draw(&mut random)).collect();
            let interval = of(&values, *seed);
            interval.low <= 0.0 && 0.0 <= interval.high
        });
        hits.count() as f64 / 2000.0
    }

    // 2,000 trials: the standard error of a coverage near 95 % is half a point
    #[test]
    fn students_intervals_cover_as_often_as_they_say() {
        for n in [2, 5, 20] {
            let share = covered(n, Random::normal, |values, _| paired_t(values, 0.95).unwrap());
            assert!((0.93..=0.97).contains(&share), "{n} pairs: {share}");
        }
        let mut random = Random::new(4);
        let hits = (0..2000).filter(|_| {
            let a: Vec<f64> = (0..5).map(|_| random.normal()).collect();
            let b: Vec<f64> = (0..8).map(|_| 3.0 * random.normal()).collect();
            !welch(&a, &b, 0.95).unwrap().excludes_zero()
        });
        let share = hits.count() as f64 / 2000.0;
        assert!((0.93..=0.97).contains(&share), "Welch: {share}");
    }

    #[test]
    fn bootstrap_intervals_cover_as_the_documentation_says() {
        let of = |values: &[f64], seed| resampled_mean(values, 0.95, seed, 2000).unwrap();
        for (n, low, high) in [(2, 0.46, 0.54), (3, 0.71, 0.79), (5, 0.90, 0.94), (8, 0.92, 0.96), (20, 0.93, 0.97)] {
            let share = covered(n, Random::normal, of);
            assert!((low..=high).contains(&share), "{n} normal values: {share}");
        }
        // skewed values, for which no symmetrical interval is right either
        let share = covered(20, |random| random.exponential() - 1.0, of);
        assert!((0.90..=0.97).contains(&share), "20 exponential values: {share}");
        let mut random = Random::new(4);
        let hits = (0..2000).filter(|seed| {
            let a: Vec<f64> = (0..5).map(|_| random.normal()).collect();
            let b: Vec<f64> = (0..5).map(|_| random.normal()).collect();
            !resampled_difference(&a, &b, 0.95, *seed, 2000).unwrap().excludes_zero()
        });
        let share = hits.count() as f64 / 2000.0;
        assert!((0.93..=0.98).contains(&share), "differences of 5 and 5 values: {share}");
    }

    #[test]
    fn shares_cover() {
        let mut random = Random::new(6);
        let hits = (0..2000).filter(|_| {
            let of = (0..40).filter(|_| random.unit() < 0.25).count();
            let interval = proportion(of as u64, 40, 0.95).unwrap();
            interval.low <= 0.25 && 0.25 <= interval.high
        });
        let share = hits.count() as f64 / 2000.0;
        // exactly, by the binomial: 95.8 %
        assert!((0.938..=0.978).contains(&share), "{share}");
    }

    #[test]
    fn what_has_no_interval_says_why() {
        assert_eq!(welch(&[1.0], &B, 0.95), Err(Undefined::TooFew));
        assert_eq!(welch(&[], &B, 0.95), Err(Undefined::Empty));
        assert_eq!(bootstrap_difference(&A, &[1.0], 0.95, 0), Err(Undefined::TooFew));
        assert_eq!(paired_t(&[f64::NAN, 1.0], 0.95), Err(Undefined::NotFinite));
        assert_eq!(bootstrap_paired(&A, &B, 0.95, 0), Err(Undefined::Unpaired));
        assert_eq!(proportion(0, 0, 0.95), Err(Undefined::Empty));
        assert_eq!(proportion(2, 1, 0.95), Err(Undefined::OutOfRange));
        for level in [0.0, 1.0, f64::NAN] {
            assert_eq!(welch(&A, &B, level), Err(Undefined::OutOfRange));
            assert_eq!(bootstrap_mean(&A, level, 0), Err(Undefined::OutOfRange));
        }
        // what does not vary is known exactly, as far as the values say
        let point = welch(&[0.5, 0.5], &[0.25, 0.25], 0.95).unwrap();
        assert_eq!((point.low, point.estimate, point.high), (0.25, 0.25, 0.25));
        let point = bootstrap_mean(&[0.1, 0.1, 0.1], 0.95, 0).unwrap();
        assert_eq!((point.low, point.high), (point.estimate, point.estimate));
    }

    proptest! {
        #[test]
        fn sides_swap_with_the_samples(
            a in prop::collection::vec(-1.0..1.0f64, 2..9), b in prop::collection::vec(-1.0..1.0f64, 2..9), seed: u64,
        ) {
            let (one, other) = (welch(&a, &b, 0.95).unwrap(), welch(&b, &a, 0.95).unwrap());
            prop_assert!((one.low + other.high).abs() < 1e-12 && (one.high + other.low).abs() < 1e-12);
            let boot = resampled_difference(&a, &b, 0.95, seed, 200).unwrap();
            let range = |v: &[f64]| v.iter().fold((f64::MAX, f64::MIN), |r, x| (r.0.min(*x), r.1.max(*x)));
            let ((a_low, a_high), (b_low, b_high)) = (range(&a), range(&b));
            prop_assert!(boot.low >= a_low - b_high - 1e-12 && boot.high <= a_high - b_low + 1e-12);
            prop_assert!(boot.low <= boot.estimate && boot.estimate <= boot.high);
        }
    }
}
