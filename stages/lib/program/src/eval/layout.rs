//! How tensors lie in memory, as far as a program can tell: `view` fails where `reshape` would copy.
//!
//! Only tensors that are not contiguous are kept track of, through the operations whose layout torch fixes (permute,
//! expand, slice, select, reshape, element-wise operations on one layout). Anything else counts as contiguous.

use graph::{Dim, NodeId, Op};

use super::Interp;

/// Strides of a contiguous tensor.
fn contiguous(shape: &[Dim]) -> Vec<Dim> {
    let mut stride = Dim::known(1);
    let mut out = Vec::with_capacity(shape.len());
    for size in shape.iter().rev() {
        out.push(stride.clone());
        stride = stride * size.clone();
    }
    out.reverse();
    out
}

/// Whether strides are those of a contiguous tensor, up to axes of size 1.
fn is_contiguous(shape: &[Dim], strides: &[Dim]) -> bool {
    let plain = contiguous(shape);
    shape.iter().zip(strides).zip(&plain).all(|((size, s), p)| size.is_known_one() || s == p)
}

/// The strides with which a tensor can be seen in another shape without a copy, if it can.
fn viewed(from: &[Dim], strides: &[Dim], to: &[Dim]) -> Option<Vec<Dim>> {
    let one = Dim::known(1);
    let mut base = strides.last().cloned().unwrap_or_else(|| one.clone());
    let (mut whole, mut part) = (one.clone(), one.clone());
    let mut out = vec![one.clone(); to.len()];
    let mut at = to.len();
    for d in (0..from.len()).rev() {
        whole = whole * from.get(d)?.clone();
        let ends = match d.checked_sub(1) {
            None => true,
            Some(before) => !from.get(before)?.is_known_one() && *strides.get(before)? != whole.clone() * base.clone(),
        };
        if !ends {
            continue;
        }
        while let Some(next) = at.checked_sub(1) {
            let size = to.get(next)?;
            if !(size.is_known_one() || (whole != part && whole.provably_ge(&part))) {
                break;
            }
            *out.get_mut(next)? = part.clone() * base.clone();
            part = part * size.clone();
            at = next;
        }
        if part != whole {
            return None;
        }
        if let Some(before) = d.checked_sub(1) {
            base = strides.get(before)?.clone();
            whole = one.clone();
            part = one.clone();
        }
    }
    (at == 0).then_some(out)
}

/// The strides of an element-wise result: contiguous, with the axes in the order of the argument's.
fn like(shape: &[Dim], strides: &[Dim]) -> Option<Vec<Dim>> {
    let mut order: Vec<usize> = (0..shape.len()).collect();
    // insertion sort by descending stride; what cannot be compared has no known layout
    for i in 1..order.len() {
        let mut j = i;
        while j > 0 {
            let (a, b) = (*order.get(j - 1)?, *order.get(j)?);
            let (x, y) = (strides.get(a)?, strides.get(b)?);
            if *x == Dim::known(0) || *y == Dim::known(0) {
                return None;
            }
            if x.provably_ge(y) {
                break;
            }
            if !y.provably_gt(x) {
                return None;
            }
            order.swap(j - 1, j);
            j -= 1;
        }
    }
    let mut out = vec![Dim::known(1); shape.len()];
    let mut stride = Dim::known(1);
    for &axis in order.iter().rev() {
        *out.get_mut(axis)? = stride.clone();
        stride = stride * shape.get(axis)?.clone();
    }
    Some(out)
}

impl Interp {
    fn strides(&self, id: NodeId) -> Vec<Dim> {
        self.layouts.get(&id.0).cloned().unwrap_or_else(|| contiguous(self.graph.shape(id)))
    }

    /// Notes the layout of a new node where it is not contiguous.
    pub fn note_layout(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        let strange = |id: &NodeId| self.layouts.contains_key(&id.0);
        let moves =
            matches!(node.op, Op::Permute(_) | Op::Expand | Op::Slice { .. } | Op::Select { .. } | Op::Diagonal { .. });
        if !moves && !node.args.iter().any(strange) {
            return;
        }
        if let Some(strides) = self.layout(id).filter(|s| !is_contiguous(self.graph.shape(id), s)) {
            self.layouts.insert(id.0, strides);
        }
    }

    fn layout(&self, id: NodeId) -> Option<Vec<Dim>> {
        let node = self.graph.node(id);
        let first = *node.args.first()?;
        let from = self.graph.shape(first);
        let strides = self.strides(first);
        match &node.op {
            Op::Permute(perm) => perm.iter().map(|p| strides.get(*p).cloned()).collect(),
            Op::Expand => {
                let added = node.shape.len().checked_sub(from.len())?;
                let one = |(i, to): (usize, &Dim)| match i.checked_sub(added) {
                    None => Some(Dim::known(0)),
                    Some(i) if from.get(i)?.is_known_one() && !to.is_known_one() => Some(Dim::known(0)),
                    Some(i) => strides.get(i).cloned(),
                };
                node.shape.iter().enumerate().map(one).collect()
            }
            Op::Slice { dim, step, .. } => {
                let mut out = strides;
                let stride = out.get_mut(*dim)?;
                *stride = stride.clone() * Dim::known(i64::try_from(*step).ok()?);
                Some(out)
            }
            Op::Select { dim, .. } => {
                let mut out = strides;
                if *dim < out.len() {
                    out.remove(*dim);
                }
                Some(out)
            }
            Op::Diagonal { dim1, dim2, .. } => {
                let both = strides.get(*dim1)?.clone() + strides.get(*dim2)?.clone();
                let kept = strides.iter().enumerate().filter(|(i, _)| i != dim1 && i != dim2).map(|(_, s)| s.clone());
                Some(kept.chain([both]).collect())
            }
            Op::Reshape => viewed(from, &strides, &node.shape),
            Op::Unary(_) | Op::Cast | Op::Detach => like(&node.shape, &strides),
            Op::Binary(_) => {
                let mut agreed: Option<Vec<Dim>> = None;
                for arg in &node.args {
                    let shape = self.graph.shape(*arg);
                    if shape.is_empty() {
                        continue;
                    }
                    if *shape != node.shape {
                        return None;
                    }
                    let own = like(shape, &self.strides(*arg))?;
                    if agreed.as_ref().is_some_and(|a| *a != own) {
                        return None;
                    }
                    agreed = Some(own);
                }
                agreed
            }
            _ => None,
        }
    }

    /// Whether a tensor can be seen in another shape without a copy.
    pub fn can_view(&self, id: NodeId, to: &[Dim]) -> bool {
        match self.layouts.get(&id.0) {
            None => true,
            Some(strides) => viewed(self.graph.shape(id), strides, to).is_some(),
        }
    }

    /// The same values, contiguous in memory.
    pub fn contiguous(&mut self, id: NodeId) -> super::R<NodeId> {
        if !self.layouts.contains_key(&id.0) {
            return Ok(id);
        }
        let (shape, dtype) = (self.graph.shape(id).clone(), self.graph.dtype(id));
        let out = self.push_as(Op::Reshape, &[id], shape, dtype)?;
        self.layouts.remove(&out.0);
        Ok(out)
    }
}
