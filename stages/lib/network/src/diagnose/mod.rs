//! Where a trained network fails, and what each of its operators is worth.
//!
//! A network is run on samples and every decision is kept ([`record`]): *free*, as it is scored, with its own hints fed back,
//! and *forced*, with true hints fed back, so that a step's faults are its own. Right decisions are counted by hint and tenth
//! of the run ([`measures`]). *Lesions* ([`lesions`]) replace operators and channels one at a time, without training, and
//! measure what is lost.

mod lesions;
mod measures;
mod record;
mod truth;

use clrs::{Batch, Type};
use executor::Parameters;
use executor::tensor::TorchKind;
use executor::weights::Weights;
use graph::Processor;

use crate::Device;
use crate::batch::{Encoded, Hints};
use crate::error::Result;
use crate::evaluate;
use crate::feedback::read_off;
use crate::score::{Scorer, Scores};
use measures::{Count, Measures};
use model::data;
use model::{EvalConfig, Model};
use record::Recorder;
use truth::Truth;

pub use model::{DiagnoseConfig, Fact, LesionConfig, Measure, Mode, Replacement, Subject};

/// How facts are made.
trait Told: Sized {
    fn new(measure: Measure, mode: Mode, looked: &Looked) -> Self;
    fn of(self, probe: &str, ty: Type) -> Self;
    fn counts(self, count: Count) -> Self;
    fn share(self, correct: f64, total: f64) -> Self;
}

impl Told for Fact {
    fn new(measure: Measure, mode: Mode, looked: &Looked) -> Self {
        Self {
            measure,
            mode,
            evaluation: None,
            nodes: looked.nodes,
            samples: looked.measures.samples,
            subject: None,
            probe: None,
            probe_type: None,
            tenth: None,
            classes: None,
            correct: 0.0,
            total: 0.0,
            value: 0.0,
            loss: None,
        }
    }

    fn of(self, probe: &str, ty: Type) -> Self {
        Self { probe: Some(probe.to_owned()), probe_type: Some(ty.to_string()), ..self }
    }

    fn counts(self, count: Count) -> Self {
        Self { correct: count.correct, total: count.total, value: count.value(), ..self }
    }

    fn share(self, correct: f64, total: f64) -> Self {
        Self { correct, total, value: if total > 0.0 { correct / total } else { 0.0 }, ..self }
    }
}

/// What was seen of a network on some samples.
struct Looked {
    nodes: usize,
    measures: Measures,
    scores: Scores,
    /// The types of the outputs, as the scores have them.
    types: Vec<Type>,
}

/// Samples, ready to be run.
struct Samples {
    nodes: usize,
    batches: Vec<Batch>,
    encoded: Vec<Encoded>,
    /// With the numbers of hints of their samples.
    truths: Vec<(Vec<Truth>, Vec<usize>)>,
}

impl Samples {
    fn new(model: &Model, config: &EvalConfig) -> Result<Self> {
        let batches = evaluate::dataset(config)?.parts(config.batch_size)?.collect::<model::Result<Vec<Batch>>>()?;
        let encode = |batch: &Batch| Encoded::new(model, batch, Hints::All, config.dtype.kind(), Device::CPU);
        let truths = |batch: &Batch| -> Result<_> {
            Ok((Truth::of_batch(model.hints.iter().map(|port| &port.entry), batch)?, batch.lengths.clone()))
        };
        Ok(Self {
            nodes: batches.first().map_or(0, Batch::nodes),
            encoded: batches.iter().map(encode).collect::<Result<_>>()?,
            truths: batches.iter().map(truths).collect::<Result<_>>()?,
            batches,
        })
    }

