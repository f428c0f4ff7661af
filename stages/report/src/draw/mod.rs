//! Drawing: a small SVG writer, scales with good ticks, panels with axes, and the palette of page and figures.

mod panel;
mod scale;
mod svg;
pub mod theme;

pub use panel::{FOOT, GUTTER, Label, Panel, legend, place_labels};
pub use scale::{Format, Scale, short};
pub use svg::{Anchor, At, Svg, Tip, escape, number, shorten, text_width, visible};
