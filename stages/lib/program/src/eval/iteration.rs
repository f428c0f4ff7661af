//! `itertools`, and what `operator` picks from values.

use std::collections::VecDeque;

use super::iterator::Iter;
use super::native::{Args, Native, find, native};
use super::value::{Source, Value};
use super::{Interp, R, Run};
use crate::rules::Rule;
use crate::syntax::BinOp;

/// An iterator of `itertools` that computes items when they are asked for.
pub struct Tool {
    kind: Kind,
    /// What it goes over; nothing where it has left that behind.
    sources: Vec<Option<Source>>,
}

enum Kind {
    /// The iterables, of which the source is the one that it stands in.
    Chain {
        iterables: Source,
    },
    /// `at`: how many items were read, `next`: the place of the next one that is given.
    Slice {
        at: i64,
        next: i64,
        stop: Option<i64>,
        step: i64,
    },
    TakeWhile {
        test: Value,
    },
    /// `open`: whether the first item that the test refuses has come.
    DropWhile {
        test: Value,
        open: bool,
    },
    Accumulate {
        function: Option<Value>,
        total: Option<Value>,
        initial: Option<Value>,
    },
    Longest {
        fill: Value,
    },
    Groups(Groups),
    /// The items of the group with this number, all of which have this key.
    Group {
        of: Source,
        number: u64,
        key: Value,
    },
    Pairs {
        last: Option<Value>,
    },
    Star {
        function: Value,
    },
    Repeat {
        value: Value,
        left: Option<i64>,
    },
    Count {
        next: Value,
        step: Value,
    },
    /// What is repeated once the source is at its end, and where in it.
    Cycle {
        seen: Vec<Value>,
        at: usize,
    },
}

/// Items by runs of one key: those groups and this share one iterator.
struct Groups {
    key: Option<Value>,
    /// The key of the group that was given last, and its number.
    target: Option<Value>,
    number: u64,
    /// The item that was read ahead, with its key.
    item: Option<Value>,
    item_key: Option<Value>,
}

impl Tool {
    fn iterator(kind: Kind, sources: Vec<Source>) -> Value {
        let sources = sources.into_iter().map(Some).collect();
        Value::iter(Iter::Tool(Box::new(Self { kind, sources })))
    }

    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Chain { .. } => "itertools.chain",
            Kind::Slice { .. } => "itertools.islice",
            Kind::TakeWhile { .. } => "itertools.takewhile",
            Kind::DropWhile { .. } => "itertools.dropwhile",
            Kind::Accumulate { .. } => "itertools.accumulate",
            Kind::Longest { .. } => "itertools.zip_longest",
            Kind::Groups(_) => "itertools.groupby",
            Kind::Group { .. } => "itertools._grouper",
            Kind::Pairs { .. } => "itertools.pairwise",
            Kind::Star { .. } => "itertools.starmap",
            Kind::Repeat { .. } => "itertools.repeat",
            Kind::Count { .. } => "itertools.count",
            Kind::Cycle { .. } => "itertools.cycle",
        }
    }

    pub fn position(&self) -> String {
        match &self.kind {
            Kind::Slice { at, next, stop, step } => format!("{at} {next} {stop:?} {step}"),
            Kind::DropWhile { open, .. } => open.to_string(),
            Kind::Groups(groups) => groups.number.to_string(),
            Kind::Group { number, .. } => number.to_string(),
            Kind::Repeat { left, .. } => format!("{left:?}"),
            Kind::Cycle { at, .. } => at.to_string(),
            _ => String::new(),
        }
    }

    pub fn values(&mut self) -> Vec<&mut Value> {
        match &mut self.kind {
            Kind::TakeWhile { test } | Kind::DropWhile { test, .. } => vec![test],
            Kind::Accumulate { function, total, initial } => function.iter_mut().chain(total).chain(initial).collect(),
            Kind::Longest { fill: value }
            | Kind::Group { key: value, .. }
            | Kind::Star { function: value }
            | Kind::Repeat { value, .. } => vec![value],
            Kind::Groups(g) => {
                g.key.iter_mut().chain(&mut g.target).chain(&mut g.item).chain(&mut g.item_key).collect()
            }
            Kind::Pairs { last } => last.iter_mut().collect(),
            Kind::Count { next, step } => vec![next, step],
            Kind::Cycle { seen, .. } => seen.iter_mut().collect(),
            Kind::Chain { .. } | Kind::Slice { .. } => Vec::new(),
        }
    }

    pub fn sources(&self) -> Vec<Source> {
        let other = match &self.kind {
            Kind::Chain { iterables: other } | Kind::Group { of: other, .. } => Some(other),
            _ => None,
        };
        self.sources.iter().flatten().chain(other).cloned().collect()
    }

    fn source(&self) -> Option<Source> {
        self.sources.first().cloned().flatten()
    }
}

