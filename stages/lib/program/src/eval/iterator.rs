//! Iterators: how far each has come, and how it gives its next item. Nothing is computed before it is asked for, as in Python.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use super::container::{Listing, container_items, container_len};
use super::generator::{Expression, Suspended};
use super::iteration::Tool;
use super::named_tuple::tuple_items;
use super::value::{Dict, DictView, Object, Part, Scope, Source, Value, Viewed};
use super::{Interp, R};
use crate::rules::Rule;

/// What is left of an iterator.
pub enum Iter {
    /// At its end, for good.
    Done,
    /// One that runs now; whether it is a generator.
    Running(bool),
    /// Items that are known, and the name of its type.
    Given(&'static str, VecDeque<Value>),
    /// A list, which may change meanwhile, from a place on.
    List {
        list: Rc<RefCell<Vec<Value>>>,
        at: usize,
    },
    /// A list from a place back to its front.
    ListBack {
        list: Rc<RefCell<Vec<Value>>>,
        left: usize,
    },
    Range {
        next: i64,
        step: i64,
        left: i64,
    },
    Entries(Entries),
    Held(Held),
    /// Items of an object by their indices, from the last to the first.
    Backward {
        object: Rc<Object>,
        left: usize,
    },
    Listing(Box<Listing>),
    Enumerate {
        source: Source,
        count: i64,
    },
    Zip {
        sources: Vec<Source>,
        strict: bool,
    },
    Map {
        function: Value,
        sources: Vec<Source>,
    },
    /// What a test lets pass; without a test, what is true.
    Filter {
        test: Value,
        source: Source,
    },
    Expression(Box<Expression>),
    Function(Box<Suspended>),
    Tool(Box<Tool>),
}

/// What is left of the entries of a dict or set, which must keep its keys meanwhile.
pub struct Entries {
    dict: Rc<RefCell<Dict>>,
    part: Part,
    is_set: bool,
    backward: bool,
    /// The number of the last entry that was given.
    last: Option<u64>,
    /// How many entries there were at the beginning; too many after a fault.
    len: usize,
    changes: u64,
    /// For a set, the items in Python's order.
    order: VecDeque<Value>,
}

/// What is left of what a module or container holds.
pub struct Held {
    object: Rc<Object>,
    part: Part,
    at: usize,
    /// How many there were at the beginning.
    len: usize,
    /// Whether none may come or go meanwhile.
    fixed: bool,
    /// The layers that were given, where each is given once.
    seen: Option<BTreeSet<usize>>,
    name: &'static str,
}

impl Held {
    /// The children of a module, each once, as `children` and `named_children` give them.
    pub fn children(object: Rc<Object>, part: Part) -> Self {
        let len = object.module.borrow().as_ref().map_or(0, |s| s.children.len());
        Self { object, part, at: 0, len, fixed: true, seen: Some(BTreeSet::new()), name: "generator" }
    }

    /// The parameters of a `ParameterDict`.
    pub fn parameters(object: Rc<Object>, part: Part) -> Self {
        let len = container_len(&object).unwrap_or(0);
        Self { object, part, at: 0, len, fixed: true, seen: None, name: "generator" }
    }

