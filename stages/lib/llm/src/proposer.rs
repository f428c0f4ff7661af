//! A session as the proposer of a search method: the method decides which steps are taken, the session takes them.

use schemas::Factor;
use search::proposer::{Brief, Directive, Draft, ProposeError, Proposer, Task};

use crate::agents::critic::LABEL;
use crate::error::excerpt;
use crate::generation::PROPOSER;
use crate::session::{Failure, Session};

impl From<Failure> for ProposeError {
    fn from(failure: Failure) -> Self {
        let ends = failure.ends_the_stage();
        let reason = failure.to_string();
        if ends { Self::Ended(reason) } else { Self::Failed(reason) }
    }
}

impl Proposer for Session {
    fn name(&self) -> &'static str {
        PROPOSER
    }

    fn route(&self, brief: &Brief<'_>) -> Result<Factor, ProposeError> {
        Ok(Session::route(self, brief)?)
    }

    fn direct(&self, brief: &Brief<'_>, factor: Option<Factor>) -> Result<Directive, ProposeError> {
        Ok(Session::direct(self, brief, factor)?)
    }

    fn write(&self, brief: &Brief<'_>, task: &Task<'_>) -> Result<Draft, ProposeError> {
        Session::write(self, brief, task)?;
        let last = self.last_source();
        let (source, idea) = last.ok_or_else(|| ProposeError::Failed("no reply had a program".to_owned()))?;
        let label = task.directive.map(|directive| directive.label.as_str()).filter(|label| !label.is_empty());
        let edit = label.map_or_else(|| idea.unwrap_or_else(|| "an edit".to_owned()), str::to_owned);
        Ok(Draft { source, edit: excerpt(&edit, 2 * LABEL) })
    }
}
