//! Expressions.

use std::rc::Rc;

use super::generator::Expression;
use super::iterator::Iter;
use super::value::{Closure, Scope, ScopeKind, Value};
use super::{Interp, R};
use crate::rules::Rule;
use crate::syntax::*;

impl Interp {
    pub fn expr(&mut self, expr: &Expr, scope: &Rc<Scope>) -> R<Value> {
        let outer = self.here();
        self.move_to(expr.at.0);
        self.step()?;
        let value = self.nested(|vm| vm.expr_here(expr, scope))?;
        self.move_to(outer);
        Ok(value)
    }

    fn expr_here(&mut self, expr: &Expr, scope: &Rc<Scope>) -> R<Value> {
        Ok(match &expr.kind {
            ExprKind::None => Value::None,
            ExprKind::Ellipsis => Value::Ellipsis,
            ExprKind::Bool(b) => Value::Bool(*b),
            ExprKind::Int(i) => Value::Int(*i),
            ExprKind::Float(f) => Value::Float(*f),
            ExprKind::Str(s) => Value::Str(s.clone()),
            ExprKind::FString(pieces) => {
                let text = self.fstring(pieces, scope)?;
                self.allocate(text.len())?;
                Value::str(&text)
            }
            ExprKind::Name(name) => self.name(name, scope)?,
            ExprKind::Attribute(base, name) => {
                let base = self.expr(base, scope)?;
                self.attribute(&base, name)?
            }
            ExprKind::Subscript(base, index) => {
                let base = self.expr(base, scope)?;
                let index = self.expr(index, scope)?;
                self.subscript(&base, &index)?
            }
            ExprKind::Slice(a, b, c) => {
                let mut part = |e: &Option<Box<Expr>>| e.as_ref().map_or(Ok(Value::None), |e| self.expr(e, scope));
                Value::Slice(Rc::new([part(a)?, part(b)?, part(c)?]))
            }
            ExprKind::Call(function, args, keywords) => self.call_expr(function, args, keywords, scope)?,
            ExprKind::Starred(_) => return self.refuse(Rule::UnsupportedSyntax, "'*' has no meaning here"),
            ExprKind::Tuple(items) => {
                let items = self.sequence(items, scope)?;
                self.allocate(items.len())?;
                Value::tuple(items)
            }
            ExprKind::List(items) => {
                let items = self.sequence(items, scope)?;
                self.allocate(items.len())?;
                Value::list(items)
            }
            ExprKind::Set(items) => {
                let items = self.sequence(items, scope)?;
                self.tracer.run.set(items)?
            }
            ExprKind::Dict(items) => {
                let mut dict = super::value::Dict::default();
                for (key, value) in items {
                    let key = key.as_ref().map(|k| self.expr(k, scope)).transpose()?;
                    let value = self.expr(value, scope)?;
                    match (key, value) {
                        (Some(name), value) => dict.insert(self.tracer.run.key(&name)?, name, value),
                        (None, Value::Dict(other)) => {
                            self.charge(other.borrow().len() as u64 / 2)?;
                            self.allocate(other.borrow().len())?;
                            for (key, name, value) in other.borrow().entries.values() {
                                dict.insert(key.clone(), name.clone(), value.clone());
                            }
                        }
                        (None, other) => {
                            return self.type_fault(format!("'**' needs a dict, not {}", other.type_name()));
                        }
                    }
                    self.allocate(1)?;
                }
                Value::dict(dict)
            }
            ExprKind::Binary(a, op, b) => {
                let a = self.expr(a, scope)?;
                let b = self.expr(b, scope)?;
                self.binary(&a, *op, &b)?
            }
            ExprKind::Unary(op, e) => {
                let value = self.expr(e, scope)?;
                self.unary(*op, &value)?
            }
            ExprKind::Logic(and, parts) => {
                let mut value = Value::None;
                for (i, part) in parts.iter().enumerate() {
                    value = self.expr(part, scope)?;
                    if i + 1 < parts.len() && self.truth(&value)? != *and {
                        break;
                    }
                }
                value
            }
            ExprKind::Compare(first, rest) => {
                let mut left = self.expr(first, scope)?;
                let mut value = Value::Bool(true);
                for (i, (op, right)) in rest.iter().enumerate() {
                    let right = self.expr(right, scope)?;
                    value = self.compare(&left, *op, &right)?;
                    if i + 1 < rest.len() && !self.truth(&value)? {
                        break;
                    }
                    left = right;
                }
                value
            }
            ExprKind::IfElse(test, a, b) => {
                let test = self.expr(test, scope)?;
                if self.truth(&test)? { self.expr(a, scope)? } else { self.expr(b, scope)? }
            }
            ExprKind::Lambda(code) => self.closure(code, scope)?,
            ExprKind::ListComp(item, generators) => {
                let items = self.comprehension(generators, scope, &mut |vm, s| vm.expr(item, s))?;
                Value::list(items)
            }
            ExprKind::SetComp(item, generators) => {
                let items = self.comprehension(generators, scope, &mut |vm, s| vm.expr(item, s))?;
                self.tracer.run.set(items)?
            }
            ExprKind::GeneratorExp(code) => {
                let Some(first) = code.generators.first() else { return Ok(Value::iter(Iter::Done)) };
                let iterable = self.expr(&first.iter, scope)?;
                let source = self.loop_source(&iterable)?;
                let inner = self.heap.scope(&outside_classes(scope), ScopeKind::Generator);
                let generator = Expression::new(code.clone(), inner, source, self.here());
                Value::iter(Iter::Expression(Box::new(generator)))
            }
            ExprKind::DictComp(key, value, generators) => {
                let mut dict = super::value::Dict::default();
                self.comprehension(generators, scope, &mut |vm, s| {
                    let name = vm.expr(key, s)?;
                    let value = vm.expr(value, s)?;
                    dict.insert(vm.tracer.run.key(&name)?, name, value);
                    Ok(Value::None)
                })?;
                Value::dict(dict)
            }
            ExprKind::Walrus(name, e) => {
                let value = self.expr(e, scope)?;
                // a comprehension's ':=' binds outside of it
                let mut target = scope.clone();
                while let (ScopeKind::Comprehension | ScopeKind::Generator, Some(parent)) =
                    (&target.kind, &target.parent)
                {
                    target = parent.clone();
                }
                self.bind_name(name, value.clone(), &target)?;
                value
            }
            // see `generator`
            ExprKind::Yield(_) | ExprKind::YieldFrom(_) => {
                return self.refuse(Rule::Syntax, "'yield' outside a function");
            }
            ExprKind::Other(what, _) => {
                return self.refuse(Rule::UnsupportedSyntax, format!("{what} is not supported"));
            }
        })
    }

