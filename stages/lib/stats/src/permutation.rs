//! Permutation tests, and the correction for making several of them.

use crate::random::Random;
use crate::{Undefined, mean};

/// Up to this many arrangements are all looked at: some tens of milliseconds.
const EXACT: u128 = 1 << 20;
/// Else so many are drawn, beside the one that was observed.
const DRAWN: u64 = 99_999;

/// The answer of a permutation test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Permutation {
    /// Share of the arrangements that differ at least as much as the observed one, in (0, 1]; two-sided.
    pub p: f64,
    /// Whether all arrangements were looked at, not a random part of them.
    pub exact: bool,
    /// How many were looked at, the observed one among them.
    pub arrangements: u64,
}

/// Whether two samples differ in their means: of all ways to deal the values out to groups of these sizes, the share whose
/// means are at least as far apart as the observed ones, in either direction (Fisher; Pitman 1937).
///
/// All arrangements up to 2^20 of them, which 11 against 11 values have; else 99,999 random ones, and then
/// p = (k + 1) / (n + 1), which never claims more than was drawn (Phipson and Smyth 2010). It assumes that under the null
/// hypothesis the values are exchangeable; it needs no normality.
///
/// # Errors
/// [`Undefined::Empty`] where a sample is, [`Undefined::NotFinite`]
pub fn permutation(a: &[f64], b: &[f64], seed: u64) -> Result<Permutation, Undefined> {
    mean(a)?;
    mean(b)?;
    let all: Vec<f64> = a.iter().chain(b).copied().collect();
    // About their mean, the difference of the group means is in proportion to the sum of one of the groups.
    let centre = mean(&all)?;
    let mut centred: Vec<f64> = all.iter().map(|v| v - centre).collect();
    // The smaller group is the one to choose; by symmetry its sum says as much.
    let few = a.len().min(b.len());
    if few == b.len() {
        centred.rotate_left(a.len());
    }
    let slack = slack(&all);
    let least = centred[..few].iter().sum::<f64>().abs() - slack;
    let arrangements = binomial(all.len(), few);
    if arrangements <= EXACT {
        let extreme = count_subsets(&centred, few, 0.0, least);
        return Ok(exact(extreme, arrangements as u64));
    }
    let mut random = Random::new(seed);
    let mut extreme = 0;
    for _ in 0..DRAWN {
        for place in 0..few {
            let other = place + random.below(centred.len() - place);
            centred.swap(place, other);
        }
        extreme += u64::from(centred[..few].iter().sum::<f64>().abs() >= least);
    }
    Ok(drawn(extreme))
}

/// Whether the mean of paired differences is other than 0: of all ways to turn their signs, the share whose mean is at
/// least as far from 0 as the observed one.
///
/// All 2^n arrangements up to n = 20, else 99,999 random ones with p = (k + 1) / (n + 1). It assumes that under the null
/// hypothesis each difference is as likely with the other sign.
///
/// # Errors
/// [`Undefined::Empty`], [`Undefined::NotFinite`]
pub fn paired_permutation(differences: &[f64], seed: u64) -> Result<Permutation, Undefined> {
    mean(differences)?;
    let least = differences.iter().sum::<f64>().abs() - slack(differences);
    let n = differences.len() as u32;
    if n < 128 && 1u128 << n <= EXACT {
        // Turning all signs changes nothing, so that the first may stay as it is.
        let extreme = 2 * count_signs(&differences[1..], differences[0], least);
        return Ok(exact(extreme, 1 << n));
    }
    let mut random = Random::new(seed);
    let mut extreme = 0;
    for _ in 0..DRAWN {
        let mut signs = 0;
        let mut sum = 0.0;
        for (i, difference) in differences.iter().enumerate() {
            if i % 64 == 0 {
                signs = random.bits();
            }
            sum += if signs >> (i % 64) & 1 == 0 { *difference } else { -difference };
        }
        extreme += u64::from(sum.abs() >= least);
    }
    Ok(drawn(extreme))
}

