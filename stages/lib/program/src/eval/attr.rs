//! Attributes: of objects, classes, modules, tensors and everything else.

use std::rc::Rc;

use graph::{DType, Op};

use super::value::{BOOL, Class, Data, FLOAT32, INT64, NativeClass, Object, Tensor, TensorType, Value};
use super::{Interp, R, native, nn, torch};
use crate::diagnostic::Category;
use crate::modules;
use crate::syntax::{Alias, Name};

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
        "pad",
        "cosine_similarity",
        "scaled_dot_product_attention",
    ];
    match value {
        Value::Function(_) => true,
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
fn in_place_twin(name: &str) -> Option<&'static native::Native> {
    let plain = name.strip_suffix('_').filter(|p| !p.is_empty() && !p.ends_with('_'))?;
    const SHAPES: &[&str] =
        &["transpose", "squeeze", "unsqueeze", "t", "resize", "set", "detach", "random", "bernoulli"];
    if SHAPES.contains(&plain) {
        return None;
    }
    native::find(&format!("Tensor.{plain}"))
}

impl Interp {
    pub fn import(&mut self, alias: &Alias, scope: &Rc<super::value::Scope>) -> R<()> {
        if !modules::exists(&alias.name) {
            return self.unsupported("E-UNSUPPORTED-IMPORT", format!("the module '{}' is not available", alias.name));
        }
        let (name, module): (Name, Name) = match &alias.asname {
            Some(asname) => (asname.clone(), alias.name.clone()),
            None => {
                let root: Name = alias.name.split('.').next().unwrap_or("").into();
                (root.clone(), root)
            }
        };
        self.bind_name(&name, Value::Module(module), scope)
    }

    pub fn import_from(&mut self, module: &Name, alias: &Alias, scope: &Rc<super::value::Scope>) -> R<()> {
        if &**module == "__future__" {
            self.lazy_annotations |= &*alias.name == "annotations";
            return Ok(());
        }
        if !modules::exists(module) {
            return self.unsupported("E-UNSUPPORTED-IMPORT", format!("the module '{module}' is not available"));
        }
        if &*alias.name == "*" {
            return self.unsupported("E-UNSUPPORTED-IMPORT", "'import *' is not supported; name what is used");
        }
        let value = match self.member(module, &alias.name)? {
            Some(value) => value,
            None => return self.unknown_member(module, &alias.name),
        };
        let name = alias.asname.clone().unwrap_or_else(|| alias.name.clone());
        self.bind_name(&name, value, scope)
    }

