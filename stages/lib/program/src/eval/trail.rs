//! Where evaluation stands, how it came there, and the faults that are reported from there.

use std::cell::Cell;

use graph::Span;

use super::value::Value;
use crate::diagnostic::Diagnostic;
use crate::rules::Rule;

/// Longest message of a fault, in bytes: it may hold text of the program.
const MAX_MESSAGE: usize = 2000;

/// Rounds after which a loop counts as what spends a budget.
const MANY_ROUNDS: u64 = 64;

/// What is known of the last fault as an exception.
#[derive(Clone)]
pub enum FaultKind {
    /// As its code says.
    Plain,
    /// A `raise` of the program, with what it raises.
    Raised(Value),
    /// One of Python's by this name.
    Exception(&'static str),
    /// Cannot be caught.
    Opaque,
}

/// The statement or expression under evaluation, and the calls and loops around it.
pub struct Trail {
    span: Span,
    /// Where the calls stand that have not returned yet.
    calls: Vec<Span>,
    /// The loops that run, with the number of their rounds so far.
    loops: Vec<(Span, u64)>,
    /// What the last fault is as an exception; set by whoever makes a fault.
    kind: Cell<FaultKind>,
}

/// The length of a trail, for going back to it.
pub struct Mark {
    calls: usize,
    loops: usize,
}

impl Trail {
    pub fn new() -> Self {
        Self { span: Span::default(), calls: Vec::new(), loops: Vec::new(), kind: Cell::new(FaultKind::Plain) }
    }

    pub fn here(&self) -> Span {
        self.span
    }

    pub fn move_to(&mut self, span: Span) {
        self.span = span;
    }

    /// How many calls have not returned yet.
    pub fn depth(&self) -> usize {
        self.calls.len()
    }

    /// Goes into a call that stands here.
    pub fn enter_call(&mut self) {
        self.calls.push(self.span);
    }

    /// Goes back to where the innermost call stands.
    pub fn leave_call(&mut self) {
        if let Some(call) = self.calls.pop() {
            self.span = call;
        }
    }

    pub fn enter_loop(&mut self, span: Span) {
        self.loops.push((span, 0));
    }

    /// Notes how many rounds the innermost loop has begun.
    pub fn note_rounds(&mut self, rounds: u64) {
        if let Some(innermost) = self.loops.last_mut() {
            innermost.1 = rounds;
        }
    }

    pub fn leave_loop(&mut self) {
        self.loops.pop();
    }

    pub fn mark(&self) -> Mark {
        Mark { calls: self.calls.len(), loops: self.loops.len() }
    }

    /// Leaves the calls and loops that were entered since the mark and that a caught exception ends.
    pub fn rewind(&mut self, mark: &Mark) {
        self.calls.truncate(mark.calls);
        self.loops.truncate(mark.loops);
    }

    /// A fault where evaluation stands now, with the calls that led there.
    pub fn fault(&self, rule: Rule, message: impl Into<String>) -> Box<Diagnostic> {
        self.kind.set(FaultKind::Plain);
        let mut d = Diagnostic::new(rule, self.span, shortened(message.into()));
        let here = self.span.line;
        for call in self.calls.iter().rev().take(3).filter(|c| c.line > 0 && c.line != here) {
            d = d.note(*call, "called from here");
        }
        Box::new(d)
    }

    /// A fault that stands for an exception of Python's.
    pub fn exception(&self, class: &'static str, message: impl Into<String>) -> Box<Diagnostic> {
        let fault = self.fault(Rule::Value, message);
        self.kind.set(FaultKind::Exception(class));
        fault
    }

    /// A budget is spent. What spends it in a loop is the loop.
    pub fn exhausted(&self, rule: Rule, message: impl Into<String>) -> Box<Diagnostic> {
        let at = self.loops.iter().find(|l| l.1 > MANY_ROUNDS).map_or(self.span, |l| l.0);
        Box::new(Diagnostic::new(rule, at, message))
    }

    /// What the last fault is as an exception.
    pub fn kind(&mut self) -> FaultKind {
        self.kind.get_mut().clone()
    }

    /// States what the fault under way is as an exception.
    pub fn set_kind(&self, kind: FaultKind) {
        self.kind.set(kind);
    }
}

/// A message without its end, where it is absurdly long.
fn shortened(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('\u{2026}');
    }
    message
}
