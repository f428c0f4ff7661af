//! Shapes, types and messages of the operations, by example.

use graph::{BinaryOp, DType, Dim, Graph, Init, NodeId, Op, OpError, Param, ReduceOp, Shape, Span, UnaryOp, display};
use graph::{broadcast, infer_minus_one};

fn b() -> Dim {
    Dim::b()
}
fn n() -> Dim {
    Dim::n()
}
fn k(size: i64) -> Dim {
    Dim::known(size)
}

fn float(graph: &mut Graph, shape: &[Dim]) -> NodeId {
    graph.input("x", shape.to_vec(), DType::Float, true)
}

/// The type of `op` over fresh inputs, as text.
fn revealed(op: Op, args: &[(&[Dim], DType)]) -> Result<String, OpError> {
    let mut graph = Graph::new();
    let args: Vec<NodeId> = args.iter().map(|(shape, t)| graph.input("x", shape.to_vec(), *t, true)).collect();
    let id = graph.push(op, &args, Span::default())?;
    Ok(format!("{} {}", display(graph.shape(id)), graph.dtype(id)))
}

fn floats(op: Op, args: &[&[Dim]]) -> Result<String, OpError> {
    revealed(op, &args.iter().map(|shape| (*shape, DType::Float)).collect::<Vec<_>>())
}

#[test]
fn broadcasting() {
    let add = || Op::Binary(BinaryOp::Add);
    assert_eq!(floats(add(), &[&[b(), n(), k(1), k(8)], &[n(), k(8)]]).unwrap(), "[B, N, N, 8] float");
    assert_eq!(floats(add(), &[&[], &[n(), k(8)]]).unwrap(), "[N, 8] float");
    let text = |l: &[Dim], r: &[Dim]| floats(add(), &[l, r]).unwrap_err().to_string();
    assert_eq!(
        text(&[b(), n(), k(8)], &[b(), n()]),
        "[B, N, 8] and [B, N] cannot be broadcast: axis 2 is 8 on one side and N on the other"
    );
    assert_eq!(text(&[n()], &[b()]), "[N] and [B] cannot be broadcast: axis 0 is N on one side and B on the other");
    assert_eq!(
        text(&[n() - 1], &[k(1)].map(|one| one + 1)),
        "[N - 1] and [2] cannot be broadcast: axis 0 is N - 1 on one side and 2 on the other"
    );
    assert_eq!(broadcast(&vec![k(1)], &vec![]).unwrap(), vec![k(1)]);
}

#[test]
fn views() {
    let mut graph = Graph::new();
    let x = float(&mut graph, &[b(), n(), k(8)]);
    let view = |graph: &mut Graph, to: Shape| graph.push_as(Op::Reshape, &[x], to, DType::Float, Span::default());
    assert!(view(&mut graph, vec![b() * n(), k(2), k(4)]).is_ok());
    assert_eq!(
        view(&mut graph, vec![b(), n() * 4]).unwrap_err().to_string(),
        "[B, N, 8] cannot be viewed as [B, 4*N]: it has 8*B*N elements, not 4*B*N"
    );
    assert!(matches!(view(&mut graph, vec![b(), k(16), k(8)]), Err(OpError::Reshape { .. })));
    let shape = vec![b(), n(), n(), k(8)];
    assert_eq!(infer_minus_one(&shape, &[Some(b()), None, Some(k(4))]).unwrap()[1], n() * n() * 2);
    assert_eq!(infer_minus_one(&shape, &[None]).unwrap()[0], b() * n() * n() * 8);
    assert_eq!(
        infer_minus_one(&shape, &[None, Some(k(16))]).unwrap_err().to_string(),
        "[B, N, N, 8] cannot be viewed with one free axis beside 16: 8*B*N^2 is not a multiple of 16 for every B and N"
    );
    assert!(matches!(infer_minus_one(&shape, &[None, None]), Err(OpError::TwoFreeAxes)));
}

#[test]
fn expansion() {
    let mut graph = Graph::new();
    let x = float(&mut graph, &[b(), k(1), k(8)]);
    let expand = |graph: &mut Graph, to: Shape| graph.push_as(Op::Expand, &[x], to, DType::Float, Span::default());
    assert!(expand(&mut graph, vec![k(3), b(), n(), k(8)]).is_ok());
    assert!(matches!(expand(&mut graph, vec![n(), n(), k(8)]), Err(OpError::Expand { .. })));
    assert!(matches!(expand(&mut graph, vec![n(), k(8)]), Err(OpError::Expand { .. })));
}

