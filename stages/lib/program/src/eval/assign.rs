//! Assignment: names, attributes, items, unpacking, in place, and deletion.

use std::rc::Rc;

use super::container::is_list_of_modules;
use super::value::{Scope, ScopeKind, Source, Value};
use super::{Interp, R};
use crate::rules::Rule;
use crate::syntax::*;

impl Interp {
    /// Binds a name in the scope that it belongs to.
    pub fn bind_name(&mut self, name: &Name, value: Value, scope: &Rc<Scope>) -> R<()> {
        let mut target = scope.clone();
        if let ScopeKind::Function(code) = &scope.kind
            && !code.locals.contains(name)
        {
            // declared global or nonlocal: the nearest outer function that has it, else the module
            let mut at = scope.parent.clone();
            target = self.heap.globals.clone();
            while let Some(s) = at {
                if matches!(&s.kind, ScopeKind::Function(f) if f.locals.contains(name)) {
                    target = s;
                    break;
                }
                at = s.parent.clone();
            }
        }
        if !Rc::ptr_eq(&target, scope) {
            self.note_change(Rc::as_ptr(&target).addr(), Some(name));
        }
        target.vars.borrow_mut().insert(name.clone(), value);
        Ok(())
    }

    pub fn assign(&mut self, target: &Expr, value: Value, scope: &Rc<Scope>) -> R<()> {
        match &target.kind {
            ExprKind::Name(name) => self.bind_name(name, value, scope),
            ExprKind::Attribute(base, name) => {
                let base = self.expr(base, scope)?;
                self.move_to(target.at.0);
                self.set_attribute(&base, name, value)
            }
            ExprKind::Subscript(base, index) => {
                let base = self.expr(base, scope)?;
                let index = self.expr(index, scope)?;
                self.move_to(target.at.0);
                self.set_item(&base, &index, value)
            }
            ExprKind::Tuple(targets) | ExprKind::List(targets) => {
                let values = match &value {
                    Value::Iter(source) => self.unpacked(targets, source)?,
                    _ => self.items(&value)?,
                };
                self.unpack(target, targets, values, scope)
            }
            ExprKind::Starred(inner) => self.assign(inner, value, scope),
            _ => self.refuse(Rule::UnsupportedSyntax, "this cannot be assigned to"),
        }
    }

    /// What an iterator gives to targets: one item more than they take, where there is one, shows that they are too few.
    fn unpacked(&mut self, targets: &[Expr], source: &Source) -> R<Vec<Value>> {
        if targets.iter().any(|t| matches!(t.kind, ExprKind::Starred(_))) {
            return self.drain(source);
        }
        let mut values = Vec::with_capacity(targets.len());
        while values.len() <= targets.len() {
            match self.next(source)? {
                Some(value) => values.push(value),
                None => break,
            }
        }
        if values.len() > targets.len() {
            let wanted = targets.len();
            return self.value_fault(format!("{wanted} values are needed for unpacking, but there are more"));
        }
        Ok(values)
    }

    fn unpack(&mut self, whole: &Expr, targets: &[Expr], values: Vec<Value>, scope: &Rc<Scope>) -> R<()> {
        self.move_to(whole.at.0);
        let star = targets.iter().position(|t| matches!(t.kind, ExprKind::Starred(_)));
        let wanted = targets.len() - usize::from(star.is_some());
        if values.len() < wanted || (star.is_none() && values.len() > wanted) {
            let least = if star.is_some() { "at least " } else { "" };
            let (have, verb) = (values.len(), if values.len() == 1 { "is" } else { "are" });
            return self
                .value_fault(format!("{least}{wanted} values are needed for unpacking, but there {verb} {have}"));
        }
        let spare = values.len() - wanted;
        let mut values = values.into_iter();
        for (i, target) in targets.iter().enumerate() {
            if Some(i) == star {
                let many: Vec<Value> = values.by_ref().take(spare).collect();
                self.assign(target, Value::list(many), scope)?;
            } else if let Some(value) = values.next() {
                self.assign(target, value, scope)?;
            }
        }
        Ok(())
    }

