//! The functions that run, the exceptions that are handled, and what else is under way while a program is evaluated.

use std::rc::Rc;

use super::value::{Closure, Scope, Value};
use crate::diagnostic::Diagnostic;

#[derive(Default)]
pub struct Frames {
    /// The functions that run, with their variables.
    running: Vec<(Rc<Closure>, Rc<Scope>)>,
    /// What the generators that are running have yielded so far.
    yields: Vec<Vec<Value>>,
    /// The exceptions whose handlers are running.
    handling: Vec<(Box<Diagnostic>, Value)>,
    /// The lists, dicts and objects that are being printed.
    printing: Vec<usize>,
}

/// How many functions run, for going back to them.
pub struct Mark {
    running: usize,
    yields: usize,
}

impl Frames {
    pub fn enter(&mut self, function: &Rc<Closure>, scope: &Rc<Scope>) {
        self.running.push((function.clone(), scope.clone()));
        if function.code.is_generator {
            self.yields.push(Vec::new());
        }
    }

    /// Leaves the innermost function, and gives what it has yielded, where it is a generator.
    pub fn leave(&mut self) -> Option<Vec<Value>> {
        let (function, _) = self.running.pop()?;
        if function.code.is_generator { self.yields.pop() } else { None }
    }

    /// The innermost function that runs.
    pub fn innermost(&self) -> Option<&(Rc<Closure>, Rc<Scope>)> {
        self.running.last()
    }

    /// Yields values from the innermost generator. Gives whether there is one.
    pub fn add_yielded(&mut self, values: Vec<Value>) -> bool {
        self.yields.last_mut().map(|all| all.extend(values)).is_some()
    }

    pub fn mark(&self) -> Mark {
        Mark { running: self.running.len(), yields: self.yields.len() }
    }

    /// Leaves the functions that were entered since the mark and that a caught exception ends.
    pub fn rewind(&mut self, mark: &Mark) {
        self.running.truncate(mark.running);
        self.yields.truncate(mark.yields);
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
