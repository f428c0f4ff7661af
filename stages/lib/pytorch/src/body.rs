//! The body of a function: those nodes of a graph that its results need, as statements.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Dim, Graph, NodeId, Op};

use crate::error::{ExportError, Result};
use crate::members::Members;
use crate::names::Names;
use crate::op::{Arg, expression, new_axes, reshaped};
use crate::text::Expr;

/// Longer expressions get a name of their own.
const INLINE: usize = 76;

/// Longer lines are broken where they are one call.
const WIDTH: usize = 118;

/// What a function computes, in Python.
#[derive(Debug)]
pub(crate) struct Body {
    pub lines: Vec<String>,
    /// The wanted values, in order.
    pub results: Vec<String>,
}

/// A function in the making.
pub(crate) struct Function<'a> {
    pub graph: &'a Graph,
    pub members: &'a Members,
    /// Values that are given, as expressions.
    pub given: BTreeMap<NodeId, String>,
    pub names: Names,
}

impl Function<'_> {
    /// Statements for all that `wanted` needs and that is not given. The indent is that of a method's body.
    pub fn body(mut self, wanted: &[NodeId]) -> Result<Body> {
        let needed = self.needed(wanted);
        let mut uses: BTreeMap<NodeId, usize> = BTreeMap::new();
        for id in &needed {
            for arg in &self.graph.node(*id).args {
                *uses.entry(*arg).or_default() += 1;
            }
        }
        for id in wanted {
            *uses.entry(*id).or_default() += 1;
        }
        let mut values: BTreeMap<NodeId, Expr> = BTreeMap::new();
        let mut lines = Vec::new();
        for (id, text) in &self.given {
            values.insert(*id, Expr::atom(text.clone()));
        }
        for id in needed {
            let expr = self.value(id, &values, &uses)?;
            let once = uses.get(&id).copied().unwrap_or_default() < 2;
            let short = expr.text.len() <= INLINE && !expr.text.contains('\n');
            let free = expr.literal.is_some() || matches!(self.graph.node(id).op, Op::Param(_));
            if free || once && short || is_name(&expr.text) {
                values.insert(id, expr);
                continue;
            }
            let name = self.names.fresh(&self.wish(id));
            let shape = graph::display(self.graph.shape(id));
            lines.extend(statement(&name, &expr.text, &shape.to_string()));
            values.insert(id, Expr::atom(name));
        }
        let missing = || ExportError::Inconsistent("a wanted value is not computed".to_owned());
        let result = |id: &NodeId| Ok(values.get(id).ok_or_else(missing)?.text.clone());
        let results = wanted.iter().map(result).collect::<Result<Vec<_>>>()?;
        Ok(Body { lines, results })
    }

    /// In order, without what is given.
    fn needed(&self, wanted: &[NodeId]) -> BTreeSet<NodeId> {
        let mut needed = BTreeSet::new();
        let mut left = wanted.to_vec();
        while let Some(id) = left.pop() {
            if !self.given.contains_key(&id) && needed.insert(id) {
                left.extend(self.graph.node(id).args.iter().copied());
            }
        }
        needed
    }

    fn value(&self, id: NodeId, values: &BTreeMap<NodeId, Expr>, uses: &BTreeMap<NodeId, usize>) -> Result<Expr> {
        let node = self.graph.node(id);
        let missing = |what: &str| ExportError::Inconsistent(format!("{what} of {} is not there", node.op.name()));
        match &node.op {
            Op::Input(_) => return Err(missing("a value")),
            Op::Param(param) => return Ok(Expr::atom(self.members.place(*param)?.expression.clone())),
            Op::Binary(graph::BinaryOp::Add) => {
                // Nothing added, as to logits without noise, is not written.
                if let [x, y] = node.args.as_slice()
                    && self.graph.node(*y).op == Op::Full(0.0)
                    && self.graph.shape(*x) == &node.shape
                    && self.graph.dtype(*x) == node.dtype
                {
                    return values.get(x).cloned().ok_or_else(|| missing("an argument"));
                }
            }
            // New axes that are made one after the other are made at once.
            Op::Reshape => {
                let mut base = node.args.first().copied().ok_or_else(|| missing("an argument"))?;
                while let Op::Reshape = self.graph.node(base).op
                    && uses.get(&base) == Some(&1)
                    && !self.given.contains_key(&base)
                    && let [before] = self.graph.node(base).args.as_slice()
                {
                    base = *before;
                }
                let shape = self.graph.shape(base);
                if new_axes(shape, &node.shape).is_some()
                    && let Some(x) = values.get(&base)
                    && x.literal.is_none()
                {
                    return Ok(reshaped(x, shape, &node.shape));
                }
            }
            Op::Linear { .. } | Op::LayerNorm { .. } => {
                if let Some(layer) = self.layer(id)? {
                    let x = node.args.first().and_then(|x| values.get(x)).ok_or_else(|| missing("an argument"))?;
                    return Ok(Expr::atom(format!("{layer}({})", x.text)));
                }
            }
            _ => {}
        }
        let arg = |id: &NodeId| {
            let expr = values.get(id).ok_or_else(|| missing("an argument"))?.clone();
            Ok(Arg { expr, shape: self.graph.shape(*id), dtype: self.graph.dtype(*id) })
        };
        expression(node, &node.args.iter().map(arg).collect::<Result<Vec<_>>>()?)
    }

    /// The layer of PyTorch's that an operation is a call of.
    fn layer(&self, id: NodeId) -> Result<Option<String>> {
        let node = self.graph.node(id);
        let mut layers = Vec::new();
        for arg in node.args.iter().skip(1) {
            let Op::Param(param) = self.graph.node(*arg).op else { return Ok(None) };
            let Some(name) = self.graph.params().get(param.index()).map(|param| param.name.clone()) else {
                return Ok(None);
            };
            let Some(layer) = self.members.place(param)?.layer.clone() else { return Ok(None) };
            layers.push((layer, name));
        }
        let Some((layer, _)) = layers.first().cloned() else { return Ok(None) };
        let ends = ["weight", "bias"];
        let own = layers
            .iter()
            .zip(ends)
            .all(|((of, name), end)| of.expression == layer.expression && name.rsplit('.').next() == Some(end));
        let whole = layers.len() == 1 + usize::from(layer.biased);
        let fits = match node.op {
            Op::LayerNorm { eps, .. } => layer.eps == Some(eps),
            _ => layer.eps.is_none(),
        };
        Ok((own && whole && fits).then_some(layer.expression))
    }

    /// What to call a value.
    fn wish(&self, id: NodeId) -> String {
        let node = self.graph.node(id);
        if let (Op::Linear { .. } | Op::LayerNorm { .. }, Some(weight)) = (&node.op, node.args.get(1))
            && let Op::Param(param) = self.graph.node(*weight).op
            && let Ok(place) = self.members.place(param)
        {
            return match &place.layer {
                Some(layer) => layer.name.clone(),
                None => place.path.replace('.', "_"),
            };
        }
        node.op.name().to_owned()
    }
}

