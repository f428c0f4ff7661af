//! How parameters start: the numbers that an [`Init`] stands for.

use crate::op::{Init, Param};
use crate::rng::Rng;

/// An initialisation that does not fit its parameter.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StartError {
    /// Literal values are fewer or more than the parameter has elements.
    #[error("{values} initial values for shape {shape:?}")]
    Values {
        /// How many values there are.
        values: usize,
        /// The parameter's shape.
        shape: Vec<usize>,
    },
    /// A position that is copied lies outside the tensor that is drawn.
    #[error("{of} has fewer elements than are copied")]
    Copied {
        /// The name of the parameter that is copied.
        of: String,
    },
}

/// The numbers of a buffer that files do not hold: it starts alike in every network.
pub fn transient(param: &Param) -> Result<Vec<f64>, StartError> {
    initial(&param.init, &param.shape, 0, &mut Rng::new(0, &param.name))
}

/// Draws one parameter, row-major, from its stream; what it copies of others is drawn from theirs.
pub fn initial(init: &Init, shape: &[usize], seed: u64, rng: &mut Rng) -> Result<Vec<f64>, StartError> {
    let count: usize = shape.iter().product();
    Ok(match init {
        Init::Constant(value) => vec![*value; count],
        Init::Values(values) if values.len() == count => values.clone(),
        Init::Values(values) => {
            return Err(StartError::Values { values: values.len(), shape: shape.to_vec() });
        }
        Init::Uniform { low, high } => (0..count).map(|_| low + (high - low) * rng.uniform()).collect(),
        Init::Normal { mean, std } => (0..count).map(|_| mean + std * rng.normal()).collect(),
        Init::TruncatedNormal { std, cut } => (0..count).map(|_| std * rng.truncated_normal(*cut)).collect(),
        Init::Affine { base, scale, shift } => {
            initial(base, shape, seed, rng)?.into_iter().map(|x| scale * x + shift).collect()
        }
        Init::Weighted { base, scale, shift } => {
            if let Some(wrong) = [scale, shift].into_iter().find(|numbers| numbers.len() != count) {
                return Err(StartError::Values { values: wrong.len(), shape: shape.to_vec() });
            }
            let base = initial(base, shape, seed, rng)?.into_iter();
            base.zip(scale.iter().zip(shift)).map(|(x, (scale, shift))| scale * x + shift).collect()
        }
        Init::BoundedNormal { mean, std, low, high } => {
            (0..count).map(|_| rng.bounded_normal(*mean, *std, *low, *high)).collect()
        }
        Init::Patched { base, places, part, init } => {
            let mut values = initial(base, shape, seed, rng)?;
            for (place, value) in places.iter().zip(initial(init, part, seed, rng)?) {
                if let Some(slot) = values.get_mut(*place as usize) {
                    *slot = value;
                }
            }
            values
        }
        Init::Copied { of, shape, init, places } => {
            let values = initial(init, shape, seed, &mut Rng::new(seed, of))?;
            let wrong = || StartError::Copied { of: of.clone() };
            places.iter().map(|at| values.get(*at as usize).copied().ok_or_else(wrong)).collect::<Result<_, _>>()?
        }
        Init::Lengths { of, shape, init, axis } => {
            let values = initial(init, shape, seed, &mut Rng::new(seed, of))?;
            let inner: usize = axis.map_or(1, |axis| shape.iter().skip(axis + 1).product()).max(1);
            let mut squares = vec![0.0; count];
            for (at, value) in values.iter().enumerate() {
                let place = if axis.is_some() { at / inner % count.max(1) } else { 0 };
                if let Some(sum) = squares.get_mut(place) {
                    *sum += value * value;
                }
            }
            squares.into_iter().map(f64::sqrt).collect()
        }
        Init::Eye => {
            let columns = shape.get(1).copied().unwrap_or(1).max(1);
            (0..count).map(|at| f64::from(u8::from(at / columns == at % columns))).collect()
        }
        Init::Orthogonal { gain } => orthogonal(*gain, shape, rng),
    })
}

