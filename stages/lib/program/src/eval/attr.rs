//! Attributes: of objects, classes, modules, tensors and everything else.

use std::rc::Rc;

use graph::{DType, Op};

use super::value::{BOOL, Class, Data, FLOAT32, INT32, INT64, NativeClass, Object, Tensor, Value};
use super::{Interp, R, Run, Tracer, native, torch};
use crate::rules::Rule;
use crate::syntax::Name;

/// Attributes of tensors that are not methods.
pub const TENSOR: &[&str] = &[
    "shape",
    "ndim",
    "dtype",
    "device",
    "is_cuda",
    "is_sparse",
    "is_quantized",
    "grad",
    "requires_grad",
    "is_leaf",
    "data",
    "T",
    "mT",
];

/// Data of layers besides the parameters of their constructors.
pub const LAYER: &[&str] = &[
    "weight",
    "bias",
    "weight_ih",
    "weight_hh",
    "bias_ih",
    "bias_hh",
    "in_proj_weight",
    "in_proj_bias",
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "weight_g",
    "weight_v",
    "parametrizations",
    "original0",
    "original1",
    "self_attn",
    "linear1",
    "linear2",
    "norm1",
    "norm2",
    "dropout1",
    "dropout2",
    "layers",
    "training",
    "forward",
];

/// Data of Python's own objects and of records.
pub const OBJECT: &[&str] = &[
    "_fields",
    "args",
    "func",
    "index",
    "is_floating_point",
    "name",
    "start",
    "step",
    "stop",
    "type",
    "value",
    "out_proj",
];

/// Whether a function that is a class attribute becomes a method of instances. Those of torch that are written in
/// Python do, too: `act = F.relu` in a class body makes `self.act(x)` call `F.relu(self, x)`.
fn binds(value: &Value) -> bool {
    const BUILT_IN: &[&str] = &[
        "gelu",
        "linear",
        "softplus",
        "logsigmoid",
        "bilinear",
        "one_hot",
        "cosine_similarity",
        "scaled_dot_product_attention",
        "pairwise_distance",
        "prelu",
        "hardshrink",
        "softshrink",
        "adaptive_avg_pool1d",
    ];
    match value {
        Value::Function(_) | Value::PartialMethod(_) => true,
        Value::Native(n) if n.signature.starts_with("self") => true,
        Value::Native(n) => {
            let first = n.names.split(' ').next().unwrap_or("");
            // `torch.relu torch.nn.functional.relu` are two functions in torch; only the second one is Python
            first.strip_prefix("torch.nn.functional.").is_some_and(|f| !BUILT_IN.contains(&f))
        }
        _ => false,
    }
}

/// The operation that `x.name_()` performs in place.
pub fn in_place_twin(name: &str) -> Option<&'static native::Native> {
    let plain = name.strip_suffix('_').filter(|p| !p.is_empty() && !p.ends_with('_'))?;
    const SHAPES: &[&str] =
        &["transpose", "squeeze", "unsqueeze", "t", "resize", "set", "detach", "random", "bernoulli", "copysign"];
    // of these torch's gradients fail: copysign_() keeps what it is about to change
    if SHAPES.contains(&plain) {
        return None;
    }
    // not every method has such a form: there is no softmax_
    native::find(&format!("Tensor.{plain}")).filter(|_| crate::vocabulary::is_foreign(name))
}

/// Functions that torch also has in a form that works in place, as `torch.relu_`.
const IN_PLACE: &[&str] = &[
    "abs",
    "acos",
    "asin",
    "atan",
    "ceil",
    "celu",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "frac",
    "log",
    "log10",
    "log1p",
    "log2",
    "nan_to_num",
    "neg",
    "reciprocal",
    "relu",
    "round",
    "rsqrt",
    "selu",
    "sigmoid",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "threshold",
    "trunc",
];

/// As [`IN_PLACE`], for `torch.nn.functional`.
const IN_PLACE_FUNCTIONAL: &[&str] = &["celu", "elu", "hardtanh", "leaky_relu", "relu", "selu", "threshold"];

/// The operation that a function such as `torch.relu_` performs in place.
pub fn in_place_function(module: &str, name: &str) -> Option<&'static native::Native> {
    let plain = name.strip_suffix('_')?;
    let known = match module {
        "torch" => IN_PLACE,
        "torch.nn.functional" => IN_PLACE_FUNCTIONAL,
        _ => return None,
    };
    if known.contains(&plain) { native::find(&format!("{module}.{plain}")) } else { None }
}

