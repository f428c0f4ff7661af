//! The prompts: templates of the folder `prompts/`, built in, and replaceable file by file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../prompts/", $name)))),*]
    };
}

/// Every template, by its name in `prompts/`.
const TEMPLATES: &[(&str, &str)] = built_in![
    "system.jinja",
    "router.jinja",
    "router_repair.jinja",
    "critic.jinja",
    "writer.jinja",
    "writer_repair.jinja",
    "parts/macros.jinja",
    "parts/parent.jinja",
    "parts/history.jinja",
    "parts/examples.jinja",
    "parts/scope.jinja",
    "parts/directive.jinja",
    "parts/factors.jinja",
    "parts/language.jinja",
    "parts/lenses.jinja",
    "parts/diagnosis.jinja",
    "parts/line.jinja",
    "parts/refusals.jinja",
    "parts/answer.jinja",
    "parts/operation.jinja",
];

/// What prints nothing, or a piece of a line: no place to say where it comes from.
const INLINE: [&str; 2] = ["parts/macros.jinja", "parts/factors.jinja"];

/// What is wrong with a template.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// A file or folder of templates cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of the folder replaces no template, and would silently do nothing.
    #[error("{}: no prompt has this name; there are {}", path.display(), names())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// A template has a fault, or names something that prompts do not have.
    #[error("{0}")]
    Template(String),
}

fn names() -> String {
    TEMPLATES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

impl From<minijinja::Error> for PromptError {
    fn from(error: minijinja::Error) -> Self {
        // `{:#}` has the template's name and line
        let mut text = format!("{error:#}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::Template(text)
    }
}

/// The templates in force.
#[derive(Debug)]
pub struct Prompts {
    environment: Environment<'static>,
    hash: String,
}

impl Prompts {
    /// The built-in templates.
    pub fn built_in() -> Result<Self, PromptError> {
        Self::new(BTreeMap::new())
    }

    /// The built-in templates, or with those of a folder.
    pub fn load(folder: Option<&Path>) -> Result<Self, PromptError> {
        folder.map_or_else(Self::built_in, Self::with_folder)
    }

    /// The built-in templates, those that `folder` has replaced by its own. A file that replaces nothing is an error:
    /// it would silently do nothing.
    pub fn with_folder(folder: &Path) -> Result<Self, PromptError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| PromptError::Io { path, source }
        };
        let mut own = BTreeMap::new();
        for (prefix, folder) in [("", folder.to_owned()), ("parts/", folder.join("parts"))] {
            if !prefix.is_empty() && !folder.is_dir() {
                continue;
            }
            for entry in std::fs::read_dir(&folder).map_err(io(&folder))? {
                let path = entry.map_err(io(&folder))?.path();
                if path.extension().is_none_or(|extension| extension != "jinja") {
                    continue;
                }
                let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
                if !TEMPLATES.iter().any(|(known, _)| *known == name) {
                    return Err(PromptError::Unknown { path });
                }
                own.insert(name, std::fs::read_to_string(&path).map_err(io(&path))?);
            }
        }
        Self::new(own)
    }

    /// The same templates, each of which says where it begins and ends: for people who want to know where a paragraph comes
    /// from. Nobody is asked with these.
    pub fn with_sources(folder: Option<&Path>) -> Result<Self, PromptError> {
        let mut prompts = Self::load(folder)?;
        let names: Vec<&str> = TEMPLATES.iter().map(|(name, _)| *name).filter(|name| !INLINE.contains(name)).collect();
        for name in names {
            let text = prompts.environment.get_template(name)?.source().to_owned();
            let text = format!("<!-- prompts/{name} -->\n{text}\n<!-- end of prompts/{name} -->\n");
            prompts.environment.add_template_owned(name, text)?;
        }
        Ok(prompts)
    }

    fn new(mut own: BTreeMap<String, String>) -> Result<Self, PromptError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        // lines that hold only a tag leave no trace
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.add_filter("fixed", fixed);
        environment.add_filter("grouped", grouped);
        let mut hasher = blake3::Hasher::new();
        for (name, text) in TEMPLATES {
            let text = own.remove(*name).unwrap_or_else(|| (*text).to_owned());
            for part in [name.as_bytes(), text.as_bytes()] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
            environment.add_template_owned(*name, text)?;
        }
        let hash = hasher.finalize().to_hex()[..16].to_owned();
        Ok(Self { environment, hash })
    }

    /// Hash of all templates in force, 16 hexadecimal digits: the column `prompt_hash`.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// One message. What the template asks for and the context lacks is an error.
    pub fn render(&self, name: &str, context: impl Serialize) -> Result<String, PromptError> {
        let text = self.environment.get_template(name)?.render(Value::from(Serde(context)))?;
        Ok(tidy(&text))
    }
}

