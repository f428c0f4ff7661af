//! The palette, once: as custom properties for the page, which follows the reader's light or dark setting, and as plain
//! colours for stand-alone figures, because few programs that take SVG understand custom properties.

/// Lines and dots of different runs, methods or factors come in this many colours; more share them.
pub const SERIES: usize = 8;
/// Levels of a heat map.
pub const LEVELS: usize = 7;

/// Name, light, dark. Series colours keep a contrast of 3:1 to their background and differ in lightness, not only in hue.
const COLOURS: &[(&str, &str, &str)] = &[
    ("paper", "#ffffff", "#15181c"),
    ("panel", "#f6f4f0", "#1e2228"),
    ("ink", "#1b1f24", "#eceae5"),
    ("soft", "#5b6470", "#a5adb8"),
    ("rule", "#e3dfd8", "#323840"),
    ("link", "#9a3d08", "#ffab78"),
    ("s0", "#2563ad", "#74b0f4"),
    ("s1", "#d9590f", "#ff9558"),
    ("s2", "#148066", "#4cc9a4"),
    ("s3", "#8250c4", "#b99af0"),
    ("s4", "#a37200", "#dcb441"),
    ("s5", "#bd3a78", "#f188b8"),
    ("s6", "#2b8aa6", "#6ccbe3"),
    ("s7", "#6b7280", "#a2aab5"),
    ("h0", "#fdf1e4", "#2a2522"),
    ("h1", "#fbdfc2", "#45301f"),
    ("h2", "#f7c495", "#643b1f"),
    ("h3", "#f0a263", "#874a1e"),
    ("h4", "#e17d34", "#b15f20"),
    ("h5", "#bd5713", "#dd7d34"),
    ("h6", "#8c3b08", "#ffab6b"),
    ("good", "#136f46", "#63cf97"),
    ("bad", "#b3261e", "#ff8a80"),
    ("add", "#e3f4e8", "#16301f"),
    ("addword", "#b5e2c3", "#24573a"),
    ("cut", "#fce9e7", "#3a1c1b"),
    ("cutword", "#f4c2bd", "#6d2c29"),
    ("word", "#8a2a79", "#e79bdb"),
    ("text", "#2c6b2f", "#9ccf8f"),
];

/// Where a style sheet will stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    Page,
    File,
}

