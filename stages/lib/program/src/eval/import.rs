//! Imports, the members of modules, and the classes of builtin types and of torch's layers.

use std::rc::Rc;

use graph::DType;

use super::value::{Class, NativeClass, Scope, TensorType, Value};
use super::{Interp, R, native, nn, torch};
use crate::diagnostic::Category;
use crate::modules;
use crate::syntax::{Alias, Name};

impl Interp {
    pub fn import(&mut self, alias: &Alias, scope: &Rc<Scope>) -> R<()> {
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

    pub fn import_from(&mut self, module: &Name, alias: &Alias, scope: &Rc<Scope>) -> R<()> {
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
    pub fn member(&mut self, module: &str, name: &str) -> R<Option<Value>> {
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

    pub fn unknown_member<T>(&self, module: &str, name: &str) -> R<T> {
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
}
