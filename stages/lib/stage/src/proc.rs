//! What Linux tells about processes, in `/proc`.

use std::fs;
use std::time::Duration;

/// A line of `/proc/PID/stat`, as far as we need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Number of the process.
    pub pid: u32,
    /// The file name of the program, cut to 15 bytes.
    pub name: String,
    /// `R` running, `S` sleeping, `T` stopped, `Z` zombie, ...
    pub state: char,
    /// Number of its parent.
    pub parent: u32,
    /// Number of its session.
    pub session: u32,
    /// Processor time of all its threads, and of the children that it has waited for.
    pub cpu: Duration,
    /// When it was started, in clock ticks since the machine was: with the pid it names one process of all times.
    pub start: u64,
}

impl Stat {
    /// The line of the process with this pid (`self` is one, too); `None` where there is none, or it is hidden from us.
    pub fn of(pid: impl std::fmt::Display) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(line: &str) -> Option<Self> {
        // A name may hold blanks and parentheses, so it ends at the last one.
        let (head, rest) = line.rsplit_once(')')?;
        let (pid, name) = head.split_once(" (")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        // Numbered from the state on: proc_pid_stat(5) counts it as the third field.
        let ticks = (11..=14).filter_map(number).sum::<u64>();
        Some(Self {
            pid: pid.trim().parse().ok()?,
            name: name.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: u32::try_from(number(1)?).ok()?,
            session: u32::try_from(number(3)?).ok()?,
            cpu: Duration::from_secs_f64(ticks as f64 / ticks_per_second()),
            start: number(19)?,
        })
    }

    /// Whether it was stopped by a signal, or by a debugger.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// Whether it has ended, and only waits to be reaped.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// A process and its descendants.
pub fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        found.extend(children.split_ascii_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        at += 1;
    }
    found
}

/// A set of signals of `/proc/PID/status`, such as `SigCgt` or `SigIgn`: bit N-1 is signal N.
pub fn signals(pid: impl std::fmt::Display, set: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(':'))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The bit of a signal in such a set; 0 for what is not a signal.
pub fn bit(signal: i32) -> u64 {
    u32::try_from(signal - 1).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0)
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second().max(1) as f64
}

/// The memory of one process in bytes, its descendants' not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What is in memory, in bytes.
    pub resident: u64,
    /// The part of it that maps files, such as its code and its libraries, or is shared with others.
    pub shared: u64,
}

impl Memory {
    /// The memory of the process with this pid; zeros where it is not known.
    pub fn of(pid: impl std::fmt::Display) -> Self {
        let pages = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        let mut bytes = pages.split_ascii_whitespace().skip(1).map(|field| {
            let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
            field.parse::<u64>().unwrap_or(0).saturating_mul(page)
        });
        Self { resident: bytes.next().unwrap_or(0), shared: bytes.next().unwrap_or(0) }
    }

    /// What is the process's own, in bytes.
    pub fn own(self) -> u64 {
        self.resident.saturating_sub(self.shared)
    }
}

/// The most memory that this process held so far, in bytes; 0 where it cannot be told.
pub fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name() {
        let line = "42 (a) b (c) T 7 42 9 0 -1 0 1 2 3 4 150 50 100 0 20 0 1 0 12345 1 2 3";
        let stat = Stat::parse(line).expect("it is one");
        assert_eq!((stat.pid, stat.name.as_str(), stat.parent, stat.session), (42, "a) b (c", 7, 9));
        assert_eq!((stat.cpu.as_secs_f64() * ticks_per_second(), stat.start), (300.0, 12345));
        assert!(stat.is_stopped() && !stat.is_dead());
        assert_eq!(Stat::parse("42 (a"), None);
    }

    #[test]
    fn we_are_found() {
        let me = Stat::of("self").expect("there is a /proc");
        assert_eq!((me.pid, me.state != 'Z'), (std::process::id(), true));
        assert!(tree(me.parent).contains(&me.pid) || tree(me.pid) == [me.pid]);
        assert!(peak() > 1 << 20, "{}", peak());
        assert!(signals("self", "SigCgt").is_some() && signals("self", "SigNone").is_none());
        assert_eq!([bit(1), bit(15), bit(0)], [1, 1 << 14, 0]);
    }

    #[test]
    fn work_and_memory_show() {
        let pid = std::process::id();
        let before = Memory::of(pid).own();
        let block = vec![1_u8; 64 << 20];
        let after = Memory::of(pid);
        assert!(after.own() >= before + (48 << 20), "{} of {after:?}", block.len());
        assert!(after.resident >= after.own());
        let cpu = || Stat::of(pid).expect("there is a /proc").cpu;
        let start = cpu();
        while cpu() < start + Duration::from_millis(30) {
            std::hint::black_box((0..100_000_u64).sum::<u64>());
        }
    }
}
