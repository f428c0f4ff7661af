//! What can go wrong with one call, as data: transcripts store it and a replay gives it back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The kinds of failure. The names are those of the column `reason` and of the transcripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// No connection: refused, unknown host, TLS.
    Connect,
    /// The server took longer than one of the time limits of an attempt.
    Timeout,
    /// The connection broke.
    Transport,
    /// An HTTP status other than 200.
    Status,
    /// An error object where a completion was expected.
    Api,
    /// A body that is neither JSON nor an event stream.
    ContentType,
    /// JSON or events that do not follow the protocol.
    Malformed,
    /// The stream ended before the reply did.
    Truncated,
    /// More bytes than `max_reply_bytes`, or the token limit was spent before the answer began.
    TooLong,
    /// The model declined, or a content filter did.
    Refusal,
    /// A reply without text.
    Empty,
    /// The prompt is longer than the model's context, or the server has cut it to that.
    Context,
    /// A body in an encoding that nobody asked for.
    Encoding,
    /// The time for the whole proposal is spent.
    Deadline,
    /// The service did not answer for as long as `llm.patience`.
    Unavailable,
    /// The money or the tokens for the whole run are spent.
    Budget,
    /// A replay found no recorded reply.
    Unrecorded,
    /// The settings or the environment do not allow the call.
    Setup,
}

impl Kind {
    /// Whether a failure of this kind is what a model had to say.
    pub fn is_an_answer(self) -> bool {
        matches!(self, Self::Refusal | Self::Empty | Self::TooLong)
    }

    /// As in transcripts and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Transport => "transport",
            Self::Status => "status",
            Self::Api => "api",
            Self::ContentType => "content-type",
            Self::Malformed => "malformed",
            Self::Truncated => "truncated",
            Self::TooLong => "too-long",
            Self::Refusal => "refusal",
            Self::Empty => "empty",
            Self::Context => "context",
            Self::Encoding => "encoding",
            Self::Deadline => "deadline",
            Self::Unavailable => "unavailable",
            Self::Budget => "budget",
            Self::Unrecorded => "unrecorded",
            Self::Setup => "setup",
        }
    }
}

/// One failed call.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize, schemars::JsonSchema)]
#[error("{}: {message}", kind.as_str())]
pub struct CallError {
    /// What went wrong.
    pub kind: Kind,
    /// One sentence, free of the API key.
    pub message: String,
    /// The HTTP status, for [`Kind::Status`] and where an error object carries one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long the server asks to wait.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl CallError {
    /// A failure without an answer of a server.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), status: None, retry_after: None }
    }

    /// With the status of HTTP that the server answered.
    pub fn with_status(mut self, status: Option<u16>) -> Self {
        self.status = status;
        self
    }

    /// Whether the same call may succeed later. A request that the server calls wrong stays wrong.
    pub fn can_heal(&self) -> bool {
        match self.kind {
            Kind::Connect
            | Kind::Timeout
            | Kind::Transport
            | Kind::ContentType
            | Kind::Malformed
            | Kind::Truncated
            | Kind::Empty => true,
            Kind::Status | Kind::Api => match self.status {
                Some(408 | 409 | 425 | 429) => true,
                Some(status) => status >= 500,
                // an error object without a number, in the midst of a stream: the server fell over
                None => true,
            },
            Kind::TooLong
            | Kind::Refusal
            | Kind::Context
            | Kind::Encoding
            | Kind::Deadline
            | Kind::Unavailable
            | Kind::Budget
            | Kind::Unrecorded
            | Kind::Setup => false,
        }
    }

    /// Whose fault it is, as far as the answer tells.
    pub fn blame(&self) -> Blame {
        match self.kind {
            Kind::Refusal | Kind::Empty | Kind::TooLong | Kind::Deadline => Blame::Model,
            Kind::Connect | Kind::Timeout | Kind::Transport | Kind::ContentType | Kind::Malformed | Kind::Truncated => {
                Blame::Service
            }
            Kind::Status | Kind::Api if self.can_heal() => Blame::Service,
            Kind::Status | Kind::Api | Kind::Context | Kind::Encoding | Kind::Setup | Kind::Unrecorded => Blame::Setup,
            Kind::Unavailable | Kind::Budget => Blame::Run,
        }
    }

    /// Whether no row is to come of it: the stage ends here, and goes on from here when it is run again. What the client gives
    /// back of a service's faults concerns the one call: the service answers others.
    pub fn ends_the_stage(&self) -> bool {
        matches!(self.blame(), Blame::Setup | Blame::Run)
    }

    /// When the stage can go on.
    pub fn remedy(&self) -> &'static str {
        match self.kind {
            Kind::Budget => "once llm.max_tokens_total or llm.max_cost is raised",
            Kind::Unavailable => "once the server answers",
            Kind::Unrecorded => "once the settings are those of the recording",
            _ => "once that is mended",
        }
    }
}

/// Whose fault a failed call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The model's: it has answered, and there is nothing in the answer. That is an attempt, and a row.
    Model,
    /// The service's: it did not answer, or not in its protocol. Another try may go well.
    Service,
    /// The settings': every further call would meet the same end.
    Setup,
    /// The run's: it may spend no more, or has waited long enough.
    Run,
}

/// The first `limit` characters of a text, on one line, for messages.
pub(crate) fn excerpt(text: &str, limit: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(limit) {
        Some((at, _)) => format!("{}...", &flat[..at]),
        None => flat,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_heal_is_tried_again() {
        let of = |status| CallError::new(Kind::Status, "").with_status(Some(status)).can_heal();
        for status in [408, 409, 425, 429, 500, 502, 503, 504, 529] {
            assert!(of(status), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 413, 422] {
            assert!(!of(status), "{status}");
        }
        assert!(!CallError::new(Kind::Refusal, "").can_heal());
    }

    #[test]
    fn names_are_those_of_the_transcripts() {
        for kind in [Kind::ContentType, Kind::TooLong, Kind::Budget, Kind::Unrecorded, Kind::Api] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn excerpts_are_cut_between_characters() {
        assert_eq!(excerpt("äöü\n äöü", 5), "äöü ä...");
        assert_eq!(excerpt("short", 5), "short");
    }
}
