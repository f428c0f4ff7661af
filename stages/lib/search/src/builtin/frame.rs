//! What a region can count on from the frozen code around it, and the writing of its lines.

use schemas::Factor;

use crate::region::Region;

/// Longest line of a rendered region, in characters.
const LINE: usize = 110;

/// The names that the frozen code offers to a region.
///
/// Written for the frame of the seed program; in other frames of the same contract the sizes are read off the tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Indentation of the region.
    pub indent: String,
    /// Number of features of nodes, edges and graph as they come in.
    pub z_size: String,
    /// See `z_size`.
    pub e_size: String,
    /// See `z_size`.
    pub g_size: String,
    /// Number of features that go out, H.
    pub size: String,
    /// Whether there is a switch `self.use_triplets` around the channel.
    pub use_triplets: bool,
    /// Whether the activation of the module is `self.activation`.
    pub activation: bool,
}

impl Frame {
    /// The frame of a program around the region of a factor; `None` where the program has no such region.
    #[must_use]
    pub fn of(source: &str, factor: Factor) -> Option<Self> {
        let region = Region::find(source, factor)?;
        let frozen = region.splice("");
        let known = |name: &str, otherwise: &str| {
            let assigned = frozen.lines().any(|line| line.trim_start().starts_with(&format!("{name} = ")));
            if assigned { name.to_owned() } else { otherwise.to_owned() }
        };
        Some(Self {
            indent: region.indent.to_owned(),
            z_size: known("z_size", "z.shape[-1]"),
            e_size: known("e_size", "edge_fts.shape[-1]"),
            g_size: known("g_size", "graph_fts.shape[-1]"),
            size: known("size", "self.out_size"),
            use_triplets: frozen.contains("self.use_triplets"),
            activation: frozen.contains("self.activation"),
        })
    }
}

/// Lines of Python, with their indentation.
pub struct Lines {
    text: String,
    indent: String,
}

impl Lines {
    /// No lines yet.
    #[must_use]
    pub fn new(indent: &str) -> Self {
        Self { text: String::new(), indent: indent.to_owned() }
    }

    /// One line.
    pub fn push(&mut self, line: &str) {
        self.text.push_str(&self.indent);
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A line that opens a block; what follows belongs to it.
    pub fn open(&mut self, line: &str) {
        self.push(line);
        self.indent.push_str("    ");
    }

    /// Ends the innermost block.
    pub fn close(&mut self) {
        let shorter = self.indent.len().saturating_sub(4);
        self.indent.truncate(shorter);
    }

    /// `head(arguments)`, on three lines where one would be too long.
    pub fn call(&mut self, head: &str, arguments: &[String]) {
        let inner = arguments.join(", ");
        if self.indent.len() + head.len() + inner.len() + 2 <= LINE {
            self.push(&format!("{head}({inner})"));
        } else {
            self.open(&format!("{head}("));
            self.push(&inner);
            self.close();
            self.push(")");
        }
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }
}
