//! One step of the whole network as one graph: encoders, the candidate's processor, decoders.
//!
//! Data enters as numbers: pointers as one-hot rows (or soft distributions), the rest as it is; see [`encoded_shape`].
//! What differs from step to step is marked so in the graph. Parameters are named `encoders.<data point>.<k>`,
//! `processor.<torch name>` and `decoders.<data point>.<k>`.

use clrs::wiring::{Feature, decoded_from};
use clrs::{Location, SpecEntry, Stage, Type};
use graph::{Dim, Graph, NodeId, Processor, Shape, Statistic, noise};

use crate::builder::Builder;
use crate::channels::{Channel, Channels};
use crate::encode::Features;
use crate::error::{ModelError, Result};
use crate::{decode, encode};

/// A datum and its nodes in the graph.
#[derive(Clone, Debug)]
pub struct Port {
    /// What the datum is.
    pub entry: SpecEntry,
    /// The number of the graph's input for it: of inputs and hints; for an output that is a permutation, of its noise.
    pub input: Option<usize>,
    /// Its raw prediction: hints and outputs.
    pub logits: Option<NodeId>,
}

/// One step of a network, for one algorithm and one processor.
#[derive(Clone, Debug)]
pub struct Model {
    /// The graph of the step.
    pub graph: Graph,
    /// What is given, as the network sees it.
    pub inputs: Vec<Port>,
    /// The hints: each is an input, and predicted.
    pub hints: Vec<Port>,
    /// What is asked for.
    pub outputs: Vec<Port>,
    /// The number of the input for the hidden state before, [B, N, H].
    pub hidden: usize,
    /// The hidden state after.
    pub next_hidden: NodeId,
    before: NodeId,
    features: Features,
    /// [B, N, N, H]
    tri_msgs: Option<NodeId>,
    /// H
    pub width: usize,
    /// For each application of the processor, where its nodes are in the graph.
    pub applications: Vec<Vec<NodeId>>,
    /// With switches only: what goes into the processor and what comes out of it.
    pub channels: Vec<Channel>,
    /// The network in training, where the processor computes something else there. It has the same parameters.
    training: Option<Box<Model>>,
    /// For a network in training whose processor has noise: for each application of the processor, the numbers of the inputs
    /// for keys of samples, [B, 3], and for one of the whole batch, [3].
    pub keys: Vec<[usize; 2]>,
    /// For a network in training: for each application of the processor in turn, what its running statistics are moved towards.
    pub statistics: Vec<Statistic>,
}

/// A processor's computation.
struct Computation<'a> {
    graph: &'a Graph,
    ret: NodeId,
    tri_msgs: Option<NodeId>,
    /// Whether it is that of training, where evaluation is another one.
    training: bool,
    statistics: &'a [Statistic],
}

impl Model {
    /// Puts encoders and decoders for `spec` around `processor`, which is applied `passes` times with the same weights
    /// and features, each time to the hidden state that the one before left.
    pub fn new(processor: &Processor, spec: &[SpecEntry], passes: usize) -> Result<Self> {
        Self::build(processor, spec, passes, false)
    }

    /// The same, with a switch in each channel between the processor and what is around it.
    pub fn with_switches(processor: &Processor, spec: &[SpecEntry], passes: usize) -> Result<Self> {
        Self::build(processor, spec, passes, true)
    }

    /// The network as it is trained.
    pub fn in_training(&self) -> &Self {
        self.training.as_deref().unwrap_or(self)
    }

    /// Whether training computes something else than evaluation.
    pub fn has_modes(&self) -> bool {
        self.training.is_some()
    }

