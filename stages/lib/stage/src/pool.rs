//! Work side by side, results in order.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bytes of stack of each thread: candidates' syntax trees may be deep.
const STACK: usize = 32 << 20;

/// Runs `work` on every item, on up to `jobs` threads, and returns the results in the order of the items. Items are
/// started in order; once `stop` is set no further one is, and those have no result.
pub fn run<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    stop: &AtomicBool,
    work: impl Fn(usize, &T) -> R + Sync,
) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let worker = || {
        while !stop.load(Ordering::SeqCst) {
            let index = next.fetch_add(1, Ordering::SeqCst);
            let Some(item) = items.get(index) else { break };
            let result = work(index, item);
            let mut results = results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(slot) = results.get_mut(index) {
                *slot = Some(result);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            let thread = std::thread::Builder::new().stack_size(STACK);
            if thread.spawn_scoped(scope, worker).is_err() {
                // No more threads to be had: fewer will do, and this one always can.
                worker();
            }
        }
    });
    results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_for_any_number_of_jobs() {
        let items: Vec<u64> = (0..40).collect();
        let stop = AtomicBool::new(false);
        let expected: Vec<_> = items.iter().map(|x| Some(x * x)).collect();
        for jobs in [0, 1, 3, 100] {
            let got = run(&items, jobs, &stop, |_, x| {
                std::thread::sleep(std::time::Duration::from_micros((40 - x) * 20));
                x * x
            });
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn nothing_starts_after_stop() {
        let stop = AtomicBool::new(false);
        let got = run(&[1, 2, 3], 1, &stop, |_, x| {
            stop.store(*x == 2, Ordering::SeqCst);
            *x
        });
        assert_eq!(got, [Some(1), Some(2), None]);
    }
}
