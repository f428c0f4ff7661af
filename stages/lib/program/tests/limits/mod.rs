//! What understanding one program may cost: CPU time and memory, counted while a piece of work runs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use program::{Compiled, Options, Verdict, candidate_id, compile, on_big_stack, render};

/// CPU time that one check may take. Tests are built with little optimisation and with overflow checks, and run on slow machines
/// with others beside them: what they must find takes many times longer.
pub const TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2000 } else { 100 });
/// Bytes that it may hold at once.
pub const MEMORY: usize = 256 << 20;

thread_local! {
    /// Bytes that this thread holds, and the most that it ever held.
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// Counts what each thread allocates: tests run beside each other.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is passed on to the system's allocator unchanged.
#[allow(unsafe_code, reason = "an allocator cannot be written otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.try_with(|h| h.replace(h.get() + layout.size()) + layout.size()).unwrap_or(0);
        let _ = PEAK.try_with(|p| p.set(p.get().max(held)));
        // SAFETY: the caller keeps to the terms of `alloc`, which are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        let _ = HELD.try_with(|h| h.set(h.get().saturating_sub(layout.size())));
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// What one check took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub time: Duration,
    pub memory: usize,
}

impl Cost {
    pub fn is_fine(&self) -> bool {
        self.time <= TIME && self.memory <= MEMORY
    }
}

/// Understands a program as `check` does, on this thread, which must have a big stack.
pub fn check(source: &str) -> Compiled {
    let compiled = compile(source, &Options { hidden: 16, ..Options::default() });
    if let Some(processor) = &compiled.processor {
        processor.graph.validate().expect("an accepted program's graph is sound");
        graph::costs(&processor.graph, &processor.outputs());
        graph::fingerprint(&processor.graph, &processor.outputs());
    }
    let text = render(source, "x.py", &compiled.diagnostics, false);
    assert_eq!(text.is_empty(), compiled.diagnostics.is_empty());
    candidate_id(source);
    assert_eq!(compiled.processor.is_some(), compiled.verdict() != Verdict::Reject);
    compiled
}

fn measured<R>(work: impl Fn() -> R) -> (R, Cost) {
    let (held, start) = (HELD.get(), cpu_time());
    PEAK.set(held);
    let result = work();
    (result, Cost { time: cpu_time().saturating_sub(start), memory: PEAK.get().saturating_sub(held) })
}

/// Does some work, and does it again where it took too long: only what is slow three times is slow.
pub fn patiently<R: Send>(work: impl Fn() -> R + Sync) -> (R, Cost) {
    on_big_stack(|| {
        let mut best = measured(&work);
        for _ in 0..2 {
            if best.1.is_fine() {
                break;
            }
            let again = measured(&work);
            if again.1.time < best.1.time {
                best = again;
            }
        }
        best
    })
}

/// Understands a program as `check` does, and tells what that took.
#[allow(dead_code, reason = "not all tests that count costs use it")]
pub fn check_patiently(source: &str) -> (Compiled, Cost) {
    patiently(|| check(source))
}
