//! Divide and conquer: CLRS, chapter 4.

use super::{Algorithm, Family, positions, sequence};
use crate::problem::Problem;
use crate::spec::Location::{Graph, Node};
use crate::spec::Type::{MaskOne, Pointer, Scalar};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::Trace;

/// The maximum subarray, in one pass: Kadane's algorithm, which exercise 4.1-5 of CLRS leads up to.
pub(super) const FIND_MAXIMUM_SUBARRAY_KADANE: Algorithm = Algorithm::new(
    "find_maximum_subarray_kadane",
    Family::DivideAndConquer,
    "CLRS, exercise 4.1-5; Bentley (1984)",
    KADANE_SPEC,
    Problem::Keys { low: -1.0, run: kadane },
)
.scored_on(32)
.fixed_pred();

const KADANE_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("key", Node, Scalar),
    output("start", Node, MaskOne),
    output("end", Node, MaskOne),
    hint("pred_h", Node, Pointer),
    hint("best_low", Node, MaskOne),
    hint("best_high", Node, MaskOne),
    hint("best_sum", Graph, Scalar),
    hint("i", Node, MaskOne),
    hint("j", Node, MaskOne),
    hint("sum", Graph, Scalar),
];

/// A range of keys and their sum.
#[derive(Clone, Copy)]
struct Range {
    low: usize,
    high: usize,
    sum: f64,
}

fn kadane(keys: &[f64], trace: &mut Trace) {
    let pred = sequence(keys.len());
    trace.inputs(keys.len()).numbers("pos", &positions(keys.len())).numbers("key", keys).done();
    let mut probe = |best: Range, ending: Range| {
        trace
            .hint()
            .pointers("pred_h", &pred)
            .one("best_low", best.low)
            .one("best_high", best.high)
            .number("best_sum", best.sum)
            .one("i", ending.low)
            .one("j", ending.high)
            .number("sum", ending.sum)
            .done();
    };
    // The best range that ends at the key being looked at, and the best so far.
    let mut ending = Range { low: 0, high: 0, sum: keys[0] };
    let mut best = ending;
    probe(best, ending);
    for (j, &key) in keys.iter().enumerate().skip(1) {
        ending = if ending.sum + key >= key {
            Range { low: ending.low, high: j, sum: ending.sum + key }
        } else {
            Range { low: j, high: j, sum: key }
        };
        if ending.sum > best.sum {
            best = ending;
        }
        probe(best, ending);
    }
    trace.outputs().one("start", best.low).one("end", best.high).done();
}
