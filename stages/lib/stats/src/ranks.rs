//! Ranks, with ties sharing their mean, and what is computed from them.

use crate::{Undefined, finite, mean};

/// Ranks from 1; equal values share the mean of their ranks, so that their order in the list does not matter.
///
/// # Errors
/// [`Undefined::NotFinite`]
pub fn ranks(values: &[f64]) -> Result<Vec<f64>, Undefined> {
    finite(values)?;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        // == and not total_cmp: 0 and -0 are a tie
        let end = (start..order.len()).find(|&i| values[order[i]] != values[order[start]]).unwrap_or(order.len());
        for &index in &order[start..end] {
            ranks[index] = 0.5 * (start + 1 + end) as f64;
        }
        start = end;
    }
    Ok(ranks)
}

/// Spearman's rank correlation, in -1..=1, ties sharing ranks.
///
/// # Errors
/// [`Undefined::Unpaired`], [`Undefined::TooFew`] for fewer than two pairs, [`Undefined::Constant`] where one side does not
/// vary, [`Undefined::NotFinite`]
pub fn spearman(a: &[f64], b: &[f64]) -> Result<f64, Undefined> {
    if a.len() != b.len() {
        return Err(Undefined::Unpaired);
    }
    if a.len() < 2 {
        return Err(Undefined::TooFew);
    }
    let (a, b) = (ranks(a)?, ranks(b)?);
    let (a_mean, b_mean) = (mean(&a)?, mean(&b)?);
    let sum = |x: &[f64], x_mean: f64, y: &[f64], y_mean: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - x_mean) * (y - y_mean)).sum()
    };
    let spread = sum(&a, a_mean, &a, a_mean) * sum(&b, b_mean, &b, b_mean);
    if spread <= 0.0 {
        return Err(Undefined::Constant);
    }
    Ok((sum(&a, a_mean, &b, b_mean) / spread.sqrt()).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranks_are_scipys() {
        // scipy 1.17.1: rankdata([3, 1, 3, 2, 3, -1]) and spearmanr(..., [2, 2, 5, 1, 9, 0])
        let values = [3.0, 1.0, 3.0, 2.0, 3.0, -1.0];
        assert_eq!(ranks(&values), Ok(vec![5.0, 2.0, 5.0, 3.0, 5.0, 1.0]));
        assert_eq!(ranks(&[0.0, -0.0]), Ok(vec![1.5, 1.5]));
        let rho = spearman(&values, &[2.0, 2.0, 5.0, 1.0, 9.0, 0.0]).unwrap();
        assert!((rho - 0.8008534347238067).abs() < 1e-12, "{rho}");
    }

    #[test]
    fn what_has_no_ranks_says_why() {
        assert_eq!(ranks(&[f64::NAN]), Err(Undefined::NotFinite));
        assert_eq!(ranks(&[]), Ok(vec![]));
        assert_eq!(spearman(&[1.0, 2.0], &[1.0]), Err(Undefined::Unpaired));
        assert_eq!(spearman(&[1.0], &[1.0]), Err(Undefined::TooFew));
        assert_eq!(spearman(&[1.0, 2.0], &[3.0, 3.0]), Err(Undefined::Constant));
    }

    proptest! {
        #[test]
        fn ties_do_not_depend_on_the_order(values in prop::collection::vec(0..4i32, 1..30)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let turned: Vec<f64> = values.iter().rev().copied().collect();
            let mut expected = ranks(&values).unwrap();
            expected.reverse();
            prop_assert_eq!(ranks(&turned).unwrap(), expected);
        }
    }
}
