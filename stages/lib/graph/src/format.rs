//! In which numbers a graph is computed.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number format of a whole computation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE single precision.
    #[default]
    F32,
    /// As `F32`, but a GPU may round what it multiplies to 10 bits (TensorFloat-32). Elsewhere it is `F32`.
    Tf32,
    /// IEEE double precision.
    F64,
}

impl FromStr for Dtype {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "tf32" => Ok(Self::Tf32),
            "f64" => Ok(Self::F64),
            _ => Err(format!("`{text}` is not a number format: f32, tf32 or f64")),
        }
    }
}
