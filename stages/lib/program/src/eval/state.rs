//! Python's state from one call of `forward` to the next. The graph is one for all calls, so a call must leave behind what it
//! found, and must not compute with sizes or tensors that an earlier call left behind.

use std::collections::BTreeMap;
use std::rc::Rc;

use graph::{DType, Dim, Graph, NodeId, Op, Span};

use super::storage::own_storage;
use super::value::{Class, Closure, Data, NativeClass, Object, Scope, ScopeKind, Source, Tensor, Value};
use super::{Interp, R, Run, Tracer};
use crate::rules::Rule;
use crate::syntax::Name;

/// A value as far as calls may differ in it.
#[derive(Clone, Debug, PartialEq)]
enum Atom {
    /// A value of this kind, which equals another one of the kind if their texts are equal.
    Plain(&'static str, String),
    Float(u64),
    Dim(Dim),
    /// A tensor that depends on the inputs: another one in every call.
    Fresh,
    /// A tensor of constants and parameters, by number.
    Constant(usize),
    /// Something that holds others, by its place in the picture.
    Held(usize),
}

/// Something that holds values.
struct Holder {
    /// Its address, by which changes of it are noted.
    address: usize,
    kind: String,
    slots: Vec<(String, Atom)>,
}

/// All state that a program can reach, at one moment.
#[derive(Default)]
pub struct Picture {
    holders: Vec<Holder>,
    known: BTreeMap<usize, usize>,
}

/// Equal numbers for nodes that compute the same, of inputs in the same places.
#[derive(Default)]
pub struct Numbers {
    classes: BTreeMap<String, usize>,
    of: BTreeMap<NodeId, usize>,
}

/// Name of an input that stands for what a call left behind.
const LEFT: &str = "left behind";

impl Numbers {
    /// The number of a node. What was put in the place of something that a call left behind is like nothing else.
    pub fn number(&mut self, graph: &Graph, id: NodeId) -> usize {
        let mut stack = vec![id];
        loop {
            let at = stack.last().copied().unwrap_or(id);
            if let Some(known) = self.of.get(&at) {
                stack.pop();
                if stack.is_empty() {
                    return *known;
                }
                continue;
            }
            let node = graph.node(at);
            let open: Vec<NodeId> = node.args.iter().copied().filter(|a| !self.of.contains_key(a)).collect();
            if !open.is_empty() {
                stack.extend(open);
                continue;
            }
            let args: Vec<usize> = node.args.iter().filter_map(|a| self.of.get(a).copied()).collect();
            let op = match node.op {
                Op::Input(i) => match graph.inputs().get(i as usize).map(|input| input.name.as_str()) {
                    Some(LEFT) | None => format!("left {i}"),
                    Some(name) => format!("input {name}"),
                },
                ref op => format!("{op:?}"),
            };
            let class = format!("{op} {args:?} {} {}", graph::display(&node.shape), node.dtype);
            let next = self.classes.len();
            let number = *self.classes.entry(class).or_insert(next);
            self.of.insert(at, number);
        }
    }
}

/// Where two pictures differ: the holder, the slot, and what was there before and after.
pub struct Difference {
    pub address: usize,
    pub slot: String,
}

impl Picture {
    /// The first difference between this and a later one.
    pub fn difference(&self, later: &Self) -> Option<Difference> {
        let mut seen = std::collections::BTreeSet::from([(0, 0)]);
        let mut stack = vec![(0, 0)];
        while let Some((a, b)) = stack.pop() {
            let (Some(x), Some(y)) = (self.holders.get(a), later.holders.get(b)) else { continue };
            let differs = |slot: &str| Difference { address: y.address, slot: slot.into() };
            if x.kind != y.kind {
                return Some(differs(""));
            }
            let mut after = y.slots.iter();
            for (slot, old) in &x.slots {
                let new = match after.as_slice().first() {
                    Some((name, _)) if name == slot => after.next().map(|s| &s.1),
                    _ => y.slots.iter().find(|s| s.0 == *slot).map(|s| &s.1),
                };
                match (old, new) {
                    (Atom::Held(a), Some(Atom::Held(b))) => {
                        if seen.insert((*a, *b)) {
                            stack.push((*a, *b));
                        }
                    }
                    (old, Some(new)) if old == new => {}
                    _ => return Some(differs(slot)),
                }
            }
            if y.slots.len() != x.slots.len() {
                let more = y.slots.iter().find(|s| !x.slots.iter().any(|o| o.0 == s.0));
                return Some(differs(more.map_or("", |s| &s.0)));
            }
        }
        None
    }
}

/// Where the second call changed something that may outlive it, by address and slot.
#[derive(Default)]
pub struct Changes {
    spans: BTreeMap<(usize, Option<Name>), Span>,
}

impl Changes {
    fn note(&mut self, address: usize, slot: Option<Name>, span: Span) {
        self.spans.insert((address, slot), span);
        self.spans.insert((address, None), span);
    }

