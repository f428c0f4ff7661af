//! Dynamic programming: CLRS, chapter 15.
//!
//! Tables are filled in parallel sweeps rather than in the textbook's order, so that a step depends only on the step
//! before: what a network with one message a step can follow.

use super::strings::{probe_strings, two_sequences};
use super::{Algorithm, Family, positions, sequence};
use crate::matrix::Matrix;
use crate::problem::{ALPHABET, Problem};
use crate::spec::Location::{Edge, Node};
use crate::spec::Type::{Categorical, Mask, Pointer, Scalar};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::{BLANK, Trace};

/// The cheapest order in which to multiply a chain of matrices.
pub(super) const MATRIX_CHAIN_ORDER: Algorithm = Algorithm::new(
    "matrix_chain_order",
    Family::DynamicProgramming,
    "CLRS 15.2",
    MATRIX_CHAIN_ORDER_SPEC,
    Problem::Keys { low: 0.0, run: matrix_chain_order },
)
.fixed_pred();

const MATRIX_CHAIN_ORDER_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("p", Node, Scalar),
    output("s", Edge, Pointer),
    hint("pred_h", Node, Pointer),
    hint("m", Edge, Scalar),
    hint("s_h", Edge, Pointer),
    hint("msk", Edge, Mask),
];

/// The longest common subsequence of two strings.
pub(super) const LCS_LENGTH: Algorithm = Algorithm::new(
    "lcs_length",
    Family::DynamicProgramming,
    "CLRS 15.4",
    LCS_LENGTH_SPEC,
    Problem::Strings { run: lcs_length },
)
.fixed_pred();

const LCS_LENGTH_SPEC: &[SpecEntry] = &[
    input("string", Node, Mask),
    input("pos", Node, Scalar),
    input("key", Node, Categorical).of(ALPHABET),
    output("b", Edge, Categorical).of(MOVES),
    hint("pred_h", Node, Pointer),
    hint("b_h", Edge, Categorical).of(MOVES),
    hint("c", Edge, Scalar),
];

/// The search tree with the least expected cost of a search.
pub(super) const OPTIMAL_BST: Algorithm = Algorithm::new(
    "optimal_bst",
    Family::DynamicProgramming,
    "CLRS 15.5; Aho, Hopcroft and Ullman (1974)",
    OPTIMAL_BST_SPEC,
    Problem::SearchTree { run: optimal_bst },
)
.fixed_pred();

const OPTIMAL_BST_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("p", Node, Scalar),
    input("q", Node, Scalar),
    output("root", Edge, Pointer),
    hint("pred_h", Node, Pointer),
    hint("root_h", Edge, Pointer),
    hint("e", Edge, Scalar),
    hint("w", Edge, Scalar),
    hint("msk", Edge, Mask),
];

/// MATRIX-CHAIN-ORDER: matrix i has p[i - 1] rows and p[i] columns.
fn matrix_chain_order(p: &[f64], trace: &mut Trace) {
    let n = p.len();
    let pred = sequence(n);
    trace.inputs(n).numbers("pos", &positions(n)).numbers("p", p).done();
    let at = |i: usize, j: usize| i * n + j;
    // Cost of the product i..=j, where to split it, and whether these are known.
    let mut m = vec![0.0; n * n];
    let mut s = vec![0; n * n];
    let mut known: Vec<bool> = (0..n * n).map(|cell| cell / n == cell % n && cell > 0).collect();
    loop {
        let (old_m, old_known) = (m.clone(), known.clone());
        trace.hint().pointers("pred_h", &pred).numbers("m", &m).pointers("s_h", &s).mask("msk", &known).done();
        for i in 1..n {
            for j in i + 1..n {
                let mut has_cost = old_known[at(i, j)];
                for k in i..j {
                    if !(old_known[at(i, k)] && old_known[at(k + 1, j)]) {
                        continue;
                    }
                    known[at(i, j)] = true;
                    let q = old_m[at(i, k)] + old_m[at(k + 1, j)] + p[i - 1] * p[k] * p[j];
                    if !has_cost || q < m[at(i, j)] {
                        m[at(i, j)] = q;
                        s[at(i, j)] = k;
                        has_cost = true;
                    }
                }
            }
        }
        if m == old_m {
            break;
        }
    }
    trace.outputs().pointers("s", &s).done();
}

