//! Computational geometry: CLRS, chapter 33.

use super::{Algorithm, Family, positions, sequence, sorted_by};
use crate::problem::Problem;
use crate::spec::Location::{Graph, Node};
use crate::spec::Type::{Categorical, Mask, MaskOne, Pointer, Scalar};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::Trace;

/// Whether the segment of points 0 and 1 meets that of points 2 and 3.
pub(super) const SEGMENTS_INTERSECT: Algorithm = Algorithm::new(
    "segments_intersect",
    Family::Geometry,
    "CLRS 33.1",
    SEGMENTS_INTERSECT_SPEC,
    Problem::Segments { run: segments_intersect },
)
.scored_on(64);

const SEGMENTS_INTERSECT_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("x", Node, Scalar),
    input("y", Node, Scalar),
    output("intersect", Graph, Mask).whole(),
    hint("i", Node, MaskOne),
    hint("j", Node, MaskOne),
    hint("k", Node, MaskOne),
    hint("dir", Node, Scalar),
    hint("on_seg", Node, Mask),
];

/// The convex hull, by Graham's scan.
pub(super) const GRAHAM_SCAN: Algorithm = Algorithm::new(
    "graham_scan",
    Family::Geometry,
    "CLRS 33.3; Graham (1972)",
    GRAHAM_SCAN_SPEC,
    Problem::Points { run: graham_scan },
);

const GRAHAM_SCAN_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("x", Node, Scalar),
    input("y", Node, Scalar),
    output("in_hull", Node, Mask),
    hint("best", Node, MaskOne),
    hint("atans", Node, Scalar),
    hint("in_hull_h", Node, Mask),
    hint("stack_prev", Node, Pointer),
    hint("last_stack", Node, MaskOne),
    hint("i", Node, MaskOne),
    hint("phase", Graph, Categorical).of(5),
];

/// The convex hull, by Jarvis's march.
pub(super) const JARVIS_MARCH: Algorithm = Algorithm::new(
    "jarvis_march",
    Family::Geometry,
    "CLRS 33.3; Jarvis (1973)",
    JARVIS_MARCH_SPEC,
    Problem::Points { run: jarvis_march },
)
.fixed_pred();

const JARVIS_MARCH_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("x", Node, Scalar),
    input("y", Node, Scalar),
    output("in_hull", Node, Mask),
    hint("pred_h", Node, Pointer),
    hint("in_hull_h", Node, Mask),
    hint("best", Node, MaskOne),
    hint("last_point", Node, MaskOne),
    hint("endpoint", Node, MaskOne),
    hint("i", Node, MaskOne),
    hint("phase", Graph, Categorical).of(2),
];

/// Points of the plane, one for each node.
#[derive(Clone, Copy)]
struct Points<'a> {
    xs: &'a [f64],
    ys: &'a [f64],
}

impl<'a> Points<'a> {
    /// The points, which are also the inputs.
    fn probed(xs: &'a [f64], ys: &'a [f64], trace: &mut Trace) -> Self {
        trace.inputs(xs.len()).numbers("pos", &positions(xs.len())).numbers("x", xs).numbers("y", ys).done();
        Self { xs, ys }
    }

    fn len(self) -> usize {
        self.xs.len()
    }

    /// DIRECTION: the cross product of k - i and j - i, positive if k lies clockwise of j as seen from i.
    fn direction(self, i: usize, j: usize, k: usize) -> f64 {
        let (xs, ys) = (self.xs, self.ys);
        (xs[k] - xs[i]) * (ys[j] - ys[i]) - (xs[j] - xs[i]) * (ys[k] - ys[i])
    }

    /// Whether the way from i over j to k does not turn left.
    fn does_not_turn_left(self, i: usize, j: usize, k: usize) -> bool {
        let (xs, ys) = (self.xs, self.ys);
        (xs[j] - xs[i]) * (ys[k] - ys[i]) - (ys[j] - ys[i]) * (xs[k] - xs[i]) <= 0.0
    }

    /// ON-SEGMENT: whether k lies in the box that i and j span.
    fn in_box(self, i: usize, j: usize, k: usize) -> bool {
        let between = |values: &[f64]| values[i].min(values[j]) <= values[k] && values[k] <= values[i].max(values[j]);
        between(self.xs) && between(self.ys)
    }

    /// The lowest point, the leftmost of several.
    fn lowest(self) -> usize {
        let mut best = 0;
        for i in 1..self.len() {
            let level = self.ys[i] == self.ys[best];
            if self.ys[i] < self.ys[best] || (level && self.xs[i] < self.xs[best]) {
                best = i;
            }
        }
        best
    }
}