    fn build(processor: &Processor, spec: &[SpecEntry], passes: usize, switches: bool) -> Result<Self> {
        let Processor { graph, ret, tri_msgs, .. } = processor;
        let (hidden, none) = (processor.hidden, &[][..]);
        let evaluated = Computation { graph, ret: *ret, tri_msgs: *tri_msgs, training: false, statistics: none };
        let mut model = Self::around(&evaluated, hidden, Graph::new(), spec, passes, switches)?;
        if let Some(trained) = processor.training.as_deref() {
            let graph::Training { graph, ret, tri_msgs, statistics } = trained;
            let trained = Computation { graph, ret: *ret, tri_msgs: *tri_msgs, training: true, statistics };
            let begun = Graph::with_params_of(&model.graph);
            let trained = Self::around(&trained, hidden, begun, spec, passes, false)?;
            // what only training reads is part of the network, too
            model.graph.set_params(trained.graph.params())?;
            model.training = Some(Box::new(trained));
        }
        Ok(model)
    }

    fn around(
        processor: &Computation<'_>,
        hidden: usize,
        begun: Graph,
        spec: &[SpecEntry],
        passes: usize,
        switches: bool,
    ) -> Result<Self> {
        if passes == 0 {
            let reason = "at least one message-passing step is needed".to_owned();
            return Err(ModelError::Setting { setting: "nb_msg_passing_steps", reason });
        }
        if let Some(entry) = spec.iter().find(|entry| !supported(entry)) {
            let what = format!("{} {} {} ({})", entry.stage, entry.location, entry.ty, entry.name);
            return Err(ModelError::Inconsistent(format!("no data of the benchmark is a {what}")));
        }
        let mut net = Builder { graph: begun, hidden };
        let mut values = Vec::new();
        let mut given = |stage: Stage| -> Vec<Port> {
            let chosen = spec.iter().filter(|entry| entry.stage == stage);
            let port = |entry: &SpecEntry| {
                let input = net.graph.inputs().len();
                let value = net.input(entry.name, encoded_shape(entry), stage == Stage::Hint);
                values.push((*entry, value));
                Port { entry: *entry, input: Some(input), logits: None }
            };
            chosen.map(port).collect()
        };
        let inputs = given(Stage::Input);
        let mut hints = given(Stage::Hint);
        let hidden_shape = vec![Dim::b(), Dim::n(), Dim::of(hidden)];
        let hidden = net.graph.inputs().len();
        let before = net.input("hidden", hidden_shape, true);

        // in the order of the specification, which is the order of construction
        let mut points = Vec::with_capacity(values.len());
        for entry in spec {
            points.extend(values.iter().find(|(known, _)| known == entry).copied());
        }
        let features = encode::encode(&mut net, &points)?;

        let mut channels = Channels::new(switches);
        let mut next_hidden = before;
        let mut tri_msgs = None;
        let mut applications = Vec::new();
        let features_in = [
            channels.through(&mut net, "node_fts", features.node)?,
            channels.through(&mut net, "edge_fts", features.edge)?,
            channels.through(&mut net, "graph_fts", features.graph)?,
            channels.through(&mut net, "adj_mat", features.adjacency)?,
        ];
        let (mut keys, mut statistics) = (Vec::new(), Vec::new());
        for at in 0..passes {
            let [node, edge, graph, adjacency] = features_in;
            let hidden = channels.through(&mut net, "hidden", next_hidden)?;
            let mut given = vec![node, edge, graph, adjacency, hidden];
            if processor.training {
                let first = net.graph.inputs().len();
                given.push(net.input(&format!("noise_keys.{at}"), noise::key_shape(true), true));
                given.push(net.input(&format!("noise_key.{at}"), noise::key_shape(false), true));
                keys.push([first, first + 1]);
            }
            let map = net.graph.inline(processor.graph, &given, PROCESSOR)?;
            let copy = |id: NodeId| {
                map.get(id.index())
                    .copied()
                    .ok_or_else(|| ModelError::Inconsistent("the processor's output is not its own".to_owned()))
            };
            next_hidden = copy(processor.ret)?;
            tri_msgs = processor.tri_msgs.map(copy).transpose()?;
            for statistic in processor.statistics {
                let [mean, variance] = statistic.batch;
                let mut own = |param: Option<graph::ParamId>| {
                    param.map(|param| net.graph.adopt(processor.graph, param, PROCESSOR)).transpose()
                };
                let [means, variances] = statistic.running;
                statistics.push(Statistic {
                    batch: [copy(mean)?, copy(variance)?],
                    running: [own(means)?, own(variances)?],
                    count: own(statistic.count)?,
                    momentum: statistic.momentum,
                });
            }
            applications.push(map);
        }
        let next_hidden = channels.through(&mut net, "ret", next_hidden)?;
        let tri_msgs = tri_msgs.map(|value| channels.through(&mut net, "tri_msgs", value)).transpose()?;

        let nodes = net.cat(&[features.node, before, next_hidden], 2)?;
        let edges: Vec<NodeId> = [features.edge].into_iter().chain(tri_msgs).collect();
        let edges = net.cat(&edges, 3)?;
        let state = decode::State { nodes, edges, graph: features.graph };
        for port in &mut hints {
            port.logits = Some(decode::decode(&mut net, &port.entry, &state, None)?);
        }
        let mut outputs = Vec::new();
        for entry in spec.iter().filter(|entry| entry.stage == Stage::Output) {
            let mut input = None;
            let mut noise = None;
            if entry.ty == Type::PermutationPointer {
                input = Some(net.graph.inputs().len());
                noise = Some(net.input(&format!("noise.{}", entry.name), encoded_shape(entry), true));
            }
            let logits = Some(decode::decode(&mut net, entry, &state, noise)?);
            outputs.push(Port { entry: *entry, input, logits });
        }
        let Builder { graph, hidden: width } = net;
        let channels = channels.done();
        Ok(Self {
            graph,
            inputs,
            hints,
            outputs,
            hidden,
            next_hidden,
            before,
            features,
            tri_msgs,
            width,
            applications,
            channels,
            training: None,
            keys,
            statistics,
        })
    }

