//! Bounds of what tensors may hold, from how they are computed: enough to know whether a divisor is guarded.

use graph::{BinaryOp, DType, Graph, NodeId, Op, ParamId, ReduceOp, UnaryOp};

/// Least and greatest value; `open` says that the least one is approached, never taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    pub low: f64,
    pub high: f64,
    pub open: bool,
}

impl Bounds {
    /// Nothing is known.
    pub const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY, open: false };

    fn new(low: f64, high: f64) -> Self {
        if low.is_nan() || high.is_nan() { Self::ALL } else { Self { low, high, open: false } }
    }

    fn above(low: f64) -> Self {
        Self { low, high: f64::INFINITY, open: true }
    }

    /// Never negative, and zero for some inputs: a count of edges, a norm, a sum of squares.
    pub fn touches_zero(&self) -> bool {
        (self.low == 0.0 && !self.open) || (self.high == 0.0 && self.low < 0.0)
    }

    pub fn may_be_negative(&self) -> bool {
        self.low < 0.0
    }

    pub fn may_be_zero_or_less(&self) -> bool {
        self.low < 0.0 || (self.low == 0.0 && !self.open)
    }

    fn map(&self, f: fn(f64) -> f64) -> Self {
        Self { open: self.open, ..Self::new(f(self.low), f(self.high)) }
    }

    fn join(&self, other: &Self) -> Self {
        let open = match self.low.partial_cmp(&other.low) {
            Some(std::cmp::Ordering::Less) => self.open,
            Some(std::cmp::Ordering::Greater) => other.open,
            _ => self.open && other.open,
        };
        Self { low: self.low.min(other.low), high: self.high.max(other.high), open }
    }
}

/// Bounds of every node. The adjacency matrix holds 0 and 1; a graph may have nodes without edges. `variances`: buffers that are
/// not negative.
pub fn bounds(graph: &Graph, variances: &[ParamId]) -> Vec<Bounds> {
    let mut known: Vec<Bounds> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let arg = |i: usize| -> Bounds {
            node.args.get(i).and_then(|id: &NodeId| known.get(id.index())).copied().unwrap_or(Bounds::ALL)
        };
        let count = node.args.first().map_or(1.0, |id| {
            let (from, to) = (graph::numel(graph.shape(*id)), graph::numel(&node.shape));
            from.div_exact(&to).and_then(|d| d.as_known()).map_or(f64::INFINITY, |n| n as f64)
        });
        let value = match &node.op {
            Op::Input(3) => Bounds::new(0.0, 1.0),
            Op::Param(id) if variances.contains(id) => Bounds::new(0.0, f64::INFINITY),
            // neither end is among the numbers
            Op::Random { .. } => Bounds::new(f64::from(f32::EPSILON) / 2.0, 1.0 - f64::from(f32::EPSILON) / 2.0),
            Op::Scalar(v) | Op::Full(v) => Bounds::new(*v, *v),
            Op::Const(values) => Bounds::new(
                values.iter().copied().fold(f64::INFINITY, f64::min),
                values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ),
            Op::Size(d) => Bounds::new(d.least().map_or(f64::NEG_INFINITY, |l| l as f64), f64::INFINITY),
            Op::Arange { start, step } if *step > 0.0 => Bounds::new(*start, f64::INFINITY),
            Op::Eye | Op::OneHot { .. } => Bounds::new(0.0, 1.0),
            Op::Unary(op) => unary(*op, arg(0)),
            Op::Binary(op) => {
                let same = node.args.first() == node.args.get(1);
                if *op == BinaryOp::Mul && same { unary(UnaryOp::Square, arg(0)) } else { binary(*op, arg(0), arg(1)) }
            }
            Op::Where => arg(1).join(&arg(2)),
            Op::Softmax { .. } => Bounds { low: 0.0, high: 1.0, open: true },
            Op::LogSoftmax { .. } => Bounds::new(f64::NEG_INFINITY, 0.0),
            Op::Reduce { op, .. } => reduce(*op, arg(0), count),
            Op::CumSum { .. } if arg(0).low >= 0.0 => Bounds { high: f64::INFINITY, ..arg(0) },
            Op::Cast if node.dtype == DType::Bool => Bounds::new(0.0, 1.0),
            Op::Detach
            | Op::Cast
            | Op::Reshape
            | Op::Permute(_)
            | Op::Expand
            | Op::Slice { .. }
            | Op::Select { .. }
            | Op::Flip { .. }
            | Op::Roll { .. }
            | Op::Gather { .. }
            | Op::IndexSelect { .. }
            | Op::Diagonal { .. }
            | Op::Sort { .. }
            | Op::TopK { .. } => arg(0),
            Op::Tril { .. } | Op::Triu { .. } => arg(0).join(&Bounds::new(0.0, 0.0)),
            Op::Cat { .. } => {
                let mut all = arg(0);
                for i in 1..node.args.len() {
                    all = all.join(&arg(i));
                }
                all
            }
            Op::MatMul | Op::Einsum(_) if (0..node.args.len()).all(|i| arg(i).low >= 0.0) => {
                Bounds::new(0.0, f64::INFINITY)
            }
            _ if node.dtype == DType::Bool => Bounds::new(0.0, 1.0),
            _ => Bounds::ALL,
        };
        known.push(value);
    }
    known
}

