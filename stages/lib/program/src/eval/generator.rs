//! Generators: expressions in parentheses and functions that yield. Their bodies run from one item to the next.

use std::collections::BTreeSet;
use std::rc::Rc;

use graph::Span;

use super::iterator::Iter;
use super::stmt::Flow;
use super::value::{Closure, Scope, Source, Value};
use super::{Interp, R};
use crate::rules::Rule;
use crate::syntax::*;

/// A generator expression under way.
pub struct Expression {
    code: Rc<GeneratorExp>,
    scope: Rc<Scope>,
    /// The loops that it stands in, outermost first, and their rounds so far.
    loops: Vec<(Source, u64)>,
    span: Span,
}

impl Expression {
    pub fn new(code: Rc<GeneratorExp>, scope: Rc<Scope>, first: Source, span: Span) -> Self {
        Self { code, scope, loops: vec![(first, 0)], span }
    }

    pub fn sources(&self) -> Vec<Source> {
        self.loops.iter().map(|l| l.0.clone()).collect()
    }

    pub fn scope(&self) -> &Rc<Scope> {
        &self.scope
    }

    pub fn position(&self) -> String {
        format!("{} {}", Rc::as_ptr(&self.code).addr(), self.loops.len())
    }
}

/// A function that has yielded, or has not begun yet.
pub struct Suspended {
    closure: Rc<Closure>,
    scope: Rc<Scope>,
    /// Where it goes on, the outermost statement last.
    stand: Vec<Stand>,
    yielding: Yielding,
}

/// The addresses of the statements that hold a `yield`.
pub type Yielding = Rc<BTreeSet<usize>>;

/// Where a statement goes on.
enum Stand {
    /// At a statement of a block.
    Block(usize),
    /// In a branch.
    Branch(bool),
    /// In a loop, with its rounds so far.
    For(Source, u64),
    While(u64),
    /// Behind a `yield`.
    Yielded,
    /// In a `yield from`.
    From(Source),
}

impl Suspended {
    pub fn scope(&self) -> &Rc<Scope> {
        &self.scope
    }

    pub fn closure(&self) -> &Rc<Closure> {
        &self.closure
    }

    pub fn sources(&self) -> Vec<Source> {
        let source = |s: &Stand| match s {
            Stand::For(source, _) | Stand::From(source) => Some(source.clone()),
            _ => None,
        };
        self.stand.iter().filter_map(source).collect()
    }

    pub fn position(&self) -> String {
        let word = |s: &Stand| match s {
            Stand::Block(at) => format!("at {at}"),
            Stand::Branch(first) => format!("if {first}"),
            Stand::For(_, rounds) => format!("for {rounds}"),
            Stand::While(rounds) => format!("while {rounds}"),
            Stand::Yielded => "yield".into(),
            Stand::From(_) => "from".into(),
        };
        self.stand.iter().map(word).collect::<Vec<_>>().join(" ")
    }
}

/// How a statement of a generator ends.
enum Pace {
    Next,
    Break,
    Continue,
    Return(Value),
    Yield(Value),
}

impl From<Flow> for Pace {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Next => Self::Next,
            Flow::Break => Self::Break,
            Flow::Continue => Self::Continue,
            Flow::Return(value) => Self::Return(value),
        }
    }
}

