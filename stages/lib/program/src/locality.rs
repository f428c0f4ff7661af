//! Whether a child changes only the region that was selected in its parent.
//!
//! Programs are compared as syntax trees, so comments, spacing, quotes and docstrings are not edits. What lies outside of
//! all regions is frozen. Kinds of entanglement:
//!
//! - `frozen-code`: frozen code differs
//! - `other-region`: a region that was not selected differs
//! - `rebinds-frozen`: the selected region binds a name or attribute that frozen code relies on, and that the parent's
//!   region did not bind
//! - `region-markers`: the child's regions cannot be found, are not its parent's, or none is that of the selected factor
//! - `unparsable`: the child is not a program

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use graph::Span;
use schemas::Factor;

use crate::compile::on_big_stack;
use crate::diagnostic::Diagnostic;
use crate::recent::Recent;
use crate::regions::{self, Regions};
use crate::rules::Rule;
use crate::syntax::*;
use crate::tree::{self, Tree};
use crate::{parse, walk};

/// Whether an edit keeps to its factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalityVerdict {
    /// The edit keeps to its factor.
    Local,
    /// The edit reaches beyond its factor.
    Entangled,
}

impl LocalityVerdict {
    /// `local` or `entangled`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Entangled => "entangled",
        }
    }
}

/// Tree edit distances between parent and child, in nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EditDistance {
    /// Within the regions of what exists: OPERATOR, and those with a word before it.
    pub operator: u64,
    /// Within all other regions.
    pub action: u64,
    /// Outside of all regions.
    pub frozen: u64,
}

/// How far an edit reaches.
#[derive(Clone, Debug)]
pub struct Locality {
    /// Whether the edit keeps to its factor.
    pub verdict: LocalityVerdict,
    /// In which ways the edit leaves its factor: see the documentation of the module.
    pub kinds: Vec<String>,
    /// Where the edit leaves its factor.
    pub diagnostics: Vec<Diagnostic>,
    /// How much the edit changes, and where.
    pub edit_distance: EditDistance,
}

/// Compares a child with its parent, given the region that was selected for editing.
pub fn locality(parent: &str, child: &str, factor: Factor) -> Locality {
    on_big_stack(|| compare(parent, child, factor))
}

/// A stable name of a program: 16 hexadecimal digits of a hash of its normalised syntax tree; of its text where that is
/// no program.
pub fn candidate_id(source: &str) -> String {
    let digest = on_big_stack(|| match parse::shared(source) {
        Ok(module) => Tree::new("program", tree::stmts(&module.body), At::default()).digest(),
        Err(_) => blake3::hash(source.as_bytes()).to_hex().to_string(),
    });
    digest.chars().take(16).collect()
}

/// A program cut into its frozen code and its regions.
#[derive(Default)]
struct Parts {
    imports: Vec<(String, u32)>,
    frozen: Vec<Tree>,
    regions: BTreeMap<Factor, Part>,
    /// What frozen code assigns to `self`.
    frozen_attributes: BTreeSet<Name>,
}

/// What is inside one region.
#[derive(Default)]
struct Part {
    trees: Vec<Tree>,
    binds: Binds,
    /// The way to it through frozen code, where it has statements.
    path: Vec<String>,
}

/// What a region binds, with the place of each binding.
#[derive(Default)]
struct Binds {
    attributes: Vec<(Name, Span)>,
    names: Vec<(Name, Span)>,
    /// Names that frozen code behind the region, in the same function, reads; parameters of that function too.
    read_later: BTreeSet<Name>,
    /// Parameters of the function around the region.
    parameters: BTreeSet<Name>,
    /// Names changed in place.
    changed: Vec<(Name, Span)>,
}

impl Parts {
    fn region(&self, factor: Factor) -> &[Tree] {
        self.regions.get(&factor).map_or(&[], |part| &part.trees)
    }

    fn path(&self, factor: Factor) -> &[String] {
        self.regions.get(&factor).map_or(&[], |part| &part.path)
    }

    fn factors(&self) -> Vec<Factor> {
        self.regions.keys().copied().collect()
    }
}

thread_local! {
    /// The programs that this thread cut up last.
    static DISSECTED: Recent<Parts> = const { Recent::new() };
}

fn dissect(source: &str) -> Result<Rc<Parts>, (String, Vec<Diagnostic>)> {
    DISSECTED.with(|known| known.get(source, || cut(source)))
}

