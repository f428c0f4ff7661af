//! What is known of a candidate's accuracy after a few trainings: a hierarchical normal model (Morris 1983, "Parametric
//! empirical Bayes inference: theory and applications", JASA 78; for the choice of the best of many means Berger and Deely
//! 1988, "A Bayesian approach to ranking and selection of related means", JASA 83).
//!
//! The model: a candidate's true accuracy comes from a normal distribution over the candidates of the run, and a training
//! shows it with normal noise, which is the same for all. The noise's variance is pooled over all candidates that were trained
//! at least twice. The distribution's mean and variance are not known, and are integrated out under flat priors, the variance
//! numerically: an estimate of it is often 0 where noise is large, and would then have a lucky single training count as much
//! as the mean of many. A mean over few trainings is so drawn towards the mean of all candidates, and the more the fewer
//! they are: the best of many noisy means is on average no longer too good.
//!
//! Which candidates are trained again depends on the scores so far (see [`racing`](crate::racing)). That does not disturb the posterior,
//! which depends on the measurements alone and not on the rule that asked for them.
//!
//! What it cannot do: a run with a few ruined architectures among many equal ones is not a normal distribution. These widen
//! it, and leaders are then shrunk too little. A confirmation does not rest on any of this.

use crate::mean;

/// Standard deviations from the posterior mean to its bounds: each is passed with 5 % probability.
pub const BOUND: f64 = 1.645;

/// How much trainings of one and the same candidate differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Variance of the score of one training.
    pub variance: f64,
    /// Trainings beyond the first of each candidate: the degrees of freedom of the variance.
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

/// Values of the unknown variance between candidates over which is summed.
const GRID: usize = 400;

/// The distribution of true accuracies in a run, as far as its measurements tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Prior {
    /// `None`: no candidate was trained twice, and nothing is shrunk.
    pub noise: Option<Noise>,
    /// Candidates that it is made from.
    pub candidates: usize,
    /// Possible distributions, empty where nothing is to be shrunk.
    distributions: Vec<Distribution>,
}

/// One possible distribution of true accuracies.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Distribution {
    /// Variance of the true accuracies.
    between: f64,
    /// Their mean, as well as it is known with this variance, and how well.
    mean: f64,
    variance: f64,
    /// Probability; all of them sum up to 1.
    weight: f64,
}

/// What is known of one candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    /// How many trainings there were.
    pub trainings: usize,
    /// Mean accuracy of these trainings, as measured.
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
        if measured.is_empty() {
            return None;
        }
        let noise = Noise::pooled(candidates);
        // With fewer than four candidates nothing is known of their distribution; without noise there is nothing to shrink.
        let distributions = match noise {
            Some(noise) if noise.variance > 0.0 && measured.len() > 3 => {
                distributions(&measured.iter().map(|(mean, n)| (*mean, noise.variance / n)).collect::<Vec<_>>())
            }
            _ => Vec::new(),
        };
        Some(Self { noise, candidates: measured.len(), distributions })
    }

    /// Mean and standard deviation of the candidates' true accuracies, as expected; `None` where they are not known.
    #[must_use]
    pub fn moments(&self) -> Option<(f64, f64)> {
        let expected = |of: fn(&Distribution) -> f64| self.distributions.iter().map(|d| d.weight * of(d)).sum::<f64>();
        (!self.distributions.is_empty()).then(|| (expected(|d| d.mean), expected(|d| d.between).sqrt()))
    }

    /// What is known of a candidate with these scores, one of those that the prior is made from. `None` without a score.
    #[must_use]
    pub fn posterior(&self, scores: &[f64]) -> Option<Posterior> {
        let (mean, trainings) = (mean(scores)?, scores.len());
        let variance = self.noise.map(|noise| noise.variance / trainings as f64);
        let std_error = variance.map(f64::sqrt);
        let unshrunk = Posterior { trainings, mean, std_error, value: mean, sd: std_error };
        let Some(variance) = variance.filter(|_| !self.distributions.is_empty()) else { return Some(unshrunk) };
        let (mut value, mut spread) = (0.0, 0.0);
        for d in &self.distributions {
            let (own, own_variance) = d.posterior(mean, variance);
            value += d.weight * (own - mean);
            spread += d.weight * (own_variance + (own - mean).powi(2));
        }
        let sd = (spread - value.powi(2)).max(0.0).sqrt();
        Some(Posterior { value: mean + value, sd: Some(sd), ..unshrunk })
    }
}

impl Distribution {
    /// Mean and variance of a candidate's true accuracy, given that it was measured with this variance, if candidates are
    /// distributed so.
    fn posterior(&self, mean: f64, variance: f64) -> (f64, f64) {
        let shrinkage = variance / (variance + self.between);
        (mean - shrinkage * (mean - self.mean), (1.0 - shrinkage) * variance + shrinkage.powi(2) * self.variance)
    }
}

