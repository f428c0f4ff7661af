//! The agents of an attempt: what they are asked, and how their replies are read.

pub mod critic;
pub mod diff;
pub mod extract;
pub mod regions;
pub mod router;
pub mod splice;