    /// Items of a display, with `*` unpacked.
    pub fn sequence(&mut self, items: &[Expr], scope: &Rc<Scope>) -> R<Vec<Value>> {
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            if let ExprKind::Starred(inner) = &item.kind {
                let value = self.expr(inner, scope)?;
                out.extend(self.items(&value)?);
            } else {
                out.push(self.expr(item, scope)?);
            }
        }
        Ok(out)
    }

    fn comprehension(
        &mut self,
        generators: &[Generator],
        scope: &Rc<Scope>,
        item: &mut dyn FnMut(&mut Self, &Rc<Scope>) -> R<Value>,
    ) -> R<Vec<Value>> {
        let mut out = Vec::new();
        let Some((first, rest)) = generators.split_first() else { return Ok(out) };
        // the outermost iterable belongs to the enclosing scope
        let iterable = self.expr(&first.iter, scope)?;
        let inner = self.heap.scope(&outside_classes(scope), ScopeKind::Comprehension);
        self.generate(first, iterable, rest, &inner, item, &mut out)?;
        Ok(out)
    }

    fn generate(
        &mut self,
        generator: &Generator,
        iterable: Value,
        rest: &[Generator],
        scope: &Rc<Scope>,
        item: &mut dyn FnMut(&mut Self, &Rc<Scope>) -> R<Value>,
        out: &mut Vec<Value>,
    ) -> R<()> {
        let span = self.here();
        let mut rounds = 0_u64;
        let source = self.loop_source(&iterable)?;
        while let Some(value) = self.next(&source)? {
            rounds += 1;
            self.tracer.run.round(span, rounds)?;
            self.assign(&generator.target, value, scope)?;
            if !self.passes(&generator.ifs, scope)? {
                continue;
            }
            match rest.split_first() {
                Some((next, others)) => {
                    let iterable = self.expr(&next.iter, scope)?;
                    self.generate(next, iterable, others, scope, item, out)?;
                }
                None => {
                    let value = item(self, scope)?;
                    self.allocate(1)?;
                    out.push(value);
                }
            }
        }
        Ok(())
    }

    /// A function value; defaults are evaluated now.
    pub fn closure(&mut self, code: &Rc<Function>, scope: &Rc<Scope>) -> R<Value> {
        let mut defaults = Vec::with_capacity(code.params.len());
        for p in &code.params {
            defaults.push(p.default.as_ref().map(|d| self.expr(d, scope)).transpose()?);
        }
        let home = outside_classes(scope);
        let closure =
            Closure { code: code.clone(), defaults, scope: home, class: None.into(), no_grad: None, renamed: None };
        Ok(self.heap.function(closure))
    }

    pub fn name(&mut self, name: &Name, scope: &Rc<Scope>) -> R<Value> {
        let mut at = Some(scope);
        while let Some(scope) = at {
            if let Some(value) = scope.vars.borrow().get(name) {
                return Ok(value.clone());
            }
            if let ScopeKind::Function(code) = &scope.kind
                && code.locals.contains(name)
            {
                return self.refuse(
                    Rule::NameUnbound,
                    format!("the local variable '{name}' is read before anything is assigned to it"),
                );
            }
            at = scope.parent.as_ref();
        }
        if &**name == "reveal_shape" && self.revealed.is_none() {
            return self.undefined(name, scope);
        }
        match self.builtin(name) {
            Some(value) => Ok(value),
            None => self.undefined(name, scope),
        }
    }

    fn undefined(&mut self, name: &Name, scope: &Rc<Scope>) -> R<Value> {
        // all names in reach are compared with it
        let names = scope.vars.borrow().len() + self.heap.globals.vars.borrow().len();
        self.charge(names as u64)?;
        let mut d = *self.fault(Rule::NameUndefined, format!("the name '{name}' is not defined"));
        let mut known: Vec<Name> = Vec::new();
        let mut at = Some(scope);
        while let Some(scope) = at {
            known.extend(scope.vars.borrow().keys().cloned());
            at = scope.parent.as_ref();
        }
        if let Some(near) = crate::suggest::nearest(name, known.iter().map(|n| &**n)) {
            d = d.help(format!("did you mean '{near}'?"));
        } else if crate::modules::exists(name) {
            d = d.help(format!(
                "the program does not import it: write 'import {name}' where it is used, inside of the region"
            ));
        }
        Err(Box::new(d))
    }
}

/// The scope that functions and comprehensions made in this one see: a class body's names are not in it.
fn outside_classes(scope: &Rc<Scope>) -> Rc<Scope> {
    let mut home = scope.clone();
    while let (ScopeKind::Class, Some(parent)) = (&home.kind, &home.parent) {
        home = parent.clone();
    }
    home
}
