//! The graph itself, and the only ways to add to it.

use crate::dim::{Dim, Shape};
use crate::error::OpError;
use crate::infer::infer;
use crate::op::{DType, Input, Node, NodeId, Op, Param, ParamId, Span};

/// A typed computation: nodes in topological order over inputs and parameters.
///
/// Every node passed [`Graph::push`], [`Graph::push_as`], [`Graph::input`] or [`Graph::param`], so that its shape and type
/// are right for every B >= 1 and N >= 2. The fields are public for reading; who changes them by hand can check the
/// result with [`Graph::validate`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    pub inputs: Vec<Input>,
    pub params: Vec<Param>,
    /// Arguments always come before their users.
    pub nodes: Vec<Node>,
}

/// A candidate's computation of one message-passing step.
///
/// The graph's inputs are always exactly `node_fts` [B, N, H], `edge_fts` [B, N, N, H], `graph_fts` [B, H],
/// `adj_mat` [B, N, N] and `hidden` [B, N, H], in this order, all Float and all varying over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Processor {
    pub graph: Graph,
    /// [B, N, H]
    pub ret: NodeId,
    /// [B, N, N, H]
    pub tri_msgs: Option<NodeId>,
    /// H
    pub hidden: usize,
}

impl Processor {
    /// An empty graph with a processor's five inputs, and their nodes.
    pub fn inputs(hidden: usize) -> (Graph, [NodeId; 5]) {
        let mut graph = Graph::new();
        let (b, n, h) = (Dim::b(), Dim::n(), Dim::known(i64::try_from(hidden).unwrap_or(i64::MAX)));
        let nodes = [b.clone(), n.clone(), h.clone()].to_vec();
        let edges = [b.clone(), n.clone(), n.clone(), h.clone()].to_vec();
        let whole = [b.clone(), h].to_vec();
        let pairs = [b, n.clone(), n].to_vec();
        let ids = [
            graph.input("node_fts", nodes.clone(), DType::Float, true),
            graph.input("edge_fts", edges, DType::Float, true),
            graph.input("graph_fts", whole, DType::Float, true),
            graph.input("adj_mat", pairs, DType::Float, true),
            graph.input("hidden", nodes, DType::Float, true),
        ];
        (graph, ids)
    }

    /// `ret`, and `tri_msgs` where there is one.
    pub fn outputs(&self) -> Vec<NodeId> {
        std::iter::once(self.ret).chain(self.tri_msgs).collect()
    }
}

impl Graph {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input. `varies`: whether its value may differ from one time step to the next.
    pub fn input(&mut self, name: &str, shape: Shape, dtype: DType, varies: bool) -> NodeId {
        let op = Op::Input(index(self.inputs.len()));
        self.inputs.push(Input { name: name.to_owned(), shape: shape.clone(), dtype, varies });
        self.add(Node { op, args: Vec::new(), shape, dtype, span: Span::default() })
    }

    /// The node of a parameter, a Float tensor. A parameter that is there already (same name, shape and initialisation) is
    /// shared, node included.
    pub fn param(&mut self, p: Param, span: Span) -> NodeId {
        let at = self.params.iter().position(|known| same_param(known, &p));
        let op = Op::Param(ParamId(index(at.unwrap_or(self.params.len()))));
        if let Some(node) = self.nodes.iter().position(|node| node.op == op) {
            return NodeId(index(node));
        }
        let shape = p.shape.iter().map(|&size| Dim::known(i64::try_from(size).unwrap_or(i64::MAX))).collect();
        if at.is_none() {
            self.params.push(p);
        }
        self.add(Node { op, args: Vec::new(), shape, dtype: DType::Float, span })
    }

    /// Adds an operation whose type follows from its arguments.
    pub fn push(&mut self, op: Op, args: &[NodeId], span: Span) -> Result<NodeId, OpError> {
        self.checked(op, args, None, span)
    }

    /// Adds an operation whose type the caller states, and which is checked: `Scalar`, `Size`, `Full`, `Const`, `Arange`,
    /// `Eye`, `Cast`, `Reshape`, `Expand`. For the others the stated type must be the one that follows.
    pub fn push_as(
        &mut self,
        op: Op,
        args: &[NodeId],
        shape: Shape,
        dtype: DType,
        span: Span,
    ) -> Result<NodeId, OpError> {
        self.checked(op, args, Some((shape, dtype)), span)
    }

    fn checked(
        &mut self,
        op: Op,
        args: &[NodeId],
        stated: Option<(Shape, DType)>,
        span: Span,
    ) -> Result<NodeId, OpError> {
        let (shape, dtype) = self.typed(&op, args, stated)?;
        Ok(self.add(Node { op, args: args.to_vec(), shape, dtype, span }))
    }

    pub(crate) fn typed(
        &self,
        op: &Op,
        args: &[NodeId],
        stated: Option<(Shape, DType)>,
    ) -> Result<(Shape, DType), OpError> {
        let known = args
            .iter()
            .map(|id| {
                self.nodes.get(id.0 as usize).map(|n| (&n.shape, n.dtype)).ok_or(OpError::NoSuchNode { node: id.0 })
            })
            .collect::<Result<Vec<_>, _>>()?;
        infer(op, &known, stated)
    }

