//! Reverse-mode gradients are the transposes of the interpreter's tangents, of every operation, at smooth points and at
//! ties and kinks.

mod support;

use graph::interpret::{Tensor, evaluate, sizes};
use graph::{
    BinaryOp, DType, Dim, Graph, NodeId, Op, Passes, ReduceOp, Shape, Span, UnaryOp, costs, explain, gradients,
    normal_form, optimise, passes,
};
use proptest::prelude::*;
use support::{Numbers, Random, agree, steps};

/// B and N.
const SIZES: [(i64, i64); 2] = [(2, 3), (1, 2)];

/// A shape from text: `B,N,4`.
fn shape(text: &str) -> Shape {
    let size = |part: &str| match part {
        "B" => Dim::b(),
        "N" => Dim::n(),
        "N+1" => &Dim::n() + 1,
        "2N" => &Dim::n() * 2,
        known => Dim::known(known.parse().unwrap()),
    };
    text.split(',').filter(|part| !part.is_empty()).map(size).collect()
}

fn push(g: &mut Graph, op: Op, args: &[NodeId]) -> NodeId {
    g.push(op, args, Span::default()).unwrap()
}

fn push_as(g: &mut Graph, op: Op, args: &[NodeId], text: &str, dtype: DType) -> NodeId {
    g.push_as(op, args, shape(text), dtype, Span::default()).unwrap()
}

fn indices(g: &mut Graph, values: &[f64], text: &str) -> NodeId {
    push_as(g, Op::Const(values.to_vec()), &[], text, DType::Int)
}

/// A graph, what is differentiated, and what for.
struct Differentiated {
    graph: Graph,
    outputs: Vec<NodeId>,
    wanted: Vec<NodeId>,
    adjoints: Vec<NodeId>,
    found: Vec<Option<NodeId>>,
}

impl Differentiated {
    /// With an adjoint, given as a further input, for each output that is Float; wanted are all Float inputs and parameters.
    fn new(graph: &Graph, outputs: &[NodeId]) -> Self {
        let mut graph = graph.clone();
        let given = |id: &NodeId| matches!(graph.node(*id).op, Op::Input(_) | Op::Param(_));
        let wanted: Vec<NodeId> = graph.ids().filter(|id| given(id) && graph.dtype(*id) == DType::Float).collect();
        let outputs: Vec<NodeId> = outputs.iter().copied().filter(|&id| graph.dtype(id) == DType::Float).collect();
        let adjoints: Vec<NodeId> = outputs
            .iter()
            .map(|&id| {
                let shape = graph.shape(id).clone();
                graph.input("adjoint", shape, DType::Float, true)
            })
            .collect();
        let seeds: Vec<(NodeId, NodeId)> = outputs.iter().copied().zip(adjoints.iter().copied()).collect();
        let found = gradients(&mut graph, &seeds, &wanted).unwrap();
        graph.validate().unwrap();
        for (&id, gradient) in wanted.iter().zip(&found) {
            if let Some(gradient) = gradient {
                assert_eq!(graph.shape(*gradient), graph.shape(id));
            }
        }
        Self { graph, outputs, wanted, adjoints, found }
    }

    /// The same after the normal form has been taken.
    fn normal(&self) -> Self {
        let gradients: Vec<NodeId> = self.found.iter().copied().flatten().collect();
        let kept: Vec<NodeId> =
            [&self.outputs, &self.wanted, &self.adjoints, &gradients].into_iter().flatten().copied().collect();
        let (graph, at) = normal_form(&self.graph, &kept);
        graph.validate().unwrap();
        let mut at = at.into_iter();
        let mut take = |count: usize| at.by_ref().take(count).collect::<Vec<_>>();
        let (outputs, wanted) = (take(self.outputs.len()), take(self.wanted.len()));
        let adjoints = take(self.adjoints.len());
        let mut gradients = take(gradients.len()).into_iter();
        let found = self.found.iter().map(|gradient| gradient.and_then(|_| gradients.next())).collect();
        Self { graph, outputs, wanted, adjoints, found }
    }

    /// Values of all nodes at a point; adjoints do not move.
    fn values(&self, point: &Point) -> Vec<Tensor> {
        let (mut inputs, (b, n)) = (point.inputs.clone(), point.at);
        let mut numbers = Numbers(point.seed);
        for id in &self.adjoints {
            let tensor = numbers.tensor(sizes(self.graph.shape(*id), b, n).unwrap());
            inputs.push(Tensor::new(tensor.shape, tensor.data));
        }
        evaluate(&self.graph, &inputs, &point.params, b, n).unwrap()
    }

    /// `<adjoint, tangent>` of the outputs, `<gradient, tangent>` of what is wanted, and the size of the terms.
    fn both(&self, values: &[Tensor]) -> (f64, f64, f64) {
        let at = |id: NodeId| &values[id.index()];
        let mut scale = 0.0;
        let mut inner = |x: &[f64], y: &[f64]| -> f64 {
            x.iter()
                .zip(y)
                .map(|(x, y)| {
                    scale += (x * y).abs();
                    x * y
                })
                .sum()
        };
        let forward: f64 =
            self.outputs.iter().zip(&self.adjoints).map(|(&y, &g)| inner(&at(g).data, &at(y).tangent)).sum();
        let reverse = self.wanted.iter().zip(&self.found);
        let reverse: f64 = reverse.filter_map(|(&x, g)| g.map(|g| inner(&at(g).data, &at(x).tangent))).sum();
        (forward, reverse, scale)
    }
}

/// Values and directions of a graph's inputs and parameters.
struct Point {
    inputs: Vec<Tensor>,
    params: Vec<Tensor>,
    seed: u64,
    at: (i64, i64),
}

