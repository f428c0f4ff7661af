//! What is found out: the content of `gpu-check.json`.

use network::CurvePoint;
use serde::{Deserialize, Serialize};

/// The whole document.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Version of this document's form.
    pub format: u32,
    /// Version of the program.
    pub version: &'static str,
    /// Whether it is a trial on the CPU with tiny sizes, which says nothing about a GPU.
    pub dry: bool,
    /// As it was asked for.
    pub device: String,
    pub minutes: f64,
    /// Until now.
    pub seconds: f64,
    pub state: State,
    /// Whether all reference cases are within tolerance, no step has failed, and nothing was interrupted.
    pub ok: bool,
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub name: Name,
    pub state: State,
    pub seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    Machine,
    Parity,
    Speed,
    SpeedCpu,
    Seeds,
    Memory,
    Training,
}

impl Name {
    pub fn title(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Parity => "parity",
            Self::Speed => "training step",
            Self::SpeedCpu => "training step on the CPU",
            Self::Seeds => "seeds side by side",
            Self::Memory => "GPU memory",
            Self::Training => "training",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Waiting,
    Running,
    Done,
    Failed,
    Skipped,
    OutOfTime,
    Interrupted,
}

impl State {
    pub fn words(self) -> &'static str {
        match self {
            Self::Waiting => "not begun",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
            Self::OutOfTime => "out of time",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One thing that a step has found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "snake_case")]
pub enum Row {
    Host(Host),
    Gpu(Gpu),
    Library(Library),
    Case(Case),
    Speed(Speed),
    Memory(Memory),
    Training(Training),
}

/// The machine without its GPUs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Host {
    pub name: Option<String>,
    pub cpu: Option<String>,
    /// How many cores this process may use.
    pub cores: usize,
    pub memory_mib: Option<u64>,
}

/// A GPU that was found, as its driver describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gpu {
    /// What CUDA_VISIBLE_DEVICES calls it.
    pub entry: String,
    pub model: Option<String>,
    pub driver: Option<String>,
    pub memory_mib: Option<u64>,
}

/// libtorch, as it was loaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Library {
    pub path: Option<String>,
    pub version: Option<String>,
    /// Whether it has CUDA, and finds a GPU and a driver.
    pub cuda: bool,
    /// Why it has no CUDA.
    pub cuda_reason: Option<String>,
}

/// A reference case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// `network` or `program`
    pub kind: String,
    pub case: String,
    /// All quantities are within their tolerances.
    pub ok: bool,
    pub quantities: usize,
    /// The quantity that is closest to its tolerance, or furthest beyond it.
    pub closest: Option<String>,
    pub error: Option<f64>,
    pub tolerance: Option<f64>,
    /// Why it could not be compared.
    pub failure: Option<String>,
    pub seconds: f64,
}

/// Seconds of a training step in one way of computing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Speed {
    /// `eager`, `graphs` or `plans` (the CPU's), the latter two also with `, tf32` or `, bf16`; `processes`, `threads`,
    /// `batched seeds`; `evaluation`
    pub mode: String,
    pub device: String,
    /// Trainings at once.
    pub seeds: usize,
    /// Nodes.
    pub length: Option<usize>,
    pub batch_size: usize,
    pub hidden: usize,
    /// Seconds of a step of one training: the median, or the mean over those side by side.
    pub step_s: Option<f64>,
    /// Steps a second of all trainings together.
    pub steps_per_s: Option<f64>,
    /// Speed of the matrix products that cannot be avoided, in billions of operations a second.
    pub gflops: Option<f64>,
    pub note: Option<String>,
}

/// Memory of the GPU in use, that of other programs included.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// After what.
    pub after: String,
    pub used_mib: u64,
    pub total_mib: u64,
}

/// A training of the reference architecture.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Training {
    pub seed: u64,
    /// Steps that were thought to fit into the time.
    pub planned: usize,
    /// Steps of the profile.
    pub of: usize,
    pub curve: Vec<CurvePoint>,
    /// Best accuracy on the validation split of the training length.
    pub val_acc: Option<f64>,
    /// Accuracy on the test split.
    pub test_acc: Option<f64>,
    pub test_length: usize,
    pub seconds: f64,
    pub failure: Option<String>,
}

impl Record {
    pub fn step(&self, name: Name) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    pub fn step_mut(&mut self, name: Name) -> Option<&mut Step> {
        self.steps.iter_mut().find(|step| step.name == name)
    }

    pub fn add(&mut self, name: Name, row: Row) {
        if let Some(step) = self.step_mut(name) {
            step.rows.push(row);
        }
    }

    /// The measured rows of a step.
    pub fn speeds(&self, name: Name) -> impl Iterator<Item = &Speed> {
        let rows = self.step(name).into_iter().flat_map(|step| &step.rows);
        rows.filter_map(|row| match row {
            Row::Speed(speed) => Some(speed),
            _ => None,
        })
    }

    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        let rows = self.step(Name::Parity).into_iter().flat_map(|step| &step.rows);
        rows.filter_map(|row| match row {
            Row::Case(case) => Some(case),
            _ => None,
        })
    }

    pub fn trainings(&self) -> impl Iterator<Item = &Training> {
        let rows = self.step(Name::Training).into_iter().flat_map(|step| &step.rows);
        rows.filter_map(|row| match row {
            Row::Training(training) => Some(training),
            _ => None,
        })
    }

    pub fn training_mut(&mut self, seed: u64) -> Option<&mut Training> {
        let rows = self.step_mut(Name::Training).into_iter().flat_map(|step| &mut step.rows);
        let mut trainings = rows.filter_map(|row| match row {
            Row::Training(training) => Some(training),
            _ => None,
        });
        trainings.find(|training| training.seed == seed)
    }

    /// What [`Record::ok`] says.
    pub fn is_ok(&self) -> bool {
        let bad = |state| matches!(state, State::Failed | State::Interrupted);
        let parity = self.step(Name::Parity).is_some_and(|step| step.state == State::Done);
        parity && self.cases().all(|case| case.ok) && !self.steps.iter().any(|step| bad(step.state)) && !bad(self.state)
    }
}