    fn next(&mut self) -> Advance {
        let state = self.object.module.borrow();
        let Some(state) = state.as_ref() else { return Advance::End };
        let of_params = self.object.class.layer().is_some_and(|l| l.container.starts_with("Parameter"));
        let now = if of_params { state.params.len() } else { state.children.len() };
        if self.fixed && now != self.len {
            self.len = usize::MAX;
            return Advance::Resized("dictionary");
        }
        while self.at < self.len {
            let found = if of_params {
                state.params.get(self.at).map(|p| (p.0.clone(), p.1.clone().map_or(Value::None, Value::Tensor)))
            } else {
                state.children.get(self.at).map(|c| (c.0.clone(), c.1.clone().map_or(Value::None, Value::Object)))
            };
            let Some((name, value)) = found else { return Advance::Shrunk };
            self.at += 1;
            if let Some(seen) = &mut self.seen {
                match value.identity() {
                    Some(address) if seen.insert(address) => {}
                    _ => continue,
                }
            }
            return Advance::Item(match self.part {
                Part::Keys => Value::Str(name),
                Part::Values => value,
                Part::Items => Value::tuple(vec![Value::Str(name), value]),
            });
        }
        Advance::End
    }
}

impl Entries {
    fn next(&mut self) -> Advance {
        let dict = self.dict.borrow();
        if dict.len() != self.len {
            self.len = usize::MAX;
            return Advance::Resized(if self.is_set { "Set" } else { "dictionary" });
        }
        if dict.changes() != self.changes {
            return Advance::OtherKeys;
        }
        if self.is_set {
            return self.order.pop_front().map_or(Advance::End, Advance::Item);
        }
        let found = match (self.last, self.backward) {
            (None, false) => dict.entries.iter().next(),
            (None, true) => dict.entries.iter().next_back(),
            (Some(last), false) => dict.entries.range(last.saturating_add(1)..).next(),
            (Some(last), true) => dict.entries.range(..last).next_back(),
        };
        let Some((at, (_, name, value))) = found else { return Advance::End };
        self.last = Some(*at);
        Advance::Item(part_of(self.part, name, value))
    }
}

/// Whether Python finds a place for a key that is the same in every run.
fn has_fixed_hash(key: &Value, depth: u32) -> bool {
    match key {
        Value::Int(_) | Value::Bool(_) | Value::Float(_) => true,
        Value::Tuple(items) => depth < 4 && items.iter().all(|item| has_fixed_hash(item, depth + 1)),
        _ => false,
    }
}

fn part_of(part: Part, name: &Value, value: &Value) -> Value {
    match part {
        Part::Keys => name.clone(),
        Part::Values => value.clone(),
        Part::Items => Value::tuple(vec![name.clone(), value.clone()]),
    }
}

/// One step of an iterator.
enum Advance {
    Item(Value),
    End,
    /// Something, by its name, has another size than at the beginning.
    Resized(&'static str),
    /// A dict has as many keys as before, but others.
    OtherKeys,
    /// A list of parameters has lost some.
    Shrunk,
    /// The program must run for it.
    Work(Work),
}

/// What the next item takes, apart from the iterator, which may be asked again meanwhile.
enum Work {
    Enumerate(Source, i64),
    Zip(Vec<Source>, bool),
    Map(Value, Vec<Source>),
    Filter(Value, Source),
    Backward(Rc<Object>, usize),
    /// One that cannot be asked meanwhile.
    Alone(Iter),
}

impl Iter {
    /// The name of its type in Python.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Done | Self::Running(_) | Self::Listing(_) | Self::Expression(_) | Self::Function(_) => "generator",
            Self::Given(name, _) => name,
            Self::List { .. } => "list_iterator",
            Self::ListBack { .. } => "list_reverseiterator",
            Self::Range { .. } => "range_iterator",
            Self::Entries(e) if e.is_set => "set_iterator",
            Self::Entries(e) => match e.part {
                Part::Keys => "dict_keyiterator",
                Part::Values => "dict_valueiterator",
                Part::Items => "dict_itemiterator",
            },
            Self::Held(held) => held.name,
            Self::Backward { .. } => "reversed",
            Self::Enumerate { .. } => "enumerate",
            Self::Zip { .. } => "zip",
            Self::Map { .. } => "map",
            Self::Filter { .. } => "filter",
            Self::Tool(tool) => tool.type_name(),
        }
    }

    /// Whether it is one that Python never copies.
    pub fn is_generator(&self) -> bool {
        self.type_name() == "generator"
    }

    /// Where it stands, besides the values, iterators and names that it holds.
    pub fn position(&self) -> String {
        let name = self.type_name();
        match self {
            Self::List { at, .. } => format!("{name} {at}"),
            Self::ListBack { left, .. } | Self::Backward { left, .. } => format!("{name} {left}"),
            Self::Range { next, step, left } => format!("{name} {next} {step} {left}"),
            Self::Entries(e) => format!("{name} {:?} {} {} {}", e.last, e.backward, e.len, e.order.len()),
            Self::Held(held) => format!("{name} {:?} {} {}", held.part, held.at, held.len),
            Self::Enumerate { count, .. } => format!("{name} {count}"),
            Self::Zip { strict, .. } => format!("{name} {strict}"),
            Self::Listing(listing) => format!("{name} {}", listing.position()),
            Self::Expression(e) => format!("{name} {}", e.position()),
            Self::Function(f) => format!("{name} {}", f.position()),
            Self::Tool(tool) => format!("{name} {}", tool.position()),
            Self::Done | Self::Running(_) | Self::Given(..) | Self::Map { .. } | Self::Filter { .. } => name.into(),
        }
    }

