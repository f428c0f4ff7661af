//! How far an edit reaches in what the program computes: its graph beside that of its parent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use graph::{Form, Graph, NodeId, Processor};
use program::{Options, Regions};
use schemas::Candidate;

/// Names of a processor's outputs, in their order.
const OUTPUTS: [&str; 2] = ["ret", "tri_msgs"];

/// Parents that are kept; a table of more begins anew. Children of one parent mostly stand together.
const KEPT: usize = 256;

/// A parent's graph, and which of its outputs no region takes part in.
struct Parent {
    form: Form,
    frozen: Vec<bool>,
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
    pub fn compare(&self, candidate: &mut Candidate, child: &Form, options: &Options) {
        let Some(source) = candidate.parent_source.as_deref() else { return };
        let slot = self.get(source);
        let Some(parent) = slot.get_or_init(|| compile(source, options)) else { return };
        candidate.graph_edit_distance = i64::try_from(parent.form.edit_distance(child).total()).ok();
        let changed = parent.form.changed_outputs(child).into_iter().zip(&parent.frozen).zip(OUTPUTS);
        let names: Vec<String> =
            changed.filter(|((changed, frozen), _)| *changed && **frozen).map(|(_, name)| name.to_owned()).collect();
        candidate.frozen_outputs_changed = i64::try_from(names.len()).ok();
        candidate.changed_frozen_outputs = Some(names);
    }
}

fn compile(source: &str, options: &Options) -> Option<Parent> {
    let processor = program::compile(source, options).processor?;
    let regions = program::regions::find(source).ok();
    let frozen = processor.outputs().iter().map(|&output| frozen(&processor, output, regions.as_ref())).collect();
    Some(Parent { form: Form::new(&processor.graph, &processor.outputs()), frozen })
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
