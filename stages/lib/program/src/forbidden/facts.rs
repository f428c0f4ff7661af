//! What a program calls its own things: collected from the whole text before it is judged.

use std::collections::{BTreeMap, BTreeSet};

use crate::syntax::*;
use crate::walk;

/// Where a value of a name comes from.
pub enum Source<'a> {
    /// `name = value`
    Value(&'a Expr),
    /// `for name in values`: one of them; of the nth part where the target is a tuple.
    Item(&'a Expr, Option<usize>),
    /// A parameter, an import, a part of a tuple and the like.
    Unknown,
}

/// What the text says of its names.
#[derive(Default)]
pub struct Facts<'a> {
    /// Names that an import binds to modules, by their full names.
    pub modules: BTreeMap<Name, BTreeSet<Name>>,
    /// All names that are bound anywhere.
    pub bound: BTreeSet<Name>,
    /// Names of `nonlocal` statements.
    pub nonlocal: BTreeSet<Name>,
    /// Attributes that the program defines.
    pub attributes: BTreeSet<Name>,
    /// First letters of attributes whose names are made while the program is built.
    pub prefixes: BTreeSet<Name>,
    /// Words that stand as text or as keywords, by which an attribute may be set.
    pub words: BTreeSet<Name>,
    /// Where names, and attributes as `.name`, get their values.
    pub sources: BTreeMap<Name, Vec<Source<'a>>>,
    /// How often names and attributes are read, and how often only to go through their items.
    pub reads: BTreeMap<Name, (usize, usize)>,
}

/// The key of a name or of an attribute in [`Facts::sources`].
pub fn key(e: &Expr) -> Option<Name> {
    match &e.kind {
        ExprKind::Name(n) => Some(n.clone()),
        ExprKind::Attribute(_, n) => Some(format!(".{n}").into()),
        _ => None,
    }
}

