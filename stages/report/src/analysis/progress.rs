//! How the search went, attempt by attempt.

use schemas::{Candidate, Locality};
use search::reach::executable;

use crate::run::{Run, is_evaluated, is_valid};

/// One candidate that training was spent on.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation<'a> {
    /// 0 for the seed program, then 1, 2, ... as in the literature's "evaluated candidates".
    pub number: usize,
    pub row: &'a Candidate,
    /// None: training failed.
    pub accuracy: Option<f64>,
    /// Largest accuracy so far, this one included.
    pub best: Option<f64>,
    /// Whether it is better than all before (the seed program never is).
    pub improves: bool,
}

/// All evaluated candidates in order. Without an evaluated seed program the first has number 1.
pub fn evaluations(run: &Run) -> Vec<Evaluation<'_>> {
    let mut best: Option<f64> = None;
    let mut list = Vec::new();
    let seed = run.seed_program();
    let mut add = |row: &'_ Candidate, number: usize| {
        let accuracy = row.ood_acc;
        let better = accuracy.is_some_and(|a| best.is_none_or(|b| a > b));
        if better {
            best = accuracy;
        }
        (accuracy, best, better && number > 0)
    };
    if let Some(row) = seed.filter(|row| is_evaluated(row)) {
        let (accuracy, best, improves) = add(row, 0);
        list.push(Evaluation { number: 0, row, accuracy, best, improves });
    }
    for (i, row) in run.proposals().filter(|row| is_evaluated(row)).enumerate() {
        let (accuracy, best, improves) = add(row, i + 1);
        list.push(Evaluation { number: i + 1, row, accuracy, best, improves });
    }
    list
}

/// Number of evaluated candidates until the accuracy reached the level; None if it never did.
pub fn reached(evaluations: &[Evaluation<'_>], level: f64) -> Option<usize> {
    evaluations.iter().find(|e| e.best.is_some_and(|best| best >= level)).map(|e| e.number)
}

/// Best accuracy over several runs after so many evaluated candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub number: usize,
    pub low: f64,
    pub mean: f64,
    pub high: f64,
}

/// The best so far over runs, from where every run has a score to the end of the longest; runs that have ended keep their
/// last value.
pub fn spread(runs: &[&[Evaluation<'_>]]) -> Vec<Spread> {
    let last = runs.iter().filter_map(|list| list.last()).map(|e| e.number).max().unwrap_or(0);
    let mut at: Vec<usize> = vec![0; runs.len()];
    let mut list = Vec::new();
    for number in 0..=last {
        let mut values = Vec::with_capacity(runs.len());
        for (run, at) in runs.iter().zip(&mut at) {
            while run.get(*at + 1).is_some_and(|next| next.number <= number) {
                *at += 1;
            }
            values.extend(run.get(*at).filter(|e| e.number <= number).and_then(|e| e.best));
        }
        if values.len() == runs.len() && !values.is_empty() {
            list.push(Spread {
                number,
                low: values.iter().copied().fold(f64::INFINITY, f64::min),
                mean: values.iter().sum::<f64>() / values.len() as f64,
                high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            });
        }
    }
    list
}

/// Cumulative rates after a number of attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Attempts so far, from 1.
    pub attempts: usize,
    /// Fraction of the checked attempts whose program can be executed; None while none is checked.
    pub executable: Option<f64>,
    /// Fraction of the same that went on to training.
    pub admitted: Option<f64>,
    /// Fraction of the attempts with a known reach whose edit left its factor; None while none is known.
    pub entangled: Option<f64>,
}

/// The rates after each attempt; the seed program is not an attempt.
pub fn rates(run: &Run) -> Vec<Rates> {
    let (mut checked, mut runs, mut admitted, mut known, mut entangled) = (0usize, 0usize, 0usize, 0usize, 0usize);
    run.proposals()
        .enumerate()
        .map(|(i, row)| {
            checked += usize::from(is_valid(row).is_some());
            runs += usize::from(executable(row) == Some(true));
            admitted += usize::from(is_valid(row) == Some(true));
            known += usize::from(row.locality.is_some());
            entangled += usize::from(row.locality == Some(Locality::Entangled));
            Rates {
                attempts: i + 1,
                executable: (checked > 0).then(|| runs as f64 / checked as f64),
                admitted: (checked > 0).then(|| admitted as f64 / checked as f64),
                entangled: (known > 0).then(|| entangled as f64 / known as f64),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Beside;
    use schemas::{Status, Verdict};

    fn row(attempt: i64, status: Status, ood: Option<f64>, locality: Option<Locality>) -> Candidate {
        Candidate {
            attempt,
            candidate_id: format!("c{attempt}"),
            parent_id: (attempt > 0).then(|| "c0".into()),
            status,
            ood_acc: ood,
            locality,
            verdict: Some(if status == Status::Rejected && locality.is_none() {
                Verdict::Reject
            } else {
                Verdict::Accept
            }),
            ..Candidate::default()
        }
    }

    fn run() -> Run {
        let local = Some(Locality::Local);
        Run::new(
            "r".into(),
            vec![
                row(0, Status::Scored, Some(0.3), None),
                row(1, Status::Rejected, None, None),
                row(2, Status::Scored, Some(0.25), local),
                row(3, Status::Rejected, None, Some(Locality::Entangled)),
                row(4, Status::Timeout, None, local),
                row(5, Status::Scored, Some(0.6), local),
            ],
            Beside::default(),
        )
    }

    #[test]
    fn failed_trainings_count_as_evaluated_and_rejected_programs_do_not() {
        let run = run();
        let list = evaluations(&run);
        assert_eq!(list.iter().map(|e| e.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(list.iter().map(|e| e.best).collect::<Vec<_>>(), [Some(0.3), Some(0.3), Some(0.3), Some(0.6)]);
        assert_eq!(list.iter().map(|e| e.improves).collect::<Vec<_>>(), [false, false, false, true]);
        assert_eq!(reached(&list, 0.3), Some(0));
        assert_eq!(reached(&list, 0.5), Some(3));
        assert_eq!(reached(&list, 0.9), None);
    }

    #[test]
    fn runs_that_ended_keep_their_best() {
        let long = run();
        let short = Run::new("s".into(), long.rows()[..3].to_vec(), Beside::default());
        let (a, b) = (evaluations(&long), evaluations(&short));
        let spread = spread(&[&a, &b]);
        assert_eq!(spread.iter().map(|s| s.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let end = spread[3];
        assert_eq!((end.low, end.high), (0.3, 0.6));
        assert!((end.mean - 0.45).abs() < 1e-12);
        assert!(super::spread(&[&a, &[]]).is_empty(), "a run without scores has no place in a mean");
    }

    #[test]
    fn rates_accumulate_over_attempts() {
        let run = run();
        let rates = rates(&run);
        assert_eq!(rates.len(), 5);
        let rate =
            |attempts, share, entangled| Rates { attempts, executable: Some(share), admitted: Some(share), entangled };
        assert_eq!(rates[0], rate(1, 0.0, None));
        assert_eq!(rates[2], rate(3, 2.0 / 3.0, Some(0.5)));
        assert_eq!(rates[4], rate(5, 0.8, Some(0.25)));
    }
}
