//! Subscripts of tensors: integers, slices, `None`, `...`, masks and index tensors.

use std::rc::Rc;

use graph::{BinaryOp, DType, Dim, Init, NodeId, Op};

use super::arith::as_dim;
use super::storage::own_storage;
use super::tensor::is_part_of_leaf;
use super::value::{Data, Tensor, Value};
use super::{R, Run, Tracer};
use crate::rules::Rule;

/// One part of a subscript, in terms of the tensor's axes.
enum Part {
    New,
    All,
    Slice(Dim, Dim, usize),
    Select(Dim),
    Index(NodeId),
    Mask(NodeId),
}

/// The mask of a subscript that picks by nothing else, and the axes before it.
fn only_mask(parts: &[Part]) -> Option<(NodeId, usize)> {
    let before = parts.iter().take_while(|p| matches!(p, Part::All)).count();
    match parts.get(before..)? {
        [Part::Mask(mask), rest @ ..] if rest.iter().all(|p| matches!(p, Part::All)) => Some((*mask, before)),
        _ => None,
    }
}

impl Tracer {
    /// The parts of a subscript, and how many axes they use up.
    /// `reads`: whether elements are read, so that a mask that is known stands for the places where it is true.
    fn parts(&mut self, t: &Rc<Tensor>, index: &Value, reads: bool) -> R<Vec<Part>> {
        let items = match index {
            Value::Tuple(items) => items.to_vec(),
            one => vec![one.clone()],
        };
        let shape = self.shape_of(t);
        let mut used = 0;
        for item in &items {
            used += match item {
                Value::None | Value::Ellipsis | Value::Bool(_) => 0,
                Value::Tensor(i) if self.dtype_of(i) == DType::Bool => self.shape_of(i).len(),
                _ => 1,
            };
        }
        if used > shape.len() {
            return self
                .run
                .refuse(Rule::ShapeIndex, format!("{used} indices are too many for {}", graph::display(&shape)));
        }
        let mut parts = Vec::new();
        let mut axis = 0;
        let mut dots = false;
        for item in items {
            let size = shape.get(axis).cloned().unwrap_or_default();
            match item {
                Value::None => parts.push(Part::New),
                Value::Ellipsis if dots => {
                    return self.run.refuse(Rule::ShapeIndex, "'...' may stand once in an index");
                }
                Value::Ellipsis => {
                    dots = true;
                    for _ in 0..shape.len() - used {
                        parts.push(Part::All);
                        axis += 1;
                    }
                }
                Value::Slice(bounds) => {
                    if bounds.iter().all(|b| matches!(b, Value::None)) {
                        parts.push(Part::All);
                    } else {
                        let (start, end, step) = self.run.bounds(&bounds, &size)?;
                        parts.push(Part::Slice(start, end, step));
                    }
                    axis += 1;
                }
                Value::Int(_) | Value::Dim(_) => {
                    let d = as_dim(&item).unwrap_or_default();
                    let at = if Dim::known(0).provably_gt(&d) { size + d } else { d };
                    parts.push(Part::Select(at));
                    axis += 1;
                }
                Value::Tensor(i) => {
                    let id = self.node(&i)?;
                    match self.dtype(id) {
                        DType::Bool => {
                            let rank = self.rank(id);
                            let places = if reads { self.places_of_mask(id)? } else { None };
                            match places {
                                None => parts.push(Part::Mask(id)),
                                Some(places) => {
                                    let fits = |(size, of): (&Dim, &Dim)| size == of;
                                    let sizes = shape.iter().skip(axis).take(rank);
                                    if !sizes.zip(self.shape(id)).all(fits) {
                                        let (mask, whole) = (graph::display(self.shape(id)), graph::display(&shape));
                                        let text =
                                            format!("a mask of {mask} does not fit the axes of {whole} from {axis} on");
                                        return self.run.refuse(Rule::ShapeIndex, text);
                                    }
                                    for numbers in places {
                                        parts.push(self.places(numbers)?);
                                    }
                                }
                            }
                            axis += rank;
                        }
                        DType::Int => {
                            parts.push(Part::Index(id));
                            axis += 1;
                        }
                        DType::Float => {
                            return self.run.refuse(Rule::ShapeDtype, "a float tensor cannot be an index; use .long()");
                        }
                    }
                }
                Value::List(l) => {
                    let values = l.borrow().clone();
                    let is_bool = |v: &Value| matches!(v, Value::Bool(_));
                    if !values.is_empty() && values.iter().all(is_bool) {
                        if size.as_known() != i64::try_from(values.len()).ok() {
                            let text = format!("a mask of {} places does not fit an axis of size {size}", values.len());
                            return self.run.refuse(Rule::ShapeIndex, text);
                        }
                        let is_true = |(i, v): (usize, &Value)| matches!(v, Value::Bool(true)).then_some(i as f64);
                        let numbers = values.iter().enumerate().filter_map(is_true).collect();
                        parts.push(self.places(numbers)?);
                        axis += 1;
                        continue;
                    }
                    if values.iter().any(is_bool) {
                        let text = "a list of bools is a mask, not places; write out the places where it is True";
                        return self.run.refuse(Rule::UnsupportedMaskIndex, text);
                    }
                    let mut numbers = Vec::new();
                    for v in &values {
                        let i = as_dim(v).and_then(|d| d.as_known());
                        match (i, size.as_known()) {
                            (Some(i), Some(s)) if i < 0 => numbers.push((i + s) as f64),
                            (Some(i), _) if i >= 0 => numbers.push(i as f64),
                            _ => return self.run.refuse(Rule::UnsupportedOp, "this list is not supported as an index"),
                        }
                    }
                    let len = Dim::known(numbers.len() as i64);
                    let id = self.push_as(Op::Const(numbers), &[], vec![len], DType::Int)?;
                    parts.push(Part::Index(id));
                    axis += 1;
                }
                other => {
                    return self.run.type_fault(format!("a tensor cannot be indexed by {}", other.type_name()));
                }
            }
        }
        Ok(parts)
    }

