//! Imports: which modules a program may have, and under which names.

use graph::Span;

use super::scope::Scope;
use super::{OUTSIDE, Scan};
use crate::diagnostic::Diagnostic;
use crate::eval::{self, Member};
use crate::rules::Rule;
use crate::syntax::*;
use crate::vocabulary;

impl<'a> Scan<'a> {
    pub(super) fn import(&mut self, stmt: &'a Stmt, names: &'a [Alias]) {
        for alias in names {
            self.imported_module(&alias.name, stmt.at.0);
            let root = alias.name.split('.').next().unwrap_or("");
            self.definition(alias.asname.as_deref().unwrap_or(root), stmt.at.0);
            self.imported_as(alias, stmt.at.0);
        }
        self.no_class_scope(stmt);
    }

    pub(super) fn import_from(&mut self, stmt: &'a Stmt, module: &'a Name, names: &'a [Alias], level: u32) {
        if level > 0 {
            self.refuse(Rule::ForbiddenImport, stmt.at.0, "relative imports reach outside of the program");
            return;
        }
        let lacks = self.may_lack && names.iter().all(|a| crate::modules::is_optional(module, &a.name));
        if !lacks {
            self.imported_module(module, stmt.at.0);
        }
        if &**module == "torch.jit" {
            let message = "torch.jit.script stands above functions only, as a decorator: @torch.jit.script";
            self.refuse(Rule::ForbiddenImport, stmt.at.0, message);
        }
        if &**module == "torch" && names.iter().any(|a| &*a.name == "compile") {
            let message = "torch.compile stands above functions only, as a decorator: @torch.compile";
            self.refuse(Rule::ForbiddenImport, stmt.at.0, message);
        }
        if &**module == "logging" {
            self.refuse(
                Rule::ForbiddenImport,
                stmt.at.0,
                "write import logging, and logger = logging.getLogger(__name__)",
            );
        }
        for alias in names {
            self.definition(alias.asname.as_ref().unwrap_or(&alias.name), alias.at.0);
            self.imported_as(alias, alias.at.0);
            if &**module == "__future__" || !crate::modules::exists(module) {
                continue;
            }
            if &*alias.name == "*" {
                let said = ("'import *' is not supported; name what is used".into(), None);
                self.unknown(Rule::UnsupportedImport, stmt.at.0, said);
            } else if vocabulary::member(module, &alias.name).is_none() {
                self.no_member(module, &alias.name, alias.at.0, Rule::ForbiddenImport);
            }
        }
        if names.iter().any(|a| matches!(vocabulary::member(module, &a.name), Some(Member::Module(_)))) {
            self.no_class_scope(stmt);
        }
    }

    /// A name such as `_A__b` is what Python makes of `__b` inside of a class `A`: a module of that name would have two.
    fn imported_as(&mut self, alias: &Alias, span: Span) {
        let hides = |name: &str| {
            let inner = name.trim_start_matches('_');
            inner.len() < name.len() && !vocabulary::is_dunder(name) && (name.starts_with("__") || inner.contains("__"))
        };
        if alias.asname.as_deref().is_some_and(hides) {
            self.refuse(
                Rule::ForbiddenImport,
                span,
                "an import may not be named as Python names what is private to a class",
            );
        }
    }

    fn imported_module(&mut self, name: &str, span: Span) {
        let package = name.split('.').next().unwrap_or("");
        if !crate::modules::is_package(package) {
            let message = format!("the module '{package}' may not be imported");
            let d = Diagnostic::new(Rule::ForbiddenImport, span, message);
            let help = "a program may import torch, math, typing, abc, functools and the like";
            self.found.reaching.push(d.help(help));
        } else if name == crate::modules::LOGGER {
            self.refuse(Rule::ForbiddenImport, span, format!("'{name}' is no module"));
        } else if !crate::modules::exists(name)
            && name.split('.').skip(1).any(|part| OUTSIDE.contains(&part) || part.starts_with('_'))
        {
            self.refuse(Rule::ForbiddenImport, span, format!("'{name}' may not be imported"));
        } else if !crate::modules::exists(name) {
            let said = (format!("the module '{name}' is not available"), None);
            self.unknown(Rule::UnsupportedImport, span, said);
        }
    }

    /// A module that a class body imports would be an attribute of its instances.
    fn no_class_scope(&mut self, stmt: &'a Stmt) {
        if matches!(self.scopes.last(), Some(Scope::Class { .. })) {
            self.refuse(
                Rule::ForbiddenModule,
                stmt.at.0,
                "a class body may not import modules; import them at the top",
            );
        }
    }

    pub(super) fn no_member(&mut self, module: &str, name: &str, span: Span, rule: Rule) {
        if OUTSIDE.contains(&name) || name.starts_with('_') || vocabulary::is_machinery(name) {
            self.refuse(rule, span, format!("{module}.{name} reaches outside of the program"));
        } else {
            self.unknown(Rule::UnsupportedOp, span, eval::unknown_member(module, name));
        }
    }
}
