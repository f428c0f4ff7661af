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
//! - *Variation*: 1, 2 or 3 genes with probability 0.6, 0.3, 0.1, which ones and their new values uniform. Without a factor
//!   the genes are those of both regions, so that an unscoped edit touches both as often as chance has it.

mod action;
mod frame;
pub mod genes;
mod motifs;
mod operator;
mod reading;
mod vary;

use schemas::Factor;

pub use motifs::{Motif, MotifError};
pub use reading::{Reading, splice};

use crate::proposer::{Brief, Directive, Draft, Operation, ProposeError, Proposer, Task};
use crate::random::Stream;
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

fn pairs(motif: &Motif) -> Vec<(String, String)> {
    motif.genes.iter().map(|(gene, value)| (gene.clone(), value.clone())).collect()
}

impl Proposer for Builtin {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn route(&self, brief: &Brief<'_>) -> Result<Factor, ProposeError> {
        let source = brief.parent.source;
        let possible = |factor| Plan::of(source, Some(factor)).is_ok();
        let operator = match (possible(Factor::Operator), possible(Factor::Action)) {
            (true, false) => 1.0,
            (false, true) => 0.0,
            (false, false) => {
                let error = Plan::of(source, Some(Factor::Operator)).err();
                return Err(ProposeError::Failed(error.unwrap_or_default()));
            }
            (true, true) => {
                let rate = |factor| brief.population.factor_record(factor).rate();
                let (o, a) = (rate(Factor::Operator), rate(Factor::Action));
                (o / (o + a)).clamp(FLOOR, 1.0 - FLOOR)
            }
        };
        let operator = brief.stream("factor").chance(operator);
        Ok(if operator { Factor::Operator } else { Factor::Action })
    }

    fn direct(&self, brief: &Brief<'_>, factor: Option<Factor>) -> Result<Directive, ProposeError> {
        let factor = factor.filter(|_| self.condition);
        let plan = Plan::of(brief.parent.source, factor).map_err(ProposeError::Failed)?;
        let mut stream = brief.stream("directive");
        let library = stream.chance(MOTIF) && self.library;
        if let Some(motif) = library.then(|| self.motif(brief, &plan, &mut stream)).flatten() {
            return Ok(Directive { text: motif.directive.clone(), label: motif.name.clone(), genes: pairs(motif) });
        }
        let child = plan.varied(&mut stream);
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
        let plan = Plan::of(source, factor).map_err(ProposeError::Failed)?;
        let mut stream = brief.stream("edit");
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
            (None, Operation::Edit | Operation::Modify) => plan.inspired(&others, &mut stream),
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
    let open = genes::count(Factor::Operator, true).saturating_mul(genes::count(Factor::Action, true));
    open.saturating_add(genes::count(Factor::Operator, false))
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
