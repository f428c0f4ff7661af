//! Lesions: what a learned operator contributes is replaced by a constant, without training again.
//!
//! A processor is given *switches*, one for each operator: parameters that are not trained. A switch that is 1 leaves the
//! operator as it is, to the bit; one that is 0 replaces it. All lesions of a processor are so one graph with other numbers,
//! compiled once.
//!
//! An operator is all trained parameters of one module (`t_1.weight` and `t_1.bias` are `t_1`), or a parameter that a program
//! keeps for itself. It is replaced where it meets data:
//!
//! * where it is a layer, that is a factor of a product ([`Op::Linear`], [`Op::MatMul`], [`Op::Einsum`]), the weight of a
//!   [`Op::LayerNorm`] or a table of embeddings ([`Op::IndexSelect`], [`Op::Gather`]), the *value* is replaced by numbers
//!   that the caller gives: one for each feature of the last axis, or one in all where that axis is not a known number;
//! * elsewhere, as where a scale or an offset meets data element by element, the *parameter* is replaced by one number: see
//!   [`Fallback`].
//!
//! In a linear layer the switch is multiplied into weight and bias, which costs nothing at a time step and leaves the passes
//! all they know about layers: `Linear(x, k W, k b + fill)`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::dim::Shape;
use crate::error::OpError;
use crate::graph::{Graph, Processor};
use crate::op::{BinaryOp, DType, Init, NodeId, Op, Param, ParamId, Span};
use crate::passes;

/// Names that torch gives to the parameters of one layer. What is named otherwise is a parameter that a program made itself.
const PARTS: &[&str] = &["weight", "bias", "in_proj_weight", "in_proj_bias", "bias_k", "bias_v"];
/// The same with what follows them differing: recurrent cells.
const PREFIXES: &[&str] = &["weight_ih", "weight_hh", "bias_ih", "bias_hh"];

/// What takes an operator's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replacement {
    /// For each feature its mean over samples, steps and places, in the network as it is.
    #[default]
    Mean,
    /// Zeros.
    Zero,
}

/// A processor with a switch for each of its operators.
#[derive(Clone, Debug, PartialEq)]
pub struct Switched {
    /// What the processor computes, with the switches and what stands in for values as further parameters.
    pub processor: Processor,
    /// In the order of the parameters.
    pub operators: Vec<Operator>,
}

/// One operator and its switch.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// The module's name, as in `t_1` or `msg_mlp.0`, or that of a parameter.
    pub name: String,
    /// Name of the parameter that is the switch: 1, or 0 for a lesion. Absent where the outputs do not depend on the
    /// operator at all: there is nothing to replace.
    pub keep: Option<String>,
    /// Where it meets data as a whole value.
    pub sites: Vec<Site>,
    /// Where it meets data element by element instead.
    pub fallbacks: Vec<Fallback>,
}

/// A value that an operator makes, and what it is replaced by.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// In the switched graph: the value itself while the switch is 1.
    pub value: NodeId,
    /// Name of the parameter to be added where the switch is 0; it is 0 to begin with, and has to be while the switch is 1.
    pub fill: String,
    /// Shape of it: the features of the last axis, or none.
    pub features: Vec<usize>,
}

/// A parameter that meets data element by element.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// Name of the number to be added where the switch is 0; it is 0 to begin with, and has to be while the switch is 1.
    pub fill: String,
    /// What the parameter is on average before it is trained: 1 of a scale that starts at one, 0 of an offset.
    pub untrained: f64,
}

/// The operator that a parameter belongs to.
pub fn operator_of(parameter: &str) -> &str {
    match parameter.rsplit_once('.') {
        Some((module, last)) if PARTS.contains(&last) || PREFIXES.iter().any(|start| last.starts_with(start)) => module,
        _ => parameter,
    }
}

/// A parameter of a switch: not trained, and in no file of weights.
pub fn switch_param(name: String, shape: Vec<usize>, value: f64) -> Param {
    let (aliases, init) = (Vec::new(), Init::Constant(value));
    Param { name, aliases, shape, init, trainable: false, transient: true, span: Span::default() }
}

