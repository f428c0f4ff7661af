//! Places in a region where an edit of known type fits, whatever the region is about: layers, reductions, activations and
//! assigned values, each with the bytes that it takes and the texts of its parts.

use std::ops::Range;

use graph::Span;
use schemas::Factor;

use crate::compile::on_big_stack;
use crate::regions;
use crate::syntax::*;
use crate::{parse, walk};

/// What stands at a site. The fields are texts of the program.
#[allow(missing_docs, reason = "fields are named as in the form that the variant documents")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// `nn.Linear(inputs, outputs)`. `module`: what stands before `Linear`, such as `nn.`.
    Linear { module: String, inputs: String, outputs: String },
    /// `torch.max(operand, dim=axis)[0]` and its like, by the name of the reduction: `max`, `min`, `mean`, `sum` or `logsumexp`.
    Reduction { name: &'static str, operand: String, axis: String },
    /// An elementwise function without parameters: `F.relu(operand)`, `self.activation(operand)`.
    Activation { name: String, operand: String },
    /// The right-hand side of an assignment to a name.
    Value { name: String, text: String },
}

/// A place in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// What stands there.
    pub kind: SiteKind,
    /// Line in which it begins, from 1.
    pub line: u32,
    /// The bytes that an edit replaces.
    pub range: Range<usize>,
}

/// The sites of a region, in the order of the source; none where the program has no such region or is not a program.
#[must_use]
pub fn sites(source: &str, factor: Factor) -> Vec<Site> {
    on_big_stack(|| find(source, factor))
}

fn find(source: &str, factor: Factor) -> Vec<Site> {
    let (Ok(module), Some(region)) = (parse::shared(source), regions::find(source).ok().and_then(|r| r.get(factor)))
    else {
        return Vec::new();
    };
    let text = Text::new(source);
    let mut found = Vec::new();
    walk::statements(&module.body, &mut |stmt| {
        if !region.contains(stmt.at.0.line) || !region.contains(stmt.at.0.end_line) {
            return;
        }
        if let StmtKind::Assign(targets, value) = &stmt.kind
            && let [Expr { kind: ExprKind::Name(name), .. }] = targets.as_slice()
            && !matches!(value.kind, ExprKind::Lambda(_) | ExprKind::None | ExprKind::Str(_) | ExprKind::Bool(_))
        {
            let kind = |text: &str| SiteKind::Value { name: name.to_string(), text: text.to_owned() };
            found.extend(text.site(value, |value| Some(kind(value))));
        }
        walk::stmt_exprs(stmt, &mut |expr| {
            walk::expressions(expr, &mut |expr| found.extend(text.site(expr, |_| text.kind(expr))));
        });
    });
    found.sort_by_key(|site| (site.range.start, site.range.end));
    found.dedup();
    found
}

