//! Exceptions: what raises them, what catches them, and which of our faults stand for one of Python's.

use std::rc::Rc;

use graph::Span;

use super::stmt::Flow;
use super::trail::FaultKind;
use super::value::{Class, NativeClass, Object, Scope, Value};
use super::{Interp, R, Run};
use crate::diagnostic::{Category, Diagnostic};
use crate::rules::Rule;
use crate::syntax::*;

const EXCEPTIONS: &[(&str, &str)] = &[
    ("BaseException", "object"),
    ("Exception", "BaseException"),
    ("ArithmeticError", "Exception"),
    ("AssertionError", "Exception"),
    ("AttributeError", "Exception"),
    ("ImportError", "Exception"),
    ("IndexError", "LookupError"),
    ("KeyError", "LookupError"),
    ("LookupError", "Exception"),
    ("ModuleNotFoundError", "ImportError"),
    ("NameError", "Exception"),
    ("NotImplementedError", "RuntimeError"),
    ("OverflowError", "ArithmeticError"),
    ("RecursionError", "RuntimeError"),
    ("RuntimeError", "Exception"),
    ("StopIteration", "Exception"),
    ("TypeError", "Exception"),
    ("UnboundLocalError", "NameError"),
    ("ValueError", "Exception"),
    ("Warning", "Exception"),
    ("DeprecationWarning", "Warning"),
    ("FutureWarning", "Warning"),
    ("RuntimeWarning", "Warning"),
    ("UserWarning", "Warning"),
    ("ZeroDivisionError", "ArithmeticError"),
];

/// All builtin exceptions.
pub fn names() -> impl Iterator<Item = &'static str> {
    EXCEPTIONS.iter().map(|e| e.0)
}

/// A builtin exception with the one that it derives from.
pub fn builtin(name: &str) -> Option<(&'static str, &'static str)> {
    EXCEPTIONS.iter().find(|e| e.0 == name).copied()
}

impl Interp {
    pub fn raise(&mut self, span: Span, exc: Option<&Expr>, scope: &Rc<Scope>) -> R<Flow> {
        let Some(e) = exc else {
            let Some((fault, error)) = self.frames.handled().cloned() else {
                self.move_to(span);
                return Err(self.exception("RuntimeError", "there is no exception to raise again"));
            };
            self.tracer.run.trail.set_kind(FaultKind::Raised(error));
            return Err(fault);
        };
        let mut value = self.expr(e, scope)?;
        if let Value::Class(class) = &value
            && class.is_exception()
        {
            value = self.call(&value.clone(), Vec::new(), Vec::new())?;
        }
        let text = match &value {
            Value::Object(o) if o.class.is_exception() => {
                let message = self.str_of(&value)?;
                if message.is_empty() { o.class.name.to_string() } else { format!("{}: {message}", o.class.name) }
            }
            other => return self.type_fault(format!("only exceptions can be raised, not {}", other.type_name())),
        };
        self.move_to(span);
        let fault = self.fault(Rule::Raised, format!("the program raises {text}"));
        self.allocate(fault.message.len() / 16)?;
        self.tracer.run.trail.set_kind(FaultKind::Raised(value));
        Err(fault)
    }

    /// The exception that a fault stands for. Most faults stand for none: what the evaluator refuses, PyTorch may well run, and
    /// whether an operation on tensors fails may depend on sizes.
    pub fn exception_of(&mut self, fault: &Diagnostic) -> Option<Value> {
        let class = match self.tracer.run.trail.kind() {
            FaultKind::Raised(value) => return Some(value),
            FaultKind::Opaque => return None,
            FaultKind::Exception(class) => class,
            FaultKind::Plain => match fault.rule {
                Rule::NameAttribute => "AttributeError",
                Rule::NameUndefined => "NameError",
                Rule::NameUnbound => "UnboundLocalError",
                Rule::Type => "TypeError",
                Rule::Value => "ValueError",
                _ => return None,
            },
        };
        let class = self.heap.native_class(class, NativeClass::Exception);
        Some(self.tracer.run.error(class, vec![Value::str(&fault.message)]))
    }