/// `value` where `keep` (a scalar, 1 or 0) is 1, else `fill`, whose shape is that of the last axis, or a scalar's. Of linear
/// layers, and of sums of them, the switch goes into the parameters.
pub fn switched_value(graph: &mut Graph, value: NodeId, keep: NodeId, fill: NodeId) -> Result<NodeId, OpError> {
    match in_parameters(graph, value, keep, Some(fill))? {
        Some(switched) => Ok(switched),
        None => {
            let half = graph.push_as(Op::Scalar(0.5), &[], Shape::new(), DType::Float, Span::default())?;
            let on = graph.push(Op::Binary(BinaryOp::Gt), &[keep, half], Span::default())?;
            graph.push(Op::Where, &[on, value, fill], Span::default())
        }
    }
}

/// The switch as a factor of parameters, where the value is a layer or a sum of layers over the same last axis.
fn in_parameters(
    graph: &mut Graph,
    value: NodeId,
    keep: NodeId,
    fill: Option<NodeId>,
) -> Result<Option<NodeId>, OpError> {
    let node = graph.node(value).clone();
    let span = node.span;
    let mul = |graph: &mut Graph, x: NodeId| graph.push(Op::Binary(BinaryOp::Mul), &[x, keep], span);
    let add = |graph: &mut Graph, x: Option<NodeId>| match (x, fill) {
        (Some(x), Some(fill)) => graph.push(Op::Binary(BinaryOp::Add), &[x, fill], span).map(Some),
        (x, fill) => Ok(x.or(fill)),
    };
    let constant = passes::constant(graph);
    let constant = |id: &NodeId| constant.get(id.index()).copied().unwrap_or(false);
    match (&node.op, node.args.as_slice()) {
        (Op::Linear { .. }, [x, parameters @ ..]) if parameters.iter().all(constant) => {
            let Some((&weight, bias)) = parameters.split_first() else { return Ok(None) };
            let weight = mul(graph, weight)?;
            let bias = bias.first().map(|&bias| mul(graph, bias)).transpose()?;
            let bias = add(graph, bias)?;
            let args: Vec<NodeId> = [*x, weight].into_iter().chain(bias).collect();
            graph.push(Op::Linear { biased: bias.is_some() }, &args, span).map(Some)
        }
        (Op::LayerNorm { axes: 1, eps, weighted: true, .. }, [x, parameters @ ..])
            if parameters.iter().all(constant) =>
        {
            let Some((&weight, bias)) = parameters.split_first() else { return Ok(None) };
            let weight = mul(graph, weight)?;
            let bias = bias.first().map(|&bias| mul(graph, bias)).transpose()?;
            let bias = add(graph, bias)?;
            let args: Vec<NodeId> = [*x, weight].into_iter().chain(bias).collect();
            graph
                .push(Op::LayerNorm { axes: 1, eps: *eps, weighted: true, biased: bias.is_some() }, &args, span)
                .map(Some)
        }
        (Op::Binary(BinaryOp::Add), &[x, y]) if graph.shape(x) == &node.shape && graph.shape(y) == &node.shape => {
            let Some(x) = in_parameters(graph, x, keep, fill)? else { return Ok(None) };
            let Some(y) = in_parameters(graph, y, keep, None)? else { return Ok(None) };
            graph.push(Op::Binary(BinaryOp::Add), &[x, y], span).map(Some)
        }
        _ => Ok(None),
    }
}

/// Whether an operator is a layer where it is this argument of a node.
fn is_layer(op: &Op, position: usize) -> bool {
    match op {
        Op::Linear { .. } => position == 1,
        Op::LayerNorm { weighted, .. } => *weighted && position == 1,
        Op::MatMul | Op::Einsum(_) => true,
        Op::IndexSelect { .. } | Op::Gather { .. } => position == 0,
        _ => false,
    }
}

/// What is to be done about each operator, by its number.
#[derive(Default)]
struct Uses {
    /// By node: the operators whose layer it is.
    layers: BTreeMap<NodeId, BTreeSet<usize>>,
    /// Operators that are replaced as parameters.
    parameters: BTreeSet<usize>,
}

