//! A layer's bias as an addition of its own, made where the value is read.
//!
//! The addition becomes part of the loop that reads the value, or of those that read pieces of it, instead of a pass over
//! memory. A maximum over other axes than the features' comes before it: `max_i (x_i + b) = max_i x_i + b`.

use graph::{BinaryOp, Graph, NodeId, Op, OpError, ReduceOp, Span};

use crate::rewrite::rewritten;

/// The same values with all biases apart.
pub(crate) fn apart(graph: &Graph, outputs: &[NodeId]) -> Result<(Graph, Vec<NodeId>), OpError> {
    rewritten(graph, outputs, |to, id, args| {
        let node = graph.node(id);
        match (&node.op, args) {
            (Op::Linear { biased: true }, &[x, weight, bias]) => {
                let value = to.push(Op::Linear { biased: false }, &[x, weight], node.span)?;
                to.push(Op::Binary(BinaryOp::Add), &[value, bias], node.span)
            }
            (op, &[x]) => match later(to, op, x, node.span)? {
                Some(value) => Ok(value),
                None => to.push_as(op.clone(), args, node.shape.clone(), node.dtype, node.span),
            },
            (op, args) => to.push_as(op.clone(), args, node.shape.clone(), node.dtype, node.span),
        }
    })
}

/// An operation on a biased value, done before the bias is added.
fn later(to: &mut Graph, op: &Op, x: NodeId, span: Span) -> Result<Option<NodeId>, OpError> {
    let node = to.node(x);
    let (Op::Binary(BinaryOp::Add), &[layer, bias]) = (&node.op, node.args.as_slice()) else { return Ok(None) };
    let last = node.shape.len().saturating_sub(1);
    if !matches!(to.node(layer).op, Op::Linear { biased: false }) || to.shape(bias).len() != 1 {
        return Ok(None);
    }
    let bias = match op {
        Op::Slice { dim, start, end, step } if *dim == last => {
            let piece = Op::Slice { dim: 0, start: start.clone(), end: end.clone(), step: *step };
            to.push(piece, &[bias], span)?
        }
        Op::Reduce {
            op: ReduceOp::Amax | ReduceOp::Amin | ReduceOp::MaxValues | ReduceOp::MinValues, dims, ..
        } if !dims.contains(&last) => bias,
        _ => return Ok(None),
    };
    let value = to.push(op.clone(), &[layer], span)?;
    to.push(Op::Binary(BinaryOp::Add), &[value, bias], span).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::{DType, Dim, Init, Param};

    #[test]
    fn biases_are_added_to_pieces_and_to_extremes() {
        let mut graph = Graph::new();
        let x = graph.input("x", vec![Dim::b(), Dim::n(), Dim::known(3)], DType::Float, true);
        let mut args = vec![x];
        for (name, shape) in [("weight", vec![8, 3]), ("bias", vec![8])] {
            let (name, init, span) = (name.to_owned(), Init::Constant(1.0), Span::default());
            args.push(graph.param(
                Param { name, aliases: Vec::new(), shape, init, trainable: true, transient: false, span },
                span,
            ));
        }
        let push = |graph: &mut Graph, op: Op, args: &[NodeId]| graph.push(op, args, Span::default()).expect("types");
        let layer = push(&mut graph, Op::Linear { biased: true }, &args);
        let piece = push(&mut graph, Op::Slice { dim: 2, start: 2.into(), end: 5.into(), step: 1 }, &[layer]);
        let best = Op::Reduce { op: ReduceOp::Amax, dims: vec![1], keepdim: false };
        let best = push(&mut graph, best, &[layer]);
        let (apart, outputs) = apart(&graph, &[piece, best]).expect("types");
        for (output, before) in outputs.into_iter().zip([piece, best]) {
            assert_eq!(apart.node(output).op, Op::Binary(BinaryOp::Add));
            assert_eq!(apart.shape(output), graph.shape(before));
        }
        assert!(apart.nodes().iter().all(|node| node.op != Op::Linear { biased: true }));
        assert_eq!(apart.validate(), Ok(()));
    }
}
