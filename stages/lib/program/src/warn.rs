//! Warnings: what runs and is likely wrong.

use crate::compile::Built;
use crate::diagnostic::Diagnostic;

pub fn warnings(_built: &Built) -> Vec<Diagnostic> {
    Vec::new()
}
