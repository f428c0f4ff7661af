//! What a table was made from, kept in its metadata: by this, and not by file times, it is told whether a table is up to
//! date.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use ::parquet::file::metadata::KeyValue;
use ::parquet::file::reader::FileReader as _;
use ::parquet::file::serialized_reader::SerializedFileReader;
use anyhow::Result;
use schemas::{Candidate, Stage};
use serde::{Deserialize, Serialize};

use super::{Format, TableError, expand, footer, jsonl, read_records};
use crate::Config;

const INPUTS: &str = "emberline.inputs";
const SETTINGS: &str = "emberline.settings_digest";
const PROPOSALS: &str = "emberline.proposals";
const SEED_PROGRAM: &str = "emberline.seed_program";
const AFTER: &str = "emberline.after";

/// A file that a table was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Without its folder: a run may be moved.
    pub name: String,
    /// See [`digest`].
    pub digest: String,
}

/// What a table was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// In the order in which they were read. Stdin leaves nothing that could be compared later.
    pub inputs: Vec<Input>,
    /// [`Config::digest`] of the stage.
    pub settings: String,
    /// The generation's share of the proposals, for tables of `propose`.
    pub proposals: Option<usize>,
    /// Digest of the seed program's text, for tables of `propose`.
    pub seed_program: Option<String>,
    /// Digest of the files of the stage of the user's own that made it of what the stage itself had made.
    pub after: Option<String>,
}

impl Provenance {
    /// The provenance of a table that a stage makes with these settings from these tables and programs; patterns are allowed.
    ///
    /// # Errors
    /// When an input cannot be read.
    pub fn new(stage: Stage, config: &Config, inputs: &[String]) -> Result<Self, TableError> {
        let files = expand(inputs)?.into_iter().filter(|path| path.is_file());
        let inputs = files.map(|path| Input::of(&path)).collect::<Result<_, _>>()?;
        Ok(Self { inputs, settings: config.digest(stage), ..Self::default() })
    }

    /// Reads what a table says of itself. `None`: nothing, as tables made by hand, by other programs, and JSONL.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a Parquet file though its name says so.
    pub fn read(path: &Path) -> Result<Option<Self>, TableError> {
        if Format::of(path)? != Format::Parquet {
            return Ok(None);
        }
        let broken = |reason: String| TableError::BrokenParquet { path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(|source| TableError::Io { path: path.to_owned(), source })?;
        footer::check(&mut file, path)?;
        let reader = SerializedFileReader::new(file).map_err(|error| broken(error.to_string()))?;
        let entries = reader.metadata().file_metadata().key_value_metadata();
        let value = |key: &str| {
            let entry = entries.into_iter().flatten().find(|entry| entry.key == key);
            entry.and_then(|entry| entry.value.clone())
        };
        let (Some(inputs), Some(settings)) = (value(INPUTS), value(SETTINGS)) else { return Ok(None) };
        let inputs = serde_json::from_str(&inputs).map_err(|error| broken(format!("{INPUTS}: {error}")))?;
        let proposals = value(PROPOSALS).and_then(|count| count.parse().ok());
        Ok(Some(Self { inputs, settings, proposals, seed_program: value(SEED_PROGRAM), after: value(AFTER) }))
    }

    /// The same as entries of a table's metadata.
    pub(super) fn entries(&self) -> Result<Vec<KeyValue>> {
        let mut entries = vec![
            KeyValue::new(INPUTS.to_owned(), serde_json::to_string(&self.inputs)?),
            KeyValue::new(SETTINGS.to_owned(), self.settings.clone()),
        ];
        entries.extend(self.proposals.map(|count| KeyValue::new(PROPOSALS.to_owned(), count.to_string())));
        entries.extend(self.seed_program.clone().map(|digest| KeyValue::new(SEED_PROGRAM.to_owned(), digest)));
        entries.extend(self.after.clone().map(|digest| KeyValue::new(AFTER.to_owned(), digest)));
        Ok(entries)
    }
}

impl Input {
    /// What is recorded of a file.
    ///
    /// # Errors
    /// As [`digest`].
    pub fn of(path: &Path) -> Result<Self, TableError> {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Self { name, digest: digest(path)? })
    }
}

/// A digest of what a table of candidates holds, the same for every way to store it: of its rows as lines of JSON, without
/// the columns whose values differ from run to run. Of a program, a digest of its text.
///
/// # Errors
/// When the file cannot be read, or is not a table of candidates.
pub fn digest(path: &Path) -> Result<String, TableError> {
    if Format::of(path)? == Format::Program {
        let text = std::fs::read(path).map_err(|source| TableError::Io { path: path.to_owned(), source })?;
        return Ok(digest_of_text(&text));
    }
    let rows = read_records::<Candidate>(path)?.rows;
    let (rows, extras): (Vec<_>, Vec<_>) = rows.iter().map(|(row, extra)| (row, extra)).unzip();
    let mut out = BufWriter::new(blake3::Hasher::new());
    let encode = |reason: String| TableError::Encode { path: path.to_owned(), reason };
    jsonl::write(&rows, &extras, false, path, &mut out).map_err(|error| encode(error.to_string()))?;
    let hasher = out.into_inner().map_err(|error| encode(error.to_string()))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// A digest of a text.
pub fn digest_of_text(text: &[u8]) -> String {
    blake3::hash(text).to_hex().to_string()
}
