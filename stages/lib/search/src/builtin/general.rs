//! Edits of any region: typed changes of the parent's own text, for what the grammar of genes does not understand. Each keeps the
//! shape of what it changes, and none is proposed before the front end has accepted the whole program, found the edit local, and
//! found that it computes something new.

use program::sites::{Site, SiteKind, sites};
use program::{LocalityVerdict, Options, Verdict};
use schemas::Factor;

use crate::random::Stream;

/// Most edits that are tried before the attempt is given up.
const TRIES: usize = 40;

/// One change of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub factor: Factor,
    site: Site,
    text: String,
    /// Short label for tables.
    pub label: String,
    /// What is done, as a sentence.
    pub about: String,
}

impl Edit {
    /// The program with the edit made.
    fn apply(&self, source: &str) -> Option<String> {
        let (before, after) = (source.get(..self.site.range.start)?, source.get(self.site.range.end..)?);
        Some(format!("{before}{}{after}", self.text))
    }
}

/// All edits of some factors' regions, in a fixed order.
#[must_use]
pub fn edits(source: &str, factors: &[Factor]) -> Vec<Edit> {
    let mut found = Vec::new();
    for &factor in factors {
        for site in sites(source, factor) {
            for (label, text, what) in changes(&site.kind, factor) {
                let about = format!("In line {} (the {factor} region), {what}.", site.line);
                found.push(Edit { factor, site: site.clone(), text, label, about });
            }
        }
    }
    found
}

/// Label, new text and description of each change of a site.
fn changes(kind: &SiteKind, factor: Factor) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let mut add = |label: String, text: String, what: String| all.push((label, text, what));
    match kind {
        SiteKind::Linear { module, inputs, outputs } => {
            let plain = format!("{module}Linear({inputs}, {outputs})");
            let chain = |modules: &[String]| format!("{module}Sequential({})", modules.join(", "));
            let mut replace = |name: &str, modules: &[String], what: &str| {
                add(format!("linear={name}"), chain(modules), format!("{what} `{plain}`"));
            };
            replace("norm", &[format!("{module}LayerNorm({inputs})"), plain.clone()], "normalise the inputs of");
            for (name, module_name) in [("tanh", "Tanh"), ("relu", "ReLU"), ("gelu", "GELU")] {
                let activated = [plain.clone(), format!("{module}{module_name}()")];
                replace(name, &activated, &format!("put {module_name} behind"));
            }
            for rank in ["4", "16"] {
                let [down, up] = [
                    format!("{module}Linear({inputs}, {rank}, bias=False)"),
                    format!("{module}Linear({rank}, {outputs})"),
                ];
                replace(
                    &format!("rank{rank}"),
                    &[down.clone(), up.clone()],
                    &format!("take a product of rank {rank} in place of"),
                );
            }
            for width in ["16", "32"] {
                let layers = [
                    format!("{module}Linear({inputs}, {width})"),
                    format!("{module}ReLU()"),
                    format!("{module}Linear({width}, {outputs})"),
                ];
                replace(
                    &format!("mlp{width}"),
                    &layers,
                    &format!("take two layers of inner width {width} in place of"),
                );
            }
        }
        SiteKind::Reduction { name, operand, axis } => {
            for (other, text) in [
                ("max", format!("torch.amax({operand}, dim={axis})")),
                ("min", format!("torch.amin({operand}, dim={axis})")),
                ("mean", format!("torch.mean({operand}, dim={axis})")),
                ("logsumexp", format!("torch.logsumexp({operand}, dim={axis})")),
                ("soft", format!("torch.sum(torch.softmax({operand}, dim={axis}) * ({operand}), dim={axis})")),
            ] {
                if other != *name {
                    add(format!("{name}={other}"), text, format!("reduce with {other} in place of {name}"));
                }
            }
        }
        SiteKind::Activation { name, operand } => {
            for (other, function) in [
                ("relu", "torch.relu"),
                ("tanh", "torch.tanh"),
                ("gelu", "torch.nn.functional.gelu"),
                ("elu", "torch.nn.functional.elu"),
                ("leaky_relu", "torch.nn.functional.leaky_relu"),
            ] {
                if other != name {
                    add(
                        format!("{name}={other}"),
                        format!("{function}({operand})"),
                        format!("activate with {other} in place of {name}"),
                    );
                }
            }
        }
        // what is assigned where layers are made are sizes, elsewhere tensors
        SiteKind::Value { name, text } if factor.is_operator() => {
            add(format!("{name}=double"), format!("2 * ({text})"), format!("double `{name}`"));
            add(format!("{name}=half"), format!("max(1, ({text}) // 2)"), format!("halve `{name}`"));
        }
        SiteKind::Value { name, text } => {
            for (form, text, what) in [
                ("tanh", format!("torch.tanh({text})"), "bound with tanh"),
                ("gelu", format!("torch.nn.functional.gelu({text})"), "activate with GELU"),
                ("mirror", format!("({text}) + ({text}).transpose(1, 2)"), "make symmetric in the two nodes"),
                ("edges", format!("({text}) * adj_mat.unsqueeze(-1)"), "keep for existing edges only"),
            ] {
                add(format!("{name}={form}"), text, format!("{what}: `{name}`"));
            }
        }
    }
    all
}

