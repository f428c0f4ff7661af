//! The whole module: classes for encoders, processor and decoders, and what ties them together over time.

use std::collections::BTreeMap;

use clrs::{Algorithm, SpecEntry};
use graph::{Graph, NodeId, Op, Param, Processor};
use model::{Model, Port, Repred, Steps, data};

use crate::body::{Function, is_sized, prelude};
use crate::error::{ExportError, Result};
use crate::members::Members;
use crate::names::Names;

const TEMPLATE: &str = include_str!("../python/model.txt");

const GROUP: &str = r#"class Group(nn.Module):
    """Parameters and layers that belong together."""

    def __init__(self, **members):
        super().__init__()
        for name, member in members.items():
            setattr(self, name, member)


"#;

/// What a network is besides its processor.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How often the processor is applied in each time step.
    pub nb_msg_passing_steps: usize,
    /// How predicted hints enter the next step.
    pub hint_repred_mode: Repred,
}

/// A network as Python.
#[derive(Clone, Debug)]
pub struct Module {
    /// The text of the module.
    pub source: String,
    /// The network's parameters, each with its name in the module's `state_dict`. Further names of shared parameters are
    /// not among them: the module has each parameter once.
    pub parameters: Vec<(Param, String)>,
}

/// Writes the network for `algorithm` around `processor`.
///
/// The text is made from the graph alone. Of a candidate's own text it has the names of layers and parameters, as
/// identifiers. `about`: lines of the module's description, whose author is trusted.
pub fn module(processor: &Processor, algorithm: &'static Algorithm, settings: Settings, about: &str) -> Result<Module> {
    let spec = data::spec(algorithm);
    let model = Model::new(processor, &spec, settings.nb_msg_passing_steps)?;
    let steps = Steps::evaluation(&model, settings.hint_repred_mode)?;
    let [_, step] = steps.variants();
    let graph = &step.graph;

    let (encoders, decoders) = (Members::new(graph, "encoders.")?, Members::new(graph, "decoders.")?);
    let processors = Members::new(&processor.graph, "")?;
    let inner: BTreeMap<&str, NodeId> = model.inner_values().into_iter().collect();
    let mut groups = false;
    let mut init = |members: &Members, graph: &Graph| {
        let (lines, group) = members.constructor(graph);
        groups |= group;
        block(&lines)
    };
    let mut parts: BTreeMap<&str, String> = BTreeMap::from([
        ("ENCODERS_INIT", init(&encoders, graph)),
        ("PROCESSOR_INIT", init(&processors, &processor.graph)),
        ("DECODERS_INIT", init(&decoders, graph)),
    ]);
    parts.insert("GROUP", if groups { GROUP.to_owned() } else { String::new() });
    parts.insert("TASK", algorithm.name.to_owned());
    parts.insert("ABOUT", about.to_owned());
    parts.insert("HIDDEN", processor.hidden.to_string());
    parts.insert("PASSES", settings.nb_msg_passing_steps.to_string());
    parts.insert("SPEC", spec.iter().map(line_of).collect());
    parts.insert("ENCODERS_FORWARD", encode(&model, graph, &encoders, &inner)?);
    parts.insert("PROCESSOR_FORWARD", process(processor, &processors)?);
    for (part, ports) in [("DECODERS_HINTS", &model.hints), ("DECODERS_OUTPUTS", &model.outputs)] {
        parts.insert(part, decode(ports, graph, &decoders, &inner)?);
    }
    parts.insert("FEED_BACK", feed_back(&model, graph, &step.state)?);
    let sized = sized(graph, &model.inputs)?;
    parts.insert("FIRST", format!("first = inputs[\"{}\"]", sized.entry.name));
    parts.insert("SIZED", "first".to_owned());

    let mut parameters = Vec::with_capacity(graph.params().len());
    for (members, of, prefix, own) in [
        (&encoders, graph, "encoders", ""),
        (&processors, &processor.graph, "processor", "processor."),
        (&decoders, graph, "decoders", ""),
    ] {
        for (id, place) in members.places() {
            let param = of.params().get(id.index());
            let param = param.ok_or_else(|| ExportError::Inconsistent("a parameter is not there".to_owned()))?;
            let name = format!("{own}{}", param.name);
            // One that nothing reads is not a parameter of the network: it is not trained, and its value is its start.
            let unread = || Param { transient: true, ..param.clone() };
            let known = graph.params().iter().find(|known| known.name == name).cloned().unwrap_or_else(unread);
            parameters.push((known, format!("{prefix}.{}", place.path)));
        }
    }
    if graph.params().iter().any(|param| !parameters.iter().any(|(known, _)| known.name == param.name)) {
        return Err(ExportError::Inconsistent("a parameter belongs to no part of the network".to_owned()));
    }
    Ok(Module { source: fill(&parts), parameters })
}

/// The template with its parts. Names of parts stand alone between two signs, which no part has.
fn fill(parts: &BTreeMap<&str, String>) -> String {
    let mut source = String::with_capacity(TEMPLATE.len() * 4);
    for (at, piece) in TEMPLATE.split('@').enumerate() {
        source.push_str(if at % 2 == 0 { piece } else { parts.get(piece).map_or("", String::as_str) });
    }
    source
}

