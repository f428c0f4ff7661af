//! Tables for the page, and as CSV and Markdown files.

use serde::Serialize;
use stage::markdown;
use stage::table::Values;

/// A value as it is read by people, and as it is read by programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    pub shown: String,
    /// For CSV: numbers in full, without units or separators.
    pub raw: String,
}

impl Cell {
    /// A text, the same on the page and in files.
    pub fn text(text: impl Into<String>) -> Self {
        let shown: String = text.into();
        Self { raw: shown.clone(), shown }
    }

    /// A text on the page, and another one in files.
    pub fn both(shown: impl Into<String>, raw: impl Into<String>) -> Self {
        Self { shown: shown.into(), raw: raw.into() }
    }

    /// A number with its text; a dash and an empty field where there is none.
    pub fn number<T: ToString + Copy>(value: Option<T>, show: impl FnOnce(T) -> String) -> Self {
        match value {
            Some(value) => Self { shown: show(value), raw: value.to_string() },
            None => Self { shown: "–".into(), raw: String::new() },
        }
    }

    /// A whole number.
    pub fn count(n: usize) -> Self {
        Self::number(Some(n), |n| crate::text::whole(n as i64))
    }
}

/// A column: its heading on the page, its name in CSV, and whether it holds numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    pub heading: String,
    pub key: String,
    /// Its cells' class on the page: the key where that is a plain word, else nothing.
    pub class: String,
    pub numeric: bool,
    /// Only in the files: the page has no room for it.
    pub only_file: bool,
}

/// A table. Every row has one cell for each column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Name of its files, without extension.
    pub name: String,
    pub title: String,
    /// How the values are counted.
    pub note: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
    /// So many rows are on the page; None: all.
    pub shown: Option<usize>,
}

/// Some keys are names from outside.
fn plain_word(key: &str) -> bool {
    key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Table {
    /// `columns`: heading, name in CSV, numeric.
    pub fn new(name: &str, title: &str, note: impl Into<String>, columns: &[(&str, &str, bool)]) -> Self {
        let column = |(heading, key, numeric): &(&str, &str, bool)| Column {
            heading: (*heading).into(),
            key: (*key).into(),
            class: if plain_word(key) { format!("c-{key}") } else { String::new() },
            numeric: *numeric,
            only_file: false,
        };
        Self {
            name: name.into(),
            title: title.into(),
            note: note.into(),
            columns: columns.iter().map(column).collect(),
            rows: Vec::new(),
            shown: None,
        }
    }

    /// Keeps a column off the page.
    pub fn only_in_files(mut self, key: &str) -> Self {
        self.columns.iter_mut().filter(|column| column.key == key).for_each(|column| column.only_file = true);
        self
    }

    /// RFC 4180, with a heading line; lines end with LF. Numbers stay numbers, and no text is a formula to a spreadsheet.
    pub fn csv(&self) -> String {
        let line = |fields: Vec<&str>| fields.iter().map(|field| csv_field(field)).collect::<Vec<_>>().join(",") + "\n";
        let mut out = line(self.columns.iter().map(|column| column.key.as_str()).collect());
        for row in &self.rows {
            out += &line(row.iter().map(|cell| cell.raw.as_str()).collect());
        }
        out
    }

    /// The columns with their names and values, empty fields as null. A column of numbers that holds something else is one of
    /// texts; a name that was there before gets a number.
    pub fn values(&self) -> Vec<(String, Values)> {
        let mut names: Vec<String> = Vec::new();
        let value = |cell: &Cell| Some(cell.raw.clone()).filter(|raw| !raw.is_empty());
        self.columns
            .iter()
            .enumerate()
            .map(|(i, column)| {
                let key = column.key.clone();
                let other = (2..).map(|n| format!("{key}_{n}")).find(|other| !names.contains(other));
                let name = if names.contains(&key) { other.unwrap_or(key) } else { key };
                names.push(name.clone());
                let fields: Vec<Option<String>> = self.rows.iter().map(|row| row.get(i).and_then(value)).collect();
                let parse = |field: &Option<String>| match field {
                    None => Ok(None),
                    Some(text) => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Some).ok_or(()),
                };
                let numbers: Result<Vec<Option<f64>>, ()> = fields.iter().map(parse).collect();
                match numbers {
                    Ok(numbers) if column.numeric => (name, Values::Number(numbers)),
                    _ => (name, Values::Text(fields)),
                }
            })
            .collect()
    }

    /// A GitHub-flavoured table under its title, with its note.
    pub fn markdown(&self) -> String {
        let line = |fields: Vec<String>| format!("| {} |\n", fields.join(" | "));
        let mut out = format!("### {}\n\n", markdown::text(&self.title));
        out += &line(self.columns.iter().map(|column| markdown::text(&column.heading)).collect());
        out += &line(self.columns.iter().map(|column| if column.numeric { "---:" } else { "---" }.into()).collect());
        for row in &self.rows {
            out += &line(row.iter().map(|cell| markdown::text(&cell.shown)).collect());
        }
        if !self.note.is_empty() {
            out += &format!("\n{}\n", markdown::text(&self.note));
        }
        out
    }
}

