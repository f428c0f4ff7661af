//! Regions as the search sees them: their text, as `program` reads it.

pub use program::Passage as Region;

/// The same text without the spaces at the ends of lines: how two region bodies are compared.
#[must_use]
pub fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}