    fn at(&self, difference: &Difference) -> Option<Span> {
        let of = |slot: Option<Name>| self.spans.get(&(difference.address, slot)).copied();
        of(Some(difference.slot.as_str().into())).or_else(|| of(None))
    }
}

impl Interp {
    /// What a call may have changed, of the module's names and of `root`.
    pub fn picture(&mut self, root: &Rc<Object>, numbers: &mut Numbers) -> R<Picture> {
        let mut picture = Picture::default();
        picture.holders.push(Holder { address: 0, kind: "program".into(), slots: Vec::new() });
        let globals = self.heap.globals.clone();
        let names = self.pictured_scope(&mut picture, &globals, numbers)?;
        let module = self.pictured(&mut picture, &Value::Object(root.clone()), numbers)?;
        if let Some(first) = picture.holders.first_mut() {
            first.slots = vec![("names".into(), names), ("module".into(), module)];
        }
        Ok(picture)
    }

    fn fill<'v>(
        &mut self,
        picture: &mut Picture,
        at: usize,
        values: impl Iterator<Item = (String, &'v Value)>,
        numbers: &mut Numbers,
    ) -> R<Atom> {
        let mut slots = Vec::new();
        for (name, value) in values {
            let atom = self.nested(|vm| vm.pictured(picture, value, numbers))?;
            slots.push((name, atom));
        }
        if let Some(holder) = picture.holders.get_mut(at) {
            holder.slots.extend(slots);
        }
        Ok(Atom::Held(at))
    }

    fn pictured_scope(&mut self, picture: &mut Picture, scope: &Rc<Scope>, numbers: &mut Numbers) -> R<Atom> {
        let (at, new) = self.tracer.run.place(picture, Rc::as_ptr(scope).addr(), "names".into())?;
        if !new {
            return Ok(Atom::Held(at));
        }
        let vars: Vec<(Name, Value)> = scope.vars.borrow().iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        self.fill(picture, at, vars.iter().map(|(n, v)| (n.to_string(), v)), numbers)?;
        if let Some(parent) = &scope.parent {
            let above = self.nested(|vm| vm.pictured_scope(picture, parent, numbers))?;
            if let Some(holder) = picture.holders.get_mut(at) {
                holder.slots.push(("$above".into(), above));
            }
        }
        Ok(Atom::Held(at))
    }

