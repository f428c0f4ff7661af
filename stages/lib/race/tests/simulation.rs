//! Searches whose truth is known: candidates with true accuracies, trainings with noise. Racing, shrinkage and confirmation
//! are the functions that the stages apply.

use race::confirm::{choose, gain};
use race::racing::{Rounds, open};
use race::{Posterior, Prior};

/// Random numbers that are the same in every run of the tests (SplitMix64), and normal ones made of them (Box and Muller).
struct Random {
    state: u64,
    /// Whether the noise of trainings is skewed, as a measured one is: most trainings end a little below their program's mean,
    /// and few far above it.
    skewed: bool,
}

impl Random {
    fn new(seed: u64) -> Self {
        Self { state: seed, skewed: false }
    }

    /// The noise of a training: mean 0, standard deviation 1.
    fn noise(&mut self) -> f64 {
        if self.skewed { -(1.0 - self.unit()).ln() - 1.0 } else { self.normal() }
    }

    fn unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (radius, angle) = ((-2.0 * (1.0 - self.unit()).ln()).sqrt(), std::f64::consts::TAU * self.unit());
        radius * angle.cos()
    }
}

/// Standard deviations as they were measured: candidates differ by a point and more, trainings of one of them by four.
const BETWEEN: f64 = 0.02;
const NOISE: f64 = 0.04;
/// What the graphs of a seed do to all programs that are trained with it.
const SHARED: f64 = 0.02;
const CENTRE: f64 = 0.70;
const GENERATIONS: usize = 4;
const SIZE: usize = 8;

/// A search: its candidates' truths and the scores of their trainings, in generations. The first is the seed program.
struct Search {
    truths: Vec<f64>,
    scores: Vec<Vec<f64>>,
}

impl Search {
    /// Generations of candidates around the same centre as the seed program, raced as the stages race them.
    fn new(random: &mut Random, rounds: Rounds) -> Self {
        let mut search = Self { truths: Vec::new(), scores: Vec::new() };
        for generation in 0..=GENERATIONS {
            let before = search.truths.len();
            for slot in 0..if generation == 0 { 1 } else { SIZE } {
                let truth = if generation == 0 { CENTRE } else { CENTRE + BETWEEN * random.normal() };
                search.truths.push(truth);
                let scores = (0..rounds.first).map(|_| truth + NOISE * random.noise()).collect();
                search.scores.push(scores);
                assert_eq!(search.scores.len(), before + slot + 1);
            }
            for round in 1..=rounds.count() {
                let slices: Vec<&[f64]> = search.scores.iter().map(Vec::as_slice).collect();
                let (others, these) = slices.split_at(before);
                for index in open(these, others, rounds, round) {
                    let score = search.truths[before + index] + NOISE * random.noise();
                    search.scores[before + index].push(score);
                }
            }
        }
        search
    }

    fn trainings(&self) -> usize {
        self.scores.iter().map(Vec::len).sum()
    }

    fn posteriors(&self) -> Vec<Posterior> {
        let slices: Vec<&[f64]> = self.scores.iter().map(Vec::as_slice).collect();
        let prior = Prior::fit(&slices).expect("there are scores");
        slices.iter().filter_map(|scores| prior.posterior(scores)).collect()
    }

    /// The candidates, the seed program apart, by fitness.
    fn ranked(&self) -> Vec<usize> {
        let posteriors = self.posteriors();
        let mut ranked: Vec<usize> = (1..self.truths.len()).collect();
        ranked.sort_by(|&a, &b| posteriors[b].value.total_cmp(&posteriors[a].value).then(a.cmp(&b)));
        ranked
    }

    /// The candidate whose truth is the best.
    fn best(&self) -> usize {
        (1..self.truths.len()).max_by(|&a, &b| self.truths[a].total_cmp(&self.truths[b])).expect("candidates")
    }
}

