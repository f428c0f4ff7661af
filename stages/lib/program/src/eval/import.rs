//! Imports, the members of modules, and the classes of builtin types and of torch's layers.

use std::rc::Rc;

use super::member::{Member, resolve};
use super::value::{NativeClass, Scope, Value};
use super::{Interp, R, Run, native, nn, torch};
use crate::modules;
use crate::rules::Rule;
use crate::syntax::{Alias, Name};

/// What is said about a member that a module has not, and what helps.
pub fn unknown_member(module: &str, name: &str) -> (String, Option<String>) {
    if let Some(reason) = torch::refused::reason(&format!("{module}.{name}")) {
        return (format!("{module}.{name} is not supported: {reason}"), None);
    }
    let prefix = format!("{module}.");
    let known = native::names().map(|n| n.0).chain(nn::layer_names()).filter_map(|n| n.strip_prefix(&prefix));
    let near = crate::suggest::nearest(name, known).map(|near| format!("did you mean {module}.{near}?"));
    (format!("{module}.{name} is not among the supported operations"), near)
}

impl Interp {
    pub fn import(&mut self, alias: &Alias, scope: &Rc<Scope>) -> R<()> {
        if !modules::exists(&alias.name) {
            return self.refuse(Rule::UnsupportedImport, format!("the module '{}' is not available", alias.name));
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
        if modules::is_optional(module, &alias.name) {
            let text = format!("the package '{module}' is not part of the language and counts as not installed");
            return Err(self.exception("ModuleNotFoundError", text));
        }
        if !modules::exists(module) {
            return self.refuse(Rule::UnsupportedImport, format!("the module '{module}' is not available"));
        }
        if &*alias.name == "*" {
            return self.refuse(Rule::UnsupportedImport, "'import *' is not supported; name what is used");
        }
        let value = match self.member(module, &alias.name)? {
            Some(value) => value,
            None => return self.tracer.run.unknown_member(module, &alias.name),
        };
        let name = alias.asname.clone().unwrap_or_else(|| alias.name.clone());
        self.bind_name(&name, value, scope)
    }

    /// A member of a module.
    pub fn member(&mut self, module: &str, name: &str) -> R<Option<Value>> {
        let Some(member) = resolve(module, name) else { return Ok(None) };
        Ok(Some(match member {
            Member::Module(full) => Value::Module(full.into()),
            Member::Native(native) => Value::Native(native),
            Member::InPlace(native) => {
                let update = native::find("Tensor.$in_place").map_or(Value::None, Value::Native);
                Value::Partial(Rc::new((update, vec![Value::Native(native)], Vec::new())))
            }
            Member::Typing => Value::Typing,
            Member::Layer(layer) => Value::Class(self.heap.layer_class(layer)),
            Member::DType(dtype) => Value::DType(dtype),
            Member::Tensor => Value::Class(self.heap.native_class("Tensor", NativeClass::Tensor)),
            Member::Type(name) => Value::Class(self.heap.type_class(name)),
            Member::Object(name) => Value::Class(self.heap.native_class(name, NativeClass::Object)),
            Member::Float(value) => Value::Float(value),
            Member::False => Value::Bool(false),
            Member::None => Value::None,
            Member::Text(text) => Value::str(text),
        }))
    }
}

impl Run {
    pub fn unknown_member<T>(&self, module: &str, name: &str) -> R<T> {
        let (text, help) = unknown_member(module, name);
        let mut d = *self.fault(Rule::UnsupportedOp, text);
        d.help = help;
        Err(Box::new(d))
    }
}