/// Rows, or columns where there are more rows, that are orthonormal, times `gain`; all axes but the first count as
/// columns. Gram-Schmidt on a normal matrix gives the uniform distribution that PyTorch's signed QR gives.
fn orthogonal(gain: f64, shape: &[usize], rng: &mut Rng) -> Vec<f64> {
    let rows = shape.first().copied().unwrap_or(1).max(1);
    let columns = (shape.iter().product::<usize>() / rows).max(1);
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut v: Vec<f64> = (0..length).map(|_| rng.normal()).collect();
        // twice, for the digits that the first pass loses
        for other in vectors.iter().chain(&vectors) {
            let along: f64 = v.iter().zip(other).map(|(x, y)| x * y).sum();
            v.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
        }
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 1e-9 {
            vectors.push(v.into_iter().map(|x| x / norm).collect());
        }
    }
    let at = |row: usize, column: usize| {
        let (vector, along) = if rows <= columns { (row, column) } else { (column, row) };
        vectors.get(vector).and_then(|v| v.get(along)).map_or(0.0, |x| gain * x)
    };
    (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).map(|(r, c)| at(r, c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_values_follow_their_rules() {
        let draw = |init: Init, shape: &[usize]| initial(&init, shape, 1, &mut Rng::new(1, "p")).expect("draws");
        let lengths = |axis| Init::Lengths {
            of: "v".to_owned(),
            shape: vec![2, 2],
            init: Box::new(Init::Values(vec![3.0, 4.0, 0.0, 12.0])),
            axis,
        };
        assert_eq!(draw(lengths(Some(0)), &[2, 1]), [5.0, 12.0]);
        assert_eq!(draw(lengths(Some(1)), &[1, 2]), [3.0, 160.0_f64.sqrt()]);
        assert_eq!(draw(lengths(None), &[]), [13.0]);
        assert_eq!(draw(Init::Constant(-3.0), &[2]), [-3.0, -3.0]);
        assert_eq!(draw(Init::Eye, &[2, 3]), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert!(draw(Init::TruncatedNormal { std: 0.5, cut: 2.0 }, &[64, 64]).iter().all(|x| x.abs() <= 1.0));
        assert!(draw(Init::Uniform { low: -0.25, high: 0.25 }, &[1000]).iter().all(|x| x.abs() <= 0.25));
        let base = Box::new(Init::Constant(2.0));
        assert_eq!(draw(Init::Affine { base, scale: 0.5, shift: 1.0 }, &[1]), [2.0]);
        let weighted = |scale: Vec<f64>, shift: Vec<f64>| {
            let base = Box::new(Init::Uniform { low: 2.0, high: 2.0 });
            initial(&Init::Weighted { base, scale, shift }, &[2], 1, &mut Rng::new(1, "p"))
        };
        assert_eq!(weighted(vec![0.0, 0.5], vec![1.0, -1.0]).expect("draws"), [1.0, 0.0]);
        assert!(weighted(vec![1.0], vec![0.0; 2]).is_err() && weighted(vec![1.0; 2], vec![0.0; 3]).is_err());
        assert!(initial(&Init::Values(vec![1.0]), &[2], 1, &mut Rng::new(1, "p")).is_err());
        let bounded = draw(Init::BoundedNormal { mean: 0.0, std: 1.0, low: 0.5, high: 3.0 }, &[1000]);
        assert!(bounded.iter().all(|x| (0.5..=3.0).contains(x)));
        let base = Box::new(Init::Uniform { low: 0.0, high: 1.0 });
        let patched =
            Init::Patched { base, places: vec![3, 1], part: vec![2], init: Box::new(Init::Values(vec![5.0, 6.0])) };
        let values = draw(patched, &[2, 2]);
        assert_eq!((values[1], values[3]), (6.0, 5.0));
        // a copy starts as its source does, transposed here
        let source = Init::Normal { mean: 0.0, std: 1.0 };
        let copied = Init::Copied {
            of: "p".into(),
            shape: vec![2, 2],
            init: Box::new(source.clone()),
            places: vec![0, 2, 1, 3],
        };
        let (drawn, copy) =
            (draw(source, &[2, 2]), initial(&copied, &[2, 2], 1, &mut Rng::new(1, "q")).expect("draws"));
        assert_eq!(copy, [drawn[0], drawn[2], drawn[1], drawn[3]]);
    }

    #[test]
    fn orthogonal_matrices_are() {
        for shape in [[3, 5], [5, 3], [4, 4]] {
            let data = initial(&Init::Orthogonal { gain: 2.0 }, &shape, 1, &mut Rng::new(1, "p")).expect("draws");
            let (rows, columns) = (shape[0], shape[1]);
            let get = |row: usize, column: usize| data[row * columns + column];
            for one in 0..rows.min(columns) {
                for two in 0..rows.min(columns) {
                    let product: f64 = if rows <= columns {
                        (0..columns).map(|at| get(one, at) * get(two, at)).sum()
                    } else {
                        (0..rows).map(|at| get(at, one) * get(at, two)).sum()
                    };
                    let expected = if one == two { 4.0 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-9, "{shape:?}: {product}");
                }
            }
        }
    }
}
