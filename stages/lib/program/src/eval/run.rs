//! How far evaluation has come: where it stands, and what it has cost. Whatever fails, fails here.

use graph::{OpError, Span};

use super::R;
use super::meter::{Meter, Within};
use super::trail::Trail;
use crate::budget::Budgets;
use crate::diagnostic::Diagnostic;
use crate::rules::Rule;

pub struct Run {
    pub trail: Trail,
    pub meter: Meter,
}

impl Run {
    pub fn new(budgets: Budgets) -> Self {
        Self { trail: Trail::new(), meter: Meter::new(budgets) }
    }

    pub fn here(&self) -> Span {
        self.trail.here()
    }

    pub fn move_to(&mut self, span: Span) {
        self.trail.move_to(span);
    }

    // === Faults ===

    pub fn fault(&self, rule: Rule, message: impl Into<String>) -> Box<Diagnostic> {
        self.trail.fault(rule, message)
    }

    pub fn refuse<T>(&self, rule: Rule, message: impl Into<String>) -> R<T> {
        Err(self.fault(rule, message))
    }

    /// A wrong type or number of arguments: Python's `TypeError`.
    pub fn type_fault<T>(&self, message: impl Into<String>) -> R<T> {
        Err(self.fault(Rule::Type, message))
    }

    /// A right type with a wrong value: Python's `ValueError`, `IndexError`, `KeyError`.
    pub fn value_fault<T>(&self, message: impl Into<String>) -> R<T> {
        Err(self.fault(Rule::Value, message))
    }

    /// A fault that stands for an exception of Python's.
    pub fn exception(&self, class: &'static str, message: impl Into<String>) -> Box<Diagnostic> {
        self.trail.exception(class, message)
    }

    /// What the graph says of an operation, under the code of the operation unless it is about element types.
    pub fn op_fault(&self, rule: Rule, error: &OpError) -> Box<Diagnostic> {
        let rule = match error {
            OpError::DType { .. } | OpError::DTypes { .. } => Rule::ShapeDtype,
            _ => rule,
        };
        self.fault(rule, error.to_string())
    }

    // === Budgets ===

    /// Ends evaluation where a budget is exceeded.
    pub fn keep(&self, within: Within) -> R<()> {
        within.map_err(|e| self.trail.exhausted(e.rule, e.text))
    }

    /// Goes one level deeper, from which [`Meter::ascend`] comes back.
    ///
    /// # Errors
    /// `E-BUDGET-DEPTH` where this is too deep, which is how values that hold themselves end.
    pub fn descend(&mut self) -> R<()> {
        let within = self.meter.descend();
        self.keep(within)
    }

    /// Goes one level deeper into values that hold each other.
    pub fn nested<T>(&mut self, walk: impl FnOnce(&mut Self) -> R<T>) -> R<T> {
        self.descend()?;
        let done = walk(self);
        self.meter.ascend();
        done
    }

    pub fn step(&mut self) -> R<()> {
        self.charge(1)
    }

    /// Counts `work` steps of evaluation.
    pub fn charge(&mut self, work: u64) -> R<()> {
        let within = self.meter.charge(work);
        self.keep(within)
    }

    /// Counts the work of going over `count` elements, or that many bytes, which costs less than a step each.
    pub fn go_over(&mut self, count: usize) -> R<()> {
        let within = self.meter.go_over(count);
        self.keep(within)
    }

    /// Counts elements of lists and strings that are made.
    pub fn allocate(&mut self, count: usize) -> R<()> {
        let within = self.meter.allocate(count);
        self.keep(within)
    }
}