/// A source whose places can be looked up.
struct Text<'a> {
    source: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Text<'a> {
    fn new(source: &'a str) -> Self {
        let mut lines = vec![0];
        lines.extend(source.match_indices('\n').map(|(at, _)| at + 1));
        Self { source, lines }
    }

    fn offset(&self, line: u32, column: u32) -> Option<usize> {
        let begin = *self.lines.get((line as usize).checked_sub(1)?)?;
        let rest = self.source.get(begin..)?;
        let before = rest.chars().take((column as usize).checked_sub(1)?).map(char::len_utf8).sum::<usize>();
        Some(begin + before)
    }

    fn range(&self, span: Span) -> Option<Range<usize>> {
        let range = self.offset(span.line, span.column)?..self.offset(span.end_line, span.end_column)?;
        (range.start < range.end && range.end <= self.source.len()).then_some(range)
    }

    fn of(&self, expr: &Expr) -> Option<&'a str> {
        self.source.get(self.range(expr.at.0)?)
    }

    fn site(&self, expr: &Expr, kind: impl FnOnce(&str) -> Option<SiteKind>) -> Option<Site> {
        let range = self.range(expr.at.0)?;
        Some(Site { kind: kind(self.source.get(range.clone())?)?, line: expr.at.0.line, range })
    }

    fn kind(&self, expr: &Expr) -> Option<SiteKind> {
        match &expr.kind {
            // `torch.max(x, dim=1)[0]` and `torch.max(x, dim=1).values`
            ExprKind::Subscript(inner, place) if matches!(place.kind, ExprKind::Int(0)) => self.reduction(inner, true),
            ExprKind::Attribute(inner, name) if &**name == "values" => self.reduction(inner, true),
            ExprKind::Call(callee, args, keywords) => {
                self.linear(callee, args, keywords).or_else(|| self.reduction(expr, false)).or_else(|| {
                    let (name, operand) = match (&callee.kind, args.as_slice()) {
                        (ExprKind::Attribute(_, name), [operand]) if keywords.is_empty() => (name, operand),
                        _ => return None,
                    };
                    let known = ["relu", "gelu", "elu", "leaky_relu", "silu", "tanh", "activation", "mid_act"];
                    let fits = known.contains(&&**name) && !matches!(operand.kind, ExprKind::Starred(_));
                    let operand = fits.then(|| self.of(operand)).flatten()?;
                    Some(SiteKind::Activation { name: name.to_string(), operand: operand.to_owned() })
                })
            }
            _ => None,
        }
    }

    fn linear(&self, callee: &Expr, args: &[Expr], keywords: &[Keyword]) -> Option<SiteKind> {
        let module = self.of(callee)?.strip_suffix("Linear")?;
        let [inputs, outputs] = args else { return None };
        let plain = keywords.is_empty() && (module.is_empty() || module.ends_with('.'));
        let [inputs, outputs] = [self.of(inputs)?, self.of(outputs)?].map(str::to_owned);
        plain.then(|| SiteKind::Linear { module: module.to_owned(), inputs, outputs })
    }

    /// A call that reduces one axis. `picked`: its first result is taken, as `max` and `min` along an axis give two.
    fn reduction(&self, call: &Expr, picked: bool) -> Option<SiteKind> {
        let ExprKind::Call(callee, args, keywords) = &call.kind else { return None };
        let ExprKind::Attribute(base, name) = &callee.kind else { return None };
        let name = match (&**name, picked) {
            ("max", true) | ("amax", false) => "max",
            ("min", true) | ("amin", false) => "min",
            ("mean", false) => "mean",
            ("sum", false) => "sum",
            ("logsumexp", false) => "logsumexp",
            _ => return None,
        };
        let of_torch = matches!(&base.kind, ExprKind::Name(module) if &**module == "torch");
        let (operand, rest) = if of_torch { args.split_first()? } else { (&**base, args.as_slice()) };
        let axis = match (rest, keywords.as_slice()) {
            ([axis], []) => axis,
            ([], [Keyword { name: Some(name), value }]) if &**name == "dim" => value,
            _ => return None,
        };
        // several axes at once are not an axis
        let single = matches!(axis.kind, ExprKind::Int(_) | ExprKind::Unary(..));
        let (operand, axis) = (self.of(operand)?.to_owned(), self.of(axis)?.to_owned());
        single.then_some(SiteKind::Reduction { name, operand, axis })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_have_their_parts_and_their_bytes() {
        let source = "def f(self, x, ä):\n    # ===== BEGIN READOUT REGION =====\n    self.o = nn.Linear(x_size, 2 * width)\n    \
                      y = torch.max(ä + x, dim=1)[0]\n    z = (y.amax(dim=-1)\n         + self.activation(x.mean(dim=(1, 2))))\n    \
                      # ===== END READOUT REGION =====\n    return F.relu(z)\n";
        let found = sites(source, Factor::parse("READOUT").unwrap());
        let texts: Vec<&str> = found.iter().map(|site| &source[site.range.clone()]).collect();
        assert_eq!(
            texts,
            [
                "nn.Linear(x_size, 2 * width)",
                "torch.max(ä + x, dim=1)[0]",
                "torch.max(ä + x, dim=1)[0]",
                "y.amax(dim=-1)",
                "y.amax(dim=-1)\n         + self.activation(x.mean(dim=(1, 2)))",
                "self.activation(x.mean(dim=(1, 2)))",
            ]
        );
        let text = |text: &str| text.to_owned();
        let linear = SiteKind::Linear { module: text("nn."), inputs: text("x_size"), outputs: text("2 * width") };
        assert_eq!((&found[0].kind, found[0].line), (&linear, 3));
        let kinds: Vec<&SiteKind> = found.iter().map(|site| &site.kind).collect();
        assert!(kinds.contains(&&SiteKind::Reduction { name: "max", operand: text("ä + x"), axis: text("1") }));
        assert!(kinds.contains(&&SiteKind::Reduction { name: "max", operand: text("y"), axis: text("-1") }));
        let operand = text("x.mean(dim=(1, 2))");
        assert!(kinds.contains(&&SiteKind::Activation { name: text("activation"), operand }));
        assert!(sites(source, Factor::ACTION).is_empty() && sites("def", Factor::ACTION).is_empty());
    }
}