#[test]
fn slices_must_fit_every_size() {
    let slice = |start: Dim, end: Dim, step: usize| floats(Op::Slice { dim: 1, start, end, step }, &[&[b(), n() * 2]]);
    assert_eq!(slice(k(0), k(4), 1).unwrap(), "[B, 4] float");
    assert_eq!(slice(k(1), n() * 2, 1).unwrap(), "[B, 2*N - 1] float");
    assert_eq!(slice(k(1), n() * 2, 2).unwrap(), "[B, N] float");
    assert_eq!(
        slice(k(0), k(5), 1).unwrap_err().to_string(),
        "slice 0..5 is not known to lie within axis 1 of [B, 2*N] for every B >= 1 and N >= 2"
    );
    assert!(matches!(slice(n(), k(2), 1), Err(OpError::Slice { .. })));
    assert!(matches!(slice(k(0), n(), 2), Err(OpError::SliceStep { .. })));
    let select = |index: Dim| floats(Op::Select { dim: 0, index }, &[&[n(), k(3)]]);
    assert_eq!(select(n() - 2).unwrap(), "[3] float");
    assert_eq!(
        select(k(2)).unwrap_err().to_string(),
        "index 2 is not known to lie within axis 0 of [N, 3] for every B >= 1 and N >= 2"
    );
    let top = |k: Dim| floats(Op::TopK { k, dim: 1, largest: true }, &[&[b(), n()]]);
    assert_eq!(top(k(2)).unwrap(), "[B, 2] float");
    assert!(matches!(top(k(3)), Err(OpError::TooMany { .. })));
}

#[test]
fn products() {
    let matmul = |x: &[Dim], y: &[Dim]| floats(Op::MatMul, &[x, y]);
    assert_eq!(matmul(&[b(), n(), n()], &[b(), n(), k(8)]).unwrap(), "[B, N, 8] float");
    assert_eq!(matmul(&[n(), k(8)], &[k(8)]).unwrap(), "[N] float");
    assert_eq!(matmul(&[k(8)], &[k(8)]).unwrap(), "[] float");
    assert_eq!(matmul(&[n()], &[b(), n(), k(8)]).unwrap(), "[B, 8] float");
    assert_eq!(
        matmul(&[b(), n(), k(8)], &[k(4), k(8)]).unwrap_err().to_string(),
        "[B, N, 8] and [4, 8] cannot be multiplied: the inner sizes are 8 and 4"
    );
    let linear = |x: &[Dim]| floats(Op::Linear { biased: true }, &[x, &[k(4), k(8)], &[k(4)]]);
    assert_eq!(linear(&[b(), n(), k(8)]).unwrap(), "[B, N, 4] float");
    assert_eq!(
        linear(&[b(), n()]).unwrap_err().to_string(),
        "a linear layer from 8 to 4 features cannot be applied to [B, N]: its last axis is N"
    );
    let einsum = |equation: &str, args: &[&[Dim]]| floats(Op::Einsum(equation.into()), args);
    assert_eq!(einsum("bik,bkj->bij", &[&[b(), n(), k(8)], &[b(), k(8), n()]]).unwrap(), "[B, N, N] float");
    assert_eq!(einsum("ii->i", &[&[n(), n()]]).unwrap(), "[N] float");
    assert_eq!(einsum("ij,jk->ik", &[&[n(), k(1)], &[k(3), k(4)]]).unwrap(), "[N, 4] float");
    assert_eq!(
        einsum("ij,jk->ik", &[&[n(), k(8)], &[n(), k(4)]]).unwrap_err().to_string(),
        "einsum \"ij,jk->ik\": j is 8 in one operand and N in another"
    );
    for bad in ["ij", "ij->ii", "ij->k", "i j->i", "ijk->i", "ij,->i"] {
        assert!(matches!(einsum(bad, &[&[n(), n()]]), Err(OpError::Einsum { .. })), "{bad}");
    }
    let plus =
        floats(Op::MaxPlus { minimum: false, first: false }, &[&[b(), n(), k(2), k(8)], &[b(), n(), k(3), k(8)]]);
    assert_eq!(plus.unwrap(), "[B, 2, 3, 8] float");
}

