//! The built-in proposer: a grammar of typed architecture choices and a library of motifs. It needs neither key nor
//! network, honours the same factors as a language model does, and learns from the table alone.
//!
//! Its laws, all drawn from the attempt's own streams:
//!
//! - *Factor* (ASR): OPERATOR with probability r_O / (r_O + r_A), held within [0.2, 0.8], where r is the factor's success
//!   rate so far, (successes + 1) / (trials + 2), and a success is a child that scored above its parent.
//! - *Directive* (RC): in half of the cases a motif of the factor, with probability in proportion to the motif's own success
//!   rate, among those that would change the parent; else a variation of genes, put in words.
//! - *Motifs without a directive*: methods that write none meet the same library, so that none has ideas that others lack: in half
//!   of the cases a motif takes the place of an edit, or comes on top of what a crossover, a next version, a departure or a common
//!   idea has made. `propose.motifs = false` takes the library from all methods alike.
//! - *More factors*: among n factors each keeps the probability 0.4 / n; the rest goes by success rates.
//! - *Hand-written regions*, and factors other than the triplet channel's pair: one typed change of the region's own text
//!   (a layer's form, a reduction, an activation, a size, a mask), uniform over those that `check` admits; without a factor 1, 2 or
//!   3 of them in any region. A region that is written otherwise and computes what the seed program's does is read as genes.
//! - *Variation*: 1, 2 or 3 genes with probability 0.6, 0.3, 0.1, which ones and their new values uniform. Without a factor
//!   the genes are those of both regions, so that an unscoped edit touches both as often as chance has it.

mod action;
mod evidence;
mod frame;
mod general;
pub mod genes;
mod motifs;
mod operator;
mod reading;
mod vary;

use schemas::Factor;

pub use evidence::Evidence;
pub use motifs::{Motif, MotifError};
pub use reading::{Reading, splice};

use crate::proposer::{Brief, Directive, Draft, Operation, ProposeError, Proposer, Task};
use crate::random::Stream;
use general::Edited;
use genes::Genome;
use vary::Plan;

/// Least probability of either factor.
const FLOOR: f64 = 0.2;

/// Probability that a directive is a motif of the library.
const MOTIF: f64 = 0.5;

/// The built-in proposer.
pub struct Builtin {
    motifs: Vec<Motif>,
    /// Whether any edit draws from the library.
    library: bool,
    /// Whether the factor that was chosen bounds what is written.
    condition: bool,
}

impl Builtin {
    /// With the library that comes with the program.
    pub fn new() -> Result<Self, MotifError> {
        Ok(Self { motifs: motifs::embedded()?, library: true, condition: true })
    }

    /// With the motifs of a library in TOML.
    pub fn with_library(text: &str) -> Result<Self, MotifError> {
        Ok(Self { motifs: motifs::parse(text)?, library: true, condition: true })
    }

    /// With the library for all methods, or for none.
    #[must_use]
    pub fn with_motifs(self, library: bool) -> Self {
        Self { library, ..self }
    }

    /// Told of the factor that was chosen, or not: then it edits both regions, and chance alone keeps it to one.
    #[must_use]
    pub fn with_condition(self, condition: bool) -> Self {
        Self { condition, ..self }
    }

    /// By genes where the grammar understands what may change. Otherwise by the parent's own text, unless the operation makes a new
    /// program of genes anyway.
    fn way(&self, brief: &Brief<'_>, factor: Option<Factor>, operation: Operation) -> Result<Way, ProposeError> {
        let source = brief.parent.source;
        let marked = program::regions::factors(source);
        let plan = Plan::of(source, factor);
        if let Some(factor) = factor {
            return match plan {
                Ok(plan) if plan.understood() => Ok(Way::Genes(plan)),
                _ if !general::edits(source, &[factor]).is_empty() => Ok(Way::General(vec![factor])),
                plan => plan.map(Way::Genes).map_err(ProposeError::Failed),
            };
        }
        let grammar: Vec<Factor> = marked.iter().copied().filter(|factor| Factor::PAPER.contains(factor)).collect();
        let continues =
            matches!(operation, Operation::Edit | Operation::Modify | Operation::Tune | Operation::Simplify);
        match plan {
            Ok(plan) if grammar.len() == marked.len() && (plan.understood() || !continues) => Ok(Way::Genes(plan)),
            // each factor has its share of the edits
            Ok(plan) if plan.understood() || !continues => {
                let share = grammar.len() as f64 / marked.len().max(1) as f64;
                let others = marked.into_iter().filter(|factor| !grammar.contains(factor)).collect();
                Ok(if brief.stream("way").chance(share) { Way::Genes(plan) } else { Way::General(others) })
            }
            plan if marked.is_empty() => plan.map(Way::Genes).map_err(ProposeError::Failed),
            _ => Ok(Way::General(marked)),
        }
    }

