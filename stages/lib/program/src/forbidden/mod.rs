//! What the text of a program may say. Decided on the syntax tree, for all of it: code that is never evaluated obeys the same
//! rule, for Python may take another path than the evaluation did.
//!
//! The rule is a list of what is allowed ([`crate::vocabulary`]). Modules are not values: a name that an import binds to a module
//! only stands at the head of a chain that ends in a known function, class or constant. So no object of a program ever is a
//! module, and the names that a program gives to its own attributes open nothing.

mod calls;
mod expressions;
mod facts;
mod imports;
mod scope;
mod texts;

use graph::Span;

use self::facts::{Facts, Source};
use self::scope::{Kind, Scope};
use crate::diagnostic::Diagnostic;
use crate::rules::Rule;
use crate::syntax::*;
use crate::{vocabulary, walk};

/// Parts of torch and of Python that load code or data, or talk to other processes.
const OUTSIDE: &[&str] = &[
    "backends",
    "builtins",
    "classes",
    "compile",
    "cuda",
    "distributed",
    "export",
    "from_file",
    "fx",
    "hub",
    "importlib",
    "inspect",
    "io",
    "jit",
    "library",
    "linecache",
    "load",
    "logging",
    "multiprocessing",
    "onnx",
    "ops",
    "os",
    "package",
    "pathlib",
    "pickle",
    "save",
    "serialization",
    "shutil",
    "socket",
    "storage",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "torch",
    "traceback",
    "utils",
];

/// What was found in a text.
#[derive(Default)]
pub struct Findings {
    /// What is refused before anything is evaluated.
    pub reaching: Vec<Diagnostic>,
    /// What the language does not have: told where the evaluation, which knows more, had nothing to say.
    pub unknown: Vec<Diagnostic>,
}

/// Reads a whole program.
pub fn scan(module: &Module) -> Findings {
    let facts = Facts::of(module);
    let mut scan = Scan {
        facts: &facts,
        scopes: Vec::new(),
        annotation: false,
        may_lack: false,
        decorates: false,
        found: Findings::default(),
    };
    scan.statements(&module.body);
    let mut found = scan.found;
    for list in [&mut found.reaching, &mut found.unknown] {
        list.sort_by_key(|d| (d.line, d.column));
        list.dedup_by_key(|d| (d.line, d.column));
    }
    found
}

struct Scan<'a> {
    facts: &'a Facts<'a>,
    scopes: Vec<Scope<'a>>,
    /// Whether an annotation is read, of which names need not exist.
    annotation: bool,
    /// Whether what stands here may fail to be imported: the body of a `try` with a handler of `ImportError`.
    may_lack: bool,
    /// Whether the decorator of a function is read.
    decorates: bool,
    found: Findings,
}

impl<'a> Scan<'a> {
    fn refuse(&mut self, rule: Rule, span: Span, message: impl Into<String>) {
        self.found.reaching.push(Diagnostic::new(rule, span, message));
    }

    fn unknown(&mut self, rule: Rule, span: Span, said: (String, Option<String>)) {
        let mut d = Diagnostic::new(rule, span, said.0);
        d.help = said.1;
        self.found.unknown.push(d);
    }

    // === Statements ===

    fn statements(&mut self, body: &'a [Stmt]) {
        for stmt in body {
            self.statement(stmt);
        }
    }

