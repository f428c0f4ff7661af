//! What Python 3.11 refuses although the parser reads it: newer syntax, and what its compiler checks behind the grammar.

use std::cell::RefCell;

use ruff_python_ast::visitor::{
    Visitor, walk_except_handler, walk_expr, walk_interpolated_string_element, walk_keyword, walk_pattern, walk_stmt,
};
use ruff_python_ast::{self as ast, PythonVersion};
use ruff_python_parser::semantic_errors::{
    LazyImportContext, SemanticSyntaxChecker, SemanticSyntaxContext, SemanticSyntaxError,
};
use ruff_text_size::{Ranged, TextRange, TextSize};

/// The Python that programs are written for.
pub const VERSION: PythonVersion = PythonVersion::PY311;

/// Loops, `with` and `try` inside each other within one function, as CPython allows.
const MAX_BLOCKS: usize = 20;
/// Statements and expressions inside each other. CPython gives up near 3,000; what walks the tree later takes more stack.
const MAX_DEPTH: usize = 800;
/// Digits of a decimal integer, as CPython allows.
const MAX_DIGITS: usize = 4300;

/// A place and what is wrong there.
pub type Fault = (TextRange, String);

/// What is wrong with a tree whose text was read without errors.
pub fn faults(source: &str, module: &ast::ModModule) -> Vec<Fault> {
    let mut checker = Checker {
        checker: SemanticSyntaxChecker::new(),
        found: RefCell::default(),
        source,
        scopes: vec![Scope::new(Kind::Module, declared(&module.body))],
        depth: 0,
        specs: 0,
        annotation: false,
        full: false,
    };
    checker.visit_body(&module.body);
    checker.found.into_inner()
}

#[derive(PartialEq)]
enum Kind {
    Module,
    Class,
    Function { is_async: bool },
    Comprehension { is_async: bool },
}

struct Scope {
    kind: Kind,
    /// Names that are declared `global` or `nonlocal`, with the places of the declarations.
    outer: Vec<(String, TextRange)>,
    params: Vec<String>,
    loops: usize,
    blocks: usize,
}

impl Scope {
    fn new(kind: Kind, outer: Vec<(String, TextRange)>) -> Self {
        Self { kind, outer, params: Vec::new(), loops: 0, blocks: 0 }
    }
}

/// The names that a body declares `global` or `nonlocal`; functions and classes in it have declarations of their own.
fn declared(body: &[ast::Stmt]) -> Vec<(String, TextRange)> {
    struct Declarations(Vec<(String, TextRange)>);
    impl Visitor<'_> for Declarations {
        fn visit_stmt(&mut self, stmt: &ast::Stmt) {
            match stmt {
                ast::Stmt::Global(ast::StmtGlobal { names, .. })
                | ast::Stmt::Nonlocal(ast::StmtNonlocal { names, .. }) => {
                    self.0.extend(names.iter().map(|n| (n.id.to_string(), stmt.range())));
                }
                ast::Stmt::FunctionDef(_) | ast::Stmt::ClassDef(_) => {}
                _ => walk_stmt(self, stmt),
            }
        }
        fn visit_expr(&mut self, _: &ast::Expr) {}
    }
    let mut found = Declarations(Vec::new());
    found.visit_body(body);
    found.0
}

struct Checker<'a> {
    checker: SemanticSyntaxChecker,
    found: RefCell<Vec<Fault>>,
    source: &'a str,
    scopes: Vec<Scope>,
    depth: usize,
    /// Values of f-strings inside each other's formats.
    specs: usize,
    /// Whether an annotation is being read.
    annotation: bool,
    /// Whether the tree is so deep that the rest is not looked at.
    full: bool,
}

