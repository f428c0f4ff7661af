//! The list of the runs of a folder: what their rows have in common, and what must not stand in tables that are compared.

use crate::column::table;

table! {
    /// One run of a folder of runs, from its `run.json`. Rows of the run have its name and digest in their columns `run` and
    /// `settings_digest`.
    #[derive(Default)]
    pub struct RunRow = "run" {
        /// Name of the run, as its rows have it: the name of its folder when it was begun.
        Propose: run: String,
        /// Identifier that was drawn when the run was begun. Folders may be moved and copied: one id is one run.
        Propose: run_id: String,
        /// Name of the folder that the run lies in now, beside this table.
        Propose: folder: String,
        /// Digest of the settings of the experiment. Runs with different digests do not compare.
        Propose: settings_digest: String,
        /// Search method.
        Propose: method: String,
        /// CLRS algorithm.
        Propose: task: String,
        /// Seed of the search.
        Propose: seed: i64,
        /// What writes the programs.
        Propose: proposer: String,
        /// Digest of the seed program's text.
        Propose: seed_program: String,
        /// All settings in force as one JSON object: `settings ->> '$."train.steps"'`.
        Propose: settings: String,
        /// When the run was begun: UTC, as in `2026-11-27T14:05:09Z`.
        Propose: begun: String,
        /// When the run was last completed; null where it is not complete.
        Propose: finished: Option<String>,
        /// Seconds of all calls of `make search` that had something to do.
        Propose: seconds: f64,
        /// Hosts that these calls ran on, each once.
        Propose: hosts: Vec<String>,
        /// Versions of the programs, each once.
        Propose: versions: Vec<String>,
        /// Commits that the programs were built from, each once.
        Propose: commits: Vec<String>,
    }
}