/// Scores of some programs on `count` fresh seeds, each program on the same ones.
fn fresh(random: &mut Random, truths: &[f64], count: usize) -> Vec<Vec<f64>> {
    let mut scores = vec![Vec::new(); truths.len()];
    for _ in 0..count {
        let shared = SHARED * random.normal();
        for (scores, truth) in scores.iter_mut().zip(truths) {
            scores.push(truth + shared + NOISE * random.noise());
        }
    }
    scores
}

/// What a search reports, and what is true.
struct Outcome {
    reported: race::Gain,
    /// Of the chosen candidate over the seed program.
    truth: f64,
    /// The gain that the best mean of the search would have claimed, and what was true of that candidate.
    naive: (f64, f64),
    /// Fitness of the search's best, and its truth.
    fitness: (f64, f64),
}

fn searched(random: &mut Random) -> Outcome {
    let search = Search::new(random, Rounds { first: 1, most: 4 });
    let leaders = &search.ranked()[..4];
    let truths: Vec<f64> = leaders.iter().map(|&index| search.truths[index]).collect();
    let choosing = fresh(random, &truths, 4);
    let chosen = leaders[choose(&choosing.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("scores")];
    let report = fresh(random, &[search.truths[chosen], search.truths[0]], 8);
    let posteriors = search.posteriors();
    let naive = (1..search.truths.len())
        .max_by(|&a, &b| posteriors[a].mean.total_cmp(&posteriors[b].mean))
        .expect("candidates");
    Outcome {
        reported: gain(&report[0], &report[1]).expect("pairs"),
        truth: search.truths[chosen] - search.truths[0],
        naive: (posteriors[naive].mean - posteriors[0].mean, search.truths[naive] - search.truths[0]),
        fitness: (posteriors[leaders[0]].value, search.truths[leaders[0]]),
    }
}

/// Mean and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[test]
fn confirmed_gains_are_unbiased_where_naive_ones_are_not() {
    let mut random = Random::new(1);
    let outcomes: Vec<Outcome> = (0..200).map(|_| searched(&mut random)).collect();
    let errors: Vec<f64> = outcomes.iter().map(|outcome| outcome.reported.mean - outcome.truth).collect();
    let (error, standard_error) = mean(&errors);
    println!("error of confirmed gains: {error:.4} ± {standard_error:.4}");
    assert!(error.abs() < 2.5 * standard_error, "{error} ± {standard_error}");
    // The test can tell: the same searches' own claims are too high by far more than that.
    let (naive, of_naive) = mean(&outcomes.iter().map(|o| o.naive.0 - o.naive.1).collect::<Vec<_>>());
    println!("error of gains as measured in the search: {naive:.4} ± {of_naive:.4}");
    assert!(naive > 5.0 * of_naive && naive > 0.01, "{naive} ± {of_naive}");
    // Shrinkage takes most of that away.
    let (shrunk, of_shrunk) = mean(&outcomes.iter().map(|o| o.fitness.0 - o.fitness.1).collect::<Vec<_>>());
    println!("error of the best one's fitness: {shrunk:.4} ± {of_shrunk:.4}");
    assert!(shrunk.abs() < 0.3 * naive, "{shrunk} ± {of_shrunk}");
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let mut random = Random::new(2);
    let runs = 4000;
    let outcomes: Vec<Outcome> = (0..runs).map(|_| searched(&mut random)).collect();
    let holds = |o: &&Outcome| o.reported.lower <= Some(o.truth) && o.reported.upper >= Some(o.truth);
    let covered = outcomes.iter().filter(holds).count() as f64 / f64::from(runs);
    println!("95 % intervals cover the truth in {:.1} % of {runs} searches", 100.0 * covered);
    assert!((0.93..=0.97).contains(&covered), "{covered}");
    let confirmed = outcomes.iter().filter(|o| o.reported.confirmed()).count();
    let wrongly = outcomes.iter().filter(|o| o.reported.confirmed() && o.truth <= 0.0).count();
    println!("confirmed: {confirmed}, of candidates that are no better: {wrongly}");
    assert!(confirmed > 0 && (wrongly as f64) < 0.025 * f64::from(runs));
}

#[test]
fn skewed_noise_does_no_harm() {
    let mut random = Random { skewed: true, ..Random::new(5) };
    let runs = 4000;
    let outcomes: Vec<Outcome> = (0..runs).map(|_| searched(&mut random)).collect();
    let errors: Vec<f64> = outcomes.iter().map(|outcome| outcome.reported.mean - outcome.truth).collect();
    let (error, standard_error) = mean(&errors);
    println!("skewed noise: error of confirmed gains {error:.4} ± {standard_error:.4}");
    assert!(error.abs() < 2.5 * standard_error, "{error} ± {standard_error}");
    let holds = |o: &&Outcome| o.reported.lower <= Some(o.truth) && o.reported.upper >= Some(o.truth);
    let covered = outcomes.iter().filter(holds).count() as f64 / f64::from(runs);
    println!("skewed noise: 95 % intervals cover the truth in {:.1} %", 100.0 * covered);
    assert!((0.93..=0.97).contains(&covered), "{covered}");
}

#[test]
fn where_nothing_is_better_hardly_anything_is_confirmed() {
    let mut random = Random::new(3);
    let runs = 4000;
    // All programs are the same: whoever is chosen gains nothing.
    let significant = |random: &mut Random| {
        let report = fresh(random, &[CENTRE, CENTRE], 8);
        gain(&report[0], &report[1]).is_some_and(|gain| gain.p <= 0.05)
    };
    let share = (0..runs).filter(|_| significant(&mut random)).count() as f64 / f64::from(runs);
    println!("p at most 0.05 without any gain: {:.1} %", 100.0 * share);
    assert!((0.03..=0.06).contains(&share), "{share}");
}

#[test]
fn racing_finds_the_best_more_often_than_one_training_each() {
    let mut random = Random::new(4);
    let runs = 3000;
    let racing = Rounds { first: 1, most: 4 };
    let (mut raced, mut once) = ((0, Vec::new()), (0, Vec::new()));
    let (mut spent, mut spent_once) = (0, 0);
    for _ in 0..runs {
        let search = Search::new(&mut random, racing);
        let found = search.ranked()[0];
        raced.0 += usize::from(found == search.best());
        raced.1.push(search.truths[found]);
        spent += search.trainings();
        // The same number of trainings, one for each candidate: more candidates can be looked at.
        let truths: Vec<f64> = (0..search.trainings() - 1).map(|_| CENTRE + BETWEEN * random.normal()).collect();
        let scores: Vec<f64> = truths.iter().map(|truth| truth + NOISE * random.noise()).collect();
        let largest = |values: &[f64]| (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b]));
        let found = largest(&scores).expect("candidates");
        once.0 += usize::from(Some(found) == largest(&truths));
        once.1.push(truths[found]);
        spent_once += truths.len() + 1;
    }
    assert_eq!(spent, spent_once);
    let share = |found: usize| found as f64 / f64::from(runs);
    let ((raced_mean, error), (once_mean, _)) = (mean(&raced.1), mean(&once.1));
    println!("the best is found: raced {:.3}, one training each {:.3}", share(raced.0), share(once.0));
    println!("truth of what is found: raced {raced_mean:.4}, one training each {once_mean:.4}, ± {error:.4}");
    println!("trainings of a search: {:.1}", spent as f64 / f64::from(runs));
    // Four standard errors of a difference of shares.
    let margin = 4.0 * (2.0 * share(raced.0) / f64::from(runs)).sqrt();
    assert!(share(raced.0) > share(once.0) + margin, "{raced:?} {once:?}", raced = raced.0, once = once.0);
    assert!(raced_mean > once_mean, "what racing finds is worse, though it is the best of its candidates more often");
}
