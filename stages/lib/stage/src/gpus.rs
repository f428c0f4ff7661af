//! Which GPUs there are, and which of them the next job gets.
//!
//! Each child process is given one GPU by its environment (`CUDA_VISIBLE_DEVICES`), and calls it `cuda:0`. So no program
//! but this one knows of several, and nothing that a child computes, writes or is cached under depends on which it was.

use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::machine::Machine;
use crate::supervise::{self, End, Limits};

/// The variable that CUDA takes its devices from.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
/// The variable that says what its numbers mean.
const ORDER: &str = "CUDA_DEVICE_ORDER";
/// The order that the driver's tools number GPUs in.
const BUS_ORDER: &str = "PCI_BUS_ID";
/// A driver that has not answered until then is broken; a first call may have to wake it up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A GPU that was asked for is not there.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("cannot compute on cuda:{wanted}: the visible GPUs are numbered from 0, and there are {count}")]
pub struct NoSuchGpu {
    /// The number that was asked for, from 0.
    pub wanted: usize,
    /// How many GPUs are visible.
    pub count: usize,
}

/// The machine computes on something else than it must.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("train.device_model is {wanted:?}, and this machine has {found}")]
pub struct WrongModel {
    /// The model that the settings ask for.
    pub wanted: String,
    /// What there is, in words.
    pub found: String,
}

/// A GPU, or a part of one (MIG).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// What CUDA_VISIBLE_DEVICES calls it.
    pub entry: String,
    /// Its model, as the driver names it; `None` where the driver does not answer.
    pub model: Option<String>,
    /// Version of the driver; `None` where the driver does not answer.
    pub driver: Option<String>,
}

/// The GPUs that jobs are placed on, with the number of jobs on each. None at all: jobs run where they would anyway.
#[derive(Debug, Default)]
pub struct Gpus {
    gpus: Vec<Gpu>,
    here: Machine,
    running: Mutex<Vec<usize>>,
}

impl Gpus {
    /// Jobs on the CPU, or on whatever GPU a child finds by itself.
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// Places on these GPUs.
    pub fn new(gpus: Vec<Gpu>) -> Self {
        let running = Mutex::new(vec![0; gpus.len()]);
        Self { gpus, here: Machine::here(), running }
    }

    /// The GPUs that a device setting asks for: with `auto` and `cuda` all visible ones, with `cuda:K` the K-th of them, with
    /// `cpu` none.
    pub fn find(setting: &str) -> Result<Self, NoSuchGpu> {
        if setting == "cpu" {
            return Ok(Self::none());
        }
        let given = std::env::var_os(VISIBLE).map(|list| list.to_string_lossy().into_owned());
        let listing = ask(&["-L"]).unwrap_or_default();
        let entries = choose(setting, visible(given.as_deref(), &listing, device_files()))?;
        let query = ["--query-gpu=index,uuid,name,driver_version", "--format=csv,noheader"];
        let known = if entries.is_empty() { String::new() } else { ask(&query).unwrap_or_default() };
        let in_bus_order = std::env::var_os(ORDER).is_some_and(|order| order == BUS_ORDER);
        let gpu = |entry: String| {
            let (model, driver) = described(&entry, &known, &listing, in_bus_order).unzip();
            Gpu { entry, model, driver }
        };
        Ok(Self::new(entries.into_iter().map(gpu).collect()))
    }

    /// The GPUs whose model's name has `wanted` in it, upper and lower case being the same; all, where nothing is wanted.
    ///
    /// # Errors
    /// Where there is none.
    pub fn of_model(self, wanted: &str) -> Result<Self, WrongModel> {
        if wanted.trim().is_empty() {
            return Ok(self);
        }
        let models = self.gpus.iter().filter_map(|gpu| gpu.model.as_deref()).collect::<Vec<_>>().join(", ");
        let found = if models.is_empty() { "no GPU whose model is known".to_owned() } else { models };
        let fitting = |gpu: &Gpu| gpu.model.as_deref().is_some_and(|model| is_model(model, wanted));
        let gpus: Vec<Gpu> = self.gpus.into_iter().filter(fitting).collect();
        if gpus.is_empty() { Err(WrongModel { wanted: wanted.to_owned(), found }) } else { Ok(Self::new(gpus)) }
    }

    /// Checks that the CPU's model has `wanted` in its name.
    ///
    /// # Errors
    /// Where it has not.
    pub fn cpu_of_model(wanted: &str) -> Result<(), WrongModel> {
        let found = Machine::cpu();
        if wanted.trim().is_empty() || found.as_deref().is_some_and(|model| is_model(model, wanted)) {
            return Ok(());
        }
        let found = found.unwrap_or_else(|| "a CPU whose model is not known".to_owned());
        Err(WrongModel { wanted: wanted.to_owned(), found })
    }