fn cut(source: &str) -> Result<Parts, (String, Vec<Diagnostic>)> {
    let module = parse::shared(source).map_err(|d| ("unparsable".to_string(), d))?;
    let found = regions::find(source).map_err(|d| ("region-markers".to_string(), d))?;
    let regions = found.factors().map(|factor| (factor, Part::default())).collect();
    let mut parts = Parts { regions, ..Parts::default() };
    let body: Vec<&Stmt> = tree::code(&module.body).collect();
    parts.frozen = split(&body, &found, &mut parts, &mut vec!["module".to_string()], None);
    Ok(parts)
}

/// The frozen trees of a block; region statements go to their parts.
fn split(
    body: &[&Stmt],
    regions: &Regions,
    parts: &mut Parts,
    path: &mut Vec<String>,
    function: Option<&Function>,
) -> Vec<Tree> {
    let mut out = Vec::new();
    for stmt in body {
        if let Some((factor, region)) = regions.at(stmt.at.0.line) {
            let part = parts.regions.entry(factor).or_default();
            part.trees.push(tree::stmt(stmt));
            if part.path.is_empty() {
                part.path.clone_from(path);
            }
            collect(stmt, &mut part.binds);
            let end = region.end;
            if let Some(f) = function {
                part.binds.parameters = f.params.iter().map(|p| p.name.clone()).collect();
                read_behind(&f.body, end, regions, &mut part.binds.read_later);
            }
            // what a region's statement carries out of the region is frozen all the same
            for block in walk::blocks(stmt) {
                for inner in block.iter().filter(|s| s.at.0.line > end) {
                    out.push(tree::stmt(inner));
                }
            }
            continue;
        }
        if matches!(stmt.kind, StmtKind::Import(_) | StmtKind::ImportFrom(..)) && function.is_none() {
            parts.imports.extend(tree::imported(stmt).into_iter().map(|i| (i, stmt.at.0.line)));
            continue;
        }
        let mut binds = Binds::default();
        collect_own(stmt, &mut binds);
        parts.frozen_attributes.extend(binds.attributes.into_iter().map(|a| a.0));
        let blocks = walk::blocks(stmt);
        if blocks.is_empty() {
            out.push(tree::stmt(stmt));
            continue;
        }
        let head = tree::head(stmt);
        let inner_function = match &stmt.kind {
            StmtKind::Function(f) => Some(f.as_ref()),
            _ => function,
        };
        path.push(head.label.clone());
        let mut children = vec![head.clone()];
        for block in blocks {
            let block: Vec<&Stmt> = tree::code(block).collect();
            let frozen = split(&block, regions, parts, path, inner_function);
            children.push(Tree::new("block", frozen, stmt.at));
        }
        path.pop();
        out.push(Tree::new(head.label, children, stmt.at));
    }
    out
}

/// Names that are read behind a line of a function's body, outside of the regions.
fn read_behind(body: &[Stmt], line: u32, regions: &Regions, out: &mut BTreeSet<Name>) {
    walk::statements(body, &mut |stmt| {
        if stmt.at.0.line > line && regions.factor_at(stmt.at.0.line).is_none() {
            walk::stmt_exprs(stmt, &mut |e| {
                walk::expressions(e, &mut |e| {
                    if let ExprKind::Name(name) = &e.kind {
                        out.insert(name.clone());
                    }
                });
            });
        }
    });
}

/// Everything that a statement and what is inside it binds.
fn collect(stmt: &Stmt, out: &mut Binds) {
    collect_own(stmt, out);
    for block in walk::blocks(stmt) {
        for inner in block {
            collect(inner, out);
        }
    }
}

fn collect_own(stmt: &Stmt, out: &mut Binds) {
    match &stmt.kind {
        StmtKind::Assign(targets, _) => targets.iter().for_each(|t| target(t, out)),
        StmtKind::AnnAssign(t, _, _) | StmtKind::For(t, _, _, _) => target(t, out),
        StmtKind::AugAssign(t, _, _) => {
            target(t, out);
            if let ExprKind::Name(name) = &t.kind {
                out.changed.push((name.clone(), t.at.0));
            }
        }
        StmtKind::Delete(targets) => targets.iter().for_each(|t| target(t, out)),
        StmtKind::Try(t) => {
            out.names.extend(t.handlers.iter().filter_map(|h| h.name.clone().map(|n| (n, h.at.0))));
        }
        StmtKind::Function(f) => out.names.push((f.name.clone(), stmt.at.0)),
        StmtKind::Class(c) => out.names.push((c.name.clone(), stmt.at.0)),
        _ => {}
    }
    walk::stmt_exprs(stmt, &mut |e| {
        walk::expressions(e, &mut |e| match &e.kind {
            ExprKind::Walrus(name, _) => out.names.push((name.clone(), e.at.0)),
            ExprKind::Call(f, args, _) => {
                if let ExprKind::Name(name) = &f.kind
                    && matches!(&**name, "setattr" | "delattr")
                    && let Some(Expr { kind: ExprKind::Str(attribute), at }) = args.get(1)
                {
                    out.attributes.push((attribute.clone(), at.0));
                }
                if let ExprKind::Attribute(_, name) = &f.kind
                    && matches!(&**name, "register_buffer" | "register_parameter" | "add_module" | "register_module")
                    && let Some(Expr { kind: ExprKind::Str(attribute), at }) = args.first()
                {
                    out.attributes.push((attribute.clone(), at.0));
                }
                // `x.add_(...)` changes x
                if let ExprKind::Attribute(base, name) = &f.kind
                    && name.ends_with('_')
                    && !name.ends_with("__")
                    && let ExprKind::Name(changed) = &base.kind
                {
                    out.changed.push((changed.clone(), e.at.0));
                }
            }
            _ => {}
        });
    });
}

