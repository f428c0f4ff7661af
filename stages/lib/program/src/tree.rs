//! Plain labelled trees of programs: what identity, comparison and edit distance work on. Comments, spacing, quote style
//! and docstrings leave no trace in them.

use std::hash::{DefaultHasher, Hasher};

use crate::syntax::*;

/// A node: what it is, its parts, and where it stands (which takes no part in comparisons).
#[derive(Clone, Debug)]
pub struct Tree {
    pub label: String,
    pub children: Vec<Tree>,
    pub line: u32,
    pub column: u32,
    /// Nodes of the whole subtree.
    pub size: u64,
    hash: u128,
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Tree {
    pub fn new(label: impl Into<String>, children: Vec<Tree>, at: At) -> Self {
        let label = label.into();
        // two hashes of 64 bits: quick, and equal by chance in no search that ends
        let (mut first, mut second) = (DefaultHasher::new(), DefaultHasher::new());
        second.write_u8(1);
        for hasher in [&mut first, &mut second] {
            hasher.write(label.as_bytes());
            hasher.write_usize(children.len());
            for child in &children {
                hasher.write_u128(child.hash);
            }
        }
        let hash = u128::from(first.finish()) << 64 | u128::from(second.finish());
        let size = children.iter().fold(1_u64, |n, c| n.saturating_add(c.size));
        Self { label, children, line: at.0.line, column: at.0.column, size, hash }
    }

    /// Hexadecimal digest of the subtree, the same everywhere and for ever.
    pub fn digest(&self) -> String {
        self.bytes().iter().map(|b| format!("{b:02x}")).collect()
    }

    fn bytes(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.label.len() as u64).to_le_bytes());
        hasher.update(self.label.as_bytes());
        for child in &self.children {
            hasher.update(&child.bytes());
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(hasher.finalize().as_bytes().get(..16).unwrap_or(&[0; 16]));
        bytes
    }
}

/// Statements without docstrings.
pub fn code(body: &[Stmt]) -> impl Iterator<Item = &Stmt> {
    body.iter().filter(|s| !matches!(&s.kind, StmtKind::Expr(Expr { kind: ExprKind::Str(_), .. })))
}

pub fn stmts(body: &[Stmt]) -> Vec<Tree> {
    code(body).map(stmt).collect()
}

fn block(label: &str, body: &[Stmt], at: At) -> Tree {
    Tree::new(label, stmts(body), at)
}

fn optional(e: Option<&Expr>, at: At) -> Tree {
    e.map_or_else(|| Tree::new("-", Vec::new(), at), expr)
}

/// The head of a statement (everything but its blocks), for compound statements whose blocks are compared on their own.
pub fn head(s: &Stmt) -> Tree {
    let at = s.at;
    match &s.kind {
        StmtKind::If(test, _, orelse) => {
            Tree::new(if orelse.is_empty() { "if" } else { "if-else" }, vec![expr(test)], at)
        }
        StmtKind::For(target, iter, _, _) => Tree::new("for", vec![expr(target), expr(iter)], at),
        StmtKind::While(test, _, _) => Tree::new("while", vec![expr(test)], at),
        StmtKind::With(items, _) => Tree::new("with", with_items(items, at), at),
        StmtKind::Try(t) => Tree::new("try", t.handlers.iter().map(handler_head).collect(), at),
        StmtKind::Function(f) => Tree::new(format!("def {}", f.name), function_head(f), at),
        StmtKind::Class(c) => Tree::new(format!("class {}", c.name), class_head(c), at),
        _ => stmt(s),
    }
}

fn with_items(items: &[(Expr, Option<Expr>)], at: At) -> Vec<Tree> {
    items.iter().flat_map(|(e, v)| [expr(e), optional(v.as_ref(), at)]).collect()
}

fn handler_head(h: &Handler) -> Tree {
    let name = h.name.as_deref().unwrap_or("-");
    Tree::new(format!("except as {name}"), vec![optional(h.kind.as_ref(), h.at)], h.at)
}

