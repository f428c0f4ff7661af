//! Greedy algorithms: CLRS, chapter 16.

use super::{Algorithm, Family, positions, sequence, sorted_by};
use crate::problem::Problem;
use crate::spec::Location::{Graph, Node};
use crate::spec::Type::{Mask, MaskOne, Pointer, Scalar};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::Trace;

/// As many activities as possible, no two of which overlap.
pub(super) const ACTIVITY_SELECTOR: Algorithm = Algorithm::new(
    "activity_selector",
    Family::Greedy,
    "CLRS 16.1; Gavril (1972)",
    ACTIVITY_SELECTOR_SPEC,
    Problem::Intervals { run: activity_selector },
)
.fixed_pred();

const ACTIVITY_SELECTOR_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("s", Node, Scalar),
    input("f", Node, Scalar),
    output("selected", Node, Mask),
    hint("pred_h", Node, Pointer),
    hint("selected_h", Node, Mask),
    hint("m", Node, MaskOne),
    hint("k", Node, MaskOne),
];

/// Unit-time tasks with deadlines: those to be done in time, so that what the others are worth is least.
pub(super) const TASK_SCHEDULING: Algorithm = Algorithm::new(
    "task_scheduling",
    Family::Greedy,
    "CLRS 16.5; Lawler (1985)",
    TASK_SCHEDULING_SPEC,
    Problem::Tasks { run: task_scheduling },
)
.fixed_pred();

const TASK_SCHEDULING_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("d", Node, Scalar).whole(),
    input("w", Node, Scalar),
    output("selected", Node, Mask),
    hint("pred_h", Node, Pointer),
    hint("selected_h", Node, Mask),
    hint("i", Node, MaskOne),
    hint("t", Graph, Scalar),
];

/// GREEDY-ACTIVITY-SELECTOR, which sorts by the time of finish first.
fn activity_selector(begins: &[f64], ends: &[f64], trace: &mut Trace) {
    let n = begins.len();
    let pred = sequence(n);
    trace.inputs(n).numbers("pos", &positions(n)).numbers("s", begins).numbers("f", ends).done();
    let mut selected = vec![false; n];
    let mut probe = |selected: &[bool], m: usize, k: usize| {
        trace.hint().pointers("pred_h", &pred).mask("selected_h", selected).one("m", m).one("k", k).done();
    };
    probe(&selected, 0, 0);
    let mut last: Option<usize> = None;
    for m in sorted_by(ends) {
        let k = match last {
            Some(k) if begins[m] < ends[k] => k,
            _ => {
                selected[m] = true;
                m
            }
        };
        last = Some(k);
        probe(&selected, m, k);
    }
    trace.outputs().mask("selected", &selected).done();
}

/// Takes tasks by falling weight, each as soon as its deadline leaves room after those taken already.
fn task_scheduling(deadlines: &[usize], weights: &[f64], trace: &mut Trace) {
    let n = deadlines.len();
    let pred = sequence(n);
    let d: Vec<f64> = deadlines.iter().map(|&deadline| deadline as f64).collect();
    trace.inputs(n).numbers("pos", &positions(n)).numbers("d", &d).numbers("w", weights).done();
    let mut selected = vec![false; n];
    let mut probe = |selected: &[bool], i: usize, t: usize| {
        trace.hint().pointers("pred_h", &pred).mask("selected_h", selected).one("i", i).number("t", t as f64).done();
    };
    let mut t = 0;
    probe(&selected, 0, t);
    for i in sorted_by(weights).into_iter().rev() {
        if t < deadlines[i] {
            selected[i] = true;
            t += 1;
        }
        probe(&selected, i, t);
    }
    trace.outputs().mask("selected", &selected).done();
}
