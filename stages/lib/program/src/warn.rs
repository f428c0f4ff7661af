//! Warnings: what runs and is likely wrong.

use std::collections::BTreeMap;

use graph::{DType, Graph, Node, NodeId, Op, ParamId, Processor, ReduceOp, Span, UnaryOp};

use crate::bounds::{self, Bounds};
use crate::compile::Built;
use crate::diagnostic::Diagnostic;
use crate::rules::Rule;

/// All warnings about a program that was understood.
pub fn warnings(built: &Built) -> Vec<Diagnostic> {
    let p = &built.processor;
    // what is trained is what training computes
    let in_training = p.training.as_ref().map(|training| {
        let (graph, ret, tri_msgs) = (training.graph.clone(), training.ret, training.tri_msgs);
        Processor { graph, ret, tri_msgs, hidden: p.hidden, training: None }
    });
    let trained = in_training.as_ref().unwrap_or(p);
    let mut out = Vec::new();
    hidden(trained, built.forward, &mut out);
    untrained(trained, &mut out);
    let statistics = p.training.iter().flat_map(|training| &training.statistics);
    let variances: Vec<ParamId> = statistics.filter_map(|statistic| statistic.running[1]).collect();
    numeric(trained, &variances, &mut out);
    if in_training.is_some() {
        numeric(p, &variances, &mut out);
    }
    out
}

/// Marks the nodes that the outputs depend on; `through` says whether dependence passes from a node to one of its arguments, which
/// is given by its place.
fn reach(p: &Processor, through: impl Fn(&Node, usize) -> bool) -> Vec<bool> {
    let mut seen = vec![false; p.graph.nodes().len()];
    let mut stack = p.outputs();
    while let Some(id) = stack.pop() {
        let Some(slot) = seen.get_mut(id.index()).filter(|s| !**s) else { continue };
        *slot = true;
        let node = p.graph.node(id);
        stack.extend(node.args.iter().enumerate().filter(|(at, _)| through(node, *at)).map(|(_, arg)| *arg));
    }
    seen
}

/// Neither output depends on the hidden state.
fn hidden(p: &Processor, forward: Span, out: &mut Vec<Diagnostic>) {
    let seen = reach(p, |_, _| true);
    let input = |i: u32| p.graph.nodes().iter().position(|n| n.op == Op::Input(i));
    if input(4).is_some_and(|at| seen.get(at) == Some(&true)) {
        return;
    }
    // where the node features enter is where the hidden state should have
    let enters = input(0).and_then(|at| {
        let user = |n: &&Node| n.span.line > 0 && n.args.iter().any(|a| a.index() == at);
        p.graph.nodes().iter().find(user).map(|n| n.span)
    });
    let text = "neither output depends on the hidden state, so nothing is carried from one step to the next";
    out.push(
        Diagnostic::new(Rule::DeadHidden, enters.unwrap_or(forward), text).help("concatenate hidden with node_fts"),
    );
}

/// Whether the gradient of a node's value reaches its arguments at all.
fn passes_gradient(node: &Node) -> bool {
    if node.dtype != DType::Float {
        return false;
    }
    !matches!(
        node.op,
        Op::Detach
            | Op::OneHot { .. }
            | Op::Unary(UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Trunc)
    )
}

/// Whether an argument is multiplied by zeros, so that nothing of it is left.
fn is_cancelled(graph: &Graph, node: &Node, at: usize) -> bool {
    let products = matches!(node.op, Op::Binary(graph::BinaryOp::Mul) | Op::MatMul | Op::Einsum(_));
    products && node.args.iter().enumerate().any(|(i, arg)| i != at && is_zero(graph, *arg))
}

/// Whether a value is 0 whatever the inputs and parameters are.
fn is_zero(graph: &Graph, id: NodeId) -> bool {
    let mut id = id;
    loop {
        let node = graph.node(id);
        match (&node.op, node.args.as_slice()) {
            (Op::Scalar(v) | Op::Full(v), _) => return *v == 0.0,
            (Op::Const(values), _) => return values.iter().all(|v| *v == 0.0),
            (Op::Param(_), _) => {
                return graph.param_of(id).is_some_and(|p| !p.trainable && p.init == graph::Init::Constant(0.0));
            }
            (
                Op::Cast
                | Op::Detach
                | Op::Reshape
                | Op::Permute(_)
                | Op::Expand
                | Op::Slice { .. }
                | Op::Select { .. },
                [arg],
            ) => {
                id = *arg;
            }
            _ => return false,
        }
    }
}