fn unary(op: UnaryOp, x: Bounds) -> Bounds {
    match op {
        UnaryOp::Neg => Bounds::new(-x.high, -x.low),
        UnaryOp::Abs | UnaryOp::Square => {
            let f: fn(f64) -> f64 = if op == UnaryOp::Abs { f64::abs } else { |v| v * v };
            if x.low >= 0.0 {
                x.map(f)
            } else {
                Bounds::new(if x.high < 0.0 { f(x.high) } else { 0.0 }, f(x.low).max(f(x.high)))
            }
        }
        UnaryOp::Relu => Bounds::new(x.low.max(0.0), x.high.max(0.0)),
        UnaryOp::Sigmoid | UnaryOp::Hardsigmoid => Bounds { low: 0.0, high: 1.0, open: op == UnaryOp::Sigmoid },
        UnaryOp::Tanh | UnaryOp::Sin | UnaryOp::Cos | UnaryOp::Erf | UnaryOp::Softsign | UnaryOp::Sign => {
            if x.low >= 0.0 && op != UnaryOp::Sin && op != UnaryOp::Cos {
                Bounds { low: 0.0, high: 1.0, open: x.low > 0.0 || x.open }
            } else {
                Bounds::new(-1.0, 1.0)
            }
        }
        UnaryOp::Erfc => Bounds::new(0.0, 2.0),
        UnaryOp::Exp => Bounds { open: true, ..Bounds::new(x.low.exp(), x.high.exp()) },
        UnaryOp::Expm1 => x.map(f64::exp_m1),
        UnaryOp::Log1p if x.low >= 0.0 => x.map(f64::ln_1p),
        UnaryOp::Log if x.low > 0.0 => x.map(f64::ln),
        UnaryOp::Sqrt if x.low >= 0.0 => x.map(f64::sqrt),
        UnaryOp::Rsqrt | UnaryOp::Sqrt | UnaryOp::Cosh => Bounds::above(0.0),
        UnaryOp::Reciprocal if x.low >= 0.0 => Bounds::above(0.0),
        UnaryOp::Softplus { .. } => Bounds::above(0.0),
        UnaryOp::Elu { alpha } | UnaryOp::Celu { alpha } => {
            Bounds { low: -alpha.abs(), high: f64::INFINITY, open: true }
        }
        UnaryOp::Hardtanh { min, max } | UnaryOp::Clamp { min, max } => {
            let open = x.open && x.low > min;
            Bounds { open, ..Bounds::new(x.low.clamp(min.min(max), max), x.high.clamp(min.min(max), max)) }
        }
        UnaryOp::LogicalNot | UnaryOp::IsNan | UnaryOp::IsInf | UnaryOp::IsFinite => Bounds::new(0.0, 1.0),
        UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Trunc => Bounds::new(x.low.floor(), x.high.ceil()),
        _ => Bounds::ALL,
    }
}