/// Rows of `r` of the places below `n`, in Python's order; each place once in a row unless `again`, and increasing where `sorted`.
fn choices(run: &mut Run, n: usize, r: usize, again: bool, sorted: bool) -> R<Vec<Vec<usize>>> {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..r {
        let mut longer = Vec::new();
        for row in &rows {
            let first = match row.last() {
                Some(&last) if sorted => last + usize::from(!again),
                _ => 0,
            };
            for at in first..n {
                run.step()?;
                if again || sorted || !row.contains(&at) {
                    run.allocate(row.len() + 1)?;
                    longer.push(row.iter().copied().chain([at]).collect());
                }
            }
        }
        rows = longer;
    }
    Ok(rows)
}

fn chosen(vm: &mut Interp, a: &Args, again: bool, sorted: bool) -> R<Value> {
    let items = vm.items(&a.value("iterable"))?;
    let r = match a.some("r") {
        None => Ok(items.len()),
        Some(_) => usize::try_from(a.int(vm, "r")?),
    };
    let Ok(r) = r else { return vm.value_fault("r must not be negative") };
    if r > items.len() && !again {
        return Ok(Value::iter(Iter::Done));
    }
    let rows = choices(&mut vm.tracer.run, items.len(), r, again, sorted)?;
    let row = |places: Vec<usize>| Value::tuple(places.into_iter().filter_map(|at| items.get(at).cloned()).collect());
    let rows: VecDeque<Value> = rows.into_iter().map(row).collect();
    Ok(Value::iter(Iter::Given("itertools.combinations", rows)))
}

impl Interp {
    /// The next item of a source that may have been left behind.
    fn next_of(&mut self, source: Option<Source>) -> R<Option<Value>> {
        match source {
            Some(source) => self.next(&source),
            None => Ok(None),
        }
    }

