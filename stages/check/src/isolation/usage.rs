//! What a process uses, as the kernel tells it.

use std::time::Duration;

/// Processor time used so far, by all threads; zero where it cannot be told.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command's name stands in parentheses and may hold anything, spaces too.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // utime and stime are fields 14 and 15, and the first one after the name is field 3.
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(ticks.saturating_mul(1000) / per_second)
}

/// Memory that is the process's own and in use, in bytes: files that it has mapped (its code, its libraries) are not counted.
/// Zero where it cannot be told.
pub fn memory(pid: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let mut pages = statm.split_whitespace().skip(1).map(|field| field.parse::<u64>().unwrap_or(0));
    let (resident, of_files) = (pages.next().unwrap_or(0), pages.next().unwrap_or(0));
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    resident.saturating_sub(of_files).saturating_mul(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_show() {
        let pid = std::process::id();
        let before = memory(pid);
        let block = vec![1_u8; 64 << 20];
        assert!(memory(pid) >= before + (48 << 20), "{} of {} bytes", block.len(), memory(pid));
        let start = cpu(pid);
        while cpu(pid) < start + Duration::from_millis(30) {
            std::hint::black_box((0..100_000_u64).sum::<u64>());
        }
    }
}
