//! Searching: CLRS, chapters 2 and 9.

use super::sorting::Array;
use super::{Algorithm, Family, chain, positions, sequence};
use crate::problem::Problem;
use crate::spec::Location::{Graph, Node};
use crate::spec::Type::{MaskOne, Pointer, Scalar};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::Trace;

/// The least of some keys.
pub(super) const MINIMUM: Algorithm =
    Algorithm::new("minimum", Family::Searching, "CLRS 9.1", MINIMUM_SPEC, Problem::Keys { low: 0.0, run: minimum })
        .scored_on(64)
        .fixed_pred();

const MINIMUM_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("key", Node, Scalar),
    output("min", Node, MaskOne),
    hint("pred_h", Node, Pointer),
    hint("min_h", Node, MaskOne),
    hint("i", Node, MaskOne),
];

/// Binary search for the place of a target among sorted keys.
pub(super) const BINARY_SEARCH: Algorithm = Algorithm::new(
    "binary_search",
    Family::Searching,
    "CLRS, exercise 2.3-5",
    BINARY_SEARCH_SPEC,
    Problem::Search { run: binary_search },
)
.scored_on(64)
.fixed_pred();

const BINARY_SEARCH_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("key", Node, Scalar),
    input("target", Graph, Scalar),
    output("return", Node, MaskOne),
    hint("pred_h", Node, Pointer),
    hint("low", Node, MaskOne),
    hint("high", Node, MaskOne),
    hint("mid", Node, MaskOne),
];

/// Selection of the median by partitioning. Its pivots are not random.
pub(super) const QUICKSELECT: Algorithm = Algorithm::new(
    "quickselect",
    Family::Searching,
    "CLRS 9.2; Hoare (1961)",
    QUICKSELECT_SPEC,
    Problem::Keys { low: 0.0, run: quickselect },
)
.scored_on(64);

const QUICKSELECT_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("key", Node, Scalar),
    output("median", Node, MaskOne),
    hint("pred_h", Node, Pointer),
    hint("p", Node, MaskOne),
    hint("r", Node, MaskOne),
    hint("i", Node, MaskOne),
    hint("j", Node, MaskOne),
    hint("i_rank", Graph, Scalar),
    hint("target", Graph, Scalar),
    hint("pivot", Node, MaskOne),
];

fn minimum(keys: &[f64], trace: &mut Trace) {
    let pred = sequence(keys.len());
    trace.inputs(keys.len()).numbers("pos", &positions(keys.len())).numbers("key", keys).done();
    let mut min = 0;
    for i in 0..keys.len() {
        if keys[i] < keys[min] {
            min = i;
        }
        trace.hint().pointers("pred_h", &pred).one("min_h", min).one("i", i).done();
    }
    trace.outputs().one("min", min).done();
}

/// The first key that is no less than `target`, or the last key.
fn binary_search(target: f64, keys: &[f64], trace: &mut Trace) {
    let n = keys.len();
    let pred = sequence(n);
    trace.inputs(n).numbers("pos", &positions(n)).numbers("key", keys).number("target", target).done();
    let mut probe = |low: usize, high: usize| {
        let mid = (low + high) / 2;
        trace.hint().pointers("pred_h", &pred).one("low", low).one("high", high).one("mid", mid).done();
    };
    let (mut low, mut high) = (0, n - 1);
    probe(low, high);
    while low < high {
        let mid = (low + high) / 2;
        if target <= keys[mid] {
            high = mid;
        } else {
            low = mid + 1;
        }
        probe(low, high);
    }
    trace.outputs().one("return", high).done();
}

fn quickselect(keys: &[f64], trace: &mut Trace) {
    let mut a = Array::probed(keys, trace);
    let (mut p, mut r) = (0, a.len() - 1);
    // Rank wanted within p..=r.
    let mut target = a.len() / 2;
    let median = loop {
        let q = partition(&mut a, p, r, target, trace);
        let rank = q - p;
        match target.cmp(&rank) {
            std::cmp::Ordering::Equal => break a.nodes[q],
            std::cmp::Ordering::Less => r = q - 1,
            std::cmp::Ordering::Greater => {
                p = q + 1;
                target -= rank + 1;
            }
        }
    };
    trace.outputs().one("median", median).done();
}

/// PARTITION of `p..=r` by the key at `r`.
fn partition(a: &mut Array, p: usize, r: usize, target: usize, trace: &mut Trace) -> usize {
    let n = a.len() as f64;
    let mut probe = |a: &Array, i: usize, j: usize, rank: usize, pivot: usize| {
        trace
            .hint()
            .pointers("pred_h", &chain(&a.nodes))
            .one("p", a.nodes[p])
            .one("r", a.nodes[r])
            .one("i", a.nodes[i])
            .one("j", a.nodes[j])
            .number("i_rank", rank as f64 / n)
            .number("target", target as f64 / n)
            .one("pivot", a.nodes[pivot])
            .done();
    };
    let pivot = a.keys[r];
    // One beyond the smaller keys: the textbook's i + 1.
    let mut i = p;
    for j in p..r {
        if a.keys[j] <= pivot {
            a.swap(i, j);
            i += 1;
        }
        probe(a, i, j, i, r);
    }
    a.swap(i, r);
    // Before the swap the rank counts from the array's begin, after it from that of the part.
    probe(a, i, r, i - p, i);
    i
}
