//! A writer of SVG elements. It knows classes, not colours: those come from the theme's style sheet, so that one drawing
//! serves the page (light and dark) and the stand-alone file.

use std::fmt::Write;

/// How the attributes begin that say which candidates marks stand for.
const CANDIDATE: &str = " data-c=\"";
const CANDIDATES: &str = " data-cs=\"";
/// How the attribute begins that says what the places of a panel mean.
const PANEL: &str = " data-panel=\"";

/// Where a text is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A place in a drawing.
pub type At = (f64, f64);

/// What is said of a mark when the pointer rests on it, and which candidate it stands for ([`Run::key`](crate::run::Run::key)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tip {
    pub text: String,
    pub candidate: Option<String>,
}

impl From<&str> for Tip {
    fn from(text: &str) -> Self {
        Self { text: text.into(), candidate: None }
    }
}

impl From<&String> for Tip {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<&Tip> for Tip {
    fn from(tip: &Tip) -> Self {
        tip.clone()
    }
}

/// The elements of a drawing of `width` x `height` units (CSS pixels at natural size).
#[derive(Clone, Debug)]
pub struct Svg {
    pub width: f64,
    pub height: f64,
    body: String,
}

impl Svg {
    /// An empty drawing of this size, in pixels.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    /// The elements drawn so far, without the `<svg>` around them.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Draws a line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (number(from.0), number(from.1), number(to.0), number(to.1));
        self.push(format_args!(r#"<path class="{class}" d="M{x1} {y1}L{x2} {y2}"/>"#));
    }

    /// An open line through the points. Fewer than two points draw nothing.
    pub fn polyline(&mut self, points: &[(f64, f64)], class: &str) {
        if points.len() < 2 {
            return;
        }
        let mut path = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            let _ = write!(path, "{}{} {}", if i == 0 { 'M' } else { 'L' }, number(*x), number(*y));
        }
        self.push(format_args!(r#"<path class="{class}" d="{path}"/>"#));
    }

    /// A line of horizontal and vertical strokes: each value holds until the next x.
    pub fn steps(&mut self, points: &[(f64, f64)], class: &str) {
        let Some((first, rest)) = points.split_first() else { return };
        let mut path = format!("M{} {}", number(first.0), number(first.1));
        let mut y = first.1;
        for point in rest {
            let _ = write!(path, "H{}", number(point.0));
            if point.1 != y {
                let _ = write!(path, "V{}", number(point.1));
                y = point.1;
            }
        }
        if !rest.is_empty() {
            self.push(format_args!(r#"<path class="{class}" d="{path}"/>"#));
        }
    }

    /// Lines from each first place to its second: down, then to the right. One element for all of them.
    pub fn elbows(&mut self, lines: &[(At, At)], class: &str) {
        if lines.is_empty() {
            return;
        }
        let mut path = String::new();
        for (from, to) in lines {
            let _ = write!(path, "M{} {}", number(from.0), number(from.1));
            if to.1 != from.1 {
                let _ = write!(path, "V{}", number(to.1));
            }
            let _ = write!(path, "H{}", number(to.0));
        }
        self.push(format_args!(r#"<path class="{class}" d="{path}"/>"#));
    }

    /// The area between two lines over the same x, which hold their values as in [`steps`](Self::steps).
    pub fn band(&mut self, low: &[(f64, f64)], high: &[(f64, f64)], class: &str) {
        let mut corners: Vec<(f64, f64)> = corners(low);
        corners.extend(self::corners(high).into_iter().rev());
        if corners.len() < 4 {
            return;
        }
        let mut path = String::new();
        for (i, (x, y)) in corners.iter().enumerate() {
            let _ = write!(path, "{}{} {}", if i == 0 { 'M' } else { 'L' }, number(*x), number(*y));
        }
        self.push(format_args!(r#"<path class="{class}" d="{path}Z"/>"#));
    }

    /// A circle; `tip` is shown when the pointer rests on it, and read out by screen readers.
    pub fn circle(&mut self, at: (f64, f64), radius: f64, class: &str, tip: impl Into<Tip>) {
        let (x, y, r) = (number(at.0), number(at.1), number(radius));
        self.tipped(format_args!(r#"<circle class="{class}" cx="{x}" cy="{y}" r="{r}""#), "circle", &tip.into());
    }

    /// A square on its corner.
    pub fn diamond(&mut self, at: (f64, f64), radius: f64, class: &str, tip: impl Into<Tip>) {
        let (x, y, r) = (at.0, at.1, radius);
        let (left, right, top, bottom) = (number(x - r), number(x + r), number(y - r), number(y + r));
        let (x, y) = (number(x), number(y));
        let path = format!("M{x} {top}L{right} {y}L{x} {bottom}L{left} {y}Z");
        self.tipped(format_args!(r#"<path class="{class}" d="{path}""#), "path", &tip.into());
    }

    /// A five-pointed star.
    pub fn star(&mut self, at: (f64, f64), radius: f64, class: &str, tip: impl Into<Tip>) {
        let mut path = String::new();
        for i in 0..10u8 {
            let angle = std::f64::consts::PI * (f64::from(i) / 5.0 - 0.5);
            let r = if i % 2 == 0 { radius } else { radius * 0.45 };
            let (x, y) = (at.0 + r * angle.cos(), at.1 + r * angle.sin());
            let _ = write!(path, "{}{} {}", if i == 0 { 'M' } else { 'L' }, number(x), number(y));
        }
        self.tipped(format_args!(r#"<path class="{class}" d="{path}Z""#), "path", &tip.into());
    }

    /// A small cross: something that came to nothing.
    pub fn cross(&mut self, at: (f64, f64), radius: f64, class: &str, tip: impl Into<Tip>) {
        let (left, right) = (number(at.0 - radius), number(at.0 + radius));
        let (top, bottom) = (number(at.1 - radius), number(at.1 + radius));
        let path = format!("M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}");
        self.tipped(format_args!(r#"<path class="{class}" d="{path}""#), "path", &tip.into());
    }

    /// Draws a rectangle, with what it says under the pointer.
    pub fn rect(&mut self, at: (f64, f64), size: (f64, f64), class: &str, tip: impl Into<Tip>) {
        let (x, y, w, h) = (number(at.0), number(at.1), number(size.0.max(0.0)), number(size.1.max(0.0)));
        self.tipped(
            format_args!(r#"<rect class="{class}" x="{x}" y="{y}" width="{w}" height="{h}" rx="2""#),
            "rect",
            &tip.into(),
        );
    }

    /// Writes a text.
    pub fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let (x, y) = (number(at.0), number(at.1));
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        self.push(format_args!(r#"<text class="{class}" x="{x}" y="{y}"{anchor}>{}</text>"#, escape(text)));
    }

    fn tipped(&mut self, open: std::fmt::Arguments<'_>, tag: &str, tip: &Tip) {
        let of = tip.candidate.as_ref().map_or(String::new(), |key| format!("{CANDIDATE}{}\"", escape(key)));
        if tip.text.is_empty() {
            self.push(format_args!("{open}{of}/>"));
        } else {
            self.push(format_args!("{open}{of}><title>{}</title></{tag}>", escape(&tip.text)));
        }
    }

    /// Dots of one class as one element, each with the number of its row: for figures with very many of them.
    pub fn dots(&mut self, class: &str, dots: &[(At, String)]) {
        if dots.is_empty() {
            return;
        }
        let mut path = String::new();
        for (at, _) in dots {
            let _ = write!(path, "M{} {}h0", number(at.0), number(at.1));
        }
        let keys: Vec<String> = dots.iter().map(|(_, key)| escape(key)).collect();
        self.push(format_args!("<path class=\"{class}\" d=\"{path}\"{CANDIDATES}{}\"/>", keys.join(" ")));
    }

    /// Says what places within a panel mean: its edges, the ranges of its axes, and their titles.
    pub fn meaning(&mut self, edges: [f64; 4], axes: &str, titles: [&str; 2]) {
        let edges: Vec<String> = edges.iter().map(|edge| number(*edge)).collect();
        let said = escape(&format!("{} {axes}|{}|{}", edges.join(" "), titles[0], titles[1]));
        self.push(format_args!("<g{PANEL}{said}\"/>"));
    }

    /// The elements without what only the page has a use for.
    pub fn plain_body(&self) -> String {
        let mut out = String::with_capacity(self.body.len());
        let mut rest = self.body.as_str();
        while let Some(at) = [CANDIDATE, CANDIDATES, PANEL].iter().filter_map(|mark| rest.find(mark)).min() {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            // The value is escaped: the second quotation mark ends it.
            rest = from.splitn(3, '"').nth(2).unwrap_or_default();
        }
        out + rest
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }
}

/// The corners of a line whose values hold until the next x.
fn corners(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut list: Vec<(f64, f64)> = Vec::new();
    for point in points {
        if let Some(last) = list.last().copied().filter(|last| last.1 != point.1) {
            list.push((point.0, last.1));
        }
        list.push(*point);
    }
    list
}

/// A coordinate with at most two decimals, without trailing zeros. What is not finite becomes 0: a drawing must stay valid.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "0".into();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Text for XML and HTML, in elements and in quoted attributes. Characters that XML does not allow, and those that turn
/// the direction of the text around them, become visible marks.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(visible(c)),
        }
    }
    out
}

/// The character itself, or U+FFFD for one that must not reach a reader's screen as it is.
pub fn visible(c: char) -> char {
    match c {
        '\t' | '\n' => c,
        c if stage::terminal::steers(c) => '\u{fffd}',
        c => c,
    }
}

/// The text with at most `limit` characters, the end cut off with an ellipsis; white space runs become one space.
pub fn shorten(text: &str, limit: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(limit) {
        Some(_) => {
            let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
        None => text,
    }
}

/// Width of a text in a sans-serif of this size, roughly: there is no font to measure with.
pub fn text_width(text: &str, size: f64) -> f64 {
    let units: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' | ' ' | 'f' | 't' | 'r' => 0.36,
            'm' | 'w' | 'M' | 'W' | '%' => 0.88,
            c if c.is_uppercase() => 0.68,
            _ => 0.6,
        })
        .sum();
    units * size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_finite() {
        assert_eq!(number(1.0), "1");
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(12.345), "12.35");
        assert_eq!(number(10.0), "10");
        assert_eq!(number(f64::NAN), "0");
    }

    #[test]
    fn text_cannot_leave_its_element() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text((0.0, 0.0), Anchor::Start, "t", "</text><script>alert('1')</script>\u{0}\u{202e}");
        svg.circle((1.0, 1.0), 2.0, "d", "a \"b\" & <c>");
        assert!(!svg.body().contains("<script"));
        assert!(svg.body().contains("&lt;/text&gt;&lt;script&gt;alert(&#39;1&#39;)"));
        assert!(svg.body().contains("a &quot;b&quot; &amp; &lt;c&gt;"));
        assert!(!svg.body().contains('\u{0}') && !svg.body().contains('\u{202e}'));
    }

    #[test]
    fn long_text_is_cut_with_an_ellipsis() {
        assert_eq!(shorten("one  two\nthree", 20), "one two three");
        assert_eq!(shorten("one two three", 9), "one two…");
    }

    #[test]
    fn steps_hold_their_value() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.steps(&[(0.0, 5.0), (2.0, 5.0), (4.0, 1.0)], "s");
        assert!(svg.body().contains("M0 5H2H4V1"));
    }
}