/// What is said about an attribute that tensors have not, and what helps.
pub fn unknown_method(name: &str) -> (String, Option<String>) {
    if let Some(reason) = torch::refused::reason(&format!("Tensor.{name}")) {
        return (format!("Tensor.{name} is not supported: {reason}"), None);
    }
    let known = native::names().filter_map(|n| n.0.strip_prefix("Tensor."));
    let near = crate::suggest::nearest(name, known).map(|near| format!("did you mean .{near}?"));
    (format!("Tensor.{name} is not among the supported operations"), near)
}

impl Interp {
    /// `base.name`.
    pub fn attribute(&mut self, base: &Value, name: &Name) -> R<Value> {
        match self.lookup(base, name)? {
            Some(value) => Ok(value),
            None => self.tracer.run.no_attribute(base, name),
        }
    }

    /// The attribute, or nothing where Python would raise `AttributeError`. Of torch and of tensors we know only what they have,
    /// not what they lack.
    pub fn attribute_if_any(&mut self, base: &Value, name: &Name) -> R<Option<Value>> {
        match self.lookup(base, name) {
            // what a tensor has in PyTorch it may have here some day; other names are the program's own
            Ok(None) if matches!(base, Value::Tensor(_)) && !crate::vocabulary::is_foreign(name) => Ok(None),
            Ok(None) if matches!(base, Value::Module(_) | Value::Tensor(_)) => self.tracer.run.no_attribute(base, name),
            Err(fault) => match self.exception_of(&fault) {
                Some(Value::Object(o)) if o.class.mro.borrow().iter().any(|c| &*c.name == "AttributeError") => Ok(None),
                _ => Err(fault),
            },
            found => found,
        }
    }

    /// `base.name`, or nothing where there is no such attribute.
    pub fn lookup(&mut self, base: &Value, name: &Name) -> R<Option<Value>> {
        let method = |prefix: &str| {
            native::find(&format!("{prefix}.{name}")).map(|n| Value::Bound(Rc::new((Value::Native(n), base.clone()))))
        };
        Ok(match base {
            Value::Module(module) => {
                let module = module.clone();
                self.member(&module, name)?
            }
            Value::Object(object) => self.object_attribute(object, name)?,
            Value::Class(class) => class_attribute(class, name),
            Value::Tensor(t) => match self.tracer.tensor_attribute(t, name)? {
                Some(value) => Some(value),
                None => match (method("Tensor"), in_place_twin(name)) {
                    (None, Some(twin)) => {
                        let update = native::find("Tensor.$in_place").map_or(Value::None, Value::Native);
                        let bound = Value::Partial(Rc::new((update, vec![Value::Native(twin)], Vec::new())));
                        Some(Value::Bound(Rc::new((bound, base.clone()))))
                    }
                    (found, _) => found,
                },
            },
            Value::Super(pair) => {
                let (class, object) = (&pair.0, &pair.1);
                let found = match object {
                    Value::Object(o) => o.class.find_after(class, name),
                    Value::Class(c) => c.find_after(class, name),
                    _ => None,
                };
                let found = match found {
                    None if matches!(object, Value::Object(o) if o.class.layer().is_some()) => {
                        native::find(&format!("Module.{name}")).map(Value::Native)
                    }
                    other => other,
                };
                match found {
                    Some(Value::Property(p)) => Some(self.call(&p.get, vec![object.clone()], Vec::new())?),
                    Some(Value::StaticMethod(f)) => Some((*f).clone()),
                    Some(Value::ClassMethod(f)) => {
                        let class = match object {
                            Value::Object(o) => Value::Class(o.class.clone()),
                            other => other.clone(),
                        };
                        Some(Value::Bound(Rc::new(((*f).clone(), class))))
                    }
                    Some(f @ (Value::Function(_) | Value::Native(_))) => {
                        Some(Value::Bound(Rc::new((f, object.clone()))))
                    }
                    other => other,
                }
            }
            Value::Named(named) => match named.0.iter().position(|n| *n == &**name) {
                Some(i) => named.1.get(i).cloned(),
                None => method("tuple"),
            },
            Value::Str(_) => method("str"),
            Value::List(_) => method("list"),
            Value::Tuple(_) => method("tuple"),
            Value::Dict(_) => method("dict"),
            Value::Set(_) => method("set"),
            Value::View(_) => method("dict_view"),
            Value::Iter(it) if it.borrow().is_generator() && matches!(&**name, "send" | "close" | "throw") => {
                return self.refuse(Rule::UnsupportedOp, format!("{name}() of a generator is not supported"));
            }
            Value::Function(f) if matches!(&**name, "__name__" | "__qualname__") => Some(Value::Str(f.name().clone())),
            Value::Native(n) => match &**name {
                "__name__" => Some(Value::str(n.short())),
                other => {
                    // itertools.chain.from_iterable
                    let first = n.names.split(' ').next().unwrap_or("");
                    native::find(&format!("{first}.{other}")).map(Value::Native)
                }
            },
            Value::DType(t) => match &**name {
                "is_floating_point" => Some(Value::Bool(t.dtype == DType::Float)),
                _ => None,
            },
            Value::Device => match &**name {
                "type" => Some(Value::str("cpu")),
                "index" => Some(Value::None),
                _ => None,
            },
            Value::Slice(parts) => match &**name {
                "start" => Some(parts[0].clone()),
                "stop" => Some(parts[1].clone()),
                "step" => Some(parts[2].clone()),
                _ => None,
            },
            Value::Property(_) => method("property"),
            Value::Partial(p) => match &**name {
                "func" => Some(p.0.clone()),
                _ => None,
            },
            Value::Float(_) | Value::Int(_) | Value::Bool(_) => method("number"),
            Value::Typing => Some(Value::Typing),
            _ => None,
        })
    }

