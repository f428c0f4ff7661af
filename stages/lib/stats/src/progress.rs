//! How fast searches get somewhere, with those counted that did not.

use crate::{Undefined, finite};

/// The mean of the best score so far over a budget of evaluated candidates: the area under that curve, divided by the
/// budget, in the unit of the scores. `start` is the best before the first; `scores` are those of the evaluated candidates
/// in order, `None` for one that ended without a score, which costs as much. A search that ended before the budget keeps
/// its best; what lies beyond the budget is not looked at.
///
/// # Errors
/// [`Undefined::OutOfRange`] for a budget of 0, [`Undefined::Empty`] where there is no start: the curve then has none,
/// [`Undefined::NotFinite`]
pub fn area_under_best(start: Option<f64>, scores: &[Option<f64>], budget: usize) -> Result<f64, Undefined> {
    if budget == 0 {
        return Err(Undefined::OutOfRange);
    }
    let mut best = start.ok_or(Undefined::Empty)?;
    finite(&[best])?;
    let mut area = 0.0;
    for place in 0..budget {
        if let Some(score) = scores.get(place).copied().flatten() {
            finite(&[score])?;
            best = best.max(score);
        }
        area += best;
    }
    Ok(area / budget as f64)
}

/// How long a search was observed, in evaluated candidates, and whether it then had reached the level. One that ended
/// without is censored: all that is known is that it takes longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// How many candidates were evaluated.
    pub evaluations: u64,
    /// Whether the level was reached.
    pub reached: bool,
}

/// The expected running time of restarting until success: evaluations of all searches, censored ones included, over the
/// number of searches that reached the level (Price 1997; Auger and Hansen 2005; the ERT of COCO, Hansen et al. 2021). In
/// evaluated candidates.
///
/// # Errors
/// [`Undefined::Empty`], [`Undefined::NeverReached`] where no search did
pub fn expected_evaluations(searches: &[Waited]) -> Result<f64, Undefined> {
    if searches.is_empty() {
        return Err(Undefined::Empty);
    }
    let reached = searches.iter().filter(|search| search.reached).count();
    if reached == 0 {
        return Err(Undefined::NeverReached);
    }
    let spent: f64 = searches.iter().map(|search| search.evaluations as f64).sum();
    Ok(spent / reached as f64)
}

/// Kaplan and Meier's (1958) share of searches that have not reached the level yet, after each number of evaluations at
/// which some did: (evaluations, share), falling; before the first the share is 1.
///
/// # Errors
/// [`Undefined::Empty`]
pub fn kaplan_meier(searches: &[Waited]) -> Result<Vec<(u64, f64)>, Undefined> {
    if searches.is_empty() {
        return Err(Undefined::Empty);
    }
    let mut times: Vec<u64> = searches.iter().filter(|s| s.reached).map(|s| s.evaluations).collect();
    times.sort_unstable();
    times.dedup();
    let mut share = 1.0;
    let step = |time: u64| {
        let at_risk = searches.iter().filter(|s| s.evaluations >= time).count() as f64;
        let reached = searches.iter().filter(|s| s.reached && s.evaluations == time).count() as f64;
        share *= 1.0 - reached / at_risk;
        (time, share)
    };
    Ok(times.into_iter().map(step).collect())
}