fn target(t: &Expr, out: &mut Binds) {
    match &t.kind {
        ExprKind::Name(name) => out.names.push((name.clone(), t.at.0)),
        ExprKind::Attribute(base, name) if matches!(&base.kind, ExprKind::Name(n) if &**n == "self") => {
            out.attributes.push((name.clone(), t.at.0));
        }
        ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|t| target(t, out)),
        ExprKind::Starred(inner) => target(inner, out),
        ExprKind::Subscript(base, _) => {
            if let ExprKind::Name(name) = &base.kind {
                out.changed.push((name.clone(), t.at.0));
            }
        }
        _ => {}
    }
}

/// The first place where two sequences of trees differ, as the innermost statement of the child.
fn first_difference(parent: &[Tree], child: &[Tree], around: u32) -> (u32, u32) {
    for (p, c) in parent.iter().zip(child) {
        if p == c {
            continue;
        }
        let compound =
            |t: &Tree| t.children.iter().any(|c| matches!(c.label.as_str(), "block" | "then" | "else" | "do"));
        if p.label == c.label
            && p.children.len() == c.children.len()
            && (compound(p) || matches!(c.label.as_str(), "block" | "then" | "else" | "do"))
        {
            return first_difference(&p.children, &c.children, c.line);
        }
        return (c.line, c.column);
    }
    match child.get(parent.len()) {
        Some(extra) => (extra.line, extra.column),
        // something was taken away: point at what now stands there
        None => child.last().map_or((around, 1), |t| (t.line, t.column)),
    }
}

fn at(line: u32, column: u32) -> Span {
    Span { line, column, end_line: line, end_column: column }
}

