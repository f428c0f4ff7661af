//! What is lost without an operator, or without a channel of the processor.
//!
//! The network is built once, with switches ([`graph::lesion`]), and run with each of them off in turn. What is lost is told
//! against the same network with all of them on, on the same samples: an operator that has no effect loses nothing, to the
//! bit.

use clrs::Type;
use executor::Parameters;
use executor::weights::Weights;
use graph::lesion::{Switched, switched};
use graph::{NodeId, Processor};

use super::record::Recorder;
use super::{Fact, Looked, Measure, Mode, Samples, Subject, Told};
use crate::Device;
use crate::error::Result;
use crate::evaluate;
use model::data;
use model::{EvalConfig, LesionConfig, Model, Replacement};

/// Fewest samples that lesions are measured on.
const FEWEST: usize = 4;

/// One thing that can be switched off.
struct Lesion {
    subject: Subject,
    /// Name of its switch; absent: nothing depends on it.
    keep: Option<String>,
    fills: Vec<Fill>,
}

/// What takes the place of one value.
struct Fill {
    /// Name of the parameter.
    name: String,
    features: usize,
    what: What,
}

/// Where the numbers come from.
enum What {
    /// The mean of these nodes, that is of one for each application of the processor; by the number of the first among all
    /// that are measured.
    Measured {
        first: usize,
        count: usize,
    },
    Number(f64),
}

/// What a lesion is of, and the values to be measured for it.
struct Plan {
    lesions: Vec<Lesion>,
    /// With whether the last axis is one of features.
    values: Vec<(NodeId, bool)>,
}

impl Plan {
    fn new(switched: &Switched, model: &Model, by: Replacement) -> Self {
        let mut plan = Self { lesions: Vec::new(), values: Vec::new() };
        for operator in &switched.operators {
            let mut fills = Vec::new();
            for site in &operator.sites {
                let places = model.applications.iter().filter_map(|map| map.get(site.value.index()).copied());
                fills.push(plan.fill(format!("processor.{}", site.fill), &site.features, places, by));
            }
            for fallback in &operator.fallbacks {
                let untrained = if by == Replacement::Mean { fallback.untrained } else { 0.0 };
                let what = What::Number(untrained);
                fills.push(Fill { name: format!("processor.{}", fallback.fill), features: 1, what });
            }
            let replaced_by = match (operator.keep.is_some(), operator.sites.is_empty(), by) {
                (false, ..) => "nothing",
                (_, _, Replacement::Zero) => "zero",
                (_, false, Replacement::Mean) => "mean",
                (_, true, Replacement::Mean) => "untrained",
            };
            let subject = Subject { channel: false, name: operator.name.clone(), replaced_by: replaced_by.to_owned() };
            let keep = operator.keep.as_ref().map(|name| format!("processor.{name}"));
            plan.lesions.push(Lesion { subject, keep, fills });
        }
        for channel in &model.channels {
            let (fill, replaced_by) = if channel.features.is_empty() {
                // No adjacency is half there: all pairs are linked.
                (Fill { name: channel.fill.clone(), features: 1, what: What::Number(1.0) }, "complete")
            } else {
                let values = channel.values.iter().copied();
                let name = if by == Replacement::Mean { "mean" } else { "zero" };
                (plan.fill(channel.fill.clone(), &channel.features, values, by), name)
            };
            let subject = Subject { channel: true, name: channel.name.to_owned(), replaced_by: replaced_by.to_owned() };
            plan.lesions.push(Lesion { subject, keep: Some(channel.keep.clone()), fills: vec![fill] });
        }
        plan
    }

    fn fill(
        &mut self,
        name: String,
        features: &[usize],
        values: impl Iterator<Item = NodeId>,
        by: Replacement,
    ) -> Fill {
        let width = features.iter().product();
        if by == Replacement::Zero {
            return Fill { name, features: width, what: What::Number(0.0) };
        }
        let first = self.values.len();
        self.values.extend(values.map(|value| (value, !features.is_empty())));
        Fill { name, features: width, what: What::Measured { first, count: self.values.len() - first } }
    }
}

