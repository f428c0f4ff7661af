//! Costs by source line.

use std::fmt::Write as _;

use graph::Processor;
use stage::terminal::aligned;

/// The program's source, each line with what it costs at B = 1 and `nodes` nodes.
pub fn explain(source: &str, processor: &Processor, nodes: i64) -> String {
    let costs = graph::costs(&processor.graph, &processor.outputs());
    let by_line = program::line_costs(processor);
    // A cost that overflows is shown as the largest number.
    let at = |dim: &graph::Dim| dim.eval(1, nodes).unwrap_or(i64::MAX);
    let total = at(&costs.macs).max(1);
    let mut text = format!(
        "Costs of one step at B = 1, N = {nodes}: parameters, multiply-accumulates (share), element operations, bytes made.\n\n"
    );
    for (number, line) in (1_u32..).zip(source.lines()) {
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
