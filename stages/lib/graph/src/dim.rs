//! Sizes as polynomials in B (graphs in the batch) and N (nodes of a graph).

use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};

/// The least B and N for which a graph must be right.
pub const MIN_B: i64 = 1;
/// Smallest number of nodes for which shapes are right.
pub const MIN_N: i64 = 2;

/// Products of a higher degree are not followed.
const MOST_POWER: u16 = 16;

/// Powers of B and of N.
type Powers = (u8, u8);

/// A size: a polynomial in B and N with integer coefficients, in canonical form, so that equality is equality for all
/// B and N. `128`, `N`, `B*N`, `2*N + 1`.
///
/// Arithmetic is exact as long as coefficients fit `i64`; beyond that they saturate, so that hostile sizes stay absurdly
/// large (and are refused by every budget) instead of wrapping round to something small. A product of a degree above 16
/// counts as `i64::MAX` for the same reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dim {
    /// Ascending by powers; never a coefficient of 0.
    terms: Vec<(Powers, i64)>,
}

/// The sizes of all axes, outermost first.
pub type Shape = Vec<Dim>;

/// Writes a shape as `[B, N, 8]`.
pub fn display(shape: &[Dim]) -> impl fmt::Display + '_ {
    ShapeText(shape)
}

struct ShapeText<'a>(&'a [Dim]);

impl fmt::Display for ShapeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, dim) in self.0.iter().enumerate() {
            if axis > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dim}")?;
        }
        f.write_str("]")
    }
}

/// The number of elements of a tensor of this shape.
pub fn numel(shape: &[Dim]) -> Dim {
    shape.iter().fold(Dim::known(1), |product, dim| &product * dim)
}

impl Dim {
    /// The batch size.
    pub fn b() -> Self {
        Self { terms: vec![((1, 0), 1)] }
    }

    /// The number of nodes.
    pub fn n() -> Self {
        Self { terms: vec![((0, 1), 1)] }
    }

    /// A known size of something in memory, which fits i64; like all arithmetic here, it saturates beyond.
    pub fn of(size: usize) -> Self {
        Self::known(i64::try_from(size).unwrap_or(i64::MAX))
    }

    /// A known size.
    pub fn known(value: i64) -> Self {
        let terms = if value == 0 { Vec::new() } else { vec![((0, 0), value)] };
        Self { terms }
    }

    /// The value, where it does not depend on B or N.
    pub fn as_known(&self) -> Option<i64> {
        match self.terms.as_slice() {
            [] => Some(0),
            [((0, 0), value)] => Some(*value),
            _ => None,
        }
    }

    /// Whether it is 1 for all B and N.
    pub fn is_known_one(&self) -> bool {
        self.as_known() == Some(1)
    }

    /// The value for given B and N; `None` on overflow.
    pub fn eval(&self, b: i64, n: i64) -> Option<i64> {
        self.terms.iter().try_fold(0_i64, |sum, &((pb, pn), c)| {
            let term = c.checked_mul(b.checked_pow(pb.into())?)?.checked_mul(n.checked_pow(pn.into())?)?;
            sum.checked_add(term)
        })
    }

