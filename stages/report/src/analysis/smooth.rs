//! Learning curves without their sawtooth: a training takes its lengths in turn, and short graphs have smaller losses than
//! long ones.

use std::collections::BTreeMap;

use schemas::CurvePoint;

/// Points of a smoothed curve, about.
const POINTS: usize = 40;

/// A curve: optimiser step and value.
pub type Line = Vec<(f64, f64)>;

/// The training loss of one length.
#[derive(Clone, Debug, PartialEq)]
pub struct OfLength {
    /// Nodes; None where it is not known which length a step had.
    pub length: Option<i64>,
    pub line: Line,
}

/// The losses of a training, or the mean over several, for each length: means over neighbouring steps of that length.
/// `lengths`: as the settings have them; step s trains on entry (s - 1) mod their number.
pub fn by_length(seeds: &BTreeMap<i64, Vec<CurvePoint>>, lengths: &[i64]) -> Vec<OfLength> {
    let mut groups: BTreeMap<Option<i64>, Line> = BTreeMap::new();
    for (step, loss) in mean(seeds) {
        let turn = usize::try_from(step - 1).ok().and_then(|before| before.checked_rem(lengths.len()));
        let length = turn.and_then(|turn| lengths.get(turn).copied());
        groups.entry(length).or_default().push((step as f64, loss));
    }
    let smoothed = |(length, line): (Option<i64>, Line)| {
        let block = line.len().div_ceil(POINTS);
        OfLength { length, line: blocks(&line, block) }
    };
    groups.into_iter().map(smoothed).collect()
}

/// The losses of a training as one curve: means over whole rounds of its lengths.
pub fn whole(seeds: &BTreeMap<i64, Vec<CurvePoint>>, lengths: usize) -> Line {
    let line: Line = mean(seeds).into_iter().map(|(step, loss)| (step as f64, loss)).collect();
    let round = lengths.max(1);
    blocks(&line, round * line.len().div_ceil(POINTS * round).max(1))
}

/// Mean loss over seeds at each step; only finite positive values.
fn mean(seeds: &BTreeMap<i64, Vec<CurvePoint>>) -> Vec<(i64, f64)> {
    let mut by_step: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for point in seeds.values().flatten().filter(|point| point.loss.is_finite() && point.loss > 0.0) {
        let (sum, n) = by_step.entry(point.step).or_default();
        (*sum, *n) = (*sum + point.loss, *n + 1.0);
    }
    by_step.into_iter().map(|(step, (sum, n))| (step, sum / n)).collect()
}

/// Means over blocks of neighbours. What is left at the end belongs to the last whole block.
fn blocks(line: &[(f64, f64)], size: usize) -> Line {
    let size = size.max(1);
    let whole = line.len() / size;
    (0..whole.max(usize::from(!line.is_empty())))
        .filter_map(|block| {
            let end = if block + 1 >= whole { line.len() } else { (block + 1) * size };
            let part = line.get(block * size..end)?;
            let n = part.len() as f64;
            let (x, y) = part.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
            Some((x / n, y / n))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A training of so many steps whose loss is ten times its length, less a tenth of the step.
    fn sawtooth(steps: i64, lengths: &[i64]) -> BTreeMap<i64, Vec<CurvePoint>> {
        let point = |step: i64| CurvePoint {
            run: None,
            settings_digest: None,
            candidate_id: "a".into(),
            task: "dfs".into(),
            train_seed: 0,
            step,
            loss: 10.0 * lengths[(step - 1) as usize % lengths.len()] as f64 - 0.01 * step as f64,
            val_acc: None,
        };
        BTreeMap::from([(0, (1..=steps).map(point).collect())])
    }

    #[test]
    fn each_length_has_a_curve_of_its_own_and_none_is_a_sawtooth() {
        let lengths = [4, 7, 16];
        let curves = by_length(&sawtooth(600, &lengths), &lengths);
        assert_eq!(curves.iter().map(|c| c.length).collect::<Vec<_>>(), [Some(4), Some(7), Some(16)]);
        for curve in &curves {
            assert!(curve.line.len() <= POINTS + 1 && curve.line.len() > POINTS / 2, "{}", curve.line.len());
            assert!(curve.line.windows(2).all(|pair| pair[1].1 < pair[0].1), "{curve:?}");
        }
        let all = whole(&sawtooth(600, &lengths), lengths.len());
        assert!(all.windows(2).all(|pair| pair[1].1 < pair[0].1), "{all:?}");
        // 601 steps: the one that is left is not a round of its own, which would be a tooth of the saw.
        let odd = whole(&sawtooth(601, &lengths), lengths.len());
        assert!(odd.len() > POINTS / 2 && odd.windows(2).all(|pair| pair[1].1 < pair[0].1), "{odd:?}");
    }

    #[test]
    fn equal_lengths_share_a_curve_and_unknown_ones_have_one() {
        assert_eq!(by_length(&sawtooth(8, &[4, 4]), &[4, 4]).len(), 1);
        let unknown = by_length(&sawtooth(8, &[4, 6]), &[]);
        assert_eq!((unknown.len(), unknown[0].length, unknown[0].line.len()), (1, None, 8));
        assert!(by_length(&BTreeMap::new(), &[4]).is_empty() && whole(&BTreeMap::new(), 3).is_empty());
    }
}