    /// Runs the network on all of them.
    fn look(&self, recorder: &mut Recorder<'_>, parameters: &Parameters, mode: Mode) -> Result<Looked> {
        let mut measures = Measures::new(&self.truths);
        let mut scorer = Scorer::default();
        for ((batch, encoded), (truths, lengths)) in self.batches.iter().zip(&self.encoded).zip(&self.truths) {
            let recorded = recorder.run(parameters, encoded, mode == Mode::Forced)?;
            measures.add(truths, lengths, &recorded);
            let outputs = recorder.model.outputs.iter().zip(&recorded.outputs);
            let outputs = outputs.map(|(port, raw)| read_off(&port.entry, raw)).collect::<Result<Vec<_>>>()?;
            scorer.add(batch, &outputs)?;
        }
        let scores = scorer.scores();
        let ty =
            |name: &str| recorder.model.outputs.iter().find(|port| port.entry.name == name).map(|port| port.entry.ty);
        let types = scores.per_output.iter().map(|(name, _)| ty(name).unwrap_or(Type::Scalar)).collect();
        Ok(Looked { nodes: self.nodes, measures, scores, types })
    }
}

/// Looks at a processor with trained weights. Facts whose numbers are not finite are left out.
pub fn diagnose(
    processor: &Processor,
    weights: &Weights,
    config: &DiagnoseConfig,
    device: Device,
) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    if let Some(first) = config.evaluations.first() {
        evaluate::check(processor, first)?;
        let model = Model::new(processor, &data::spec(data::find(&first.algorithm)?), first.nb_msg_passing_steps)?;
        let parameters = Parameters::from_weights(&model.graph, weights, first.dtype, device)?;
        let mut recorder = Recorder::new(&model, evaluate::settings(first, device))?;
        for (number, evaluation) in config.evaluations.iter().enumerate() {
            let samples = Samples::new(&model, evaluation)?;
            for mode in Mode::ALL {
                let found = facts_of(&samples.look(&mut recorder, &parameters, mode)?, mode);
                facts.extend(found.into_iter().map(|fact| Fact { evaluation: Some(number), ..fact }));
            }
        }
    }
    if let Some(lesions) = &config.lesions {
        facts.extend(lesions::run(processor, weights, lesions, device)?);
    }
    // The squared error of a prediction that is not finite tells nothing, and no table could hold it.
    facts.retain(|fact| [fact.correct, fact.total, fact.value, fact.loss.unwrap_or(0.0)].iter().all(|x| x.is_finite()));
    Ok(facts)
}

/// All that is said of one run.
fn facts_of(looked: &Looked, mode: Mode) -> Vec<Fact> {
    let new = |measure: Measure| Fact::new(measure, mode, looked);
    let Looked { measures, scores, types, .. } = looked;
    let sum: f64 = scores.per_output.iter().map(|(_, score)| score).sum();
    let score = new(Measure::Score).share(sum, scores.per_output.len() as f64);
    let mut facts = vec![Fact { value: scores.score, ..score }];
    for (((name, score), tally), &ty) in scores.per_output.iter().zip(&scores.tallies).zip(types) {
        let fact = new(Measure::Output).of(name, ty).share(tally.correct.iter().sum(), tally.total.iter().sum());
        facts.push(Fact { value: *score, ..fact });
    }
    for hint in &measures.hints {
        let of = |measure: Measure| new(measure).of(hint.entry.name, hint.entry.ty);
        facts.push(of(Measure::Hint).counts(hint.count()));
        let tenths = hint.tenths.iter().enumerate().filter(|(_, count)| count.total > 0.0);
        facts.extend(tenths.map(|(at, &count)| Fact { tenth: Some(at), ..of(Measure::Step).counts(count) }));
        for (&(truth, predicted), &count) in &hint.confusion {
            let classes = Some((truth, predicted));
            let of_class = hint.confusion.iter().filter(|((other, _), _)| *other == truth);
            let total = of_class.map(|(_, count)| count).sum();
            facts.push(Fact { classes, ..of(Measure::Confusion).share(count, total) });
        }
    }
    let samples = measures.samples as f64;
    for (&(hint, tenth), &count) in &measures.first_wrong {
        let Some(hint) = measures.hints.get(hint) else { continue };
        let fact = new(Measure::FirstWrong).of(hint.entry.name, hint.entry.ty).share(count, samples);
        facts.push(Fact { tenth: Some(tenth), ..fact });
    }
    facts.push(new(Measure::FirstWrong).share(measures.never_wrong, samples));
    facts
}