impl Point {
    fn new(graph: &Graph, inputs: usize, seed: u64, (b, n): (i64, i64), value: impl Fn(f64) -> f64) -> Self {
        let mut numbers = Numbers(seed);
        let mut tensor = |shape: Vec<usize>| {
            let mut tensor = numbers.tensor(shape);
            tensor.data.iter_mut().for_each(|x| *x = value(*x));
            tensor
        };
        let given = graph.inputs().iter().take(inputs);
        let inputs = given.map(|input| tensor(sizes(&input.shape, b, n).unwrap())).collect();
        let params = graph.params().iter().map(|p| tensor(p.shape.clone())).collect();
        Self { inputs, params, seed: seed.wrapping_mul(31), at: (b, n) }
    }

    /// So far along the directions.
    fn moved(&self, step: f64) -> Self {
        let moved = |x: &Tensor| {
            let data = x.data.iter().zip(&x.tangent).map(|(x, d)| x + step * d).collect();
            Tensor { data, ..x.clone() }
        };
        let (inputs, params) = (self.inputs.iter().map(moved).collect(), self.params.iter().map(moved).collect());
        Self { inputs, params, ..*self }
    }
}

struct Case {
    name: String,
    graph: Graph,
    output: NodeId,
}

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, name: &str, shapes: &[&str], make: impl FnOnce(&mut Graph, &[NodeId]) -> NodeId) {
        let mut graph = Graph::new();
        let inputs: Vec<NodeId> = shapes.iter().map(|text| graph.input("x", shape(text), DType::Float, true)).collect();
        let output = make(&mut graph, &inputs);
        self.0.push(Case { name: format!("{name} of {shapes:?}"), graph, output });
    }

    fn op(&mut self, op: Op, shapes: &[&str]) {
        self.add(&format!("{op:?}"), shapes, |g, args| push(g, op, args));
    }
}

fn unary_ops() -> Vec<UnaryOp> {
    use UnaryOp::*;
    vec![
        Neg,
        Abs,
        Sign,
        Relu,
        Sigmoid,
        LogSigmoid,
        Tanh,
        Exp,
        Expm1,
        Log,
        Log2,
        Log10,
        Log1p,
        Sqrt,
        Rsqrt,
        Square,
        Reciprocal,
        Sin,
        Cos,
        Tan,
        Atan,
        Sinh,
        Cosh,
        Erf,
        Erfc,
        Floor,
        Ceil,
        Round,
        Trunc,
        Gelu { tanh: false },
        Gelu { tanh: true },
        Silu,
        Mish,
        Selu,
        Elu { alpha: 0.7 },
        Elu { alpha: -0.7 },
        Celu { alpha: 0.7 },
        Celu { alpha: -1.3 },
        LeakyRelu { slope: 0.1 },
        LeakyRelu { slope: -0.1 },
        Softplus { beta: 2.0, threshold: 1.0 },
        Softplus { beta: 1.0, threshold: 20.0 },
        Softsign,
        Hardsigmoid,
        Hardswish,
        Hardtanh { min: -1.0, max: 0.5 },
        Hardtanh { min: 0.0, max: f64::INFINITY },
        Clamp { min: -1.0, max: 0.5 },
        Clamp { min: 0.0, max: f64::INFINITY },
        Clamp { min: f64::NEG_INFINITY, max: 0.5 },
        LogicalNot,
        IsNan,
        IsInf,
        IsFinite,
    ]
}

fn element_wise(cases: &mut Cases) {
    use BinaryOp::*;
    for op in unary_ops() {
        cases.op(Op::Unary(op), &["B,2"]);
        // In the middle of a chain, and wider than 1 at the kinks.
        cases.add(&format!("{op:?} of a multiple"), &["N"], |g, args| {
            let three = push_as(g, Op::Scalar(3.0), &[], "", DType::Float);
            let x = push(g, Op::Binary(Mul), &[args[0], three]);
            let y = push(g, Op::Unary(op), &[x]);
            let z = push(g, Op::Binary(Mul), &[y, x]);
            push(g, Op::Binary(Add), &[z, x])
        });
    }
    let ops = [Add, Sub, Mul, Div, FloorDiv, Remainder, Pow, Maximum, Minimum, Atan2, Eq, Ne, Lt, Le, Gt, Ge];
    for op in ops {
        for shapes in [["B,2", "B,2"], ["B,1", "2"], ["2", "B,N,1"], ["", "3"], ["1,2", "2"]] {
            cases.op(Op::Binary(op), &shapes);
        }
        cases.add(&format!("{op:?} of one"), &["B,2"], |g, args| push(g, Op::Binary(op), &[args[0], args[0]]));
        // Nothing is finite that is divided by 0.
        let divides = |number: f64| number != 0.0 || !matches!(op, Div | Remainder);
        for power in [0.0, 0.5, 1.0, 2.0, 3.0, -1.0, 2.5].into_iter().filter(|x| divides(*x)) {
            cases.add(&format!("{op:?} with {power}"), &["3"], |g, args| {
                let number = push_as(g, Op::Scalar(power), &[], "", DType::Float);
                push(g, Op::Binary(op), &[args[0], number])
            });
        }
        for whole in [0.0, 1.0, 2.0] {
            if divides(whole) {
                cases.add(&format!("{op:?} with whole {whole}"), &["3"], |g, args| {
                    let number = push_as(g, Op::Full(whole), &[], "3", DType::Int);
                    push(g, Op::Binary(op), &[args[0], number])
                });
            }
            cases.add(&format!("{op:?} of whole {whole}"), &["3"], |g, args| {
                let number = push_as(g, Op::Full(whole), &[], "3", DType::Int);
                push(g, Op::Binary(op), &[number, args[0]])
            });
        }
    }
    for shapes in [["B,2", "B,2", "B,2"], ["B,1", "2", "N,1,1"]] {
        cases.add("Where", &shapes, |g, args| {
            let zero = push_as(g, Op::Scalar(0.2), &[], "", DType::Float);
            let condition = push(g, Op::Binary(Gt), &[args[0], zero]);
            push(g, Op::Where, &[condition, args[1], args[2]])
        });
    }
    cases.add("Cast", &["B,2"], |g, args| {
        let x = push_as(g, Op::Cast, &[args[0]], "B,2", DType::Float);
        let whole = push_as(g, Op::Cast, &[args[0]], "B,2", DType::Int);
        push(g, Op::Binary(Mul), &[x, whole])
    });
}