/// SEGMENTS-INTERSECT.
fn segments_intersect(xs: &[f64], ys: &[f64], trace: &mut Trace) {
    let points = Points::probed(xs, ys, trace);
    let mut directions = [0.0; 4];
    let mut on_segment = [false; 4];
    let mut probe = |[i, j, k]: [usize; 3], directions: &[f64], on_segment: &[bool]| {
        trace.hint().one("i", i).one("j", j).one("k", k).numbers("dir", directions).mask("on_seg", on_segment).done();
    };
    probe([0; 3], &directions, &on_segment);
    for (k, (i, j)) in [(2, 3), (2, 3), (0, 1), (0, 1)].into_iter().enumerate() {
        directions[k] = points.direction(i, j, k);
        on_segment[k] = points.in_box(i, j, k);
        probe([i, j, k], &directions, &on_segment);
    }
    let straddles = |a: f64, b: f64| (a > 0.0 && b < 0.0) || (a < 0.0 && b > 0.0);
    let cross = straddles(directions[0], directions[1]) && straddles(directions[2], directions[3]);
    let touch = (0..4).any(|k| directions[k] == 0.0 && on_segment[k]);
    trace.outputs().flag("intersect", cross || touch).done();
}

/// The stack of Graham's scan: a linked list over nodes.
struct Scan<'a> {
    best: usize,
    angles: Vec<f64>,
    in_hull: Vec<bool>,
    /// The node below each node, itself at the bottom and outside.
    stack_prev: Vec<usize>,
    last_stack: usize,
    trace: &'a mut Trace,
}

impl Scan<'_> {
    fn probe(&mut self, i: usize, phase: u8) {
        self.trace
            .hint()
            .one("best", self.best)
            .numbers("atans", &self.angles)
            .mask("in_hull_h", &self.in_hull)
            .pointers("stack_prev", &self.stack_prev)
            .one("last_stack", self.last_stack)
            .one("i", i)
            .class("phase", phase)
            .done();
    }

    fn push(&mut self, node: usize) {
        self.in_hull[node] = true;
        self.stack_prev[node] = self.last_stack;
        self.last_stack = node;
    }

    fn pop(&mut self) {
        let top = self.last_stack;
        self.last_stack = std::mem::replace(&mut self.stack_prev[top], top);
        self.in_hull[top] = false;
    }
}

/// GRAHAM-SCAN.
fn graham_scan(xs: &[f64], ys: &[f64], trace: &mut Trace) {
    let points = Points::probed(xs, ys, trace);
    let n = points.len();
    let (angles, in_hull) = (vec![0.0; n], vec![false; n]);
    let mut scan = Scan { best: 0, angles, in_hull, stack_prev: (0..n).collect(), last_stack: 0, trace };
    scan.probe(0, 0);

    let best = points.lowest();
    scan.best = best;
    scan.in_hull[best] = true;
    scan.last_stack = best;
    scan.probe(best, 1);

    for i in (0..n).filter(|&i| i != best) {
        scan.angles[i] = (ys[i] - ys[best]).atan2(xs[i] - xs[best]);
    }
    let by_angle: Vec<usize> = sorted_by(&scan.angles).into_iter().filter(|&i| i != best).collect();
    scan.probe(best, 2);

    for (nth, &i) in by_angle.iter().enumerate() {
        // With fewer than three points on the stack there is nothing to take back.
        while nth >= 2 && points.does_not_turn_left(scan.stack_prev[scan.last_stack], scan.last_stack, i) {
            scan.pop();
            scan.probe(i, 3);
        }
        scan.push(i);
        scan.probe(i, 4);
    }
    scan.trace.outputs().mask("in_hull", &scan.in_hull).done();
}

/// Jarvis's march: from each point of the hull on to the one that has all others on its left.
fn jarvis_march(xs: &[f64], ys: &[f64], trace: &mut Trace) {
    let points = Points::probed(xs, ys, trace);
    let n = points.len();
    let pred = sequence(n);
    let mut in_hull = vec![false; n];
    let mut probe = |in_hull: &[bool], [best, last_point, endpoint, i]: [usize; 4], phase: u8| {
        trace
            .hint()
            .pointers("pred_h", &pred)
            .mask("in_hull_h", in_hull)
            .one("best", best)
            .one("last_point", last_point)
            .one("endpoint", endpoint)
            .one("i", i)
            .class("phase", phase)
            .done();
    };
    probe(&in_hull, [0; 4], 0);
    let best = points.lowest();
    let mut last_point = best;
    loop {
        in_hull[last_point] = true;
        let mut endpoint = 0;
        probe(&in_hull, [best, last_point, endpoint, 0], 1);
        for i in 0..n {
            let itself = i == last_point || i == endpoint;
            if endpoint == last_point || (!itself && points.does_not_turn_left(last_point, endpoint, i)) {
                endpoint = i;
            }
            probe(&in_hull, [best, last_point, endpoint, i], 1);
        }
        if in_hull[endpoint] {
            break;
        }
        last_point = endpoint;
    }
    trace.outputs().mask("in_hull", &in_hull).done();
}
