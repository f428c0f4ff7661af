//! Evaluation scores (dm-clrs `evaluation.py`), over all samples at once: batches add to counts, never to means.

use std::collections::BTreeMap;

use clrs::{Batch, DataPoint, MASKED, Type};
use model::Tally;

use crate::error::{NetworkError, Result};

/// How good predictions are, in 0..=1 (but for scalars, whose score is the mean squared error).
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scores {
    /// Name and score of each output.
    pub per_output: Vec<(String, f64)>,
    /// The mean over outputs.
    pub score: f64,
    /// The same sample by sample.
    pub tallies: Vec<Tally>,
}

/// Collects counts for each output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scorer {
    order: Vec<&'static str>,
    counts: BTreeMap<&'static str, Count>,
    tallies: BTreeMap<&'static str, Tally>,
}

#[derive(Clone, Copy, Debug)]
enum Count {
    /// Counts of decisions about a mask, for F1.
    Mask { hits: f64, false_alarms: f64, misses: f64 },
    /// A mean: of hits, or of squared errors.
    Mean { sum: f64, total: f64 },
}

/// A permutation `x` comes with a mask `x_mask` of its first node.
const MASK_SUFFIX: &str = "_mask";

impl Scorer {
    /// Adds a batch: its true outputs, and predictions in the same order and layout.
    pub fn add(&mut self, batch: &Batch, predictions: &[DataPoint]) -> Result<()> {
        for truth in &batch.outputs {
            if is_mask_of_permutation(truth.name, &batch.outputs) {
                continue;
            }
            let prediction = find(predictions, truth.name)?;
            if prediction.shape != truth.shape || prediction.data.len() != truth.data.len() {
                let reason = format!("predicted as {:?}, true is {:?}", prediction.shape, truth.shape);
                return Err(NetworkError::Tensor { name: truth.name.to_owned(), reason });
            }
            let masks = match batch.outputs.iter().find(|point| is_mask_of(point.name, truth)) {
                Some(mask) => Some((mask, find(predictions, mask.name)?)),
                None => None,
            };
            let new = count(truth, prediction, masks);
            let tally = self.tallies.entry(truth.name).or_default();
            for at in 0..batch.size() {
                let of = |point: &DataPoint| sample(point, at, batch.size());
                let masks = masks.map(|(truth, prediction)| (of(truth), of(prediction)));
                let (truth, prediction) = (of(truth), of(prediction));
                let (correct, total) =
                    count(&truth, &prediction, masks.as_ref().map(|(truth, prediction)| (truth, prediction))).shares();
                tally.correct.push(correct);
                tally.total.push(total);
            }
            match self.counts.get_mut(truth.name) {
                Some(count) => count.add(new),
                None => {
                    self.order.push(truth.name);
                    self.counts.insert(truth.name, new);
                }
            }
        }
        Ok(())
    }

    pub fn scores(&self) -> Scores {
        let per_output: Vec<(String, f64)> =
            self.order.iter().filter_map(|name| Some(((*name).to_owned(), self.counts.get(name)?.score()))).collect();
        let score = per_output.iter().map(|(_, score)| score).sum::<f64>() / per_output.len().max(1) as f64;
        let tally = |name: &&'static str| Some(Tally { output: (*name).to_owned(), ..self.tallies.get(name)?.clone() });
        Scores { per_output, score, tallies: self.order.iter().filter_map(tally).collect() }
    }
}

impl Count {
    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Mask { hits, false_alarms, misses }, Self::Mask { hits: h, false_alarms: f, misses: m }) => {
                *hits += h;
                *false_alarms += f;
                *misses += m;
            }
            (Self::Mean { sum, total }, Self::Mean { sum: s, total: t }) => {
                *sum += s;
                *total += t;
            }
            // one name has one type
            _ => {}
        }
    }

    /// Numerator and denominator of the score: F1 is the share of rightly set entries among the mean number of those that are
    /// truly set and those that are predicted so.
    fn shares(self) -> (f64, f64) {
        match self {
            Self::Mask { hits, false_alarms, misses } => (2.0 * hits, 2.0 * hits + false_alarms + misses),
            Self::Mean { sum, total } => (sum, total),
        }
    }

    fn score(self) -> f64 {
        match self {
            Self::Mask { hits, false_alarms, misses } => {
                let rate = |missed: f64| if hits + missed > 0.0 { hits / (hits + missed) } else { 1.0 };
                let (precision, recall) = (rate(false_alarms), rate(misses));
                if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
            }
            Self::Mean { sum, total } => sum / total,
        }
    }
}