/// The custom properties: dark only on screens that ask for it, so that print is always light.
pub fn properties() -> String {
    let list = |pick: fn(&(&str, &str, &str)) -> String| COLOURS.iter().map(pick).collect::<String>();
    let light = list(|(name, light, _)| format!("--{name}:{light};"));
    let dark = list(|(name, _, dark)| format!("--{name}:{dark};"));
    format!(
        ":root{{color-scheme:light dark;{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )
}

/// The style of the drawings.
pub fn figure_css(medium: Medium) -> String {
    let colour = |name: &str| match medium {
        Medium::Page => format!("var(--{name})"),
        Medium::File => {
            COLOURS.iter().find(|(known, ..)| *known == name).map(|(_, light, _)| (*light).into()).unwrap_or_default()
        }
    };
    let (ink, soft, rule, paper) = (colour("ink"), colour("soft"), colour("rule"), colour("paper"));
    let mut css = format!(
        "svg.figure text{{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',Arial,sans-serif;fill:{ink}}}\n\
         svg.figure path{{fill:none}}\n\
         svg.figure .grid{{stroke:{rule};stroke-width:1}}\n\
         svg.figure .axis{{stroke:{soft};stroke-width:1}}\n\
         svg.figure .rule{{stroke:{soft};stroke-width:1.25;stroke-dasharray:5 4}}\n\
         svg.figure .dots{{stroke:{soft};stroke-width:1;stroke-dasharray:1 4;stroke-linecap:round}}\n\
         svg.figure .tick{{fill:{soft};font-variant-numeric:tabular-nums}}\n\
         svg.figure .label{{fill:{soft}}}\n\
         svg.figure .note{{fill:{soft}}}\n\
         svg.figure .strong{{font-weight:600}}\n\
         svg.figure .code{{font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:11px}}\n\
         svg.figure .cross{{stroke:{soft};stroke-width:1.4}}\n\
         svg.figure .track{{fill:{rule}}}\n\
         svg.figure .whisker{{stroke-width:1.4}}\n\
         svg.figure .line{{stroke-width:2;stroke-linejoin:round}}\n\
         svg.figure .thin{{stroke-width:1.1;opacity:.5}}\n\
         svg.figure .faint{{fill-opacity:.5}}\n\
         svg.figure .band{{fill-opacity:.13;stroke:none}}\n\
             svg.figure .halo{{stroke:{paper};stroke-width:1.5}}\n"
    );
    for i in 0..SERIES {
        let c = colour(&format!("s{i}"));
        css += &format!(
            "svg.figure path.line.s{i},svg.figure path.thin.s{i},svg.figure path.whisker.s{i}{{stroke:{c}}}\n\
             svg.figure circle.s{i},svg.figure path.band.s{i},svg.figure path.diamond.s{i},svg.figure path.star.s{i},svg.figure rect.s{i},svg.figure text.s{i}{{fill:{c}}}\n\
             svg.figure circle.ring.s{i},svg.figure path.ring.s{i}{{fill:{paper};stroke:{c};stroke-width:2}}\n"
        );
    }
    for i in 0..LEVELS {
        css += &format!("svg.figure rect.h{i}{{fill:{}}}\n", colour(&format!("h{i}")));
    }
    for i in 0..LEVELS {
        css += &format!(
            "svg.figure circle.h{i}{{fill:{}}}\nsvg.figure path.dot.h{i}{{stroke:{}}}\n",
            colour(&format!("h{i}")),
            colour(&format!("h{i}"))
        );
    }
    css += &format!(
        "svg.figure .descent{{stroke:{rule};stroke-width:1}}\nsvg.figure .descent.main{{stroke:{};stroke-width:2}}\n\
         svg.figure circle.scored{{stroke:{soft};stroke-width:.75}}\n\
         svg.figure path.dot{{stroke-linecap:round;stroke-width:3.6}}\nsvg.figure path.dot.wide{{stroke-width:7}}\n\
         svg.figure path.dot.lost{{stroke:{soft};stroke-width:1.6}}\n",
        colour("s1")
    );
    // the ends of the scale need opposite inks; in the dark palette high levels are the bright ones
    css += &format!("svg.figure text.on-low{{fill:{ink}}}\nsvg.figure text.on-high{{fill:{paper}}}\n");
    css += &format!(
        "svg.figure rect.empty{{fill:none;stroke:{rule}}}\nsvg.figure rect.elite{{fill:none;stroke:{ink};stroke-width:1.5}}\n"
    );
    css
}

/// Class of the n-th series.
pub fn series(n: usize) -> String {
    format!("s{}", n % SERIES)
}

/// Level of a value within a range, for the classes `h0`..`h6`.
pub fn level(value: f64, low: f64, high: f64) -> usize {
    if high <= low || !value.is_finite() {
        return LEVELS / 2;
    }
    (((value - low) / (high - low) * LEVELS as f64).floor().max(0.0) as usize).min(LEVELS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_plain_colours_and_pages_have_properties() {
        assert!(!figure_css(Medium::File).contains("var("));
        assert!(figure_css(Medium::File).contains("#2563ad"));
        assert!(figure_css(Medium::Page).contains("var(--s0)"));
        assert!(!figure_css(Medium::File).contains("fill:}"), "a colour without a name in the palette");
    }

    /// Relative luminance of WCAG 2.
    fn luminance(hex: &str) -> f64 {
        let channel = |i: usize| {
            let c = f64::from(u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_and_series_stand_out_from_their_background() {
        let find = |name: &str| COLOURS.iter().find(|c| c.0 == name).expect("in the palette");
        let paper = find("paper");
        for (name, light, dark) in COLOURS {
            let least = match *name {
                "ink" | "soft" | "link" | "good" | "bad" | "word" | "text" => 4.5,
                s if s.starts_with('s') && s.len() == 2 => 3.0,
                _ => continue,
            };
            assert!(contrast(light, paper.1) >= least, "{name} on light: {:.2}", contrast(light, paper.1));
            assert!(contrast(dark, paper.2) >= least, "{name} on dark: {:.2}", contrast(dark, paper.2));
        }
    }

    #[test]
    fn levels_cover_the_range() {
        assert_eq!((level(0.0, 0.0, 1.0), level(1.0, 0.0, 1.0)), (0, LEVELS - 1));
        assert_eq!(level(0.3, 0.3, 0.3), LEVELS / 2);
        assert_eq!(level(f64::NAN, 0.0, 1.0), LEVELS / 2);
    }
}