    /// The values that it holds and may replace.
    pub fn values(&mut self) -> Vec<&mut Value> {
        match self {
            Self::Given(_, items) => items.iter_mut().collect(),
            Self::Listing(listing) => listing.values(),
            Self::Map { function, .. } => vec![function],
            Self::Filter { test, .. } => vec![test],
            Self::Tool(tool) => tool.values(),
            _ => Vec::new(),
        }
    }

    /// What it goes over, which lives on without it.
    pub fn wholes(&self) -> Vec<Value> {
        match self {
            Self::List { list, .. } | Self::ListBack { list, .. } => vec![Value::List(list.clone())],
            Self::Entries(e) if e.is_set => vec![Value::Set(e.dict.clone())],
            Self::Entries(e) => vec![Value::Dict(e.dict.clone())],
            Self::Held(held) => vec![Value::Object(held.object.clone())],
            Self::Backward { object, .. } => vec![Value::Object(object.clone())],
            Self::Function(f) => vec![Value::Function(f.closure().clone())],
            _ => self.sources().into_iter().map(Value::Iter).collect(),
        }
    }

    fn sources(&self) -> Vec<Source> {
        match self {
            Self::Enumerate { source, .. } | Self::Filter { source, .. } => vec![source.clone()],
            Self::Zip { sources, .. } | Self::Map { sources, .. } => sources.clone(),
            Self::Expression(e) => e.sources(),
            Self::Function(f) => f.sources(),
            Self::Tool(tool) => tool.sources(),
            _ => Vec::new(),
        }
    }

    /// The iterators inside of a generator that stands in loops, and its names.
    pub fn inside(&self) -> (Vec<Source>, Option<Rc<Scope>>) {
        match self {
            Self::Expression(e) => (Vec::new(), Some(e.scope().clone())),
            Self::Function(f) => (f.sources(), Some(f.scope().clone())),
            _ => (Vec::new(), None),
        }
    }

    fn advance(&mut self) -> Advance {
        let step = match self {
            Self::Done => Advance::End,
            Self::Given(_, items) => items.pop_front().map_or(Advance::End, Advance::Item),
            Self::List { list, at } => {
                let item = list.borrow().get(*at).cloned();
                *at += 1;
                item.map_or(Advance::End, Advance::Item)
            }
            Self::ListBack { list, left } => {
                let item = left.checked_sub(1).and_then(|at| list.borrow().get(at).cloned());
                *left = left.saturating_sub(1);
                item.map_or(Advance::End, Advance::Item)
            }
            Self::Range { next, step, left } if *left > 0 => {
                let item = *next;
                *next = next.saturating_add(*step);
                *left -= 1;
                Advance::Item(Value::Int(item))
            }
            Self::Range { .. } => Advance::End,
            Self::Entries(entries) => entries.next(),
            Self::Held(held) => held.next(),
            Self::Backward { left: 0, .. } => Advance::End,
            Self::Backward { object, left } => {
                *left -= 1;
                Advance::Work(Work::Backward(object.clone(), *left))
            }
            Self::Enumerate { source, count } => Advance::Work(Work::Enumerate(source.clone(), *count)),
            Self::Zip { sources, strict } => Advance::Work(Work::Zip(sources.clone(), *strict)),
            Self::Map { function, sources } => Advance::Work(Work::Map(function.clone(), sources.clone())),
            Self::Filter { test, source } => Advance::Work(Work::Filter(test.clone(), source.clone())),
            Self::Running(_) | Self::Listing(_) | Self::Expression(_) | Self::Function(_) | Self::Tool(_) => {
                let is_generator = self.is_generator();
                Advance::Work(Work::Alone(std::mem::replace(self, Self::Running(is_generator))))
            }
        };
        if matches!(step, Advance::End) {
            *self = Self::Done;
        }
        step
    }
}