/// A program that has been edited, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    pub source: String,
    pub edit: Edit,
    /// Its place among the [`edits`] of the same factors.
    pub place: usize,
}

/// Makes the edit at a place; `None` where there is none, or where it would be refused.
#[must_use]
pub fn make(source: &str, factors: &[Factor], place: usize) -> Option<Edited> {
    let parent = fingerprint(source);
    admitted(source, parent.as_deref(), edits(source, factors).into_iter().nth(place)?, place)
}

/// Makes one edit of one of the factors, uniform over those that are admitted.
#[must_use]
pub fn choose(source: &str, factors: &[Factor], stream: &mut Stream) -> Option<Edited> {
    let all = edits(source, factors);
    let parent = fingerprint(source);
    let order = stream.sample(all.len(), all.len());
    order.into_iter().take(TRIES).find_map(|place| admitted(source, parent.as_deref(), all.get(place)?.clone(), place))
}

fn admitted(source: &str, parent: Option<&str>, edit: Edit, place: usize) -> Option<Edited> {
    let child = edit.apply(source)?;
    let found = fingerprint(&child)?;
    let new = parent != Some(found.as_str());
    let local = new && program::locality(source, &child, edit.factor).verdict == LocalityVerdict::Local;
    local.then_some(Edited { source: child, edit, place })
}

/// What a program computes; `None` where it is refused.
#[must_use]
pub fn fingerprint(source: &str) -> Option<String> {
    let compiled = program::compile(source, &Options::default());
    let processor = compiled.processor.as_ref().filter(|_| compiled.verdict() != Verdict::Reject)?;
    Some(processor.fingerprint().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::tests::key;

    const TWO_HEADS: &str = include_str!("../../../../../tests/fixtures/programs/published/two_heads.py");

    #[test]
    fn edits_of_either_region_are_admitted_and_local() {
        for factor in Factor::PAPER {
            let mut seen = std::collections::BTreeSet::new();
            for slot in 0..6 {
                let edited = choose(TWO_HEADS, &[factor], &mut key(slot).stream("edit")).unwrap();
                assert_eq!(edited.edit.factor, factor);
                assert_eq!(program::locality(TWO_HEADS, &edited.source, factor).kinds, Vec::<String>::new());
                assert!(edited.edit.about.contains(factor.as_str()), "{}", edited.edit.about);
                let again = make(TWO_HEADS, &[factor], edited.place).unwrap();
                assert_eq!(again, edited);
                seen.insert(edited.source);
            }
            assert!(seen.len() > 3, "{}", seen.len());
        }
    }

    #[test]
    fn sizes_are_changed_as_sizes() {
        let labels: Vec<String> = edits(TWO_HEADS, &[Factor::OPERATOR]).into_iter().map(|edit| edit.label).collect();
        for label in ["heads=double", "n=half", "linear=mlp16", "linear=norm"] {
            assert!(labels.iter().any(|l| l == label), "{label}: {labels:?}");
        }
        assert!(choose("x = 1\n", &Factor::PAPER, &mut key(0).stream("edit")).is_none());
    }
}