    /// A motif for an edit that has no directive, in half of the cases.
    fn idea(&self, brief: &Brief<'_>, plan: &Plan, operation: Operation) -> Option<&Motif> {
        let own_law = matches!(operation, Operation::Tune | Operation::Simplify | Operation::Random);
        let mut stream = brief.stream("motif");
        (self.library && !own_law && stream.chance(MOTIF)).then(|| self.motif(brief, plan, &mut stream)).flatten()
    }

    /// A motif of the factor (or of either) that would change the parent, drawn by success rate.
    fn motif(&self, brief: &Brief<'_>, plan: &Plan, stream: &mut Stream) -> Option<&Motif> {
        let fitting: Vec<&Motif> = self
            .motifs
            .iter()
            .filter(|motif| plan.allows(motif.factor) && plan.with(&pairs(motif)).is_some_and(|child| child != *plan))
            .collect();
        let weights: Vec<f64> = fitting
            .iter()
            .map(|motif| brief.population.record(|row| row.edit.as_deref() == Some(motif.name.as_str())).rate())
            .collect();
        stream.weighted(&weights).and_then(|index| fitting.get(index)).copied()
    }
}

/// How an edit is made.
enum Way {
    /// By choices of genes.
    Genes(Plan),
    /// By changes of the text of one of these factors' regions.
    General(Vec<Factor>),
}

/// The gene by which a directive names an edit of the text.
const PLACE: &str = "edit";

/// Probabilities of 1, 2 and 3 changes of the text where no factor bounds them.
const CHANGES: [f64; 3] = [0.6, 0.3, 0.1];

fn nothing(factors: &[Factor]) -> ProposeError {
    let names = program::regions::names(factors);
    ProposeError::Failed(format!("the built-in proposer found no edit of {names} that check would accept"))
}

/// One change of the text within a factor, or a few in any of them.
fn general_edit(
    brief: &Brief<'_>,
    task: &Task<'_>,
    factors: &[Factor],
    stream: &mut Stream,
) -> Result<Draft, ProposeError> {
    let source = brief.parent.source;
    let told = task.directive.and_then(|directive| directive.genes.iter().find(|(gene, _)| gene == PLACE));
    let place = told.and_then(|(_, place)| place.parse().ok());
    if let Some(edited) = place.and_then(|place| general::make(source, factors, place)) {
        return Ok(Draft { source: edited.source, edit: edited.edit.label });
    }
    let bounded = factors.len() < 2;
    let count = if bounded { 1 } else { stream.weighted(&CHANGES).unwrap_or(0) + 1 };
    let (mut text, mut labels) = (source.to_owned(), Vec::new());
    for _ in 0..count {
        let Some(edited) = general::choose(&text, factors, stream) else { break };
        text = edited.source;
        labels.push(edited.edit.label);
    }
    if labels.is_empty() {
        return Err(nothing(factors));
    }
    Ok(Draft { source: text, edit: labels.join(" ") })
}

fn pairs(motif: &Motif) -> Vec<(String, String)> {
    motif.genes.iter().map(|(gene, value)| (gene.clone(), value.clone())).collect()
}

impl Proposer for Builtin {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn route(&self, brief: &Brief<'_>) -> Result<Factor, ProposeError> {
        let source = brief.parent.source;
        let possible =
            |factor: &Factor| Plan::of(source, Some(*factor)).is_ok() || !general::edits(source, &[*factor]).is_empty();
        let factors: Vec<Factor> = brief.parent.factors().into_iter().filter(possible).collect();
        let rate = |factor: &Factor| brief.population.factor_record(*factor).rate();
        let mut stream = brief.stream("factor");
        let chosen = match factors.as_slice() {
            [one, other] => {
                let first = (rate(one) / (rate(one) + rate(other))).clamp(FLOOR, 1.0 - FLOOR);
                Some(if stream.chance(first) { *one } else { *other })
            }
            factors => {
                let total: f64 = factors.iter().map(rate).sum();
                // as much above the floor as the rates leave
                let floor = 2.0 * FLOOR / factors.len().max(1) as f64;
                let weights: Vec<f64> =
                    factors.iter().map(|factor| floor + (1.0 - 2.0 * FLOOR) * rate(factor) / total).collect();
                stream.weighted(&weights).and_then(|index| factors.get(index)).copied()
            }
        };
        chosen.ok_or_else(|| {
            let error = Plan::of(source, None).err();
            ProposeError::Failed(error.unwrap_or_else(|| "the parent's regions have nothing to edit".to_owned()))
        })
    }

