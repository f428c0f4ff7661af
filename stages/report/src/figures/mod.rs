//! The figures of the report. Each is a function from runs to a drawing with its words; none reads a file.

mod best_so_far;
mod curves;
mod descent;
mod diagnosis;
mod entanglement;
mod factors;
mod lineage;
mod losses;
mod map;
mod rates;
mod tradeoff;
mod transfer;

pub use best_so_far::{PUBLISHED, PUBLISHED_ABLATION, Published, best_so_far};
pub use curves::{accuracy, by_length, curves};
pub use descent::descent;
pub use diagnosis::diagnosis;
pub use entanglement::entanglement;
pub use factors::factors;
pub use lineage::lineage;
pub use losses::losses;
pub use map::{cells, islands};
pub use rates::rates;
pub use tradeoff::tradeoff;
pub use transfer::transfer;

use crate::draw::theme::{Medium, figure_css};
use crate::draw::{Svg, escape, number};

/// Natural width of all figures.
const WIDTH: f64 = 800.0;
/// Width of each of two panels side by side, and where the right one begins.
const HALF: f64 = 326.0;
const RIGHT: f64 = WIDTH - HALF - 12.0;
/// Room right of a panel for labels beside the ends of lines.
const BESIDE: f64 = 166.0;
/// Margin around the drawing in a file of its own.
const MARGIN: f64 = 14.0;
/// More marks than this in one figure are thinned out; the best and the improving ones always stay.
const MARKS: usize = 1500;
/// More points than this in one line are thinned out.
const LINE_POINTS: usize = 500;

/// A drawing and its words.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of its file, without extension.
    pub name: String,
    pub title: String,
    /// What a reader who does not see the drawing should know.
    pub description: String,
    /// What is shown and how it is counted.
    pub caption: String,
    pub svg: Svg,
}

impl Figure {
    /// The element for the page, which styles it.
    pub fn inline(&self) -> String {
        self.element("", self.svg.body(), 0.0)
    }

    /// The text of a file of its own: plain colours on white.
    pub fn file(&self) -> String {
        let (x, y) = (number(-MARGIN), number(-MARGIN));
        let ground = format!("<rect x=\"{x}\" y=\"{y}\" width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>");
        let style = format!("<style>\n{}</style>\n{ground}\n", figure_css(Medium::File));
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", self.element(&style, &self.svg.plain_body(), MARGIN))
    }

    fn element(&self, style: &str, body: &str, margin: f64) -> String {
        let (width, height) = (number(self.svg.width + 2.0 * margin), number(self.svg.height + 2.0 * margin));
        let corner = number(-margin);
        let (name, title, description) = (escape(&self.name), escape(&self.title), escape(&self.description));
        format!(
            "<svg class=\"figure\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{corner} {corner} {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"{name}-title {name}-desc\">\n\
             <title id=\"{name}-title\">{title}</title>\n<desc id=\"{name}-desc\">{description}</desc>\n{style}{body}</svg>\n"
        )
    }
}

/// At most `limit` of the items, evenly spread, with all that must stay. The order is kept.
fn thin<T>(items: Vec<T>, limit: usize, keep: impl Fn(&T) -> bool) -> Vec<T> {
    if items.len() <= limit {
        return items;
    }
    let (total, last) = (items.len(), items.len() - 1);
    items
        .into_iter()
        .enumerate()
        .filter(|(i, item)| *i == 0 || *i == last || i * limit / total != (i - 1) * limit / total || keep(item))
        .map(|(_, item)| item)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_ends_order_and_what_matters() {
        let kept = thin((0..10_000).collect(), 100, |i| *i == 4321);
        assert!(kept.len() <= 103, "{}", kept.len());
        assert!(kept.contains(&0) && kept.contains(&9999) && kept.contains(&4321));
        assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(thin(vec![1, 2], 5, |_| false), [1, 2]);
    }

    #[test]
    fn a_file_is_whole_and_describes_itself() {
        let figure = Figure {
            name: "a".into(),
            title: "T & t".into(),
            description: "D".into(),
            caption: String::new(),
            svg: Svg::new(10.0, 20.0),
        };
        let text = figure.file();
        assert!(text.starts_with("<?xml") && text.ends_with("</svg>\n"));
        assert!(text.contains("<title id=\"a-title\">T &amp; t</title>") && text.contains("<style>"));
        assert!(!figure.inline().contains("<style>"));
    }
}