    fn statement(&mut self, stmt: &'a Stmt) {
        match &stmt.kind {
            StmtKind::Import(names) => self.import(stmt, names),
            StmtKind::ImportFrom(module, names, level) => self.import_from(stmt, module, names, *level),
            StmtKind::Function(f) => {
                self.definition(&f.name, f.at.0);
                self.function(f);
            }
            StmtKind::Class(c) => self.class(c),
            StmtKind::AnnAssign(target, annotation, value) => {
                self.store(target);
                self.annotated(annotation);
                value.iter().for_each(|v| self.expr(v));
            }
            StmtKind::Assign(targets, value) => {
                targets.iter().for_each(|t| self.store(t));
                match facts::makes_logger(value) {
                    Some(args) if self.binds_logger(targets) => args.iter().for_each(|e| self.logger_name(e)),
                    _ => self.expr(value),
                }
            }
            StmtKind::AugAssign(target, _, value) => {
                self.store(target);
                self.expr(value);
            }
            StmtKind::For(target, iter, ..) => {
                self.store(target);
                self.expr(iter);
            }
            StmtKind::With(items, _) => {
                for (value, target) in items {
                    self.expr(value);
                    target.iter().for_each(|t| self.store(t));
                }
            }
            StmtKind::Delete(targets) => targets.iter().for_each(|t| self.store(t)),
            StmtKind::Try(t) => {
                for handler in &t.handlers {
                    handler.kind.iter().for_each(|e| self.expr(e));
                    handler.name.iter().for_each(|n| self.definition(n, handler.at.0));
                }
            }
            StmtKind::Global(names) | StmtKind::Nonlocal(names) => {
                names.iter().for_each(|n| self.definition(n, stmt.at.0));
            }
            StmtKind::Other(what, parts, _) => {
                parts.iter().for_each(|e| self.expr(e));
                self.not_supported(what, stmt.at.0);
            }
            _ => walk::stmt_exprs(stmt, &mut |e| self.expr(e)),
        }
        if let StmtKind::Try(t) = &stmt.kind {
            let before = self.may_lack;
            self.may_lack = before || t.handlers.iter().any(|h| catches_missing(h.kind.as_ref()));
            self.statements(&t.body);
            self.may_lack = before;
            t.handlers.iter().for_each(|h| self.statements(&h.body));
            self.statements(&t.orelse);
            self.statements(&t.finally);
        } else if !matches!(stmt.kind, StmtKind::Function(_) | StmtKind::Class(_)) {
            for block in walk::blocks(stmt) {
                self.statements(block);
            }
        }
    }

    /// Whether `name = logging.getLogger(...)` binds plain names of a function or of the module, and `logging` is the module.
    fn binds_logger(&self, targets: &[Expr]) -> bool {
        let logging = self.facts.modules.get("logging");
        logging.is_some_and(|m| m.len() == 1 && m.iter().all(|m| &**m == "logging"))
            && self.is_module(&"logging".into())
            && !matches!(self.scopes.last(), Some(Scope::Class { .. }))
            && targets.iter().all(|t| matches!(t.kind, ExprKind::Name(_)))
    }

    /// The name of a logger: text, or `__name__`.
    fn logger_name(&mut self, e: &'a Expr) {
        if !matches!(&e.kind, ExprKind::Name(n) if &**n == "__name__") {
            self.expr(e);
        }
    }

    fn not_supported(&mut self, what: &str, span: Span) {
        let said = (format!("{what} is not supported"), None);
        self.unknown(Rule::UnsupportedSyntax, span, said);
    }

    fn function(&mut self, f: &'a Function) {
        for e in &f.decorators {
            // above a method it would compile a function that gets an object
            self.decorates = matches!(e.kind, ExprKind::Attribute(..)) && self.scopes.is_empty();
            self.expr(e);
            self.decorates = false;
        }
        for p in &f.params {
            p.default.iter().for_each(|e| self.expr(e));
            p.annotation.iter().for_each(|e| self.annotated(e));
            self.definition(&p.name, p.at.0);
        }
        f.returns.iter().for_each(|e| self.annotated(e));
        self.scopes.push(Scope::function(f));
        self.statements(&f.body);
        self.scopes.pop();
    }

    fn class(&mut self, c: &'a Class) {
        self.definition(&c.name, c.at.0);
        c.decorators.iter().for_each(|e| self.expr(e));
        for base in &c.bases {
            if matches!(&base.kind, ExprKind::Name(n) if &**n == "type") {
                let said = ("deriving from type is not supported".into(), None);
                self.unknown(Rule::UnsupportedClass, base.at.0, said);
            }
            self.expr(base);
        }
        for keyword in &c.keywords {
            let plain =
                matches!(&keyword.value.kind, ExprKind::Name(n) | ExprKind::Attribute(_, n) if &**n == "ABCMeta");
            if !plain || keyword.name.as_deref() != Some("metaclass") {
                let said = ("the only keyword of a class is metaclass=abc.ABCMeta".into(), None);
                self.unknown(Rule::UnsupportedClass, keyword.value.at.0, said);
            }
            self.expr(&keyword.value);
        }
        let derived = c.bases.iter().any(|b| !matches!(&b.kind, ExprKind::Name(n) if matches!(&**n, "object" | "ABC")));
        self.scopes.push(Scope::class(derived, &c.body));
        self.statements(&c.body);
        self.scopes.pop();
    }

    /// A name that a statement binds.
    fn definition(&mut self, name: &str, span: Span) {
        let derived = match self.scopes.last() {
            Some(Scope::Class { derived, .. }) => *derived,
            Some(_) if !vocabulary::is_dunder(name) => return,
            None if !vocabulary::is_dunder(name) => return,
            _ => false,
        };
        if let Some(why) = vocabulary::refuses_definition(name, derived) {
            self.refuse(Rule::ForbiddenHook, span, format!("'{name}' may not be defined: {why}"));
        }
    }

