//! Expressions: what names and chains of attributes mean, and which of them a program may say.

use graph::Span;

use super::calls::BY_NAME;
use super::scope::{Kind, Scope};
use super::{Scan, chain};
use crate::eval::{self, Member};
use crate::rules::Rule;
use crate::syntax::*;
use crate::{vocabulary, walk};

/// Most mistakes in names for which another name is suggested.
const SUGGESTIONS: usize = 40;

impl<'a> Scan<'a> {
    pub(super) fn expr(&mut self, e: &'a Expr) {
        let span = e.at.0;
        match &e.kind {
            ExprKind::Name(name) => self.name(name, span),
            ExprKind::Attribute(base, name) => self.attribute(e, base, name),
            ExprKind::Call(function, args, keywords) => self.call(function, args, keywords),
            // to look up what a module holds changes nothing
            ExprKind::Subscript(base, index) if held_by_module(base).is_some() => {
                held_by_module(base).into_iter().for_each(|e| self.expr(e));
                self.expr(index);
            }
            ExprKind::Compare(left, rest) if is_main_guard(left, rest) => {}
            ExprKind::Lambda(f) => self.function(f),
            ExprKind::ListComp(item, g) | ExprKind::SetComp(item, g) => self.comprehension(g, &[item]),
            ExprKind::GeneratorExp(g) => self.comprehension(&g.generators, &[&g.item]),
            ExprKind::DictComp(key, value, g) => self.comprehension(g, &[key, value]),
            ExprKind::Walrus(name, value) => {
                self.definition(name, span);
                self.expr(value);
            }
            ExprKind::Other(what, parts) => {
                parts.iter().for_each(|e| self.expr(e));
                self.not_supported(what, span);
            }
            _ => walk::children(e, &mut |e| self.expr(e)),
        }
    }