    /// All of them.
    pub fn all(&self) -> &[Gpu] {
        &self.gpus
    }

    /// A place for a job, on the GPU with the fewest running jobs, the first of equals, until it is dropped.
    pub fn take(&self) -> Seat<'_> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let at = least(&running);
        if let Some(jobs) = at.and_then(|at| running.get_mut(at)) {
            *jobs += 1;
        }
        Seat { gpus: self, at }
    }
}

/// The place of a running job.
#[derive(Debug)]
pub struct Seat<'a> {
    gpus: &'a Gpus,
    at: Option<usize>,
}

impl Seat<'_> {
    /// The GPU; none where there is no GPU to be placed on.
    pub fn gpu(&self) -> Option<&Gpu> {
        self.gpus.gpus.get(self.at?)
    }

    /// Shows the command this GPU and no other.
    pub fn give(&self, command: &mut Command) {
        if let Some(gpu) = self.gpu() {
            command.env(VISIBLE, &gpu.entry);
        }
    }

    /// What the job runs on.
    pub fn machine(&self) -> Machine {
        let gpu = self.gpu().cloned();
        let (gpu, driver) = gpu.map_or((None, None), |gpu| (gpu.model, gpu.driver));
        Machine { gpu, driver, ..self.gpus.here.clone() }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut running = self.gpus.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = self.at.and_then(|at| running.get_mut(at)) {
            *jobs = jobs.saturating_sub(1);
        }
    }
}

fn is_model(model: &str, wanted: &str) -> bool {
    model.to_lowercase().contains(&wanted.trim().to_lowercase())
}

/// The first of the smallest.
fn least(running: &[usize]) -> Option<usize> {
    running.iter().enumerate().min_by_key(|(_, jobs)| **jobs).map(|(at, _)| at)
}

/// The visible GPUs that a setting asks for.
fn choose(setting: &str, visible: Vec<String>) -> Result<Vec<String>, NoSuchGpu> {
    let wanted = setting.strip_prefix("cuda:").and_then(|index| index.parse::<usize>().ok());
    match (wanted, visible.len()) {
        (None, _) | (Some(_), 0) => Ok(visible),
        (Some(wanted), count) => {
            let chosen = visible.into_iter().nth(wanted).ok_or(NoSuchGpu { wanted, count })?;
            Ok(vec![chosen])
        }
    }
}

/// The visible GPUs: those of the variable where it is set, else those that the driver lists, else as many as there are
/// device files.
fn visible(given: Option<&str>, listing: &str, device_files: usize) -> Vec<String> {
    if let Some(given) = given {
        return named(given);
    }
    let listed = listed(listing);
    if listed.is_empty() { (0..device_files).map(|index| index.to_string()).collect() } else { listed }
}

