//! What the text of a program may say. Decided on the syntax tree, for all of it: code that is never evaluated obeys the same
//! rule, for Python may take another path than the evaluation did.
//!
//! The rule is a list of what is allowed ([`crate::vocabulary`]). Modules are no values: a name that an import binds to a module
//! only stands at the head of a chain that ends in a known function, class or constant. So no object of a program ever is a
//! module, and the names that a program gives to its own attributes open nothing.

mod facts;
mod scope;
mod texts;

use std::collections::BTreeSet;

use graph::Span;

use self::facts::Facts;
use self::scope::{Kind, Scope};
use crate::diagnostic::{Category, Diagnostic};
use crate::eval::{self, Member};
use crate::syntax::*;
use crate::{vocabulary, walk};

/// Functions that take the name of an attribute.
const BY_NAME: &[&str] = &["getattr", "setattr", "hasattr", "delattr"];

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
    fn refuse(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.found.reaching.push(Diagnostic::error(Category::Forbidden, code, span, message));
    }

    fn unknown(&mut self, category: Category, code: &'static str, span: Span, said: (String, Option<String>)) {
        let mut d = Diagnostic::error(category, code, span, said.0);
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
        self.unknown(Category::Unsupported, "E-UNSUPPORTED-SYNTAX", span, said);
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
                self.unknown(Category::Unsupported, "E-UNSUPPORTED-CLASS", base.at.0, said);
            }
            self.expr(base);
        }
        for keyword in &c.keywords {
            let plain =
                matches!(&keyword.value.kind, ExprKind::Name(n) | ExprKind::Attribute(_, n) if &**n == "ABCMeta");
            if !plain || keyword.name.as_deref() != Some("metaclass") {
                let said = ("the only keyword of a class is metaclass=abc.ABCMeta".into(), None);
                self.unknown(Category::Unsupported, "E-UNSUPPORTED-CLASS", keyword.value.at.0, said);
            }
            self.expr(&keyword.value);
        }
        let derived = c.bases.iter().any(|b| !matches!(&b.kind, ExprKind::Name(n) if matches!(&**n, "object" | "ABC")));
        self.scopes.push(Scope::class(derived));
        self.statements(&c.body);
        self.scopes.pop();
    }

    /// A name that a statement binds.
    fn definition(&mut self, name: &str, span: Span) {
        let derived = match self.scopes.last() {
            Some(Scope::Class { derived }) => *derived,
            Some(_) if !vocabulary::is_dunder(name) => return,
            None if !vocabulary::is_dunder(name) => return,
            _ => false,
        };
        if let Some(why) = vocabulary::refuses_definition(name, derived) {
            self.refuse("E-FORBIDDEN-HOOK", span, format!("'{name}' may not be defined: {why}"));
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
                        "E-FORBIDDEN-TORCH",
                        target.at.0,
                        "a program may not change modules, which others use, too",
                    );
                    return;
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

    fn stored_attribute(&mut self, name: &str, span: Span) {
        if vocabulary::refuses_definition(name, false).is_some() {
            self.refuse(
                "E-FORBIDDEN-HOOK",
                span,
                format!("'{name}' may not be set: it is part of the inner life of Python or PyTorch"),
            );
        }
    }

    // === Imports ===

    fn import(&mut self, stmt: &'a Stmt, names: &'a [Alias]) {
        for alias in names {
            self.imported_module(&alias.name, stmt.at.0);
            let root = alias.name.split('.').next().unwrap_or("");
            self.definition(alias.asname.as_deref().unwrap_or(root), stmt.at.0);
        }
        self.no_class_scope(stmt);
    }

    fn import_from(&mut self, stmt: &'a Stmt, module: &'a Name, names: &'a [Alias], level: u32) {
        if level > 0 {
            self.refuse("E-FORBIDDEN-IMPORT", stmt.at.0, "relative imports reach outside of the program");
            return;
        }
        let lacks = self.may_lack && names.iter().all(|a| crate::modules::is_optional(module, &a.name));
        if !lacks {
            self.imported_module(module, stmt.at.0);
        }
        if &**module == "torch.jit" {
            let message = "torch.jit.script stands above functions only, as a decorator: @torch.jit.script";
            self.refuse("E-FORBIDDEN-IMPORT", stmt.at.0, message);
        }
        if &**module == "logging" {
            self.refuse(
                "E-FORBIDDEN-IMPORT",
                stmt.at.0,
                "write import logging, and logger = logging.getLogger(__name__)",
            );
        }
        for alias in names {
            self.definition(alias.asname.as_ref().unwrap_or(&alias.name), alias.at.0);
            if &**module == "__future__" || !crate::modules::exists(module) {
                continue;
            }
            if &*alias.name == "*" {
                let said = ("'import *' is not supported; name what is used".into(), None);
                self.unknown(Category::Unsupported, "E-UNSUPPORTED-IMPORT", stmt.at.0, said);
            } else if vocabulary::member(module, &alias.name).is_none() {
                self.no_member(module, &alias.name, alias.at.0, "E-FORBIDDEN-IMPORT");
            }
        }
        if names.iter().any(|a| matches!(vocabulary::member(module, &a.name), Some(Member::Module(_)))) {
            self.no_class_scope(stmt);
        }
    }

    fn imported_module(&mut self, name: &str, span: Span) {
        let package = name.split('.').next().unwrap_or("");
        if !crate::modules::is_package(package) {
            let message = format!("the module '{package}' may not be imported");
            let d = Diagnostic::error(Category::Forbidden, "E-FORBIDDEN-IMPORT", span, message);
            let help = "a program may import torch, math, typing, abc, functools and the like";
            self.found.reaching.push(d.help(help));
        } else if name == crate::modules::LOGGER {
            self.refuse("E-FORBIDDEN-IMPORT", span, format!("'{name}' is no module"));
        } else if !crate::modules::exists(name)
            && name.split('.').skip(1).any(|part| OUTSIDE.contains(&part) || part.starts_with('_'))
        {
            self.refuse("E-FORBIDDEN-IMPORT", span, format!("'{name}' may not be imported"));
        } else if !crate::modules::exists(name) {
            let said = (format!("the module '{name}' is not available"), None);
            self.unknown(Category::Unsupported, "E-UNSUPPORTED-IMPORT", span, said);
        }
    }

    /// A module that a class body imports would be an attribute of its instances.
    fn no_class_scope(&mut self, stmt: &'a Stmt) {
        if matches!(self.scopes.last(), Some(Scope::Class { .. })) {
            self.refuse("E-FORBIDDEN-MODULE", stmt.at.0, "a class body may not import modules; import them at the top");
        }
    }

    fn no_member(&mut self, module: &str, name: &str, span: Span, code: &'static str) {
        if OUTSIDE.contains(&name) || name.starts_with('_') || vocabulary::is_machinery(name) {
            self.refuse(code, span, format!("{module}.{name} reaches outside of the program"));
        } else {
            self.unknown(Category::Unsupported, "E-UNSUPPORTED-OP", span, eval::unknown_member(module, name));
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

    // === Expressions ===

    fn expr(&mut self, e: &'a Expr) {
        let span = e.at.0;
        match &e.kind {
            ExprKind::Name(name) => self.name(name, span),
            ExprKind::Attribute(base, name) => self.attribute(e, base, name),
            ExprKind::Call(function, args, keywords) => self.call(function, args, keywords),
            // to look up what a module holds changes nothing
            ExprKind::Subscript(base, index) if held_by_module(base).is_some() => {
                held_by_module(base).into_iter().for_each(|e| self.expr(e));
                self.expr(index);
            }
            ExprKind::Compare(left, rest) if is_main_guard(left, rest) => {}
            ExprKind::Lambda(f) => self.function(f),
            ExprKind::ListComp(item, g) | ExprKind::SetComp(item, g) | ExprKind::GeneratorExp(item, g) => {
                self.comprehension(g, &[item]);
            }
            ExprKind::DictComp(key, value, g) => self.comprehension(g, &[key, value]),
            ExprKind::Walrus(name, value) => {
                self.definition(name, span);
                self.expr(value);
            }
            ExprKind::Other(what, parts) => {
                parts.iter().for_each(|e| self.expr(e));
                self.not_supported(what, span);
            }
            _ => walk::children(e, &mut |e| self.expr(e)),
        }
    }

    fn comprehension(&mut self, generators: &'a [Generator], items: &[&'a Expr]) {
        // the first iterable is evaluated outside
        if let Some(first) = generators.first() {
            self.expr(&first.iter);
        }
        self.scopes.push(Scope::comprehension(generators));
        for (i, g) in generators.iter().enumerate() {
            if i > 0 {
                self.expr(&g.iter);
            }
            self.store(&g.target);
            g.ifs.iter().for_each(|e| self.expr(e));
        }
        items.iter().for_each(|e| self.expr(e));
        self.scopes.pop();
    }

    /// What a name means where it stands.
    fn kind(&self, name: &Name) -> Kind {
        for scope in self.scopes.iter().rev() {
            if let Some(kind) = scope.kind(name) {
                // another function may bind it to a module
                let open = self.facts.nonlocal.contains(name) && self.facts.modules.contains_key(name);
                return if open { Kind::Module } else { kind };
            }
        }
        if self.facts.modules.contains_key(name) { Kind::Module } else { Kind::Global }
    }

    fn is_module(&self, name: &Name) -> bool {
        self.kind(name) == Kind::Module
    }

    fn name(&mut self, name: &Name, span: Span) {
        match self.kind(name) {
            Kind::Local => {}
            Kind::Module => {
                let message = format!("the module '{name}' is used as a value; write out what of it is meant");
                self.refuse("E-FORBIDDEN-MODULE", span, message);
            }
            Kind::Global if BY_NAME.contains(&&**name) => {
                self.refuse("E-FORBIDDEN-BUILTIN", span, format!("'{name}' may be called, but not passed on"));
            }
            Kind::Global
                if vocabulary::is_dunder(name) && !self.facts.bound.contains(name) && &**name != "__debug__" =>
            {
                let message = format!("'{name}' differs from run to run; only __name__ == \"__main__\" may be asked");
                self.refuse("E-FORBIDDEN-BUILTIN", span, message);
            }
            Kind::Global if vocabulary::is_other_builtin(name) => self.other_builtin(name, span),
            Kind::Global if vocabulary::has_builtin(name) || self.facts.bound.contains(name) || self.annotation => {}
            Kind::Global => {
                let near = vocabulary::nearest_name(name, &self.facts.bound).map(|n| format!("did you mean '{n}'?"));
                self.unknown(
                    Category::Name,
                    "E-NAME-UNDEFINED",
                    span,
                    (format!("the name '{name}' is not defined"), near),
                );
            }
        }
    }

    fn other_builtin(&mut self, name: &str, span: Span) {
        let message = format!("'{name}' reaches outside of the program");
        match name {
            // these only do not have a fixed value
            "id" | "hash" | "dir" | "bin" | "oct" | "hex" | "ord" | "chr" | "bytearray" | "aiter" | "anext" => {
                let said = (format!("the builtin '{name}' is not supported"), None);
                self.unknown(Category::Forbidden, "E-FORBIDDEN-BUILTIN", span, said);
            }
            _ => self.refuse("E-FORBIDDEN-BUILTIN", span, message),
        }
    }

    fn attribute(&mut self, e: &'a Expr, base: &'a Expr, name: &'a Name) {
        if let Some((head, parts)) = chain(e)
            && self.is_module(head)
        {
            let modules: Vec<Name> = self.facts.modules.get(head).into_iter().flatten().cloned().collect();
            for module in modules {
                self.chain(&module, &parts);
            }
            return;
        }
        // `self.__class__.__name__` only names
        if &**name == "__name__"
            && let ExprKind::Attribute(inner, class) = &base.kind
            && &**class == "__class__"
        {
            self.expr(inner);
            return;
        }
        // what the program's own object may lack only raises
        let own = matches!(&base.kind, ExprKind::Name(n) if &**n == "self" && self.kind(n) == Kind::Local);
        if !own || vocabulary::is_foreign(name) || name.starts_with('_') {
            self.attribute_name(name, e.at.0);
        }
        self.expr(base);
    }

    /// A chain of attributes behind a module.
    fn chain(&mut self, module: &str, parts: &[(&'a Name, Span)]) {
        let mut module = module.to_string();
        let mut parts = parts.iter();
        while let Some((name, span)) = parts.next() {
            if &*module == "logging" && matches!(&***name, "getLogger" | "Logger") {
                let message = "a logger is only bound to a name: logger = logging.getLogger(__name__)";
                return self.refuse("E-FORBIDDEN-MODULE", *span, message);
            }
            if &*module == "torch.jit" && &***name == "script" && !self.decorates {
                let message = "torch.jit.script stands above functions only, as a decorator";
                return self.refuse("E-FORBIDDEN-TORCH", *span, message);
            }
            match vocabulary::member(&module, name) {
                Some(Member::Module(inner)) => module = inner,
                Some(_) => {
                    for (name, span) in parts {
                        self.attribute_name(name, *span);
                    }
                    return;
                }
                None => return self.no_member(&module, name, *span, "E-FORBIDDEN-TORCH"),
            }
            if parts.len() == 0 {
                let message = format!("the module '{module}' is used as a value; write out what of it is meant");
                self.refuse("E-FORBIDDEN-MODULE", *span, message);
            }
        }
    }

    fn attribute_name(&mut self, name: &str, span: Span) {
        if vocabulary::is_dunder(name) && vocabulary::is_hidden(name) || name.ends_with("_frame") {
            self.refuse("E-FORBIDDEN-ATTRIBUTE", span, format!("the attribute '{name}' is out of reach"));
        } else if vocabulary::is_machinery(name) {
            let (text, help) = eval::unknown_method(name);
            let text =
                if text.contains("is not among") { format!("the attribute '{name}' is out of reach") } else { text };
            self.unknown(Category::Forbidden, "E-FORBIDDEN-ATTRIBUTE", span, (text, help));
        } else if !vocabulary::has_attribute(name) && !self.facts.defines(name) {
            let near = vocabulary::nearest_attribute(name).map(|n| format!("did you mean .{n}?"));
            let text = format!("the language has no attribute '{name}', and the program defines none");
            self.unknown(Category::Name, "E-NAME-ATTRIBUTE", span, (text, near));
        }
    }

    // === Calls ===

    fn call(&mut self, function: &'a Expr, args: &'a [Expr], keywords: &'a [Keyword]) {
        match &function.kind {
            ExprKind::Name(name) if BY_NAME.contains(&&**name) && self.kind(name) == Kind::Global => {
                if let Some(rest) = self.by_name(name, function.at.0, args) {
                    rest.iter().for_each(|e| self.expr(e));
                }
            }
            ExprKind::Name(name) if &**name == "type" && self.kind(name) == Kind::Global => {
                if args.len() != 1 || !keywords.is_empty() || matches!(args, [Expr { kind: ExprKind::Starred(_), .. }])
                {
                    let said = ("type() takes one value here; write a class as a class".into(), None);
                    self.unknown(Category::Unsupported, "E-UNSUPPORTED-CLASS", function.at.0, said);
                }
                args.iter().for_each(|e| self.expr(e));
            }
            ExprKind::Attribute(text, method) if &**method == "format" => {
                if !matches!(&text.kind, ExprKind::Str(t) if !looks_inside(t)) {
                    let message = "format() is for text that is written out and whose fields look into no objects";
                    self.refuse("E-FORBIDDEN-ATTRIBUTE", function.at.0, message);
                }
                self.expr(text);
                args.iter().for_each(|e| self.expr(e));
            }
            _ => {
                self.expr(function);
                args.iter().for_each(|e| self.expr(e));
            }
        }
        keywords.iter().for_each(|k| self.expr(&k.value));
    }

    /// Whether the name of an attribute, which is made while the program is built, leads nowhere.
    fn is_known(&self, name: &Expr) -> bool {
        let mut around = BTreeSet::new();
        let mut function = None;
        for scope in self.scopes.iter().rev() {
            match scope {
                Scope::Comprehension(names) => around.extend(names.iter().cloned()),
                Scope::Function { code, .. } => {
                    function = Some(*code);
                    break;
                }
                Scope::Class { .. } => {}
            }
        }
        let facts = function.map(|f| (&f.locals, Facts::of_function(f)));
        let function = facts.as_ref().map(|(names, facts)| (*names, facts));
        texts::Known { file: self.facts, function, around }.is_safe(name, 0)
    }

    /// `getattr(base, name)` and its like: what remains to be read.
    fn by_name(&mut self, function: &str, span: Span, args: &'a [Expr]) -> Option<&'a [Expr]> {
        let [base, name, rest @ ..] = args else {
            self.refuse(
                "E-FORBIDDEN-BUILTIN",
                span,
                format!("{function}() needs an object and a name that can be read in the text"),
            );
            return None;
        };
        let head = match &base.kind {
            ExprKind::Name(n) => Some((n, Vec::new())),
            _ => chain(base),
        };
        if let Some((head, mut parts)) = head
            && self.is_module(head)
        {
            match &name.kind {
                ExprKind::Str(text) if matches!(function, "getattr" | "hasattr") => {
                    let text: &'a Name = text;
                    parts.push((text, name.at.0));
                    let modules: Vec<Name> = self.facts.modules.get(head).into_iter().flatten().cloned().collect();
                    modules.iter().for_each(|m| self.chain(m, &parts));
                }
                _ => {
                    let message = format!("{function}() on a module needs the name written out, and changes nothing");
                    self.refuse("E-FORBIDDEN-MODULE", span, message);
                }
            }
            return Some(rest);
        }
        self.expr(base);
        match &name.kind {
            ExprKind::Str(text) if function == "setattr" => self.stored_attribute(text, name.at.0),
            ExprKind::Str(text) if vocabulary::is_hidden(text) => {
                self.refuse("E-FORBIDDEN-ATTRIBUTE", name.at.0, format!("the attribute '{text}' is out of reach"));
            }
            _ if self.is_known(name) => self.expr(name),
            _ => {
                let message = format!("the name that {function}() gets cannot be read in the text");
                let d = Diagnostic::error(Category::Forbidden, "E-FORBIDDEN-ATTRIBUTE", name.at.0, message);
                let help = "write it out, loop over names that are written out, or let it begin as f\"name_{i}\"";
                self.found.unknown.push(d.help(help));
                self.expr(name);
            }
        }
        Some(rest)
    }
}

/// The module in `module._modules`, `module._parameters` or `module._buffers`.
fn held_by_module(e: &Expr) -> Option<&Expr> {
    match &e.kind {
        ExprKind::Attribute(base, name) if matches!(&**name, "_modules" | "_parameters" | "_buffers") => Some(base),
        _ => None,
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

/// `__name__ == "__main__"`
fn is_main_guard(left: &Expr, rest: &[(CmpOp, Expr)]) -> bool {
    let name = |e: &Expr| matches!(&e.kind, ExprKind::Name(n) if &**n == "__name__");
    let main = |e: &Expr| matches!(&e.kind, ExprKind::Str(t) if &**t == "__main__");
    matches!(rest, [(CmpOp::Eq | CmpOp::Ne, right)] if (name(left) && main(right)) || (main(left) && name(right)))
}

/// Whether a field of a format string reads attributes or items of what it prints.
fn looks_inside(text: &str) -> bool {
    text.split('{').skip(1).any(|field| {
        let name = field.split(['}', ':', '!']).next().unwrap_or("");
        name.contains(['.', '['])
    })
}
