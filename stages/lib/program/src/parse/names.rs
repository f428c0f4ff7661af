//! The names that a function binds, and whether it yields.

use std::collections::BTreeSet;

use crate::syntax::*;

/// The names that a function binds, and whether it yields. Comprehensions have scopes of their own, except for `:=`.
pub fn locals(params: &[Param], body: &[Stmt]) -> (BTreeSet<Name>, bool) {
    let mut scan = Scan { bound: params.iter().map(|p| p.name.clone()).collect(), ..Scan::default() };
    scan.stmts(body);
    for name in &scan.outer {
        scan.bound.remove(name);
    }
    (scan.bound, scan.yields)
}

#[derive(Default)]
struct Scan {
    bound: BTreeSet<Name>,
    outer: BTreeSet<Name>,
    yields: bool,
}

impl Scan {
    fn stmts(&mut self, body: &[Stmt]) {
        for stmt in body {
            crate::walk::stmt_exprs(stmt, &mut |e| self.expr(e));
            match &stmt.kind {
                StmtKind::Assign(targets, _) => targets.iter().for_each(|t| self.target(t)),
                StmtKind::AugAssign(target, _, _) | StmtKind::AnnAssign(target, _, _) => self.target(target),
                StmtKind::For(target, _, a, b) => {
                    self.target(target);
                    self.stmts(a);
                    self.stmts(b);
                }
                StmtKind::If(_, a, b) | StmtKind::While(_, a, b) => {
                    self.stmts(a);
                    self.stmts(b);
                }
                StmtKind::With(items, a) => {
                    items.iter().filter_map(|(_, v)| v.as_ref()).for_each(|v| self.target(v));
                    self.stmts(a);
                }
                StmtKind::Try(t) => {
                    self.bound.extend(t.handlers.iter().filter_map(|h| h.name.clone()));
                    crate::walk::blocks(stmt).into_iter().for_each(|b| self.stmts(b));
                }
                StmtKind::Other(_, _, a) => self.stmts(a),
                StmtKind::Import(names) => {
                    for a in names {
                        let first = a.name.split('.').next().unwrap_or("");
                        self.bound.insert(a.asname.clone().unwrap_or_else(|| first.into()));
                    }
                }
                StmtKind::ImportFrom(_, names, _) => {
                    for a in names {
                        self.bound.insert(a.asname.clone().unwrap_or_else(|| a.name.clone()));
                    }
                }
                StmtKind::Function(f) => {
                    self.bound.insert(f.name.clone());
                }
                StmtKind::Class(c) => {
                    self.bound.insert(c.name.clone());
                }
                StmtKind::Global(names) | StmtKind::Nonlocal(names) => self.outer.extend(names.iter().cloned()),
                StmtKind::Delete(targets) => targets.iter().for_each(|t| self.target(t)),
                _ => {}
            }
        }
    }

    fn target(&mut self, target: &Expr) {
        match &target.kind {
            ExprKind::Name(name) => {
                self.bound.insert(name.clone());
            }
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|t| self.target(t)),
            ExprKind::Starred(inner) => self.target(inner),
            _ => {}
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Walrus(name, _) => {
                self.bound.insert(name.clone());
            }
            ExprKind::Yield(_) | ExprKind::YieldFrom(_) => self.yields = true,
            ExprKind::Lambda(_) => return,
            _ => {}
        }
        crate::walk::children(expr, &mut |e| self.expr(e));
    }
}