    fn object_attribute(&mut self, object: &Rc<Object>, name: &Name) -> R<Option<Value>> {
        let own = Value::Object(object.clone());
        let from_class = object.class.find(name);
        if let Some(Value::Property(p)) = &from_class {
            return self.call(&p.get, vec![own], Vec::new()).map(Some);
        }
        if let Some(value) = object.attrs.borrow().get(name) {
            return Ok(Some(value.clone()));
        }
        self.tracer.run.go_over_module(object)?;
        if let Some(state) = object.module.borrow().as_ref() {
            if let Some((_, p)) = state.params.iter().find(|p| p.0 == *name) {
                return Ok(Some(p.clone().map_or(Value::None, Value::Tensor)));
            }
            if let Some((_, b, _)) = state.buffers.iter().find(|b| b.0 == *name) {
                return Ok(Some(b.clone().map_or(Value::None, Value::Tensor)));
            }
            if let Some((_, c)) = state.children.iter().find(|c| c.0 == *name) {
                return Ok(Some(c.clone().map_or(Value::None, Value::Object)));
            }
            // the text may only look one of them up: see `forbidden`
            let held: Option<Vec<(Name, Value)>> = match &**name {
                "_modules" => Some(
                    state
                        .children
                        .iter()
                        .map(|c| (c.0.clone(), c.1.clone().map_or(Value::None, Value::Object)))
                        .collect(),
                ),
                "_parameters" => Some(
                    state
                        .params
                        .iter()
                        .map(|p| (p.0.clone(), p.1.clone().map_or(Value::None, Value::Tensor)))
                        .collect(),
                ),
                "_buffers" => Some(
                    state
                        .buffers
                        .iter()
                        .map(|b| (b.0.clone(), b.1.clone().map_or(Value::None, Value::Tensor)))
                        .collect(),
                ),
                _ => None,
            };
            if let Some(held) = held {
                return self.make_dict(Vec::new(), held).map(Some);
            }
            if &**name == "training" {
                return Ok(Some(Value::Bool(self.tracer.in_training(object))));
            }
        }
        if from_class.is_none()
            && object.module.borrow().is_some()
            && let Some(weight) = super::nn::weight_norm::normalised_weight(self, object, name)?
        {
            return Ok(Some(weight));
        }
        Ok(match from_class {
            Some(Value::StaticMethod(f)) => Some((*f).clone()),
            Some(Value::ClassMethod(f)) => {
                Some(Value::Bound(Rc::new(((*f).clone(), Value::Class(object.class.clone())))))
            }
            Some(f) if binds(&f) => Some(Value::Bound(Rc::new((f, own)))),
            Some(value) => Some(value),
            None if &**name == "__class__" => Some(Value::Class(object.class.clone())),
            None if object.class.layer().is_some() => {
                let kind = object.class.layer().map_or("", |l| l.container);
                let found = if kind.is_empty() { None } else { native::find(&format!("{kind}.{name}")) };
                found
                    .or_else(|| native::find(&format!("Module.{name}")))
                    .map(|n| Value::Bound(Rc::new((Value::Native(n), own))))
            }
            None => None,
        })
    }
}

impl Tracer {
    /// Whether a tensor is a registered kind: parameter (not buffer).
    pub fn is_parameter(&self, tensor: &Tensor) -> bool {
        match &*tensor.data.borrow() {
            Data::Leaf(i) => self.leaf(*i).is_some_and(|l| !l.buffer),
            _ => false,
        }
    }

