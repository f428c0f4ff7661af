//! Python's format specifications: `f"{x:>8,.2f}"`, `format(x, "e")`, and those of `%`.

/// Widths and precisions beyond this are all the same: larger than any text may be.
const MAX_WIDTH: usize = 1 << 20;

/// `[[fill]align][sign][#][0][width][grouping][.precision][type]`
#[derive(Clone, Default)]
pub struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    group: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

/// What is formatted.
pub enum Item<'a> {
    Text(&'a str),
    Int(i64),
    Float(f64),
}

impl Spec {
    /// Reads a specification; nothing where Python would raise `ValueError`.
    pub fn parse(text: &str) -> Option<Self> {
        let chars: Vec<char> = text.chars().collect();
        let mut spec = Self::default();
        let mut at = 0;
        let is_align = |c: Option<&char>| matches!(c, Some('<' | '>' | '^' | '='));
        if is_align(chars.get(1)) {
            (spec.fill, spec.align, at) = (chars.first().copied(), chars.get(1).copied(), 2);
        } else if is_align(chars.first()) {
            (spec.align, at) = (chars.first().copied(), 1);
        }
        if let Some(c @ ('+' | '-' | ' ')) = chars.get(at) {
            spec.sign = Some(*c);
            at += 1;
        }
        if chars.get(at) == Some(&'#') {
            spec.alternate = true;
            at += 1;
        }
        if chars.get(at) == Some(&'0') {
            spec.zero = true;
            at += 1;
        }
        let digits = |at: &mut usize| -> Option<usize> {
            let start = *at;
            while chars.get(*at).is_some_and(char::is_ascii_digit) {
                *at += 1;
            }
            let text: String = chars.get(start..*at)?.iter().collect();
            (!text.is_empty()).then(|| text.parse().unwrap_or(MAX_WIDTH))
        };
        spec.width = digits(&mut at).unwrap_or(0).min(MAX_WIDTH);
        if let Some(c @ (',' | '_')) = chars.get(at) {
            spec.group = Some(*c);
            at += 1;
        }
        if chars.get(at) == Some(&'.') {
            at += 1;
            spec.precision = Some(digits(&mut at)?.min(MAX_WIDTH));
        }
        spec.kind = chars.get(at).copied();
        (chars.len() <= at + 1).then_some(spec)
    }

    /// Characters that its result may have beside those of the value.
    pub fn room(&self) -> usize {
        self.width.max(self.precision.unwrap_or(0))
    }

    /// The format of a `%`: `flags` of `-+ #0`, then width, precision and type.
    pub fn of_percent(flags: &str, width: usize, precision: Option<usize>, kind: char) -> Self {
        let has = |c: char| flags.contains(c);
        let (left, is_text) = (has('-'), matches!(kind, 's' | 'r'));
        Self {
            align: Some(if left { '<' } else { '>' }).filter(|_| left || is_text),
            sign: if has('+') {
                Some('+')
            } else if has(' ') {
                Some(' ')
            } else {
                None
            },
            alternate: has('#'),
            zero: has('0') && !left && !is_text,
            width: width.min(MAX_WIDTH),
            precision: precision.map(|p| p.min(MAX_WIDTH)),
            kind: Some(match kind {
                'i' | 'u' => 'd',
                'r' => 's',
                other => other,
            }),
            ..Self::default()
        }
    }

    /// The text; nothing where Python would raise `ValueError` for this kind of value.
    pub fn apply(&self, item: &Item<'_>) -> Option<String> {
        match item {
            Item::Text(text) => self.text(text),
            Item::Int(i) => match self.kind {
                Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') => self.float(*i as f64),
                _ => self.int(*i),
            },
            Item::Float(f) => self.float(*f),
        }
    }

