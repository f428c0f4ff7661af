//! Statements.

use std::rc::Rc;

use graph::Span;

use super::value::{Scope, ScopeKind, Source, Value};
use super::{Interp, R, Run};
use crate::rules::Rule;
use crate::syntax::*;

/// How a statement ends.
pub enum Flow {
    Next,
    Break,
    Continue,
    Return(Value),
}

impl Interp {
    pub fn block(&mut self, body: &[Stmt], scope: &Rc<Scope>) -> R<Flow> {
        for stmt in body {
            match self.stmt(stmt, scope)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn stmt(&mut self, stmt: &Stmt, scope: &Rc<Scope>) -> R<Flow> {
        self.move_to(stmt.at.0);
        self.step()?;
        self.nested(|vm| vm.stmt_here(stmt, scope))
    }

    pub fn stmt_here(&mut self, stmt: &Stmt, scope: &Rc<Scope>) -> R<Flow> {
        match &stmt.kind {
            StmtKind::Expr(e) => {
                self.expr(e, scope)?;
            }
            StmtKind::Assign(targets, value) => {
                let value = self.expr(value, scope)?;
                // the last target takes the value over: a view that only stood on the right is gone by then
                if let Some((last, others)) = targets.split_last() {
                    for target in others {
                        self.assign(target, value.clone(), scope)?;
                    }
                    self.assign(last, value, scope)?;
                }
            }
            StmtKind::AugAssign(target, op, value) => self.augmented(target, *op, value, scope)?,
            StmtKind::AnnAssign(target, annotation, value) => {
                if !matches!(scope.kind, ScopeKind::Function(_)) {
                    self.annotation(annotation, scope)?;
                }
                if let Some(value) = value {
                    let value = self.expr(value, scope)?;
                    self.assign(target, value, scope)?;
                }
            }
            StmtKind::Return(value) => {
                let result = match value {
                    Some(e) => self.expr(e, scope)?,
                    None => Value::None,
                };
                if let ScopeKind::Function(code) = &scope.kind
                    && &*code.name == "forward"
                    && !value.as_ref().is_some_and(passes_on)
                {
                    self.returned = stmt.at.0;
                }
                return Ok(Flow::Return(result));
            }
            StmtKind::If(test, a, b) => {
                let value = self.expr(test, scope)?;
                self.move_to(test.at.0);
                let branch = if self.truth(&value)? { a } else { b };
                return self.block(branch, scope);
            }
            StmtKind::For(target, iter, body, orelse) => {
                let iterable = self.expr(iter, scope)?;
                self.move_to(iter.at.0);
                let source = self.loop_source(&iterable)?;
                return self.for_loop(stmt.at.0, (target, &source), body, orelse, scope);
            }
            StmtKind::While(test, body, orelse) => return self.while_loop(stmt.at.0, test, body, orelse, scope),
            StmtKind::Try(t) => return self.try_block(t, scope),
            StmtKind::With(items, body) => return self.with(items, body, scope),
            StmtKind::Raise(exc, _) => return self.raise(stmt.at.0, exc.as_ref(), scope),
            StmtKind::Assert(test, message) => self.assert(stmt.at.0, test, message.as_ref(), scope)?,
            StmtKind::Import(names) => {
                for alias in names {
                    self.move_to(alias.at.0);
                    self.import(alias, scope)?;
                }
            }
            StmtKind::ImportFrom(module, names, _) => {
                for alias in names {
                    self.move_to(alias.at.0);
                    self.import_from(module, alias, scope)?;
                }
            }
            StmtKind::Function(code) => self.define(code, scope)?,
            StmtKind::Class(code) => self.class(code, scope)?,
            StmtKind::Global(_) | StmtKind::Nonlocal(_) | StmtKind::Pass => {}
            StmtKind::Delete(targets) => {
                for target in targets {
                    self.delete(target, scope)?;
                }
            }
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
            StmtKind::Other(what, _, _) => {
                return self.refuse(Rule::UnsupportedSyntax, format!("'{what}' is not supported"));
            }
        }
        Ok(Flow::Next)
    }

    fn for_loop(
        &mut self,
        span: Span,
        (target, source): (&Expr, &Source),
        body: &[Stmt],
        orelse: &[Stmt],
        scope: &Rc<Scope>,
    ) -> R<Flow> {
        self.tracer.run.trail.enter_loop(span);
        let mut rounds = 0;
        let mut ended = None;
        while let Some(item) = self.next(source)? {
            rounds += 1;
            self.tracer.run.trail.note_rounds(rounds);
            self.tracer.run.round(span, rounds)?;
            self.assign(target, item, scope)?;
            match self.block(body, scope)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => {
                    ended = Some(Flow::Next);
                    break;
                }
                done @ Flow::Return(_) => {
                    ended = Some(done);
                    break;
                }
            }
        }
        self.tracer.run.trail.leave_loop();
        match ended {
            Some(flow) => Ok(flow),
            None => self.block(orelse, scope),
        }
    }

    fn while_loop(&mut self, span: Span, test: &Expr, body: &[Stmt], orelse: &[Stmt], scope: &Rc<Scope>) -> R<Flow> {
        self.tracer.run.trail.enter_loop(span);
        let mut rounds = 0;
        let ended = loop {
            let value = self.expr(test, scope)?;
            self.move_to(test.at.0);
            if !self.truth(&value)? {
                break None;
            }
            rounds += 1;
            self.tracer.run.trail.note_rounds(rounds);
            self.tracer.run.round(span, rounds)?;
            match self.block(body, scope)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => break Some(Flow::Next),
                done @ Flow::Return(_) => break Some(done),
            }
        };
        self.tracer.run.trail.leave_loop();
        match ended {
            Some(flow) => Ok(flow),
            None => self.block(orelse, scope),
        }
    }

    fn with(&mut self, items: &[(Expr, Option<Expr>)], body: &[Stmt], scope: &Rc<Scope>) -> R<Flow> {
        let before = self.tracer.no_grad();
        for (context, target) in items {
            let value = self.expr(context, scope)?;
            self.move_to(context.at.0);
            match value {
                Value::Context(Some(off)) => self.tracer.set_no_grad(off),
                Value::Context(None) => {}
                other => {
                    return self.refuse(
                        Rule::UnsupportedWith,
                        format!("'with' knows torch.no_grad() and torch.enable_grad(), not {}", other.type_name()),
                    );
                }
            }
            if let Some(target) = target {
                self.assign(target, Value::None, scope)?;
            }
        }
        let flow = self.block(body, scope);
        self.tracer.set_no_grad(before);
        flow
    }
}

impl Run {
    /// Counts a round of a loop.
    pub fn round(&mut self, span: Span, rounds: u64) -> R<()> {
        let within = self.meter.allows_rounds(rounds);
        within.map_err(|e| Box::new(crate::Diagnostic::new(e.rule, span, e.text)))
    }
}

/// Whether a returned expression is what another `forward` returned: then that one is where the value was made.
fn passes_on(e: &Expr) -> bool {
    matches!(&e.kind, ExprKind::Call(f, _, _) if matches!(&f.kind, ExprKind::Attribute(_, name) if &**name == "forward"))
}
