//! How tensors lie in memory, as far as a program can tell: `view` fails where `reshape` would copy.
//!
//! Strides follow PyTorch's rules: views move them, element-wise operations keep the order of their arguments' axes (the sorting
//! of its tensor iterator), an einsum is a permuted batch product, most else is contiguous. Where the order depends on B and
//! N nothing is claimed, and `view` is refused unless it fits any layout.

use std::collections::BTreeMap;

use graph::{Dim, Graph, NodeId, Op, Shape};

/// Where the elements of a tensor that is not contiguous lie.
pub enum Layout {
    Strided(Vec<Dim>),
    Unknown,
}

/// Strides of a contiguous tensor.
fn contiguous(shape: &[Dim]) -> Vec<Dim> {
    let order: Vec<usize> = (0..shape.len()).collect();
    ordered(shape, &order)
}

/// Strides of a dense tensor whose axes lie in memory in the given order, the outermost first.
fn ordered(shape: &[Dim], order: &[usize]) -> Vec<Dim> {
    let mut stride = Dim::known(1);
    let mut out = vec![Dim::known(1); shape.len()];
    for &axis in order.iter().rev() {
        if let (Some(slot), Some(size)) = (out.get_mut(axis), shape.get(axis)) {
            *slot = stride.clone();
            stride = stride * size.clone();
        }
    }
    out
}

/// Whether strides are those of a contiguous tensor, up to axes of size 1.
fn is_contiguous(shape: &[Dim], strides: &[Dim]) -> bool {
    let plain = contiguous(shape);
    shape.iter().zip(strides).zip(&plain).all(|((size, s), p)| size.is_known_one() || s == p)
}