/// What the names of an import statement stand for: the name that is bound, and the module.
pub fn imported(stmt: &Stmt) -> Vec<(Name, Name)> {
    let full = |alias: &Alias, from: &str| -> Option<(Name, Name)> {
        match crate::vocabulary::member(from, &alias.name) {
            Some(crate::eval::Member::Module(full)) => {
                Some((alias.asname.clone().unwrap_or_else(|| alias.name.clone()), full.into()))
            }
            _ => None,
        }
    };
    match &stmt.kind {
        StmtKind::Import(names) => names
            .iter()
            .map(|a| match &a.asname {
                Some(name) => (name.clone(), a.name.clone()),
                None => {
                    let root: Name = a.name.split('.').next().unwrap_or("").into();
                    (root.clone(), root)
                }
            })
            .collect(),
        StmtKind::ImportFrom(from, names, _) => names.iter().filter_map(|a| full(a, from)).collect(),
        // a logger has no more than its functions
        StmtKind::Assign(targets, value) if makes_logger(value).is_some() => targets
            .iter()
            .filter_map(|t| {
                if let ExprKind::Name(n) = &t.kind { Some((n.clone(), crate::modules::LOGGER.into())) } else { None }
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The arguments of `logging.getLogger(...)`, if it is that.
pub fn makes_logger(value: &Expr) -> Option<&[Expr]> {
    match &value.kind {
        ExprKind::Call(f, args, keywords) if keywords.is_empty() && args.len() <= 1 => match &f.kind {
            ExprKind::Attribute(base, name) if &**name == "getLogger" => {
                matches!(&base.kind, ExprKind::Name(n) if &**n == "logging").then_some(args)
            }
            _ => None,
        },
        _ => None,
    }
}

impl<'a> Facts<'a> {
    pub fn of(module: &'a Module) -> Self {
        let mut facts = Self::default();
        walk::statements(&module.body, &mut |stmt| facts.stmt(stmt));
        // a module that was not imported may be there all the same, in a notebook
        for name in crate::modules::names().filter(|n| !n.contains('.')) {
            if !facts.bound.contains(name) {
                facts.modules.insert(name.into(), BTreeSet::from([name.into()]));
            }
        }
        facts
    }

    /// What one function says of its own names.
    pub fn of_function(f: &'a Function) -> Self {
        let mut facts = Self::default();
        facts.params(f);
        walk::statements(&f.body, &mut |stmt| facts.stmt(stmt));
        facts
    }

    fn bind(&mut self, name: &Name, source: Source<'a>) {
        self.bound.insert(name.clone());
        self.sources.entry(name.clone()).or_default().push(source);
    }

    fn stmt(&mut self, stmt: &'a Stmt) {
        for (name, module) in imported(stmt) {
            self.modules.entry(name).or_default().insert(module);
        }
        match &stmt.kind {
            StmtKind::Import(names) | StmtKind::ImportFrom(_, names, _) => {
                for a in names {
                    let first: Name = a.name.split('.').next().unwrap_or("").into();
                    self.bind(a.asname.as_ref().unwrap_or(&first), Source::Unknown);
                }
            }
            StmtKind::Assign(targets, value) => targets.iter().for_each(|t| self.target(t, Some(value), None)),
            StmtKind::AugAssign(target, _, _) => self.target(target, None, None),
            StmtKind::AnnAssign(target, _, value) => match value {
                Some(value) => self.target(target, Some(value), None),
                None => self.declared(target),
            },
            StmtKind::For(target, iter, _, _) => {
                self.read_items(iter);
                self.target(target, None, Some(iter));
            }
            StmtKind::With(items, _) => {
                items.iter().filter_map(|i| i.1.as_ref()).for_each(|t| self.target(t, None, None))
            }
            StmtKind::Try(t) => {
                for name in t.handlers.iter().filter_map(|h| h.name.as_ref()) {
                    self.bind(name, Source::Unknown);
                }
            }
            StmtKind::Function(f) => {
                self.bind(&f.name, Source::Unknown);
                self.params(f);
            }
            StmtKind::Class(c) => {
                self.bind(&c.name, Source::Unknown);
                c.body.iter().for_each(|s| self.member(s));
            }
            StmtKind::Nonlocal(names) => self.nonlocal.extend(names.iter().cloned()),
            _ => {}
        }
        walk::stmt_exprs(stmt, &mut |e| self.expr(e));
    }

    fn params(&mut self, f: &'a Function) {
        f.params.iter().for_each(|p| self.bind(&p.name, Source::Unknown));
    }

    /// A declaration without a value binds nothing, but names a field.
    fn declared(&mut self, target: &'a Expr) {
        match &target.kind {
            ExprKind::Name(n) => {
                self.bound.insert(n.clone());
            }
            ExprKind::Attribute(_, n) => {
                self.attributes.insert(n.clone());
            }
            _ => {}
        }
    }

    /// What a statement of a class body makes an attribute of its instances.
    fn member(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Function(f) => self.field(&f.name),
            StmtKind::Class(c) => self.field(&c.name),
            StmtKind::Assign(targets, _) => targets.iter().for_each(|t| self.member_name(t)),
            StmtKind::AnnAssign(target, ..) | StmtKind::AugAssign(target, ..) => self.member_name(target),
            StmtKind::For(target, ..) => {
                self.member_name(target);
                walk::blocks(stmt).into_iter().flatten().for_each(|s| self.member(s));
            }
            StmtKind::If(..) | StmtKind::While(..) | StmtKind::With(..) | StmtKind::Try(_) => {
                walk::blocks(stmt).into_iter().flatten().for_each(|s| self.member(s));
            }
            _ => {}
        }
    }

    /// An attribute whose value comes from a class.
    fn field(&mut self, name: &Name) {
        self.attributes.insert(name.clone());
        self.sources.entry(format!(".{name}").into()).or_default().push(Source::Unknown);
    }

    fn member_name(&mut self, target: &Expr) {
        match &target.kind {
            ExprKind::Name(n) => self.field(n),
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|t| self.member_name(t)),
            ExprKind::Starred(inner) => self.member_name(inner),
            _ => {}
        }
    }

    fn target(&mut self, target: &'a Expr, value: Option<&'a Expr>, items: Option<&'a Expr>) {
        let source = || match (value, items) {
            (Some(e), _) => Source::Value(e),
            (None, Some(e)) => Source::Item(e, None),
            (None, None) => Source::Unknown,
        };
        match &target.kind {
            ExprKind::Name(n) => self.bind(n, source()),
            ExprKind::Attribute(_, n) => {
                self.attributes.insert(n.clone());
                self.sources.entry(format!(".{n}").into()).or_default().push(source());
            }
            ExprKind::Tuple(parts) | ExprKind::List(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    match (&part.kind, items) {
                        (ExprKind::Name(n), Some(iter)) => self.bind(n, Source::Item(iter, Some(i))),
                        _ => self.target(part, None, None),
                    }
                }
            }
            ExprKind::Starred(inner) => self.target(inner, None, None),
            // what is written into a list may be anything
            ExprKind::Subscript(base, _) => {
                if let Some(key) = key(base) {
                    self.sources.entry(key).or_default().push(Source::Unknown);
                }
            }
            _ => {}
        }
    }

    fn read_generators(&mut self, generators: &'a [Generator]) {
        for g in generators {
            self.read_items(&g.iter);
            self.target(&g.target, None, Some(&g.iter));
        }
    }

    /// Counts reads that only go through items.
    fn read_items(&mut self, iter: &Expr) {
        match &iter.kind {
            ExprKind::Call(f, args, _) if matches!(&f.kind, ExprKind::Name(n) if matches!(&**n, "enumerate" | "zip")) =>
            {
                args.iter().for_each(|a| self.read_items(a));
            }
            _ => {
                if let Some(key) = key(iter) {
                    self.reads.entry(key).or_default().1 += 1;
                }
            }
        }
    }

    fn expr(&mut self, e: &'a Expr) {
        match &e.kind {
            ExprKind::Name(_) | ExprKind::Attribute(..) => {
                if let Some(key) = key(e) {
                    self.reads.entry(key).or_default().0 += 1;
                }
            }
            ExprKind::Str(text) => self.text(text),
            ExprKind::FString(pieces) => {
                if let Some(Piece::Text(first)) = pieces.first() {
                    self.prefix(first);
                }
            }
            ExprKind::Walrus(name, value) => self.bind(name, Source::Value(value)),
            ExprKind::Lambda(f) => self.params(f),
            ExprKind::Call(f, args, keywords) => {
                for name in keywords.iter().filter_map(|k| k.name.as_ref()) {
                    self.attributes.insert(name.clone());
                    self.words.insert(name.clone());
                }
                // the fields of a named tuple are attributes
                if matches!(&f.kind, ExprKind::Name(n) | ExprKind::Attribute(_, n) if &**n == "namedtuple")
                    && let Some(Expr { kind: ExprKind::Str(fields), .. }) = args.get(1)
                {
                    let words = fields.split([',', ' ', '\t', '\n']).filter(|w| !w.is_empty());
                    words.for_each(|w| self.text(&w.into()));
                }
                if matches!(&f.kind, ExprKind::Name(n) if &**n == "len") {
                    args.iter().for_each(|a| self.read_items(a));
                }
            }
            ExprKind::ListComp(_, g) | ExprKind::SetComp(_, g) | ExprKind::DictComp(_, _, g) => self.read_generators(g),
            ExprKind::GeneratorExp(g) => self.read_generators(&g.generators),
            _ => {}
        }
        walk::children(e, &mut |e| self.expr(e));
    }

    /// Text may be the name of a parameter, a buffer or an attribute that is set by name.
    fn text(&mut self, text: &Name) {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if !text.is_empty() && text.len() <= 64 && text.chars().all(word) {
            self.attributes.insert(text.clone());
            self.words.insert(text.clone());
        }
        self.prefix(text);
    }

    fn prefix(&mut self, text: &str) {
        if let Some(prefix) = super::texts::prefix(text) {
            self.prefixes.insert(prefix.into());
        }
    }

    /// Whether an attribute gets its values by assignments of the text alone.
    pub fn is_plain(&self, key: &str) -> bool {
        key.strip_prefix('.').is_none_or(|name| {
            !self.words.contains(name)
                && !crate::vocabulary::has_attribute(name)
                && !self.prefixes.iter().any(|p| name.starts_with(&**p))
        })
    }

    /// Whether the program defines an attribute of this name.
    pub fn defines(&self, name: &str) -> bool {
        self.attributes.contains(name) || self.prefixes.iter().any(|p| name.starts_with(&**p))
    }
}
