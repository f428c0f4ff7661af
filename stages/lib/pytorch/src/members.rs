//! Parameters as members of a PyTorch module: how they are made, how they are called, and their names in its `state_dict`.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Graph, Op, Param, ParamId};

use crate::error::{ExportError, Result};
use crate::names::Names;

/// The width that constructors are broken at.
const WIDTH: usize = 110;

/// The parameters of one module.
#[derive(Debug)]
pub(crate) struct Members {
    root: Node,
    /// By parameter.
    places: BTreeMap<ParamId, Place>,
}

/// Where a parameter is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `self.heads[0].t_1.bias`
    pub expression: String,
    /// `heads.0.t_1.bias`: its name in the module's `state_dict`.
    pub path: String,
    pub layer: Option<Layer>,
}

/// The layer that a parameter belongs to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    /// `self.heads[0].t_1`
    pub expression: String,
    /// What to call its value.
    pub name: String,
    /// The epsilon of a layer norm.
    pub eps: Option<f64>,
    pub biased: bool,
}

#[derive(Debug)]
enum Node {
    Param(ParamId),
    Group(Vec<(String, Node)>),
}

/// How a group of members is written.
enum Kind {
    Linear {
        inputs: usize,
        outputs: usize,
        bias: bool,
    },
    LayerNorm {
        shape: Vec<usize>,
        eps: f64,
    },
    /// `nn.ModuleList` or `nn.ParameterList`
    List {
        of_params: bool,
    },
    /// Numbers with gaps.
    Numbered,
    Named,
}

/// A constructor call, to be laid out.
enum Doc {
    Text(String),
    Call { open: String, parts: Vec<Doc>, close: &'static str },
}

impl Members {
    /// The members for the parameters whose names begin with `prefix`, which is left out; other parameters are ignored.
    pub fn new(graph: &Graph, prefix: &str) -> Result<Self> {
        let mut root = Node::Group(Vec::new());
        for (at, param) in graph.params().iter().enumerate() {
            if let Some(name) = param.name.strip_prefix(prefix) {
                let id = ParamId::at(at);
                insert(&mut root, name, id);
            }
        }
        let mut members = Self { root, places: BTreeMap::new() };
        let root = std::mem::replace(&mut members.root, Node::Group(Vec::new()));
        members.root = named(root, true);
        let mut places = BTreeMap::new();
        if let Node::Group(parts) = &members.root {
            for (name, node) in parts {
                let at = Place { expression: format!("self.{name}"), path: name.clone(), layer: None };
                place(graph, node, at, &mut places);
            }
        }
        members.places = places;
        Ok(members)
    }

    pub fn place(&self, id: ParamId) -> Result<&Place> {
        self.places.get(&id).ok_or_else(|| ExportError::Inconsistent("a parameter has no place".to_owned()))
    }

    /// All places, by parameter.
    pub fn places(&self) -> impl Iterator<Item = (ParamId, &Place)> {
        self.places.iter().map(|(id, place)| (*id, place))
    }

