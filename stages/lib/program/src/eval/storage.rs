//! Memory that tensors share. A view holds the steps that lead to it from the tensor whose memory it is. A change through one
//! tensor gives the memory a new value, and the others are seen in that one from then on, as PyTorch's views are; gradients
//! follow, for the new value is made by operations that have one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use graph::{DType, Dim, NodeId, Op, Shape};

use super::saved::Write;
use super::value::{Data, Tensor, Value};
use super::{R, Run, Tracer};
use crate::diagnostic::Diagnostic;
use crate::rules::Rule;

/// The memory of a tensor and of its views.
#[derive(Default)]
pub struct Storage {
    /// The value of the whole.
    root: Cell<Option<NodeId>>,
    /// The values that its tensors have stood for since the last change.
    nodes: RefCell<Vec<NodeId>>,
    /// Grows with each change.
    version: Cell<u64>,
    /// The parameter or buffer whose memory it is.
    leaf: Cell<Option<usize>>,
    /// Whether some tensor either shares the memory or is a copy, depending on how the values lie there.
    unsure: Cell<bool>,
}

/// A step from a tensor to a view of it, behind those before.
pub struct View {
    before: Option<Rc<View>>,
    op: Op,
    shape: Shape,
    /// Whether it is one of several that one function of torch gives, which does not follow changes.
    of_several: bool,
}

impl Storage {
    /// Whether it is the memory of a parameter or buffer.
    pub fn is_of_leaf(&self) -> bool {
        self.leaf.get().is_some()
    }
}

impl View {
    /// The steps from the whole on.
    fn steps(last: Option<&Rc<Self>>) -> Vec<&Self> {
        let mut steps = Vec::new();
        let mut at = last;
        while let Some(view) = at {
            steps.push(&**view);
            at = view.before.as_ref();
        }
        steps.reverse();
        steps
    }
}

/// Whether two steps from one tensor never lead to a common element.
fn are_apart(x: &Op, y: &Op) -> bool {
    match (x, y) {
        (Op::Slice { dim: a, start: s, end: e, step: by }, Op::Slice { dim: b, start: t, end: f, step: by2 }) => {
            let beside = t.provably_ge(e) || s.provably_ge(f);
            let offset = (s.clone() - t.clone()).as_known();
            let between = by == by2 && *by > 1 && offset.is_some_and(|o| o % i64::try_from(*by).unwrap_or(1) != 0);
            a == b && (beside || between)
        }
        (Op::Select { dim: a, index: i }, Op::Select { dim: b, index: j }) => {
            a == b && (i.provably_gt(j) || j.provably_gt(i))
        }
        (Op::Slice { dim: a, start, end, .. }, Op::Select { dim: b, index })
        | (Op::Select { dim: b, index }, Op::Slice { dim: a, start, end, .. }) => {
            a == b && (start.provably_gt(index) || index.provably_ge(end))
        }
        _ => false,
    }
}

/// How two tensors of one memory lie to each other.
fn overlap(x: &Tensor, y: &Tensor) -> bool {
    let (a, b) = (View::steps(x.view.as_ref()), View::steps(y.view.as_ref()));
    let is_moving = |v: &&&View| !matches!(v.op, Op::Detach);
    let (mut a, mut b) = (a.iter().filter(is_moving), b.iter().filter(is_moving));
    loop {
        match (a.next(), b.next()) {
            // one and the same: each element is read before it is written
            (None, None) => return false,
            (Some(x), Some(y)) if x.op == y.op && x.shape == y.shape => {}
            (Some(x), Some(y)) => return !are_apart(&x.op, &y.op),
            _ => return true,
        }
    }
}

impl Tracer {
    /// A tensor that views the memory of another, where the operations from `base` to `id` give views; a tensor of its own where
    /// one of them copies.
    pub fn view_value(&mut self, id: NodeId, base: &Rc<Tensor>) -> R<Value> {
        self.view_among(id, base, false)
    }