    /// What the encoders hand to the processor, and the processor to the decoders, by the reference's names.
    pub fn inner_values(&self) -> Vec<(&'static str, NodeId)> {
        let mut values = vec![
            ("node_fts", self.features.node),
            ("edge_fts", self.features.edge),
            ("graph_fts", self.features.graph),
            ("adj_mat", self.features.adjacency),
            ("hidden", self.before),
            ("next_hidden", self.next_hidden),
        ];
        values.extend(self.tri_msgs.map(|id| ("tri_msgs", id)));
        values
    }
}

/// What the names of a processor's parameters begin with.
const PROCESSOR: &str = "processor.";

/// Whether any hint or output of a task is decoded from triplet messages. Where none is, they have no effect at all: no
/// step reads those of the step before.
pub fn reads_triplets(spec: &[SpecEntry]) -> bool {
    spec.iter().any(|entry| decoded_from(entry).contains(&Feature::TriMsgs))
}

/// What CLRS-30 has, after the transformations of its pipeline.
fn supported(entry: &SpecEntry) -> bool {
    match (entry.stage, entry.location, entry.ty) {
        (_, _, Type::ShouldBePermutation) | (_, Location::Graph, Type::Pointer) => false,
        (stage, location, Type::PermutationPointer) => stage == Stage::Output && location == Location::Node,
        (Stage::Input, Location::Edge, Type::Pointer) => true,
        (_, _, Type::Categorical) => entry.classes > 0,
        _ => true,
    }
}