impl Fill {
    /// The numbers, of the means of all measured values.
    fn numbers(&self, means: &[Vec<f64>]) -> Vec<f64> {
        let mut numbers = vec![0.0; self.features];
        match self.what {
            What::Number(number) => numbers.fill(number),
            What::Measured { first, count } => {
                for mean in means.iter().skip(first).take(count) {
                    // A mean that is not finite, such as that of scores masked with infinity, says nothing.
                    let added = numbers.iter_mut().zip(mean).filter(|(_, x)| x.is_finite());
                    added.for_each(|(sum, x)| *sum += x / count as f64);
                }
            }
        }
        numbers
    }
}

/// Switches everything off in turn, on the first samples of the configuration, and tells what that costs.
pub(super) fn run(
    processor: &Processor,
    weights: &Weights,
    config: &LesionConfig,
    device: Device,
) -> Result<Vec<Fact>> {
    let evaluation = &config.evaluation;
    evaluate::check(processor, evaluation)?;
    let spec = data::spec(data::find(&evaluation.algorithm)?);
    let switched = switched(processor)?;
    let model = Model::with_switches(&switched.processor, &spec, evaluation.nb_msg_passing_steps)?;
    let parameters = Parameters::from_weights(&model.graph, weights, evaluation.dtype, device)?;
    let plan = Plan::new(&switched, &model, config.by);
    let runs = Mode::ALL.len() * plan.lesions.iter().filter(|lesion| lesion.keep.is_some()).count();
    let affordable = (config.most_runs / runs.max(1)).max(FEWEST);
    let evaluation = EvalConfig { samples: evaluation.samples.min(affordable), ..evaluation.clone() };
    let samples = Samples::new(&model, &evaluation)?;
    let mut recorder = Recorder::new(&model, evaluate::settings(&evaluation, device))?;
    let mut facts = Vec::new();
    for mode in Mode::ALL {
        let intact = samples.look(&mut recorder, &parameters, mode)?;
        let means = if plan.values.is_empty() {
            Vec::new()
        } else {
            recorder.means(&plan.values, &parameters, &samples.encoded, mode == Mode::Forced)?
        };
        for lesion in &plan.lesions {
            let Some(keep) = &lesion.keep else {
                facts.extend(lost(&lesion.subject, mode, &intact, &intact));
                continue;
            };
            for fill in &lesion.fills {
                parameters.set(&fill.name, &fill.numbers(&means))?;
            }
            parameters.set(keep, &[0.0])?;
            let without = samples.look(&mut recorder, &parameters, mode)?;
            parameters.set(keep, &[1.0])?;
            for fill in &lesion.fills {
                parameters.set(&fill.name, &vec![0.0; fill.features])?;
            }
            facts.extend(lost(&lesion.subject, mode, &intact, &without));
        }
    }
    Ok(facts)
}

/// What a lesion takes away: of the score, of each output and of each hint.
fn lost(subject: &Subject, mode: Mode, intact: &Looked, without: &Looked) -> Vec<Fact> {
    let new = || Fact { subject: Some(subject.clone()), ..Fact::new(Measure::Lesion, mode, without) };
    let mut facts = Vec::new();
    let pairs = intact.scores.per_output.iter().zip(&without.scores.per_output);
    for (((before, (name, after)), &ty), tally) in pairs.zip(&without.types).zip(&without.scores.tallies) {
        let fact = new().of(name, ty).share(tally.correct.iter().sum(), tally.total.iter().sum());
        // The score of a scalar is its error.
        let loss = if ty == Type::Scalar { after - before.1 } else { before.1 - after };
        facts.push(Fact { value: *after, loss: Some(loss), ..fact });
    }
    let count = facts.len().max(1) as f64;
    let loss = facts.iter().filter_map(|fact| fact.loss).sum::<f64>() / count;
    let score = new().share(facts.iter().map(|fact| fact.value).sum(), count);
    facts.insert(0, Fact { value: without.scores.score, loss: Some(loss), ..score });
    for (before, after) in intact.measures.hints.iter().zip(&without.measures.hints) {
        let fact = new().of(after.entry.name, after.entry.ty).counts(after.count());
        facts.push(Fact { loss: Some(before.count().value() - fact.value), ..fact });
    }
    facts
}