impl Interp {
    /// `iter(value)`.
    pub fn iter_of(&mut self, value: &Value) -> R<Source> {
        Ok(match value {
            Value::Iter(it) => return Ok(it.clone()),
            Value::List(list) => Iter::List { list: list.clone(), at: 0 },
            Value::Range(start, stop, step) => {
                Iter::Range { next: *start, step: *step, left: super::collections::range_len(*start, *stop, *step) }
            }
            Value::Dict(dict) => Iter::Entries(entries(dict, Part::Keys, false)),
            Value::Set(dict) => {
                let order = self.ordered(dict)?.into();
                Iter::Entries(Entries { is_set: true, order, ..entries(dict, Part::Keys, false) })
            }
            Value::View(view) => view_iterator(view, false),
            Value::Object(o) if tuple_items(o).is_none() => match (o.class.find("__iter__"), container_len(o)) {
                (Some(f), _) => {
                    return match self.call(&f, vec![value.clone()], Vec::new())? {
                        Value::Iter(it) => Ok(it),
                        Value::Object(_) => {
                            self.refuse(Rule::UnsupportedClass, "iterators written as classes are not supported")
                        }
                        other => {
                            self.type_fault(format!("__iter__() must give an iterator, not {}", other.type_name()))
                        }
                    };
                }
                (None, Some(len)) => {
                    let kind = o.class.layer().map_or("", |l| l.container);
                    let part = if kind.ends_with("Dict") { Part::Keys } else { Part::Values };
                    let is_list = kind == "ParameterList";
                    let name = if is_list { "generator" } else { "dict_valueiterator" };
                    let object = o.clone();
                    Iter::Held(Held { object, part, at: 0, len, fixed: !is_list, seen: None, name })
                }
                (None, None) => return self.type_fault(format!("{} cannot be iterated over", value.type_name())),
            },
            other => {
                let name = match other {
                    Value::Str(_) => "str_iterator",
                    _ => "tuple_iterator",
                };
                Iter::Given(name, self.items(other)?.into())
            }
        }
        .shared())
    }

    /// `iter(value)` for those to whom the order means nothing.
    pub fn iter_in_any_order(&mut self, value: &Value) -> R<Source> {
        match value {
            Value::Set(dict) => {
                let keys = dict.borrow().keys();
                self.go_over(keys.len())?;
                Ok(Iter::Given("set_iterator", keys.into()).shared())
            }
            other => self.iter_of(other),
        }
    }

    /// The items of a set in Python's order. Numbers lie by their values in a table that is larger than they are many: the
    /// order of those that are below its least size is known, unless one that was there before took their place. That of strings
    /// and objects is another one in every run, so any will do.
    pub fn ordered(&mut self, set: &Rc<RefCell<Dict>>) -> R<Vec<Value>> {
        let mut keys = set.borrow().keys();
        self.go_over(keys.len())?;
        let mut size = 8_i64;
        while i64::try_from(keys.len()).unwrap_or(i64::MAX).saturating_mul(5) >= (size - 1) * 3 {
            size *= 2;
        }
        let number = |key: &Value| match key {
            Value::Int(i) => Some(*i),
            Value::Bool(b) => Some((*b).into()),
            _ => None,
        };
        let is_low = |key: &Value| number(key).is_some_and(|i| (0..size).contains(&i));
        let is_untouched = u64::try_from(keys.len()) == Ok(set.borrow().changes());
        if keys.len() > 1 && is_untouched && keys.iter().all(is_low) {
            keys.sort_by_key(|key| number(key).unwrap_or(0));
        } else if keys.len() > 1 && keys.iter().all(|key| has_fixed_hash(key, 0)) {
            let text = "the order in which Python goes over this set is not known here; go over sorted(...)";
            return self.refuse(Rule::UnsupportedOp, text);
        }
        Ok(keys)
    }