    pub(crate) fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(index(self.nodes.len() - 1))
    }

    /// The node of an id of this graph.
    ///
    /// # Panics
    /// For an id of another graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// As [`Graph::node`].
    pub fn shape(&self, id: NodeId) -> &Shape {
        &self.node(id).shape
    }

    /// As [`Graph::node`].
    pub fn dtype(&self, id: NodeId) -> DType {
        self.node(id).dtype
    }

    /// The parameter behind a node, where it is one.
    pub fn param_of(&self, id: NodeId) -> Option<&Param> {
        match self.node(id).op {
            Op::Param(param) => self.params.get(param.0 as usize),
            _ => None,
        }
    }

    /// All ids, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..index(self.nodes.len())).map(NodeId)
    }

    /// Copies `other`'s nodes with its inputs replaced by `inputs`, whose shapes and types must be equal. Parameters are
    /// named `prefix` + name and merged by that name, so that a second copy shares those of the first. Returns the new id
    /// of each of `other`'s nodes.
    pub fn inline(&mut self, other: &Graph, inputs: &[NodeId], prefix: &str) -> Result<Vec<NodeId>, OpError> {
        if inputs.len() != other.inputs.len() {
            return Err(OpError::Inputs { wanted: other.inputs.len(), got: inputs.len() });
        }
        for (wanted, &got) in other.inputs.iter().zip(inputs) {
            let node = self.nodes.get(got.0 as usize).ok_or(OpError::NoSuchNode { node: got.0 })?;
            let name = wanted.name.clone();
            if node.shape != wanted.shape {
                return Err(OpError::InputShape { name, wanted: wanted.shape.clone(), got: node.shape.clone() });
            }
            if node.dtype != wanted.dtype {
                return Err(OpError::InputType { name, wanted: wanted.dtype, got: node.dtype });
            }
        }
        let mut map: Vec<NodeId> = Vec::with_capacity(other.nodes.len());
        for node in &other.nodes {
            let id = match node.op {
                Op::Input(i) => {
                    *inputs.get(i as usize).ok_or(OpError::Inputs { wanted: i as usize + 1, got: inputs.len() })?
                }
                Op::Param(p) => {
                    let source = other.params.get(p.0 as usize).ok_or(OpError::NoSuchNode { node: p.0 })?;
                    let init = source.init.renamed(prefix);
                    let aliases = source.aliases.iter().map(|name| format!("{prefix}{name}")).collect();
                    let param = Param { name: format!("{prefix}{}", source.name), aliases, init, ..source.clone() };
                    if self.params.iter().any(|known| known.name == param.name && !same_param(known, &param)) {
                        return Err(OpError::ParamClash { name: param.name });
                    }
                    self.param(param, node.span)
                }
                _ => {
                    let args = node
                        .args
                        .iter()
                        .map(|id| map.get(id.0 as usize).copied().ok_or(OpError::NoSuchNode { node: id.0 }))
                        .collect::<Result<Vec<_>, _>>()?;
                    self.push_as(node.op.clone(), &args, node.shape.clone(), node.dtype, node.span)?
                }
            };
            map.push(id);
        }
        Ok(map)
    }

    /// Infers every node again and compares: for graphs that were put together by other means.
    pub fn validate(&self) -> Result<(), OpError> {
        for (at, node) in self.nodes.iter().enumerate() {
            if let Some(late) = node.args.iter().find(|id| id.0 as usize >= at) {
                return Err(OpError::NoSuchNode { node: late.0 });
            }
            let stated = (node.shape.clone(), node.dtype);
            match node.op {
                Op::Input(i) => {
                    let input = self.inputs.get(i as usize).ok_or(OpError::NoSuchNode { node: i })?;
                    if (&input.shape, input.dtype) != (&node.shape, node.dtype) {
                        let (wanted, got) = (input.shape.clone(), node.shape.clone());
                        return Err(OpError::InputShape { name: input.name.clone(), wanted, got });
                    }
                }
                Op::Param(p) => {
                    let param = self.params.get(p.0 as usize).ok_or(OpError::NoSuchNode { node: p.0 })?;
                    let known = param.shape.iter().map(|&size| i64::try_from(size).ok());
                    if node.dtype != DType::Float || !known.eq(node.shape.iter().map(Dim::as_known)) {
                        return Err(OpError::ParamClash { name: param.name.clone() });
                    }
                }
                _ => {
                    self.typed(&node.op, &node.args, Some(stated))?;
                }
            }
        }
        Ok(())
    }
}

/// Whether two uses mean one parameter; where it is written does not matter.
fn same_param(x: &Param, y: &Param) -> bool {
    (&x.name, &x.shape, &x.init, x.trainable, x.transient) == (&y.name, &y.shape, &y.init, y.trainable, y.transient)
}

/// Node counts fit u32 long before memory ends.
fn index(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
