//! Executes a [`graph::Graph`] with libtorch.
//!
//! Once for a graph: a [`Schedule`] for each set of values that is wanted, which lists the nodes to compute, in order,
//! and after which of them each value is no longer needed. Once for B and N: the [`Bound`] graph, which knows every
//! shape and holds every constant. Then [`Bound::run`], as often as wanted. Gradients come from libtorch's autograd.

mod autograd;
mod extremes;
mod kernels;
mod ops;
mod peak;
mod region;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use graph::passes::Split;
use graph::{BinaryOp, Graph, NodeId, Op, UnaryOp};
use peak::Peak;
use region::Region;
use tch::{Kind, Tensor};

use crate::Device;
use crate::error::{NetworkError, Result};

/// Values by node; what is not computed, or not needed any more, is `None`.
#[derive(Default)]
pub(crate) struct Values(Vec<Option<Tensor>>);

impl Values {
    pub fn new(graph: &Graph) -> Self {
        Self((0..graph.nodes.len()).map(|_| None).collect())
    }

    pub fn get(&self, id: NodeId) -> Option<&Tensor> {
        self.0.get(id.0 as usize).and_then(Option::as_ref)
    }

    pub fn set(&mut self, id: NodeId, value: Tensor) {
        if let Some(slot) = self.0.get_mut(id.0 as usize) {
            *slot = Some(value);
        }
    }

    /// Takes over all values of `other`.
    pub fn absorb(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            if theirs.is_some() {
                *mine = theirs;
            }
        }
    }

    pub fn take(&mut self, id: NodeId) -> Option<Tensor> {
        self.0.get_mut(id.0 as usize).and_then(Option::take)
    }
}

/// Which nodes to compute for some wanted values, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    node: NodeId,
    /// Where the node is a slice that is taken together with others: all pieces, which fill the axis `dim`.
    split: Option<Arc<Split>>,
    /// Where the node is the last of several that are computed in one go.
    joint: Option<Joint>,
    /// The argument whose memory the result may take over.
    reuse: Option<usize>,
    /// Values that this step is the last to use.
    last: Vec<NodeId>,
}

/// Several nodes that are computed in one go.
#[derive(Clone, Debug)]
enum Joint {
    Region(Arc<Region>),
    Peak(Arc<Peak>),
}

impl Joint {
    fn inputs(&self) -> &Vec<NodeId> {
        match self {
            Self::Region(region) => &region.inputs,
            Self::Peak(peak) => &peak.inputs,
        }
    }
}

impl Schedule {
    /// `given` says which nodes have a value already: inputs, parameters, constants, and what an earlier schedule left.
    /// `fuse`: whether nodes are joined where the CPU gains by it.
    pub fn new(graph: &Graph, wanted: &[NodeId], fuse: bool, given: impl Fn(NodeId) -> bool) -> Self {
        let mut joints: BTreeMap<NodeId, Joint> = BTreeMap::new();
        let mut needed = needed(wanted, &given, |id| &graph.node(id).args);
        if fuse {
            let regions = region::regions(graph, &needed, wanted).into_iter();
            joints.extend(regions.map(|region| (region.root, Joint::Region(Arc::new(region)))));
            let peaks = peak::peaks(graph, &needed, wanted).into_iter();
            joints.extend(peaks.map(|peak| (peak.root, Joint::Peak(Arc::new(peak)))));
            needed = self::needed(wanted, &given, |id| joints.get(&id).map_or(&graph.node(id).args, Joint::inputs));
        }
        let args_of = |id: NodeId| joints.get(&id).map_or(&graph.node(id).args, Joint::inputs);
        let mut split_of: BTreeMap<NodeId, Arc<Split>> = BTreeMap::new();
        for split in graph::passes::splits(graph, wanted) {
            let split = Arc::new(split);
            for id in split.pieces.iter().filter_map(|(_, piece)| *piece) {
                split_of.insert(id, Arc::clone(&split));
            }
        }
        // From the end: the first use met is the last one.
        let mut seen: BTreeSet<NodeId> = wanted.iter().copied().collect();
        let overwrites = graph::passes::overwrites(graph, wanted);
        let mut steps: Vec<Step> = Vec::with_capacity(needed.len());
        for &node in needed.iter().rev() {
            let args: BTreeSet<NodeId> = args_of(node).iter().copied().collect();
            let last: Vec<NodeId> = args.into_iter().filter(|id| needed.contains(id) && seen.insert(*id)).collect();
            let reuse = overwrites.get(node.0 as usize).copied().flatten();
            let reuse = reuse.filter(|&at| graph.node(node).args.get(at).is_some_and(|arg| last.contains(arg)));
            let joint = joints.get(&node).cloned();
            let reuse = reuse.filter(|_| joint.is_none());
            steps.push(Step { node, split: split_of.remove(&node), joint, reuse, last });
        }
        steps.reverse();
        Self { steps }
    }

