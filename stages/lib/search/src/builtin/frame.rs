//! What a region can count on from the frozen code around it, and the writing of its lines.

use schemas::Factor;

use crate::region::Region;

/// Longest line of a rendered region, in characters.
const LINE: usize = 110;

/// The names that the frozen code offers to a region.
///
/// Written for the frame of the seed program; in other frames of the same contract the sizes are read off the tensors, a region
/// that ends its function returns, and a region that makes layers moves them.
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
    /// Whether there is a switch `self.use_triplets` around the channel that the region has to heed: frozen code does not.
    pub use_triplets: bool,
    /// Whether the activation of the module is `self.activation`.
    pub activation: bool,
    /// Whether the region ends its function, and so has to return what it computes.
    pub returns: bool,
    /// Whether layers that the region makes have to be moved to the device of the inputs: they are made at the first call, and
    /// frozen code does not.
    pub moves: bool,
    /// One step of indentation.
    step: String,
    /// The function around the region, from its `def` to the region.
    function: String,
}

impl Frame {
    /// The frame of a program around the region of a factor; `None` where the program has no such region.
    #[must_use]
    pub fn of(source: &str, factor: Factor) -> Option<Self> {
        let region = Region::find(source, factor)?;
        let frozen = region.splice("");
        let before = source.get(..region.range().start)?;
        let behind = source.get(region.range().end..)?;
        let function = function(before, region.indent);
        let known = |name: &str, otherwise: &str| {
            let assigned = function.lines().any(|line| line.trim_start().starts_with(&format!("{name} = ")));
            if assigned { name.to_owned() } else { otherwise.to_owned() }
        };
        // the first line behind the marker
        let next = behind.lines().skip(1).find(|line| !line.trim().is_empty());
        let returns = next.is_none_or(|line| width(line) < region.indent.len());
        let lazily = !function.contains("def __init__");
        Some(Self {
            indent: region.indent.to_owned(),
            z_size: known("z_size", "z.shape[-1]"),
            e_size: known("e_size", "edge_fts.shape[-1]"),
            g_size: known("g_size", "graph_fts.shape[-1]"),
            size: known("size", "self.out_size"),
            use_triplets: frozen.contains("self.use_triplets") && !function.contains("self.use_triplets"),
            activation: frozen.contains("self.activation"),
            returns: factor == Factor::ACTION && returns,
            moves: factor == Factor::OPERATOR && lazily && !behind.contains("self.to("),
            step: step(source),
            function: function.to_owned(),
        })
    }

    /// Whether the names that rendered regions read are those of the function around the region.
    #[must_use]
    pub fn offers(&self, names: &[&str]) -> bool {
        let words: Vec<&str> = self.function.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        names.iter().all(|name| words.contains(name))
    }
}

/// The function that a region of this indentation lies in, given all that stands before it.
fn function<'a>(before: &'a str, indent: &str) -> &'a str {
    let mut start = before.len();
    for line in before.split_inclusive('\n').rev() {
        start -= line.len();
        if line.trim_start().starts_with("def ") && width(line) < indent.len() {
            return before.get(start..).unwrap_or_default();
        }
    }
    before
}

fn width(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The indentation of a class's methods: one step.
fn step(source: &str) -> String {
    let methods = source.lines().filter(|line| line.trim_start().starts_with("def ") && width(line) > 0);
    let least = methods.min_by_key(|line| width(line));
    least.and_then(|line| line.get(..width(line))).map_or_else(|| " ".repeat(4), str::to_owned)
}

/// Lines of Python, with their indentation.
pub struct Lines {
    text: String,
    indent: String,
    step: String,
}

impl Lines {
    /// No lines yet.
    #[must_use]
    pub fn new(frame: &Frame) -> Self {
        Self { text: String::new(), indent: frame.indent.clone(), step: frame.step.clone() }
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
        self.indent.push_str(&self.step);
    }

    /// Ends the innermost block.
    pub fn close(&mut self) {
        let shorter = self.indent.len().saturating_sub(self.step.len());
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
