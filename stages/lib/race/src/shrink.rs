//! What is known of a candidate's accuracy after a few trainings: parametric empirical Bayes after Morris (1983,
//! "Parametric empirical Bayes inference: theory and applications", JASA 78).
//!
//! The model: a candidate's true accuracy comes from a normal distribution over the candidates of the run, and a training
//! shows it with normal noise, which is the same for all. Noise is pooled over all candidates that were trained at least
//! twice; the spread of the true accuracies is what the means vary more than noise alone would have them (the generalised
//! Q of Paule and Mandel, 1982, whose root is Morris's estimate). A mean over few trainings is then drawn towards the mean
//! of all candidates: the best of many noisy means is on average no longer too good.
//!
//! Who is trained again depends on the scores so far (see [`racing`](crate::racing)). That does not disturb the posterior,
//! which depends on the measurements alone and not on the rule that asked for them.
//!
//! What it cannot do: a run with a few ruined architectures among many equal ones is no normal distribution. These widen
//! it, and leaders are then shrunk too little. A confirmation does not rest on any of this.

use crate::mean;

/// Standard deviations from the posterior mean to its bounds: each is passed with 5 % probability.
pub const BOUND: f64 = 1.645;

/// How much trainings of one and the same candidate differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Of the score of one training.
    pub variance: f64,
    /// Trainings beyond the first of each candidate: how well it is known.
    pub degrees: usize,
}

impl Noise {
    /// Pooled over all candidates; `None` where none was trained twice.
    #[must_use]
    pub fn pooled(candidates: &[&[f64]]) -> Option<Self> {
        let (mut squares, mut degrees) = (0.0, 0);
        for scores in candidates {
            let Some(mean) = mean(scores) else { continue };
            squares += scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>();
            degrees += scores.len() - 1;
        }
        (degrees > 0).then(|| Self { variance: squares / degrees as f64, degrees })
    }
}

/// The distribution of true accuracies in a run, as far as its measurements tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Mean of all candidates.
    pub mean: f64,
    /// Variance of the true accuracies.
    pub between: f64,
    /// `None`: no candidate was trained twice, and nothing is shrunk.
    pub noise: Option<Noise>,
    /// Candidates that it is made from.
    pub candidates: usize,
    /// Mean variance of the candidates' means.
    within: f64,
}

/// What is known of one candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    pub trainings: usize,
    /// Of its trainings, as measured.
    pub mean: f64,
    /// Standard error of that mean by the pooled noise; `None` where noise is unknown.
    pub std_error: Option<f64>,
    /// Its accuracy, shrunk: the fitness.
    pub value: f64,
    /// Standard deviation of the posterior, the uncertainty of the prior included; `None` where noise is unknown.
    pub sd: Option<f64>,
}

impl Posterior {
    /// The accuracy that it is above of with 95 % probability; `None` where noise is unknown.
    #[must_use]
    pub fn lower(&self) -> Option<f64> {
        self.sd.map(|sd| self.value - BOUND * sd)
    }

    /// The accuracy that it is below of with 95 % probability; `None` where noise is unknown.
    #[must_use]
    pub fn upper(&self) -> Option<f64> {
        self.sd.map(|sd| self.value + BOUND * sd)
    }
}

impl Prior {
    /// From the scores of each candidate's trainings; candidates without any do not count. `None` where none has one.
    #[must_use]
    pub fn fit(candidates: &[&[f64]]) -> Option<Self> {
        let measured: Vec<(f64, f64)> =
            candidates.iter().filter_map(|scores| Some((mean(scores)?, scores.len() as f64))).collect();
        let count = measured.len();
        let plain = mean(&measured.iter().map(|(mean, _)| *mean).collect::<Vec<_>>())?;
        let noise = Noise::pooled(candidates);
        let unknown = Self { mean: plain, between: 0.0, noise, candidates: count, within: 0.0 };
        let Some(noise) = noise.filter(|noise| noise.variance > 0.0) else { return Some(unknown) };
        let means: Vec<(f64, f64)> = measured.iter().map(|(mean, n)| (*mean, noise.variance / n)).collect();
        let between = between(&means);
        let within = means.iter().map(|(_, variance)| variance).sum::<f64>() / count as f64;
        Some(Self { mean: weighted(&means, between), between, within, ..unknown })
    }

    /// What is known of a candidate with these scores, one of those that the prior is made from. `None` without a score.
    #[must_use]
    pub fn posterior(&self, scores: &[f64]) -> Option<Posterior> {
        let (mean, trainings) = (mean(scores)?, scores.len());
        let Some(noise) = self.noise else {
            return Some(Posterior { trainings, mean, std_error: None, value: mean, sd: None });
        };
        let variance = noise.variance / trainings as f64;
        let std_error = Some(variance.sqrt());
        // With fewer than four candidates nothing is known of their distribution; without noise there is nothing to shrink.
        if self.candidates < 4 || variance == 0.0 {
            return Some(Posterior { trainings, mean, std_error, value: mean, sd: std_error });
        }
        let k = self.candidates as f64;
        let total = variance + self.between;
        // Morris's factor keeps the estimate of the spread, which may be 0, from shrinking all candidates into one point.
        let shrinkage = (k - 3.0) / (k - 1.0) * variance / total;
        let value = mean - shrinkage * (mean - self.mean);
        let of_prior = 2.0 / (k - 3.0) * (self.within + self.between) / total;
        let posterior =
            variance * (1.0 - (k - 1.0) / k * shrinkage) + of_prior * (shrinkage * (mean - self.mean)).powi(2);
        Some(Posterior { trainings, mean, std_error, value, sd: Some(posterior.sqrt()) })
    }
}

