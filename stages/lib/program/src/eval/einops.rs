//! `einops`: `rearrange`, `reduce` and `repeat`, and the layers `Rearrange` and `Reduce`.

use graph::{DType, Dim, NodeId, Op, ReduceOp, Shape};

use super::arith::as_dim;
use super::native::{Args, Native, native};
use super::value::Value;
use super::{Interp, R, Run, Tracer};
use crate::rules::Rule;

/// One axis of a pattern: names that are joined to it. `()` and `1` join nothing.
type Axis = Vec<String>;

/// The name that `...` has among the axes.
const DOTS: &str = "...";

/// Reads one side of a pattern.
fn side(text: &str) -> Result<Vec<Axis>, String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('…', DOTS);
    let mut axes: Vec<Axis> = Vec::new();
    let mut group: Option<Axis> = None;
    for word in spaced.split_whitespace() {
        match word {
            "(" if group.is_some() => return Err("parentheses stand inside of parentheses".into()),
            "(" => group = Some(Vec::new()),
            ")" => axes.push(group.take().ok_or("a parenthesis is closed that was not opened")?),
            name => {
                let plain = name == DOTS
                    || name == "1"
                    || (name.chars().all(|c| c.is_alphanumeric() || c == '_')
                        && name.starts_with(|c: char| c.is_alphabetic()));
                if !plain {
                    return Err(format!("'{name}' is no name of an axis"));
                }
                match &mut group {
                    Some(names) if name != "1" => names.push(name.into()),
                    Some(_) => {}
                    None if name == "1" => axes.push(Vec::new()),
                    None => axes.push(vec![name.into()]),
                }
            }
        }
    }
    if group.is_some() { Err("a parenthesis is not closed".into()) } else { Ok(axes) }
}

/// What the names of a pattern stand for.
struct Names {
    sizes: Vec<(String, Dim)>,
}

impl Names {
    fn get(&self, name: &str) -> Option<&Dim> {
        self.sizes.iter().find(|s| s.0 == name).map(|s| &s.1)
    }
}

/// `...` spelled out as that many axes of their own.
fn spelled(axes: &[Axis], count: usize) -> Vec<Axis> {
    let names = || (0..count).map(|i| format!("{DOTS}{i}"));
    let mut out = Vec::new();
    for axis in axes {
        if axis.as_slice() == [DOTS] {
            out.extend(names().map(|n| vec![n]));
        } else {
            let inner = axis.iter().flat_map(|n| if n == DOTS { names().collect() } else { vec![n.clone()] });
            out.push(inner.collect());
        }
    }
    out
}

fn fault<T>(run: &Run, pattern: &str, why: impl std::fmt::Display) -> R<T> {
    run.refuse(Rule::ShapeEinsum, format!("the pattern \"{pattern}\": {why}"))
}

