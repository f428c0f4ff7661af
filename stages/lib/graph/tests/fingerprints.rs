//! What a fingerprint sees and what it does not.

use graph::{BinaryOp, DType, Dim, Graph, Init, NodeId, Op, Param, Span, UnaryOp};
use graph::{changed_outputs, edit_distance, fingerprint};

fn param(graph: &mut Graph, name: &str, init: Init) -> NodeId {
    let p = Param {
        name: name.into(),
        aliases: Vec::new(),
        shape: vec![8, 8],
        init,
        trainable: true,
        transient: false,
        span: Span::default(),
    };
    graph.param(p, Span::default())
}

fn input(graph: &mut Graph) -> NodeId {
    graph.input("x", vec![Dim::b(), Dim::n(), Dim::known(8)], DType::Float, true)
}

fn linear(graph: &mut Graph, x: NodeId, w: NodeId) -> NodeId {
    graph.push(Op::Linear { biased: false }, &[x, w], Span::default()).unwrap()
}

fn binary(graph: &mut Graph, op: BinaryOp, x: NodeId, y: NodeId) -> NodeId {
    graph.push(Op::Binary(op), &[x, y], Span::default()).unwrap()
}

const ZERO: Init = Init::Constant(0.0);

/// relu(x w1) + x w2, made in either order, with either names, and with something dead beside.
fn two_branches(swapped: bool, names: [&str; 2], init: Init) -> (Graph, NodeId) {
    let mut g = Graph::new();
    let x = input(&mut g);
    if swapped {
        let w2 = param(&mut g, names[1], init);
        let right = linear(&mut g, x, w2);
        linear(&mut g, right, w2);
        let w1 = param(&mut g, names[0], ZERO);
        let left = linear(&mut g, x, w1);
        let left = g.push(Op::Unary(UnaryOp::Relu), &[left], Span::default()).unwrap();
        let sum = binary(&mut g, BinaryOp::Add, right, left);
        (g, sum)
    } else {
        let w1 = param(&mut g, names[0], ZERO);
        let w2 = param(&mut g, names[1], init);
        let left = linear(&mut g, x, w1);
        let left = g.push(Op::Unary(UnaryOp::Relu), &[left], Span::default()).unwrap();
        let right = linear(&mut g, x, w2);
        let sum = binary(&mut g, BinaryOp::Add, left, right);
        (g, sum)
    }
}

#[test]
fn names_order_and_dead_code_do_not_matter() {
    let (g, out) = two_branches(false, ["a", "b"], ZERO);
    let (h, other) = two_branches(true, ["z", "y"], ZERO);
    assert_eq!(fingerprint(&g, &[out]), fingerprint(&h, &[other]));
    assert_eq!(edit_distance((&g, &[out]), (&h, &[other])).total(), 0);
    assert_eq!(changed_outputs((&g, &[out]), (&h, &[other])), [false]);
}

#[test]
fn initialisation_matters() {
    let (g, out) = two_branches(false, ["a", "b"], ZERO);
    let (h, other) = two_branches(false, ["a", "b"], Init::Eye);
    assert_ne!(fingerprint(&g, &[out]), fingerprint(&h, &[other]));
    // one parameter goes and one comes, and so do their edges to a linear node
    assert_eq!(edit_distance((&g, &[out]), (&h, &[other])).total(), 4);
}

#[test]
fn sharing_matters() {
    let (g, out) = two_branches(false, ["a", "b"], ZERO);
    let (h, other) = two_branches(false, ["a", "a"], ZERO);
    assert_eq!(h.params().len(), 1);
    assert_ne!(fingerprint(&g, &[out]), fingerprint(&h, &[other]));
}

#[test]
fn operand_order_matters_where_it_should() {
    let make = |op, swapped| {
        let mut g = Graph::new();
        let x = input(&mut g);
        let y = g.push(Op::Unary(UnaryOp::Exp), &[x], Span::default()).unwrap();
        let out = if swapped { binary(&mut g, op, y, x) } else { binary(&mut g, op, x, y) };
        fingerprint(&g, &[out])
    };
    assert_eq!(make(BinaryOp::Mul, false), make(BinaryOp::Mul, true));
    assert_ne!(make(BinaryOp::Sub, false), make(BinaryOp::Sub, true));
    assert_ne!(make(BinaryOp::Sub, false), make(BinaryOp::Mul, true));
}

#[test]
fn equal_work_written_twice_is_once() {
    let once = {
        let mut g = Graph::new();
        let x = input(&mut g);
        let y = g.push(Op::Unary(UnaryOp::Exp), &[x], Span::default()).unwrap();
        let out = binary(&mut g, BinaryOp::Add, y, y);
        fingerprint(&g, &[out])
    };
    let twice = {
        let mut g = Graph::new();
        let x = input(&mut g);
        let y = g.push(Op::Unary(UnaryOp::Exp), &[x], Span { line: 1, ..Span::default() }).unwrap();
        let z = g.push(Op::Unary(UnaryOp::Exp), &[x], Span { line: 2, ..Span::default() }).unwrap();
        let out = binary(&mut g, BinaryOp::Add, y, z);
        fingerprint(&g, &[out])
    };
    assert_eq!(once, twice);
}

#[test]
fn a_change_shows_at_the_outputs_it_reaches() {
    let make = |op| {
        let mut g = Graph::new();
        let x = input(&mut g);
        let y = g.push(Op::Unary(UnaryOp::Exp), &[x], Span::default()).unwrap();
        let z = g.push(Op::Unary(op), &[x], Span::default()).unwrap();
        (g, [y, z])
    };
    let (old, new) = (make(UnaryOp::Relu), make(UnaryOp::Tanh));
    assert_eq!(changed_outputs((&old.0, &old.1), (&new.0, &new.1)), [false, true]);
    assert_eq!(changed_outputs((&old.0, &old.1), (&new.0, &new.1[..1])), [false, true]);
    // relu and tanh, each with an edge from x and one to the output
    assert_eq!(edit_distance((&old.0, &old.1), (&new.0, &new.1)).total(), 6);
}
