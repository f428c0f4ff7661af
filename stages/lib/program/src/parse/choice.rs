//! `match` as a chain of comparisons.

use ruff_python_ast as ast;

use super::lower::Lines;
use crate::syntax::*;

impl Lines<'_> {
    /// `match` as a chain of comparisons; patterns that take a subject apart are left out.
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
            let mut body = Vec::new();
            let Some(mut test) = self.pattern(&case.pattern, &read, &mut body) else { continue };
            if let Some(guard) = &case.guard {
                test = Expr { kind: ExprKind::Logic(true, vec![test, self.expr(guard)]), at: case_at };
            }
            body.extend(self.stmts(&case.body));
            chain = vec![Stmt { kind: StmtKind::If(test, body, chain), at: case_at }];
        }
        let target = Expr { kind: ExprKind::Name(subject.clone()), at };
        let mut body = vec![Stmt { kind: StmtKind::Assign(vec![target], self.expr(&s.subject)), at }];
        body.extend(chain);
        StmtKind::If(Expr { kind: ExprKind::Bool(true), at }, body, Vec::new())
    }

    /// What a case has that no chain of comparisons can say.
    fn beyond(&self, case: &ast::MatchCase) -> Option<&'static str> {
        let mut bound = Vec::new();
        let read = |at: At| Expr { kind: ExprKind::None, at };
        match self.pattern(&case.pattern, &read, &mut bound) {
            None => Some("this pattern of 'match'"),
            Some(_) if case.guard.is_some() && !bound.is_empty() => Some("a guard behind a name in 'match'"),
            Some(_) => None,
        }
    }

    /// The condition that a pattern stands for; names that it binds are assigned in `body`.
    fn pattern(&self, pattern: &ast::Pattern, read: &dyn Fn(At) -> Expr, body: &mut Vec<Stmt>) -> Option<Expr> {
        let at = self.at(pattern);
        let compare = |op, value: Expr| Expr { kind: ExprKind::Compare(Box::new(read(at)), vec![(op, value)]), at };
        Some(match pattern {
            ast::Pattern::MatchValue(p) => compare(CmpOp::Eq, self.expr(&p.value)),
            ast::Pattern::MatchSingleton(p) => {
                let kind = match p.value {
                    ast::Singleton::None => ExprKind::None,
                    ast::Singleton::True => ExprKind::Bool(true),
                    ast::Singleton::False => ExprKind::Bool(false),
                };
                compare(CmpOp::Is, Expr { kind, at })
            }
            ast::Pattern::MatchOr(p) => {
                let mut inner = Vec::new();
                let tests = p.patterns.iter().map(|p| self.pattern(p, read, &mut inner)).collect::<Option<Vec<_>>>()?;
                if !inner.is_empty() {
                    return None;
                }
                Expr { kind: ExprKind::Logic(false, tests), at }
            }
            ast::Pattern::MatchAs(p) => {
                let test = match &p.pattern {
                    Some(inner) => self.pattern(inner, read, body)?,
                    None => Expr { kind: ExprKind::Bool(true), at },
                };
                if let Some(name) = &p.name {
                    let target = Expr { kind: ExprKind::Name(name.as_str().into()), at };
                    body.push(Stmt { kind: StmtKind::Assign(vec![target], read(at)), at });
                }
                test
            }
            _ => return None,
        })
    }
}
