//! Where a result was made: kept beside it, and never a part of what it depends on.

use serde::{Deserialize, Serialize};

/// A host, and the GPU of it that was used. What cannot be told is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Name of the host, or of the node of Slurm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Model of the GPU, as the driver names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// Version of the GPU's driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

impl Machine {
    /// This one, without a GPU.
    pub fn here() -> Self {
        // A node of Slurm is told by the name that it has there.
        let host = std::env::var("SLURMD_NODENAME").ok();
        let host = host.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
        let host = host.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        Self { host, gpu: None, driver: None }
    }

    /// The model of the CPU, as the kernel names it; `None` where it does not.
    pub fn cpu() -> Option<String> {
        let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        line.map(|(_, name)| name.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// One property of several machines in words: each value once, in order; `None` where none has it.
    pub fn words<'a>(
        machines: impl IntoIterator<Item = &'a Machine>,
        of: fn(&Machine) -> Option<&String>,
    ) -> Option<String> {
        let mut values: Vec<&str> = Vec::new();
        for value in machines.into_iter().filter_map(of) {
            if !values.contains(&value.as_str()) {
                values.push(value);
            }
        }
        Some(values.join(", ")).filter(|words| !words.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_machines_are_told_once_each() {
        let on = |gpu: Option<&str>| Machine { gpu: gpu.map(str::to_owned), ..Machine::here() };
        let all = [on(Some("A")), on(None), on(Some("B")), on(Some("A"))];
        assert_eq!(Machine::words(&all, |machine| machine.gpu.as_ref()).as_deref(), Some("A, B"));
        assert_eq!(Machine::words(&all, |machine| machine.driver.as_ref()), None);
        assert!(all[0].host.is_some() && Machine::words(&all, |machine| machine.host.as_ref()) == all[0].host);
    }
}
