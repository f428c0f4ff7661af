//! The functions that run, the exceptions that are handled, and what else is under way while a program is evaluated.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::generator::Yielding;
use super::value::{Closure, Scope, Value};
use crate::diagnostic::Diagnostic;

#[derive(Default)]
pub struct Frames {
    /// The functions that run, with their variables.
    running: Vec<(Rc<Closure>, Rc<Scope>)>,
    /// The statements that hold a `yield`, by the address of the function.
    surveys: BTreeMap<usize, Yielding>,
    /// What the generator that ended last has returned.
    result: Option<Value>,
    /// The exceptions whose handlers are running.
    handling: Vec<(Box<Diagnostic>, Value)>,
    /// The lists, dicts and objects that are being printed.
    printing: Vec<usize>,
}

/// How many functions run, for going back to them.
pub struct Mark {
    running: usize,
}

impl Frames {
    pub fn enter(&mut self, function: &Rc<Closure>, scope: &Rc<Scope>) {
        self.running.push((function.clone(), scope.clone()));
    }

    /// Leaves the innermost function.
    pub fn leave(&mut self) {
        self.running.pop();
    }

    /// The innermost function that runs.
    pub fn innermost(&self) -> Option<&(Rc<Closure>, Rc<Scope>)> {
        self.running.last()
    }

    /// The statements of a function that hold a `yield`, where they are known.
    pub fn surveyed(&self, function: usize) -> Option<Yielding> {
        self.surveys.get(&function).cloned()
    }

    pub fn keep_survey(&mut self, function: usize, yielding: Yielding) -> Yielding {
        self.surveys.insert(function, yielding.clone());
        yielding
    }

    /// States what the generator that ends now returns.
    pub fn set_result(&mut self, result: Value) {
        self.result = Some(result);
    }

    pub fn take_result(&mut self) -> Value {
        self.result.take().unwrap_or(Value::None)
    }

    pub fn mark(&self) -> Mark {
        Mark { running: self.running.len() }
    }

    /// Leaves the functions that were entered since the mark and that a caught exception ends.
    pub fn rewind(&mut self, mark: &Mark) {
        self.running.truncate(mark.running);
    }

    pub fn begin_handling(&mut self, fault: Box<Diagnostic>, error: Value) {
        self.handling.push((fault, error));
    }

    pub fn end_handling(&mut self) {
        self.handling.pop();
    }

    /// The exception whose handler runs.
    pub fn handled(&self) -> Option<&(Box<Diagnostic>, Value)> {
        self.handling.last()
    }

    /// Begins to print what lies at an address. Gives whether it is not being printed already.
    pub fn begin_printing(&mut self, address: usize) -> bool {
        let is_new = !self.printing.contains(&address);
        if is_new {
            self.printing.push(address);
        }
        is_new
    }

    pub fn end_printing(&mut self) {
        self.printing.pop();
    }
}