/// The mean number of evaluations spent until the level or the budget, whichever comes first: the area under
/// [`kaplan_meier`]'s curve up to `budget` (Royston and Parmar 2013). It needs no search to reach the level, and methods
/// are comparable where the budget is the same.
///
/// # Errors
/// [`Undefined::Empty`], [`Undefined::Unobserved`] where the curve is not known as far as the budget: the longest search
/// is shorter and did not reach the level
pub fn restricted_mean(searches: &[Waited], budget: u64) -> Result<f64, Undefined> {
    let curve = kaplan_meier(searches)?;
    let longest = searches.iter().map(|s| s.evaluations).max().unwrap_or(0);
    let left = curve.last().map_or(1.0, |(_, share)| *share);
    if longest < budget && left > 0.0 {
        return Err(Undefined::Unobserved);
    }
    let (mut area, mut from, mut share) = (0.0, 0, 1.0);
    for (time, after) in curve.into_iter().take_while(|(time, _)| *time < budget) {
        area += share * (time - from) as f64;
        (from, share) = (time, after);
    }
    Ok(area + share * (budget - from) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use proptest::prelude::*;

    fn waited(list: &[(u64, bool)]) -> Vec<Waited> {
        list.iter().map(|&(evaluations, reached)| Waited { evaluations, reached }).collect()
    }

    #[test]
    fn the_area_is_the_mean_of_the_best_so_far() {
        let scores = [Some(0.3), None, Some(0.75), Some(0.1)];
        assert_eq!(area_under_best(Some(0.5), &scores, 4), Ok((0.5 + 0.5 + 0.75 + 0.75) / 4.0));
        assert_eq!(area_under_best(Some(0.5), &scores, 2), Ok(0.5));
        assert_eq!(area_under_best(Some(0.5), &scores[..3], 5), Ok((0.5 + 0.5 + 3.0 * 0.75) / 5.0));
        assert_eq!(area_under_best(Some(0.5), &[], 3), Ok(0.5));
        assert_eq!(area_under_best(None, &scores, 3), Err(Undefined::Empty));
        assert_eq!(area_under_best(Some(0.5), &scores, 0), Err(Undefined::OutOfRange));
        assert_eq!(area_under_best(Some(0.5), &[Some(f64::NAN)], 1), Err(Undefined::NotFinite));
    }

    #[test]
    fn curves_are_lifelines() {
        // lifelines 0.30.3: KaplanMeierFitter().fit([3, 5, 5, 8, 10, 10], [1, 1, 0, 1, 0, 0]).survival_function_, and
        // restricted_mean_survival_time(fitter, t=9)
        let searches = waited(&[(3, true), (5, true), (5, false), (8, true), (10, false), (10, false)]);
        let curve = kaplan_meier(&searches).unwrap();
        let known = [(3, 5.0 / 6.0), (5, 2.0 / 3.0), (8, 4.0 / 9.0)];
        for (got, expected) in curve.iter().zip(known) {
            assert!(got.0 == expected.0 && (got.1 - expected.1).abs() < 1e-12, "{curve:?}");
        }
        assert_eq!(curve.len(), known.len());
        let mean = restricted_mean(&searches, 9).unwrap();
        assert!((mean - 7.111111111111111).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn censored_searches_count() {
        let searches = waited(&[(4, true), (32, false), (12, true)]);
        assert_eq!(expected_evaluations(&searches), Ok(24.0));
        assert_eq!(expected_evaluations(&waited(&[(9, false)])), Err(Undefined::NeverReached));
        assert_eq!(expected_evaluations(&[]), Err(Undefined::Empty));
        assert_eq!(restricted_mean(&[], 5), Err(Undefined::Empty));
        assert_eq!(restricted_mean(&waited(&[(9, false)]), 9), Ok(9.0));
        assert_eq!(restricted_mean(&waited(&[(9, false)]), 10), Err(Undefined::Unobserved));
        // the longest reached it, and one that was given up before counts no more than that
        assert_eq!(restricted_mean(&waited(&[(3, false), (9, true)]), 20), Ok(9.0));
        assert_eq!(restricted_mean(&waited(&[(0, true), (0, true)]), 20), Ok(0.0));
    }

    #[test]
    fn restarts_take_as_long_as_is_expected() {
        // Success at each evaluation with probability 1/25: 25 on the average, whatever the budget of a search.
        let mut random = Random::new(12);
        let searches: Vec<Waited> = (0..4000)
            .map(|_| match (1..=20).find(|_| random.unit() < 0.04) {
                Some(evaluations) => Waited { evaluations, reached: true },
                None => Waited { evaluations: 20, reached: false },
            })
            .collect();
        let expected = expected_evaluations(&searches).unwrap();
        assert!((expected - 25.0).abs() < 2.5, "{expected}");
        let naive: Vec<f64> = searches.iter().filter(|s| s.reached).map(|s| s.evaluations as f64).collect();
        assert!(crate::mean(&naive).unwrap() < 12.0, "leaving the others out would have halved it");
    }

    proptest! {
        #[test]
        fn without_censoring_the_restricted_mean_is_the_mean(times in prop::collection::vec(0..50u64, 1..20), budget in 1..60u64) {
            let searches: Vec<Waited> = times.iter().map(|&evaluations| Waited { evaluations, reached: true }).collect();
            let mean = times.iter().map(|&t| t.min(budget) as f64).sum::<f64>() / times.len() as f64;
            prop_assert!((restricted_mean(&searches, budget).unwrap() - mean).abs() < 1e-9);
        }

        #[test]
        fn a_later_success_never_lowers_the_area(scores in prop::collection::vec(0.0..1.0f64, 1..20), budget in 1..30usize) {
            let some: Vec<Option<f64>> = scores.iter().copied().map(Some).collect();
            let area = area_under_best(Some(0.0), &some, budget).unwrap();
            let mut raised = some.clone();
            raised[0] = Some(1.0);
            prop_assert!(area_under_best(Some(0.0), &raised, budget).unwrap() >= area - 1e-12);
        }
    }
}
