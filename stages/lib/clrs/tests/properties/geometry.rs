//! Segments and convex hulls.

use crate::for_random_samples;
use crate::sample::Sample;

/// Twice the signed area of the triangle of points a, b and c.
fn area(sample: &Sample, [a, b, c]: [usize; 3]) -> f64 {
    let (x, y) = (sample.values("x"), sample.values("y"));
    x[a] * (y[b] - y[c]) + x[b] * (y[c] - y[a]) + x[c] * (y[a] - y[b])
}

#[test]
fn segments_intersect_where_each_parts_the_others_ends() {
    for_random_samples("segments_intersect", 1, |sample| {
        assert_eq!(sample.n, 4);
        let parts = |a, b, c, d| (area(sample, [a, b, c]) > 0.0) != (area(sample, [a, b, d]) > 0.0);
        let crossing = parts(0, 1, 2, 3) && parts(2, 3, 0, 1);
        assert_eq!(sample.values("intersect"), [f64::from(u8::from(crossing))]);
    });
}

/// A point is a corner of the hull if some line through it and another point has all others on one side.
#[test]
fn hulls_are_convex_and_hold_everything() {
    for name in ["graham_scan", "jarvis_march"] {
        for_random_samples(name, 3, |sample| {
            let in_hull = sample.mask("in_hull");
            for a in 0..sample.n {
                let on_edge = (0..sample.n).filter(|&b| b != a).any(|b| {
                    let others = (0..sample.n).filter(|&c| c != a && c != b);
                    let sides: Vec<bool> = others.map(|c| area(sample, [a, b, c]) > 0.0).collect();
                    sides.iter().all(|&left| left) || sides.iter().all(|&left| !left)
                });
                assert_eq!(in_hull[a], on_edge, "{name}: {a}");
            }
        });
    }
}