/// Mean of (mean, variance) pairs, each weighted by the inverse of its whole variance.
fn weighted(means: &[(f64, f64)], between: f64) -> f64 {
    let (sum, weights) = means.iter().fold((0.0, 0.0), |(sum, weights), (mean, variance)| {
        let weight = 1.0 / (variance + between);
        (sum + weight * mean, weights + weight)
    });
    sum / weights
}

/// The variance between candidates at which the weighted squares are what they are expected to be; 0 where noise alone
/// explains more than all of them.
fn between(means: &[(f64, f64)]) -> f64 {
    let excess = |between: f64| {
        let centre = weighted(means, between);
        let squares: f64 = means.iter().map(|(mean, variance)| (mean - centre).powi(2) / (variance + between)).sum();
        squares - (means.len() - 1) as f64
    };
    if excess(0.0) <= 0.0 {
        return 0.0;
    }
    // The squares fall as the variance grows: at n times the largest of them they are less than 1.
    let widest = means.iter().map(|(mean, _)| (mean - weighted(means, 0.0)).powi(2)).fold(0.0, f64::max);
    let (mut low, mut high) = (0.0, widest * means.len() as f64 * 4.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if excess(middle) > 0.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(candidates: &[Vec<f64>]) -> Prior {
        let slices: Vec<&[f64]> = candidates.iter().map(Vec::as_slice).collect();
        Prior::fit(&slices).expect("there are scores")
    }

    #[test]
    fn noise_is_pooled_over_those_that_were_trained_again() {
        let noise = Noise::pooled(&[&[0.5], &[0.4, 0.6], &[0.1, 0.2, 0.3], &[]]).expect("two were");
        assert_eq!(noise.degrees, 3);
        assert!((noise.variance - (0.02 + 0.02) / 3.0).abs() < 1e-12, "{noise:?}");
        assert_eq!(Noise::pooled(&[&[0.5], &[0.7]]), None);
    }

    #[test]
    fn what_is_not_known_shrinks_nothing() {
        let single = fit(&[vec![0.5], vec![0.7], vec![0.9], vec![0.4], vec![0.6]]);
        let posterior = single.posterior(&[0.9]).expect("a score");
        assert_eq!((posterior.value, posterior.sd, posterior.lower()), (0.9, None, None));
        let few = fit(&[vec![0.5, 0.6], vec![0.7]]).posterior(&[0.7]).expect("a score");
        assert_eq!(few.value, 0.7);
        assert!(few.lower().is_some_and(|lower| lower < 0.7));
        let equal = fit(&[vec![0.5, 0.5], vec![0.5], vec![0.5], vec![0.5], vec![0.5]]);
        assert_eq!(equal.posterior(&[0.5]).map(|posterior| (posterior.value, posterior.sd)), Some((0.5, Some(0.0))));
        assert_eq!(Prior::fit(&[]), None);
        assert_eq!(equal.posterior(&[]), None);
    }

    #[test]
    fn fewer_trainings_are_shrunk_more_and_the_order_of_equals_stays() {
        let mut candidates: Vec<Vec<f64>> = (0..12).map(|i| vec![0.5 + 0.01 * f64::from(i)]).collect();
        candidates.push(vec![0.66, 0.74, 0.70]);
        candidates.push(vec![0.70]);
        let prior = fit(&candidates);
        let of = |scores: &[f64]| prior.posterior(scores).expect("a score");
        let (often, once) = (of(&candidates[12]), of(&candidates[13]));
        assert!(often.value > once.value && once.value > prior.mean, "{often:?} {once:?} {prior:?}");
        assert!(often.sd < once.sd && often.lower() > once.lower());
        assert!(of(&[0.6]).value > of(&[0.59]).value);
    }

    #[test]
    fn candidates_that_differ_by_noise_alone_come_close_and_stay_in_order() {
        // Noise of 0.1, while the means lie within 0.03.
        let candidates: Vec<Vec<f64>> =
            (0..10).map(|i| vec![0.4 + 0.003 * f64::from(i), 0.6 + 0.003 * f64::from(i)]).collect();
        let prior = fit(&candidates);
        assert_eq!(prior.between, 0.0);
        let values: Vec<f64> =
            candidates.iter().filter_map(|scores| prior.posterior(scores)).map(|known| known.value).collect();
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]), "{values:?}");
        assert!(values[9] - values[0] < 0.25 * 0.027, "{values:?}");
    }

    #[test]
    fn the_spread_of_candidates_is_found_beside_the_noise() {
        // Means at -3, -1, 1, 3 (variance 20/3) with pairs 2 apart (noise 2, that of a mean 1): 20/3 - 1 is between.
        let candidates: Vec<Vec<f64>> = [-3.0, -1.0, 1.0, 3.0].map(|mean| vec![mean - 1.0, mean + 1.0]).to_vec();
        let prior = fit(&candidates);
        assert!((prior.between - (20.0 / 3.0 - 1.0)).abs() < 1e-9, "{prior:?}");
        assert!(prior.mean.abs() < 1e-12);
    }
}
