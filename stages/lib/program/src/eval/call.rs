//! Calls: binding of arguments, methods, classes, layers, `super()`.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::iterator::Iter;
use super::native::{Args, Native};
use super::records::members;
use super::stmt::Flow;
use super::value::{Class, Closure, NativeClass, Object, Scope, ScopeKind, Value};
use super::{Interp, R, Run};
use crate::rules::Rule;
use crate::syntax::*;

type Keywords = Vec<(Name, Value)>;

impl Interp {
    pub fn call_expr(&mut self, function: &Expr, args: &[Expr], keywords: &[Keyword], scope: &Rc<Scope>) -> R<Value> {
        let here = self.here();
        if let ExprKind::Name(name) = &function.kind
            && &**name == "super"
            && args.is_empty()
        {
            if is_in_generator(scope) {
                return self.type_fault("super() of no arguments does not work in a generator expression");
            }
            return self.bare_super();
        }
        let callee = self.expr(function, scope)?;
        let positional = self.sequence(args, scope)?;
        let mut named: Keywords = Vec::with_capacity(keywords.len());
        for keyword in keywords {
            let value = self.expr(&keyword.value, scope)?;
            match (&keyword.name, value) {
                (Some(name), value) => named.push((name.clone(), value)),
                (None, Value::Dict(dict)) => {
                    for (name, value) in dict.borrow().items() {
                        match name {
                            Value::Str(name) => named.push((name, value)),
                            other => {
                                return self.type_fault(format!("keywords are strings, not {}", other.type_name()));
                            }
                        }
                    }
                }
                (None, other) => return self.type_fault(format!("'**' needs a dict, not {}", other.type_name())),
            }
        }
        self.move_to(here);
        self.go_over(8 * named.len())?;
        let mut seen = BTreeSet::new();
        if let Some((name, _)) = named.iter().find(|(n, _)| !seen.insert(n)) {
            return self.type_fault(format!("the keyword '{name}' is given twice"));
        }
        self.call(&callee, positional, named)
    }

    /// Calls anything that can be called.
    pub fn call(&mut self, callee: &Value, positional: Vec<Value>, keywords: Keywords) -> R<Value> {
        self.step()?;
        self.go_over(positional.len() + 8 * keywords.len())?;
        self.nested(|vm| vm.call_here(callee, positional, keywords))
    }

    fn call_here(&mut self, callee: &Value, mut positional: Vec<Value>, mut keywords: Keywords) -> R<Value> {
        match callee {
            Value::Function(f) => self.call_function(f, positional, keywords),
            Value::Native(native) => self.call_native(native, positional, keywords),
            Value::Bound(bound) => {
                positional.insert(0, bound.1.clone());
                self.call(&bound.0, positional, keywords)
            }
            Value::StaticMethod(inner) => self.call(inner, positional, keywords),
            Value::Partial(p) => {
                self.charge((p.1.len() + p.2.len() * (1 + keywords.len())) as u64 / 8)?;
                let mut all = p.1.clone();
                all.append(&mut positional);
                let mut named: Keywords =
                    p.2.iter().filter(|(n, _)| !keywords.iter().any(|(m, _)| m == n)).cloned().collect();
                named.append(&mut keywords);
                self.call(&p.0, all, named)
            }
            Value::PartialMethod(p) => {
                if positional.is_empty() {
                    return self.type_fault("a partialmethod is called on an object");
                }
                let rest = positional.split_off(1);
                positional.extend(p.1.iter().cloned());
                positional.extend(rest);
                let mut named: Keywords =
                    p.2.iter().filter(|(n, _)| !keywords.iter().any(|(m, _)| m == n)).cloned().collect();
                named.append(&mut keywords);
                self.call(&p.0, positional, named)
            }
            Value::Class(class) => self.instantiate(class, positional, keywords),
            Value::Object(object) => self.call_object(object, positional, keywords),
            Value::Typing => Ok(Value::Typing),
            Value::Context(_) => match positional.as_slice() {
                // `@torch.no_grad()` as a decorator
                [Value::Function(f)] => {
                    let Value::Context(off) = callee else { return self.type_fault("a context is needed") };
                    Ok(self.heap.function(Closure {
                        code: f.code.clone(),
                        defaults: f.defaults.clone(),
                        scope: f.scope.clone(),
                        class: f.class.borrow().clone().into(),
                        no_grad: off.or(f.no_grad),
                        renamed: f.renamed.clone(),
                    }))
                }
                _ => self.type_fault("a context manager cannot be called"),
            },
            Value::None => {
                let d = self.fault(Rule::Type, "None cannot be called");
                Err(Box::new(d.help("a layer that is None was not created before it is used")))
            }
            other => self.type_fault(format!("{} cannot be called", other.type_name())),
        }
    }

