//! Functions that the evaluator knows by name: their signatures, and the binding of arguments to them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use graph::{DType, Dim, NodeId};

use super::arith::as_dim;
use super::named_tuple::tuple_items;
use super::value::{TensorType, Value};
use super::{Interp, R, Run};
use crate::rules::Rule;
use crate::syntax::Name;

/// A function written in Rust.
pub struct Native {
    /// All full names, separated by spaces: `torch.sum Tensor.sum`.
    pub names: &'static str,
    /// The one of them that it was found by; empty in the tables that list it.
    pub called: &'static str,
    /// Parameters, separated by spaces: `dim?` may be left out, those behind `|` go by keyword, `*sizes` takes the rest.
    pub signature: &'static str,
    pub run: fn(&mut Interp, &Args) -> R<Value>,
}

/// An entry of a table: see [`Native`] for its parts.
pub const fn native(names: &'static str, signature: &'static str, run: fn(&mut Interp, &Args) -> R<Value>) -> Native {
    Native { names, called: "", signature, run }
}

impl Native {
    /// Whether it is of Python itself, whose exceptions are known.
    pub fn is_python(&self) -> bool {
        let first = self.names.split('.').next().unwrap_or("");
        matches!(
            first,
            "builtins"
                | "object"
                | "property"
                | "str"
                | "list"
                | "tuple"
                | "dict"
                | "dict_view"
                | "set"
                | "number"
                | "math"
                | "copy"
                | "functools"
                | "itertools"
                | "operator"
                | "dataclasses"
                | "enum"
                | "namedtuple"
                | "collections"
                | "logging"
        )
    }

    /// The last part of the name that it was found by, or of its first one.
    pub fn short(&self) -> &'static str {
        let name = if self.called.is_empty() { self.names.split(' ').next().unwrap_or("") } else { self.called };
        name.rsplit('.').next().unwrap_or(name)
    }
}

static TABLE: OnceLock<BTreeMap<&'static str, Native>> = OnceLock::new();

fn table() -> &'static BTreeMap<&'static str, Native> {
    TABLE.get_or_init(|| {
        let python: [&'static [Native]; 13] = [
            super::builtins::TABLE,
            super::text::TABLE,
            super::methods::TABLE,
            super::words::TABLE,
            super::stdlib::TABLE,
            super::mathematics::TABLE,
            super::iteration::TABLE,
            super::init::TABLE,
            super::container::TABLE,
            super::records::TABLE,
            super::named_tuple::TABLE,
            super::einops::TABLE,
            super::nn::weight_norm::TABLE,
        ];
        let all = python.into_iter().chain(super::torch::tables()).flatten();
        all.flat_map(|n| n.names.split(' ').map(move |name| (name, Native { called: name, ..*n }))).collect()
    })
}

/// The function of a full name.
pub fn find(name: &str) -> Option<&'static Native> {
    table().get(name)
}

/// All full names with their signatures, in alphabetical order.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    table().iter().map(|(name, native)| (*name, native.signature))
}

impl Run {
    /// The element type behind a dtype, of which floats have one precision only.
    pub fn precision(&self, t: TensorType) -> R<DType> {
        if matches!(t.name, "torch.float64" | "torch.float16" | "torch.bfloat16") {
            return self.refuse(Rule::UnsupportedPrecision, "the precision of floats is the trainer's choice");
        }
        if t.dtype == DType::Int && t.name != "torch.int64" {
            let d = self
                .fault(Rule::UnsupportedPrecision, format!("{} wraps around; integers are of 64 bits here", t.name));
            return Err(Box::new(d.help("use torch.long, or .float()")));
        }
        Ok(t.dtype)
    }
}

/// Whether a function of torch has a parameter that it has not here.
fn is_of_torch(native: &Native, parameter: &str) -> bool {
    let is_function = native.names.split(' ').any(|n| n.starts_with("torch.") && !n.starts_with("torch.nn."));
    match parameter {
        "out" | "generator" | "pin_memory" | "layout" | "memory_format" | "names" | "non_blocking" | "stable" => {
            is_function
        }
        "dim1" | "dim2" | "offset" => matches!(native.short(), "diag_embed" | "diagonal"),
        _ => false,
    }
}

/// The arguments of one call, by parameter.
pub struct Args {
    native: &'static Native,
    names: Vec<&'static str>,
    values: Vec<Option<Value>>,
    /// Further positional arguments, for functions that take them.
    pub rest: Vec<Value>,
    /// Further keyword arguments.
    pub keywords: Vec<(Name, Value)>,
}

