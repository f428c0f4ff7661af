//! Visits the parts of syntax trees.

use crate::syntax::*;

/// Calls `visit` for every direct part of `expr`. Lambdas and comprehensions are entered.
pub fn children<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    match &expr.kind {
        ExprKind::None
        | ExprKind::Ellipsis
        | ExprKind::Bool(_)
        | ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Str(_)
        | ExprKind::Name(_) => {}
        ExprKind::FString(parts) => pieces(parts, visit),
        ExprKind::Attribute(e, _)
        | ExprKind::Starred(e)
        | ExprKind::Unary(_, e)
        | ExprKind::Walrus(_, e)
        | ExprKind::YieldFrom(e) => {
            visit(e);
        }
        ExprKind::Yield(e) => e.iter().for_each(|e| visit(e)),
        ExprKind::Subscript(a, b) | ExprKind::Binary(a, _, b) => {
            visit(a);
            visit(b);
        }
        ExprKind::Slice(a, b, c) => {
            for e in [a, b, c].into_iter().flatten() {
                visit(e);
            }
        }
        ExprKind::Call(f, args, keywords) => {
            visit(f);
            args.iter().for_each(&mut *visit);
            keywords.iter().for_each(|k| visit(&k.value));
        }
        ExprKind::Tuple(items)
        | ExprKind::List(items)
        | ExprKind::Set(items)
        | ExprKind::Logic(_, items)
        | ExprKind::Other(_, items) => {
            items.iter().for_each(visit);
        }
        ExprKind::Dict(items) => {
            for (k, v) in items {
                if let Some(k) = k {
                    visit(k);
                }
                visit(v);
            }
        }
        ExprKind::Compare(a, rest) => {
            visit(a);
            rest.iter().for_each(|(_, e)| visit(e));
        }
        ExprKind::IfElse(a, b, c) => {
            visit(a);
            visit(b);
            visit(c);
        }
        ExprKind::Lambda(f) => {
            function_exprs(f, visit);
            for stmt in &f.body {
                stmt_exprs(stmt, visit);
            }
        }
        ExprKind::ListComp(e, g) | ExprKind::SetComp(e, g) => {
            generators(g, visit);
            visit(e);
        }
        ExprKind::GeneratorExp(g) => {
            generators(&g.generators, visit);
            visit(&g.item);
        }
        ExprKind::DictComp(k, v, g) => {
            generators(g, visit);
            visit(k);
            visit(v);
        }
    }
}

fn pieces<'a>(parts: &'a [Piece], visit: &mut dyn FnMut(&'a Expr)) {
    for part in parts {
        if let Piece::Value(e, _, spec) = part {
            visit(e);
            pieces(spec, visit);
        }
    }
}

fn generators<'a>(list: &'a [Generator], visit: &mut dyn FnMut(&'a Expr)) {
    for g in list {
        visit(&g.iter);
        visit(&g.target);
        g.ifs.iter().for_each(&mut *visit);
    }
}

/// The expressions of a function's head: defaults, decorators, annotations.
pub fn function_exprs<'a>(f: &'a Function, visit: &mut dyn FnMut(&'a Expr)) {
    f.decorators.iter().for_each(&mut *visit);
    for p in &f.params {
        p.default.iter().for_each(&mut *visit);
        p.annotation.iter().for_each(&mut *visit);
    }
    f.returns.iter().for_each(visit);
}

/// Calls `visit` for the expressions that stand directly in `stmt`, not for those of statements inside it.
pub fn stmt_exprs<'a>(stmt: &'a Stmt, visit: &mut dyn FnMut(&'a Expr)) {
    match &stmt.kind {
        StmtKind::Expr(e) => visit(e),
        StmtKind::Assign(targets, value) => {
            targets.iter().for_each(&mut *visit);
            visit(value);
        }
        StmtKind::AugAssign(a, _, b) => {
            visit(a);
            visit(b);
        }
        StmtKind::AnnAssign(a, b, c) => {
            visit(a);
            visit(b);
            c.iter().for_each(visit);
        }
        StmtKind::Return(e) => e.iter().for_each(visit),
        StmtKind::If(e, _, _) | StmtKind::While(e, _, _) => visit(e),
        StmtKind::For(a, b, _, _) => {
            visit(a);
            visit(b);
        }
        StmtKind::With(items, _) => {
            for (e, v) in items {
                visit(e);
                v.iter().for_each(&mut *visit);
            }
        }
        StmtKind::Raise(a, b) => {
            a.iter().for_each(&mut *visit);
            b.iter().for_each(visit);
        }
        StmtKind::Assert(a, b) => {
            visit(a);
            b.iter().for_each(visit);
        }
        StmtKind::Try(t) => t.handlers.iter().filter_map(|h| h.kind.as_ref()).for_each(visit),
        StmtKind::Function(f) => function_exprs(f, visit),
        StmtKind::Class(c) => {
            c.decorators.iter().for_each(&mut *visit);
            c.bases.iter().for_each(&mut *visit);
            c.keywords.iter().for_each(|k| visit(&k.value));
        }
        StmtKind::Delete(items) | StmtKind::Other(_, items, _) => items.iter().for_each(visit),
        StmtKind::Import(_)
        | StmtKind::ImportFrom(..)
        | StmtKind::Global(_)
        | StmtKind::Nonlocal(_)
        | StmtKind::Pass
        | StmtKind::Break
        | StmtKind::Continue => {}
    }
}

/// The statement lists inside `stmt`.
pub fn blocks(stmt: &Stmt) -> Vec<&[Stmt]> {
    match &stmt.kind {
        StmtKind::If(_, a, b) | StmtKind::For(_, _, a, b) | StmtKind::While(_, a, b) => vec![a, b],
        StmtKind::With(_, a) | StmtKind::Other(_, _, a) => vec![a],
        StmtKind::Try(t) => {
            let mut blocks: Vec<&[Stmt]> = vec![&t.body];
            blocks.extend(t.handlers.iter().map(|h| h.body.as_slice()));
            blocks.extend([t.orelse.as_slice(), t.finally.as_slice()]);
            blocks
        }
        StmtKind::Function(f) => vec![&f.body],
        StmtKind::Class(c) => vec![&c.body],
        _ => Vec::new(),
    }
}

/// Calls `visit` for every statement of `body`, outer ones first.
pub fn statements<'a>(body: &'a [Stmt], visit: &mut dyn FnMut(&'a Stmt)) {
    for stmt in body {
        visit(stmt);
        for block in blocks(stmt) {
            statements(block, visit);
        }
    }
}

/// Calls `visit` for `expr` and everything in it, outer expressions first.
pub fn expressions<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    visit(expr);
    children(expr, &mut |e| expressions(e, visit));
}