    /// As [`Tracer::view_value`]; `several`: whether it is one of the views that a function such as `split` or `unbind` gives, whose
    /// memory torch lets nobody change in place while gradients flow through it.
    pub fn view_among(&mut self, id: NodeId, base: &Rc<Tensor>, several: bool) -> R<Value> {
        let data = base.data.borrow().clone();
        let from = match data {
            Data::Leaf(leaf) => {
                base.storage.leaf.set(Some(leaf));
                self.leaf_node(leaf)?
            }
            _ => self.node(base)?,
        };
        let id = self.without_gradient(id);
        let mut steps = Vec::new();
        if base.detached {
            steps.push((Op::Detach, self.shape(from).clone()));
        }
        let mut at = id;
        while at != from {
            let node = self.graph().node(at);
            let Some(&arg) = node.args.first().filter(|_| node.op.is_view()) else { return Ok(self.tensor_value(id)) };
            if node.op == Op::Reshape {
                if self.layouts.must_copy(self.graph(), arg, &node.shape) {
                    return Ok(self.tensor_value(id));
                }
                if !self.can_view(arg, &node.shape) {
                    base.storage.unsure.set(true);
                }
            }
            steps.push((node.op.clone(), node.shape.clone()));
            at = arg;
        }
        let mut view = base.view.clone();
        for (op, shape) in steps.into_iter().rev() {
            view = Some(Rc::new(View { before: view, op, shape, of_several: several }));
        }
        let storage = &base.storage;
        if storage.root.get().is_none() {
            storage.root.set(Some(from));
        }
        storage.nodes.borrow_mut().push(id);
        let seen = storage.version.get();
        let made = Tensor { view, ..Tensor::new(Data::Node(id), storage.clone(), false, self.run.here()) };
        made.seen.set(seen);
        Ok(Value::Tensor(Rc::new(made)))
    }

    /// The node of a tensor, seen anew where its memory has changed.
    pub fn current(&mut self, tensor: &Tensor, id: NodeId) -> R<NodeId> {
        let version = tensor.storage.version.get();
        let (true, Some(root)) = (tensor.seen.get() != version, tensor.storage.root.get()) else { return Ok(id) };
        let mut at = root;
        self.one_of_several(tensor, root)?;
        for step in View::steps(tensor.view.as_ref()) {
            at = self.step_to(step, at)?;
        }
        *tensor.data.borrow_mut() = Data::Node(at);
        tensor.seen.set(version);
        tensor.storage.nodes.borrow_mut().push(at);
        Ok(at)
    }

    /// Refuses what torch does not do with one of several views.
    fn one_of_several(&mut self, t: &Tensor, root: NodeId) -> R<()> {
        if View::steps(t.view.as_ref()).iter().any(|s| s.of_several) && self.has_gradient(root) {
            let text = "memory that split(), chunk(), unbind() or a loop over a tensor gave views of is changed in place, which torch refuses";
            return Err(self.run.in_place_fault(text, "index or narrow() instead, or change a copy"));
        }
        Ok(())
    }

    fn step_to(&mut self, step: &View, from: NodeId) -> R<NodeId> {
        let dtype = self.dtype(from);
        match step.op {
            Op::Reshape | Op::Expand => self.push_as(step.op.clone(), &[from], step.shape.clone(), dtype),
            _ => self.push(step.op.clone(), &[from]),
        }
    }