/// What a prediction of one output comes to. `masks`: of permutations, true and predicted.
fn count(truth: &DataPoint, prediction: &DataPoint, masks: Option<(&DataPoint, &DataPoint)>) -> Count {
    match truth.ty {
        Type::Mask => mask(&truth.data, &prediction.data),
        Type::MaskOne | Type::Categorical => classes(truth, prediction),
        Type::PermutationPointer => match masks {
            None => equal(&pointers(truth, None), &pointers(prediction, None)),
            Some((true_mask, mask)) => equal(&pointers(truth, Some(true_mask)), &pointers(prediction, Some(mask))),
        },
        Type::Pointer | Type::ShouldBePermutation => equal(&truth.data, &prediction.data),
        Type::Scalar => {
            let errors = truth.data.iter().zip(&prediction.data).map(|(t, p)| (t - p).powi(2));
            Count::Mean { sum: errors.sum(), total: truth.data.len() as f64 }
        }
    }
}

/// One sample of `of`, in the same layout.
fn sample(point: &DataPoint, at: usize, of: usize) -> DataPoint {
    let width = point.data.len() / of.max(1);
    let shape = std::iter::once(1).chain(point.shape.iter().skip(1).copied()).collect();
    let data = point.data.get(at * width..(at + 1) * width).unwrap_or_default().to_vec();
    DataPoint { shape, data, ..point.clone() }
}

/// Whether an output is the mask that belongs to this permutation.
fn is_mask_of(name: &str, permutation: &DataPoint) -> bool {
    permutation.ty == Type::PermutationPointer && name.strip_suffix(MASK_SUFFIX) == Some(permutation.name)
}

fn find<'a>(points: &'a [DataPoint], name: &str) -> Result<&'a DataPoint> {
    let fail = || NetworkError::Tensor { name: name.to_owned(), reason: "is not predicted".to_owned() };
    points.iter().find(|point| point.name == name).ok_or_else(fail)
}

fn is_mask_of_permutation(name: &str, outputs: &[DataPoint]) -> bool {
    name.strip_suffix(MASK_SUFFIX)
        .is_some_and(|base| outputs.iter().any(|point| point.name == base && point.ty == Type::PermutationPointer))
}

fn mask(truth: &[f64], prediction: &[f64]) -> Count {
    let (mut hits, mut false_alarms, mut misses) = (0.0, 0.0, 0.0);
    for (&truth, &prediction) in truth.iter().zip(prediction).filter(|(truth, _)| **truth != MASKED) {
        match (truth > 0.5, prediction > 0.5) {
            (true, true) => hits += 1.0,
            (false, true) => false_alarms += 1.0,
            (true, false) => misses += 1.0,
            (false, false) => {}
        }
    }
    Count::Mask { hits, false_alarms, misses }
}

/// The share of rows whose largest entry is at the right place; rows that hold a -1 do not count.
fn classes(truth: &DataPoint, prediction: &DataPoint) -> Count {
    let width = truth.shape.last().copied().unwrap_or(1).max(1);
    let rows = truth.data.chunks_exact(width).zip(prediction.data.chunks_exact(width));
    let counted = rows.filter(|(truth, _)| !truth.contains(&MASKED));
    let (sum, total) = counted.fold((0.0, 0.0), |(sum, total), (truth, prediction)| {
        (sum + f64::from(u8::from(first_largest(truth) == first_largest(prediction))), total + 1.0)
    });
    Count::Mean { sum, total }
}

fn equal(truth: &[f64], prediction: &[f64]) -> Count {
    let hits = truth.iter().zip(prediction).filter(|(truth, prediction)| truth == prediction).count();
    Count::Mean { sum: hits as f64, total: truth.len() as f64 }
}

/// The node that each row of a permutation points at; where the mask is set, a node points at itself.
fn pointers(permutation: &DataPoint, mask: Option<&DataPoint>) -> Vec<f64> {
    let width = permutation.shape.last().copied().unwrap_or(1).max(1);
    let rows = permutation.data.chunks_exact(width).enumerate();
    rows.map(|(at, row)| {
        let masked = mask.and_then(|mask| mask.data.get(at)).is_some_and(|&mask| mask == 1.0);
        if masked { (at % width) as f64 } else { first_largest(row) as f64 }
    })
    .collect()
}

