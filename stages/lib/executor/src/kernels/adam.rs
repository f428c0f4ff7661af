//! Adam with clipping by the global norm, in one pass.

use super::extremes::{part, put_part};
use super::real::Real;
use super::vector::{Vector, Work, widest};
use super::{KernelError, check_length};

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    /// Outside the root, after bias correction.
    pub epsilon: f64,
    /// The number of the step, from 1.
    pub number: i32,
    /// Where gradients are clipped: their norm, and the largest that is wanted.
    pub clip: Option<Clip>,
}

/// Gradients are divided by `norm`, then multiplied by `limit`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    pub norm: f64,
    pub limit: f64,
}

/// The Euclidean norm of x `[n]`, added up in float64 in a fixed order.
pub fn norm<T: Real>(x: &[T]) -> f64 {
    squares(x).sqrt()
}

/// The sum of the squares of x `[n]`, in float64: the norm of several slices is the root of the sum of theirs.
pub fn squares<T: Real>(x: &[T]) -> f64 {
    widest(Squares(x))
}

struct Squares<'a, T>(&'a [T]);

impl<T: Real> Work<T> for Squares<'_, T> {
    type Out = f64;
    #[inline(always)]
    fn run<V: Vector<T>>(self) -> f64 {
        const SUMS: usize = 32;
        let mut sums = [0.0; SUMS];
        let chunks = self.0.chunks_exact(SUMS);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum += x.to_f64() * x.to_f64();
            }
        }
        let mut half = SUMS / 2;
        while half > 0 {
            for at in 0..half {
                sums[at] += sums[at + half];
            }
            half /= 2;
        }
        rest.iter().fold(sums[0], |sum, x| sum + x.to_f64() * x.to_f64())
    }
}

/// Updates `parameters`, `mean` and `square`, given the gradient; all are `[n]`. Each operation is rounded like the one on
/// whole tensors that it stands for.
///
/// # Errors
/// Where slices are not equally long; nothing is changed then.
pub fn step<T: Real>(
    how: &Step,
    gradient: &[T],
    parameters: &mut [T],
    mean: &mut [T],
    square: &mut [T],
) -> Result<(), KernelError> {
    let size = parameters.len();
    for (number, got) in [gradient.len(), mean.len(), square.len()].into_iter().enumerate() {
        check_length("slice", number, got, size)?;
    }
    widest(Update { how, gradient, parameters, mean, square });
    Ok(())
}

struct Update<'a, T> {
    how: &'a Step,
    gradient: &'a [T],
    parameters: &'a mut [T],
    mean: &'a mut [T],
    square: &'a mut [T],
}

impl<T: Real> Work<T> for Update<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self { how, gradient, parameters, mean, square } = self;
        let number = |x: f64| V::splat(T::from_f64(x));
        let (old_mean, new_mean) = (number(how.beta1), number(1.0 - how.beta1));
        let (old_square, new_square) = (number(how.beta2), number(1.0 - how.beta2));
        let mean_bias = number(1.0 - how.beta1.powi(how.number));
        let square_bias = number(1.0 - how.beta2.powi(how.number));
        let (epsilon, rate) = (number(how.epsilon), number(how.learning_rate));
        let clip = how.clip.map(|clip| (number(clip.norm), number(clip.limit)));
        let mut start = 0;
        while start < parameters.len() {
            let count = V::WIDTH.min(parameters.len() - start);
            // SAFETY: all slices are at least as long as `parameters`.
            unsafe {
                let mut g: V = part(gradient.as_ptr().add(start), count);
                if let Some((norm, limit)) = clip {
                    g = g.div(norm).mul(limit);
                }
                let m = part::<T, V>(mean.as_ptr().add(start), count).mul(old_mean).add(g.mul(new_mean));
                let s = part::<T, V>(square.as_ptr().add(start), count).mul(old_square);
                let s = s.add(g.mul(g).mul(new_square));
                let root = s.div(square_bias).sqrt().add(epsilon);
                let change = m.div(mean_bias).div(root).mul(rate);
                let p = part::<T, V>(parameters.as_ptr().add(start), count).sub(change);
                put_part(m, mean.as_mut_ptr().add(start), count);
                put_part(s, square.as_mut_ptr().add(start), count);
                put_part(p, parameters.as_mut_ptr().add(start), count);
            }
            start += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::Random;

    fn check<T: Real>(size: usize, clip: Option<Clip>, random: &mut Random) {
        let mut numbers = |count: usize| -> Vec<T> { (0..count).map(|_| T::from_f64(random.number())).collect() };
        let (mut p, mut m) = (numbers(size), vec![T::ZERO; size]);
        let mut s = m.clone();
        let (mut wanted_p, mut wanted_m, mut wanted_s) = (p.clone(), m.clone(), s.clone());
        for round in 1..4 {
            let g = numbers(size);
            let how = Step { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, number: round, clip };
            step(&how, &g, &mut p, &mut m, &mut s).unwrap();
            let number = T::from_f64;
            for at in 0..size {
                let g = clip.map_or(g[at], |clip| g[at] / number(clip.norm) * number(clip.limit));
                wanted_m[at] = wanted_m[at] * number(0.9) + g * number(1.0 - 0.9);
                wanted_s[at] = wanted_s[at] * number(0.999) + g * g * number(1.0 - 0.999);
                let root = (wanted_s[at] / number(1.0 - 0.999_f64.powi(round))).sqrt() + number(1e-8);
                let change = wanted_m[at] / number(1.0 - 0.9_f64.powi(round)) / root * number(1e-3);
                wanted_p[at] = wanted_p[at] - change;
            }
        }
        assert_eq!((p, m, s), (wanted_p, wanted_m, wanted_s));
    }

    #[test]
    fn steps_are_rounded_operation_by_operation() {
        let mut random = Random(5);
        for size in [0, 1, 7, 16, 100, 1000] {
            for clip in [None, Some(Clip { norm: 3.7, limit: 1.0 })] {
                check::<f32>(size, clip, &mut random);
                check::<f64>(size, clip, &mut random);
            }
        }
        let how = Step { learning_rate: 1.0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, number: 1, clip: None };
        assert!(step(&how, &[1.0_f32], &mut [0.0; 2], &mut [0.0; 2], &mut [0.0; 2]).is_err());
    }

    #[test]
    fn norms() {
        assert_eq!(norm(&[3.0_f32, 4.0]), 5.0);
        let x: Vec<f64> = (0..1001).map(f64::from).collect();
        assert!((squares(&x) - x.iter().map(|x| x * x).sum::<f64>()).abs() < 1e-3);
        assert!(norm(&[1.0, f64::NAN]).is_nan());
    }
}