fn compare(parent: &str, child: &str, factor: Factor) -> Locality {
    let mut out = Locality {
        verdict: LocalityVerdict::Local,
        kinds: Vec::new(),
        diagnostics: Vec::new(),
        edit_distance: EditDistance::default(),
    };
    let before = match dissect(parent) {
        Ok(parts) => parts,
        Err((kind, mut faults)) => {
            out.verdict = LocalityVerdict::Entangled;
            out.kinds.push(kind);
            for d in &mut faults {
                d.message = format!("the parent: {}", d.message);
            }
            out.diagnostics = faults;
            return out;
        }
    };
    let after = match dissect(child) {
        Ok(parts) => parts,
        Err((kind, faults)) => {
            out.verdict = LocalityVerdict::Entangled;
            out.kinds.push(kind);
            out.diagnostics = faults;
            return out;
        }
    };
    let factors: Vec<Factor> =
        before.factors().into_iter().chain(after.factors()).collect::<BTreeSet<_>>().into_iter().collect();
    let distance = |operators: bool| -> u64 {
        let which = factors.iter().filter(|factor| factor.is_operator() == operators);
        which.map(|factor| tree::distance(before.region(*factor), after.region(*factor))).sum()
    };
    out.edit_distance = EditDistance {
        operator: distance(true),
        action: distance(false),
        frozen: tree::distance(&before.frozen, &after.frozen),
    };
    let selected = factor.as_str();
    let mut entangled = |kind: &str, rule, span: Span, message: String, help: &str| {
        if !out.kinds.iter().any(|k| k == kind) {
            out.kinds.push(kind.to_string());
        }
        out.diagnostics.push(Diagnostic::new(rule, span, message).help(help));
    };
    let (had, has) = (before.factors(), after.factors());
    if !had.contains(&factor) {
        let text = format!("the parent has no {selected} region; its factors are {}", regions::names(&had));
        entangled("region-markers", Rule::EntangledFactor, Span::default(), text, "select one of the parent's factors");
    }
    for missing in had.iter().filter(|factor| !has.contains(factor)) {
        let text = format!("the program lacks the {missing} region of its parent");
        entangled("region-markers", Rule::EntangledFactor, Span::default(), text, "leave the markers as they are");
    }
    for (extra, part) in after.regions.iter().filter(|(factor, _)| !had.contains(factor)) {
        let line = part.trees.first().map_or(0, |t| t.line);
        let text = format!("the program marks the {extra} region, which its parent does not have");
        let span = if line == 0 { Span::default() } else { at(line, 1) };
        entangled("region-markers", Rule::EntangledFactor, span, text, "leave the markers as they are");
    }
    // Imports are a set of names, the rest of the frozen code a sequence.
    let names = |p: &Parts| p.imports.iter().map(|i| i.0.clone()).collect::<BTreeSet<_>>();
    let (had, has) = (names(&before), names(&after));
    let mut reordered = None;
    if had != has {
        let line = after.imports.iter().find(|i| !had.contains(&i.0)).or(after.imports.first()).map_or(1, |i| i.1);
        let text = format!("the imports were changed, but only the {selected} region may be");
        entangled("frozen-code", Rule::EntangledFrozen, at(line, 1), text, "put the parent's imports back");
    } else if let Some((_, now)) = before.imports.iter().zip(&after.imports).find(|(a, b)| a.0 != b.0) {
        reordered = Some(now.1);
    }
    let moved = factors.iter().copied().find(|f| {
        let (a, b) = (before.path(*f), after.path(*f));
        !a.is_empty() && !b.is_empty() && a != b
    });
    if before.frozen != after.frozen {
        let (line, column) = first_difference(&before.frozen, &after.frozen, 1);
        let text = format!("frozen code was changed, but only the {selected} region may be");
        entangled("frozen-code", Rule::EntangledFrozen, at(line, column), text, "put the parent's code back");
    } else if let Some(f) = moved {
        let text = format!("the {f} region was moved to another place");
        let line = after.region(f).first().map_or(1, |t| t.line);
        entangled("frozen-code", Rule::EntangledFrozen, at(line, 1), text, "leave the markers where they are");
    }
    for other in factors.iter().copied().filter(|other| *other != factor) {
        if before.region(other) != after.region(other) {
            let (line, column) = first_difference(before.region(other), after.region(other), 1);
            let text = format!("the {other} region was changed, but only the {selected} region was selected");
            entangled("other-region", Rule::EntangledRegion, at(line, column), text, "put the parent's code back");
        }
    }
    let nothing = Binds::default();
    let was = before.regions.get(&factor).map_or(&nothing, |part| &part.binds);
    let is = after.regions.get(&factor).map_or(&nothing, |part| &part.binds);
    let mut seen = BTreeSet::new();
    for (name, span) in &is.attributes {
        let frozen = after.frozen_attributes.contains(name) && before.frozen_attributes.contains(name);
        if frozen && !was.attributes.iter().any(|a| a.0 == *name) && seen.insert(name.clone()) {
            let text = format!("the {selected} region assigns self.{name}, which belongs to frozen code");
            entangled("rebinds-frozen", Rule::EntangledRebinds, *span, text, "choose a name of its own");
        }
    }
    for (name, span) in &is.names {
        if is.read_later.contains(name) && !was.names.iter().any(|n| n.0 == *name) && seen.insert(name.clone()) {
            let text = format!("the {selected} region assigns '{name}', which frozen code behind it reads");
            entangled("rebinds-frozen", Rule::EntangledRebinds, *span, text, "choose a name of its own");
        }
    }
    for (name, span) in &is.changed {
        if is.parameters.contains(name)
            && !was.changed.iter().any(|n| n.0 == *name)
            && !was.names.iter().any(|n| n.0 == *name)
            && !is.names.iter().any(|n| n.0 == *name && n.1.line < span.line)
            && seen.insert(name.clone())
        {
            let text = format!("the {selected} region changes '{name}' in place, which belongs to frozen code");
            entangled("rebinds-frozen", Rule::EntangledRebinds, *span, text, "compute a new tensor instead");
        }
    }
    if !out.kinds.is_empty() {
        out.verdict = LocalityVerdict::Entangled;
    }
    if let Some(line) = reordered {
        out.diagnostics.push(
            Diagnostic::new(
                Rule::ImportsReordered,
                at(line, 1),
                "the imports outside of the selected region were reordered; nothing behaves differently",
            )
            .help("leave what lies outside of the region as it was"),
        );
    }
    out
}
