//! Partial evaluation: everything that is known before the first call runs, tensors stay symbolic.

mod arith;
mod assign;
mod attr;
mod builtins;
mod call;
mod collections;
mod compare;
mod construct;
mod container;
mod contract;
mod deepcopy;
mod define;
mod einops;
mod exceptions;
mod expr;
mod format;
mod import;
mod index;
mod init;
mod iteration;
mod layout;
mod literal;
mod mathematics;
mod member;
mod meter;
mod methods;
mod named_tuple;
mod narrow;
pub mod native;
mod nn;
pub mod random;
mod reach;
mod records;
mod run;
mod saved;
mod set_attr;
pub mod state;
mod stdlib;
mod stmt;
mod storage;
mod tensor;
mod text;
mod torch;
mod tracer;
mod trail;
pub mod value;
mod words;

use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use graph::{Graph, Span};

pub use self::attr::unknown_method;
pub use self::contract::{Gradient, TYPES, contracts};
pub use self::import::unknown_member;
#[cfg(test)]
pub use self::member::native_names;
pub use self::member::{Member, attribute_names, builtin_names, is_builtin, is_in_place, is_special_method, resolve};
pub use self::named_tuple::tuple_items;
pub use self::native::names;
pub use self::nn::layers;
pub use self::run::Run;
pub use self::torch::refused::reason as refusal;
pub use self::tracer::{Phase, Tracer};
use self::value::{Class, Scope, ScopeKind};
pub use self::value::{Data, Object, Tensor, Value};
use crate::budget::Budgets;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Function, Module, Name};

/// Whether a name of PyTorch, in full, is part of the language: a member of a module, or a method of tensors.
pub fn is_there(name: &str) -> bool {
    // what takes anything refuses all of it
    let works = |native: &native::Native| native.signature != "*args **kwargs";
    match name.strip_prefix("Tensor.") {
        Some(method) => native::find(name).is_some_and(works) || attr::TENSOR.contains(&method),
        None => name.rsplit_once('.').is_some_and(|(module, member)| match resolve(module, member) {
            Some(Member::Native(native)) => works(native),
            found => found.is_some(),
        }),
    }
}

/// Evaluation ends at the first fault, as Python would.
pub type R<T> = Result<T, Box<Diagnostic>>;

pub struct Interp {
    pub tracer: Tracer,
    /// The last `return` that ran in a function called `forward`.
    pub returned: Span,
    /// Shapes that `reveal_shape` was asked for.
    pub revealed: Vec<(u32, String)>,
    /// All layers, for what is never called.
    pub modules: Vec<Rc<Object>>,
    pub globals: Rc<Scope>,
    reveal: bool,
    frames: Vec<(Rc<value::Closure>, Rc<Scope>)>,
    lazy_annotations: bool,
    classes: BTreeMap<&'static str, Rc<Class>>,
    scopes: Vec<Weak<Scope>>,
    objects: Vec<Weak<Object>>,
    closures: Vec<Weak<value::Closure>>,
    made: Vec<Weak<Class>>,
    /// The exceptions whose handlers are running.
    handling: Vec<(Box<Diagnostic>, Value)>,
    /// The lists, dicts and objects that are being printed.
    printing: Vec<usize>,
    /// What the generators that are running have yielded so far.
    yields: Vec<Vec<Value>>,
    /// Where the second call changed something that may outlive it, by address and slot.
    changes: BTreeMap<(usize, Option<Name>), Span>,
}

impl Interp {
    pub fn new(graph: Graph, budgets: Budgets, reveal: bool) -> Self {
        let globals = Rc::new(Scope { vars: Default::default(), parent: None, kind: ScopeKind::Module });
        Self {
            tracer: Tracer::new(graph, Run::new(budgets)),
            returned: Span::default(),
            revealed: Vec::new(),
            modules: Vec::new(),
            globals,
            reveal,
            frames: Vec::new(),
            lazy_annotations: false,
            classes: BTreeMap::new(),
            scopes: Vec::new(),
            objects: Vec::new(),
            closures: Vec::new(),
            made: Vec::new(),
            handling: Vec::new(),
            printing: Vec::new(),
            yields: Vec::new(),
            changes: BTreeMap::new(),
        }
    }

    /// Runs the module's body.
    pub fn load(&mut self, module: &Module) -> R<()> {
        let globals = self.globals.clone();
        globals.vars.borrow_mut().insert("__name__".into(), Value::str("candidate"));
        self.block(&module.body, &globals).map(|_| ())
    }

    fn scope(&mut self, parent: &Rc<Scope>, kind: ScopeKind) -> Rc<Scope> {
        let scope = Rc::new(Scope { vars: Default::default(), parent: Some(parent.clone()), kind });
        self.scopes.push(Rc::downgrade(&scope));
        scope
    }

    fn function_scope(&mut self, parent: &Rc<Scope>, code: &Rc<Function>) -> Rc<Scope> {
        self.scope(parent, ScopeKind::Function(code.clone()))
    }

    // === Where evaluation stands, and what it costs ===
    pub fn here(&self) -> Span {
        self.tracer.run.here()
    }

    pub fn move_to(&mut self, span: Span) {
        self.tracer.run.trail.move_to(span);
    }

    pub fn fault(&self, code: &'static str, message: impl Into<String>) -> Box<Diagnostic> {
        self.tracer.run.fault(code, message)
    }

    pub fn refuse<T>(&self, code: &'static str, message: impl Into<String>) -> R<T> {
        self.tracer.run.refuse(code, message)
    }

    pub fn type_fault<T>(&self, message: impl Into<String>) -> R<T> {
        self.tracer.run.type_fault(message)
    }

    pub fn value_fault<T>(&self, message: impl Into<String>) -> R<T> {
        self.tracer.run.value_fault(message)
    }

    pub fn exception(&self, class: &'static str, message: impl Into<String>) -> Box<Diagnostic> {
        self.tracer.run.exception(class, message)
    }

    pub fn step(&mut self) -> R<()> {
        self.tracer.run.step()
    }

    pub fn charge(&mut self, work: u64) -> R<()> {
        self.tracer.run.charge(work)
    }

    pub fn go_over(&mut self, count: usize) -> R<()> {
        self.tracer.run.go_over(count)
    }

    pub fn allocate(&mut self, count: usize) -> R<()> {
        self.tracer.run.allocate(count)
    }

    /// Goes one level deeper into statements, expressions, calls or values that hold each other.
    ///
    /// # Errors
    /// `E-BUDGET-DEPTH` where this is too deep, which is how values that hold themselves end.
    pub fn nested<T>(&mut self, walk: impl FnOnce(&mut Self) -> R<T>) -> R<T> {
        self.tracer.run.descend()?;
        let done = walk(self);
        self.tracer.run.meter.ascend();
        done
    }
}

impl Drop for Interp {
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