    /// Replaces what a tensor stands for, as an in-place operation does, for all that share its memory.
    pub fn replace(&mut self, t: &Rc<Tensor>, old: NodeId, id: NodeId) -> R<()> {
        const OUT_OF_PLACE: &str = "write x = x + y instead of x += y";
        let root = t.storage.root.get().unwrap_or(old);
        if t.storage.unsure.get() {
            let text = "this changes a tensor in place of which another one is a view or a copy, depending on sizes";
            return Err(self.run.in_place_fault(text, "make a copy first: x = x.clone()"));
        }
        match self.graph().node(root).op {
            Op::Input(_) => {
                let text = "this changes an input of forward in place, which its caller would see";
                return Err(self.run.in_place_fault(text, OUT_OF_PLACE));
            }
            _ if t.storage.leaf.get().is_some() => {
                let text = "a parameter or buffer is changed in place inside the computation";
                return Err(self.run.in_place_fault(text, "compute a new tensor from it instead"));
            }
            _ => {}
        }
        self.one_of_several(t, root)?;
        let steps = View::steps(t.view.as_ref());
        if steps.iter().any(|s| s.op == Op::Detach) && self.has_gradient(root) {
            let text = "this changes a tensor through .data or detach(), behind the back of the gradients";
            return Err(self.run.in_place_fault(text, OUT_OF_PLACE));
        }
        if self.no_grad() && self.has_gradient(root) {
            let text = "this changes a tensor without gradients, on which gradients depend";
            return Err(self.run.in_place_fault(text, "leave out torch.no_grad(), or compute a new tensor"));
        }
        let from = self.end_write();
        let whole = self.put(root, &steps, id)?;
        self.layouts.same(whole, root);
        let storage = &t.storage;
        storage.version.set(storage.version.get() + 1);
        storage.root.set(Some(whole));
        let now = if whole == id { vec![id] } else { vec![whole, id] };
        let nodes = storage.nodes.replace(now);
        let span = self.run.here();
        self.tape.note(Write { nodes, from, span });
        *t.data.borrow_mut() = Data::Node(id);
        t.seen.set(storage.version.get());
        Ok(())
    }

    /// `x` with the part to which `steps` lead replaced by `new`.
    fn put(&mut self, x: NodeId, steps: &[&View], new: NodeId) -> R<NodeId> {
        let Some((step, rest)) = steps.split_first() else { return Ok(new) };
        let inner = self.step_to(step, x)?;
        let new = self.put(inner, rest, new)?;
        let (shape, dtype) = (self.shape(x).clone(), self.dtype(x));
        match &step.op {
            Op::Detach => Ok(new),
            Op::Reshape => self.push_as(Op::Reshape, &[new], shape, dtype),
            Op::Expand if graph::numel(&shape) == graph::numel(&step.shape) => {
                self.push_as(Op::Reshape, &[new], shape, dtype)
            }
            Op::Expand => Err(self.run.in_place_fault(
                "this changes an expanded tensor in place, of which several elements are one place in memory",
                "make a copy first: x = x.clone()",
            )),
            Op::Permute(perm) => {
                let mut back = vec![0; perm.len()];
                for (to, from) in perm.iter().enumerate() {
                    if let Some(slot) = back.get_mut(*from) {
                        *slot = to;
                    }
                }
                self.push(Op::Permute(back), &[new])
            }
            Op::Select { dim, index } => {
                let new = self.unsqueeze(new, *dim)?;
                self.joined(x, *dim, index.clone(), index.clone() + Dim::known(1), new)
            }
            Op::Slice { dim, start, end, step: 1 } => self.joined(x, *dim, start.clone(), end.clone(), new),
            _ => {
                // the places are numbered, picked in the same way, and written to
                let flat = vec![graph::numel(&shape)];
                let places = self.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], flat.clone(), DType::Int)?;
                let places = self.push_as(Op::Reshape, &[places], shape.clone(), DType::Int)?;
                let picked = self.push(step.op.clone(), &[places])?;
                let count = vec![graph::numel(&step.shape)];
                let picked = self.push_as(Op::Reshape, &[picked], count.clone(), DType::Int)?;
                let new = self.push_as(Op::Reshape, &[new], count, dtype)?;
                let old = self.push_as(Op::Reshape, &[x], flat, dtype)?;
                let out = self.push(Op::Scatter { dim: 0 }, &[old, picked, new])?;
                self.push_as(Op::Reshape, &[out], shape, dtype)
            }
        }
    }

    /// `x` with `new` between `start` and `end` along an axis.
    pub fn joined(&mut self, x: NodeId, dim: usize, start: Dim, end: Dim, new: NodeId) -> R<NodeId> {
        let size = self.shape(x).get(dim).cloned().unwrap_or_default();
        let mut pieces = Vec::new();
        if start.as_known() != Some(0) {
            pieces.push(self.push(Op::Slice { dim, start: Dim::known(0), end: start, step: 1 }, &[x])?);
        }
        pieces.push(new);
        if end != size {
            pieces.push(self.push(Op::Slice { dim, start: end, end: size, step: 1 }, &[x])?);
        }
        if pieces.len() == 1 { Ok(new) } else { self.push(Op::Cat { dim }, &pieces) }
    }

    /// The leaf whose parameter or buffer a tensor views, with the places of the leaf's elements that it shows.
    pub fn viewed_leaf(&mut self, t: &Tensor) -> R<Option<PartOfLeaf>> {
        let Some(leaf) = t.storage.leaf.get() else { return Ok(None) };
        let Some(shape) = self.leaf(leaf).map(|l| l.shape.clone()) else { return Ok(None) };
        let steps: Vec<(Op, Shape)> =
            View::steps(t.view.as_ref()).iter().map(|s| (s.op.clone(), s.shape.clone())).collect();
        Ok(self.run.places(shape, &steps)?.map(|p| (leaf, p.shape, p.at)))
    }

    /// As [`Tracer::viewed_leaf`], for a node that moves and copies elements of a parameter only.
    pub fn moved_leaf(&mut self, id: NodeId) -> R<Option<PartOfLeaf>> {
        let mut steps = Vec::new();
        let mut at = id;
        loop {
            let node = self.graph().node(at);
            if let Some(param) = self.graph().param_of(at) {
                let Ok(leaf) = param.name.parse::<usize>() else { return Ok(None) };
                steps.reverse();
                return Ok(self.run.places(param.shape.clone(), &steps)?.map(|p| (leaf, p.shape, p.at)));
            }
            match node.args.first() {
                Some(arg) if node.op.is_view() => {
                    steps.push((node.op.clone(), node.shape.clone()));
                    at = *arg;
                }
                _ => return Ok(None),
            }
        }
    }
}