fn function_head(f: &Function) -> Vec<Tree> {
    let mut out: Vec<Tree> = f.decorators.iter().map(expr).collect();
    for p in &f.params {
        let parts = vec![optional(p.default.as_ref(), p.at), optional(p.annotation.as_ref(), p.at)];
        out.push(Tree::new(format!("param {:?} {}", p.kind, p.name), parts, p.at));
    }
    out.push(optional(f.returns.as_ref(), f.at));
    out
}

fn class_head(c: &Class) -> Vec<Tree> {
    let mut out: Vec<Tree> = c.decorators.iter().map(expr).collect();
    out.extend(c.bases.iter().map(expr));
    out.extend(c.keywords.iter().map(keyword));
    out
}

fn keyword(k: &Keyword) -> Tree {
    Tree::new(format!("{}=", k.name.as_deref().unwrap_or("**")), vec![expr(&k.value)], k.value.at)
}

pub fn stmt(s: &Stmt) -> Tree {
    let at = s.at;
    let named = |label: &str, names: &[Name]| Tree::new(format!("{label} {}", names.join(",")), Vec::new(), at);
    match &s.kind {
        StmtKind::Expr(e) => Tree::new("expr", vec![expr(e)], at),
        StmtKind::Assign(targets, value) => Tree::new("=", targets.iter().map(expr).chain([expr(value)]).collect(), at),
        StmtKind::AugAssign(t, op, v) => Tree::new(format!("{}=", op.symbol()), vec![expr(t), expr(v)], at),
        StmtKind::AnnAssign(t, a, v) => Tree::new(":=", vec![expr(t), expr(a), optional(v.as_ref(), at)], at),
        StmtKind::Return(e) => Tree::new("return", vec![optional(e.as_ref(), at)], at),
        StmtKind::If(test, a, b) => Tree::new("if", vec![expr(test), block("then", a, at), block("else", b, at)], at),
        StmtKind::For(t, i, a, b) => {
            Tree::new("for", vec![expr(t), expr(i), block("do", a, at), block("else", b, at)], at)
        }
        StmtKind::While(t, a, b) => Tree::new("while", vec![expr(t), block("do", a, at), block("else", b, at)], at),
        StmtKind::With(items, a) => {
            let mut parts = with_items(items, at);
            parts.push(block("do", a, at));
            Tree::new("with", parts, at)
        }
        StmtKind::Try(t) => {
            let mut parts = vec![block("do", &t.body, at)];
            for h in &t.handlers {
                parts.extend([handler_head(h), block("do", &h.body, h.at)]);
            }
            parts.extend([block("else", &t.orelse, at), block("do", &t.finally, at)]);
            Tree::new("try", parts, at)
        }
        StmtKind::Raise(a, b) => Tree::new("raise", vec![optional(a.as_ref(), at), optional(b.as_ref(), at)], at),
        StmtKind::Assert(a, b) => Tree::new("assert", vec![expr(a), optional(b.as_ref(), at)], at),
        StmtKind::Import(names) => Tree::new("import", aliases(names), at),
        StmtKind::ImportFrom(module, names, level) => {
            Tree::new(format!("from {}{module} import", ".".repeat((*level).min(8) as usize)), aliases(names), at)
        }
        StmtKind::Function(f) => {
            let mut parts = function_head(f);
            parts.push(block("do", &f.body, at));
            Tree::new(format!("def {}", f.name), parts, at)
        }
        StmtKind::Class(c) => {
            let mut parts = class_head(c);
            parts.push(block("do", &c.body, at));
            Tree::new(format!("class {}", c.name), parts, at)
        }
        StmtKind::Global(names) => named("global", names),
        StmtKind::Nonlocal(names) => named("nonlocal", names),
        StmtKind::Delete(targets) => Tree::new("del", targets.iter().map(expr).collect(), at),
        StmtKind::Pass => Tree::new("pass", Vec::new(), at),
        StmtKind::Break => Tree::new("break", Vec::new(), at),
        StmtKind::Continue => Tree::new("continue", Vec::new(), at),
        StmtKind::Other(label, parts, body) => {
            let mut children: Vec<Tree> = parts.iter().map(expr).collect();
            children.push(block("do", body, at));
            Tree::new(*label, children, at)
        }
    }
}