/// Whether every axis of `to` is a part of one of `from`: such a view fits any layout.
fn refines(from: &[Dim], to: &[Dim]) -> bool {
    let mut parts = to.iter().filter(|d| !d.is_known_one());
    from.iter().filter(|d| !d.is_known_one()).all(|whole| {
        let mut product = Dim::known(1);
        while product != *whole {
            let Some(part) = parts.next() else { return false };
            product = product * part.clone();
            if product != *whole && !whole.provably_gt(&product) {
                return false;
            }
        }
        true
    }) && parts.next().is_none()
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

/// How axis `inner` compares with `outer` in the tensor iterator's sorting: `Some(true)` where they must change places.
enum Order {
    Swap,
    Keep,
    Ambiguous,
    Unknown,
}

fn compare(shape: &[Dim], operands: &[Vec<Dim>], inner: usize, outer: usize) -> Order {
    let zero = Dim::known(0);
    for strides in operands {
        let (Some(x), Some(y)) = (strides.get(inner), strides.get(outer)) else { continue };
        if *x == zero || *y == zero {
            continue;
        }
        if x == y {
            let (Some(a), Some(b)) = (shape.get(inner), shape.get(outer)) else { continue };
            if a.provably_gt(b) {
                return Order::Swap;
            }
            if !b.provably_ge(a) {
                return Order::Unknown;
            }
        } else if y.provably_ge(x) {
            // they differ, so it is less for almost all sizes, and equal at most where an axis has one element
            return Order::Keep;
        } else if x.provably_ge(y) {
            return Order::Swap;
        } else {
            return Order::Unknown;
        }
    }
    Order::Ambiguous
}

/// The strides of an element-wise result, from those of the operands (0 where they are broadcast).
fn elementwise(shape: &[Dim], operands: &[Vec<Dim>]) -> Option<Vec<Dim>> {
    // axes of one element lie anywhere
    let mut order: Vec<usize> =
        (0..shape.len()).rev().filter(|i| !shape.get(*i).is_some_and(Dim::is_known_one)).collect();
    for i in 1..order.len() {
        let mut at = i;
        for before in (0..i).rev() {
            match compare(shape, operands, *order.get(before)?, *order.get(at)?) {
                Order::Swap => {
                    order.swap(before, at);
                    at = before;
                }
                Order::Keep => break,
                Order::Ambiguous => {}
                Order::Unknown => return None,
            }
        }
    }
    order.reverse();
    Some(ordered(shape, &order))
}

/// An operand's strides along the axes of a result that it is broadcast to.
fn broadcast(shape: &[Dim], strides: &[Dim], to: &[Dim]) -> Vec<Dim> {
    let added = to.len().saturating_sub(shape.len());
    let one = |(i, to): (usize, &Dim)| match i.checked_sub(added).and_then(|i| Some((shape.get(i)?, strides.get(i)?))) {
        Some((size, stride)) if !size.is_known_one() || to.is_known_one() => stride.clone(),
        _ => Dim::known(0),
    };
    to.iter().enumerate().map(one).collect()
}

/// Whether strides are those that torch calls channels last: the second axis innermost, of four or five.
fn channels_last(shape: &[Dim], strides: &[Dim]) -> bool {
    let order: &[usize] = match shape.len() {
        4 => &[0, 2, 3, 1],
        5 => &[0, 2, 3, 4, 1],
        _ => return false,
    };
    strides == ordered(shape, order).as_slice()
}

/// A tensor during an einsum: a stride and a size per letter, size 1 for letters that it does not have.
#[derive(Clone)]
struct Operand {
    sizes: Vec<Dim>,
    strides: Vec<Dim>,
}

impl Operand {
    fn has(&self, letter: usize) -> bool {
        self.sizes.get(letter).is_some_and(|s| !s.is_known_one())
    }

    /// Summed over some letters, which leaves a contiguous tensor.
    fn summed(mut self, letters: &[usize]) -> Self {
        if letters.is_empty() {
            return self;
        }
        for &letter in letters {
            if let Some(size) = self.sizes.get_mut(letter) {
                *size = Dim::known(1);
            }
        }
        self.strides = contiguous(&self.sizes);
        self
    }
}

/// The product of two operands of an einsum, summed over some letters: a batch product whose axes are the shared letters, those
/// of the left alone, the summed ones (of one element now), and the rest.
fn product(left: &Operand, right: &Operand, sum: &[usize]) -> Option<Operand> {
    let count = left.sizes.len();
    let size = |i: usize| if left.has(i) { left.sizes.get(i) } else { right.sizes.get(i) };
    let mut sizes: Vec<Dim> = (0..count).map(|i| size(i).cloned().unwrap_or_default()).collect();
    if sum.is_empty() {
        let own = |o: &Operand| broadcast(&o.sizes, &o.strides, &sizes);
        let strides = elementwise(&sizes, &[own(left), own(right)])?;
        return Some(Operand { sizes, strides });
    }
    let kept = |test: &dyn Fn(usize) -> bool| (0..count).filter(|i| !sum.contains(i) && test(*i)).collect::<Vec<_>>();
    let mut order = kept(&|i| left.has(i) && right.has(i));
    let (mut first, mut second) = (kept(&|i| left.has(i) && !right.has(i)), kept(&|i| !left.has(i)));
    // torch exchanges the operands where the right one's letters all stand before the left one's
    if let (Some(start), Some(end)) = (first.first(), second.last())
        && end < start
    {
        std::mem::swap(&mut first, &mut second);
    }
    order.extend(first);
    order.extend(sum);
    order.extend(second);
    for &letter in sum {
        *sizes.get_mut(letter)? = Dim::known(1);
    }
    let strides = ordered(&sizes, &order);
    Some(Operand { sizes, strides })
}

/// The strides of an einsum's result, as torch computes it: operands from left to right.
fn einsum(equation: &str, operands: &[(&Shape, Vec<Dim>)]) -> Option<Vec<Dim>> {
    let (inputs, output) = equation.split_once("->")?;
    let inputs: Vec<Vec<char>> = inputs.split(',').map(|p| p.chars().collect()).collect();
    let mut letters: Vec<char> = output.chars().collect();
    let shown = letters.len();
    let mut others: Vec<char> = inputs.iter().flatten().copied().filter(|c| !letters.contains(c)).collect();
    others.sort_unstable();
    others.dedup();
    letters.extend(others);
    let spread = |(names, (shape, strides)): (&Vec<char>, &(&Shape, Vec<Dim>))| -> Option<Operand> {
        let mut operand =
            Operand { sizes: vec![Dim::known(1); letters.len()], strides: vec![Dim::known(0); letters.len()] };
        for ((name, size), stride) in names.iter().zip(shape.iter()).zip(strides) {
            let at = letters.iter().position(|l| l == name)?;
            *operand.sizes.get_mut(at)? = size.clone();
            let slot = operand.strides.get_mut(at)?;
            *slot = slot.clone() + stride.clone();
        }
        Some(operand)
    };
    let mut rest = inputs.iter().zip(operands).map(spread).collect::<Option<Vec<_>>>()?.into_iter();
    let mut done = rest.next()?;
    let mut waiting: Vec<Operand> = rest.collect();
    if waiting.is_empty() && letters.len() > shown {
        done = done.summed(&(shown..letters.len()).collect::<Vec<_>>());
    }
    while !waiting.is_empty() {
        let next = waiting.remove(0);
        let last = |letter: &usize| !waiting.iter().any(|w| w.has(*letter));
        let ready: Vec<usize> = (shown..letters.len()).filter(last).collect();
        let both: Vec<usize> = ready.iter().copied().filter(|l| done.has(*l) && next.has(*l)).collect();
        let only =
            |x: &Operand, y: &Operand| ready.iter().copied().filter(|l| x.has(*l) && !y.has(*l)).collect::<Vec<_>>();
        let (a, b) = (only(&done, &next), only(&next, &done));
        done = product(&done.summed(&a), &next.summed(&b), &both)?;
    }
    done.strides.truncate(shown);
    Some(done.strides)
}

/// The layouts of the tensors that are not contiguous, by their nodes.
#[derive(Default)]
pub struct Layouts {
    of: BTreeMap<NodeId, Layout>,
}

impl Layouts {
    fn strides(&self, graph: &Graph, id: NodeId) -> Option<Vec<Dim>> {
        match self.of.get(&id) {
            None => Some(contiguous(graph.shape(id))),
            Some(Layout::Strided(strides)) => Some(strides.clone()),
            Some(Layout::Unknown) => None,
        }
    }

    /// Notes the layout of a new node where it is not contiguous.
    pub fn note(&mut self, graph: &Graph, id: NodeId) {
        let node = graph.node(id);
        let strange = |id: &NodeId| self.of.contains_key(id);
        let moves = matches!(
            node.op,
            Op::Permute(_) | Op::Expand | Op::Slice { .. } | Op::Select { .. } | Op::Diagonal { .. } | Op::Einsum(_)
        );
        if !moves && !node.args.iter().any(strange) {
            return;
        }
        match self.layout(graph, id) {
            None => {
                self.of.insert(id, Layout::Unknown);
            }
            Some(strides) if !is_contiguous(&node.shape, &strides) => {
                self.of.insert(id, Layout::Strided(strides));
            }
            Some(_) => {}
        }
    }

    /// The strides of a node, from those of its arguments.
    fn layout(&self, graph: &Graph, id: NodeId) -> Option<Vec<Dim>> {
        let node = graph.node(id);
        let first = *node.args.first()?;
        let from = graph.shape(first);
        let plain = || Some(contiguous(&node.shape));
        let spread = |id: &NodeId| Some(broadcast(graph.shape(*id), &self.strides(graph, *id)?, &node.shape));
        match &node.op {
            Op::Permute(perm) => {
                let strides = self.strides(graph, first)?;
                perm.iter().map(|p| strides.get(*p).cloned()).collect()
            }
            Op::Expand => spread(&first),
            Op::Slice { dim, step, .. } => {
                let mut out = self.strides(graph, first)?;
                let stride = out.get_mut(*dim)?;
                *stride = stride.clone() * Dim::known(i64::try_from(*step).ok()?);
                Some(out)
            }
            Op::Select { dim, .. } => {
                let mut out = self.strides(graph, first)?;
                if *dim < out.len() {
                    out.remove(*dim);
                }
                Some(out)
            }
            Op::Diagonal { dim1, dim2, .. } => {
                let strides = self.strides(graph, first)?;
                let both = strides.get(*dim1)?.clone() + strides.get(*dim2)?.clone();
                let kept = strides.iter().enumerate().filter(|(i, _)| i != dim1 && i != dim2).map(|(_, s)| s.clone());
                Some(kept.chain([both]).collect())
            }
            Op::Reshape => match self.strides(graph, first) {
                // where it cannot be a view it is a copy
                Some(strides) => viewed(from, &strides, &node.shape).or_else(plain),
                None => None,
            },
            Op::Detach => self.strides(graph, first),
            Op::Unary(_) | Op::Cast | Op::Binary(_) | Op::Where | Op::Sort { .. } | Op::Flip { .. } => {
                let operands = node.args.iter().map(spread).collect::<Option<Vec<_>>>()?;
                elementwise(&node.shape, &operands)
            }
            Op::Cat { .. } => {
                let last = |id: &NodeId| Some(channels_last(graph.shape(*id), &self.strides(graph, *id)?));
                let all = node.args.iter().map(last).collect::<Option<Vec<_>>>()?;
                let order: &[usize] = if node.shape.len() == 4 { &[0, 2, 3, 1] } else { &[0, 2, 3, 4, 1] };
                if all.iter().all(|l| *l) { Some(ordered(&node.shape, order)) } else { plain() }
            }
            // by an index tensor; a subscript keeps the order of the other axes, the function gives a contiguous tensor
            Op::IndexSelect { dim } => {
                let index = *node.args.get(1)?;
                let (strides, places) = (self.strides(graph, first)?, self.strides(graph, index)?);
                let still = |count: usize| std::iter::repeat_n(Dim::known(0), count);
                let (before, behind) = (strides.get(..*dim)?, strides.get(dim + 1..)?);
                let source = before.iter().cloned().chain(still(places.len())).chain(behind.iter().cloned());
                let source: Vec<Dim> = source.collect();
                let places = still(*dim).chain(places).chain(still(behind.len())).collect();
                elementwise(&node.shape, &[source, places]).filter(|strides| is_contiguous(&node.shape, strides))
            }
            Op::Einsum(equation) => {
                let operands = node
                    .args
                    .iter()
                    .map(|id| Some((graph.shape(*id), self.strides(graph, *id)?)))
                    .collect::<Option<Vec<_>>>()?;
                einsum(equation, &operands)
            }
            _ => plain(),
        }
    }

    /// Whether a tensor can be seen in another shape without a copy.
    pub fn can_view(&self, graph: &Graph, id: NodeId, to: &[Dim]) -> bool {
        match self.of.get(&id) {
            None => true,
            Some(Layout::Strided(strides)) => viewed(graph.shape(id), strides, to).is_some(),
            Some(Layout::Unknown) => refines(graph.shape(id), to),
        }
    }

    /// Whether the layout is known not to allow a view.
    pub fn must_copy(&self, graph: &Graph, id: NodeId, to: &[Dim]) -> bool {
        matches!(self.of.get(&id), Some(Layout::Strided(_))) && !self.can_view(graph, id, to)
    }

    /// Whether a value is contiguous.
    pub fn is_plain(&self, id: NodeId) -> bool {
        !self.of.contains_key(&id)
    }

    /// Whether it is not known how a value lies in memory.
    pub fn is_unknown(&self, id: NodeId) -> bool {
        matches!(self.of.get(&id), Some(Layout::Unknown))
    }

    /// States that torch makes this value contiguous, whatever its arguments are.
    pub fn plain(&mut self, id: NodeId) {
        self.of.remove(&id);
    }

    /// States that this value is a copy of another: dense, its axes in the same order.
    pub fn copied(&mut self, graph: &Graph, id: NodeId, from: NodeId) {
        self.of.remove(&id);
        if self.of.contains_key(&from) {
            let shape = graph.shape(id);
            let strides = self.strides(graph, from).and_then(|strides| elementwise(shape, &[strides]));
            match strides {
                Some(strides) if is_contiguous(shape, &strides) => {}
                Some(strides) => {
                    self.of.insert(id, Layout::Strided(strides));
                }
                None => {
                    self.of.insert(id, Layout::Unknown);
                }
            }
        }
    }

    /// States that a value lies in memory as another of its shape does.
    pub fn same(&mut self, id: NodeId, as_this: NodeId) {
        if id == as_this {
            return;
        }
        let layout = match self.of.get(&as_this) {
            Some(Layout::Strided(strides)) => Some(Layout::Strided(strides.clone())),
            Some(Layout::Unknown) => Some(Layout::Unknown),
            None => None,
        };
        match layout {
            Some(layout) => self.of.insert(id, layout),
            None => self.of.remove(&id),
        };
    }

    /// States that nothing is known of how this value lies in memory.
    pub fn forget(&mut self, id: NodeId) {
        self.of.insert(id, Layout::Unknown);
    }
}
