//! A graph as text, one line per node.

use crate::costs::costs;
use crate::dim::{Dim, display};
use crate::graph::Graph;
use crate::op::{Node, NodeId, Op};
use crate::passes::{constant, varying};
use std::fmt::Write;

/// One line for each node that `outputs` need:
/// `%12 = linear(%3, p.t_1.weight) [B, N, 8] static line 101`, with multiply-accumulates where there are any.
///
/// `weights` marks what depends on parameters alone, `static` what else is the same at every time step.
pub fn explain(graph: &Graph, outputs: &[NodeId]) -> String {
    let (constant, varies, costs) = (constant(graph), varying(graph), costs(graph, outputs));
    let mut text = String::new();
    for id in graph.ids().filter(|id| costs.per_node[id.index()].live) {
        let (at, node) = (id.index(), graph.node(id));
        if matches!(node.op, Op::Param(_) | Op::Scalar(_)) {
            continue; // written where they are used
        }
        let _ = write!(text, "%{at} = {} {}", call(graph, node), display(&node.shape));
        if node.dtype != crate::DType::Float {
            let _ = write!(text, " {}", node.dtype);
        }
        let when = if constant[at] {
            " weights"
        } else if varies[at] {
            ""
        } else {
            " static"
        };
        text.push_str(when);
        if node.span.line > 0 {
            let _ = write!(text, " line {}", node.span.line);
        }
        if costs.per_node[at].macs != Dim::known(0) {
            let _ = write!(text, "  # {} macs", costs.per_node[at].macs);
        }
        text.push('\n');
    }
    let named: Vec<String> = outputs.iter().map(|&id| reference(graph, id)).collect();
    let _ = writeln!(text, "return {}", named.join(", "));
    text
}

/// How a node is written as an argument.
fn reference(graph: &Graph, id: NodeId) -> String {
    match (&graph.node(id).op, graph.param_of(id)) {
        (_, Some(param)) => format!("p.{}", param.name),
        (Op::Scalar(value), _) => format!("{value}"),
        _ => format!("%{}", id.0),
    }
}

fn call(graph: &Graph, node: &Node) -> String {
    let mut parts: Vec<String> = node.args.iter().map(|&x| reference(graph, x)).collect();
    match &node.op {
        Op::Input(i) => parts.extend(graph.inputs.get(*i as usize).map(|input| input.name.clone())),
        Op::Size(dim) => parts.push(dim.to_string()),
        Op::Full(value) => parts.push(value.to_string()),
        Op::Const(values) => parts.push(format!("{} values", values.len())),
        Op::Arange { start, step } => parts.push(format!("start={start}, step={step}")),
        Op::Reduce { dims, keepdim, .. } => {
            parts.push(format!("dim={dims:?}{}", if *keepdim { ", keepdim" } else { "" }))
        }
        Op::Softmax { dim }
        | Op::LogSoftmax { dim }
        | Op::CumSum { dim }
        | Op::CumProd { dim }
        | Op::CumProdGrad { dim }
        | Op::Cat { dim }
        | Op::Gather { dim }
        | Op::Scatter { dim }
        | Op::ScatterAdd { dim }
        | Op::IndexSelect { dim } => parts.push(format!("dim={dim}")),
        Op::TopK { k, dim, largest } | Op::TopKIndices { k, dim, largest } => {
            parts.push(format!("k={k}, dim={dim}, largest={largest}"));
        }
        Op::Sort { dim, descending } | Op::ArgSort { dim, descending } => {
            parts.push(format!("dim={dim}, descending={descending}"));
        }
        Op::Random { stream } => parts.push(format!("stream={stream}")),
        Op::Permute(perm) => parts.push(format!("{perm:?}")),
        Op::Slice { dim, start, end, step } => parts.push(format!("dim={dim}, {start}..{end} by {step}")),
        Op::Select { dim, index } => parts.push(format!("dim={dim}, {index}")),
        Op::Flip { dims } => parts.push(format!("dim={dims:?}")),
        Op::Roll { shift, dim } => parts.push(format!("shift={shift}, dim={dim}")),
        Op::OneHot { classes } => parts.push(classes.to_string()),
        Op::Tril { diagonal } | Op::Triu { diagonal } => parts.push(format!("diagonal={diagonal}")),
        Op::Diagonal { offset, dim1, dim2 } => parts.push(format!("offset={offset}, dim={dim1} and {dim2}")),
        Op::Einsum(equation) => parts.insert(0, equation.clone()),
        Op::ShareExtreme { dims, first } => {
            parts.push(format!("dim={dims:?}{}", if *first { ", first" } else { "" }));
        }
        Op::MaxPlusGrad { second, .. } => parts.push(format!("of={}", if *second { "second" } else { "first" })),
        Op::LayerNorm { axes, eps, .. } => parts.push(format!("axes={axes}, eps={eps}")),
        _ => {}
    }
    format!("{}({})", node.op.name(), parts.join(", "))
}