impl Checker<'_> {
    fn fault(&self, range: TextRange, text: impl Into<String>) {
        self.found.borrow_mut().push((range, text.into()));
    }

    fn with_checker(&mut self, check: impl FnOnce(&mut SemanticSyntaxChecker, &Self)) {
        let mut checker = std::mem::take(&mut self.checker);
        check(&mut checker, self);
        self.checker = checker;
    }

    fn within(&mut self, scope: Scope, walk: impl FnOnce(&mut Self)) {
        self.scopes.push(scope);
        walk(self);
        self.scopes.pop();
    }

    /// Goes one level deeper, unless that is too deep.
    fn deeper(&mut self, range: TextRange, walk: impl FnOnce(&mut Self)) {
        if self.full {
            return;
        }
        if self.depth >= MAX_DEPTH {
            self.full = true;
            self.fault(range, "statements and expressions are nested too deeply");
            return;
        }
        self.depth += 1;
        walk(self);
        self.depth -= 1;
    }

    /// Enters a block of CPython's: a loop, `with` or `try`.
    fn block(&mut self, range: TextRange, is_loop: bool, walk: impl FnOnce(&mut Self)) {
        let Some(scope) = self.scopes.last_mut() else { return };
        scope.blocks += 1;
        scope.loops += usize::from(is_loop);
        if scope.blocks > MAX_BLOCKS {
            self.fault(range, "too many statically nested blocks");
        }
        walk(self);
        if let Some(scope) = self.scopes.last_mut() {
            scope.blocks -= 1;
            scope.loops -= usize::from(is_loop);
        }
    }

    fn in_kind(&self, wanted: impl Fn(&Kind) -> bool) -> bool {
        self.scopes.last().is_some_and(|s| wanted(&s.kind))
    }

    /// The innermost scope that is not a comprehension.
    fn home(&self) -> Option<&Scope> {
        self.scopes.iter().rev().find(|s| !matches!(s.kind, Kind::Comprehension { .. }))
    }

    fn function(&mut self, parameters: Option<&ast::Parameters>, is_async: bool, body: &[ast::Stmt]) -> Scope {
        let mut scope = Scope::new(Kind::Function { is_async }, declared(body));
        scope.params = parameters.iter().flat_map(|p| p.iter()).map(|p| p.name().to_string()).collect();
        for (name, range) in &scope.outer {
            if scope.params.contains(name) {
                self.fault(*range, format!("name '{name}' is parameter and global or nonlocal"));
            }
        }
        scope
    }

    fn comprehension(&mut self, generators: &[ast::Comprehension], parts: &[&ast::Expr]) {
        // the outermost iterable belongs to the enclosing scope
        if let Some(first) = generators.first() {
            self.visit_expr(&first.iter);
        }
        let is_async = generators.iter().any(|g| g.is_async);
        self.within(Scope::new(Kind::Comprehension { is_async }, Vec::new()), |c| {
            for (i, generator) in generators.iter().enumerate() {
                c.visit_expr(&generator.target);
                if i > 0 {
                    c.visit_expr(&generator.iter);
                }
                generator.ifs.iter().for_each(|e| c.visit_expr(e));
            }
            parts.iter().for_each(|e| c.visit_expr(e));
        });
    }

    fn stmt(&mut self, stmt: &ast::Stmt) {
        match stmt {
            ast::Stmt::ClassDef(class) => {
                class.decorator_list.iter().for_each(|d| self.visit_decorator(d));
                class.arguments.iter().for_each(|a| self.visit_arguments(a));
                self.within(Scope::new(Kind::Class, declared(&class.body)), |c| c.visit_body(&class.body));
            }
            ast::Stmt::FunctionDef(f) => {
                f.decorator_list.iter().for_each(|d| self.visit_decorator(d));
                self.visit_parameters(&f.parameters);
                f.returns.iter().for_each(|r| self.visit_annotation(r));
                let scope = self.function(Some(&f.parameters), f.is_async, &f.body);
                self.within(scope, |c| c.visit_body(&f.body));
            }
            ast::Stmt::For(s) => {
                self.visit_expr(&s.iter);
                self.visit_expr(&s.target);
                self.block(stmt.range(), true, |c| c.visit_body(&s.body));
                self.visit_body(&s.orelse);
            }
            ast::Stmt::While(s) => {
                self.visit_expr(&s.test);
                self.block(stmt.range(), true, |c| c.visit_body(&s.body));
                self.visit_body(&s.orelse);
            }
            ast::Stmt::With(s) => self.with(stmt.range(), &s.items, &s.body),
            ast::Stmt::Try(s) => {
                // `finally` takes a block around the one of `except`
                let outer = usize::from(!s.finalbody.is_empty() && !s.handlers.is_empty());
                self.blocks(stmt.range(), outer, |c| {
                    c.block(stmt.range(), false, |c| c.visit_body(&s.body));
                    c.visit_body(&s.orelse);
                    let bare = |h: &ast::ExceptHandler| h.as_except_handler().is_some_and(|h| h.type_.is_none());
                    if let Some(early) = s.handlers.iter().rev().skip(1).find(|h| bare(h)) {
                        c.fault(early.range(), "default 'except:' must be last");
                    }
                    for handler in &s.handlers {
                        let ast::ExceptHandler::ExceptHandler(h) = handler;
                        if s.is_star {
                            c.leaves(&h.body, false);
                        }
                        // a handler stands in two blocks: its own, and one that forgets the exception
                        c.blocks(handler.range(), 2, |c| walk_except_handler(c, handler));
                    }
                });
                self.block(stmt.range(), false, |c| c.visit_body(&s.finalbody));
            }
            ast::Stmt::If(s) => {
                // each `elif` stands in the `else` of the one before
                let clauses = s.elif_else_clauses.len();
                self.depth += clauses;
                self.deeper(stmt.range(), |c| walk_stmt(c, stmt));
                self.depth -= clauses;
            }
            ast::Stmt::Expr(s) => {
                if s.value.is_starred_expr() {
                    self.fault(s.range(), "can't use starred expression here");
                }
                walk_stmt(self, stmt);
            }
            _ => walk_stmt(self, stmt),
        }
    }

    /// `return`, `break` and `continue` that would leave a handler of `except*`.
    fn leaves(&self, body: &[ast::Stmt], in_loop: bool) {
        for stmt in body {
            let parts: Vec<(&[ast::Stmt], bool)> = match stmt {
                ast::Stmt::Return(_) => Vec::new(),
                ast::Stmt::Break(_) | ast::Stmt::Continue(_) if !in_loop => Vec::new(),
                ast::Stmt::For(s) => vec![(&s.body, true), (&s.orelse, in_loop)],
                ast::Stmt::While(s) => vec![(&s.body, true), (&s.orelse, in_loop)],
                ast::Stmt::If(s) => {
                    let clauses = s.elif_else_clauses.iter().map(|c| (c.body.as_slice(), in_loop));
                    std::iter::once((s.body.as_slice(), in_loop)).chain(clauses).collect()
                }
                ast::Stmt::With(s) => vec![(&s.body, in_loop)],
                ast::Stmt::Match(s) => s.cases.iter().map(|c| (c.body.as_slice(), in_loop)).collect(),
                ast::Stmt::Try(s) => {
                    let handlers = s.handlers.iter().filter_map(|h| h.as_except_handler());
                    let handlers = handlers.map(|h| (h.body.as_slice(), in_loop));
                    let others = [&s.body, &s.orelse, &s.finalbody].map(|b| (b.as_slice(), in_loop));
                    others.into_iter().chain(handlers).collect()
                }
                _ => continue,
            };
            if parts.is_empty() {
                self.fault(stmt.range(), "'break', 'continue' and 'return' cannot appear in an except* block");
            }
            parts.into_iter().for_each(|(body, in_loop)| self.leaves(body, in_loop));
        }
    }

    fn blocks(&mut self, range: TextRange, count: usize, walk: impl FnOnce(&mut Self)) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.blocks += count;
            if scope.blocks > MAX_BLOCKS {
                self.fault(range, "too many statically nested blocks");
            }
        }
        walk(self);
        if let Some(scope) = self.scopes.last_mut() {
            scope.blocks -= count;
        }
    }

    /// Each item of a `with` is a block of its own.
    fn with(&mut self, range: TextRange, items: &[ast::WithItem], body: &[ast::Stmt]) {
        items.iter().for_each(|item| self.visit_with_item(item));
        self.blocks(range, items.len(), |c| c.visit_body(body));
    }

    fn expr(&mut self, expr: &ast::Expr) {
        let suspends =
            expr.is_yield_expr() || expr.is_yield_from_expr() || expr.is_await_expr() || expr.is_named_expr();
        if self.annotation && suspends {
            self.fault(expr.range(), "'yield', 'await' and ':=' cannot be used within an annotation");
        }
        match expr {
            ast::Expr::Lambda(lambda) => {
                lambda.parameters.iter().for_each(|p| self.visit_parameters(p));
                let scope = self.function(lambda.parameters.as_deref(), false, &[]);
                self.within(scope, |c| c.visit_expr(&lambda.body));
            }
            ast::Expr::ListComp(e) => self.comprehension(&e.generators, &[&e.elt]),
            ast::Expr::SetComp(e) => self.comprehension(&e.generators, &[&e.elt]),
            ast::Expr::Generator(e) => self.comprehension(&e.generators, &[&e.elt]),
            ast::Expr::DictComp(e) => {
                let parts: Vec<&ast::Expr> = e.key.iter().map(|k| &**k).chain([&*e.value]).collect();
                self.comprehension(&e.generators, &parts);
            }
            ast::Expr::Attribute(e) if e.attr.as_str() == "__debug__" && !e.ctx.is_load() => {
                self.fault(e.range(), "cannot assign to __debug__");
                walk_expr(self, expr);
            }
            ast::Expr::Named(_) if self.in_class_body_comprehension() => {
                let text = "assignment expression within a comprehension cannot be used in a class body";
                self.fault(expr.range(), text);
            }
            ast::Expr::FString(_) => {
                let outer = std::mem::replace(&mut self.specs, 0);
                walk_expr(self, expr);
                self.specs = outer;
            }
            ast::Expr::NumberLiteral(number) => {
                let text = self.source.get(number.range().to_std_range()).unwrap_or("");
                let decimal = !text.starts_with("0x") && !text.starts_with("0X") && number.value.is_int();
                if decimal && text.bytes().filter(u8::is_ascii_digit).count() > MAX_DIGITS {
                    self.fault(number.range(), format!("an integer of more than {MAX_DIGITS} digits"));
                }
            }
            _ => walk_expr(self, expr),
        }
    }
}

