//! Costs by source line.

use std::fmt::Write as _;

use stage::terminal::aligned;

use crate::{Inspection, Rules};

/// The program's source, each line with what it costs at B = 1 and the longest training length; empty where the program
/// was rejected.
pub fn explain(inspection: &Inspection, rules: &Rules) -> String {
    let Some(processor) = inspection.compiled.as_ref().and_then(|compiled| compiled.processor.as_ref()) else {
        return String::new();
    };
    let costs = graph::costs(&processor.graph, &processor.outputs());
    let by_line = program::line_costs(processor);
    let at = |dim: &graph::Dim| dim.eval(1, rules.train_length).unwrap_or(i64::MAX);
    let total = at(&costs.macs).max(1);
    let mut text = format!(
        "Costs of one step at B = 1, N = {}: parameters, multiply-accumulates (share), element operations, bytes made.\n\n",
        rules.train_length
    );
    for (number, line) in (1_u32..).zip(inspection.candidate.source.lines()) {
        let figures = by_line.get(&number).map_or_else(String::new, |cost| {
            let macs = at(&cost.macs);
            let share = macs as f64 / total as f64 * 100.0;
            format!("{:>8} {macs:>10} {share:>3.0}% {:>9} {:>9}", cost.params, at(&cost.element_ops), at(&cost.bytes))
        });
        let _ = writeln!(text, "{figures:43} | {number:>4} {}", aligned(line));
    }
    let _ = writeln!(text, "\nmultiply-accumulates: {}", costs.macs);
    let _ = writeln!(text, "largest memory:       {} bytes", costs.peak_inference);
    let _ = writeln!(text, "parameters:           {}", costs.params);
    text
}
