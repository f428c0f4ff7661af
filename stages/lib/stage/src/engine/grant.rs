//! What the machine grants to this process: a batch system gives a job less memory than the node has, and ends it, its
//! supervisor included, when it takes more.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// What is kept back for the supervisor itself (20 MiB), and for growth between two looks. A fixed number: the supervisor's
/// own use differs from run to run, and the limit would with it.
const RESERVE: u64 = 96 << 20;

/// The memory that a job could have where less was granted than its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// For the job itself, in MiB.
    pub memory_mib: u64,
    /// How the queue was asked.
    pub options: String,
}

impl Granted {
    /// What is left for a child of this process, in MiB; `None` where nothing is known to bound it.
    pub fn here(options: &str) -> Option<Self> {
        let granted = [of_slurm(), of_cgroup()].into_iter().flatten().min()?;
        let left = granted.saturating_sub(RESERVE.max(granted / 20));
        Some(Self { memory_mib: left >> 20, options: options.to_owned() })
    }
}

/// As Slurm's variables have it, in bytes.
fn of_slurm() -> Option<u64> {
    let number = |name: &str| std::env::var(name).ok()?.trim().parse::<u64>().ok().filter(|&number| number > 0);
    let per_cpu = || Some(number("SLURM_MEM_PER_CPU")? * number("SLURM_CPUS_ON_NODE")?);
    number("SLURM_MEM_PER_NODE").or_else(per_cpu).map(|mib| mib.saturating_mul(1 << 20))
}

/// The lowest limit of the control groups that this process is in, in bytes.
fn of_cgroup() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    limit_of(&groups, Path::new("/sys/fs/cgroup"))
}

/// `groups`: as /proc/self/cgroup has them; `root`: where their file system is.
fn limit_of(groups: &str, root: &Path) -> Option<u64> {
    let mut lowest: Option<u64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (top, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            list if list.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        let full = top.join(path.trim_start_matches('/'));
        for folder in full.ancestors().take_while(|folder| folder.starts_with(&top)) {
            let limit =
                std::fs::read_to_string(folder.join(file)).ok().and_then(|text| text.trim().parse::<u64>().ok());
            // The first version writes a number beyond all memories for none.
            let limit = limit.filter(|&limit| limit < 1 << 60);
            lowest = [lowest, limit].into_iter().flatten().min();
        }
    }
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_of_nested_groups_counts() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write("slurm/job_5/memory.max", "3000\n");
        write("slurm/job_5/step/memory.max", "max\n");
        write("slurm/memory.max", "5000\n");
        write("memory/a/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(limit_of("0::/slurm/job_5/step\n", root.path()), Some(3000));
        assert_eq!(limit_of("0::/elsewhere\n", root.path()), None);
        assert_eq!(limit_of("4:cpu,memory:/a\n3:pids:/b\n", root.path()), None);
        write("memory/a/memory.limit_in_bytes", "700\n");
        assert_eq!(limit_of("4:cpu,memory:/a\n3:pids:/b\n", root.path()), Some(700));
    }
}