impl Run {
    fn in_place_fault(&self, text: &str, help: &str) -> Box<Diagnostic> {
        let d = self.fault(Rule::UnsupportedInplace, text);
        Box::new(d.help(help))
    }

    /// Refuses a change of `target` by values that lie in the same memory, but elsewhere: which of them are read before they are
    /// written is left open by torch, which raises where it notices.
    pub fn no_overlap(&self, target: &Tensor, value: &Value) -> R<()> {
        match value {
            Value::Tensor(source) if Rc::ptr_eq(&source.storage, &target.storage) && overlap(source, target) => Err(self
                .in_place_fault(
                    "this writes to the memory that it reads from, to other places: torch refuses it or the result depends on the order",
                    "read from a copy: x[:, 1:] += x[:, :-1].clone()",
                )),
            _ => Ok(()),
        }
    }

    fn places(&mut self, shape: Vec<usize>, steps: &[(Op, Shape)]) -> R<Option<Places>> {
        let count: usize = shape.iter().product();
        self.charge((count.saturating_mul(1 + steps.len())) as u64 / 4)?;
        let Ok(end) = u32::try_from(count) else { return Ok(None) };
        let mut places = Places { shape, at: (0..end).collect() };
        for (op, shape) in steps {
            match places.step(op, shape) {
                Some(next) => places = next,
                None => return Ok(None),
            }
        }
        Ok(Some(places))
    }
}

/// Notes what a tensor stands for from now on, the first time.
pub fn settle(tensor: &Tensor, id: NodeId) {
    *tensor.data.borrow_mut() = Data::Node(id);
    tensor.storage.root.set(Some(id));
    tensor.storage.nodes.borrow_mut().push(id);
}

