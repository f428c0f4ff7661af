//! Reading a program's genomes back from its source: proposals carry no other state.

use std::cell::RefCell;
use std::collections::VecDeque;

use schemas::Factor;

use super::frame::Frame;
use super::genes::Genome;
use super::{action, general, operator};
use crate::SEED_PROGRAM;
use crate::region::{Region, tidy};

/// The names that every rendered operator region defines, and every rendered action region uses.
pub const INTERFACE: [&str; 8] = ["t_1", "t_2", "t_3", "t_e_1", "t_e_2", "t_e_3", "t_g", "o3"];

/// The tensors that a rendered action region reads.
const ACTION_READS: [&str; 4] = ["z", "edge_fts", "graph_fts", "adj_mat"];

/// What a program's regions mean in the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Genome of the operator region; `None` where it was written by hand.
    pub operator: Option<Genome>,
    /// Genome of the action region; `None` where it was written by hand.
    pub action: Option<Genome>,
    /// Whether the action region looks for gates.
    pub open: bool,
}

/// Renders a region.
#[must_use]
pub fn render(genome: &Genome, frame: &Frame) -> String {
    match genome.factor() {
        Factor::OPERATOR => operator::render(genome, frame),
        _ => action::render(genome, frame),
    }
}

/// The program with the region of the genome's factor in its place; `None` where it has no such region.
#[must_use]
pub fn splice(source: &str, genome: &Genome) -> Option<String> {
    let frame = Frame::of(source, genome.factor())?;
    Some(Region::find(source, genome.factor())?.splice(&render(genome, &frame)))
}

impl Reading {
    /// Reads a program.
    #[must_use]
    pub fn of(source: &str) -> Self {
        let (operator, _) = region(source, Factor::OPERATOR);
        let (action, open) = region(source, Factor::ACTION);
        Self { operator, action, open }
    }

    /// The genome of a region.
    #[must_use]
    pub fn genome(&self, factor: Factor) -> Option<&Genome> {
        match factor {
            Factor::OPERATOR => self.operator.as_ref(),
            Factor::ACTION => self.action.as_ref(),
            _ => None,
        }
    }
}

/// The genome of one region, and whether it was rendered. The note in the region is believed only if the region is what
/// it would render to: whoever edits the code by hand need not care for the comment.
fn region(source: &str, factor: Factor) -> (Option<Genome>, bool) {
    let Some(region) = Region::find(source, factor) else { return (None, false) };
    let text = tidy(region.text());
    if Region::find(SEED_PROGRAM, factor).is_some_and(|seed| tidy(seed.text()) == text) {
        return (Some(Genome::seed(factor)), false);
    }
    let genome = region
        .text()
        .lines()
        .find_map(|line| line.trim().strip_prefix('#'))
        .and_then(|note| Genome::from_note(factor, note))
        .filter(|genome| Frame::of(source, factor).is_some_and(|frame| tidy(&render(genome, &frame)) == text));
    let open = genome.is_some();
    // written otherwise, and yet the seed program's channel
    let seed = || Some(Genome::seed(factor)).filter(|seed| computes(source, seed));
    (genome.or_else(seed), open)
}

thread_local! {
    /// Which regions of the last programs compute what the seed program's do.
    static PLAIN: RefCell<VecDeque<(String, Factor, bool)>> = const { RefCell::new(VecDeque::new()) };
}

/// Most answers that are remembered.
const REMEMBERED: usize = 16;

/// Whether a program computes the same with the region of a genome in the place of its own.
fn computes(source: &str, genome: &Genome) -> bool {
    let factor = genome.factor();
    if !replaceable(source, factor) {
        return false;
    }
    let known = PLAIN.with_borrow(|known| known.iter().find(|k| k.1 == factor && k.0 == source).map(|k| k.2));
    known.unwrap_or_else(|| {
        let rendered = splice(source, genome).and_then(|rendered| general::fingerprint(&rendered));
        let same = rendered.is_some() && rendered == general::fingerprint(source);
        PLAIN.with_borrow_mut(|known| {
            known.truncate(REMEMBERED - 1);
            known.push_front((source.to_owned(), factor, same));
        });
        same
    })
}

