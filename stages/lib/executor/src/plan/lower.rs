//! Operations in terms of simpler ones, for the CPU.
//!
//! A product with few columns or few terms costs more as a product than as sums over columns, which become part of the
//! loops around them. A bias is an addition, and so part of the loop that follows the layer.

use std::collections::BTreeSet;

use graph::{BinaryOp, DType, Dim, Graph, NodeId, Op, OpError, ReduceOp, Shape, Span};

use crate::bfloat16::Rounding;
use crate::recurrence::Part;
use crate::rewrite::rewritten;
use crate::shapes::{NARROW, WIDE};

/// Columns that are added up by loops over the last axis, at the most, and how long that axis may be.
const FEW: i64 = 2;
const LONGEST: i64 = 512;

/// A product of which a size is not larger is faster in float32 than in tiles of bfloat16 (see the example `matrix`).
const SLIM: i64 = 8;

/// The part with all that in simpler terms, in normal form. `rounds`: the kernel of products rounds what it multiplies to
/// bfloat16. What does not come to that kernel, or would be faster without it, is rounded by operations of its own.
pub(super) fn lower(part: &Part, rounds: bool) -> Result<Part, OpError> {
    let none = BTreeSet::new();
    let mut rounding = rounds.then(|| Rounding::new(&none));
    let (graph, outputs) = rewritten(&part.graph, &part.outputs, |to, id, args| {
        Lowering { from: &part.graph, to, rounding: rounding.as_mut() }.node(id, args)
    })?;
    Ok(Part { graph, outputs })
}

struct Lowering<'a, 'r> {
    from: &'a Graph,
    to: &'a mut Graph,
    rounding: Option<&'a mut Rounding<'r>>,
}

type Made = Result<NodeId, OpError>;

impl Lowering<'_, '_> {
    fn push(&mut self, op: Op, args: &[NodeId]) -> Made {
        self.to.push(op, args, Span::default())
    }

    fn reshape(&mut self, x: NodeId, shape: Shape) -> Made {
        let dtype = self.to.dtype(x);
        self.to.push_as(Op::Reshape, &[x], shape, dtype, Span::default())
    }

    fn add(&mut self, x: NodeId, y: NodeId) -> Made {
        self.push(Op::Binary(BinaryOp::Add), &[x, y])
    }

    fn mul(&mut self, x: NodeId, y: NodeId) -> Made {
        self.push(Op::Binary(BinaryOp::Mul), &[x, y])
    }

    /// Whether one of a matrix's sizes is known to be small.
    fn has_slim(&self, matrix: NodeId) -> bool {
        let shape = self.to.shape(matrix);
        let own = shape.get(shape.len().saturating_sub(2)..).unwrap_or_default();
        own.iter().filter_map(Dim::as_known).any(|size| size <= SLIM)
    }

    /// An operand of a product that becomes a loop, or is multiplied in float32.
    fn factor(&mut self, x: NodeId) -> Made {
        match &mut self.rounding {
            Some(rounding) => rounding.of(self.to, x),
            None => Ok(x),
        }
    }

    /// Both operands of a product: [rounded](Self::factor) if `here`, and else left to its kernel.
    fn factors(&mut self, [x, y]: [NodeId; 2], here: bool) -> Result<[NodeId; 2], OpError> {
        if here { Ok([self.factor(x)?, self.factor(y)?]) } else { Ok([x, y]) }
    }

    fn slice(&mut self, x: NodeId, dim: usize, at: i64) -> Made {
        self.push(Op::Slice { dim, start: Dim::known(at), end: Dim::known(at + 1), step: 1 }, &[x])
    }

    /// Row or column `at` of a matrix, as a vector.
    fn line(&mut self, matrix: NodeId, dim: usize, at: i64) -> Made {
        let line = self.slice(matrix, dim, at)?;
        let length = self.to.shape(matrix)[1 - dim].clone();
        self.reshape(line, vec![length])
    }

    fn sum(&mut self, x: NodeId, dims: Vec<usize>, keepdim: bool) -> Made {
        self.push(Op::Reduce { op: ReduceOp::Sum, dims, keepdim }, &[x])
    }

    /// A sum of what lies side by side is the sums side by side: each is added up where its part is made.
    fn sum_of(&mut self, x: NodeId, dims: &[usize], keepdim: bool) -> Made {
        let node = self.to.node(x).clone();
        match node.op {
            Op::Cat { dim } if !dims.contains(&dim) => {
                let parts = node.args.iter().map(|&part| self.sum(part, dims.to_vec(), keepdim));
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                let before = if keepdim { 0 } else { dims.iter().filter(|&&other| other < dim).count() };
                self.cat(&parts, dim - before)
            }
            _ => self.sum(x, dims.to_vec(), keepdim),
        }
    }

