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
    },
    Comprehension(BTreeSet<Name>),
    /// Names of a class body are not seen from its functions; `derived`: whether the class has bases.
    Class {
        derived: bool,
    },
}

impl<'a> Scope<'a> {
    pub fn function(f: &'a Function) -> Self {
        let mut modules = BTreeSet::new();
        imports(&f.body, &mut modules);
        Self::Function { code: f, modules }
    }

    pub fn class(derived: bool) -> Self {
        Self::Class { derived }
    }

    pub fn comprehension(generators: &[Generator]) -> Self {
        let mut names = BTreeSet::new();
        for g in generators {
            walk::expressions(&g.target, &mut |e| {
                if let ExprKind::Name(n) = &e.kind {
                    names.insert(n.clone());
                }
            });
        }
        Self::Comprehension(names)
    }

    /// What a name means, if this scope binds it.
    pub fn kind(&self, name: &Name) -> Option<Kind> {
        match self {
            Self::Function { code, modules } if code.locals.contains(name) => {
                Some(if modules.contains(name) { Kind::Module } else { Kind::Local })
            }
            Self::Comprehension(names) if names.contains(name) => Some(Kind::Local),
            _ => None,
        }
    }
}

/// The modules that the statements of one function import, without those of functions inside.
fn imports(body: &[Stmt], found: &mut BTreeSet<Name>) {
    for stmt in body {
        found.extend(imported(stmt).into_iter().map(|i| i.0));
        if !matches!(stmt.kind, StmtKind::Function(_) | StmtKind::Class(_)) {
            walk::blocks(stmt).into_iter().for_each(|b| imports(b, found));
        }
    }
}