    /// A member of a module.
    fn member(&mut self, module: &str, name: &str) -> R<Option<Value>> {
        let full = match module {
            "torch.nn.modules" | "torch.nn.parameter" => format!("torch.nn.{name}"),
            "torch.special" => format!("torch.{name}"),
            "typing_extensions" | "collections.abc" | "types" | "numbers" => format!("typing.{name}"),
            _ => format!("{module}.{name}"),
        };
        if modules::exists(&full) {
            return Ok(Some(Value::Module(full.as_str().into())));
        }
        if let Some(native) = native::find(&format!("{module}.{name}")) {
            return Ok(Some(Value::Native(native)));
        }
        if full.starts_with("typing.") {
            return Ok(Some(Value::Typing));
        }
        if let Some(native) = native::find(&full) {
            return Ok(Some(Value::Native(native)));
        }
        if let Some(layer) = full.strip_prefix("torch.nn.")
            && let Some(layer) = nn::find(layer)
        {
            return Ok(Some(Value::Class(self.layer_class(layer))));
        }
        let dtype = |dtype, name| Some(Value::DType(TensorType { dtype, name }));
        Ok(match full.as_str() {
            "torch.Tensor" | "torch.FloatTensor" | "torch.LongTensor" | "torch.BoolTensor" => {
                Some(Value::Class(self.native_class("Tensor", NativeClass::Tensor)))
            }
            "torch.Size" => Some(Value::Class(self.type_class("tuple"))),
            "torch.float32" | "torch.float" => dtype(DType::Float, "torch.float32"),
            "torch.float64" | "torch.double" => dtype(DType::Float, "torch.float64"),
            "torch.float16" | "torch.half" => dtype(DType::Float, "torch.float16"),
            "torch.bfloat16" => dtype(DType::Float, "torch.bfloat16"),
            "torch.int64" | "torch.long" => dtype(DType::Int, "torch.int64"),
            "torch.int32" | "torch.int" => dtype(DType::Int, "torch.int32"),
            "torch.int16" | "torch.int8" | "torch.uint8" | "torch.short" => dtype(DType::Int, "torch.int16"),
            "torch.bool" => dtype(DType::Bool, "torch.bool"),
            "torch.device" => native::find("torch.device").map(Value::Native),
            "torch.dtype" => Some(Value::Typing),
            "torch.inf" | "math.inf" | "numpy.inf" => Some(Value::Float(f64::INFINITY)),
            "torch.nan" | "math.nan" | "numpy.nan" => Some(Value::Float(f64::NAN)),
            "torch.pi" | "math.pi" | "numpy.pi" => Some(Value::Float(std::f64::consts::PI)),
            "torch.e" | "math.e" | "numpy.e" => Some(Value::Float(std::f64::consts::E)),
            "math.tau" => Some(Value::Float(std::f64::consts::TAU)),
            "torch.newaxis" | "numpy.newaxis" => Some(Value::None),
            "torch.__version__" => Some(Value::str("2.11.0")),
            "numpy.ndarray" | "numpy.floating" | "numpy.integer" => Some(Value::Typing),
            "abc.ABC" => Some(Value::Class(self.native_class("ABC", NativeClass::Object))),
            "enum.Enum" => Some(Value::Class(self.native_class("Enum", NativeClass::Object))),
            "enum.IntEnum" => Some(Value::Class(self.native_class("IntEnum", NativeClass::Object))),
            "enum.StrEnum" => Some(Value::Class(self.native_class("StrEnum", NativeClass::Object))),
            "abc.ABCMeta" => Some(Value::Typing),
            "collections.OrderedDict" => Some(Value::Class(self.type_class("dict"))),
            _ => None,
        })
    }

    fn unknown_member<T>(&self, module: &str, name: &str) -> R<T> {
        let prefix = format!("{module}.");
        let near = {
            let known = native::names().map(|n| n.0).chain(nn::layer_names()).filter_map(|n| n.strip_prefix(&prefix));
            crate::suggest::nearest(name, known)
        };
        if let Some(reason) = torch::refused::reason(&format!("{module}.{name}")) {
            let text = format!("{module}.{name} is not supported: {reason}");
            return Err(self.fault(Category::Unsupported, "E-UNSUPPORTED-OP", text));
        }
        let mut d = *self.fault(
            Category::Unsupported,
            "E-UNSUPPORTED-OP",
            format!("{module}.{name} is not among the supported operations"),
        );
        if let Some(near) = near {
            d = d.help(format!("did you mean {module}.{near}?"));
        }
        Err(Box::new(d))
    }

    /// The class of a builtin type.
    pub fn type_class(&mut self, name: &'static str) -> Rc<Class> {
        let native = if name == "object" { NativeClass::Object } else { NativeClass::Type };
        self.native_class(name, native)
    }