/// Possible distributions behind means that were measured with these variances, each with its probability, from the
/// restricted likelihood of the variance between them.
fn distributions(means: &[(f64, f64)]) -> Vec<Distribution> {
    let count = means.len() as f64;
    let centre = means.iter().map(|(mean, _)| mean).sum::<f64>() / count;
    let spread = means.iter().map(|(mean, _)| (mean - centre).powi(2)).sum::<f64>() / (count - 1.0);
    let noise = means.iter().map(|(_, variance)| variance).sum::<f64>() / count;
    // From 0 to infinity, most of it about where the variance may be.
    let scale = spread.max(noise);
    let mut found: Vec<Distribution> = Vec::with_capacity(GRID);
    for step in 0..GRID {
        let share = (step as f64 + 0.5) / GRID as f64;
        let between = scale * share / (1.0 - share);
        let (mut weights, mut sum, mut logs) = (0.0, 0.0, 0.0);
        for (mean, variance) in means {
            let weight = 1.0 / (variance + between);
            weights += weight;
            sum += weight * (mean - centre);
            logs += weight.ln();
        }
        let offset = sum / weights;
        let squares: f64 =
            means.iter().map(|(mean, variance)| (mean - centre - offset).powi(2) / (variance + between)).sum();
        // The width of the step is a part of its probability.
        let log = 0.5 * (logs - weights.ln() - squares) - 2.0 * (1.0 - share).ln();
        found.push(Distribution { between, mean: centre + offset, variance: 1.0 / weights, weight: log });
    }
    let largest = found.iter().map(|d| d.weight).fold(f64::NEG_INFINITY, f64::max);
    found.iter_mut().for_each(|d| d.weight = (d.weight - largest).exp());
    let all: f64 = found.iter().map(|d| d.weight).sum();
    found.iter_mut().for_each(|d| d.weight /= all);
    found
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
        assert_eq!((equal.moments(), single.moments()), (None, None));
        assert_eq!(Prior::fit(&[]), None);
        assert_eq!(equal.posterior(&[]), None);
    }

    #[test]
    fn fewer_trainings_are_shrunk_more() {
        let mut candidates: Vec<Vec<f64>> = (0..12).map(|i| vec![0.5 + 0.01 * f64::from(i)]).collect();
        candidates.push(vec![0.66, 0.74, 0.70]);
        candidates.push(vec![0.70]);
        let prior = fit(&candidates);
        let of = |scores: &[f64]| prior.posterior(scores).expect("a score");
        let (often, once) = (of(&candidates[12]), of(&candidates[13]));
        let (centre, _) = prior.moments().expect("they are known");
        assert!(often.value > once.value && once.value > centre, "{often:?} {once:?} {centre}");
        assert!(often.sd < once.sd && often.lower() > once.lower());
        assert!(of(&[0.6]).value > of(&[0.59]).value);
    }

    #[test]
    fn a_lucky_training_stays_behind_a_good_mean_where_noise_explains_all() {
        // Means spread less than noise has them: an estimate of the variance between candidates would be 0.
        let mut candidates: Vec<Vec<f64>> = (0..8).map(|i| vec![0.68 + 0.005 * f64::from(i)]).collect();
        candidates.push(vec![0.70, 0.82, 0.76, 0.78]);
        candidates.push(vec![0.77]);
        let prior = fit(&candidates);
        let of = |index: usize| prior.posterior(&candidates[index]).expect("a score");
        assert!(of(9).mean > of(8).mean && of(9).value < of(8).value, "{:?} {:?}", of(8), of(9));
    }

    #[test]
    fn with_equal_trainings_the_shrinkage_is_morris_factor() {
        // Means that do not differ, noise of variance v: the posterior of the variance between them is (v + A)^(-(k-1)/2),
        // and the expectation of v / (v + A) is (k - 3) / (k - 1).
        let candidates: Vec<Vec<f64>> = (0..10).map(|_| vec![0.4, 0.6]).collect();
        let prior = fit(&candidates);
        let known = prior.posterior(&[0.5, 0.7]).expect("scores");
        let shrinkage = (0.6 - known.value) / (0.6 - 0.5);
        assert!((shrinkage - 7.0 / 9.0).abs() < 2e-3, "{shrinkage}");
    }

    #[test]
    fn the_spread_of_candidates_is_found_beside_the_noise() {
        // Many means, spread with variance 5, noise of a mean 1 / 400: next to nothing is shrunk.
        let candidates: Vec<Vec<f64>> = (0..200)
            .map(|i| {
                let mean = f64::from(i % 20) * 0.387_8;
                vec![mean - 0.05, mean + 0.05]
            })
            .collect();
        let prior = fit(&candidates);
        let (centre, sd) = prior.moments().expect("they are known");
        assert!((centre - 9.5 * 0.387_8).abs() < 1e-6 && (sd - 5.0_f64.sqrt()).abs() < 0.05, "{centre} {sd}");
        let known = prior.posterior(&candidates[0]).expect("scores");
        assert!(
            (known.value - known.mean).abs() < 0.005 && (known.sd.unwrap_or(0.0) - 0.05).abs() < 0.001,
            "{known:?}"
        );
    }
}
