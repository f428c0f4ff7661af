//! The graph itself, and the only ways to add to it.

use crate::dim::{Dim, Shape};
use crate::error::OpError;
use crate::fingerprint::{Fingerprint, fingerprint};
use crate::infer::infer;
use crate::op::{DType, Input, Node, NodeId, Op, Param, ParamId, Span};

/// A typed computation: nodes in topological order over inputs and parameters.
///
/// Every node passed [`Graph::push`], [`Graph::push_as`], [`Graph::input`] or [`Graph::param`], so that its shape and type
/// are right for every B >= 1 and N >= 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    pub(crate) inputs: Vec<Input>,
    pub(crate) params: Vec<Param>,
    /// Arguments always come before their users.
    pub(crate) nodes: Vec<Node>,
}

/// A candidate's computation of one message-passing step.
///
/// The graph's inputs are always exactly `node_fts` [B, N, H], `edge_fts` [B, N, N, H], `graph_fts` [B, H],
/// `adj_mat` [B, N, N] and `hidden` [B, N, H], in this order, all Float and all varying over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Processor {
    /// The computation, whose outputs are `ret` and `tri_msgs`.
    pub graph: Graph,
    /// The new hidden state, [B, N, H].
    pub ret: NodeId,
    /// Messages from triplets, [B, N, N, H]; `None` where the program returns none.
    pub tri_msgs: Option<NodeId>,
    /// The number of features, H.
    pub hidden: usize,
    /// What training computes, where that differs from evaluation, which the fields above are then about.
    pub training: Option<Box<Training>>,
}

/// A processor's computation in training, where it is not that of evaluation.
///
/// The graph's inputs are those of [`Processor`], and behind them two that noise follows from, `noise_keys` [B, 3] and
/// `noise_key` [3]: see [`crate::noise`]. Its parameters are those of the processor's graph, in the same order.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// The computation in training, with the two inputs for noise.
    pub graph: Graph,
    /// The new hidden state, [B, N, H].
    pub ret: NodeId,
    /// Messages from triplets, [B, N, N, H]; `None` where the program returns none.
    pub tri_msgs: Option<NodeId>,
    /// In the order in which the program comes to them.
    pub statistics: Vec<Statistic>,
}

/// Running statistics of a batch normalisation, which every step of a training moves towards those of its batch:
/// `running = (1 - f) running + f batch`, f being the momentum, or one over the number of updates so far, itself included.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistic {
    /// Statistics of the batch: means and unbiased variances of the channels, each [C].
    pub batch: [NodeId; 2],
    /// Buffers for both.
    pub running: [Option<ParamId>; 2],
    /// A number: how many updates there were.
    pub count: Option<ParamId>,
    /// The share `f` that an update takes from its batch; `None` for one over the number of updates.
    pub momentum: Option<f64>,
}

impl Training {
    /// Inputs beside those of [`Processor`].
    pub const INPUTS: [&str; 2] = ["noise_keys", "noise_key"];

    /// `ret`, and `tri_msgs` where there is one.
    pub fn outputs(&self) -> Vec<NodeId> {
        std::iter::once(self.ret).chain(self.tri_msgs).collect()
    }

    /// All values that a training uses: the outputs, and what statistics are moved towards.
    pub fn values(&self) -> Vec<NodeId> {
        let statistics = self.statistics.iter().flat_map(|statistic| statistic.batch);
        self.outputs().into_iter().chain(statistics).collect()
    }
}