    /// The nodes whose values it reads.
    pub fn reads(&self, graph: &Graph) -> Vec<NodeId> {
        let args = |step: &Step| step.joint.as_ref().map_or(&graph.node(step.node).args, Joint::inputs).clone();
        self.steps.iter().flat_map(args).collect()
    }
}

/// What has to be computed for the wanted values.
fn needed<'a>(
    wanted: &[NodeId],
    given: &impl Fn(NodeId) -> bool,
    args: impl Fn(NodeId) -> &'a Vec<NodeId>,
) -> BTreeSet<NodeId> {
    let mut needed = BTreeSet::new();
    let mut open: Vec<NodeId> = wanted.to_vec();
    while let Some(id) = open.pop() {
        if !given(id) && needed.insert(id) {
            open.extend(args(id));
        }
    }
    needed
}

/// A graph at given sizes.
pub(crate) struct Bound {
    graph: Arc<Graph>,
    shapes: Vec<Vec<i64>>,
    constants: Values,
    sizes: (i64, i64),
    float: Kind,
    device: Device,
}

/// Whether a node's value is known from its sizes alone.
pub(crate) fn is_constant(op: &Op) -> bool {
    matches!(op, Op::Scalar(_) | Op::Size(_) | Op::Full(_) | Op::Const(_) | Op::Arange { .. } | Op::Eye)
}

impl Bound {
    /// Evaluates all shapes for B and N, and makes the constants.
    pub fn new(graph: Arc<Graph>, sizes: (i64, i64), float: Kind, device: Device) -> Result<Self> {
        let shape_of = |node: &graph::Node| -> Result<Vec<i64>> {
            let axes = node.shape.iter().map(|dim| dim.eval(sizes.0, sizes.1));
            axes.collect::<Option<_>>()
                .ok_or_else(|| NetworkError::Inconsistent(format!("a size of {} overflows", node.op.name())))
        };
        let shapes = graph.nodes.iter().map(shape_of).collect::<Result<Vec<_>>>()?;
        let mut bound = Self { constants: Values::new(&graph), graph, shapes, sizes, float, device };
        for id in bound.graph.ids() {
            if let Some(value) = ops::constant(bound.graph.node(id), &bound.context(id)?)? {
                bound.constants.set(id, value);
            }
        }
        Ok(bound)
    }

    /// The value of a node that has neither inputs nor parameters.
    pub fn constant(&self, id: NodeId) -> Option<&Tensor> {
        self.constants.get(id)
    }