    fn pictured(&mut self, picture: &mut Picture, value: &Value, numbers: &mut Numbers) -> R<Atom> {
        let indexed = |items: &[Value]| -> Vec<(String, Value)> {
            items.iter().enumerate().map(|(i, v)| (i.to_string(), v.clone())).collect()
        };
        let (address, kind, slots) = match value {
            Value::Float(f) => return Ok(Atom::Float(f.to_bits())),
            Value::Dim(d) => return Ok(Atom::Dim(d.clone())),
            Value::Number(id) => return Ok(self.tracer.pictured_node(*id, numbers)),
            Value::Tensor(t) => return self.tracer.pictured_tensor(t, numbers),
            Value::Int(i) => return Ok(Atom::Plain("int", i.to_string())),
            Value::Bool(b) => return Ok(Atom::Plain("bool", b.to_string())),
            Value::Str(s) => return Ok(Atom::Plain("str", s.to_string())),
            Value::Native(n) => return Ok(Atom::Plain("function", n.names.to_string())),
            Value::Module(name) => return Ok(Atom::Plain("module", name.to_string())),
            Value::DType(t) => return Ok(Atom::Plain("dtype", t.name.to_string())),
            Value::Range(a, b, c) => return Ok(Atom::Plain("range", format!("{a} {b} {c}"))),
            Value::Context(c) => return Ok(Atom::Plain("context", format!("{c:?}"))),
            Value::None | Value::Ellipsis | Value::Device | Value::Typing => {
                return Ok(Atom::Plain("constant", value.type_name()));
            }
            Value::Tuple(items) => (Rc::as_ptr(items).addr(), "tuple".into(), indexed(items)),
            Value::Named(named) => (Rc::as_ptr(named).addr(), "tuple".into(), indexed(&named.1)),
            Value::List(items) => (Rc::as_ptr(items).addr(), "list".into(), indexed(&items.borrow())),
            Value::Iter(it) => return self.pictured_iterator(picture, it, numbers),
            Value::View(view) => (Rc::as_ptr(view).addr(), view.type_name().into(), indexed(&[view.whole()])),
            Value::Slice(parts) => (Rc::as_ptr(parts).addr(), "slice".into(), indexed(parts.as_ref())),
            Value::Dict(dict) | Value::Set(dict) => {
                let mut slots = Vec::new();
                for (name, value) in dict.borrow().items() {
                    let key = match &name {
                        Value::Str(_) | Value::Int(_) | Value::Bool(_) => self.repr_of(&name)?,
                        other => format!("{} {}", slots.len(), other.type_name()),
                    };
                    slots.push((key, value));
                }
                (Rc::as_ptr(dict).addr(), value.type_name(), slots)
            }
            Value::Function(f) => return self.pictured_function(picture, f, numbers),
            Value::Class(class) => return self.pictured_class(picture, class, numbers),
            Value::Object(object) => return self.pictured_object(picture, object, numbers),
            Value::Bound(pair) => {
                (Rc::as_ptr(pair).addr(), "method".into(), indexed(&[pair.0.clone(), pair.1.clone()]))
            }
            Value::Property(p) => (Rc::as_ptr(p).addr(), "property".into(), indexed(std::slice::from_ref(&p.get))),
            Value::StaticMethod(f) | Value::ClassMethod(f) => {
                (Rc::as_ptr(f).addr(), "method".into(), indexed(&[(**f).clone()]))
            }
            Value::Super(pair) => (Rc::as_ptr(pair).addr(), "super".into(), indexed(std::slice::from_ref(&pair.1))),
            Value::Partial(p) | Value::PartialMethod(p) => {
                let mut slots = indexed(&p.1);
                slots.extend(p.2.iter().map(|(n, v)| (n.to_string(), v.clone())));
                slots.push(("function".into(), p.0.clone()));
                (Rc::as_ptr(p).addr(), "partial".into(), slots)
            }
        };
        let (at, new) = self.tracer.run.place(picture, address, kind)?;
        if !new {
            return Ok(Atom::Held(at));
        }
        self.fill(picture, at, slots.iter().map(|(n, v)| (n.clone(), v)), numbers)
    }

    fn pictured_iterator(&mut self, picture: &mut Picture, it: &Source, numbers: &mut Numbers) -> R<Atom> {
        let (at, new) = self.tracer.run.place(picture, Rc::as_ptr(it).addr(), it.borrow().position())?;
        if !new {
            return Ok(Atom::Held(at));
        }
        let own: Vec<Value> = it.borrow_mut().values().into_iter().map(|v| v.clone()).collect();
        let wholes = it.borrow().wholes();
        let (inside, scope) = it.borrow().inside();
        let all: Vec<Value> = own.into_iter().chain(wholes).chain(inside.into_iter().map(Value::Iter)).collect();
        self.fill(picture, at, all.iter().enumerate().map(|(i, v)| (i.to_string(), v)), numbers)?;
        if let Some(scope) = scope {
            let scope = self.nested(|vm| vm.pictured_scope(picture, &scope, numbers))?;
            if let Some(holder) = picture.holders.get_mut(at) {
                holder.slots.push(("$scope".into(), scope));
            }
        }
        Ok(Atom::Held(at))
    }

