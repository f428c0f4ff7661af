//! A session as the proposer of a search method: the method decides which steps are taken, the session takes them.

use schemas::Factor;
use search::proposer::{Brief, Directive, Draft, Operation, ProposeError, Proposer, Task};

use crate::agents::critic::LABEL;
use crate::context::{Parent, Situation};
use crate::error::excerpt;
use crate::generation::PROPOSER;
use crate::session::{Failure, Order, Session};

impl From<Failure> for ProposeError {
    fn from(failure: Failure) -> Self {
        let ends = failure.ends_the_stage();
        let reason = failure.to_string();
        if ends { Self::Ended(reason) } else { Self::Failed(reason) }
    }
}

/// The name of an operation in `prompts/parts/operation.jinja`.
fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Edit => "edit",
        Operation::Crossover => "crossover",
        Operation::NextVersion => "next-version",
        Operation::Depart => "depart",
        Operation::CommonIdea => "common-idea",
        Operation::Modify => "modify",
        Operation::Tune => "tune",
        Operation::Simplify => "simplify",
        Operation::Random => "random",
    }
}

fn situation<'a>(brief: &Brief<'a>) -> Situation<'a> {
    let parent = Parent { id: brief.parent.id, source: brief.parent.source, row: brief.parent.row };
    Situation { parent, examples: brief.examples.clone(), rows: brief.population.rows().to_vec() }
}

impl Proposer for Session {
    fn name(&self) -> &'static str {
        PROPOSER
    }

    fn route(&self, brief: &Brief<'_>) -> Result<Factor, ProposeError> {
        Ok(Session::route(self, &situation(brief))?)
    }

    fn direct(&self, brief: &Brief<'_>, factor: Option<Factor>) -> Result<Directive, ProposeError> {
        let directive = Session::direct(self, &situation(brief), factor)?;
        Ok(Directive { text: directive.text, label: directive.label, genes: Vec::new() })
    }

    fn write(&self, brief: &Brief<'_>, task: &Task<'_>) -> Result<Draft, ProposeError> {
        let directive = task.directive.map(|directive| directive.text.as_str());
        let order = Order { operation: operation(task.operation), factor: task.factor, directive };
        Session::write(self, &situation(brief), &order)?;
        let last = self.last_source();
        let (source, idea) = last.ok_or_else(|| ProposeError::Failed("no reply had a program".to_owned()))?;
        let label = task.directive.map(|directive| directive.label.as_str()).filter(|label| !label.is_empty());
        let edit = label.map_or_else(|| idea.unwrap_or_else(|| "an edit".to_owned()), str::to_owned);
        Ok(Draft { source, edit: excerpt(&edit, 2 * LABEL) })
    }
}