/// What a loop of a generator goes by: its target and what it goes over, or its test.
enum Loop<'a> {
    For(&'a Expr, Source),
    While(&'a Expr),
}

/// The `yield` that an expression is.
enum Yields<'a> {
    One(Option<&'a Expr>),
    From(&'a Expr),
}

fn yields(e: &Expr) -> Option<Yields<'_>> {
    match &e.kind {
        ExprKind::Yield(value) => Some(Yields::One(value.as_deref())),
        ExprKind::YieldFrom(source) => Some(Yields::From(source)),
        _ => None,
    }
}

/// Whether there is a `yield` in an expression.
fn holds_yield(e: &Expr) -> bool {
    let mut found = yields(e).is_some();
    if !matches!(e.kind, ExprKind::Lambda(_)) {
        crate::walk::children(e, &mut |e| found |= holds_yield(e));
    }
    found
}

/// What is known of the statements of a generator.
#[derive(Default)]
struct Survey {
    yielding: BTreeSet<usize>,
    /// Where a `yield` stands that cannot be gone on behind.
    lost: Option<Span>,
}

impl Survey {
    fn block(&mut self, body: &[Stmt]) -> bool {
        let mut any = false;
        for stmt in body {
            any |= self.stmt(stmt);
        }
        any
    }

    fn stmt(&mut self, stmt: &Stmt) -> bool {
        let mut own = false;
        crate::walk::stmt_exprs(stmt, &mut |e| own |= holds_yield(e));
        let mut inner = false;
        if !matches!(stmt.kind, StmtKind::Function(_) | StmtKind::Class(_)) {
            for block in crate::walk::blocks(stmt) {
                inner |= self.block(block);
            }
        }
        let whole = match &stmt.kind {
            StmtKind::Expr(e) => Some(e),
            StmtKind::Assign(targets, e) if !targets.iter().any(holds_yield) => Some(e),
            _ => None,
        };
        // a `yield` may be a statement or what is assigned, and hold no other one
        let is_plain = whole.and_then(yields).is_some_and(|y| match y {
            Yields::One(e) => !e.is_some_and(holds_yield),
            Yields::From(e) => !holds_yield(e),
        });
        let is_walked = matches!(stmt.kind, StmtKind::If(..) | StmtKind::For(..) | StmtKind::While(..));
        if (own && !is_plain) || (inner && !is_walked) {
            self.lost.get_or_insert(stmt.at.0);
        }
        if own || inner {
            self.yielding.insert(std::ptr::from_ref(stmt).addr());
        }
        own || inner
    }
}

impl Interp {
    /// A generator of a function whose parameters are bound.
    pub fn suspended(&mut self, closure: &Rc<Closure>, scope: Rc<Scope>) -> R<Suspended> {
        let address = Rc::as_ptr(&closure.code).addr();
        let yielding = match self.frames.surveyed(address) {
            Some(known) => known,
            None => {
                let mut survey = Survey::default();
                survey.block(&closure.code.body);
                if let Some(span) = survey.lost {
                    self.move_to(span);
                    return self.refuse(
                        Rule::UnsupportedSyntax,
                        "'yield' inside of another expression, of 'try' or of 'with' is not supported: let it be a statement of its own",
                    );
                }
                self.frames.keep_survey(address, Rc::new(survey.yielding))
            }
        };
        Ok(Suspended { closure: closure.clone(), scope, stand: Vec::new(), yielding })
    }

    pub fn next_of_function(&mut self, f: &mut Suspended) -> R<Option<Value>> {
        let closure = f.closure.clone();
        let code = closure.code.clone();
        self.tracer.run.keep(self.tracer.run.meter.allows_call(self.tracer.run.trail.depth(), &code.name))?;
        self.tracer.run.trail.enter_call();
        self.frames.enter(&closure, &f.scope);
        let no_grad = self.tracer.no_grad();
        self.tracer.set_no_grad(closure.no_grad.unwrap_or(no_grad));
        let pace = self.paced_block(&code.body, f);
        self.tracer.set_no_grad(no_grad);
        self.frames.leave();
        self.tracer.run.trail.leave_call();
        let result = match pace? {
            Pace::Yield(value) => return Ok(Some(value)),
            Pace::Return(value) => value,
            _ => Value::None,
        };
        self.frames.set_result(result);
        Ok(None)
    }

    /// As [`Interp::next`], with what a function that yields has returned at its end.
    fn next_with_result(&mut self, source: &Source) -> R<(Option<Value>, Value)> {
        let is_function = matches!(&*source.borrow(), Iter::Function(_));
        let next = self.next(source)?;
        let result = if is_function && next.is_none() { self.frames.take_result() } else { Value::None };
        Ok((next, result))
    }

    fn paced_block(&mut self, body: &[Stmt], f: &mut Suspended) -> R<Pace> {
        let from = match f.stand.pop() {
            Some(Stand::Block(at)) => at,
            _ => 0,
        };
        for (at, stmt) in body.iter().enumerate().skip(from) {
            match self.paced(stmt, f)? {
                Pace::Next => {}
                Pace::Yield(value) => {
                    f.stand.push(Stand::Block(at));
                    return Ok(Pace::Yield(value));
                }
                other => return Ok(other),
            }
        }
        Ok(Pace::Next)
    }

    fn paced(&mut self, stmt: &Stmt, f: &mut Suspended) -> R<Pace> {
        self.move_to(stmt.at.0);
        self.step()?;
        let scope = f.scope.clone();
        if !f.yielding.contains(&std::ptr::from_ref(stmt).addr()) {
            return self.nested(|vm| vm.stmt_here(stmt, &scope)).map(Pace::from);
        }
        self.nested(|vm| vm.paced_here(stmt, f, &scope))
    }

    fn paced_here(&mut self, stmt: &Stmt, f: &mut Suspended, scope: &Rc<Scope>) -> R<Pace> {
        match &stmt.kind {
            StmtKind::Expr(e) => match self.paced_yield(e, f, scope)? {
                (Some(value), _) => Ok(Pace::Yield(value)),
                (None, _) => Ok(Pace::Next),
            },
            StmtKind::Assign(targets, e) => match self.paced_yield(e, f, scope)? {
                (Some(value), _) => Ok(Pace::Yield(value)),
                (None, result) => {
                    for target in targets {
                        self.assign(target, result.clone(), scope)?;
                    }
                    Ok(Pace::Next)
                }
            },
            StmtKind::If(test, a, b) => {
                let first = match f.stand.pop() {
                    Some(Stand::Branch(first)) => first,
                    _ => {
                        let value = self.expr(test, scope)?;
                        self.move_to(test.at.0);
                        self.truth(&value)?
                    }
                };
                let pace = self.paced_block(if first { a } else { b }, f)?;
                if matches!(pace, Pace::Yield(_)) {
                    f.stand.push(Stand::Branch(first));
                }
                Ok(pace)
            }
            StmtKind::For(target, iter, body, orelse) => {
                let (source, rounds) = match f.stand.pop() {
                    // it stands in the block of `else`
                    Some(Stand::Branch(_)) => return self.paced_else(orelse, f),
                    Some(Stand::For(source, rounds)) => (source, rounds),
                    _ => {
                        let iterable = self.expr(iter, scope)?;
                        self.move_to(iter.at.0);
                        (self.loop_source(&iterable)?, 0)
                    }
                };
                self.paced_loop(stmt, &Loop::For(target, source), rounds, (body, orelse), f)
            }
            StmtKind::While(test, body, orelse) => {
                let rounds = match f.stand.pop() {
                    Some(Stand::Branch(_)) => return self.paced_else(orelse, f),
                    Some(Stand::While(rounds)) => rounds,
                    _ => 0,
                };
                self.paced_loop(stmt, &Loop::While(test), rounds, (body, orelse), f)
            }
            _ => self.refuse(Rule::UnsupportedSyntax, "'yield' is not supported here"),
        }
    }

    fn paced_else(&mut self, orelse: &[Stmt], f: &mut Suspended) -> R<Pace> {
        let pace = self.paced_block(orelse, f)?;
        if matches!(pace, Pace::Yield(_)) {
            f.stand.push(Stand::Branch(false));
        }
        Ok(pace)
    }

    /// Goes on in a loop after so many rounds, and in its `else` where it comes to its end.
    fn paced_loop(
        &mut self,
        stmt: &Stmt,
        head: &Loop<'_>,
        rounds: u64,
        (body, orelse): (&[Stmt], &[Stmt]),
        f: &mut Suspended,
    ) -> R<Pace> {
        self.tracer.run.trail.enter_loop(stmt.at.0);
        let pace = self.paced_rounds(stmt, head, rounds, body, f)?;
        self.tracer.run.trail.leave_loop();
        match pace {
            Some(pace) => Ok(pace),
            None => self.paced_else(orelse, f),
        }
    }

    /// The rounds of a loop; nothing where it comes to its end.
    fn paced_rounds(
        &mut self,
        stmt: &Stmt,
        head: &Loop<'_>,
        mut rounds: u64,
        body: &[Stmt],
        f: &mut Suspended,
    ) -> R<Option<Pace>> {
        let scope = f.scope.clone();
        // what it stands in, if anything, is the round that is under way
        let mut inside = !f.stand.is_empty();
        loop {
            if !inside {
                let item = match head {
                    Loop::For(_, source) => self.next(source)?,
                    Loop::While(test) => {
                        let value = self.expr(test, &scope)?;
                        self.move_to(test.at.0);
                        self.truth(&value)?.then_some(Value::None)
                    }
                };
                let Some(item) = item else { return Ok(None) };
                rounds += 1;
                self.tracer.run.trail.note_rounds(rounds);
                self.tracer.run.round(stmt.at.0, rounds)?;
                if let Loop::For(target, _) = head {
                    self.assign(target, item, &scope)?;
                }
            }
            inside = false;
            match self.paced_block(body, f)? {
                Pace::Next | Pace::Continue => {}
                Pace::Break => return Ok(Some(Pace::Next)),
                Pace::Yield(value) => {
                    f.stand.push(match head {
                        Loop::For(_, source) => Stand::For(source.clone(), rounds),
                        Loop::While(_) => Stand::While(rounds),
                    });
                    return Ok(Some(Pace::Yield(value)));
                }
                done @ Pace::Return(_) => return Ok(Some(done)),
            }
        }
    }

    /// The value that a `yield` gives to whoever goes over the generator, or nothing and its own value.
    fn paced_yield(&mut self, e: &Expr, f: &mut Suspended, scope: &Rc<Scope>) -> R<(Option<Value>, Value)> {
        match (yields(e), f.stand.pop()) {
            (Some(Yields::One(_)), Some(Stand::Yielded)) => Ok((None, Value::None)),
            (Some(Yields::One(value)), _) => {
                let value = value.map_or(Ok(Value::None), |value| self.expr(value, scope))?;
                f.stand.push(Stand::Yielded);
                Ok((Some(value), Value::None))
            }
            (Some(Yields::From(source)), stand) => {
                let source = match stand {
                    Some(Stand::From(source)) => source,
                    _ => {
                        let value = self.expr(source, scope)?;
                        self.iter_of(&value)?
                    }
                };
                self.move_to(e.at.0);
                let (next, result) = self.next_with_result(&source)?;
                if next.is_some() {
                    f.stand.push(Stand::From(source));
                }
                Ok((next, result))
            }
            (None, _) => self.refuse(Rule::UnsupportedSyntax, "'yield' is not supported here"),
        }
    }

    pub fn next_of_expression(&mut self, e: &mut Expression) -> R<Option<Value>> {
        let (code, scope) = (e.code.clone(), e.scope.clone());
        let here = self.here();
        while let Some((source, rounds)) = e.loops.last_mut() {
            let (source, span) = (source.clone(), e.span);
            *rounds += 1;
            let (rounds, depth) = (*rounds, e.loops.len());
            self.move_to(span);
            let (Some(item), Some(generator)) = (self.next(&source)?, code.generators.get(depth - 1)) else {
                e.loops.pop();
                continue;
            };
            self.tracer.run.round(span, rounds)?;
            self.assign(&generator.target, item, &scope)?;
            if !self.passes(&generator.ifs, &scope)? {
                continue;
            }
            match code.generators.get(depth) {
                Some(inner) => {
                    let iterable = self.expr(&inner.iter, &scope)?;
                    let source = self.loop_source(&iterable)?;
                    e.loops.push((source, 0));
                }
                None => {
                    let value = self.expr(&code.item, &scope)?;
                    self.move_to(here);
                    return Ok(Some(value));
                }
            }
        }
        self.move_to(here);
        Ok(None)
    }

    /// Whether all conditions of a comprehension hold.
    pub fn passes(&mut self, ifs: &[Expr], scope: &Rc<Scope>) -> R<bool> {
        for test in ifs {
            let test = self.expr(test, scope)?;
            if !self.truth(&test)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
