//! What holds for every program, and what understanding it may cost.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use program::{Compiled, Factor, LocalityVerdict, Options, Verdict};

/// CPU time that one check may take, and bytes that it may hold at once. Coverage counters and overflow checks make the code
/// about four times slower than the release build, for which 50 ms are the limit.
const TIME: Duration = Duration::from_millis(4 * 50);
const MEMORY: usize = 256 << 20;

/// Counts what is allocated now, and the most that ever was since the last reset.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(place, layout) }
    }
}

/// CPU time of this process, all threads together: other processes on the machine do not count.
fn cpu_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Unix, and `now` is a place for its answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Runs `work` within the limits. What takes too long is run again: only what is slow three times is slow.
fn within_limits(work: impl Fn()) {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let held = HELD.load(Ordering::Relaxed);
        PEAK.store(held, Ordering::Relaxed);
        let start = cpu_time();
        work();
        least = least.min(cpu_time().saturating_sub(start));
        let peak = PEAK.load(Ordering::Relaxed).saturating_sub(held);
        assert!(peak <= MEMORY, "{} MiB are held at once", peak >> 20);
        if least <= TIME {
            return;
        }
    }
    panic!("a check takes {} ms of CPU time", least.as_millis());
}

fn options() -> Options {
    Options { hidden: 16, ..Options::default() }
}

/// Compiles a program and asserts what holds for any.
fn compiled(source: &str) -> Compiled {
    let compiled = program::compile(source, &options());
    assert_eq!(compiled.processor.is_some(), compiled.verdict() != Verdict::Reject);
    assert!(compiled.diagnostics.iter().all(|d| d.code() != "E-INTERNAL"), "the checker gave up");
    if let Some(processor) = &compiled.processor {
        processor.graph.validate().expect("an accepted program's graph is sound");
        graph::costs(&processor.graph, &processor.outputs());
        graph::fingerprint(&processor.graph, &processor.outputs());
    }
    compiled
}

/// One program, as `check FILE` treats it.
pub fn check(source: &str) {
    within_limits(|| {
        let compiled = compiled(source);
        let text = program::render(source, "x.py", &compiled.diagnostics, false);
        assert_eq!(text.is_empty(), compiled.diagnostics.is_empty());
        program::candidate_id(source);
    });
}

/// A child of a parent, as `check --parent` treats it.
pub fn check_edit(parent: &str, child: &str, factor: Factor) {
    within_limits(|| {
        compiled(child);
        let found = program::locality(parent, child, factor);
        assert_eq!(found.kinds.is_empty(), found.verdict == LocalityVerdict::Local);
    });
}
