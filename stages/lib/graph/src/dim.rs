//! Sizes as polynomials in B (graphs in the batch) and N (nodes of a graph).

use std::collections::BTreeMap;

/// A size: a polynomial in B and N with integer coefficients, in canonical form, so that equality is equality for all
/// B and N. `128`, `N`, `B*N`, `2*N + 1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dim {
    /// (power of B, power of N) -> coefficient; never a coefficient of 0.
    terms: BTreeMap<(u8, u8), i64>,
}

/// The sizes of all axes, outermost first.
pub type Shape = Vec<Dim>;

impl Dim {
    /// The batch size.
    pub fn b() -> Self {
        Self { terms: BTreeMap::from([((1, 0), 1)]) }
    }

    /// The number of nodes.
    pub fn n() -> Self {
        Self { terms: BTreeMap::from([((0, 1), 1)]) }
    }

    /// A known size.
    pub fn known(value: i64) -> Self {
        let terms = if value == 0 { BTreeMap::new() } else { BTreeMap::from([((0, 0), value)]) };
        Self { terms }
    }

    /// The value, where it does not depend on B or N.
    pub fn as_known(&self) -> Option<i64> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&(0, 0)).copied(),
            _ => None,
        }
    }

    /// The value for given B and N; `None` on overflow.
    pub fn eval(&self, b: i64, n: i64) -> Option<i64> {
        self.terms.iter().try_fold(0_i64, |sum, (&(pb, pn), &c)| {
            let term = c.checked_mul(b.checked_pow(pb.into())?)?.checked_mul(n.checked_pow(pn.into())?)?;
            sum.checked_add(term)
        })
    }
}