    fn context(&self, id: NodeId) -> Result<ops::Context<'_>> {
        let shape = self.shapes.get(id.0 as usize).ok_or_else(|| unknown(id))?;
        Ok(ops::Context { float: self.float, device: self.device, sizes: self.sizes, shape })
    }

    /// Computes a step into the memory of one of its arguments, where that is possible.
    fn reuse(&self, step: &Step, base: &Values, values: &mut Values) -> Result<Option<Tensor>> {
        let Some(at) = step.reuse else { return Ok(None) };
        let node = self.graph.node(step.node);
        let Some(&target) = node.args.get(at) else { return Ok(None) };
        let layer = matches!(self.graph.node(target).op, Op::Linear { .. } | Op::MatMul | Op::Einsum(_));
        // The result of a layer is a view for autograd, and a changed view costs more than new memory.
        if values.get(target).is_none_or(|value| layer && value.requires_grad()) {
            return Ok(None);
        }
        let Some(mut value) = values.take(target) else { return Ok(None) };
        let other = node.args.get(1_usize.wrapping_sub(at)).and_then(|&id| {
            values.get(id).or_else(|| base.get(id)).or_else(|| self.constants.get(id)).map(Tensor::shallow_clone)
        });
        Ok(Some(match (&node.op, other) {
            (Op::Unary(UnaryOp::Relu), _) => value.f_relu_()?,
            (Op::Unary(UnaryOp::Sigmoid), _) => value.f_sigmoid_()?,
            (Op::Unary(UnaryOp::Tanh), _) => value.f_tanh_()?,
            (Op::Unary(UnaryOp::Exp), _) => value.f_exp_()?,
            (Op::Unary(UnaryOp::Neg), _) => value.f_neg_()?,
            (Op::Binary(BinaryOp::Add), Some(other)) => value.f_add_(&other)?,
            (Op::Binary(BinaryOp::Sub), Some(other)) => value.f_sub_(&other)?,
            _ => return Err(NetworkError::Inconsistent(format!("{} has no value to work on", node.op.name()))),
        }))
    }

    fn split(&self, split: &Split, whole: &Tensor, values: &mut Values) -> Result<()> {
        let (b, n) = self.sizes;
        let widths = split.pieces.iter().map(|(width, _)| width.eval(b, n)).collect::<Option<Vec<_>>>();
        let widths = widths.ok_or_else(|| NetworkError::Inconsistent("a piece's size overflows".to_owned()))?;
        let pieces = whole.f_split_with_sizes(widths.as_slice(), i64::try_from(split.dim).unwrap_or(i64::MAX))?;
        for ((_, id), piece) in split.pieces.iter().zip(pieces) {
            if let Some(id) = id {
                values.set(*id, piece);
            }
        }
        Ok(())
    }

    /// Runs a schedule. `base` holds values that stay (inputs, parameters, what does not vary), `values` those of this run;
    /// afterwards `values` holds the wanted ones.
    pub fn run(&self, schedule: &Schedule, base: &Values, values: &mut Values) -> Result<()> {
        for step in &schedule.steps {
            let node = self.graph.node(step.node);
            if let Some(value) = self.reuse(step, base, values)? {
                values.set(step.node, value);
                for &id in &step.last {
                    drop(values.take(id));
                }
                continue;
            }
            let names = step.joint.as_ref().map_or(&node.args, Joint::inputs);
            let mut args: Vec<&Tensor> = Vec::with_capacity(names.len());
            for &id in names {
                let value = values.get(id).or_else(|| base.get(id)).or_else(|| self.constants.get(id));
                args.push(value.ok_or_else(|| unknown(id))?);
            }
            if let (Some(split), [whole]) = (&step.split, args.as_slice()) {
                // together, so that the backward pass puts their gradients side by side once
                if values.get(step.node).is_none() {
                    self.split(split, &whole.shallow_clone(), values)?;
                }
                for &id in &step.last {
                    drop(values.take(id));
                }
                continue;
            }
            let value = match (self.constants.get(step.node), &step.joint) {
                (Some(constant), _) => constant.shallow_clone(),
                (None, Some(Joint::Peak(peak))) => peak::run(peak, &args, self.float)?,
                (None, Some(Joint::Region(region))) => {
                    let shape = self.shapes.get(region.places.0 as usize).ok_or_else(|| unknown(region.places))?;
                    region::run(region, &args, shape, self.float)?
                }
                (None, None) => ops::apply(node, &args, &self.context(step.node)?)?,
            };
            debug_assert_eq!(Some(&value.size()), self.shapes.get(step.node.0 as usize), "shape of {}", node.op.name());
            values.set(step.node, value);
            for &id in &step.last {
                drop(values.take(id));
            }
        }
        Ok(())
    }
}

fn unknown(id: NodeId) -> NetworkError {
    NetworkError::Inconsistent(format!("node {} has no value", id.0))
}
