//! CUDA graphs: work that is recorded once and then launched as a whole.
//!
//! `tch` has no calls for this, so they are looked up by name in libtorch and in the CUDA runtime that [`crate::init`] has
//! loaded; programs are linked against neither and start on machines without a GPU. libtorch's `CUDAGraph` records,
//! because its allocator must know which memory belongs to a recording. Launching needs the CUDA runtime alone, whose
//! functions return codes: an exception of C++ never passes through our frames there.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use crate::Device;
use crate::error::{Error, Result};

/// libtorch's `c10::cuda::CUDAStream`, which it passes by value.
#[repr(C)]
#[derive(Clone, Copy)]
struct TorchStream {
    device_type: i8,
    device_index: i8,
    id: i64,
}

/// libtorch's `MempoolId_t`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Pool {
    first: u64,
    second: u64,
}

/// Memory of its own, for the first of several recordings.
const OWN: Pool = Pool { first: 0, second: 0 };

/// Other threads, such as the one that writes checkpoints, may use the device while one records.
const THREAD_LOCAL: c_int = 1;
/// A stream's state while it records without a fault.
const ACTIVE: c_int = 1;
/// More than a `CUDAGraph` of libtorch 2.11 takes.
const ROOM: usize = 4096;

/// The functions in question.
#[derive(Clone, Copy)]
struct Api {
    create: unsafe extern "C-unwind" fn(*mut c_void, bool),
    destroy: unsafe extern "C-unwind" fn(*mut c_void),
    begin: unsafe extern "C-unwind" fn(*mut c_void, Pool, c_int),
    end: unsafe extern "C-unwind" fn(*mut c_void),
    executable: unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void,
    pool: unsafe extern "C-unwind" fn(*mut c_void) -> Pool,
    new_stream: unsafe extern "C-unwind" fn(bool, i8) -> TorchStream,
    set_stream: unsafe extern "C-unwind" fn(TorchStream),
    raw_stream: unsafe extern "C-unwind" fn(*const TorchStream) -> *mut c_void,
    launch: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int,
    is_capturing: unsafe extern "C" fn(*mut c_void, *mut c_int) -> c_int,
    end_capture: unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> c_int,
    last_error: unsafe extern "C" fn() -> c_int,
    error_text: unsafe extern "C" fn(c_int) -> *const c_char,
}

/// Looks a function up among all libraries that are loaded.
macro_rules! function {
    ($name:literal) => {{
        // SAFETY: a constant C string.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, $name.as_ptr()) };
        if found.is_null() {
            return Err(format!("this libtorch has no function {}", $name.to_string_lossy()));
        }
        // SAFETY: the name, which for C++ spells out the arguments' types, is that of a function of the field's type in
        // libtorch 2.11 and in the CUDA runtime.
        #[expect(clippy::missing_transmute_annotations, reason = "the type is that of the field")]
        unsafe {
            std::mem::transmute(found)
        }
    }};
}
pub(crate) use function;

impl Api {
    fn get() -> Result<&'static Self> {
        static API: OnceLock<std::result::Result<Api, String>> = OnceLock::new();
        API.get_or_init(Self::load).as_ref().map_err(|reason| Error::Torch(reason.clone()))
    }

    fn load() -> std::result::Result<Self, String> {
        if cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))) {
            return Err("how this processor passes small C++ values is not known here".to_owned());
        }
        Ok(Self {
            create: function!(c"_ZN2at4cuda9CUDAGraphC1Eb"),
            destroy: function!(c"_ZN2at4cuda9CUDAGraphD1Ev"),
            begin: function!(c"_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode"),
            end: function!(c"_ZN2at4cuda9CUDAGraph11capture_endEv"),
            executable: function!(c"_ZN2at4cuda9CUDAGraph19raw_cuda_graph_execEv"),
            pool: function!(c"_ZN2at4cuda9CUDAGraph4poolEv"),
            new_stream: function!(c"_ZN3c104cuda17getStreamFromPoolEba"),
            set_stream: function!(c"_ZN3c104cuda20setCurrentCUDAStreamENS0_10CUDAStreamE"),
            raw_stream: function!(c"_ZNK3c104cuda10CUDAStream6streamEv"),
            launch: function!(c"cudaGraphLaunch"),
            is_capturing: function!(c"cudaStreamIsCapturing"),
            end_capture: function!(c"cudaStreamEndCapture"),
            last_error: function!(c"cudaGetLastError"),
            error_text: function!(c"cudaGetErrorString"),
        })
    }

    fn check(&self, code: c_int) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: every code has a static text.
        let text = unsafe { CStr::from_ptr((self.error_text)(code)) }.to_string_lossy();
        let memory = text.contains("out of memory");
        let text = format!("CUDA error: {text}");
        Err(if memory { Error::OutOfMemory(text) } else { Error::Torch(text) })
    }
}

