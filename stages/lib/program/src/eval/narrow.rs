//! Integers of 32 bits. The graph knows integers of 64 bits only; what `.int()` gives is computed in those, and wrapped around
//! after each operation that may leave 32 bits.

use std::collections::BTreeSet;

use graph::{BinaryOp, DType, NodeId, Op, ReduceOp, UnaryOp};

use super::{R, Tracer};
use crate::rules::Rule;

/// The nodes that are integers of 32 bits.
#[derive(Default)]
pub struct Widths {
    narrow: BTreeSet<NodeId>,
}

impl Widths {
    pub fn is_narrow(&self, id: NodeId) -> bool {
        self.narrow.contains(&id)
    }

    /// Whether all integers are of 64 bits.
    pub fn are_wide(&self) -> bool {
        self.narrow.is_empty()
    }
}

const RANGE: f64 = 4_294_967_296.0;

impl Tracer {
    /// A tensor as one of 32-bit integers.
    pub fn narrowed(&mut self, id: NodeId) -> R<NodeId> {
        let from = self.dtype(id);
        let known = self.widths.narrow.contains(&id);
        let mut out = self.cast(id, DType::Int)?;
        if from == DType::Int && !known {
            out = self.wrapped(out)?;
        } else if out == id {
            return Ok(id);
        }
        self.widths.narrow.insert(out);
        Ok(out)
    }

    /// `x` modulo 2^32, from -2^31 on.
    fn wrapped(&mut self, x: NodeId) -> R<NodeId> {
        let known = std::mem::take(&mut self.widths.narrow);
        let done = (|| {
            let (half, whole) = (self.scalar(RANGE / 2.0, DType::Int)?, self.scalar(RANGE, DType::Int)?);
            let up = self.bin(BinaryOp::Add, x, half)?;
            let inside = self.bin(BinaryOp::Remainder, up, whole)?;
            self.bin(BinaryOp::Sub, inside, half)
        })();
        self.widths.narrow = known;
        done
    }

    /// A new node with the width that its arguments give it.
    pub fn with_width(&mut self, id: NodeId) -> R<NodeId> {
        let node = self.graph().node(id);
        if !node.args.iter().any(|a| self.widths.narrow.contains(a)) {
            return Ok(id);
        }
        let is_number = |a: &NodeId| matches!(self.graph().node(*a).op, Op::Scalar(_) | Op::Size(_));
        // a 0-dimensional operand does not widen one of more axes
        let ranked = node.args.iter().any(|a| !self.shape(*a).is_empty());
        let is_narrow = |a: &NodeId| {
            self.widths.narrow.contains(a)
                || self.dtype(*a) == DType::Bool
                || (if ranked { self.shape(*a).is_empty() } else { is_number(a) })
        };
        if matches!(node.op, Op::OneHot { .. }) {
            let text = "one_hot() needs integers of 64 bits, not of 32";
            let d = self.run.fault(Rule::ShapeDtype, text);
            return Err(Box::new(d.help("use .long() instead of .int()")));
        }
        if node.dtype != DType::Int {
            return Ok(id);
        }
        let (keeps, wraps) = match &node.op {
            Op::Cast | Op::ArgSort { .. } | Op::TopKIndices { .. } | Op::CumSum { .. } | Op::CumProd { .. } => {
                (false, false)
            }
            Op::Reduce { op: ReduceOp::Sum | ReduceOp::Prod | ReduceOp::ArgMax | ReduceOp::ArgMin, .. } => {
                (false, false)
            }
            Op::IndexSelect { .. } => (node.args.first().is_some_and(is_narrow), false),
            Op::Where => (node.args.iter().skip(1).all(is_narrow), false),
            Op::Binary(BinaryOp::Pow) => {
                let text = "powers of 32-bit integers wrap around, which is not followed";
                let d = self.run.fault(Rule::UnsupportedPrecision, text);
                return Err(Box::new(d.help("use .long() instead of .int()")));
            }
            Op::Binary(op) => {
                (node.args.iter().all(is_narrow), matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul))
            }
            Op::Unary(op) => (true, matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Square)),
            Op::MatMul | Op::Einsum(_) | Op::Linear { .. } => (true, true),
            _ => (node.args.iter().all(is_narrow), false),
        };
        if !keeps {
            return Ok(id);
        }
        let out = if wraps { self.wrapped(id)? } else { id };
        self.widths.narrow.insert(out);
        Ok(out)
    }
}