    /// An index tensor of known places.
    fn places(&mut self, numbers: Vec<f64>) -> R<Part> {
        if numbers.is_empty() {
            return self
                .run
                .refuse(Rule::UnsupportedMaskIndex, "a mask that is true nowhere is not supported as an index");
        }
        self.run.allocate(numbers.len())?;
        let len = Dim::known(numbers.len() as i64);
        self.push_as(Op::Const(numbers), &[], vec![len], DType::Int).map(Part::Index)
    }

    /// Where a mask of constants is true, along each of its axes; nothing where it depends on more than whole numbers, of which
    /// alone it is sure what torch computes with them.
    fn places_of_mask(&mut self, id: NodeId) -> R<Option<Vec<Vec<f64>>>> {
        if self.rank(id) == 0 || !self.is_exact(id) {
            return Ok(None);
        }
        let Some(mask) = self.constant(id)? else { return Ok(None) };
        let values = match (&mask.init, mask.shape.as_slice()) {
            (Init::Eye, [rows, columns]) => {
                (0..rows * columns).map(|at| f64::from(u8::from(at / columns == at % columns))).collect()
            }
            _ => match mask.values() {
                Some(values) => values,
                None => return Ok(None),
            },
        };
        let mut places = vec![Vec::new(); mask.shape.len()];
        for at in values.iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(at, _)| at) {
            let mut rest = at;
            for (axis, size) in places.iter_mut().zip(&mask.shape).rev() {
                axis.push((rest % size.max(&1)) as f64);
                rest /= size.max(&1);
            }
        }
        Ok(Some(places))
    }

    /// Whether all that a node is computed from is whole, or moved about only.
    fn is_exact(&self, id: NodeId) -> bool {
        let is_whole = |v: &f64| v.fract() == 0.0 && v.abs() < f64::from(1 << 24);
        let mut open = vec![id];
        for _ in 0..256 {
            let Some(id) = open.pop() else { return true };
            let node = self.graph().node(id);
            let fits = match &node.op {
                Op::Input(_) | Op::Param(_) | Op::Random { .. } => false,
                Op::Scalar(v) | Op::Full(v) => is_whole(v),
                Op::Const(values) => values.iter().all(is_whole),
                Op::Arange { start, step } => is_whole(start) && is_whole(step),
                _ if node.dtype != DType::Float => true,
                Op::Eye
                | Op::Reshape
                | Op::Expand
                | Op::Permute(_)
                | Op::Slice { .. }
                | Op::Select { .. }
                | Op::Flip { .. }
                | Op::Roll { .. }
                | Op::Tril { .. }
                | Op::Triu { .. }
                | Op::Cast
                | Op::Cat { .. } => true,
                _ => false,
            };
            if !fits {
                return false;
            }
            open.extend(&node.args);
        }
        false
    }

    pub fn tensor_index(&mut self, t: &Rc<Tensor>, index: &Value) -> R<Value> {
        let parts = self.parts(t, index, true)?;
        let mut id = self.node(t)?;
        let mut axis = 0;
        // index tensors with the axes that they pick from, once all else is done
        let mut picks: Vec<(usize, NodeId)> = Vec::new();
        for part in &parts {
            match part {
                Part::New => {
                    id = self.unsqueeze(id, axis)?;
                    axis += 1;
                }
                Part::All => axis += 1,
                Part::Slice(start, end, step) => {
                    let size = self.shape(id).get(axis).cloned().unwrap_or_default();
                    if !(start.as_known() == Some(0) && *end == size && *step == 1) {
                        let (start, end) = (start.clone(), end.clone());
                        id = self.push(Op::Slice { dim: axis, start, end, step: *step }, &[id])?;
                    }
                    axis += 1;
                }
                Part::Select(at) => id = self.push(Op::Select { dim: axis, index: at.clone() }, &[id])?,
                Part::Index(i) => {
                    picks.push((axis, *i));
                    axis += 1;
                }
                Part::Mask(_) => {
                    let d = self.run.fault(
                        Rule::UnsupportedMaskIndex,
                        "a bool mask as an index gives a tensor whose size depends on values",
                    );
                    return Err(Box::new(d.help("use torch.where or masked_fill and keep the shape")));
                }
            }
        }
        if picks.is_empty() {
            return self.view_value(id, t);
        }
        let out = self.pick(id, &picks)?;
        Ok(self.tensor_value(out))
    }

    /// `x[..., i, j, ...]`: one element for each place of the index tensors, which are broadcast against each other. Their axes
    /// stand where the picked ones stood, or in front where those are apart.
    fn pick(&mut self, x: NodeId, picks: &[(usize, NodeId)]) -> R<NodeId> {
        if let [(dim, index)] = picks {
            return self.push(Op::IndexSelect { dim: *dim }, &[x, *index]);
        }
        let adjacent = picks.windows(2).all(|w| matches!(w, [a, b] if a.0 + 1 == b.0));
        let shape = self.shape(x).clone();
        let axes: Vec<usize> = picks.iter().map(|p| p.0).collect();
        let mut x = x;
        let mut start = axes.first().copied().unwrap_or(0);
        if !adjacent {
            let others = (0..shape.len()).filter(|i| !axes.contains(i));
            x = self.push(Op::Permute(axes.iter().copied().chain(others).collect()), &[x])?;
            start = 0;
        }
        // one axis instead of several: i * size of j + j
        let mut position: Option<NodeId> = None;
        for (axis, index) in picks {
            let size = shape.get(*axis).cloned().unwrap_or_default();
            let index = self.within(*index, &size)?;
            position = Some(match position {
                None => index,
                Some(before) => {
                    let size = self.push_as(Op::Size(size), &[], Vec::new(), DType::Int)?;
                    let rows = self.bin(BinaryOp::Mul, before, size)?;
                    self.bin(BinaryOp::Add, rows, index)?
                }
            });
        }
        let Some(position) = position else { return Ok(x) };
        let shape = self.shape(x).clone();
        let (head, rest) = shape.split_at(start);
        let (joined, tail) = rest.split_at(picks.len().min(rest.len()));
        let mut flat = head.to_vec();
        flat.push(graph::numel(joined));
        flat.extend_from_slice(tail);
        let dtype = self.dtype(x);
        let x = self.push_as(Op::Reshape, &[x], flat, dtype)?;
        self.push(Op::IndexSelect { dim: start }, &[x, position])
    }

    /// The same index, looked up in 0, 1, 2, ... where it is not evident that it stays below the size: so it is proven or refused.
    fn within(&mut self, index: NodeId, size: &Dim) -> R<NodeId> {
        let mut at = index;
        loop {
            let node = self.graph().node(at);
            match (&node.op, node.args.first()) {
                (Op::Reshape | Op::Expand | Op::Permute(_), Some(arg)) => at = *arg,
                (Op::Arange { start, step }, _)
                    if *start == 0.0 && *step == 1.0 && node.shape.first() == Some(size) =>
                {
                    return Ok(index);
                }
                _ => break,
            }
        }
        let places = self.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], vec![size.clone()], DType::Int)?;
        self.push(Op::IndexSelect { dim: 0 }, &[places, index])
    }

    pub fn unsqueeze(&mut self, id: NodeId, axis: usize) -> R<NodeId> {
        let mut shape = self.shape(id).clone();
        shape.insert(axis.min(shape.len()), Dim::known(1));
        let dtype = self.dtype(id);
        self.push_as(Op::Reshape, &[id], shape, dtype)
    }

    /// `t[index] = value`.
    pub fn tensor_set(&mut self, t: &Rc<Tensor>, index: &Value, value: Value) -> R<()> {
        if matches!(&*t.data.borrow(), Data::Leaf(_)) || is_part_of_leaf(t) {
            // a part of a parameter, while it is made
            let part = self.tensor_index(t, index)?;
            if let Value::Tensor(part) = &part
                && self.start_as(part, &value)?
            {
                return Ok(());
            }
            let text = "a parameter or buffer is changed in place inside the computation, or by an index tensor";
            return self.run.refuse(Rule::UnsupportedInit, text);
        }
        let literal = t.data.borrow().clone();
        if let Data::Literal(literal) = literal
            && literal.is_random()
        {
            return self.patch_random(t, literal, index, &value);
        }
        let parts = self.parts(t, index, false)?;
        let old = self.node(t)?;
        let dtype = self.dtype(old);
        self.continue_write();
        if let Value::Tensor(source) = &value
            && Rc::ptr_eq(&source.storage, &t.storage)
        {
            let target = self.tensor_index(t, index)?;
            if let Value::Tensor(target) = &target {
                self.run.no_overlap(target, &value)?;
            }
        }
        let Some(new) = self.operand(&value)? else {
            return self.run.type_fault(format!("a tensor's elements cannot become {}", value.type_name()));
        };
        let mut new = self.cast(new, dtype)?;
        // axes of one element in front mean nothing here
        while let Some((first, rest)) = self.shape(new).split_first()
            && first.is_known_one()
        {
            let rest = rest.to_vec();
            new = self.push_as(Op::Reshape, &[new], rest, dtype)?;
        }
        // through a mask that is known, more than one number can be written
        let is_mask = |p: &Part| matches!(p, Part::Mask(_));
        let parts = match parts.iter().any(is_mask) {
            true if only_mask(&parts).is_none() || !self.shape(new).is_empty() => {
                let known = self.parts(t, index, true)?;
                if known.iter().any(is_mask) { parts } else { known }
            }
            _ => parts,
        };
        if let Some((mask, axis)) = only_mask(&parts) {
            let mut mask = mask;
            for _ in 0..axis {
                mask = self.unsqueeze(mask, 0)?;
            }
            let (rank, have) = (self.rank(old), self.rank(mask));
            for axis in have..rank {
                mask = self.unsqueeze(mask, axis)?;
            }
            if !self.shape(new).is_empty() {
                return self.run.refuse(
                    Rule::UnsupportedMaskIndex,
                    "only numbers can be assigned through a mask; use torch.where",
                );
            }
            let out = self.push(Op::Where, &[mask, new, old])?;
            return self.finish_in_place(t, old, out);
        }
        if parts.iter().any(|p| matches!(p, Part::Index(_) | Part::Slice(_, _, 2..))) {
            let out = self.scattered(t, old, index, new)?;
            return self.finish_in_place(t, old, out);
        }
        let out = self.written(old, &parts, 0, new)?;
        self.finish_in_place(t, old, out)
    }

    /// Sets a part of a random tensor that parameters are to be made of.
    fn patch_random(
        &mut self,
        t: &Rc<Tensor>,
        mut literal: super::value::Literal,
        index: &Value,
        value: &Value,
    ) -> R<()> {
        let shape = self.shape_of(t);
        let flat = vec![graph::numel(&shape)];
        let places = self.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], flat, DType::Int)?;
        let places = self.push_as(Op::Reshape, &[places], shape, DType::Int)?;
        let numbered = Rc::new(Tensor::new(Data::Node(places), own_storage(places), false, t.span));
        let Value::Tensor(picked) = self.tensor_index(&numbered, index)? else {
            return self.run.type_fault("a tensor is needed");
        };
        let picked = self.node(&picked)?;
        let number = match value {
            Value::Int(i) => Some(*i as f64),
            Value::Float(f) => Some(*f),
            _ => None,
        };
        let (Some(places), Some(number)) = (self.constant(picked)?.and_then(|l| l.values()), number) else {
            let text = "of a random tensor, a part may be set to a number only";
            return self.run.refuse(Rule::UnsupportedInit, text);
        };
        let places: Vec<u32> = places.into_iter().map(|p| p as u32).collect();
        let count = literal.numel();
        let part = vec![places.len()];
        literal.init = super::literal::patched(literal.init, count, places, part, &graph::Init::Constant(number));
        *t.data.borrow_mut() = Data::Literal(literal);
        Ok(())
    }

    /// `x` with new values at the places that `index` picks: the places are numbered, picked in the same way, and written to.
    fn scattered(&mut self, t: &Rc<Tensor>, x: NodeId, index: &Value, new: NodeId) -> R<NodeId> {
        let (shape, dtype) = (self.shape(x).clone(), self.dtype(x));
        let flat = vec![graph::numel(&shape)];
        let places = self.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], flat.clone(), DType::Int)?;
        let places = self.push_as(Op::Reshape, &[places], shape.clone(), DType::Int)?;
        let numbered = Rc::new(Tensor::new(Data::Node(places), Rc::default(), false, t.span));
        let Value::Tensor(picked) = self.tensor_index(&numbered, index)? else {
            return self.run.type_fault("a tensor is needed");
        };
        let picked = self.node(&picked)?;
        let picked_shape = self.shape(picked).clone();
        let count = vec![graph::numel(&picked_shape)];
        let new = self.push_as(Op::Expand, &[new], picked_shape, dtype)?;
        let new = self.push_as(Op::Reshape, &[new], count.clone(), dtype)?;
        let picked = self.push_as(Op::Reshape, &[picked], count, DType::Int)?;
        let old = self.push_as(Op::Reshape, &[x], flat, dtype)?;
        let out = self.push(Op::Scatter { dim: 0 }, &[old, picked, new])?;
        self.push_as(Op::Reshape, &[out], shape, dtype)
    }

    /// `x` with the part that `parts` picks (from `axis` on) replaced by `new`.
    fn written(&mut self, x: NodeId, parts: &[Part], axis: usize, new: NodeId) -> R<NodeId> {
        let Some((part, rest)) = parts.split_first() else {
            let (shape, dtype) = (self.shape(x).clone(), self.dtype(x));
            // the value lines up with the picked axes; those picked by an integer are gone from it
            return self.push_as(Op::Expand, &[new], shape, dtype);
        };
        match part {
            Part::New | Part::Index(_) | Part::Mask(_) => self.run.refuse(
                Rule::UnsupportedInplace,
                "assigning through this index is not supported; use torch.where or torch.cat",
            ),
            Part::All => self.written(x, rest, axis + 1, new),
            Part::Slice(..) | Part::Select(_) => {
                let (start, end) = match part {
                    Part::Slice(start, end, 1) => (start.clone(), end.clone()),
                    Part::Select(at) => (at.clone(), at.clone() + Dim::known(1)),
                    _ => {
                        return self
                            .run
                            .refuse(Rule::UnsupportedInplace, "assigning to a slice with steps is not supported");
                    }
                };
                let middle =
                    self.push(Op::Slice { dim: axis, start: start.clone(), end: end.clone(), step: 1 }, &[x])?;
                let mut new = new;
                if matches!(part, Part::Select(_)) {
                    // give the value the axis that the integer took away, where the value reaches that far
                    let selects = rest.iter().filter(|p| matches!(p, Part::Select(_))).count();
                    let behind = self.rank(x) - axis - 1 - selects;
                    let rank = self.rank(new);
                    if rank > behind {
                        new = self.unsqueeze(new, rank - behind)?;
                    }
                }
                let middle = self.written(middle, rest, axis + 1, new)?;
                self.joined(x, axis, start, end, middle)
            }
        }
    }
}