impl Visitor<'_> for Checker<'_> {
    fn visit_stmt(&mut self, stmt: &ast::Stmt) {
        self.deeper(stmt.range(), |c| {
            c.with_checker(|checker, context| checker.visit_stmt(stmt, context));
            c.stmt(stmt);
        });
    }

    fn visit_keyword(&mut self, keyword: &ast::Keyword) {
        if keyword.arg.as_ref().is_some_and(|name| name.as_str() == "__debug__") {
            self.fault(keyword.range(), "cannot assign to __debug__");
        }
        walk_keyword(self, keyword);
    }

    fn visit_annotation(&mut self, annotation: &ast::Expr) {
        let outer = std::mem::replace(&mut self.annotation, true);
        self.visit_expr(annotation);
        self.annotation = outer;
    }

    fn visit_pattern(&mut self, pattern: &ast::Pattern) {
        if let ast::Pattern::MatchValue(value) = pattern
            && value.value.is_f_string_expr()
        {
            self.fault(pattern.range(), "patterns may only match literals and attribute lookups");
        }
        walk_pattern(self, pattern);
    }

    fn visit_interpolated_string_element(&mut self, element: &ast::InterpolatedStringElement) {
        if let ast::InterpolatedStringElement::Interpolation(value) = element {
            // a format may hold values, whose formats may not
            self.specs += 1;
            if self.specs > 2 {
                self.fault(value.range(), "f-string: expressions nested too deeply");
            }
            walk_interpolated_string_element(self, element);
            self.specs -= 1;
        }
    }

