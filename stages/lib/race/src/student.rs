//! Student's t distribution.

/// The value that a t of so many degrees of freedom is below of with this probability, from 0.5 on. Bisection over the
/// distribution function: exact to about 1e-10, which no use of it here comes near to.
pub fn quantile(probability: f64, degrees: f64) -> f64 {
    let mut high = 1.0;
    while below(high, degrees) < probability && high < 1e12 {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if below(middle, degrees) < probability { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Probability of values below `t`, which is not negative.
fn below(t: f64, degrees: f64) -> f64 {
    1.0 - 0.5 * incomplete_beta(0.5 * degrees, 0.5, degrees / (degrees + t * t))
}

/// The regularised incomplete beta function by its continued fraction (DLMF 8.17.22), in Lentz's scheme.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return f64::from(u8::from(x >= 1.0));
    }
    // The fraction converges fast on this side only.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let log_front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * x.ln() + b * (1.0 - x).ln();
    let tiny = 1e-300;
    let guarded = |value: f64| if value.abs() < tiny { tiny } else { value };
    let (mut c, mut d) = (1.0, 1.0 / guarded(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for step in 1..300 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for term in [even, odd] {
            d = 1.0 / guarded(1.0 + term * d);
            c = guarded(1.0 + term / c);
            fraction *= c * d;
        }
        if (fraction - before).abs() <= 1e-15 * fraction.abs() {
            break;
        }
    }
    log_front.exp() * fraction / a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
        let table =
            [(1.0, 12.706), (2.0, 4.303), (3.0, 3.182), (7.0, 2.365), (15.0, 2.131), (30.0, 2.042), (100.0, 1.984)];
        for (degrees, expected) in table {
            let found = quantile(0.975, degrees);
            assert!((found - expected).abs() < 6e-4, "{degrees}: {found} is not {expected}");
        }
        assert!((quantile(0.95, 7.0) - 1.895).abs() < 6e-4);
        assert!(quantile(0.5, 7.0) < 1e-9);
    }
}