/// A field that a spreadsheet takes as a text or a number, and never as a formula: what is not a number and begins as formulas
/// do gets an apostrophe in front, as OWASP advises; spaces before it do not count. Characters that steer a terminal are
/// U+FFFD.
fn csv_field(field: &str) -> String {
    let mut text: String = field.chars().map(crate::draw::visible).collect();
    let formula = |c: char| matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '|' | '%' | '\u{fffd}') || wide(c);
    let begins = text.trim_start_matches([' ', '\u{a0}']).chars().next().is_some_and(formula);
    if begins && !text.trim().parse::<f64>().is_ok_and(f64::is_finite) {
        text.insert(0, '\'');
    }
    // Some readers split at other separators than commas.
    if text.contains(['"', ',', ';', '\t', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// The full-width forms of the signs that begin formulas.
fn wide(c: char) -> bool {
    matches!(c, '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new("t", "Title", "A note.", &[("Name", "name", false), ("Accuracy (%)", "accuracy", true)]);
        table
            .rows
            .push(vec![Cell::text("a, \"b\" | <c>\nd"), Cell::number(Some(0.125), |v| format!("{:.2}", v * 100.0))]);
        table.rows.push(vec![Cell::text("x"), Cell::number(None::<f64>, |_| unreachable!())]);
        table
    }

    #[test]
    fn columns_have_types_and_names_of_their_own() {
        let mut table = table();
        table.columns.push(Column { key: "name".into(), ..table.columns[0].clone() });
        table.rows.iter_mut().for_each(|row| row.push(Cell::both("–", "")));
        let values = table.values();
        assert_eq!(values[1], ("accuracy".into(), Values::Number(vec![Some(0.125), None])));
        assert_eq!(values[2], ("name_2".into(), Values::Text(vec![None, None])));
        table.rows[1][1] = Cell::text("unknown");
        assert_eq!(table.values()[1].1, Values::Text(vec![Some("0.125".into()), Some("unknown".into())]));
    }

    #[test]
    fn csv_quotes_and_keeps_full_numbers() {
        assert_eq!(table().csv(), "name,accuracy\n\"a, \"\"b\"\" | <c>\nd\",0.125\nx,\n");
    }

    #[test]
    fn markdown_cells_cannot_break_their_table() {
        let text = table().markdown();
        assert!(text.starts_with("### Title\n\n| Name | Accuracy (%) |\n| --- | ---: |\n"));
        assert!(text.contains("| a, \"b\" \\| &lt;c&gt; d | 12.50 |\n| x | – |\n"), "{text}");
    }

    #[test]
    fn no_text_is_a_formula_and_numbers_stay_numbers() {
        for formula in
            ["=1+1", "+SUM(1)", "-2+3", "@x", " =1", "\t=1", "\r=1", "\n=1", "\u{ff1d}1", "|cmd", "\u{1b}=1", "-inf"]
        {
            let field = csv_field(formula);
            assert!(field.trim_start_matches('"').starts_with('\''), "{formula:?} became {field:?}");
        }
        for plain in ["-1.5", "+3", "1e-3", "-0", "a=b", "2024-01-01", "", "seed program"] {
            assert_eq!(csv_field(plain), plain);
        }
        assert_eq!(csv_field("=a;\"b\""), "\"'=a;\"\"b\"\"\"");
        assert_eq!(csv_field("a;=b"), "\"a;=b\"");
    }
}