    fn visit_expr(&mut self, expr: &ast::Expr) {
        self.deeper(expr.range(), |c| {
            c.with_checker(|checker, context| checker.visit_expr(expr, context));
            c.expr(expr);
        });
    }
}

impl SemanticSyntaxContext for Checker<'_> {
    fn future_annotations_or_stub(&self) -> bool {
        false
    }

    fn lazy_import_context(&self) -> Option<LazyImportContext> {
        None
    }

    fn python_version(&self) -> PythonVersion {
        VERSION
    }

    fn source(&self) -> &str {
        self.source
    }

    fn global(&self, name: &str) -> Option<TextRange> {
        self.home()?.outer.iter().find(|(known, _)| known == name).map(|(_, range)| *range)
    }

    fn has_nonlocal_binding(&self, _: &str) -> bool {
        // asked of the finished tree, which knows what each function binds
        true
    }

    fn in_async_context(&self) -> bool {
        self.in_kind(|k| matches!(k, Kind::Function { is_async: true } | Kind::Comprehension { is_async: true }))
    }

    fn in_await_allowed_context(&self) -> bool {
        self.home().is_some_and(|s| matches!(s.kind, Kind::Function { is_async: true }))
    }

    fn in_yield_allowed_context(&self) -> bool {
        self.in_kind(|k| matches!(k, Kind::Function { .. }))
    }

    fn in_sync_comprehension(&self) -> bool {
        self.scopes.iter().any(|s| s.kind == Kind::Comprehension { is_async: false })
    }

    fn in_class_body_comprehension(&self) -> bool {
        self.in_kind(|k| matches!(k, Kind::Comprehension { .. })) && self.home().is_some_and(|s| s.kind == Kind::Class)
    }

    fn in_module_scope(&self) -> bool {
        self.in_kind(|k| *k == Kind::Module)
    }

    fn in_function_scope(&self) -> bool {
        self.in_kind(|k| matches!(k, Kind::Function { .. }))
    }

    fn in_generator_context(&self) -> bool {
        self.in_kind(|k| matches!(k, Kind::Comprehension { .. }))
    }

    fn in_notebook(&self) -> bool {
        false
    }

    fn report_semantic_error(&self, error: SemanticSyntaxError) {
        self.fault(error.range, error.to_string());
    }

    fn in_loop_context(&self) -> bool {
        self.scopes.last().is_some_and(|s| s.loops > 0)
    }

    fn is_bound_parameter(&self, name: &str) -> bool {
        self.scopes.last().is_some_and(|s| s.params.iter().any(|p| p == name))
    }
}