    fn text(&self, text: &str) -> Option<String> {
        let fits = matches!(self.kind, None | Some('s'))
            && self.sign.is_none()
            && !self.alternate
            && self.group.is_none()
            && self.align != Some('=');
        let cut: String = match self.precision {
            Some(p) => text.chars().take(p).collect(),
            None => text.to_string(),
        };
        let fill = self.fill.unwrap_or(if self.zero { '0' } else { ' ' });
        fits.then(|| pad(&cut, self.width, fill, self.align.unwrap_or('<')))
    }

    fn int(&self, value: i64) -> Option<String> {
        let size = value.unsigned_abs();
        let (digits, prefix, group) = match self.kind {
            None | Some('d' | 'n') => (size.to_string(), "", 3),
            Some('b') => (format!("{size:b}"), "0b", 4),
            Some('o') => (format!("{size:o}"), "0o", 4),
            Some('x') => (format!("{size:x}"), "0x", 4),
            Some('X') => (format!("{size:X}"), "0X", 4),
            Some('c') => {
                let c = u32::try_from(value).ok().and_then(char::from_u32)?;
                return Some(pad(&c.to_string(), self.width, self.fill.unwrap_or(' '), self.align.unwrap_or('<')));
            }
            Some(_) => return None,
        };
        if self.precision.is_some() || (self.group == Some(',') && group == 4) {
            return None;
        }
        let prefix = if self.alternate { prefix } else { "" };
        Some(self.number(value < 0, prefix, &digits, "", group))
    }

    fn float(&self, value: f64) -> Option<String> {
        let size = value.abs();
        let negative = value.is_sign_negative() && !value.is_nan();
        let kind = self.kind.unwrap_or('r');
        if !size.is_finite() {
            let name = if value.is_nan() { "nan" } else { "inf" };
            let name = if kind.is_uppercase() { name.to_uppercase() } else { name.to_string() };
            let end = if kind == '%' { "%" } else { "" };
            return Some(self.number(negative, "", "", &format!("{name}{end}"), 3));
        }
        let precision = self.precision.unwrap_or(6);
        let text = match kind {
            'f' | 'F' => format!("{size:.precision$}"),
            'e' | 'E' => scientific(size, precision),
            'g' | 'G' | 'n' => general(size, precision, self.alternate, 0),
            '%' => format!("{:.precision$}%", size * 100.0),
            'r' => match self.precision {
                None => super::text::float_text(size),
                Some(p) => {
                    let text = general(size, p, self.alternate, 1);
                    if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
                }
            },
            _ => return None,
        };
        let text = if matches!(kind, 'E' | 'G') { text.to_uppercase() } else { text };
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (whole, rest) = text.split_at(end);
        Some(self.number(negative, "", whole, rest, 3))
    }

    /// Sign, prefix, grouped digits and what follows, padded.
    fn number(&self, negative: bool, prefix: &str, digits: &str, rest: &str, group: usize) -> String {
        let sign = match (negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            _ => "",
        };
        let head = format!("{sign}{prefix}");
        let inside = self.align == Some('=') || (self.zero && self.align.is_none());
        let fill = self.fill.unwrap_or(if self.zero { '0' } else { ' ' });
        let used = head.chars().count() + rest.chars().count();
        let mut body = grouped(digits, self.group, group);
        if inside && fill == '0' && self.group.is_some() && !digits.is_empty() {
            // zeros are grouped as well
            let mut zeros = digits.to_string();
            while used + grouped(&zeros, self.group, group).chars().count() < self.width {
                zeros.insert(0, '0');
            }
            body = grouped(&zeros, self.group, group);
        }
        if inside {
            let missing = self.width.saturating_sub(used + body.chars().count());
            let filling: String = std::iter::repeat_n(fill, missing).collect();
            return format!("{head}{filling}{body}{rest}");
        }
        pad(&format!("{head}{body}{rest}"), self.width, fill, self.align.unwrap_or('>'))
    }
}

fn pad(text: &str, width: usize, fill: char, align: char) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let filling = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    match align {
        '<' => format!("{text}{}", filling(missing)),
        '^' => format!("{}{text}{}", filling(missing / 2), filling(missing - missing / 2)),
        _ => format!("{}{text}", filling(missing)),
    }
}

