//! What the passes make of a step of the reference architecture.

mod support;

use graph::passes::{overwrites, splits, varying};
use graph::{BinaryOp, Op, Passes, UnaryOp, costs, explain, optimise};
use support::{agree, pgn, run};

#[test]
fn the_meaning_stays() {
    let step = pgn::step(6, 3);
    let outputs = [step.ret, step.tri_msgs];
    let (fast, at) = optimise(&step.graph, &outputs, &Passes::all());
    fast.validate().unwrap();
    for (seed, b, n) in [(1, 2, 3), (2, 1, 2), (3, 3, 5)] {
        let (before, after) = (run(&step.graph, &outputs, seed, b, n), run(&fast, &at, seed, b, n));
        for (x, y) in before.iter().zip(&after) {
            agree(x, y).unwrap();
        }
    }
}

#[test]
fn the_costs_fall() {
    let step = pgn::step(128, 8);
    let outputs = [step.ret, step.tri_msgs];
    let (fast, at) = optimise(&step.graph, &outputs, &Passes::all());
    let text = explain(&fast, &at);
    println!("{}\n{text}", explain(&step.graph, &outputs));
    let (before, after) = (costs(&step.graph, &outputs), costs(&fast, &at));
    println!("{} -> {}", before.macs_varying, after.macs_varying);
    println!("{} -> {}", before.train_bytes_per_step, after.train_bytes_per_step);
    let count = |op: fn(&Op) -> bool| fast.nodes().iter().filter(|node| op(&node.op)).count();

    // no tensor over triples is left
    assert!(
        before.largest_tensor.of().iter().any(|dim| dim.terms().any(|(_, n, _)| n == 3)),
        "{}",
        before.largest_tensor
    );
    assert!(
        after.largest_tensor.of().iter().all(|dim| dim.terms().all(|(_, n, _)| n <= 2)),
        "{}",
        after.largest_tensor
    );
    assert_eq!(count(|op| matches!(op, Op::MaxPlus { .. })), 1);
    // over pairs, only the two layers of the message network and the triplets' last one read wide features
    let pairs = fast.nodes().iter().filter(|node| matches!(node.op, Op::Linear { .. }) && node.shape.len() == 4);
    let wide = pairs.filter(|node| fast.shape(node.args[0]).last().and_then(graph::Dim::as_known) > Some(8)).count();
    assert_eq!(wide, 2);
    // the mask of all ones is gone
    assert_eq!(count(|op| matches!(op, Op::Where)), 0);
    // the seven layers over nodes are one product, the two over messages another, and the gate's is the third
    let nodes = fast.nodes().iter().filter(|node| matches!(node.op, Op::Linear { .. }) && node.shape.len() == 3);
    assert_eq!(nodes.count(), 3, "{text}");
    let pieces: Vec<usize> = splits(&fast, &at).iter().map(|split| split.pieces.len()).collect();
    assert!(pieces.contains(&7) && pieces.contains(&2), "{pieces:?}");
    assert!(after.macs_varying.eval(32, 16) < before.macs_varying.eval(32, 16));
    // something that is computed once is read at every step
    let varies = varying(&fast);
    let free = |op: &Op| matches!(op, Op::Scalar(_) | Op::Size(_) | Op::Full(_) | Op::Param(_) | Op::Input(_));
    let fixed = |id: &graph::NodeId| !varies[id.index()] && !free(&fast.node(*id).op);
    assert!(fast.ids().any(|id| varies[id.index()] && fast.node(id).args.iter().any(fixed)));
}

#[test]
fn messages_are_summed_in_place() {
    let step = pgn::step(128, 8);
    let (fast, at) = optimise(&step.graph, &[step.ret], &Passes::all());
    let over = overwrites(&fast, &at);
    let pairs = fast.ids().filter(|&id| fast.shape(id).len() == 4 && fast.shape(id)[1] == fast.shape(id)[2]);
    let (mut sums, mut relus) = (0, 0);
    for id in pairs {
        let written = over[id.index()].is_some();
        match fast.node(id).op {
            Op::Binary(BinaryOp::Add) => sums += usize::from(written),
            Op::Unary(UnaryOp::Relu) => relus += usize::from(written),
            _ => assert!(!written),
        }
    }
    assert_eq!((sums, relus), (2, 2));
    // the hidden state is the caller's, and read twice
    for (id, position) in fast.ids().zip(&over) {
        if let Some(position) = position {
            assert!(!matches!(fast.node(fast.node(id).args[*position]).op, Op::Input(_) | Op::Param(_)));
        }
    }
}

#[test]
fn what_no_output_needs_is_left_out() {
    let step = pgn::step(16, 8);
    let (fast, at) = optimise(&step.graph, &[step.ret], &Passes::all());
    assert!(!explain(&fast, &at).contains("max_plus"));
    assert_eq!(fast.params().len(), step.graph.params().len());
}