    pub fn native_class(&mut self, name: &'static str, native: NativeClass) -> Rc<Class> {
        if let Some(class) = self.classes.get(name) {
            return class.clone();
        }
        let class = Rc::new(Class {
            name: name.into(),
            mro: Default::default(),
            attrs: Default::default(),
            native,
            span: Default::default(),
        });
        class.mro.borrow_mut().push(class.clone());
        self.classes.insert(name, class.clone());
        if let Some(base) = match native {
            NativeClass::Exception => super::exceptions::builtin(name).map(|e| e.1),
            NativeClass::Type | NativeClass::Tensor => Some("object"),
            NativeClass::Object if matches!(name, "IntEnum" | "StrEnum") => Some("Enum"),
            NativeClass::Object if name != "object" => Some("object"),
            _ => None,
        } {
            let kind = if matches!(base, "object" | "Enum") { NativeClass::Object } else { NativeClass::Exception };
            let base = self.native_class(base, kind);
            class.mro.borrow_mut().extend(base.mro.borrow().iter().cloned());
        }
        if name == "object"
            && let Some(init) = native::find("object.__init__")
        {
            class.attrs.borrow_mut().insert("__init__".into(), Value::Native(init));
        }
        class
    }

    /// The class of a layer of torch.
    pub fn layer_class(&mut self, layer: &'static nn::Layer) -> Rc<Class> {
        if let Some(class) = self.classes.get(layer.name) {
            return class.clone();
        }
        let class = self.native_class(layer.name, NativeClass::Layer(layer));
        let base = match layer.base {
            Some(base) => nn::find(base).map(|b| self.layer_class(b)),
            None => Some(self.type_class("object")),
        };
        if let Some(base) = base {
            class.mro.borrow_mut().extend(base.mro.borrow().iter().cloned());
        }
        let mut attrs = class.attrs.borrow_mut();
        attrs.insert("__init__".into(), Value::Native(&layer.init));
        attrs.insert("forward".into(), Value::Native(&layer.forward));
        drop(attrs);
        class
    }

    /// `base.name`.
    pub fn attribute(&mut self, base: &Value, name: &Name) -> R<Value> {
        match self.lookup(base, name)? {
            Some(value) => Ok(value),
            None => self.no_attribute(base, name),
        }
    }

    /// The attribute, or nothing where Python would raise `AttributeError`. Of torch and of tensors we know only what they have,
    /// not what they lack.
    pub fn attribute_if_any(&mut self, base: &Value, name: &Name) -> R<Option<Value>> {
        match self.lookup(base, name) {
            Ok(None) if matches!(base, Value::Module(_) | Value::Tensor(_)) => self.no_attribute(base, name),
            Err(fault) => match self.exception_of(&fault) {
                Some(Value::Object(o)) if o.class.mro.borrow().iter().any(|c| &*c.name == "AttributeError") => Ok(None),
                _ => Err(fault),
            },
            found => found,
        }
    }