/// An assignment; a long call is broken at its arguments.
fn statement(name: &str, text: &str, shape: &str) -> Vec<String> {
    let whole = format!("        {name} = {text}  # {shape}");
    if whole.len() <= WIDTH || text.contains('\n') {
        return vec![whole];
    }
    let Some((open, parts, close)) = broken(text) else { return vec![whole] };
    let mut lines = vec![format!("        {name} = {open}  # {shape}")];
    lines.extend(parts.iter().map(|part| format!("            {part},")));
    lines.push(format!("        {close}"));
    lines
}

/// A call's opening, its arguments, and its closing bracket; none where the text is not a single call.
fn broken(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let open = text.find('(')?;
    let is_called = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | '"');
    if open == 0 || !text.get(..open)?.chars().all(is_called) {
        return None;
    }
    let (mut depth, mut begin, mut parts, mut quoted) = (0_usize, open + 1, Vec::new(), false);
    for (at, c) in text.char_indices().skip(open) {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' => depth += 1,
            ')' | ']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    parts.push(text.get(begin..at)?.trim());
                    return (at + 1 == text.len()).then_some((text.get(..=open)?, parts, text.get(at..)?));
                }
            }
            ',' if depth == 1 => {
                parts.push(text.get(begin..at)?.trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    None
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The statements that lines need before them: sizes, and what new tensors are made of. `like`: a tensor; `axes`: where in
/// it, or in another one, B and N are.
pub(crate) fn prelude(lines: &[String], results: &[String], like: &str, sized: &str) -> Vec<String> {
    let all = || lines.iter().chain(results).map(|line| line.split("  #").next().unwrap_or(line));
    let has = |wanted: &str| all().any(|line| words(line).any(|word| word == wanted));
    let mut before = Vec::new();
    match (has("B"), has("N")) {
        (true, true) => before.push(format!("        B, N = {sized}.shape[:2]")),
        (true, false) => before.push(format!("        B = {sized}.shape[0]")),
        (false, true) => before.push(format!("        N = {sized}.shape[1]")),
        (false, false) => {}
    }
    if has("floats") {
        before.push(format!("        floats = dict(dtype={like}.dtype, device={like}.device)"));
    }
    if has("device") && all().any(|line| line.contains("device=device")) {
        before.push(format!("        device = {like}.device"));
    }
    before
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// Whether B and N are the first two axes of a shape.
pub(crate) fn is_sized(shape: &[Dim]) -> bool {
    shape.first() == Some(&Dim::b()) && shape.get(1) == Some(&Dim::n())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_calls_are_broken_at_their_arguments() {
        let parts = |text| broken(text).map(|(open, parts, close)| (open.to_owned(), parts.len(), close.to_owned()));
        assert_eq!(parts("torch.cat([a, b], dim=2)"), Some(("torch.cat(".into(), 2, ")".into())));
        assert_eq!(parts("torch.einsum(\"bik,bkj->bij\", x, y)"), Some(("torch.einsum(".into(), 3, ")".into())));
        assert_eq!(parts("self.mlp[\"0\"](F.relu(x))"), Some(("self.mlp[\"0\"](".into(), 1, ")".into())));
        assert_eq!(parts("f(x) + g(y)"), None);
        assert_eq!(parts("(x + y)"), None);
    }

    #[test]
    fn what_is_used_is_defined_before() {
        let lines = ["        eye = torch.eye(N, N, **floats)  # [N, N]".to_owned()];
        let before = prelude(&lines, &["eye".into()], "hidden", "hidden");
        assert_eq!(before.len(), 2, "{before:?}");
        assert!(before[0].contains("N = hidden.shape[1]"), "B is only in a comment: {before:?}");
        assert!(prelude(&["        x = relu(y)  # [B, N]".into()], &[], "hidden", "hidden").is_empty());
    }
}