impl Uses {
    fn of(processor: &Processor, operator: impl Fn(ParamId) -> Option<usize>) -> Self {
        let graph = &processor.graph;
        let outputs = processor.outputs();
        let (live, constant) = (passes::live(graph, &outputs), passes::constant(graph));
        let is = |flags: &[bool], id: NodeId| flags.get(id.index()).copied().unwrap_or(false);
        // Of constants, the operators that they are made of.
        let mut made_of: Vec<BTreeSet<usize>> = Vec::with_capacity(graph.nodes.len());
        let mut uses = Self::default();
        for id in graph.ids() {
            let node = graph.node(id);
            let mut own: BTreeSet<usize> = BTreeSet::new();
            if let Op::Param(param) = node.op {
                own.extend(operator(param));
            }
            if is(&constant, id) {
                own.extend(node.args.iter().filter_map(|arg| made_of.get(arg.index())).flatten());
            } else if is(&live, id) {
                let mut layer: BTreeSet<usize> = BTreeSet::new();
                let mut beside: BTreeSet<usize> = BTreeSet::new();
                for (position, arg) in node.args.iter().enumerate() {
                    let of = if is_layer(&node.op, position) { &mut layer } else { &mut beside };
                    of.extend(made_of.get(arg.index()).into_iter().flatten());
                }
                uses.parameters.extend(beside.difference(&layer));
                if !layer.is_empty() {
                    uses.layers.insert(id, layer);
                }
            }
            made_of.push(own);
        }
        // An output that no data reaches.
        for id in outputs {
            uses.parameters.extend(made_of.get(id.index()).into_iter().flatten());
        }
        uses
    }
}

/// The processor with switches; all of them are 1 until the caller sets others. It has the same inputs and outputs.
pub fn switched(processor: &Processor) -> Result<Switched, OpError> {
    let old = &processor.graph;
    let mut operators: Vec<Operator> = Vec::new();
    let mut of_param: Vec<Option<usize>> = Vec::with_capacity(old.params.len());
    for param in &old.params {
        of_param.push(param.trainable.then(|| {
            let name = operator_of(&param.name);
            operators.iter().position(|known| known.name == name).unwrap_or_else(|| {
                let name = name.to_owned();
                operators.push(Operator { name, keep: None, sites: Vec::new(), fallbacks: Vec::new() });
                operators.len() - 1
            })
        }));
    }
    let uses = Uses::of(processor, |param| of_param.get(param.index()).copied().flatten());

    let mut graph = Graph::new();
    for input in &old.inputs {
        graph.input(&input.name, input.shape.clone(), input.dtype, input.varies);
    }
    // All parameters stay, used or not: files of weights are read by them.
    graph.params.clone_from(&old.params);
    let mut keeps: BTreeMap<usize, NodeId> = BTreeMap::new();
    let used: BTreeSet<usize> = uses.layers.values().flatten().chain(&uses.parameters).copied().collect();
    for at in used {
        if let Some(operator) = operators.get_mut(at) {
            // No module's name holds this sign.
            let name = format!("{}#keep", operator.name);
            keeps.insert(at, graph.param(switch_param(name.clone(), Vec::new(), 1.0), Span::default()));
            operator.keep = Some(name);
        }
    }
    let mut map: Vec<NodeId> = Vec::with_capacity(old.nodes.len());
    for id in old.ids() {
        let node = old.node(id);
        let new = match node.op {
            Op::Input(at) => NodeId(at),
            Op::Param(param) => {
                let known = old.params.get(param.index()).ok_or(OpError::NoSuchNode { node: param.0 })?;
                let new = graph.param(known.clone(), node.span);
                let at = of_param.get(param.index()).copied().flatten();
                match at.filter(|at| uses.parameters.contains(at)) {
                    Some(at) => fall_back(&mut graph, new, known, keeps.get(&at).zip(operators.get_mut(at)))?,
                    None => new,
                }
            }
            _ => {
                let args = node.args.iter().map(|arg| map.get(arg.index()).copied());
                let args = args.collect::<Option<Vec<_>>>().ok_or(OpError::NoSuchNode { node: id.0 })?;
                let mut value = graph.push_as(node.op.clone(), &args, node.shape.clone(), node.dtype, node.span)?;
                for at in uses.layers.get(&id).into_iter().flatten() {
                    let (Some(&keep), Some(operator)) = (keeps.get(at), operators.get_mut(*at)) else { continue };
                    value = replace_value(&mut graph, value, keep, operator)?;
                }
                value
            }
        };
        map.push(new);
    }
    let copy = |id: NodeId| map.get(id.index()).copied().ok_or(OpError::NoSuchNode { node: id.0 });
    let (ret, tri_msgs) = (copy(processor.ret)?, processor.tri_msgs.map(copy).transpose()?);
    Ok(Switched { processor: Processor { graph, ret, tri_msgs, hidden: processor.hidden, training: None }, operators })
}

