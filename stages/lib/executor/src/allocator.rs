//! The allocator of the whole process, libtorch included: jemalloc in place of the C library's.
//!
//! Plans have their memory once and for all, but batches, evaluations and what libtorch computes are tensors of every
//! size, made and dropped by several threads at once. The C library's allocator has the choice of one heap, for whose lock
//! threads wait, or of several, which hand large tensors to the kernel and back. jemalloc gives each thread memory of its
//! own, keeps what is freed for the next step, and asks for huge pages. (mimalloc, which `check` uses, gained nothing here.)

/// Makes sure that jemalloc is linked: it is found by the names of C's own functions, which nothing in Rust calls.
pub(crate) fn link() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    jemalloc::link();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod jemalloc {
    use std::ffi::{c_char, c_void};

    /// A string that other threads may read.
    #[repr(transparent)]
    pub struct Text(*const c_char);

    // SAFETY: it points to a constant.
    unsafe impl Sync for Text {}

    /// What jemalloc reads when it starts: huge pages wherever possible, and a minute until unused memory goes back.
    #[used]
    #[unsafe(export_name = "malloc_conf")]
    pub static SETTINGS: Text = Text(c"thp:always,dirty_decay_ms:60000,muzzy_decay_ms:60000".as_ptr());

    #[used]
    static MALLOC: unsafe extern "C" fn(usize) -> *mut c_void = tikv_jemalloc_sys::malloc;

    pub fn link() {
        std::hint::black_box((&SETTINGS, &MALLOC));
    }

    #[cfg(test)]
    mod tests {
        use std::ffi::{CStr, c_char, c_void};
        use std::ptr::null_mut;

        /// A value that jemalloc knows by name.
        fn ask<T: Copy>(name: &CStr, start: T) -> Option<T> {
            let (mut value, mut size) = (start, size_of::<T>());
            // SAFETY: the name ends with a zero; the answer has room for as many bytes as stated.
            let code = unsafe {
                let into = (&raw mut value).cast::<c_void>();
                tikv_jemalloc_sys::mallctl(name.as_ptr(), into, &raw mut size, null_mut(), 0)
            };
            (code == 0).then_some(value)
        }

        #[test]
        fn settings_are_in_force() {
            super::link();
            let thp = ask::<*const c_char>(c"opt.thp", std::ptr::null()).expect("is known");
            // SAFETY: jemalloc answers with a constant of its own.
            assert_eq!(unsafe { CStr::from_ptr(thp) }, c"always");
            assert_eq!(ask::<isize>(c"opt.dirty_decay_ms", 0), Some(60_000));
        }

        #[test]
        fn tensors_come_from_it() {
            crate::init(&crate::DeviceArg::Cpu, 1).expect("the CPU is there");
            let allocated = || ask::<u64>(c"thread.allocated", 0).expect("is known");
            let before = allocated();
            let tensor = tch::Tensor::zeros([1 << 20], (tch::Kind::Float, tch::Device::Cpu));
            assert!(allocated() - before >= 4 << 20, "libtorch has another allocator");
            drop(tensor);
        }
    }
}
