//! What settings mean, on request: the words that stand beside their definitions.

use std::fmt::Write as _;

use schemas::Stage;

use super::{Class, Config, ConfigError, KEYS, Key, Origin, SECTIONS, bears_on};

/// Settings with their meaning, their values in force and where these came from. `asked`: a key (`train.steps`), a section
/// (`train`), a key without its section (`steps`), or empty for all.
///
/// # Errors
/// When there is no such setting; the most similar one is named.
pub fn describe(asked: &str, config: &Config) -> Result<String, ConfigError> {
    let asked = asked.trim();
    let found: Vec<&Key> = KEYS
        .iter()
        .filter(|key| asked.is_empty() || asked == key.section || asked == key.path() || asked == key.name)
        .collect();
    if found.is_empty() {
        return Err(super::layers::unknown(asked, Origin::Flag("--settings".to_owned())));
    }
    let mut text = String::new();
    let mut section = "";
    for key in found {
        if key.section != section {
            section = key.section;
            let about = SECTIONS.iter().find(|(name, _)| *name == section).map_or("", |(_, about)| about.trim());
            let _ = writeln!(text, "{}[{section}]  {about}", if text.is_empty() { "" } else { "\n" });
        }
        let path = key.path();
        let value = config.value(&path).map_or_else(|| "not set".to_owned(), |value| value.to_string());
        let default = Config::default().value(&path).map_or_else(|| "not set".to_owned(), |value| value.to_string());
        let from = match config.origin(&path) {
            Origin::Default => "the default".to_owned(),
            origin => format!("{origin}; default: {default}"),
        };
        let _ = writeln!(text, "\n{path} = {value}    ({from})");
        for line in wrapped(key.doc) {
            let _ = writeln!(text, "    {line}");
        }
        let _ = writeln!(text, "    {}", class(key));
    }
    Ok(text)
}

/// What a change of the setting means for a run.
fn class(key: &Key) -> String {
    if key.class == Class::Operational {
        return "Operational: a run may go on with another value.".to_owned();
    }
    let stages = Stage::ALL.iter().filter(|stage| bears_on(**stage).contains(&key.section));
    let stages: Vec<&str> = stages.map(|stage| stage.as_str()).collect();
    let stages = if stages.is_empty() { String::new() } else { format!(" It bears on {}.", stages.join(", ")) };
    format!("Of the experiment: a run keeps it.{stages}")
}

/// A text in lines of up to 100 characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 100 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The page of all settings, `schemas/settings.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Settings\n\nGenerated from the definitions; `STAGE --settings [KEY]` prints the same of a key or a section, with the values in force.\n\
         Settings are TOML files (`--config`), each over those before it, then `--set section.key=value`. Those of the experiment (E) decide\n\
         results and are fixed for a run; operational ones (O) say how the work gets done, and may change while a run goes on.\n",
    );
    let defaults = Config::default();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let about = SECTIONS.iter().find(|(name, _)| *name == section).map_or("", |(_, about)| about.trim());
            let _ = writeln!(text, "\n## [{section}]\n\n{about}\n\n| key | default | | meaning |\n|---|---|---|---|");
        }
        let default = defaults.value(&key.path()).map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"));
        let class = if key.class == Class::Operational { "O" } else { "E" };
        let doc = key.doc.split_whitespace().collect::<Vec<_>>().join(" ");
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {} | {class} | {} |", key.name, cell(&default), cell(&doc));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sections_and_names_are_told_and_others_corrected() {
        let config = Config::load(None, &["train.steps=7".into()], &[]).expect("valid");
        let text = describe("train.steps", &config).expect("a key");
        assert!(text.contains("train.steps = 7    (--set; default: 120)\n    Optimiser steps."), "{text}");
        assert!(text.contains("It bears on") && describe("steps", &config).expect("two").contains("transfer.steps"));
        assert!(describe("train.jobs", &config).expect("a key").contains("Operational"));
        let section = describe("confirm", &config).expect("a section");
        assert!(section.contains("confirm.top") && !section.contains("train.steps"), "{section}");
        assert!(KEYS.iter().all(|key| describe("", &config).expect("all").contains(&format!("\n{} = ", key.path()))));
        let error = describe("train.stepz", &config).expect_err("no such key").to_string();
        assert!(error.contains("did you mean `train.steps`"), "{error}");
    }
}
