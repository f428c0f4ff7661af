//! Where tensors live, and how libtorch is woken up.
//!
//! [`init`] must come before anything else of this crate. libtorch looks for its CUDA half once, at the first call that
//! asks for it (a seed is enough), and remembers the answer: so the library has to be loaded before that. The
//! programs are linked against the CPU half alone and so start on any machine.

use std::ffi::CStr;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// What a user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceArg {
    /// The first GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The visible GPU of this number, from 0.
    Cuda(usize),
}

impl FromStr for DeviceArg {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("`{text}` is not a device: auto, cpu, cuda or cuda:K")),
        }
    }
}

impl fmt::Display for DeviceArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// A device that is there. Only [`init`] makes one that is not the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device(pub tch::Device);

impl Device {
    /// It is always there.
    pub const CPU: Self = Self(tch::Device::Cpu);

    /// Whether it is a GPU.
    pub fn is_cuda(self) -> bool {
        self.0.is_cuda()
    }

    /// Waits until the device has done all that it was given: for measuring time.
    pub fn synchronize(self) {
        if let tch::Device::Cuda(index) = self.0 {
            tch::Cuda::synchronize(i64::try_from(index).unwrap_or(0));
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            tch::Device::Cuda(index) => write!(f, "cuda:{index}"),
            _ => f.write_str("cpu"),
        }
    }
}

const CUDA_LIBRARY: &CStr = c"libtorch_cuda.so";

/// How a process computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Threads of libtorch; 0: one for each core.
    pub threads: usize,
    /// Whether a GPU's work is recorded as CUDA graphs.
    pub graphs: bool,
    /// Whether a GPU may round what it multiplies, see [`graph::Dtype::rounds_on_gpu`]. It holds for the whole process, and
    /// only at its first start.
    pub tf32: bool,
}

/// As [`init_with`], with CUDA graphs and full products.
pub fn init(wanted: &DeviceArg, threads: usize) -> Result<Device> {
    init_with(wanted, Start { threads, graphs: true, tf32: false })
}

static GRAPHS: AtomicBool = AtomicBool::new(true);

/// Whether a GPU's work is to be recorded.
pub(crate) fn graphs() -> bool {
    GRAPHS.load(Ordering::Relaxed)
}

/// Loads what the device needs, fixes the number of threads, and says where to compute.
pub fn init_with(wanted: &DeviceArg, start: Start) -> Result<Device> {
    let Start { threads, graphs, tf32 } = start;
    GRAPHS.store(graphs, Ordering::Relaxed);
    let loaded = match wanted {
        DeviceArg::Cpu => Ok(()),
        DeviceArg::Auto if !gpu_in_sight() => Ok(()),
        _ => load_cuda(tf32),
    };
    crate::allocator::link();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if threads == 0 { cores } else { threads };
    // libtorch takes no more than this.
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    // libtorch accepts this once in a process.
    static INTEROP: OnceLock<()> = OnceLock::new();
    INTEROP.get_or_init(|| tch::set_num_interop_threads(1));

    let fail = |reason: String| Err(Error::Device { device: wanted.to_string(), reason });
    match wanted {
        DeviceArg::Cpu => Ok(Device(tch::Device::Cpu)),
        DeviceArg::Auto if loaded.is_err() || !gpu_in_sight() || !tch::Cuda::is_available() => {
            Ok(Device(tch::Device::Cpu))
        }
        DeviceArg::Auto => Ok(Device(tch::Device::Cuda(0))),
        DeviceArg::Cuda(index) => match loaded {
            Err(reason) => fail(format!("libtorch has no CUDA here ({reason})")),
            Ok(()) if !tch::Cuda::is_available() => fail("libtorch finds no NVIDIA GPU or driver".to_owned()),
            Ok(()) if i64::try_from(*index).is_ok_and(|index| index < tch::Cuda::device_count()) => {
                Ok(Device(tch::Device::Cuda(*index)))
            }
            Ok(()) => fail(format!("there are {} GPUs", tch::Cuda::device_count())),
        },
    }
}

/// A cheap look, so that machines without a GPU do not load gigabytes of CUDA libraries.
fn gpu_in_sight() -> bool {
    ["/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg"].iter().any(|path| Path::new(path).exists())
}

