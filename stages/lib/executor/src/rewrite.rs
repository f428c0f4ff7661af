//! A graph written again, node by node, with other operations in the place of some.

use graph::{Graph, Input, NodeId, Op, OpError};

/// The graph that `node` makes of another, and its outputs, in normal form. `node` is given the new graph, a node of the
/// old one and its arguments in the new one; inputs and parameters are copied before it is asked.
pub(crate) fn rewritten(
    graph: &Graph,
    outputs: &[NodeId],
    mut node: impl FnMut(&mut Graph, NodeId, &[NodeId]) -> Result<NodeId, OpError>,
) -> Result<(Graph, Vec<NodeId>), OpError> {
    let mut to = Graph::with_params_of(graph);
    let copy = |input: &Input| to.input(&input.name, input.shape.clone(), input.dtype, input.varies);
    let inputs: Vec<NodeId> = graph.inputs().iter().map(copy).collect();
    let mut map: Vec<NodeId> = Vec::with_capacity(graph.nodes().len());
    for id in graph.ids() {
        let old = graph.node(id);
        let new = match (&old.op, graph.param_of(id)) {
            (Op::Input(at), _) => inputs[*at as usize],
            (_, Some(known)) => to.param(known.clone(), old.span),
            _ => {
                let args: Vec<NodeId> = old.args.iter().map(|arg| map[arg.index()]).collect();
                node(&mut to, id, &args)?
            }
        };
        map.push(new);
    }
    let outputs: Vec<NodeId> = outputs.iter().map(|id| map[id.index()]).collect();
    Ok(graph::normal_form(&to, &outputs))
}