    /// The terms as (power of B, power of N, coefficient), ascending; no coefficient is 0.
    pub fn terms(&self) -> impl Iterator<Item = (u8, u8, i64)> + '_ {
        self.terms.iter().map(|&((b, n), c)| (b, n, c))
    }

    /// From (power of B, power of N, coefficient) in any order; equal powers add up.
    pub fn from_terms(terms: impl IntoIterator<Item = (u8, u8, i64)>) -> Self {
        let mut dim = Self::default();
        for (b, n, c) in terms {
            dim.add_term((b, n), c);
        }
        dim
    }

    fn degree(&self) -> u16 {
        self.terms.iter().map(|&((b, n), _)| u16::from(b) + u16::from(n)).max().unwrap_or(0)
    }

    fn add_term(&mut self, powers: Powers, coefficient: i64) {
        match self.terms.binary_search_by_key(&powers, |t| t.0) {
            Ok(at) => {
                self.terms[at].1 = self.terms[at].1.saturating_add(coefficient);
                if self.terms[at].1 == 0 {
                    self.terms.remove(at);
                }
            }
            Err(at) if coefficient != 0 => self.terms.insert(at, (powers, coefficient)),
            Err(_) => {}
        }
    }

    /// The polynomial q with `self = q * divisor` for all B and N, where there is one with integer coefficients.
    pub fn div_exact(&self, divisor: &Dim) -> Option<Dim> {
        let &((lead_b, lead_n), lead) = divisor.terms.last()?;
        let mut rest = self.clone();
        let mut quotient = Dim::default();
        // Each round cancels the leading term, so the leading powers fall strictly and the loop ends.
        while let Some(&((b, n), c)) = rest.terms.last() {
            if c.checked_rem(lead)? != 0 {
                return None;
            }
            let term = ((b.checked_sub(lead_b)?, n.checked_sub(lead_n)?), c.checked_div(lead)?);
            let term = Dim { terms: vec![term] };
            let next = &rest - &(&term * divisor);
            if next.terms.last().is_some_and(|t| t.0 >= (b, n)) {
                return None; // only where a coefficient saturated
            }
            rest = next;
            quotient = &quotient + &term;
        }
        Some(quotient)
    }

    /// `ceil(self / step)` where that is a polynomial: every coefficient but the constant is a multiple of `step` >= 1.
    pub fn div_ceil(&self, step: i64) -> Option<Dim> {
        if step < 1 {
            return None;
        }
        let mut quotient = Dim::default();
        for &(powers, c) in &self.terms {
            if powers == (0, 0) {
                quotient.add_term(powers, c.div_euclid(step) + i64::from(c.rem_euclid(step) != 0));
            } else if c % step == 0 {
                quotient.add_term(powers, c / step);
            } else {
                return None;
            }
        }
        Some(quotient)
    }

    /// A number that the value never falls below for B >= 1 and N >= 2, where one can be proven.
    ///
    /// With B = 1 + b and N = 2 + n, a polynomial whose coefficients in b and n are all non-negative has its least value
    /// at b = n = 0. The test is exact for polynomials of one variable and degree 1.
    pub fn least(&self) -> Option<i64> {
        if let Some(value) = self.as_known() {
            return Some(value);
        }
        let mut shifted = Dim::default();
        for &((pb, pn), c) in &self.terms {
            for i in 0..=pb {
                for j in 0..=pn {
                    let factor = binomial(pb, i)?
                        .checked_mul(binomial(pn, j)?)?
                        .checked_mul(MIN_B.checked_pow((pb - i).into())?)?
                        .checked_mul(MIN_N.checked_pow((pn - j).into())?)?;
                    shifted.add_term((i, j), c.checked_mul(factor)?);
                }
            }
        }
        let rises = shifted.terms.iter().all(|&(powers, c)| powers == (0, 0) || c > 0);
        let at_least = shifted.terms.first().filter(|t| t.0 == (0, 0)).map_or(0, |t| t.1);
        rises.then_some(at_least)
    }

    /// Whether `self >= other` is proven for all B >= 1 and N >= 2. False means "not proven", not "less".
    pub fn provably_ge(&self, other: &Dim) -> bool {
        (self - other).least().is_some_and(|least| least >= 0)
    }

    /// Whether `self > other` is proven for all B >= 1 and N >= 2.
    pub fn provably_gt(&self, other: &Dim) -> bool {
        (self - other).least().is_some_and(|least| least > 0)
    }
}

fn binomial(n: u8, k: u8) -> Option<i64> {
    (0..i64::from(k)).try_fold(1_i64, |product, i| Some(product.checked_mul(i64::from(n) - i)? / (i + 1)))
}

impl From<i64> for Dim {
    fn from(value: i64) -> Self {
        Dim::known(value)
    }
}

impl Add for &Dim {
    type Output = Dim;
    fn add(self, other: &Dim) -> Dim {
        let mut sum = self.clone();
        for &(powers, c) in &other.terms {
            sum.add_term(powers, c);
        }
        sum
    }
}

impl Neg for &Dim {
    type Output = Dim;
    fn neg(self) -> Dim {
        Dim { terms: self.terms.iter().map(|&(powers, c)| (powers, c.saturating_neg())).collect() }
    }
}

impl Sub for &Dim {
    type Output = Dim;
    fn sub(self, other: &Dim) -> Dim {
        let mut difference = self.clone();
        for &(powers, c) in &other.terms {
            difference.add_term(powers, c.saturating_neg());
        }
        difference
    }
}

impl Mul for &Dim {
    type Output = Dim;
    fn mul(self, other: &Dim) -> Dim {
        if self.is_known_one() {
            return other.clone();
        }
        if self.degree() + other.degree() > MOST_POWER && *self != Dim::default() && *other != Dim::default() {
            return Dim::known(i64::MAX);
        }
        let mut product = Dim::default();
        for &((b1, n1), c1) in &self.terms {
            for &((b2, n2), c2) in &other.terms {
                product.add_term((b1.saturating_add(b2), n1.saturating_add(n2)), c1.saturating_mul(c2));
            }
        }
        product
    }
}

