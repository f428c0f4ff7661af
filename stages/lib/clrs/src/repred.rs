//! How predicted hints enter the next step (dm-clrs `hint_repred_mode`).

/// How predicted hints are fed back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repred {
    /// As distributions; gradients flow through them.
    #[default]
    Soft,
    /// As decisions, without gradient.
    Hard,
    /// Soft in training, hard in evaluation.
    HardOnEval,
}

impl Repred {
    /// Whether hints are decisions, in training or in evaluation.
    pub fn is_hard(self, training: bool) -> bool {
        match self {
            Self::Soft => false,
            Self::Hard => true,
            Self::HardOnEval => !training,
        }
    }
}

impl std::str::FromStr for Repred {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "soft" => Ok(Self::Soft),
            "hard" => Ok(Self::Hard),
            "hard_on_eval" => Ok(Self::HardOnEval),
            _ => Err(format!("`{text}` is not a way to feed hints back: soft, hard or hard_on_eval")),
        }
    }
}