#[test]
fn reductions() {
    let reduce = |op, dims: &[usize], keepdim| {
        floats(Op::Reduce { op, dims: dims.to_vec(), keepdim }, &[&[b(), n(), k(8)]]).map_err(|e| e.to_string())
    };
    assert_eq!(reduce(ReduceOp::Sum, &[0, 2], false).unwrap(), "[N] float");
    assert_eq!(reduce(ReduceOp::Amax, &[1], true).unwrap(), "[B, 1, 8] float");
    assert_eq!(reduce(ReduceOp::ArgMax, &[1], false).unwrap(), "[B, 8] int");
    assert_eq!(reduce(ReduceOp::Sum, &[1, 1], false).unwrap_err(), "sum: axis 1 is given twice");
    assert_eq!(
        reduce(ReduceOp::Sum, &[3], false).unwrap_err(),
        "sum: axis 3 is out of range for [B, N, 8], which has 3 axes"
    );
    assert!(reduce(ReduceOp::MaxValues, &[0, 1], false).is_err());
    let empty = floats(Op::Reduce { op: ReduceOp::Amax, dims: vec![0], keepdim: false }, &[&[n() - 2]]);
    assert_eq!(empty.unwrap_err().to_string(), "amax: axis 0 of [N - 2] may be empty");
}

#[test]
fn indexing() {
    let (f, i) = (DType::Float, DType::Int);
    let gather = |index: &[Dim]| revealed(Op::Gather { dim: 1 }, &[(&[b(), n(), k(8)], f), (index, i)]);
    assert_eq!(gather(&[b(), k(3), k(4)]).unwrap(), "[B, 3, 4] float");
    assert_eq!(
        gather(&[b(), k(3), n()]).unwrap_err().to_string(),
        "gather: the index [B, 3, N] does not fit [B, N, 8]: axis 2 is N and 8"
    );
    assert!(matches!(
        revealed(Op::Gather { dim: 0 }, &[(&[n()], f), (&[n()], f)]),
        Err(OpError::DType { op: "gather", .. })
    ));
    let select = revealed(Op::IndexSelect { dim: 1 }, &[(&[b(), n(), k(8)], f), (&[n(), n()], i)]);
    assert_eq!(select.unwrap(), "[B, N, N, 8] float");
    let hot = revealed(Op::OneHot { classes: 3 }, &[(&[b(), n()], i)]);
    assert_eq!(hot.unwrap(), "[B, N, 3] int");
    let diagonal = |offset| floats(Op::Diagonal { offset, dim1: 1, dim2: 2 }, &[&[b(), n(), n(), k(8)]]);
    assert_eq!(diagonal(0).unwrap(), "[B, 8, N] float");
    assert_eq!(diagonal(-1).unwrap(), "[B, 8, N - 1] float");
    assert!(diagonal(3).is_err());
    let cat = |y: &[Dim]| floats(Op::Cat { dim: 1 }, &[&[b(), n()], y]);
    assert_eq!(cat(&[b(), k(3)]).unwrap(), "[B, N + 3] float");
    assert_eq!(
        cat(&[n(), k(3)]).unwrap_err().to_string(),
        "cat along axis 1: [B, N] and [N, 3] differ in axis 0: B and N"
    );
}

#[test]
fn types_promote_by_category() {
    let of = |op, l, r| revealed(Op::Binary(op), &[(&[n()], l), (&[n()], r)]).map_err(|e| e.to_string());
    use DType::{Bool, Float, Int};
    assert_eq!(of(BinaryOp::Mul, Bool, Float).unwrap(), "[N] float");
    assert_eq!(of(BinaryOp::Add, Bool, Bool).unwrap(), "[N] bool");
    assert_eq!(of(BinaryOp::Div, Int, Int).unwrap(), "[N] float");
    assert_eq!(of(BinaryOp::Lt, Int, Float).unwrap(), "[N] bool");
    assert_eq!(
        of(BinaryOp::Sub, Float, Bool).unwrap_err(),
        "sub is not defined for bool tensors; invert a mask with ~"
    );
    assert!(of(BinaryOp::And, Float, Bool).is_err());
    let unary = |op, t| revealed(Op::Unary(op), &[(&[n()], t)]).map_err(|e| e.to_string());
    assert_eq!(unary(UnaryOp::Exp, Int).unwrap(), "[N] float");
    assert_eq!(unary(UnaryOp::Relu, Int).unwrap(), "[N] int");
    assert!(unary(UnaryOp::Neg, Bool).is_err());
    assert!(unary(UnaryOp::Silu, Int).is_err());
    let mean = Op::Reduce { op: ReduceOp::Mean, dims: vec![0], keepdim: false };
    assert_eq!(
        revealed(mean, &[(&[n()], Int)]).unwrap_err().to_string(),
        "mean is not defined for int tensors; convert with .float() before"
    );
}