    pub fn try_block(&mut self, t: &Try, scope: &Rc<Scope>) -> R<Flow> {
        let (trail, frames) = (self.tracer.run.trail.mark(), self.frames.mark());
        let no_grad = self.tracer.no_grad();
        let mut ended = match self.block(&t.body, scope) {
            Ok(Flow::Next) => self.block(&t.orelse, scope),
            Err(fault) => match self.exception_of(&fault) {
                Some(error) => {
                    self.tracer.run.trail.rewind(&trail);
                    self.frames.rewind(&frames);
                    self.tracer.set_no_grad(no_grad);
                    self.handle(t, fault, error, scope)
                }
                None => return Err(fault),
            },
            done => done,
        };
        if !t.finally.is_empty() {
            let kind = self.tracer.run.trail.kind();
            if let Err(fault) = &ended
                && self.exception_of(fault).is_none()
            {
                return ended;
            }
            match self.block(&t.finally, scope)? {
                Flow::Next => {}
                other => ended = Ok(other),
            }
            self.tracer.run.trail.set_kind(kind);
        }
        ended
    }

    fn handle(&mut self, t: &Try, fault: Box<Diagnostic>, error: Value, scope: &Rc<Scope>) -> R<Flow> {
        let kind = self.tracer.run.trail.kind();
        for handler in &t.handlers {
            let fits = match &handler.kind {
                None => true,
                Some(e) => {
                    let classes = self.expr(e, scope)?;
                    self.move_to(e.at.0);
                    self.is_instance(&error, &classes)?
                }
            };
            if !fits {
                continue;
            }
            if let Some(name) = &handler.name {
                self.bind_name(name, error.clone(), scope)?;
            }
            self.frames.begin_handling(fault, error);
            let ended = self.block(&handler.body, scope);
            self.frames.end_handling();
            if let Some(name) = &handler.name {
                scope.vars.borrow_mut().remove(name);
            }
            return ended;
        }
        self.tracer.run.trail.set_kind(kind);
        Err(fault)
    }

    pub fn assert(&mut self, span: Span, test: &Expr, message: Option<&Expr>, scope: &Rc<Scope>) -> R<()> {
        // both sides are kept for the message: to evaluate them once more may give something else
        let (value, sides) = match &test.kind {
            ExprKind::Compare(a, rest) if let [(op, b)] = rest.as_slice() => {
                self.step()?;
                let (a, b) = (self.expr(a, scope)?, self.expr(b, scope)?);
                self.move_to(test.at.0);
                (self.compare(&a, *op, &b)?, Some((a, b)))
            }
            _ => (self.expr(test, scope)?, None),
        };
        self.move_to(test.at.0);
        if self.truth(&value)? {
            return Ok(());
        }
        let mut args = Vec::new();
        let text = match message {
            Some(e) => {
                let value = self.expr(e, scope)?;
                let text = format!("the assertion fails: {}", self.str_of(&value)?);
                args.push(value);
                text
            }
            None => "the assertion fails".to_string(),
        };
        let mut about_shape = false;
        crate::walk::expressions(test, &mut |e| {
            if let ExprKind::Attribute(_, name) = &e.kind {
                about_shape |= matches!(&**name, "shape" | "size" | "dim" | "ndim" | "numel");
            }
        });
        self.move_to(span);
        let mut d = *self.fault(Rule::Assert, text);
        if about_shape {
            d.category = Category::Shape;
        }
        // say what was compared with what
        if let Some((a, b)) = sides
            && let (Ok(a), Ok(b)) = (self.repr_of(&a), self.repr_of(&b))
        {
            d = d.note(Span::default(), format!("the left side is {a}, the right side {b}"));
        }
        let class = self.heap.native_class("AssertionError", NativeClass::Exception);
        self.tracer.run.trail.set_kind(FaultKind::Raised(self.tracer.run.error(class, args)));
        Err(Box::new(d))
    }
}

impl Run {
    /// A key that is not there: Python's `KeyError`.
    pub fn key_fault<T>(&self, message: impl Into<String>) -> R<T> {
        Err(self.exception("KeyError", message))
    }

    /// An index beyond the end: Python's `IndexError`.
    pub fn index_fault<T>(&self, message: impl Into<String>) -> R<T> {
        Err(self.exception("IndexError", message))
    }

    fn error(&self, class: Rc<Class>, args: Vec<Value>) -> Value {
        let object = Object { class, attrs: Default::default(), module: Default::default(), span: self.here() };
        object.attrs.borrow_mut().insert("args".into(), Value::tuple(args));
        Value::Object(Rc::new(object))
    }

    /// What a call may raise besides: nothing is known of what stands behind functions of torch.
    pub fn hide_exception(&self) {
        self.trail.set_kind(FaultKind::Opaque);
    }
}