impl Processor {
    /// An empty graph with a processor's five inputs, and their nodes.
    pub fn inputs(hidden: usize) -> (Graph, [NodeId; 5]) {
        let mut graph = Graph::new();
        let (b, n, h) = (Dim::b(), Dim::n(), Dim::of(hidden));
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

    /// Identifies what it computes, in evaluation and, where that is something else, in training.
    pub fn fingerprint(&self) -> Fingerprint {
        self.joint_fingerprint(fingerprint(&self.graph, &self.outputs()))
    }

    /// As [`Processor::fingerprint`], where that of evaluation is known.
    pub fn joint_fingerprint(&self, evaluation: Fingerprint) -> Fingerprint {
        let Some(training) = &self.training else { return evaluation };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&evaluation.0);
        hasher.update(&fingerprint(&training.graph, &training.values()).0);
        for Statistic { running, count, momentum, .. } in &training.statistics {
            hasher.update(format!("{momentum:?} {} {}", running.iter().flatten().count(), count.is_some()).as_bytes());
        }
        Fingerprint(*hasher.finalize().as_bytes())
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty graph that has the parameters of another one, under the same ids and without nodes.
    pub fn with_params_of(other: &Graph) -> Self {
        Self { params: other.params.clone(), ..Self::default() }
    }

    /// The inputs, in the order in which values are given for them.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The parameters, in the order of their ids.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The nodes, in the order of their ids: arguments always come before their users.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Adds an input. `varies`: whether its value may differ from one time step to the next.
    pub fn input(&mut self, name: &str, shape: Shape, dtype: DType, varies: bool) -> NodeId {
        let op = Op::Input(index(self.inputs.len()));
        self.inputs.push(Input { name: name.to_owned(), shape: shape.clone(), dtype, varies });
        self.add(Node { op, args: Vec::new(), shape, dtype, span: Span::default() })
    }

    /// Says anew, by their names, which inputs may differ from one time step to the next.
    pub fn set_varying(&mut self, varies: impl Fn(&str) -> bool) {
        for input in &mut self.inputs {
            input.varies = varies(&input.name);
        }
    }

    /// The node of the input with this number, which is made where the graph has none.
    ///
    /// # Errors
    /// Where there is no such input.
    pub fn input_node(&mut self, number: usize) -> Result<NodeId, OpError> {
        let op = Op::Input(index(number));
        if let Some(node) = self.nodes.iter().position(|node| node.op == op) {
            return Ok(NodeId(index(node)));
        }
        let inputs = OpError::Inputs { wanted: number + 1, got: self.inputs.len() };
        let Input { shape, dtype, .. } = self.inputs.get(number).cloned().ok_or(inputs)?;
        Ok(self.add(Node { op, args: Vec::new(), shape, dtype, span: Span::default() }))
    }

    /// Makes a further input of a node, which takes no arguments any more; returns the input's number.
    pub fn turn_into_input(&mut self, id: NodeId, name: &str) -> usize {
        let number = self.inputs.len();
        let node = &mut self.nodes[id.index()];
        let (shape, dtype) = (node.shape.clone(), node.dtype);
        (node.op, node.args) = (Op::Input(index(number)), Vec::new());
        self.inputs.push(Input { name: name.to_owned(), shape, dtype, varies: false });
        number
    }

    /// Puts zeros in the place of the inputs from number `first` on. The graph does not have them any more.
    pub fn zero_inputs(&mut self, first: usize) {
        for node in &mut self.nodes {
            if matches!(node.op, Op::Input(number) if number as usize >= first) {
                node.op = Op::Full(0.0);
            }
        }
        self.inputs.truncate(first);
    }

    /// Gives the graph these parameters, under ids in their order.
    ///
    /// # Errors
    /// Where a node stands for a parameter that is another one among the new ones, or none.
    pub fn set_params(&mut self, params: &[Param]) -> Result<(), OpError> {
        for (known, given) in self.params.iter().zip(params.iter().map(Some).chain(std::iter::repeat(None))) {
            if !given.is_some_and(|given| same_param(known, given)) {
                return Err(OpError::ParamClash { name: known.name.clone() });
            }
        }
        self.params = params.to_vec();
        Ok(())
    }

    /// Adds a node that was made for another graph, and whose arguments, input or parameter are this graph's.
    ///
    /// # Errors
    /// Where its shape and type are not those that follow here.
    pub fn adopt_node(&mut self, node: Node) -> Result<NodeId, OpError> {
        self.check(self.nodes.len(), &node)?;
        Ok(self.add(node))
    }

    /// The node of a parameter, a Float tensor. A parameter that is there already (same name, shape and initialisation) is
    /// shared, node included.
    pub fn param(&mut self, p: Param, span: Span) -> NodeId {
        let id = self.own_param(p);
        self.param_node(id, span)
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
            .map(|id| self.nodes.get(id.index()).map(|n| (&n.shape, n.dtype)).ok_or(OpError::NoSuchNode { node: id.0 }))
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
        &self.nodes[id.index()]
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
            Op::Param(param) => self.params.get(param.index()),
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
            let node = self.nodes.get(got.index()).ok_or(OpError::NoSuchNode { node: got.0 })?;
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
                    let id = self.adopt(other, p, prefix)?;
                    self.param_node(id, node.span)
                }
                _ => {
                    let args = node
                        .args
                        .iter()
                        .map(|id| map.get(id.index()).copied().ok_or(OpError::NoSuchNode { node: id.0 }))
                        .collect::<Result<Vec<_>, _>>()?;
                    self.push_as(node.op.clone(), &args, node.shape.clone(), node.dtype, node.span)?
                }
            };
            map.push(id);
        }
        Ok(map)
    }

    /// A parameter of another graph, named `prefix` + its name there, as one of this graph's own. It gets no node.
    pub fn adopt(&mut self, other: &Graph, id: ParamId, prefix: &str) -> Result<ParamId, OpError> {
        let source = other.params.get(id.index()).ok_or(OpError::NoSuchNode { node: id.0 })?;
        let init = source.init.renamed(prefix);
        let aliases = source.aliases.iter().map(|name| format!("{prefix}{name}")).collect();
        let param = Param { name: format!("{prefix}{}", source.name), aliases, init, ..source.clone() };
        if self.params.iter().any(|known| known.name == param.name && !same_param(known, &param)) {
            return Err(OpError::ParamClash { name: param.name });
        }
        Ok(self.own_param(param))
    }

    /// The place of a parameter among this graph's, where it is put if it is not there.
    fn own_param(&mut self, p: Param) -> ParamId {
        let at = self.params.iter().position(|known| same_param(known, &p));
        ParamId::at(at.unwrap_or_else(|| {
            self.params.push(p);
            self.params.len() - 1
        }))
    }

    /// The node of one of this graph's parameters.
    pub(crate) fn param_node(&mut self, id: ParamId, span: Span) -> NodeId {
        let op = Op::Param(id);
        if let Some(node) = self.nodes.iter().position(|node| node.op == op) {
            return NodeId(index(node));
        }
        let sizes = self.params.get(id.index()).map_or(&[][..], |p| &p.shape);
        let shape = sizes.iter().copied().map(Dim::of).collect();
        self.add(Node { op, args: Vec::new(), shape, dtype: DType::Float, span })
    }

    /// Infers every node again and compares: for tests of what changes graphs.
    pub fn validate(&self) -> Result<(), OpError> {
        self.nodes.iter().enumerate().try_for_each(|(at, node)| self.check(at, node))
    }

    /// Whether a node is well typed at this place.
    fn check(&self, at: usize, node: &Node) -> Result<(), OpError> {
        if let Some(late) = node.args.iter().find(|id| id.index() >= at) {
            return Err(OpError::NoSuchNode { node: late.0 });
        }
        match node.op {
            Op::Input(i) => {
                let input = self.inputs.get(i as usize).ok_or(OpError::NoSuchNode { node: i })?;
                if (&input.shape, input.dtype) != (&node.shape, node.dtype) {
                    let (wanted, got) = (input.shape.clone(), node.shape.clone());
                    return Err(OpError::InputShape { name: input.name.clone(), wanted, got });
                }
            }
            Op::Param(p) => {
                let param = self.params.get(p.index()).ok_or(OpError::NoSuchNode { node: p.0 })?;
                let known = param.shape.iter().map(|&size| i64::try_from(size).ok());
                if node.dtype != DType::Float || !known.eq(node.shape.iter().map(Dim::as_known)) {
                    return Err(OpError::ParamClash { name: param.name.clone() });
                }
            }
            _ => {
                self.typed(&node.op, &node.args, Some((node.shape.clone(), node.dtype)))?;
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
