//! Named arrays of reference files, and distances between arrays.

use executor::weights::{Array, Weights};

use crate::error::{NetworkError, Result};

/// An array of a file by name.
pub(super) fn get<'a>(file: &'a Weights, name: &str) -> Result<&'a Array> {
    let missing = || NetworkError::Tensor { name: name.to_owned(), reason: "the file does not have it".to_owned() };
    file.arrays.get(name).ok_or_else(missing)
}

/// All arrays whose names start with `prefix`, without it.
pub(super) fn under(file: &Weights, prefix: &str) -> Weights {
    let kept = file.arrays.iter().filter_map(|(name, array)| Some((name.strip_prefix(prefix)?, array)));
    Weights { arrays: kept.map(|(name, array)| (name.to_owned(), array.clone())).collect(), dtype: file.dtype }
}

/// The largest absolute difference (infinite where the sizes differ), and the largest magnitude of `theirs`.
pub(super) fn difference(ours: &[f64], theirs: &[f64]) -> (f64, f64) {
    let scale = theirs.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    if ours.len() != theirs.len() {
        return (f64::INFINITY, scale);
    }
    let worst = ours.iter().zip(theirs).map(|(x, y)| (x - y).abs());
    // max() would pass over NaN
    (worst.fold(0.0, |most: f64, x| if x.is_nan() || most.is_nan() { f64::NAN } else { most.max(x) }), scale)
}

pub(super) fn norm<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    values.into_iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Euclidean distance.
pub(super) fn distance(ours: &[f64], theirs: &[f64]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::INFINITY;
    }
    ours.iter().zip(theirs).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
}

/// A matrix the other way round, anything else as it is: between the layouts `[in, out]` and `[out, in]`.
pub(super) fn transposed(array: &Array) -> Array {
    let [rows, columns] = array.shape[..] else { return array.clone() };
    let data = (0..columns)
        .flat_map(|column| (0..rows).map(move |row| row * columns + column))
        .map(|at| array.data.get(at).copied().unwrap_or(f64::NAN))
        .collect();
    Array { shape: vec![columns, rows], data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_notice_what_is_not_a_number_or_not_there() {
        assert_eq!(difference(&[1.0, 2.0], &[1.5, -4.0]), (6.0, 4.0));
        assert!(difference(&[f64::NAN, 1.0], &[1.0, 1.0]).0.is_nan());
        assert_eq!(difference(&[1.0], &[1.0, 1.0]).0, f64::INFINITY);
        assert_eq!(distance(&[3.0, 0.0], &[0.0, 4.0]), 5.0);
        assert_eq!(distance(&[], &[1.0]), f64::INFINITY);
    }

    #[test]
    fn matrices_transpose() {
        let matrix = Array { shape: vec![2, 3], data: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        let turned = transposed(&matrix);
        assert_eq!(turned.data, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(transposed(&turned), matrix);
    }
}
