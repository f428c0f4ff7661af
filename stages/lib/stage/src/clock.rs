//! The time that a process was at work, which is what limits of time are about.
//!
//! Time passes for a process while it runs or could run. It does not pass while the process is stopped, nor while the
//! whole machine or container was suspended: then whoever looks was suspended, too, and notices a gap between two looks.
//! In a gap as long as that only the processor time counts that was used in it. So a looker that was stopped alone finds
//! what its child did meanwhile.

use std::time::{Duration, Instant};

/// Looks that are further apart than this were kept from happening.
const GAP: Duration = Duration::from_secs(1);

/// Adds up the time at work.
#[derive(Clone, Debug)]
pub struct WorkClock {
    total: Duration,
    looked: Instant,
    cpu: Duration,
}

impl WorkClock {
    /// A clock that stands at 0 now.
    pub fn starting_at(now: Instant) -> Self {
        Self { total: Duration::ZERO, looked: now, cpu: Duration::ZERO }
    }

    /// A look at a process that has used so much processor time in all. Returns its time at work so far.
    pub fn look(&mut self, now: Instant, cpu: Duration, stopped: bool) -> Duration {
        let passed = now.saturating_duration_since(self.looked);
        let used = cpu.saturating_sub(self.cpu);
        self.total += if stopped || passed > GAP { passed.min(used) } else { passed };
        self.looked = now;
        self.cpu = self.cpu.max(cpu);
        self.total
    }

    /// The time at work up to the last look.
    pub fn total(&self) -> Duration {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_for_who_is_at_work() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let ms = Duration::from_millis;
        let mut clock = WorkClock::starting_at(start);
        assert_eq!(clock.look(at(500), ms(400), false), ms(500), "waiting for a core or a file is at work, too");
        assert_eq!(clock.look(at(900), ms(410), true), ms(510), "stopped: what it used before counts");
        assert_eq!(clock.look(at(90_900), ms(410), false), ms(510), "all were suspended");
        assert_eq!(clock.look(at(95_900), ms(3410), false), ms(3510), "only we were suspended");
        assert_eq!(clock.look(at(105_900), ms(90_000), false), ms(13_510), "several threads live in one time");
        assert_eq!(clock.look(at(106_000), ms(0), false), ms(13_610), "a number that shrinks is no use");
        assert_eq!(clock.total(), ms(13_610));
    }
}