fn block(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn line_of(entry: &SpecEntry) -> String {
    let SpecEntry { name, stage, location, ty, classes, .. } = entry;
    format!("    (\"{stage}\", \"{name}\", \"{location}\", \"{ty}\", {classes}),\n")
}

/// A function's text: what stands before, its statements, and what it returns.
fn text(before: Vec<String>, lines: &[String], result: &str) -> String {
    format!("{}{}        return {result}\n", block(&before), block(lines))
}

/// A datum whose first axes are B and N.
fn sized<'a>(graph: &Graph, ports: &'a [Port]) -> Result<&'a Port> {
    let found = ports.iter().find(|port| {
        port.input.and_then(|input| graph.inputs().get(input)).is_some_and(|input| is_sized(&input.shape))
    });
    found.ok_or_else(|| ExportError::Inconsistent("no input is one of nodes".to_owned()))
}

/// The node of each input.
fn input_nodes(graph: &Graph) -> BTreeMap<usize, NodeId> {
    let number = |id: NodeId| match graph.node(id).op {
        Op::Input(number) => Some((number as usize, id)),
        _ => None,
    };
    graph.ids().filter_map(number).collect()
}

fn encode(model: &Model, graph: &Graph, members: &Members, inner: &BTreeMap<&str, NodeId>) -> Result<String> {
    let nodes = input_nodes(graph);
    let mut names = Names::default();
    let (mut given, mut loads) = (BTreeMap::new(), Vec::new());
    for name in ["inputs", "hints"] {
        names.fresh(name);
    }
    for (ports, of) in [(&model.inputs, "inputs"), (&model.hints, "hints")] {
        for port in ports {
            let name = names.fresh(port.entry.name);
            loads.push((name.clone(), format!("        {name} = {of}[\"{}\"]", port.entry.name)));
            if let Some(node) = port.input.and_then(|input| nodes.get(&input)) {
                given.insert(*node, name);
            }
        }
    }
    let like = sized(graph, &model.inputs)?;
    let like = format!("inputs[\"{}\"]", like.entry.name);
    let wanted = ["node_fts", "edge_fts", "graph_fts", "adj_mat"].map(|name| inner.get(name).copied());
    let wanted: Vec<NodeId> = wanted.into_iter().flatten().collect();
    let body = Function { graph, members, given, names }.body(&wanted)?;
    let mut before: Vec<String> = loads.into_iter().map(|(_, line)| line).collect();
    before.extend(prelude(&body.lines, &body.results, &like, &like));
    Ok(text(before, &body.lines, &body.results.join(", ")))
}

fn process(processor: &Processor, members: &Members) -> Result<String> {
    let graph = &processor.graph;
    let mut names = Names::default();
    let mut given = BTreeMap::new();
    for (number, node) in input_nodes(graph) {
        if let Some(input) = graph.inputs().get(number) {
            given.insert(node, names.fresh(&input.name));
        }
    }
    let body = Function { graph, members, given, names }.body(&processor.outputs())?;
    let before = prelude(&body.lines, &body.results, "hidden", "hidden");
    let result = match body.results.as_slice() {
        [ret] => format!("{ret}, None"),
        results => results.join(", "),
    };
    Ok(text(before, &body.lines, &result))
}

fn decode(ports: &[Port], graph: &Graph, members: &Members, inner: &BTreeMap<&str, NodeId>) -> Result<String> {
    let mut names = Names::default();
    let mut given = BTreeMap::new();
    let arguments = [
        ("node_fts", "node_fts"),
        ("edge_fts", "edge_fts"),
        ("graph_fts", "graph_fts"),
        ("hidden", "hidden"),
        ("next_hidden", "next_hidden"),
        ("tri_msgs", "tri_msgs"),
    ];
    for (value, name) in arguments {
        names.fresh(name);
        if let Some(node) = inner.get(value) {
            given.insert(*node, name.to_owned());
        }
    }
    let logits = |port: &Port| {
        port.logits.ok_or_else(|| ExportError::Inconsistent(format!("{} is not decoded", port.entry.name)))
    };
    let wanted = ports.iter().map(logits).collect::<Result<Vec<_>>>()?;
    let body = Function { graph, members, given, names }.body(&wanted)?;
    let before = prelude(&body.lines, &body.results, "hidden", "hidden");
    Ok(text(before, &body.lines, &dictionary(ports, &body.results)))
}

fn feed_back(model: &Model, graph: &Graph, state: &[(usize, NodeId)]) -> Result<String> {
    let mut names = Names::default();
    names.fresh("raw");
    let mut given = BTreeMap::new();
    for port in &model.hints {
        if let Some(logits) = port.logits {
            given.insert(logits, format!("raw[\"{}\"]", port.entry.name));
        }
    }
    let next = |port: &Port| {
        let found = state.iter().find(|(input, _)| port.input == Some(*input)).map(|(_, node)| *node);
        found.ok_or_else(|| ExportError::Inconsistent(format!("{} is not fed back", port.entry.name)))
    };
    let wanted = model.hints.iter().map(next).collect::<Result<Vec<_>>>()?;
    let none = Members::new(&Graph::new(), "")?;
    let like = model.hints.iter().find(|port| port.logits.is_some_and(|node| is_sized(graph.shape(node))));
    let like = like.or(model.hints.first()).map_or_else(String::new, |port| format!("raw[\"{}\"]", port.entry.name));
    let body = Function { graph, members: &none, given, names }.body(&wanted)?;
    let before = prelude(&body.lines, &body.results, &like, &like);
    Ok(text(before, &body.lines, &dictionary(&model.hints, &body.results)))
}

fn dictionary(ports: &[Port], values: &[String]) -> String {
    if ports.is_empty() {
        return "{}".to_owned();
    }
    let entry = |(port, value): (&Port, &String)| format!("            \"{}\": {value},\n", port.entry.name);
    format!("{{\n{}        }}", ports.iter().zip(values).map(entry).collect::<String>())
}