fn aliases(names: &[Alias]) -> Vec<Tree> {
    let one = |a: &Alias| Tree::new(alias_text(a), Vec::new(), a.at);
    names.iter().map(one).collect()
}

fn alias_text(a: &Alias) -> String {
    format!("{} as {}", a.name, a.asname.as_ref().unwrap_or(&a.name))
}

/// What an import statement binds, one line per name.
pub fn imported(s: &Stmt) -> Vec<String> {
    match &s.kind {
        StmtKind::Import(names) => names.iter().map(|a| format!("import {}", alias_text(a))).collect(),
        StmtKind::ImportFrom(module, names, level) => {
            names.iter().map(|a| format!("from {level} {module} import {}", alias_text(a))).collect()
        }
        _ => Vec::new(),
    }
}

fn pieces(list: &[Piece], at: At) -> Vec<Tree> {
    list.iter()
        .map(|p| match p {
            Piece::Text(t) => Tree::new(format!("text {t:?}"), Vec::new(), at),
            Piece::Value(e, c, spec) => {
                let mut parts = vec![expr(e)];
                parts.extend(pieces(spec, at));
                Tree::new(format!("value {c:?}"), parts, at)
            }
        })
        .collect()
}

fn comprehension(label: &str, items: Vec<Tree>, generators: &[Generator], at: At) -> Tree {
    let mut parts = items;
    for g in generators {
        let mut inner = vec![expr(&g.target), expr(&g.iter)];
        inner.extend(g.ifs.iter().map(expr));
        parts.push(Tree::new("for", inner, at));
    }
    Tree::new(label, parts, at)
}

pub fn expr(e: &Expr) -> Tree {
    let at = e.at;
    let leaf = |label: String| Tree::new(label, Vec::new(), at);
    let list = |label: &str, items: &[Expr]| Tree::new(label, items.iter().map(expr).collect(), at);
    match &e.kind {
        ExprKind::None => leaf("None".into()),
        ExprKind::Ellipsis => leaf("...".into()),
        ExprKind::Bool(b) => leaf(b.to_string()),
        ExprKind::Int(i) => leaf(format!("int {i}")),
        ExprKind::Float(f) => leaf(format!("float {}", f.to_bits())),
        ExprKind::Str(s) => leaf(format!("str {s:?}")),
        ExprKind::FString(parts) => Tree::new("f-string", pieces(parts, at), at),
        ExprKind::Name(name) => leaf(format!("name {name}")),
        ExprKind::Attribute(base, name) => Tree::new(format!(".{name}"), vec![expr(base)], at),
        ExprKind::Subscript(a, b) => Tree::new("[]", vec![expr(a), expr(b)], at),
        ExprKind::Slice(a, b, c) => {
            Tree::new(":", [a, b, c].into_iter().map(|p| optional(p.as_deref(), at)).collect(), at)
        }
        ExprKind::Call(f, args, keywords) => {
            let mut parts = vec![expr(f)];
            parts.extend(args.iter().map(expr));
            parts.extend(keywords.iter().map(keyword));
            Tree::new("call", parts, at)
        }
        ExprKind::Starred(inner) => Tree::new("*", vec![expr(inner)], at),
        ExprKind::Tuple(items) => list("tuple", items),
        ExprKind::List(items) => list("list", items),
        ExprKind::Set(items) => list("set", items),
        ExprKind::Dict(items) => {
            let parts = items.iter().flat_map(|(k, v)| [optional(k.as_ref(), at), expr(v)]).collect();
            Tree::new("dict", parts, at)
        }
        ExprKind::Binary(a, op, b) => Tree::new(format!("binary {}", op.symbol()), vec![expr(a), expr(b)], at),
        ExprKind::Unary(op, a) => Tree::new(format!("unary {op:?}"), vec![expr(a)], at),
        ExprKind::Logic(and, items) => list(if *and { "and" } else { "or" }, items),
        ExprKind::Compare(a, rest) => {
            let ops: Vec<&str> = rest.iter().map(|r| r.0.symbol()).collect();
            let parts = [expr(a)].into_iter().chain(rest.iter().map(|r| expr(&r.1))).collect();
            Tree::new(format!("compare {}", ops.join(" ")), parts, at)
        }
        ExprKind::IfElse(a, b, c) => Tree::new("if-else", vec![expr(a), expr(b), expr(c)], at),
        ExprKind::Lambda(f) => {
            let mut parts = function_head(f);
            parts.extend(stmts(&f.body));
            Tree::new("lambda", parts, at)
        }
        ExprKind::ListComp(item, g) => comprehension("list for", vec![expr(item)], g, at),
        ExprKind::SetComp(item, g) => comprehension("set for", vec![expr(item)], g, at),
        ExprKind::GeneratorExp(g) => comprehension("generator", vec![expr(&g.item)], &g.generators, at),
        ExprKind::DictComp(k, v, g) => comprehension("dict for", vec![expr(k), expr(v)], g, at),
        ExprKind::Walrus(name, v) => Tree::new(format!("walrus {name}"), vec![expr(v)], at),
        ExprKind::Yield(v) => Tree::new("yield", vec![optional(v.as_deref(), at)], at),
        ExprKind::YieldFrom(v) => Tree::new("yield from", vec![expr(v)], at),
        ExprKind::Other(label, parts) => list(label, parts),
    }
}