    /// A piece of a layer's value: the bias is added to the piece, and so in the loop that reads it.
    fn slice_of(&mut self, x: NodeId, dim: usize, (start, end): (&Dim, &Dim)) -> Made {
        let op = |dim: usize| Op::Slice { dim, start: start.clone(), end: end.clone(), step: 1 };
        let node = self.to.node(x).clone();
        if let (Op::Binary(BinaryOp::Add), &[layer, bias]) = (&node.op, node.args.as_slice())
            && matches!(self.to.node(layer).op, Op::Linear { .. })
            && self.to.shape(bias).len() == 1
            && dim + 1 == node.shape.len()
        {
            let (piece, bias) = (self.push(op(dim), &[layer])?, self.push(op(0), &[bias])?);
            return self.add(piece, bias);
        }
        self.push(op(dim), &[x])
    }

    fn mean(&mut self, x: NodeId, dims: &[usize], keepdim: bool) -> Made {
        let shape = self.to.shape(x).clone();
        let count = dims.iter().filter_map(|&dim| shape.get(dim)).fold(Dim::known(1), |n, dim| &n * dim);
        let sum = self.sum(x, dims.to_vec(), keepdim)?;
        let count = self.to.push_as(Op::Size(count), &[], Vec::new(), DType::Int, Span::default())?;
        self.push(Op::Binary(BinaryOp::Div), &[sum, count])
    }

    fn node(&mut self, id: NodeId, args: &[NodeId]) -> Made {
        let node = self.from.node(id);
        match (&node.op, args) {
            (Op::Linear { .. }, [x, weight, bias @ ..]) => {
                let value = match self.layer(*x, *weight)? {
                    Some(value) => value,
                    None => {
                        let factors = self.factors([*x, *weight], self.has_slim(*weight))?;
                        self.push(Op::Linear { biased: false }, &factors)?
                    }
                };
                match bias.first() {
                    Some(&bias) => self.add(value, bias),
                    None => Ok(value),
                }
            }
            (Op::MatMul, &[x, y]) => match self.product(x, y)? {
                Some(value) => Ok(value),
                None => {
                    let slim = node.dtype == DType::Float && (self.has_slim(x) || self.has_slim(y));
                    let factors = self.factors([x, y], slim)?;
                    self.push(Op::MatMul, &factors)
                }
            },
            (Op::Reduce { op: ReduceOp::Sum, dims, keepdim }, &[x]) if node.dtype == DType::Float => {
                self.sum_of(x, dims, *keepdim)
            }
            (Op::Slice { dim, start, end, step: 1 }, &[x]) => self.slice_of(x, *dim, (start, end)),
            (Op::Reduce { op: ReduceOp::Mean, dims, keepdim }, &[x]) => self.mean(x, dims, *keepdim),
            (Op::Reduce { op: ReduceOp::Var { correction }, dims, keepdim }, &[x]) if *correction == 0.0 => {
                let mean = self.mean(x, dims, true)?;
                let off = self.push(Op::Binary(BinaryOp::Sub), &[x, mean])?;
                let square = self.mul(off, off)?;
                self.mean(square, dims, *keepdim)
            }
            _ => self.to.push_as(node.op.clone(), args, node.shape.clone(), node.dtype, node.span),
        }
    }

    /// `x weight'` over few features, or to few.
    fn layer(&mut self, x: NodeId, weight: NodeId) -> Result<Option<NodeId>, OpError> {
        let (Some(out), Some(inner)) = (self.to.shape(weight)[0].as_known(), self.to.shape(weight)[1].as_known())
        else {
            return Ok(None);
        };
        if (1..=NARROW).contains(&inner) && out >= WIDE {
            return self.columns(x, inner, |lowering, at| lowering.line(weight, 1, at)).map(Some);
        }
        if (1..=FEW).contains(&out) && (WIDE..=LONGEST).contains(&inner) {
            return self.dots(x, out, |lowering, at| lowering.line(weight, 0, at)).map(Some);
        }
        Ok(None)
    }

    /// The sum of `x[.., k] row(k)`.
    fn columns(&mut self, x: NodeId, count: i64, row: impl Fn(&mut Self, i64) -> Made) -> Made {
        let x = self.factor(x)?;
        let last = self.to.shape(x).len() - 1;
        let mut total = None;
        for at in 0..count {
            let column = self.slice(x, last, at)?;
            let row = row(self, at)?;
            let row = self.factor(row)?;
            let product = self.mul(column, row)?;
            total = Some(match total {
                Some(total) => self.add(total, product)?,
                None => product,
            });
        }
        total.ok_or(OpError::Setting { op: "matmul", reason: "no terms".to_owned() })
    }