/// Encodings that a comment in the first two lines may name. Python reads a file as it says; we read UTF-8.
pub fn encoding(source: &str) -> Option<Fault> {
    let mut start = 0;
    for line in source.split_inclusive(['\n', '\r']).take(2) {
        let text = line.trim_start_matches(['\u{feff}', ' ', '\t', '\x0c']);
        let Some(comment) = text.strip_prefix('#') else {
            // a first line of code ends the search; an empty one does not
            if text.trim().is_empty() {
                start += line.len();
                continue;
            }
            return None;
        };
        let named = comment.find("coding").and_then(|at| comment.get(at + 6..)).and_then(|rest| {
            let rest = rest.strip_prefix([':', '='])?.trim_start_matches([' ', '\t']);
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(rest.len());
            rest.get(..end).filter(|name| !name.is_empty())
        });
        if let Some(name) = named {
            let name = name.to_ascii_lowercase().replace('_', "-");
            let known = matches!(name.as_str(), "utf-8" | "utf8" | "ascii" | "us-ascii") || name.starts_with("utf-8-");
            let at = |offset: usize| TextSize::try_from(offset).unwrap_or_default();
            return (!known).then(|| {
                let range = TextRange::new(at(start), at(start + line.trim_end().len()));
                (range, format!("the encoding '{name}' is not UTF-8"))
            });
        }
        start += line.len();
    }
    None
}
