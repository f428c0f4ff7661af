//! Accuracy against what it costs.

use schemas::Candidate;

use crate::run::Run;

/// What a program costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    Params,
    Macs,
}

impl Cost {
    /// What a candidate costs by it.
    pub fn of(self, row: &Candidate) -> Option<i64> {
        match self {
            Cost::Params => row.params,
            Cost::Macs => row.macs,
        }
    }
}

/// A scored candidate with a known cost.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    pub row: &'a Candidate,
    pub cost: f64,
    pub accuracy: f64,
}

/// The scored candidates of a run; costs of zero have no place on a logarithmic axis and are left out.
pub fn points(run: &Run, cost: Cost) -> Vec<Point<'_>> {
    run.rows()
        .iter()
        .filter_map(|row| {
            let value = cost.of(row).filter(|v| *v > 0)?;
            Some(Point { row, cost: value as f64, accuracy: row.ood_acc? })
        })
        .collect()
}

/// The Pareto front: no other point is cheaper and better. By rising cost, and so by rising accuracy.
pub fn front<'a>(points: &[Point<'a>]) -> Vec<Point<'a>> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.accuracy.total_cmp(&a.accuracy)));
    let mut best = f64::NEG_INFINITY;
    sorted.retain(|point| {
        let better = point.accuracy > best;
        best = best.max(point.accuracy);
        better
    });
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_has_no_dominated_point() {
        let row = Candidate::default();
        let point = |cost, accuracy| Point { row: &row, cost, accuracy };
        let all =
            [point(3.0, 0.5), point(1.0, 0.2), point(2.0, 0.6), point(2.0, 0.1), point(1.0, 0.3), point(9.0, 0.6)];
        let front: Vec<_> = front(&all).iter().map(|p| (p.cost, p.accuracy)).collect();
        assert_eq!(front, [(1.0, 0.3), (2.0, 0.6)]);
        assert!(super::front(&[]).is_empty());
    }
}