/// The place of the first of the largest.
pub(crate) fn first_largest(row: &[f64]) -> usize {
    let better = |best: (usize, f64), (at, &value): (usize, &f64)| if value > best.1 { (at, value) } else { best };
    row.iter().enumerate().fold((0, f64::NEG_INFINITY), better).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use clrs::{Dtype, Location, Stage};

    fn point(name: &'static str, ty: Type, shape: &[usize], data: &[f64]) -> DataPoint {
        let (stage, location, dtype) = (Stage::Output, Location::Node, Dtype::Float64);
        DataPoint { name, stage, location, ty, dtype, shape: shape.to_vec(), data: data.to_vec() }
    }

    fn score(truth: Vec<DataPoint>, prediction: &[DataPoint]) -> Scores {
        let size = truth.first().and_then(|point| point.shape.first()).copied().unwrap_or(1);
        let batch = Batch { inputs: vec![], hints: vec![], outputs: truth, lengths: vec![1; size] };
        let mut scorer = Scorer::default();
        scorer.add(&batch, prediction).expect("fits");
        scorer.scores()
    }

    #[test]
    fn masks_are_scored_by_f1_without_unknown_entries() {
        let truth = point("m", Type::Mask, &[1, 5], &[1.0, 1.0, 0.0, -1.0, 0.0]);
        let prediction = point("m", Type::Mask, &[1, 5], &[1.0, 0.0, 1.0, 1.0, 0.0]);
        assert_eq!(score(vec![truth], &[prediction]).score, 0.5);
        // nothing to find and nothing found is perfect; a miss of everything is 0
        let none = point("m", Type::Mask, &[1, 2], &[0.0, 0.0]);
        assert_eq!(score(vec![none.clone()], std::slice::from_ref(&none)).score, 1.0);
        let all = point("m", Type::Mask, &[1, 2], &[1.0, 1.0]);
        assert_eq!(score(vec![all], &[none]).score, 0.0);
    }

    #[test]
    fn a_permutation_and_its_mask_are_one_score() {
        // node 0 is first; the network has 0 and 1 right, and 2 wrong
        let truth = [
            point("p", Type::PermutationPointer, &[1, 3, 3], &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
            point("p_mask", Type::MaskOne, &[1, 3], &[1.0, 0.0, 0.0]),
        ];
        let prediction = [
            point("p", Type::PermutationPointer, &[1, 3, 3], &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
            point("p_mask", Type::MaskOne, &[1, 3], &[1.0, 0.0, 0.0]),
        ];
        let scores = score(truth.to_vec(), &prediction);
        assert_eq!(scores.per_output, [("p".to_owned(), 2.0 / 3.0)]);
    }

    #[test]
    fn tallies_of_samples_sum_up_to_the_score() {
        let truth = [
            point("m", Type::Mask, &[2, 3], &[1.0, 1.0, 0.0, 0.0, 1.0, -1.0]),
            point("pi", Type::Pointer, &[2, 3], &[0.0, 1.0, 2.0, 0.0, 0.0, 1.0]),
            point("p", Type::PermutationPointer, &[2, 2, 2], &[0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
            point("p_mask", Type::MaskOne, &[2, 2], &[1.0, 0.0, 0.0, 1.0]),
        ];
        let prediction = [
            point("m", Type::Mask, &[2, 3], &[1.0, 0.0, 1.0, 0.0, 1.0, 1.0]),
            point("pi", Type::Pointer, &[2, 3], &[0.0, 1.0, 1.0, 0.0, 0.0, 1.0]),
            point("p", Type::PermutationPointer, &[2, 2, 2], &[0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0]),
            point("p_mask", Type::MaskOne, &[2, 2], &[1.0, 0.0, 0.0, 1.0]),
        ];
        let scores = score(truth.to_vec(), &prediction);
        let tally = |output: &str| scores.tallies.iter().find(|tally| tally.output == output).expect("an output");
        assert_eq!((&tally("m").correct, &tally("m").total), (&vec![2.0, 2.0], &vec![4.0, 2.0]));
        assert_eq!((&tally("pi").correct, &tally("pi").total), (&vec![2.0, 3.0], &vec![3.0, 3.0]));
        assert_eq!((&tally("p").correct, &tally("p").total), (&vec![1.0, 2.0], &vec![2.0, 2.0]));
        for (tally, (name, score)) in scores.tallies.iter().zip(&scores.per_output) {
            let share = tally.correct.iter().sum::<f64>() / tally.total.iter().sum::<f64>();
            assert_eq!((&tally.output, share), (name, *score));
        }
    }

    /// What a card says of an output, in its own words: from counts over all places.
    fn as_said(output: &clrs::card::OutputScore, truth: &[DataPoint], prediction: &[DataPoint]) -> f64 {
        use clrs::card::Measure;
        let of = |points: &[DataPoint], name: &str| points.iter().find(|point| point.name == name).cloned();
        let (truth_of, said) = (|name: &str| of(truth, name), |name: &str| of(prediction, name));
        let (true_one, said_one) = (truth_of(output.output).expect("true"), said(output.output).expect("predicted"));
        let share = |right: usize, of: usize| right as f64 / of as f64;
        match output.measure {
            Measure::Pointers => {
                let n = true_one.shape[1];
                let node = |point: &DataPoint, mask: Option<DataPoint>, at: usize| match mask {
                    None => point.data[at] as usize,
                    Some(mask) if mask.data[at] == 1.0 => at % n,
                    Some(_) => point.data[at * n..(at + 1) * n].iter().position(|&x| x == 1.0).expect("one-hot"),
                };
                let mask = format!("{}_mask", output.output);
                let places: usize =
                    if truth_of(&mask).is_some() { true_one.data.len() / n } else { true_one.data.len() };
                let right = |at: &usize| node(&true_one, truth_of(&mask), *at) == node(&said_one, said(&mask), *at);
                share((0..places).filter(right).count(), places)
            }
            Measure::Classes => {
                let width = *true_one.shape.last().expect("a class axis");
                let rows = true_one.data.chunks(width).zip(said_one.data.chunks(width));
                let counted: Vec<_> = rows.filter(|(row, _)| !row.contains(&MASKED)).collect();
                share(counted.iter().filter(|(row, said)| row == said).count(), counted.len())
            }
            Measure::F1 => {
                let pairs = || true_one.data.iter().zip(&said_one.data).filter(|(x, _)| **x != MASKED);
                let count = |t: f64, p: f64| pairs().filter(|(x, y)| (**x, **y) == (t, p)).count();
                let (h, f, m) = (count(1.0, 1.0), count(0.0, 1.0), count(1.0, 0.0));
                if h + f + m == 0 { 1.0 } else { share(2 * h, 2 * h + f + m) }
            }
            Measure::SquaredError => unreachable!("no task has it"),
        }
    }

    /// Predictions that are those of other samples: wrong here and there.
    fn rolled(points: &[DataPoint], size: usize, by: usize) -> Vec<DataPoint> {
        let roll = |point: &DataPoint| {
            let mut point = point.clone();
            let each = point.data.len() / size;
            point.data.rotate_left(each * by);
            // what is not a target is predicted as something
            point.data.iter_mut().filter(|x| **x == MASKED).for_each(|x| *x = 1.0);
            point
        };
        points.iter().map(roll).collect()
    }

    #[test]
    fn cards_say_how_scores_are_made() {
        for algorithm in clrs::algorithms() {
            let args = clrs::SamplerArgs::training_at(algorithm, 9);
            let mut data = model::data::Dataset::new(algorithm, 9, 24, args, (1, 2)).expect("draws");
            let batch = data.whole().expect("draws");
            let card = clrs::Card::new(algorithm);
            for by in [0, 1, 5] {
                let prediction = rolled(&batch.outputs, batch.size(), by);
                let mut scorer = Scorer::default();
                scorer.add(&batch, &prediction).expect("fits");
                let scores = scorer.scores();
                let said: Vec<f64> =
                    card.score.outputs.iter().map(|output| as_said(output, &batch.outputs, &prediction)).collect();
                let names: Vec<&str> = card.score.outputs.iter().map(|output| output.output).collect();
                assert_eq!(scores.per_output.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
                for ((name, score), said) in scores.per_output.iter().zip(&said) {
                    assert!((score - said).abs() < 1e-12, "{}: {name} is {score}, said {said}", algorithm.name);
                    assert!(by > 0 || *score == 1.0, "{}: {name} is right, and {score}", algorithm.name);
                }
                let mean = said.iter().sum::<f64>() / said.len() as f64;
                assert!((scores.score - mean).abs() < 1e-12, "{}", algorithm.name);
            }
        }
    }

    #[test]
    fn batches_add_up_as_samples_do() {
        let batch = |data: &[f64]| Batch {
            inputs: vec![],
            hints: vec![],
            outputs: vec![point("pi", Type::Pointer, &[1, data.len()], data)],
            lengths: vec![1],
        };
        let mut scorer = Scorer::default();
        scorer.add(&batch(&[0.0]), &[point("pi", Type::Pointer, &[1, 1], &[0.0])]).expect("fits");
        scorer.add(&batch(&[0.0, 1.0, 2.0]), &[point("pi", Type::Pointer, &[1, 3], &[1.0; 3])]).expect("fits");
        assert_eq!(scorer.scores().score, 0.5);
        assert!(scorer.add(&batch(&[0.0]), &[]).is_err());
    }
}