    /// The statements of a constructor, and whether they need the class `Group`.
    pub fn constructor(&self, graph: &Graph) -> (Vec<String>, bool) {
        let mut lines = Vec::new();
        let mut groups = false;
        let Node::Group(parts) = &self.root else { return (lines, false) };
        for (name, node) in parts {
            let doc = doc(graph, node, &mut groups);
            render(&doc, 8, &format!("self.{name} = "), "", &mut lines);
        }
        (lines, groups)
    }
}

fn insert(node: &mut Node, name: &str, id: ParamId) {
    let Node::Group(parts) = node else { return };
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    match rest {
        None => parts.push((first.to_owned(), Node::Param(id))),
        Some(rest) => {
            let known = parts.iter().position(|(name, node)| name == first && matches!(node, Node::Group(_)));
            let at = known.unwrap_or_else(|| {
                parts.push((first.to_owned(), Node::Group(Vec::new())));
                parts.len() - 1
            });
            if let Some((_, node)) = parts.get_mut(at) {
                insert(node, rest, id);
            }
        }
    }
}

fn is_number(name: &str) -> bool {
    name.parse::<u16>().is_ok_and(|number| number.to_string() == name)
}

/// The same members under names that Python has; numbers stay where a list or dictionary may hold them.
fn named(node: Node, top: bool) -> Node {
    let Node::Group(mut parts) = node else { return node };
    let numbers = !top && parts.iter().all(|(name, _)| is_number(name));
    let distinct: BTreeSet<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
    let groups = parts.iter().all(|(_, node)| matches!(node, Node::Group(_)));
    let params = parts.iter().all(|(_, node)| matches!(node, Node::Param(_)));
    let dense = (0..parts.len()).all(|number| distinct.contains(number.to_string().as_str()));
    let keep = numbers && distinct.len() == parts.len() && (groups || params && dense);
    if keep {
        // All of them are such numbers.
        parts.sort_by_key(|(name, _)| name.parse::<u16>().ok());
    }
    let mut names = Names::default();
    let rename = |(name, node): (String, Node)| (if keep { name } else { names.fresh(&name) }, named(node, false));
    Node::Group(parts.into_iter().map(rename).collect())
}

fn place(graph: &Graph, node: &Node, at: Place, places: &mut BTreeMap<ParamId, Place>) {
    let parts = match node {
        Node::Param(id) => {
            places.insert(*id, at);
            return;
        }
        Node::Group(parts) => parts,
    };
    let kind = kind(graph, parts);
    for (name, part) in parts {
        let expression = match kind {
            Kind::List { .. } => format!("{}[{name}]", at.expression),
            Kind::Numbered => format!("{}[\"{name}\"]", at.expression),
            _ => format!("{}.{name}", at.expression),
        };
        let (eps, biased) = match &kind {
            Kind::Linear { bias, .. } => (None, Some(*bias)),
            Kind::LayerNorm { eps, .. } => (Some(*eps), Some(true)),
            _ => (None, None),
        };
        let called = at.path.replace('.', "_");
        let layer = biased.map(|biased| Layer { expression: at.expression.clone(), name: called, eps, biased });
        place(graph, part, Place { expression, path: format!("{}.{name}", at.path), layer }, places);
    }
}

fn kind(graph: &Graph, parts: &[(String, Node)]) -> Kind {
    let layer: Option<Vec<(&str, ParamId, &Param)>> = parts
        .iter()
        .map(|(name, node)| match node {
            Node::Param(id) => Some((name.as_str(), *id, graph.params().get(id.index())?)),
            Node::Group(_) => None,
        })
        .collect();
    if let Some(layer) = layer
        && let Some(kind) = layer_kind(graph, &layer)
    {
        return kind;
    }
    if !parts.is_empty() && parts.iter().all(|(name, _)| is_number(name)) {
        let dense = parts.iter().enumerate().all(|(at, (name, _))| *name == at.to_string());
        let of_params = parts.iter().all(|(_, node)| matches!(node, Node::Param(_)));
        return if dense { Kind::List { of_params } } else { Kind::Numbered };
    }
    Kind::Named
}

/// A layer of PyTorch's, where the parameters are used as one.
fn layer_kind(graph: &Graph, layer: &[(&str, ParamId, &Param)]) -> Option<Kind> {
    let find = |name: &str| layer.iter().find(|(known, ..)| *known == name);
    let (_, id, weight) = find("weight")?;
    let bias = find("bias");
    if layer.len() != 1 + usize::from(bias.is_some()) || layer.iter().any(|(_, _, param)| !param.trainable) {
        return None;
    }
    let is_weight = |node: &graph::Node| {
        let arg = node.args.get(1).map(|arg| &graph.node(*arg).op);
        arg == Some(&Op::Param(*id))
    };
    for node in graph.nodes().iter().filter(|node| is_weight(node)) {
        match (&node.op, weight.shape.as_slice()) {
            (Op::Linear { .. }, &[outputs, inputs]) if bias.is_none_or(|(_, _, bias)| bias.shape == [outputs]) => {
                return Some(Kind::Linear { inputs, outputs, bias: bias.is_some() });
            }
            (Op::LayerNorm { eps, biased: true, .. }, shape)
                if bias.is_some_and(|(_, _, bias)| bias.shape == shape) =>
            {
                return Some(Kind::LayerNorm { shape: shape.to_vec(), eps: *eps });
            }
            _ => {}
        }
    }
    // Encoders are applied together, as one product: each is a linear layer all the same.
    match (weight.shape.as_slice(), bias) {
        (&[outputs, inputs], Some((_, _, bias))) if bias.shape == [outputs] => {
            Some(Kind::Linear { inputs, outputs, bias: true })
        }
        _ => None,
    }
}

fn doc(graph: &Graph, node: &Node, groups: &mut bool) -> Doc {
    let parts = match node {
        Node::Param(id) => return Doc::Text(parameter(graph.params().get(id.index()))),
        Node::Group(parts) => parts,
    };
    let all = |parts: &[(String, Node)], groups: &mut bool| {
        parts.iter().map(|(_, node)| doc(graph, node, groups)).collect::<Vec<_>>()
    };
    let named = |open: &str, separator: &str, quote: &str, close, groups: &mut bool| {
        let part = |(name, node): &(String, Node)| {
            let start = format!("{quote}{name}{quote}{separator}");
            match doc(graph, node, groups) {
                Doc::Text(text) => Doc::Text(start + &text),
                Doc::Call { open, parts, close } => Doc::Call { open: start + &open, parts, close },
            }
        };
        Doc::Call { open: open.to_owned(), parts: parts.iter().map(part).collect(), close }
    };
    match kind(graph, parts) {
        Kind::Linear { inputs, outputs, bias: true } => Doc::Text(format!("nn.Linear({inputs}, {outputs})")),
        Kind::Linear { inputs, outputs, bias: false } => {
            Doc::Text(format!("nn.Linear({inputs}, {outputs}, bias=False)"))
        }
        Kind::LayerNorm { shape, eps } => match shape.as_slice() {
            [size] => Doc::Text(format!("nn.LayerNorm({size}, eps={eps:?})")),
            _ => Doc::Text(format!("nn.LayerNorm({shape:?}, eps={eps:?})")),
        },
        Kind::List { of_params: false } => {
            Doc::Call { open: "nn.ModuleList([".to_owned(), parts: all(parts, groups), close: "])" }
        }
        Kind::List { of_params: true } => {
            Doc::Call { open: "nn.ParameterList([".to_owned(), parts: all(parts, groups), close: "])" }
        }
        Kind::Numbered => named("nn.ModuleDict({", ": ", "\"", "})", groups),
        Kind::Named => {
            *groups = true;
            named("Group(", "=", "", ")", groups)
        }
    }
}

fn parameter(param: Option<&Param>) -> String {
    let Some(param) = param else { return "None".to_owned() };
    let sizes: Vec<String> = param.shape.iter().map(usize::to_string).collect();
    let shape = match sizes.as_slice() {
        [] => "()".to_owned(),
        [size] => size.clone(),
        _ => sizes.join(", "),
    };
    let fixed = if param.trainable { "" } else { ", requires_grad=False" };
    format!("nn.Parameter(torch.zeros({shape}){fixed})")
}

fn flat(doc: &Doc) -> String {
    match doc {
        Doc::Text(text) => text.clone(),
        Doc::Call { open, parts, close } => {
            format!("{open}{}{close}", parts.iter().map(flat).collect::<Vec<_>>().join(", "))
        }
    }
}

fn render(doc: &Doc, indent: usize, before: &str, after: &str, lines: &mut Vec<String>) {
    let line = format!("{:indent$}{before}{}{after}", "", flat(doc));
    match doc {
        Doc::Call { open, parts, close } if line.len() > WIDTH => {
            lines.push(format!("{:indent$}{before}{open}", ""));
            for part in parts {
                render(part, indent + 4, "", ",", lines);
            }
            lines.push(format!("{:indent$}{close}{after}", ""));
        }
        _ => lines.push(line),
    }
}