/// No more than one blank line in a row outside of programs, none at the ends. Conditions in templates leave gaps.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let (mut blank, mut fenced) = (0, false);
    for line in text.trim().lines() {
        fenced ^= line.trim_start().starts_with("```");
        blank = if line.trim().is_empty() && !fenced { blank + 1 } else { 0 };
        if blank < 2 {
            tidied.push_str(if fenced { line } else { line.trim_end() });
            tidied.push('\n');
        }
    }
    tidied
}

/// `{{ 0.123456 | fixed(3) }}`: `0.123`; `?` for what is not known.
fn fixed(value: Value, digits: usize) -> String {
    match f64::try_from(value) {
        Ok(number) => format!("{number:.digits$}"),
        Err(_) => "?".to_owned(),
    }
}

/// `{{ 1234567 | grouped }}`: `1,234,567`; `?` for what is not known.
fn grouped(value: Value) -> String {
    let Ok(number) = i64::try_from(value) else { return "?".to_owned() };
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../prompts");
        let mut files = Vec::new();
        for prefix in ["", "parts/"] {
            for entry in std::fs::read_dir(folder.join(prefix)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.ends_with(".jinja") {
                    files.push(format!("{prefix}{name}"));
                }
            }
        }
        let mut known: Vec<String> = TEMPLATES.iter().map(|(name, _)| (*name).to_owned()).collect();
        files.sort();
        known.sort();
        assert_eq!(files, known);
    }

    #[test]
    fn own_templates_replace_and_change_the_hash() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("router_repair.jinja"), "Again: {{ problem }}").unwrap();
        std::fs::write(folder.path().join("notes.md"), "mine").unwrap();
        let (mine, built_in) = (Prompts::with_folder(folder.path()).unwrap(), Prompts::built_in().unwrap());
        assert_ne!(mine.hash(), built_in.hash());
        assert_eq!(mine.hash().len(), 16);
        let context = serde_json::json!({"problem": "{{ braces }} stay"});
        assert_eq!(mine.render("router_repair.jinja", context).unwrap(), "Again: {{ braces }} stay\n");
        let error = mine.render("router_repair.jinja", serde_json::json!({})).unwrap_err().to_string();
        assert!(error.contains("undefined") && error.contains("router_repair.jinja:1"), "{error}");
    }

    #[test]
    fn mistakes_in_a_folder_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Prompts::with_folder(&folder.path().join("nowhere")).unwrap_err().to_string();
        assert!(error.contains("nowhere"), "{error}");
        std::fs::write(folder.path().join("rooter.jinja"), "").unwrap();
        let error = Prompts::with_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("rooter.jinja: no prompt has this name") && error.contains("router.jinja"), "{error}");
        std::fs::remove_file(folder.path().join("rooter.jinja")).unwrap();
        std::fs::write(folder.path().join("router.jinja"), "a\n{% if %}").unwrap();
        let error = Prompts::with_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("router.jinja:2"), "{error}");
    }

    #[test]
    fn numbers_as_people_write_them() {
        assert_eq!(fixed(Value::from(0.12345), 3), "0.123");
        assert_eq!(fixed(Value::from(()), 3), "?");
        assert_eq!(grouped(Value::from(1_234_567)), "1,234,567");
        assert_eq!(grouped(Value::from(-999)), "-999");
        assert_eq!(grouped(Value::from(())), "?");
    }

    #[test]
    fn gaps_close_outside_of_programs() {
        assert_eq!(tidy("\n\na\n\n\n\nb  \n```python\nx\n\n\ny\n```\n\n\n"), "a\n\nb\n```python\nx\n\n\ny\n```\n");
    }
}