fn reductions(cases: &mut Cases) {
    use ReduceOp::*;
    let ops = [
        Sum,
        Mean,
        Amax,
        Amin,
        MaxValues,
        MinValues,
        ArgMax,
        Prod,
        Var { correction: 1.0 },
        Var { correction: 0.0 },
        Std { correction: 1.0 },
        Std { correction: 0.0 },
        LogSumExp,
        Norm { p: 0.0 },
        Norm { p: 1.0 },
        Norm { p: 2.0 },
        Norm { p: 3.0 },
        Norm { p: 0.5 },
        Norm { p: -1.0 },
        Norm { p: f64::INFINITY },
        Norm { p: f64::NEG_INFINITY },
        Any,
        All,
        Median,
    ];
    for op in ops {
        let one = matches!(op, MaxValues | MinValues | ArgMax | Median);
        for keepdim in [false, true] {
            for dim in 0..3 {
                cases.op(Op::Reduce { op, dims: vec![dim], keepdim }, &["B,N,4"]);
            }
            if !one {
                for dims in [vec![0, 2], vec![2, 1], vec![0, 1], vec![0, 1, 2]] {
                    cases.op(Op::Reduce { op, dims, keepdim }, &["B,N,2"]);
                }
            }
        }
        // One element has no unbiased variance.
        if !matches!(op, Var { correction: 1.0 } | Std { correction: 1.0 }) {
            cases.op(Op::Reduce { op, dims: vec![], keepdim: false }, &[""]);
        }
    }
}

fn along_axes(cases: &mut Cases) {
    for dim in 0..3 {
        for op in [
            Op::Softmax { dim },
            Op::LogSoftmax { dim },
            Op::CumSum { dim },
            Op::CumProd { dim },
            Op::TopK { k: Dim::known(2), dim, largest: true },
            Op::TopK { k: Dim::known(1), dim, largest: false },
            Op::Sort { dim, descending: false },
            Op::Sort { dim, descending: true },
            Op::Flip { dims: vec![dim] },
            Op::Flip { dims: vec![dim, (dim + 1) % 3] },
            Op::Roll { shift: 2, dim },
            Op::Roll { shift: -1, dim },
        ] {
            if !matches!(op, Op::TopK { dim: 0, .. }) {
                cases.op(op, &["B,N,4"]);
            }
        }
    }
    for axes in [1, 2] {
        let last = ["4", "N,4"][axes - 1];
        for (weighted, biased) in [(false, false), (true, false), (true, true)] {
            let shapes = ["B,N,4", last, last];
            let count = 1 + usize::from(weighted) + usize::from(biased);
            cases.op(Op::LayerNorm { axes, eps: 1e-3, weighted, biased }, &shapes[..count]);
        }
    }
    cases.op(Op::LayerNorm { axes: 1, eps: 1e-3, weighted: true, biased: true }, &["4", "4", "4"]);
}

fn rearrangements(cases: &mut Cases) {
    let k = Dim::known;
    for (from, to) in [("B,N,4", "B,4,N"), ("B,N,4", "B,N,2,2,1"), ("N", "1,N")] {
        cases.add("Reshape", &[from], |g, args| push_as(g, Op::Reshape, args, to, DType::Float));
    }
    for (from, to) in [("B,1,4", "B,N,4"), ("4", "B,N,4"), ("1,1", "N,B,N"), ("", "2,2"), ("1,4", "1,4")] {
        cases.add("Expand", &[from], |g, args| push_as(g, Op::Expand, args, to, DType::Float));
    }
    cases.op(Op::Permute(vec![2, 0, 1]), &["B,N,4"]);
    cases.op(Op::Permute(vec![1, 3, 0, 2]), &["B,N,4,2"]);
    for (dim, start, end, step) in [
        (2, k(1), k(3), 1),
        (1, k(1), Dim::n(), 1),
        (1, k(0), &Dim::n() - 1, 1),
        (2, k(0), k(4), 2),
        (2, k(1), k(4), 2),
        (2, k(0), k(4), 3),
        (2, k(2), k(2), 1),
    ] {
        cases.op(Op::Slice { dim, start, end, step }, &["B,N,4"]);
    }
    cases.op(Op::Slice { dim: 0, start: k(1), end: &(&Dim::n() * 2) - 1, step: 2 }, &["2N,2"]);
    for (dim, index) in [(2, k(1)), (1, &Dim::n() - 1), (0, k(0))] {
        cases.op(Op::Select { dim, index }, &["B,N,4"]);
    }
    cases.op(Op::Cat { dim: 1 }, &["B,N,2", "B,1,2", "B,3,2"]);
    cases.op(Op::Cat { dim: 0 }, &["2"]);
    cases.add("Cat of one twice, and of whole numbers", &["2"], |g, args| {
        let whole = indices(g, &[3.0, 4.0], "2");
        push(g, Op::Cat { dim: 0 }, &[args[0], whole, args[0]])
    });
    for diagonal in [-1, 0, 1] {
        cases.op(Op::Tril { diagonal }, &["B,N,4"]);
        cases.op(Op::Triu { diagonal }, &["B,N,N"]);
    }
    for (offset, dim1, dim2) in [(0, 0, 1), (1, 1, 0), (-1, 2, 1), (2, 0, 2), (-2, 0, 2), (0, 2, 0)] {
        cases.op(Op::Diagonal { offset, dim1, dim2 }, &["4,4,4"]);
    }
    for (offset, dim1, dim2) in [(0, 1, 2), (-1, 2, 1), (1, 1, 2), (0, 2, 1)] {
        cases.op(Op::Diagonal { offset, dim1, dim2 }, &["B,N,N,2"]);
    }
    for (offset, dim1, dim2) in [(0, 1, 2), (1, 1, 2), (-1, 1, 2), (0, 2, 1)] {
        cases.op(Op::Diagonal { offset, dim1, dim2 }, &["B,2,4"]);
        cases.op(Op::Diagonal { offset, dim1, dim2 }, &["B,4,2"]);
    }
    cases.add("many slices of one", &["B,N,6"], |g, args| {
        let x = args[0];
        let slice = |g: &mut Graph, dim, start: i64, end: Dim, step| {
            push(g, Op::Slice { dim, start: k(start), end, step }, &[x])
        };
        let pieces = [
            slice(g, 2, 2, k(4), 1),
            slice(g, 2, 0, k(2), 1),
            slice(g, 2, 1, k(3), 1),
            slice(g, 2, 0, k(4), 2),
            slice(g, 2, 2, k(4), 1),
        ];
        let mut sum = pieces[0];
        for (at, piece) in pieces.into_iter().enumerate() {
            let number = push_as(g, Op::Scalar(at as f64 + 0.5), &[], "", DType::Float);
            let scaled = push(g, Op::Binary(BinaryOp::Mul), &[piece, number]);
            sum = push(g, Op::Binary(BinaryOp::Add), &[sum, scaled]);
        }
        let chosen = push(g, Op::Select { dim: 1, index: k(1) }, &[x]);
        let rest = push(g, Op::Slice { dim: 1, start: k(4), end: k(6), step: 1 }, &[chosen]);
        let rest = push_as(g, Op::Reshape, &[rest], "B,1,2", DType::Float);
        push(g, Op::Binary(BinaryOp::Mul), &[sum, rest])
    });
}

