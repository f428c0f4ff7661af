//! Kernels, compiled where the program runs: by NVRTC for a GPU, and by the C++ compiler for tests on a CPU.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tch::Kind;

use super::code::Source;
use super::graphs::Stream;
use crate::error::{Error, Result};

/// What kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// The GPU that the process uses, by its number.
    Gpu(usize),
    /// The CPU, one index after the other.
    Host,
}

/// Threads of a block.
const BLOCK: u32 = 256;

/// A compiled kernel. It stays loaded as long as the process lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    address: *mut c_void,
    on_gpu: bool,
}

// SAFETY: a handle that every thread may use; what it stands for is never unloaded.
unsafe impl Send for Function {}

type Known = BTreeMap<(Target, bool, Source), Function>;

fn known() -> MutexGuard<'static, Known> {
    static KNOWN: OnceLock<Mutex<Known>> = OnceLock::new();
    KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compiles those that have not been compiled before, all at once: most of the time goes into starting the compiler.
pub(crate) fn compile(target: Target, float: Kind, sources: &[Source]) -> Result<Vec<Function>> {
    let double = float == Kind::Double;
    let mut known = known();
    let mut new: Vec<&Source> = Vec::new();
    for source in sources {
        if !known.contains_key(&(target, double, source.clone())) && !new.contains(&source) {
            new.push(source);
        }
    }
    if !new.is_empty() {
        let functions = match target {
            Target::Gpu(device) => gpu(device, double, &new)?,
            Target::Host => host(&text(target, double, &new), new.len())?,
        };
        for (source, function) in new.into_iter().zip(functions) {
            known.insert((target, double, source.clone()), function);
        }
    }
    let find = |source: &Source| known.get(&(target, double, source.clone())).copied();
    sources.iter().map(|source| find(source).ok_or_else(|| Error::missing("a kernel"))).collect()
}

/// Arguments of a kernel, as it sees them in memory.
pub(crate) struct Arguments(Vec<u64>);

impl Arguments {
    pub fn new(pointers: &[*mut c_void], numbers: &[u32], total: u32) -> Self {
        // Neither array is empty in the text.
        let mut words: Vec<u64> = pointers.iter().map(|&pointer| pointer as u64).collect();
        if words.is_empty() {
            words.push(0);
        }
        let mut halves: Vec<u32> = numbers.to_vec();
        if halves.is_empty() {
            halves.push(0);
        }
        halves.push(total);
        let low = |pair: &[u32]| u64::from(pair.first().copied().unwrap_or(0));
        let high = |pair: &[u32]| u64::from(pair.get(1).copied().unwrap_or(0)) << 32;
        words.extend(halves.chunks(2).map(|pair| low(pair) | high(pair)));
        Self(words)
    }
}

impl Function {
    /// Has all `total` indices computed, after what the stream was given before.
    ///
    /// # Safety
    /// The arguments are as many as the kernel's source says, and its addresses point to as many elements as its body
    /// touches, which nobody else uses until the work is done.
    pub unsafe fn launch(self, stream: Option<Stream>, arguments: &Arguments, total: u32) -> Result<()> {
        if total == 0 {
            return Ok(());
        }
        let place: *const c_void = arguments.0.as_ptr().cast();
        match (self.on_gpu, stream) {
            (true, Some(stream)) => {
                let api = Api::get()?;
                let mut parameters = [place.cast_mut()];
                let nothing = std::ptr::null_mut();
                // SAFETY: as promised; the driver copies the arguments before it returns.
                let code = unsafe {
                    (api.launch)(
                        self.address,
                        total.div_ceil(BLOCK),
                        1,
                        1,
                        BLOCK,
                        1,
                        1,
                        0,
                        stream.raw(),
                        parameters.as_mut_ptr(),
                        nothing,
                    )
                };
                api.check_driver(code)
            }
            (false, _) => {
                // SAFETY: the compiled function has this type.
                let function: unsafe extern "C" fn(*const c_void) = unsafe { std::mem::transmute(self.address) };
                // SAFETY: as promised.
                unsafe { function(place) };
                Ok(())
            }
            (true, None) => Err(Error::missing("a stream")),
        }
    }
}