/// The names in a list of CUDA_VISIBLE_DEVICES. As CUDA does, it stops at the first that names no GPU.
fn named(list: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in list.split(',').map(str::trim) {
        if name.parse::<u32>().is_err() && !name.starts_with("GPU-") && !name.starts_with("MIG-") {
            break;
        }
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// What `nvidia-smi -L` lists, by UUID: each GPU, or in place of a GPU that is divided (MIG) its parts.
fn listed(listing: &str) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in listing.lines().filter_map(uuid) {
        // The whole of a divided GPU cannot be computed on. Its line comes right before those of its parts.
        if name.starts_with("MIG-") && names.last().is_some_and(|last| last.starts_with("GPU-")) {
            names.pop();
        }
        names.push(name);
    }
    names.into_iter().map(str::to_owned).collect()
}

fn uuid(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("(UUID: ")?;
    rest.split(')').next().map(str::trim).filter(|name| name.starts_with("GPU-") || name.starts_with("MIG-"))
}

/// Model and driver of a GPU, from what the driver says of all: lines of number, UUID, model, driver version.
///
/// CUDA numbers GPUs by speed unless told otherwise, the driver by place: a number of CUDA's says which model it is only
/// where the order is the driver's, or all are alike.
fn described(entry: &str, known: &str, listing: &str, in_bus_order: bool) -> Option<(String, String)> {
    let rows: Vec<Vec<&str>> = known.lines().map(|line| line.split(',').map(str::trim).collect()).collect();
    let of = |row: &[&str]| match row {
        [_, _, model, driver] => Some(((*model).to_owned(), (*driver).to_owned())),
        _ => None,
    };
    let whole = whole_of(entry, listing);
    let entry = whole.as_deref().unwrap_or(entry);
    if entry.parse::<u32>().is_err() {
        return rows.iter().find(|row| row.get(1).is_some_and(|uuid| uuid.starts_with(entry))).and_then(|row| of(row));
    }
    if in_bus_order {
        return rows.iter().find(|row| row.first() == Some(&entry)).and_then(|row| of(row));
    }
    let first = of(rows.first()?)?;
    rows.iter().all(|row| of(row).as_ref() == Some(&first)).then_some(first)
}

/// The GPU that a part (MIG) belongs to.
fn whole_of(entry: &str, listing: &str) -> Option<String> {
    let part = entry.strip_prefix("MIG-")?;
    // Older drivers name parts by their GPU: MIG-GPU-.../1/0
    if part.starts_with("GPU-") {
        return part.split('/').next().map(str::to_owned);
    }
    let mut whole = None;
    for name in listing.lines().filter_map(uuid) {
        if name.starts_with("GPU-") {
            whole = Some(name.to_owned());
        } else if name.starts_with(entry) {
            return whole;
        }
    }
    None
}

/// What the driver's tool answers; `None` where there is none, or it has no answer.
pub fn ask(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("nvidia-smi");
    command.args(arguments);
    let mut answer = String::new();
    let limits = Limits { time: Some(PATIENCE), ..Limits::default() };
    let report = supervise::run(command, Vec::new(), limits, &|| false, |line| {
        answer.push_str(line);
        answer.push('\n');
    });
    report.is_ok_and(|report| report.end == End::Exited(0)).then_some(answer)
}

/// A cheap look whether there may be a GPU.
pub fn in_sight() -> bool {
    device_files() > 0 || ["/dev/nvidiactl", "/dev/dxg"].iter().any(|path| std::path::Path::new(path).exists())
}

/// How many files /dev/nvidia0, /dev/nvidia1, ... there are.
fn device_files() -> usize {
    let names = std::fs::read_dir("/dev").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let numbered = |name: &str| name.strip_prefix("nvidia").is_some_and(|number| number.parse::<u32>().is_ok());
    names.filter(|name| numbered(&name.to_string_lossy())).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa-1)\nGPU 1: NVIDIA L4 (UUID: GPU-bbbb-2)\n";
    const DIVIDED: &str = "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa-1)
  MIG 1g.5gb      Device  0: (UUID: MIG-cccc-3)
  MIG 1g.5gb      Device  1: (UUID: MIG-dddd-4)
GPU 1: NVIDIA L4 (UUID: GPU-bbbb-2)
";
    const KNOWN: &str = "0, GPU-aaaa-1, NVIDIA H100 80GB HBM3, 580.65.06\n1, GPU-bbbb-2, NVIDIA L4, 580.65.06\n";

    #[test]
    fn the_variable_wins_in_its_order() {
        let given = |list| visible(Some(list), TWO, 9);
        assert_eq!(given("1,0"), ["1", "0"]);
        assert_eq!(given(" GPU-bbbb-2 , MIG-cccc-3,0"), ["GPU-bbbb-2", "MIG-cccc-3", "0"]);
        assert_eq!(given("2,2,3"), ["2", "3"]);
        assert_eq!(given("0,-1,1"), ["0"], "CUDA sees nothing behind what it does not understand");
        for none in ["", "-1", "NoDevFiles", " "] {
            assert_eq!(given(none), Vec::<String>::new(), "{none:?}");
        }
    }

    #[test]
    fn without_it_the_driver_is_asked_then_the_device_files() {
        assert_eq!(visible(None, TWO, 9), ["GPU-aaaa-1", "GPU-bbbb-2"]);
        assert_eq!(visible(None, DIVIDED, 9), ["MIG-cccc-3", "MIG-dddd-4", "GPU-bbbb-2"]);
        assert_eq!(visible(None, "", 2), ["0", "1"]);
        assert_eq!(visible(None, "No devices found.\n", 0), Vec::<String>::new());
    }

    #[test]
    fn one_or_all() {
        let two = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(choose("auto", two()), Ok(two()));
        assert_eq!(choose("cuda", two()), Ok(two()));
        assert_eq!(choose("cuda:1", two()), Ok(vec!["b".to_owned()]));
        let error = choose("cuda:2", two()).expect_err("there are two");
        assert_eq!(error, NoSuchGpu { wanted: 2, count: 2 });
        assert_eq!(choose("cuda:2", Vec::new()), Ok(Vec::new()), "nothing is known: the child finds out");
    }

    #[test]
    fn models_are_told_where_they_are_certain() {
        let model = |entry, listing, bus| described(entry, KNOWN, listing, bus).map(|(model, _)| model);
        let (h100, l4) = (Some("NVIDIA H100 80GB HBM3".to_owned()), Some("NVIDIA L4".to_owned()));
        assert_eq!(model("GPU-bbbb-2", TWO, false), l4);
        assert_eq!(model("GPU-bb", TWO, false), l4, "CUDA takes the beginning of a name, too");
        assert_eq!(model("MIG-dddd-4", DIVIDED, false), h100);
        assert_eq!(model("MIG-GPU-bbbb-2/1/0", DIVIDED, false), l4);
        assert_eq!(model("1", TWO, true), l4);
        assert_eq!(model("1", TWO, false), None, "it may be either");
        assert_eq!(model("GPU-eeee-5", TWO, false), None);
        let alike = "0, GPU-a, NVIDIA L4, 580\n1, GPU-b, NVIDIA L4, 580\n";
        assert_eq!(described("1", alike, "", false), Some(("NVIDIA L4".to_owned(), "580".to_owned())));
        assert_eq!(described("0", "", "", false), None);
        assert_eq!(described("0", "broken", "", false), None);
    }

    fn gpus(count: usize) -> Gpus {
        Gpus::new((0..count).map(|at| Gpu { entry: at.to_string(), model: None, driver: None }).collect())
    }

    #[test]
    fn jobs_go_where_the_fewest_are() {
        let gpus = gpus(3);
        let entry = |seat: &Seat<'_>| seat.gpu().map(|gpu| gpu.entry.clone()).unwrap_or_default();
        let mut seats: Vec<Seat<'_>> = (0..4).map(|_| gpus.take()).collect();
        assert_eq!(seats.iter().map(entry).collect::<Vec<_>>(), ["0", "1", "2", "0"]);
        drop(seats.remove(2));
        assert_eq!(entry(&gpus.take()), "2");
        drop(seats);
        assert_eq!(entry(&gpus.take()), "0");
        assert!(Gpus::none().take().gpu().is_none());
    }

    #[test]
    fn a_command_sees_its_own_gpu_and_no_other() {
        let gpus = gpus(2);
        let seats = [gpus.take(), gpus.take()];
        for (seat, expected) in seats.iter().zip(["0", "1"]) {
            let mut command = Command::new("true");
            seat.give(&mut command);
            let value = command.get_envs().find(|(name, _)| *name == VISIBLE).and_then(|(_, value)| value);
            assert_eq!(value.and_then(|value| value.to_str()), Some(expected));
        }
        let mut command = Command::new("true");
        Gpus::none().take().give(&mut command);
        assert_eq!(command.get_envs().count(), 0, "what the user has set stays");
    }

    #[test]
    fn a_job_knows_its_machine() {
        let gpu = Gpu { entry: "0".into(), model: Some("NVIDIA L4".into()), driver: Some("580".into()) };
        let machine = Gpus::new(vec![gpu]).take().machine();
        let expected = Machine { gpu: Some("NVIDIA L4".into()), driver: Some("580".into()), ..Machine::here() };
        assert_eq!(machine, expected);
        assert_eq!(Gpus::none().take().machine(), Machine::here());
    }

    #[test]
    fn only_gpus_of_the_model_are_used_where_one_is_wanted() {
        let gpu = |model: Option<&str>| Gpu { entry: "0".into(), model: model.map(str::to_owned), driver: None };
        let all = || Gpus::new(vec![gpu(Some("NVIDIA H100 80GB HBM3")), gpu(Some("NVIDIA L4")), gpu(None)]);
        let count = |wanted: &str| all().of_model(wanted).map(|gpus| gpus.all().len());
        assert_eq!([count(""), count("h100"), count(" L4 ")], [Ok(3), Ok(1), Ok(1)]);
        let error = count("A100").expect_err("there is none");
        assert!(error.to_string().ends_with("this machine has NVIDIA H100 80GB HBM3, NVIDIA L4"), "{error}");
        assert!(Gpus::none().of_model("L4").expect_err("none").to_string().contains("no GPU whose model is known"));
        assert_eq!(Gpus::cpu_of_model(""), Ok(()));
        assert!(Gpus::cpu_of_model("no such CPU").is_err());
        if let Some(model) = Machine::cpu() {
            assert_eq!(Gpus::cpu_of_model(&model.to_uppercase()), Ok(()));
        }
    }
}
