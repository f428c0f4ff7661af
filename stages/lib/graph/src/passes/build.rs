//! Building a graph whose equal nodes are one: common subexpressions fall together as the nodes are made.

use super::simplify::simplified;
use crate::dim::Shape;
use crate::error::OpError;
use crate::graph::Graph;
use crate::op::{BinaryOp, DType, Node, NodeId, Op, Span};
use std::collections::HashMap;
use std::fmt::Write;

/// A graph in the making. Every node goes through [`Builder::emit`], which simplifies it and looks for an equal one.
///
/// Equal means: same operation and settings, same arguments (in any order where the operation commutes), same type. All
/// operations are functions of their arguments, so one node can serve for both.
pub(crate) struct Builder {
    pub graph: Graph,
    /// By node index: see [`super::varying`].
    pub varies: Vec<bool>,
    seen: HashMap<Key, NodeId>,
}

type Key = (String, Vec<NodeId>, Shape, DType);

impl Builder {
    /// Starts with the inputs and parameters of `source`, unchanged and in their order, whether used or not.
    pub fn like(source: &Graph) -> Self {
        let graph = Graph { inputs: source.inputs.clone(), params: source.params.clone(), nodes: Vec::new() };
        Self { graph, varies: Vec::new(), seen: HashMap::new() }
    }

    /// Adds a node of `source`, its arguments given as nodes of this graph.
    pub fn copy(&mut self, node: &Node, args: &[NodeId]) -> Result<NodeId, OpError> {
        match node.op {
            Op::Input(_) | Op::Param(_) => Ok(self.given(node)),
            _ => self.emit_as(node.op.clone(), args, node.shape.clone(), node.dtype, node.span),
        }
    }

    fn given(&mut self, node: &Node) -> NodeId {
        let key = key(&node.op, &[], &node.shape, node.dtype);
        if let Some(&id) = self.seen.get(&key) {
            return id;
        }
        let varies = match node.op {
            Op::Input(i) => self.graph.inputs.get(i as usize).is_none_or(|input| input.varies),
            _ => false,
        };
        let id = self.graph.add(node.clone());
        self.varies.push(varies);
        self.seen.insert(key, id);
        id
    }

    /// Adds an operation whose type follows from its arguments.
    pub fn emit(&mut self, op: Op, args: &[NodeId], span: Span) -> Result<NodeId, OpError> {
        let (shape, dtype) = self.graph.typed(&op, args, None)?;
        self.emit_as(op, args, shape, dtype, span)
    }

    /// Adds an operation of the given type, or finds what means the same.
    pub fn emit_as(
        &mut self,
        op: Op,
        args: &[NodeId],
        shape: Shape,
        dtype: DType,
        span: Span,
    ) -> Result<NodeId, OpError> {
        if let Some(id) = simplified(self, &op, args, &shape, dtype, span)? {
            debug_assert!((self.graph.shape(id), self.graph.dtype(id)) == (&shape, dtype), "{op:?}");
            return Ok(id);
        }
        let mut args = args.to_vec();
        if commutes(&op) {
            args.sort_unstable();
        }
        let key = key(&op, &args, &shape, dtype);
        if let Some(&id) = self.seen.get(&key) {
            return Ok(id);
        }
        let id = self.graph.push_as(op, &args, shape, dtype, span)?;
        self.varies.push(args.iter().any(|x| self.varies[x.index()]));
        self.seen.insert(key, id);
        Ok(id)
    }

    /// `x` with another shape of as many elements.
    pub fn reshape(&mut self, x: NodeId, shape: Shape, span: Span) -> Result<NodeId, OpError> {
        let dtype = self.graph.dtype(x);
        self.emit_as(Op::Reshape, &[x], shape, dtype, span)
    }

    /// `x` broadcast to a shape.
    pub fn expand(&mut self, x: NodeId, shape: Shape, span: Span) -> Result<NodeId, OpError> {
        let dtype = self.graph.dtype(x);
        self.emit_as(Op::Expand, &[x], shape, dtype, span)
    }
}

/// A graph and where the outputs are in it.
pub(crate) type Rewritten = Result<(Graph, Vec<NodeId>), OpError>;

/// A node that is being rebuilt.
pub(crate) struct Site<'a> {
    /// In the old graph.
    pub id: NodeId,
    pub node: &'a Node,
    /// Its arguments in the new graph.
    pub args: &'a [NodeId],
    /// By old index: the new id of every needed node before this one.
    pub map: &'a [NodeId],
}

/// Copies what `outputs` need, node by node; `rewrite` may make something else of a node, or answer `None` to keep it.
pub(crate) fn rebuild(
    source: &Graph,
    outputs: &[NodeId],
    mut rewrite: impl FnMut(&mut Builder, &Site<'_>) -> Result<Option<NodeId>, OpError>,
) -> Rewritten {
    let live = super::dce::live(source, outputs);
    let mut builder = Builder::like(source);
    let mut map = vec![NodeId(0); source.nodes.len()];
    for id in source.ids().filter(|id| live[id.index()]) {
        let node = source.node(id);
        let args: Vec<NodeId> = node.args.iter().map(|x| map[x.index()]).collect();
        let rewritten = rewrite(&mut builder, &Site { id, node, args: &args, map: &map })?;
        map[id.index()] = match rewritten {
            Some(new) => new,
            None => builder.copy(node, &args)?,
        };
    }
    let outputs: Vec<NodeId> = outputs.iter().map(|id| map[id.index()]).collect();
    Ok((builder.graph, outputs))
}

/// Whether the order of the two arguments does not matter.
pub(crate) fn commutes(op: &Op) -> bool {
    matches!(
        op,
        Op::Binary(
            BinaryOp::Add
                | BinaryOp::Mul
                | BinaryOp::Maximum
                | BinaryOp::Minimum
                | BinaryOp::Eq
                | BinaryOp::Ne
                | BinaryOp::And
                | BinaryOp::Or
                | BinaryOp::Xor
        )
    )
}

fn key(op: &Op, args: &[NodeId], shape: &Shape, dtype: DType) -> Key {
    let mut text = String::new();
    // Debug of f64 tells all values apart, -0.0 from 0.0 included. Writing to a String does not fail.
    let _ = write!(text, "{op:?}");
    (text, args.to_vec(), shape.clone(), dtype)
}