fn text(target: Target, double: bool, sources: &[&Source]) -> String {
    let mut text = format!("typedef {} real;\n", if double { "double" } else { "float" });
    text.push_str(match target {
        Target::Gpu(_) => {
            "#define WORK static __device__ __forceinline__\n#undef INFINITY\n#undef NAN\n\
             #define INFINITY __longlong_as_double(0x7ff0000000000000LL)\n\
             #define NAN __longlong_as_double(0x7ff8000000000000LL)\n"
        }
        Target::Host => "#include <cmath>\nusing namespace std;\n#define WORK static inline\n",
    });
    text.push_str(
        "WORK real between(real x, real low, real high) {\n  x = x < low ? low : x;\n  return x > high ? high : x;\n}\n\
         WORK real bfloat16(real x) {\n  union { float x; unsigned u; } v;\n  v.x = (float)x;\n  \
         if (v.x == v.x) v.u = (v.u + 0x7fffu + (v.u >> 16 & 1u)) & 0xffff0000u;\n  return (real)v.x;\n}\n",
    );
    for (at, source) in sources.iter().enumerate() {
        let Source { body, pointers, numbers } = source;
        let _ = writeln!(
            text,
            "struct P{at} {{ void *p[{}]; unsigned n[{}]; unsigned total; }};\n\
             WORK void body{at}(const P{at} &p, unsigned i) {{\n{body}}}",
            (*pointers).max(1),
            (*numbers).max(1)
        );
        let _ = match target {
            Target::Gpu(_) => writeln!(
                text,
                "extern \"C\" __global__ void kernel{at}(const P{at} p) {{\n  \
                 const unsigned i = blockIdx.x * {BLOCK}u + threadIdx.x;\n  if (i < p.total) body{at}(p, i);\n}}"
            ),
            Target::Host => writeln!(
                text,
                "extern \"C\" void kernel{at}(const P{at} *p) {{\n  \
                 for (unsigned i = 0; i < p->total; i++) body{at}(*p, i);\n}}"
            ),
        };
    }
    text
}

/// NVRTC and the CUDA driver.
#[derive(Clone, Copy)]
struct Api {
    create: unsafe extern "C" fn(
        *mut *mut c_void,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    compile: unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char) -> c_int,
    log_size: unsafe extern "C" fn(*mut c_void, *mut usize) -> c_int,
    log: unsafe extern "C" fn(*mut c_void, *mut c_char) -> c_int,
    size: unsafe extern "C" fn(*mut c_void, *mut usize) -> c_int,
    code: unsafe extern "C" fn(*mut c_void, *mut c_char) -> c_int,
    destroy: unsafe extern "C" fn(*mut *mut c_void) -> c_int,
    attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int,
    load: unsafe extern "C" fn(*mut *mut c_void, *const c_void) -> c_int,
    function: unsafe extern "C" fn(*mut *mut c_void, *mut c_void, *const c_char) -> c_int,
    launch: unsafe extern "C" fn(
        *mut c_void,
        u32,
        u32,
        u32,
        u32,
        u32,
        u32,
        u32,
        *mut c_void,
        *mut *mut c_void,
        *mut *mut c_void,
    ) -> c_int,
    error_text: unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int,
}

/// libtorch's own link to NVRTC and the driver, which brings both.
const NVRTC: &CStr = c"libcaffe2_nvrtc.so";
/// `cudaDevAttrComputeCapabilityMajor` and `Minor`.
const CAPABILITY: [c_int; 2] = [75, 76];