    fn pictured_function(&mut self, picture: &mut Picture, f: &Rc<Closure>, numbers: &mut Numbers) -> R<Atom> {
        let kind = format!("function {}", Rc::as_ptr(&f.code).addr());
        let (at, new) = self.tracer.run.place(picture, Rc::as_ptr(f).addr(), kind)?;
        if !new {
            return Ok(Atom::Held(at));
        }
        let defaults: Vec<Value> = f.defaults.iter().flatten().cloned().collect();
        self.fill(picture, at, defaults.iter().enumerate().map(|(i, v)| (i.to_string(), v)), numbers)?;
        if !matches!(f.scope.kind, ScopeKind::Module) {
            let scope = self.nested(|vm| vm.pictured_scope(picture, &f.scope, numbers))?;
            if let Some(holder) = picture.holders.get_mut(at) {
                holder.slots.push(("$scope".into(), scope));
            }
        }
        Ok(Atom::Held(at))
    }

    fn pictured_class(&mut self, picture: &mut Picture, class: &Rc<Class>, numbers: &mut Numbers) -> R<Atom> {
        if !matches!(class.native, NativeClass::No) {
            return Ok(Atom::Plain("class", class.name.to_string()));
        }
        let (at, new) = self.tracer.run.place(picture, Rc::as_ptr(class).addr(), format!("class {}", class.name))?;
        if !new {
            return Ok(Atom::Held(at));
        }
        let attrs: Vec<(Name, Value)> = class.attrs.borrow().iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        self.fill(picture, at, attrs.iter().map(|(n, v)| (n.to_string(), v)), numbers)
    }

    fn pictured_object(&mut self, picture: &mut Picture, object: &Rc<Object>, numbers: &mut Numbers) -> R<Atom> {
        let kind = format!("object {}", object.class.name);
        let (at, new) = self.tracer.run.place(picture, Rc::as_ptr(object).addr(), kind)?;
        if !new {
            return Ok(Atom::Held(at));
        }
        let mut slots: Vec<(String, Value)> =
            object.attrs.borrow().iter().map(|(n, v)| (n.to_string(), v.clone())).collect();
        slots.push(("$class".into(), Value::Class(object.class.clone())));
        if let Some(state) = object.module.borrow().as_ref() {
            let tensor = |t: &Option<Rc<Tensor>>| t.clone().map_or(Value::None, Value::Tensor);
            slots.extend(state.params.iter().map(|p| (p.0.to_string(), tensor(&p.1))));
            slots.extend(state.buffers.iter().map(|b| (b.0.to_string(), tensor(&b.1))));
            let child = |c: &Option<Rc<Object>>| c.clone().map_or(Value::None, Value::Object);
            slots.extend(state.children.iter().map(|c| (c.0.to_string(), child(&c.1))));
        }
        self.fill(picture, at, slots.iter().map(|(n, v)| (n.clone(), v)), numbers)
    }

    /// Notes where something that may outlive the call is changed.
    pub fn note_change(&mut self, address: usize, slot: Option<&str>) {
        if self.tracer.phase() == super::Phase::Second {
            let span = self.here();
            self.changes.note(address, slot.map(Into::into), span);
        }
    }

    /// Where a difference between two calls was made.
    pub fn changed_at(&self, difference: &Difference) -> Option<Span> {
        self.changes.at(difference)
    }

    /// Puts other sizes, and tensors of other sizes, in the place of all that a call left behind and that depends on B and N.
    /// Gives whether there was any.
    pub fn spoil(&mut self, root: &Rc<Object>) -> R<bool> {
        let mut seen = std::collections::BTreeSet::new();
        let globals = self.heap.globals.clone();
        let names = self.tracer.spoil_scope(&globals, &mut seen)?;
        let module = self.tracer.spoiled(&Value::Object(root.clone()), &mut seen)?;
        Ok(names || module.1)
    }
}

impl Tracer {
    fn pictured_node(&mut self, id: NodeId, numbers: &mut Numbers) -> Atom {
        if self.has_input(id) { Atom::Fresh } else { Atom::Constant(numbers.number(self.graph(), id)) }
    }