    /// A target of an assignment or of `del`.
    fn store(&mut self, target: &'a Expr) {
        match &target.kind {
            ExprKind::Name(name) => self.definition(name, target.at.0),
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|t| self.store(t)),
            ExprKind::Starred(inner) => self.store(inner),
            ExprKind::Attribute(base, name) => {
                if let Some((head, _)) = chain(target)
                    && self.is_module(head)
                {
                    self.refuse(
                        Rule::ForbiddenTorch,
                        target.at.0,
                        "a program may not change modules, which others use, too",
                    );
                    return;
                }
                if self.is_others_class(base) {
                    let message = "a program may not change classes that others use, too; derive a class of its own";
                    self.refuse(Rule::ForbiddenTorch, target.at.0, message);
                }
                self.expr(base);
                self.stored_attribute(name, target.at.0);
            }
            ExprKind::Subscript(base, index) => {
                self.expr(base);
                self.expr(index);
            }
            _ => self.expr(target),
        }
    }

    /// Whether an expression is plainly a class that may not be the program's own: `type(x)`, or a name for `nn.Linear`.
    fn is_others_class(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Call(f, args, _) => {
                args.len() == 1
                    && matches!(&f.kind, ExprKind::Name(n) if &**n == "type" && self.kind(n) == Kind::Global)
            }
            ExprKind::Name(name) => self.facts.sources.get(name).is_some_and(|sources| {
                sources.iter().all(|source| match source {
                    Source::Value(value) => chain(value).is_some_and(|(head, parts)| {
                        let class = parts.last().is_some_and(|(n, _)| n.starts_with(|c: char| c.is_uppercase()));
                        class && self.facts.modules.contains_key(head)
                    }),
                    _ => false,
                })
            }),
            _ => false,
        }
    }

    fn stored_attribute(&mut self, name: &str, span: Span) {
        if vocabulary::refuses_definition(name, false).is_some() {
            self.refuse(
                Rule::ForbiddenHook,
                span,
                format!("'{name}' may not be set: it is part of the inner life of Python or PyTorch"),
            );
        }
    }

    // === Annotations ===

    /// An annotation, also one that is written as text: Python and its libraries may evaluate it.
    fn annotated(&mut self, e: &'a Expr) {
        let before = std::mem::replace(&mut self.annotation, true);
        self.expr(e);
        walk::expressions(e, &mut |part| {
            if let ExprKind::Str(text) = &part.kind {
                self.annotation_text(text, part.at.0);
            }
        });
        self.annotation = before;
    }

    /// Text says something only where it calls something or looks into something.
    fn annotation_text(&mut self, text: &str, span: Span) {
        if !text.contains(['.', '(', '[', ':', '{']) {
            return;
        }
        let Ok(module) = crate::parse::parse(text.trim()) else { return };
        let facts = Facts { modules: self.facts.modules.clone(), bound: self.facts.bound.clone(), ..Facts::default() };
        let mut inner = Scan {
            facts: &facts,
            scopes: Vec::new(),
            annotation: true,
            may_lack: false,
            decorates: false,
            found: Findings::default(),
        };
        inner.statements(&module.body);
        let found = inner.found;
        let place = |mut d: Diagnostic| {
            (d.line, d.column, d.end_line, d.end_column) = (span.line, span.column, span.end_line, span.end_column);
            d
        };
        self.found.reaching.extend(found.reaching.into_iter().map(place));
        self.found.unknown.extend(found.unknown.into_iter().map(place));
    }
}

/// Whether a handler of this kind catches that a package is not installed.
fn catches_missing(kind: Option<&Expr>) -> bool {
    let one = |e: &Expr| matches!(&e.kind, ExprKind::Name(n) if matches!(&**n, "ImportError" | "ModuleNotFoundError" | "Exception"));
    match kind {
        None => true,
        Some(Expr { kind: ExprKind::Tuple(kinds), .. }) => kinds.iter().any(one),
        Some(e) => one(e),
    }
}

/// The name at the head of `a.b.c`, and the attributes behind it.
fn chain(e: &Expr) -> Option<(&Name, Vec<(&Name, Span)>)> {
    let mut parts = Vec::new();
    let mut e = e;
    loop {
        match &e.kind {
            ExprKind::Attribute(base, name) => {
                parts.push((name, e.at.0));
                e = base;
            }
            ExprKind::Name(name) if !parts.is_empty() => {
                parts.reverse();
                return Some((name, parts));
            }
            _ => return None,
        }
    }
}
