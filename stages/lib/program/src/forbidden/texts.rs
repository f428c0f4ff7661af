//! Names that are made while a program is built: `getattr(self, f"t_{i}")`. Each must be known well enough to lead nowhere.

use std::collections::BTreeSet;

use super::facts::{Facts, Source, key};
use crate::syntax::*;
use crate::vocabulary;

/// How far a name is followed through assignments.
const DEPTH: usize = 8;

/// The letters that a made name surely begins with, where they are enough to say that it leads nowhere.
pub fn prefix(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let start = text.get(..end)?;
    (start.len() >= 2 && !start.starts_with('_') && !vocabulary::is_machinery_prefix(start)).then_some(start)
}

/// What is known of the names around an expression.
pub struct Known<'f, 'a> {
    pub file: &'f Facts<'a>,
    /// The function that the expression stands in: its own names, and what it says of them.
    pub function: Option<(&'f BTreeSet<Name>, &'f Facts<'a>)>,
    /// Names that comprehensions around the expression bind.
    pub around: BTreeSet<Name>,
}

impl<'f, 'a> Known<'f, 'a> {
    /// The facts that hold for a name, or for an attribute as `.name`.
    fn facts(&self, key: &Name, depth: usize) -> Option<&'f Facts<'a>> {
        if !self.file.is_plain(key) {
            return None;
        }
        match self.function {
            Some((names, facts)) if names.contains(key) || (depth == 0 && self.around.contains(key)) => Some(facts),
            _ => Some(self.file),
        }
    }

    /// Whether an expression can only be the name of a harmless attribute.
    pub fn is_safe(&self, e: &Expr, depth: usize) -> bool {
        if depth > DEPTH {
            return false;
        }
        match &e.kind {
            ExprKind::Str(text) => !vocabulary::is_hidden(text),
            ExprKind::FString(pieces) => match pieces.as_slice() {
                [] => true,
                [Piece::Text(first), ..] => prefix(first).is_some(),
                [Piece::Value(e, None, spec)] if spec.is_empty() => self.is_safe(e, depth + 1),
                _ => false,
            },
            ExprKind::Binary(_, BinOp::Add, _) => begins_safely(e),
            // only what stands before the first field is certain
            ExprKind::Binary(left, BinOp::Mod, _) => begins_before(left, '%'),
            ExprKind::Call(f, ..) => match &f.kind {
                ExprKind::Attribute(text, method) if &**method == "format" => begins_before(text, '{'),
                _ => false,
            },
            ExprKind::IfElse(_, a, b) => self.is_safe(a, depth + 1) && self.is_safe(b, depth + 1),
            ExprKind::Name(_) | ExprKind::Attribute(..) => {
                let Some(key) = key(e) else { return false };
                let sources = self.facts(&key, depth).and_then(|f| f.sources.get(&key));
                sources.is_some_and(|sources| {
                    sources.iter().all(|s| match s {
                        Source::Value(e) => self.is_safe(e, depth + 1),
                        Source::Item(items, part) => self.are_safe(items, *part, depth + 1),
                        Source::Unknown => false,
                    })
                })
            }
            _ => false,
        }
    }

    /// Whether all items can only be names of harmless attributes; of the part at `part` where items are tuples.
    fn are_safe(&self, items: &Expr, part: Option<usize>, depth: usize) -> bool {
        if depth > DEPTH {
            return false;
        }
        let one = |e: &Expr| match (part, &e.kind) {
            (None, _) => self.is_safe(e, depth + 1),
            (Some(i), ExprKind::Tuple(parts) | ExprKind::List(parts)) => {
                !parts.iter().any(|p| matches!(p.kind, ExprKind::Starred(_)))
                    && parts.get(i).is_some_and(|e| self.is_safe(e, depth + 1))
            }
            _ => false,
        };
        match &items.kind {
            ExprKind::Tuple(all) | ExprKind::List(all) | ExprKind::Set(all) => all.iter().all(one),
            ExprKind::ListComp(e, _) => one(e),
            ExprKind::GeneratorExp(g) => one(&g.item),
            ExprKind::Call(f, args, _) => match (&f.kind, part, args.as_slice()) {
                (ExprKind::Name(n), Some(1), [inner, ..]) if &**n == "enumerate" => {
                    self.are_safe(inner, None, depth + 1)
                }
                (ExprKind::Name(n), Some(i), all) if &**n == "zip" => {
                    all.get(i).is_some_and(|inner| self.are_safe(inner, None, depth + 1))
                }
                _ => false,
            },
            ExprKind::Name(_) | ExprKind::Attribute(..) => self.list_is_safe(items, part, depth),
            _ => false,
        }
    }

    /// A list that is only gone through holds what was written down.
    fn list_is_safe(&self, list: &Expr, part: Option<usize>, depth: usize) -> bool {
        let Some(key) = key(list) else { return false };
        let Some(facts) = self.facts(&key, depth) else { return false };
        let Some(sources) = facts.sources.get(&key) else { return false };
        let (reads, through) = facts.reads.get(&key).copied().unwrap_or_default();
        // targets of assignments count as reads
        reads <= through + sources.len()
            && sources.iter().all(|s| match s {
                Source::Value(e) => self.are_safe(e, part, depth + 1),
                _ => false,
            })
    }
}

fn begins_safely(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Str(text) => prefix(text).is_some(),
        ExprKind::Binary(left, BinOp::Add, _) => begins_safely(left),
        ExprKind::FString(pieces) => matches!(pieces.first(), Some(Piece::Text(first)) if prefix(first).is_some()),
        _ => false,
    }
}

fn begins_before(e: &Expr, stop: char) -> bool {
    match &e.kind {
        ExprKind::Str(text) => text.split(stop).next().is_some_and(|first| prefix(first).is_some()),
        _ => false,
    }
}