    /// `reversed(value)`.
    pub fn reversed(&mut self, value: &Value) -> R<Value> {
        let back = |mut items: Vec<Value>| {
            items.reverse();
            Value::iter(Iter::Given("reversed", items.into()))
        };
        Ok(match value {
            Value::List(list) => {
                let left = list.borrow().len();
                Value::iter(Iter::ListBack { list: list.clone(), left })
            }
            Value::Range(start, stop, step) => {
                let left = super::collections::range_len(*start, *stop, *step);
                let last = start.saturating_add((left - 1).saturating_mul(*step));
                Value::iter(Iter::Range { next: last, step: step.saturating_neg(), left })
            }
            Value::Dict(dict) => Value::iter(Iter::Entries(entries(dict, Part::Keys, true))),
            Value::View(view) => Value::iter(view_iterator(view, true)),
            Value::Tuple(_) | Value::Named(_) | Value::Str(_) | Value::Class(_) => back(self.items(value)?),
            // torch turns the first axis round
            Value::Tensor(t) => {
                if self.tracer.shape_of(t).is_empty() {
                    return Ok(value.clone());
                }
                let Some(flip) = super::native::find("torch.flip") else { return Ok(Value::None) };
                self.call_native(flip, vec![value.clone(), Value::tuple(vec![Value::Int(0)])], Vec::new())?
            }
            Value::Object(o) if tuple_items(o).is_some() => back(tuple_items(o).unwrap_or_default()),
            Value::Object(o) => {
                let is_dict = o.class.layer().is_some_and(|l| l.container.ends_with("Dict"));
                let left = match (o.class.find("__len__"), container_len(o)) {
                    (Some(f), _) if o.class.find("__getitem__").is_some() => {
                        match self.call(&f, vec![value.clone()], Vec::new())? {
                            Value::Int(n) => usize::try_from(n).ok(),
                            _ => None,
                        }
                    }
                    (None, Some(len)) if !is_dict => Some(len),
                    _ => None,
                };
                match left {
                    Some(left) => Value::iter(Iter::Backward { object: o.clone(), left }),
                    None => return self.type_fault(format!("{} cannot be reversed", value.type_name())),
                }
            }
            other => return self.type_fault(format!("{} cannot be reversed", other.type_name())),
        })
    }

    /// The next item, or nothing at the end.
    pub fn next(&mut self, it: &Source) -> R<Option<Value>> {
        self.step()?;
        self.note_change(Rc::as_ptr(it).addr(), None);
        let (trail, frames) = (self.tracer.run.trail.mark(), self.frames.mark());
        match self.nested(|vm| vm.next_here(it)) {
            // who goes over a `map` whose function raises it takes it for the end
            Err(fault) if self.is_stop(&fault) => {
                self.tracer.run.trail.rewind(&trail);
                self.frames.rewind(&frames);
                Ok(None)
            }
            done => done,
        }
    }

    fn next_here(&mut self, it: &Source) -> R<Option<Value>> {
        let step = it.borrow_mut().advance();
        let work = match step {
            Advance::Item(value) => return Ok(Some(value)),
            Advance::End => return Ok(None),
            Advance::Resized(what) => {
                return Err(self.exception("RuntimeError", format!("{what} changed size during iteration")));
            }
            Advance::OtherKeys => {
                return self
                    .refuse(Rule::UnsupportedOp, "other keys in a dict that is being gone over are not supported");
            }
            Advance::Shrunk => return self.tracer.run.index_fault("the list became shorter while it is gone over"),
            Advance::Work(work) => work,
        };
        match work {
            Work::Enumerate(source, count) => {
                let Some(item) = self.next(&source)? else { return Ok(None) };
                if let Iter::Enumerate { count, .. } = &mut *it.borrow_mut() {
                    *count = count.saturating_add(1);
                }
                self.allocate(1)?;
                Ok(Some(Value::tuple(vec![Value::Int(count), item])))
            }
            Work::Zip(sources, strict) => self.next_row(&sources, strict),
            Work::Map(function, sources) => {
                let mut row = Vec::with_capacity(sources.len());
                for source in &sources {
                    match self.next(source)? {
                        Some(item) => row.push(item),
                        None => return Ok(None),
                    }
                }
                self.call(&function, row, Vec::new()).map(Some)
            }
            Work::Filter(test, source) => {
                while let Some(item) = self.next(&source)? {
                    let keep = match &test {
                        Value::None => item.clone(),
                        f => self.call(f, vec![item.clone()], Vec::new())?,
                    };
                    if self.truth(&keep)? {
                        return Ok(Some(item));
                    }
                }
                Ok(None)
            }
            Work::Backward(object, at) => {
                self.container_get(&object, &Value::Int(i64::try_from(at).unwrap_or(i64::MAX))).map(Some)
            }
            Work::Alone(iterator) => self.next_alone(it, iterator),
        }
    }