/// Whether the region of a factor can be replaced by a rendered one while the other stays as it is. The answer is
/// about names only; that the program is right as a whole is for `check` to say.
#[must_use]
pub fn replaceable(source: &str, factor: Factor) -> bool {
    let (Some(operator), Some(action)) = (Region::find(source, Factor::OPERATOR), Region::find(source, Factor::ACTION))
    else {
        return false;
    };
    let reads: &[&str] = if factor == Factor::ACTION { &ACTION_READS } else { &["z", "edge_fts", "graph_fts"] };
    if !Frame::of(source, factor).is_some_and(|frame| frame.offers(reads)) {
        return false;
    }
    match factor {
        Factor::ACTION => INTERFACE.iter().all(|name| operator.text().contains(&format!("self.{name} = "))),
        Factor::OPERATOR => {
            // What the operator region alone defines is lost with it, unless the new one defines it too.
            let frozen = operator.splice("");
            let lost = |name: &str| !INTERFACE.contains(&name) && !frozen.contains(&format!("self.{name} = "));
            !assigned(operator.text()).any(|name| lost(name) && uses(action.text(), name))
        }
        _ => false,
    }
}

/// The attributes that a text assigns: `self.name = `.
fn assigned(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix("self.")?.split_once(" = ").map(|(name, _)| name))
}

fn uses(text: &str, name: &str) -> bool {
    let attribute = format!("self.{name}");
    text.match_indices(&attribute).any(|(at, found)| {
        let next = text.get(at + found.len()..).and_then(|rest| rest.chars().next());
        !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::tests::{key, random_genome};

    #[test]
    fn the_seed_reads_as_the_seed() {
        let reading = Reading::of(SEED_PROGRAM);
        assert_eq!(reading.operator, Some(Genome::seed(Factor::OPERATOR)));
        assert_eq!(reading.action, Some(Genome::seed(Factor::ACTION)));
        assert!(!reading.open);
    }

    #[test]
    fn rendered_regions_read_back() {
        let mut stream = key(3).stream("genes");
        for _ in 0..200 {
            let (operator, action) =
                (random_genome(Factor::OPERATOR, &mut stream), random_genome(Factor::ACTION, &mut stream));
            let source = splice(&splice(SEED_PROGRAM, &operator).unwrap(), &action).unwrap();
            let expected = Reading { operator: Some(operator), action: Some(action), open: true };
            assert_eq!(Reading::of(&source), expected);
            assert!(replaceable(&source, Factor::OPERATOR) && replaceable(&source, Factor::ACTION));
        }
    }

    #[test]
    fn a_note_that_lies_is_not_believed() {
        let mut genome = Genome::seed(Factor::OPERATOR);
        genome.set("width", "16");
        let source = splice(SEED_PROGRAM, &genome).unwrap();
        assert_eq!(Reading::of(&source.replace("width = 16", "width = 12")).operator, None);
        assert_eq!(Reading::of(&source).operator, Some(genome));
    }

    #[test]
    fn regions_that_hang_together_are_not_torn_apart() {
        let custom = SEED_PROGRAM.replace("self.t_3 = nn", "self.t_3 = self.extra = nn").replace(
            "            self.o3 = nn.Linear(width, size)\n",
            "            self.o3 = nn.Linear(width, size)\n            self.mine = nn.Linear(width, width)\n",
        );
        assert!(replaceable(&custom, Factor::OPERATOR), "nothing uses self.mine");
        let custom = custom.replace("self.o3(triplets", "self.o3(self.mine(triplets)");
        assert!(!replaceable(&custom, Factor::OPERATOR));
        let renamed = SEED_PROGRAM.replace("t_1", "first");
        assert!(!replaceable(&renamed, Factor::ACTION));
        assert!(replaceable(SEED_PROGRAM, Factor::ACTION));
    }
}
