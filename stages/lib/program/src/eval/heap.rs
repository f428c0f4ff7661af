//! The scopes, functions, classes and objects of a program. They refer to each other in circles, so whatever is made here is freed
//! when the heap is.

use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use graph::Span;

use super::value::{self, Class, Closure, NativeClass, Object, Scope, ScopeKind, Value};
use super::{exceptions, native, nn};
use crate::syntax::Name;

pub struct Heap {
    /// The names of the program's module.
    pub globals: Rc<Scope>,
    /// The classes of Python and torch that the program uses.
    classes: BTreeMap<&'static str, Rc<Class>>,
    /// The modules of torch, none of which goes before the end: their modes are known by their addresses.
    modules: Vec<Rc<Object>>,
    scopes: Vec<Weak<Scope>>,
    objects: Vec<Weak<Object>>,
    closures: Vec<Weak<Closure>>,
    /// The classes that the program makes.
    made: Vec<Weak<Class>>,
}

impl Heap {
    pub fn new() -> Self {
        Self {
            globals: Rc::new(Scope { vars: Default::default(), parent: None, kind: ScopeKind::Module }),
            classes: BTreeMap::new(),
            modules: Vec::new(),
            scopes: Vec::new(),
            objects: Vec::new(),
            closures: Vec::new(),
            made: Vec::new(),
        }
    }

    pub fn scope(&mut self, parent: &Rc<Scope>, kind: ScopeKind) -> Rc<Scope> {
        let scope = Rc::new(Scope { vars: Default::default(), parent: Some(parent.clone()), kind });
        self.scopes.push(Rc::downgrade(&scope));
        scope
    }

    pub fn function(&mut self, closure: Closure) -> Value {
        let closure = Rc::new(closure);
        self.closures.push(Rc::downgrade(&closure));
        Value::Function(closure)
    }

    /// An object without attributes.
    pub fn object(&mut self, class: Rc<Class>, span: Span) -> Rc<Object> {
        let object = Rc::new(Object { class, attrs: Default::default(), module: Default::default(), span });
        self.objects.push(Rc::downgrade(&object));
        object
    }

    /// Keeps a module of torch.
    pub fn keep_module(&mut self, module: Rc<Object>) {
        self.modules.push(module);
    }

    /// A class of the program, behind which `bases` come in method resolution order.
    pub fn class(&mut self, name: Name, bases: Vec<Rc<Class>>, span: Span) -> Rc<Class> {
        let class = new_class(name, NativeClass::No, span);
        self.made.push(Rc::downgrade(&class));
        class.mro.borrow_mut().extend(bases);
        class
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
        let class = new_class(name.into(), native, Span::default());
        self.classes.insert(name, class.clone());
        if let Some(base) = match native {
            NativeClass::Exception => exceptions::builtin(name).map(|e| e.1),
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

/// A class that derives from nothing yet.
fn new_class(name: Name, native: NativeClass, span: Span) -> Rc<Class> {
    let class = Rc::new(Class { name, mro: Default::default(), attrs: Default::default(), native, span });
    class.mro.borrow_mut().push(class.clone());
    class
}

impl Drop for Heap {
    /// Functions, classes, objects, lists and dicts refer to each other in circles: cut them.
    fn drop(&mut self) {
        drop(value::empty_all());
        for scope in self.scopes.drain(..).filter_map(|s| s.upgrade()) {
            scope.vars.take();
        }
        for object in self.objects.drain(..).filter_map(|o| o.upgrade()) {
            object.attrs.take();
            object.module.take();
        }
        for closure in self.closures.drain(..).filter_map(|c| c.upgrade()) {
            closure.class.take();
        }
        for object in self.modules.drain(..) {
            object.class.attrs.take();
            object.class.mro.take();
        }
        for class in self.made.drain(..).filter_map(|c| c.upgrade()) {
            class.attrs.take();
            class.mro.take();
        }
        self.globals.vars.take();
        for class in self.classes.values() {
            class.mro.take();
            class.attrs.take();
        }
    }
}
