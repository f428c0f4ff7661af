//! What a program may not even mention. Decided on the syntax tree, before anything is evaluated.

use graph::Span;

use crate::diagnostic::{Category, Diagnostic};
use crate::syntax::*;

/// Builtins that reach outside of the program or around its text.
const BUILTINS: &[&str] = &[
    "eval",
    "exec",
    "compile",
    "open",
    "__import__",
    "input",
    "globals",
    "locals",
    "vars",
    "breakpoint",
    "exit",
    "quit",
    "help",
    "memoryview",
    "__builtins__",
    "__loader__",
    "__spec__",
];

/// Parts of torch that load code or data, or talk to other processes.
const TORCH: &[&str] = &[
    "load",
    "save",
    "hub",
    "ops",
    "classes",
    "utils",
    "multiprocessing",
    "distributed",
    "package",
    "library",
    "serialization",
    "compile",
    "cuda",
    "backends",
    "_C",
    "onnx",
    "export",
    "from_file",
    "storage",
];

/// Dunder names with an ordinary meaning.
const OPEN: &[&str] = &[
    "__init__",
    "__call__",
    "__name__",
    "__qualname__",
    "__len__",
    "__getitem__",
    "__setitem__",
    "__iter__",
    "__contains__",
    "__add__",
    "__radd__",
    "__sub__",
    "__rsub__",
    "__mul__",
    "__rmul__",
    "__truediv__",
    "__matmul__",
    "__neg__",
    "__repr__",
    "__str__",
    "__enter__",
    "__exit__",
    "__post_init__",
    "__version__",
    "__doc__",
    "__all__",
    "__eq__",
    "__hash__",
    "__constants__",
    "__annotations__",
    "__future__",
    "__main__",
    "__debug__",
    "__bool__",
    "__pow__",
    "__mod__",
];

/// Whether an attribute is out of reach: dunder names other than the ordinary ones, and the inner life of functions.
pub fn is_hidden(name: &str) -> bool {
    let dunder = name.len() > 4 && name.starts_with("__") && name.ends_with("__");
    let inner =
        matches!(name, "gi_frame" | "f_globals" | "f_locals" | "f_back" | "func_globals" | "tb_frame" | "cr_frame");
    (dunder && !OPEN.contains(&name) && name != "__class__") || inner
}

/// All forbidden uses, in the order of the source.
pub fn scan(module: &Module) -> Vec<Diagnostic> {
    let mut scan = Scan { found: Vec::new(), torch: vec!["torch".into()] };
    crate::walk::statements(&module.body, &mut |stmt| scan.imports(stmt));
    crate::walk::statements(&module.body, &mut |stmt| {
        crate::walk::stmt_exprs(stmt, &mut |e| scan.expr(e));
    });
    scan.found.sort_by_key(|d| (d.line, d.column));
    scan.found.dedup_by_key(|d| (d.line, d.column));
    scan.found
}

struct Scan {
    found: Vec<Diagnostic>,
    /// Names that torch is bound to.
    torch: Vec<Name>,
}

impl Scan {
    fn add(&mut self, code: &'static str, span: Span, message: String) {
        self.found.push(Diagnostic::error(Category::Forbidden, code, span, message));
    }

    fn imports(&mut self, stmt: &Stmt) {
        let check = |scan: &mut Self, name: &str, span| {
            let mut parts = name.split('.');
            let package = parts.next().unwrap_or("");
            if !crate::modules::is_package(package) {
                let message = format!("the module '{package}' may not be imported");
                scan.found.push(
                    Diagnostic::error(Category::Forbidden, "E-FORBIDDEN-IMPORT", span, message)
                        .help("a program may import torch, math, typing, abc, functools and the like"),
                );
            } else if package == "torch" && parts.next().is_some_and(|p| TORCH.contains(&p)) {
                scan.add("E-FORBIDDEN-IMPORT", span, format!("'{name}' may not be imported"));
            }
        };
        match &stmt.kind {
            StmtKind::Import(names) => {
                for alias in names {
                    check(self, &alias.name, stmt.at.0);
                    if &*alias.name == "torch" {
                        self.torch.extend(alias.asname.clone());
                    }
                }
            }
            StmtKind::ImportFrom(module, names, level) => {
                if *level > 0 {
                    self.add("E-FORBIDDEN-IMPORT", stmt.at.0, "relative imports reach outside of the program".into());
                    return;
                }
                check(self, module, stmt.at.0);
                if &**module == "torch" {
                    for alias in names.iter().filter(|a| TORCH.contains(&&*a.name)) {
                        self.add("E-FORBIDDEN-IMPORT", alias.at.0, format!("torch.{} may not be imported", alias.name));
                    }
                }
            }
            _ => {}
        }
    }

    fn expr(&mut self, expr: &Expr) {
        let span = expr.at.0;
        match &expr.kind {
            ExprKind::Name(name) if BUILTINS.contains(&&**name) => {
                self.add("E-FORBIDDEN-BUILTIN", span, format!("'{name}' reaches outside of the program"));
            }
            ExprKind::Attribute(base, name) => {
                if is_hidden(name) || (&**name == "__class__") {
                    self.add("E-FORBIDDEN-ATTRIBUTE", span, format!("the attribute '{name}' is out of reach"));
                } else if matches!(&base.kind, ExprKind::Name(n) if self.torch.contains(n)) && TORCH.contains(&&**name)
                {
                    self.add("E-FORBIDDEN-TORCH", span, format!("torch.{name} reaches outside of the program"));
                } else if &**name == "__name__"
                    && let ExprKind::Attribute(inner, class) = &base.kind
                    && &**class == "__class__"
                {
                    // `self.__class__.__name__` only names
                    crate::walk::children(inner, &mut |e| self.expr(e));
                    return;
                }
            }
            ExprKind::Call(function, args, _) => {
                if let ExprKind::Name(name) = &function.kind
                    && matches!(&**name, "getattr" | "setattr" | "hasattr" | "delattr")
                    && let Some(Expr { kind: ExprKind::Str(attribute), at }) = args.get(1)
                    && (is_hidden(attribute) || &**attribute == "__class__")
                {
                    self.add("E-FORBIDDEN-ATTRIBUTE", at.0, format!("the attribute '{attribute}' is out of reach"));
                }
            }
            ExprKind::Lambda(f) => {
                crate::walk::function_exprs(f, &mut |e| self.expr(e));
                for stmt in &f.body {
                    crate::walk::stmt_exprs(stmt, &mut |e| self.expr(e));
                }
                return;
            }
            _ => {}
        }
        crate::walk::children(expr, &mut |e| self.expr(e));
    }
}
