//! How far an edit reaches in what the program computes: its graph beside that of its parent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use graph::{Fingerprint, Form, Graph, NodeId, Parts, Processor};
use program::{Options, Regions};
use schemas::Candidate;

/// Names of a processor's outputs, in their order.
const OUTPUTS: [&str; 2] = ["ret", "tri_msgs"];

/// Parents that are kept; a table of more begins anew. Children of one parent mostly stand together.
const KEPT: usize = 256;

/// What children are compared with.
struct Parent {
    whole: Fingerprint,
    parts: Parts,
    /// Of each output that no region takes part in.
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
    pub fn compare(&self, candidate: &mut Candidate, child: &Form, whole: Fingerprint, options: &Options) {
        let Some(source) = candidate.parent_source.as_deref() else { return };
        let slot = self.get(source);
        let Some(parent) = slot.get_or_init(|| compile(source, options)) else { return };
        let distance = parent.parts.distance(&child.parts()).total();
        candidate.graph_edit_distance = i64::try_from(distance).ok();
        // Nothing of an equal graph needs a closer look.
        let frozen = if parent.whole == whole { &[][..] } else { &parent.frozen };
        let changed = |(at, before): &(usize, &Option<Fingerprint>)| before.is_some() && child.output(*at) != **before;
        let names: Vec<String> = frozen
            .iter()
            .enumerate()
            .filter(changed)
            .filter_map(|(at, _)| OUTPUTS.get(at).map(|name| (*name).to_owned()))
            .collect();
        candidate.frozen_outputs_changed = i64::try_from(names.len()).ok();
        candidate.changed_frozen_outputs = Some(names);
    }
}

fn compile(source: &str, options: &Options) -> Option<Parent> {
    let processor = program::compile(source, options).processor?;
    let regions = program::regions::find(source).ok();
    let form = Form::new(&processor.graph, &processor.outputs());
    let frozen = (0..)
        .zip(processor.outputs())
        .map(|(at, output)| form.output(at).filter(|_| frozen(&processor, output, regions.as_ref())))
        .collect();
    Some(Parent { whole: form.fingerprint(), parts: form.parts(), frozen })
}

/// Whether frozen code alone computes an output: no operation or parameter that it depends on was written in a region.
fn frozen(processor: &Processor, output: NodeId, regions: Option<&Regions>) -> bool {
    let Some(regions) = regions else { return true };
    let graph: &Graph = &processor.graph;
    let live = graph::passes::live(graph, &[output]);
    graph.ids().zip(live).filter(|(_, live)| *live).all(|(id, _)| {
        let lines = [Some(graph.node(id).span), graph.param_of(id).map(|param| param.span)];
        lines.into_iter().flatten().all(|span| regions.factor_at(span.line).is_none())
    })
}
