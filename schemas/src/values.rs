//! The values of columns that are more than a number or a text.

use crate::column::{ColumnType, Kind, strings, table};

strings! {
    /// The stages of the pipeline, as makers of columns.
    pub enum Stage {
        Propose = "propose",
        Check = "check",
        Train = "train",
        Score = "score",
        Select = "select",
        Confirm = "confirm",
        Transfer = "transfer",
    }
}

strings! {
    /// How far a candidate has come, or how it failed. A failed candidate keeps its row.
    #[derive(Default)]
    pub enum Status {
        /// Made, and not yet looked at. Where proposing itself failed, `failed`.
        #[default]
        Proposed = "proposed",
        /// `check` found nothing against it.
        Accepted = "accepted",
        /// `check` refused it; `diagnostics` say why.
        Rejected = "rejected",
        /// Its graph is that of another candidate, named by `duplicate_of`.
        Duplicate = "duplicate",
        /// All training seeds ran to their end.
        Trained = "trained",
        /// Training was stopped early, others of its generation being ahead; it has no fitness.
        Stopped = "stopped",
        /// Training exceeded its wall-clock limit and was killed.
        Timeout = "timeout",
        /// Training exceeded its memory limit, or the device's memory.
        Oom = "oom",
        /// Training's process died.
        Crashed = "crashed",
        /// The training loss was not finite.
        Diverged = "diverged",
        /// Anything else went wrong; `reason` says what.
        Failed = "failed",
        /// It has a fitness.
        Scored = "scored",
    }
}

strings! {
    /// What `check` says about a program.
    pub enum Verdict {
        Accept = "accept",
        AcceptWithWarning = "accept-with-warning",
        Reject = "reject",
    }
}

strings! {
    /// Whether an edit stayed within the factor that was chosen for it.
    pub enum Locality {
        Local = "local",
        Entangled = "entangled",
    }
}

strings! {
    /// Weight of a diagnostic: an error rejects the program.
    pub enum Severity {
        Error = "error",
        Warning = "warning",
        Note = "note",
    }
}

table! {
    /// One finding of `check`, at a place in the candidate's source.
    #[derive(Eq)]
    pub struct Diagnostic = "diagnostic" {
        /// `error` (rejects the program), `warning` or `note`.
        Check: severity: Severity,
        /// Kind of fault, e.g. `syntax`, `contract`, `shape`, `unsupported`, `budget`, `locality`.
        Check: category: String,
        /// Stable identifier of the rule, e.g. `E-SHAPE-BROADCAST`.
        Check: code: String,
        /// Line in the source, from 1; 0 where no line is to blame.
        Check: line: i64,
        /// Column in that line in characters, from 1; 0 where no line is to blame.
        Check: column: i64,
        /// One sentence that says what is wrong.
        Check: message: String,
        /// What to do about it, where that is known.
        Check: help: Option<String>,
    }
}

impl ColumnType for Diagnostic {
    const KIND: Kind = Kind::Struct(<Diagnostic as crate::Table>::COLUMNS);
}