impl Api {
    fn get() -> Result<&'static Self> {
        static API: OnceLock<std::result::Result<Api, String>> = OnceLock::new();
        API.get_or_init(Self::find).as_ref().map_err(|reason| Error::Torch(reason.clone()))
    }

    fn find() -> std::result::Result<Self, String> {
        // SAFETY: a constant C string; the library's initialisers only register what it links to.
        if unsafe { libc::dlopen(NVRTC.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) }.is_null() {
            return Err(format!("{} cannot be loaded", NVRTC.to_string_lossy()));
        }
        Ok(Self {
            create: super::graphs::function!(c"nvrtcCreateProgram"),
            compile: super::graphs::function!(c"nvrtcCompileProgram"),
            log_size: super::graphs::function!(c"nvrtcGetProgramLogSize"),
            log: super::graphs::function!(c"nvrtcGetProgramLog"),
            size: super::graphs::function!(c"nvrtcGetCUBINSize"),
            code: super::graphs::function!(c"nvrtcGetCUBIN"),
            destroy: super::graphs::function!(c"nvrtcDestroyProgram"),
            attribute: super::graphs::function!(c"cudaDeviceGetAttribute"),
            load: super::graphs::function!(c"cuModuleLoadData"),
            function: super::graphs::function!(c"cuModuleGetFunction"),
            launch: super::graphs::function!(c"cuLaunchKernel"),
            error_text: super::graphs::function!(c"cuGetErrorString"),
        })
    }

    fn check_driver(&self, code: c_int) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        let mut text = std::ptr::null();
        // SAFETY: the driver answers with a static text, or not at all.
        let text = unsafe {
            (self.error_text)(code, &mut text);
            if text.is_null() {
                format!("driver error {code}")
            } else {
                CStr::from_ptr(text).to_string_lossy().into_owned()
            }
        };
        let memory = text.contains("out of memory");
        let text = format!("CUDA error: {text}");
        Err(if memory { Error::OutOfMemory(text) } else { Error::Torch(text) })
    }
}

/// Kernels that are compiled together, at the least, where several threads compile.
const TOGETHER: usize = 4;

/// Compiles on all cores, and loads what comes out in the calling thread, which the GPU belongs to.
fn gpu(device: usize, double: bool, sources: &[&Source]) -> Result<Vec<Function>> {
    let api = Api::get()?;
    let number = c_int::try_from(device).map_err(|_| Error::missing("a GPU of that number"))?;
    let mut version = [0; 2];
    for (place, attribute) in version.iter_mut().zip(CAPABILITY) {
        // SAFETY: the place is there; a device that is not leaves the number.
        unsafe { (api.attribute)(place, attribute, number) };
    }
    let architecture = CString::new(format!("--gpu-architecture=sm_{}{}", version[0], version[1]));
    let architecture = architecture.map_err(|_| Error::missing("the GPU's architecture"))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let chunks: Vec<&[&Source]> = sources.chunks(sources.len().div_ceil(threads).max(TOGETHER)).collect();
    let architecture = architecture.as_c_str();
    let compiled: Vec<Result<Vec<u8>>> = std::thread::scope(|scope| {
        let one = |chunk: &&[&Source]| {
            let text = text(Target::Gpu(device), double, chunk);
            scope.spawn(move || nvrtc(api, architecture, &text))
        };
        let all: Vec<_> = chunks.iter().map(one).collect();
        let fault = || Err(Error::missing("a compiler's answer"));
        all.into_iter().map(|one| one.join().unwrap_or_else(|_| fault())).collect()
    });
    let mut functions = Vec::with_capacity(sources.len());
    for (chunk, code) in chunks.iter().zip(compiled) {
        let code = code?;
        let mut module = std::ptr::null_mut();
        // SAFETY: machine code that NVRTC has made for this device.
        api.check_driver(unsafe { (api.load)(&mut module, code.as_ptr().cast()) })?;
        for at in 0..chunk.len() {
            let name = CString::new(format!("kernel{at}")).map_err(|_| Error::missing("a kernel's name"))?;
            let mut address = std::ptr::null_mut();
            // SAFETY: the module is loaded, and stays so.
            api.check_driver(unsafe { (api.function)(&mut address, module, name.as_ptr()) })?;
            functions.push(Function { address, on_gpu: true });
        }
    }
    Ok(functions)
}

