//! A plot area with its axes, labels beside lines, and legends.

use super::{Anchor, Scale, Svg, text_width};

/// Room left of a panel for the numbers of its y axis.
pub const GUTTER: f64 = 42.0;
/// Room below a panel for the numbers and the title of its x axis.
pub const FOOT: f64 = 44.0;

/// A rectangle of the drawing in which values have places.
#[derive(Clone, Debug)]
pub struct Panel {
    pub x: Scale,
    pub y: Scale,
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Panel {
    /// Its right edge.
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Its lower edge.
    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Place of a pair of values in the drawing.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.left + self.x.place(x) * self.width, self.bottom() - self.y.place(y) * self.height)
    }

    /// Grid, ticks, and titles. The y title lies above the axis, where it reads without turning the head.
    pub fn draw(&self, svg: &mut Svg, x_title: &str, y_title: &str) {
        for (value, text) in self.y.ticks() {
            let (_, y) = self.at(self.x.low(), value);
            svg.line((self.left, y), (self.right(), y), "grid");
            svg.text((self.left - 8.0, y + 4.0), Anchor::End, "tick", &text);
        }
        let mut free_from = f64::NEG_INFINITY;
        for (value, text) in self.x.ticks() {
            let (x, _) = self.at(value, self.y.low());
            svg.line((x, self.bottom()), (x, self.bottom() + 4.0), "axis");
            let half = text_width(&text, 12.0) / 2.0;
            if x - half > free_from {
                svg.text((x, self.bottom() + 18.0), Anchor::Middle, "tick", &text);
                free_from = x + half + 4.0;
            }
        }
        svg.line((self.left, self.bottom()), (self.right(), self.bottom()), "axis");
        svg.text((self.left + self.width / 2.0, self.bottom() + 36.0), Anchor::Middle, "label", x_title);
        svg.text((self.left - GUTTER, self.top - 14.0), Anchor::Start, "label", y_title);
        let edges = [self.left, self.top, self.right(), self.bottom()];
        svg.meaning(edges, &format!("{} {}", self.x.words(), self.y.words()), [x_title, y_title]);
    }
}

/// A text beside the end of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub y: f64,
    pub class: String,
    pub text: String,
}

/// Writes labels at `x`, moved apart so that none covers another, in the range `top..bottom`.
pub fn place_labels(svg: &mut Svg, x: f64, (top, bottom): (f64, f64), labels: &[Label]) {
    const GAP: f64 = 15.0;
    let mut order: Vec<&Label> = labels.iter().collect();
    order.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut places: Vec<f64> = order.iter().map(|label| label.y).collect();
    for i in 1..places.len() {
        places[i] = places[i].max(places[i - 1] + GAP);
    }
    // what was pushed out below moves up again, and pushes its neighbours
    let mut limit = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(limit).max(top);
        limit = *place - GAP;
    }
    for (label, y) in order.iter().zip(places) {
        svg.text((x, y + 4.0), Anchor::Start, &label.class, &label.text);
    }
}

/// Rows of marks with their names at the top of a drawing; wraps at its right. A mark is drawn by its class: `line ...` as a
/// stroke, `cross ...` as a cross, `diamond ...`, `star ...`, else a dot. Returns where a panel below may
/// begin, with room for the title of its y axis.
pub fn legend(svg: &mut Svg, entries: &[(String, String)]) -> f64 {
    let (left, right) = (0.0, svg.width);
    let (mut x, mut y) = (left, 14.0);
    for (class, text) in entries {
        let width = 18.0 + text_width(text, 12.0) + 14.0;
        if x > left && x + width > right {
            x = left;
            y += 18.0;
        }
        let at = (x + 6.0, y - 4.0);
        match class.split(' ').next() {
            Some("line") => svg.line((x, at.1), (x + 13.0, at.1), class),
            Some("cross") => svg.cross(at, 3.5, class, ""),
            Some("diamond") => svg.diamond(at, 5.0, class, ""),
            Some("star") => svg.star(at, 7.0, class, ""),
            _ => svg.circle(at, 4.0, class, ""),
        }
        svg.text((x + 18.0, y), Anchor::Start, "note", text);
        x += width;
    }
    y + 44.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Format;

    #[test]
    fn labels_keep_their_distance_and_stay_inside() {
        let labels: Vec<Label> =
            (0..6).map(|i| Label { y: 100.0 - f64::from(i), class: "s0".into(), text: i.to_string() }).collect();
        let mut svg = Svg::new(200.0, 120.0);
        place_labels(&mut svg, 10.0, (0.0, 100.0), &labels);
        let mut places: Vec<f64> =
            svg.body().lines().filter_map(|line| line.split("y=\"").nth(1)?.split('"').next()?.parse().ok()).collect();
        places.sort_by(f64::total_cmp);
        assert_eq!(places.len(), 6);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 14.9), "{places:?}");
        assert!(places.iter().all(|y| *y <= 104.0));
    }

    #[test]
    fn low_values_lie_at_the_bottom() {
        let panel = Panel {
            x: Scale::count(10, 5),
            y: Scale::linear([0.0, 1.0], 5, Format::Percent),
            left: 50.0,
            top: 20.0,
            width: 100.0,
            height: 80.0,
        };
        assert_eq!(panel.at(0.0, 0.0), (50.0, 100.0));
        assert_eq!(panel.at(10.0, 1.0), (150.0, 20.0));
    }
}
