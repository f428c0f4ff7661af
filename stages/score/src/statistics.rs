//! Means and spreads over training seeds.

/// The mean; `None` of nothing, or where a value is not finite.
pub fn mean(values: &[f64]) -> Option<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    mean.is_finite().then_some(mean)
}

/// The standard deviation (n - 1); 0 for one value.
pub fn std(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let sum: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((sum / (values.len().max(2) - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_of_a_sample() {
        assert_eq!((mean(&[0.25, 0.75]), std(&[0.25, 0.75])), (Some(0.5), Some(0.125_f64.sqrt())));
        assert_eq!((mean(&[0.25]), std(&[0.25])), (Some(0.25), Some(0.0)));
    }

    #[test]
    fn missing_and_non_finite_values_have_no_mean() {
        for values in [&[][..], &[0.5, f64::NAN], &[f64::INFINITY]] {
            assert_eq!((mean(values), std(values)), (None, None));
        }
    }
}
