//! The parser crate's tree to ours.

use std::rc::Rc;

use graph::Span;
use ruff_python_ast as ast;
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::names::locals;
use crate::syntax::*;

pub struct Lines<'a> {
    pub source: &'a str,
    pub starts: Vec<usize>,
    /// Where bytes stand that begin no character: they count for no column.
    inner: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn new(source: &'a str) -> Self {
        let inner = source.bytes().enumerate().filter(|(_, b)| b & 0xc0 == 0x80).map(|(i, _)| i).collect();
        Self { source, starts: super::line_starts(source), inner }
    }
}

impl Lines<'_> {
    fn place(&self, offset: TextSize) -> (u32, u32) {
        let offset = usize::from(offset);
        let line = self.starts.partition_point(|&s| s <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let inner = |until: usize| self.inner.partition_point(|&at| at < until);
        let column = offset.saturating_sub(start) - (inner(offset) - inner(start)) + 1;
        // [`super::MAX_SOURCE`] leaves no room for places beyond 32 bits
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    pub fn span(&self, range: TextRange) -> Span {
        let (line, column) = self.place(range.start());
        let (end_line, end_column) = self.place(range.end());
        Span { line, column, end_line, end_column }
    }

    pub fn at(&self, node: &impl Ranged) -> At {
        At(self.span(node.range()))
    }

    pub fn stmts(&self, body: &[ast::Stmt]) -> Vec<Stmt> {
        body.iter().map(|s| self.stmt(s)).collect()
    }

    fn stmt(&self, stmt: &ast::Stmt) -> Stmt {
        let mut at = self.at(stmt);
        let kind = match stmt {
            ast::Stmt::Expr(s) => StmtKind::Expr(self.expr(&s.value)),
            ast::Stmt::Assign(s) => StmtKind::Assign(self.exprs(&s.targets), self.expr(&s.value)),
            ast::Stmt::AugAssign(s) => StmtKind::AugAssign(self.expr(&s.target), binary(s.op), self.expr(&s.value)),
            ast::Stmt::AnnAssign(s) => StmtKind::AnnAssign(
                self.expr(&s.target),
                self.expr(&s.annotation),
                s.value.as_deref().map(|v| self.expr(v)),
            ),
            ast::Stmt::Return(s) => StmtKind::Return(s.value.as_deref().map(|v| self.expr(v))),
            ast::Stmt::If(s) => {
                let mut orelse = Vec::new();
                for clause in s.elif_else_clauses.iter().rev() {
                    let body = self.stmts(&clause.body);
                    orelse = match &clause.test {
                        None => body,
                        Some(test) => {
                            let kind = StmtKind::If(self.expr(test), body, orelse);
                            vec![Stmt { kind, at: self.at(clause) }]
                        }
                    };
                }
                StmtKind::If(self.expr(&s.test), self.stmts(&s.body), orelse)
            }
            ast::Stmt::For(s) if !s.is_async => {
                StmtKind::For(self.expr(&s.target), self.expr(&s.iter), self.stmts(&s.body), self.stmts(&s.orelse))
            }
            ast::Stmt::While(s) => StmtKind::While(self.expr(&s.test), self.stmts(&s.body), self.stmts(&s.orelse)),
            ast::Stmt::With(s) if !s.is_async => {
                let items = s
                    .items
                    .iter()
                    .map(|i| (self.expr(&i.context_expr), i.optional_vars.as_deref().map(|v| self.expr(v))));
                StmtKind::With(items.collect(), self.stmts(&s.body))
            }
            ast::Stmt::Raise(s) => {
                StmtKind::Raise(s.exc.as_deref().map(|v| self.expr(v)), s.cause.as_deref().map(|v| self.expr(v)))
            }
            ast::Stmt::Assert(s) => StmtKind::Assert(self.expr(&s.test), s.msg.as_deref().map(|v| self.expr(v))),
            ast::Stmt::Import(s) => StmtKind::Import(self.aliases(&s.names)),
            ast::Stmt::ImportFrom(s) => {
                let module: Name = s.module.as_ref().map_or("", |m| m.as_str()).into();
                StmtKind::ImportFrom(module, self.aliases(&s.names), s.level)
            }
            ast::Stmt::FunctionDef(s) if s.type_params.is_some() => {
                StmtKind::Other("type parameters", Vec::new(), self.stmts(&s.body))
            }
            ast::Stmt::ClassDef(s) if s.type_params.is_some() => {
                StmtKind::Other("type parameters", Vec::new(), self.stmts(&s.body))
            }
            ast::Stmt::FunctionDef(s) if !s.is_async => {
                at = self.at(&s.name);
                let body = self.stmts(&s.body);
                let params = self.params(&s.parameters);
                let (locals, is_generator) = locals(&params, &body);
                StmtKind::Function(Rc::new(Function {
                    name: s.name.as_str().into(),
                    params,
                    body,
                    decorators: s.decorator_list.iter().map(|d| self.expr(&d.expression)).collect(),
                    returns: s.returns.as_deref().map(|r| self.expr(r)),
                    locals,
                    is_generator,
                    at,
                }))
            }
            ast::Stmt::ClassDef(s) => {
                at = self.at(&s.name);
                let arguments = s.arguments.as_deref();
                StmtKind::Class(Rc::new(Class {
                    name: s.name.as_str().into(),
                    bases: arguments.map_or_else(Vec::new, |a| self.exprs(&a.args)),
                    keywords: arguments.map_or_else(Vec::new, |a| self.keywords(&a.keywords)),
                    body: self.stmts(&s.body),
                    decorators: s.decorator_list.iter().map(|d| self.expr(&d.expression)).collect(),
                    at,
                }))
            }
            ast::Stmt::Global(s) => StmtKind::Global(s.names.iter().map(|n| n.as_str().into()).collect()),
            ast::Stmt::Nonlocal(s) => StmtKind::Nonlocal(s.names.iter().map(|n| n.as_str().into()).collect()),
            ast::Stmt::Delete(s) => StmtKind::Delete(self.exprs(&s.targets)),
            ast::Stmt::Pass(_) => StmtKind::Pass,
            ast::Stmt::Break(_) => StmtKind::Break,
            ast::Stmt::Continue(_) => StmtKind::Continue,
            ast::Stmt::Try(s) if !s.is_star => {
                let handler = |ast::ExceptHandler::ExceptHandler(h): &ast::ExceptHandler| Handler {
                    kind: h.type_.as_deref().map(|t| self.expr(t)),
                    name: h.name.as_ref().map(|n| n.as_str().into()),
                    body: self.stmts(&h.body),
                    at: self.at(h),
                };
                StmtKind::Try(Box::new(Try {
                    body: self.stmts(&s.body),
                    handlers: s.handlers.iter().map(handler).collect(),
                    orelse: self.stmts(&s.orelse),
                    finally: self.stmts(&s.finalbody),
                }))
            }
            ast::Stmt::Try(s) => {
                let mut body = self.stmts(&s.body);
                for ast::ExceptHandler::ExceptHandler(handler) in &s.handlers {
                    body.extend(self.stmts(&handler.body));
                }
                body.extend(self.stmts(&s.orelse));
                body.extend(self.stmts(&s.finalbody));
                StmtKind::Other("except*", Vec::new(), body)
            }
            ast::Stmt::Match(s) => self.choice(s, at),
            ast::Stmt::FunctionDef(s) => StmtKind::Other("async def", Vec::new(), self.stmts(&s.body)),
            ast::Stmt::For(s) => StmtKind::Other("async for", vec![self.expr(&s.iter)], self.stmts(&s.body)),
            ast::Stmt::With(s) => StmtKind::Other("async with", Vec::new(), self.stmts(&s.body)),
            ast::Stmt::TypeAlias(s) => StmtKind::Other("type", vec![self.expr(&s.value)], Vec::new()),
            ast::Stmt::IpyEscapeCommand(_) => StmtKind::Other("notebook command", Vec::new(), Vec::new()),
        };
        Stmt { kind, at }
    }

    fn aliases(&self, names: &[ast::Alias]) -> Vec<Alias> {
        let alias = |a: &ast::Alias| Alias {
            name: a.name.as_str().into(),
            asname: a.asname.as_ref().map(|n| n.as_str().into()),
            at: self.at(a),
        };
        names.iter().map(alias).collect()
    }

    fn params(&self, params: &ast::Parameters) -> Vec<Param> {
        let one = |p: &ast::Parameter, kind, default: Option<&ast::Expr>| Param {
            name: p.name.as_str().into(),
            kind,
            default: default.map(|d| self.expr(d)),
            annotation: p.annotation.as_deref().map(|a| self.expr(a)),
            at: self.at(p),
        };
        let mut out = Vec::new();
        for p in &params.posonlyargs {
            out.push(one(&p.parameter, ParamKind::PositionalOnly, p.default.as_deref()));
        }
        for p in &params.args {
            out.push(one(&p.parameter, ParamKind::Normal, p.default.as_deref()));
        }
        if let Some(p) = params.vararg.as_deref() {
            out.push(one(p, ParamKind::Star, None));
        }
        for p in &params.kwonlyargs {
            out.push(one(&p.parameter, ParamKind::KeywordOnly, p.default.as_deref()));
        }
        if let Some(p) = params.kwarg.as_deref() {
            out.push(one(p, ParamKind::DoubleStar, None));
        }
        out
    }

    fn exprs(&self, exprs: &[ast::Expr]) -> Vec<Expr> {
        exprs.iter().map(|e| self.expr(e)).collect()
    }

    fn boxed(&self, expr: &ast::Expr) -> Box<Expr> {
        Box::new(self.expr(expr))
    }

    fn keywords(&self, keywords: &[ast::Keyword]) -> Vec<Keyword> {
        let one =
            |k: &ast::Keyword| Keyword { name: k.arg.as_ref().map(|n| n.as_str().into()), value: self.expr(&k.value) };
        keywords.iter().map(one).collect()
    }

    fn generators(&self, generators: &[ast::Comprehension]) -> Vec<Generator> {
        let one = |g: &ast::Comprehension| Generator {
            target: self.expr(&g.target),
            iter: self.expr(&g.iter),
            ifs: self.exprs(&g.ifs),
        };
        generators.iter().map(one).collect()
    }

    fn pieces(&self, elements: &ast::InterpolatedStringElements, out: &mut Vec<Piece>) {
        for element in elements {
            match element {
                ast::InterpolatedStringElement::Literal(l) => out.push(Piece::Text(l.value.to_string())),
                ast::InterpolatedStringElement::Interpolation(v) => {
                    if let Some(debug) = &v.debug_text {
                        // `{x=}` prints the expression's own text first
                        let text = self.source.get(v.expression.range().to_std_range()).unwrap_or("");
                        out.push(Piece::Text(format!("{}{text}{}", debug.leading(), debug.trailing())));
                    }
                    let conversion = match v.conversion {
                        ast::ConversionFlag::None => v.debug_text.as_ref().map(|_| 'r'),
                        ast::ConversionFlag::Str => Some('s'),
                        ast::ConversionFlag::Ascii => Some('a'),
                        ast::ConversionFlag::Repr => Some('r'),
                    };
                    let mut spec = Vec::new();
                    if let Some(s) = &v.format_spec {
                        self.pieces(&s.elements, &mut spec);
                    }
                    out.push(Piece::Value(self.boxed(&v.expression), conversion, spec));
                }
            }
        }
    }

    pub fn expr(&self, expr: &ast::Expr) -> Expr {
        let at = self.at(expr);
        let kind = match expr {
            _ if is_async(expr) => ExprKind::Other("an asynchronous comprehension", Vec::new()),
            ast::Expr::NoneLiteral(_) => ExprKind::None,
            ast::Expr::EllipsisLiteral(_) => ExprKind::Ellipsis,
            ast::Expr::BooleanLiteral(e) => ExprKind::Bool(e.value),
            ast::Expr::NumberLiteral(e) => match &e.value {
                ast::Number::Int(i) => match i.as_i64() {
                    Some(i) => ExprKind::Int(i),
                    None => ExprKind::Other("an integer beyond 64 bits", Vec::new()),
                },
                ast::Number::Float(f) => ExprKind::Float(*f),
                ast::Number::Complex { .. } => ExprKind::Other("a complex number", Vec::new()),
            },
            ast::Expr::StringLiteral(e) => ExprKind::Str(e.value.to_str().into()),
            ast::Expr::BytesLiteral(_) => ExprKind::Other("a bytes literal", Vec::new()),
            ast::Expr::FString(e) => {
                let mut pieces = Vec::new();
                for part in &e.value {
                    match part {
                        ast::FStringPart::Literal(l) => pieces.push(Piece::Text(l.value.to_string())),
                        ast::FStringPart::FString(f) => self.pieces(&f.elements, &mut pieces),
                    }
                }
                ExprKind::FString(pieces)
            }
            ast::Expr::Name(e) => ExprKind::Name(e.id.as_str().into()),
            ast::Expr::Attribute(e) => ExprKind::Attribute(self.boxed(&e.value), e.attr.as_str().into()),
            ast::Expr::Subscript(e) => ExprKind::Subscript(self.boxed(&e.value), self.boxed(&e.slice)),
            ast::Expr::Slice(e) => ExprKind::Slice(
                e.lower.as_deref().map(|v| self.boxed(v)),
                e.upper.as_deref().map(|v| self.boxed(v)),
                e.step.as_deref().map(|v| self.boxed(v)),
            ),
            ast::Expr::Call(e) => {
                ExprKind::Call(self.boxed(&e.func), self.exprs(&e.arguments.args), self.keywords(&e.arguments.keywords))
            }
            ast::Expr::Starred(e) => ExprKind::Starred(self.boxed(&e.value)),
            ast::Expr::Tuple(e) => ExprKind::Tuple(self.exprs(&e.elts)),
            ast::Expr::List(e) => ExprKind::List(self.exprs(&e.elts)),
            ast::Expr::Set(e) => ExprKind::Set(self.exprs(&e.elts)),
            ast::Expr::Dict(e) => ExprKind::Dict(
                e.items.iter().map(|i| (i.key.as_ref().map(|k| self.expr(k)), self.expr(&i.value))).collect(),
            ),
            ast::Expr::BinOp(e) => ExprKind::Binary(self.boxed(&e.left), binary(e.op), self.boxed(&e.right)),
            ast::Expr::UnaryOp(e) => {
                let op = match e.op {
                    ast::UnaryOp::USub => UnOp::Neg,
                    ast::UnaryOp::UAdd => UnOp::Pos,
                    ast::UnaryOp::Not => UnOp::Not,
                    ast::UnaryOp::Invert => UnOp::Invert,
                };
                ExprKind::Unary(op, self.boxed(&e.operand))
            }
            ast::Expr::BoolOp(e) => ExprKind::Logic(e.op == ast::BoolOp::And, self.exprs(&e.values)),
            ast::Expr::Compare(e) => {
                let rest = e.ops.iter().zip(&e.comparators).map(|(op, c)| (compare(*op), self.expr(c)));
                ExprKind::Compare(self.boxed(&e.left), rest.collect())
            }
            ast::Expr::If(e) => ExprKind::IfElse(self.boxed(&e.test), self.boxed(&e.body), self.boxed(&e.orelse)),
            ast::Expr::Lambda(e) => {
                let params = e.parameters.as_deref().map_or_else(Vec::new, |p| self.params(p));
                let value = self.expr(&e.body);
                let body = vec![Stmt { at: value.at, kind: StmtKind::Return(Some(value)) }];
                let (locals, is_generator) = locals(&params, &body);
                let name = "<lambda>".into();
                let (decorators, returns) = (Vec::new(), None);
                ExprKind::Lambda(Rc::new(Function {
                    name,
                    params,
                    body,
                    decorators,
                    returns,
                    locals,
                    is_generator,
                    at,
                }))
            }
            ast::Expr::ListComp(e) => ExprKind::ListComp(self.boxed(&e.elt), self.generators(&e.generators)),
            ast::Expr::SetComp(e) => ExprKind::SetComp(self.boxed(&e.elt), self.generators(&e.generators)),
            ast::Expr::DictComp(e) => match &e.key {
                Some(key) => ExprKind::DictComp(self.boxed(key), self.boxed(&e.value), self.generators(&e.generators)),
                None => ExprKind::Other("unpacking in a dict comprehension", self.parts(&[&e.value])),
            },
            ast::Expr::Generator(e) => ExprKind::GeneratorExp(Rc::new(GeneratorExp {
                item: self.expr(&e.elt),
                generators: self.generators(&e.generators),
            })),
            ast::Expr::Named(e) => match e.target.as_ref() {
                ast::Expr::Name(name) => ExprKind::Walrus(name.id.as_str().into(), self.boxed(&e.value)),
                _ => ExprKind::Other("':=' to something else than a name", self.parts(&[&e.value])),
            },
            ast::Expr::Await(e) => ExprKind::Other("await", self.parts(&[&e.value])),
            ast::Expr::Yield(e) => ExprKind::Yield(e.value.as_deref().map(|v| self.boxed(v))),
            ast::Expr::YieldFrom(e) => ExprKind::YieldFrom(self.boxed(&e.value)),
            ast::Expr::TString(_) => ExprKind::Other("a template string", Vec::new()),
            ast::Expr::IpyEscapeCommand(_) => ExprKind::Other("a notebook command", Vec::new()),
        };
        Expr { kind, at }
    }

    fn parts(&self, exprs: &[&ast::Expr]) -> Vec<Expr> {
        exprs.iter().map(|e| self.expr(e)).collect()
    }
}

/// Whether this is a comprehension with `async for`.
fn is_async(expr: &ast::Expr) -> bool {
    let generators = match expr {
        ast::Expr::ListComp(e) => &e.generators,
        ast::Expr::SetComp(e) => &e.generators,
        ast::Expr::DictComp(e) => &e.generators,
        ast::Expr::Generator(e) => &e.generators,
        _ => return false,
    };
    generators.iter().any(|g| g.is_async)
}

fn binary(op: ast::Operator) -> BinOp {
    match op {
        ast::Operator::Add => BinOp::Add,
        ast::Operator::Sub => BinOp::Sub,
        ast::Operator::Mult => BinOp::Mul,
        ast::Operator::Div => BinOp::Div,
        ast::Operator::FloorDiv => BinOp::FloorDiv,
        ast::Operator::Mod => BinOp::Mod,
        ast::Operator::Pow => BinOp::Pow,
        ast::Operator::MatMult => BinOp::MatMul,
        ast::Operator::BitAnd => BinOp::BitAnd,
        ast::Operator::BitOr => BinOp::BitOr,
        ast::Operator::BitXor => BinOp::BitXor,
        ast::Operator::LShift => BinOp::LShift,
        ast::Operator::RShift => BinOp::RShift,
    }
}

fn compare(op: ast::CmpOp) -> CmpOp {
    match op {
        ast::CmpOp::Eq => CmpOp::Eq,
        ast::CmpOp::NotEq => CmpOp::Ne,
        ast::CmpOp::Lt => CmpOp::Lt,
        ast::CmpOp::LtE => CmpOp::Le,
        ast::CmpOp::Gt => CmpOp::Gt,
        ast::CmpOp::GtE => CmpOp::Ge,
        ast::CmpOp::Is => CmpOp::Is,
        ast::CmpOp::IsNot => CmpOp::IsNot,
        ast::CmpOp::In => CmpOp::In,
        ast::CmpOp::NotIn => CmpOp::NotIn,
    }
}