/// A new tensor's memory.
pub fn own_storage(id: NodeId) -> Rc<Storage> {
    let storage = Storage::default();
    storage.root.set(Some(id));
    storage.nodes.borrow_mut().push(id);
    Rc::new(storage)
}

/// States that it depends on how values lie in memory whether something shares that of `tensor`.
pub fn may_be_shared(tensor: &Tensor) {
    tensor.storage.unsure.set(true);
}

impl Tensor {
    /// Whether it is the `.data` of a tensor, or a view behind `detach()`.
    pub fn is_detached(&self) -> bool {
        self.detached || View::steps(self.view.as_ref()).iter().any(|s| s.op == Op::Detach)
    }
}

/// A parameter or buffer by its index, and the shape and places of some of its elements.
pub type PartOfLeaf = (usize, Vec<usize>, Vec<u32>);

/// Places of elements in a row-major tensor of known size.
pub struct Places {
    pub shape: Vec<usize>,
    pub at: Vec<u32>,
}

impl Places {
    /// All elements of a tensor.
    pub fn all(shape: Vec<usize>) -> Option<Self> {
        let end = u32::try_from(shape.iter().product::<usize>()).ok()?;
        Some(Self { shape, at: (0..end).collect() })
    }

    /// What a view of these places shows; nothing where its size is not known.
    pub fn step(&self, op: &Op, shape: &[Dim]) -> Option<Self> {
        let known = |d: &Dim| d.as_known().and_then(|s| usize::try_from(s).ok());
        let to: Vec<usize> = shape.iter().map(known).collect::<Option<_>>()?;
        let count: usize = to.iter().product();
        let mut at = Vec::with_capacity(count);
        let mut index = vec![0_usize; to.len()];
        for _ in 0..count {
            let from: Vec<usize> = match op {
                Op::Detach => index.clone(),
                Op::Reshape => {
                    at.push(*self.at.get(at.len())?);
                    continue;
                }
                Op::Permute(perm) => {
                    let mut from = vec![0; perm.len()];
                    for (i, p) in perm.iter().enumerate() {
                        *from.get_mut(*p)? = *index.get(i)?;
                    }
                    from
                }
                Op::Expand => {
                    let added = to.len().checked_sub(self.shape.len())?;
                    let one =
                        |(i, size): (usize, &usize)| if *size == 1 { Some(0) } else { index.get(i + added).copied() };
                    self.shape.iter().enumerate().map(one).collect::<Option<_>>()?
                }
                Op::Slice { dim, start, step, .. } => {
                    let mut from = index.clone();
                    let slot = from.get_mut(*dim)?;
                    *slot = known(start)? + *slot * step;
                    from
                }
                Op::Select { dim, index: which } => {
                    let mut from = index.clone();
                    from.insert((*dim).min(from.len()), known(which)?);
                    from
                }
                Op::Diagonal { offset, dim1, dim2 } => {
                    let along = i64::try_from(*index.last()?).ok()?;
                    let (row, column) = (along + (-offset).max(0), along + (*offset).max(0));
                    let mut rest = index.iter().take(index.len() - 1).copied();
                    let one = |axis: usize| {
                        if axis == *dim1 {
                            usize::try_from(row).ok()
                        } else if axis == *dim2 {
                            usize::try_from(column).ok()
                        } else {
                            rest.next()
                        }
                    };
                    (0..self.shape.len()).map(one).collect::<Option<_>>()?
                }
                _ => return None,
            };
            let flat = from
                .iter()
                .zip(&self.shape)
                .try_fold(0_usize, |sum, (i, size)| (i < size).then_some(sum * size + i))?;
            at.push(*self.at.get(flat)?);
            for (slot, size) in index.iter_mut().zip(&to).rev() {
                *slot += 1;
                if *slot < *size {
                    break;
                }
                *slot = 0;
            }
        }
        Some(Self { shape: to, at })
    }
}