/// Machine code for a text.
fn nvrtc(api: &Api, architecture: &CStr, text: &str) -> Result<Vec<u8>> {
    let source = CString::new(text).map_err(|_| Error::missing("a kernel's text"))?;
    // A value that two kernels compute must be the same in both, to the last bit: gradients of extremes compare for equality.
    let options = [architecture.as_ptr(), c"--std=c++17".as_ptr(), c"--fmad=false".as_ptr()];
    let mut program = std::ptr::null_mut();
    let fail =
        |what: &str, code: c_int| Error::Torch(format!("kernels cannot be compiled: {what}: NVRTC error {code}"));
    let none = std::ptr::null();
    // SAFETY: valid C strings; no headers are given.
    match unsafe { (api.create)(&mut program, source.as_ptr(), c"kernels.cu".as_ptr(), 0, none, none) } {
        0 => {}
        code => return Err(fail("create", code)),
    }
    let compiled = (|| {
        // SAFETY: the program was created; the options are as many as said.
        let code = unsafe { (api.compile)(program, 3, options.as_ptr()) };
        if code != 0 {
            let mut size = 0;
            // SAFETY: the log is written to a buffer of the size that it is said to have.
            let log = unsafe {
                (api.log_size)(program, &mut size);
                let mut log = vec![0_u8; size];
                (api.log)(program, log.as_mut_ptr().cast());
                String::from_utf8_lossy(&log).into_owned()
            };
            let line = log.lines().find(|line| line.contains("error")).unwrap_or("no reason given").to_owned();
            return Err(fail(&line, code));
        }
        let mut size = 0;
        // SAFETY: as above.
        unsafe {
            match (api.size)(program, &mut size) {
                0 => {}
                code => return Err(fail("size", code)),
            }
            let mut code = vec![0_u8; size];
            match (api.code)(program, code.as_mut_ptr().cast()) {
                0 => Ok(code),
                error => Err(fail("code", error)),
            }
        }
    })();
    // SAFETY: it was created, and is not used after this.
    unsafe { (api.destroy)(&mut program) };
    compiled
}

/// For tests: the C++ compiler is there where the project is built.
fn host(text: &str, count: usize) -> Result<Vec<Function>> {
    let fail = |what: &dyn std::fmt::Display| Error::Torch(format!("kernels cannot be compiled: {what}"));
    let folder = tempfile::tempdir().map_err(|error| fail(&error))?;
    let (source, library) = (folder.path().join("kernels.cpp"), folder.path().join("kernels.so"));
    std::fs::write(&source, text).map_err(|error| fail(&error))?;
    let mut command = std::process::Command::new("c++");
    command.args(["-O0", "-w", "-shared", "-fPIC", "-ffp-contract=off", "-o"]).arg(&library).arg(&source);
    let output = command.output().map_err(|error| fail(&error))?;
    if !output.status.success() {
        return Err(fail(&String::from_utf8_lossy(&output.stderr)));
    }
    let path = CString::new(library.to_string_lossy().as_bytes()).map_err(|error| fail(&error))?;
    // SAFETY: a valid C string; the library has no initialisers. It stays mapped when its file is gone.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return Err(fail(&"the library cannot be loaded"));
    }
    let function = |at: usize| {
        let name = CString::new(format!("kernel{at}")).map_err(|error| fail(&error))?;
        // SAFETY: the handle is that of a loaded library.
        let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
        if address.is_null() { Err(Error::missing("a kernel")) } else { Ok(Function { address, on_gpu: false }) }
    };
    (0..count).map(function).collect()
}
