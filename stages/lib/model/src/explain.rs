//! A network's step as text, as it is built and as it is run.

use std::fmt::Write as _;

use graph::{Graph, NodeId, Passes, Processor, costs, optimise};

use crate::data;
use crate::error::Result;
use crate::{Model, Port};

/// The graph of one step for `algorithm` around `processor`, before and after rewriting, line by line, with what each
/// costs for B graphs of N nodes; in both modes, where they differ.
pub fn explain(processor: &Processor, algorithm: &str, nb_msg_passing_steps: usize) -> Result<String> {
    let model = Model::new(processor, &data::spec(data::find(algorithm)?), nb_msg_passing_steps)?;
    let logits = |ports: &[Port]| ports.iter().filter_map(|port| port.logits).collect::<Vec<_>>();
    let mut text = String::new();
    let mut sections = |model: &Model, when: &str| {
        let mut wanted = logits(&model.hints);
        wanted.push(model.next_hidden);
        let (rewritten, outputs) = optimise(&model.graph, &wanted, &Passes::all());
        section(&mut text, &format!("as built{when}"), &model.graph, &wanted);
        section(&mut text, &format!("as run{when}"), &rewritten, &outputs);
    };
    if model.has_modes() {
        sections(&model, " in evaluation");
        sections(model.in_training(), " in training");
    } else {
        sections(&model, "");
    }
    Ok(text)
}

/// Trainable parameters of the whole network for `algorithm` around `processor`: encoders and decoders too.
pub fn parameter_count(processor: &Processor, algorithm: &str, nb_msg_passing_steps: usize) -> Result<usize> {
    let model = Model::new(processor, &data::spec(data::find(algorithm)?), nb_msg_passing_steps)?;
    let trained = model.graph.params().iter().filter(|param| param.trainable);
    Ok(trained.map(|param| param.shape.iter().product::<usize>()).sum())
}

/// Whether the network for `algorithm` reads the processor's triplet messages. Where it does not, processors that differ in
/// nothing else are the same network.
pub fn reads_triplets(algorithm: &str) -> Result<bool> {
    Ok(crate::network::reads_triplets(&data::spec(data::find(algorithm)?)))
}

fn section(text: &mut String, title: &str, graph: &Graph, wanted: &[NodeId]) {
    let costs = costs(graph, wanted);
    // writing to a string cannot fail
    let _ = writeln!(text, "# A step {title}: hints and the next hidden state");
    let _ = writeln!(text, "# parameters                          {}", costs.params);
    let _ = writeln!(text, "# multiply-accumulates at each step   {}", costs.macs_varying);
    let _ = writeln!(text, "# bytes kept of a step for training   {}", costs.train_bytes_per_step);
    let _ = writeln!(text, "# largest tensor                      {}", costs.largest_tensor);
    text.push_str(&graph::explain(graph, wanted));
    text.push('\n');
}