fn load_cuda(tf32: bool) -> std::result::Result<(), String> {
    static LOADED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    LOADED
        .get_or_init(|| {
            if std::env::var_os("CUBLAS_WORKSPACE_CONFIG").is_none() {
                // SAFETY: runs once, before libtorch or this program have started any thread that reads the environment.
                unsafe { std::env::set_var("CUBLAS_WORKSPACE_CONFIG", ":4096:8") };
            }
            // libtorch has a call for this, tch has not. Whatever the user's environment says, a run does what its settings say.
            // SAFETY: as above.
            unsafe { std::env::set_var("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", if tf32 { "1" } else { "0" }) };
            // SAFETY: a valid C string; the library's initialisers only register its kernels. Found by the program's rpath.
            let handle = unsafe { libc::dlopen(CUDA_LIBRARY.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
            if !handle.is_null() {
                return Ok(());
            }
            // SAFETY: dlerror returns null or a string that is valid until the next call on this thread.
            let message = unsafe {
                let text = libc::dlerror();
                if text.is_null() { None } else { Some(CStr::from_ptr(text).to_string_lossy().into_owned()) }
            };
            Err(message.unwrap_or_else(|| "libtorch_cuda.so cannot be loaded".to_owned()))
        })
        .clone()
}

/// What `probe doctor` reports.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Doctor {
    /// Where the loaded `libtorch_cpu.so` lies.
    pub libtorch: Option<String>,
    /// The version that this program was built for.
    pub wanted_version: &'static str,
    /// What the library's folder says about itself, where it does.
    pub found_version: Option<String>,
    /// Whether libtorch's CUDA half could be loaded.
    pub cuda_library: bool,
    /// Whether it finds a GPU.
    pub cuda_available: bool,
    /// How many GPUs are visible.
    pub cuda_devices: i64,
    /// Why that half could not be loaded.
    pub cuda_reason: Option<String>,
    /// Whether libtorch was built with MKL.
    pub mkl: bool,
    /// Whether libtorch was built with OpenMP.
    pub openmp: bool,
    /// Threads that libtorch computes with.
    pub threads: i32,
    /// Cores that the process may use.
    pub cores: usize,
    /// What `auto` stands for on this machine.
    pub device: String,
}

/// Looks at libtorch and the machine; call it instead of [`init`].
pub fn doctor() -> Result<Doctor> {
    let loaded = load_cuda(false);
    let device = init(&DeviceArg::Auto, 0)?;
    let library = loaded_path();
    let found_version = library.as_deref().and_then(Path::parent).and_then(|lib| {
        let home = lib.parent()?;
        let stamp = std::fs::read_to_string(home.join("build-version")).ok();
        stamp.map(|text| text.trim().to_owned()).or_else(|| {
            let text = std::fs::read_to_string(home.join("version.py")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
            Some(line.trim_matches(['\'', '"', ' ']).to_owned())
        })
    });
    let cuda_available = loaded.is_ok() && tch::Cuda::is_available();
    Ok(Doctor {
        libtorch: library.map(|path| path.display().to_string()),
        wanted_version: "2.11.0",
        found_version,
        cuda_library: loaded.is_ok(),
        cuda_available,
        cuda_devices: if cuda_available { tch::Cuda::device_count() } else { 0 },
        cuda_reason: loaded.err(),
        mkl: tch::utils::has_mkl(),
        openmp: tch::utils::has_openmp(),
        threads: tch::get_num_threads(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        device: device.to_string(),
    })
}

/// The path of the loaded `libtorch_cpu.so`, as the kernel knows it.
fn loaded_path() -> Option<std::path::PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so"))?;
    line.find('/').map(|at| line[at..].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_arguments_read_and_print() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<DeviceArg>().map(|arg| arg.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("cuda".parse(), Ok(DeviceArg::Cuda(0)));
        for text in ["", "gpu", "cuda:", "cuda:x", "CPU"] {
            assert!(text.parse::<DeviceArg>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_absent_gpu_is_an_error_and_auto_is_not() {
        let device = init(&DeviceArg::Auto, 1).expect("auto always finds a device");
        if !device.is_cuda() {
            assert!(matches!(init(&DeviceArg::Cuda(0), 1), Err(Error::Device { .. })));
        }
    }
}