impl Run {
    /// The bounds of a slice along an axis of `size`, as Python reads them.
    fn bounds(&self, parts: &[Value; 3], size: &Dim) -> R<(Dim, Dim, usize)> {
        let zero = Dim::known(0);
        let step = match &parts[2] {
            Value::None => 1,
            Value::Int(i) if *i > 0 => usize::try_from(*i).unwrap_or(1),
            Value::Int(_) => {
                return self.refuse(Rule::ShapeIndex, "tensors are sliced by positive steps only; use torch.flip");
            }
            other => return self.type_fault(format!("slices are made of integers, not {}", other.type_name())),
        };
        let bound = |v: &Value, default: &Dim| -> R<Dim> {
            let Some(d) = as_dim(v) else {
                return match v {
                    Value::None => Ok(default.clone()),
                    Value::Tensor(_) => {
                        self.refuse(Rule::UnsupportedItem, "slice bounds must not depend on the values of a tensor")
                    }
                    other => self.type_fault(format!("slices are made of integers, not {}", other.type_name())),
                };
            };
            let negative = zero.provably_gt(&d);
            let d = if negative { size.clone() + d } else { d };
            // beyond the ends Python cuts off
            if d.provably_ge(size) {
                return Ok(size.clone());
            }
            if zero.provably_ge(&d) {
                return Ok(zero.clone());
            }
            if !d.provably_ge(&zero) || !size.provably_ge(&d) {
                return self.refuse(
                    Rule::ShapeIndex,
                    format!("the bound {d} does not lie within an axis of size {size} for every B >= 1 and N >= 2"),
                );
            }
            Ok(d)
        };
        let start = bound(&parts[0], &zero)?;
        let end = bound(&parts[1], size)?;
        let end = if start.provably_ge(&end) { start.clone() } else { end };
        Ok((start, end, step))
    }
}
