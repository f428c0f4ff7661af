//! A square matrix of numbers: the weights or the presence of edges.

use std::ops::{Index, IndexMut};

/// `n` x `n` numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    n: usize,
    values: Vec<f64>,
}

impl Matrix {
    pub fn zeros(n: usize) -> Self {
        Self::filled(n, 0.0)
    }

    pub fn filled(n: usize, value: f64) -> Self {
        Self { n, values: vec![value; n * n] }
    }

    /// The matrix whose element at (i, j) is `f(i, j)`, computed row by row.
    pub fn from_fn(n: usize, mut f: impl FnMut(usize, usize) -> f64) -> Self {
        let mut values = Vec::with_capacity(n * n);
        for i in 0..n {
            for j in 0..n {
                values.push(f(i, j));
            }
        }
        Self { n, values }
    }

    /// Number of rows.
    pub fn n(&self) -> usize {
        self.n
    }

    /// All values, row by row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    pub fn transposed(&self) -> Self {
        Self::from_fn(self.n, |i, j| self[(j, i)])
    }

    /// Rows and columns in the given order.
    pub fn reordered(&self, order: &[usize]) -> Self {
        Self::from_fn(self.n, |i, j| self[(order[i], order[j])])
    }

    /// Whether there is an edge from `i` to `j`.
    pub fn edge(&self, i: usize, j: usize) -> bool {
        self[(i, j)] != 0.0
    }

    /// Which pairs are joined, every node counting as joined with itself.
    pub fn adjacency(&self) -> Vec<bool> {
        let joined = |at: usize| at / self.n == at % self.n || self.values[at] != 0.0;
        (0..self.values.len()).map(joined).collect()
    }
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;

    fn index(&self, (i, j): (usize, usize)) -> &f64 {
        &self.values[i * self.n + j]
    }
}

impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut f64 {
        &mut self.values[i * self.n + j]
    }
}
