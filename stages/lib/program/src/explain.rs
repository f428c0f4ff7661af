//! Where the costs of a program come from, by source line.

use std::collections::BTreeMap;

use graph::{Dim, Processor, costs};

/// The costs of one line of a program, as polynomials in B and N; for one message-passing step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineCost {
    /// Elements of the parameters that the line makes.
    pub params: u64,
    /// Multiply-accumulates of matrix products.
    pub macs: Dim,
    /// Operations on single elements.
    pub element_ops: Dim,
    /// Bytes of the values that it computes, in float32.
    pub bytes: Dim,
}

/// Costs by line, for `check --explain`. Line 0 holds what no line is known for.
pub fn line_costs(processor: &Processor) -> BTreeMap<u32, LineCost> {
    let mut lines: BTreeMap<u32, LineCost> = BTreeMap::new();
    let all = costs(&processor.graph, &processor.outputs());
    for (node, cost) in processor.graph.nodes().iter().zip(&all.per_node).filter(|(_, c)| c.live) {
        let line = lines.entry(node.span.line).or_default();
        line.macs = &line.macs + &cost.macs;
        line.element_ops = &line.element_ops + &cost.element_ops;
        line.bytes = &line.bytes + &cost.bytes;
    }
    for param in processor.graph.params().iter().filter(|p| p.trainable) {
        let count = param.shape.iter().fold(1_u64, |n, s| n.saturating_mul(*s as u64));
        let line = lines.entry(param.span.line).or_default();
        line.params = line.params.saturating_add(count);
    }
    lines.retain(|_, c| *c != LineCost::default());
    lines
}
