//! Scopes as far as the rule about the text needs them.

use std::collections::BTreeSet;

use super::facts::imported;
use crate::syntax::*;
use crate::walk;

/// What a name means where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value of an enclosing function: never a builtin, never a module.
    Local,
    Module,
    /// A name of the module, or a builtin.
    Global,
}

/// A scope around an expression.
pub enum Scope<'a> {
    Function {
        code: &'a Function,
        modules: BTreeSet<Name>,
        /// Names of its `global` statements.
        global: BTreeSet<Name>,
    },
    Comprehension(BTreeSet<Name>),
    /// Names of a class body are not seen from its functions.
    Class {
        /// Whether the class has bases.
        derived: bool,
        /// What its body binds, or declares to be bound elsewhere. Until it is bound there, such a name is the module's, whatever
        /// a function around the class calls so.
        bound: BTreeSet<Name>,
    },
}

impl<'a> Scope<'a> {
    pub fn function(f: &'a Function) -> Self {
        let mut modules = BTreeSet::new();
        imports(&f.body, &mut modules);
        let mut global = BTreeSet::new();
        own_statements(&f.body, &mut |stmt| {
            if let StmtKind::Global(names) = &stmt.kind {
                global.extend(names.iter().cloned());
            }
        });
        Self::Function { code: f, modules, global }
    }

    pub fn class(derived: bool, body: &[Stmt]) -> Self {
        // as if it were the body of a function, and what that takes from elsewhere
        let (mut bound, _) = crate::parse::locals(&[], body);
        own_statements(body, &mut |stmt| {
            if let StmtKind::Global(names) | StmtKind::Nonlocal(names) = &stmt.kind {
                bound.extend(names.iter().cloned());
            }
        });
        Self::Class { derived, bound }
    }

    pub fn comprehension(generators: &[Generator]) -> Self {
        let mut names = BTreeSet::new();
        generators.iter().for_each(|g| targets(&g.target, &mut names));
        Self::Comprehension(names)
    }

    /// What a name means, if this scope binds it. [`Kind::Global`]: what it means in the module, a module perhaps.
    pub fn kind(&self, name: &Name) -> Option<Kind> {
        match self {
            Self::Function { code, modules, .. } if code.locals.contains(name) => {
                Some(if modules.contains(name) { Kind::Module } else { Kind::Local })
            }
            Self::Function { global, .. } if global.contains(name) => Some(Kind::Global),
            Self::Class { bound, .. } if bound.contains(name) => Some(Kind::Global),
            Self::Comprehension(names) if names.contains(name) => Some(Kind::Local),
            _ => None,
        }
    }
}

/// The names that a target binds: not those of which it sets an attribute or an item.
fn targets(target: &Expr, names: &mut BTreeSet<Name>) {
    match &target.kind {
        ExprKind::Name(n) => drop(names.insert(n.clone())),
        ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|t| targets(t, names)),
        ExprKind::Starred(inner) => targets(inner, names),
        _ => {}
    }
}

/// All statements of one function or class, without those of functions and classes inside.
fn own_statements<'a>(body: &'a [Stmt], visit: &mut dyn FnMut(&'a Stmt)) {
    for stmt in body {
        visit(stmt);
        if !matches!(stmt.kind, StmtKind::Function(_) | StmtKind::Class(_)) {
            walk::blocks(stmt).into_iter().for_each(|b| own_statements(b, visit));
        }
    }
}

/// The modules that the statements of one function import, without those of functions inside.
fn imports(body: &[Stmt], found: &mut BTreeSet<Name>) {
    own_statements(body, &mut |stmt| found.extend(imported(stmt).into_iter().map(|i| i.0)));
}