fn look_ups(cases: &mut Cases) {
    let index = |g: &mut Graph| indices(g, &[1.0, 0.0, 1.0, 2.0, 2.0, 0.0], "2,3");
    cases.add("Gather", &["2,4"], |g, args| {
        let index = index(g);
        push(g, Op::Gather { dim: 1 }, &[args[0], index])
    });
    cases.add("Gather of a larger tensor", &["3,4"], |g, args| {
        let index = index(g);
        push(g, Op::Gather { dim: 0 }, &[args[0], index])
    });
    for (x, src, dim) in [("2,4", "2,3", 1), ("3,3", "2,3", 0), ("3,4", "4,5", 0), ("4,4", "2,4", 1)] {
        cases.add(&format!("Scatter along {dim}"), &[x, src], |g, args| {
            let index = index(g);
            push(g, Op::Scatter { dim }, &[args[0], index, args[1]])
        });
        cases.add(&format!("ScatterAdd along {dim}"), &[x, src], |g, args| {
            let index = index(g);
            push(g, Op::ScatterAdd { dim }, &[args[0], index, args[1]])
        });
    }
    for (text, values) in [("3", [1.0, 1.0, 0.0].as_slice()), ("", &[1.0]), ("2,2", &[0.0, 1.0, 1.0, 1.0])] {
        for (x, dim) in [("B,N,4", 2), ("B,N,4", 1), ("2,N", 0)] {
            cases.add(&format!("IndexSelect along {dim} by [{text}]"), &[x], |g, args| {
                let index = indices(g, values, text);
                push(g, Op::IndexSelect { dim }, &[args[0], index])
            });
        }
    }
    cases.add("OneHot", &["3"], |g, args| {
        let zero = push_as(g, Op::Scalar(0.0), &[], "", DType::Float);
        let index = push(g, Op::Binary(BinaryOp::Mul), &[args[0], zero]);
        let hot = push(g, Op::OneHot { classes: 2 }, &[index]);
        let column = push_as(g, Op::Reshape, &[args[0]], "3,1", DType::Float);
        push(g, Op::Binary(BinaryOp::Mul), &[hot, column])
    });
}