impl Args {
    /// Binds as Python does.
    pub fn bind(vm: &Interp, native: &'static Native, positional: Vec<Value>, keywords: Vec<(Name, Value)>) -> R<Self> {
        let function = native.short();
        let (mut names, mut required) = (Vec::new(), Vec::new());
        let (mut star, mut double, mut keyword_only, mut open) = (false, false, false, 0_usize);
        for word in native.signature.split_whitespace() {
            if word == "|" {
                keyword_only = true;
            } else if word.starts_with("**") {
                double = true;
            } else if word.starts_with('*') {
                star = true;
                keyword_only = true;
            } else {
                names.push(word.trim_end_matches('?'));
                required.push(!word.ends_with('?'));
                if !keyword_only {
                    open += 1;
                }
            }
        }
        let mut values: Vec<Option<Value>> = vec![None; names.len()];
        let given = positional.len();
        let mut rest = Vec::new();
        for (i, value) in positional.into_iter().enumerate() {
            match values.get_mut(i) {
                Some(slot) if i < open => *slot = Some(value),
                _ if star => rest.push(value),
                _ => {
                    return vm
                        .type_fault(format!("{function}() takes {open} positional arguments, but {given} are given"));
                }
            }
        }
        let mut extra = Vec::new();
        for (name, value) in keywords {
            let known = match &*name {
                "axis" if !names.contains(&"axis") => "dim",
                "axes" if !names.contains(&"axes") => "dims",
                "keepdims" => "keepdim",
                "mat2" if matches!(function, "mm" | "bmm") => "other",
                "vec2" if matches!(function, "outer" | "ger") => "other",
                other => other,
            };
            match names.iter().position(|n| *n == known) {
                Some(i) => match values.get_mut(i) {
                    Some(slot @ None) => *slot = Some(value),
                    _ => return vm.type_fault(format!("{function}() gets '{name}' twice")),
                },
                // `x.view(size=...)`, `x.permute(dims=...)`
                None if star && rest.is_empty() && matches!(known, "size" | "shape" | "dims" | "sizes" | "repeats") => {
                    rest.push(value);
                }
                None if double => extra.push((name, value)),
                None if is_of_torch(native, &name) => {
                    let text = format!("{function}(): the parameter '{name}' is not supported");
                    return vm.refuse(Rule::UnsupportedOp, text);
                }
                None => return vm.type_fault(format!("{function}() has no parameter '{name}'")),
            }
        }
        if let Some(i) =
            (0..names.len()).find(|&i| required.get(i) == Some(&true) && matches!(values.get(i), Some(None)))
        {
            let name = names.get(i).copied().unwrap_or("");
            return vm.type_fault(format!("{function}() needs the argument '{name}'"));
        }
        Ok(Self { native, names, values, rest, keywords: extra })
    }

