//! Whole numbers in tensors, of which torch divides none by zero, and raises none to powers that ours could not hold.

use graph::{BinaryOp, DType, NodeId, Op, ReduceOp, UnaryOp};

use super::{R, Tracer};
use crate::rules::Rule;

/// How far back the signs of whole numbers are followed.
const MAX_STEPS: usize = 64;

impl Tracer {
    /// Faults where an operation on whole numbers fails in torch, or gives whole numbers where ours gives fractions.
    pub fn check_integers(&mut self, op: &Op, args: &[NodeId]) -> R<()> {
        let (Op::Binary(op), [x, y]) = (op, args) else { return Ok(()) };
        let (x, y) = (*x, *y);
        if self.dtype(x) == DType::Float || self.dtype(y) == DType::Float {
            return Ok(());
        }
        match op {
            BinaryOp::FloorDiv | BinaryOp::Remainder if self.holds_zero(y)? => {
                Err(self.run.exception("RuntimeError", "whole numbers are divided by zero"))
            }
            BinaryOp::Pow if !self.is_never_negative(y) => {
                let text = "whole numbers raised to powers that may be negative are not supported; use .float()";
                self.run.refuse(Rule::UnsupportedOp, text)
            }
            _ => Ok(()),
        }
    }

    /// Whether one of the constants that a node consists of is zero. Of others nothing is known.
    fn holds_zero(&mut self, id: NodeId) -> R<bool> {
        if let Op::Scalar(v) | Op::Full(v) = self.graph().node(id).op {
            return Ok(v == 0.0);
        }
        let values = self.constant(id)?.and_then(|literal| literal.values());
        Ok(values.is_some_and(|values| values.contains(&0.0)))
    }

    /// Whether whole numbers are evidently 0 or more.
    fn is_never_negative(&self, id: NodeId) -> bool {
        let mut open = vec![id];
        for _ in 0..MAX_STEPS {
            let Some(id) = open.pop() else { return true };
            let node = self.graph().node(id);
            let arg = |i: usize| node.args.get(i).copied();
            match &node.op {
                _ if node.dtype == DType::Bool => {}
                // the adjacency matrix holds 0 and 1
                Op::Input(i) if self.graph().inputs().get(*i as usize).is_some_and(|i| i.name == "adj_mat") => {}
                Op::Scalar(v) | Op::Full(v) if *v >= 0.0 => {}
                Op::Const(values) if values.iter().all(|v| *v >= 0.0) => {}
                Op::Arange { start, step } if *start >= 0.0 && *step >= 0.0 => {}
                Op::Size(_)
                | Op::Eye
                | Op::OneHot { .. }
                | Op::ArgSort { .. }
                | Op::TopKIndices { .. }
                | Op::Reduce { op: ReduceOp::ArgMax | ReduceOp::ArgMin, .. }
                | Op::Unary(UnaryOp::Abs | UnaryOp::Square | UnaryOp::Relu) => {}
                Op::Binary(BinaryOp::Add | BinaryOp::Mul | BinaryOp::FloorDiv | BinaryOp::Minimum)
                | Op::Where
                | Op::Cat { .. } => {
                    let from = usize::from(node.op == Op::Where);
                    open.extend(node.args.iter().skip(from));
                }
                // the sign is that of the divisor
                Op::Binary(BinaryOp::Remainder) => open.extend(arg(1)),
                Op::Cast
                | Op::Detach
                | Op::Reshape
                | Op::Permute(_)
                | Op::Expand
                | Op::Slice { .. }
                | Op::Select { .. }
                | Op::Flip { .. }
                | Op::Roll { .. }
                | Op::Gather { .. }
                | Op::IndexSelect { .. }
                | Op::CumSum { .. }
                | Op::Tril { .. }
                | Op::Triu { .. }
                | Op::Sort { .. }
                | Op::Reduce { op: ReduceOp::Sum | ReduceOp::Amax | ReduceOp::Amin, .. } => open.extend(arg(0)),
                _ => return false,
            }
        }
        open.is_empty()
    }
}