    pub fn call_native(&mut self, native: &'static Native, positional: Vec<Value>, keywords: Keywords) -> R<Value> {
        if let Some(Value::List(_) | Value::Dict(_) | Value::Set(_) | Value::Iter(_)) = positional.first()
            && let Some(address) = positional.first().and_then(Value::identity)
        {
            self.note_change(address, None);
        }
        let done = Args::bind(self, native, positional, keywords).and_then(|args| (native.run)(self, &args));
        if done.is_err() && !native.is_python() {
            self.tracer.run.hide_exception();
        }
        done
    }

    fn call_function(&mut self, f: &Rc<Closure>, positional: Vec<Value>, keywords: Keywords) -> R<Value> {
        self.tracer.run.keep(self.tracer.run.meter.allows_call(self.tracer.run.trail.depth(), &f.code.name))?;
        self.charge((f.code.params.len() * (1 + keywords.len())) as u64 / 16)?;
        let scope = self.heap.scope(&f.scope, ScopeKind::Function(f.code.clone()));
        self.tracer.run.bind_parameters(f, &scope, positional, keywords)?;
        if f.code.is_generator {
            let generator = self.suspended(f, scope)?;
            return Ok(Value::iter(Iter::Function(Box::new(generator))));
        }
        self.tracer.run.trail.enter_call();
        self.frames.enter(f, &scope);
        let no_grad = self.tracer.no_grad();
        self.tracer.set_no_grad(f.no_grad.unwrap_or(no_grad));
        let flow = self.block(&f.code.body, &scope);
        self.tracer.set_no_grad(no_grad);
        self.frames.leave();
        self.tracer.run.trail.leave_call();
        match flow? {
            Flow::Return(value) => Ok(value),
            _ => Ok(Value::None),
        }
    }

    fn bare_super(&mut self) -> R<Value> {
        let Some((closure, scope)) = self.frames.innermost().cloned() else {
            return self.type_fault("super() works in methods only");
        };
        let class = closure.class.borrow().clone();
        let first = closure.code.params.first().and_then(|p| scope.vars.borrow().get(&p.name).cloned());
        match (class, first) {
            (Some(class), Some(object)) => Ok(Value::Super(Rc::new((class, object)))),
            _ => self.type_fault("super() works in methods only"),
        }
    }

    /// Makes an instance.
    fn instantiate(&mut self, class: &Rc<Class>, positional: Vec<Value>, keywords: Keywords) -> R<Value> {
        self.go_over(class.mro.borrow().len())?;
        if members(class).is_some() {
            return match positional.as_slice() {
                [value] if keywords.is_empty() => self.find_member(class, &value.clone(), false),
                _ => self.type_fault(format!("{}() takes one value", class.name)),
            };
        }
        match class.native {
            NativeClass::Type => return self.construct(class, positional, keywords),
            NativeClass::Tensor => match super::native::find("torch.Tensor.$new") {
                Some(new) => return self.call_native(new, positional, keywords),
                None => return self.refuse(Rule::UnsupportedOp, "use torch.tensor to make a tensor"),
            },
            _ => {}
        }
        let object = self.heap.object(class.clone(), self.here());
        self.allocate(1)?;
        let value = Value::Object(object.clone());
        if class.is_exception() {
            object.attrs.borrow_mut().insert("args".into(), Value::tuple(positional));
            return Ok(value);
        }
        if self.tracer.run.has_abstract(class)? {
            return self
                .type_fault(format!("{} is abstract: a method marked abstractmethod is not implemented", class.name));
        }
        if class.layer().is_some() {
            self.heap.keep_module(object.clone());
        }
        match class.find("__init__") {
            Some(init) => {
                let mut all = vec![value.clone()];
                all.extend(positional);
                self.call(&init, all, keywords)?;
            }
            None if positional.is_empty() && keywords.is_empty() => {}
            None => return self.type_fault(format!("{}() takes no arguments", class.name)),
        }
        if class.layer().is_some() && object.module.borrow().is_none() {
            let d = self.fault(Rule::ModuleInit, format!("{} does not call super().__init__()", class.name));
            return Err(Box::new(d.help("start __init__ with super().__init__()")));
        }
        Ok(value)
    }

