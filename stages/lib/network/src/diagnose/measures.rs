//! Counts of right decisions, by hint and step.
//!
//! A *step* of the network predicts the hint after the one that it was given; step i of a sample with L hints belongs to the
//! tenth ⌊10 i / (L - 1)⌋ of its run. What each kind of hint counts:
//!
//! | kind | `correct` | `total` |
//! |---|---|---|
//! | pointer, mask-one, categorical | decisions that are right | decisions |
//! | mask | twice the entries that are rightly set | entries that are truly set, plus those predicted so (F1) |
//! | scalar | the sum of max(-1, 1 - abs(error) / spread) | values |
//!
//! The *spread* of a scalar is the mean distance of its true values from their mean, over all samples and steps that are looked
//! at: 1 is exact, 0 as good as answering that mean every time. The accuracy is `correct / total`, at least 0, and 1 where
//! there was nothing to decide.

use std::collections::BTreeMap;

use clrs::{SpecEntry, Type};

use super::record::Recorded;
use super::truth::Truth;

/// Parts of a run.
pub(super) const TENTHS: usize = 10;

/// Right decisions among all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Count {
    pub correct: f64,
    pub total: f64,
}

impl Count {
    /// In 0..=1; 1 where there was nothing to decide.
    pub fn value(self) -> f64 {
        if self.total > 0.0 { (self.correct / self.total).max(0.0) } else { 1.0 }
    }

    pub fn add(&mut self, other: Self) {
        self.correct += other.correct;
        self.total += other.total;
    }
}

/// What was counted of one hint.
#[derive(Clone, Debug)]
pub(super) struct OfHint {
    pub entry: SpecEntry,
    /// For scalars: the spread of the true values.
    spread: f64,
    pub tenths: [Count; TENTHS],
    /// For categoricals: how often each pair of true and predicted class occurred.
    pub confusion: BTreeMap<(usize, usize), f64>,
}

impl OfHint {
    /// Over the whole run.
    pub fn count(&self) -> Count {
        let mut sum = Count::default();
        self.tenths.iter().for_each(|&count| sum.add(count));
        sum
    }
}

/// What was counted of all hints.
#[derive(Clone, Debug, Default)]
pub(super) struct Measures {
    pub hints: Vec<OfHint>,
    pub samples: usize,
    /// By hint and tenth: samples whose first wrong decision was there. One that is wrong in several hints at that step
    /// counts for each of them in equal shares.
    pub first_wrong: BTreeMap<(usize, usize), f64>,
    /// Samples without a wrong decision.
    pub never_wrong: f64,
}

impl Measures {
    /// For hints of which these are all that will be added.
    pub fn new(batches: &[(Vec<Truth>, Vec<usize>)]) -> Self {
        let entries = batches.first().map(|(truths, _)| truths.as_slice()).unwrap_or_default();
        let of = |(at, truth): (usize, &Truth)| OfHint {
            entry: truth.entry,
            spread: if truth.entry.ty == Type::Scalar { spread(batches, at) } else { 1.0 },
            tenths: [Count::default(); TENTHS],
            confusion: BTreeMap::new(),
        };
        Self { hints: entries.iter().enumerate().map(of).collect(), ..Self::default() }
    }

    /// Adds a batch whose samples have so many hints each.
    pub fn add(&mut self, truths: &[Truth], lengths: &[usize], recorded: &Recorded) {
        for (sample, &length) in lengths.iter().enumerate() {
            self.samples += 1;
            let mut first: Option<(usize, Vec<usize>)> = None;
            for step in 0..length.saturating_sub(1) {
                let tenth = tenth(step, length);
                let mut wrong = Vec::new();
                for (at, (hint, truth)) in self.hints.iter_mut().zip(truths).enumerate() {
                    let predicted = recorded.hints.get(at).and_then(|steps| steps.get(step));
                    let (Some(truth), Some(predicted)) = (truth.steps.get(step), predicted) else { continue };
                    let (truth, predicted) = (of_sample(truth, sample, lengths), of_sample(predicted, sample, lengths));
                    let (count, all_right) = compare(hint, truth, predicted);
                    if let Some(place) = hint.tenths.get_mut(tenth) {
                        place.add(count);
                    }
                    if hint.entry.ty == Type::Categorical {
                        confuse(&mut hint.confusion, truth, predicted);
                    }
                    if !all_right {
                        wrong.push(at);
                    }
                }
                if first.is_none() && !wrong.is_empty() {
                    first = Some((tenth, wrong));
                }
            }
            match first {
                None => self.never_wrong += 1.0,
                Some((tenth, hints)) => {
                    for &hint in &hints {
                        *self.first_wrong.entry((hint, tenth)).or_default() += 1.0 / hints.len() as f64;
                    }
                }
            }
        }
    }
}

/// The tenth of its run that a step of a sample with so many hints belongs to.
fn tenth(step: usize, length: usize) -> usize {
    (TENTHS * step / length.saturating_sub(1).max(1)).min(TENTHS - 1)
}

fn of_sample<'a>(row: &'a [f64], sample: usize, lengths: &[usize]) -> &'a [f64] {
    let width = row.len() / lengths.len().max(1);
    row.get(sample * width..(sample + 1) * width).unwrap_or_default()
}