/// What a pattern does to the axes of one tensor.
fn transformed(vm: &mut Interp, a: &Args, reduce: Option<ReduceOp>, repeats: bool) -> R<Value> {
    let pattern = a.text(vm, "pattern")?;
    if pattern.len() > 512 {
        return fault(&vm.tracer.run, "...", "it is absurdly long");
    }
    let tensor = match a.value("tensor") {
        list @ (Value::List(_) | Value::Tuple(_)) => {
            let Some(stack) = super::native::find("torch.stack") else { return vm.type_fault("a tensor is needed") };
            vm.call_native(stack, vec![list], Vec::new())?
        }
        one => one,
    };
    let Value::Tensor(t) = tensor else {
        return vm.type_fault(format!("{}() takes a tensor, not {}", a.function(), tensor.type_name()));
    };
    let Some((left, right)) = pattern.split_once("->") else {
        return fault(&vm.tracer.run, &pattern, "it has no '->'");
    };
    let (left, right) = match (side(left), side(right)) {
        (Ok(l), Ok(r)) => (l, r),
        (Err(why), _) | (_, Err(why)) => return fault(&vm.tracer.run, &pattern, why),
    };
    let id = vm.tracer.node(&t)?;
    let shape = vm.tracer.shape(id).clone();
    let has_dots = left.iter().any(|x| x.contains(&DOTS.to_string()));
    let named = left.iter().filter(|x| x.as_slice() != [DOTS]).count();
    if shape.len() < named || (!has_dots && shape.len() != named) {
        return fault(
            &vm.tracer.run,
            &pattern,
            format!("it names {named} axes, but the tensor is {}", graph::display(&shape)),
        );
    }
    let dots = if has_dots { shape.len() - named } else { 0 };
    let (left, right) = (spelled(&left, dots), spelled(&right, dots));
    let mut names = Names { sizes: Vec::new() };
    for (name, value) in &a.keywords {
        let Some(size) = as_dim(value) else {
            return vm.type_fault(format!("the size of '{name}' is an integer, not {}", value.type_name()));
        };
        names.sizes.push((name.to_string(), size));
    }
    let flat_left: Vec<String> = left.concat();
    let flat_right: Vec<String> = right.concat();
    for flat in [&flat_left, &flat_right] {
        if let Some(twice) = flat.iter().enumerate().find(|(i, n)| flat.iter().take(*i).any(|o| o == *n)) {
            return fault(&vm.tracer.run, &pattern, format!("'{}' stands twice on one side", twice.1));
        }
    }
    if let Some((odd, _)) = a.keywords.iter().find(|k| !flat_left.iter().chain(&flat_right).any(|n| **n == *k.0)) {
        return fault(&vm.tracer.run, &pattern, format!("it has no axis '{odd}'"));
    }
    // sizes of the names, from those of the axes
    for (axis, size) in left.iter().zip(&shape) {
        let open: Vec<&String> = axis.iter().filter(|n| names.get(n).is_none()).collect();
        let known = axis.iter().filter_map(|n| names.get(n)).fold(Dim::known(1), |product, d| product * d.clone());
        match open.as_slice() {
            [] if known == *size => {}
            [] => return fault(&vm.tracer.run, &pattern, format!("{known} elements do not fill an axis of {size}")),
            [one] => match size.div_exact(&known) {
                Some(rest) => names.sizes.push(((*one).clone(), rest)),
                None => {
                    return fault(&vm.tracer.run, &pattern, format!("an axis of {size} cannot be split by {known}"));
                }
            },
            _ => return fault(&vm.tracer.run, &pattern, format!("the sizes of {} are not known", axis.join(" and "))),
        }
    }
    let gone: Vec<usize> =
        flat_left.iter().enumerate().filter(|(_, n)| !flat_right.contains(n)).map(|(i, _)| i).collect();
    let new: Vec<&String> = flat_right.iter().filter(|n| !flat_left.contains(n)).collect();
    if reduce.is_none() && !gone.is_empty() {
        let lost = gone.iter().filter_map(|i| flat_left.get(*i)).cloned().collect::<Vec<_>>().join(", ");
        return fault(&vm.tracer.run, &pattern, format!("{lost} is missing on the right; use reduce"));
    }
    if !repeats && !new.is_empty() {
        return fault(&vm.tracer.run, &pattern, format!("{} is missing on the left; use repeat", new[0]));
    }
    if let Some(open) = new.iter().find(|n| names.get(n).is_none()) {
        return fault(&vm.tracer.run, &pattern, format!("the size of '{open}' is not given"));
    }
    let size = |n: &String| names.get(n).cloned().unwrap_or_default();
    let apart: Shape = flat_left.iter().map(size).collect();
    let mut at = reshaped(&mut vm.tracer, id, apart)?;
    let mut order: Vec<String> = flat_left.clone();
    if let Some(op) = reduce
        && !gone.is_empty()
    {
        if matches!(op, ReduceOp::Mean) && vm.tracer.dtype(at) != DType::Float {
            return vm.refuse(Rule::ShapeDtype, "the mean is taken of floats");
        }
        at = vm.tracer.push(Op::Reduce { op, dims: gone, keepdim: false }, &[at])?;
        order.retain(|n| flat_right.contains(n));
    }
    let kept: Vec<&String> = flat_right.iter().filter(|n| order.contains(n)).collect();
    let perm: Vec<usize> = kept.iter().filter_map(|n| order.iter().position(|o| o == *n)).collect();
    if !perm.iter().copied().eq(0..perm.len()) {
        at = vm.tracer.push(Op::Permute(perm), &[at])?;
    }
    if !new.is_empty() {
        let one = |n: &String| if order.contains(n) { size(n) } else { Dim::known(1) };
        at = reshaped(&mut vm.tracer, at, flat_right.iter().map(one).collect())?;
        let dtype = vm.tracer.dtype(at);
        at = vm.tracer.push_as(Op::Expand, &[at], flat_right.iter().map(size).collect(), dtype)?;
    }
    let joined = |axis: &Axis| axis.iter().fold(Dim::known(1), |product, n| product * size(n));
    at = reshaped(&mut vm.tracer, at, right.iter().map(joined).collect())?;
    if at == id {
        return Ok(Value::Tensor(t));
    }
    vm.tracer.view_value(at, &t)
}