    fn next_row(&mut self, sources: &[Source], strict: bool) -> R<Option<Value>> {
        let mut row = Vec::with_capacity(sources.len());
        for (at, source) in sources.iter().enumerate() {
            match self.next(source)? {
                Some(item) => row.push(item),
                None if !strict => return Ok(None),
                None if at > 0 => {
                    return self.value_fault(format!("zip() argument {} is shorter than those before", at + 1));
                }
                None => {
                    for (at, other) in sources.iter().enumerate().skip(1) {
                        if self.next(other)?.is_some() {
                            return self.value_fault(format!("zip() argument {} is longer than those before", at + 1));
                        }
                    }
                    return Ok(None);
                }
            }
        }
        if row.is_empty() {
            return Ok(None);
        }
        self.allocate(row.len())?;
        Ok(Some(Value::tuple(row)))
    }

    /// The next item of one that is put aside while it runs.
    fn next_alone(&mut self, it: &Source, mut iterator: Iter) -> R<Option<Value>> {
        let (next, is_generator) = match &mut iterator {
            Iter::Listing(listing) => (self.next_listed(listing), true),
            Iter::Expression(e) => (self.next_of_expression(e), true),
            Iter::Function(f) => (self.next_of_function(f), true),
            Iter::Tool(tool) => (self.next_of_tool(tool, it), false),
            Iter::Running(true) => {
                return Err(self.exception("ValueError", "a generator that runs already is asked for its next item"));
            }
            _ => {
                return self
                    .refuse(Rule::UnsupportedOp, "an iterator that calls for its own next item is not supported");
            }
        };
        let next = match next {
            Err(fault) if is_generator && self.is_stop(&fault) => {
                Err(self.exception("RuntimeError", "a generator raises StopIteration"))
            }
            next => next,
        };
        // a generator that has ended or failed is over
        let over = is_generator && !matches!(next, Ok(Some(_)));
        *it.borrow_mut() = if over { Iter::Done } else { iterator };
        next
    }

    /// Whether a fault is Python's `StopIteration`.
    fn is_stop(&mut self, fault: &crate::Diagnostic) -> bool {
        match self.exception_of(fault) {
            Some(Value::Object(o)) => o.class.mro.borrow().iter().any(|c| &*c.name == "StopIteration"),
            _ => false,
        }
    }

    /// All that is left of an iterator.
    pub fn drain(&mut self, it: &Source) -> R<Vec<Value>> {
        let mut items = Vec::new();
        while let Some(item) = self.next(it)? {
            items.push(item);
        }
        Ok(items)
    }
}

fn entries(dict: &Rc<RefCell<Dict>>, part: Part, backward: bool) -> Entries {
    let (len, changes) = (dict.borrow().len(), dict.borrow().changes());
    let (is_set, last, order) = (false, None, VecDeque::new());
    Entries { dict: dict.clone(), part, is_set, backward, last, len, changes, order }
}

fn view_iterator(view: &DictView, backward: bool) -> Iter {
    match (&view.of, backward) {
        (Viewed::Dict(dict), _) => Iter::Entries(entries(dict, view.part, backward)),
        (Viewed::Module(o), false) => {
            let (object, part, len) = (o.clone(), view.part, container_len(o).unwrap_or(0));
            Iter::Held(Held { object, part, at: 0, len, fixed: true, seen: None, name: "dict_valueiterator" })
        }
        (Viewed::Module(_), true) => {
            let mut items = view_items(view);
            items.reverse();
            Iter::Given("reversed", items.into())
        }
    }
}

/// What a view shows now.
pub fn view_items(view: &DictView) -> Vec<Value> {
    match &view.of {
        Viewed::Dict(dict) => dict.borrow().entries.values().map(|e| part_of(view.part, &e.1, &e.2)).collect(),
        Viewed::Module(object) => {
            let state = object.module.borrow();
            let names = container_items(object).unwrap_or_default();
            let value = |name: &Value| {
                let Value::Str(name) = name else { return Value::None };
                let child = state.iter().flat_map(|s| &s.children).find(|c| c.0 == *name).and_then(|c| c.1.clone());
                child.map_or(Value::None, Value::Object)
            };
            names.iter().map(|name| part_of(view.part, name, &value(name))).collect()
        }
    }
}

/// How many entries a view shows now.
pub fn view_len(view: &DictView) -> usize {
    match &view.of {
        Viewed::Dict(dict) => dict.borrow().len(),
        Viewed::Module(object) => container_len(object).unwrap_or(0),
    }
}