/// The shape in which a datum enters and leaves the network (a step of it, for hints): one number a place, C numbers for
/// categoricals, N for pointers.
pub fn encoded_shape(entry: &SpecEntry) -> Shape {
    let (b, n) = (Dim::b(), Dim::n());
    let mut shape = match entry.location {
        Location::Node => vec![b, n.clone()],
        Location::Edge => vec![b, n.clone(), n.clone()],
        Location::Graph => vec![b],
    };
    match entry.ty {
        Type::Categorical => shape.push(Dim::of(entry.classes)),
        Type::Pointer | Type::PermutationPointer => shape.push(n),
        _ => {}
    }
    shape
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clrs::wiring::encoded_into;

    use super::*;
    use crate::data;

    /// Whether any of the nodes is computed from this one.
    fn depends(graph: &Graph, on: NodeId, wanted: &[NodeId]) -> bool {
        let mut seen: BTreeSet<NodeId> = BTreeSet::new();
        let mut left = wanted.to_vec();
        while let Some(id) = left.pop() {
            if id == on {
                return true;
            }
            if seen.insert(id) {
                left.extend(graph.node(id).args.iter().copied());
            }
        }
        false
    }

    #[test]
    fn a_task_reads_triplets_where_its_network_does() {
        let options = program::Options { hidden: 8, ..program::Options::default() };
        let seed = include_str!("../../../../data/seed_pgn.py");
        let processor = program::compile(seed, &options).processor.expect("it is valid");
        let mut without = Vec::new();
        for algorithm in clrs::algorithms() {
            let spec = data::spec(data::find(algorithm.name).expect("known"));
            let model = Model::new(&processor, &spec, 1).expect("a network");
            let wanted: Vec<NodeId> = model.hints.iter().chain(&model.outputs).filter_map(|port| port.logits).collect();
            let triplets = model.tri_msgs.expect("the seed program has them");
            // the next step sees hints and the hidden state
            assert!(!depends(&model.graph, triplets, &[model.next_hidden]), "{}", algorithm.name);
            let read = depends(&model.graph, triplets, &wanted);
            assert_eq!(read, reads_triplets(&spec), "{}", algorithm.name);
            if !read {
                without.push(algorithm.name);
            }
        }
        assert_eq!(without, WITHOUT);
    }

    /// The nodes of `ends` that a node is computed from without another one of them in between.
    fn nearest(graph: &Graph, from: NodeId, ends: &[(&'static str, NodeId)]) -> BTreeSet<&'static str> {
        let mut seen: BTreeSet<NodeId> = BTreeSet::new();
        let mut found = BTreeSet::new();
        let mut left = vec![from];
        while let Some(id) = left.pop() {
            let names = ends.iter().filter(|(_, end)| *end == id).map(|(name, _)| *name).collect::<Vec<_>>();
            if !names.is_empty() {
                found.extend(names);
            } else if seen.insert(id) {
                left.extend(graph.node(id).args.iter().copied());
            }
        }
        found
    }

    #[test]
    fn decoders_and_encoders_are_wired_as_the_contract_says() {
        let options = program::Options { hidden: 8, ..program::Options::default() };
        let seed = include_str!("../../../../data/seed_pgn.py");
        let processor = program::compile(seed, &options).processor.expect("it is valid");
        for algorithm in clrs::algorithms() {
            let spec = data::spec(data::find(algorithm.name).expect("known"));
            let model = Model::new(&processor, &spec, 1).expect("a network");
            let inner = model.inner_values();
            for port in model.hints.iter().chain(&model.outputs) {
                let read = nearest(&model.graph, port.logits.expect("it is decoded"), &inner);
                let said: BTreeSet<&str> = decoded_from(&port.entry).iter().map(|feature| feature.as_str()).collect();
                assert_eq!(read, said, "{}: {}", algorithm.name, port.entry.name);
            }
            for port in model.inputs.iter().chain(&model.hints) {
                let number = port.input.expect("it is an input");
                let is_it =
                    |id: &NodeId| matches!(model.graph.node(*id).op, graph::Op::Input(of) if of as usize == number);
                let datum = model.graph.ids().find(is_it).expect("a node");
                let encoded = ["node_fts", "edge_fts", "graph_fts", "adj_mat"];
                let into = inner.iter().filter(|(name, _)| encoded.contains(name));
                let into: BTreeSet<&str> =
                    into.filter(|(_, id)| depends(&model.graph, datum, &[*id])).map(|(name, _)| *name).collect();
                let said: BTreeSet<&str> = encoded_into(&port.entry).iter().map(|feature| feature.as_str()).collect();
                assert_eq!(into, said, "{}: {}", algorithm.name, port.entry.name);
            }
        }
    }

    const WITHOUT: &[&str] = &[
        "activity_selector",
        "binary_search",
        "find_maximum_subarray_kadane",
        "jarvis_march",
        "minimum",
        "naive_string_matcher",
        "segments_intersect",
        "task_scheduling",
    ];
}