fn products(cases: &mut Cases) {
    for x in ["B,N,3", "3", "1,3"] {
        cases.op(Op::Linear { biased: false }, &[x, "2,3"]);
        cases.op(Op::Linear { biased: true }, &[x, "2,3", "2"]);
    }
    for shapes in [
        ["3", "3"],
        ["B,3", "3"],
        ["3", "3,N"],
        ["B,3", "3,N"],
        ["B,N,3", "3,2"],
        ["B,N,3", "B,3,2"],
        ["B,N,3", "3"],
        ["3", "B,3,N"],
        ["2,3", "B,3,N"],
        ["1,2,3", "B,3,N"],
        ["N,1,2,3", "B,3,2"],
        ["B,1,2,3", "1,N,3,2"],
        ["B,2,3", "1,3,2"],
        ["N,B,2,3", "3"],
        ["3", "N,B,3,2"],
    ] {
        cases.op(Op::MatMul, &shapes);
    }
    let equations: &[(&str, &[&str])] = &[
        ("bik,bkj->bij", &["B,N,2", "B,2,N"]),
        ("bik,bkj->bij", &["B,N,2", "1,2,N"]),
        ("ij,jk,kl->il", &["2,3", "3,N", "N,2"]),
        ("bi,bj,bk->ijk", &["B,2", "B,N", "1,3"]),
        ("ij->ji", &["B,3"]),
        ("ij->i", &["B,3"]),
        ("ij->", &["B,3"]),
        ("ijk->k", &["B,N,3"]),
        ("ii->i", &["N,N"]),
        ("ii->", &["N,N"]),
        ("iij,j->i", &["N,N,2", "2"]),
        ("iij,ij->j", &["N,N,2", "1,2"]),
        ("iji,jj->ij", &["N,2,N", "2,2"]),
        ("iii->i", &["3,3,3"]),
        ("ij,k->i", &["B,N", "3"]),
        ("ij,ij->ij", &["B,N", "1,N"]),
        ("ij,ij->", &["B,N", "B,1"]),
        ("ij,jk->ik", &["B,1", "N,2"]),
        ("ij,jk->ik", &["B,N", "1,2"]),
        ("ii,i->i", &["1,1", "N"]),
        ("a,b->ba", &["2", "N"]),
        ("bhij,bjhd->bihd", &["B,2,N,N", "B,N,2,3"]),
    ];
    for (equation, shapes) in equations {
        cases.op(Op::Einsum((*equation).into()), shapes);
    }
    cases.add("Einsum of one with itself", &["B,N"], |g, args| {
        push(g, Op::Einsum("bi,bj->ij".into()), &[args[0], args[0]])
    });
    for minimum in [false, true] {
        for first in [false, true] {
            cases.op(Op::MaxPlus { minimum, first }, &["B,N,2,3", "B,N,N,3"]);
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Cases::default();
    element_wise(&mut cases);
    reductions(&mut cases);
    along_axes(&mut cases);
    rearrangements(&mut cases);
    look_ups(&mut cases);
    products(&mut cases);
    cases.0
}

fn close(x: f64, y: f64, scale: f64) -> bool {
    (x - y).abs() <= 1e-9 * scale.max(1e-3)
}

/// From -1..1 to one of a few values, so that ties, zeros and kinks are common.
fn coarse(x: f64) -> f64 {
    [-1.0, 0.0, 0.5, 1.0][(((x + 1.0) * 2.0) as usize).min(3)]
}

#[test]
fn every_operation_transposes_its_tangent() {
    let mut wrong = Vec::new();
    for case in cases() {
        let direct = Differentiated::new(&case.graph, &[case.output]);
        let normal = direct.normal();
        if direct.outputs.is_empty() {
            continue;
        }
        let kinds: [(&str, &dyn Fn(f64) -> f64); 5] = [
            ("everywhere", &|x| 2.0 * x),
            ("positive", &|x| x + 1.1),
            ("ties", &coarse),
            ("whole", &|x| (3.0 * x).round()),
            ("ties without zero", &|x| if x < 0.0 { 0.5 } else { 1.0 }),
        ];
        let mut compared = 0;
        for seed in 0..12 {
            let at = SIZES[usize::from(seed > 8)];
            for (kind, value) in kinds {
                let point = Point::new(&case.graph, usize::MAX, seed, at, value);
                for (form, made) in [("direct", &direct), ("normal", &normal)] {
                    let (forward, reverse, scale) = made.both(&made.values(&point));
                    if !forward.is_finite() {
                        continue;
                    }
                    compared += 1;
                    if !close(forward, reverse, scale) {
                        wrong.push(format!("{}, {kind}, {form}, seed {seed}: {forward} and {reverse}", case.name));
                    }
                }
            }
        }
        if compared < 20 {
            wrong.push(format!("{}: compared at {compared} points only", case.name));
        }
    }
    wrong.dedup_by_key(|text| text.split(", ").take(3).collect::<String>());
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn gradients_are_slopes() {
    let mut wrong = Vec::new();
    for case in cases() {
        let made = Differentiated::new(&case.graph, &[case.output]);
        for (seed, kind) in [(1, 0), (2, 0), (1, 1), (2, 1)] {
            let point =
                Point::new(&case.graph, usize::MAX, seed, SIZES[0], |x| if kind == 0 { x + 1.3 } else { 2.0 * x });
            let at = |step: f64| {
                let values = made.values(&point.moved(step));
                let inner = |(y, g): (&NodeId, &NodeId)| -> f64 {
                    values[y.index()].data.iter().zip(&values[g.index()].data).map(|(y, g)| y * g).sum()
                };
                made.outputs.iter().zip(&made.adjoints).map(inner).sum::<f64>()
            };
            let h = 1e-6;
            let slope = (at(h) - at(-h)) / (2.0 * h);
            let (_, reverse, scale) = made.both(&made.values(&point));
            if slope.is_finite() && (slope - reverse).abs() > 1e-5 * (1.0 + scale) {
                wrong.push(format!("{}, seed {seed}: {slope} and {reverse}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

fn transposed(made: &Differentiated, seed: u64, value: impl Fn(f64) -> f64 + Copy) -> Result<(), TestCaseError> {
    SIZES.iter().try_for_each(|&at| transposed_at(made, seed, at, value))
}

fn transposed_at(
    made: &Differentiated,
    seed: u64,
    at: (i64, i64),
    value: impl Fn(f64) -> f64,
) -> Result<(), TestCaseError> {
    let point = Point::new(&made.graph, original(made), seed, at, value);
    let values = made.values(&point);
    let (forward, reverse, scale) = made.both(&values);
    let finite = values.iter().take(made.adjoints[0].index()).all(|x| x.data.iter().all(|x| x.is_finite()));
    if forward.is_finite() && (finite || reverse.is_finite()) && (forward - reverse).abs() > 1e-8 * (scale + 1e-3) {
        let found: Vec<NodeId> = made.found.iter().copied().flatten().collect();
        let text = explain(&made.graph, &[made.outputs.clone(), found].concat());
        return Err(TestCaseError::fail(format!("{forward} and {reverse}\n{text}")));
    }
    Ok(())
}

/// The inputs without the adjoints.
fn original(made: &Differentiated) -> usize {
    made.graph.inputs().len() - made.adjoints.len()
}

fn random_graph(steps: &[support::Step], seed: u64, coarsely: bool) -> Result<(), TestCaseError> {
    let random = Random::new(steps);
    let (graph, outputs) = (random.graph.clone(), random.outputs());
    let value = |x: f64| if coarsely { coarse(x) } else { x };
    let (fast, rewritten) = optimise(&graph, &outputs, &Passes::all());
    let mut found: Vec<Vec<(Op, Tensor)>> = Vec::new();
    for (graph, outputs) in [(&graph, &outputs), (&fast, &rewritten)] {
        let made = Differentiated::new(graph, outputs);
        transposed(&made, seed, value)?;
        let point = Point::new(&made.graph, original(&made), seed, SIZES[0], value);
        for made in [made.normal(), made] {
            let values = made.values(&point);
            let of = |(x, g): (&NodeId, &Option<NodeId>)| {
                let (x, op) = (&values[x.index()], made.graph.node(*x).op.clone());
                let data = g.map_or_else(|| vec![0.0; x.data.len()], |g| values[g.index()].data.clone());
                (op, Tensor::new(x.shape.clone(), data))
            };
            found.push(made.wanted.iter().zip(&made.found).map(of).collect());
        }
    }
    let [normal, direct, fast_normal, fast] = &found[..] else { unreachable!() };
    let same = |x: &[(Op, Tensor)], y: &[(Op, Tensor)]| {
        y.iter().try_for_each(|(op, y)| match x.iter().find(|x| x.0 == *op) {
            Some((_, x)) => agree(x, y).map_err(|e| TestCaseError::fail(format!("{op:?}: {e}"))),
            None => Ok(()),
        })
    };
    same(direct, normal)?;
    same(fast, fast_normal)?;
    // Rounding decides ties anew after a rewrite.
    if coarsely { Ok(()) } else { same(direct, fast) }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs(steps in steps(24), seed: u64) {
        random_graph(&steps, seed, false)?;
    }

    #[test]
    fn random_graphs_with_ties(steps in steps(24), seed: u64) {
        random_graph(&steps, seed, true)?;
    }
}

/// A graph with inputs of the given shapes, all of which move.
fn with_inputs(shapes: &[&str]) -> (Graph, Vec<NodeId>) {
    let mut graph = Graph::new();
    let inputs = shapes.iter().map(|text| graph.input("x", shape(text), DType::Float, true)).collect();
    (graph, inputs)
}

fn count(graph: &Graph, is: impl Fn(&Op) -> bool) -> usize {
    graph.nodes().iter().filter(|node| is(&node.op)).count()
}

/// Slices `starts[i]..starts[i + 1]` of the last axis of one input, each with its own adjoint; the number of
/// concatenations and additions in its gradient.
fn of_slices(bounds: &[(i64, i64)]) -> (usize, usize) {
    let (mut g, x) = with_inputs(&["B,N,8"]);
    let mut outputs = Vec::new();
    for &(start, end) in bounds {
        let op = Op::Slice { dim: 2, start: Dim::known(start), end: Dim::known(end), step: 1 };
        outputs.push(push(&mut g, op, &[x[0]]));
    }
    let made = Differentiated::new(&g, &outputs);
    (count(&made.graph, |op| matches!(op, Op::Cat { .. })), count(&made.graph, |op| *op == Op::Binary(BinaryOp::Add)))
}

#[test]
fn slices_of_one_tensor_are_put_side_by_side() {
    assert_eq!(of_slices(&[(0, 2), (2, 5), (5, 8)]), (1, 0));
    assert_eq!(of_slices(&[(5, 8), (0, 2), (2, 5)]), (1, 0));
    assert_eq!(of_slices(&[(6, 7), (1, 3), (4, 5)]), (1, 0));
    // The same place twice is added up before.
    assert_eq!(of_slices(&[(0, 2), (2, 8), (0, 2)]), (1, 1));
    assert_eq!(of_slices(&[(0, 4), (3, 8), (4, 8), (0, 3)]), (2, 1));
    // Selected elements are slices, too.
    let (mut g, x) = with_inputs(&["B,N,3"]);
    let select = |at: i64| Op::Select { dim: 2, index: Dim::known(at) };
    let outputs: Vec<NodeId> = (0..3).map(|at| push(&mut g, select(at), &x)).collect();
    let made = Differentiated::new(&g, &outputs);
    assert_eq!(count(&made.graph, |op| matches!(op, Op::Cat { .. })), 1);
    assert_eq!(count(&made.graph, |op| *op == Op::Binary(BinaryOp::Add)), 0);
}

#[test]
fn a_layer_becomes_three_products() {
    let (mut g, x) = with_inputs(&["B,N,N,4", "3,4", "3"]);
    let y = push(&mut g, Op::Linear { biased: true }, &x);
    let before = g.nodes().len() + 1;
    let made = Differentiated::new(&g, &[y]);
    let names: Vec<&str> = made.graph.nodes()[before..].iter().map(|node| node.op.name()).collect();
    assert_eq!(names, ["matmul", "view", "view", "permute", "matmul", "sum"]);
}

#[test]
fn only_what_is_wanted_is_made() {
    let (mut g, x) = with_inputs(&["3", "3"]);
    let square = push(&mut g, Op::Unary(UnaryOp::Exp), &[x[0]]);
    let y = push(&mut g, Op::Binary(BinaryOp::Mul), &[square, x[1]]);
    let cut = push(&mut g, Op::Detach, &[y]);
    let steps = push(&mut g, Op::Unary(UnaryOp::Sign), &[x[0]]);
    let adjoint = g.input("adjoint", shape("3"), DType::Float, true);
    let before = g.nodes().len();
    let found = gradients(&mut g, &[(y, adjoint)], &[x[1], cut, steps]).unwrap();
    assert!(found[0].is_some() && found[1].is_none() && found[2].is_none());
    assert_eq!(g.nodes().len(), before + 1);
    let found = gradients(&mut g, &[(cut, adjoint), (steps, adjoint)], &[x[0], cut, steps]).unwrap();
    assert_eq!(found, [None, Some(adjoint), Some(adjoint)]);
    assert_eq!(g.nodes().len(), before + 1);
}

#[test]
fn inner_nodes_and_repeated_seeds() {
    let (mut g, x) = with_inputs(&["3"]);
    let y = push(&mut g, Op::Unary(UnaryOp::Square), &[x[0]]);
    let z = push(&mut g, Op::Unary(UnaryOp::Exp), &[y]);
    let [a, b, c] = [0, 1, 2].map(|_| g.input("adjoint", shape("3"), DType::Float, true));
    let found = gradients(&mut g, &[(z, a), (z, b), (y, c)], &[y, x[0], z]).unwrap();
    let input = |data: [f64; 3]| Tensor::new(vec![3], data.to_vec());
    let inputs = [[0.5, -1.0, 2.0], [1.0, 2.0, 3.0], [0.1, 0.2, 0.3], [7.0, 8.0, 9.0]].map(input);
    let values = evaluate(&g, &inputs, &[], 1, 2).unwrap();
    let value = |at: usize| &values[found[at].unwrap().index()].data;
    for (i, x) in [0.5_f64, -1.0, 2.0].into_iter().enumerate() {
        let of_z = inputs[1].data[i] + inputs[2].data[i];
        let of_y = of_z * (x * x).exp() + inputs[3].data[i];
        assert!((value(2)[i] - of_z).abs() < 1e-12);
        assert!((value(0)[i] - of_y).abs() < 1e-9);
        assert!((value(1)[i] - of_y * 2.0 * x).abs() < 1e-9);
    }
}

#[test]
fn what_is_masked_out_gets_nothing() {
    // where(x > 0, log(x), 0): the adjoint of the branch that is not taken is 0, whatever reaches it.
    let (mut g, x) = with_inputs(&["2", "2"]);
    let zero = push_as(&mut g, Op::Scalar(0.0), &[], "", DType::Float);
    let condition = push(&mut g, Op::Binary(BinaryOp::Gt), &[x[0], zero]);
    let chosen = push(&mut g, Op::Where, &[condition, x[0], x[1]]);
    let found = gradients(&mut g, &[(chosen, x[1])], &x).unwrap();
    let inputs = [vec![1.0, -1.0], vec![f64::NAN, f64::INFINITY]].map(|data| Tensor::new(vec![2], data));
    let values = evaluate(&g, &inputs, &[], 1, 2).unwrap();
    let value = |at: usize| &values[found[at].unwrap().index()].data;
    assert!(value(0)[0].is_nan() && value(0)[1] == 0.0 && value(1) == &[0.0, f64::INFINITY]);
}

#[test]
fn what_cannot_be_differentiated_is_said() {
    let (mut g, x) = with_inputs(&["3", "2", "3"]);
    let foreign = with_inputs(&["3"; 100]).1[99];
    assert!(gradients(&mut g, &[(x[0], x[1])], &x).is_err());
    assert!(gradients(&mut g, &[(x[0], foreign)], &x).is_err());
    let whole = push_as(&mut g, Op::Cast, &[x[0]], "3", DType::Int);
    assert!(gradients(&mut g, &[(whole, whole)], &x).is_err());
    assert_eq!(gradients(&mut g, &[(x[0], x[2])], &[whole]), Ok(vec![None]));
    let running = push(&mut g, Op::CumProd { dim: 0 }, &[x[0]]);
    let first = gradients(&mut g, &[(running, x[2])], &[x[0]]).unwrap()[0].unwrap();
    assert!(gradients(&mut g, &[(first, x[2])], &[x[0]]).is_err());
}

#[test]
fn one_adjoint_is_summed_from_what_is_summed_already() {
    // x[B,1,N,4] + y[B,N,1,4] + linear(z[B,N,N,3]): the bias gets a sum of a sum.
    let (mut g, x) = with_inputs(&["B,1,N,4", "B,N,1,4", "B,N,N,3", "4,3", "4"]);
    let layer = push(&mut g, Op::Linear { biased: true }, &x[2..]);
    let sum = push(&mut g, Op::Binary(BinaryOp::Add), &[layer, x[0]]);
    let sum = push(&mut g, Op::Binary(BinaryOp::Add), &[sum, x[1]]);
    let made = Differentiated::new(&g, &[sum]);
    let adjoint = made.adjoints[0];
    let sums = made.graph.nodes().iter().filter(|node| matches!(node.op, Op::Reduce { op: ReduceOp::Sum, .. }));
    let whole = sums.clone().filter(|node| node.args == [adjoint]).count();
    assert_eq!((sums.count(), whole), (3, 2));
    transposed(&made, 5, |x| x).unwrap();
}

#[test]
fn a_gradient_keeps_the_samples_apart() {
    let step = support::pgn::step(6, 3);
    let mut g = step.graph.clone();
    let outputs = [step.ret, step.tri_msgs];
    let adjoint = |g: &mut Graph, id: NodeId| {
        let shape = g.shape(id).clone();
        g.input("adjoint", shape, DType::Float, true)
    };
    let seeds = outputs.map(|id| (id, adjoint(&mut g, id)));
    let (input, weight): (Vec<NodeId>, Vec<NodeId>) =
        g.ids().filter(|&id| g.dtype(id) == DType::Float).partition(|&id| matches!(g.node(id).op, Op::Input(_)));
    let weight: Vec<NodeId> = weight.into_iter().filter(|&id| matches!(g.node(id).op, Op::Param(_))).collect();
    let features: Vec<NodeId> = gradients(&mut g, &seeds, &input).unwrap().into_iter().flatten().collect();
    assert!(features.len() > 5);
    assert!(passes::independent(&g, &features));
    // A weight's gradient is a sum over samples.
    let weights: Vec<NodeId> = gradients(&mut g, &seeds, &weight).unwrap().into_iter().flatten().collect();
    assert!(!passes::independent(&g, &weights[..1]));

    let (mut g, x) = with_inputs(&["B,3", "B,3", "B,1"]);
    let share = |g: &mut Graph, dims: Vec<usize>| push(g, Op::ShareExtreme { dims, first: true }, &[x[0], x[2], x[2]]);
    let own = share(&mut g, vec![1]);
    let product = push(&mut g, Op::CumProdGrad { dim: 1 }, &x[..2]);
    assert!(passes::independent(&g, &[own, product]));
    let mixed = push(&mut g, Op::CumProdGrad { dim: 0 }, &x[..2]);
    assert!(!passes::independent(&g, &[mixed]));
}

#[test]
fn operations_of_gradients_alone_check_their_arguments() {
    let (mut g, x) = with_inputs(&["B,N,3", "B,1,3", "B,N,3", "B,N,N,2"]);
    let mut fits = |op: Op, args: &[NodeId]| g.push(op, args, Span::default()).is_ok();
    let share = |dims: &[usize]| Op::ShareExtreme { dims: dims.to_vec(), first: false };
    assert!(fits(share(&[1]), &[x[0], x[1], x[1]]));
    assert!(!fits(share(&[2]), &[x[0], x[1], x[1]]));
    assert!(!fits(share(&[1, 1]), &[x[0], x[1], x[1]]));
    assert!(!fits(share(&[1]), &[x[0], x[1], x[0]]));
    assert!(!fits(share(&[3]), &[x[0], x[0], x[0]]));
    assert!(fits(Op::CumProdGrad { dim: 2 }, &[x[0], x[2]]));
    assert!(!fits(Op::CumProdGrad { dim: 3 }, &[x[0], x[2]]));
    assert!(!fits(Op::CumProdGrad { dim: 1 }, &[x[0], x[1]]));
    let of = |second| Op::MaxPlusGrad { minimum: false, first: false, second };
    assert!(fits(of(false), &[x[3]; 4]) && fits(of(true), &[x[3]; 4]));
    assert!(!fits(of(false), &[x[3], x[3], x[3], x[0]]));
    assert!(!fits(of(false), &[x[3]; 3]));
    let made = g.nodes().len();
    let text = explain(&g, &g.ids().collect::<Vec<_>>());
    assert!(
        text.contains("share_extreme(%0, %1, %1, dim=[1])")
            && text.contains("max_plus_grad(%3, %3, %3, %3, of=second)")
    );
    assert_eq!(made, 8);
    assert_eq!(costs(&g, &g.ids().nth(4).into_iter().collect::<Vec<_>>()).element_ops, Dim::b() * Dim::n() * 6);
}

#[test]
fn a_group_without_its_extreme_is_no_number() {
    let (mut g, x) = with_inputs(&["2,2", "2,1", "2,1"]);
    let y = push(&mut g, Op::ShareExtreme { dims: vec![1], first: false }, &x);
    let inputs =
        [(vec![2, 2], vec![1.0, 1.0, 2.0, f64::NAN]), (vec![2, 1], vec![1.0, f64::NAN]), (vec![2, 1], vec![3.0, 4.0])];
    let inputs = inputs.map(|(shape, data)| Tensor::new(shape, data));
    let value = &evaluate(&g, &inputs, &[], 1, 2).unwrap()[y.index()].data;
    assert_eq!(value[..2], [1.5, 1.5]);
    assert!(value[2].is_nan() && value[3].is_nan());
}

#[test]
fn gradients_have_gradients() {
    let (mut g, x) = with_inputs(&["B,N,4", "3,4", "3", "3", "3"]);
    let y = push(&mut g, Op::Linear { biased: true }, &x[..3]);
    let y = push(&mut g, Op::LayerNorm { axes: 1, eps: 0.1, weighted: true, biased: true }, &[y, x[3], x[4]]);
    let y = push(&mut g, Op::Unary(UnaryOp::Silu), &[y]);
    let y = push(&mut g, Op::Softmax { dim: 1 }, &[y]);
    let y = push(&mut g, Op::Reduce { op: ReduceOp::LogSumExp, dims: vec![1, 2], keepdim: false }, &[y]);
    let once = Differentiated::new(&g, &[y]);
    let found: Vec<NodeId> = once.found.iter().copied().flatten().collect();
    assert_eq!(found.len(), 5);
    let twice = Differentiated::new(&once.graph, &found);
    transposed(&twice, 3, |x| x).unwrap();
    transposed(&twice.normal(), 3, |x| x).unwrap();
}

#[test]
fn an_infinite_maximum_has_no_gradient() {
    let (mut g, x) = with_inputs(&["4,2", "4"]);
    let y = push(&mut g, Op::Reduce { op: ReduceOp::LogSumExp, dims: vec![1], keepdim: false }, &x[..1]);
    let found = gradients(&mut g, &[(y, x[1])], &x[..1]).unwrap()[0].unwrap();
    let inf = f64::INFINITY;
    let inputs = [
        Tensor::new(vec![4, 2], vec![-inf, -inf, inf, 0.0, -inf, inf, -inf, 0.0]),
        Tensor::new(vec![4], vec![1.0, 2.0, 3.0, 4.0]),
    ];
    let value = &evaluate(&g, &inputs, &[], 1, 2).unwrap()[found.index()].data;
    assert_eq!(value, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0]);
}
