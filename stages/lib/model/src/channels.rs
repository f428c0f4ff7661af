//! Switches in what goes into the processor and what comes out of it: lesions of whole channels.
//!
//! As in [`graph::lesion`], a switch is a parameter that is not trained: 1 lets the channel pass, to the bit; 0 puts numbers
//! in its place that stand for every node, pair and graph alike.

use graph::lesion::{switch_param, switched_value};
use graph::{Dim, NodeId, OpError, Span};

use crate::builder::Builder;

/// A channel and its switch.
#[derive(Clone, Debug)]
pub struct Channel {
    /// As the processor's interface has it: `edge_fts`, `ret`, `tri_msgs`, ...
    pub name: &'static str,
    /// Name of the parameter that is the switch.
    pub keep: String,
    /// Name of the parameter that holds the numbers, 0 to begin with.
    pub fill: String,
    /// Shape of it: H, or none for the adjacency.
    pub features: Vec<usize>,
    /// What passes, for each application of the processor.
    pub values: Vec<NodeId>,
}

/// Channels in the making.
pub(crate) struct Channels {
    /// Absent: none has a switch.
    made: Option<Vec<Channel>>,
}

impl Channels {
    pub fn new(switches: bool) -> Self {
        Self { made: switches.then(Vec::new) }
    }

    /// The value behind the switch of its channel.
    pub fn through(&mut self, net: &mut Builder, name: &'static str, value: NodeId) -> Result<NodeId, OpError> {
        let Some(made) = &mut self.made else { return Ok(value) };
        let last = net.graph.shape(value).last().and_then(Dim::as_known);
        let features: Vec<usize> = last.and_then(|size| usize::try_from(size).ok()).into_iter().collect();
        // No module's name holds this sign.
        let (keep, fill) = (format!("channel#{name}.keep"), format!("channel#{name}.fill"));
        let switch = net.graph.param(switch_param(keep.clone(), Vec::new(), 1.0), Span::default());
        let number = net.graph.param(switch_param(fill.clone(), features.clone(), 0.0), Span::default());
        let value = switched_value(&mut net.graph, value, switch, number)?;
        match made.iter_mut().find(|channel| channel.name == name) {
            Some(channel) => channel.values.push(value),
            None => made.push(Channel { name, keep, fill, features, values: vec![value] }),
        }
        Ok(value)
    }

    pub fn done(self) -> Vec<Channel> {
        self.made.unwrap_or_default()
    }
}
