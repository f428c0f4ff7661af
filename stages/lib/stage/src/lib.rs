//! What every stage shares, so that all of them feel like one program: tables in and out, configuration, progress,
//! supervision of child processes, and exit codes.

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod ancestors;
pub mod args;
pub mod build;
pub mod cache;
pub mod card;
pub mod clock;
pub mod config;
pub mod confirmation;
pub mod engine;
pub mod exit;
pub mod files;
pub mod gpus;
pub mod job;
pub mod live;
pub mod machine;
pub mod manual;
pub mod markdown;
mod nearest;
pub mod pool;
pub mod proc;
pub mod progress;
pub mod runs;
pub mod signal;
pub mod supervise;
mod system;
pub mod table;
pub mod terminal;
pub mod time;

pub use args::{Common, TableArgs, WorkArgs};
pub use atomic;
pub use build::version;
pub use config::{Config, ConfigError};
pub use exit::{Usage, main, parse};
pub use gpus::Gpus;
pub use machine::Machine;
pub use nearest::nearest;
pub use progress::Progress;
pub use table::{Row, Table, TableError};

/// Version of the programs, stored in every table.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