fn reshaped(tracer: &mut Tracer, id: NodeId, to: Shape) -> R<NodeId> {
    if *tracer.shape(id) == to {
        return Ok(id);
    }
    let dtype = tracer.dtype(id);
    tracer.push_as(Op::Reshape, &[id], to, dtype)
}

/// A reduction by its name.
pub fn reduction(vm: &mut Interp, a: &Args) -> R<ReduceOp> {
    Ok(match &*a.text(vm, "reduction")? {
        "mean" => ReduceOp::Mean,
        "sum" => ReduceOp::Sum,
        "max" => ReduceOp::Amax,
        "min" => ReduceOp::Amin,
        "prod" => return vm.refuse(Rule::UnsupportedOp, "of the reductions, mean, sum, max and min are supported"),
        other => return vm.value_fault(format!("'{other}' is no reduction")),
    })
}

fn einsum(vm: &mut Interp, a: &Args) -> R<Value> {
    let mut all = a.rest.clone();
    let Some(Value::Str(pattern)) = all.pop() else { return vm.type_fault("einsum() ends with its pattern") };
    let mut letters: Vec<String> = Vec::new();
    let mut spell = |part: &str| -> Option<String> {
        let mut out = String::new();
        for word in part.split_whitespace() {
            if word == DOTS {
                out.push_str(DOTS);
                continue;
            }
            let at = letters.iter().position(|l| l == word).unwrap_or_else(|| {
                letters.push(word.into());
                letters.len() - 1
            });
            out.push(('a'..='z').nth(at)?);
        }
        Some(out)
    };
    let Some((left, right)) = pattern.split_once("->") else {
        return fault(&vm.tracer.run, &pattern, "it has no '->'");
    };
    let inputs: Option<Vec<String>> = left.split(',').map(&mut spell).collect();
    let (Some(inputs), Some(output)) = (inputs, spell(right)) else {
        return fault(&vm.tracer.run, &pattern, "it has too many axes");
    };
    let equation = format!("{}->{output}", inputs.join(","));
    let Some(einsum) = super::native::find("torch.einsum") else { return vm.type_fault("einsum() is not there") };
    all.insert(0, Value::str(&equation));
    vm.call_native(einsum, all, Vec::new())
}

pub static TABLE: &[Native] = &[
    native("einops.rearrange", "tensor pattern **sizes", |vm, a| transformed(vm, a, None, false)),
    native("einops.repeat", "tensor pattern **sizes", |vm, a| transformed(vm, a, None, true)),
    native("einops.reduce", "tensor pattern reduction **sizes", |vm, a| {
        let op = reduction(vm, a)?;
        transformed(vm, a, Some(op), false)
    }),
    native("einops.einsum", "*args", einsum),
];
