//! Costs of small graphs, counted by hand.

use graph::{DType, Dim, Graph, Init, NodeId, Op, Param, ReduceOp, Span, UnaryOp, costs};

fn param(graph: &mut Graph, name: &str, shape: &[usize], trainable: bool) -> NodeId {
    let init = Init::Constant(0.0);
    let (name, shape) = (name.to_owned(), shape.to_vec());
    graph.param(
        Param { name, aliases: Vec::new(), shape, init, trainable, transient: false, span: Span::default() },
        Span::default(),
    )
}

fn line(line: u32) -> Span {
    Span { line, ..Span::default() }
}

#[test]
fn products_views_and_liveness() {
    let (b, n, k) = (Dim::b(), Dim::n(), Dim::known);
    let mut g = Graph::new();
    let x = g.input("x", vec![b.clone(), n.clone(), k(8)], DType::Float, true);
    let w = param(&mut g, "w", &[4, 8], true);
    param(&mut g, "buffer", &[100], false);
    let y = g.push(Op::Linear { biased: false }, &[x, w], line(3)).unwrap();
    let column = g.push_as(Op::Reshape, &[y], vec![b.clone(), n.clone(), k(1), k(4)], DType::Float, line(4)).unwrap();
    let row = g.push_as(Op::Reshape, &[y], vec![b.clone(), k(1), n.clone(), k(4)], DType::Float, line(4)).unwrap();
    let pairs = g.push(Op::Binary(graph::BinaryOp::Add), &[column, row], line(5)).unwrap();
    let relu = g.push(Op::Unary(UnaryOp::Relu), &[pairs], line(5)).unwrap();
    let best = g.push(Op::Reduce { op: ReduceOp::Amax, dims: vec![2], keepdim: false }, &[relu], line(6)).unwrap();
    g.push(Op::MatMul, &[x, w], line(7)).unwrap_err();
    let dead = g.push(Op::Linear { biased: false }, &[x, w], line(7)).unwrap();
    assert_ne!(dead, y);

    let c = costs(&g, &[best]);
    assert_eq!(c.params, 32);
    assert_eq!(c.macs.to_string(), "32*B*N");
    assert_eq!(c.macs_varying, c.macs);
    // two element-wise, one read by the reduction
    assert_eq!(c.element_ops.to_string(), "12*B*N^2");
    // y 16, pairs 16 N, relu 16 N, best 16 times B N bytes
    assert_eq!(c.train_bytes_per_step.to_string(), "32*B*N^2 + 32*B*N");
    // y lives until pairs is there; then pairs and relu; then relu and best
    assert_eq!(c.peak_inference.to_string(), "32*B*N^2");
    assert_eq!(c.peak_inference.eval(32, 64), Some(32 * 32 * 64 * 64));
    assert_eq!(c.largest_tensor.to_string(), "16*B*N^2");
    let lines = c.by_line(&g);
    assert_eq!(lines.keys().copied().collect::<Vec<_>>(), [0, 3, 4, 5, 6]);
    assert_eq!(lines[&3].macs, c.macs);
    assert_eq!(lines[&5].bytes.to_string(), "32*B*N^2");
}

#[test]
fn einsum_is_contracted_from_the_left() {
    let (b, n, k) = (Dim::b(), Dim::n(), Dim::known);
    let mut g = Graph::new();
    let x = g.input("x", vec![b.clone(), n.clone(), k(8)], DType::Float, true);
    let y = g.input("y", vec![k(8), k(4)], DType::Float, false);
    let z = g.input("z", vec![k(4), n.clone()], DType::Float, false);
    let e = g.push(Op::Einsum("bnh,hk,km->bnm".into()), &[x, y, z], line(1)).unwrap();
    assert_eq!(costs(&g, &[e]).macs.to_string(), "4*B*N^2 + 32*B*N");
    let m = g.push(Op::MatMul, &[y, z], line(1)).unwrap();
    let c = costs(&g, &[m, e]);
    assert_eq!(c.macs.to_string(), "4*B*N^2 + 32*B*N + 32*N");
    assert_eq!(c.macs_varying.to_string(), "4*B*N^2 + 32*B*N");
}

#[test]
fn a_view_across_strides_is_a_copy() {
    let (b, n, k) = (Dim::b(), Dim::n(), Dim::known);
    let mut g = Graph::new();
    let x = g.input("x", vec![b.clone(), n.clone(), k(8)], DType::Float, true);
    let t = g.push(Op::Permute(vec![1, 0, 2]), &[x], line(1)).unwrap();
    let flat = g.push_as(Op::Reshape, &[t], vec![b.clone() * n.clone(), k(8)], DType::Float, line(1)).unwrap();
    assert_eq!(costs(&g, &[flat]).train_bytes_per_step.to_string(), "32*B*N");
    let packed = g.push_as(Op::Reshape, &[x], vec![b * n, k(8)], DType::Float, line(1)).unwrap();
    assert_eq!(costs(&g, &[packed]).train_bytes_per_step.to_string(), "0");
}