/// The smallest p that [`permutation`] can give for groups of these sizes, whatever the values: with fewer runs than this
/// allows, no result can be significant. `None` where a group is empty.
#[must_use]
pub fn smallest_p(a: usize, b: usize) -> Option<f64> {
    if a == 0 || b == 0 {
        return None;
    }
    let arrangements = binomial(a + b, a.min(b));
    // Groups of one size: what one arrangement is, its mirror image is, too.
    let extreme = if a == b { 2.0 } else { 1.0 };
    Some(if arrangements <= EXACT { extreme / arrangements as f64 } else { 1.0 / (DRAWN + 1) as f64 })
}

/// The smallest p that [`paired_permutation`] can give for so many pairs. `None` for none.
#[must_use]
pub fn smallest_paired_p(pairs: usize) -> Option<f64> {
    match pairs {
        0 => None,
        1..=20 => Some(2.0 / (1u64 << pairs) as f64),
        _ => Some(1.0 / (DRAWN + 1) as f64),
    }
}

/// Holm's step-down correction: p-values of a family of tests, so that the chance of any false discovery stays below the
/// level. Sorted, p_(i) becomes max over j <= i of min(1, (m - j + 1) p_(j)) (Holm 1979). In the order given.
///
/// # Errors
/// [`Undefined::OutOfRange`] where a value is not in 0..=1. No values: none.
pub fn holm(p: &[f64]) -> Result<Vec<f64>, Undefined> {
    if !p.iter().all(|p| (0.0..=1.0).contains(p)) {
        return Err(Undefined::OutOfRange);
    }
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        largest = f64::max(largest, (p[index] * (p.len() - rank) as f64).min(1.0));
        adjusted[index] = largest;
    }
    Ok(adjusted)
}

fn exact(extreme: u64, arrangements: u64) -> Permutation {
    Permutation { p: extreme as f64 / arrangements as f64, exact: true, arrangements }
}

fn drawn(extreme: u64) -> Permutation {
    Permutation { p: (extreme + 1) as f64 / (DRAWN + 1) as f64, exact: false, arrangements: DRAWN + 1 }
}

/// By how much two sums of the same values may differ because they were added in another order. Without it, arrangements
/// that tie with the observed one would be counted or not by accident.
fn slack(values: &[f64]) -> f64 {
    let largest = values.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
    16.0 * f64::EPSILON * values.len() as f64 * largest
}

/// How many of the ways to choose `few` of the values have `sum` plus their sum at least so far from 0.
fn count_subsets(values: &[f64], few: usize, sum: f64, least: f64) -> u64 {
    if few == 0 {
        return u64::from(sum.abs() >= least);
    }
    (0..=values.len() - few).map(|i| count_subsets(&values[i + 1..], few - 1, sum + values[i], least)).sum()
}

fn count_signs(values: &[f64], sum: f64, least: f64) -> u64 {
    match values {
        [] => u64::from(sum.abs() >= least),
        [first, rest @ ..] => count_signs(rest, sum + first, least) + count_signs(rest, sum - first, least),
    }
}

