//! `itertools`, and what `operator` picks from values. Iterators are lists that are read from the front, so that endless ones
//! (`count`, `cycle`) are not there.

use super::native::{Args, Native, find, native};
use super::value::Value;
use super::{Interp, R, Run};
use crate::rules::Rule;
use crate::syntax::BinOp;

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
        return Ok(Value::iter(Vec::new()));
    }
    let rows = choices(&mut vm.tracer.run, items.len(), r, again, sorted)?;
    let row = |places: Vec<usize>| Value::tuple(places.into_iter().filter_map(|at| items.get(at).cloned()).collect());
    Ok(Value::iter(rows.into_iter().map(row).collect()))
}

/// What stands before the first item that a predicate refuses, or that item and what follows.
fn cut(vm: &mut Interp, a: &Args, taken: bool) -> R<Value> {
    let (predicate, mut items) = (a.value("predicate"), vm.items(&a.value("iterable"))?);
    let mut end = items.len();
    for (at, item) in items.iter().enumerate() {
        let kept = vm.call(&predicate, vec![item.clone()], Vec::new())?;
        if !vm.truth(&kept)? {
            end = at;
            break;
        }
    }
    let rest = items.split_off(end);
    Ok(Value::iter(if taken { items } else { rest }))
}

fn islice(vm: &mut Interp, a: &Args) -> R<Value> {
    let items = vm.items(&a.value("iterable"))?;
    let parts = match a.rest.as_slice() {
        [stop] => [Value::None, stop.clone(), Value::None],
        [start, stop] => [start.clone(), stop.clone(), Value::None],
        [start, stop, step] => [start.clone(), stop.clone(), step.clone()],
        _ => return vm.type_fault("islice() takes one to three numbers behind the iterable"),
    };
    if parts.iter().any(|part| matches!(part, Value::Int(i) if *i < 0)) {
        return vm.value_fault("islice() takes no negative numbers");
    }
    let places = vm.tracer.run.slice_positions(&parts, items.len())?;
    vm.allocate(places.len())?;
    Ok(Value::iter(places.into_iter().filter_map(|at| items.get(at).cloned()).collect()))
}

fn accumulate(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut out: Vec<Value> = a.some("initial").cloned().into_iter().collect();
    for item in vm.items(&a.value("iterable"))? {
        let next = match (out.last().cloned(), a.some("func").cloned()) {
            (None, _) => item,
            (Some(total), None) => vm.binary(&total, BinOp::Add, &item)?,
            (Some(total), Some(f)) => vm.call(&f, vec![total, item], Vec::new())?,
        };
        vm.allocate(1)?;
        out.push(next);
    }
    Ok(Value::iter(out))
}

fn zip_longest(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut columns = Vec::new();
    for iterable in &a.rest {
        columns.push(vm.items(iterable)?);
    }
    let (rows, fill) = (columns.iter().map(Vec::len).max().unwrap_or(0), a.value("fillvalue"));
    vm.allocate(rows.saturating_mul(columns.len()))?;
    let row = |at: usize| columns.iter().map(|c| c.get(at).cloned().unwrap_or_else(|| fill.clone())).collect();
    Ok(Value::iter((0..rows).map(|at| Value::tuple(row(at))).collect()))
}

fn groups(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut found: Vec<(Value, Vec<Value>)> = Vec::new();
    for item in vm.items(&a.value("iterable"))? {
        let key = match a.some("key").cloned() {
            Some(f) => vm.call(&f, vec![item.clone()], Vec::new())?,
            None => item.clone(),
        };
        vm.allocate(1)?;
        let same = match found.last() {
            Some((last, _)) => {
                let last = last.clone();
                vm.equal(&last, &key)?
            }
            None => false,
        };
        match found.last_mut() {
            Some((_, group)) if same => group.push(item),
            _ => found.push((key, vec![item])),
        }
    }
    Ok(Value::iter(found.into_iter().map(|(key, group)| Value::tuple(vec![key, Value::iter(group)])).collect()))
}

pub static TABLE: &[Native] = &[
    native("itertools.combinations", "iterable r", |vm, a| chosen(vm, a, false, true)),
    native("itertools.permutations", "iterable r?", |vm, a| chosen(vm, a, false, false)),
    native("itertools.combinations_with_replacement", "iterable r", |vm, a| chosen(vm, a, true, true)),
    native("itertools.takewhile", "predicate iterable", |vm, a| cut(vm, a, true)),
    native("itertools.dropwhile", "predicate iterable", |vm, a| cut(vm, a, false)),
    native("itertools.islice", "iterable *numbers", islice),
    native("itertools.accumulate", "iterable func? | initial?", accumulate),
    native("itertools.zip_longest", "*iterables | fillvalue?", zip_longest),
    native("itertools.groupby", "iterable key?", groups),
    native("itertools.repeat", "object times?", |vm, a| {
        if a.get("times").is_none() {
            return vm.refuse(Rule::UnsupportedOp, "repeat() without an end is not supported: give the times");
        }
        let times = usize::try_from(a.int(vm, "times")?).unwrap_or(0);
        vm.allocate(times)?;
        Ok(Value::iter(vec![a.value("object"); times]))
    }),
    native("itertools.pairwise", "iterable", |vm, a| {
        let items = vm.items(&a.value("iterable"))?;
        vm.allocate(2 * items.len())?;
        Ok(Value::iter(items.windows(2).map(|pair| Value::tuple(pair.to_vec())).collect()))
    }),
    native("itertools.starmap", "function iterable", |vm, a| {
        let mut out = Vec::new();
        for row in vm.items(&a.value("iterable"))? {
            let args = vm.items(&row)?;
            vm.allocate(1)?;
            out.push(vm.call(&a.value("function"), args, Vec::new())?);
        }
        Ok(Value::iter(out))
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