#[test]
fn stated_types_are_checked() {
    let mut graph = Graph::new();
    let span = Span::default();
    assert!(graph.push_as(Op::Scalar(1.5), &[], vec![], DType::Float, span).is_ok());
    assert!(graph.push_as(Op::Scalar(1.5), &[], vec![], DType::Int, span).is_err());
    assert!(graph.push_as(Op::Scalar(1.0), &[], vec![n()], DType::Int, span).is_err());
    assert!(graph.push_as(Op::Full(0.0), &[], vec![b(), n() - 3], DType::Float, span).is_err());
    assert!(graph.push_as(Op::Const(vec![1.0, 2.0]), &[], vec![k(2)], DType::Float, span).is_ok());
    assert!(graph.push_as(Op::Const(vec![1.0, 2.0]), &[], vec![n()], DType::Float, span).is_err());
    assert!(matches!(graph.push(Op::Eye, &[], span), Err(OpError::Unstated { .. })));
    assert!(matches!(graph.push(Op::Input(0), &[], span), Err(OpError::OwnMethod { .. })));
    let x = float(&mut graph, &[n()]);
    assert!(graph.push_as(Op::Unary(UnaryOp::Exp), &[x], vec![n()], DType::Float, span).is_ok());
    assert!(matches!(
        graph.push_as(Op::Unary(UnaryOp::Exp), &[x], vec![b()], DType::Float, span),
        Err(OpError::Stated { .. })
    ));
    let mut larger = Graph::new();
    let foreign = (0..100).map(|_| float(&mut larger, &[n()])).last().unwrap();
    assert!(matches!(graph.push(Op::Detach, &[foreign], span), Err(OpError::NoSuchNode { node: 99 })));
    assert!(matches!(graph.push(Op::Detach, &[], span), Err(OpError::Arity { .. })));
    graph.validate().unwrap();
}

#[test]
fn inlining_shares_parameters_by_name() {
    let param = |name: &str, init| Param {
        aliases: Vec::new(),
        name: name.into(),
        shape: vec![4, 8],
        init,
        trainable: true,
        transient: false,
        span: Span::default(),
    };
    let mut inner = Graph::new();
    let x = float(&mut inner, &[b(), k(8)]);
    let w = inner.param(param("w", Init::Constant(0.0)), Span::default());
    let y = inner.push(Op::Linear { biased: false }, &[x, w], Span::default()).unwrap();
    assert_eq!(inner.param(param("w", Init::Constant(0.0)), Span::default()), w);

    let mut outer = Graph::new();
    let x = float(&mut outer, &[b(), k(8)]);
    let first = outer.inline(&inner, &[x], "p.").unwrap();
    let second = outer.inline(&inner, &[x], "p.").unwrap();
    assert_eq!(outer.params().len(), 1);
    assert_eq!(outer.params()[0].name, "p.w");
    assert_eq!(display(outer.shape(second[y.index()])).to_string(), "[B, 4]");
    assert_ne!(first[y.index()], second[y.index()]);
    outer.validate().unwrap();

    let mut other = Graph::new();
    let x = float(&mut other, &[b(), k(8)]);
    other.param(param("p.w", Init::Eye), Span::default());
    assert_eq!(other.inline(&inner, &[x], "p."), Err(OpError::ParamClash { name: "p.w".into() }));
    let wrong = float(&mut other, &[b(), k(9)]);
    assert!(matches!(other.inline(&inner, &[wrong], ""), Err(OpError::InputShape { .. })));
    assert!(matches!(other.inline(&inner, &[], ""), Err(OpError::Inputs { .. })));
}