/// Most pairs of nodes that a distance looks at; beyond it, differing parts count as replaced whole.
const MAX_PAIRS: u64 = 400_000;

/// Selkow's tree edit distance: nodes inserted, deleted (with all below them) or relabelled, top down. Equal subtrees
/// cost nothing to compare.
pub fn distance(a: &[Tree], b: &[Tree]) -> u64 {
    Distance { pairs: 0, rows: Vec::new() }.sequences(a, b)
}

struct Distance {
    /// Pairs of nodes looked at so far.
    pairs: u64,
    /// The rows of the tables that are being filled, one behind the other.
    rows: Vec<u64>,
}

fn total(list: &[Tree]) -> u64 {
    list.iter().fold(0_u64, |n, t| n.saturating_add(t.size))
}

impl Distance {
    fn sequences(&mut self, a: &[Tree], b: &[Tree]) -> u64 {
        // equal ends need no table
        let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
        let (a, b) = (a.get(head..).unwrap_or(&[]), b.get(head..).unwrap_or(&[]));
        let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
        let (a, b) = (a.get(..a.len() - tail).unwrap_or(&[]), b.get(..b.len() - tail).unwrap_or(&[]));
        if a.is_empty() || b.is_empty() {
            return total(a).saturating_add(total(b));
        }
        self.pairs += a.len() as u64 * b.len() as u64;
        if self.pairs > MAX_PAIRS {
            return total(a).saturating_add(total(b));
        }
        let start = self.rows.len();
        let mut sum = 0_u64;
        self.rows.push(0);
        for y in b {
            sum = sum.saturating_add(y.size);
            self.rows.push(sum);
        }
        for x in a {
            let mut diagonal = self.rows.get(start).copied().unwrap_or(0);
            let mut left = diagonal.saturating_add(x.size);
            self.put(start, left);
            for (at, y) in (start + 1..).zip(b) {
                let up = self.rows.get(at).copied().unwrap_or(0);
                let apart = left.saturating_add(y.size).min(up.saturating_add(x.size));
                let replaced = if x == y {
                    diagonal
                } else if diagonal.saturating_add(x.size.abs_diff(y.size)) >= apart {
                    // It cannot win, and the largest number says so without the recursion.
                    u64::MAX
                } else {
                    let inner = match (x.children.as_slice(), y.children.as_slice()) {
                        ([], rest) | (rest, []) => total(rest),
                        (x, y) => self.sequences(x, y),
                    };
                    diagonal.saturating_add(u64::from(x.label != y.label)).saturating_add(inner)
                };
                left = replaced.min(apart);
                diagonal = up;
                self.put(at, left);
            }
        }
        let last = self.rows.last().copied().unwrap_or(0);
        self.rows.truncate(start);
        last
    }

    fn put(&mut self, at: usize, value: u64) {
        if let Some(slot) = self.rows.get_mut(at) {
            *slot = value;
        }
    }
}