    fn call_object(&mut self, object: &Rc<Object>, positional: Vec<Value>, keywords: Keywords) -> R<Value> {
        let class = &object.class;
        let method = match class.find("__call__") {
            Some(method) => method,
            None if class.layer().is_some() => {
                if let Some(state) = object.module.borrow_mut().as_mut() {
                    state.called = true;
                }
                let own = object.attrs.borrow().get("forward").cloned();
                if let Some(own) = own {
                    return self.call(&own, positional, keywords);
                }
                match class.find("forward") {
                    Some(method) => method,
                    None => return self.type_fault(format!("{} has no forward method", class.name)),
                }
            }
            None => return self.type_fault(format!("{} objects cannot be called", class.name)),
        };
        let mut all = vec![Value::Object(object.clone())];
        all.extend(positional);
        match &method {
            Value::StaticMethod(inner) => {
                all.remove(0);
                self.call(inner, all, keywords)
            }
            _ => self.call(&method, all, keywords),
        }
    }
}

/// Whether a scope belongs to a generator expression, directly or as that of a comprehension inside.
fn is_in_generator(scope: &Rc<Scope>) -> bool {
    let mut at = Some(scope);
    while let Some(scope) = at {
        match scope.kind {
            ScopeKind::Generator => return true,
            ScopeKind::Comprehension => at = scope.parent.as_ref(),
            _ => return false,
        }
    }
    false
}

impl Run {
    fn bind_parameters(&mut self, f: &Closure, scope: &Rc<Scope>, positional: Vec<Value>, keywords: Keywords) -> R<()> {
        let code = &f.code;
        let name = &code.name;
        let mut vars = scope.vars.borrow_mut();
        let given = positional.len();
        let mut positional = positional.into_iter();
        let mut star = None;
        let open = code.params.iter().filter(|p| matches!(p.kind, ParamKind::PositionalOnly | ParamKind::Normal));
        let open_count = open.clone().count();
        for p in open {
            if let Some(value) = positional.next() {
                vars.insert(p.name.clone(), value);
            }
        }
        if let Some(p) = code.params.iter().find(|p| p.kind == ParamKind::Star) {
            star = Some(p.name.clone());
        }
        let rest: Vec<Value> = positional.collect();
        match star {
            Some(star) => {
                vars.insert(star, Value::tuple(rest));
            }
            None if !rest.is_empty() => {
                return self.argument_fault(
                    f,
                    format!("{name}() takes {open_count} positional arguments, but {given} are given"),
                );
            }
            None => {}
        }
        let mut extra = super::value::Dict::default();
        let double = code.params.iter().find(|p| p.kind == ParamKind::DoubleStar);
        for (key, value) in keywords {
            let known = code
                .params
                .iter()
                .find(|p| p.name == key && matches!(p.kind, ParamKind::Normal | ParamKind::KeywordOnly));
            match known {
                Some(p) if vars.contains_key(&p.name) => {
                    return self.argument_fault(f, format!("{name}() gets '{key}' twice"));
                }
                Some(p) => {
                    vars.insert(p.name.clone(), value);
                }
                None if double.is_some() => {
                    extra.insert(super::value::Key::Str(key.clone()), Value::Str(key), value);
                }
                None => return self.argument_fault(f, format!("{name}() has no parameter '{key}'")),
            }
        }
        if let Some(p) = double {
            vars.insert(p.name.clone(), Value::dict(extra));
        }
        for (p, default) in code.params.iter().zip(&f.defaults) {
            if vars.contains_key(&p.name) || matches!(p.kind, ParamKind::Star | ParamKind::DoubleStar) {
                continue;
            }
            match default {
                Some(value) => {
                    vars.insert(p.name.clone(), value.clone());
                }
                None => return self.argument_fault(f, format!("{name}() needs the argument '{}'", p.name)),
            }
        }
        Ok(())
    }

    fn argument_fault<T>(&self, f: &Closure, message: String) -> R<T> {
        let mut d = *self.fault(Rule::Type, message);
        if f.code.at.0.line != d.line {
            d = d.note(f.code.at.0, "defined here");
        }
        Err(Box::new(d))
    }

    /// Whether a method marked `abc.abstractmethod` has no implementation. Only classes with `abc.ABC` care.
    fn has_abstract(&mut self, class: &Class) -> R<bool> {
        let mro = class.mro.borrow();
        if !mro.iter().any(|c| &*c.name == "ABC") {
            return Ok(false);
        }
        let mut seen: BTreeSet<Name> = BTreeSet::new();
        for c in mro.iter() {
            let attrs = c.attrs.borrow();
            self.charge(attrs.len() as u64 / 4)?;
            for (name, value) in attrs.iter() {
                if !seen.insert(name.clone()) {
                    continue;
                }
                if let Value::Function(f) = value
                    && f.code.decorators.iter().any(|d| match &d.kind {
                        ExprKind::Name(n) | ExprKind::Attribute(_, n) => &**n == "abstractmethod",
                        _ => false,
                    })
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
