//! Calls: functions that look into objects by names that are made while the program is built.

use std::collections::BTreeSet;

use graph::Span;

use super::facts::Facts;
use super::scope::{Kind, Scope};
use super::{Scan, chain, texts};
use crate::diagnostic::Diagnostic;
use crate::rules::Rule;
use crate::syntax::*;
use crate::vocabulary;

/// Functions that take the name of an attribute.
pub(super) const BY_NAME: &[&str] = &["getattr", "setattr", "hasattr", "delattr"];

impl<'a> Scan<'a> {
    pub(super) fn call(&mut self, function: &'a Expr, args: &'a [Expr], keywords: &'a [Keyword]) {
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
                    self.unknown(Rule::UnsupportedClass, function.at.0, said);
                }
                args.iter().for_each(|e| self.expr(e));
            }
            ExprKind::Attribute(text, method) if &**method == "format" => {
                if !matches!(&text.kind, ExprKind::Str(t) if !looks_inside(t)) {
                    let message = "format() is for text that is written out and whose fields look into no objects";
                    self.refuse(Rule::ForbiddenAttribute, function.at.0, message);
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
                Rule::ForbiddenBuiltin,
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
                    self.refuse(Rule::ForbiddenModule, span, message);
                }
            }
            return Some(rest);
        }
        self.expr(base);
        match &name.kind {
            ExprKind::Str(text) if function == "setattr" => self.stored_attribute(text, name.at.0),
            ExprKind::Str(text) if vocabulary::is_hidden(text) => {
                self.refuse(Rule::ForbiddenAttribute, name.at.0, format!("the attribute '{text}' is out of reach"));
            }
            _ if self.is_known(name) => self.expr(name),
            _ => {
                let message = format!("the name that {function}() gets cannot be read in the text");
                let d = Diagnostic::new(Rule::ForbiddenAttribute, name.at.0, message);
                let help = "write it out, loop over names that are written out, or let it begin as f\"name_{i}\"";
                self.found.unknown.push(d.help(help));
                self.expr(name);
            }
        }
        Some(rest)
    }
}

/// Whether a field of a format string reads attributes or items of what it prints.
fn looks_inside(text: &str) -> bool {
    text.split('{').skip(1).any(|field| {
        let name = field.split(['}', ':', '!']).next().unwrap_or("");
        name.contains(['.', '['])
    })
}
