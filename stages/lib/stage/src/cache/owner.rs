//! Whose a scratch folder or a lock is: a process of one boot of one host, in one of its namespaces of pids.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::Machine;
use crate::proc::Stat;

/// A process, told apart from all others anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Hash of host, boot, namespace of pids, and the `/proc` that shows them.
    place: String,
    pid: u32,
    /// When it began, in clock ticks since the machine did.
    start: u64,
}

/// What can be told of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its process is there.
    Alive,
    /// Its process is gone.
    Dead,
    /// It is of another machine or container, where its pid says nothing here.
    Unknown,
}

impl Owner {
    /// This process.
    pub fn me() -> &'static Self {
        static ME: OnceLock<Owner> = OnceLock::new();
        ME.get_or_init(|| Self::of(Stat::of("self").map_or_else(std::process::id, |stat| stat.pid)))
    }

    /// The process that has this pid here and now.
    pub fn of(pid: u32) -> Self {
        Self { place: place(), pid, start: Stat::of(pid).map_or(0, |stat| stat.start) }
    }

    /// Its pid, which says something in its own place alone.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The owner in a name such as `KEY.PLACE-PID-START-N.tmp`.
    pub fn of_name(name: &str) -> Option<Self> {
        let mut parts = name.rsplit('.').nth(1)?.split('-');
        let place = parts.next()?.to_owned();
        let owner = Self { place, pid: parts.next()?.parse().ok()?, start: parts.next()?.parse().ok()? };
        // Then there must be the number, which names of before lack.
        parts.next()?.parse::<u64>().ok().map(|_| owner)
    }

    /// What can be told of it from here.
    pub fn life(&self) -> Life {
        if self.place != Self::me().place {
            return Life::Unknown;
        }
        match Stat::of(self.pid) {
            Some(stat) if stat.start == self.start && !stat.is_dead() => Life::Alive,
            Some(_) => Life::Dead,
            // Other users' processes may be hidden.
            None if exists(self.pid) => Life::Unknown,
            None => Life::Dead,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.place, self.pid, self.start)
    }
}

fn place() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default();
    let device = fs::metadata("/proc").map(|proc| proc.dev()).unwrap_or_default();
    super::hash(&(Machine::here().host, boot, namespace, device)).chars().take(12).collect()
}

fn exists(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    matches!(rustix::process::test_kill_process(pid), Ok(()) | Err(Errno::PERM))
}