    fn no_attribute<T>(&mut self, base: &Value, name: &Name) -> R<T> {
        match base {
            Value::Module(module) => self.unknown_member(&module.clone(), name),
            Value::Tensor(_) => {
                if let Some(reason) = torch::refused::reason(&format!("Tensor.{name}")) {
                    let text = format!("Tensor.{name} is not supported: {reason}");
                    return Err(self.fault(Category::Unsupported, "E-UNSUPPORTED-OP", text));
                }
                let near = {
                    let known = native::names().filter_map(|n| n.0.strip_prefix("Tensor."));
                    crate::suggest::nearest(name, known)
                };
                let mut d = *self.fault(
                    Category::Unsupported,
                    "E-UNSUPPORTED-OP",
                    format!("Tensor.{name} is not among the supported operations"),
                );
                if let Some(near) = near {
                    d = d.help(format!("did you mean .{near}?"));
                }
                Err(Box::new(d))
            }
            _ => {
                let mut d = *self.fault(
                    Category::Name,
                    "E-NAME-ATTRIBUTE",
                    format!("{} has no attribute '{name}'", base.type_name()),
                );
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
            Value::Class(class) => self.class_attribute(class, name),
            Value::Tensor(t) => match self.tensor_attribute(t, name)? {
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
            Value::Function(f) if matches!(&**name, "__name__" | "__qualname__") => {
                Some(Value::Str(f.code.name.clone()))
            }
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
            if &**name == "training" {
                return Ok(Some(Value::Bool(true)));
            }
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

    fn class_attribute(&mut self, class: &Rc<Class>, name: &Name) -> Option<Value> {
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

    /// Whether a tensor is a registered kind: parameter (not buffer).
    pub fn is_parameter(&self, tensor: &Tensor) -> bool {
        match &*tensor.data.borrow() {
            Data::Leaf(i) => self.leaves.get(*i).is_some_and(|l| !l.buffer),
            _ => false,
        }
    }

    fn tensor_attribute(&mut self, t: &Rc<Tensor>, name: &str) -> R<Option<Value>> {
        Ok(Some(match name {
            "shape" => Value::tuple(self.shape_of(t).iter().map(Value::dim).collect()),
            "ndim" => Value::Int(self.shape_of(t).len() as i64),
            "dtype" => Value::DType(match self.dtype_of(t) {
                DType::Float => FLOAT32,
                DType::Int => INT64,
                DType::Bool => BOOL,
            }),
            "device" => Value::Device,
            "is_cuda" | "is_sparse" | "is_quantized" => Value::Bool(false),
            "grad" => Value::None,
            "requires_grad" => Value::Bool(t.requires_grad.get()),
            "is_leaf" => Value::Bool(!matches!(&*t.data.borrow(), Data::Node(_))),
            "data" => match &*t.data.borrow() {
                // writing to `.data` writes to the parameter itself
                Data::Leaf(_) | Data::Literal(_) => Value::Tensor(Rc::new(Tensor {
                    data: t.data.clone(),
                    storage: t.storage.clone(),
                    requires_grad: false.into(),
                    span: t.span,
                })),
                Data::Node(id) => {
                    let id = *id;
                    let id = self.push(Op::Detach, &[id])?;
                    self.tensor_value(id)
                }
            },
            "T" | "mT" => {
                let id = self.node(t)?;
                let rank = self.graph.shape(id).len();
                if rank < 2 {
                    return Ok(Some(Value::Tensor(t.clone())));
                }
                if name == "T" && rank != 2 {
                    return self.shape_fault("E-SHAPE-AXIS", ".T needs a matrix; use transpose or permute");
                }
                let mut perm: Vec<usize> = (0..rank).collect();
                perm.swap(rank - 1, rank - 2);
                let out = self.push(Op::Permute(perm), &[id])?;
                self.view_value(out, t)
            }
            _ => return Ok(None),
        }))
    }

    pub fn set_attribute(&mut self, base: &Value, name: &Name, value: Value) -> R<()> {
        match base {
            Value::Object(object) => {
                if let Some(Value::Property(p)) = object.class.find(name) {
                    return match &p.set {
                        Some(set) => self.call(&set.clone(), vec![base.clone(), value], Vec::new()).map(|_| ()),
                        None => {
                            self.name_fault("E-NAME-ATTRIBUTE", format!("the property '{name}' cannot be assigned to"))
                        }
                    };
                }
                if object.class.find("$frozen").is_some() {
                    return Err(self.exception("AttributeError", format!("{} is frozen", object.class.name)));
                }
                self.set_object_attribute(object, name, value)
            }
            Value::Class(class) if matches!(class.native, NativeClass::No) => {
                class.attrs.borrow_mut().insert(name.clone(), value);
                Ok(())
            }
            Value::Tensor(t) => match (&**name, &value) {
                ("requires_grad", Value::Bool(b)) => {
                    t.requires_grad.set(*b);
                    if let Data::Leaf(i) = &*t.data.borrow()
                        && let Some(leaf) = self.leaves.get_mut(*i)
                    {
                        leaf.trainable = *b && !leaf.buffer;
                    }
                    Ok(())
                }
                ("data", _) => {
                    let t = t.clone();
                    self.copy_into(&t, &value)
                }
                _ => self.unsupported("E-UNSUPPORTED-ATTRIBUTE", format!("Tensor.{name} cannot be assigned to")),
            },
            other => self.unsupported(
                "E-UNSUPPORTED-ATTRIBUTE",
                format!("attributes of {} cannot be assigned to", other.type_name()),
            ),
        }
    }

    pub fn set_object_attribute(&mut self, object: &Rc<Object>, name: &Name, value: Value) -> R<()> {
        let is_module = object.class.layer().is_some();
        let registered = match &value {
            Value::Tensor(t) => self.is_parameter(t),
            Value::Object(o) => o.class.layer().is_some(),
            _ => false,
        };
        if is_module && registered && object.module.borrow().is_none() {
            let d = self.fault(
                Category::Interface,
                "E-MODULE-INIT",
                format!("'{name}' is assigned before super().__init__() is called"),
            );
            return Err(Box::new(d.help("start __init__ with super().__init__()")));
        }
        let mut module = object.module.borrow_mut();
        let Some(state) = module.as_mut() else {
            drop(module);
            object.attrs.borrow_mut().insert(name.clone(), value);
            return Ok(());
        };
        match value {
            Value::Tensor(t) if registered => {
                object.attrs.borrow_mut().remove(name);
                state.children.retain(|c| c.0 != *name);
                state.buffers.retain(|b| b.0 != *name);
                match state.params.iter_mut().find(|p| p.0 == *name) {
                    Some(slot) => slot.1 = Some(t),
                    None => state.params.push((name.clone(), Some(t))),
                }
            }
            Value::Object(o) if registered => {
                object.attrs.borrow_mut().remove(name);
                state.params.retain(|p| p.0 != *name);
                state.buffers.retain(|b| b.0 != *name);
                match state.children.iter_mut().find(|c| c.0 == *name) {
                    Some(slot) => slot.1 = Some(o),
                    None => state.children.push((name.clone(), Some(o))),
                }
            }
            other => {
                if let Some(slot) = state.params.iter_mut().find(|p| p.0 == *name) {
                    if !matches!(other, Value::None) {
                        let kind = other.type_name();
                        drop(module);
                        return self.type_fault(format!("'{name}' is a parameter and cannot become {kind}"));
                    }
                    slot.1 = None;
                } else if let Some(slot) = state.children.iter_mut().find(|c| c.0 == *name) {
                    if !matches!(other, Value::None) {
                        let kind = other.type_name();
                        drop(module);
                        return self.type_fault(format!("'{name}' is a layer and cannot become {kind}"));
                    }
                    slot.1 = None;
                } else if let Some(slot) = state.buffers.iter_mut().find(|b| b.0 == *name) {
                    match other {
                        Value::None => slot.1 = None,
                        Value::Tensor(_) => {
                            drop(module);
                            return self.unsupported(
                                "E-STATEFUL",
                                format!("the buffer '{name}' is replaced, so calls of forward would differ"),
                            );
                        }
                        other => {
                            let kind = other.type_name();
                            drop(module);
                            return self.type_fault(format!("'{name}' is a buffer and cannot become {kind}"));
                        }
                    }
                } else {
                    object.attrs.borrow_mut().insert(name.clone(), other);
                }
            }
        }
        Ok(())
    }

    pub fn delete_attribute(&mut self, base: &Value, name: &Name) -> R<()> {
        let Value::Object(object) = base else {
            return self.unsupported(
                "E-UNSUPPORTED-ATTRIBUTE",
                format!("attributes of {} cannot be deleted", base.type_name()),
            );
        };
        if object.attrs.borrow_mut().remove(name).is_some() {
            return Ok(());
        }
        let mut gone = false;
        if let Some(state) = object.module.borrow_mut().as_mut() {
            let before = state.params.len() + state.children.len() + state.buffers.len();
            state.params.retain(|p| p.0 != *name);
            state.children.retain(|p| p.0 != *name);
            state.buffers.retain(|p| p.0 != *name);
            gone = state.params.len() + state.children.len() + state.buffers.len() < before;
        }
        if gone { Ok(()) } else { self.no_attribute(base, name) }
    }
}
