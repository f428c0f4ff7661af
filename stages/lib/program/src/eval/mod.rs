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
mod frames;
mod generator;
mod heap;
mod import;
mod index;
mod init;
mod integers;
mod iteration;
mod iterator;
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

use graph::{Graph, Span};

pub use self::attr::unknown_method;
pub use self::contract::{Gradient, TYPES, contracts};
use self::frames::Frames;
use self::heap::Heap;
pub use self::import::unknown_member;
#[cfg(test)]
pub use self::member::native_names;
pub use self::member::{Member, attribute_names, builtin_names, is_builtin, is_in_place, is_special_method, resolve};
pub use self::named_tuple::tuple_items;
pub use self::native::names;
pub use self::nn::layers;
pub use self::run::Run;
use self::state::Changes;
pub use self::torch::refused::reason as refusal;
pub use self::tracer::{Phase, Tracer};
pub use self::value::{Data, Object, Tensor, Value};
use crate::budget::Budgets;
use crate::diagnostic::Diagnostic;
use crate::rules::Rule;
use crate::syntax::Module;

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

/// The evaluator. The heap goes first at the end, which cuts the circles that the other parts hold values of.
pub struct Interp {
    pub heap: Heap,
    pub tracer: Tracer,
    frames: Frames,
    changes: Changes,
    /// The last `return` that ran in a function called `forward`.
    pub returned: Span,
    /// Shapes that `reveal_shape` was asked for, where it is there.
    pub revealed: Option<Vec<(u32, String)>>,
    /// Whether `from __future__ import annotations` keeps annotations from being evaluated.
    lazy_annotations: bool,
}

impl Interp {
    pub fn new(graph: Graph, budgets: Budgets, reveal: bool) -> Self {
        Self {
            heap: Heap::new(),
            tracer: Tracer::new(graph, Run::new(budgets)),
            frames: Frames::default(),
            changes: Changes::default(),
            returned: Span::default(),
            revealed: reveal.then(Vec::new),
            lazy_annotations: false,
        }
    }

    /// Runs the module's body.
    pub fn load(&mut self, module: &Module) -> R<()> {
        let globals = self.heap.globals.clone();
        globals.vars.borrow_mut().insert("__name__".into(), Value::str("candidate"));
        self.block(&module.body, &globals).map(|_| ())
    }

    // === Where evaluation stands, and what it costs ===
    pub fn here(&self) -> Span {
        self.tracer.run.here()
    }

    pub fn move_to(&mut self, span: Span) {
        self.tracer.run.trail.move_to(span);
    }

    pub fn fault(&self, rule: Rule, message: impl Into<String>) -> Box<Diagnostic> {
        self.tracer.run.fault(rule, message)
    }

    pub fn refuse<T>(&self, rule: Rule, message: impl Into<String>) -> R<T> {
        self.tracer.run.refuse(rule, message)
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