    fn pictured_tensor(&mut self, t: &Tensor, numbers: &mut Numbers) -> R<Atom> {
        let data = t.data.borrow().clone();
        Ok(match data {
            Data::Node(_) => {
                let id = self.node(t)?;
                self.pictured_node(id, numbers)
            }
            Data::Leaf(leaf) => Atom::Plain("parameter", leaf.to_string()),
            Data::Literal(l) => Atom::Plain("tensor", format!("{:?} {:?}", l.shape, l.init)),
        })
    }

    fn spoil_scope(&mut self, scope: &Rc<Scope>, seen: &mut Seen) -> R<bool> {
        if !seen.insert(Rc::as_ptr(scope).addr()) {
            return Ok(false);
        }
        let vars: Vec<(Name, Value)> = scope.vars.borrow().iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        let mut any = false;
        for (name, value) in vars {
            let (new, hit) = self.nested(|tracer| tracer.spoiled(&value, seen))?;
            any |= hit;
            if let Some(new) = new {
                scope.vars.borrow_mut().insert(name, new);
            }
        }
        match &scope.parent {
            Some(parent) => Ok(self.nested(|tracer| tracer.spoil_scope(parent, seen))? || any),
            None => Ok(any),
        }
    }

    fn spoiled_all(&mut self, items: &[Value], seen: &mut Seen) -> R<(Option<Vec<Value>>, bool)> {
        let (mut out, mut any, mut new) = (Vec::with_capacity(items.len()), false, false);
        for item in items {
            let (other, hit) = self.nested(|tracer| tracer.spoiled(item, seen))?;
            any |= hit;
            new |= other.is_some();
            out.push(other.unwrap_or_else(|| item.clone()));
        }
        Ok((new.then_some(out), any))
    }