    fn tensor_attribute(&mut self, t: &Rc<Tensor>, name: &str) -> R<Option<Value>> {
        if !TENSOR.contains(&name) {
            return Ok(t.marks.borrow().get(name).cloned());
        }
        Ok(Some(match name {
            "shape" => Value::tuple(self.shape_of(t).iter().map(Value::dim).collect()),
            "ndim" => Value::Int(self.shape_of(t).len() as i64),
            "dtype" => Value::DType(match self.dtype_of(t) {
                DType::Float => FLOAT32,
                DType::Int if matches!(&*t.data.borrow(), Data::Node(id) if self.widths.is_narrow(*id)) => INT32,
                DType::Int => INT64,
                DType::Bool => BOOL,
            }),
            "device" => Value::Device,
            "is_cuda" | "is_sparse" | "is_quantized" => Value::Bool(false),
            "grad" => Value::None,
            "requires_grad" if matches!(&*t.data.borrow(), Data::Node(_)) => {
                let id = self.node(t)?;
                Value::Bool(self.has_gradient(id) && self.is_grad_enabled())
            }
            "requires_grad" => Value::Bool(t.requires_grad.get()),
            "is_leaf" => Value::Bool(!matches!(&*t.data.borrow(), Data::Node(_))),
            "data" => {
                let data = t.data.borrow().clone();
                match data {
                    // writing to `.data` writes to the parameter itself
                    Data::Leaf(_) => {
                        let same = Tensor::new(data, t.storage.clone(), false, t.span);
                        Value::Tensor(Rc::new(Tensor { detached: true, view: t.view.clone(), ..same }))
                    }
                    Data::Literal(_) => Value::Tensor(t.clone()),
                    Data::Node(_) => {
                        let id = self.node(t)?;
                        let id = self.push(Op::Detach, &[id])?;
                        self.view_value(id, t)?
                    }
                }
            }
            "T" | "mT" => {
                let id = self.node(t)?;
                let rank = self.rank(id);
                if name == "mT" && rank < 2 {
                    return self.run.refuse(Rule::ShapeAxis, ".mT needs two axes or more");
                }
                if rank < 2 {
                    return Ok(Some(Value::Tensor(t.clone())));
                }
                if name == "T" && rank != 2 {
                    return self.run.refuse(Rule::ShapeAxis, ".T needs a matrix; use transpose or permute");
                }
                let mut perm: Vec<usize> = (0..rank).collect();
                perm.swap(rank - 1, rank - 2);
                let out = self.push(Op::Permute(perm), &[id])?;
                self.view_value(out, t)?
            }
            _ => return Ok(None),
        }))
    }
}

impl Run {
    pub fn no_attribute<T>(&mut self, base: &Value, name: &Name) -> R<T> {
        match base {
            Value::Module(module) => self.unknown_member(&module.clone(), name),
            Value::Tensor(_) => {
                let (text, help) = unknown_method(name);
                let mut d = *self.fault(Rule::UnsupportedOp, text);
                d.help = help;
                Err(Box::new(d))
            }
            _ => {
                // all its attributes are compared with this one
                if let Value::Object(o) = base {
                    let classes: usize = o.class.mro.borrow().iter().map(|c| c.attrs.borrow().len()).sum();
                    self.charge((o.attrs.borrow().len() + classes) as u64)?;
                    self.go_over_module(o)?;
                }
                let mut d = *self.fault(Rule::NameAttribute, format!("{} has no attribute '{name}'", base.type_name()));
                if let Value::Object(o) = base {
                    let mut known: Vec<Name> = o.attrs.borrow().keys().cloned().collect();
                    if let Some(m) = o.module.borrow().as_ref() {
                        known.extend(m.children.iter().map(|c| c.0.clone()));
                        known.extend(m.params.iter().map(|c| c.0.clone()));
                    }
                    for class in o.class.mro.borrow().iter() {
                        known.extend(class.attrs.borrow().keys().cloned());
                    }
                    if let Some(near) = crate::suggest::nearest(name, known.iter().map(|n| &**n)) {
                        d = d.help(format!("did you mean '{near}'?"));
                    }
                }
                Err(Box::new(d))
            }
        }
    }
}

fn class_attribute(class: &Rc<Class>, name: &Name) -> Option<Value> {
    match class.find(name) {
        Some(Value::StaticMethod(f)) => Some((*f).clone()),
        Some(Value::ClassMethod(f)) => Some(Value::Bound(Rc::new(((*f).clone(), Value::Class(class.clone()))))),
        Some(value) => Some(value),
        None => match &**name {
            "__name__" | "__qualname__" => Some(Value::Str(class.name.rsplit('.').next().unwrap_or("").into())),
            "fromkeys" if &*class.name == "dict" => native::find("dict.fromkeys").map(Value::Native),
            _ if class.layer().is_some() => native::find(&format!("Module.{name}")).map(Value::Native),
            _ if matches!(class.native, NativeClass::Tensor) => {
                native::find(&format!("Tensor.{name}")).map(Value::Native)
            }
            _ if matches!(class.native, NativeClass::Type) => {
                native::find(&format!("{}.{name}", class.name)).map(Value::Native)
            }
            _ => None,
        },
    }
}