fn grouped(digits: &str, separator: Option<char>, size: usize) -> String {
    let Some(separator) = separator else { return digits.to_string() };
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(size) {
            out.push(separator);
        }
        out.push(c);
    }
    out
}

/// `1.5e+02`, with two digits of exponent at least.
fn scientific(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `g`: fixed where the exponent is small, and without zeros at the end; `below`: by how many digits earlier it is not.
fn general(size: f64, precision: usize, keep: bool, below: i32) -> String {
    let precision = precision.max(1);
    let rounded = format!("{size:.*e}", precision - 1);
    let exponent: i32 = rounded.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    // no float has an exponent of so many digits, so that the largest number compares as a larger one would
    let digits = i32::try_from(precision).unwrap_or(i32::MAX);
    let strip = |text: &str| -> String {
        if keep || !text.contains('.') {
            text.to_string()
        } else {
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
    };
    if (-4..digits - below).contains(&exponent) {
        let decimals = usize::try_from(digits - 1 - exponent).unwrap_or(0);
        return strip(&format!("{size:.decimals$}"));
    }
    let text = scientific(size, precision - 1);
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", strip(mantissa)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_those_of_python() {
        // each was printed by CPython 3.11
        let floats = [
            (",.2f", 1234567.891, "1,234,567.89"),
            ("_.1f", 1234567.891, "1_234_567.9"),
            ("+.3e", 12345.678, "+1.235e+04"),
            ("g", 1e-5, "1e-05"),
            ("g", 123456.0, "123456"),
            ("g", 1234567.0, "1.23457e+06"),
            (".3g", 0.00012345, "0.000123"),
            ("G", 1e20, "1E+20"),
            (".3", 123.456, "1.23e+02"),
            (".3", 12.0, "12.0"),
            ("10.2f", -1.5, "     -1.50"),
            ("010.2f", -1.5, "-000001.50"),
            ("=+8.1f", 2.25, "+    2.2"),
            ("*^9.1f", 2.5, "***2.5***"),
            (".1%", 0.1234, "12.3%"),
            ("%", 0.5, "50.000000%"),
            ("", 0.1, "0.1"),
            (".0f", 2.5, "2"),
            (" .1f", 2.0, " 2.0"),
            ("08,.1f", 1234.5, "01,234.5"),
        ];
        for (spec, x, wanted) in floats {
            assert_eq!(Spec::parse(spec).and_then(|s| s.apply(&Item::Float(x))).as_deref(), Some(wanted), "{spec} {x}");
        }
        let ints = [
            (",", 1234567, "1,234,567"),
            ("010,", 1234, "00,001,234"),
            ("#x", 255, "0xff"),
            ("08b", 5, "00000101"),
            ("_b", 255, "1111_1111"),
            ("+d", 5, "+5"),
            ("<6d", 5, "5     "),
            ("X", 255, "FF"),
            (".2f", 3, "3.00"),
            ("c", 65, "A"),
            ("#o", 8, "0o10"),
            ("-5", -3, "   -3"),
        ];
        for (spec, i, wanted) in ints {
            assert_eq!(Spec::parse(spec).and_then(|s| s.apply(&Item::Int(i))).as_deref(), Some(wanted), "{spec} {i}");
        }
        let texts = [("<8", "ab", "ab      "), ("^6", "ab", "  ab  "), (".1", "ab", "a"), ("*>4s", "ab", "**ab")];
        for (spec, text, wanted) in texts {
            assert_eq!(Spec::parse(spec).and_then(|s| s.apply(&Item::Text(text))).as_deref(), Some(wanted), "{spec}");
        }
        for (spec, item) in
            [("d", Item::Float(1.0)), ("d", Item::Text("x")), (".1d", Item::Int(1)), ("=5", Item::Text("x"))]
        {
            assert!(Spec::parse(spec).and_then(|s| s.apply(&item)).is_none(), "{spec}");
        }
        assert!(Spec::parse("5.").is_none() && Spec::parse("dd").is_none());
    }
}