    /// What stands in the place of a value, if it is another one, and whether anything in it was spoiled.
    fn spoiled(&mut self, value: &Value, seen: &mut Seen) -> R<(Option<Value>, bool)> {
        self.run.step()?;
        let is_sized = |d: &Dim| d.as_known().is_none();
        Ok(match value {
            Value::Dim(d) if is_sized(d) => (Some(Value::Dim(d.clone() + Dim::known(1))), true),
            Value::Number(_) => {
                let id = self.input(LEFT, Vec::new(), DType::Float);
                (Some(Value::Number(id)), true)
            }
            Value::Tensor(t) => {
                let data = t.data.borrow().clone();
                let shape = self.shape_of(t);
                let (Data::Node(_), true) = (data, shape.iter().any(is_sized)) else { return Ok((None, false)) };
                let longer = |d: &Dim| if is_sized(d) { d.clone() + Dim::known(1) } else { d.clone() };
                let other = shape.iter().map(longer).collect();
                let dtype = self.dtype_of(t);
                let id = self.input(LEFT, other, dtype);
                let span = t.span;
                (Some(Value::Tensor(Rc::new(Tensor::new(Data::Node(id), own_storage(id), false, span)))), true)
            }
            Value::Tuple(items) => {
                let (new, any) = self.spoiled_all(items, seen)?;
                (new.map(Value::tuple), any)
            }
            Value::Named(named) => {
                let (new, any) = self.spoiled_all(&named.1, seen)?;
                (new.map(|items| Value::Named(Rc::new((named.0, items)))), any)
            }
            Value::List(items) if seen.insert(Rc::as_ptr(items).addr()) => {
                let old = items.borrow().clone();
                let (new, any) = self.spoiled_all(&old, seen)?;
                if let Some(new) = new {
                    *items.borrow_mut() = new;
                }
                (None, any)
            }
            Value::Dict(dict) if seen.insert(Rc::as_ptr(dict).addr()) => {
                let entries: Vec<_> = dict.borrow().entries.values().cloned().collect();
                let mut any = false;
                for (key, name, value) in entries {
                    let (new, hit) = self.nested(|tracer| tracer.spoiled(&value, seen))?;
                    any |= hit;
                    if let Some(new) = new {
                        dict.borrow_mut().insert(key, name, new);
                    }
                }
                (None, any)
            }
            Value::Object(object) if seen.insert(Rc::as_ptr(object).addr()) => {
                let attrs: Vec<(Name, Value)> =
                    object.attrs.borrow().iter().map(|(n, v)| (n.clone(), v.clone())).collect();
                let mut any = false;
                for (name, value) in attrs {
                    let (new, hit) = self.nested(|tracer| tracer.spoiled(&value, seen))?;
                    any |= hit;
                    if let Some(new) = new {
                        object.attrs.borrow_mut().insert(name, new);
                    }
                }
                let children: Vec<Rc<Object>> =
                    object.module.borrow().iter().flat_map(|s| &s.children).filter_map(|c| c.1.clone()).collect();
                for child in children {
                    any |= self.nested(|tracer| tracer.spoiled(&Value::Object(child.clone()), seen))?.1;
                }
                let (_, hit) = self.nested(|tracer| tracer.spoiled(&Value::Class(object.class.clone()), seen))?;
                (None, any || hit)
            }
            Value::Class(class) if matches!(class.native, NativeClass::No) && seen.insert(Rc::as_ptr(class).addr()) => {
                let attrs: Vec<(Name, Value)> =
                    class.attrs.borrow().iter().map(|(n, v)| (n.clone(), v.clone())).collect();
                let mut any = false;
                for (name, value) in attrs {
                    let (new, hit) = self.nested(|tracer| tracer.spoiled(&value, seen))?;
                    any |= hit;
                    if let Some(new) = new {
                        class.attrs.borrow_mut().insert(name, new);
                    }
                }
                (None, any)
            }
            Value::Function(f) if seen.insert(Rc::as_ptr(f).addr()) => {
                let defaults: Vec<Value> = f.defaults.iter().flatten().cloned().collect();
                let (_, any) = self.spoiled_all(&defaults, seen)?;
                let hit = self.nested(|tracer| tracer.spoil_scope(&f.scope, seen))?;
                (None, any || hit)
            }
            Value::Iter(it) if seen.insert(Rc::as_ptr(it).addr()) => {
                let own: Vec<Value> = it.borrow_mut().values().into_iter().map(|v| v.clone()).collect();
                let (new, mut any) = self.spoiled_all(&own, seen)?;
                for (slot, new) in it.borrow_mut().values().into_iter().zip(new.into_iter().flatten()) {
                    *slot = new;
                }
                let wholes = it.borrow().wholes();
                any |= self.spoiled_all(&wholes, seen)?.1;
                let (inside, scope) = it.borrow().inside();
                for source in inside {
                    any |= self.nested(|tracer| tracer.spoiled(&Value::Iter(source), seen))?.1;
                }
                if let Some(scope) = scope {
                    any |= self.nested(|tracer| tracer.spoil_scope(&scope, seen))?;
                }
                (None, any)
            }
            Value::View(view) => (None, self.spoiled(&view.whole(), seen)?.1),
            Value::StaticMethod(f) | Value::ClassMethod(f) => (None, self.spoiled(f, seen)?.1),
            Value::Property(p) => (None, self.spoiled(&p.get, seen)?.1),
            Value::Bound(pair) => {
                let first = self.spoiled(&pair.0, seen)?.1;
                (None, self.spoiled(&pair.1, seen)?.1 || first)
            }
            Value::Partial(p) | Value::PartialMethod(p) => {
                let (_, mut any) = self.spoiled_all(&p.1, seen)?;
                for (_, value) in &p.2 {
                    any |= self.spoiled(value, seen)?.1;
                }
                (None, self.spoiled(&p.0, seen)?.1 || any)
            }
            _ => (None, false),
        })
    }
}

impl Run {
    /// A place in the picture, and whether what it holds is still to be looked at.
    fn place(&mut self, picture: &mut Picture, address: usize, kind: String) -> R<(usize, bool)> {
        self.step()?;
        if let Some(known) = picture.known.get(&address) {
            return Ok((*known, false));
        }
        let at = picture.holders.len();
        picture.known.insert(address, at);
        picture.holders.push(Holder { address, kind, slots: Vec::new() });
        Ok((at, true))
    }

    /// A call that leaves state behind.
    pub fn stateful<T>(&mut self, span: Span, message: impl Into<String>) -> R<T> {
        self.move_to(span);
        let d = self.fault(Rule::Stateful, message);
        Err(Box::new(d.help(
            "compute from the inputs, settings and parameters alone, and keep nothing from one call to the next",
        )))
    }
}

/// Addresses of what was met.
type Seen = std::collections::BTreeSet<usize>;