/// A stream of its own for a thread: the default one cannot record. All that a thread does on a device goes there, whichever
/// engine does it, and its recordings share memory.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    api: &'static Api,
    index: i8,
    raw: *mut c_void,
}

thread_local! {
    static STREAM: Cell<Option<Stream>> = const { Cell::new(None) };
    /// The memory that recordings share, as long as there are any.
    static POOL: RefCell<(Pool, Weak<()>)> = const { RefCell::new((OWN, Weak::new())) };
}

impl Stream {
    /// From here on all of this thread's work on the device goes to the stream, after what it was given before.
    pub fn enter(device: Device) -> Result<Self> {
        let tch::Device::Cuda(index) = device.0 else { return Err(Error::missing("a GPU")) };
        let api = Api::get()?;
        let number = i8::try_from(index).map_err(|_| Error::missing("a GPU of that number"))?;
        if let Some(stream) = STREAM.get() {
            let other = || Error::Torch("a thread records on one GPU only".to_owned());
            return if stream.index == number { Ok(stream) } else { Err(other()) };
        }
        device.synchronize();
        // SAFETY: the device is there, which `init` has seen to; the stream lives as long as the process.
        let raw = unsafe {
            let stream = (api.new_stream)(false, number);
            (api.set_stream)(stream);
            (api.raw_stream)(&stream)
        };
        let stream = Self { api, index: number, raw };
        STREAM.set(Some(stream));
        Ok(stream)
    }

    /// As the driver names it.
    pub fn raw(self) -> *mut c_void {
        self.raw
    }

    /// Records what `work` asks the device to do, without doing it. Memory that `work` takes must be given back when it
    /// returns, for recordings share it.
    ///
    /// # Errors
    /// Where `work` fails, or needs what cannot be recorded, such as a number from the device.
    pub fn record(&self, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        // One thread at a time: libtorch's allocator is not known to keep several recordings apart.
        static RECORDING: Mutex<()> = Mutex::new(());
        let _recording = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
        let api = self.api;
        // libtorch gives shared memory up with the last recording, and does not take it up again.
        let (pool, owner) = POOL.with_borrow(|(pool, owner)| (*pool, owner.upgrade()));
        let (pool, owner) = owner.map_or_else(|| (OWN, Arc::default()), |owner| (pool, owner));
        let mut object = Box::new(Room([0; ROOM]));
        let place: *mut c_void = object.0.as_mut_ptr().cast();
        // SAFETY: the place is large enough and aligned; nothing of this thread is recording, and its stream is not the
        // default one, so that libtorch's conditions for beginning hold.
        unsafe {
            (api.create)(place, false);
            (api.begin)(place, pool, THREAD_LOCAL);
        }
        let done = work();
        let mut state = 0;
        // SAFETY: the stream lives as long as the process.
        let asked = api.check(unsafe { (api.is_capturing)(self.raw, &mut state) });
        if let (Ok(()), Ok(()), ACTIVE) = (&done, &asked, state) {
            // SAFETY: the recording is without fault, so that libtorch can end it.
            let executable = unsafe {
                (api.end)(place);
                POOL.set(((api.pool)(place), Arc::downgrade(&owner)));
                (api.executable)(place)
            };
            return Ok(Graph { api, stream: self.raw, executable, object, _memory: owner });
        }
        // libtorch would throw. The runtime ends the recording quietly; the object is left as it is, and so is its memory,
        // which libtorch takes for still being recorded into.
        std::mem::forget(object);
        POOL.set((OWN, Weak::new()));
        let mut nothing = std::ptr::null_mut();
        // SAFETY: the stream is this thread's; a recording that was begun in it is ended, and the error taken back.
        unsafe {
            let _ = (api.end_capture)(self.raw, &mut nothing);
            let _ = (api.last_error)();
        }
        done.and(asked)?;
        Err(Error::Torch("an operation cannot be recorded".to_owned()))
    }
}

#[repr(align(64))]
struct Room([u8; ROOM]);

/// A recording.
pub(crate) struct Graph {
    api: &'static Api,
    stream: *mut c_void,
    executable: *mut c_void,
    object: Box<Room>,
    /// Given up after the object is gone.
    _memory: Arc<()>,
}

impl Graph {
    /// Has the device do it all, after what it was given before.
    pub fn launch(&self) -> Result<()> {
        // SAFETY: both live as long as this value.
        self.api.check(unsafe { (self.api.launch)(self.executable, self.stream) })
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: it was created, and is not used after this.
        unsafe { (self.api.destroy)(self.object.0.as_mut_ptr().cast()) }
    }
}

// SAFETY: a recording is used by one thread at a time, and libtorch's object keeps nothing of the thread that made it.
unsafe impl Send for Graph {}
// SAFETY: it is the name of something that lives as long as the process.
unsafe impl Send for Stream {}
