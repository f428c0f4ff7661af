//! What can be wrong with the settings.

use std::path::PathBuf;

use super::Origin;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: cannot read the settings", path.display())]
    Read { path: PathBuf, source: std::io::Error },

    #[error("{}:{line}: {message}", path.display())]
    Syntax { path: PathBuf, line: usize, message: String },

    #[error("{origin}: unknown setting `{key}`{}", suggestion(nearest.as_deref()))]
    Unknown { origin: Origin, key: String, nearest: Option<String> },

    #[error("{origin}: setting `{key}`: {message}")]
    Value { origin: Origin, key: String, message: String },

    #[error("--set {text}: write it as section.key=value")]
    Form { text: String },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(|| "; --print-config lists all".to_owned(), |name| format!("; did you mean `{name}`?"))
}
