//! How far an edit reaches in what the program computes: its graph beside that of its parent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use graph::{Fingerprint, Form, Graph, NodeId, Parts, Processor};
use program::{Options, Regions};
use schemas::Candidate;

/// Names of a processor's outputs, in their order.
const OUTPUTS: [&str; 2] = ["ret", "tri_msgs"];

/// Parents that are kept; a table of more begins anew. Children of one parent mostly stand together.
const KEPT: usize = 256;

/// Normal forms of what a processor computes.
pub struct Forms {
    /// Identifies both modes together.
    pub whole: Fingerprint,
    evaluation: Form,
    /// Where training is something else.
    training: Option<Form>,
}

impl Forms {
    pub fn new(processor: &Processor) -> Self {
        let evaluation = Form::new(&processor.graph, &processor.outputs());
        let training = processor.training.as_ref().map(|training| Form::new(&training.graph, &training.outputs()));
        Self { whole: processor.joint_fingerprint(evaluation.fingerprint()), evaluation, training }
    }

    /// In evaluation, and in training.
    fn modes(&self) -> [&Form; 2] {
        [&self.evaluation, self.training.as_ref().unwrap_or(&self.evaluation)]
    }
}

/// What children are compared with.
struct Parent {
    whole: Fingerprint,
    modes: Vec<Mode>,
}

/// A parent in evaluation, or in training where that is something else.
struct Mode {
    parts: Parts,
    /// The fingerprint of each output that no region takes part in.
    frozen: Vec<Option<Fingerprint>>,
}

/// The parents met so far, each compiled once however many children it has.
#[derive(Default)]
pub struct Parents(Mutex<BTreeMap<String, Slot>>);

type Slot = Arc<OnceLock<Option<Parent>>>;

impl fmt::Debug for Parents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parents")
    }
}

impl Parents {
    fn get(&self, source: &str) -> Slot {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT && !known.contains_key(source) {
            known.clear();
        }
        known.entry(source.to_owned()).or_default().clone()
    }

    /// Fills the columns about the graphs of child and parent; leaves them empty where the parent has no graph.
    /// Where training and evaluation differ, an edit reaches as far as it does in either.
    pub fn compare(&self, candidate: &mut Candidate, child: &Forms, options: &Options) {
        let Some(source) = candidate.parent_source.as_deref() else { return };
        let slot = self.get(source);
        let Some(parent) = slot.get_or_init(|| compile(source, options)) else { return };
        let mut distance = 0;
        let mut changed = BTreeSet::new();
        let count = if child.training.is_some() { 2 } else { parent.modes.len() };
        for (at, form) in child.modes().into_iter().enumerate().take(count) {
            let Some(mode) = parent.modes.get(at).or(parent.modes.first()) else { continue };
            distance = mode.parts.distance(&form.parts()).total().max(distance);
            // Nothing of an equal graph needs a closer look.
            let frozen = if parent.whole == child.whole { &[][..] } else { &mode.frozen };
            let differs =
                |(at, before): &(usize, &Option<Fingerprint>)| before.is_some() && form.output(*at) != **before;
            changed.extend(frozen.iter().enumerate().filter(differs).map(|(at, _)| at));
        }
        candidate.graph_edit_distance = i64::try_from(distance).ok();
        let names: Vec<String> =
            changed.into_iter().filter_map(|at| OUTPUTS.get(at).map(|name| (*name).to_owned())).collect();
        candidate.frozen_outputs_changed = i64::try_from(names.len()).ok();
        candidate.changed_frozen_outputs = Some(names);
    }
}

fn compile(source: &str, options: &Options) -> Option<Parent> {
    let processor = program::compile(source, options).processor?;
    let regions = program::regions::find(source).ok();
    let forms = Forms::new(&processor);
    let mode = |form: &Form, graph: &Graph, outputs: Vec<NodeId>| {
        let frozen =
            (0..).zip(outputs).map(|(at, output)| form.output(at).filter(|_| frozen(graph, output, regions.as_ref())));
        Mode { parts: form.parts(), frozen: frozen.collect() }
    };
    let mut modes = vec![mode(&forms.evaluation, &processor.graph, processor.outputs())];
    if let (Some(form), Some(training)) = (&forms.training, &processor.training) {
        modes.push(mode(form, &training.graph, training.outputs()));
    }
    Some(Parent { whole: forms.whole, modes })
}

/// Whether frozen code alone computes an output: no operation or parameter that it depends on was written in a region.
fn frozen(graph: &Graph, output: NodeId, regions: Option<&Regions>) -> bool {
    let Some(regions) = regions else { return true };
    let live = graph::passes::live(graph, &[output]);
    graph.ids().zip(live).filter(|(_, live)| *live).all(|(id, _)| {
        let lines = [Some(graph.node(id).span), graph.param_of(id).map(|param| param.span)];
        lines.into_iter().flatten().all(|span| regions.factor_at(span.line).is_none())
    })
}
