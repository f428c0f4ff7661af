//! The rules of `race`, applied to rows: whose trainings count, and what is known of each candidate.

use race::{Posterior, Prior};
use schemas::Candidate;

use crate::population::fitness;

/// The accuracy of each training of a scored row on the split that fitness is taken from: the benchmark's test split where
/// `by_test`, else the out-of-distribution one. `None` of rows that do not count, of those that only say a mean, and of those
/// whose fitness is something else: a stage of the user's own has set it.
#[must_use]
pub fn scores(row: &Candidate, by_test: bool) -> Option<&[f64]> {
    let fitness = fitness(row)?;
    let scores = if by_test { row.test_acc_seeds.as_deref() } else { row.ood_acc_seeds.as_deref() };
    let scores = scores.filter(|scores| !scores.is_empty() && scores.iter().all(|score| score.is_finite()))?;
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    // What was shrunk before is ours, too, and says so.
    (row.fitness_mean.is_some() || (fitness - mean).abs() < SAME).then_some(scores)
}

/// Means of the same scores that were added up in another way differ by less.
const SAME: f64 = 1e-9;

/// Fills the columns about fitness, from all rows of a run together. A row without scores of single trainings keeps the
/// fitness that it has.
pub fn shrink(rows: &mut [&mut Candidate], by_test: bool) {
    let all: Vec<&[f64]> = rows.iter().filter_map(|row| scores(row, by_test)).collect();
    let prior = Prior::fit(&all);
    let known: Vec<Option<Posterior>> =
        rows.iter().map(|row| prior.as_ref()?.posterior(scores(row, by_test)?)).collect();
    for (row, known) in rows.iter_mut().zip(known) {
        row.trainings = known.and_then(|known| i64::try_from(known.trainings).ok());
        row.fitness_mean = known.map(|known| known.mean);
        row.fitness_se = known.and_then(|known| known.std_error);
        row.fitness_sd = known.and_then(|known| known.sd);
        row.fitness_lower = known.and_then(|known| known.lower());
        if let Some(known) = known {
            row.fitness = Some(known.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::Status;

    use super::*;
    use crate::population::examples::{failed, scored};

    fn trained(slot: i64, ood: &[f64], test: &[f64]) -> Candidate {
        Candidate {
            ood_acc_seeds: Some(ood.to_vec()),
            test_acc_seeds: Some(test.to_vec()),
            ..scored(1, slot, 0, ood.iter().sum::<f64>() / ood.len() as f64)
        }
    }

    fn shrunk(mut rows: Vec<Candidate>, by_test: bool) -> Vec<Candidate> {
        shrink(&mut rows.iter_mut().collect::<Vec<_>>(), by_test);
        rows
    }

    #[test]
    fn a_lucky_training_is_shrunk_below_a_good_candidate() {
        let mut rows: Vec<Candidate> =
            (0..8).map(|slot| trained(slot, &[0.68 + 0.005 * slot as f64], &[0.5])).collect();
        rows.push(trained(8, &[0.70, 0.82, 0.76, 0.78], &[0.5; 4]));
        rows.push(trained(9, &[0.77], &[0.5]));
        rows.push(failed(1, 10, 0, Status::Timeout));
        let rows = shrunk(rows, false);
        let (often, once, bad) = (&rows[8], &rows[9], &rows[10]);
        assert!(often.fitness > once.fitness && once.fitness_mean > often.fitness_mean, "{often:?} {once:?}");
        assert_eq!((often.trainings, once.trainings), (Some(4), Some(1)));
        assert!(often.fitness_se < once.fitness_se && often.fitness_lower > once.fitness_lower);
        assert_eq!((bad.fitness, bad.trainings, bad.fitness_sd), (None, None, None));
        // Shrinking what is shrunk changes nothing: the scores say it all.
        assert_eq!(shrunk(rows.clone(), false), rows);
    }

    #[test]
    fn fitness_is_of_its_own_split_and_stays_where_scores_are_not_known() {
        let by_test = Candidate { fitness: Some(0.3), ..trained(0, &[0.5, 0.7], &[0.2, 0.4]) };
        let rows = vec![by_test, scored(1, 1, 0, 0.9)];
        let rows = shrunk(rows, true);
        assert!(rows[0].fitness.is_some_and(|fitness| (fitness - 0.3).abs() < 1e-12), "{:?}", rows[0].fitness);
        assert_eq!((rows[1].fitness, rows[1].trainings), (Some(0.9), None));
    }

    #[test]
    fn a_fitness_of_the_users_own_stays_and_is_no_measurement() {
        let own = Candidate { fitness: Some(0.875), ..trained(4, &[0.7, 0.8], &[0.5, 0.5]) };
        let mut rows: Vec<Candidate> = (0..4).map(|slot| trained(slot, &[0.68, 0.7], &[0.5, 0.5])).collect();
        rows.push(own);
        let rows = shrunk(rows, false);
        assert_eq!((rows[4].fitness, rows[4].fitness_mean, scores(&rows[4], false)), (Some(0.875), None, None));
        assert_eq!(rows[0].trainings, Some(2));
    }
}