    /// For each of `count` features, the sum over the last axis of `x row(k)`.
    fn dots(&mut self, x: NodeId, count: i64, row: impl Fn(&mut Self, i64) -> Made) -> Made {
        let x = self.factor(x)?;
        let last = self.to.shape(x).len() - 1;
        let mut parts = Vec::new();
        for at in 0..count {
            let row = row(self, at)?;
            let row = self.factor(row)?;
            let product = self.mul(x, row)?;
            parts.push(self.sum(product, vec![last], true)?);
        }
        self.cat(&parts, last)
    }

    fn cat(&mut self, parts: &[NodeId], dim: usize) -> Made {
        match parts {
            [only] => Ok(*only),
            _ => self.push(Op::Cat { dim }, parts),
        }
    }

    /// A product of which one size is small.
    fn product(&mut self, x: NodeId, y: NodeId) -> Result<Option<NodeId>, OpError> {
        let (left, right) = (self.to.shape(x).clone(), self.to.shape(y).clone());
        let [inner, out] = right.as_slice() else { return Ok(None) };
        if left.len() < 2 || self.to.dtype(x) != DType::Float {
            return Ok(None);
        }
        let (inner, out) = (inner.as_known(), out.as_known());
        if let (Some(inner), Some(out)) = (inner, out) {
            if (1..=NARROW).contains(&inner) && out >= WIDE {
                return self.columns(x, inner, |lowering, at| lowering.line(y, 0, at)).map(Some);
            }
            if (1..=NARROW).contains(&out) && (WIDE..=LONGEST).contains(&inner) {
                return self.dots(x, out, |lowering, at| lowering.line(y, 1, at)).map(Some);
            }
        }
        match self.to.node(x).op.clone() {
            Op::Permute(perm) if perm == [1, 0] && left.len() == 2 => {
                let rows = self.to.node(x).args[0];
                self.outer(rows, y)
            }
            _ => Ok(None),
        }
    }

    /// `g' x` for g `[R, out]` and x `[R, in]`, of which one has few columns: a weight's gradient.
    fn outer(&mut self, g: NodeId, x: NodeId) -> Result<Option<NodeId>, OpError> {
        let width = |lowering: &Self, id: NodeId| lowering.to.shape(id).last().and_then(Dim::as_known);
        let (Some(out), Some(inner)) = (width(self, g), width(self, x)) else { return Ok(None) };
        let few = |count: i64, of: i64| (1..=NARROW).contains(&count) && (WIDE..=LONGEST).contains(&of);
        if !few(inner, out) && !few(out, inner) {
            return Ok(None);
        }
        let (g, x) = self.unflattened(g, x)?;
        let [g, x] = self.factors([g, x], true)?;
        let last = self.to.shape(g).len() - 1;
        let outer: Vec<usize> = (0..last).collect();
        // By columns of the narrow one: each is a line of the gradient.
        let (wide, narrow, count, dim) = if few(inner, out) { (g, x, inner, 1) } else { (x, g, out, 0) };
        let mut parts = Vec::new();
        for at in 0..count {
            let column = self.slice(narrow, last, at)?;
            let product = self.mul(wide, column)?;
            let line = self.sum(product, outer.clone(), false)?;
            let length = self.to.shape(line)[0].clone();
            let shape = if dim == 1 { vec![length, Dim::known(1)] } else { vec![Dim::known(1), length] };
            parts.push(self.reshape(line, shape)?);
        }
        self.cat(&parts, dim).map(Some)
    }

    /// Two matrices with the outer axes that one of them had before these were joined.
    fn unflattened(&mut self, g: NodeId, x: NodeId) -> Result<(NodeId, NodeId), OpError> {
        let before = |lowering: &Self, id: NodeId| -> Option<Shape> {
            let node = lowering.to.node(id);
            let inner = lowering.to.shape(*node.args.first().filter(|_| node.op == Op::Reshape)?);
            let kept = inner.last() == lowering.to.shape(id).last() && inner.len() > 2;
            kept.then(|| inner[..inner.len() - 1].to_vec())
        };
        let Some(outer) = before(self, x).or_else(|| before(self, g)) else { return Ok((g, x)) };
        let mut wide = |id: NodeId| {
            let last = self.to.shape(id).last().cloned().unwrap_or_default();
            self.reshape(id, outer.iter().cloned().chain([last]).collect())
        };
        Ok((wide(g)?, wide(x)?))
    }
}