macro_rules! by_value {
    ($trait:ident, $method:ident) => {
        impl $trait for Dim {
            type Output = Dim;
            fn $method(self, other: Dim) -> Dim {
                (&self).$method(&other)
            }
        }
        impl $trait<&Dim> for Dim {
            type Output = Dim;
            fn $method(self, other: &Dim) -> Dim {
                (&self).$method(other)
            }
        }
        impl $trait<i64> for Dim {
            type Output = Dim;
            fn $method(self, other: i64) -> Dim {
                (&self).$method(&Dim::known(other))
            }
        }
        impl $trait<i64> for &Dim {
            type Output = Dim;
            fn $method(self, other: i64) -> Dim {
                self.$method(&Dim::known(other))
            }
        }
    };
}

by_value!(Add, add);
by_value!(Sub, sub);
by_value!(Mul, mul);

/// Highest degree first: `B*N^2 + 2*N - 1`.
impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut terms = self.terms.clone();
        terms.sort_by_key(|&((b, n), _)| (std::cmp::Reverse(u16::from(b) + u16::from(n)), std::cmp::Reverse(b)));
        if terms.is_empty() {
            return f.write_str("0");
        }
        for (place, &(powers, c)) in terms.iter().enumerate() {
            match (place, c < 0) {
                (0, false) => {}
                (0, true) => f.write_str("-")?,
                (_, false) => f.write_str(" + ")?,
                (_, true) => f.write_str(" - ")?,
            }
            let size = c.unsigned_abs();
            let mut separator = "";
            if size != 1 || powers == (0, 0) {
                write!(f, "{size}")?;
                separator = "*";
            }
            for (symbol, power) in [("B", powers.0), ("N", powers.1)] {
                match power {
                    0 => continue,
                    1 => write!(f, "{separator}{symbol}")?,
                    _ => write!(f, "{separator}{symbol}^{power}")?,
                }
                separator = "*";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn n() -> Dim {
        Dim::n()
    }

    #[test]
    fn text() {
        assert_eq!((n() * 2 + 1).to_string(), "2*N + 1");
        assert_eq!((Dim::b() * n() * n() - n() * 3 - 1).to_string(), "B*N^2 - 3*N - 1");
        assert_eq!((Dim::known(0) - n()).to_string(), "-N");
        assert_eq!(Dim::known(0).to_string(), "0");
        assert_eq!(display(&[Dim::b(), n(), Dim::known(8)]).to_string(), "[B, N, 8]");
    }

    #[test]
    fn bounds() {
        assert!(n().provably_ge(&Dim::known(2)));
        assert!(!n().provably_ge(&Dim::known(3)));
        assert!((n() * n()).provably_ge(&(n() * 2)));
        assert!(!Dim::b().provably_ge(&n()));
        assert!((n() * Dim::b()).provably_gt(&Dim::b()));
        assert_eq!((n() * n() - n()).least(), Some(2));
        assert_eq!((n() - Dim::b()).least(), None);
    }

    #[test]
    fn division() {
        let product = (Dim::b() + n() * 2) * (n() - 1);
        assert_eq!(product.div_exact(&(n() - 1)), Some(Dim::b() + n() * 2));
        assert_eq!(n().div_exact(&Dim::known(2)), None);
        assert_eq!((n() + 1).div_exact(&n()), None);
        assert_eq!(n().div_exact(&Dim::known(0)), None);
        assert_eq!((n() * 2 + 3).div_ceil(2), Some(n() + 2));
        assert_eq!((n() + 1).div_ceil(2), None);
    }

    fn dims() -> impl Strategy<Value = Dim> {
        prop::collection::vec((0u8..3, 0u8..3, -9i64..10), 0..5).prop_map(Dim::from_terms)
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_the_values(x in dims(), y in dims(), b in 1i64..6, n in 2i64..7) {
            let at = |d: &Dim| d.eval(b, n).unwrap();
            prop_assert_eq!(at(&(&x + &y)), at(&x) + at(&y));
            prop_assert_eq!(at(&(&x - &y)), at(&x) - at(&y));
            prop_assert_eq!(at(&(&x * &y)), at(&x) * at(&y));
            prop_assert_eq!(&(&x - &y) + &y, x.clone());
            if let Some(least) = x.least() {
                prop_assert!(at(&x) >= least);
            }
            if y != Dim::known(0) {
                prop_assert_eq!((&x * &y).div_exact(&y), Some(x.clone()));
            }
            if let Some(q) = x.div_ceil(3) {
                prop_assert_eq!(at(&q), at(&x).div_euclid(3) + i64::from(at(&x).rem_euclid(3) != 0));
            }
        }
    }
}