    fn direct(&self, brief: &Brief<'_>, factor: Option<Factor>) -> Result<Directive, ProposeError> {
        let factor = factor.filter(|_| self.condition);
        let mut stream = brief.stream("directive");
        let plan = match self.way(brief, factor, Operation::Edit)? {
            Way::General(factors) => {
                let edited = general::choose(brief.parent.source, &factors, &mut stream);
                let Edited { edit, place, .. } = edited.ok_or_else(|| nothing(&factors))?;
                let genes = vec![(PLACE.to_owned(), place.to_string())];
                return Ok(Directive { text: edit.about, label: edit.label, genes });
            }
            Way::Genes(plan) => plan,
        };
        let library = stream.chance(MOTIF) && self.library;
        if let Some(motif) = library.then(|| self.motif(brief, &plan, &mut stream)).flatten() {
            return Ok(Directive { text: motif.directive.clone(), label: motif.name.clone(), genes: pairs(motif) });
        }
        let child = match brief.diagnosis.map(Evidence::of) {
            Some(evidence) => plan.guided(&evidence, &mut stream),
            None => plan.varied(&mut stream),
        };
        let changes = child.differences(&plan);
        let words: Vec<String> =
            changes.iter().map(|(gene, value)| format!("{} to {value}", vary::about(gene))).collect();
        Ok(Directive {
            text: format!("Change {}.", words.join("; ")),
            label: vary::label(&changes),
            genes: changes.iter().map(|&(gene, value)| (gene.to_owned(), value.to_owned())).collect(),
        })
    }

    fn write(&self, brief: &Brief<'_>, task: &Task<'_>) -> Result<Draft, ProposeError> {
        let source = brief.parent.source;
        let factor = task.factor.filter(|_| self.condition);
        let mut stream = brief.stream("edit");
        let plan = match self.way(brief, factor, task.operation)? {
            Way::General(factors) => return general_edit(brief, task, &factors, &mut stream),
            Way::Genes(plan) => plan,
        };
        let others: Vec<Plan> =
            brief.examples.iter().flatten().filter_map(|row| Plan::of(&row.source, factor).ok()).collect();
        let directed = task.directive.filter(|directive| !directive.genes.is_empty());
        let replaces = matches!(task.operation, Operation::Edit | Operation::Modify);
        let motif = if directed.is_some() { None } else { self.idea(brief, &plan, task.operation) };
        let placed = motif.filter(|_| replaces).and_then(|motif| Some((motif, plan.with(&pairs(motif))?)));
        if let Some((motif, child)) = placed {
            let source = child.render(source, &plan).map_err(ProposeError::Failed)?;
            return Ok(Draft { source, edit: motif.name.clone() });
        }
        let child = match (directed, task.operation) {
            (Some(directive), _) => plan.with(&directive.genes).unwrap_or_else(|| plan.varied(&mut stream)),
            (None, Operation::Edit | Operation::Modify) => match brief.diagnosis.map(Evidence::of) {
                Some(evidence) if others.is_empty() => plan.guided(&evidence, &mut stream),
                _ => plan.inspired(&others, &mut stream),
            },
            (None, Operation::Crossover) => plan.crossed(&others, &mut stream),
            (None, Operation::NextVersion) => plan.continued(&others, &mut stream),
            (None, Operation::Depart) => plan.departed(&others, &mut stream),
            (None, Operation::CommonIdea) => plan.common(&others, &mut stream),
            (None, Operation::Tune) => plan.tuned(&mut stream),
            (None, Operation::Simplify) => plan.simplified(&mut stream),
            (None, Operation::Random) => plan.random(&mut stream),
        };
        let child = motif.and_then(|motif| child.with(&pairs(motif))).unwrap_or(child);
        let edit = match directed {
            Some(directive) => directive.label.clone(),
            None if task.operation == Operation::Random => "random genome".to_owned(),
            None => vary::label(&child.differences(&plan)),
        };
        let source = child.render(source, &plan).map_err(ProposeError::Failed)?;
        Ok(Draft { source, edit })
    }
}

/// How many distinct programs the grammar has in the frame of the seed program: every operator with every action, and
/// the operators without gates with the seed's own action.
#[must_use]
pub fn size() -> usize {
    let open = genes::count(Factor::OPERATOR, true).saturating_mul(genes::count(Factor::ACTION, true));
    open.saturating_add(genes::count(Factor::OPERATOR, false))
}

/// Draws any settled genome of a factor, all genes uniform: for tests of the grammar as a whole.
#[must_use]
pub fn random_genome(factor: Factor, stream: &mut Stream) -> Genome {
    let mut genome = Genome::seed(factor);
    for gene in genes::genes_of(factor) {
        if let Some(value) = stream.choose(gene.values) {
            genome.set(gene.name, value);
        }
    }
    genome.settled(true)
}

#[cfg(test)]
pub(crate) mod tests;
