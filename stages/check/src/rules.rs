//! What programs are checked for: the settings that matter to `check`.

use std::sync::Arc;

use schemas::Candidate;
use serde::{Deserialize, Serialize};
use stage::config::{Config, Editable, Entangled};

use crate::reach::Parents;

/// How to check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rules {
    pub options: program::Options,
    /// Nodes that `macs` is given for.
    pub train_length: i64,
    /// Batch and nodes that `peak_bytes` is given for: the largest evaluation.
    pub largest: (i64, i64),
    pub entangled: Entangled,
    /// What an edit may change where no factor was chosen.
    pub editable: Editable,
    /// Whether candidates are compared with their parents.
    pub compare: bool,
    /// What has been compiled of parents: each process has its own.
    #[serde(skip)]
    pub parents: Arc<Parents>,
}

impl Rules {
    /// The rules that follow from the settings.
    pub fn new(config: &Config) -> Self {
        let lengths = config.train.lengths.iter().copied();
        let most = |least: usize| lengths.clone().fold(least, usize::max) as i64;
        let evaluated = config.score.ood_length.max(config.score.test_length).max(config.train.val_length);
        Self {
            options: program::Options { hidden: config.network.hidden, ..program::Options::default() },
            train_length: most(0),
            largest: (config.score.batch_size.max(config.train.batch_size) as i64, most(evaluated)),
            entangled: config.propose.entangled,
            editable: config.search.editable,
            compare: true,
            parents: Arc::default(),
        }
    }

    /// Whether this candidate is refused, its edit being entangled. `frozen`: whether it reaches beyond all regions.
    pub fn rejects(&self, candidate: &Candidate, frozen: bool) -> bool {
        match self.entangled {
            Entangled::Reject => true,
            Entangled::Allow => false,
            Entangled::Auto => candidate.factor.is_some() || (frozen && self.editable == Editable::Regions),
        }
    }
}
