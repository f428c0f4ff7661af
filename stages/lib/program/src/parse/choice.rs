//! `match` as a chain of comparisons: patterns become conditions that bind names along the way.

use ruff_python_ast as ast;

use super::lower::Lines;
use crate::syntax::*;

impl Lines<'_> {
    /// `match` as a chain of comparisons; classes with arguments by position and `**rest` are left out.
    pub fn choice(&self, s: &ast::StmtMatch, at: At) -> StmtKind {
        let subject: Name = "$subject".into();
        let read = |at: At| Expr { kind: ExprKind::Name(subject.clone()), at };
        // looked at before any body is read: bodies hold further `match`es, and none is to be read twice
        if let Some(what) = s.cases.iter().find_map(|c| self.beyond(c)) {
            let body = s.cases.iter().flat_map(|c| self.stmts(&c.body)).collect();
            return StmtKind::Other(what, vec![self.expr(&s.subject)], body);
        }
        let mut chain: Vec<Stmt> = Vec::new();
        for case in s.cases.iter().rev() {
            let case_at = self.at(case);
            let Some(mut test) = self.pattern(&case.pattern, &read) else { continue };
            if let Some(guard) = &case.guard {
                test = Expr { kind: ExprKind::Logic(true, vec![test, self.expr(guard)]), at: case_at };
            }
            chain = vec![Stmt { kind: StmtKind::If(test, self.stmts(&case.body), chain), at: case_at }];
        }
        let target = Expr { kind: ExprKind::Name(subject.clone()), at };
        let mut body = vec![Stmt { kind: StmtKind::Assign(vec![target], self.expr(&s.subject)), at }];
        body.extend(chain);
        StmtKind::If(Expr { kind: ExprKind::Bool(true), at }, body, Vec::new())
    }

    /// What a case has that no chain of comparisons can say.
    fn beyond(&self, case: &ast::MatchCase) -> Option<&'static str> {
        let read = |at: At| Expr { kind: ExprKind::None, at };
        self.pattern(&case.pattern, &read).is_none().then_some("this pattern of 'match'")
    }

    /// The condition that a pattern stands for. Names are bound where it comes to them, as in Python: a guard behind it sees them.
    fn pattern(&self, pattern: &ast::Pattern, read: &dyn Fn(At) -> Expr) -> Option<Expr> {
        let at = self.at(pattern);
        let name = |name: &str| Expr { kind: ExprKind::Name(name.into()), at };
        let call = |function: &str, args| Expr { kind: ExprKind::Call(Box::new(name(function)), args, Vec::new()), at };
        let compare = |x: Expr, op, y: Expr| Expr { kind: ExprKind::Compare(Box::new(x), vec![(op, y)]), at };
        let text = |text: &str| Expr { kind: ExprKind::Str(text.into()), at };
        // it counts the parts of a pattern, of which the longest source has far fewer
        let int = |i: usize| Expr { kind: ExprKind::Int(i64::try_from(i).unwrap_or(i64::MAX)), at };
        let all = |tests| Some(Expr { kind: ExprKind::Logic(true, tests), at });
        let bind = |to: &str, value: Expr| {
            let bound = Expr { kind: ExprKind::Walrus(to.into(), Box::new(value)), at };
            let yes = || Expr { kind: ExprKind::Bool(true), at };
            // true, whatever is bound: a tuple that holds it is not empty
            Expr {
                kind: ExprKind::IfElse(
                    Box::new(yes()),
                    Box::new(Expr { kind: ExprKind::Tuple(vec![bound]), at }),
                    Box::new(yes()),
                ),
                at,
            }
        };
        match pattern {
            ast::Pattern::MatchValue(p) => Some(compare(read(at), CmpOp::Eq, self.expr(&p.value))),
            ast::Pattern::MatchSingleton(p) => {
                let kind = match p.value {
                    ast::Singleton::None => ExprKind::None,
                    ast::Singleton::True => ExprKind::Bool(true),
                    ast::Singleton::False => ExprKind::Bool(false),
                };
                Some(compare(read(at), CmpOp::Is, Expr { kind, at }))
            }
            ast::Pattern::MatchOr(p) => {
                let tests = p.patterns.iter().map(|p| self.pattern(p, read)).collect::<Option<Vec<_>>>()?;
                Some(Expr { kind: ExprKind::Logic(false, tests), at })
            }
            ast::Pattern::MatchAs(p) => {
                let mut tests = Vec::new();
                if let Some(inner) = &p.pattern {
                    tests.push(self.pattern(inner, read)?);
                }
                if let Some(to) = &p.name {
                    tests.push(bind(to.as_str(), read(at)));
                }
                if tests.is_empty() { Some(Expr { kind: ExprKind::Bool(true), at }) } else { all(tests) }
            }
            ast::Pattern::MatchSequence(p) => {
                let star = p.patterns.iter().position(|p| matches!(p, ast::Pattern::MatchStar(_)));
                let kinds = Expr { kind: ExprKind::Tuple(vec![name("list"), name("tuple")]), at };
                let count = p.patterns.len() - usize::from(star.is_some());
                let op = if star.is_some() { CmpOp::Ge } else { CmpOp::Eq };
                let mut tests = vec![
                    call("isinstance", vec![read(at), kinds]),
                    compare(call("len", vec![read(at)]), op, int(count)),
                ];
                for (place, inner) in p.patterns.iter().enumerate() {
                    let behind = p.patterns.len() - place;
                    // what stands behind the star is counted from the end
                    let index = || match star {
                        Some(star) if place > star => {
                            Expr { kind: ExprKind::Unary(UnOp::Neg, Box::new(int(behind))), at }
                        }
                        _ => int(place),
                    };
                    if let ast::Pattern::MatchStar(rest) = inner {
                        let Some(to) = &rest.name else { continue };
                        let stop = before(call("len", vec![read(at)]), int(behind - 1));
                        let slice = ExprKind::Slice(Some(Box::new(int(place))), Some(Box::new(stop)), None);
                        let part = ExprKind::Subscript(Box::new(read(at)), Box::new(Expr { kind: slice, at }));
                        tests.push(bind(to.as_str(), call("list", vec![Expr { kind: part, at }])));
                        continue;
                    }
                    let item = |at: At| Expr { kind: ExprKind::Subscript(Box::new(read(at)), Box::new(index())), at };
                    tests.push(self.pattern(inner, &item)?);
                }
                all(tests)
            }
            ast::Pattern::MatchMapping(p) if p.rest.is_none() => {
                let mut tests = vec![call("isinstance", vec![read(at), name("dict")])];
                for (key, inner) in p.keys.iter().zip(&p.patterns) {
                    tests.push(compare(self.expr(key), CmpOp::In, read(at)));
                    let key = || self.expr(key);
                    let item = |at: At| Expr { kind: ExprKind::Subscript(Box::new(read(at)), Box::new(key())), at };
                    tests.push(self.pattern(inner, &item)?);
                }
                all(tests)
            }
            ast::Pattern::MatchClass(p) => {
                let own = matches!(&*p.cls, ast::Expr::Name(n) if WHOLE.contains(&n.id.as_str()));
                let mut tests = vec![call("isinstance", vec![read(at), self.expr(&p.cls)])];
                match p.arguments.patterns.iter().collect::<Vec<_>>().as_slice() {
                    [] => {}
                    [one] if own => tests.push(self.pattern(one, read)?),
                    _ => return None,
                }
                for keyword in p.arguments.keywords.iter() {
                    let attr = keyword.attr.as_str();
                    tests.push(call("hasattr", vec![read(at), text(attr)]));
                    let item = |at: At| Expr { kind: ExprKind::Attribute(Box::new(read(at)), attr.into()), at };
                    tests.push(self.pattern(&keyword.pattern, &item)?);
                }
                all(tests)
            }
            ast::Pattern::MatchMapping(_) | ast::Pattern::MatchStar(_) => None,
        }
    }
}

/// Types that stand for themselves in a pattern with one argument.
const WHOLE: &[&str] = &["bool", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple"];

fn before(len: Expr, behind: Expr) -> Expr {
    let at = len.at;
    Expr { kind: ExprKind::Binary(Box::new(len), BinOp::Sub, Box::new(behind)), at }
}