/// Classes of a cell of LCS's table: three moves, and "this cell is blank".
const MOVES: usize = 4;
/// Both strings give up their last letter, which they share.
const BOTH: u8 = 0;
/// The first string gives up its last letter.
const UP: u8 = 1;
/// The second string gives up its last letter.
const LEFT: u8 = 2;

/// LCS-LENGTH. The table has a row for each letter of `x` and a column for each of `y`, and none for empty strings.
fn lcs_length(x: &[u8], y: &[u8], trace: &mut Trace) {
    let (rows, columns) = (x.len(), y.len());
    let n = rows + columns;
    let pred = two_sequences(rows, columns);
    probe_strings(x, y, trace);
    // The tables among all pairs of nodes: node `rows + j` is letter j of `y`.
    let at = |i: usize, j: usize| i * n + rows + j;
    let mut c = vec![0.0; n * n];
    let mut b: Vec<u8> =
        (0..n * n).map(|cell| if cell / n < rows && cell % n >= rows { BOTH } else { BLANK }).collect();
    for i in 0..rows {
        let above = i > 0 && c[at(i - 1, 0)] == 1.0;
        let same = x[i] == y[0];
        c[at(i, 0)] = f64::from(u8::from(same || above));
        b[at(i, 0)] = if same { BOTH } else { UP };
    }
    for j in 0..columns {
        let before = j > 0 && c[at(0, j - 1)] == 1.0;
        let same = x[0] == y[j];
        c[at(0, j)] = f64::from(u8::from(same || before));
        b[at(0, j)] = match (same, before) {
            (true, _) => BOTH,
            (false, true) => LEFT,
            (false, false) => UP,
        };
    }
    loop {
        let old = c.clone();
        trace.hint().pointers("pred_h", &pred).classes("b_h", &b).numbers("c", &c).done();
        for i in 1..rows {
            for j in 1..columns {
                let (up, left) = (old[at(i - 1, j)], old[at(i, j - 1)]);
                (c[at(i, j)], b[at(i, j)]) = if x[i] == y[j] {
                    (old[at(i - 1, j - 1)] + 1.0, BOTH)
                } else if up >= left {
                    (up, UP)
                } else {
                    (left, LEFT)
                };
            }
        }
        if c == old {
            break;
        }
    }
    trace.outputs().classes("b", &b).done();
}

/// Cost of a tree that no root has been tried for.
const UNBOUNDED: f64 = 1e9;

/// OPTIMAL-BST: `keys[i]` is the probability of key i, `gaps[i]` that of a search for what lies before key i.
fn optimal_bst(keys: &[f64], gaps: &[f64], trace: &mut Trace) {
    let n = gaps.len();
    let pred = sequence(n);
    let mut p = keys.to_vec();
    p.push(0.0);
    trace.inputs(n).numbers("pos", &positions(n)).numbers("p", &p).numbers("q", gaps).done();
    // Cost and weight of the tree of keys i..j, its root, and whether these are known.
    let diagonal = |i: usize, j: usize| if i == j { gaps[i] } else { 0.0 };
    let mut e = Matrix::from_fn(n, diagonal);
    let mut w = e.clone();
    let mut root = vec![0; n * n];
    let mut known: Vec<bool> = (0..n * n).map(|cell| cell / n == cell % n).collect();
    let mut probe = |root: &[usize], e: &Matrix, w: &Matrix, known: &[bool]| {
        trace
            .hint()
            .pointers("pred_h", &pred)
            .pointers("root_h", root)
            .numbers("e", e.values())
            .numbers("w", w.values())
            .mask("msk", known)
            .done();
    };
    probe(&root, &e, &w, &known);
    for length in 1..n {
        for i in 0..n - length {
            let j = i + length;
            e[(i, j)] = UNBOUNDED;
            w[(i, j)] = w[(i, j - 1)] + keys[j - 1] + gaps[j];
            for r in i..j {
                let t = e[(i, r)] + e[(r + 1, j)] + w[(i, j)];
                if t < e[(i, j)] {
                    e[(i, j)] = t;
                    root[i * n + j] = r;
                }
            }
            known[i * n + j] = true;
        }
        probe(&root, &e, &w, &known);
    }
    trace.outputs().pointers("root", &root).done();
}