/// What one step of one sample counts, and whether its decisions are right. Those of scalars are never wrong.
fn compare(hint: &OfHint, truth: &[f64], predicted: &[f64]) -> (Count, bool) {
    let pairs = truth.iter().zip(predicted).filter(|(truth, _)| !truth.is_nan());
    let mut count = Count::default();
    let mut all_right = true;
    for (&truth, &predicted) in pairs {
        match hint.entry.ty {
            Type::Scalar => {
                let share = 1.0 - (truth - predicted).abs() / hint.spread;
                // A prediction that is not a number counts as far off as can be.
                count.add(Count { correct: if share >= -1.0 { share } else { -1.0 }, total: 1.0 });
            }
            Type::Mask => {
                let hit = truth == 1.0 && predicted == 1.0;
                count.add(Count { correct: if hit { 2.0 } else { 0.0 }, total: truth + predicted });
                all_right &= truth == predicted;
            }
            _ => {
                let right = truth == predicted;
                count.add(Count { correct: f64::from(u8::from(right)), total: 1.0 });
                all_right &= right;
            }
        }
    }
    (count, all_right)
}

fn confuse(confusion: &mut BTreeMap<(usize, usize), f64>, truth: &[f64], predicted: &[f64]) {
    for (&truth, &predicted) in truth.iter().zip(predicted).filter(|(truth, _)| !truth.is_nan()) {
        *confusion.entry((truth as usize, predicted as usize)).or_default() += 1.0;
    }
}

/// The mean distance of a scalar's true values from their mean; 1 where there is none.
fn spread(batches: &[(Vec<Truth>, Vec<usize>)], at: usize) -> f64 {
    let mut values: Vec<f64> = Vec::new();
    for (truths, lengths) in batches {
        let Some(truth) = truths.get(at) else { continue };
        for (step, row) in truth.steps.iter().enumerate() {
            let samples = lengths.iter().enumerate().filter(|(_, length)| **length > step + 1);
            values.extend(samples.flat_map(|(sample, _)| of_sample(row, sample, lengths)));
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let centre = mean(&values);
    values.iter_mut().for_each(|x| *x = (*x - centre).abs());
    let spread = mean(&values);
    if spread > 0.0 { spread } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(name: &str, steps: &[&[f64]]) -> Truth {
        let dfs = clrs::algorithm("dfs").expect("exists");
        let entry = model::data::spec(dfs).into_iter().find(|entry| entry.name == name).expect("a hint");
        Truth { entry, steps: steps.iter().map(|row| row.to_vec()).collect() }
    }

    fn recorded(hints: &[&[&[f64]]]) -> Recorded {
        let rows = |steps: &&[&[f64]]| steps.iter().map(|row| row.to_vec()).collect();
        Recorded { hints: hints.iter().map(rows).collect(), outputs: Vec::new() }
    }

    /// Two samples of two nodes: one with three hints, one with two.
    fn measured() -> Measures {
        let pointer: &[&[f64]] = &[&[0.0, 1.0, 1.0, 0.0], &[1.0, 1.0, 0.0, 0.0]];
        let colour: &[&[f64]] = &[&[0.0, 1.0, 2.0, f64::NAN], &[2.0, 2.0, 0.0, 0.0]];
        let time: &[&[f64]] = &[&[0.0, 1.0], &[1.0, 0.0]];
        let truths = vec![truth("pi_h", pointer), truth("color", colour), truth("time", time)];
        let batches = [(truths, vec![3, 2])];
        let mut measures = Measures::new(&batches);
        let recorded = recorded(&[
            // the second sample's second step is none of its own
            &[&[0.0, 1.0, 1.0, 1.0], &[1.0, 0.0, 9.0, 9.0]],
            &[&[0.0, 1.0, 2.0, 7.0], &[2.0, 1.0, 9.0, 9.0]],
            &[&[0.0, f64::NAN], &[0.5, 9.0]],
        ]);
        measures.add(&batches[0].0, &batches[0].1, &recorded);
        measures
    }

    #[test]
    fn decisions_are_counted_by_tenth_of_each_samples_own_run() {
        let measures = measured();
        let pointer = &measures.hints[0];
        assert_eq!(pointer.count(), Count { correct: 4.0, total: 6.0 });
        assert_eq!(pointer.tenths[0], Count { correct: 3.0, total: 4.0 });
        assert_eq!(pointer.tenths[5], Count { correct: 1.0, total: 2.0 });
        // what is not known to be true does not count
        assert_eq!(measures.hints[1].count(), Count { correct: 4.0, total: 5.0 });
        assert_eq!(measures.hints[1].confusion, [((0, 0), 1.0), ((1, 1), 1.0), ((2, 2), 2.0), ((2, 1), 1.0)].into());
    }

    #[test]
    fn scalars_are_measured_by_their_spread() {
        // true values 0, 1 and 1: mean 2/3, mean distance 4/9; one exact, one not a number, one off by a half
        let count = measured().hints[2].count();
        assert_eq!(count.total, 3.0);
        assert!((count.correct - (1.0 - 1.0 + (1.0 - 0.5 / (4.0 / 9.0)))).abs() < 1e-12, "{count:?}");
        assert_eq!(count.value(), 0.0);
    }

    #[test]
    fn the_first_wrong_step_is_shared_by_the_hints_that_are_wrong_there() {
        let measures = measured();
        // the first sample errs in both at its second step, the second in the pointer at its first
        assert_eq!(measures.first_wrong, [((0, 0), 1.0), ((0, 5), 0.5), ((1, 5), 0.5)].into());
        assert_eq!((measures.samples, measures.never_wrong), (2, 0.0));
        let sum: f64 = measures.first_wrong.values().sum();
        assert_eq!(sum + measures.never_wrong, measures.samples as f64);
    }

    #[test]
    fn nothing_to_decide_is_right() {
        assert_eq!(Count::default().value(), 1.0);
        assert_eq!([0, 4, 9, 10].map(|step| tenth(step, 11)), [0, 4, 9, 9]);
        assert_eq!(tenth(0, 1), 0);
    }
}