    fn comprehension(&mut self, generators: &'a [Generator], items: &[&'a Expr]) {
        // the first iterable is evaluated outside
        if let Some(first) = generators.first() {
            self.expr(&first.iter);
        }
        self.scopes.push(Scope::comprehension(generators));
        for (i, g) in generators.iter().enumerate() {
            if i > 0 {
                self.expr(&g.iter);
            }
            self.store(&g.target);
            g.ifs.iter().for_each(|e| self.expr(e));
        }
        items.iter().for_each(|e| self.expr(e));
        self.scopes.pop();
    }

    /// What a name means where it stands.
    pub(super) fn kind(&self, name: &Name) -> Kind {
        for scope in self.scopes.iter().rev() {
            if let Some(kind) = scope.kind(name) {
                if kind == Kind::Global {
                    break;
                }
                // another function may bind it to a module
                let open = self.facts.nonlocal.contains(name) && self.facts.modules.contains_key(name);
                return if open { Kind::Module } else { kind };
            }
        }
        if self.facts.modules.contains_key(name) { Kind::Module } else { Kind::Global }
    }

    pub(super) fn is_module(&self, name: &Name) -> bool {
        self.kind(name) == Kind::Module
    }

    fn name(&mut self, name: &Name, span: Span) {
        match self.kind(name) {
            Kind::Local => {}
            Kind::Module => {
                let message = format!("the module '{name}' is used as a value; write out what of it is meant");
                self.refuse(Rule::ForbiddenModule, span, message);
            }
            Kind::Global if BY_NAME.contains(&&**name) => {
                self.refuse(Rule::ForbiddenBuiltin, span, format!("'{name}' may be called, but not passed on"));
            }
            Kind::Global
                if vocabulary::is_dunder(name) && !self.facts.bound.contains(name) && &**name != "__debug__" =>
            {
                let message = format!("'{name}' differs from run to run; only __name__ == \"__main__\" may be asked");
                self.refuse(Rule::ForbiddenBuiltin, span, message);
            }
            Kind::Global if vocabulary::is_other_builtin(name) => self.other_builtin(name, span),
            Kind::Global if vocabulary::has_builtin(name) || self.facts.bound.contains(name) || self.annotation => {}
            Kind::Global => {
                let near = self.suggests().then(|| vocabulary::nearest_name(name, &self.facts.bound)).flatten();
                let near = near.map(|n| format!("did you mean '{n}'?"));
                self.unknown(Rule::NameUndefined, span, (format!("the name '{name}' is not defined"), near));
            }
        }
    }

    /// Whether a name is looked up among those that are nearly the same: not for the hundredth mistake.
    fn suggests(&self) -> bool {
        self.found.unknown.len() < SUGGESTIONS
    }

    fn other_builtin(&mut self, name: &str, span: Span) {
        let message = format!("'{name}' reaches outside of the program");
        match name {
            // these only do not have a fixed value
            "id" | "hash" | "dir" | "bin" | "oct" | "hex" | "ord" | "chr" | "bytearray" | "aiter" | "anext" => {
                let said = (format!("the builtin '{name}' is not supported"), None);
                self.unknown(Rule::ForbiddenBuiltin, span, said);
            }
            _ => self.refuse(Rule::ForbiddenBuiltin, span, message),
        }
    }

    fn attribute(&mut self, e: &'a Expr, base: &'a Expr, name: &'a Name) {
        if let Some((head, parts)) = chain(e)
            && self.is_module(head)
        {
            let modules: Vec<Name> = self.facts.modules.get(head).into_iter().flatten().cloned().collect();
            for module in modules {
                self.chain(&module, &parts);
            }
            return;
        }
        // `self.__class__.__name__` only names
        if &**name == "__name__"
            && let ExprKind::Attribute(inner, class) = &base.kind
            && &**class == "__class__"
        {
            self.expr(inner);
            return;
        }
        // what the program's own object may lack only raises
        let own = matches!(&base.kind, ExprKind::Name(n) if &**n == "self" && self.kind(n) == Kind::Local);
        if !own || vocabulary::is_foreign(name) || name.starts_with('_') {
            self.attribute_name(name, e.at.0);
        }
        self.expr(base);
    }

    /// A chain of attributes behind a module.
    pub(super) fn chain(&mut self, module: &str, parts: &[(&'a Name, Span)]) {
        let mut module = module.to_string();
        let mut parts = parts.iter();
        while let Some((name, span)) = parts.next() {
            if &*module == "logging" && matches!(&***name, "getLogger" | "Logger") {
                let message = "a logger is only bound to a name: logger = logging.getLogger(__name__)";
                return self.refuse(Rule::ForbiddenModule, *span, message);
            }
            if &*module == "torch.jit" && &***name == "script" && !self.decorates {
                let message = "torch.jit.script stands above functions only, as a decorator";
                return self.refuse(Rule::ForbiddenTorch, *span, message);
            }
            if &*module == "torch" && &***name == "compile" && !self.decorates {
                let message = "torch.compile stands above functions only, as a decorator without settings";
                return self.refuse(Rule::ForbiddenTorch, *span, message);
            }
            match vocabulary::member(&module, name) {
                Some(Member::Module(inner)) => module = inner,
                Some(_) => {
                    for (name, span) in parts {
                        self.attribute_name(name, *span);
                    }
                    return;
                }
                None => return self.no_member(&module, name, *span, Rule::ForbiddenTorch),
            }
            if parts.len() == 0 {
                let message = format!("the module '{module}' is used as a value; write out what of it is meant");
                self.refuse(Rule::ForbiddenModule, *span, message);
            }
        }
    }

    pub(super) fn attribute_name(&mut self, name: &str, span: Span) {
        if vocabulary::is_dunder(name) && vocabulary::is_hidden(name) || name.ends_with("_frame") {
            self.refuse(Rule::ForbiddenAttribute, span, format!("the attribute '{name}' is out of reach"));
        } else if vocabulary::is_machinery(name) {
            let (text, help) = eval::unknown_method(name);
            let text =
                if text.contains("is not among") { format!("the attribute '{name}' is out of reach") } else { text };
            self.unknown(Rule::ForbiddenAttribute, span, (text, help));
        } else if !vocabulary::has_attribute(name) && !self.facts.defines(name) {
            let near = self.suggests().then(|| vocabulary::nearest_attribute(name)).flatten();
            let near = near.map(|n| format!("did you mean .{n}?"));
            let text = format!("the language has no attribute '{name}', and the program defines none");
            self.unknown(Rule::NameAttribute, span, (text, near));
        }
    }
}

/// The module in `module._modules`, `module._parameters` or `module._buffers`.
fn held_by_module(e: &Expr) -> Option<&Expr> {
    match &e.kind {
        ExprKind::Attribute(base, name) if matches!(&**name, "_modules" | "_parameters" | "_buffers") => Some(base),
        _ => None,
    }
}

/// `__name__ == "__main__"`
fn is_main_guard(left: &Expr, rest: &[(CmpOp, Expr)]) -> bool {
    let name = |e: &Expr| matches!(&e.kind, ExprKind::Name(n) if &**n == "__name__");
    let main = |e: &Expr| matches!(&e.kind, ExprKind::Str(t) if &**t == "__main__");
    matches!(rest, [(CmpOp::Eq | CmpOp::Ne, right)] if (name(left) && main(right)) || (main(left) && name(right)))
}