    /// The next item of a tool, which `it` stands for.
    pub fn next_of_tool(&mut self, tool: &mut Tool, it: &Source) -> R<Option<Value>> {
        let source = tool.source();
        match &mut tool.kind {
            Kind::Chain { iterables } => loop {
                if let Some(item) = self.next_of(tool.sources.first().cloned().flatten())? {
                    return Ok(Some(item));
                }
                tool.sources.clear();
                let Some(iterable) = self.next(iterables)? else { return Ok(None) };
                tool.sources.push(Some(self.iter_of(&iterable)?));
            },
            Kind::Slice { at, next, stop, step } => {
                while *at < *next {
                    if self.next_of(source.clone())?.is_none() {
                        tool.sources.clear();
                        return Ok(None);
                    }
                    *at += 1;
                }
                let item = match stop {
                    Some(stop) if *at >= *stop => None,
                    _ => self.next_of(source)?,
                };
                if item.is_none() {
                    tool.sources.clear();
                    return Ok(None);
                }
                *at += 1;
                let after = next.saturating_add(*step);
                *next = stop.map_or(after, |stop| after.min(stop));
                Ok(item)
            }
            Kind::TakeWhile { test } => {
                let Some(item) = self.next_of(source)? else { return Ok(None) };
                let kept = self.call(&test.clone(), vec![item.clone()], Vec::new())?;
                if self.truth(&kept)? {
                    return Ok(Some(item));
                }
                tool.sources.clear();
                Ok(None)
            }
            Kind::DropWhile { test, open } => {
                while let Some(item) = self.next_of(source.clone())? {
                    if !*open {
                        let dropped = self.call(&test.clone(), vec![item.clone()], Vec::new())?;
                        if self.truth(&dropped)? {
                            continue;
                        }
                        *open = true;
                    }
                    return Ok(Some(item));
                }
                Ok(None)
            }
            Kind::Accumulate { function, total, initial } => {
                if let Some(first) = initial.take() {
                    *total = Some(first.clone());
                    return Ok(Some(first));
                }
                let Some(item) = self.next_of(source)? else { return Ok(None) };
                let next = match (total.clone(), function.clone()) {
                    (None, _) => item,
                    (Some(total), None) => self.binary(&total, BinOp::Add, &item)?,
                    (Some(total), Some(f)) => self.call(&f, vec![total, item], Vec::new())?,
                };
                *total = Some(next.clone());
                Ok(Some(next))
            }
            Kind::Longest { fill } => {
                let mut row = Vec::with_capacity(tool.sources.len());
                for slot in &mut tool.sources {
                    match self.next_of(slot.clone())? {
                        Some(item) => row.push(item),
                        None => {
                            *slot = None;
                            row.push(fill.clone());
                        }
                    }
                }
                if tool.sources.iter().all(Option::is_none) {
                    return Ok(None);
                }
                self.allocate(row.len())?;
                Ok(Some(Value::tuple(row)))
            }
            Kind::Groups(_) => self.next_group(tool, it),
            Kind::Group { of, number, key } => {
                let (of, number, key) = (of.clone(), *number, key.clone());
                self.next_of_group(&of, number, &key)
            }
            Kind::Pairs { last } => {
                if last.is_none() {
                    *last = self.next_of(source.clone())?;
                }
                let (Some(first), Some(second)) = (last.clone(), self.next_of(source)?) else {
                    tool.sources.clear();
                    return Ok(None);
                };
                *last = Some(second.clone());
                self.allocate(2)?;
                Ok(Some(Value::tuple(vec![first, second])))
            }
            Kind::Star { function } => {
                let Some(row) = self.next_of(source)? else { return Ok(None) };
                let args = self.items(&row)?;
                self.call(&function.clone(), args, Vec::new()).map(Some)
            }
            Kind::Repeat { value, left } => match left {
                Some(left) if *left <= 0 => Ok(None),
                left => {
                    *left = left.map(|n| n - 1);
                    Ok(Some(value.clone()))
                }
            },
            Kind::Count { next, step } => {
                let item = next.clone();
                *next = self.binary(&item, BinOp::Add, step)?;
                Ok(Some(item))
            }
            Kind::Cycle { seen, at } => {
                if let Some(source) = source {
                    if let Some(item) = self.next(&source)? {
                        self.allocate(1)?;
                        seen.push(item.clone());
                        return Ok(Some(item));
                    }
                    tool.sources.clear();
                }
                let item = seen.get(*at).cloned();
                *at = if *at + 1 < seen.len() { *at + 1 } else { 0 };
                Ok(item)
            }
        }
    }

    /// Reads one item ahead. Gives whether there was one.
    fn read_ahead(&mut self, tool: &mut Tool) -> R<bool> {
        let Some(item) = self.next_of(tool.source())? else { return Ok(false) };
        let Kind::Groups(groups) = &mut tool.kind else { return Ok(false) };
        let key = match groups.key.clone() {
            Some(f) => self.call(&f, vec![item.clone()], Vec::new())?,
            None => item.clone(),
        };
        (groups.item, groups.item_key) = (Some(item), Some(key));
        Ok(true)
    }

