//! What can be wrong with the settings.

use std::path::PathBuf;

use super::Origin;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file of settings cannot be read.
    #[error("{}: cannot read the settings", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },

    /// A file of settings is not TOML.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },

    /// There is no such setting.
    #[error("{origin}: unknown setting `{key}`{}", suggestion(nearest.as_deref()))]
    Unknown {
        /// Where it was given.
        origin: Origin,
        /// Its name, `section.key`.
        key: String,
        /// The most similar setting there is; `None` where none is similar.
        nearest: Option<String>,
    },

    /// A setting has a value that it cannot have.
    #[error("{origin}: setting `{key}`: {message}")]
    Value {
        /// Where it was given.
        origin: Origin,
        /// Its name, `section.key`.
        key: String,
        /// What is wrong with the value.
        message: String,
    },

    /// What follows `--set` is not an assignment.
    #[error("--set {text}: write it as section.key=value")]
    Form {
        /// What was given.
        text: String,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(|| "; --print-config lists all".to_owned(), |name| format!("; did you mean `{name}`?"))
}
