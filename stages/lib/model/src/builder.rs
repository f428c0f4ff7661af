//! Shorthands for building the network's own part of the graph.

use graph::{BinaryOp, DType, Dim, Graph, Init, NodeId, Op, OpError, Param, ReduceOp, Shape, Span, UnaryOp};

/// A graph under construction. All nodes are marked as not from source.
pub(crate) struct Builder {
    pub graph: Graph,
    /// H
    pub hidden: usize,
}

/// A linear layer's weight `[out, in]` and bias.
#[derive(Clone, Copy)]
pub(crate) struct Layer {
    pub weight: NodeId,
    pub bias: NodeId,
}

type Built = Result<NodeId, OpError>;

impl Builder {
    pub fn push(&mut self, op: Op, args: &[NodeId]) -> Built {
        self.graph.push(op, args, Span::default())
    }

    pub fn push_as(&mut self, op: Op, args: &[NodeId], shape: Shape, dtype: DType) -> Built {
        self.graph.push_as(op, args, shape, dtype, Span::default())
    }

    pub fn input(&mut self, name: &str, shape: Shape, varies: bool) -> NodeId {
        self.graph.input(name, shape, DType::Float, varies)
    }

    /// `name.weight` and `name.bias` of a layer that starts as the benchmark's do: normal with `std`, cut at two
    /// standard deviations, and zero.
    pub fn layer(&mut self, name: &str, inputs: usize, outputs: usize, std: f64) -> Layer {
        let mut param = |part: &str, shape: Vec<usize>, init| {
            let name = format!("{name}.{part}");
            let param = Param {
                name,
                aliases: Vec::new(),
                shape,
                init,
                trainable: true,
                transient: false,
                span: Span::default(),
            };
            self.graph.param(param, Span::default())
        };
        let weight = param("weight", vec![outputs, inputs], Init::TruncatedNormal { std, cut: 2.0 });
        let bias = param("bias", vec![outputs], Init::Constant(0.0));
        Layer { weight, bias }
    }

    /// As [`Builder::layer`], with the standard deviation 1/sqrt(inputs), applied to `x`.
    pub fn linear(&mut self, name: &str, x: NodeId, inputs: usize, outputs: usize) -> Built {
        let layer = self.layer(name, inputs, outputs, 1.0 / (inputs.max(1) as f64).sqrt());
        self.apply(layer, x)
    }

    pub fn apply(&mut self, layer: Layer, x: NodeId) -> Built {
        self.push(Op::Linear { biased: true }, &[x, layer.weight, layer.bias])
    }

    pub fn unary(&mut self, op: UnaryOp, x: NodeId) -> Built {
        self.push(Op::Unary(op), &[x])
    }

    pub fn binary(&mut self, op: BinaryOp, x: NodeId, y: NodeId) -> Built {
        self.push(Op::Binary(op), &[x, y])
    }

    pub fn add(&mut self, x: NodeId, y: NodeId) -> Built {
        self.binary(BinaryOp::Add, x, y)
    }

    pub fn scalar(&mut self, value: f64) -> Built {
        self.push_as(Op::Scalar(value), &[], Vec::new(), DType::Float)
    }

    pub fn cat(&mut self, parts: &[NodeId], dim: usize) -> Built {
        match parts {
            [only] => Ok(*only),
            _ => self.push(Op::Cat { dim }, parts),
        }
    }

    pub fn permute(&mut self, x: NodeId, perm: &[usize]) -> Built {
        self.push(Op::Permute(perm.to_vec()), &[x])
    }

    pub fn reduce(&mut self, op: ReduceOp, x: NodeId, dim: usize) -> Built {
        self.push(Op::Reduce { op, dims: vec![dim], keepdim: false }, &[x])
    }

    /// A new axis of size 1 before `dim`.
    pub fn unsqueeze(&mut self, x: NodeId, dim: usize) -> Built {
        let mut shape = self.graph.shape(x).clone();
        shape.insert(dim.min(shape.len()), Dim::known(1));
        self.push_as(Op::Reshape, &[x], shape, DType::Float)
    }

    /// Without the last axis, of size 1.
    pub fn squeeze_last(&mut self, x: NodeId) -> Built {
        let mut shape = self.graph.shape(x).clone();
        shape.pop();
        self.push_as(Op::Reshape, &[x], shape, DType::Float)
    }

    /// The larger of x and y, as `y + relu(x - y)`, whose gradient needs no share for ties. Only for numbers of ordinary
    /// size: beside 1e6 the difference would lose what it should keep.
    pub fn larger(&mut self, x: NodeId, y: NodeId) -> Built {
        let difference = self.binary(BinaryOp::Sub, x, y)?;
        let excess = self.unary(UnaryOp::Relu, difference)?;
        self.add(y, excess)
    }
}
