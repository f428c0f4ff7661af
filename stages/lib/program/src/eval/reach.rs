//! What depends on inputs and what gradients flow through, found once for each node.

use graph::{DType, Graph, NodeId, Op};

use super::saved::input_has_gradient;

/// Answers for the nodes so far, in their order.
#[derive(Default)]
pub struct Reach {
    from_inputs: Vec<bool>,
    gradients: Vec<bool>,
}

impl Reach {
    /// Whether a node depends on an input.
    pub fn has_input(&mut self, graph: &Graph, id: NodeId) -> bool {
        for node in graph.nodes().iter().skip(self.from_inputs.len()) {
            let own = matches!(node.op, Op::Input(_))
                || node.args.iter().any(|a| self.from_inputs.get(a.index()) == Some(&true));
            self.from_inputs.push(own);
        }
        self.from_inputs.get(id.index()) == Some(&true)
    }

    /// Whether gradients flow through a node to a parameter or to an input that an encoder makes.
    pub fn has_gradient(&mut self, graph: &Graph, id: NodeId) -> bool {
        self.follow_gradients(graph);
        self.gradients.get(id.index()) == Some(&true)
    }

    fn follow_gradients(&mut self, graph: &Graph) {
        for node in graph.nodes().iter().skip(self.gradients.len()) {
            let own = match node.op {
                _ if node.dtype != DType::Float => false,
                Op::Input(i) => input_has_gradient(graph, i),
                Op::Param(p) => graph.params().get(p.index()).is_some_and(|p| p.trainable),
                Op::Detach => false,
                _ => node.args.iter().any(|a| self.gradients.get(a.index()) == Some(&true)),
            };
            self.gradients.push(own);
        }
    }
}

/// Whether gradients flow through each node of a graph.
pub fn gradients(graph: &Graph) -> Vec<bool> {
    let mut reach = Reach::default();
    reach.follow_gradients(graph);
    reach.gradients
}
