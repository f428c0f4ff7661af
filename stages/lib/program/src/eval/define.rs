//! Definitions of functions and classes.

use std::rc::Rc;

use super::value::{Class, NativeClass, Scope, ScopeKind, Value};
use super::{Interp, R};
use crate::rules::Rule;
use crate::syntax::*;

impl Interp {
    pub fn define(&mut self, code: &Rc<Function>, scope: &Rc<Scope>) -> R<()> {
        for p in &code.params {
            if let Some(a) = &p.annotation {
                self.annotation(a, scope)?;
            }
        }
        if let Some(a) = &code.returns {
            self.annotation(a, scope)?;
        }
        let mut value = self.closure(code, scope)?;
        for decorator in code.decorators.iter().rev() {
            let decorator_value = self.expr(decorator, scope)?;
            self.move_to(decorator.at.0);
            value = self.call(&decorator_value, vec![value], Vec::new())?;
        }
        self.bind_name(&code.name, value, scope)
    }

    /// Annotations are evaluated where Python would, for the names in them to exist.
    pub fn annotation(&mut self, annotation: &Expr, scope: &Rc<Scope>) -> R<()> {
        if self.lazy_annotations {
            return Ok(());
        }
        let mut names = Vec::new();
        crate::walk::expressions(annotation, &mut |e| {
            if let ExprKind::Name(name) = &e.kind {
                names.push((name.clone(), e.at.0));
            }
        });
        for (name, span) in names {
            self.move_to(span);
            self.name(&name, scope)?;
        }
        Ok(())
    }

    pub fn class(&mut self, code: &Rc<crate::syntax::Class>, scope: &Rc<Scope>) -> R<()> {
        let mut bases = Vec::new();
        let mut named = false;
        for base in &code.bases {
            let value = self.expr(base, scope)?;
            self.move_to(base.at.0);
            match value {
                Value::Class(c) => bases.push(c),
                Value::Typing if is_called(base, "NamedTuple") => named = true,
                Value::Typing if is_called(base, "TypedDict") => {
                    let d = self.fault(Rule::UnsupportedClass, "deriving from TypedDict is not supported");
                    return Err(Box::new(d.help("use dataclasses.dataclass")));
                }
                Value::Typing => {}
                other => return self.type_fault(format!("a class cannot derive from {}", other.type_name())),
            }
        }
        for keyword in &code.keywords {
            // `metaclass=abc.ABCMeta` changes nothing that matters here
            self.expr(&keyword.value, scope)?;
        }
        self.move_to(code.at.0);
        if bases.is_empty() {
            bases.push(self.heap.type_class("object"));
        }
        self.allocate(1 + bases.len())?;
        let is_enum = bases.iter().any(|b| b.mro.borrow().iter().any(|c| &*c.name == "Enum"));
        if let Some(odd) = bases
            .iter()
            .find(|b| matches!(b.native, NativeClass::Type | NativeClass::Tensor) && &*b.name != "object" && !is_enum)
        {
            return self.refuse(Rule::UnsupportedClass, format!("deriving from {} is not supported", odd.name));
        }
        let known: usize = bases.iter().map(|b| b.mro.borrow().len()).sum();
        self.charge((known * known) as u64 / 16)?;
        let Some(tail) = linearise(&bases) else {
            return self.type_fault(format!("the bases of {} have no consistent order", code.name));
        };
        let class = self.heap.class(code.name.clone(), tail, code.at.0);
        let body = self.heap.scope(scope, ScopeKind::Class);
        self.block(&code.body, &body)?;
        let vars = std::mem::take(&mut *body.vars.borrow_mut());
        for value in vars.values() {
            own(value, &class);
        }
        let fields: Vec<Name> = code
            .body
            .iter()
            .filter_map(|s| match &s.kind {
                StmtKind::AnnAssign(t, annotation, _) if !names_class_var(annotation) => match &t.kind {
                    ExprKind::Name(n) => Some(n.clone()),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        *class.attrs.borrow_mut() = vars;
        if named {
            self.tracer.run.make_tuple_class(&class, &fields)?;
        }
        class.attrs.borrow_mut().insert("$fields".into(), Value::tuple(fields.into_iter().map(Value::Str).collect()));
        if is_enum {
            self.make_members(&class, code)?;
        }
        let mut value = Value::Class(class);
        for decorator in code.decorators.iter().rev() {
            let decorator_value = self.expr(decorator, scope)?;
            self.move_to(decorator.at.0);
            value = self.call(&decorator_value, vec![value], Vec::new())?;
        }
        self.bind_name(&code.name, value, scope)
    }
}

/// Whether an expression is a name, or an attribute of this name.
fn is_called(e: &Expr, wanted: &str) -> bool {
    matches!(&e.kind, ExprKind::Name(n) | ExprKind::Attribute(_, n) if &**n == wanted)
}

/// `ClassVar[...]`, which is not a field of a dataclass.
fn names_class_var(annotation: &Expr) -> bool {
    let mut found = false;
    crate::walk::expressions(annotation, &mut |e| {
        found |= matches!(&e.kind, ExprKind::Name(n) | ExprKind::Attribute(_, n) if &**n == "ClassVar");
    });
    found
}

/// Tells the functions in a class body which class `super()` means.
fn own(value: &Value, class: &Rc<Class>) {
    match value {
        Value::Function(f) => {
            let mut home = f.class.borrow_mut();
            if home.is_none() {
                *home = Some(class.clone());
            }
        }
        Value::StaticMethod(inner) | Value::ClassMethod(inner) => own(inner, class),
        Value::Property(p) => {
            own(&p.get, class);
            if let Some(set) = &p.set {
                own(set, class);
            }
        }
        _ => {}
    }
}

/// C3 linearisation of the classes behind a new one.
fn linearise(bases: &[Rc<Class>]) -> Option<Vec<Rc<Class>>> {
    let mut lists: Vec<Vec<Rc<Class>>> = bases.iter().map(|b| b.mro.borrow().clone()).collect();
    lists.push(bases.to_vec());
    let mut out = Vec::new();
    loop {
        lists.retain(|l| !l.is_empty());
        if lists.is_empty() {
            return Some(out);
        }
        let next = lists
            .iter()
            .filter_map(|l| l.first())
            .find(|candidate| lists.iter().all(|l| !l.iter().skip(1).any(|c| Rc::ptr_eq(c, candidate))))?;
        let next = next.clone();
        for list in &mut lists {
            if list.first().is_some_and(|c| Rc::ptr_eq(c, &next)) {
                list.remove(0);
            }
        }
        out.push(next);
    }
}
