//! Language models as proposers.
//!
//! From the outside in:
//!
//! - [`Session`] is one attempt of the search: it asks the agents (router, critic, writer), sends refused programs back
//!   with their diagnostics, and ends in rows;
//! - [`Prompts`] are the templates in `prompts/`, [`Context`] is what they can tell of the search;
//! - [`Chat`] answers calls: [`Live`], a server and a record of every exchange, or [`Replay`], the record alone;
//! - [`Client`] speaks OpenAI's protocol, with one layer of retries under one deadline, [`Ledger`] keeps the budget;
//! - [`Secret`] is the key, which nothing here can print.
//!
//! Everything that shapes a search is a function of the settings, the seed and the replies: waits, latencies and the
//! order in which calls end decide nothing.

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

pub mod agents;
mod budget;
mod call;
mod chat;
mod checker;
mod client;
#[cfg(feature = "mock")]
pub mod conform;
mod context;
mod diagnosis;
mod document;
mod endpoint;
mod error;
mod generation;
mod keyed;
#[cfg(feature = "mock")]
pub mod mock;
mod past;
mod prompts;
mod proposer;
mod secret;
mod session;
mod settings;
mod transcript;

pub use budget::{Ledger, Spent};
pub use call::{Agent, Call, Finish, Message, Reply, Speaker, Usage, estimated_tokens};
pub use chat::{Answer, Asked, Chat, Dry, Live, Replay};
pub use checker::{Checker, Judgement};
pub use client::{Backoff, Client, Notice, Outcome};
pub use context::{Context, Curves, Known, TaskFacts};
pub use document::document;
pub use endpoint::Endpoint;
pub use error::{Blame, CallError, Kind};
pub use generation::{Columns, ProposedRow, propose};
pub use prompts::{PromptError, Prompts};
pub use secret::{Mask, Secret};
pub use session::{Failure, Made, Routed, Session, Shared};
pub use settings::{Model, Settings, Waits};
pub use transcript::{Exchange, Place, Recorded, Recorder, Taken, TranscriptError, Try, exchanges};
