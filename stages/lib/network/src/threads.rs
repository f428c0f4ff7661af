//! How many threads an operation of libtorch uses.

/// While it lives, libtorch computes each operation of the thread that made it on that thread alone, so that sums are
/// taken in one order however many threads there are. MKL keeps this number for each thread, and a new thread would start
/// with all cores: every thread that computes needs a guard of its own.
pub(crate) struct OneThread {
    before: i32,
}

impl OneThread {
    pub fn new() -> Self {
        let before = tch::get_num_threads();
        tch::set_num_threads(1);
        Self { before }
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        tch::set_num_threads(self.before);
    }
}