/// A site of an operator: its value, with a switch.
fn replace_value(graph: &mut Graph, value: NodeId, keep: NodeId, operator: &mut Operator) -> Result<NodeId, OpError> {
    let known = graph.shape(value).last().and_then(crate::Dim::as_known);
    let features: Vec<usize> = known.and_then(|size| usize::try_from(size).ok()).into_iter().collect();
    let fill = format!("{}#fill.{}", operator.name, operator.sites.len());
    let param = graph.param(switch_param(fill.clone(), features.clone(), 0.0), Span::default());
    let value = switched_value(graph, value, keep, param)?;
    operator.sites.push(Site { value, fill, features });
    Ok(value)
}

/// A parameter times its switch, plus one number.
fn fall_back(
    graph: &mut Graph,
    value: NodeId,
    param: &Param,
    operator: Option<(&NodeId, &mut Operator)>,
) -> Result<NodeId, OpError> {
    let Some((&keep, operator)) = operator else { return Ok(value) };
    let fill = format!("{}#untrained.{}", operator.name, operator.fallbacks.len());
    let number = graph.param(switch_param(fill.clone(), Vec::new(), 0.0), Span::default());
    operator.fallbacks.push(Fallback { fill, untrained: expected(&param.init) });
    let kept = graph.push(Op::Binary(BinaryOp::Mul), &[value, keep], Span::default())?;
    graph.push(Op::Binary(BinaryOp::Add), &[kept, number], Span::default())
}

