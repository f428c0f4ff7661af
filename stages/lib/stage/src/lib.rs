//! What every stage shares, so that all of them feel like one program: tables in and out, configuration, progress,
//! supervision of child processes, and exit codes.

mod ancestors;
pub mod args;
pub mod atomic;
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
pub mod machine;
pub mod markdown;
pub mod pool;
pub mod proc;
pub mod progress;
pub mod signal;
pub mod supervise;
pub mod table;
pub mod terminal;

pub use args::{Common, TableArgs, WorkArgs};
pub use config::{Config, ConfigError};
pub use exit::{Usage, main, parse};
pub use gpus::Gpus;
pub use machine::Machine;
pub use progress::Progress;
pub use table::{Row, Table, TableError};

/// Version of the programs, stored in every table.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