fn binary(op: BinaryOp, x: Bounds, y: Bounds) -> Bounds {
    match op {
        BinaryOp::Add => Bounds { open: x.open || y.open, ..Bounds::new(x.low + y.low, x.high + y.high) },
        BinaryOp::Sub => Bounds { open: x.open, ..Bounds::new(x.low - y.high, x.high - y.low) },
        BinaryOp::Mul => {
            let product = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
            let all = [product(x.low, y.low), product(x.low, y.high), product(x.high, y.low), product(x.high, y.high)];
            let low = all.iter().copied().fold(f64::INFINITY, f64::min);
            let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // a product of positives is positive
            let positive = |b: &Bounds| b.low > 0.0 || (b.low == 0.0 && b.open);
            Bounds { open: positive(&x) && positive(&y), ..Bounds::new(low, high) }
        }
        BinaryOp::Div if y.low > 0.0 || (y.low == 0.0 && y.open) => {
            if x.low >= 0.0 {
                Bounds { low: 0.0, high: f64::INFINITY, open: x.low > 0.0 || x.open }
            } else {
                Bounds::ALL
            }
        }
        BinaryOp::Maximum => {
            let open = if x.low > y.low {
                x.open
            } else if y.low > x.low {
                y.open
            } else {
                x.open || y.open
            };
            Bounds { open, ..Bounds::new(x.low.max(y.low), x.high.max(y.high)) }
        }
        BinaryOp::Minimum => x.join(&y).min_high(x.high.min(y.high)),
        BinaryOp::Pow if x.low >= 0.0 => Bounds { low: 0.0, high: f64::INFINITY, open: x.low > 0.0 || x.open },
        BinaryOp::Pow if y.low == 2.0 && y.high == 2.0 => Bounds::new(0.0, f64::INFINITY),
        BinaryOp::Remainder if y.low > 0.0 => Bounds::new(0.0, y.high),
        BinaryOp::Eq
        | BinaryOp::Ne
        | BinaryOp::Lt
        | BinaryOp::Le
        | BinaryOp::Gt
        | BinaryOp::Ge
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor => Bounds::new(0.0, 1.0),
        _ => Bounds::ALL,
    }
}

impl Bounds {
    fn min_high(self, high: f64) -> Self {
        Self { high, ..self }
    }
}

/// `count`: how many elements one reduced value is made of, infinite where that depends on the graph.
fn reduce(op: ReduceOp, x: Bounds, count: f64) -> Bounds {
    match op {
        ReduceOp::Sum => {
            let times = |v: f64| if v == 0.0 { 0.0 } else { v * count };
            // a sum of positives is at least one of them
            let low = if x.low > 0.0 { x.low } else { times(x.low) };
            let high = if x.high < 0.0 { x.high } else { times(x.high) };
            Bounds { open: x.open, ..Bounds::new(low, high) }
        }
        ReduceOp::Mean
        | ReduceOp::Amax
        | ReduceOp::Amin
        | ReduceOp::MaxValues
        | ReduceOp::MinValues
        | ReduceOp::Median => x,
        ReduceOp::Prod if x.low >= 0.0 => Bounds { low: 0.0, high: f64::INFINITY, open: x.low > 0.0 || x.open },
        ReduceOp::Var { .. } | ReduceOp::Std { .. } => Bounds::new(0.0, f64::INFINITY),
        ReduceOp::Norm { .. } => Bounds { low: 0.0, high: f64::INFINITY, open: x.low > 0.0 || x.open },
        ReduceOp::ArgMax | ReduceOp::ArgMin => Bounds::new(0.0, f64::INFINITY),
        ReduceOp::Any | ReduceOp::All => Bounds::new(0.0, 1.0),
        ReduceOp::LogSumExp | ReduceOp::Prod => Bounds::ALL,
    }
}