/// Parameters that nothing trains.
fn untrained(p: &Processor, out: &mut Vec<Diagnostic>) {
    let used = reach(p, |_, _| true);
    let trained = reach(p, |node, at| passes_gradient(node) && !is_cancelled(&p.graph, node, at));
    let node_of: BTreeMap<usize, usize> = p
        .graph
        .nodes()
        .iter()
        .enumerate()
        .filter_map(|(at, n)| match n.op {
            Op::Param(id) => Some((id.index(), at)),
            _ => None,
        })
        .collect();
    let mut unused: BTreeMap<(u32, u32), (Span, Vec<&str>)> = BTreeMap::new();
    let mut cut: Vec<&str> = Vec::new();
    for (i, param) in p.graph.params().iter().enumerate() {
        if !param.trainable {
            continue;
        }
        let at = node_of.get(&i).copied();
        let is = |marks: &[bool]| at.is_some_and(|at| marks.get(at) == Some(&true));
        if !is(&used) {
            let key = (param.span.line, param.span.column);
            unused.entry(key).or_insert((param.span, Vec::new())).1.push(&param.name);
        } else if !is(&trained) {
            cut.push(&param.name);
        }
    }
    for (span, names) in unused.into_values() {
        let (verb, it) = if names.len() == 1 { ("is", "it") } else { ("are", "they") };
        let text = format!("{} {verb} made, but nothing that {it} would change is ever returned", list(&names));
        out.push(Diagnostic::new(Rule::DeadParameter, span, text).help("use it in forward, or do not make it"));
    }
    if cut.is_empty() {
        return;
    }
    // the place where the gradient ends: the last such node among those that the outputs need
    let stop = p.graph.nodes().iter().enumerate().rev().find(|(at, n)| {
        let cancels = (0..n.args.len()).any(|arg| is_cancelled(&p.graph, n, arg));
        used.get(*at) == Some(&true)
            && (cancels || !passes_gradient(n))
            && !n.args.is_empty()
            && depends(&p.graph, *at, &cut)
    });
    let span = stop.map_or_else(Span::default, |(_, n)| n.span);
    let text = format!("no gradient reaches {}, so nothing there is ever trained", list(&cut));
    out.push(
        Diagnostic::new(Rule::DeadGradient, span, text).help(
            "leave out detach() and products with zeros, and keep comparisons and roundings off the way from the parameters to the outputs",
        ),
    );
}

fn list(names: &[&str]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<&str> = names.iter().take(SHOWN).copied().collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Whether a node depends on one of the parameters.
fn depends(graph: &Graph, at: usize, params: &[&str]) -> bool {
    let mut seen = vec![false; graph.nodes().len()];
    let mut stack = vec![at];
    while let Some(at) = stack.pop() {
        let Some(slot) = seen.get_mut(at).filter(|s| !**s) else { continue };
        *slot = true;
        let Some(node) = graph.nodes().get(at) else { continue };
        if let Op::Param(id) = node.op
            && graph.params().get(id.index()).is_some_and(|p| params.contains(&p.name.as_str()))
        {
            return true;
        }
        stack.extend(node.args.iter().map(|a| a.index()));
    }
    false
}

/// Divisions, logarithms and roots of what may be zero or less, and softmax rows that may be empty.
fn numeric(p: &Processor, variances: &[ParamId], out: &mut Vec<Diagnostic>) {
    let graph = &p.graph;
    let known = bounds::bounds(graph, variances);
    let of = |id: NodeId| known.get(id.index()).copied().unwrap_or(Bounds::ALL);
    let mut warn = |rule, span: Span, text: String, help: &str| {
        let seen = out.iter().any(|d| d.rule == rule && d.line == span.line);
        if !seen {
            out.push(Diagnostic::new(rule, span, text).help(help));
        }
    };
    for node in graph.nodes() {
        match (&node.op, node.args.as_slice()) {
            (Op::Binary(graph::BinaryOp::Div), [_, y]) if of(*y).touches_zero() => {
                let text = "the divisor may be zero, as for a node without edges: the result is NaN or infinite";
                warn(
                    Rule::NumericDivision,
                    node.span,
                    text.into(),
                    "guard it: x / y.clamp(min=1.0), or x / (y + 1e-6)",
                );
            }
            (Op::Unary(UnaryOp::Reciprocal | UnaryOp::Rsqrt), [x]) if of(*x).touches_zero() => {
                let text = "the argument may be zero: the result is infinite";
                warn(Rule::NumericDivision, node.span, text.into(), "guard it with clamp(min=...) or a small addend");
            }
            (Op::Unary(UnaryOp::Log | UnaryOp::Log2 | UnaryOp::Log10), [x]) if of(*x).may_be_zero_or_less() => {
                let text = "the logarithm's argument may be zero or negative: the result is NaN or infinite";
                warn(
                    Rule::NumericLog,
                    node.span,
                    text.into(),
                    "guard it with clamp(min=...), or use log1p, logsumexp or log_softmax",
                );
            }
            (Op::Unary(UnaryOp::Sqrt | UnaryOp::Rsqrt), [x]) if of(*x).may_be_negative() => {
                let text = "the root's argument may be negative: the result is NaN";
                warn(Rule::NumericRoot, node.span, text.into(), "guard it with clamp(min=...)");
            }
            (Op::Softmax { .. } | Op::LogSoftmax { .. } | Op::Reduce { op: ReduceOp::LogSumExp, .. }, [x])
                if masked_by_infinity(graph, *x) =>
            {
                let text = "a row whose entries are all masked by -inf becomes NaN";
                warn(Rule::NumericEmptyRow, node.span, text.into(), "mask with a large negative number such as -1e9");
            }
            _ => {}
        }
    }
}

/// Whether a value comes from `where` or `masked_fill` with -inf.
fn masked_by_infinity(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let infinite = |id: &NodeId| match graph.node(*id).op {
        Op::Scalar(v) | Op::Full(v) => v == f64::NEG_INFINITY,
        Op::Cast | Op::Expand => graph
            .node(*id)
            .args
            .first()
            .is_some_and(|a| matches!(graph.node(*a).op, Op::Scalar(v) | Op::Full(v) if v == f64::NEG_INFINITY)),
        _ => false,
    };
    matches!(node.op, Op::Where) && node.args.iter().skip(1).any(infinite)
}
