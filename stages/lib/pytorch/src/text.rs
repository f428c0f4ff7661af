//! Pieces of Python: expressions with their precedence, numbers, sizes and shapes.

use std::fmt::Write as _;

use graph::{DType, Dim};

/// How tightly an expression binds, by Python's grammar.
pub(crate) const ATOM: u8 = 10;
pub(crate) const POWER: u8 = 9;
pub(crate) const UNARY: u8 = 8;
pub(crate) const PRODUCT: u8 = 7;
pub(crate) const SUM: u8 = 6;
pub(crate) const AND: u8 = 5;
pub(crate) const XOR: u8 = 4;
pub(crate) const OR: u8 = 3;
pub(crate) const COMPARISON: u8 = 2;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expr {
    pub text: String,
    pub binds: u8,
    /// A number of Python's own, which is not a tensor.
    pub literal: Option<Literal>,
}

/// A number of Python's own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Value(f64),
    /// One that depends on B or N.
    Size(Dim),
}

impl Expr {
    pub fn new(text: impl Into<String>, binds: u8) -> Self {
        Self { text: text.into(), binds, literal: None }
    }

    pub fn atom(text: impl Into<String>) -> Self {
        Self::new(text, ATOM)
    }

    /// With brackets where what is around it binds more tightly.
    pub fn within(&self, binds: u8) -> String {
        if self.binds >= binds { self.text.clone() } else { format!("({})", self.text) }
    }

    /// A method of it.
    pub fn method(&self, call: &str) -> Self {
        Self::atom(format!("{}.{call}", self.within(ATOM)))
    }

    /// An operator between two; those of one precedence group to the left.
    pub fn operator(&self, sign: &str, other: &Self, binds: u8) -> Self {
        // Comparisons chain in Python: neither side may be one.
        let left = if binds == COMPARISON { binds + 1 } else { binds };
        Self::new(format!("{} {sign} {}", self.within(left), other.within(binds + 1)), binds)
    }
}

/// A number as Python writes it.
pub(crate) fn number(value: f64, dtype: DType) -> String {
    match dtype {
        DType::Bool => if value != 0.0 { "True" } else { "False" }.to_owned(),
        DType::Int => format!("{}", value as i64),
        DType::Float if value.is_nan() => "float(\"nan\")".to_owned(),
        DType::Float if value.is_infinite() => format!("float(\"{}inf\")", if value < 0.0 { "-" } else { "" }),
        DType::Float => format!("{value:?}"),
    }
}

/// A size: `2 * N + 1`.
pub(crate) fn size(dim: &Dim) -> String {
    let mut text = String::new();
    let mut terms: Vec<(u8, u8, i64)> = dim.terms().collect();
    terms.reverse();
    for (b, n, coefficient) in terms {
        match (text.is_empty(), coefficient < 0) {
            (true, false) => {}
            (true, true) => text.push('-'),
            (false, false) => text.push_str(" + "),
            (false, true) => text.push_str(" - "),
        }
        let count = coefficient.unsigned_abs();
        let mut factors = Vec::new();
        if count != 1 || b + n == 0 {
            factors.push(count.to_string());
        }
        for (symbol, power) in [("B", b), ("N", n)] {
            match power {
                0 => {}
                1 => factors.push(symbol.to_owned()),
                _ => factors.push(format!("{symbol}**{power}")),
            }
        }
        text.push_str(&factors.join(" * "));
    }
    if text.is_empty() { "0".to_owned() } else { text }
}

/// A shape as a tuple.
pub(crate) fn shape(shape: &[Dim]) -> String {
    match shape {
        [only] => format!("({},)", size(only)),
        _ => format!("({})", sizes(shape)),
    }
}

/// Sizes one after the other, as arguments.
pub(crate) fn sizes(shape: &[Dim]) -> String {
    shape.iter().map(size).collect::<Vec<_>>().join(", ")
}

/// Axes as an argument: one as it is, several as a tuple.
pub(crate) fn axes(dims: &[usize]) -> String {
    match dims {
        [only] => only.to_string(),
        _ => format!("({})", dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Numbers as a list.
pub(crate) fn list(values: &[f64], dtype: DType) -> String {
    let mut text = String::from("[");
    for (at, value) in values.iter().enumerate() {
        let separator = match at {
            0 => "",
            _ if at % 16 == 0 => ",\n            ",
            _ => ", ",
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{}", number(*value, dtype));
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes() {
        assert_eq!(number(-1e6, DType::Float), "-1000000.0");
        assert_eq!(number(1e-10, DType::Float), "1e-10");
        assert_eq!(number(f64::NEG_INFINITY, DType::Float), "float(\"-inf\")");
        assert_eq!([number(3.0, DType::Int), number(1.0, DType::Bool)], ["3", "True"]);
        let n = Dim::n();
        assert_eq!(size(&(&(&(&n * &n) * &Dim::b()) - &Dim::known(1))), "B * N**2 - 1");
        assert_eq!(size(&Dim::known(0)), "0");
        assert_eq!(shape(&[Dim::b(), n.clone(), Dim::known(8)]), "(B, N, 8)");
        assert_eq!([shape(&[n]), shape(&[])], ["(N,)", "()"]);
    }

    #[test]
    fn brackets_stand_where_python_needs_them() {
        let (x, y) = (Expr::atom("x"), Expr::atom("y"));
        let sum = x.operator("+", &y, SUM);
        assert_eq!(sum.operator("*", &y, PRODUCT).text, "(x + y) * y");
        assert_eq!(y.operator("-", &sum, SUM).text, "y - (x + y)");
        assert_eq!(sum.operator("-", &y, SUM).text, "x + y - y");
        assert_eq!(sum.method("relu()").text, "(x + y).relu()");
        let less = x.operator("<", &y, COMPARISON);
        assert_eq!(less.operator("==", &y, COMPARISON).text, "(x < y) == y");
    }
}