/// The mean of what a parameter starts with.
fn expected(init: &Init) -> f64 {
    match init {
        Init::Constant(value) => *value,
        Init::Values(values) => values.iter().sum::<f64>() / values.len().max(1) as f64,
        Init::Uniform { low, high } => 0.5 * (low + high),
        Init::Normal { mean, .. } => *mean,
        Init::TruncatedNormal { .. } | Init::Orthogonal { .. } | Init::Eye => 0.0,
        // of symmetric bounds, the mean
        Init::BoundedNormal { mean, low, high, .. } => mean.clamp(*low, *high),
        Init::Patched { base, .. } => expected(base),
        Init::Copied { init, .. } => expected(init),
        Init::Affine { base, scale, shift } => scale * expected(base) + shift,
        Init::Weighted { base, scale, shift } => {
            let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len().max(1) as f64;
            mean(scale) * expected(base) + mean(shift)
        }
        Init::Lengths { shape, init, axis, .. } => {
            let square = match &**init {
                Init::Uniform { low, high } => (low * low + low * high + high * high) / 3.0,
                Init::Normal { mean, std } => mean * mean + std * std,
                other => expected(other) * expected(other),
            };
            let others = shape.iter().enumerate().filter(|(at, _)| Some(*at) != *axis);
            (square * others.map(|(_, size)| *size as f64).product::<f64>()).sqrt()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dim::Dim;
    use crate::interpret::{Tensor, evaluate, sizes};

    const H: usize = 3;
    const B: i64 = 2;
    const N: i64 = 4;

    /// A processor in the making: parameters start uniform unless said otherwise.
    struct Making {
        graph: Graph,
        hidden: NodeId,
    }

    impl Making {
        fn new() -> Self {
            let (graph, [_, _, _, _, hidden]) = Processor::inputs(H);
            Self { graph, hidden }
        }

        fn param(&mut self, name: &str, shape: &[usize], init: Init) -> NodeId {
            let (name, shape, span) = (name.to_owned(), shape.to_vec(), Span::default());
            let aliases = Vec::new();
            let param = Param { name, aliases, shape, init, trainable: true, transient: false, span };
            self.graph.param(param, Span::default())
        }

        fn layer(&mut self, name: &str, x: NodeId) -> NodeId {
            let init = Init::Uniform { low: -1.0, high: 1.0 };
            let weight = self.param(&format!("{name}.weight"), &[H, H], init.clone());
            let bias = self.param(&format!("{name}.bias"), &[H], init);
            self.push(Op::Linear { biased: true }, &[x, weight, bias])
        }

        fn push(&mut self, op: Op, args: &[NodeId]) -> NodeId {
            self.graph.push(op, args, Span::default()).expect("types")
        }

        fn add(&mut self, x: NodeId, y: NodeId) -> NodeId {
            self.push(Op::Binary(BinaryOp::Add), &[x, y])
        }

        fn done(self, ret: NodeId) -> Processor {
            Processor { graph: self.graph, ret, tri_msgs: None, hidden: H, training: None }
        }
    }

    /// Numbers that look random, by a name.
    fn numbers(name: &str, count: usize) -> Vec<f64> {
        let mut state = name.bytes().fold(1_u64, |state, byte| state.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// `ret`, where parameters of these names have these numbers throughout, and the others random ones.
    fn ret(processor: &Processor, set: &[(&str, f64)]) -> Vec<f64> {
        let graph = &processor.graph;
        let inputs = graph.inputs.iter().map(|input| {
            let shape = sizes(&input.shape, B, N).expect("sizes");
            let count = shape.iter().product();
            Tensor::new(shape, numbers(&input.name, count))
        });
        let params = graph.params.iter().map(|param| {
            let count = param.shape.iter().product();
            let known = set.iter().find(|(name, _)| *name == param.name).map(|(_, value)| *value);
            let data = match (known, &param.init) {
                (Some(value), _) => vec![value; count],
                (None, Init::Constant(value)) if param.transient => vec![*value; count],
                _ => numbers(&param.name, count),
            };
            Tensor::new(param.shape.clone(), data)
        });
        let (inputs, params): (Vec<_>, Vec<_>) = (inputs.collect(), params.collect());
        let values = evaluate(graph, &inputs, &params, B, N).expect("evaluates");
        values[processor.ret.index()].data.clone()
    }

    fn operator<'a>(switched: &'a Switched, name: &str) -> &'a Operator {
        switched.operators.iter().find(|operator| operator.name == name).expect("an operator")
    }

    #[test]
    fn parameters_of_a_module_are_one_operator() {
        for (parameter, operator) in [
            ("t_1.weight", "t_1"),
            ("heads.0.t_1.bias", "heads.0.t_1"),
            ("attn.in_proj_weight", "attn"),
            ("attn.out_proj.bias", "attn.out_proj"),
            ("cell.weight_ih_l0", "cell"),
            ("heads.0.scale", "heads.0.scale"),
            ("alpha", "alpha"),
        ] {
            assert_eq!(operator_of(parameter), operator);
        }
    }

    #[test]
    fn switches_that_are_on_change_nothing_and_a_lesion_leaves_no_trace_of_the_operator() {
        let mut making = Making::new();
        let hidden = making.hidden;
        let (one, two) = (making.layer("one", hidden), making.layer("two", hidden));
        let relu = making.push(Op::Unary(crate::UnaryOp::Relu), &[two]);
        let sum = making.add(one, relu);
        let processor = making.done(sum);
        let with = switched(&processor).expect("types");
        with.processor.graph.validate().expect("is well typed");
        assert_eq!(ret(&processor, &[]), ret(&with.processor, &[]));
        let site = &operator(&with, "one").sites[0];
        let off = [("one#keep", 0.0), (site.fill.as_str(), 0.25)];
        let lesioned = ret(&with.processor, &off);
        assert_ne!(lesioned, ret(&processor, &[]));
        // Whatever its parameters are, the result is the same; those of the other operator still matter.
        let other = |name| [off.as_slice(), &[(name, 7.0)]].concat();
        assert_eq!(lesioned, ret(&with.processor, &other("one.weight")));
        assert_eq!(lesioned, ret(&with.processor, &other("one.bias")));
        assert_ne!(lesioned, ret(&with.processor, &other("two.weight")));
        // The value is what was asked for: the same as a layer whose weights are 0 and whose bias is 0.25.
        assert_eq!(lesioned, ret(&processor, &[("one.weight", 0.0), ("one.bias", 0.25)]));
    }

    #[test]
    fn values_of_sites_are_those_of_the_operator() {
        let mut making = Making::new();
        let hidden = making.hidden;
        let one = making.layer("one", hidden);
        let weight = making.param("w", &[H, H], Init::Normal { mean: 0.0, std: 1.0 });
        let product = making.push(Op::MatMul, &[one, weight]);
        let processor = making.done(product);
        let with = switched(&processor).expect("types");
        assert_eq!(operator(&with, "w").sites.len(), 1);
        assert_eq!(operator(&with, "w").sites[0].features, [H]);
        // The last value is the operator's.
        let of_site = Processor { ret: operator(&with, "w").sites[0].value, ..with.processor.clone() };
        assert_eq!(ret(&of_site, &[]), ret(&processor, &[]));
        let fill = operator(&with, "w").sites[0].fill.clone();
        assert_eq!(ret(&with.processor, &[("w#keep", 0.0), (&fill, 0.5)]), vec![0.5; H * (B * N) as usize]);
    }

    #[test]
    fn what_meets_data_element_by_element_falls_back_to_how_it_began() {
        let mut making = Making::new();
        let hidden = making.hidden;
        let scale = making.param("scale", &[H], Init::Constant(1.0));
        let offset = making.param("offset", &[H], Init::Uniform { low: 0.0, high: 1.0 });
        let scaled = making.push(Op::Binary(BinaryOp::Mul), &[hidden, scale]);
        let sum = making.add(scaled, offset);
        let processor = making.done(sum);
        let with = switched(&processor).expect("types");
        let fallback = |name: &str| operator(&with, name).fallbacks[0].clone();
        assert_eq!((fallback("scale").untrained, fallback("offset").untrained), (1.0, 0.5));
        assert_eq!(ret(&processor, &[]), ret(&with.processor, &[]));
        let lesioned = ret(&with.processor, &[("scale#keep", 0.0), (&fallback("scale").fill, 1.0)]);
        assert_eq!(lesioned, ret(&processor, &[("scale", 1.0)]));
    }

    #[test]
    fn operators_that_nothing_depends_on_have_no_switch() {
        let mut making = Making::new();
        let hidden = making.hidden;
        let one = making.layer("one", hidden);
        making.layer("dead", hidden);
        let with = switched(&making.done(one)).expect("types");
        assert!(operator(&with, "one").keep.is_some());
        let dead = operator(&with, "dead");
        assert!(dead.keep.is_none() && dead.sites.is_empty() && dead.fallbacks.is_empty());
    }

    #[test]
    fn sums_of_layers_are_switched_in_their_parameters() {
        let mut making = Making::new();
        let hidden = making.hidden;
        let (one, two) = (making.layer("one", hidden), making.layer("two", hidden));
        let sum = making.add(one, two);
        let mut graph = making.graph;
        let keep = graph.param(switch_param("keep".into(), Vec::new(), 1.0), Span::default());
        let fill = graph.param(switch_param("fill".into(), vec![H], 0.0), Span::default());
        let value = switched_value(&mut graph, sum, keep, fill).expect("types");
        assert!(graph.nodes.iter().all(|node| node.op != Op::Where));
        assert_eq!(graph.shape(value), &vec![Dim::b(), Dim::n(), Dim::known(H as i64)]);
        let before = Processor { graph: graph.clone(), ret: sum, tri_msgs: None, hidden: H, training: None };
        let after = Processor { graph, ret: value, tri_msgs: None, hidden: H, training: None };
        assert_eq!(ret(&before, &[]), ret(&after, &[]));
        assert_eq!(ret(&after, &[("keep", 0.0), ("fill", 2.0)]), vec![2.0; H * (B * N) as usize]);
    }
}