    pub fn augmented(&mut self, target: &Expr, op: BinOp, value: &Expr, scope: &Rc<Scope>) -> R<()> {
        let span = self.here();
        match &target.kind {
            ExprKind::Name(name) => {
                let old = self.expr(target, scope)?;
                let value = self.expr(value, scope)?;
                self.move_to(span);
                let new = self.in_place(&old, op, &value)?;
                self.bind_name(name, new, scope)
            }
            ExprKind::Attribute(base, name) => {
                let base = self.expr(base, scope)?;
                let old = self.attribute(&base, name)?;
                let value = self.expr(value, scope)?;
                self.move_to(span);
                let new = self.in_place(&old, op, &value)?;
                self.set_attribute(&base, name, new)
            }
            ExprKind::Subscript(base, index) => {
                let base = self.expr(base, scope)?;
                let index = self.expr(index, scope)?;
                let old = self.subscript(&base, &index)?;
                let value = self.expr(value, scope)?;
                self.move_to(span);
                // on a tensor, `x[i] += v` computes on a view and writes it back
                let new = if let Value::Tensor(whole) = &base {
                    if let Value::Tensor(part) = &old
                        && Rc::ptr_eq(&part.storage, &whole.storage)
                    {
                        self.tracer.run.no_overlap(part, &value)?;
                    }
                    self.tracer.begin_write();
                    self.binary(&old, op, &value)?
                } else {
                    self.in_place(&old, op, &value)?
                };
                drop((old, value));
                self.set_item(&base, &index, new)
            }
            _ => self.refuse(Rule::UnsupportedSyntax, "this cannot be assigned to"),
        }
    }

    /// `old op= value`: lists and tensors change in place, the rest is computed anew.
    fn in_place(&mut self, old: &Value, op: BinOp, value: &Value) -> R<Value> {
        match old {
            Value::List(list) if op == BinOp::Add => {
                self.note_change(Rc::as_ptr(list).addr(), None);
                self.extend_list(&list.clone(), value)?;
                Ok(old.clone())
            }
            // `layers += [...]`
            Value::Object(o) if op == BinOp::Add && is_list_of_modules(o) => {
                let source = self.iter_of(value)?;
                while let Some(item) = self.next(&source)? {
                    self.append(o, item)?;
                }
                Ok(old.clone())
            }
            Value::Tensor(t)
                if matches!(
                    value,
                    Value::Tensor(_)
                        | Value::Int(_)
                        | Value::Float(_)
                        | Value::Bool(_)
                        | Value::Dim(_)
                        | Value::Number(_)
                ) =>
            {
                if op == BinOp::MatMul {
                    return self.refuse(Rule::UnsupportedInplace, "'@=' on tensors is not supported; write x = x @ y");
                }
                let t = t.clone();
                self.tracer.update_in_place(&t, op, value)?;
                Ok(old.clone())
            }
            _ => self.binary(old, op, value),
        }
    }

    pub fn delete(&mut self, target: &Expr, scope: &Rc<Scope>) -> R<()> {
        match &target.kind {
            ExprKind::Name(name) => {
                let gone = scope.vars.borrow_mut().remove(name);
                if gone.is_none() {
                    return self.refuse(Rule::NameUndefined, format!("the name '{name}' is not defined"));
                }
                Ok(())
            }
            ExprKind::Attribute(base, name) => {
                let base = self.expr(base, scope)?;
                self.delete_attribute(&base, name)
            }
            ExprKind::Subscript(base, index) => {
                let base = self.expr(base, scope)?;
                let index = self.expr(index, scope)?;
                self.tracer.run.delete_item(&base, &index)
            }
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().try_for_each(|t| self.delete(t, scope)),
            _ => self.refuse(Rule::UnsupportedSyntax, "this cannot be deleted"),
        }
    }
}