    fn next_group(&mut self, tool: &mut Tool, it: &Source) -> R<Option<Value>> {
        loop {
            let Kind::Groups(groups) = &mut tool.kind else { return Ok(None) };
            // the groups before are over
            groups.number += 1;
            match (groups.target.clone(), groups.item_key.clone()) {
                (None, Some(_)) => break,
                (Some(target), Some(key)) if !self.equal(&target, &key)? => break,
                _ => {}
            }
            if !self.read_ahead(tool)? {
                return Ok(None);
            }
        }
        let Kind::Groups(groups) = &mut tool.kind else { return Ok(None) };
        groups.target.clone_from(&groups.item_key);
        let (number, key) = (groups.number, groups.item_key.clone().unwrap_or(Value::None));
        self.allocate(2)?;
        let group = Kind::Group { of: it.clone(), number, key: key.clone() };
        Ok(Some(Value::tuple(vec![key, Tool::iterator(group, Vec::new())])))
    }

    fn next_of_group(&mut self, of: &Source, number: u64, key: &Value) -> R<Option<Value>> {
        let mut whole = of.replace(Iter::Running(false));
        let next = match &mut whole {
            Iter::Tool(tool) => self.next_inside_group(tool, number, key),
            Iter::Running(_) => {
                self.refuse(Rule::UnsupportedOp, "an iterator that calls for its own next item is not supported")
            }
            _ => Ok(None),
        };
        *of.borrow_mut() = whole;
        next
    }

    fn next_inside_group(&mut self, tool: &mut Tool, number: u64, key: &Value) -> R<Option<Value>> {
        let Kind::Groups(groups) = &tool.kind else { return Ok(None) };
        if groups.number != number || (groups.item.is_none() && !self.read_ahead(tool)?) {
            return Ok(None);
        }
        let Kind::Groups(groups) = &mut tool.kind else { return Ok(None) };
        let Some(found) = groups.item_key.clone() else { return Ok(None) };
        if !self.equal(key, &found)? {
            return Ok(None);
        }
        groups.item_key = None;
        Ok(groups.item.take())
    }
}

/// An iterator over the only iterable of a function.
fn over(vm: &mut Interp, a: &Args) -> R<Vec<Source>> {
    Ok(vec![vm.iter_of(&a.value("iterable"))?])
}

fn islice(vm: &mut Interp, a: &Args) -> R<Value> {
    let parts = match a.rest.as_slice() {
        [stop] => [Value::None, stop.clone(), Value::None],
        [start, stop] => [start.clone(), stop.clone(), Value::None],
        [start, stop, step] => [start.clone(), stop.clone(), step.clone()],
        _ => return vm.type_fault("islice() takes one to three numbers behind the iterable"),
    };
    if parts.iter().any(|part| matches!(part, Value::Int(i) if *i < 0)) {
        return vm.value_fault("islice() takes no negative numbers");
    }
    if matches!(parts[2], Value::Int(0)) {
        return vm.value_fault("a slice by steps of 0");
    }
    let mut numbers = [None; 3];
    for (number, part) in numbers.iter_mut().zip(&parts) {
        *number = match part {
            Value::None => None,
            Value::Int(i) => Some(*i),
            Value::Bool(b) => Some((*b).into()),
            other => return vm.type_fault(format!("slices are made of integers, not {}", other.type_name())),
        };
    }
    let [start, stop, step] = numbers;
    let kind = Kind::Slice { at: 0, next: start.unwrap_or(0), stop, step: step.unwrap_or(1) };
    Ok(Tool::iterator(kind, over(vm, a)?))
}

