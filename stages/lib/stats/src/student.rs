//! Student's t distribution, by the regularised incomplete beta function.

use crate::Undefined;

/// P(T <= t) for `df` degrees of freedom, which need not be whole.
///
/// # Errors
/// [`Undefined::OutOfRange`] unless `df` is positive and finite, [`Undefined::NotFinite`] for a NaN.
pub fn student_cdf(t: f64, df: f64) -> Result<f64, Undefined> {
    if !(df > 0.0 && df.is_finite()) {
        return Err(Undefined::OutOfRange);
    }
    if t.is_nan() {
        return Err(Undefined::NotFinite);
    }
    let upper = 0.5 * upper_tail_twice(t.abs(), df);
    Ok(if t > 0.0 { 1.0 - upper } else { upper })
}

/// The t with P(T <= t) = `p`.
///
/// # Errors
/// [`Undefined::OutOfRange`] unless 0 < p < 1 and `df` is at least 0.1 and finite: below, quantiles leave the range of f64.
pub fn student_quantile(p: f64, df: f64) -> Result<f64, Undefined> {
    if !(p > 0.0 && p < 1.0 && df >= 0.1 && df.is_finite()) {
        return Err(Undefined::OutOfRange);
    }
    // The tail is what is small, so that it is what is searched: 1 - p would lose its digits.
    let tail = 2.0 * p.min(1.0 - p);
    let (mut low, mut high) = (0.0, 1.0);
    while upper_tail_twice(high, df) > tail {
        low = high;
        high *= 2.0;
        if !f64::is_finite(high) {
            return Err(Undefined::OutOfRange);
        }
    }
    // Bisection cannot fail, and a table needs a few hundred quantiles, not millions.
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if upper_tail_twice(middle, df) > tail { low = middle } else { high = middle }
    }
    let t = 0.5 * (low + high);
    Ok(if p < 0.5 { -t } else { t })
}

/// P(|T| >= t) for t >= 0.
fn upper_tail_twice(t: f64, df: f64) -> f64 {
    let square = t * t;
    if square.is_infinite() {
        return 0.0;
    }
    // The fraction takes the longer, the more degrees of freedom; here the normal is right to twelve digits
    // (Abramowitz and Stegun 26.7.8).
    if df > 1e6 {
        let z = t * (1.0 - 0.25 / df) / (1.0 + 0.5 * square / df).sqrt();
        return libm::erfc(z / std::f64::consts::SQRT_2);
    }
    half_beta(df / (df + square), square / (df + square), 0.5 * df)
}

/// The incomplete beta function I_x(a, 1/2) with `rest` = 1 - x, which the caller knows to more digits than a subtraction
/// would leave.
fn half_beta(x: f64, rest: f64, a: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if rest <= 0.0 {
        return 1.0;
    }
    let b = 0.5;
    let log_x = if rest < 0.5 { (-rest).ln_1p() } else { x.ln() };
    let front = (ln_gamma_step(a) - 0.5 * std::f64::consts::PI.ln() + a * log_x + b * rest.ln()).exp();
    // The fraction converges fast below this point; above it the other tail is computed (DLMF 8.17.4).
    if x < (a + 1.0) / (a + b + 2.0) { front * fraction(x, a, b) / a } else { 1.0 - front * fraction(rest, b, a) / b }
}

/// ln Γ(a + 1/2) - ln Γ(a). Both are huge where a is large, and their difference would lose its digits.
pub(crate) fn ln_gamma_step(a: f64) -> f64 {
    if a < 50.0 {
        return libm::lgamma(a + 0.5) - libm::lgamma(a);
    }
    0.5 * a.ln() - 1.0 / (8.0 * a) + 1.0 / (192.0 * a.powi(3)) - 1.0 / (640.0 * a.powi(5))
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let kept = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / kept(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / kept(1.0 + even * d);
        c = kept(1.0 + even / c);
        value *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / kept(1.0 + odd * d);
        c = kept(1.0 + odd / c);
        let step = d * c;
        value *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// P(Z <= z) of the standard normal.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_scipys() {
        // scipy 1.17.1: scipy.stats.t.ppf(p, df)
        let known = [
            (0.975, 1.0, 12.706204736174694),
            (0.975, 2.0, 4.302652729749462),
            (0.975, 4.0, 2.7764451051977934),
            (0.975, 7.0, 2.364624251592784),
            (0.975, 30.0, 2.0422724563012378),
            (0.95, 4.0, 2.1318467863266495),
            (0.995, 4.0, 4.604094871349992),
            (0.975, 5.437, 2.5096636611256264),
            (0.9999, 3.0, 22.203742273205),
            (1e-10, 4.0, -416.1751403296041),
            (0.6, 1000.0, 0.25341451583949876),
            (0.975, 1e6, 1.959966356814107),
            (0.975, 1e5, 1.9599877075346095),
            (0.975, 1e9, 1.959963986912325),
            (0.025, 0.5, -164.55767348048846),
        ];
        for (p, df, expected) in known {
            let t = student_quantile(p, df).unwrap();
            assert!((t - expected).abs() <= 1e-9 * expected.abs(), "p {p}, df {df}: {t}, not {expected}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
        let table =
            [(1.0, 12.706), (2.0, 4.303), (3.0, 3.182), (7.0, 2.365), (15.0, 2.131), (30.0, 2.042), (100.0, 1.984)];
        for (degrees, expected) in table {
            let found = student_quantile(0.975, degrees).unwrap();
            assert!((found - expected).abs() < 6e-4, "{degrees}: {found} is not {expected}");
        }
        assert!((student_quantile(0.95, 7.0).unwrap() - 1.895).abs() < 6e-4);
        assert!(student_quantile(0.5, 7.0).unwrap() < 1e-9);
    }

    #[test]
    fn probabilities_are_scipys() {
        // scipy 1.17.1: scipy.stats.t.cdf(t, df)
        let known = [
            (0.0, 3.0, 0.5),
            (1.5, 4.0, 0.896),
            (-2.7, 7.0, 0.015319513582099606),
            (8.0, 2.5, 0.9961716779344783),
            (-40.0, 5.0, 9.205981085886477e-8),
            (0.001, 9.0, 0.5003880348370133),
        ];
        for (t, df, expected) in known {
            let p = student_cdf(t, df).unwrap();
            assert!((p - expected).abs() <= 1e-10 * expected, "t {t}, df {df}: {p}, not {expected}");
        }
        assert_eq!(student_cdf(f64::NEG_INFINITY, 3.0), Ok(0.0));
        assert_eq!(student_cdf(f64::INFINITY, 3.0), Ok(1.0));
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for (p, df) in [(0.0, 3.0), (1.0, 3.0), (f64::NAN, 3.0), (0.5, 0.0), (0.5, f64::NAN), (0.5, f64::INFINITY)] {
            assert_eq!(student_quantile(p, df), Err(Undefined::OutOfRange), "{p} {df}");
        }
        assert_eq!(student_cdf(1.0, -1.0), Err(Undefined::OutOfRange));
        assert_eq!(student_cdf(f64::NAN, 2.0), Err(Undefined::NotFinite));
    }

    #[test]
    fn the_normal_is_scipys() {
        // scipy 1.17.1: scipy.stats.norm.cdf
        assert!((normal_cdf(1.96) - 0.9750021048517795).abs() < 1e-14);
        assert!((normal_cdf(-6.0) / 9.865876450376946e-10 - 1.0).abs() < 1e-10);
    }
}