/// n over k, or at least more than is ever listed.
fn binomial(n: usize, k: usize) -> u128 {
    let mut value: u128 = 1;
    for i in 0..k {
        value = value * (n - i) as u128 / (i + 1) as u128;
        if value > EXACT {
            return value;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: [f64; 5] = [0.672, 0.737, 0.755, 0.737, 0.721];
    const B: [f64; 8] = [0.669, 0.755, 0.685, 0.690, 0.711, 0.768, 0.664, 0.682];

    #[test]
    fn all_arrangements_are_counted() {
        // counted with numpy 2 over itertools.combinations: 409 of 1287, and 15 of 35. (scipy's permutation_test doubles the
        // smaller tail instead, and gives 0.3217 and 0.4571.)
        let got = permutation(&A, &B, 0).unwrap();
        assert!(got.exact && got.arrangements == 1287, "{got:?}");
        assert!((got.p - 409.0 / 1287.0).abs() < 1e-12, "{got:?}");
        assert_eq!(permutation(&B, &A, 0).unwrap(), got, "the test is symmetric");
        let got = permutation(&[1.0, 2.0, 2.0, 4.0], &[2.0, 3.0, 5.0], 0).unwrap();
        assert!((got.p - 15.0 / 35.0).abs() < 1e-12, "{got:?}");
    }

    #[test]
    fn all_signs_are_scipys() {
        // scipy 1.17.1: permutation_test((d,), mean, permutation_type='samples', n_resamples=inf).pvalue
        let differences = [0.021, -0.004, 0.013, 0.030, 0.007, -0.001, 0.013];
        let got = paired_permutation(&differences, 0).unwrap();
        assert!(got.exact && got.arrangements == 128, "{got:?}");
        assert!((got.p - 0.0625).abs() < 1e-12, "{got:?}");
    }

    #[test]
    fn the_smallest_p_is_what_the_clearest_difference_gets() {
        for (a, b) in [(2, 2), (3, 3), (2, 5), (5, 5), (1, 3)] {
            let low: Vec<f64> = (0..a).map(|i| f64::from(i) * 0.01).collect();
            let high: Vec<f64> = (0..b).map(|i| 9.0 + f64::from(i) * 0.01).collect();
            assert_eq!(permutation(&low, &high, 0).unwrap().p, smallest_p(a as usize, b as usize).unwrap(), "{a} {b}");
        }
        for n in 1..7 {
            let p = paired_permutation(&vec![1.0; n], 0).unwrap().p;
            assert_eq!(p, smallest_paired_p(n).unwrap());
        }
        assert_eq!((smallest_p(0, 3), smallest_paired_p(0)), (None, None));
    }

    #[test]
    fn drawn_signs_come_to_what_counting_comes_to() {
        // One pair more than are counted.
        let differences: Vec<f64> = (0..21).map(|i| f64::from(i % 5) - 1.4).collect();
        let least = differences.iter().sum::<f64>().abs() - slack(&differences);
        let counted = 2.0 * count_signs(&differences[1..], differences[0], least) as f64 / f64::from(1 << 21);
        let got = paired_permutation(&differences, 3).unwrap();
        assert!(!got.exact && counted > 0.01, "{got:?}, {counted}");
        assert!((got.p - counted).abs() < 4.0 * (counted / DRAWN as f64).sqrt(), "{got:?} is not {counted}");
    }

    #[test]
    fn drawn_arrangements_agree_with_what_is_known() {
        // 30 against 30 shifted by nearly nothing and by much; never 0
        let mut random = Random::new(5);
        let a: Vec<f64> = (0..30).map(|_| random.normal()).collect();
        let far: Vec<f64> = a.iter().map(|v| v + 5.0).collect();
        let got = permutation(&a, &far, 1).unwrap();
        assert!(!got.exact && got.p == 1.0 / 100_000.0 && got.arrangements == 100_000, "{got:?}");
        assert_eq!(permutation(&a, &far, 1), permutation(&a, &far, 1));
        let got = paired_permutation(&[1.0; 30], 1).unwrap();
        assert!(!got.exact && got.p <= 2.0 / 100_000.0, "{got:?}");
        // One sample at the edge of what is listed, by both ways: 11 of 22 exactly, with 23 values drawn.
        let b: Vec<f64> = (0..30).map(|_| random.normal() + 0.5).collect();
        let listed = permutation(&a[..11], &b[..11], 1).unwrap();
        assert!(listed.exact && listed.arrangements == 705_432, "{listed:?}");
        let differences = &b[..20];
        let listed = paired_permutation(differences, 1).unwrap();
        let padded: Vec<f64> = differences.iter().copied().chain([0.0]).collect();
        let got = paired_permutation(&padded, 1).unwrap();
        // a pair without difference changes no arrangement: five standard errors of 99,999 draws
        let error = 5.0 * (listed.p * (1.0 - listed.p) / 1e5).sqrt() + 1e-4;
        assert!(listed.exact && !got.exact && (listed.p - got.p).abs() < error, "{listed:?} {got:?}");
    }

    #[test]
    fn under_the_null_hypothesis_p_is_at_most_as_small_as_it_says() {
        let mut random = Random::new(11);
        let (mut below, mut below_paired) = (0, 0);
        for trial in 0..2000 {
            let a: Vec<f64> = (0..5).map(|_| random.exponential()).collect();
            let b: Vec<f64> = (0..6).map(|_| random.exponential()).collect();
            below += u32::from(permutation(&a, &b, trial).unwrap().p <= 0.05);
            let d: Vec<f64> = (0..7).map(|_| random.normal()).collect();
            below_paired += u32::from(paired_permutation(&d, trial).unwrap().p <= 0.05);
        }
        // 100 expected at most; 4 standard deviations are 39
        assert!((60..140).contains(&below), "{below}");
        assert!((50..140).contains(&below_paired), "{below_paired}");
    }

    #[test]
    fn what_cannot_be_tested_says_why() {
        assert_eq!(permutation(&[], &A, 0), Err(Undefined::Empty));
        assert_eq!(permutation(&A, &[], 0), Err(Undefined::Empty));
        assert_eq!(permutation(&A, &[f64::NAN], 0), Err(Undefined::NotFinite));
        assert_eq!(paired_permutation(&[], 0), Err(Undefined::Empty));
        assert_eq!(paired_permutation(&[f64::INFINITY], 0), Err(Undefined::NotFinite));
        assert_eq!(holm(&[0.5, 1.5]), Err(Undefined::OutOfRange));
        assert_eq!(holm(&[f64::NAN]), Err(Undefined::OutOfRange));
        assert_eq!(holm(&[]), Ok(vec![]));
    }

    #[test]
    fn holm_is_statsmodels() {
        // statsmodels 0.15.0: multipletests([0.01, 0.04, 0.03, 0.005, 0.2], method='holm')
        let got = holm(&[0.01, 0.04, 0.03, 0.005, 0.2]).unwrap();
        for (got, expected) in got.iter().zip([0.04, 0.09, 0.09, 0.025, 0.2]) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
    }

    proptest! {
        #[test]
        fn a_sample_does_not_differ_from_itself(a in prop::collection::vec(-1e3..1e3f64, 1..40), seed: u64) {
            prop_assert_eq!(permutation(&a, &a, seed).unwrap().p, 1.0);
            prop_assert_eq!(paired_permutation(&vec![0.0; a.len()], seed).unwrap().p, 1.0);
        }

        #[test]
        fn neither_order_nor_origin_nor_unit_matters(
            a in prop::collection::vec(0..40i32, 1..6), b in prop::collection::vec(0..40i32, 1..6),
            shift in -100..100i32, turned: bool,
        ) {
            let numbers = |v: &[i32], shift: i32, by: f64| v.iter().map(|x| f64::from(x + shift) * by).collect::<Vec<f64>>();
            let plain = permutation(&numbers(&a, 0, 1.0), &numbers(&b, 0, 1.0), 0).unwrap().p;
            let (mut x, y) = (numbers(&a, shift, -0.1), numbers(&b, shift, -0.1));
            x.reverse();
            let other = if turned { permutation(&y, &x, 1) } else { permutation(&x, &y, 1) };
            prop_assert_eq!(plain, other.unwrap().p);
            prop_assert!(plain > 0.0 && plain <= 1.0);
        }

        #[test]
        fn holm_is_monotone_and_never_below(p in prop::collection::vec(0.0..=1.0f64, 0..12)) {
            let adjusted = holm(&p).unwrap();
            for i in 0..p.len() {
                prop_assert!(adjusted[i] >= p[i] && adjusted[i] <= 1.0);
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