pub static TABLE: &[Native] = &[
    native("itertools.combinations", "iterable r", |vm, a| chosen(vm, a, false, true)),
    native("itertools.permutations", "iterable r?", |vm, a| chosen(vm, a, false, false)),
    native("itertools.combinations_with_replacement", "iterable r", |vm, a| chosen(vm, a, true, true)),
    native("itertools.chain", "*iterables", |vm, a| {
        let iterables = Iter::Given("tuple_iterator", a.rest.clone().into()).shared();
        vm.allocate(a.rest.len())?;
        Ok(Tool::iterator(Kind::Chain { iterables }, Vec::new()))
    }),
    native("itertools.chain.from_iterable", "iterables", |vm, a| {
        let iterables = vm.iter_of(&a.value("iterables"))?;
        Ok(Tool::iterator(Kind::Chain { iterables }, Vec::new()))
    }),
    native("itertools.takewhile", "predicate iterable", |vm, a| {
        Ok(Tool::iterator(Kind::TakeWhile { test: a.value("predicate") }, over(vm, a)?))
    }),
    native("itertools.dropwhile", "predicate iterable", |vm, a| {
        Ok(Tool::iterator(Kind::DropWhile { test: a.value("predicate"), open: false }, over(vm, a)?))
    }),
    native("itertools.islice", "iterable *numbers", islice),
    native("itertools.accumulate", "iterable func? | initial?", |vm, a| {
        let (function, initial) = (a.some("func").cloned(), a.some("initial").cloned());
        Ok(Tool::iterator(Kind::Accumulate { function, total: None, initial }, over(vm, a)?))
    }),
    native("itertools.zip_longest", "*iterables | fillvalue?", |vm, a| {
        let sources = a.rest.iter().map(|iterable| vm.iter_of(iterable)).collect::<R<_>>()?;
        Ok(Tool::iterator(Kind::Longest { fill: a.value("fillvalue") }, sources))
    }),
    native("itertools.groupby", "iterable key?", |vm, a| {
        let key = a.some("key").cloned();
        let groups = Groups { key, target: None, number: 0, item: None, item_key: None };
        Ok(Tool::iterator(Kind::Groups(groups), over(vm, a)?))
    }),
    native("itertools.repeat", "object times?", |vm, a| {
        let left = if a.get("times").is_none() { None } else { Some(a.int(vm, "times")?) };
        Ok(Tool::iterator(Kind::Repeat { value: a.value("object"), left }, Vec::new()))
    }),
    native("itertools.count", "start? step?", |vm, a| {
        let number = |name: &str, default| a.get(name).cloned().unwrap_or(Value::Int(default));
        let (next, step) = (number("start", 0), number("step", 1));
        for part in [&next, &step] {
            if !matches!(part, Value::Int(_) | Value::Bool(_) | Value::Float(_) | Value::Dim(_)) {
                return vm.type_fault(format!("count() needs numbers, not {}", part.type_name()));
            }
        }
        Ok(Tool::iterator(Kind::Count { next, step }, Vec::new()))
    }),
    native("itertools.cycle", "iterable", |vm, a| {
        Ok(Tool::iterator(Kind::Cycle { seen: Vec::new(), at: 0 }, over(vm, a)?))
    }),
    native("itertools.pairwise", "iterable", |vm, a| Ok(Tool::iterator(Kind::Pairs { last: None }, over(vm, a)?))),
    native("itertools.starmap", "function iterable", |vm, a| {
        Ok(Tool::iterator(Kind::Star { function: a.value("function") }, over(vm, a)?))
    }),
    native("operator.itemgetter", "*items", |vm, a| match (find("operator.$pick"), a.rest.is_empty()) {
        (Some(pick), false) => {
            vm.allocate(a.rest.len())?;
            let given = vec![Value::tuple(a.rest.clone())];
            Ok(Value::Partial(std::rc::Rc::new((Value::Native(pick), given, Vec::new()))))
        }
        _ => vm.type_fault("itemgetter() needs an item"),
    }),
    native("operator.$pick", "items obj", |vm, a| {
        let mut picked = Vec::new();
        for item in vm.items(&a.value("items"))? {
            picked.push(vm.subscript(&a.value("obj"), &item)?);
        }
        match picked.as_slice() {
            [one] => Ok(one.clone()),
            _ => Ok(Value::tuple(picked)),
        }
    }),
];