    pub fn function(&self) -> &'static str {
        self.native.short()
    }

    /// The argument of a parameter, unless it is left out.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let i = self.names.iter().position(|n| *n == name)?;
        self.values.get(i)?.as_ref()
    }

    /// As [`Args::get`], with `None` for Python's `None` too.
    pub fn some(&self, name: &str) -> Option<&Value> {
        self.get(name).filter(|v| !matches!(v, Value::None))
    }

    pub fn value(&self, name: &str) -> Value {
        self.get(name).cloned().unwrap_or(Value::None)
    }

    fn wrong<T>(&self, vm: &Interp, name: &str, wanted: &str, got: &Value) -> R<T> {
        vm.type_fault(format!("{}(): '{name}' must be {wanted}, not {}", self.function(), got.type_name()))
    }

    pub fn tensor(&self, vm: &mut Interp, name: &str) -> R<NodeId> {
        match self.value(name) {
            Value::Tensor(t) => vm.tracer.node(&t),
            other => self.wrong(vm, name, "a tensor", &other),
        }
    }

    /// A tensor, or a number as a 0-dimensional one.
    pub fn operand(&self, vm: &mut Interp, name: &str) -> R<NodeId> {
        let value = self.value(name);
        match vm.tracer.operand(&value)? {
            Some(id) => Ok(id),
            None => self.wrong(vm, name, "a tensor or a number", &value),
        }
    }

    pub fn bool(&self, vm: &mut Interp, name: &str, default: bool) -> R<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(other) if matches!(name, "keepdim" | "unbiased" | "largest" | "descending") => {
                let other = other.clone();
                self.wrong(vm, name, "True or False", &other)
            }
            Some(other) => {
                let other = other.clone();
                vm.truth(&other)
            }
        }
    }

    /// An integer that does not depend on B or N.
    pub fn int(&self, vm: &Interp, name: &str) -> R<i64> {
        match self.value(name) {
            Value::Int(i) => Ok(i),
            Value::Bool(b) => Ok(b.into()),
            Value::Dim(d) => vm.refuse(
                Rule::UnsupportedSize,
                format!("{}(): '{name}' is {d}, but must not depend on the size of the graph", self.function()),
            ),
            other => self.wrong(vm, name, "an integer", &other),
        }
    }

    pub fn int_or(&self, vm: &Interp, name: &str, default: i64) -> R<i64> {
        if self.some(name).is_none() { Ok(default) } else { self.int(vm, name) }
    }

    /// A feature size: an integer of 0 or more that does not depend on B or N.
    pub fn size(&self, vm: &Interp, name: &str) -> R<usize> {
        match self.value(name) {
            Value::Dim(d) => vm.refuse(
                Rule::ShapeParameter,
                format!(
                    "{}(): '{name}' is {d}, so the parameters would depend on the size of the graph",
                    self.function()
                ),
            ),
            Value::Int(i) => match usize::try_from(i) {
                Ok(size) => Ok(size),
                Err(_) => vm.value_fault(format!("{}(): '{name}' is {i}, but cannot be negative", self.function())),
            },
            other => self.wrong(vm, name, "an integer", &other),
        }
    }

    /// An integer that may depend on B and N.
    pub fn dim(&self, vm: &Interp, name: &str) -> R<Dim> {
        match as_dim(&self.value(name)) {
            Some(d) => Ok(d),
            None => self.wrong(vm, name, "an integer", &self.value(name)),
        }
    }

    pub fn float_or(&self, vm: &Interp, name: &str, default: f64) -> R<f64> {
        match self.some(name) {
            None => Ok(default),
            Some(v) => vm.tracer.run.as_float(v, self.function(), name),
        }
    }

    pub fn text(&self, vm: &Interp, name: &str) -> R<Name> {
        match self.value(name) {
            Value::Str(s) => Ok(s),
            other => self.wrong(vm, name, "a string", &other),
        }
    }

    pub fn text_or(&self, vm: &Interp, name: &str, default: &str) -> R<Name> {
        if self.some(name).is_none() { Ok(default.into()) } else { self.text(vm, name) }
    }

    /// A dtype, or the default.
    pub fn dtype(&self, vm: &Interp, name: &str, default: DType) -> R<DType> {
        match self.some(name) {
            None => Ok(default),
            Some(Value::DType(t)) => vm.tracer.run.precision(*t),
            Some(Value::Class(c)) => match &*c.name {
                "float" => Ok(DType::Float),
                "int" => Ok(DType::Int),
                "bool" => Ok(DType::Bool),
                _ => self.wrong(vm, name, "a dtype", &self.value(name)),
            },
            Some(other) => self.wrong(vm, name, "a dtype", other),
        }
    }

    /// An axis of a tensor of `rank` axes, counted from the end where negative.
    pub fn axis(&self, vm: &Interp, name: &str, rank: usize) -> R<usize> {
        let axis = self.int(vm, name)?;
        vm.tracer.run.axis(axis, rank, self.function())
    }

    pub fn axis_or(&self, vm: &Interp, name: &str, default: i64, rank: usize) -> R<usize> {
        let axis = self.int_or(vm, name, default)?;
        vm.tracer.run.axis(axis, rank, self.function())
    }

    /// The items of an argument that torch takes as a list or tuple only: neither an iterator nor a tensor nor what a dict holds.
    pub fn listed(&self, vm: &mut Interp, name: &str) -> R<Vec<Value>> {
        let value = self.value(name);
        match &value {
            Value::List(_) | Value::Tuple(_) | Value::Named(_) => vm.items(&value),
            Value::Object(o) if tuple_items(o).is_some() => vm.items(&value),
            other if matches!(other, Value::Iter(_) | Value::View(_)) => {
                let text =
                    format!("{}(): '{name}' must be a list or tuple, not {}", self.function(), other.type_name());
                let d = vm.fault(Rule::Type, text);
                Err(Box::new(d.help("make it a list: list(...)")))
            }
            other => self.wrong(vm, name, "a list or tuple", other),
        }
    }

    /// One axis or several; `None` where left out.
    pub fn axes(&self, vm: &mut Interp, name: &str, rank: usize) -> R<Option<Vec<usize>>> {
        let Some(value) = self.some(name).cloned() else { return Ok(None) };
        let items = match &value {
            Value::Tuple(_) | Value::List(_) => vm.items(&value)?,
            _ => vec![value],
        };
        let mut axes = Vec::new();
        for item in items {
            match item {
                Value::Int(i) => axes.push(vm.tracer.run.axis(i, rank, self.function())?),
                other => return self.wrong(vm, name, "an axis or a tuple of axes", &other),
            }
        }
        Ok(Some(axes))
    }

    /// Sizes given one by one or as one sequence.
    pub fn sizes(&self, vm: &mut Interp) -> R<Vec<Value>> {
        match self.rest.as_slice() {
            [one @ (Value::Tuple(_) | Value::List(_))] => {
                let one = one.clone();
                vm.items(&one)
            }
            many => Ok(many.to_vec()),
        }
    }
}
