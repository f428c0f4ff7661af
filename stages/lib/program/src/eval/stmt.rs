//! Statements.

use std::rc::Rc;

use graph::Span;

use super::value::{Class, NativeClass, Scope, ScopeKind, Value};
use super::{Interp, R};
use crate::diagnostic::Category;
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
        self.span = stmt.at.0;
        self.step()?;
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
                self.span = test.at.0;
                let branch = if self.truth(&value)? { a } else { b };
                return self.block(branch, scope);
            }
            StmtKind::For(target, iter, body, orelse) => {
                let iterable = self.expr(iter, scope)?;
                self.span = iter.at.0;
                let items = self.loop_items(&iterable)?;
                return self.for_loop(stmt.at.0, target, items, body, orelse, scope);
            }
            StmtKind::While(test, body, orelse) => return self.while_loop(stmt.at.0, test, body, orelse, scope),
            StmtKind::With(items, body) => return self.with(items, body, scope),
            StmtKind::Raise(exc, _) => return self.raise(stmt.at.0, exc.as_ref(), scope),
            StmtKind::Assert(test, message) => self.assert(stmt.at.0, test, message.as_ref(), scope)?,
            StmtKind::Import(names) => {
                for alias in names {
                    self.span = alias.at.0;
                    self.import(alias, scope)?;
                }
            }
            StmtKind::ImportFrom(module, names, _) => {
                for alias in names {
                    self.span = alias.at.0;
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
                return self.unsupported("E-UNSUPPORTED-SYNTAX", format!("'{what}' is not supported"));
            }
        }
        Ok(Flow::Next)
    }

    /// Counts a round of a loop.
    pub fn round(&mut self, span: Span, rounds: u64) -> R<()> {
        if rounds > self.budgets.iterations {
            let limit = self.budgets.iterations;
            let text = format!("the loop runs more than {limit} rounds while the tensor graph is built");
            return Err(Box::new(crate::Diagnostic::error(Category::Budget, "E-BUDGET-LOOP", span, text)));
        }
        Ok(())
    }

    fn for_loop(
        &mut self,
        span: Span,
        target: &Expr,
        items: Vec<Value>,
        body: &[Stmt],
        orelse: &[Stmt],
        scope: &Rc<Scope>,
    ) -> R<Flow> {
        self.loops.push((span, 0));
        let mut rounds = 0;
        let mut ended = None;
        for item in items {
            rounds += 1;
            if let Some(l) = self.loops.last_mut() {
                l.1 = rounds;
            }
            self.round(span, rounds)?;
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
        self.loops.pop();
        match ended {
            Some(flow) => Ok(flow),
            None => self.block(orelse, scope),
        }
    }

    fn while_loop(&mut self, span: Span, test: &Expr, body: &[Stmt], orelse: &[Stmt], scope: &Rc<Scope>) -> R<Flow> {
        self.loops.push((span, 0));
        let mut rounds = 0;
        let ended = loop {
            let value = self.expr(test, scope)?;
            self.span = test.at.0;
            if !self.truth(&value)? {
                break None;
            }
            rounds += 1;
            if let Some(l) = self.loops.last_mut() {
                l.1 = rounds;
            }
            self.round(span, rounds)?;
            match self.block(body, scope)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => break Some(Flow::Next),
                done @ Flow::Return(_) => break Some(done),
            }
        };
        self.loops.pop();
        match ended {
            Some(flow) => Ok(flow),
            None => self.block(orelse, scope),
        }
    }

    fn with(&mut self, items: &[(Expr, Option<Expr>)], body: &[Stmt], scope: &Rc<Scope>) -> R<Flow> {
        let before = self.no_grad;
        for (context, target) in items {
            let value = self.expr(context, scope)?;
            self.span = context.at.0;
            match value {
                Value::Context(off) => self.no_grad = if off { self.no_grad + 1 } else { 0 },
                other => {
                    return self.unsupported(
                        "E-UNSUPPORTED-WITH",
                        format!("'with' knows torch.no_grad() and torch.enable_grad(), not {}", other.type_name()),
                    );
                }
            }
            if let Some(target) = target {
                self.assign(target, Value::None, scope)?;
            }
        }
        let flow = self.block(body, scope);
        self.no_grad = before;
        flow
    }

    fn raise(&mut self, span: Span, exc: Option<&Expr>, scope: &Rc<Scope>) -> R<Flow> {
        let text = match exc {
            Some(e) => {
                let value = self.expr(e, scope)?;
                match &value {
                    Value::Object(o) => {
                        let args = o.attrs.borrow().get("args").cloned();
                        let message = match args {
                            Some(Value::Tuple(items)) => match items.first() {
                                Some(first) => self.str_of(&first.clone())?,
                                None => String::new(),
                            },
                            _ => String::new(),
                        };
                        if message.is_empty() {
                            o.class.name.to_string()
                        } else {
                            format!("{}: {message}", o.class.name)
                        }
                    }
                    Value::Class(c) => c.name.to_string(),
                    other => {
                        return self.type_fault(format!("only exceptions can be raised, not {}", other.type_name()));
                    }
                }
            }
            None => "an exception".to_string(),
        };
        self.span = span;
        Err(self.fault(Category::Interface, "E-RAISED", format!("the program raises {text}")))
    }

    fn assert(&mut self, span: Span, test: &Expr, message: Option<&Expr>, scope: &Rc<Scope>) -> R<()> {
        let value = self.expr(test, scope)?;
        self.span = test.at.0;
        if self.truth(&value)? {
            return Ok(());
        }
        let text = match message {
            Some(e) => {
                let value = self.expr(e, scope)?;
                format!("the assertion fails: {}", self.str_of(&value)?)
            }
            None => "the assertion fails".to_string(),
        };
        let mut about_shape = false;
        crate::walk::expressions(test, &mut |e| {
            if let ExprKind::Attribute(_, name) = &e.kind {
                about_shape |= matches!(&**name, "shape" | "size" | "dim" | "ndim" | "numel");
            }
        });
        let category = if about_shape { Category::Shape } else { Category::Interface };
        self.span = span;
        let mut d = *self.fault(category, "E-ASSERT", text);
        // say what was compared with what
        if let ExprKind::Compare(a, rest) = &test.kind
            && let [(_, b)] = rest.as_slice()
            && let (Ok(a), Ok(b)) = (self.expr(a, scope), self.expr(b, scope))
            && let (Ok(a), Ok(b)) = (self.repr_of(&a), self.repr_of(&b))
        {
            d = d.note(Span::default(), format!("the left side is {a}, the right side {b}"));
        }
        Err(Box::new(d))
    }

    /// Binds a name in the scope that it belongs to.
    pub fn bind_name(&mut self, name: &Name, value: Value, scope: &Rc<Scope>) -> R<()> {
        let mut target = scope.clone();
        if let ScopeKind::Function(code) = &scope.kind
            && !code.locals.contains(name)
        {
            // declared global or nonlocal: the nearest outer function that has it, else the module
            let mut at = scope.parent.clone();
            target = self.globals.clone();
            while let Some(s) = at {
                if matches!(&s.kind, ScopeKind::Function(f) if f.locals.contains(name)) {
                    target = s;
                    break;
                }
                at = s.parent.clone();
            }
        }
        target.vars.borrow_mut().insert(name.clone(), value);
        Ok(())
    }

    pub fn assign(&mut self, target: &Expr, value: Value, scope: &Rc<Scope>) -> R<()> {
        match &target.kind {
            ExprKind::Name(name) => self.bind_name(name, value, scope),
            ExprKind::Attribute(base, name) => {
                let base = self.expr(base, scope)?;
                self.span = target.at.0;
                self.set_attribute(&base, name, value)
            }
            ExprKind::Subscript(base, index) => {
                let base = self.expr(base, scope)?;
                let index = self.expr(index, scope)?;
                self.span = target.at.0;
                self.set_item(&base, &index, value)
            }
            ExprKind::Tuple(targets) | ExprKind::List(targets) => {
                let values = self.items(&value)?;
                self.unpack(target, targets, values, scope)
            }
            ExprKind::Starred(inner) => self.assign(inner, value, scope),
            _ => self.unsupported("E-UNSUPPORTED-SYNTAX", "this cannot be assigned to"),
        }
    }

    fn unpack(&mut self, whole: &Expr, targets: &[Expr], values: Vec<Value>, scope: &Rc<Scope>) -> R<()> {
        self.span = whole.at.0;
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

    fn augmented(&mut self, target: &Expr, op: BinOp, value: &Expr, scope: &Rc<Scope>) -> R<()> {
        let span = self.span;
        match &target.kind {
            ExprKind::Name(name) => {
                let old = self.expr(target, scope)?;
                let value = self.expr(value, scope)?;
                self.span = span;
                let new = self.in_place(&old, op, &value)?;
                self.bind_name(name, new, scope)
            }
            ExprKind::Attribute(base, name) => {
                let base = self.expr(base, scope)?;
                let old = self.attribute(&base, name)?;
                let value = self.expr(value, scope)?;
                self.span = span;
                let new = self.in_place(&old, op, &value)?;
                self.set_attribute(&base, name, new)
            }
            ExprKind::Subscript(base, index) => {
                let base = self.expr(base, scope)?;
                let index = self.expr(index, scope)?;
                let old = self.subscript(&base, &index)?;
                let value = self.expr(value, scope)?;
                self.span = span;
                // on a tensor, `x[i] += v` computes on a view and writes it back
                let new = if matches!(base, Value::Tensor(_)) {
                    self.binary(&old, op, &value)?
                } else {
                    self.in_place(&old, op, &value)?
                };
                drop((old, value));
                self.set_item(&base, &index, new)
            }
            _ => self.unsupported("E-UNSUPPORTED-SYNTAX", "this cannot be assigned to"),
        }
    }

    /// `old op= value`: lists and tensors change in place, the rest is computed anew.
    fn in_place(&mut self, old: &Value, op: BinOp, value: &Value) -> R<Value> {
        match old {
            Value::List(list) if op == BinOp::Add => {
                let more = self.items(value)?;
                self.allocate(more.len())?;
                list.borrow_mut().extend(more);
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
                    return self
                        .unsupported("E-UNSUPPORTED-INPLACE", "'@=' on tensors is not supported; write x = x @ y");
                }
                let t = t.clone();
                self.update_in_place(&t, op, value)?;
                Ok(old.clone())
            }
            _ => self.binary(old, op, value),
        }
    }

    fn delete(&mut self, target: &Expr, scope: &Rc<Scope>) -> R<()> {
        match &target.kind {
            ExprKind::Name(name) => {
                let gone = scope.vars.borrow_mut().remove(name);
                if gone.is_none() {
                    return self.name_fault("E-NAME-UNDEFINED", format!("the name '{name}' is not defined"));
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
                self.delete_item(&base, &index)
            }
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().try_for_each(|t| self.delete(t, scope)),
            _ => self.unsupported("E-UNSUPPORTED-SYNTAX", "this cannot be deleted"),
        }
    }

    fn define(&mut self, code: &Rc<Function>, scope: &Rc<Scope>) -> R<()> {
        if code.is_generator {
            let text = format!("'{}' is a generator: 'yield' is not supported", code.name);
            return self.unsupported("E-UNSUPPORTED-SYNTAX", text);
        }
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
            self.span = decorator.at.0;
            value = self.call(&decorator_value, vec![value], Vec::new())?;
        }
        self.bind_name(&code.name, value, scope)
    }

    /// Annotations are evaluated where Python would, for the names in them to exist.
    fn annotation(&mut self, annotation: &Expr, scope: &Rc<Scope>) -> R<()> {
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
            self.span = span;
            self.name(&name, scope)?;
        }
        Ok(())
    }

    fn class(&mut self, code: &Rc<crate::syntax::Class>, scope: &Rc<Scope>) -> R<()> {
        let mut bases = Vec::new();
        for base in &code.bases {
            let value = self.expr(base, scope)?;
            self.span = base.at.0;
            match value {
                Value::Class(c) => bases.push(c),
                Value::Typing => {}
                other => return self.type_fault(format!("a class cannot derive from {}", other.type_name())),
            }
        }
        for keyword in &code.keywords {
            // `metaclass=abc.ABCMeta` changes nothing that matters here
            self.expr(&keyword.value, scope)?;
        }
        self.span = code.at.0;
        if bases.is_empty() {
            bases.push(self.type_class("object"));
        }
        if let Some(odd) =
            bases.iter().find(|b| matches!(b.native, NativeClass::Type | NativeClass::Tensor) && &*b.name != "object")
        {
            return self.unsupported("E-UNSUPPORTED-CLASS", format!("deriving from {} is not supported", odd.name));
        }
        let Some(tail) = linearise(&bases) else {
            return self.type_fault(format!("the bases of {} have no consistent order", code.name));
        };
        let class = Rc::new(Class {
            name: code.name.clone(),
            mro: Default::default(),
            attrs: Default::default(),
            native: NativeClass::No,
            span: code.at.0,
        });
        class.mro.borrow_mut().push(class.clone());
        class.mro.borrow_mut().extend(tail);
        let body = self.scope(scope, ScopeKind::Class);
        self.block(&code.body, &body)?;
        let vars = std::mem::take(&mut *body.vars.borrow_mut());
        for value in vars.values() {
            own(value, &class);
        }
        let fields: Vec<(Name, bool)> = code
            .body
            .iter()
            .filter_map(|s| match &s.kind {
                StmtKind::AnnAssign(t, _, value) => match &t.kind {
                    ExprKind::Name(n) => Some((n.clone(), value.is_some())),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        *class.attrs.borrow_mut() = vars;
        class
            .attrs
            .borrow_mut()
            .insert("$fields".into(), Value::tuple(fields.into_iter().map(|f| Value::Str(f.0)).collect()));
        let mut value = Value::Class(class);
        for decorator in code.decorators.iter().rev() {
            let decorator_value = self.expr(decorator, scope)?;
            self.span = decorator.at.0;
            value = self.call(&decorator_value, vec![value], Vec::new())?;
        }
        self.bind_name(&code.name, value, scope)
    }
}

/// Whether a returned expression is what another `forward` returned: then that one is where the value was made.
fn passes_on(e: &Expr) -> bool {
    matches!(&e.kind, ExprKind::Call(f, _, _) if matches!(&f.kind, ExprKind::Attribute(_, name) if &**name == "forward"))
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
